//! Acting sessions: times in which a principal may act in a customer that it is no member of.

use crate::{Db, Placed, Row, Scope, Tx, job_payload, params, value::start_of};
use domain::{Error, Id, Instant, JsonSchema, PrincipalId, Result, acting::ActingSessionStatus as Status, id};
use serde::Serialize;

job_payload! {
    /// Records that an acting session is over. It was over before: its time is compared wherever it is used.
    CloseActingSession {
        /// The session.
        acting_session_id: Id<id::ActingSession>
    } queue "access" kind "acting-session.close"
}

/// An acting session as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActingSession {
    /// Its id.
    pub id: Id<id::ActingSession>,
    /// The customer that is acted in.
    pub organization_id: Id<id::Organization>,
    /// Who acts.
    pub principal_id: PrincipalId,
    /// What that one was called when it asked.
    pub principal_name: String,
    /// The organization it belongs to.
    pub principal_organization_id: Id<id::Organization>,
    /// Why.
    pub reason: String,
    /// How long it is to last once it is open, in minutes.
    pub duration_minutes: u32,
    /// Where it stands.
    pub status: Status,
    /// While PENDING, when the request lapses; else when the session ends, or would have ended, by itself.
    pub expires_at: Instant,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it became open.
    pub started_at: Option<Instant>,
    /// When it was over.
    pub ended_at: Option<Instant>,
    /// Who approved or refused it in the customer; nobody, where the policy did.
    pub answered_by: Option<PrincipalId>,
    /// Who ended it before its time.
    pub ended_by: Option<PrincipalId>,
}

/// `?1` is always the present instant: what is due to end has ended, whether or not the job that writes it has come round.
const COLUMNS: &str = "s.id, s.organization_id, s.principal_id, s.principal_name, s.principal_organization_id, s.reason, s.duration_minutes,
    CASE WHEN s.expires_at > ?1 THEN s.status WHEN s.status = 'OPEN' THEN 'EXPIRED' WHEN s.status = 'PENDING' THEN 'LAPSED' ELSE s.status END,
    s.expires_at, s.created_at, s.started_at, s.ended_at, s.answered_by, s.ended_by";
/// A session belongs to the customer, so the customer and whoever is above it see it.
const FROM: &str = "acting_sessions s JOIN organizations o ON o.id = s.organization_id";

fn read(row: &mut Row) -> Result<ActingSession> {
    let mut session = ActingSession {
        id: row.take()?,
        organization_id: row.take()?,
        principal_id: row.take()?,
        principal_name: row.take()?,
        principal_organization_id: row.take()?,
        reason: row.take()?,
        duration_minutes: row.take()?,
        status: row.take()?,
        expires_at: row.take()?,
        created_at: row.take()?,
        started_at: row.take()?,
        ended_at: row.take()?,
        answered_by: row.take()?,
        ended_by: row.take()?,
    };
    if session.status.is_over() && session.ended_at.is_none() {
        session.ended_at = Some(session.expires_at);
    }
    Ok(session)
}

/// Writes a new session. `false` when its principal has one in this customer that is not over.
pub async fn insert(tx: &Tx<'_>, session: &ActingSession) -> Result<bool> {
    let inserted: Option<Id<id::ActingSession>> = tx
        .query_opt(
            "INSERT INTO acting_sessions (id, organization_id, principal_id, principal_name, principal_organization_id, reason,
                 duration_minutes, status, expires_at, created_at, started_at, organization_path)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, (SELECT o.path FROM organizations o WHERE o.id = ?2)) ON CONFLICT DO NOTHING RETURNING id",
            params![
                session.id,
                session.organization_id,
                session.principal_id,
                session.principal_name,
                session.principal_organization_id,
                session.reason,
                session.duration_minutes,
                session.status,
                session.expires_at,
                session.created_at,
                session.started_at
            ],
            |row| row.take(),
        )
        .await?;
    Ok(inserted.is_some())
}

/// Writes down that the session of this principal in this customer is over, if it is; else it would stand in the way of the
/// next one. Which one it was.
pub async fn close_last(
    tx: &Tx<'_>,
    principal: PrincipalId,
    customer: Id<id::Organization>,
    now: Instant,
) -> Result<Option<Id<id::ActingSession>>> {
    tx.query_opt(
        "UPDATE acting_sessions SET status = CASE status WHEN 'OPEN' THEN 'EXPIRED' ELSE 'LAPSED' END, ended_at = expires_at
         WHERE principal_id = ?1 AND organization_id = ?2 AND status IN ('PENDING', 'OPEN') AND expires_at <= ?3 RETURNING id",
        params![principal, customer, now],
        |row| row.take(),
    )
    .await
}

