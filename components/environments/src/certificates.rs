//! `/v1/environments/{environmentId}/products/{productId}/certificate`, and the certificates that products come with.
//!
//! What is known of a certificate stands in its product, as all else that the product is; the chain and the key stand among the
//! secrets of the environment. So whatever holds for a change of an environment holds for its certificates.

use crate::{
    environments::{ChangeQuery, Draft, Of, Wanted},
    plans::{self, Planned},
};
use domain::{
    Error, FieldError, Id, JsonSchema, Result, Text,
    environment::{CertificateChange, hosts},
    form::{read, written},
    id,
    task::TaskType,
};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};
use store::{
    Scope,
    environments::{self, Environment},
};
use web::{Caller, Edited, Filled, Hub, IfMatch, Paths, Prefer, Query, permit};

/// An environment as it is, with its secrets.
pub(crate) struct Present {
    pub(crate) environment: Environment,
    pub(crate) products: Value,
    /// By their places.
    pub(crate) secrets: Value,
}

impl Present {
    pub(crate) async fn find(hub: &Hub, scope: &Scope, id: Id<id::Environment>) -> Result<Self> {
        let (environment, sealed) = environments::find_with_secrets(hub.db().await?, scope, id).await?;
        let fault = |error: serde_json::Error| Error::fault(format!("what is known of an environment: {error}"));
        let secrets = match sealed {
            Some(sealed) => read(hub.unseal(&id.to_string(), &sealed).await?.as_bytes()).map_err(fault)?,
            None => Value::Object(Map::new()),
        };
        let products = read(environment.products.get().as_bytes()).map_err(fault)?;
        Ok(Self { environment, products, secrets })
    }

    /// The place of a product.
    fn place(&self, product_id: &str) -> Option<usize> {
        self.products.as_array()?.iter().position(|product| product["productId"] == product_id)
    }

    /// The version that a change begins with, of what is here and nothing later; none that there is, where the caller saw
    /// another.
    pub(crate) fn version(&self, condition: Option<i64>) -> Option<i64> {
        begin(self.environment.version, condition)
    }
}

/// The version that a change begins with, of what is there at `seen`.
pub(crate) fn begin(seen: i64, condition: Option<i64>) -> Option<i64> {
    Some(condition.map_or(seen, |version| if version == seen { seen } else { -1 }))
}

/// The halves of a certificate that are secrets or, being long, are kept with them.
const HALVES: [&str; 2] = ["certificate", "privateKey"];

fn place_of(at: usize, half: &str) -> String {
    format!("/products/{at}/certificate/{half}")
}

/// Whether any product that is sent says no more of its certificate than which it is.
pub(crate) fn keeps_any(products: &Value) -> bool {
    let keeps =
        |product: &Value| product["certificate"]["thumbprint"].is_string() && product["certificate"]["privateKey"].is_null();
    products.as_array().into_iter().flatten().any(keeps)
}

/// Has the certificates checked that products come with, and puts in the place of each what is known of it. The halves go to
/// the secrets. One that is only named is the one that the product has.
pub(crate) async fn take(
    hub: &Hub,
    products: &mut Value,
    present: Option<&Present>,
    secrets: &mut Map<String, Value>,
) -> Result<()> {
    for (at, product) in products.as_array_mut().into_iter().flatten().enumerate() {
        if product["certificate"].is_null() {
            continue;
        }
        let fault = |field: &str, detail: &str| {
            let pointer = format!("/products/{at}/certificate{field}");
            Error::invalid_fields(vec![FieldError { pointer, detail: detail.to_owned() }])
        };
        if let Some(thumbprint) = product["certificate"]["thumbprint"].as_str().filter(|_| !keeps_none(product)) {
            let place = present.and_then(|present| Some((present, present.place(product["productId"].as_str()?)?)));
            let same = place.filter(|(present, at)| present.products[*at]["certificate"]["thumbprint"] == thumbprint);
            let (present, before) = same.ok_or_else(|| {
                fault("/thumbprint", "is not that of the certificate that the product has; send certificate and privateKey")
            })?;
            for half in HALVES {
                secrets.insert(place_of(at, half), present.secrets[place_of(before, half)].clone());
            }
            product["certificate"] = present.products[before]["certificate"].clone();
            continue;
        }
        for half in HALVES {
            if product["certificate"][half].is_null() {
                return Err(fault(&format!("/{half}"), "is missing; a certificate is installed with its key"));
            }
        }
        let mut checked = checked(hub, product, at).await?;
        for half in HALVES {
            secrets.insert(place_of(at, half), checked[half].take());
        }
        product["certificate"] = checked["facts"].take();
    }
    Ok(())
}

