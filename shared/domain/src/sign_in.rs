//! Signing in with a password: which passwords are taken, and when the next attempt is.

use crate::{Error, Instant, Result, common_password::weakness, json, person::Email};
use chrono::TimeDelta;
use std::{fmt, str::FromStr};
use unicode_normalization::UnicodeNormalization;

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
pub struct Password<const MIN: usize> {
    /// In Unicode's form NFC, which is the same whichever keyboard it was typed on.
    normalized: String,
    /// As it was typed, if that is another text.
    typed: Option<String>,
}

impl<const MIN: usize> Password<MIN> {
    /// The password in the form NFC: what is hashed.
    pub fn as_str(&self) -> &str {
        &self.normalized
    }

    /// What was typed, if it was in another form. Hashes from before the hub had one form are of that.
    pub fn typed(&self) -> Option<&str> {
        self.typed.as_deref()
    }
}

impl<const MIN: usize> FromStr for Password<MIN> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Before the work of bringing it into the form, which may make it shorter.
        let normalized: String = text.chars().take(4 * PASSWORD_MAX).nfc().collect();
        let length = normalized.chars().count();
        match (MIN..=PASSWORD_MAX).contains(&length) && text.chars().count() <= 4 * PASSWORD_MAX {
            true => Ok(Self { typed: (normalized != text).then(|| text.to_owned()), normalized }),
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

/// Refuses a new password that attackers would try first. `context` is what is known of the person beside the mail address: their name,
/// their organizations. `pointer` is where the password stands.
pub fn check_password(password: &str, email: &Email, context: &[&str], pointer: &str) -> Result<()> {
    let context: Vec<&str> = context.iter().copied().chain([email.as_str()]).collect();
    match weakness(password, &context) {
        Some(why) => {
            Err(Error::invalid(pointer, format!("{why}; choose another, such as a few words that nobody expects together")))
        }
        None => Ok(()),
    }
}

/// How many wrong passwords of strangers an account has had of late before each of their sources has to wait from its first
/// failure on.
const PRESSED: i64 = 10;
/// The first wait of a source after a failure at such an account.
const PRESSED_WAIT: i64 = 30;

/// An allowance of attempts: a bucket that `burst` of them fill and that loses one `every` so often (a leaky bucket, as GCRA).
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    every: TimeDelta,
    burst: i64,
}

impl Allowance {
    /// What strangers together may try at one account: 200 at once, then 10 a minute. A source that has failed there may use the
    /// first half only; the other half is for sources that have not, so that an attacker with a hundred addresses does not keep
    /// the owner out.
    pub const ACCOUNT: Self = Self { every: TimeDelta::seconds(6), burst: 200 };
    /// What one source may try at all accounts together: 100 failures at once, then 10 a minute.
    pub const SOURCE: Self = Self { every: TimeDelta::seconds(6), burst: 100 };

    /// Until when the bucket runs that has run until `until` after one more attempt; the instant at which there is room for it,
    /// if there is none in the share of the bucket (a divisor) that it may use.
    fn take(self, until: Instant, now: Instant, share: i32) -> Result<Instant, Instant> {
        let after = until.max(now) + self.every;
        let room = self.every * i32::try_from(self.burst).unwrap_or(i32::MAX) / share;
        if after - now > room { Err(after - room) } else { Ok(after) }
    }

    /// Until when it runs when an attempt is given back.
    pub fn give_back(self, until: Instant) -> Instant {
        until - self.every
    }

    /// How many attempts are in a bucket that runs until then.
    fn filled(self, until: Instant, now: Instant) -> i64 {
        (until - now).num_milliseconds().max(0) / self.every.num_milliseconds()
    }
}

/// What is known of earlier attempts of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many have failed, or are under way.
    pub failures: i64,
    /// Until when no other is judged; of an [`Allowance`], until when its bucket runs.
    pub until: Instant,
}

/// What is known of earlier attempts that bears on one: each absent where it does not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tallies {
    /// Those at the account from the same source; of a known device or a session, its own, and nothing else bears on it.
    pub own: Option<Tally>,
    /// Those of all strangers at the account.
    pub account: Option<Tally>,
    /// Those from the source at all accounts.
    pub source: Option<Tally>,
}

