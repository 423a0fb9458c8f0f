//! `/v1/members`

use crate::{
    admission::{SERVICE_ROLES, admission, bound_role, check_bindable, check_count, check_promotion, check_service_roles},
    bulk_results::{Failed, Results},
    member_invitation_mail::{InvitationDraft, SentInvitation},
};
use domain::{
    Error, Id, Instant, JsonSchema, List, PrincipalId, Result, Role, Text,
    audit::AuditDetails,
    id,
    member::{BOUND, Grants, PEOPLE, check_bound, check_kind, check_removal, sees_secret},
    person::Email,
    role::Authority,
};
use serde::{Deserialize, Serialize};
use store::{
    Scope, Tx,
    access_tokens::Place,
    bindings,
    customers_word::{self, Word},
    members::{self, Member, MemberDetails},
    people, service_roles,
};
use web::{Body, Caller, Cursor, Hub, Listing, Mailbox, NoContent, Page, Path, Query, Sent, Shown, permit};

/// The members to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// The organization; the acting one when left out.
    organization_id: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::MemberRead>, Query(query): Query<ListQuery>) -> Result<Listing<Member>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    let place = members::place(db, &caller.scope(), query.organization_id.unwrap_or(caller.acting().id)).await?;
    let found = members::list(db, &caller.scope(), place.id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |member| member.person_id.to_string()).await
}

/// The organization of a member.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceQuery {
    /// The organization; the acting one when left out.
    organization_id: Option<Id<id::Organization>>,
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Path(person): Path<Id<id::Person>>,
    Query(query): Query<PlaceQuery>,
) -> Result<Shown<MemberDetails>> {
    let organization = query.organization_id.unwrap_or(caller.acting().id);
    members::find(hub.db().await?, &caller.scope(), organization, person).await.map(Shown)
}

/// A person to invite.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPerson {
    /// Their mail address.
    email: Email,
    /// The name they go by. It is the organization's name for them until they say another.
    display_name: Option<Text<1, 120>>,
}

/// People to invite to an organization, and what they get. All get the same; people who get something else go into another request.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMembers {
    /// The organization; the acting one when left out.
    organization_id: Option<Id<id::Organization>>,
    /// The roles: at least one, of the organization's kind. Nobody grants above their own level.
    roles: List<Role, 20>,
    /// The customers that PROVIDER_ACCOUNT_ADMINISTRATOR is to hold in.
    #[serde(default)]
    bound_organization_ids: List<Id<id::Organization>, BOUND>,
    /// The roles in services. In services that none of them is of, members get the default roles.
    #[serde(default)]
    service_role_ids: List<Id<id::ServiceRole>, 100>,
    /// The people.
    people: List<NewPerson, PEOPLE>,
}

/// The members who got the roles, and the people who were invited. Whether the hub knows an address makes no difference.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// Members of the organization before: they have the roles now.
    added: Vec<MemberDetails>,
    /// Everybody else: each with the secret of their invitation, if it is shown, which it is this once.
    invited: Vec<SentInvitation>,
}

pub async fn add(hub: Hub, caller: Caller<permit::MemberWrite>, Body(new): Body<NewMembers>) -> Result<Sent<Results<Added>>> {
    if new.people.is_empty() {
        return Err(Error::invalid("/people", "names nobody; name at least one person"));
    }
    let grants =
        Grants { roles: new.roles, bound_organization_ids: new.bound_organization_ids, service_role_ids: new.service_role_ids };
    let drafts: Vec<_> = new.people.iter().map(|_| InvitationDraft::new(&hub, caller.principal())).collect();
    let mailbox = Mailbox::open().await?;
    let organization = new.organization_id.unwrap_or(caller.acting().id);
    hub.write(&caller, async |tx| {
        let (place, admission) =
            admission(tx, &caller.scope(), organization, &grants, |path| (caller.principal(), caller.authority_in(path))).await?;
        hub.concerns(place.id);
        hub.audit_each();
        let sees = sees_secret(caller.is_own(&place.path), admission.makes_first_administrator());
        let mut results = Results::<Added>::default();
        for (person, draft) in new.people.iter().zip(&drafts) {
            let member = people::find_member(tx, &person.email, place.id).await?;
            let outcome = match &member {
                Some(member) => match admission.promote(tx, member, hub.now()).await {
                    Ok(()) => {
                        let member = members::find(tx, &caller.scope(), place.id, member.id).await?;
                        results.succeeded.added.push(member);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                None => match admission.check_address(tx, &person.email).await {
                    Ok(()) => {
                        let whom = (&person.email, person.display_name.as_ref());
                        let sent = draft.send((&hub, &mailbox), tx, place.id, whom, &grants, sees).await;
                        sent.map(|invitation| results.succeeded.invited.push(invitation))
                    }
                    Err(error) => Err(error),
                },
            };
            results.note(outcome, Failed::email(&person.email))?;
        }
        let added = results.succeeded.added.iter().map(|one| one.member.person_id.to_string());
        let invited = results.succeeded.invited.iter().map(|one| one.id().to_string());
        added.chain(invited).for_each(|id| told(&hub, id, &grants.roles, &[]));
        Ok(results)
    })
    .await
}

/// Changes of the roles of members. All get the same.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleChanges {
    /// The organization; the acting one when left out.
    organization_id: Option<Id<id::Organization>>,
    /// The members.
    person_ids: List<Id<id::Person>, PEOPLE>,
    /// The roles to give.
    #[serde(default)]
    add_roles: List<Role, 20>,
    /// The roles to take. One role must remain; remove members who are to have none.
    #[serde(default)]
    remove_roles: List<Role, 20>,
    /// The customers to bind to PROVIDER_ACCOUNT_ADMINISTRATOR.
    #[serde(default)]
    add_bound_organization_ids: List<Id<id::Organization>, BOUND>,
    /// The customers to take from it.
    #[serde(default)]
    remove_bound_organization_ids: List<Id<id::Organization>, BOUND>,
}

/// The members as they are now.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Those that were changed.
    changed: Vec<MemberDetails>,
}

