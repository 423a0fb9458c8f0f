//! In which organizations somebody has which roles, as they see it themselves.

use crate::{Db, credentials::roles, params, value::start};
use domain::{
    Id, JsonSchema, OrganizationKind, OrganizationPath, PrincipalId, Result, Role, id, organization::OrganizationStatus,
};
use serde::Serialize;

/// An organization in which a principal has roles.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Which one.
    pub organization_id: Id<id::Organization>,
    /// What it is.
    pub kind: OrganizationKind,
    /// The name it is known by.
    pub display_name: String,
    /// Whether it can be acted in.
    pub status: OrganizationStatus,
    /// The roles there, in the order of their names.
    pub roles: Vec<Role>,
}

/// A page of the organizations in which a principal has roles, oldest first, at the path that its session reaches and below if it
/// does not reach all. Only for the principal itself: these may be organizations of several tenants.
pub async fn list(
    db: &Db,
    principal: PrincipalId,
    reach: Option<&OrganizationPath>,
    after: Option<Id<id::Organization>>,
    limit: u32,
) -> Result<Vec<Membership>> {
    let (from, until) = reach.map_or_else(|| (String::new(), "~".to_owned()), |path| (path.to_string(), path.range_end()));
    db.query_all(
        "SELECT o.id, o.kind, o.display_name, o.status, string_agg(b.role, ' ' ORDER BY b.role)
         FROM bindings b JOIN organizations o ON o.id = b.organization_id
         WHERE b.principal_id = ?1 AND b.organization_id > ?2 AND o.path >= ?4 AND o.path < ?5
         GROUP BY o.id ORDER BY o.id LIMIT ?3",
        params![principal, start(after), limit, from, until],
        |row| {
            Ok(Membership {
                organization_id: row.take()?,
                kind: row.take()?,
                display_name: row.take()?,
                status: row.take()?,
                roles: roles(row.take()?)?,
            })
        },
    )
    .await
}
