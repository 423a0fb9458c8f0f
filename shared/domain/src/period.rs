//! Billing months.

use crate::{Instant, json};
use chrono::{Datelike, NaiveDate, NaiveTime};
use std::{fmt, str::FromStr};

/// A calendar month in UTC, written `2026-10`. Months sort by time.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Period {
    /// Always the first day of the month.
    first: NaiveDate,
}

impl Period {
    /// The month an instant lies in.
    pub fn of(instant: Instant) -> Self {
        let day = instant.date_naive();
        Self { first: day.with_day(1).unwrap_or(day) }
    }

    /// The first instant of the month.
    pub fn start(self) -> Instant {
        self.first.and_time(NaiveTime::MIN).and_utc().into()
    }

    /// The first instant after the month.
    pub fn end(self) -> Instant {
        self.next().start()
    }

    /// The month after.
    pub fn next(self) -> Self {
        Self { first: self.first.checked_add_months(chrono::Months::new(1)).unwrap_or(self.first) }
    }

    /// The calendar year.
    pub fn year(self) -> i32 {
        self.first.year()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not a month from 2000-01 to 2999-12; write it as 2026-10".to_owned();
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        if year.len() != 4 || month.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return Err(wrong());
        }
        let (year, month) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        if !(2000..3000).contains(&year) {
            return Err(wrong());
        }
        NaiveDate::from_ymd_opt(year, month, 1).map(|first| Self { first }).ok_or_else(wrong)
    }
}

impl json::Shown for Period {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string", "pattern": "^2[0-9]{3}-(0[1-9]|1[0-2])$",
            "description": "A calendar month in UTC.", "examples": ["2026-10"],
        })
    }
}
json::as_text!(Period);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let december: Period = "2026-12".parse().unwrap();
        assert_eq!(december.end().to_rfc3339(), "2027-01-01T00:00:00+00:00");
        assert_eq!(Period::of(december.end()).to_string(), "2027-01");
        assert_eq!(Period::of(december.end() - chrono::TimeDelta::milliseconds(1)), december);
    }

    #[test]
    fn only_months_are_read() {
        for text in
            ["", "2026", "2026-13", "2026-00", "2026-1", "26-10", "2026-10-01", "1999-12", "3000-01", "+026-10", "2026--1"]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
