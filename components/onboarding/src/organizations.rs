//! `/v1/organizations`

use crate::first_administrators;
use domain::{
    Error, FieldError, Id, Instant, JsonSchema, Kind, OrganizationKind, PrincipalId, Result, Role, Text,
    country::Country,
    id,
    member::check_confirmed,
    organization::{OrganizationStatus, ProviderType, check_kind},
    role::Permissions,
};
use serde::Deserialize;
use store::{
    Scope, Tx, access_tokens, bindings,
    customers_word::Word,
    organizations::{self, Filter, NewOrganization, Organization, OrganizationHead},
    people,
};
use web::{
    Body, Caller, Created, Cursor, Edited, Hub, Identity, IfMatch, Listing, Mailbox, Merge, NoContent, Page, Path, Query, Sent,
    permit,
};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Body(new): Body<NewOrganization>,
) -> Result<Sent<Created<Organization>>> {
    let id = hub.id();
    let mailbox = Mailbox::open().await?;
    hub.write(&caller, async |tx| {
        let new = new.clone().checked()?;
        let parent = match new.provider_type {
            Some(ProviderType::Additional) if new.parent_id.is_none() => above(tx, &caller, &new).await?,
            _ => parent(tx, &caller, new.parent_id).await?,
        };
        check_kind(new.kind, parent.kind)?;
        let organization = organizations::insert(tx, &parent, id, &new, hub.now()).await?;
        if !caller.scope().path().reaches(&parent.path) {
            // The caller's own additional provider: somebody has to be its first administrator, and no account that others open.
            if let PrincipalId::Person(person) = caller.principal() {
                check_confirmed(people::find(tx, person).await?.vouched_by.is_none())?;
            }
            let word = Word::of(tx, caller.principal(), id).await?;
            bindings::insert(tx, caller.principal(), &[Role::ProviderAdministrator], &word).await?;
        }
        first_administrators::invite_named((&hub, &mailbox), tx, &caller, &parent.path, &[(id, &new)]).await?;
        hub.concerns(parent.id);
        hub.concerns(id);
        hub.audit("kind", new.kind.as_str());
        hub.audit("displayName", &new.display_name);
        if let Some(email) = &new.admin_user_email {
            hub.audit("adminUserEmail", email.as_str());
        }
        Ok(Created {
            location: format!("/v1/organizations/{}", organization.id),
            version: Some(organization.version),
            value: organization,
        })
    })
    .await
}

/// The organization to create others below: the one named, or the acting one.
async fn parent(tx: &Tx<'_>, caller: &Identity, named: Option<Id<id::Organization>>) -> Result<OrganizationHead> {
    organizations::find_in_use(tx, &caller.scope(), named.unwrap_or(caller.acting().id)).await
}

/// The organization to create an additional provider below that its main provider creates itself: the one above, which is out
/// of the caller's reach.
async fn above(tx: &Tx<'_>, caller: &Identity, new: &NewOrganization) -> Result<OrganizationHead> {
    let administrator = Permissions::of([Role::ProviderAdministrator]);
    if new.main_provider_id != Some(caller.acting().id) || !caller.permissions().covers(administrator) {
        return Err(Error::invalid(
            "/parentId",
            "is needed: name the parent of the main provider. Without it, only an administrator who acts in the main provider creates an additional one",
        ));
    }
    let main = organizations::find_in_use(tx, &caller.scope(), caller.acting().id).await?;
    let above = main.parent_id.ok_or_else(|| Error::fault("a provider stands below nothing"))?;
    let place = access_tokens::place(tx, above).await?.ok_or_else(|| Error::fault("a parent vanished"))?;
    organizations::find_in_use(tx, &Scope::below(place.path), above).await
}

/// Which organizations to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this kind.
    kind: Option<OrganizationKind>,
    /// Only those directly below this one.
    parent_id: Option<Id<id::Organization>>,
    /// Only those that stand there; all but the REMOVED when left out.
    status: Option<OrganizationStatus>,
    /// Only those of this country.
    country: Option<Country>,
    /// Only those with this tag.
    tag: Option<Text<1, 80>>,
    /// Only those whose display name begins so, whatever its case and accents, of those directly below `parentId`, or below
    /// the acting organization when that is left out. They come in the order of their names.
    name: Option<Text<1, 120>>,
    /// Only those created at this instant or later, of those directly below `parentId`, or below the acting organization when
    /// that is left out.
    created_after: Option<Instant>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Organization>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    // Names and instants are in order among those directly below one organization only.
    let below = (query.name.is_some() || query.created_after.is_some()).then_some(caller.acting().id);
    let mut filter = Filter {
        kind: query.kind,
        parent_id: query.parent_id.or(below),
        status: query.status,
        country: query.country,
        tag: query.tag.map(String::from),
        name: query.name.map(String::from),
        created_after: query.created_after,
        after: Vec::new(),
    };
    filter.after = page.place(filter.sorted_by())?.to_vec();
    let found = organizations::list(hub.db().await?, &caller.scope(), &filter, page.rows()).await?;
    Listing::placed(&page, found).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Path(id): Path<Id<id::Organization>>,
) -> Result<Edited<Organization>> {
    organizations::find(hub.db().await?, &caller.scope(), id).await.map(edited)
}

