//! The last health check of the hub as a whole: one row, so that all instances of all processes share one check a second.

use crate::{Db, Tx, params};
use domain::{Instant, Result};

/// The last check.
pub struct HealthCheck {
    /// When a check was last begun; the epoch when none ever was.
    pub asked_at: Instant,
    /// When the last check that came to an end was begun; the epoch when none ever did.
    pub checked_at: Instant,
    /// The components that did not answer it.
    pub down: Vec<String>,
}

/// The last check.
pub async fn find(db: &Db) -> Result<Option<HealthCheck>> {
    db.query_opt("SELECT asked_at, checked_at, down FROM health_checks WHERE id = 1", vec![], |row| {
        let (asked_at, checked_at, down): (_, _, String) = (row.take()?, row.take()?, row.take()?);
        Ok(HealthCheck { asked_at, checked_at, down: down.split_whitespace().map(str::to_owned).collect() })
    })
    .await
}

/// Begins a check, unless one was begun after `before`; whether it did. A beginning in the future, from a clock that was set back
/// since, counts for none.
pub async fn begin(tx: &Tx<'_>, now: Instant, before: Instant) -> Result<bool> {
    let begun: Option<i64> = tx
        .query_opt(
            "UPDATE health_checks SET asked_at = ?1 WHERE id = 1 AND (asked_at <= ?2 OR asked_at > ?1) RETURNING id",
            params![now, before],
            |row| row.take(),
        )
        .await?;
    Ok(begun.is_some())
}

/// Records what a check found that was begun at `begun`: the names of the components that are down.
pub async fn end(tx: &Tx<'_>, begun: Instant, down: &[&str]) -> Result<()> {
    tx.exec("UPDATE health_checks SET checked_at = ?1, down = ?2 WHERE id = 1", params![begun, down.join(" ")]).await
}