/// Whether a product comes with a certificate of its own.
fn keeps_none(product: &Value) -> bool {
    HALVES.iter().any(|half| product["certificate"][*half].is_string())
}

async fn checked(hub: &Hub, product: &Value, at: usize) -> Result<Value> {
    let mut question = Map::new();
    for field in ["certificate", "privateKey", "keyPassword"] {
        question.insert(field.to_owned(), product["certificate"][field].clone());
    }
    question.insert("hosts".to_owned(), Value::Array(hosts(product).into_iter().map(Value::String).collect()));
    let fault = |error: serde_json::Error| Error::fault(format!("the check of a certificate: {error}"));
    let question = RawValue::from_string(written(&Value::Object(question))).map_err(fault)?;
    let answer = web::ask(hub, "certificates", "/internal/certificates/check", &question).await.map_err(|mut error| {
        for field in &mut error.fields {
            field.pointer = format!("/products/{at}/certificate{}", field.pointer);
        }
        error
    })?;
    read(answer.body.as_deref().unwrap_or_default()).map_err(fault)
}

/// The certificate of a product: what is known of it, and in `certificate` the chain in PEM. The key is shown to nobody.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Shown(#[schemars(with = "Whole")] Box<RawValue>);

/// What stands in [`Shown`].
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[cfg(not(target_family = "wasm"))]
pub struct Whole {
    #[serde(flatten)]
    facts: domain::certificate::Certificate,
    /// The chain in PEM: the certificate, and whoever signed it after it.
    certificate: String,
}

fn no_product(id: &str) -> Error {
    Error::not_found("product_not_found", "product of this environment", id)
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Paths(id, product_id): Paths<Id<id::Environment>, Text<1, 80>>,
) -> Result<Edited<Shown>> {
    let mut present = Present::find(&hub, &caller.scope(), id).await?;
    let at = present.place(&product_id).ok_or_else(|| no_product(&product_id))?;
    let mut whole = present.products[at]["certificate"].take();
    if whole.is_null() {
        return Err(Error::not_found("certificate_not_found", "certificate of the product", &*product_id));
    }
    whole["certificate"] = present.secrets[place_of(at, HALVES[0])].take();
    let value = RawValue::from_string(written(&whole)).map_err(|error| Error::fault(error.to_string()))?;
    Ok(Edited { version: present.environment.version, value: Shown(value) })
}

pub async fn replace(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Paths(id, product_id): Paths<Id<id::Environment>, Text<1, 80>>,
    condition: IfMatch,
    prefer: Prefer,
    Query(query): Query<ChangeQuery>,
    change: Filled<CertificateChange>,
) -> Result<Planned> {
    let present = Present::find(&hub, &caller.scope(), id).await?;
    let at = present.place(&product_id).ok_or_else(|| no_product(&product_id))?;
    let version = present.version(condition.version);
    let to = Wanted::with_certificate(&hub, present, at, change.value).await?;
    let draft = Draft::of(to, Some(TaskType::CertificateUpdate), None, query.how(), Of::Present { version });
    plans::planned(&hub, &caller, &draft, query.dry_run, prefer).await
}
