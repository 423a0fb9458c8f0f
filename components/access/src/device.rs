//! Known devices (OWASP's device cookie): a sign-in with the password gives a device token, and attempts with it are not held back by
//! what strangers try at the account. It proves nothing else.

use chrono::TimeDelta;
use domain::{Instant, Result, person::Email, source::Source, text::hex};
use store::{passwords::Account, sign_in_attempts::Counters};
use web::{Hub, secret, variable};

/// For how long a device is known after it was last used to sign in.
const LIFETIME: TimeDelta = TimeDelta::days(180);

/// A new token for a device on which a person has signed in to this account. It ends with the password.
pub async fn token(hub: &Hub, email: &Email, account: &Account) -> Result<String> {
    let says = says(account, hub.now() + LIFETIME);
    let key = secret::key(&variable("data_key").await?, "device", &[email.as_str()]);
    Ok(format!("hubdt_{}", secret::seal(&key, says.as_bytes())?))
}

/// What a token says: of which account it is, when the password was set, and when it ends.
fn says(account: &Account, ends: Instant) -> String {
    let changed_at = account.changed_at.map(|at| at.timestamp_millis()).unwrap_or_default();
    format!("{} {changed_at} {}", account.person, ends.timestamp_millis())
}

/// The account of which this is a token. Any other text is of none; that it has ended is no error.
fn account_of(data_key: &str, email: &Email, accounts: &[Account], token: &str, now: Instant) -> Option<usize> {
    let key = secret::key(data_key, "device", &[email.as_str()]);
    let opened = token.strip_prefix("hubdt_").and_then(|sealed| secret::open(&key, sealed).ok());
    let opened = String::from_utf8(opened?).ok()?;
    let ends = opened.rsplit(' ').next()?.parse().ok().and_then(Instant::from_timestamp_millis).filter(|ends| *ends > now)?;
    accounts.iter().position(|account| account.hash.is_some() && says(account, ends) == opened)
}

/// What an attempt at an address counts for: a known device for itself; a stranger for the address, for where they are, and for both
/// together. On a known device the attempt is at its account alone, which is what is left of `accounts`: who has an account by which an
/// organization vouches for the address of somebody else would otherwise guess that one's password as often as they like.
pub async fn counters(
    hub: &Hub,
    email: &Email,
    accounts: &mut Vec<Account>,
    device: Option<&str>,
    source: Source,
) -> Result<Counters> {
    let data_key = variable("data_key").await?;
    if let Some(token) = device
        && let Some(index) = account_of(&data_key, email, accounts, token, hub.now())
    {
        *accounts = vec![accounts.swap_remove(index)];
        return Ok(Counters { own: Some(hash(&data_key, &["device", token])), ..Counters::default() });
    }
    let known = |of: &[&str]| source.is_known().then(|| hash(&data_key, of));
    let place = source.to_string();
    Ok(Counters {
        own: known(&["account and source", email.as_str(), &place]),
        account: Some(hash(&data_key, &["account", email.as_str()])),
        source: known(&["source", &place]),
    })
}

/// What an attempt of a signed-in person counts for: their session.
pub async fn session_counters(session: &str) -> Result<Counters> {
    Ok(Counters { own: Some(hash(&variable("data_key").await?, &["session", session])), ..Counters::default() })
}

fn hash(data_key: &str, of: &[&str]) -> String {
    hex(&secret::key(data_key, "sign-in attempts", of))
}
