//! The OpenAPI 3.1 document, made of the same types that handlers take and answer with.
//!
//! It is made natively, by a test that compares it with the checked-in `docs/openapi.json`, which is what the hub
//! serves. The components that ship do not carry this module.

use crate::{
    Accepted, Awaiting, Body, Bytes, Caller, Created, Edited, Either, File, Filled, IfMatch, InPieces, Internal, Listing, Merge,
    Multi, NoContent, Path, Paths, Prefer, Query, Sent, Shown, Written,
    extract::{MediaType, Rows},
    identity::Permit,
    reply::ListingBody,
};
use domain::Permission;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The document while it is being made. Components add themselves to it with `Routes::document`.
#[derive(Default)]
pub struct Document {
    /// Operations by path and method.
    paths: BTreeMap<String, BTreeMap<String, Value>>,
    generator: Option<SchemaGenerator>,
}

impl Document {
    pub(crate) fn operation<'a>(&'a mut self, tag: &str, path: &str, id: String, summary: &str) -> Operation<'a> {
        let generator = self.generator.get_or_insert_with(|| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            });
            settings.into_generator()
        });
        let names =
            path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).map(str::to_owned).collect();
        let mut operation = Operation {
            value: json!({ "operationId": id, "summary": summary, "tags": [tag], "security": [], "responses": {} }),
            parameters: Vec::new(),
            names,
            generator,
        };
        operation.problem(400, "The request cannot be read.");
        operation.problem(414, "Path and query are longer than 8 KiB.");
        operation.answers_nothing(431, "Path, query and headers are larger than 16 KiB together.");
        operation.problem(503, "A fault of the hub's. Nothing was changed; the request can be sent again.");
        operation
    }

    pub(crate) fn add(&mut self, path: &str, method: &http::Method, operation: Value) {
        self.paths.entry(path.to_owned()).or_default().insert(method.as_str().to_ascii_lowercase(), operation);
    }

    /// Takes what several operations have in common out of them, leaving references: refusals and headers are the most of the
    /// document otherwise, which the scheduler carries. `kind` is where it stands in an operation and under the components.
    fn hoisted(&mut self, kind: &str) -> BTreeMap<String, Value> {
        let mut places: Vec<(String, &mut Value)> = Vec::new();
        for operation in self.paths.values_mut().flat_map(BTreeMap::values_mut) {
            match operation.get_mut(kind) {
                Some(Value::Object(of)) => places.extend(of.iter_mut().map(|(status, value)| (format!("Status{status}"), value))),
                Some(Value::Array(of)) => {
                    places.extend(of.iter_mut().map(|value| (value["name"].as_str().unwrap_or_default().to_owned(), value)))
                }
                _ => {}
            }
        }
        let mut counts = BTreeMap::<String, usize>::new();
        places.iter().for_each(|(_, value)| *counts.entry(value.to_string()).or_default() += 1);
        let (mut names, mut hoisted) = (BTreeMap::<String, String>::new(), BTreeMap::new());
        for (base, value) in places.into_iter().filter(|(_, value)| counts[&value.to_string()] > 1) {
            let name = names.entry(value.to_string()).or_insert_with(|| {
                let numbered = |number: usize| if number == 1 { base.clone() } else { format!("{base}-{number}") };
                (1..).map(numbered).find(|name| !hoisted.contains_key(name)).unwrap_or_default()
            });
            let reference = json!({ "$ref": format!("#/components/{kind}/{name}") });
            hoisted.insert(name.clone(), std::mem::replace(value, reference));
        }
        hoisted
    }

    /// The whole document.
    pub fn whole(mut self, version: &str) -> Value {
        let schemas = self.generator.as_mut().map(|generator| generator.take_definitions(true)).unwrap_or_default();
        let (responses, parameters) = (self.hoisted("responses"), self.hoisted("parameters"));
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Provider Hub",
                "version": version,
                "description": "Onboard providers, give their customers organizations, provision services into them and bill what was used. \
                    Exchange an API token for an access token with POST /v1/access-tokens and send it as a Bearer token.",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "parameters": parameters,
                "securitySchemes": { "accessToken": { "type": "http", "scheme": "bearer", "description": "An access token of 30 minutes." } },
            },
        })
    }
}

