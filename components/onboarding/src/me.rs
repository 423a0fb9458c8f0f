//! `/v1/me`

use domain::{Id, JsonSchema, OrganizationKind, Permission, PrincipalId, Result, Role, id};
use serde::Serialize;
use web::{Caller, Hub, Shown, permit};

/// Whoever asks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// Who asks: a person, an API token or an app.
    principal_id: PrincipalId,
    /// The organization it belongs to.
    organization_id: Id<id::Organization>,
    /// The organization acted in: the Hub-Organization header, or the one it belongs to.
    acting_organization_id: Id<id::Organization>,
    /// What the acting organization is.
    acting_organization_kind: OrganizationKind,
    /// The roles it was given.
    roles: Vec<Role>,
    /// What it may do where it acts.
    permissions: Vec<Permission>,
}

pub async fn show(_: Hub, caller: Caller<permit::Anybody>) -> Result<Shown<Me>> {
    let permissions = caller.permissions();
    Ok(Shown(Me {
        principal_id: caller.principal(),
        organization_id: caller.home().id,
        acting_organization_id: caller.acting().id,
        acting_organization_kind: caller.acting().kind,
        roles: caller.bindings().iter().map(|(role, _)| *role).collect(),
        permissions: Permission::ALL.iter().copied().filter(|&permission| permissions.has(permission)).collect(),
    }))
}
