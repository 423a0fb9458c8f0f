//! `/v1/apps`: machines that sign in with client credentials.

use crate::credentials::{self, NewCredential};
use domain::{Id, JsonSchema, PrincipalId, Result, id};
use serde::Serialize;
use store::credentials::{Credential, Kind};
use web::{Body, Caller, Created, Hub, Listing, NoContent, PageQuery, Path, Query, Sent, Shown, permit, secret};

/// An app with its client secret, as it is shown once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedApp {
    #[serde(flatten)]
    credential: Credential,
    /// The client secret; the client id is the id. It is stored nowhere: keep it now.
    client_secret: String,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Body(new): Body<NewCredential>,
) -> Result<Sent<Created<IssuedApp>>> {
    let (id, client_secret) = (hub.id(), secret::new("hubcs_"));
    hub.write(&caller, async |tx| {
        let credential = credentials::issue(&hub, &caller, tx, PrincipalId::App(id), &secret::hash(&client_secret), &new).await?;
        Ok(Created::at(format!("/v1/apps/{id}"), IssuedApp { credential, client_secret: client_secret.clone() }))
    })
    .await
}

pub async fn list(hub: Hub, caller: Caller<permit::ApiTokenRead>, Query(query): Query<PageQuery>) -> Result<Listing<Credential>> {
    credentials::list(&hub, &caller, Kind::App, query).await
}

pub async fn show(hub: Hub, caller: Caller<permit::ApiTokenRead>, Path(id): Path<Id<id::App>>) -> Result<Shown<Credential>> {
    store::credentials::find(hub.db().await?, &caller.scope(), PrincipalId::App(id)).await.map(Shown)
}

pub async fn regenerate(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Path(id): Path<Id<id::App>>,
) -> Result<Sent<Shown<IssuedApp>>> {
    let client_secret = secret::new("hubcs_");
    hub.write(&caller, async |tx| {
        let credential = credentials::regenerate(&hub, &caller, tx, PrincipalId::App(id), &secret::hash(&client_secret)).await?;
        Ok(Shown(IssuedApp { credential, client_secret: client_secret.clone() }))
    })
    .await
}

pub async fn revoke(hub: Hub, caller: Caller<permit::ApiTokenWrite>, Path(id): Path<Id<id::App>>) -> Result<Sent<NoContent>> {
    credentials::revoke(&hub, &caller, PrincipalId::App(id)).await
}
