//! Approvals: what of all that is asked for a customer the customer wants to be asked about before it is begun.

use crate::{Decimal, Error, FieldError, Id, JsonSchema, Result, id, subscription::SubscriptionAction, text_enum};
use serde::{Deserialize, Serialize};

/// How many days an approval waits for its answer where the policy does not say.
pub const LAPSE_DAYS: u32 = 7;
/// The most days that it may wait.
pub const LONGEST_DAYS: u32 = 90;
/// How many rules a policy may have.
pub const MOST_RULES: usize = 50;

text_enum! {
    /// What is asked for.
    pub enum ApprovalAction {
        /// A service that the customer has not.
        Provision = "PROVISION",
        /// Another plan, quantity or other properties.
        Change = "CHANGE",
        /// Withhold a service.
        Suspend = "SUSPEND",
        /// Give a service again.
        Resume = "RESUME",
        /// A further term, before the present one ends. What is renewed at a term's end was agreed on before, and needs no approval.
        Renew = "RENEW",
        /// Take a service away for good.
        Terminate = "TERMINATE",
    }
}

impl ApprovalAction {
    /// Whether it says how much the customer is to have afterwards.
    pub fn has_quantity(self) -> bool {
        matches!(self, Self::Provision | Self::Change | Self::Renew)
    }

    /// What is done to a subscription; none, where there is no subscription yet.
    pub fn of_subscription(self) -> Option<SubscriptionAction> {
        Some(match self {
            Self::Provision => return None,
            Self::Change => SubscriptionAction::Change,
            Self::Suspend => SubscriptionAction::Suspend,
            Self::Resume => SubscriptionAction::Resume,
            Self::Renew => SubscriptionAction::Renew,
            Self::Terminate => SubscriptionAction::Terminate,
        })
    }
}

text_enum! {
    /// Whose requests.
    pub enum AskedBy {
        /// Whoever's.
        Anybody = "ANYBODY",
        /// Those of the provider's people and of whoever is above it, from outside of the customer or in an acting session.
        Provider = "PROVIDER",
        /// Those of the customer's own people.
        Customer = "CUSTOMER",
    }
}

text_enum! {
    /// Where an approval stands.
    pub enum ApprovalStatus {
        /// The customer was asked.
        Pending = "PENDING",
        /// The customer said yes; it is about to be begun.
        Approved = "APPROVED",
        /// It was begun, by the task that it names.
        Begun = "BEGUN",
        /// The customer said no.
        Rejected = "REJECTED",
        /// Whoever asked did not want it any more.
        Withdrawn = "WITHDRAWN",
        /// The customer did not answer in time.
        Lapsed = "LAPSED",
        /// The customer said yes, but it could not be begun any more.
        Failed = "FAILED",
    }
}

impl From<SubscriptionAction> for ApprovalAction {
    fn from(action: SubscriptionAction) -> Self {
        match action {
            SubscriptionAction::Change => Self::Change,
            SubscriptionAction::Suspend => Self::Suspend,
            SubscriptionAction::Resume => Self::Resume,
            SubscriptionAction::Renew => Self::Renew,
            SubscriptionAction::Terminate => Self::Terminate,
        }
    }
}

impl ApprovalStatus {
    /// Refuses where it was answered already, or need not be any more.
    pub fn check_pending(self) -> Result<()> {
        let way = match self {
            Self::Pending => return Ok(()),
            Self::Approved | Self::Begun => "it was approved; cancel or undo what its task did",
            Self::Rejected | Self::Withdrawn | Self::Lapsed | Self::Failed => "nothing becomes of it any more; ask for it anew",
        };
        Err(Error::conflict(
            "approval_closed",
            format!("The approval is {self}: {way}. Its taskId names the task, if there is one."),
        ))
    }
}

/// What needs an approval.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalRule {
    /// Which requests.
    pub action: ApprovalAction,
    /// Of this service alone; of every one when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<Id<id::Service>>,
    /// Only where the customer is to have more than this afterwards. Of PROVISION, CHANGE and RENEW.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_quantity: Option<Decimal>,
    /// Whose; anybody's when left out.
    #[serde(default = "anybody")]
    pub asked_by: AskedBy,
}

