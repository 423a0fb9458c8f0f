//! Jobs: when a failed one is tried again, and when it is set aside for people.

use crate::{Error, Kind, text_enum};
use chrono::TimeDelta;

text_enum! {
    /// Where a job stands. A finished job has no row any more; what it did is in what it changed.
    pub enum JobState {
        /// Waits until it is due.
        Ready = "READY",
        /// Claimed by a runner, until its lease ends.
        Running = "RUNNING",
        /// Failed too often; waits for somebody to look and replay it.
        Parked = "PARKED",
    }
}

/// How long a runner may work on a job before another may take it over.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);
/// How many jobs one runner works on at once.
pub const PLACES: usize = 8;
/// How many of them may be one organization's, so that jobs which wait for a slow peer leave places to others.
pub const SHARE: usize = PLACES / 2;
/// After how many runners that died at it a job is run alone: with it in the company of others, a job that kills its
/// runner would take them with it.
pub const SUSPECT: u32 = 2;
/// How many attempts a job gets before it is parked. With the waits below that is some minutes.
pub const ATTEMPTS: u32 = 10;
/// The longest wait between two attempts.
const LONGEST_WAIT_MS: u64 = 10 * 60 * 1000;

/// How long to wait after the `attempt`-th failure (from 1): twice as long each time from one second up to ten minutes,
/// of which a random half is taken off so that jobs which failed together do not come back together.
/// `random` is any value; it decides the jitter.
pub fn wait_after(attempt: u32, random: u64) -> TimeDelta {
    let whole = 1000u64.checked_shl(attempt.saturating_sub(1).min(30)).unwrap_or(LONGEST_WAIT_MS).min(LONGEST_WAIT_MS);
    TimeDelta::milliseconds((whole / 2 + random % (whole / 2 + 1)) as i64)
}

/// Whether a job is tried again after its `attempt`-th failure in a row (from 1), which was this one; else it is parked. A
/// refusal by a rule stays a refusal however often it is tried; only faults are worth another attempt.
pub fn is_tried_again(attempt: u32, error: &Error) -> bool {
    error.kind == Kind::Unavailable && attempt < ATTEMPTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_within_bounds(attempt in 0u32..1000, random: u64) {
            let wait = wait_after(attempt, random);
            prop_assert!(wait >= TimeDelta::milliseconds(500) && wait <= TimeDelta::minutes(10));
            prop_assert!(wait_after(attempt + 2, random) >= wait.min(TimeDelta::minutes(5)));
        }
    }
}
