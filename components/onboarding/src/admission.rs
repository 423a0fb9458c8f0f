//! Admission to an organization: the checks before a person is given anything in it, when they are added, when an invitation is sent,
//! and again when it is accepted.

use domain::{
    Error, Id, Instant, Kind, OrganizationKind, OrganizationPath, Permission, PrincipalId, Result, Role, id,
    member::{BOUND, Grants, check_bound, check_confirmed, check_kind},
    organization::OrganizationStatus,
    person::{Email, PersonStatus},
    role::{Authority, Reach},
};
use store::{
    Scope, Tx,
    access_tokens::{self, Place},
    bindings,
    customers_word::Word,
    members,
    people::{self, Person},
    service_roles::{self, ServiceRole},
};

/// The most roles in services that a member has.
pub const SERVICE_ROLES: usize = 200;

/// Proof that a granter may give these grants in this organization.
pub struct Admission<'a> {
    organization: Id<id::Organization>,
    grants: &'a Grants,
    granter: PrincipalId,
    authority: Authority,
    /// Whether the grants make the first administrator of the organization.
    first_administrator: bool,
    word: Word,
    /// The roles in services that are given where none was named.
    defaults: Vec<ServiceRole>,
}

impl<'a> Admission<'a> {
    /// Refuses grants that are wrong in an organization of this kind, or above what the granter may do in it.
    pub async fn check(
        tx: &Tx<'_>,
        (organization, kind): (Id<id::Organization>, OrganizationKind),
        grants: &'a Grants,
        (granter, authority): (PrincipalId, Authority),
    ) -> Result<Self> {
        let word = Word::of(tx, granter, organization).await;
        Self::check_with(tx, (organization, kind), grants, (granter, authority), word).await
    }

    /// The same with a say that the granter has by another way.
    pub async fn check_with(
        tx: &Tx<'_>,
        (organization, kind): (Id<id::Organization>, OrganizationKind),
        grants: &'a Grants,
        (granter, authority): (PrincipalId, Authority),
        word: Result<Word>,
    ) -> Result<Self> {
        if grants.roles.is_empty() {
            return Err(Error::invalid("/roles", "is empty; give at least one role. GET /v1/roles says which there are"));
        }
        check_kind("/roles", &grants.roles, kind)?;
        check_bound(&grants.roles, grants.bound_organization_ids.len())?;
        let word = word?;
        let authority = word.authority(authority);
        bindings::lock(tx, organization).await?;
        let first = word.is_of_recovery() || !bindings::any_administrator(tx, organization, None).await?;
        for role in grants.roles.iter() {
            authority.check(*role, first)?;
        }
        if !grants.service_role_ids.is_empty() && !authority.here.has(Permission::ServiceRoleWrite) {
            return Err(Error::new(
                Kind::Forbidden,
                "permission_missing",
                format!(
                    "Giving roles in services needs the permission {} in {organization}, which none of your roles there gives. Leave serviceRoleIds out.",
                    Permission::ServiceRoleWrite
                ),
            ));
        }
        let defaults = service_roles::defaults(tx, organization).await?;
        let first_administrator = first && grants.roles.iter().any(|role| role.is_administrator());
        Ok(Self { organization, grants, granter, authority, first_administrator, word, defaults })
    }

    /// Whether the grants make the first administrator of the organization.
    pub fn makes_first_administrator(&self) -> bool {
        self.first_administrator
    }

    /// Refuses to make oneself the first administrator, whose address the granter is.
    pub async fn check_address(&self, tx: &Tx<'_>, email: &Email) -> Result<()> {
        let PrincipalId::Person(granter) = self.granter else { return Ok(()) };
        match self.grants.roles.iter().find(|role| !self.authority.covers(**role)) {
            Some(role) if people::find(tx, granter).await?.email == *email => self.authority.check(*role, false),
            _ => Ok(()),
        }
    }

    /// Gives a member what the grants say.
    pub async fn promote(&self, tx: &Tx<'_>, member: &Person, now: Instant) -> Result<()> {
        check_promotion(member, &self.grants.roles, self.first_administrator)?;
        self.admit(tx, member, now).await
    }