fn anybody() -> AskedBy {
    AskedBy::Anybody
}

/// A request, as far as a customer's approval policy looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What is to be done.
    pub action: ApprovalAction,
    /// For which customer.
    pub organization_id: Id<id::Organization>,
    /// With which service.
    pub service_id: Id<id::Service>,
    /// How much the customer is to have afterwards, where that is said.
    pub quantity: Option<Decimal>,
}

impl Request {
    /// A request after which the customer has so much, where its action has a quantity at all.
    pub fn new(
        action: ApprovalAction,
        organization_id: Id<id::Organization>,
        service_id: Id<id::Service>,
        quantity: Decimal,
    ) -> Self {
        Self { action, organization_id, service_id, quantity: action.has_quantity().then_some(quantity) }
    }
}

/// The caller of a request, as far as a customer's approval policy looks at that.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// Which side makes the request: never [`AskedBy::Anybody`].
    pub side: AskedBy,
    /// Whether the caller may approve requests in the customer, and so needs no approval.
    pub approves: bool,
}

impl ApprovalRule {
    fn holds_for(&self, request: &Request, side: AskedBy) -> bool {
        self.action == request.action
            && self.service_id.is_none_or(|service_id| service_id == request.service_id)
            && (self.asked_by == AskedBy::Anybody || self.asked_by == side)
            && self.above_quantity.is_none_or(|above| request.quantity.is_some_and(|quantity| quantity > above))
    }
}

/// Whether a request needs the customer's approval: a rule holds for it, and its caller may not approve it.
pub fn is_needed(rules: &[ApprovalRule], request: &Request, requester: Requester) -> bool {
    !requester.approves && rules.iter().any(|rule| rule.holds_for(request, requester.side))
}

