//! `/v1/me`

use domain::{Error, Id, JsonSchema, Kind, OrganizationKind, Permission, PrincipalId, Result, Role, id, person::Email};
use serde::{Deserialize, Serialize};
use store::{
    Db, access_tokens, bindings, credentials,
    memberships::{self, Membership},
    people,
};
use web::{Body, Caller, Edited, Hub, Identity, IfMatch, Page, PageQuery, Query, Sent, permit};

/// The caller.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The id of the caller: a person, an API token or an app.
    principal_id: PrincipalId,
    /// What it is called.
    name: String,
    /// The mail address, of a person.
    email: Option<Email>,
    /// The organization it belongs to and acts in unless told otherwise; a person's default organization, which PATCH sets.
    organization_id: Id<id::Organization>,
    /// The organization acted in: the Hub-Organization header, or the one above.
    acting_organization_id: Id<id::Organization>,
    /// What the acting organization is.
    acting_organization_kind: OrganizationKind,
    /// The session in which it acts there, where it is no member.
    acting_session_id: Option<Id<id::ActingSession>>,
    /// The roles that hold where it acts.
    roles: Vec<Role>,
    /// What it may do where it acts.
    permissions: Vec<Permission>,
    /// A page of the organizations in which it was given roles, oldest first. It can act in what is below them too, as far
    /// as the roles reach.
    organizations: Vec<Membership>,
    /// The cursor of the next page of organizations; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    next_cursor: Option<String>,
}

pub async fn show(hub: Hub, caller: Caller<permit::Anybody>, Query(query): Query<PageQuery>) -> Result<Edited<Me>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    me(hub.db().await?, &caller, caller.home().id, page).await
}

/// Which of it can be set.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MePatch {
    /// Where to act unless told otherwise: an organization that a role of yours reaches.
    default_organization_id: Id<id::Organization>,
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::Anybody>,
    condition: IfMatch,
    Body(patch): Body<MePatch>,
) -> Result<Sent<Edited<Me>>> {
    let PrincipalId::Person(person) = caller.principal() else {
        return Err(Error::new(
            Kind::Forbidden,
            "not_a_person",
            "Only people choose a default organization; an API token and an app stay in the organization they were issued for. Use the Hub-Organization header.",
        ));
    };
    let page = Page::new(&hub, &caller, None, None).await?;
    hub.write(&caller, async |tx| {
        if let Some(reach) = caller.reach() {
            // Where the person acts unless told otherwise holds for their other sessions too.
            let held = bindings::of(tx, caller.principal(), hub.now()).await?;
            if held.iter().any(|binding| !reach.reaches(&binding.path)) {
                return Err(Error::new(
                    Kind::Forbidden,
                    "session_limited",
                    "Your identity provider does not serve all organizations that you are a member of. Sign in with your password to choose your default organization, or use the Hub-Organization header.",
                ));
            }
        }
        let place = access_tokens::place(tx, patch.default_organization_id).await?;
        let reached = place.filter(|place| caller.bindings().iter().any(|binding| binding.reaches(&place.path)));
        let home =
            reached.ok_or_else(|| Error::not_found("organization_not_found", "organization", patch.default_organization_id))?;
        people::set_default_organization(tx, person, condition.version, home.id, hub.now()).await?;
        access_tokens::set_home(tx, caller.principal(), home.id).await?;
        hub.audit("defaultOrganizationId", &home.id.to_string());
        me(tx, &caller, home.id, page.clone()).await
    })
    .await
}

async fn me(db: &Db, caller: &Identity, home: Id<id::Organization>, page: Page) -> Result<Edited<Me>> {
    let (name, email, version) = match caller.principal() {
        PrincipalId::Person(person) => {
            let person = people::find(db, person).await?;
            (person.display_name, Some(person.email), person.version)
        }
        machine => (credentials::name_and_end(db, machine).await?.map(|(name, _)| name).unwrap_or_default(), None, 1),
    };
    let mut organizations = memberships::list(db, caller.principal(), caller.reach(), page.after()?, page.rows()).await?;
    let more = organizations.len() > page.limit as usize;
    organizations.truncate(page.limit as usize);
    let next_cursor = match organizations.last().filter(|_| more) {
        Some(last) => Some(page.cursor(&[last.organization_id.to_string()]).await?),
        None => None,
    };
    let permissions = caller.permissions();
    let here = caller.bindings().iter().filter(|binding| binding.reaches(&caller.acting().path));
    let value = Me {
        principal_id: caller.principal(),
        name,
        email,
        organization_id: home,
        acting_organization_id: caller.acting().id,
        acting_organization_kind: caller.acting().kind,
        acting_session_id: caller.acting_session(),
        roles: here.map(|binding| binding.role).collect(),
        permissions: Permission::ALL.iter().copied().filter(|&permission| permissions.has(permission)).collect(),
        next_cursor,
        organizations,
    };
    Ok(Edited { value, version })
}
