//! `/v1/organizations`

use domain::{Id, JsonSchema, OrganizationKind, Result, id, organization::check_kind};
use serde::Deserialize;
use store::organizations::{self, NewOrganization, Organization, OrganizationPatch};
use web::{Body, Caller, Created, Edited, Hub, IfMatch, Listing, Page, Path, Query, Sent, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Body(new): Body<NewOrganization>,
) -> Result<Sent<Created<Organization>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let parent = organizations::find(tx, &caller.scope(), new.parent_id.unwrap_or(caller.acting().id)).await?;
        check_kind(new.kind, parent.kind)?;
        let organization = organizations::insert(tx, &parent, id, &new, hub.now()).await?;
        hub.concerns(parent.id);
        hub.concerns(id);
        hub.audit("kind", new.kind.as_str());
        hub.audit("displayName", &new.display_name);
        Ok(Created {
            location: format!("/v1/organizations/{}", organization.id),
            version: Some(organization.version),
            value: organization,
        })
    })
    .await
}

/// Which organizations to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this kind.
    kind: Option<OrganizationKind>,
    /// Only those directly below this one.
    parent_id: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Id<id::Organization>>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Organization>> {
    let page = Page::new(query.limit)?;
    let found =
        organizations::list(hub.db().await?, &caller.scope(), query.kind, query.parent_id, query.cursor, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |organization| organization.id.to_string()))
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Path(id): Path<Id<id::Organization>>,
) -> Result<Edited<Organization>> {
    let organization = organizations::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: organization.version, value: organization })
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: IfMatch,
    Body(patch): Body<OrganizationPatch>,
) -> Result<Sent<Edited<Organization>>> {
    hub.write(&caller, async |tx| {
        let before = organizations::find(tx, &caller.scope(), id).await?;
        let organization = organizations::update(tx, &caller.scope(), id, condition.version, &patch, hub.now()).await?;
        hub.concerns(id);
        hub.audit_change("displayName", Some(&before.display_name), Some(&organization.display_name));
        hub.audit_change("companyName", Some(&before.company_name), Some(&organization.company_name));
        hub.audit_change("tag", before.tag.as_deref(), organization.tag.as_deref());
        Ok(Edited { version: organization.version, value: organization })
    })
    .await
}
