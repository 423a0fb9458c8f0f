//! The first answer to each Idempotency-Key.

use crate::{Db, Tx, params};
use domain::{Instant, PrincipalId, Result};

/// The answer that was given to the first request with a key.
pub struct Answered {
    /// What that request was: method, target, acting organization and body.
    pub fingerprint: String,
    /// Its status.
    pub status: u32,
    /// Its headers and body, sealed; empty when they are no longer kept.
    pub answer: String,
    /// Where what it made or changed is found, if it said so.
    pub location: Option<String>,
}

/// What was answered to this key of this principal, if it was seen and has not expired by `now`.
pub async fn find(db: &Db, principal: PrincipalId, key_hash: &str, now: Instant) -> Result<Option<Answered>> {
    db.query_opt(
        "SELECT fingerprint, status, answer, location FROM idempotency_keys WHERE principal_id = ?1 AND key_hash = ?2 AND expires_at > ?3
         UNION ALL
         SELECT fingerprint, status, '', location FROM answered_keys WHERE principal_id = ?1 AND key_hash = ?2 AND expires_at > ?3",
        params![principal, key_hash, now],
        |row| Ok(Answered { fingerprint: row.take()?, status: row.take()?, answer: row.take()?, location: row.take()? }),
    )
    .await
}

/// Keeps an answer until `expires_at`, in place of one that expired. Of the principal's answers the newest `bound` bytes are kept,
/// and this one; of the older ones remains that they were given, which keeps their requests from being carried out again.
pub async fn insert(
    tx: &Tx<'_>,
    principal: PrincipalId,
    key_hash: &str,
    answered: &Answered,
    expires_at: Instant,
    bound: i64,
) -> Result<()> {
    let size = i64::try_from(answered.answer.len()).unwrap_or(i64::MAX);
    let kept: Option<i64> = tx
        .query_opt(
            "INSERT INTO idempotency_keys (principal_id, key_hash, fingerprint, status, answer, location, expires_at, kept)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 + COALESCE(
                 (SELECT kept FROM idempotency_keys WHERE principal_id = ?1 ORDER BY kept DESC LIMIT 1), 0))
             ON CONFLICT (principal_id, key_hash) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
                 answer = excluded.answer, location = excluded.location, expires_at = excluded.expires_at, kept = excluded.kept
             RETURNING kept",
            params![
                principal,
                key_hash,
                answered.fingerprint,
                answered.status,
                answered.answer,
                answered.location,
                expires_at,
                size
            ],
            |row| row.take(),
        )
        .await?;
    match kept {
        Some(kept) if kept > bound => cut(tx, principal, kept - bound).await,
        _ => Ok(()),
    }
}

/// Keeps of a principal's answers up to the one with this sum only that they were given.
async fn cut(tx: &Tx<'_>, principal: PrincipalId, upto: i64) -> Result<()> {
    tx.exec(
        "INSERT INTO answered_keys (principal_id, key_hash, fingerprint, status, location, expires_at)
         SELECT principal_id, key_hash, fingerprint, status, location, expires_at FROM idempotency_keys WHERE principal_id = ?1 AND kept <= ?2
         ON CONFLICT (principal_id, key_hash) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
             location = excluded.location, expires_at = excluded.expires_at",
        params![principal, upto],
    )
    .await?;
    tx.exec("DELETE FROM idempotency_keys WHERE principal_id = ?1 AND kept <= ?2", params![principal, upto]).await
}

/// Forgets answers that expired before `now`, at most `limit` of them whole and as many of which something remained.
pub async fn prune(tx: &Tx<'_>, now: Instant, limit: u32) -> Result<()> {
    tx.exec(
        "DELETE FROM idempotency_keys WHERE (principal_id, key_hash) IN
             (SELECT principal_id, key_hash FROM idempotency_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![now, limit],
    )
    .await?;
    tx.exec(
        "DELETE FROM answered_keys WHERE (principal_id, key_hash) IN
             (SELECT principal_id, key_hash FROM answered_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![now, limit],
    )
    .await
}

/// Whether there is anything to forget: a read, so that a tick without work takes no lock.
pub async fn any_expired(db: &Db, now: Instant) -> Result<bool> {
    for sql in [
        "SELECT expires_at FROM idempotency_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1",
        "SELECT expires_at FROM answered_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1",
    ] {
        let first: Option<i64> = db.query_opt(sql, params![now], |row| row.take()).await?;
        if first.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