impl Tallies {
    /// Counts one more attempt at `now`, as if it fails: what is known then. `Err` is the instant until which it is not judged.
    pub fn count(self, now: Instant) -> Result<Self, Instant> {
        if let Some(own) = self.own
            && own.until > now
        {
            return Err(own.until);
        }
        // Without a source nobody can tell who has failed before, so all share what there is.
        let has_failed = self.own.is_some_and(|own| own.failures > 0);
        let share = if has_failed { 2 } else { 1 };
        let one_more = |tally: Option<Tally>, allowance: Allowance, share| match tally {
            None => Ok(None),
            Some(Tally { failures, until }) => {
                allowance.take(until, now, share).map(|until| Some(Tally { failures: failures + 1, until }))
            }
        };
        let account = one_more(self.account, Allowance::ACCOUNT, share)?;
        let source = one_more(self.source, Allowance::SOURCE, 1)?;
        let pressed = self.account.is_some_and(|account| Allowance::ACCOUNT.filled(account.until, now) >= PRESSED);
        let own = self.own.map(|Tally { failures, .. }| {
            let failures = failures + 1;
            Tally { failures, until: now + wait_after(failures, pressed) }
        });
        Ok(Self { own, account, source })
    }

    /// How many attempts at the account have failed if the one that was counted last does: of strangers, or of the device or the
    /// session that it came from.
    pub fn failures(&self) -> i64 {
        self.account.or(self.own).map_or(1, |tally| tally.failures)
    }
}

/// For how long no attempt is judged after so many failures in a row: not at all up to the fifth, then for 1 s, 2 s, 4 s and
/// so on up to 15 minutes. At an account that is pressed by strangers: for 30 s after the first, 60 s after the second, and so on.
fn wait_after(failures: i64, pressed: bool) -> TimeDelta {
    let (first, doublings) = if pressed { (PRESSED_WAIT, failures - 1) } else { (1, failures - FREE_FAILURES) };
    match doublings {
        ..0 => TimeDelta::zero(),
        doublings => LONGEST_WAIT.min(TimeDelta::seconds(first << doublings.min(20))),
    }
}

