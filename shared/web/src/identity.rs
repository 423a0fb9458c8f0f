//! Who asks, where they act, and what they may.
//!
//! A handler that takes a `Caller<permit::InvoiceWrite>` cannot run for anybody without that permission, and the
//! OpenAPI document says which one it is, for both come from the one type.

use crate::{FromRequest, Hub, Incoming, secret};
use domain::{
    Error, Id, Kind, OrganizationKind, OrganizationPath, Permission, PrincipalId, Result,
    access_level::AccessLevel,
    approval::{AskedBy, Requester},
    id,
    organization::OrganizationStatus,
    role::{Authority, Binding, Permissions},
    task::TaskType,
};
use std::{marker::PhantomData, ops::Deref, pin::Pin};
use store::{
    Scope, TaskReach, access_levels,
    access_tokens::{self, Admittance, Place, Principal},
};

/// A permission as a type.
pub trait Permit {
    /// Which one; `None` for what everybody may who is known at all.
    const PERMISSION: Option<Permission>;
    /// Whether an access level gives it too, to whoever belongs to a customer, for services of that customer. What is asked for must
    /// be found in the caller's scope then, which lets through no more than the level.
    const BY_LEVEL: bool = false;
    /// Whether it may be done in a disabled organization too: what concerns nobody but the caller.
    const IN_DISABLED: bool = false;
}

/// One type for each permission.
pub mod permit {
    use super::Permit;
    use domain::Permission;

    /// Whoever is known at all.
    pub enum Anybody {}
    impl Permit for Anybody {
        const PERMISSION: Option<Permission> = None;
    }

    /// Whoever is known at all, for what concerns nobody else: signing out, the own password.
    pub enum Oneself {}
    impl Permit for Oneself {
        const PERMISSION: Option<Permission> = None;
        const IN_DISABLED: bool = true;
    }

