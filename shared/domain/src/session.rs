//! Sessions of people, and the access tokens and refresh tokens of a session.

use crate::{Error, Instant, Kind};
use chrono::TimeDelta;

/// For how long an access token is good, unless what it was given for ends sooner.
pub const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(30);

/// For how long a person stays signed in.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::days(14);

const REFRESH_TOKEN: &str = "hubrt_";

/// When an access token ends that is issued at `now` in a session which ends at `session_ends`.
pub fn access_token_end(session_ends: Instant, now: Instant) -> Instant {
    session_ends.min(now + ACCESS_TOKEN_LIFETIME)
}

/// A refresh token: the half that all of a session share, and one of its own.
pub fn refresh_token(shared: &str, own: &str) -> String {
    format!("{REFRESH_TOKEN}{shared}.{own}")
}

/// The two halves of a refresh token.
pub fn refresh_token_halves(token: &str) -> Option<(&str, &str)> {
    token.strip_prefix(REFRESH_TOKEN)?.split_once('.')
}

/// The refusal of a session for a person who has no role anywhere, or whose account is disabled.
pub fn no_membership() -> Error {
    Error::new(
        Kind::Forbidden,
        "no_membership",
        "You are not a member of any organization here, or your account is disabled. Ask an administrator of your organization to add you.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_ends_with_its_session_at_the_latest() {
        let at = |minutes: i64| Instant::from_timestamp_millis(60_000 * minutes).unwrap();
        assert_eq!(access_token_end(at(100), at(60)), at(90));
        assert_eq!(access_token_end(at(100), at(80)), at(100));
    }

    #[test]
    fn a_refresh_token_has_two_halves() {
        assert_eq!(refresh_token_halves(&refresh_token("a", "b")), Some(("a", "b")));
        assert_eq!((refresh_token_halves("hubrt_ab"), refresh_token_halves("hubat_a.b")), (None, None));
    }
}
