//! Who has which role where: of people, API tokens and apps alike.

use crate::{
    Db, Row, Scope, Stored, Tx, Value,
    customers_word::{self, Word},
    params,
    value::{batches, numbers},
};
use domain::{Id, Instant, OrganizationPath, PrincipalId, Result, Role, id, role::Binding};

/// Gives a principal roles in the organization that the giver has a say in. What it has already stays.
pub async fn insert(tx: &Tx<'_>, principal: PrincipalId, roles: &[Role], word: &Word) -> Result<()> {
    word.check_still(tx).await?;
    // A customer's first administrator is its own, by whomever they were named.
    let own = |role: &Role| matches!(principal, PrincipalId::Person(_)) && role.speaks_for_customer();
    for role in roles {
        tx.exec(
            // Given once more by the organization itself, it is from above no longer.
            "INSERT INTO bindings (principal_id, role, organization_id, from_above) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (principal_id, role, organization_id) DO UPDATE SET from_above = excluded.from_above
             WHERE bindings.from_above > excluded.from_above",
            params![principal, role, word.organization(), u32::from(word.is_from_above() && !own(role))],
        )
        .await?;
    }
    if roles.iter().any(own) {
        customers_word::taken_up(tx, word.organization()).await?;
    }
    Ok(())
}

/// Takes a role from a principal in an organization, and with it what was bound to the role there.
pub async fn delete(tx: &Tx<'_>, principal: PrincipalId, role: Role, organization: Id<id::Organization>) -> Result<()> {
    tx.exec(
        "DELETE FROM bindings WHERE principal_id = ?1 AND role = ?2 AND organization_id = ?3 AND bound_by IS NULL",
        params![principal, role, organization],
    )
    .await?;
    tx.exec(
        "DELETE FROM bindings WHERE principal_id = ?1 AND role = ?2 AND bound_by = ?3",
        params![principal, role, organization],
    )
    .await
}

/// Takes all roles from a principal in an organization, and what was bound to them there.
pub async fn delete_all(tx: &Tx<'_>, principal: PrincipalId, organization: Id<id::Organization>) -> Result<()> {
    tx.exec(
        "DELETE FROM bindings WHERE principal_id = ?1 AND organization_id = ?2 AND bound_by IS NULL",
        params![principal, organization],
    )
    .await?;
    tx.exec("DELETE FROM bindings WHERE principal_id = ?1 AND bound_by = ?2", params![principal, organization]).await
}

/// Binds customers to a role that a principal has in an organization.
pub async fn bind(
    tx: &Tx<'_>,
    principal: PrincipalId,
    role: Role,
    by: Id<id::Organization>,
    customers: &[Id<id::Organization>],
) -> Result<()> {
    for batch in batches(customers) {
        let rows: Vec<_> = (4..4 + batch.len()).map(|number| format!("(?1, ?2, ?{number}, ?3)")).collect();
        let sql = format!(
            "INSERT INTO bindings (principal_id, role, organization_id, bound_by) VALUES {} ON CONFLICT DO NOTHING",
            rows.join(", ")
        );
        tx.exec(&sql, ids(params![principal, role, by], batch)).await?;
    }
    Ok(())
}

/// Takes customers from a role again.
pub async fn unbind(
    tx: &Tx<'_>,
    principal: PrincipalId,
    by: Id<id::Organization>,
    customers: &[Id<id::Organization>],
) -> Result<()> {
    for batch in batches(customers) {
        let sql = format!(
            "DELETE FROM bindings WHERE principal_id = ?1 AND bound_by = ?2 AND organization_id IN ({})",
            numbers(3, batch.len())
        );
        tx.exec(&sql, ids(params![principal, by], batch)).await?;
    }
    Ok(())
}

fn ids(mut values: Vec<Value>, ids: &[Id<id::Organization>]) -> Vec<Value> {
    values.extend(ids.iter().map(Stored::to_value));
    values
}

/// Those of these organizations that are customers within the scope and below the organization at this path: what can be
/// bound to a role there.
pub async fn bindable(
    db: &Db,
    scope: &Scope,
    path: &OrganizationPath,
    organizations: &[Id<id::Organization>],
) -> Result<Vec<Id<id::Organization>>> {
    let below = Scope::below(path.clone());
    let mut found = Vec::new();
    for batch in batches(organizations) {
        let sql = format!(
            "SELECT id FROM organizations WHERE id IN ({}) AND kind = 'CUSTOMER' AND path >= ?1 AND path < ?2 AND path >= ?3 AND path < ?4",
            numbers(5, batch.len())
        );
        let values = ids(vec![scope.from(), scope.until(), below.from(), below.until()], batch);
        found.append(&mut db.query_all(&sql, values, |row| row.take()).await?);
    }
    Ok(found)
}

