//! `/v1/organizations/{organizationId}/branding`

use domain::{
    Id, JsonSchema, Result,
    branding::{Branding, EffectiveBranding},
    id,
};
use serde::Serialize;
use store::{Db, branding, organizations};
use web::{Body, Caller, Edited, Hub, Identity, IfMatch, Path, Sent, permit};

/// How the hub presents itself in an organization.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrandingView {
    /// Where.
    organization_id: Id<id::Organization>,
    /// What the organization says itself.
    own: Branding,
    /// What holds in it, inherited where it says nothing.
    effective: EffectiveBranding,
}

async fn view(db: &Db, caller: &Identity, id: Id<id::Organization>) -> Result<Edited<BrandingView>> {
    let organization = organizations::head(db, &caller.scope(), id).await?;
    let (own, version) = branding::find(db, id).await?;
    let effective = branding::effective(db, &caller.scope(), &organization).await?;
    Ok(Edited { version, value: BrandingView { organization_id: id, own, effective } })
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Path(id): Path<Id<id::Organization>>,
) -> Result<Edited<BrandingView>> {
    view(hub.db().await?, &caller, id).await
}

pub async fn put(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: IfMatch,
    Body(said): Body<Branding>,
) -> Result<Sent<Edited<BrandingView>>> {
    hub.write(&caller, async |tx| {
        organizations::find_in_use(tx, &caller.scope(), id).await?;
        branding::put(tx, id, condition.version, &said, hub.now()).await?;
        view(tx, &caller, id).await
    })
    .await
}
