//! Commit contracts: what lets a provider provision a service.

use crate::{Date, Error, Instant, Kind, OrganizationKind, Result, text_enum};

text_enum! {
    /// How a contract is paid.
    pub enum ContractType {
        /// By what was used, without a commitment.
        PayGo = "PAY_GO",
    }
}

text_enum! {
    /// Where a contract stands.
    pub enum ContractStatus {
        /// Drawn up; waits for the operator.
        PendingApproval = "PENDING_APPROVAL",
        /// Approved; waits for its effective date.
        PendingEffectiveDate = "PENDING_EFFECTIVE_DATE",
        /// In force: its provider may provision its service.
        Active = "ACTIVE",
    }
}

/// Refuses an issuer of the wrong kind. The operator may act in any organization, but only it and distributors have
/// something to commit to.
pub fn check_issuer(issuer: OrganizationKind) -> Result<()> {
    if matches!(issuer, OrganizationKind::Operator | OrganizationKind::Distributor) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forbidden,
        "not_an_issuer",
        format!(
            "A commit contract is offered by the OPERATOR or a DISTRIBUTOR, and you act in a {issuer}. Say with the Hub-Organization header which of them offers it."
        ),
    ))
}

impl ContractStatus {
    /// What an approval makes of it at `now`: in force when the effective date has come, else waiting for it.
    pub fn approved(self, effective_date: Date, now: Instant) -> Result<Self> {
        match self {
            Self::PendingApproval if effective_date.start() <= now => Ok(Self::Active),
            Self::PendingApproval => Ok(Self::PendingEffectiveDate),
            other => Err(Error::conflict(
                "contract_not_pending_approval",
                format!("The contract is {other}; only a contract that is PENDING_APPROVAL can be approved."),
            )),
        }
    }

    /// What its effective date makes of it; `None` when that changes nothing (it was activated already).
    pub fn activated(self) -> Option<Self> {
        (self == Self::PendingEffectiveDate).then_some(Self::Active)
    }
}

/// Which of a provider's active contracts for a service a subscription runs on: the one named, or the only one there is.
/// This is the question "may this provider provision this service now, and on which contract" once the store has
/// answered which contracts are in force; whatever provisions asks it.
pub fn choose<C, I: PartialEq>(active: &[C], id: impl Fn(&C) -> I, named: Option<I>) -> Result<&C> {
    match (active, named) {
        ([], _) => Err(Error::conflict(
            "no_active_contract",
            "The provider has no active commit contract for this service. Have one made and approved, then send the request again.",
        )),
        (contracts, Some(named)) => contracts.iter().find(|contract| id(contract) == named).ok_or_else(|| {
            Error::invalid("/contractId", "is not an active contract of this provider for this service; choose one of those, or leave it out when there is only one")
        }),
        ([only], None) => Ok(only),
        (several, None) => Err(Error::invalid(
            "/contractId",
            format!("is needed, since the provider has {} active contracts for this service: name the one to use", several.len()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn an_approval_activates_only_what_has_come_into_effect() {
        let now = "2026-10-01T00:00:00Z".parse().unwrap();
        let approved = |date| ContractStatus::PendingApproval.approved(day(date), now).unwrap();
        assert_eq!(approved("2026-10-01"), ContractStatus::Active);
        assert_eq!(approved("2026-10-02"), ContractStatus::PendingEffectiveDate);
        assert!(ContractStatus::Active.approved(day("2026-10-01"), now).is_err());
        assert_eq!(ContractStatus::Active.activated(), None);
    }

    #[test]
    fn a_subscription_runs_on_the_named_contract_or_the_only_one() {
        let pick = |active: &[u8], named| choose(active, |&id| id, named).copied().map_err(|error| error.code);
        assert_eq!(pick(&[], None), Err("no_active_contract"));
        assert_eq!(pick(&[], Some(1)), Err("no_active_contract"));
        assert_eq!(pick(&[1], None), Ok(1));
        assert_eq!(pick(&[1, 2], Some(2)), Ok(2));
        assert_eq!(pick(&[1, 2], None), Err("invalid_request"));
        assert_eq!(pick(&[1], Some(3)), Err("invalid_request"));
    }
}
