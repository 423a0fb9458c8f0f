//! Forms: bodies of many fields, described by a table.
//!
//! A type with derived readers costs a component several kilobytes a field list, and stops at the first fault. A table is
//! read by one function, which names every fault with its place; the same table makes the schema in the OpenAPI document,
//! and says which fields are secrets.

use crate::FieldError;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What a value may be.
pub enum Shape {
    /// One line of text, of this many characters, without white space at the ends.
    Text(usize, usize),
    /// A text of a kind of its own.
    Word(&'static Word),
    /// A text of a kind of its own that is shown to nobody; one that says where the secret is kept is no secret.
    Secret(&'static Word),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// True or false.
    Truth,
    /// So many of them at most.
    List(&'static Shape, usize),
    /// Fields, and the names of those that must be there.
    Object(&'static [Field], &'static [&'static str]),
}

/// A field of an object.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may be. It may also be null, which is as if it were not there.
    pub shape: Shape,
    /// What it means.
    pub about: &'static str,
}

/// A kind of text.
pub struct Word {
    /// Whether a text is one.
    pub is: fn(&str) -> bool,
    /// What is to be given, for who gave something else: "give …".
    pub hint: &'static str,
    /// The same as a regular expression, or as near as one comes.
    pub pattern: &'static str,
}

/// What stands where a secret stood.
pub const MASK: &str = "********";

/// A body, and what it is to be.
pub trait Form {
    /// What the body is to be.
    const SHAPE: Shape;
    /// The name of its schema.
    const NAME: &'static str;
}

impl Shape {
    /// Names whatever is wrong with a value.
    pub fn check(&self, value: &Value) -> Vec<FieldError> {
        let mut faults = Vec::new();
        check(self, value, &mut String::new(), &mut faults);
        faults
    }

    /// Puts a mask where a secret is, and gives the secrets with their places (JSON Pointers).
    pub fn mask(&self, value: &mut Value) -> Vec<(String, String)> {
        let mut secrets = Vec::new();
        walk(self, value, &mut String::new(), &mut |place, value| {
            if let Value::String(text) = value {
                secrets.push((place.to_owned(), std::mem::replace(text, MASK.to_owned())));
            }
        });
        secrets
    }
}

fn inside(pointer: &mut String, part: &str, then: impl FnOnce(&mut String)) {
    let length = pointer.len();
    push_part(pointer, part);
    then(pointer);
    pointer.truncate(length);
}

/// Called, as [`push_fault`] is, because it would otherwise be in the code of each place that needs it.
#[inline(never)]
fn push_part(pointer: &mut String, part: &str) {
    pointer.push('/');
    // RFC 6901, 3.
    pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
}

#[cold]
#[inline(never)]
fn push_fault(faults: &mut Vec<FieldError>, pointer: &str, detail: String) {
    faults.push(FieldError { pointer: pointer.to_owned(), detail });
}

fn check(shape: &Shape, value: &Value, pointer: &mut String, faults: &mut Vec<FieldError>) {
    let mut fault = |detail: String| push_fault(faults, pointer, detail);
    match (shape, value) {
        (Shape::Text(min, max), Value::String(text)) => {
            if let Err(detail) = crate::text::check(text, *min, *max) {
                fault(detail);
            }
        }
        (Shape::Secret(_), Value::String(text)) if text == MASK => {
            fault("is the mask that stands where a secret stood; send the secret itself, or leave the field out".into());
        }
        (Shape::Word(word) | Shape::Secret(word), Value::String(text)) => {
            if !(word.is)(text) {
                fault(format!("is not right; {}", word.hint));
            }
        }
        (Shape::OneOf(texts), Value::String(text)) => {
            if !texts.contains(&text.as_str()) {
                fault(format!("is not one of {}", texts.join(", ")));
            }
        }
        (Shape::Whole(min, max), Value::Number(number)) => {
            if !number.as_i64().is_some_and(|number| (*min..=*max).contains(&number)) {
                fault(format!("is not a whole number from {min} to {max}"));
            }
        }
        (Shape::Truth, Value::Bool(_)) => {}
        (Shape::List(of, max), Value::Array(items)) => {
            if items.len() > *max {
                return fault(format!("has {} items; at most {max} are allowed", items.len()));
            }
            for (place, item) in items.iter().enumerate() {
                inside(pointer, &place.to_string(), |pointer| check(of, item, pointer, faults));
            }
        }
        (Shape::Object(fields, required), Value::Object(object)) => {
            for (name, value) in object {
                inside(pointer, name, |pointer| match fields.iter().find(|field| field.name == name) {
                    Some(field) if !value.is_null() => check(&field.shape, value, pointer, faults),
                    Some(_) => {}
                    None => {
                        let known: Vec<_> = fields.iter().map(|field| field.name).collect();
                        let detail = format!("is not known here; there are {}", known.join(", "));
                        push_fault(faults, pointer, detail);
                    }
                });
            }
            for name in required.iter().filter(|name| object.get(**name).is_none_or(Value::is_null)) {
                inside(pointer, name, |pointer| {
                    push_fault(faults, pointer, format!("is missing; {name} is required"));
                });
            }
        }
        _ => fault(format!("is of another kind than what goes here; give {}", wanted(shape))),
    }
}

fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text(..) | Shape::Word(_) | Shape::Secret(_) | Shape::OneOf(_) => "a text",
        Shape::Whole(..) => "a whole number",
        Shape::Truth => "true or false",
        Shape::List(..) => "a list",
        Shape::Object(..) => "an object",
    }
}

/// Visits every secret of a value that was found right.
fn walk(shape: &Shape, value: &mut Value, pointer: &mut String, visit: &mut dyn FnMut(&str, &mut Value)) {
    match (shape, value) {
        (Shape::Secret(_), value) if !value.as_str().is_some_and(|text| text.starts_with("ref:")) => visit(pointer, value),
        (Shape::List(of, _), Value::Array(items)) => {
            for (place, item) in items.iter_mut().enumerate() {
                inside(pointer, &place.to_string(), |pointer| walk(of, item, pointer, visit));
            }
        }
        (Shape::Object(fields, _), Value::Object(object)) => {
            for field in *fields {
                if let Some(value) = object.get_mut(field.name) {
                    inside(pointer, field.name, |pointer| walk(&field.shape, value, pointer, visit));
                }
            }
        }
        _ => {}
    }
}

/// JSON as it is read for a form: no name twice in an object, and no number that is not whole.
pub struct Tree(pub Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without numbers that are not whole")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree(Value::Bool(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree(Value::String(value.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree(Value::Array(list)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let Tree(value) = fields.next_value()?;
            if object.contains_key(&name) {
                return Err(de::Error::custom(format_args!("duplicate field `{name}`")));
            }
            object.insert(name, value);
        }
        Ok(Tree(Value::Object(object)))
    }
}

