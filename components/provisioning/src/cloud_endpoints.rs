//! `/v1/cloud-endpoints`

use domain::{
    Error, Id, JsonSchema, OrganizationKind, Result,
    branding::HttpsUrl,
    cloud_endpoint::{CloudEndpointKind, check_owner},
    id,
};
use serde::{Deserialize, Serialize};
use store::{
    cloud_endpoints::{self, CloudEndpoint, Filter, NewCloudEndpoint},
    organizations,
};
use web::{
    Body, Caller, Created, Cursor, Edited, Hub, Identity, IfMatch, Listing, Merge, NoContent, Page, Path, Query, Sent, Shown,
    permit,
};

/// The most customers that an endpoint is taken away from with its removal: each has an entry in its audit.
const TAKEN_AWAY: u32 = 500;
/// The customers that a refusal names.
const NAMED: usize = 3;

/// Whether the caller acts in a customer, which sees what is assigned to it and nothing else.
pub fn in_customer(caller: &Identity) -> bool {
    caller.acting().kind == OrganizationKind::Customer
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::CloudEndpointWrite>,
    Body(new): Body<NewCloudEndpoint>,
) -> Result<Sent<Created<CloudEndpoint>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let owner = new.organization_id.unwrap_or(caller.acting().id);
        let owner = organizations::find_place_in_use(tx, &caller.scope(), owner).await?;
        check_owner(owner.kind)?;
        let value = cloud_endpoints::insert(tx, id, &owner, &new, hub.now()).await?;
        hub.concerns(owner.id);
        hub.audit("displayName", &value.display_name);
        hub.audit("url", &new.url.to_string());
        Ok(Created { location: format!("/v1/cloud-endpoints/{id}"), version: Some(value.version), value })
    })
    .await
}

/// Which cloud endpoints to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this provider.
    organization_id: Option<Id<id::Organization>>,
    /// Only those of this kind.
    kind: Option<CloudEndpointKind>,
    /// Only those that are assigned to this customer. In a customer it makes no difference: others' are not shown there.
    assigned_to: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::CloudEndpointRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<CloudEndpoint>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let ListQuery { organization_id, kind, assigned_to, .. } = query;
    let (db, filter) = (hub.db().await?, Filter { organization_id, kind, assigned_to });
    if in_customer(&caller) {
        let found = cloud_endpoints::list_assigned(db, &caller.scope(), &filter, page.after()?, page.rows()).await?;
        return Listing::new(&page, found, |endpoint| endpoint.id.to_string()).await;
    }
    let found = cloud_endpoints::list(db, &caller.scope(), &filter, page.place(2)?, page.rows()).await?;
    Listing::placed(&page, found).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::CloudEndpointRead>,
    Path(id): Path<Id<id::CloudEndpoint>>,
) -> Result<Edited<CloudEndpoint>> {
    let db = hub.db().await?;
    let value = if in_customer(&caller) {
        cloud_endpoints::find_assigned(db, &caller.scope(), id).await?
    } else {
        cloud_endpoints::find(db, &caller.scope(), id).await?
    };
    Ok(edited(value))
}

fn edited(value: CloudEndpoint) -> Edited<CloudEndpoint> {
    Edited { version: value.version, value }
}

/// Where a cloud endpoint is entered.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Which one.
    cloud_endpoint_id: Id<id::CloudEndpoint>,
    /// Where it is entered: in a customer, where that customer does.
    url: HttpsUrl,
}

pub async fn access(
    hub: Hub,
    caller: Caller<permit::CloudEndpointAccess>,
    Path(id): Path<Id<id::CloudEndpoint>>,
) -> Result<Shown<Access>> {
    let db = hub.db().await?;
    let url = if in_customer(&caller) {
        cloud_endpoints::access(db, &caller.scope(), id).await?
    } else {
        let found = cloud_endpoints::find(db, &caller.scope(), id).await?;
        found.url.ok_or_else(|| Error::fault("a cloud endpoint without a url"))?
    };
    Ok(Shown(Access { cloud_endpoint_id: id, url }))
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::CloudEndpointWrite>,
    Path(id): Path<Id<id::CloudEndpoint>>,
    condition: IfMatch,
    patch: Merge<NewCloudEndpoint>,
) -> Result<Sent<Edited<CloudEndpoint>>> {
    hub.write(&caller, async |tx| {
        let current = cloud_endpoints::find_to_edit(tx, &caller.scope(), id, condition.version).await?;
        let said = patch.onto(&current, CloudEndpoint::NOT_EDITED)?;
        if said.organization_id != Some(current.organization_id) {
            return Err(Error::invalid("/organizationId", "stays as it was when the endpoint was registered; leave it out"));
        }
        let value = cloud_endpoints::update(tx, &current, &said, hub.now()).await?;
        hub.concerns(current.organization_id);
        hub.audit_change("displayName", Some(&current.display_name), Some(&value.display_name));
        let url = |endpoint: &CloudEndpoint| endpoint.url.as_ref().map(HttpsUrl::to_string);
        hub.audit_change("url", url(&current).as_deref(), url(&value).as_deref());
        Ok(edited(value))
    })
    .await
}

/// How to go about a removal.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveQuery {
    /// Whether it is taken away from the customers that it is assigned to, rather than refused.
    #[serde(default)]
    unassign: bool,
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::CloudEndpointWrite>,
    Path(id): Path<Id<id::CloudEndpoint>>,
    condition: Option<IfMatch>,
    Query(query): Query<RemoveQuery>,
) -> Result<Sent<NoContent>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        let found = cloud_endpoints::find_to_edit(tx, &caller.scope(), id, version).await?;
        let assigned = cloud_endpoints::assignments(tx, id, None, None, TAKEN_AWAY + 1).await?;
        if !assigned.is_empty() && (!query.unassign || assigned.len() > TAKEN_AWAY as usize) {
            let named: Vec<_> = assigned.iter().take(NAMED).map(|one| one.organization_id.to_string()).collect();
            let more = if assigned.len() > NAMED { " and more" } else { "" };
            return Err(Error::conflict(
                "cloud_endpoint_in_use",
                format!(
                    "The cloud endpoint {id} is assigned to {}{more}. Take it away from them first, or, where they are {TAKEN_AWAY} at most, send unassign=true to have that done.",
                    named.join(", ")
                ),
            ));
        }
        hub.concerns(found.organization_id);
        hub.audit("displayName", &found.display_name);
        assigned.iter().for_each(|one| hub.concerns(one.organization_id));
        cloud_endpoints::delete(tx, id).await?;
        Ok(NoContent)
    })
    .await
}
