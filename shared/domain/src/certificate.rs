//! Certificates of products: what is known of one, and when it is time to warn that it ends.

use crate::{Instant, JsonSchema};
use chrono::TimeDelta;
use serde::Serialize;

/// What is known of a certificate that was found right.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// SHA-256 of it, in hexadecimal with colons between the bytes.
    pub thumbprint: String,
    /// SHA-1 of it, for those who know it by that.
    pub thumbprint_sha1: String,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal with colons between the bytes.
    pub serial_number: String,
    /// The kind of its key: `RSA-2048` to `RSA-8192`, `EC P-256`, `EC P-384` or `Ed25519`.
    pub key_type: String,
    /// The names in the DNS and the addresses that it is for; the first 200.
    pub names: Vec<String>,
    /// From when the whole of its chain is valid.
    pub valid_from: Instant,
    /// Until when the whole of its chain is valid.
    pub valid_to: Instant,
}

/// So many days before a certificate ends it is time to warn; with 0, it has ended.
pub const WARNINGS: [i64; 5] = [30, 14, 7, 1, 0];

/// The warning that is due for a certificate that ends then: the latest whose time has come, if that was not given yet.
/// `warned` is the last that was given.
pub fn warning_due(valid_to: Instant, warned: Option<i64>, now: Instant) -> Option<i64> {
    let due = WARNINGS.into_iter().rev().find(|days| now >= valid_to - TimeDelta::days(*days))?;
    warned.is_none_or(|warned| due < warned).then_some(due)
}

/// When the next warning comes; never, after the last one.
pub fn next_warning(valid_to: Instant, now: Instant) -> Option<Instant> {
    WARNINGS.into_iter().map(|days| valid_to - TimeDelta::days(days)).find(|at| *at > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    fn at(days: i64) -> Instant {
        Instant::from_timestamp_millis(days * DAY).unwrap()
    }

    #[test]
    fn each_warning_is_given_once_and_at_its_time() {
        let mut given = Vec::new();
        let mut warned = None;
        for day in 0..=101 {
            if let Some(days) = warning_due(at(100), warned, at(day)) {
                given.push((day, days));
                warned = Some(days);
            }
        }
        assert_eq!(given, [(70, 30), (86, 14), (93, 7), (99, 1), (100, 0)]);
    }

    proptest! {
        /// Whoever looks first late, or seldom, is told the latest warning and no older one; and who comes back when the next
        /// one is due misses none.
        #[test]
        fn who_looks_when_told_to_is_told_all_that_is_left(installed in 0i64..120, offset in 0..DAY) {
            let end = at(100);
            let mut now = Instant::from_timestamp_millis(installed * DAY + offset).unwrap();
            let (mut warned, mut given) = (None, Vec::new());
            loop {
                if let Some(days) = warning_due(end, warned, now) {
                    prop_assert!(now >= end - TimeDelta::days(days));
                    given.push(days);
                    warned = Some(days);
                }
                prop_assert_eq!(warning_due(end, warned, now), None);
                let Some(next) = next_warning(end, now) else { break };
                prop_assert!(next > now);
                now = next;
            }
            let first = WARNINGS.iter().position(|days| Some(days) == given.first()).unwrap();
            prop_assert_eq!(&given[..], &WARNINGS[first..]);
        }
    }
}
