//! Commit contracts: what lets a provider provision a service.
//!
//! A contract's status is decided by [`TABLE`] alone: what people do to it and what its dates do are events, and an event
//! that the table does not have for the present status is refused. The dates are looked at by [`due`], so that a contract
//! is in force or over on its day even when the job that says so is late.

use crate::{
    Currency, Date, Decimal, Error, FieldError, Instant, JsonSchema, Kind, List, Money, OrganizationKind, Result, Text,
    person::Email, service::ProductFamily, text_enum,
};

text_enum! {
    /// How a contract is paid.
    pub enum ContractType {
        /// By what was used, without a commitment.
        PayGo = "PAY_GO",
        /// In advance, for a commitment over a term.
        Prepay = "PREPAY",
        /// As agreed, for a commitment over a term.
        Custom = "CUSTOM",
    }
}

text_enum! {
    /// Where a contract stands.
    pub enum ContractStatus {
        /// Being drawn up; its issuer can amend it.
        Draft = "DRAFT",
        /// Being entered by another system.
        CreateInProcess = "CREATE_IN_PROCESS",
        /// Drawn up; waits for the operator.
        PendingApproval = "PENDING_APPROVAL",
        /// Approved; waits for its effective date.
        PendingEffectiveDate = "PENDING_EFFECTIVE_DATE",
        /// In force: its provider may provision its service.
        Active = "ACTIVE",
        /// Its end has come and its grace term runs: what was provisioned goes on, nothing new is.
        PendingExpiration = "PENDING_EXPIRATION",
        /// In force until the day on which it is terminated.
        PendingTermination = "PENDING_TERMINATION",
        /// The operator did not approve it; its issuer can take it back to a draft.
        Rejected = "REJECTED",
        /// Over by its dates.
        Expired = "EXPIRED",
        /// Ended before its time.
        Terminated = "TERMINATED",
        /// Stopped by the operator, until the operator lets it go on.
        Deactivated = "DEACTIVATED",
    }
}

text_enum! {
    /// What happens to a contract.
    pub enum ContractEvent {
        /// Its issuer sends it for approval.
        Submit = "SUBMIT",
        /// Its issuer takes it back to amend it.
        Redraft = "REDRAFT",
        /// The operator approves it.
        Approve = "APPROVE",
        /// The operator does not.
        Reject = "REJECT",
        /// Its effective date comes.
        TakeEffect = "TAKE_EFFECT",
        /// Its end comes.
        EndTerm = "END_TERM",
        /// Its grace term is over.
        Expire = "EXPIRE",
        /// Its issuer names the day of its termination.
        ScheduleTermination = "SCHEDULE_TERMINATION",
        /// Its issuer takes that back.
        CancelTermination = "CANCEL_TERMINATION",
        /// It is terminated: that day comes, or is today.
        Terminate = "TERMINATE",
        /// The operator stops it.
        Deactivate = "DEACTIVATE",
        /// The operator lets it go on.
        Reactivate = "REACTIVATE",
    }
}

use ContractEvent as Event;
use ContractStatus::*;

/// The state machine: from which status which event leads where. There is no other way from one status to another.
pub const TABLE: &[(ContractStatus, Event, ContractStatus)] = &[
    (Draft, Event::Submit, PendingApproval),
    (Draft, Event::Terminate, Terminated),
    (CreateInProcess, Event::Submit, PendingApproval),
    (CreateInProcess, Event::Redraft, Draft),
    (PendingApproval, Event::Redraft, Draft),
    (PendingApproval, Event::Approve, PendingEffectiveDate),
    (PendingApproval, Event::Reject, Rejected),
    (Rejected, Event::Redraft, Draft),
    (PendingEffectiveDate, Event::TakeEffect, Active),
    (PendingEffectiveDate, Event::Terminate, Terminated),
    (Active, Event::EndTerm, PendingExpiration),
    (Active, Event::ScheduleTermination, PendingTermination),
    (Active, Event::Terminate, Terminated),
    (Active, Event::Deactivate, Deactivated),
    (PendingExpiration, Event::Expire, Expired),
    (PendingExpiration, Event::Terminate, Terminated),
    (PendingExpiration, Event::Deactivate, Deactivated),
    (PendingTermination, Event::CancelTermination, Active),
    (PendingTermination, Event::Terminate, Terminated),
    (Deactivated, Event::Reactivate, Active),
    (Deactivated, Event::Expire, Expired),
    (Deactivated, Event::Terminate, Terminated),
];

