//! `/v1/environments/{environmentId}/products/{productId}/certificate`: the certificate of a product.
//!
//! Installing one is a change of its environment, so all that holds for such a change holds for it.

use crate::{
    change::{ChangeQuery, ChangeSubject, DesiredState, EnvironmentChange, Planned},
    given_certificate::{GivenCertificate, chain_pointer},
    stored_environment::StoredEnvironment,
};
use domain::{Error, Id, JsonSchema, Result, Text, environment::CertificateChange, form::written, id, task::TaskType};
use serde::Serialize;
use serde_json::value::RawValue;
use web::{Caller, Edited, Filled, Hub, IfMatch, Paths, Prefer, Query, permit};

/// The certificate of a product: what is known of it, and in `certificate` the chain in PEM. The key is shown to nobody.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ProductCertificate(#[schemars(with = "ProductCertificateSchema")] Box<RawValue>);

/// The fields of [`ProductCertificate`].
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
#[cfg(not(target_family = "wasm"))]
pub struct ProductCertificateSchema {
    #[serde(flatten)]
    facts: domain::certificate::Certificate,
    /// The chain in PEM: the certificate, and whoever signed it after it.
    certificate: String,
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Paths(id, product_id): Paths<Id<id::Environment>, Text<1, 80>>,
) -> Result<Edited<ProductCertificate>> {
    let mut stored = StoredEnvironment::find(hub.db().await?, &caller.scope(), id).await?;
    let at = stored.position(&product_id)?;
    let mut whole = stored.products[at]["certificate"].take();
    if whole.is_null() {
        return Err(Error::not_found("certificate_not_found", "certificate of the product", &*product_id));
    }
    whole["certificate"] = stored.secrets(&hub).await?.remove(&chain_pointer(at)).unwrap_or_default();
    let value = RawValue::from_string(written(&whole)).map_err(|error| Error::fault(error.to_string()))?;
    Ok(Edited { version: stored.environment.version, value: ProductCertificate(value) })
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
    let certificate = GivenCertificate::read(&change.value, hub.now());
    let change = EnvironmentChange {
        subject: ChangeSubject::Stored { id, version: condition.version },
        desired: DesiredState::Certificate { product_id: product_id.to_string(), certificate },
        task_type: Some(TaskType::CertificateUpdate),
        name: None,
    };
    change.submit(&hub, &caller, query.task(), prefer).await
}
