//! Who asks, where they act, and what they may.
//!
//! A handler that takes a `Caller<permit::InvoiceWrite>` cannot run for anybody without that permission, and the
//! OpenAPI document says which one it is, for both come from the one type.

use crate::{FromRequest, Hub, Incoming, secret};
use domain::{Error, Kind, Permission, PrincipalId, Result, organization::OrganizationStatus, role::Permissions};
use std::{marker::PhantomData, ops::Deref, pin::Pin};
use store::{
    Scope,
    access_tokens::{self, Place, Principal},
};

/// A permission as a type.
pub trait Permit {
    /// Which one; `None` for what everybody may who is known at all.
    const PERMISSION: Option<Permission>;
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

    macro_rules! permits {
        ($($name:ident)*) => {$(
            /// Permits what the [`Permission`] of this name does.
            pub enum $name {}
            impl Permit for $name {
                const PERMISSION: Option<Permission> = Some(Permission::$name);
            }
        )*};
    }
    permits! {
        OrganizationRead OrganizationWrite ContractRead ContractWrite ContractApprove ApiTokenRead ApiTokenWrite ServiceRead ServiceWrite
        SubscriptionRead SubscriptionWrite TaskWrite DataCenterRead DataCenterWrite EnvironmentRead EnvironmentWrite PlanApprove
        UsageRead UsageWrite InvoiceRead InvoiceWrite JobRead JobWrite
    }
}

/// Who asks and in which organization they act.
#[derive(Clone, Debug)]
pub struct Identity {
    principal: Principal,
    acting: Place,
    permissions: Permissions,
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

    /// The roles that the principal was given.
    pub fn bindings(&self) -> &[(domain::Role, domain::OrganizationPath)] {
        &self.principal.bindings
    }

    /// What the caller may do where they act.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The data the caller can reach: the acting organization's and of all below it.
    pub fn scope(&self) -> Scope {
        Scope::below(self.acting.path.clone())
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
        authorize(hub, incoming, P::PERMISSION).await.map(|identity| Self(identity, PhantomData))
    }
}

/// Boxed, because it would otherwise be compiled into every handler.
fn authorize<'a>(
    hub: &'a Hub,
    incoming: &'a Incoming,
    needed: Option<Permission>,
) -> Pin<Box<dyn Future<Output = Result<Identity>> + 'a>> {
    Box::pin(async move {
        let identity = identify(hub, incoming).await?;
        match needed {
            Some(permission) if !identity.permissions.has(permission) => Err(Error::new(
                Kind::Forbidden,
                "permission_missing",
                format!(
                    "This needs the permission {permission} in {}, which none of your roles there gives. GET /v1/roles shows which roles have it; ask an administrator for one.",
                    identity.acting.id
                ),
            )),
            _ => Ok(identity),
        }
    })
}

async fn identify(hub: &Hub, incoming: &Incoming) -> Result<Identity> {
    let token = bearer(incoming)?;
    let principal = access_tokens::find(hub.db().await?, &secret::hash(token), hub.now()).await?.ok_or_else(|| {
        Error::new(
            Kind::Unauthenticated,
            "access_token_invalid",
            "The access token is unknown, has ended or was revoked. Get a new one: POST /v1/access-tokens with your API token.",
        )
    })?;
    let named = incoming.headers.get("hub-organization").filter(|header| !header.is_empty());
    let acting = match named {
        None => principal.home.clone(),
        Some(header) => {
            let id = std::str::from_utf8(header)
                .unwrap_or_default()
                .parse()
                .map_err(|error| Error::malformed("bad_hub_organization", format!("The Hub-Organization header is {error}.")))?;
            access_tokens::place(hub.db().await?, id)
                .await?
                .filter(|place| principal.bindings.iter().any(|(_, path)| path.reaches(&place.path)))
                .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))?
        }
    };
    hub.set_who(principal.id.to_string(), acting.id.to_string());
    if acting.status == OrganizationStatus::Disabled || principal.home.status == OrganizationStatus::Disabled {
        return Err(Error::new(
            Kind::Forbidden,
            "organization_disabled",
            "The organization is disabled, so nothing can be done in it. Ask the organization above it to enable it.",
        ));
    }
    let here = principal.bindings.iter().filter(|(_, path)| path.reaches(&acting.path)).map(|(role, _)| *role);
    let permissions = Permissions::of(here);
    Ok(Identity { principal, acting, permissions })
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(incoming: &Incoming) -> Result<&str> {
    let missing = || {
        Error::new(
            Kind::Unauthenticated,
            "access_token_missing",
            "This needs an access token: exchange your API token with POST /v1/access-tokens and send the header Authorization: Bearer <access token>.",
        )
    };
    let (scheme, token) = incoming.headers.text("authorization").and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(missing());
    }
    Ok(token.trim())
}
