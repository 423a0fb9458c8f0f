//! Terms of subscriptions: for how long something is agreed on, when that ends, and until when it can be changed.
//!
//! A term is a number of calendar months. It ends at the time of day (UTC) at which the first one began, on the same day of
//! the month, or on the last day of a month that is shorter. Every end is counted from the first beginning and not from the end
//! before, so what began on a 31st ends on a 28th of February and then on a 31st of March again.

use crate::{Date, Error, Instant, Result, text_enum};
use chrono::TimeDelta;

text_enum! {
    /// What becomes of a subscription when its term ends.
    pub enum RenewalPreference {
        /// It goes on for another term, with the changes that were asked for.
        Auto = "AUTO",
        /// It is terminated.
        Cancel = "CANCEL",
    }
}

/// How many days before the end of a term it is said that it ends, the longest first.
pub const NOTICES: [i64; 3] = [30, 7, 1];

/// What is agreed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// How many months the present term has.
    pub months: u32,
    /// When the first term began.
    pub anchor_at: Instant,
    /// How many months there are from then to the end of the present term.
    pub months_done: u32,
    /// Within how many days of its beginning a term can be ended without charge.
    pub cancellation_days: Option<u32>,
    /// How many days before its end it has to be said what is to become of it.
    pub notice_days: Option<u32>,
}

/// The instant so many calendar months later at the same time of day, or on the last day of a shorter month. `None` after the
/// year 2999.
pub fn months_later(at: Instant, months: u32) -> Option<Instant> {
    let day = Date::of(at)?;
    Some(day.months_later(months)?.start() + (at - day.start()))
}

fn days(days: u32) -> TimeDelta {
    TimeDelta::days(i64::from(days))
}

impl Agreed {
    /// When the present term began, or begins where the one before was renewed before its end.
    pub fn starts_at(&self) -> Option<Instant> {
        months_later(self.anchor_at, self.months_done.saturating_sub(self.months))
    }

    /// When it ends.
    pub fn ends_at(&self) -> Option<Instant> {
        months_later(self.anchor_at, self.months_done)
    }

    /// The term after it, of so many months.
    pub fn renewed(&self, months: u32) -> Self {
        Self { months, months_done: self.months_done.saturating_add(months), ..*self }
    }

    /// The term after it, of so many months, where somebody asks for it before this one ends. Refused while this one has not
    /// begun, for then it is the further one already, and from when on it is fixed what becomes of it at its end.
    pub fn further(&self, months: u32, now: Instant) -> Result<Self> {
        let (starts, until) = self.starts_at().zip(self.changeable_until()).ok_or_else(too_late)?;
        if now < starts {
            return Err(Error::conflict(
                "renewed_already",
                format!("It was renewed already, for the term that begins at {starts}. It can be renewed again from then on."),
            ));
        }
        if until < now {
            return Err(Error::conflict(
                "renewal_fixed",
                format!(
                    "What becomes of it at the end of its term is fixed since {until}. Where that is to be renewed, it will be by itself, and can be renewed further then; else ask for another subscription."
                ),
            ));
        }
        let further = self.renewed(months);
        further.ends_at().map(|_| further).ok_or_else(too_late)
    }

    /// Until when it can be ended without charge; absent where that does not matter.
    pub fn cancellable_until(&self) -> Option<Instant> {
        let (starts, ends) = (self.starts_at()?, self.ends_at()?);
        self.cancellation_days.map(|count| ends.min(starts + days(count)))
    }

    /// Until when it can be said what is to become of it at its end.
    pub fn changeable_until(&self) -> Option<Instant> {
        let (starts, ends) = (self.starts_at()?, self.ends_at()?);
        Some(self.notice_days.map_or(ends, |count| starts.max(ends - days(count))))
    }
}

/// The refusal of a term that would end after the year 2999.
pub fn too_late() -> Error {
    Error::conflict(
        "term_too_late",
        "The term would end after the year 2999. Choose a shorter one, or terminate the subscription.",
    )
}