/// Whether a failure, the so-many-th of late, is noted in the audit: the first, the fifth, the tenth and each hundredth. Strangers
/// cannot have more judged than [`Allowance::ACCOUNT`] lets through, so they make the audit some hundred entries a day longer at
/// the most.
pub fn is_noted(failures: i64) -> bool {
    matches!(failures, 1 | 5 | 10) || failures % 100 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1000;

    fn at(millis: i64) -> Instant {
        Instant::from_timestamp_millis(1_795_262_400_000 + millis).unwrap()
    }

    /// An account and its attackers: an attempt each so often, from so many sources in turn, and the longest wait of an owner who
    /// comes on a new device after each minute.
    fn attacked(sources: usize, every_millis: i64, minutes: i64) -> (i64, i64) {
        let mut account = Tally::default();
        let mut own = vec![Tally::default(); sources];
        let (mut judged, mut longest) = (0, 0);
        for attempt in 0..minutes * 60 * SECOND / every_millis {
            let now = at(attempt * every_millis);
            let owner = Tallies { own: Some(Tally::default()), account: Some(account), source: Some(Tally::default()) };
            if let Err(until) = owner.count(now) {
                longest = longest.max((until - now).num_seconds());
            }
            let turn = attempt as usize % sources;
            let tallies = Tallies { own: Some(own[turn]), account: Some(account), source: None };
            if let Ok(counted) = tallies.count(now) {
                (own[turn], account) = (counted.own.unwrap(), counted.account.unwrap());
                judged += 1;
            }
        }
        (judged, longest)
    }

    #[test]
    fn the_waits_double_from_the_fifth_failure_on_and_from_the_first_where_strangers_press() {
        let seconds = |pressed| (0..20).map(|failures| wait_after(failures, pressed).num_seconds()).collect::<Vec<_>>();
        assert_eq!(seconds(false)[..9], [0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(seconds(false)[14..], [512, 900, 900, 900, 900, 900]);
        assert_eq!(seconds(true)[..8], [0, 30, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn strangers_from_many_addresses_guess_seldom_and_keep_no_new_device_out() {
        // A hundred passwords a minute from 50 addresses, for a day.
        let (judged, longest) = attacked(50, 600, 24 * 60);
        assert!(judged < 5_500, "{judged} guesses a day");
        assert_eq!(longest, 0);
        // From one address; and from so many that each is new, for three hours: the owner has to compete then, and the guesses are
        // still bounded.
        assert!(attacked(1, 600, 24 * 60).0 < 110);
        let (judged, longest) = attacked(100_000, 200, 180);
        assert!(judged <= 200 + 10 * 180 + 1, "{judged} guesses in three hours");
        assert!(longest <= 6, "{longest} s");
    }

    #[test]
    fn a_device_and_a_session_answer_for_themselves_alone() {
        let mut own = Tally::default();
        for failures in 1..=5 {
            own = Tallies { own: Some(own), ..Tallies::default() }.count(at(0)).unwrap().own.unwrap();
            assert_eq!(own.failures, failures);
        }
        assert_eq!(Tallies { own: Some(own), ..Tallies::default() }.count(at(0)), Err(at(SECOND)));
        assert!(Tallies { own: Some(own), ..Tallies::default() }.count(at(SECOND)).is_ok());
    }

    #[test]
    fn a_source_has_its_allowance_at_all_accounts_together() {
        let mut source = Tally::default();
        let mut judged = 0;
        while let Ok(counted) =
            (Tallies { own: Some(Tally::default()), account: Some(Tally::default()), source: Some(source) }).count(at(0))
        {
            source = counted.source.unwrap();
            judged += 1;
        }
        assert_eq!(judged, 100);
        // What succeeded is given back.
        source.until = Allowance::SOURCE.give_back(source.until);
        assert!(Tallies { source: Some(source), ..Tallies::default() }.count(at(0)).is_ok());
    }

    #[test]
    fn a_day_of_guessing_makes_few_entries() {
        assert_eq!((1..=11).filter(|&failures| is_noted(failures)).collect::<Vec<_>>(), [1, 5, 10]);
        assert_eq!((1..=24 * 60 * 10).filter(|&failures| is_noted(failures)).count(), 3 + 144);
    }

    #[test]
    fn length_counts_in_characters_and_nothing_else_does() {
        let taken = |text: &str| text.parse::<Password<PASSWORD_MIN>>().is_ok();
        assert!(!taken(&"x".repeat(11)) && taken(&"x".repeat(12)) && taken(&"ü".repeat(128)) && !taken(&"x".repeat(129)));
        assert!(taken("  spaces  at the ends  ") && taken("\u{1f980}\u{1f980} crabs in a row"));
        assert_eq!(format!("{:?}", "correct horse".parse::<Password<1>>().unwrap()), "…");
    }

    #[test]
    fn a_password_is_the_same_on_every_keyboard() {
        let composed: Password<12> = "f\u{fc}nf M\u{f6}wen \u{fc}ber".parse().unwrap();
        let decomposed: Password<12> = "fu\u{308}nf Mo\u{308}wen u\u{308}ber".parse().unwrap();
        assert_eq!((composed.as_str(), composed.typed()), (decomposed.as_str(), None));
        assert_eq!(decomposed.typed(), Some("fu\u{308}nf Mo\u{308}wen u\u{308}ber"));
        // Marks that come together with their letters do not make it longer.
        assert!("u\u{308}".repeat(11).parse::<Password<12>>().is_err() && "u\u{308}".repeat(128).parse::<Password<12>>().is_ok());
        assert!("u\u{308}".repeat(129).parse::<Password<12>>().is_err() && "x".repeat(100_000).parse::<Password<12>>().is_err());
    }

    #[test]
    fn the_mail_address_is_no_password() {
        let email: Email = "Ada.Lovelace@example.com".parse().unwrap();
        for wrong in ["ada.lovelace@example.com", "ADA.LOVELACE@EXAMPLE.COM", "Ada.Lovelace"] {
            assert!(check_password(wrong, &email, &[], "/password").is_err(), "{wrong}");
        }
        assert!(check_password("ada writes notes", &email, &["Ada"], "/password").is_ok());
    }

    proptest! {
        #[test]
        fn waits_never_shrink_and_have_an_end(failures in 0i64..i64::MAX, pressed: bool) {
            prop_assert!(wait_after(failures, pressed) <= wait_after(failures.saturating_add(1), pressed));
            prop_assert!(wait_after(failures, pressed) <= LONGEST_WAIT);
        }
    }
}
