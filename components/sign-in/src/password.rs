//! `/v1/sign-in/password`

use crate::argon2id;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, PrincipalId, Result,
    audit::AuditResult,
    id,
    person::Email,
    sign_in::{PASSWORD_MIN, Password, check_password, is_noted, wait_after},
};
use serde::Deserialize;
use store::{
    Tx, access_tokens,
    passwords::{self, Account, Attempt},
    people, sessions,
};
use web::{Body, Caller, Hub, Issued, NewTokens, NoContent, Presented, Proof, Sent, begin_session, note_sign_in, permit, secret};

/// Who signs in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordSignIn {
    /// The mail address of the account.
    email: Email,
    /// Its password.
    password: Password<1>,
    /// The organization whose account is meant, where organizations have made several with this address and the same password.
    organization_id: Option<Id<id::Organization>>,
}

/// What is stored of a mail address to which somebody tried to sign in.
pub fn email_hash(email: &Email) -> String {
    secret::hash(email.as_str())
}

/// Counts the attempt, or refuses it for now: how many have failed in a row if it does. Of an address that nobody has this says
/// just the same.
async fn count_attempt(hub: &Hub, email: &Email) -> Result<i64> {
    let hash = email_hash(email);
    let counted = hub.db().await?.in_transaction(async |tx| passwords::attempt(tx, &hash, hub.now()).await).await?;
    let until = match counted {
        Attempt::Judged(failures) => return Ok(failures),
        Attempt::Locked(until) => until,
    };
    let seconds = seconds_until(until, hub.now());
    Err(Error::too_many(
        "too_many_attempts",
        format!(
            "There were too many attempts with wrong passwords. Wait {seconds} seconds, or ask an administrator for a link to set a new password."
        ),
        seconds,
    ))
}

/// Whole seconds, rounded up: to come back any earlier would be too early.
fn seconds_until(until: Instant, now: Instant) -> u32 {
    u32::try_from(((until - now).num_milliseconds().max(1) + 999) / 1000).unwrap_or(u32::MAX)
}

fn wrong() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "password_wrong",
        "The mail address or the password is wrong. Check both, or ask an administrator for a link to set a new password.",
    )
}

/// The salt that hashes of passwords of a mail address share.
pub async fn salt(hub: &Hub, email: &Email) -> Result<[u8; argon2id::SALT]> {
    let accounts = passwords::accounts(hub.db().await?, email).await?;
    let known = accounts.iter().find_map(|account| argon2id::salt_of(account.hash.as_deref()?));
    Ok(known.unwrap_or_else(argon2id::new_salt))
}

/// Which of the accounts with one address a password is of.
#[derive(Clone, Copy)]
enum Meant {
    /// The owner's, or one that an organization vouches for: this one's first.
    Any(Option<Id<id::Organization>>),
    /// This person's.
    Only(Id<id::Person>),
}

/// The account with this address that this is the password of. The attempt is counted before it is judged.
async fn judge(hub: &Hub, email: &Email, password: &str, meant: Meant) -> Result<Option<Account>> {
    let failures = count_attempt(hub, email).await?;
    let mut accounts = passwords::accounts(hub.db().await?, email).await?;
    match meant {
        Meant::Any(None) => {}
        Meant::Any(first) => accounts.sort_by_key(|account| account.vouched_by != first),
        Meant::Only(person) => accounts.retain(|account| account.person == person),
    }
    let with_hash: Vec<_> = accounts.iter().filter_map(|account| account.hash.as_deref().map(|hash| (account, hash))).collect();
    let hashes: Vec<&str> = with_hash.iter().map(|(_, hash)| *hash).collect();
    let found = argon2id::find(password, &hashes)?.and_then(|index| with_hash.get(index)).map(|(account, _)| (*account).clone());
    if found.is_none() && is_noted(failures) {
        note_failure(hub, email, &accounts, failures).await?;
    }
    Ok(found)
}

/// Settles the count of attempts after the right password of this account.
async fn succeeded(tx: &Tx<'_>, email: &Email, account: &Account, now: Instant) -> Result<()> {
    match account.vouched_by {
        Some(_) => passwords::uncount(tx, &email_hash(email), now).await,
        None => passwords::succeeded(tx, &email_hash(email)).await,
    }
}

/// Notes in the audit that somebody gave a wrong password, for each account with the address that can sign in, and for how long
/// nobody can try again.
async fn note_failure(hub: &Hub, email: &Email, accounts: &[Account], failures: i64) -> Result<()> {
    let hash = email_hash(email);
    let wait = wait_after(failures).num_seconds();
    hub.db()
        .await?
        .in_transaction(async |tx| {
            passwords::touch(tx, &hash).await?;
            for account in accounts {
                hub.audit("failuresInARow", &failures.to_string());
                hub.audit("lockedForSeconds", &wait.to_string());
                note_sign_in(hub, tx, account.person, "passwords.check", AuditResult::Failure).await?;
            }
            Ok(())
        })
        .await
}

/// Takes no Idempotency-Key, since nobody is known yet.
pub async fn sign_in(hub: Hub, Body(given): Body<PasswordSignIn>) -> Result<Issued> {
    let account =
        judge(&hub, &given.email, given.password.as_str(), Meant::Any(given.organization_id)).await?.ok_or_else(wrong)?;
    let tokens = NewTokens::new(None);
    let token = hub
        .db()
        .await?
        .in_transaction(async |tx| {
            succeeded(tx, &given.email, &account, hub.now()).await?;
            begin_session(&hub, tx, account.person, &tokens, Proof::Password).await
        })
        .await?;
    Ok(Issued(token))
}

/// The password that is, and the one that is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordChange {
    /// The password that is.
    current_password: Password<1>,
    /// The password that is to be: 12 to 128 characters of any kind, and not the mail address.
    new_password: Password<PASSWORD_MIN>,
}

pub async fn change(
    hub: Hub,
    caller: Caller<permit::Anybody>,
    Presented(presented): Presented,
    Body(change): Body<PasswordChange>,
) -> Result<Sent<NoContent>> {
    let PrincipalId::Person(id) = caller.principal() else {
        return Err(Error::new(
            Kind::Forbidden,
            "not_a_person",
            "Only people have a password. An API token or an app gets a new secret by its regenerate.",
        ));
    };
    let email = people::find(hub.db().await?, id).await?.email;
    check_password(change.new_password.as_str(), &email, "/newPassword")?;
    let judged = judge(&hub, &email, change.current_password.as_str(), Meant::Only(id)).await?;
    let hash = argon2id::hash(change.new_password.as_str(), &salt(&hub, &email).await?)?;
    hub.write(&caller, async |tx| {
        // Here and not above, so that the change sent again with its key gets the first answer.
        let account = judged.clone().ok_or_else(wrong)?;
        succeeded(tx, &email, &account, hub.now()).await?;
        passwords::set(tx, id, &hash, hub.now()).await?;
        let session = access_tokens::session(tx, &presented).await?;
        sessions::end_others(tx, id, session.as_deref()).await?;
        Ok(NoContent)
    })
    .await
}