/// One operation while it is being described.
pub struct Operation<'a> {
    value: Value,
    parameters: Vec<Value>,
    /// The `{names}` of the path.
    names: Vec<String>,
    generator: &'a mut SchemaGenerator,
}

impl Operation<'_> {
    /// It needs a caller, and perhaps a permission.
    pub fn caller(&mut self, permission: Option<Permission>) {
        self.value["security"] = json!([{ "accessToken": [] }]);
        if let Some(permission) = permission {
            self.value["x-permission"] = json!(permission);
            self.value["description"] = json!(format!("Needs the permission {permission}."));
        }
        self.problem(403, "None of the caller's roles permits this, or the organization is disabled.");
        // Empty is as good as left out: some clients and proxies send a header that way.
        let mut organization = self.generator.subschema_for::<domain::Id<domain::id::Organization>>().to_value();
        if let Some(pattern) = organization["pattern"].as_str() {
            organization["pattern"] = json!(format!("^({})?$", pattern.trim_matches(['^', '$'])));
        }
        self.parameters.push(json!({
            "name": "Hub-Organization", "in": "header", "required": false, "schema": organization,
            "description": "The organization to act in, if not the token's own.",
        }));
        self.problem(401, "There is no valid access token.");
        self.problem(404, "There is no such thing where the caller acts.");
    }

    /// The value at this place of the path.
    pub fn path<T: JsonSchema>(&mut self, index: usize) {
        let schema = self.generator.subschema_for::<T>();
        let name = self.names.get(index).cloned().unwrap_or_default();
        self.parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        self.problem(404, "There is no such thing where the caller acts.");
    }

    /// The parameters of the query: the fields of `T`.
    pub fn query<T: JsonSchema>(&mut self) {
        // Not `subschema_for`: each field becomes a parameter of its own and the struct itself is not a schema.
        let schema = T::json_schema(self.generator).to_value();
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let mut field = field.clone();
            let description = field.as_object_mut().and_then(|field| field.remove("description"));
            let mut parameter =
                json!({ "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": not_null(field) });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
    }

    /// A JSON body.
    pub fn body<T: JsonSchema>(&mut self) {
        let schema = self.generator.subschema_for::<T>();
        self.value["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        self.takes_body();
    }

    /// A JSON body that a table describes.
    pub fn filled<F: domain::form::Form>(&mut self) {
        self.generator.definitions_mut().entry(F::NAME).or_insert_with(|| F::SHAPE.schema());
        let schema = json!({ "$ref": format!("#/components/schemas/{}", F::NAME) });
        self.value["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        self.takes_body();
    }

    /// A body of one of other media types.
    pub fn raw_body(&mut self, media_types: &[&str]) {
        self.value["requestBody"] = json!({ "required": true, "content": texts(media_types) });
        self.takes_body();
    }

    /// An edit of something of which `T` is said.
    pub fn merge<T: JsonSchema>(&mut self) {
        let mut schema = T::json_schema(self.generator).to_value();
        if let Some(schema) = schema.as_object_mut() {
            // What is left out stays.
            schema.remove("required");
            schema.insert("description".into(), json!("A JSON merge patch (RFC 7396): what is left out stays, null clears."));
        }
        // Once in the document, however often it is merged.
        let name = format!("{}Patch", T::schema_name());
        let schema_of = json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
        self.generator.definitions_mut().insert(name, schema);
        self.value["requestBody"] = json!({ "required": true, "content": {
            "application/json": schema_of, "application/merge-patch+json": schema_of,
        } });
        self.takes_body();
    }

    /// An answer that is a file.
    pub fn answers_file(&mut self, media_types: &[&str], description: &str) {
        self.value["responses"]["200"] = json!({ "description": description, "content": texts(media_types) });
    }

    /// A form (`application/x-www-form-urlencoded`) with these properties.
    pub fn form(&mut self, required: &[&str], properties: Value) {
        let schema = json!({ "type": "object", "required": required, "properties": properties });
        self.value["requestBody"] =
            json!({ "required": true, "content": { "application/x-www-form-urlencoded": { "schema": schema } } });
        self.problem(413, "The body is larger than 1 MiB.");
    }

    fn takes_body(&mut self) {
        self.problem(413, "The body is larger than 1 MiB.");
        self.problem(415, "The body is not of the media type that this takes, or is compressed.");
        self.problem(422, "The content is against the rules; errors says which fields.");
    }

    /// A header.
    pub fn header(&mut self, name: &str, description: &str, required: bool) {
        self.parameters.push(
            json!({ "name": name, "in": "header", "required": required, "description": description, "schema": { "type": "string" } }),
        );
    }

    /// An edit, under a condition.
    pub fn if_match(&mut self) {
        self.header("If-Match", "The ETag of the state that is edited.", false);
        self.problem(412, "It was edited since it was read.");
        self.problem(428, "If-Match is missing.");
    }

    /// An action that can name the state that it is for, and an edit in some cases only.
    pub fn if_match_or_none(&mut self) {
        self.header("If-Match", "The ETag of the state that is acted on. Without it, the present state is.", false);
        self.problem(412, "It was edited since it was read.");
    }

    /// A change that can be asked for again.
    pub fn idempotent(&mut self) {
        self.parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes the request safe to repeat: the same key and request get the first answer again, for 24 hours.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" },
        }));
        self.problem(409, "It clashes with the present state.");
        self.problem(422, "The content is against the rules; errors says which fields.");
    }

    /// An answer with a JSON body.
    pub fn answers<T: JsonSchema>(&mut self, status: u16, description: &str) {
        let mut schema = json!(self.generator.subschema_for::<T>());
        let mut description = description.to_owned();
        let answer = &mut self.value["responses"][status.to_string()];
        // One status may say one thing or another.
        let before = &answer["content"]["application/json"]["schema"];
        if !before.is_null() && *before != schema {
            schema = json!({ "oneOf": [before, schema] });
            description = format!("{} Or: {description}", answer["description"].as_str().unwrap_or_default());
        }
        *answer = json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    }

    /// An answer with a body of another media type.
    pub fn answers_text(&mut self, status: u16, media_type: &str, description: &str) {
        self.value["responses"][status.to_string()] =
            json!({ "description": description, "content": { media_type: { "schema": { "type": "string" } } } });
    }

    /// An answer without body.
    pub fn answers_nothing(&mut self, status: u16, description: &str) {
        self.value["responses"][status.to_string()] = json!({ "description": description });
    }

    /// A header of an answer.
    pub fn answer_header(&mut self, status: u16, name: &str, description: &str) {
        self.value["responses"][status.to_string()]["headers"][name] =
            json!({ "description": description, "schema": { "type": "string" } });
    }

    /// A refusal or a fault.
    pub fn problem(&mut self, status: u16, description: &str) {
        let schema = self.generator.subschema_for::<crate::problem::Problem>();
        self.value["responses"][status.to_string()] =
            json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } });
    }

    /// It is not for callers but for the hub's own parts.
    pub fn internal(&mut self) {
        self.problem(401, "The internal secret is wrong.");
    }

    pub(crate) fn finish(mut self) -> Value {
        if !self.parameters.is_empty() {
            self.value["parameters"] = Value::Array(std::mem::take(&mut self.parameters));
        }
        self.value
    }
}

