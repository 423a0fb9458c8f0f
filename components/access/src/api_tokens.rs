//! `/v1/api-tokens`

use crate::credentials::{self, NewCredential};
use domain::{Id, JsonSchema, PrincipalId, Result, id};
use serde::Serialize;
use store::credentials::{Credential, Kind};
use web::{Body, Caller, Created, Hub, Listing, NoContent, PageQuery, Path, Query, Sent, Shown, permit, secret};

/// An API token with its secret, as it is shown once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedApiToken {
    #[serde(flatten)]
    credential: Credential,
    /// The secret. It is stored nowhere: keep it now.
    api_token: String,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Body(new): Body<NewCredential>,
) -> Result<Sent<Created<IssuedApiToken>>> {
    let (id, api_token) = (hub.id(), secret::new("hubpt_"));
    hub.write(&caller, async |tx| {
        let credential =
            credentials::issue(&hub, &caller, tx, PrincipalId::ApiToken(id), &secret::hash(&api_token), &new).await?;
        Ok(Created::at(format!("/v1/api-tokens/{id}"), IssuedApiToken { credential, api_token: api_token.clone() }))
    })
    .await
}

pub async fn list(hub: Hub, caller: Caller<permit::ApiTokenRead>, Query(query): Query<PageQuery>) -> Result<Listing<Credential>> {
    credentials::list(&hub, &caller, Kind::ApiToken, query).await
}

pub async fn show(hub: Hub, caller: Caller<permit::ApiTokenRead>, Path(id): Path<Id<id::ApiToken>>) -> Result<Shown<Credential>> {
    store::credentials::find(hub.db().await?, &caller.scope(), PrincipalId::ApiToken(id)).await.map(Shown)
}

pub async fn regenerate(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Path(id): Path<Id<id::ApiToken>>,
) -> Result<Sent<Shown<IssuedApiToken>>> {
    let api_token = secret::new("hubpt_");
    hub.write(&caller, async |tx| {
        let credential = credentials::regenerate(&hub, &caller, tx, PrincipalId::ApiToken(id), &secret::hash(&api_token)).await?;
        Ok(Shown(IssuedApiToken { credential, api_token: api_token.clone() }))
    })
    .await
}

pub async fn revoke(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Path(id): Path<Id<id::ApiToken>>,
) -> Result<Sent<NoContent>> {
    credentials::revoke(&hub, &caller, PrincipalId::ApiToken(id)).await
}