    macro_rules! permits {
        ($($name:ident)*) => {$(
            /// Permits what the [`Permission`] of this name does.
            pub enum $name {}
            impl Permit for $name {
                const PERMISSION: Option<Permission> = Some(Permission::$name);
            }
        )*};
    }
    macro_rules! permits_by_level {
        ($($(#[$doc:meta])* $name:ident $permission:ident;)*) => {$(
            $(#[$doc])*
            pub enum $name {}
            impl Permit for $name {
                const PERMISSION: Option<Permission> = Some(Permission::$permission);
                const BY_LEVEL: bool = true;
            }
        )*};
    }
    permits_by_level! {
        /// What [`Permission::CredentialRead`] permits, by a role or by the access level USE.
        Using CredentialRead;
        /// What [`Permission::SubscriptionWrite`] permits of subscriptions that there are, by a role or by the access level MANAGE.
        Managing SubscriptionWrite;
    }
    permits! {
        OrganizationRead OrganizationWrite MemberRead MemberWrite ServiceRoleWrite ContractRead ContractWrite ContractApprove ApiTokenRead ApiTokenWrite IdentityProviderRead IdentityProviderWrite ServiceRead ServiceWrite
        SubscriptionRead SubscriptionWrite SubscriptionApprove CredentialRead TaskWrite DataCenterRead DataCenterWrite EnvironmentRead EnvironmentWrite PlanApprove CloudEndpointRead CloudEndpointWrite CloudEndpointAccess UsageRead UsageWrite InvoiceRead InvoiceWrite JobRead JobWrite
        MailRead AuditRead ActingSessionRead ActingSessionWrite
    }
}

/// Who asks and in which organization they act.
#[derive(Clone, Debug)]
pub struct Identity {
    principal: Principal,
    acting: Place,
    acting_session: Option<Id<id::ActingSession>>,
    authority: Authority,
    scope: Scope,
}

impl Identity {
    /// Who asks.
    pub fn principal(&self) -> PrincipalId {
        self.principal.id
    }

    /// The organization that the principal belongs to.
    pub fn home(&self) -> &Place {
        &self.principal.home
    }

    /// The organization acted in.
    pub fn acting(&self) -> &Place {
        &self.acting
    }

    /// The roles that the principal was given, and where.
    pub fn bindings(&self) -> &[Binding] {
        &self.principal.bindings
    }

    /// The session in which the principal acts for a customer that it is no member of.
    pub fn acting_session(&self) -> Option<Id<id::ActingSession>> {
        self.acting_session
    }

    /// What the caller may do where they act.
    pub fn permissions(&self) -> Permissions {
        self.authority.here
    }

    /// Whether they act in the organization at this path as one of its own: a member, or a machine of its. Nobody is who acts there
    /// by a role in an organization above, is bound to it, or acts in an acting session.
    pub fn is_own(&self, place: &OrganizationPath) -> bool {
        let own = |binding: &Binding| binding.path == *place && !binding.bound;
        self.acting.path == *place && self.acting_session.is_none() && self.principal.bindings.iter().any(own)
    }

    /// What the caller's session opens, if that is less than all that their roles reach: this organization and those below.
    pub fn reach(&self) -> Option<&OrganizationPath> {
        self.principal.reach.as_ref()
    }

    /// Whether they act in a customer as one of its own: a member, or a machine of its. Whoever is bound to it or acts there in an
    /// acting session is its provider's.
    pub fn is_customers_own(&self) -> bool {
        self.acting.kind == OrganizationKind::Customer && self.is_own(&self.acting.path)
    }

    /// Whether they act in this customer as one of its own, whom nobody from above gave their role there.
    pub fn speaks_in(&self, customer: Id<id::Organization>) -> bool {
        let own = |binding: &Binding| binding.path == self.acting.path && !binding.bound && !binding.overruled;
        self.acting.id == customer && self.acting_session.is_none() && self.principal.bindings.iter().any(own)
    }

    /// The caller as a customer's approval policy sees them. Who may approve requests in the customer needs no approval.
    pub fn requester(&self, customer: Id<id::Organization>) -> Requester {
        let inside = self.speaks_in(customer);
        Requester {
            side: if inside { AskedBy::Customer } else { AskedBy::Provider },
            approves: inside && self.permissions().has(Permission::SubscriptionApprove),
        }
    }

    /// Refuses whoever does not act in the customer itself: what it wants to be asked about, and what it says then, is its own business.
    pub fn check_acts_in(&self, customer: Id<id::Organization>) -> Result<()> {
        if self.acting.id == customer {
            return Ok(());
        }
        Err(Error::new(
            Kind::Forbidden,
            "not_the_customer",
            format!("This is for {customer} itself to decide. Ask one of its administrators."),
        ))
    }

    /// What the caller may do in an organization within their scope: nobody grants more than that.
    pub fn authority_in(&self, place: &OrganizationPath) -> Authority {
        // Whoever acts for a customer has no more to give than the session lets them do.
        if self.acting_session.is_some() {
            return self.authority.clone();
        }
        Authority::of(&self.principal.bindings, place)
    }

    /// The scope of this request, with the tasks in it whose subjects the caller may do this to: `needed` says by which permission.
    pub fn scope_of_tasks(&self, needed: impl Fn(TaskType) -> Permission) -> Scope {
        let mut reach = TaskReach::default();
        for &task_type in TaskType::ALL {
            let permission = needed(task_type);
            if self.authority.below.has(permission) {
                reach.everywhere.push(task_type);
            } else if self.authority.here.has(permission) {
                reach.at_top.push(task_type);
            }
        }
        self.scope().with_tasks(reach)
    }

    /// The data that the permission of this request lets the caller reach: the acting organization's, and of all below it
    /// if a role that permits it reaches there.
    pub fn scope(&self) -> Scope {
        self.scope.clone()
    }
}

/// A caller with the permission `P`.
pub struct Caller<P>(Identity, PhantomData<P>);

impl<P> Deref for Caller<P> {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl<P: Permit> FromRequest for Caller<P> {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        authorize(hub, incoming, P::PERMISSION, P::BY_LEVEL, P::IN_DISABLED).await.map(|identity| Self(identity, PhantomData))
    }
}

/// Boxed, because it would otherwise be compiled into every handler.
fn authorize<'a>(
    hub: &'a Hub,
    incoming: &'a Incoming,
    needed: Option<Permission>,
    by_level: bool,
    in_disabled: bool,
) -> Pin<Box<dyn Future<Output = Result<Identity>> + 'a>> {
    Box::pin(async move {
        let mut identity = identify(hub, incoming, in_disabled).await?;
        let Some(permission) = needed else { return Ok(identity) };
        let by_role = identity.authority.here.has(permission);
        if let Some(needed) = AccessLevel::needed(permission).filter(|_| (by_role || by_level) && identity.is_customers_own()) {
            let permitted = (!by_role).then(|| AccessLevel::permitted(identity.authority.here));
            let (customer, principal) = (identity.acting.id, identity.principal.id);
            if let Some(levels) = access_levels::narrowing(hub.db().await?, customer, principal, needed, permitted).await? {
                identity.scope = identity.scope.up_to(levels);
                return Ok(identity);
            }
        }
        match by_role {
            false => Err(Error::new(
                Kind::Forbidden,
                "permission_missing",
                format!(
                    "This needs the permission {permission} in {}, which none of your roles there gives. GET /v1/roles shows which roles have it; ask an administrator for one.",
                    identity.acting.id
                ),
            )),
            true => {
                if identity.authority.below.has(permission) {
                    identity.scope = Scope::below(identity.acting.path.clone());
                }
                Ok(identity)
            }
        }
    })
}