/// Refuses rules that could never hold, and days out of bounds.
pub fn check_policy(rules: &[ApprovalRule], lapse_days: u32) -> Result<()> {
    let mut faults = Vec::new();
    let mut fault = |pointer: String, detail: String| faults.push(FieldError { pointer, detail });
    if !(1..=LONGEST_DAYS).contains(&lapse_days) {
        fault("/lapseDays".into(), format!("must be from 1 to {LONGEST_DAYS}"));
    }
    for (number, rule) in rules.iter().enumerate() {
        let pointer = format!("/rules/{number}/aboveQuantity");
        match rule.above_quantity {
            Some(_) if !rule.action.has_quantity() => {
                fault(pointer, format!("is nothing that a {} has; say it of PROVISION, CHANGE and RENEW", rule.action));
            }
            Some(above) if above.is_negative() => {
                fault(pointer, "is below zero; leave it out to be asked about every one".into())
            }
            _ => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid_fields(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service(number: usize) -> Id<id::Service> {
        Id::new(crate::Instant::default(), [number as u8; 10])
    }

    fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
        (0..all.len()).prop_map(move |place| all[place])
    }

    prop_compose! {
        fn rule()(
            action in one_of(ApprovalAction::ALL),
            service_number in prop::option::of(0usize..3),
            above in prop::option::of(0u32..5),
            asked_by in one_of(AskedBy::ALL),
        ) -> ApprovalRule {
            ApprovalRule {
                action,
                service_id: service_number.map(service),
                above_quantity: above.filter(|_| action.has_quantity()).map(Decimal::from),
                asked_by,
            }
        }
    }

    prop_compose! {
        fn request()(
            action in one_of(ApprovalAction::ALL),
            service_number in 0usize..3,
            quantity in 1u32..7,
        ) -> Request {
            Request {
                action,
                organization_id: Id::new(crate::Instant::default(), [9; 10]),
                service_id: service(service_number),
                quantity: action.has_quantity().then(|| Decimal::from(quantity)),
            }
        }
    }

    prop_compose! {
        fn requester()(by_customer in any::<bool>()) -> Requester {
            Requester { side: if by_customer { AskedBy::Customer } else { AskedBy::Provider }, approves: false }
        }
    }

    proptest! {
        /// A rule more never takes an approval away, without rules nothing needs one, and who approves needs none.
        #[test]
        fn rules_only_add(
            rules in prop::collection::vec(rule(), 0..6),
            more in rule(),
            request in request(),
            requester in requester(),
        ) {
            prop_assert!(!is_needed(&[], &request, requester));
            let longer: Vec<_> = rules.iter().cloned().chain([more]).collect();
            prop_assert!(is_needed(&longer, &request, requester) || !is_needed(&rules, &request, requester));
            let approver = Requester { approves: true, ..requester };
            prop_assert!(!is_needed(&longer, &request, approver));
            prop_assert!(check_policy(&longer, LAPSE_DAYS).is_ok());
        }

        /// What is left out of a rule widens it: whatever the rule holds for, it holds for without that part.
        #[test]
        fn what_a_rule_does_not_say_narrows_nothing(rule in rule(), request in request(), requester in requester()) {
            let wider = [
                ApprovalRule { service_id: None, ..rule.clone() },
                ApprovalRule { above_quantity: None, ..rule.clone() },
                ApprovalRule { asked_by: AskedBy::Anybody, ..rule.clone() },
            ];
            if rule.holds_for(&request, requester.side) {
                prop_assert!(rule.action == request.action);
                prop_assert!(wider.iter().all(|wider| wider.holds_for(&request, requester.side)));
            }
            let all = ApprovalRule { action: request.action, service_id: None, above_quantity: None, asked_by: AskedBy::Anybody };
            prop_assert!(all.holds_for(&request, requester.side));
        }

        /// A quantity is asked about from just above the bound on, and from there on always.
        #[test]
        fn a_bound_is_not_above_itself(bound in 0u32..1000, quantity in 1u32..1000, base in request(), requester in requester()) {
            let rule = ApprovalRule {
                action: ApprovalAction::Change,
                service_id: None,
                above_quantity: Some(bound.into()),
                asked_by: AskedBy::Anybody,
            };
            let request = Request { action: ApprovalAction::Change, quantity: Some(quantity.into()), ..base };
            prop_assert_eq!(is_needed(&[rule], &request, requester), quantity > bound);
        }
    }

    /// Each part of a rule that a request does not meet makes the rule not hold.
    #[test]
    fn a_rule_holds_only_where_each_of_its_parts_is_met() {
        let rule = ApprovalRule {
            action: ApprovalAction::Change,
            service_id: Some(service(1)),
            above_quantity: Some(10.into()),
            asked_by: AskedBy::Provider,
        };
        let met = Request {
            action: ApprovalAction::Change,
            organization_id: Id::new(crate::Instant::default(), [9; 10]),
            service_id: service(1),
            quantity: Some(11.into()),
        };
        assert!(rule.holds_for(&met, AskedBy::Provider) && !rule.holds_for(&met, AskedBy::Customer));
        for unmet in [
            Request { action: ApprovalAction::Renew, ..met },
            Request { service_id: service(2), ..met },
            Request { quantity: Some(10.into()), ..met },
            Request { quantity: None, ..met },
        ] {
            assert!(!rule.holds_for(&unmet, AskedBy::Provider), "{unmet:?}");
        }
    }

    #[test]
    fn rules_that_could_never_hold_are_refused() {
        let rule = |action, above: &str| ApprovalRule {
            action,
            service_id: None,
            above_quantity: Some(above.parse().unwrap()),
            asked_by: AskedBy::Anybody,
        };
        let rules = [rule(ApprovalAction::Change, "10"), rule(ApprovalAction::Suspend, "1"), rule(ApprovalAction::Renew, "-1")];
        let refused = check_policy(&rules, 91).unwrap_err();
        let pointers: Vec<_> = refused.fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/lapseDays", "/rules/1/aboveQuantity", "/rules/2/aboveQuantity"]);
        assert!(check_policy(&rules[..1], 1).is_ok() && check_policy(&[], 0).is_err());
    }

    #[test]
    fn only_what_is_pending_is_answered() {
        for &status in ApprovalStatus::ALL {
            assert_eq!(status.check_pending().is_ok(), status == ApprovalStatus::Pending, "{status}");
        }
    }
}