/// The roles of a principal in an organization.
pub async fn roles(db: &Db, principal: PrincipalId, organization: Id<id::Organization>) -> Result<Vec<Role>> {
    db.query_all(
        "SELECT role FROM bindings WHERE principal_id = ?1 AND organization_id = ?2 AND bound_by IS NULL ORDER BY role",
        params![principal, organization],
        |row| row.take(),
    )
    .await
}

/// The customers bound to a role of a principal in an organization.
pub async fn bound(db: &Db, principal: PrincipalId, by: Id<id::Organization>) -> Result<Vec<Id<id::Organization>>> {
    db.query_all(
        "SELECT organization_id FROM bindings WHERE bound_by = ?2 AND principal_id = ?1 ORDER BY organization_id",
        params![principal, by],
        |row| row.take(),
    )
    .await
}

/// All that a principal has, as long as it is good: nothing of a person who was disabled, or of a token or an app that has ended.
/// What somebody set going and others complete rests on this.
pub async fn of(db: &Db, principal: PrincipalId, now: Instant) -> Result<Vec<Binding>> {
    opened(db, principal, None, now).await
}

/// The same, of what a session with this reach opens: the organization at the path and those below. A customer that has an administrator
/// of its own is opened by itself and by the operator, and by no identity provider of anybody between them.
pub async fn opened(db: &Db, principal: PrincipalId, reach: Option<&OrganizationPath>, now: Instant) -> Result<Vec<Binding>> {
    let read = |row: &mut Row| {
        let by: Option<Id<id::Organization>> = row.take()?;
        let (role, path): (_, OrganizationPath) = (row.take()?, row.take()?);
        Ok(Binding { bound: by.is_some(), role, path, overruled: row.take::<i64>()? != 0 })
    };
    db.query_all(
        "SELECT b.bound_by, b.role, o.path,
             CASE WHEN o.self_administered = 1 AND (b.from_above = 1 OR b.bound_by IS NOT NULL) THEN 1 ELSE 0 END
         FROM bindings b JOIN organizations o ON o.id = b.organization_id
         WHERE b.principal_id = ?1
           AND NOT EXISTS (SELECT 1 FROM people p WHERE p.id = ?1 AND p.status <> 'ACTIVE')
           AND NOT EXISTS (SELECT 1 FROM api_tokens t
               WHERE t.id = ?1 AND (t.revoked_at IS NOT NULL OR (t.expires_at IS NOT NULL AND t.expires_at <= ?2)))
           AND NOT EXISTS (SELECT 1 FROM apps a
               WHERE a.id = ?1 AND (a.revoked_at IS NOT NULL OR (a.expires_at IS NOT NULL AND a.expires_at <= ?2)))
           AND ((o.path >= ?3 AND o.path < ?4
               AND (o.self_administered = 0 OR o.path = ?3 OR ?3 NOT LIKE '%.%.') OR ?3 IS NULL))",
        params![principal, now, reach.map(OrganizationPath::as_str), reach.map(OrganizationPath::range_end)],
        read,
    )
    .await
}

/// Whether somebody runs the organization: a person who can sign in and has an administrator's role in it, other than
/// `besides`. Tokens and apps do not count: they cannot answer for anything.
pub async fn any_administrator(db: &Db, organization: Id<id::Organization>, besides: Option<Id<id::Person>>) -> Result<bool> {
    let roles: Vec<_> = Role::ALL.iter().filter(|role| role.is_administrator()).map(Stored::to_value).collect();
    let sql = format!(
        "SELECT p.id FROM bindings b JOIN people p ON p.id = b.principal_id
         WHERE b.organization_id = ?1 AND (p.id <> ?2 OR ?2 IS NULL) AND p.status = 'ACTIVE' AND b.role IN ({}) LIMIT 1",
        numbers(3, roles.len())
    );
    let mut values = params![organization, besides];
    values.extend(roles);
    let found: Option<Id<id::Person>> = db.query_opt(&sql, values, |row| row.take()).await?;
    Ok(found.is_some())
}

/// Makes whoever else changes who belongs to the organization wait: between two who remove its last two administrators
/// one must see what the other did. SQLite lets one write at a time anyway; PostgreSQL does not.
pub async fn lock(tx: &Tx<'_>, organization: Id<id::Organization>) -> Result<()> {
    tx.exec("UPDATE organizations SET updated_at = updated_at WHERE id = ?1", params![organization]).await
}
