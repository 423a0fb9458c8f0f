//! `POST /v1/member-invitations/accept`, and the admission of the invited person.

use crate::admission::{Admission, joinable};
use chrono::TimeDelta;
use domain::{
    Error, Instant, JsonSchema, Kind, Permission, PrincipalId, Result, Text, audit::AuditResult, member::InvitationStatus,
    role::Authority,
};
use serde::{Deserialize, Serialize};
use store::{
    Scope, Tx,
    access_tokens::Place,
    account_links, accounts, bindings,
    customers_word::Word,
    member_invitations::{self, BySecret, MemberInvitation},
    members::{self, MemberDetails},
    people::{self, NewAccount, Person},
    recoveries, service_roles,
};
use web::{Body, Hub, Record, Reply, secret};

/// For how long the link that sets a new person's password is good.
const LINK: TimeDelta = TimeDelta::hours(24);

/// The secret of an invitation, from the invited person.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acceptance {
    /// The secret: `hubmi_…`.
    secret: Text<1, 200>,
    /// The name you go by, for a new account.
    display_name: Option<Text<1, 120>>,
}

/// A new member.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// What you are now.
    member: MemberDetails,
    /// For an account that nobody can sign in to yet, the secret that sets a password, good once. A secret from the mail ends what
    /// others had set up in the name of the address, so it gives one then too.
    account_link: Option<AccountLink>,
}

/// A way to set a password.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLink {
    /// The secret. It is stored nowhere.
    secret: String,
    /// Until when it is good.
    expires_at: Instant,
}

impl Reply for Accepted {
    fn into_answer(self) -> Result<web::Answer> {
        web::Answer::json(200, &self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for Accepted {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<Self>(200, "You are a member.");
        operation.problem(
            403,
            "Whoever sent the invitation may no longer give what it gives, or you or the organization are disabled.",
        );
        operation.problem(404, "No invitation has this secret, or another one ended it.");
        operation.problem(409, "The invitation was accepted or taken back, or has expired.");
    }
}

/// Takes no access token, for there is nobody yet, and no Idempotency-Key: who has lost the answer is a member all the same.
/// Whether the hub knows the address makes no difference to what a secret does that others saw.
pub async fn accept(hub: Hub, Body(acceptance): Body<Acceptance>) -> Result<Accepted> {
    let (new_person, link) = (hub.id(), secret::new("hubal_"));
    let expires_at = hub.now() + LINK;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let found = by_secret(tx, &acceptance.secret, hub.now()).await?;
            let invitation = &found.invitation;
            let place = joinable(tx, invitation.organization_id).await?;
            let name = display_name(invitation, acceptance.display_name.as_ref())?;
            let new = NewAccount {
                id: new_person,
                email: &invitation.email,
                display_name: &name,
                home: invitation.organization_id,
                now: hub.now(),
            };
            let person = if found.confirms {
                accounts::confirm(tx, &new).await?
            } else {
                people::find_or_insert_vouched(tx, &new).await?
            };
            if invitation.status == InvitationStatus::Pending {
                admitted(tx, &place, invitation, &person, hub.now()).await?;
            }
            member_invitations::accepted(tx, invitation.id, person.id, !found.confirms, hub.now()).await?;
            let mut account_link = None;
            if !accounts::has_credential(tx, person.id).await? {
                account_links::end(tx, person.id).await?;
                account_links::insert(tx, &secret::hash(&link), person.id, found.confirms, hub.now(), expires_at).await?;
                account_link = Some(AccountLink { secret: link.clone(), expires_at });
            }
            hub.audit("addressConfirmed", if found.confirms { "true" } else { "false" });
            let what = Record {
                organization_id: place.id,
                action: "member_invitations.accept",
                principal: PrincipalId::Person(person.id).into(),
                subject_id: Some(invitation.id.to_string()),
                result: AuditResult::Success,
            };
            hub.record(tx, what).await?;
            let member = members::find(tx, &Scope::only(place.path), place.id, person.id).await?;
            Ok(Accepted { member, account_link })
        })
        .await
}

/// The invitation with this secret. One that was accepted with the secret that others saw can still be accepted with the one in
/// the mail: so the owner of the address takes the membership over.
async fn by_secret(tx: &Tx<'_>, secret: &str, now: Instant) -> Result<BySecret> {
    let found = member_invitations::find_by_hash(tx, &secret::hash(secret), now).await?.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            "invitation_secret_unknown",
            "No invitation has this secret. It may have been sent again, which ends the secret before: use the newest.",
        )
    })?;
    let taken_over = found.confirms && found.vouched.is_some();
    let status = match found.invitation.status {
        InvitationStatus::Accepted if taken_over => InvitationStatus::Pending.at(now, found.invitation.expires_at),
        status => status,
    };
    status.check_acceptable()?;
    Ok(found)
}

/// The name of a new account: what the person says, or what the inviter said.
fn display_name(invitation: &MemberInvitation, name: Option<&Text<1, 120>>) -> Result<Text<1, 120>> {
    let fallback = invitation.display_name.as_deref().or(invitation.email.as_str().split('@').next()).unwrap_or_default();
    match name {
        Some(name) => Ok(name.clone()),
        None => fallback.parse().map_err(Error::fault),
    }
}

/// Gives the person what the invitation says, if its sender may still give that.
pub async fn admitted(tx: &Tx<'_>, place: &Place, invitation: &MemberInvitation, person: &Person, now: Instant) -> Result<()> {
    let authority = Authority::of(&bindings::of(tx, invitation.invited_by, now).await?, &place.path);
    // What was bound or given then and is there no longer is left out.
    let mut grants = invitation.grants.clone();
    let bound = bindings::bindable(tx, &Scope::below(place.path.clone()), &place.path, &grants.bound_organization_ids).await?;
    grants.bound_organization_ids = domain::List::new(bound).map_err(Error::fault)?;
    let roles = service_roles::known(tx, &grants.service_role_ids).await?;
    grants.service_role_ids = domain::List::new(roles).map_err(Error::fault)?;
    let granter = (invitation.invited_by, authority.clone());
    let word = match recoveries::word(tx, invitation.id).await? {
        Some(recovers) => Ok(recovers),
        None => Word::of(tx, invitation.invited_by, place.id).await,
    };
    let admission = Admission::check_with(tx, (place.id, place.kind), &grants, granter, word).await;
    match admission {
        Ok(admission) if authority.here.has(Permission::MemberWrite) => admission.admit(tx, person, now).await,
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        _ => Err(Error::new(
            Kind::Forbidden,
            "invitation_void",
            "Whoever invited you may no longer give what the invitation gives. Ask an administrator of the organization to send it again.",
        )),
    }
}
