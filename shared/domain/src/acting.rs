//! Acting for a customer: whether it may begin, and when it is over.

use crate::{Error, Instant, Kind, Result, text_enum};
use chrono::TimeDelta;

/// How long a request to act waits for the customer's answer.
pub const LAPSE: TimeDelta = TimeDelta::hours(24);
/// The longest that a session may last, in minutes.
pub const LONGEST_MINUTES: u32 = 8 * 60;

text_enum! {
    /// Whether a customer lets those above it act in it.
    pub enum ActingPolicy {
        /// They may, whenever they say why.
        Allow = "ALLOW",
        /// They may when the customer approves.
        Ask = "ASK",
        /// They may not.
        Refuse = "REFUSE",
    }
}

/// The policy of a customer that has set none. Nobody comes in unasked, and nothing is lost where nobody is there to be asked:
/// what runs a customer is done from the provider, which needs no session for it.
pub const DEFAULT_POLICY: ActingPolicy = ActingPolicy::Ask;

text_enum! {
    /// Where a session stands.
    pub enum ActingSessionStatus {
        /// The customer was asked.
        Pending = "PENDING",
        /// Its principal may act in the customer.
        Open = "OPEN",
        /// The customer said no.
        Refused = "REFUSED",
        /// The customer did not answer in time.
        Lapsed = "LAPSED",
        /// Either side ended it.
        Ended = "ENDED",
        /// Its time was over.
        Expired = "EXPIRED",
    }
}

use ActingSessionStatus::*;

impl ActingPolicy {
    /// How a session of so many minutes begins under this policy: where it stands, and until when.
    pub fn started(self, now: Instant, minutes: u32) -> Result<(ActingSessionStatus, Instant)> {
        match self {
            Self::Allow => Ok((Open, now + TimeDelta::minutes(minutes.into()))),
            Self::Ask => Ok((Pending, now + LAPSE)),
            Self::Refuse => Err(refused()),
        }
    }
}

/// The refusal of whoever would act in a customer that lets nobody.
pub fn refused() -> Error {
    Error::new(
        Kind::Forbidden,
        "acting_refused",
        "The customer lets nobody act in it (its policy is REFUSE). Ask one of its administrators to do it, or to change the policy.",
    )
}

impl ActingSessionStatus {
    /// Where a session that was left there stands at `now`, when it is to last until `until`.
    pub fn at(self, until: Instant, now: Instant) -> Self {
        match self {
            Pending if until <= now => Lapsed,
            Open if until <= now => Expired,
            other => other,
        }
    }

    /// Whether nothing becomes of it any more.
    pub fn is_over(self) -> bool {
        !matches!(self, Pending | Open)
    }

    /// The customer approves a session of so many minutes: until when it lasts.
    pub fn approved(self, now: Instant, minutes: u32) -> Result<Instant> {
        self.answered().map(|()| now + TimeDelta::minutes(minutes.into()))
    }

    /// Refuses when the customer was not asked, or has answered, or was too late.
    pub fn answered(self) -> Result<()> {
        if self == Pending {
            return Ok(());
        }
        Err(Error::conflict(
            "acting_session_not_pending",
            format!("The acting session is {self}; only one that is PENDING can be approved or refused."),
        ))
    }

    /// Refuses when it is over already.
    pub fn ended(self) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        Err(Error::conflict("acting_session_over", format!("The acting session is {self} already, so there is nothing to end.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_pending_is_answered_and_only_what_is_not_over_is_ended() {
        for &status in ActingSessionStatus::ALL {
            assert_eq!(status.answered().is_ok(), status == Pending);
            assert_eq!(status.ended().is_ok(), matches!(status, Pending | Open));
        }
    }

    proptest! {
        /// Whatever is asked and however it goes on, nobody is in longer than agreed, and nobody comes in who was not let in.
        #[test]
        fn a_session_is_open_only_when_let_in_and_no_longer_than_agreed(
            policy in 0usize..3, minutes in 1..=LONGEST_MINUTES, approved_after in 0i64..3_000, looked_after in 0i64..5_000
        ) {
            let now = Instant::from_timestamp_millis(1_795_262_400_000).unwrap();
            let after = |minutes| now + TimeDelta::minutes(minutes);
            let policy = ActingPolicy::ALL[policy];
            let Ok((status, until)) = policy.started(now, minutes) else {
                prop_assert_eq!(policy, ActingPolicy::Refuse);
                return Ok(());
            };
            let looked = after(looked_after);
            let open = status.at(until, looked) == Open;
            if policy == ActingPolicy::Allow {
                prop_assert_eq!(open, looked_after < i64::from(minutes));
            } else {
                prop_assert!(!open);
                let approval = status.at(until, after(approved_after)).approved(after(approved_after), minutes);
                prop_assert_eq!(approval.is_ok(), approved_after < 24 * 60);
                if let Ok(until) = approval {
                    prop_assert_eq!(Open.at(until, looked) == Open, looked_after < approved_after + i64::from(minutes));
                }
            }
        }
    }
}