pub async fn change_roles(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Body(changes): Body<RoleChanges>,
) -> Result<Sent<Results<Changed>>> {
    if let Some(role) = changes.add_roles.iter().find(|role| changes.remove_roles.contains(role)) {
        return Err(Error::invalid("/removeRoles", format!("has {role}, which addRoles has too; leave it out of one of them")));
    }
    let organization = changes.organization_id.unwrap_or(caller.acting().id);
    hub.write(&caller, async |tx| {
        let scope = caller.scope();
        let place = members::place(tx, &scope, organization).await?;
        let word = Word::of(tx, caller.principal(), place.id).await?;
        let authority = word.authority(caller.authority_in(&place.path));
        check_kind("/addRoles", &changes.add_roles, place.kind)?;
        check_bindable(tx, &scope, &place.path, &changes.add_bound_organization_ids).await?;
        bindings::lock(tx, place.id).await?;
        let first = !bindings::any_administrator(tx, place.id, None).await?;
        changes.add_roles.iter().try_for_each(|role| authority.check(*role, first))?;
        hub.concerns(place.id);
        hub.audit_each();
        let mut results = Results::<Changed>::default();
        for &person in changes.person_ids.iter() {
            let outcome =
                change(tx, &scope, (&place, &word), person, &changes, (caller.principal(), &authority, hub.now())).await;
            let outcome = outcome.map(|member| results.succeeded.changed.push(member));
            results.note(outcome, Failed::person(person))?;
        }
        let changed = results.succeeded.changed.iter().map(|one| one.member.person_id.to_string());
        changed.for_each(|id| told(&hub, id, &changes.add_roles, &changes.remove_roles));
        Ok(results)
    })
    .await
}

/// Tells the audit of one among several whose roles are changed.
fn told(hub: &Hub, id: String, given: &[Role], taken: &[Role]) {
    let listed = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let mut details = AuditDetails::default();
    for (name, roles) in [("rolesGiven", given), ("rolesTaken", taken)] {
        if !roles.is_empty() {
            details.add(name, None, Some(&listed(roles)));
        }
    }
    hub.audit_item(id, details);
}