impl ContractStatus {
    /// Where an event leads from here; `None` where the table has none.
    pub fn after(self, event: Event) -> Option<Self> {
        TABLE.iter().find(|(from, by, _)| (*from, *by) == (self, event)).map(|(_, _, to)| *to)
    }

    /// Where what somebody does leads from here. A refusal says from where it would.
    pub fn on(self, event: Event) -> Result<Self> {
        self.after(event).ok_or_else(|| {
            let from: Vec<_> = TABLE.iter().filter(|(_, by, _)| *by == event).map(|(from, _, _)| from.as_str()).collect();
            // The first of them has had its code since before there were others.
            let code = if event == Event::Approve { "contract_not_pending_approval" } else { "contract_status" };
            Error::conflict(
                code,
                format!("The contract is {self}; only a contract that is {} can take the event {event}.", from.join(" or ")),
            )
        })
    }

    /// Whether its provider may provision on it.
    pub fn is_in_force(self) -> bool {
        matches!(self, Active | PendingTermination)
    }

    /// Whether it is over, or never came to be, for good.
    pub fn is_over(self) -> bool {
        matches!(self, Expired | Terminated)
    }
}

/// The days that decide about a contract, in UTC. Each is the first day on which something holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dates {
    /// It is in force.
    pub effective: Date,
    /// It is not any more; never, when absent.
    pub end: Option<Date>,
    /// Its grace term is over; `end` itself when it has none.
    pub grace_end: Option<Date>,
    /// It is terminated, as its issuer said.
    pub termination: Option<Date>,
}

/// The day on which something happens by itself to a contract that stands there, and what.
pub fn scheduled(status: ContractStatus, dates: &Dates) -> Option<(Date, Event)> {
    match status {
        PendingEffectiveDate => Some((dates.effective, Event::TakeEffect)),
        Active => dates.end.map(|day| (day, Event::EndTerm)),
        PendingExpiration | Deactivated => dates.grace_end.map(|day| (day, Event::Expire)),
        PendingTermination => dates.termination.map(|day| (day, Event::Terminate)),
        _ => None,
    }
}

/// What its dates do to a contract at `now`, if anything.
pub fn due(status: ContractStatus, dates: &Dates, now: Instant) -> Option<Event> {
    scheduled(status, dates).filter(|(day, _)| day.start() <= now).map(|(_, event)| event)
}

/// Where a contract really stands at `now`: its stored status, and whatever its dates have done to it since.
pub fn status_at(mut status: ContractStatus, dates: &Dates, now: Instant) -> ContractStatus {
    while let Some(next) = due(status, dates, now).and_then(|event| status.after(event)) {
        status = next;
    }
    status
}

/// What a termination on this day is: at once, or scheduled. Refused when the contract is over by then anyway.
pub fn termination(status: ContractStatus, dates: &Dates, on: Option<Date>, now: Instant) -> Result<Event> {
    match on {
        None => Ok(Event::Terminate),
        Some(day) if day.start() <= now => {
            Err(Error::invalid("/on", "is not after today; choose a later day, or leave it out to terminate at once"))
        }
        Some(day) if dates.end.is_some_and(|end| day >= end) && status == Active => {
            Err(Error::invalid("/on", "is not before the contract's end; choose an earlier day, or let it expire"))
        }
        Some(_) => Ok(Event::ScheduleTermination),
    }
}

/// Somebody to turn to.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contact {
    /// Given name.
    pub first_name: Text<1, 80>,
    /// Family name.
    pub last_name: Text<1, 80>,
    /// Mail address.
    pub email: Email,
}

/// The most months of a term.
pub const MONTHS: u32 = 120;

