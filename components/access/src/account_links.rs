//! `/v1/sign-in/password-reset` and `/v1/account-links`: how a person comes to a password.
//!
//! A link goes to the person's mailbox. The administrator who made it sees another, for accounts of their own organization that
//! nobody has confirmed to be the address owner's.

use crate::{
    device,
    hashing::Turn,
    password::{context, hashes, texts},
    password_hashes,
};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, Permission, PrincipalId, Result, Text,
    audit::AuditResult,
    id, mail,
    role::Binding,
    sign_in::{PASSWORD_MIN, Password, check_password},
};
use serde::{Deserialize, Serialize};
use store::{
    account_links, accounts, bindings,
    customers_word::Word,
    mailbox, passwords,
    people::{self, Person},
    sessions,
    sign_in_attempts::{self, Counters},
};
use web::{
    Answer, Body, Caller, Hub, Identity, Letter, Mailbox, NoContent, Reply, RequestSource, Sent, note_sign_in, permit, secret,
};

/// For how long a link is good: an administrator has to get it to the person.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// Whose password is to be set.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordReset {
    /// A person with a role where you act or below.
    person_id: Id<id::Person>,
}

/// A link to set a password with. It is good once, and only the newest of a person is good.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedAccountLink {
    /// Whose it is.
    person_id: Id<id::Person>,
    /// The secret for PUT /v1/account-links, for a person whose mail address is not confirmed and all of whose roles are in your
    /// organization. It is stored nowhere: hand it to the person now. The person's mailbox gets another in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    account_link: Option<String>,
    /// Until when both are good.
    expires_at: Instant,
}

impl Reply for IssuedAccountLink {
    fn into_answer(self) -> Result<Answer> {
        Answer::json(201, &self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for IssuedAccountLink {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<Self>(201, "The link is in the person's mailbox; what is shown here is shown this once.");
    }
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Body(reset): Body<PasswordReset>,
) -> Result<Sent<IssuedAccountLink>> {
    let (account_link, mailed) = (secret::new("hubal_"), secret::new("hubal_"));
    let post = Mailbox::open().await?;
    let expires_at = hub.now() + LIFETIME;
    hub.write(&caller, async |tx| {
        let bindings = bindings::of(tx, PrincipalId::Person(reset.person_id), hub.now()).await?;
        let here = check_within_reach(&caller, reset.person_id, &bindings)?;
        Word::of_any(tx, caller.principal(), &here).await?;
        let person = people::find(tx, reset.person_id).await?;
        hub.audit_subject(person.id.to_string());
        bindings.iter().filter_map(|binding| binding.path.id()).for_each(|place| hub.concerns(place));
        account_links::end(tx, person.id).await?;
        account_links::insert(tx, &secret::hash(&mailed), person.id, true, hub.now(), expires_at).await?;
        let organization = mailbox::name(tx, caller.acting().id).await?;
        let letter = Letter {
            about: person.id.to_string(),
            from: caller.acting().id,
            to: &person.email,
            text: mail::password_link(&organization, &mailed, expires_at),
            expires_at,
        };
        post.post(&hub, tx, letter).await?;
        let sees = sees_link(&caller, &person, &bindings);
        if sees {
            account_links::insert(tx, &secret::hash(&account_link), person.id, false, hub.now(), expires_at).await?;
        }
        let account_link = sees.then(|| account_link.clone());
        Ok(IssuedAccountLink { person_id: person.id, account_link, expires_at })
    })
    .await
}

/// Where the person has roles, of the organization acted in and those below; refuses a person without any there. Roles elsewhere make
/// no difference: the link goes to the person's mailbox.
fn check_within_reach(caller: &Identity, person: Id<id::Person>, bindings: &[Binding]) -> Result<Vec<Id<id::Organization>>> {
    let here = |binding: &Binding| {
        caller.acting().path.reaches(&binding.path) && caller.authority_in(&binding.path).here.has(Permission::MemberWrite)
    };
    let here: Vec<_> = bindings.iter().filter(|binding| here(binding)).filter_map(|binding| binding.path.id()).collect();
    if !here.is_empty() {
        return Ok(here);
    }
    Err(Error::not_found("person_not_found", "person", person))
}

/// Whether the caller sees a link too. Who has it can sign in as the person: so only where the person's roles are all in the
/// caller's own organization, permit no more than the caller's, and nobody has confirmed that the account is the address owner's.
fn sees_link(caller: &Identity, person: &Person, bindings: &[Binding]) -> bool {
    let own = &caller.acting().path;
    let by_own = |binding: &Binding| binding.path == *own || (binding.bound && own.reaches(&binding.path));
    person.confirmed_at.is_none()
        && caller.is_own(own)
        && bindings.iter().all(|binding| by_own(binding) && caller.authority_in(&binding.path).covers(binding.role))
}

/// A link, and the password to set with it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redemption {
    /// The secret of the link: `hubal_…`.
    account_link: Text<1, 200>,
    /// The password that is to be: 12 to 128 characters of any kind, and none that attackers try first.
    password: Password<PASSWORD_MIN>,
}

fn invalid() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "account_link_invalid",
        "The link is unknown, was used, was replaced by a newer one or has ended. Ask an administrator for a new one.",
    )
}

