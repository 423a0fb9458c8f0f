//! `/v1/onboarding-invitations`

use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, OrganizationKind, PrincipalId, Result, Role, Text, audit::AuditResult, id,
    onboarding_invitation::LIFETIME, person::PersonStatus,
};
use serde::{Deserialize, Serialize};
use store::{
    Scope, access_tokens, account_links, bindings,
    onboarding_invitations::{self, OnboardingInvitation},
    organizations::{self, NewOrganization},
    people,
};
use web::{Body, Caller, Hub, Listing, Page, PageQuery, Path, Query, Record, Reply, Sent, Shown, permit, secret};

/// For how long the link is good by which the first administrator sets a password.
const LINK_LIFETIME: TimeDelta = TimeDelta::days(7);

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ContractRead>,
    Query(query): Query<PageQuery<id::OnboardingInvitation>>,
) -> Result<Listing<OnboardingInvitation>> {
    let page = Page::new(query.limit)?;
    let found = onboarding_invitations::list(hub.db().await?, &caller.scope(), query.cursor, page.rows(), hub.now()).await?;
    Ok(Listing::new(&page, found, hub.target(), |invitation| invitation.id.to_string()))
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::ContractRead>,
    Path(id): Path<Id<id::OnboardingInvitation>>,
) -> Result<Shown<OnboardingInvitation>> {
    onboarding_invitations::find(hub.db().await?, &caller.scope(), id, hub.now()).await.map(Shown)
}

/// An invitation with its secret, as it is shown once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentOnboardingInvitation {
    #[serde(flatten)]
    invitation: OnboardingInvitation,
    /// What the provider accepts the invitation with. It is stored nowhere, and the one before it is worth nothing any more:
    /// hand it over now.
    secret: String,
}

pub async fn resend(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::OnboardingInvitation>>,
) -> Result<Sent<Shown<SentOnboardingInvitation>>> {
    let secret = secret::new("hubin_");
    hub.write(&caller, async |tx| {
        let invitation = onboarding_invitations::find(tx, &caller.scope(), id, hub.now()).await?;
        invitation.status.check_open()?;
        let invitation =
            onboarding_invitations::resend(tx, invitation, &secret::hash(&secret), hub.now(), hub.now() + LIFETIME).await?;
        Ok(Shown(SentOnboardingInvitation { invitation, secret: secret.clone() }))
    })
    .await
}

pub async fn revoke(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::OnboardingInvitation>>,
) -> Result<Sent<Shown<OnboardingInvitation>>> {
    hub.write(&caller, async |tx| {
        let invitation = onboarding_invitations::find(tx, &caller.scope(), id, hub.now()).await?;
        invitation.status.check_open()?;
        onboarding_invitations::revoke(tx, invitation, hub.now()).await.map(Shown)
    })
    .await
}

/// What an invitation is accepted with.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnboardingAcceptance {
    /// The invitation's secret: `hubin_…`.
    secret: Text<1, 200>,
    /// The name that the first administrator goes by.
    name: Text<1, 120>,
    /// The name that the organization is to be known by, if not the one its issuer gave it.
    display_name: Option<Text<1, 120>>,
}

/// What an acceptance has made.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Onboarded {
    /// The provider's organization. All contracts that waited for it are its.
    organization_id: Id<id::Organization>,
    /// Its first Provider Administrator.
    person_id: Id<id::Person>,
    /// By which that person sets a password; absent for a person whom the hub knew already, who signs in as before.
    account_link: Option<FirstAccountLink>,
}

/// A link by which a person sets a password, once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirstAccountLink {
    /// Its secret. It is stored nowhere: use it or keep it now.
    secret: String,
    /// Until when it is good.
    expires_at: Instant,
}

impl Reply for Onboarded {
    fn into_answer(self) -> Result<web::Answer> {
        web::Answer::json(201, &self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for Onboarded {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<Self>(201, "The provider has its organization.");
        operation.problem(404, "The secret is unknown, was used or revoked, or has ended.");
        operation.problem(403, "The person with the invitation's mail address cannot sign in.");
        operation.problem(409, "The issuer is disabled.");
    }
}

/// Takes no Idempotency-Key: nobody is known yet whose key it could be, and an invitation is accepted once.
pub async fn accept(hub: Hub, Body(acceptance): Body<OnboardingAcceptance>) -> Result<Onboarded> {
    let hash = secret::hash(&acceptance.secret);
    let (organization_id, person_id, link) = (hub.id(), hub.id(), secret::new("hubal_"));
    let now = hub.now();
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let accepted = onboarding_invitations::accept(tx, &hash, now).await?.ok_or_else(unknown)?;
            let place = access_tokens::place(tx, accepted.issuer_id).await?.ok_or_else(unknown)?;
            let issuer = organizations::find_in_use(tx, &Scope::below(place.path), accepted.issuer_id).await?;
            let provider = &accepted.provider;
            let display_name = acceptance.display_name.clone().unwrap_or_else(|| provider.display_name.clone());
            let new = NewOrganization::named(
                OrganizationKind::Provider,
                display_name,
                provider.company_name.clone(),
                provider.country,
                accepted.currency,
            );
            organizations::insert(tx, &issuer, organization_id, &new.checked()?, now).await?;
            let person =
                people::find_or_insert(tx, person_id, &provider.email, &acceptance.name, organization_id, now).await?;
            if person.status == PersonStatus::Disabled {
                return Err(Error::new(
                    Kind::Forbidden,
                    "person_disabled",
                    "The person with the invitation's mail address cannot sign in. Ask whoever offers the contract to turn to the operator.",
                ));
            }
            bindings::insert(tx, PrincipalId::Person(person.id), &[Role::ProviderAdministrator], organization_id).await?;
            onboarding_invitations::attach(tx, &accepted, organization_id, now).await?;
            // Only for a person who was not there before: whoever offers a contract chooses the address, and must not get into
            // anybody's account by it.
            let is_new = person.id == person_id;
            let expires_at = now + LINK_LIFETIME;
            if is_new {
                account_links::insert(tx, &secret::hash(&link), person.id, now, expires_at).await?;
            }
            hub.concerns(accepted.issuer_id);
            let what = Record {
                organization_id,
                action: "onboarding_invitations.accept",
                principal: PrincipalId::Person(person.id).into(),
                subject_id: Some(organization_id.to_string()),
                result: AuditResult::Success,
            };
            hub.record(tx, what).await?;
            let account_link = is_new.then(|| FirstAccountLink { secret: link.clone(), expires_at });
            Ok(Onboarded { organization_id, person_id: person.id, account_link })
        })
        .await
}

/// The same for whatever is the matter with the secret.
fn unknown() -> Error {
    Error::new(
        Kind::NotFound,
        "onboarding_invitation_unknown",
        "There is no onboarding invitation with this secret that can be accepted: it was used or revoked, has ended, or never was. Ask whoever offers the contract to send it again.",
    )
}
