//! Turns at computing password hashes, each of which takes memory and a core: of all that ask, the first few in the order in which
//! they came compute, a few more wait, and others are refused. Rows, because instances share nothing else.

use crate::{Db, Tx, params};
use chrono::TimeDelta;
use domain::{Instant, Result};

/// After how long a place is given up for lost that nobody has left, for its instance died.
const LEASE: TimeDelta = TimeDelta::seconds(5);

/// How many places are taken.
pub async fn taken(db: &Db, now: Instant) -> Result<i64> {
    before(db, i64::MAX, now).await
}

/// Takes the next place for `holder`: its ticket, and how many are before it. `None` when there are `most` already.
pub async fn enter(tx: &Tx<'_>, holder: &str, most: i64, now: Instant) -> Result<Option<(i64, i64)>> {
    tx.exec("DELETE FROM hash_slots WHERE expires_at <= ?1", params![now]).await?;
    let (before, last): (i64, i64) = tx
        .query_opt("SELECT COUNT(*), COALESCE(MAX(ticket), 0) FROM hash_slots", vec![], |row| Ok((row.take()?, row.take()?)))
        .await?
        .unwrap_or_default();
    if before >= most {
        return Ok(None);
    }
    let ticket = last + 1;
    tx.exec("INSERT INTO hash_slots (ticket, holder, expires_at) VALUES (?1, ?2, ?3)", params![ticket, holder, now + LEASE])
        .await?;
    Ok(Some((ticket, before)))
}

/// How many are before this ticket. A read, which takes no lock.
pub async fn before(db: &Db, ticket: i64, now: Instant) -> Result<i64> {
    let found = db
        .query_opt("SELECT COUNT(*) FROM hash_slots WHERE ticket < ?1 AND expires_at > ?2", params![ticket, now], |row| {
            row.take()
        })
        .await?;
    Ok(found.unwrap_or_default())
}

/// Keeps a place for another lease.
pub async fn renew(tx: &Tx<'_>, ticket: i64, holder: &str, now: Instant) -> Result<()> {
    tx.exec("UPDATE hash_slots SET expires_at = ?3 WHERE ticket = ?1 AND holder = ?2", params![ticket, holder, now + LEASE]).await
}

/// Leaves a place.
pub async fn leave(tx: &Tx<'_>, ticket: i64, holder: &str) -> Result<()> {
    tx.exec("DELETE FROM hash_slots WHERE ticket = ?1 AND holder = ?2", params![ticket, holder]).await
}
