//! Just enough calendar for the demo: months, relative to the real clock.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A month of the proleptic Gregorian calendar; prints as `2026-10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i64,
    month: u32,
}

impl Month {
    /// The month of this very moment, in UTC.
    pub fn current() -> Self {
        let (year, month, _) = civil(today());
        Self { year, month }
    }

    /// The month before.
    pub fn before(self) -> Self {
        match self.month {
            1 => Self { year: self.year - 1, month: 12 },
            month => Self { month: month - 1, ..self },
        }
    }

    /// How many days it has.
    pub fn days(self) -> u32 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// Today's date in UTC, as `2026-11-21`.
pub fn date() -> String {
    let (year, month, day) = civil(today());
    format!("{year:04}-{month:02}-{day:02}")
}

fn today() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    i64::try_from(elapsed.as_secs() / 86_400).expect("a date within reach")
}

/// Days since 1970-01-01 to year, month and day (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).expect("1 to 12"), u32::try_from(day).expect("1 to 31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_778), (2026, 11, 21));
        assert_eq!(civil(-1), (1969, 12, 31));
    }

    #[test]
    fn months_step_back_over_the_year() {
        let january = Month { year: 2026, month: 1 };
        assert_eq!(january.before().to_string(), "2025-12");
        assert_eq!(Month { year: 2028, month: 2 }.days(), 29);
        assert_eq!(Month { year: 2100, month: 2 }.days(), 28);
    }
}