/// Changes one member's roles; refuses before it has written anything.
async fn change(
    tx: &Tx<'_>,
    scope: &Scope,
    (place, word): (&Place, &Word),
    person: Id<id::Person>,
    changes: &RoleChanges,
    (granter, authority, now): (PrincipalId, &Authority, Instant),
) -> Result<MemberDetails> {
    let before = members::find(tx, scope, place.id, person).await?;
    let principal = PrincipalId::Person(person);
    // Nobody promotes oneself, and of several there is one first administrator.
    if let Some(role) = changes.add_roles.iter().find(|role| !authority.covers(**role))
        && (principal == granter || bindings::any_administrator(tx, place.id, None).await?)
    {
        authority.check(*role, false)?;
    }
    let first = !bindings::any_administrator(tx, place.id, None).await?;
    check_promotion(&people::find(tx, person).await?, &changes.add_roles, first)?;
    let taken: Vec<Role> = before.member.roles.iter().copied().filter(|role| changes.remove_roles.contains(role)).collect();
    let after: Vec<Role> = before
        .member
        .roles
        .iter()
        .chain(changes.add_roles.iter().filter(|role| !before.member.roles.contains(role)))
        .copied()
        .filter(|role| !taken.contains(role))
        .collect();
    for role in &taken {
        // Who gets another administrator's role instead still runs the organization.
        let runs = after.iter().any(|role| role.is_administrator());
        let others = runs || bindings::any_administrator(tx, place.id, Some(person)).await?;
        check_removal(authority, *role, others)?;
    }
    if after.is_empty() {
        return Err(Error::invalid(
            "/removeRoles",
            "would leave no role; remove the member instead: DELETE /v1/members/{personId}",
        ));
    }
    check_bound(&after, changes.add_bound_organization_ids.len())?;
    if changes.add_bound_organization_ids.len() + changes.remove_bound_organization_ids.len() > 0 {
        // Whoever binds customers decides how far the role reaches.
        bound_role(&after).into_iter().try_for_each(|role| authority.check(role, false))?;
    }
    check_count("/addBoundOrganizationIds", before.bound_organization_ids, &changes.add_bound_organization_ids, BOUND)?;
    for role in &taken {
        bindings::delete(tx, principal, *role, place.id).await?;
    }
    bindings::insert(tx, principal, &changes.add_roles, word).await?;
    bindings::unbind(tx, principal, place.id, &changes.remove_bound_organization_ids).await?;
    if let Some(role) = bound_role(&after) {
        bindings::bind(tx, principal, role, place.id, &changes.add_bound_organization_ids).await?;
    }
    if !taken.is_empty() || !changes.remove_bound_organization_ids.is_empty() {
        members::lost_rights(tx, principal, now).await?;
    }
    members::find(tx, scope, place.id, person).await
}

/// Changes of the roles of members in services. All get the same.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRoleChanges {
    /// The organization; the acting one when left out.
    organization_id: Option<Id<id::Organization>>,
    /// The members.
    person_ids: List<Id<id::Person>, PEOPLE>,
    /// The roles to give.
    #[serde(default)]
    add_service_role_ids: List<Id<id::ServiceRole>, 100>,
    /// The roles to take.
    #[serde(default)]
    remove_service_role_ids: List<Id<id::ServiceRole>, 100>,
}

pub async fn change_service_roles(
    hub: Hub,
    caller: Caller<permit::ServiceRoleWrite>,
    Body(changes): Body<ServiceRoleChanges>,
) -> Result<Sent<Results<Changed>>> {
    let organization = changes.organization_id.unwrap_or(caller.acting().id);
    hub.write(&caller, async |tx| {
        let scope = caller.scope();
        let place = members::place(tx, &scope, organization).await?;
        let word = Word::of(tx, caller.principal(), place.id).await?;
        check_service_roles(tx, &changes.add_service_role_ids).await?;
        hub.concerns(place.id);
        hub.audit_each();
        let mut results = Results::<Changed>::default();
        for &person in changes.person_ids.iter() {
            let outcome = change_services(tx, &scope, &word, person, &changes).await;
            let outcome = outcome.map(|member| results.succeeded.changed.push(member));
            results.note(outcome, Failed::person(person))?;
        }
        let changed = results.succeeded.changed.iter().map(|one| one.member.person_id.to_string());
        changed.for_each(|id| told(&hub, id, &[], &[]));
        Ok(results)
    })
    .await
}

async fn change_services(
    tx: &Tx<'_>,
    scope: &Scope,
    word: &Word,
    person: Id<id::Person>,
    changes: &ServiceRoleChanges,
) -> Result<MemberDetails> {
    let place = word.organization();
    let before = members::find(tx, scope, place, person).await?;
    check_count("/addServiceRoleIds", before.service_role_ids, &changes.add_service_role_ids, SERVICE_ROLES)?;
    service_roles::take(tx, word, person, &changes.remove_service_role_ids).await?;
    service_roles::give(tx, word, person, &changes.add_service_role_ids).await?;
    members::find(tx, scope, place, person).await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(person): Path<Id<id::Person>>,
    Query(query): Query<PlaceQuery>,
) -> Result<Sent<NoContent>> {
    let organization = query.organization_id.unwrap_or(caller.acting().id);
    hub.write(&caller, async |tx| {
        let scope = caller.scope();
        let member = members::find(tx, &scope, organization, person).await?.member;
        let place = members::place(tx, &scope, member.organization_id).await?;
        customers_word::check(tx, caller.principal(), place.id).await?;
        bindings::lock(tx, place.id).await?;
        let authority = caller.authority_in(&place.path);
        let others = bindings::any_administrator(tx, place.id, Some(person)).await?;
        member.roles.iter().try_for_each(|role| check_removal(&authority, *role, others))?;
        members::delete(tx, place.id, person, hub.now()).await?;
        hub.concerns(place.id);
        Ok(NoContent)
    })
    .await
}
