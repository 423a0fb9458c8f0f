//! OpenID Connect: which addresses an identity provider may have, and what of an ID token must be right beside its signature.

use crate::{Instant, json, person::Email};
use chrono::TimeDelta;
use serde::Deserialize;
use std::{fmt, str::FromStr};

/// By how many seconds the clocks of the hub and of an identity provider may differ.
const SKEW_S: i64 = 60;
/// For how long an identity provider is not asked that has just failed; doubled with each failure in a row, up to the longest.
const PAUSE_S: i64 = 5;
const LONGEST_PAUSE_S: i64 = 60;
/// The longest subject (OpenID Connect Core, 2).
const SUBJECT_MAX: usize = 255;

/// An absolute address without fragment and user: `https`, or `http` on this machine itself, for trying things out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url(String);

impl Url {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has this word as a part of its path, or as the value of a parameter.
    pub fn has_word(&self, word: &str) -> bool {
        let after_host = self.0.splitn(4, '/').nth(3).unwrap_or_default();
        after_host.split(['/', '?', '&', '=']).any(|part| part == word)
    }

    /// Whether it has a query, which an issuer has not.
    pub fn has_query(&self) -> bool {
        self.0.contains('?')
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            Err("is no address that can be used here: it must begin with https:// (http:// only for localhost), name a host, and have no user, no fragment and at most 1000 visible ASCII characters".to_owned())
        };
        if text.len() > 1000 || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '\\', '"', '<', '>']) {
            return wrong();
        }
        let Some((scheme, rest)) = text.split_once("://") else { return wrong() };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port_is_right = port.is_none_or(|port| port.len() <= 5 && port.parse::<u16>().is_ok_and(|port| port > 0));
        let host_is_right = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.len() <= 253
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
            }
        };
        let local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        match port_is_right && host_is_right && (scheme == "https" || (scheme == "http" && local)) {
            true => Ok(Self(text.to_owned())),
            false => wrong(),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl json::Shown for Url {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string", "maxLength": 1000,
            "pattern": "^https://[A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63}){0,2}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~/-]{0,500})?$",
            "examples": ["https://login.example.com"],
            "description": "An https address without user and fragment; http for localhost alone.",
        })
    }
}
json::as_text!(Url);

/// What an ID token says.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// Who says it.
    pub iss: String,
    /// Whom it is about, at the issuer.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// Who asked for it.
    pub azp: Option<String>,
    /// Until when it is good, in seconds since 1970.
    pub exp: NumericDate,
    /// When it was made.
    pub iat: NumericDate,
    /// Since when it is good.
    pub nbf: Option<NumericDate>,
    /// What the sign-in was begun with.
    pub nonce: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    /// Whether the issuer has seen that it is the subject's.
    pub email_verified: Option<Truth>,
}

/// Seconds since 1970, of which a token may have fractions (RFC 7519, 2). They are cut off.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NumericDate(i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // A number that is too large becomes the largest.
        f64::deserialize(from).map(|seconds| Self(seconds.floor() as i64))
    }
}

/// One audience or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// A truth, which some providers write as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Truth {
    /// As JSON has it.
    Plain(bool),
    /// `"true"` or anything else.
    Text(String),
}

/// Who signed in at an identity provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// The issuer's name for them.
    pub subject: String,
    /// Their mail address, which the issuer has verified.
    pub email: Email,
}

/// What an ID token is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The identity provider.
    pub issuer: &'a str,
    /// The hub's id there.
    pub client_id: &'a str,
    /// What the sign-in was begun with.
    pub nonce: &'a str,
    /// The domains of mail addresses that count as verified where the token does not say, separated by spaces.
    pub assumed_domains: &'a str,
    /// The present instant.
    pub now: Instant,
}