/// Bodies that are text of these media types.
fn texts(media_types: &[&str]) -> Value {
    media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({ "schema": { "type": "string" } }))).collect()
}

/// A parameter that may be left out cannot be null: there is no way to write that in a query.
fn not_null(mut schema: Value) -> Value {
    let is_null = |option: &Value| option.is_null() || option["type"] == "null";
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        let kept: Vec<_> = options.iter().filter(|option| !is_null(option)).cloned().collect();
        if let [only] = kept.as_slice() {
            return only.clone();
        }
    }
    if let Some(options) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        options.retain(|option| !option.is_null());
    }
    let kinds = schema.get("type").and_then(Value::as_array).cloned().unwrap_or_default();
    if let [only] = kinds.iter().filter(|kind| *kind != "null").collect::<Vec<_>>().as_slice() {
        schema["type"] = (*only).clone();
    }
    schema
}

/// Says in the document what a part of a request takes, or what an answer is.
pub trait Describe {
    /// Adds its own to the operation.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! describe {
    ($([$($g:tt)*] $t:ty: |$operation:ident| $what:expr;)*) => {$(
        impl<$($g)*> Describe for $t {
            fn describe($operation: &mut Operation<'_>) {
                $what;
            }
        }
    )*};
}

describe! {
    [P: Permit] Caller<P>: |operation| operation.caller(P::PERMISSION);
    [] Internal: |operation| operation.internal();
    [T: JsonSchema] Path<T>: |operation| operation.path::<T>(0);
    [A: JsonSchema, B: JsonSchema] Paths<A, B>: |operation| {
        operation.path::<A>(0);
        operation.path::<B>(1);
    };
    [T: JsonSchema] Query<T>: |operation| operation.query::<T>();
    [T: JsonSchema] Body<T>: |operation| operation.body::<T>();
    [F: domain::form::Form] Filled<F>: |operation| operation.filled::<F>();
    [M: MediaType] Bytes<M>: |operation| operation.raw_body(M::NAMES);
    [T: JsonSchema] Merge<T>: |operation| operation.merge::<T>();
    [] IfMatch: |operation| operation.if_match();
    [] Option<IfMatch>: |operation| operation.if_match_or_none();
    [] Prefer: |operation| operation.header("Prefer", "wait=N: wait up to N seconds (at most 30) for the work to end (RFC 7240).", false);
    [T: JsonSchema] Shown<T>: |operation| operation.answers::<T>(200, "Here it is.");
    [T: JsonSchema] Edited<T>: |operation| {
        operation.answers::<T>(200, "As it is now.");
        operation.answer_header(200, "ETag", "Send it as If-Match with an edit.");
    };
    [T: JsonSchema] Created<T>: |operation| {
        operation.answers::<T>(201, "It was made.");
        operation.answer_header(201, "Location", "Where it is.");
    };
    [T: JsonSchema] Accepted<T>: |operation| {
        operation.answers::<T>(202, "The work goes on; watch it at the Location.");
        operation.answer_header(202, "Location", "Where the work can be watched.");
        operation.answers::<T>(200, "The work has ended (with Prefer: wait).");
        operation.answer_header(200, "Location", "Where the work can be looked up.");
        for status in [200, 202] {
            operation.answer_header(status, "Preference-Applied", "wait=N, when the caller preferred to wait that long (RFC 7240).");
        }
    };
    [T: JsonSchema] Awaiting<T>: |operation| {
        operation.answers::<T>(202, "It waits for an approval; watch it at the Location.");
        operation.answer_header(202, "Location", "Where it can be watched.");
    };
    [T: JsonSchema] Multi<T>: |operation| operation.answers::<T>(207, "What came of each part.");
    [] File: |operation| {
        operation.answers_file(Rows::NAMES, "A page of the rows.");
        operation.answer_header(200, "Link", "rel=\"next\": the next page (RFC 8288); absent on the last one.");
        operation.answer_header(200, "Content-Disposition", "What the file is to be called.");
    };
    [] NoContent: |operation| operation.answers_nothing(204, "Done.");
    [] InPieces: |operation| operation.answers::<serde_json::Map<String, Value>>(200, "Here it is.");
    [] Written: |operation| operation.answers::<serde_json::Map<String, Value>>(200, "Here it is.");
    [T: JsonSchema] Listing<T>: |operation| {
        operation.answers::<ListingBody<T>>(200, "A page of the list.");
        operation.answer_header(200, "Link", "rel=\"next\": the next page (RFC 8288); absent on the last one.");
    };
    [A: Describe, B: Describe] Either<A, B>: |operation| {
        A::describe(operation);
        B::describe(operation);
    };
    [R: Describe] Sent<R>: |operation| {
        R::describe(operation);
        operation.idempotent();
    };
}