async fn identify(hub: &Hub, incoming: &Incoming, in_disabled: bool) -> Result<Identity> {
    let token = bearer(incoming)?;
    let principal = access_tokens::find(hub.db().await?, &secret::hash(&token), hub.now()).await?.ok_or_else(|| {
        Error::new(
            Kind::Unauthenticated,
            "access_token_invalid",
            "The access token is unknown, has ended or was revoked. Get a new one: POST /v1/access-tokens with your API token or refresh token, or sign in again.",
        )
    })?;
    let named = incoming.headers.get("hub-organization").filter(|header| !header.is_empty());
    let (id, acting) = match named {
        None => (principal.home.id, Some((principal.home.clone(), Admittance::default()))),
        Some(header) => {
            let id = std::str::from_utf8(&header)
                .unwrap_or_default()
                .parse()
                .map_err(|error| Error::malformed("bad_hub_organization", format!("The Hub-Organization header is {error}.")))?;
            (id, access_tokens::place_to_act(hub.db().await?, id, principal.id, hub.now()).await?)
        }
    };
    // At home too: who was removed there is a stranger there, whatever else they are.
    let (acting, admittance) = acting
        .filter(|(place, _)| principal.bindings.iter().any(|binding| binding.reaches(&place.path)))
        .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))?;
    hub.set_who(principal.id.to_string(), acting.id.to_string());
    // A machine belongs to its organization wherever it acts; a person belongs to each of theirs alike.
    let is_machine = !matches!(principal.id, PrincipalId::Person(_));
    let home_counts = is_machine && principal.home.status == OrganizationStatus::Disabled;
    if !in_disabled && (acting.status == OrganizationStatus::Disabled || home_counts) {
        return Err(Error::new(
            Kind::Forbidden,
            "organization_disabled",
            "The organization is disabled, so nothing can be done in it. Ask the organization above it to enable it, or act in another with the Hub-Organization header.",
        ));
    }
    let authority = authority(&principal, &acting, admittance)?;
    let scope = Scope::only(acting.path.clone());
    Ok(Identity { principal, acting, acting_session: admittance.session, authority, scope })
}

/// What a principal may do in an organization: what its roles there and above permit. A customer is another's house: from
/// above there is a way into it only by a session, and with no more than what [`domain::role::ACTING`] lists. Who was bound to the
/// customer needs none, but where it has an administrator of its own and lets nobody act in it, they are not let in either.
fn authority(principal: &Principal, acting: &Place, admittance: Admittance) -> Result<Authority> {
    if acting.kind != OrganizationKind::Customer {
        return Ok(Authority::of(&principal.bindings, &acting.path));
    }
    let reaching = principal.bindings.iter().filter(|binding| binding.reaches(&acting.path)).cloned();
    let (mut own, above): (Vec<_>, Vec<_>) = reaching.partition(|binding| binding.path == acting.path);
    if admittance.refused {
        own.retain(|binding| !(binding.bound && binding.overruled));
        if own.is_empty() && above.is_empty() {
            return Err(domain::acting::refused());
        }
    }
    let inside = Authority::of(&own, &acting.path);
    match admittance.session {
        Some(_) => Ok(inside.acting(&Authority::of(&above, &acting.path))),
        None if !own.is_empty() => Ok(inside),
        None => Err(Error::new(
            Kind::Forbidden,
            "acting_session_required",
            format!(
                "{} is a customer that you are no member of, so you act in it only in an acting session. Start one with POST /v1/acting-sessions in your own organization; if the customer is to approve it, wait for that.",
                acting.id
            ),
        )),
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(incoming: &Incoming) -> Result<String> {
    let missing = || {
        Error::new(
            Kind::Unauthenticated,
            "access_token_missing",
            "This needs an access token: exchange your API token with POST /v1/access-tokens and send the header Authorization: Bearer <access token>.",
        )
    };
    let header = incoming.headers.text("authorization").unwrap_or_default();
    let (scheme, token) = header.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(missing());
    }
    Ok(token.trim().to_owned())
}