impl Claims {
    /// Who signed in, if this token, whose signature was found right, was made by the issuer, for us, for this very sign-in,
    /// and now (OpenID Connect Core, 3.1.3.7). Else what is wrong with it.
    pub fn check(&self, expected: &Expected<'_>) -> Result<Subject, &'static str> {
        let now = expected.now.timestamp();
        let audiences = match &self.aud {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Several(several) => several,
        };
        let is_us = |text: &String| text == expected.client_id;
        let email: Result<Email, _> = self.email.as_deref().unwrap_or_default().parse();
        let verified = match &self.email_verified {
            Some(Truth::Plain(truth)) => *truth,
            Some(Truth::Text(text)) => text == "true",
            None => email.as_ref().is_ok_and(|email| expected.assumed_domains.split(' ').any(|domain| domain == email.domain())),
        };
        let checks = [
            (self.iss == expected.issuer, "it is of another issuer"),
            (audiences.iter().any(is_us), "it is for another client"),
            (audiences.len() == 1 || self.azp.is_some(), "it is for several clients and does not say which asked for it"),
            (self.azp.as_ref().is_none_or(is_us), "another client asked for it"),
            (self.exp.0 > now - SKEW_S, "it has expired"),
            (self.iat.0 <= now + SKEW_S, "it was made in the future"),
            (self.nbf.is_none_or(|nbf| nbf.0 <= now + SKEW_S), "it is not good yet"),
            (self.nonce.as_deref() == Some(expected.nonce), "it is of another sign-in"),
            (!self.sub.is_empty() && self.sub.len() <= SUBJECT_MAX, "its subject is empty or too long"),
            (verified, "it does not say that the mail address was verified"),
        ];
        if let Some((_, wrong)) = checks.iter().find(|(right, _)| !right) {
            return Err(wrong);
        }
        let email = email.map_err(|_| "it has no mail address that can be used")?;
        Ok(Subject { subject: self.sub.clone(), email })
    }
}

/// For how long an identity provider is not asked again that has failed so many times in a row.
pub fn pause_after(failures: i64) -> TimeDelta {
    let doublings = (failures - 1).clamp(0, 20);
    TimeDelta::seconds(LONGEST_PAUSE_S.min(PAUSE_S << doublings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_795_262_400;

    fn expected() -> Expected<'static> {
        let now = Instant::from_timestamp_millis(1000 * NOW).unwrap();
        Expected { issuer: "https://id.example.com", client_id: "hub", nonce: "n", assumed_domains: "", now }
    }

    fn good() -> Value {
        json!({
            "iss": "https://id.example.com", "sub": "248289761001", "aud": "hub", "exp": NOW + 300, "iat": NOW, "nonce": "n",
            "email": "Ada@example.com", "email_verified": true,
        })
    }

    fn check(change: Value) -> Result<Subject, &'static str> {
        let mut claims = good();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        serde_json::from_value::<Claims>(claims).map_err(|_| "unreadable")?.check(&expected())
    }

    #[test]
    fn a_good_token_says_who_it_is() {
        let who = check(json!({})).unwrap();
        assert_eq!((who.subject.as_str(), who.email.as_str()), ("248289761001", "ada@example.com"));
        for good in [
            json!({ "aud": ["hub"] }),
            json!({ "aud": ["other", "hub"], "azp": "hub" }),
            json!({ "azp": "hub" }),
            json!({ "email_verified": "true" }),
            json!({ "exp": NOW - 59, "iat": NOW + 60, "nbf": NOW + 60 }),
            json!({ "unknown": 1 }),
            json!({ "exp": NOW as f64 + 0.5, "iat": NOW as f64 - 0.25, "nbf": NOW as f64 - 0.75 }),
            json!({ "exp": 1e300 }),
        ] {
            assert!(check(good.clone()).is_ok(), "{good}");
        }
    }

    #[test]
    fn whatever_is_wrong_is_refused() {
        for wrong in [
            json!({ "iss": "https://id.example.com/" }),
            json!({ "iss": "https://evil.example.com" }),
            json!({ "aud": "other" }),
            json!({ "aud": [] }),
            json!({ "aud": ["hub", "other"] }),
            json!({ "aud": ["hub", "other"], "azp": "other" }),
            json!({ "azp": "other" }),
            json!({ "exp": NOW - 60 }),
            json!({ "exp": null }),
            json!({ "exp": "1795262700" }),
            json!({ "exp": NOW as f64 - 60.5 }),
            json!({ "iat": 1e300 }),
            json!({ "iat": NOW + 61 }),
            json!({ "nbf": NOW + 61 }),
            json!({ "nonce": "other" }),
            json!({ "nonce": null }),
            json!({ "sub": "" }),
            json!({ "sub": "x".repeat(256) }),
            json!({ "email_verified": false }),
            json!({ "email_verified": null }),
            json!({ "email_verified": "yes" }),
            json!({ "email": null }),
            json!({ "email": "no address" }),
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_counts_as_verified_where_the_token_does_not_say_in_named_domains_alone() {
        let check = |change: Value, assumed_domains: &str| {
            let mut claims = good();
            change.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
            serde_json::from_value::<Claims>(claims).unwrap().check(&Expected { assumed_domains, ..expected() })
        };
        assert!(check(json!({ "email_verified": null }), "other.example example.com").is_ok());
        for (change, domains) in [
            (json!({ "email_verified": null }), "other.example"),
            (json!({ "email_verified": null }), ""),
            (json!({ "email_verified": null, "email": "ada@sub.example.com" }), "example.com"),
            (json!({ "email_verified": null, "email": null }), "example.com"),
            (json!({ "email_verified": false }), "example.com"),
            (json!({ "email_verified": "no" }), "example.com"),
        ] {
            assert!(check(change.clone(), domains).is_err(), "{change} {domains}");
        }
    }

    #[test]
    fn a_provider_that_fails_is_left_alone_for_longer_each_time_up_to_a_minute() {
        let seconds: Vec<i64> = (1..8).map(|failures| pause_after(failures).num_seconds()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(pause_after(i64::MAX).num_seconds(), 60);
    }

    #[test]
    fn a_word_of_an_address_is_a_whole_part_of_it() {
        for (url, has) in [
            ("https://a.example/signed-in/idp_1", true),
            ("https://a.example/signed-in?at=idp_1", true),
            ("https://a.example/?x=1&idp=idp_1", true),
            ("https://a.example/idp_12", false),
            ("https://idp_1", false),
            ("https://a.example", false),
        ] {
            assert_eq!(Url(url.into()).has_word("idp_1"), has, "{url}");
        }
    }

    #[test]
    fn addresses() {
        for good in [
            "https://id.example.com",
            "https://id.example.com:8443/realms/x?y=z",
            "http://localhost:8089",
            "http://127.0.0.1/",
            "http://[::1]:80/x",
            "https://[2001:db8::1]/",
        ] {
            assert!(good.parse::<Url>().is_ok(), "{good}");
        }
        for wrong in [
            "",
            "id.example.com",
            "http://id.example.com",
            "ftp://localhost",
            "https://",
            "https://user@id.example.com",
            "https://id.example.com#x",
            "https://id.example.com:0",
            "https://id.example.com:99999",
            "https://id example.com",
            "http://localhost.example.com",
            "http://localhost@evil.example.com",
            "https://id.example.com\\@evil.example.com",
            "https://[::1",
        ] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_address_panic(text in "(https://)?\\PC{0,30}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(url.to_string(), text);
            }
        }

        #[test]
        fn a_token_is_good_only_around_now(skew in -100_000i64..100_000) {
            let made = json!({ "iat": NOW + skew, "exp": NOW + skew + 300 });
            prop_assert_eq!(check(made).is_ok(), (-359..=60).contains(&skew));
        }
    }
}
