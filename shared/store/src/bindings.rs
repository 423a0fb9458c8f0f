//! Who has which role where.

use crate::{Tx, params};
use domain::{Id, PrincipalId, Result, Role, id};

/// Gives a principal a role in an organization, which the caller has found within its scope or just made. Done again it
/// changes nothing.
pub async fn insert(tx: &Tx<'_>, principal: PrincipalId, role: Role, organization_id: Id<id::Organization>) -> Result<()> {
    tx.exec(
        "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![principal, role, organization_id],
    )
    .await
}
