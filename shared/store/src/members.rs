//! Members: the people who have a role in an organization.

use crate::{
    Db, Row, Scope, Tx, access_levels,
    access_tokens::{self, Place},
    bindings, credentials,
    jobs::JobPayload,
    member_invitations, params, service_roles,
    value::start,
};
use domain::{
    Error, Id, Instant, JsonSchema, PrincipalId, Result, Role, id,
    member::FirstAdministrator,
    person::{Email, PersonStatus},
};
use serde::Serialize;

impl JobPayload for FirstAdministrator {
    const QUEUE: &'static str = "onboarding";
    const KIND: &'static str = "member.first-administrator";
}

/// A member of an organization, as lists show them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The person.
    pub person_id: Id<id::Person>,
    /// The organization they are a member of.
    pub organization_id: Id<id::Organization>,
    /// Their mail address.
    pub email: Email,
    /// The name they go by.
    pub display_name: String,
    /// Whether they can sign in.
    pub status: PersonStatus,
    /// Whether the owner of the mail address has confirmed that the account is theirs. Otherwise whoever invited the member may
    /// have set its password.
    pub address_confirmed: bool,
    /// Their roles in the organization. They add up.
    pub roles: Vec<Role>,
}

/// A member with all that they were given.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberDetails {
    /// The member.
    #[serde(flatten)]
    pub member: Member,
    /// The customers that PROVIDER_ACCOUNT_ADMINISTRATOR holds in.
    pub bound_organization_ids: Vec<Id<id::Organization>>,
    /// Their roles in services.
    pub service_role_ids: Vec<Id<id::ServiceRole>>,
}

/// An organization within the scope, as far as deciding about its members needs it.
pub async fn place(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<Place> {
    db.query_opt(
        "SELECT id, path, kind, status FROM organizations WHERE id = ?1 AND path >= ?2 AND path < ?3",
        scope.after(params![id]),
        access_tokens::read_place,
    )
    .await?
    .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))
}

/// The ids of people begin with this and sort before the next: tokens and apps are no members.
const PEOPLE: (&str, &str) = ("per_", "per`");

fn read(row: &mut Row) -> Result<Member> {
    Ok(Member {
        person_id: row.take()?,
        organization_id: row.take()?,
        email: row.take()?,
        display_name: row.take()?,
        status: row.take()?,
        address_confirmed: row.take::<i64>()? == 1,
        roles: Vec::new(),
    })
}

/// A page of the members of an organization within the scope, those first who became known to the hub first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization: Id<id::Organization>,
    after: Option<Id<id::Person>>,
    limit: u32,
) -> Result<Vec<Member>> {
    let after = if after.is_some() { start(after) } else { crate::Value::Text(PEOPLE.0.to_owned()) };
    let values = scope.after(params![organization, after, limit, PEOPLE.1]);
    let mut members = db
        .query_all(
            "SELECT DISTINCT b.principal_id, b.organization_id, COALESCE(p.address, p.email), p.display_name, p.status,
                 CASE WHEN p.confirmed_at IS NULL THEN 0 ELSE 1 END
             FROM bindings b JOIN people p ON p.id = b.principal_id JOIN organizations o ON o.id = b.organization_id
             WHERE b.organization_id = ?1 AND b.principal_id > ?2 AND b.principal_id < ?4 AND b.bound_by IS NULL
               AND o.path >= ?5 AND o.path < ?6
             ORDER BY b.principal_id LIMIT ?3",
            values,
            read,
        )
        .await?;
    let (Some(first), Some(last)) = (members.first(), members.last()) else { return Ok(members) };
    let roles: Vec<(Id<id::Person>, Role)> = db
        .query_all(
            "SELECT principal_id, role FROM bindings
             WHERE organization_id = ?1 AND principal_id >= ?2 AND principal_id <= ?3 AND bound_by IS NULL ORDER BY principal_id, role",
            params![organization, first.person_id, last.person_id],
            |row| Ok((row.take()?, row.take()?)),
        )
        .await?;
    let mut roles = roles.into_iter().peekable();
    for member in &mut members {
        while let Some((_, role)) = roles.next_if(|(person, _)| *person == member.person_id) {
            member.roles.push(role);
        }
    }
    Ok(members)
}

/// One member of an organization within the scope, with all that they were given.
pub async fn find(db: &Db, scope: &Scope, organization: Id<id::Organization>, person: Id<id::Person>) -> Result<MemberDetails> {
    let found = db
        .query_opt(
            "SELECT DISTINCT p.id, o.id AS organization_id, COALESCE(p.address, p.email), p.display_name, p.status,
                 CASE WHEN p.confirmed_at IS NULL THEN 0 ELSE 1 END
             FROM bindings b JOIN people p ON p.id = b.principal_id JOIN organizations o ON o.id = b.organization_id
             WHERE b.principal_id = ?1 AND b.organization_id = ?2 AND b.bound_by IS NULL AND o.path >= ?3 AND o.path < ?4",
            scope.after(params![person, organization]),
            read,
        )
        .await?;
    let mut member = found.ok_or_else(|| not_found(person))?;
    let principal = PrincipalId::Person(person);
    member.roles = bindings::roles(db, principal, organization).await?;
    let bound_organization_ids = bindings::bound(db, principal, organization).await?;
    let service_role_ids = service_roles::of_member(db, organization, person).await?.into_iter().map(|role| role.id).collect();
    Ok(MemberDetails { member, bound_organization_ids, service_role_ids })
}

/// The person is no member there, or the caller may not know of them.
fn not_found(person: Id<id::Person>) -> Error {
    Error::not_found("member_not_found", "member", person)
}

/// Somebody has become a member: at home there from now on, if they were at home nowhere.
pub async fn joined(tx: &Tx<'_>, organization: Id<id::Organization>, person: Id<id::Person>, now: Instant) -> Result<()> {
    tx.exec(
        "UPDATE people SET default_organization_id = ?2, version = version + 1, updated_at = ?3
         WHERE id = ?1 AND default_organization_id IS NULL",
        params![person, organization, now],
    )
    .await
}

/// Ends a membership: roles, roles in services, access levels, the access tokens with which the person is at home there, and invitations.
pub async fn delete(tx: &Tx<'_>, organization: Id<id::Organization>, person: Id<id::Person>, now: Instant) -> Result<()> {
    let principal = PrincipalId::Person(person);
    bindings::delete_all(tx, principal, organization).await?;
    service_roles::take_all(tx, organization, person).await?;
    access_levels::forget(tx, organization, person).await?;
    access_tokens::revoke_at(tx, principal, organization).await?;
    // An invitation from before they became a member would let them in again.
    member_invitations::revoke_of(tx, organization, person, now).await?;
    // At home elsewhere from now on: in the oldest of their other organizations, or nowhere.
    tx.exec(
        "UPDATE people SET default_organization_id =
             (SELECT MIN(organization_id) FROM bindings WHERE principal_id = ?1 AND bound_by IS NULL),
             version = version + 1, updated_at = ?3
         WHERE id = ?1 AND default_organization_id = ?2",
        params![person, organization, now],
    )
    .await?;
    lost_rights(tx, principal, now).await
}

/// To be called when a principal has lost a role, in the same transaction: whatever else rests on the role ends here. What
/// it may do itself is read with every request; what it owns, API tokens and apps, never permits more than that.
pub async fn lost_rights(tx: &Tx<'_>, principal: PrincipalId, now: Instant) -> Result<()> {
    credentials::narrow_owned(tx, principal, now).await
}