/// Reads JSON as a [`Tree`]. Apart from its callers, so that it is compiled once.
pub fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(text).map(|Tree(value)| value)
}

/// A value of a [`Tree`] as JSON. What `Value` has for that is compiled for each way to write, and brings floating point along.
pub fn written(value: &Value) -> String {
    let mut json = String::new();
    write(value, &mut json);
    json
}

fn write(value: &Value, json: &mut String) {
    // A text can always be written.
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    match value {
        Value::Null => json.push_str("null"),
        Value::Bool(is) => json.push_str(if *is { "true" } else { "false" }),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => json.push_str(&whole.to_string()),
            (None, Some(whole)) => json.push_str(&whole.to_string()),
            // A tree has none.
            (None, None) => json.push_str("null"),
        },
        Value::String(text) => json.push_str(&quoted(text)),
        Value::Array(items) => {
            json.push('[');
            for (place, item) in items.iter().enumerate() {
                json.push_str(if place > 0 { "," } else { "" });
                write(item, json);
            }
            json.push(']');
        }
        Value::Object(object) => {
            json.push('{');
            for (place, (name, value)) in object.iter().enumerate() {
                json.push_str(if place > 0 { "," } else { "" });
                json.push_str(&quoted(name));
                json.push(':');
                write(value, json);
            }
            json.push('}');
        }
    }
}

