//! Recoveries of customers that have lost their last administrator.

use crate::{
    Db, Row, Scope, Stored, Tx,
    customers_word::Word,
    job_payload,
    jobs::JobPayload,
    params,
    value::{numbers, start},
};
use domain::{
    Error, Id, Instant, JsonSchema, PrincipalId, Result, Role, id,
    person::Email,
    recovery::{Announcement, RecoveryStatus, TOLD_AT_ONCE},
};
use serde::Serialize;

job_payload! {
    /// Carries a recovery out when its time has come.
    CarryOut {
        /// The recovery.
        recovery_id: Id<id::Recovery>
    } queue "onboarding" kind "recovery.carry-out"
}

impl JobPayload for Announcement {
    const QUEUE: &'static str = "onboarding";
    const KIND: &'static str = "recovery.announce";
}

/// A recovery as it is shown: to the customer's people and to those above it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Its id.
    pub id: Id<id::Recovery>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// Why it was started.
    pub reason: String,
    /// The mail address of the administrator that the customer is to get.
    pub email: Email,
    /// The name they go by.
    pub display_name: Option<String>,
    /// Who started it.
    pub started_by: PrincipalId,
    /// What that one was called then.
    pub started_by_name: String,
    /// The organization that it was started in.
    pub started_in: Id<id::Organization>,
    /// Where it stands.
    pub status: RecoveryStatus,
    /// When the administrator is invited: until then any of the customer's people can refuse it.
    pub due_at: Instant,
    /// When it was started.
    pub created_at: Instant,
    /// When it was over.
    pub closed_at: Option<Instant>,
    /// Who refused it or took it back.
    pub closed_by: Option<PrincipalId>,
    /// The invitation of the administrator, once it was made.
    pub invitation_id: Option<Id<id::MemberInvitation>>,
}

const COLUMNS: &str =
    "r.id, r.organization_id, r.reason, r.email, r.display_name, r.started_by, r.started_by_name, r.started_in, r.status,
    r.due_at, r.created_at, r.closed_at, r.closed_by, r.invitation_id";
const FROM: &str = "recoveries r JOIN organizations o ON o.id = r.organization_id";

fn read(row: &mut Row) -> Result<Recovery> {
    Ok(Recovery {
        id: row.take()?,
        organization_id: row.take()?,
        reason: row.take()?,
        email: row.take()?,
        display_name: row.take()?,
        started_by: row.take()?,
        started_by_name: row.take()?,
        started_in: row.take()?,
        status: row.take()?,
        due_at: row.take()?,
        created_at: row.take()?,
        closed_at: row.take()?,
        closed_by: row.take()?,
        invitation_id: row.take()?,
    })
}

/// Writes a recovery of a customer that the caller has found within its scope. One waits at a time.
pub async fn insert(tx: &Tx<'_>, recovery: &Recovery) -> Result<()> {
    let made: Option<Id<id::Recovery>> = tx
        .query_opt(
            "INSERT INTO recoveries (id, organization_id, reason, email, display_name, started_by, started_by_name, started_in, status, due_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING RETURNING id",
            params![
                recovery.id,
                recovery.organization_id,
                recovery.reason,
                recovery.email,
                recovery.display_name,
                recovery.started_by,
                recovery.started_by_name,
                recovery.started_in,
                recovery.status,
                recovery.due_at,
                recovery.created_at
            ],
            |row| row.take(),
        )
        .await?;
    made.map(drop).ok_or_else(|| {
        Error::conflict(
            "recovery_exists",
            "The customer has a recovery that waits already. GET its recoveries; take it back if another address is to be invited.",
        )
    })
}

/// One recovery of a customer within the scope.
pub async fn find(db: &Db, scope: &Scope, customer: Id<id::Organization>, id: Id<id::Recovery>) -> Result<Recovery> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE r.id = ?1 AND r.organization_id = ?2 AND o.path >= ?3 AND o.path < ?4");
    db.query_opt(&sql, scope.after(params![id, customer]), read)
        .await?
        .ok_or_else(|| Error::not_found("recovery_not_found", "recovery", id))
}

