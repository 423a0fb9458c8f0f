//! `/v1/sign-in/password`

use crate::{device, hashing::Turn, password_hashes};
use domain::{
    Error, Id, JsonSchema, Kind, PrincipalId, Result, Text,
    audit::AuditResult,
    id,
    person::Email,
    sign_in::{PASSWORD_MIN, Password, check_password, is_noted},
};
use serde::Deserialize;
use store::{
    Tx, access_tokens, memberships,
    passwords::{self, Account},
    people::{self, Person},
    sessions, sign_in_attempts,
};
use web::{
    Body, Caller, Hub, Issued, NewTokens, NoContent, Presented, Proof, RequestSource, Sent, begin_session, note_sign_in, permit,
};

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
    /// The `deviceToken` of an earlier sign-in to this account on this device: what others try at the account then holds nobody back.
    device_token: Option<Text<1, 400>>,
}

fn wrong() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "password_wrong",
        "The mail address or the password is wrong. Check both, or ask an administrator for a link to set a new password.",
    )
}

/// The hashes of the accounts that have one.
pub fn hashes(accounts: &[Account]) -> Vec<&str> {
    accounts.iter().filter_map(|account| account.hash.as_deref()).collect()
}

/// The account that this is the password of; and another hash of it, where the stored one is of a form in which passwords are hashed no
/// longer.
async fn find(hub: &Hub, password: &Password<1>, accounts: &[Account]) -> Result<Option<(Account, Option<String>)>> {
    let hashes = hashes(accounts);
    let account = |index: usize| accounts.iter().filter(|account| account.hash.is_some()).nth(index).cloned();
    if let Some(found) = password_hashes::find(hub, password.as_str(), &hashes).await?.and_then(account) {
        return Ok(Some((found, None)));
    }
    let Some(typed) = password.typed() else { return Ok(None) };
    let Some(found) = password_hashes::find(hub, typed, &hashes).await?.and_then(account) else { return Ok(None) };
    let renewed = password_hashes::hash(hub, password.as_str(), &hashes).await?;
    Ok(Some((found, Some(renewed))))
}

/// The names of the organizations that a person belongs to, and the person's own: no password is made of them.
pub async fn context(hub: &Hub, person: &Person) -> Result<Vec<String>> {
    let organizations = memberships::list(hub.db().await?, PrincipalId::Person(person.id), None, None, CONTEXT_MAX).await?;
    let names = organizations.into_iter().map(|membership| membership.display_name);
    Ok(names.chain([person.display_name.clone()]).collect())
}

/// The texts of a list, for those who only read them.
pub fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// How many organizations are looked at for the names.
const CONTEXT_MAX: u32 = 20;

/// Notes in the audit that somebody gave a wrong password, for each account that can sign in with the address.
async fn note_failure(hub: &Hub, tx: &Tx<'_>, accounts: &[Account], turn: &Turn) -> Result<()> {
    let failures = turn.tallies.failures();
    for account in accounts.iter().filter(|_| is_noted(failures)) {
        hub.audit("failures", &failures.to_string());
        note_sign_in(hub, tx, account.person, "passwords.check", AuditResult::Failure).await?;
    }
    Ok(())
}

/// Takes no Idempotency-Key, since nobody is known yet. An address that nobody has is answered like a wrong password, after as much
/// work.
pub async fn sign_in(hub: Hub, RequestSource(source): RequestSource, Body(given): Body<PasswordSignIn>) -> Result<Issued> {
    let mut accounts = passwords::accounts(hub.db().await?, &given.email).await?;
    let counters = device::counters(&hub, &given.email, &mut accounts, given.device_token.as_deref(), source).await?;
    if given.organization_id.is_some() {
        accounts.sort_by_key(|account| account.vouched_by != given.organization_id);
    }
    let turn = Turn::take(&hub, &counters).await?;
    let found = find(&hub, &given.password, &accounts).await;
    let device_token = match &found {
        Ok(Some((account, _))) => Some(device::token(&hub, &given.email, account).await?),
        _ => None,
    };
    let tokens = NewTokens::new(None);
    let outcome = hub
        .db()
        .await?
        .in_transaction(async |tx| {
            // A refusal or a hash that failed is no error here, which would keep the place taken.
            turn.leave(tx).await?;
            let found = match &found {
                Ok(found) => found,
                Err(error) => return Ok(Err(error.clone())),
            };
            let Some((account, renewed)) = found else {
                return note_failure(&hub, tx, &accounts, &turn).await.map(|()| Err(wrong()));
            };
            sign_in_attempts::forgive(tx, &counters, account.vouched_by.is_some(), hub.now()).await?;
            if let (Some(old), Some(renewed)) = (&account.hash, renewed) {
                passwords::renew_hash(tx, account.person, old, renewed).await?;
            }
            refusal_apart(begin_session(&hub, tx, account.person, &tokens, Proof::Password).await)
        })
        .await?;
    outcome.map(|token| Issued(token.with_device(device_token)))
}

/// A refusal as an outcome, with which what was written is kept; a fault as an error, with which it is not.
fn refusal_apart<T>(outcome: Result<T>) -> Result<Result<T>> {
    match outcome {
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        outcome => Ok(outcome),
    }
}

/// The password that is, and the one that is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordChange {
    /// The password that is.
    current_password: Password<1>,
    /// The password that is to be: 12 to 128 characters of any kind, and none that attackers try first.
    new_password: Password<PASSWORD_MIN>,
}

pub async fn change(
    hub: Hub,
    caller: Caller<permit::Oneself>,
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
    // Sent again, it would count as a try with a wrong password, for that has changed.
    if let Some(first) = hub.replayed(&caller).await? {
        return Ok(first);
    }
    let person = people::find(hub.db().await?, id).await?;
    let (email, context) = (&person.email, context(&hub, &person).await?);
    check_password(change.new_password.as_str(), email, &texts(&context), "/newPassword")?;
    let session = access_tokens::session(hub.db().await?, &presented).await?;
    // What strangers try at the account does not keep its owner from changing the password.
    let counters = device::session_counters(session.as_deref().unwrap_or(&presented)).await?;
    let accounts = passwords::accounts(hub.db().await?, email).await?;
    let own: Vec<_> = accounts.iter().filter(|account| account.person == id).cloned().collect();
    let turn = Turn::take(&hub, &counters).await?;
    let found = find(&hub, &change.current_password, &own).await;
    let hash = password_hashes::hash(&hub, change.new_password.as_str(), &hashes(&accounts)).await;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            turn.leave(tx).await?;
            if matches!(found, Ok(None)) { note_failure(&hub, tx, &own, &turn).await } else { Ok(()) }
        })
        .await?;
    let (found, hash) = (found?, hash?);
    hub.write(&caller, async |tx| {
        if found.is_none() {
            return Err(wrong());
        }
        sign_in_attempts::forgive(tx, &counters, false, hub.now()).await?;
        passwords::set(tx, id, &hash, hub.now()).await?;
        sessions::end_others(tx, id, session.as_deref()).await?;
        Ok(NoContent)
    })
    .await
}
