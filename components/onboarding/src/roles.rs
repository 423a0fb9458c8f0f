//! `/v1/roles`

use domain::{
    JsonSchema, OrganizationKind, Permission, Result, Role,
    role::{ROLES, Reach},
};
use serde::Serialize;
use web::{Caller, Hub, Shown, permit};

/// A role and what it permits.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// The role.
    role: Role,
    /// The kind of organization it is given in.
    organization_kind: OrganizationKind,
    /// Where it holds: in that organization and in all below (TREE), in that one alone (OWN), or in those customers alone
    /// that are bound to it (BOUND).
    reach: Reach,
    /// What it permits.
    permissions: &'static [Permission],
    /// Whom it may make the first administrator of an organization, beside the roles that permit no more than it does.
    may_grant: &'static [Role],
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
        reach: row.reach,
        permissions: row.permissions,
        may_grant: row.may_grant,
    };
    Ok(Shown(Roles { items: ROLES.iter().map(row).collect() }))
}