/// What was agreed in a contract beyond who, what and when. Which of it a contract has follows from its type; what its type
/// does not have is taken and not kept.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Terms {
    /// For how many months; of PREPAY and CUSTOM.
    pub term: Option<u32>,
    /// How many months after its end what was provisioned may go on.
    pub grace_term: Option<u32>,
    /// The first day (UTC) on which it is no longer in force: `term` months after the effective date, or, of PAY_GO, as
    /// agreed; never, when absent.
    pub end_date: Option<Date>,
    /// In percent of the list price; of PREPAY and CUSTOM.
    pub discount: Option<Decimal>,
    /// The service provider factor; of PREPAY and CUSTOM.
    pub spf: Option<Decimal>,
    /// The least that is charged in each calendar month; of PREPAY and CUSTOM.
    pub min_commits: Option<List<Money, 121>>,
    /// What is paid in advance; of PREPAY.
    pub prepayment: Option<Money>,
    /// Below which balance of the prepayment the parties are told; of PREPAY.
    pub trigger_point: Option<Money>,
    /// Above which use in a month the issuer is told; needed for services of the family MSP.
    pub threshold: Option<Money>,
    /// Who gets the licenses; needed for services of the families RENTAL, SOV and LPCAAS.
    pub license_contact: Option<Contact>,
    /// Whom to turn to at the provider.
    pub provider_contact: Option<Contact>,
    /// Where it holds, in the parties' own words.
    pub region: Option<Text<1, 80>>,
    /// The issuer's purchase order.
    pub purchase_order: Option<Text<1, 80>>,
    /// What a point costs.
    pub selling_price_per_point: Option<Decimal>,
}

text_enum! {
    /// What the parties of a contract are told when use comes to it.
    pub enum ContractAlert {
        /// More was used in a month than the threshold.
        ThresholdExceeded = "THRESHOLD_EXCEEDED",
        /// Less is left of the prepayment than the trigger point.
        PrepaymentLow = "PREPAYMENT_LOW",
    }
}

/// What was used on a contract, in minor units of its currency, before some use became known and after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Used {
    /// In the month of that use.
    pub month: (i64, i64),
    /// In all.
    pub all: (i64, i64),
}

/// What the rules about terms depend on.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// How the contract is paid.
    pub contract_type: ContractType,
    /// The family of its service.
    pub family: ProductFamily,
    /// The first day on which it is in force.
    pub effective_date: Date,
    /// The currency of all its amounts.
    pub currency: Currency,
}

impl Terms {
    /// The terms as they are kept, or everything that is against the rules.
    pub fn checked(mut self, frame: Frame) -> Result<Self> {
        let committed = frame.contract_type != ContractType::PayGo;
        if committed {
            if frame.contract_type != ContractType::Prepay {
                (self.prepayment, self.trigger_point) = (None, None);
            }
        } else {
            (self.term, self.discount, self.spf, self.min_commits) = (None, None, None, None);
            (self.prepayment, self.trigger_point) = (None, None);
        }
        let mut wrong = Wrong::default();
        for (pointer, months) in [("/term", self.term), ("/graceTerm", self.grace_term)] {
            wrong.when(months.is_some_and(|months| !(1..=MONTHS).contains(&months)), pointer, "must be 1 to 120 months");
        }
        let by = frame.contract_type;
        if committed {
            wrong.missing(self.term.is_none(), "/term", by);
            wrong.missing(self.discount.is_none(), "/discount", by);
            wrong.missing(self.spf.is_none(), "/spf", by);
            wrong.missing(self.min_commits.is_none() && frame.family != ProductFamily::Velo, "/minCommits", by);
            wrong.missing(self.prepayment.is_none() && by == ContractType::Prepay, "/prepayment", by);
        }
        let needs_license = matches!(frame.family, ProductFamily::Rental | ProductFamily::Sov | ProductFamily::Lpcaas);
        wrong.missing(needs_license && self.license_contact.is_none(), "/licenseContact", frame.family);
        wrong.missing(frame.family == ProductFamily::Msp && self.threshold.is_none(), "/threshold", frame.family);
        let hundred = Decimal::from(100);
        let not_percent = |discount: Decimal| discount.is_negative() || discount > hundred;
        wrong.when(self.discount.is_some_and(not_percent), "/discount", "must be 0 to 100 percent");
        wrong.when(self.spf.is_some_and(|spf| spf <= Decimal::ZERO), "/spf", "must be above zero");
        wrong.when(
            self.selling_price_per_point.is_some_and(Decimal::is_negative),
            "/sellingPricePerPoint",
            "must not be below zero",
        );
        for (pointer, amount) in
            [("/prepayment", self.prepayment), ("/triggerPoint", self.trigger_point), ("/threshold", self.threshold)]
        {
            wrong.amount(pointer, amount, frame.currency);
        }
        self.check_end(frame, committed, &mut wrong);
        self.check_commits(frame, &mut wrong);
        wrong.none()?;
        Ok(self)
    }