#[cfg(not(target_family = "wasm"))]
impl Shape {
    /// The JSON Schema of the values that it takes.
    pub fn schema(&self) -> Value {
        use serde_json::json;
        match self {
            Self::Text(min, max) => json!({ "type": "string", "minLength": min, "maxLength": max }),
            Self::Word(word) => json!({ "type": "string", "pattern": word.pattern }),
            Self::Secret(word) => json!({ "type": "string", "pattern": word.pattern, "writeOnly": true }),
            Self::OneOf(texts) => json!({ "type": "string", "enum": texts }),
            Self::Whole(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Truth => json!({ "type": "boolean" }),
            Self::List(of, max) => json!({ "type": "array", "items": of.schema(), "maxItems": max }),
            Self::Object(fields, required) => {
                let mut properties = Map::new();
                for field in *fields {
                    let mut schema = field.shape.schema();
                    schema["description"] = field.about.into();
                    if !required.contains(&field.name) {
                        // Null is as good as nothing.
                        if let Some(kind) = schema.get("type").cloned() {
                            schema["type"] = json!([kind, "null"]);
                        }
                        if let Some(texts) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                            texts.push(Value::Null);
                        }
                    }
                    properties.insert(field.name.to_owned(), schema);
                }
                json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const PIN: Word = Word { is: |text| text.starts_with("ref:") || text.len() == 4, hint: "give 4 digits", pattern: "^....$" };
    const SHAPE: Shape = Shape::Object(
        &[
            Field { name: "name", shape: Shape::Text(1, 5), about: "" },
            Field { name: "kind", shape: Shape::OneOf(&["A", "B"]), about: "" },
            Field { name: "pin", shape: Shape::Secret(&PIN), about: "" },
            Field { name: "size", shape: Shape::Whole(1, 9), about: "" },
            Field {
                name: "parts",
                shape: Shape::List(&Shape::Object(&[Field { name: "a/b", shape: Shape::Secret(&PIN), about: "" }], &["a/b"]), 2),
                about: "",
            },
            Field { name: "on", shape: Shape::Truth, about: "" },
        ],
        &["name", "pin"],
    );

    fn places(value: Value) -> Vec<String> {
        SHAPE.check(&value).into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let good = json!({ "name": "x", "pin": "1234", "size": 3, "kind": null, "parts": [{ "a/b": "0000" }], "on": true });
        assert_eq!(places(good), [""; 0]);
        let bad = json!({ "name": "", "kind": "C", "size": 10, "parts": [{}, { "a/b": 1, "c": 2 }], "on": "yes", "more": 1 });
        assert_eq!(
            places(bad),
            ["/kind", "/more", "/name", "/on", "/parts/0/a~1b", "/parts/1/a~1b", "/parts/1/c", "/size", "/pin"]
        );
        assert_eq!(places(json!([])), [""]);
        assert_eq!(places(json!({ "name": "x", "pin": MASK })), ["/pin"]);
        assert_eq!(places(json!({ "name": "x", "pin": "1234", "parts": [{}, {}, {}] })), ["/parts"]);
    }

    #[test]
    fn secrets_are_taken_out_and_references_stay() {
        let mut value = json!({ "name": "x", "pin": "ref:1", "parts": [{ "a/b": "0000" }] });
        assert_eq!(SHAPE.mask(&mut value), [("/parts/0/a~1b".to_owned(), "0000".to_owned())]);
        assert_eq!(value, json!({ "name": "x", "pin": "ref:1", "parts": [{ "a/b": MASK }] }));
    }

    #[test]
    fn names_twice_and_broken_numbers_are_refused() {
        let read = |text: &str| serde_json::from_str::<Tree>(text).map(|tree| tree.0).ok();
        assert_eq!(read(r#"{"a":[1,null,"x",true,-2]}"#), Some(json!({ "a": [1, null, "x", true, -2] })));
        for wrong in [r#"{"a":1,"a":2}"#, "1.5", r#"{"a":1e3}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A tree is written as serde_json would, and is read as it was.
        #[test]
        fn what_is_written_is_read_again(value in tree()) {
            prop_assert_eq!(written(&value), value.to_string());
            prop_assert_eq!(read(written(&value).as_bytes()).unwrap(), value);
        }

        /// After masking, no secret is left in the text.
        #[test]
        fn no_secret_is_left(pin in "[0-9]{4}", parts in proptest::collection::vec("[0-9]{4}", 0..2)) {
            let parts: Vec<Value> = parts.iter().map(|part| json!({ "a/b": part })).collect();
            let mut value = json!({ "name": "x", "pin": pin, "parts": parts });
            prop_assert!(SHAPE.check(&value).is_empty());
            let secrets = SHAPE.mask(&mut value);
            prop_assert_eq!(secrets.len(), 1 + parts.len());
            let text = value.to_string();
            prop_assert!(secrets.iter().all(|(_, secret)| !text.contains(secret)));
        }
    }
}