/// Writes down that a session is over, if it is and that is not written yet: what became of it.
pub async fn close(tx: &Tx<'_>, scope: &Scope, id: Id<id::ActingSession>, now: Instant) -> Result<Option<ActingSession>> {
    let session = find(tx, scope, id, now).await?;
    let closed: Option<Id<id::ActingSession>> = tx
        .query_opt(
            "UPDATE acting_sessions SET status = ?2, ended_at = expires_at
             WHERE id = ?1 AND status IN ('PENDING', 'OPEN') AND expires_at <= ?3 RETURNING id",
            params![id, session.status, now],
            |row| row.take(),
        )
        .await?;
    Ok(closed.map(|_| session))
}

/// The session of this principal in this customer that is not over, if there is one.
pub async fn current(
    db: &Db,
    scope: &Scope,
    principal: PrincipalId,
    customer: Id<id::Organization>,
    now: Instant,
) -> Result<Option<ActingSession>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE s.principal_id = ?2 AND s.organization_id = ?3 AND s.status IN ('PENDING', 'OPEN')
         AND s.expires_at > ?1 AND o.path >= ?4 AND o.path < ?5"
    );
    db.query_opt(&sql, scope.after(params![now, principal, customer]), read).await
}

/// One session within the scope, as it stands at `now`.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::ActingSession>, now: Instant) -> Result<ActingSession> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE s.id = ?2 AND o.path >= ?3 AND o.path < ?4");
    db.query_opt(&sql, scope.after(params![now, id]), read)
        .await?
        .ok_or_else(|| Error::not_found("acting_session_not_found", "acting session", id))
}

/// A page of the sessions within the scope, as they stand at `now`, in the order of the tree and those of one customer oldest
/// first; only those in one customer, if it is named.
pub async fn list(
    db: &Db,
    scope: &Scope,
    customer: Option<Id<id::Organization>>,
    after: &[String],
    now: Instant,
    limit: u32,
) -> Result<Vec<Placed<ActingSession>>> {
    let placed = |row: &mut Row| Placed::read(row, read, 2);
    // Each has its own statement, so that its index is used.
    if let Some(customer) = customer {
        let sql = format!(
            "SELECT {COLUMNS}, s.organization_path, s.id FROM {FROM} WHERE s.organization_id = ?4 AND s.id > ?2 AND o.path >= ?5 AND o.path < ?6
             ORDER BY s.id LIMIT ?3"
        );
        return db.query_all(&sql, scope.after(params![now, start_of(after), limit, customer]), placed).await;
    }
    let mut values = params![now, limit];
    let page = scope.page("s", after, &mut values);
    let sql = format!(
        "SELECT {COLUMNS}, s.organization_path, s.id FROM {FROM} WHERE {page} ORDER BY s.organization_path, s.id LIMIT ?2"
    );
    db.query_all(&sql, values, placed).await
}

/// Writes where a session, as read in this transaction, stands now.
pub async fn update(tx: &Tx<'_>, session: &ActingSession) -> Result<()> {
    tx.exec(
        "UPDATE acting_sessions SET status = ?2, expires_at = ?3, started_at = ?4, ended_at = ?5, answered_by = ?6, ended_by = ?7
         WHERE id = ?1",
        params![
            session.id,
            session.status,
            session.expires_at,
            session.started_at,
            session.ended_at,
            session.answered_by,
            session.ended_by
        ],
    )
    .await
}

/// Ends whatever is not over in a customer, which lets nobody act in it any more. How many that were.
pub async fn end_all(tx: &Tx<'_>, customer: Id<id::Organization>, by: PrincipalId, now: Instant) -> Result<usize> {
    let ended: Vec<Id<id::ActingSession>> = tx
        .query_all(
            "UPDATE acting_sessions SET status = 'ENDED', ended_at = ?2, ended_by = ?3
             WHERE organization_id = ?1 AND status IN ('PENDING', 'OPEN') AND expires_at > ?2 RETURNING id",
            params![customer, now, by],
            |row| row.take(),
        )
        .await?;
    Ok(ended.len())
}

/// What a principal is called, for those who cannot look it up.
pub async fn name(db: &Db, principal: PrincipalId) -> Result<String> {
    let sql = match principal {
        PrincipalId::Person(_) => "SELECT display_name FROM people WHERE id = ?1",
        PrincipalId::ApiToken(_) => "SELECT name FROM api_tokens WHERE id = ?1",
        PrincipalId::App(id) => return Ok(id.to_string()),
    };
    let name: Option<String> = db.query_opt(sql, params![principal], |row| row.take()).await?;
    name.ok_or_else(|| Error::fault("a principal has no name"))
}
