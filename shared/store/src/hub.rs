//! What the hub knows of itself: the key its secrets are sealed with, its time, and whether it stops.

use crate::{Db, Row, Tx, jobs, params};
use chrono::TimeDelta;
use domain::{
    Instant, Result,
    clock::{AHEAD, Anchor, Clock, Jump},
    job::LEASE,
};

/// By how much the time must have gone on to be written again.
const STEP: TimeDelta = TimeDelta::seconds(1);
/// The longest that a job waits for its next attempt, and a lease besides.
const SOON: TimeDelta = TimeDelta::minutes(11);

/// The row of the hub.
pub struct HubRow {
    /// The text that was sealed to know the key again; none before the first use.
    pub key_check: Option<String>,
    /// What is known of the hub's time.
    pub clock: Clock,
}

/// The hub as it knows itself.
pub async fn find(db: &Db) -> Result<HubRow> {
    let sql = "SELECT highest, anchor_wall, anchor_hub, key_check FROM hub WHERE id = 1";
    let row = db.query_opt(sql, vec![], |row| Ok(HubRow { clock: read_clock(row)?, key_check: row.take()? })).await?;
    row.ok_or_else(|| domain::Error::unavailable("the database has lost the row of the hub: restore it from a backup"))
}

fn read_clock(row: &mut Row) -> Result<Clock> {
    let highest = row.take()?;
    let (wall, hub): (Option<Instant>, Option<Instant>) = (row.take()?, row.take()?);
    Ok(Clock { highest, anchor: wall.zip(hub).map(|(wall, hub)| Anchor { wall, hub }) })
}

/// Keeps the text by which the key is known again.
pub async fn keep_key_check(tx: &Tx<'_>, sealed: &str) -> Result<()> {
    tx.exec("UPDATE hub SET key_check = ?1 WHERE id = 1", params![sealed]).await
}

/// A secret that was sealed before there was a text to know the key by.
pub struct Sample {
    /// What it was sealed as.
    pub purpose: String,
    /// Whose it is.
    pub owner: String,
    /// The sealed secret.
    pub sealed: String,
}

/// A sealed secret of each kind that is kept for long.
pub async fn samples(db: &Db) -> Result<Vec<Sample>> {
    let sql = "SELECT 'identity provider', id, client_secret FROM (SELECT id, client_secret FROM identity_providers WHERE client_secret IS NOT NULL ORDER BY id DESC LIMIT 1) AS provider
         UNION ALL SELECT 'secret', id, secret FROM (SELECT id, secret FROM service_brokers ORDER BY id DESC LIMIT 1) AS broker
         UNION ALL SELECT 'secret', id, sealed FROM (SELECT id, sealed FROM stored_passwords ORDER BY id DESC LIMIT 1) AS password";
    db.query_all(sql, vec![], |row| Ok(Sample { purpose: row.take()?, owner: row.take()?, sealed: row.take()? })).await
}

/// Takes note of the time, when the clock says `wall`, if it has gone on or jumped. Gives the jump.
pub async fn observe(db: &Db, wall: Instant) -> Result<Option<Jump>> {
    let known = find(db).await?.clock;
    let (next, jump) = known.observe(wall);
    if jump.is_none() && next.anchor == known.anchor && next.highest - known.highest < STEP {
        return Ok(None);
    }
    db.in_transaction(async |tx| {
        // Asked again under the lock: another may have seen it as well.
        let known = find(tx).await?.clock;
        let (next, jump) = known.observe(wall);
        write(tx, next).await?;
        match jump {
            Some(Jump::Ahead(_)) => {
                tx.exec("UPDATE hub SET far_from = ?1, far_to = NULL WHERE id = 1", params![next.highest]).await?;
            }
            Some(Jump::FarBack(_)) => {
                tx.exec("UPDATE hub SET far_to = ?1 WHERE id = 1", params![known.highest]).await?;
                end_what_is_of_the_future(tx, next.now(wall)).await?;
            }
            Some(Jump::Back(_)) | None => {}
        }
        Ok(jump)
    })
    .await
}

async fn write(tx: &Tx<'_>, clock: Clock) -> Result<()> {
    let (wall, hub) = clock.anchor.map(|anchor| (anchor.wall, anchor.hub)).unzip();
    let sql = "UPDATE hub SET highest = ?1, anchor_wall = ?2, anchor_hub = ?3 WHERE id = 1";
    tx.exec(sql, params![clock.highest, wall, hub]).await
}

/// Ends the credentials that a clock in the future gave, and forgets the answers it kept: they would live until it comes.
async fn end_what_is_of_the_future(tx: &Tx<'_>, now: Instant) -> Result<()> {
    // An access token lives for half an hour, a kept answer for a day.
    for (sql, bound) in [
        ("DELETE FROM access_tokens WHERE expires_at > ?1", now + AHEAD),
        ("DELETE FROM sessions WHERE created_at > ?1", now),
        ("DELETE FROM oidc_sign_ins WHERE expires_at > ?1", now + AHEAD),
        ("DELETE FROM idempotency_keys WHERE expires_at > ?1", now + AHEAD + AHEAD),
    ] {
        tx.exec(sql, params![bound]).await?;
    }
    jobs::bring_turns_back(tx, now).await
}

/// Sets the hub's time to the machine's clock, and brings back the jobs that a clock in the future put off.
pub async fn reset_clock(tx: &Tx<'_>, wall: Instant) -> Result<()> {
    let sql = "SELECT highest, far_from, far_to FROM hub WHERE id = 1";
    let row: Option<(Instant, Option<Instant>, Option<Instant>)> =
        tx.query_opt(sql, vec![], |row| Ok((row.take()?, row.take()?, row.take()?))).await?;
    let Some((highest, far_from, far_to)) = row else { return Ok(()) };
    let to = far_to.unwrap_or(highest).max(wall);
    // Without a first sight of the jump: what was written beyond the clock.
    let from = far_from.unwrap_or(wall).max(wall);
    let by = (to - wall).num_milliseconds();
    tx.exec(
        "UPDATE jobs SET due_at = CASE WHEN due_at - ?1 > ?2 THEN due_at - ?1 ELSE ?2 END, created_at = CASE WHEN created_at > ?2 THEN ?2 ELSE created_at END
         WHERE state <> 'PARKED' AND (created_at >= ?3 OR (due_at >= ?3 AND due_at <= ?4))",
        params![by, wall, from, to + SOON],
    )
    .await?;
    end_what_is_of_the_future(tx, wall).await?;
    tx.exec("UPDATE hub SET far_from = NULL, far_to = NULL WHERE id = 1", vec![]).await?;
    write(tx, Clock { highest: wall, anchor: None }).await
}

/// The hub begins: jobs are claimed again.
pub async fn begin(tx: &Tx<'_>) -> Result<()> {
    tx.exec("UPDATE hub SET stopping_until = 0 WHERE id = 1 AND stopping_until <> 0", vec![]).await
}

/// The hub stops: no job is claimed for as long as a lease, unless the hub begins anew before.
pub async fn stop(tx: &Tx<'_>, now: Instant) -> Result<()> {
    tx.exec("UPDATE hub SET stopping_until = ?1 WHERE id = 1", params![now + LEASE]).await
}