/// 204: the link was good, and the password is set.
pub struct PasswordSet;

impl Reply for PasswordSet {
    fn into_answer(self) -> Result<Answer> {
        NoContent.into_answer()
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for PasswordSet {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        NoContent::describe(operation);
        operation.problem(401, "The link is unknown, was used, was replaced by a newer one or has ended.");
    }
}

/// Ends all sessions of the person, and makes their known devices strangers: one of them may be why there is a new password. With the
/// link from the mail the person shows that the mail address is theirs, which ends what others may have set up in its name.
pub async fn redeem(hub: Hub, RequestSource(source): RequestSource, Body(redemption): Body<Redemption>) -> Result<PasswordSet> {
    let link = secret::hash(&redemption.account_link);
    // Before the password is hashed, which is work that nobody gets for an unknown link.
    let person = account_links::find(hub.db().await?, &link, hub.now()).await?.ok_or_else(invalid)?;
    let person = people::find(hub.db().await?, person).await?;
    let context = context(&hub, &person).await?;
    check_password(redemption.password.as_str(), &person.email, &texts(&context), "/password")?;
    let accounts = passwords::accounts(hub.db().await?, &person.email).await?;
    let own = device::counters(&hub, &person.email, &mut Vec::new(), None, source).await?.own;
    let turn = Turn::take(&hub, &Counters::default()).await?;
    let hash = password_hashes::hash(&hub, redemption.password.as_str(), &hashes(&accounts)).await;
    let outcome = hub
        .db()
        .await?
        .in_transaction(async |tx| {
            turn.leave(tx).await?;
            // No error here, which would keep the place taken.
            let hash = match &hash {
                Ok(hash) => hash,
                Err(error) => return Ok(Err(error.clone())),
            };
            let taken = account_links::take(tx, &link, hub.now()).await?;
            let Some((person, confirms)) = taken else { return Ok(Err(invalid())) };
            let mut person = people::find(tx, person).await?;
            mailbox::delete(tx, &person.id.to_string()).await?;
            if confirms {
                person = accounts::confirm_account(tx, person, hub.now()).await?;
            }
            passwords::set(tx, person.id, hash, hub.now()).await?;
            // The owner's own failures before they asked for the link.
            if let (Some(own), None) = (&own, person.vouched_by) {
                sign_in_attempts::forget(tx, own).await?;
            }
            sessions::end_others(tx, person.id, None).await?;
            note_sign_in(&hub, tx, person.id, "account_links.redeem", AuditResult::Success).await.map(Ok)
        })
        .await?;
    outcome.map(|()| PasswordSet)
}