    /// Gives the person what the grants say.
    pub async fn admit(&self, tx: &Tx<'_>, person: &Person, now: Instant) -> Result<()> {
        let principal = PrincipalId::Person(person.id);
        if person.status == PersonStatus::Disabled {
            return Err(Error::new(
                Kind::Forbidden,
                "person_disabled",
                "The person's account is disabled, so they cannot become a member. Ask the operator to enable it.",
            ));
        }
        if self.first_administrator {
            check_confirmed(person.confirmed_at.is_some())?;
        }
        // To make oneself the first administrator is to promote oneself; and there is one first, though a request names many.
        let above = |role: &&Role| !self.authority.covers(**role);
        if let Some(role) = self.grants.roles.iter().find(above)
            && (principal == self.granter
                || !self.word.is_of_recovery() && bindings::any_administrator(tx, self.organization, None).await?)
        {
            self.authority.check(*role, false)?;
        }
        let bound = bindings::bound(tx, principal, self.organization).await?;
        check_count("/boundOrganizationIds", bound, &self.grants.bound_organization_ids, BOUND)?;
        let given = service_roles::of_member(tx, self.organization, person.id).await?;
        let services: Vec<_> = given.iter().map(|role| role.service_id).collect();
        let mut roles = self.grants.service_role_ids.to_vec();
        let named = service_roles::services(tx, &roles).await?;
        let missing = |role: &&ServiceRole| !named.contains(&role.service_id) && !services.contains(&role.service_id);
        roles.extend(self.defaults.iter().filter(missing).map(|role| role.id));
        check_count("/serviceRoleIds", given.iter().map(|role| role.id).collect(), &roles, SERVICE_ROLES)?;
        bindings::insert(tx, principal, &self.grants.roles, &self.word).await?;
        if let Some(role) = bound_role(&self.grants.roles) {
            bindings::bind(tx, principal, role, self.organization, &self.grants.bound_organization_ids).await?;
        }
        service_roles::give(tx, &self.word, person.id, &roles).await?;
        members::joined(tx, self.organization, person.id, now).await
    }
}

/// The admission to an organization within the scope, if the granter may give these grants there and all that they name exists.
pub async fn admission<'a>(
    tx: &Tx<'_>,
    scope: &Scope,
    organization: Id<id::Organization>,
    grants: &'a Grants,
    granter: impl Fn(&OrganizationPath) -> (PrincipalId, Authority),
) -> Result<(Place, Admission<'a>)> {
    let place = members::place(tx, scope, organization).await?;
    let admission = Admission::check(tx, (place.id, place.kind), grants, granter(&place.path)).await?;
    check_bindable(tx, scope, &place.path, &grants.bound_organization_ids).await?;
    check_service_roles(tx, &grants.service_role_ids).await?;
    Ok((place, admission))
}

/// The organization that a person joins, who has no scope of their own in it; refused unless it is in use.
pub async fn joinable(tx: &Tx<'_>, organization: Id<id::Organization>) -> Result<Place> {
    let place = access_tokens::place(tx, organization).await?;
    place.filter(|place| place.status == OrganizationStatus::Active).ok_or_else(|| {
        Error::new(
            Kind::Forbidden,
            "organization_disabled",
            "The organization that invited you is disabled, so nobody can join it. Ask whoever invited you.",
        )
    })
}

/// Refuses to make a member an administrator whose account another person may open: one that the organization vouches for, of which an
/// inviter with fewer rights saw the secret, and for the first administrator any that nobody has confirmed.
pub fn check_promotion(member: &Person, roles: &[Role], first: bool) -> Result<()> {
    let own = member.confirmed_at.is_some() || (!first && member.vouched_by.is_none());
    check_confirmed(own || !roles.iter().any(|role| role.is_administrator()))
}

/// Refuses more than a member can have.
pub fn check_count<T: Clone + PartialEq>(pointer: &str, mut has: Vec<T>, more: &[T], most: usize) -> Result<()> {
    has.extend(more.iter().filter(|one| !has.contains(one)).cloned().collect::<Vec<_>>());
    if has.len() <= most {
        return Ok(());
    }
    Err(Error::invalid(pointer, format!("would make {}; a member has at most {most}. Take some away first", has.len())))
}

/// Refuses what cannot be bound to a role in the organization at this path.
pub async fn check_bindable(
    tx: &Tx<'_>,
    scope: &Scope,
    path: &OrganizationPath,
    customers: &[Id<id::Organization>],
) -> Result<()> {
    let found = bindings::bindable(tx, scope, path, customers).await?;
    match customers.iter().find(|customer| !found.contains(customer)) {
        None => Ok(()),
        Some(missing) => Err(Error::not_found("organization_not_found", "customer organization", missing)),
    }
}

/// Refuses roles in services that there are not.
pub async fn check_service_roles(tx: &Tx<'_>, roles: &[Id<id::ServiceRole>]) -> Result<()> {
    let found = service_roles::known(tx, roles).await?;
    match roles.iter().find(|role| !found.contains(role)) {
        None => Ok(()),
        Some(missing) => Err(service_roles::not_found(*missing)),
    }
}

/// The role that organizations can be bound to, if it is among these.
pub fn bound_role(roles: &[Role]) -> Option<Role> {
    roles.iter().copied().find(|role| role.row().reach == Reach::Bound)
}
