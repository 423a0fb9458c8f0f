//! What principals have inside a customer that they were given from above, or that they hold beside a role above it.

use crate::{Db, Row, Scope, Tx, Value, credentials::roles, members, params, value::numbers};
use domain::{Error, Id, Instant, JsonSchema, OrganizationPath, PrincipalId, Result, Role, id};
use serde::Serialize;

/// Somebody with a way into a customer that those above it gave, or that they could have given.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialFromAbove {
    /// Who: an API token, an app or a person.
    pub principal_id: PrincipalId,
    /// What it is called.
    pub name: String,
    /// Its roles in the customer; and those of its provider that the customer was bound to.
    pub roles: Vec<Role>,
    /// The organization that bound the customer to one of the roles.
    pub bound_by: Option<Id<id::Organization>>,
    /// Whether it was given from above, while the customer had no administrator of its own. Else it is a member that has a role above
    /// the customer too, or one that was bound to it.
    pub given_from_above: bool,
    /// Who issued it, of an API token or an app.
    pub owner_id: Option<PrincipalId>,
    /// What its owner is called.
    pub owner_name: Option<String>,
    /// When it was issued, of an API token or an app.
    pub created_at: Option<Instant>,
    /// When it was last exchanged for an access token, of an API token or an app.
    pub last_used_at: Option<Instant>,
}

fn read(row: &mut Row) -> Result<CredentialFromAbove> {
    Ok(CredentialFromAbove {
        principal_id: row.take()?,
        roles: roles(row.take()?)?,
        bound_by: row.take()?,
        given_from_above: row.take::<i64>()? != 0,
        name: row.take::<Option<String>>()?.unwrap_or_default(),
        owner_id: row.take()?,
        owner_name: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
    })
}

/// A page of them in a customer at this path that the caller has found within its scope, in the order of their ids; or the one with
/// the id `only`.
async fn select(
    db: &Db,
    (customer, path): (Id<id::Organization>, &OrganizationPath),
    (after, only): (Option<PrincipalId>, Option<PrincipalId>),
    limit: u32,
) -> Result<Vec<CredentialFromAbove>> {
    let mut values = params![customer, after.map(|id| id.to_string()).unwrap_or_default(), only.map(|id| id.to_string()), limit];
    let above: Vec<Value> = path.line().filter(|id| *id != customer).map(|id| Value::Text(id.to_string())).collect();
    let line = numbers(5, above.len());
    values.extend(above);
    let sql = format!(
        "SELECT g.id, g.roles, g.bound_by, g.given, COALESCE(p.display_name, t.name, a.name), COALESCE(t.owner_id, a.owner_id),
             COALESCE(op.display_name, ot.name, oa.name), COALESCE(t.created_at, a.created_at), COALESCE(t.last_used_at, a.last_used_at)
         FROM (SELECT b.principal_id AS id, string_agg(b.role, ' ' ORDER BY b.role) AS roles, MAX(b.bound_by) AS bound_by,
                 MAX(b.from_above) AS given
             FROM bindings b
             WHERE b.organization_id = ?1 AND b.principal_id > ?2 AND (b.principal_id = ?3 OR ?3 IS NULL)
               AND (b.from_above = 1 OR b.bound_by IS NOT NULL OR EXISTS (
                   SELECT 1 FROM bindings u WHERE u.principal_id = b.principal_id AND u.bound_by IS NULL AND u.organization_id IN ({line})))
             GROUP BY b.principal_id ORDER BY b.principal_id LIMIT ?4) g
         LEFT JOIN people p ON p.id = g.id LEFT JOIN api_tokens t ON t.id = g.id LEFT JOIN apps a ON a.id = g.id
         LEFT JOIN people op ON op.id = COALESCE(t.owner_id, a.owner_id) LEFT JOIN api_tokens ot ON ot.id = COALESCE(t.owner_id, a.owner_id)
         LEFT JOIN apps oa ON oa.id = COALESCE(t.owner_id, a.owner_id)
         ORDER BY g.id"
    );
    db.query_all(&sql, values, read).await
}

/// A page of them in a customer that the caller has found within its scope.
pub async fn list(
    db: &Db,
    customer: (Id<id::Organization>, &OrganizationPath),
    after: Option<PrincipalId>,
    limit: u32,
) -> Result<Vec<CredentialFromAbove>> {
    select(db, customer, (after, None), limit).await
}

/// One of them.
pub async fn find(
    db: &Db,
    customer: (Id<id::Organization>, &OrganizationPath),
    principal: PrincipalId,
) -> Result<CredentialFromAbove> {
    let found = select(db, customer, (None, Some(principal)), 1).await?.pop();
    found.ok_or_else(|| Error::not_found("credential_not_found", "credential from above", principal))
}

/// Ends all that a principal has inside a customer: an API token or an app is revoked with what it owns, a person is a member no longer,
/// and the customer is bound to no role of theirs.
pub async fn end(
    tx: &Tx<'_>,
    (customer, path): (Id<id::Organization>, &OrganizationPath),
    principal: PrincipalId,
    now: Instant,
) -> Result<()> {
    tx.exec(
        "DELETE FROM bindings WHERE principal_id = ?1 AND organization_id = ?2 AND bound_by IS NOT NULL",
        params![principal, customer],
    )
    .await?;
    match principal {
        PrincipalId::Person(person) => members::delete(tx, customer, person, now).await,
        machine => crate::credentials::revoke(tx, &Scope::only(path.clone()), machine, now).await.map(drop),
    }
}