fn edited(organization: Organization) -> Edited<Organization> {
    Edited { version: organization.version, value: organization }
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: IfMatch,
    patch: Merge<NewOrganization>,
) -> Result<Sent<Edited<Organization>>> {
    hub.write(&caller, async |tx| {
        let current = organizations::find_to_edit(tx, &caller.scope(), id, condition.version).await?;
        hub.concerns(id);
        let mut said = patch.onto(&current, Organization::NOT_EDITED)?;
        check_stays(&caller, &current, &said)?;
        let kept = current.state.clone().filter(|_| !patch.names("state") && !patch.names("country"));
        if kept.is_some() {
            // As it was: it may be older than the rule for it.
            said.state = None;
        }
        let mut said = said.checked()?;
        if let Some(kept) = kept {
            said.state = kept.parse().ok();
        }
        let organization = organizations::update(tx, &current, &said, hub.now()).await?;
        hub.audit_change("displayName", Some(&current.display_name), Some(&organization.display_name));
        hub.audit_change("companyName", Some(&current.company_name), Some(&organization.company_name));
        hub.audit_change("tag", current.tag.as_deref(), organization.tag.as_deref());
        Ok(edited(organization))
    })
    .await
}

/// Refuses to change what an organization is and where it stands; and a provider does not say of itself how far it has come.
fn check_stays(caller: &Identity, current: &Organization, said: &NewOrganization) -> Result<()> {
    let mut errors = Vec::new();
    for (same, pointer) in [
        (said.kind == current.kind, "/kind"),
        (said.parent_id == current.parent_id, "/parentId"),
        (said.currency == current.currency, "/currency"),
        (said.provider_type == current.provider_type, "/providerType"),
        (said.main_provider_id == current.main_provider_id, "/mainProviderId"),
    ] {
        if !same {
            errors.push(FieldError {
                pointer: pointer.into(),
                detail: "stays as it was when the organization was created; leave it out".into(),
            });
        }
    }
    for (is_named, pointer) in
        [(said.admin_user_email.is_some(), "/adminUserEmail"), (said.admin_user_name.is_some(), "/adminUserName")]
    {
        if is_named {
            errors.push(FieldError {
                pointer: pointer.into(),
                detail: "is said when the organization is created; leave it out, and add administrators with POST /v1/members"
                    .into(),
            });
        }
    }
    if !errors.is_empty() {
        return Err(Error::invalid_fields(errors));
    }
    if said.provider_status != current.provider_status && caller.acting().id == current.id {
        return Err(from_above());
    }
    Ok(())
}

fn from_above() -> Error {
    Error::new(
        Kind::Forbidden,
        "decided_from_above",
        "This is decided about an organization by those above it, and you act in the organization itself. Ask the organization above it.",
    )
}

/// The organization to decide about, from above it.
async fn decided(tx: &Tx<'_>, caller: &Identity, id: Id<id::Organization>, version: Option<i64>) -> Result<Organization> {
    let current = organizations::find_to_edit(tx, &caller.scope(), id, version).await?;
    if current.id == caller.acting().id {
        return Err(from_above());
    }
    Ok(current)
}

pub async fn disable(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Organization>>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        let current = decided(tx, &caller, id, version).await?;
        hub.concerns(id);
        organizations::disable(tx, current, hub.now()).await.map(edited)
    })
    .await
}

pub async fn enable(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Organization>>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        let current = decided(tx, &caller, id, version).await?;
        hub.concerns(id);
        organizations::enable(tx, current, hub.now()).await.map(edited)
    })
    .await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: Option<IfMatch>,
) -> Result<Sent<NoContent>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        let current = decided(tx, &caller, id, version).await?;
        hub.concerns(id);
        organizations::remove(tx, &current, hub.now()).await?;
        Ok(NoContent)
    })
    .await
}