/// A page of the recoveries of a customer within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    customer: Id<id::Organization>,
    after: Option<Id<id::Recovery>>,
    limit: u32,
) -> Result<Vec<Recovery>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE r.organization_id = ?1 AND r.id > ?2 AND o.path >= ?4 AND o.path < ?5 ORDER BY r.id LIMIT ?3"
    );
    db.query_all(&sql, scope.after(params![customer, start(after), limit]), read).await
}

/// Writes where a recovery, as read in this transaction, stands now.
pub async fn update(tx: &Tx<'_>, recovery: &Recovery) -> Result<()> {
    tx.exec(
        "UPDATE recoveries SET status = ?2, closed_at = ?3, closed_by = ?4, invitation_id = ?5 WHERE id = ?1",
        params![recovery.id, recovery.status, recovery.closed_at, recovery.closed_by, recovery.invitation_id],
    )
    .await
}

/// When an administrator of the customer last signed in or went on with a session.
pub async fn administrator_seen(db: &Db, customer: Id<id::Organization>) -> Result<Option<Instant>> {
    let roles: Vec<_> = Role::ALL.iter().filter(|role| role.speaks_for_customer()).map(Stored::to_value).collect();
    let sql = format!(
        "SELECT MAX(p.seen_at) FROM bindings b JOIN people p ON p.id = b.principal_id
         WHERE b.organization_id = ?1 AND b.bound_by IS NULL AND p.status = 'ACTIVE' AND b.role IN ({})",
        numbers(2, roles.len())
    );
    let mut values = params![customer];
    values.extend(roles);
    let seen: Option<Option<Instant>> = db.query_opt(&sql, values, |row| row.take()).await?;
    Ok(seen.flatten())
}

/// When the customer's last recovery was refused or turned out to be void.
pub async fn last_refused(db: &Db, customer: Id<id::Organization>) -> Result<Option<Instant>> {
    let sql = "SELECT MAX(closed_at) FROM recoveries WHERE organization_id = ?1 AND status IN ('REFUSED', 'VOID')";
    let ended: Option<Option<Instant>> = db.query_opt(sql, params![customer], |row| row.take()).await?;
    Ok(ended.flatten())
}

/// The next people of a customer who are to be told: with an address, after this one.
pub async fn people(
    db: &Db,
    customer: Id<id::Organization>,
    after: Option<Id<id::Person>>,
) -> Result<Vec<(Id<id::Person>, Email)>> {
    db.query_all(
        "SELECT DISTINCT p.id, COALESCE(p.address, p.email) FROM bindings b JOIN people p ON p.id = b.principal_id
         WHERE b.organization_id = ?1 AND b.bound_by IS NULL AND p.id > ?2 ORDER BY p.id LIMIT ?3",
        params![customer, start(after), TOLD_AT_ONCE],
        |row| Ok((row.take()?, row.take()?)),
    )
    .await
}

/// Takes back an invitation of this address that waits in the customer, so that there can be one of an administrator.
pub async fn clear_way(tx: &Tx<'_>, customer: Id<id::Organization>, email: &Email, now: Instant) -> Result<()> {
    tx.exec(
        "UPDATE member_invitations SET status = 'REVOKED', closed_at = ?3 WHERE organization_id = ?1 AND email = ?2 AND status = 'PENDING'",
        params![customer, email, now],
    )
    .await
}

/// What a recovery that was carried out lets whoever accepts its invitation be given; none, for another invitation.
pub async fn word(db: &Db, invitation: Id<id::MemberInvitation>) -> Result<Option<Word>> {
    let sql = "SELECT organization_id FROM recoveries WHERE invitation_id = ?1 AND status = 'INVITED'";
    let customer: Option<Id<id::Organization>> = db.query_opt(sql, params![invitation], |row| row.take()).await?;
    Ok(customer.map(Word::of_recovery))
}
