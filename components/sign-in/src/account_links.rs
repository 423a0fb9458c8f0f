//! `/v1/sign-in/password-reset` and `/v1/account-links`: how a person comes to a password.
//!
//! Links are handed on by the administrator who made them: the hub sends no mail yet.

use crate::{argon2id, password::email_hash};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, Permission, PrincipalId, Result, Text,
    audit::AuditResult,
    id,
    role::Binding,
    sign_in::{PASSWORD_MIN, Password, check_password},
};
use serde::{Deserialize, Serialize};
use store::{account_links, bindings, passwords, people, sessions};
use web::{Answer, Body, Caller, Hub, Identity, NoContent, Reply, Sent, note_sign_in, permit, secret};

/// For how long a link is good: an administrator has to get it to the person.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// Whose password is to be set.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordReset {
    /// A person all of whose roles are where you act and below, and permit no more than yours.
    person_id: Id<id::Person>,
}

/// A link to set a password with. It is good once, and only the newest of a person is good.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedAccountLink {
    /// Whose it is.
    person_id: Id<id::Person>,
    /// The secret for PUT /v1/account-links. It is stored nowhere: hand it to the person now.
    account_link: String,
    /// Until when it is good.
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
        operation.answers::<Self>(201, "The link; it is shown this once.");
    }
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Body(reset): Body<PasswordReset>,
) -> Result<Sent<IssuedAccountLink>> {
    let account_link = secret::new("hubal_");
    let expires_at = hub.now() + LIFETIME;
    hub.write(&caller, async |tx| {
        let bindings = bindings::of(tx, PrincipalId::Person(reset.person_id), hub.now()).await?;
        refuse_beyond_reach(&caller, reset.person_id, &bindings)?;
        hub.audit_subject(reset.person_id.to_string());
        bindings.iter().filter_map(|binding| binding.path.id()).for_each(|place| hub.concerns(place));
        account_links::insert(tx, &secret::hash(&account_link), reset.person_id, hub.now(), expires_at).await?;
        Ok(IssuedAccountLink { person_id: reset.person_id, account_link: account_link.clone(), expires_at })
    })
    .await
}

/// Whoever has the link can sign in as the person. So it is only for those who may do already what the person may, wherever
/// the person may it.
fn refuse_beyond_reach(caller: &Identity, person: Id<id::Person>, bindings: &[Binding]) -> Result<()> {
    let here = |binding: &Binding| {
        caller.acting().path.reaches(&binding.path) && caller.authority_in(&binding.path).here.has(Permission::MemberWrite)
    };
    if !bindings.iter().any(here) {
        return Err(Error::not_found("person_not_found", "person", person));
    }
    if bindings.iter().all(|binding| here(binding) && caller.authority_in(&binding.path).covers(binding.role)) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forbidden,
        "person_beyond_reach",
        format!(
            "Not all roles of {person} are where you act and below, or they permit more than yours, and with the link one could sign in as this person. Ask an administrator of the organization above."
        ),
    ))
}

/// A link, and the password to set with it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redemption {
    /// The secret of the link: `hubal_…`.
    account_link: Text<1, 200>,
    /// The password that is to be: 12 to 128 characters of any kind, and not the mail address.
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

/// Ends all sessions of the person: one of them may be why there is a new password.
pub async fn redeem(hub: Hub, Body(redemption): Body<Redemption>) -> Result<PasswordSet> {
    let link = secret::hash(&redemption.account_link);
    // Before the password is hashed, which is work that nobody gets for an unknown link.
    let person = account_links::find(hub.db().await?, &link, hub.now()).await?.ok_or_else(invalid)?;
    let email = people::find(hub.db().await?, person).await?.email;
    check_password(redemption.password.as_str(), &email, "/password")?;
    let hash = argon2id::hash(redemption.password.as_str())?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let person = account_links::take(tx, &link, hub.now()).await?.ok_or_else(invalid)?;
            passwords::set(tx, person, &hash, hub.now()).await?;
            passwords::succeeded(tx, &email_hash(&email)).await?;
            sessions::end_others(tx, person, None).await?;
            note_sign_in(&hub, tx, person, "account_links.redeem", AuditResult::Success).await
        })
        .await?;
    Ok(PasswordSet)
}