    /// The end follows from the term, where there is one; the grace term is counted from the end.
    fn check_end(&mut self, frame: Frame, committed: bool, wrong: &mut Wrong) {
        if committed {
            let end = self.term.and_then(|term| frame.effective_date.months_later(term.min(MONTHS)));
            wrong.when(self.term.is_some() && end.is_none(), "/term", "ends after the year 2999; choose a shorter one");
            wrong.when(
                self.end_date.is_some() && self.end_date != end,
                "/endDate",
                "follows from effectiveDate and term; leave it out",
            );
            self.end_date = end;
        } else {
            let ends_before = self.end_date.is_some_and(|end| end <= frame.effective_date);
            wrong.when(ends_before, "/endDate", "must be after effectiveDate");
            wrong.when(
                self.grace_term.is_some() && self.end_date.is_none(),
                "/graceTerm",
                "is counted from the contract's end; say endDate as well, or leave it out",
            );
        }
    }

    /// One amount for each calendar month that the term touches. A term that begins within a month ends within one, and
    /// these two parts make up one month.
    fn check_commits(&self, frame: Frame, wrong: &mut Wrong) {
        let Some(commits) = &self.min_commits else { return };
        for (index, commit) in commits.iter().enumerate() {
            wrong.amount(&format!("/minCommits/{index}"), Some(*commit), frame.currency);
        }
        let Some(term) = self.term else { return };
        let months = term.min(MONTHS) as usize + usize::from(!frame.effective_date.begins_month());
        if commits.len() != months {
            let text = format!(
                "has {} amounts; a term of {term} months from {} touches {months} calendar months, and each has its own",
                commits.len(),
                frame.effective_date
            );
            return wrong.when(true, "/minCommits", text);
        }
        let sum = |amounts: &[Money]| {
            amounts
                .iter()
                .try_fold(Money::zero(frame.currency), |sum, amount| sum.checked_add(*amount))
                .map(|sum| sum.minor_units)
        };
        if let [first, whole @ .., last] = &commits[..]
            && let (Some(least), Some(most)) =
                (whole.iter().map(|month| month.minor_units).min(), whole.iter().map(|month| month.minor_units).max())
            && !frame.effective_date.begins_month()
        {
            let parts = sum(&[*first, *last]);
            wrong.when(
                !parts.is_some_and(|parts| (least..=most).contains(&parts)),
                "/minCommits",
                "begins and ends with parts of a month, which must add up to one whole month",
            );
        }
        let Some(all) = sum(commits) else {
            return wrong.when(true, "/minCommits", "adds up to more than an amount can hold, or in another currency");
        };
        wrong.when(
            self.prepayment.is_some_and(|prepayment| prepayment.minor_units < all),
            "/prepayment",
            format!("must be at least the sum of minCommits, {all} minor units"),
        );
    }

    /// Whether anybody is told of use.
    pub fn are_watched(&self) -> bool {
        self.threshold.is_some() || (self.prepayment.is_some() && self.trigger_point.is_some())
    }

    /// What the parties are told because of some use. Use is only ever added, so each is told once: the threshold once a month.
    pub fn crossed(&self, used: Used) -> Vec<ContractAlert> {
        let mut alerts = Vec::new();
        if let Some(threshold) = self.threshold
            && used.month.0 <= threshold.minor_units
            && used.month.1 > threshold.minor_units
        {
            alerts.push(ContractAlert::ThresholdExceeded);
        }
        if let (Some(prepayment), Some(trigger)) = (self.prepayment, self.trigger_point) {
            let left = |used: i64| i128::from(prepayment.minor_units) - i128::from(used);
            let trigger = i128::from(trigger.minor_units);
            if left(used.all.0) >= trigger && left(used.all.1) < trigger {
                alerts.push(ContractAlert::PrepaymentLow);
            }
        }
        alerts
    }

    /// The dates of a contract with these terms.
    pub fn dates(&self, effective: Date, termination: Option<Date>) -> Dates {
        let grace_end = self.end_date.map(|end| end.months_later(self.grace_term.unwrap_or(0)).unwrap_or(end));
        Dates { effective, end: self.end_date, grace_end, termination }
    }
}

