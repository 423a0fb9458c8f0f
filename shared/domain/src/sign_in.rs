//! Signing in with a password: which passwords are taken, and when the next attempt is.

use crate::{Error, Result, json, person::Email};
use chrono::TimeDelta;
use std::{fmt, str::FromStr};

/// The longest password, in characters.
pub const PASSWORD_MAX: usize = 128;
/// The shortest password that is taken anew.
pub const PASSWORD_MIN: usize = 12;
/// How many attempts in a row may fail before the next has to wait.
pub const FREE_FAILURES: i64 = 5;
/// The longest wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(15);

/// A password as somebody typed it: of `MIN` to 128 characters, whichever they are (NIST SP 800-63B, 3.1.1.2: length counts,
/// composition does not). It shows itself nowhere.
pub struct Password<const MIN: usize>(String);

impl<const MIN: usize> Password<MIN> {
    /// What was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize> FromStr for Password<MIN> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        match (MIN..=PASSWORD_MAX).contains(&length) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(format!("has {length} characters; {MIN} to {PASSWORD_MAX} are allowed. A few words are a good password"))
            }
        }
    }
}

impl<const MIN: usize> fmt::Debug for Password<MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de, const MIN: usize> serde::Deserialize<'de> for Password<MIN> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        json::read_text(from)
    }
}

#[cfg(not(target_family = "wasm"))]
impl<const MIN: usize> schemars::JsonSchema for Password<MIN> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("PasswordOf{MIN}").into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "password", "minLength": MIN, "maxLength": PASSWORD_MAX })
    }
}

/// Refuses a new password that everybody who knows the person would try first. `pointer` is where it stands.
pub fn check_password(password: &str, email: &Email, pointer: &str) -> Result<()> {
    let is = |text: &str| password.eq_ignore_ascii_case(text);
    match is(email.as_str()) || is(email.as_str().trim_end_matches(email.domain()).trim_end_matches('@')) {
        true => Err(Error::invalid(pointer, "is the mail address; choose a password that nobody can guess from it")),
        false => Ok(()),
    }
}

/// For how long no attempt is judged after so many failures in a row: not at all up to the fifth, then for 1 s, 2 s, 4 s and
/// so on up to 15 minutes.
pub fn wait_after(failures: i64) -> TimeDelta {
    match u32::try_from(failures - FREE_FAILURES) {
        Err(_) => TimeDelta::zero(),
        Ok(doublings) => LONGEST_WAIT.min(TimeDelta::seconds(1 << doublings.min(20))),
    }
}

/// Whether a failure, the so-many-th in a row, is noted in the audit: the first, and each after which attempts have to wait.
/// So who guesses makes the audit no longer than the waits allow, which is about a hundred entries a day.
pub fn is_noted(failures: i64) -> bool {
    failures == 1 || wait_after(failures) > TimeDelta::zero()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_waits_double_from_the_fifth_failure_on() {
        let seconds: Vec<i64> = (0..20).map(|failures| wait_after(failures).num_seconds()).collect();
        assert_eq!(seconds[..9], [0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(seconds[14..], [512, 900, 900, 900, 900, 900]);
    }

    #[test]
    fn a_day_of_guessing_makes_few_entries() {
        assert_eq!((1..=7).map(is_noted).collect::<Vec<_>>(), [true, false, false, false, true, true, true]);
        let (mut seconds, mut failures, mut entries) = (0, 0, 0);
        while seconds < 24 * 3600 {
            failures += 1;
            entries += i32::from(is_noted(failures));
            seconds += wait_after(failures).num_seconds();
        }
        assert!(entries < 120, "{entries}");
    }

    #[test]
    fn length_counts_in_characters_and_nothing_else_does() {
        let taken = |text: &str| text.parse::<Password<PASSWORD_MIN>>().is_ok();
        assert!(!taken(&"x".repeat(11)) && taken(&"x".repeat(12)) && taken(&"ü".repeat(128)) && !taken(&"x".repeat(129)));
        assert!(taken("  spaces  at the ends  ") && taken("\u{1f980}\u{1f980} crabs in a row"));
        assert_eq!(format!("{:?}", "correct horse".parse::<Password<1>>().unwrap()), "…");
    }

    #[test]
    fn the_mail_address_is_no_password() {
        let email: Email = "Ada.Lovelace@example.com".parse().unwrap();
        for wrong in ["ada.lovelace@example.com", "ADA.LOVELACE@EXAMPLE.COM", "Ada.Lovelace"] {
            assert!(check_password(wrong, &email, "/password").is_err(), "{wrong}");
        }
        assert!(check_password("ada.lovelace@example.com!", &email, "/password").is_ok());
    }

    proptest! {
        #[test]
        fn waits_never_shrink_and_have_an_end(failures in 0i64..i64::MAX) {
            prop_assert!(wait_after(failures) <= wait_after(failures.saturating_add(1)));
            prop_assert!(wait_after(failures) <= LONGEST_WAIT);
        }
    }
}
