//! Instants.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Timelike, Utc};
use std::{
    fmt,
    ops::{Add, Deref, Sub},
    str::FromStr,
};

/// An instant in UTC. It is stored, and shown, with a resolution of one millisecond.
///
/// Chrono's own type in all but its text: that one is written a character at a time, and an answer has several.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(DateTime<Utc>);

/// The most that an instant of a year of four digits takes in text.
const LEN: usize = "2026-10-01T00:00:00.000Z".len();

impl Instant {
    /// The instant so many milliseconds after the beginning of 1970; `None` beyond the years that chrono knows.
    pub fn from_timestamp_millis(millis: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(millis).map(Self)
    }

    /// The text of RFC 3339 with three digits after the second, in `buffer`. `None` for years that are not of four digits.
    pub fn write<'b>(&self, buffer: &'b mut [u8; LEN]) -> Option<&'b str> {
        let (date, time) = (self.0.date_naive(), self.0.time());
        let year = u32::try_from(date.year()).ok().filter(|year| *year < 10_000)?;
        let mut put = |at: usize, digits: usize, mut number: u32| {
            for place in buffer[at..at + digits].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, date.month());
        put(8, 2, date.day());
        put(11, 2, time.hour());
        put(14, 2, time.minute());
        put(17, 2, time.second());
        put(20, 3, time.nanosecond() / 1_000_000 % 1000);
        for (at, byte) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')] {
            buffer[at] = byte;
        }
        std::str::from_utf8(buffer).ok()
    }
}

impl From<DateTime<Utc>> for Instant {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant)
    }
}

impl Deref for Instant {
    type Target = DateTime<Utc>;
    fn deref(&self) -> &DateTime<Utc> {
        &self.0
    }
}

impl Add<TimeDelta> for Instant {
    type Output = Self;
    fn add(self, length: TimeDelta) -> Self {
        Self(self.0 + length)
    }
}

impl Sub<TimeDelta> for Instant {
    type Output = Self;
    fn sub(self, length: TimeDelta) -> Self {
        Self(self.0 - length)
    }
}

impl Sub for Instant {
    type Output = TimeDelta;
    fn sub(self, other: Self) -> TimeDelta {
        self.0 - other.0
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.write(&mut [0; LEN]) {
            Some(text) => f.write_str(text),
            None => f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

impl FromStr for Instant {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl serde::Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.write(&mut [0; LEN]) {
            Some(text) => to.serialize_str(text),
            None => to.collect_str(self),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        DateTime::deserialize(from).map(Self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for Instant {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        DateTime::<Utc>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn its_text_is_chronos(millis in -90_000_000_000_000i64..300_000_000_000_000) {
            let instant = Instant::from_timestamp_millis(millis).unwrap();
            prop_assert_eq!(instant.to_string(), instant.to_rfc3339_opts(SecondsFormat::Millis, true));
            let json = serde_json::to_string(&instant).unwrap();
            prop_assert_eq!(serde_json::from_str::<Instant>(&json).unwrap(), instant);
        }
    }
}
