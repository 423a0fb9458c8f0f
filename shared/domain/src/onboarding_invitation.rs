//! Invitations to providers that have contracts and no organization yet.

use crate::{Error, Instant, Result, text_enum};
use chrono::TimeDelta;

text_enum! {
    /// Where an onboarding invitation stands.
    pub enum OnboardingInvitationStatus {
        /// It can be accepted.
        Pending = "PENDING",
        /// It was, and the provider has its organization.
        Accepted = "ACCEPTED",
        /// Its issuer took it back.
        Revoked = "REVOKED",
        /// Its time is over.
        Expired = "EXPIRED",
    }
}

/// For how long an invitation is good, and again each time it is sent.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);

impl OnboardingInvitationStatus {
    /// The status at `now` of one that was stored as this.
    pub fn at(self, expires_at: Instant, now: Instant) -> Self {
        if self == Self::Pending && expires_at <= now { Self::Expired } else { self }
    }

    /// Refuses to send an invitation again, or to take it back, once it was accepted.
    pub fn check_open(self) -> Result<()> {
        if self == Self::Accepted {
            return Err(Error::conflict(
                "onboarding_invitation_accepted",
                "The invitation was accepted, and the provider has its organization. There is nothing left to send or to revoke.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_pending_expires() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let end = at("2026-12-01T00:00:00Z");
        let status = |stored: OnboardingInvitationStatus, now: &str| stored.at(end, at(now));
        assert_eq!(status(OnboardingInvitationStatus::Pending, "2026-11-30T23:59:59Z"), OnboardingInvitationStatus::Pending);
        assert_eq!(status(OnboardingInvitationStatus::Pending, "2026-12-01T00:00:00Z"), OnboardingInvitationStatus::Expired);
        assert_eq!(status(OnboardingInvitationStatus::Accepted, "2027-01-01T00:00:00Z"), OnboardingInvitationStatus::Accepted);
        assert!(
            OnboardingInvitationStatus::Accepted.check_open().is_err()
                && OnboardingInvitationStatus::Revoked.check_open().is_ok()
        );
    }
}
