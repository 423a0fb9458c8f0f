//! Days and instants as callers write them: in one spelling, and of years in which something can be agreed on or end.
//!
//! The types of `chrono` read more than that: a year of six digits, a fraction of a millisecond that would be cut off
//! when it is stored, and a 61st second.

use crate::{Instant, json};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike};
use std::{fmt, ops::RangeInclusive, str::FromStr};

/// The years that are taken.
const YEARS: RangeInclusive<i32> = 2000..=2999;

/// A calendar day of the years 2000 to 2999, without a time zone.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date(NaiveDate);

impl Date {
    /// The first instant of the day, in UTC.
    pub fn start(self) -> Instant {
        self.0.and_time(NaiveTime::MIN).and_utc().into()
    }

    /// The same day so many months later, or the last of that month when it is shorter. `None` after the year 2999.
    pub fn months_later(self, months: u32) -> Option<Self> {
        self.0.checked_add_months(chrono::Months::new(months)).filter(|day| YEARS.contains(&day.year())).map(Self)
    }

    /// Whether it is the first day of its month.
    pub fn begins_month(self) -> bool {
        self.0.day() == 1
    }

    /// The day (UTC) an instant lies in. `None` outside the years that are taken.
    pub fn of(instant: Instant) -> Option<Self> {
        Some(instant.date_naive()).filter(|day| YEARS.contains(&day.year())).map(Self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl FromStr for Date {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        date(text).ok_or("not a day from 2000-01-01 to 2999-12-31; write it as 2026-10-01")
    }
}

fn date(text: &str) -> Option<Date> {
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
    };
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    NaiveDate::from_ymd_opt(year as i32, month, day).filter(|day| YEARS.contains(&day.year())).map(Date)
}

impl json::Shown for Date {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "format": "date", "examples": ["2026-10-01"] })
    }
}
json::as_text!(Date);

/// An instant of the years 2000 to 2999 on a whole millisecond, in RFC 3339.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment(Instant);

impl Moment {
    /// The instant.
    pub fn instant(self) -> Instant {
        self.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant = DateTime::parse_from_rfc3339(text)
            .map_err(|_| "not an instant of RFC 3339 with its offset from UTC; write it as 2026-10-01T00:00:00Z")?
            .to_utc();
        // Leap seconds are counted past 1,000 milliseconds.
        if instant.nanosecond() % 1_000_000 != 0 || instant.nanosecond() >= 1_000_000_000 {
            return Err(
                "not a whole number of milliseconds of a second from 00 to 59; write no more than three digits after the second",
            );
        }
        if !YEARS.contains(&instant.year()) {
            return Err("not of the years 2000 to 2999; choose an instant of one of these");
        }
        Ok(Self(instant.into()))
    }
}

impl json::Shown for Moment {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "format": "date-time", "examples": ["2026-10-01T00:00:00Z"] })
    }
}
json::as_text!(Moment);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_days_are_read() {
        for text in ["", "2026", "2026-10", "2026-1-1", "26-10-01", "2026-02-30", "2026-13-01", "2026-10-01Z", "2026-10-01-1"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        for text in ["0001-01-01", "1999-12-31", "3000-01-01", "9999-12-31", "+262142-12-31", "-0001-01-01", "+026-10-01"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        let last: Date = "2999-12-31".parse().unwrap();
        assert_eq!((last.to_string().as_str(), last.start().to_rfc3339().as_str()), ("2999-12-31", "2999-12-31T00:00:00+00:00"));
    }

    #[test]
    fn only_instants_that_can_be_kept_are_read() {
        for text in ["", "2026-10-01", "2026-10-01T00:00:00", "2026-10-01T24:00:00Z", "2026-02-30T00:00:00Z", "1790812800"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        for text in ["2026-10-01T00:00:00.0001Z", "2026-12-31T23:59:60Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        assert!("+262142-12-31T23:59:59Z".parse::<Moment>().is_err());
        // What counts is the year in UTC.
        assert!("3000-01-01T00:00:00+01:00".parse::<Moment>().is_ok() && "2999-12-31T23:30:00-01:00".parse::<Moment>().is_err());
    }

    #[test]
    fn months_are_calendar_months() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(day("2026-03-21").months_later(12), Some(day("2027-03-21")));
        assert_eq!(day("2027-10-31").months_later(4), Some(day("2028-02-29")));
        assert_eq!(day("2999-12-01").months_later(1), None);
        assert!(day("2026-10-01").begins_month() && !day("2026-10-02").begins_month());
        assert_eq!(Date::of("2026-10-01T23:59:59Z".parse().unwrap()), Some(day("2026-10-01")));
    }

    proptest! {
        #[test]
        fn days_and_instants_survive_their_text(millis in 946_684_800_000i64..32_503_680_000_000) {
            let instant = Instant::from_timestamp_millis(millis).unwrap();
            let moment: Moment = instant.to_rfc3339().parse().unwrap();
            prop_assert_eq!((moment.instant(), moment.to_string().parse::<Moment>()), (instant, Ok(moment)));
            let day = Date(instant.date_naive());
            prop_assert_eq!(day.to_string().parse::<Date>(), Ok(day));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = (text.parse::<Date>(), text.parse::<Moment>());
        }
    }
}
