//! `/v1/service-roles` and `/v1/me/service-roles`

use domain::{Id, JsonSchema, OrganizationKind, PrincipalId, Result, id};
use serde::{Deserialize, Serialize};
use store::{
    service_roles::{self, NewServiceRole, ServiceRole, ServiceRolePatch},
    services,
};
use web::{
    Body, Caller, Created, Cursor, Edited, Hub, IfMatch, Listing, NoContent, Page, Path, Query, Sent, Shown, check_state, permit,
};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Body(new): Body<NewServiceRole>,
) -> Result<Sent<Created<ServiceRole>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        services::find(tx, new.service_id).await?;
        let role = service_roles::insert(tx, id, &new, hub.now()).await?;
        Ok(Created { location: format!("/v1/service-roles/{id}"), version: Some(role.version), value: role })
    })
    .await
}

/// Which roles to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those in this service.
    service_id: Option<Id<id::Service>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::ServiceRead>, Query(query): Query<ListQuery>) -> Result<Listing<ServiceRole>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = service_roles::list(hub.db().await?, query.service_id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |role| role.id.to_string()).await
}

pub async fn show(hub: Hub, _: Caller<permit::ServiceRead>, Path(id): Path<Id<id::ServiceRole>>) -> Result<Edited<ServiceRole>> {
    let role = service_roles::find(hub.db().await?, id).await?;
    Ok(Edited { version: role.version, value: role })
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::ServiceRole>>,
    condition: IfMatch,
    Body(patch): Body<ServiceRolePatch>,
) -> Result<Sent<Edited<ServiceRole>>> {
    hub.write(&caller, async |tx| {
        let role = service_roles::update(tx, id, condition.version, &patch, hub.now()).await?;
        Ok(Edited { version: role.version, value: role })
    })
    .await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::ServiceRole>>,
    condition: Option<IfMatch>,
) -> Result<Sent<NoContent>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        check_state(version, service_roles::find(tx, id).await?.version)?;
        service_roles::delete(tx, id).await?;
        Ok(NoContent)
    })
    .await
}

/// The caller's roles in services.
#[derive(Serialize, JsonSchema)]
pub struct OwnServiceRoles {
    /// What was given to the caller as a member of the acting organization; and, where they act in a customer for its
    /// provider, what such callers have there.
    items: Vec<ServiceRole>,
}

pub async fn own(hub: Hub, caller: Caller<permit::Anybody>) -> Result<Shown<OwnServiceRoles>> {
    let (db, place) = (hub.db().await?, caller.acting());
    let belongs = caller.bindings().iter().any(|binding| binding.path == place.path && !binding.bound);
    let mut items = match caller.principal() {
        PrincipalId::Person(person) => service_roles::of_member(db, place.id, person).await?,
        _ => Vec::new(),
    };
    if place.kind == OrganizationKind::Customer && !belongs {
        items.extend(service_roles::of_provider_in_tenant(db, place.id).await?);
    }
    Ok(Shown(OwnServiceRoles { items }))
}
