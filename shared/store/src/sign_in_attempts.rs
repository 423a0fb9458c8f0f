//! Attempts to sign in with a password that did not succeed: how many of late, and until when no other is judged.

use crate::{Db, Stored, Tx, params, value::numbers};
use chrono::TimeDelta;
use domain::{
    Instant, Result,
    sign_in::{Allowance, Tallies, Tally},
};

/// For how long attempts are remembered after the last one.
const REMEMBERED: TimeDelta = TimeDelta::hours(1);
/// The most rows that are kept: beyond it those that would be forgotten first go first.
const KEPT: i64 = 50_000;

/// The keyed hashes of what an attempt is counted for; each absent where it does not apply.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Of the account and the source together, of the known device or of the session.
    pub own: Option<String>,
    /// Of the account, for strangers.
    pub account: Option<String>,
    /// Of the source, for strangers.
    pub source: Option<String>,
}

impl Counters {
    fn all(&self) -> [Option<&String>; 3] {
        [self.own.as_ref(), self.account.as_ref(), self.source.as_ref()]
    }
}

/// What is known at `now` of earlier attempts that are counted for the same.
pub async fn tallies(db: &Db, counters: &Counters, now: Instant) -> Result<Tallies> {
    let hashes: Vec<&String> = counters.all().into_iter().flatten().collect();
    if hashes.is_empty() {
        return Ok(Tallies::default());
    }
    let sql = format!(
        "SELECT hash, failures, until FROM sign_in_attempts WHERE expires_at > ?1 AND hash IN ({})",
        numbers(2, hashes.len())
    );
    let values = [now.to_value()].into_iter().chain(hashes.iter().map(|hash| hash.as_str().to_value())).collect();
    let found: Vec<(String, Tally)> =
        db.query_all(&sql, values, |row| Ok((row.take()?, Tally { failures: row.take()?, until: row.take()? }))).await?;
    let tally = |hash: &Option<String>| {
        hash.as_ref().map(|hash| found.iter().find(|(known, _)| known == hash).map_or_else(Tally::default, |(_, tally)| *tally))
    };
    Ok(Tallies { own: tally(&counters.own), account: tally(&counters.account), source: tally(&counters.source) })
}

/// Keeps the tallies of an attempt, before it is judged: so of many at once no more are judged than of as many one after the other.
/// An attempt that succeeds is followed by [`forgive`].
pub async fn keep(tx: &Tx<'_>, counters: &Counters, tallies: &Tallies, now: Instant) -> Result<()> {
    tx.exec(
        "DELETE FROM sign_in_attempts WHERE hash IN
         (SELECT hash FROM sign_in_attempts WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 20)",
        params![now],
    )
    .await?;
    tx.exec(
        "DELETE FROM sign_in_attempts WHERE expires_at <
         (SELECT expires_at FROM sign_in_attempts ORDER BY expires_at DESC LIMIT 1 OFFSET ?1)",
        params![KEPT],
    )
    .await?;
    for (hash, tally) in counters.all().into_iter().zip([tallies.own, tallies.account, tallies.source]) {
        let (Some(hash), Some(tally)) = (hash, tally) else { continue };
        tx.exec(
            "INSERT INTO sign_in_attempts (hash, failures, until, expires_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (hash) DO UPDATE SET failures = excluded.failures, until = excluded.until, expires_at = excluded.expires_at",
            params![hash, tally.failures, tally.until, tally.until.max(now) + REMEMBERED],
        )
        .await?;
    }
    Ok(())
}

/// Takes back an attempt that was counted and has succeeded, and forgets those before it from the same source, device or session.
/// What strangers tried at the account stays counted; and where it was at an account that an organization vouches for (`keeps`), so
/// do those from the source: who has such an account would have ever more guesses at the password of the address's owner.
pub async fn forgive(tx: &Tx<'_>, counters: &Counters, keeps: bool, now: Instant) -> Result<()> {
    match &counters.own {
        Some(own) if keeps => {
            let sql = "UPDATE sign_in_attempts SET failures = failures - 1, until = ?2 WHERE hash = ?1";
            tx.exec(sql, params![own, now]).await?;
        }
        Some(own) => forget(tx, own).await?,
        None => {}
    }
    for (hash, allowance) in [(&counters.account, Allowance::ACCOUNT), (&counters.source, Allowance::SOURCE)] {
        let Some(hash) = hash else { continue };
        let found: Option<Instant> =
            tx.query_opt("SELECT until FROM sign_in_attempts WHERE hash = ?1", params![hash], |row| row.take()).await?;
        let Some(until) = found else { continue };
        tx.exec(
            "UPDATE sign_in_attempts SET failures = failures - 1, until = ?2 WHERE hash = ?1 AND failures > 0",
            params![hash, allowance.give_back(until)],
        )
        .await?;
    }
    Ok(())
}

/// Forgets the attempts that are counted for this hash.
pub async fn forget(tx: &Tx<'_>, hash: &str) -> Result<()> {
    tx.exec("DELETE FROM sign_in_attempts WHERE hash = ?1", params![hash]).await
}
