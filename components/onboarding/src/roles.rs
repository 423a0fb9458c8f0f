//! `/v1/roles`

use domain::{JsonSchema, OrganizationKind, Permission, Result, Role, role::ROLES};
use serde::Serialize;
use web::{Caller, Hub, Shown, permit};

/// A role and what it permits.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// The role.
    role: Role,
    /// The kind of organization it is given in. It holds there and in all organizations below.
    organization_kind: OrganizationKind,
    /// What it permits.
    permissions: &'static [Permission],
}

/// All roles.
#[derive(Serialize, JsonSchema)]
pub struct Roles {
    /// One row a role.
    items: Vec<RoleView>,
}

pub async fn list(_: Hub, _: Caller<permit::Anybody>) -> Result<Shown<Roles>> {
    let row = |row: &'static domain::role::RoleRow| RoleView {
        role: row.role,
        organization_kind: row.kind,
        permissions: row.permissions,
    };
    Ok(Shown(Roles { items: ROLES.iter().map(row).collect() }))
}
