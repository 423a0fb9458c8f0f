//! Recoveries: how a customer that has lost its last administrator gets another from above. Each is announced to all its people, waits
//! three days, and any of them can refuse it.

use crate::{Error, Id, Instant, JsonSchema, Result, Text, id, mail::MailText, person::Email, text_enum};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How long a recovery waits for the customer's people: three days.
pub const DELAY: TimeDelta = TimeDelta::days(3);
/// For how long none can be started after one was refused, or after an administrator turned out to be there: 30 days. So nobody is
/// written to every day.
pub const REST: TimeDelta = TimeDelta::days(30);
/// How many people are told by one run of the job.
pub const TOLD_AT_ONCE: u32 = 100;

text_enum! {
    /// Where a recovery stands.
    pub enum RecoveryStatus {
        /// The customer's people were told, or are about to be. It waits.
        Announced = "ANNOUNCED",
        /// Its time has come, and the new administrator was invited.
        Invited = "INVITED",
        /// One of the customer's people refused it.
        Refused = "REFUSED",
        /// Those who started it took it back.
        Withdrawn = "WITHDRAWN",
        /// When its time had come, an administrator of the customer had been there meanwhile, or who started it might no longer.
        Void = "VOID",
    }
}

/// What the job that tells the customer's people knows: which recovery, and whom it told last.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// The recovery.
    pub recovery_id: Id<id::Recovery>,
    /// The last person who was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Id<id::Person>>,
}

/// A recovery that is to be started.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRecovery {
    /// Why; the customer's people read it.
    pub reason: Text<1, 500>,
    /// The mail address of the administrator that the customer is to get.
    pub email: Email,
    /// The name they go by, for those the hub does not know yet.
    pub display_name: Option<Text<1, 120>>,
}

/// Refuses to recover a customer that can help itself. `seen` is when one of its administrators last did something, `ended` when the
/// last recovery was refused or turned out to be void.
pub fn check_start(self_administered: bool, seen: Option<Instant>, ended: Option<Instant>, now: Instant) -> Result<()> {
    if !self_administered {
        return Err(Error::conflict(
            "recovery_not_needed",
            "The customer has had no administrator of its own yet, so you name the first: POST /v1/members with CUSTOMER_ADMINISTRATOR.",
        ));
    }
    if let Some(seen) = seen.filter(|seen| *seen + DELAY > now) {
        return Err(Error::conflict(
            "recovery_not_needed",
            format!(
                "An administrator of the customer was here at {seen:?}. Ask them; a recovery can be started when none has been here for three days."
            ),
        ));
    }
    if let Some(ended) = ended.filter(|ended| *ended + REST > now) {
        return Err(Error::conflict(
            "recovery_refused_lately",
            format!(
                "The last recovery of this customer was refused or void at {ended:?}. Another can be started after {:?}; until then ask the customer's people.",
                ended + REST
            ),
        ));
    }
    Ok(())
}

impl RecoveryStatus {
    /// Refuses to end what has ended.
    pub fn check_waiting(self) -> Result<()> {
        if self == Self::Announced {
            return Ok(());
        }
        Err(Error::conflict("recovery_over", format!("The recovery is {self}, so there is nothing to refuse or take back.")))
    }
}

/// What becomes of a recovery whose time has come: who started it must still be permitted to, and no administrator of the customer may
/// have been there since it was announced.
pub fn judged(may_still: bool, seen_since: bool) -> RecoveryStatus {
    if may_still && !seen_since { RecoveryStatus::Invited } else { RecoveryStatus::Void }
}

/// The mail that tells one of the customer's people: `email` is to become an administrator of it after `due_at`, as `by` wants.
pub fn announcement(
    customer: (&str, Id<id::Organization>),
    recovery: Id<id::Recovery>,
    new: (&Email, &str),
    by: &str,
    due_at: Instant,
) -> MailText {
    let ((name, id), (email, reason)) = (customer, new);
    let until = due_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    MailText {
        subject: format!("{name} is to get a new administrator"),
        text: format!(
            "{by} says that {name} has lost its last administrator, and wants {email} to become one.\n\nReason: {reason}\n\nIf that is right, do nothing: {email} is invited after {until}. If it is not, refuse it before then: sign in and send POST /v1/organizations/{id}/recoveries/{recovery}/refuse. Any of you can. An administrator who signs in before then ends it too.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(hours: i64) -> Instant {
        Instant::from_timestamp_millis(1_795_262_400_000 + 3_600_000 * hours).unwrap()
    }

    #[test]
    fn only_what_waits_is_refused_or_taken_back() {
        for &status in RecoveryStatus::ALL {
            assert_eq!(status.check_waiting().is_ok(), status == RecoveryStatus::Announced);
        }
        assert_eq!(judged(true, false), RecoveryStatus::Invited);
        assert!(
            [(true, true), (false, false), (false, true)].iter().all(|(may, seen)| judged(*may, *seen) == RecoveryStatus::Void)
        );
    }

    proptest! {
        /// However often it is tried, a customer whose administrator comes by every three days is never written to, and one that refuses
        /// is written to once in thirty days.
        #[test]
        fn a_living_customer_is_left_in_peace(seen in proptest::option::of(0i64..2000), ended in proptest::option::of(0i64..2000), now in 0i64..2000) {
            let started = check_start(true, seen.map(at), ended.map(at), at(now)).is_ok();
            let lately = |then: Option<i64>, hours| then.is_some_and(|then| then + hours > now);
            prop_assert_eq!(started, !lately(seen, 3 * 24) && !lately(ended, 30 * 24));
            prop_assert!(check_start(false, None, None, at(now)).is_err());
        }
    }
}