/// The fields found wrong so far.
#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn when(&mut self, wrong: bool, pointer: &str, detail: impl Into<String>) {
        if wrong {
            self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        }
    }

    fn missing(&mut self, missing: bool, pointer: &str, by: impl std::fmt::Display) {
        if missing {
            self.when(true, pointer, format!("is missing; {by} needs it"));
        }
    }

    fn amount(&mut self, pointer: &str, amount: Option<Money>, currency: Currency) {
        let Some(amount) = amount else { return };
        self.when(amount.minor_units < 0, pointer, "must not be below zero");
        self.when(amount.currency != currency, pointer, format!("must be in the contract's currency, {currency}"));
    }

    fn none(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid_fields(self.0)) }
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

/// Which of a provider's contracts in force for a service a subscription runs on: the one named, or the default, or the
/// only one there is. `of` gives a contract's id and whether it is the default.
pub fn choose<C, I: PartialEq>(in_force: &[C], of: impl Fn(&C) -> (I, bool), named: Option<I>) -> Result<&C> {
    match (in_force, named) {
        ([], _) => Err(Error::conflict(
            "no_active_contract",
            "The provider has no active commit contract for this service. Have one made and approved, then send the request again.",
        )),
        (contracts, Some(named)) => contracts.iter().find(|contract| of(contract).0 == named).ok_or_else(|| {
            Error::invalid("/contractId", "is not an active contract of this provider for this service; choose one of those, or leave it out when there is only one or a default")
        }),
        ([only], None) => Ok(only),
        (several, None) => several.iter().find(|contract| of(contract).1).ok_or_else(|| {
            Error::invalid(
                "/contractId",
                format!("is needed, since the provider has {} active contracts for this service and none is the default: name the one to use", several.len()),
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Instant {
        day(text).start()
    }

    fn usd(minor_units: i64) -> Money {
        Money { minor_units, currency: "USD".parse().unwrap() }
    }

    fn frame(contract_type: ContractType, effective: &str) -> Frame {
        Frame { contract_type, family: ProductFamily::Srv, effective_date: day(effective), currency: "USD".parse().unwrap() }
    }

    fn commits(amounts: &[i64]) -> Option<List<Money, 121>> {
        Some(List::new(amounts.iter().map(|amount| usd(*amount)).collect()).unwrap())
    }

    /// A year from 21 March, ten a month.
    fn year() -> Terms {
        let mut amounts = vec![10; 13];
        (amounts[0], amounts[12]) = (3, 7);
        Terms {
            term: Some(12),
            discount: Some("5".parse().unwrap()),
            spf: Some("1".parse().unwrap()),
            min_commits: commits(&amounts),
            prepayment: Some(usd(120)),
            ..Terms::default()
        }
    }

    fn pointers(outcome: Result<Terms>) -> Vec<String> {
        outcome.unwrap_err().fields.into_iter().map(|field| field.pointer).collect()
    }

    #[test]
    fn every_status_and_event_is_in_the_table_once_and_every_status_can_be_reached() {
        for (index, (from, event, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[..index].iter().all(|(other, by, _)| (other, by) != (from, event)), "{from} {event}");
        }
        for event in Event::ALL {
            assert!(TABLE.iter().any(|(_, by, _)| by == event), "{event}");
        }
        // What another system enters begins as CREATE_IN_PROCESS; everything else begins as a draft.
        for &status in ContractStatus::ALL.iter().filter(|status| !matches!(status, Draft | CreateInProcess)) {
            assert!(TABLE.iter().any(|(_, _, to)| *to == status), "{status}");
        }
        for &status in ContractStatus::ALL {
            assert_eq!(status.is_over(), TABLE.iter().all(|(from, _, _)| *from != status), "{status}");
        }
    }

    #[test]
    fn a_contract_is_in_force_from_its_start_until_its_end_and_over_after_it() {
        for &status in ContractStatus::ALL {
            assert_eq!(status.is_in_force(), matches!(status, Active | PendingTermination), "{status}");
            assert_eq!(status.is_over(), matches!(status, Expired | Terminated), "{status}");
        }
    }

    #[test]
    fn only_the_operator_and_distributors_issue_contracts() {
        for &kind in OrganizationKind::ALL {
            let may = matches!(kind, OrganizationKind::Operator | OrganizationKind::Distributor);
            let refusal = check_issuer(kind).err();
            assert_eq!(refusal.as_ref().map(|refusal| refusal.code), (!may).then_some("not_an_issuer"), "{kind}");
        }
    }

    #[test]
    fn usage_is_watched_for_a_threshold_or_for_a_trigger_point_of_a_prepayment() {
        let terms = |threshold, prepayment, trigger_point| Terms { threshold, prepayment, trigger_point, ..Terms::default() };
        for (terms, watched) in [
            (terms(None, None, None), false),
            (terms(Some(usd(1)), None, None), true),
            (terms(None, Some(usd(1)), None), false),
            (terms(None, None, Some(usd(80))), false),
            (terms(None, Some(usd(1)), Some(usd(80))), true),
        ] {
            assert_eq!(terms.are_watched(), watched, "{terms:?}");
        }
    }

    #[test]
    fn a_refused_event_says_from_where_it_is_possible() {
        let refused = Active.on(Event::Approve).unwrap_err();
        assert_eq!(refused.code, "contract_not_pending_approval");
        let refused = Expired.on(Event::Terminate).unwrap_err();
        assert!(refused.public.contains("EXPIRED") && refused.public.contains("PENDING_TERMINATION"), "{}", refused.public);
    }

    #[test]
    fn the_dates_do_what_they_say_and_nothing_twice() {
        let dates =
            Terms { end_date: Some(day("2027-01-01")), grace_term: Some(2), ..Terms::default() }.dates(day("2026-10-01"), None);
        assert_eq!(dates.grace_end, Some(day("2027-03-01")));
        for (now, status) in [
            ("2026-09-30", PendingEffectiveDate),
            ("2026-10-01", Active),
            ("2026-12-31", Active),
            ("2027-01-01", PendingExpiration),
            ("2027-02-28", PendingExpiration),
            ("2027-03-01", Expired),
        ] {
            assert_eq!(status_at(PendingEffectiveDate, &dates, at(now)), status, "{now}");
        }
        assert_eq!(status_at(Deactivated, &dates, at("2027-01-01")), Deactivated);
        assert_eq!(status_at(Deactivated, &dates, at("2027-03-01")), Expired);
        let ends = Dates { termination: Some(day("2026-12-01")), ..dates };
        assert_eq!(status_at(PendingTermination, &ends, at("2026-11-30")), PendingTermination);
        assert_eq!(status_at(PendingTermination, &ends, at("2026-12-01")), Terminated);
        let endless = Terms::default().dates(day("2026-10-01"), None);
        assert_eq!(status_at(Active, &endless, at("2999-01-01")), Active);
    }

    #[test]
    fn a_termination_is_before_the_end() {
        let dates = Terms { end_date: Some(day("2027-01-01")), ..Terms::default() }.dates(day("2026-10-01"), None);
        let ask = |on: Option<&str>| termination(Active, &dates, on.map(day), at("2026-11-01"));
        assert_eq!(ask(None), Ok(Event::Terminate));
        assert_eq!(ask(Some("2026-12-31")), Ok(Event::ScheduleTermination));
        assert!(ask(Some("2026-11-01")).is_err() && ask(Some("2027-01-01")).is_err());
    }

    #[test]
    fn a_commitment_has_what_its_type_needs() {
        let prepay = frame(ContractType::Prepay, "2026-03-21");
        let kept = year().checked(prepay).unwrap();
        assert_eq!(kept.end_date, Some(day("2027-03-21")));
        assert_eq!(pointers(Terms::default().checked(prepay)), ["/term", "/discount", "/spf", "/minCommits", "/prepayment"]);
        let custom = Terms { prepayment: None, ..year() }.checked(frame(ContractType::Custom, "2026-03-21")).unwrap();
        assert_eq!(custom.prepayment, None);
        let velo = Frame { family: ProductFamily::Velo, ..prepay };
        assert!(Terms { min_commits: None, ..year() }.checked(velo).is_ok());
    }

    #[test]
    fn pay_go_has_no_commitment() {
        let kept = Terms { trigger_point: Some(usd(1)), ..year() }.checked(frame(ContractType::PayGo, "2026-03-21")).unwrap();
        assert_eq!(kept, Terms::default());
        let grace = Terms { grace_term: Some(1), ..Terms::default() };
        assert_eq!(pointers(grace.checked(frame(ContractType::PayGo, "2026-03-21"))), ["/graceTerm"]);
        let ends =
            |end: &str| Terms { end_date: Some(day(end)), ..Terms::default() }.checked(frame(ContractType::PayGo, "2026-03-21"));
        assert!(ends("2026-03-22").is_ok());
        assert_eq!(pointers(ends("2026-03-21")), ["/endDate"]);
    }

    #[test]
    fn families_need_their_own() {
        let needs = |family| pointers(Terms::default().checked(Frame { family, ..frame(ContractType::PayGo, "2026-03-01") }));
        assert_eq!(needs(ProductFamily::Msp), ["/threshold"]);
        for family in [ProductFamily::Rental, ProductFamily::Sov, ProductFamily::Lpcaas] {
            assert_eq!(needs(family), ["/licenseContact"], "{family}");
        }
    }

    #[test]
    fn commits_are_one_a_calendar_month() {
        let check = |effective: &str, amounts: &[i64], term| {
            Terms { min_commits: commits(amounts), term: Some(term), ..year() }.checked(frame(ContractType::Prepay, effective))
        };
        assert!(check("2026-03-01", &[10; 12], 12).is_ok());
        assert_eq!(pointers(check("2026-03-01", &[9; 13], 12)), ["/minCommits"]);
        assert_eq!(pointers(check("2026-03-21", &[10; 12], 12)), ["/minCommits"]);
        // Two parts that make more, or less, than the months between them.
        assert_eq!(pointers(check("2026-03-21", &[3, 10, 8], 2)), ["/minCommits"]);
        assert_eq!(pointers(check("2026-03-21", &[3, 10, 6], 2)), ["/minCommits"]);
        assert!(check("2026-03-21", &[3, 10, 20, 15], 3).is_ok());
        assert!(check("2026-03-21", &[3, 7], 1).is_ok());
        assert_eq!(pointers(check("2026-03-01", &[120, 1], 2)), ["/prepayment"]);
        assert_eq!(pointers(check("2026-03-01", &[-1, 1], 2)), ["/minCommits/0"]);
        assert_eq!(pointers(check("2026-03-01", &[i64::MAX, 1], 2)), ["/minCommits"]);
        let euros = Terms { prepayment: Some(Money { minor_units: 500, currency: "EUR".parse().unwrap() }), ..year() };
        assert_eq!(pointers(euros.checked(frame(ContractType::Prepay, "2026-03-21"))), ["/prepayment"]);
    }

    #[test]
    fn numbers_have_bounds() {
        let with = |terms: Terms| pointers(terms.checked(frame(ContractType::Prepay, "2026-03-21")));
        assert_eq!(with(Terms { discount: Some("100.1".parse().unwrap()), ..year() }), ["/discount"]);
        assert_eq!(with(Terms { discount: Some("-1".parse().unwrap()), ..year() }), ["/discount"]);
        assert_eq!(with(Terms { spf: Some("0".parse().unwrap()), ..year() }), ["/spf"]);
        assert_eq!(with(Terms { grace_term: Some(121), ..year() }), ["/graceTerm"]);
        assert_eq!(with(Terms { trigger_point: Some(usd(-1)), ..year() }), ["/triggerPoint"]);
        assert!(with(Terms { term: Some(0), ..year() }).contains(&"/term".to_owned()));
        assert!(with(Terms { term: Some(u32::MAX), ..year() }).contains(&"/term".to_owned()));
    }

    #[test]
    fn a_subscription_runs_on_the_named_contract_or_the_default_or_the_only_one() {
        let pick =
            |in_force: &[(u8, bool)], named| choose(in_force, |&of| of, named).map(|(id, _)| *id).map_err(|error| error.code);
        assert_eq!(pick(&[], None), Err("no_active_contract"));
        assert_eq!(pick(&[], Some(1)), Err("no_active_contract"));
        assert_eq!(pick(&[(1, false)], None), Ok(1));
        assert_eq!(pick(&[(1, true), (2, false)], Some(2)), Ok(2));
        assert_eq!(pick(&[(1, false), (2, false)], None), Err("invalid_request"));
        assert_eq!(pick(&[(1, false), (2, true)], None), Ok(2));
        assert_eq!(pick(&[(1, false)], Some(3)), Err("invalid_request"));
    }

    proptest! {
        /// Whatever is done in whatever order: a contract is only ever where the table leads, and what is over stays over.
        #[test]
        fn no_sequence_of_events_leaves_the_table(events in prop::collection::vec(prop::sample::select(Event::ALL), 0..40)) {
            let mut status = Draft;
            for event in events {
                let before = status;
                match status.on(event) {
                    Ok(next) => {
                        prop_assert!(TABLE.contains(&(before, event, next)));
                        prop_assert!(!before.is_over());
                        status = next;
                    }
                    Err(error) => {
                        prop_assert!(TABLE.iter().all(|(from, by, _)| (*from, *by) != (before, event)));
                        prop_assert_eq!(error.kind, Kind::Conflict);
                    }
                }
            }
        }

        /// Looking at the dates once late is the same as looking every day, and looking again changes nothing.
        #[test]
        fn the_dates_come_to_the_same_however_often_they_are_looked_at(
            status in prop::sample::select(ContractStatus::ALL), term in 1u32..40, grace in 0u32..5, ends in 0u32..40, day_of in 0u32..60,
        ) {
            let effective = day("2026-03-21");
            let terms = Terms { end_date: effective.months_later(term), grace_term: (grace > 0).then_some(grace), ..Terms::default() };
            let dates = terms.dates(effective, effective.months_later(ends));
            let at_last = effective.months_later(day_of).unwrap().start();
            let mut stepwise = status;
            for month in 0..=day_of {
                stepwise = status_at(stepwise, &dates, effective.months_later(month).unwrap().start());
            }
            let once = status_at(status, &dates, at_last);
            prop_assert_eq!(once, stepwise);
            prop_assert_eq!(due(once, &dates, at_last), None);
        }

        #[test]
        fn even_commits_are_always_right(day_of_month in 1u32..29, term in 1u32..=120, part in 0i64..=1000) {
            let effective = format!("2026-03-{day_of_month:02}");
            let mut amounts = vec![1000; term as usize + usize::from(day_of_month > 1)];
            if day_of_month > 1 {
                let last = amounts.len() - 1;
                (amounts[0], amounts[last]) = (part, 1000 - part);
            }
            let terms = Terms {
                term: Some(term), min_commits: commits(&amounts), prepayment: Some(usd(1000 * i64::from(term))), ..year()
            };
            prop_assert!(terms.checked(frame(ContractType::Prepay, &effective)).is_ok());
        }
    }

    fn watched(threshold: Option<i64>, prepayment: Option<i64>, trigger: Option<i64>) -> Terms {
        let money =
            |minor_units: Option<i64>| minor_units.map(|minor_units| Money { minor_units, currency: "USD".parse().unwrap() });
        Terms { threshold: money(threshold), prepayment: money(prepayment), trigger_point: money(trigger), ..Terms::default() }
    }

    #[test]
    fn the_parties_are_told_when_it_is_crossed_and_not_when_it_is_reached() {
        let terms = watched(Some(100), Some(1000), Some(200));
        let crossed = |month, all| terms.crossed(Used { month, all });
        assert_eq!(crossed((0, 100), (0, 100)), []);
        assert_eq!(crossed((100, 101), (100, 101)), [ContractAlert::ThresholdExceeded]);
        assert_eq!(crossed((101, 500), (101, 500)), []);
        // 200 are left at 800.
        assert_eq!(crossed((0, 50), (750, 800)), []);
        assert_eq!(crossed((50, 51), (800, 801)), [ContractAlert::PrepaymentLow]);
        assert_eq!(crossed((51, 900), (801, 1650)), [ContractAlert::ThresholdExceeded]);
        assert_eq!(crossed((0, i64::MAX), (0, i64::MAX)).len(), 2);
        assert!(!watched(None, Some(5), None).are_watched() && !watched(None, None, Some(5)).are_watched());
    }

    proptest! {
        #[test]
        fn however_use_comes_in_each_is_told_once(
            threshold in 0i64..500, prepayment in 0i64..2000, trigger in 0i64..2000,
            uses in proptest::collection::vec((0usize..3, 0i64..200), 0..40),
        ) {
            let terms = watched(Some(threshold), Some(prepayment), Some(trigger));
            let (mut months, mut all, mut told) = ([0i64; 3], 0, [0; 3]);
            let mut low = 0;
            for (month, amount) in uses {
                let used = Used { month: (months[month], months[month] + amount), all: (all, all + amount) };
                (months[month], all) = (used.month.1, used.all.1);
                for alert in terms.crossed(used) {
                    match alert {
                        ContractAlert::ThresholdExceeded => told[month] += 1,
                        ContractAlert::PrepaymentLow => low += 1,
                    }
                }
            }
            for month in 0..3 {
                prop_assert_eq!(told[month], i32::from(months[month] > threshold));
            }
            prop_assert_eq!(low, i32::from(prepayment >= trigger && prepayment - all < trigger));
        }
    }
}
