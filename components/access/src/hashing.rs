//! Turns at computing password hashes. Each takes 19 MiB and a core for some 60 ms, so of all in the hub only a few are computed at
//! once; a few more requests wait for their turn, and the others are told to come back.

use domain::{Error, Instant, Result, id, setting::password_hashes, sign_in::Tallies};
use spin_sdk::time::sleep;
use std::time::Duration;
use store::{
    Db, Tx, hash_slots,
    sign_in_attempts::{self, Counters},
};
use web::{Hub, variable};

/// How many requests wait at the most, for each hash that is computed: those that get their turn within [`PATIENCE`].
const WAITING: i64 = 16;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits before it looks whether its turn has come, for each of those before it: less than they take, and up to
/// [`FARTHEST`] of them, so that those at the end of the queue do not ask in vain again and again.
const LOOK: Duration = Duration::from_millis(15);
const FARTHEST: i64 = 16;
/// After how many seconds those that are refused may try again.
const RETRY_AFTER: u32 = 2;

/// A place among those that compute a hash. Leave it in the transaction that keeps what came of it.
pub struct Turn {
    ticket: i64,
    holder: String,
    /// What was counted of the attempt.
    pub tallies: Tallies,
}

impl Turn {
    /// Waits for a turn, and counts the attempt to sign in that it is for once it has come: an attempt that is refused for being one
    /// of too many gets none, and one that gets no turn is not counted.
    pub async fn take(hub: &Hub, counters: &Counters) -> Result<Self> {
        let slots = slots().await?;
        let most = slots * (1 + WAITING);
        let holder = hub.id::<id::Request>().to_string();
        let db = hub.db().await?;
        // Looked at before the lock is taken: who is refused anyway keeps no writer waiting.
        counted(db, counters, hub.now()).await?;
        if hash_slots::taken(db, hub.now()).await? >= most {
            return Err(busy());
        }
        let (mut turn, mut before) = db
            .in_transaction(async |tx| {
                let counted = counted(tx, counters, hub.now()).await?;
                let entered = hash_slots::enter(tx, &holder, most, hub.now()).await?;
                let (ticket, before) = entered.ok_or_else(busy)?;
                if before < slots {
                    sign_in_attempts::keep(tx, counters, &counted, hub.now()).await?;
                }
                Ok((Self { ticket, holder: holder.clone(), tallies: counted }, before))
            })
            .await?;
        if before < slots {
            return Ok(turn);
        }
        let began = std::time::Instant::now();
        while before >= slots {
            if began.elapsed() >= PATIENCE {
                db.in_transaction(async |tx| turn.leave(tx).await).await?;
                return Err(busy());
            }
            sleep(LOOK * u32::try_from((before - slots + 1).min(FARTHEST)).unwrap_or(1)).await;
            before = hash_slots::before(db, turn.ticket, hub.present()).await?;
        }
        // Others may have failed meanwhile.
        turn.tallies = db
            .in_transaction(async |tx| {
                let now = hub.present();
                match counted(tx, counters, now).await {
                    Ok(counted) => {
                        hash_slots::renew(tx, turn.ticket, &turn.holder, now).await?;
                        sign_in_attempts::keep(tx, counters, &counted, now).await?;
                        Ok(Ok(counted))
                    }
                    Err(refusal) => turn.leave(tx).await.map(|()| Err(refusal)),
                }
            })
            .await??;
        Ok(turn)
    }

    /// Lets the next one compute.
    pub async fn leave(&self, tx: &Tx<'_>) -> Result<()> {
        hash_slots::leave(tx, self.ticket, &self.holder).await
    }
}

/// How many hashes the hub computes at once.
async fn slots() -> Result<i64> {
    password_hashes(&variable("password_hashes").await?).map_err(Error::unavailable)
}

/// What is known of attempts with one more at `now`; or the refusal of that one.
async fn counted(db: &Db, counters: &Counters, now: Instant) -> Result<Tallies> {
    sign_in_attempts::tallies(db, counters, now).await?.count(now).map_err(|until| {
        let seconds = seconds_until(until, now);
        Error::too_many(
            "too_many_attempts",
            format!(
                "There were too many attempts with wrong passwords. Wait {seconds} seconds; or sign in on a device on which you have signed in before; or ask an administrator for a link to set a new password."
            ),
            seconds,
        )
    })
}

/// Whole seconds, rounded up: to come back any earlier would be too early.
fn seconds_until(until: Instant, now: Instant) -> u32 {
    u32::try_from(((until - now).num_milliseconds().max(1) + 999) / 1000).unwrap_or(u32::MAX)
}

fn busy() -> Error {
    Error::too_many(
        "sign_in_busy",
        "Too many people sign in or set a password at this moment. Send the same request again in two seconds.",
        RETRY_AFTER,
    )
}
