//! `/v1/onboarding-invitations`

use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, OrganizationKind, PrincipalId, Result, Role, Text, audit::AuditResult, id, mail,
    onboarding_invitation::LIFETIME, person::PersonStatus,
};
use serde::{Deserialize, Serialize};
use store::{
    Scope, access_tokens, account_links, accounts, bindings,
    customers_word::Word,
    mailbox,
    onboarding_invitations::{self, OnboardingInvitation},
    organizations::{self, NewOrganization},
    people::NewAccount,
};
use web::{
    Body, Caller, Hub, Letter, Listing, Mailbox, Page, PageQuery, Path, Query, Record, Reply, Sent, Shown, permit, secret,
};

/// For how long the link is good by which the first administrator sets a password.
const LINK_LIFETIME: TimeDelta = TimeDelta::days(7);

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ContractRead>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<OnboardingInvitation>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = onboarding_invitations::list(hub.db().await?, &caller.scope(), page.place(2)?, page.rows(), hub.now()).await?;
    Listing::placed(&page, found).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::ContractRead>,
    Path(id): Path<Id<id::OnboardingInvitation>>,
) -> Result<Shown<OnboardingInvitation>> {
    onboarding_invitations::find(hub.db().await?, &caller.scope(), id, hub.now()).await.map(Shown)
}

/// Writes the invitation to the provider's mailbox again, with another secret, which nobody else sees; the one before ends.
pub async fn resend(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::OnboardingInvitation>>,
) -> Result<Sent<Shown<OnboardingInvitation>>> {
    let secret = secret::new("hubin_");
    let post = Mailbox::open().await?;
    hub.write(&caller, async |tx| {
        let invitation = onboarding_invitations::find(tx, &caller.scope(), id, hub.now()).await?;
        invitation.status.check_open()?;
        let until = hub.now() + LIFETIME;
        let invitation = onboarding_invitations::resend(tx, invitation, &secret::hash(&secret), hub.now(), until).await?;
        let issuer = mailbox::name(tx, invitation.issuer_id).await?;
        let provider = onboarding_invitations::provider_name(tx, id).await?;
        let letter = Letter {
            about: id.to_string(),
            from: invitation.issuer_id,
            to: &invitation.email,
            text: mail::onboarding_invitation(&issuer, &provider, &secret, until),
            expires_at: until,
        };
        post.post(&hub, tx, letter).await?;
        Ok(Shown(invitation))
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
    /// By which that person sets a password; absent for a person who can sign in already, and does as before.
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
            // The secret came to the mailbox alone: who has it owns the address.
            let new = NewAccount {
                id: person_id,
                email: &provider.email,
                display_name: &acceptance.name,
                home: organization_id,
                now,
            };
            let person = accounts::confirm(tx, &new).await?;
            if person.status == PersonStatus::Disabled {
                return Err(Error::new(
                    Kind::Forbidden,
                    "person_disabled",
                    "The person with the invitation's mail address cannot sign in. Ask whoever offers the contract to turn to the operator.",
                ));
            }
            let granted = PrincipalId::Person(person.id);
            let word = Word::of(tx, granted, organization_id).await?;
            bindings::insert(tx, granted, &[Role::ProviderAdministrator], &word).await?;
            onboarding_invitations::attach(tx, &accepted, organization_id, now).await?;
            let links = !accounts::has_credential(tx, person.id).await?;
            let expires_at = now + LINK_LIFETIME;
            if links {
                account_links::end(tx, person.id).await?;
                account_links::insert(tx, &secret::hash(&link), person.id, true, now, expires_at).await?;
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
            let account_link = links.then(|| FirstAccountLink { secret: link.clone(), expires_at });
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
