//! The first answer to each Idempotency-Key.

use crate::{Db, Tx, params};
use domain::{Instant, PrincipalId, Result};

/// The answer that was given to the first request with a key.
pub struct Answered {
    /// What that request was: method, target, acting organization and body.
    pub fingerprint: String,
    /// Its status.
    pub status: u32,
    /// Its headers and body, sealed.
    pub answer: String,
}

/// What was answered to this key of this principal, if it was seen and has not expired by `now`.
pub async fn find(db: &Db, principal: PrincipalId, key_hash: &str, now: Instant) -> Result<Option<Answered>> {
    db.query_opt(
        "SELECT fingerprint, status, answer FROM idempotency_keys WHERE principal_id = ?1 AND key_hash = ?2 AND expires_at > ?3",
        params![principal, key_hash, now],
        |row| Ok(Answered { fingerprint: row.take()?, status: row.take()?, answer: row.take()? }),
    )
    .await
}

/// Keeps an answer until `expires_at`, in place of one that expired.
pub async fn insert(tx: &Tx<'_>, principal: PrincipalId, key_hash: &str, answered: &Answered, expires_at: Instant) -> Result<()> {
    tx.exec(
        "INSERT INTO idempotency_keys (principal_id, key_hash, fingerprint, status, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (principal_id, key_hash) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
             answer = excluded.answer, expires_at = excluded.expires_at",
        params![principal, key_hash, answered.fingerprint, answered.status, answered.answer, expires_at],
    )
    .await
}

/// Forgets answers that expired before `now`, at most `limit` of them.
pub async fn prune(tx: &Tx<'_>, now: Instant, limit: u32) -> Result<()> {
    tx.exec(
        "DELETE FROM idempotency_keys WHERE (principal_id, key_hash) IN
             (SELECT principal_id, key_hash FROM idempotency_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![now, limit],
    )
    .await
}

/// Whether there is anything to forget: a read, so that a tick without work takes no lock.
pub async fn any_expired(db: &Db, now: Instant) -> Result<bool> {
    let first: Option<i64> = db
        .query_opt(
            "SELECT expires_at FROM idempotency_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1",
            params![now],
            |row| row.take(),
        )
        .await?;
    Ok(first.is_some())
}