/// A term that can be ended without charge for some days only.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// When it begins: later, where it is the further term of a subscription that was renewed before the end of the one before.
    pub starts_at: Instant,
    /// Until when it can be ended without charge.
    pub cancellable_until: Instant,
    /// When it ends.
    pub ends_at: Instant,
}

impl Window {
    /// Until when is to be charged for what is ended now, if that is later than now. Who renewed before the end of a term
    /// wanted all of that one, so it is charged to its end; the further one is not, for it has not begun.
    pub fn charged_until(&self, now: Instant) -> Option<Instant> {
        match () {
            () if now < self.starts_at => Some(self.starts_at),
            () if self.cancellable_until < now && now < self.ends_at => Some(self.ends_at),
            () => None,
        }
    }
}

/// How many days are left until an instant: begun ones count, and none are left when it has come.
pub fn days_left(until: Instant, now: Instant) -> i64 {
    let left = (until - now).num_milliseconds().max(0);
    let day = TimeDelta::days(1).num_milliseconds();
    left / day + i64::from(left % day != 0)
}

/// When next to look at a term that ends then: on the day of a notice, or at its end. At once, when that has come.
pub fn next_look(ends_at: Instant, now: Instant) -> Instant {
    let notices = NOTICES.iter().map(|&days| ends_at - TimeDelta::days(days));
    notices.chain([ends_at]).find(|at| *at > now).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, Timelike};
    use proptest::prelude::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn agreed(anchor: &str, months: u32) -> Agreed {
        Agreed { months, anchor_at: at(anchor), months_done: months, cancellation_days: None, notice_days: None }
    }

    #[test]
    fn the_end_of_a_month_is_come_back_to() {
        let mut term = agreed("2027-01-31T10:30:00Z", 1);
        let mut ends = Vec::new();
        for _ in 0..4 {
            ends.push(term.ends_at().unwrap().to_string());
            term = term.renewed(1);
        }
        let expected =
            ["2027-02-28T10:30:00.000Z", "2027-03-31T10:30:00.000Z", "2027-04-30T10:30:00.000Z", "2027-05-31T10:30:00.000Z"];
        assert_eq!(ends, expected);
        assert_eq!(agreed("2028-02-29T00:00:00Z", 12).ends_at(), Some(at("2029-02-28T00:00:00Z")));
        assert_eq!(agreed("2028-02-29T00:00:00Z", 12).renewed(36).ends_at(), Some(at("2032-02-29T00:00:00Z")));
        assert_eq!(agreed("2990-01-01T00:00:00Z", 120).ends_at(), None);
    }

    #[test]
    fn windows_lie_within_their_term() {
        let term = Agreed { cancellation_days: Some(7), notice_days: Some(30), ..agreed("2026-11-21T12:00:00Z", 12) };
        assert_eq!(term.cancellable_until(), Some(at("2026-11-28T12:00:00Z")));
        assert_eq!(term.changeable_until(), Some(at("2027-10-22T12:00:00Z")));
        let next = term.renewed(12);
        assert_eq!(next.cancellable_until(), Some(at("2027-11-28T12:00:00Z")));
        let short = Agreed { cancellation_days: Some(90), notice_days: Some(90), ..agreed("2026-11-21T12:00:00Z", 1) };
        assert_eq!((short.cancellable_until(), short.changeable_until()), (short.ends_at(), short.starts_at()));
        assert_eq!(agreed("2026-11-21T12:00:00Z", 1).cancellable_until(), None);
    }

    #[test]
    fn a_further_term_is_asked_for_within_the_present_one_and_in_time() {
        let term = Agreed { cancellation_days: Some(7), notice_days: Some(30), ..agreed("2026-11-21T12:00:00Z", 12) };
        let further = term.further(12, at("2026-11-21T12:00:00Z")).unwrap();
        assert_eq!((further.starts_at(), further.ends_at()), (term.ends_at(), Some(at("2028-11-21T12:00:00Z"))));
        assert_eq!(further.further(12, at("2027-11-21T11:59:59.999Z")).unwrap_err().code, "renewed_already");
        assert!(further.further(12, at("2027-11-21T12:00:00Z")).is_ok());
        assert!(term.further(12, at("2027-10-22T12:00:00Z")).is_ok());
        assert_eq!(term.further(12, at("2027-10-22T12:00:00.001Z")).unwrap_err().code, "renewal_fixed");
        for months in [120 * 120, u32::MAX] {
            assert_eq!(term.further(months, at("2026-11-21T12:00:00Z")).unwrap_err().code, "term_too_late");
        }
    }

    #[test]
    fn what_is_ended_after_its_window_is_charged_to_the_end() {
        let term = Window {
            starts_at: at("2027-01-01T00:00:00Z"),
            cancellable_until: at("2027-01-08T00:00:00Z"),
            ends_at: at("2028-01-01T00:00:00Z"),
        };
        for (now, charged) in [
            // Before the further term began: to the end of the one before it.
            ("2026-12-01T00:00:00Z", Some(term.starts_at)),
            ("2027-01-01T00:00:00Z", None),
            ("2027-01-08T00:00:00Z", None),
            ("2027-01-08T00:00:00.001Z", Some(term.ends_at)),
            ("2027-12-31T23:59:59.999Z", Some(term.ends_at)),
            ("2028-01-01T00:00:00Z", None),
        ] {
            assert_eq!(term.charged_until(at(now)), charged, "{now}");
        }
    }

    #[test]
    fn days_are_counted_down_to_none() {
        let end = at("2026-12-21T12:00:00Z");
        for (now, left) in [
            ("2026-11-21T12:00:00Z", 30),
            ("2026-12-20T11:59:59.999Z", 2),
            ("2026-12-20T12:00:00Z", 1),
            ("2026-12-21T11:59:59.999Z", 1),
            ("2026-12-21T12:00:00Z", 0),
            ("2027-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(days_left(end, at(now)), left, "{now}");
        }
    }

    proptest! {
        /// However a subscription is renewed, one term begins where the one before ends, at one time of day, on the day that the
        /// first began or the last of a shorter month.
        #[test]
        fn terms_follow_one_another(
            millis in 946_684_800_000i64..4_102_444_800_000,
            terms in prop::collection::vec(1u32..=120, 1..12),
            cancellation in prop::option::of(1u32..=90),
            notice in prop::option::of(1u32..=90),
        ) {
            let anchor_at = Instant::from_timestamp_millis(millis).unwrap();
            let first = terms[0];
            let mut term = Agreed { months: first, anchor_at, months_done: first, cancellation_days: cancellation, notice_days: notice };
            prop_assert_eq!(term.starts_at(), Some(anchor_at));
            for months in &terms[1..] {
                let (starts, ends) = (term.starts_at().unwrap(), term.ends_at().unwrap());
                prop_assert!(starts < ends);
                prop_assert_eq!(ends.num_seconds_from_midnight(), anchor_at.num_seconds_from_midnight());
                let next_day = ends.date_naive() + TimeDelta::days(1);
                prop_assert!(ends.day() == anchor_at.day() || (ends.day() < anchor_at.day() && next_day.day() == 1));
                let elapsed = (ends.year() - anchor_at.year()) * 12 + ends.month() as i32 - anchor_at.month() as i32;
                prop_assert_eq!(elapsed, term.months_done as i32);
                let changeable = term.changeable_until().unwrap();
                prop_assert!(starts <= changeable && changeable <= ends);
                prop_assert!(term.cancellable_until().is_none_or(|until| starts < until && until <= ends));
                let next = term.renewed(*months);
                prop_assert_eq!(next.starts_at(), Some(ends));
                term = next;
            }
        }

        /// Whoever looks when told to sees each notice once, and the end.
        #[test]
        fn every_look_leads_to_the_end(length in 1i64..200_000_000) {
            let ends = at("2030-01-01T00:00:00Z");
            let (mut now, mut looks) = (ends - TimeDelta::milliseconds(length * 50), 0);
            while now < ends {
                let next = next_look(ends, now);
                prop_assert!(now < next && next <= ends);
                (now, looks) = (next, looks + 1);
                prop_assert!(looks <= NOTICES.len() + 1);
            }
            prop_assert_eq!(next_look(ends, ends), ends);
            prop_assert_eq!(days_left(ends, now), 0);
        }
    }
}
