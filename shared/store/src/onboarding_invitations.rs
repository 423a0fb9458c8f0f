//! Invitations to providers that have contracts and no organization yet: one an issuer and mail address.

use crate::{
    Db, Placed, Row, Scope, Tx,
    contracts::{Contract, ProspectiveProvider},
    mailbox, params,
};
use domain::{
    Currency, Error, Id, Instant, JsonSchema, Result, id, onboarding_invitation::OnboardingInvitationStatus, person::Email,
};
use serde::Serialize;

/// An onboarding invitation as it is shown: never its secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingInvitation {
    /// Its id.
    pub id: Id<id::OnboardingInvitation>,
    /// Who offers the contracts; the provider's organization comes below it.
    pub issuer_id: Id<id::Organization>,
    /// Where the provider's first administrator gets mail.
    pub email: Email,
    /// The contract whose coming into force made it.
    pub contract_id: Id<id::Contract>,
    /// Where it stands.
    pub status: OnboardingInvitationStatus,
    /// Until when it can be accepted.
    pub expires_at: Instant,
    /// The organization that its acceptance made.
    pub organization_id: Option<Id<id::Organization>>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last sent, revoked or accepted.
    pub updated_at: Instant,
}

const COLUMNS: &str =
    "i.id, i.issuer_id, i.email, i.contract_id, i.status, i.expires_at, i.organization_id, i.created_at, i.updated_at";
const FROM: &str = "onboarding_invitations i JOIN organizations o ON o.id = i.issuer_id";

fn read(row: &mut Row, now: Instant) -> Result<OnboardingInvitation> {
    let (id, issuer_id, email, contract_id) = (row.take()?, row.take()?, row.take()?, row.take()?);
    let (status, expires_at): (OnboardingInvitationStatus, _) = (row.take()?, row.take()?);
    Ok(OnboardingInvitation {
        id,
        issuer_id,
        email,
        contract_id,
        status: status.at(expires_at, now),
        expires_at,
        organization_id: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

/// Makes the invitation of a contract's provider, which has no organization, unless there is one already. Says whether it did.
pub async fn insert(
    tx: &Tx<'_>,
    id: Id<id::OnboardingInvitation>,
    contract: &Contract,
    provider: &ProspectiveProvider,
    hash: &str,
    now: Instant,
    expires_at: Instant,
) -> Result<bool> {
    let made: Option<Id<id::OnboardingInvitation>> = tx
        .query_opt(
            "INSERT INTO onboarding_invitations (id, issuer_id, email, contract_id, status, hash, expires_at, created_at, updated_at, organization_path)
             VALUES (?1, ?2, ?3, ?4, 'PENDING', ?5, ?6, ?7, ?7, (SELECT o.path FROM organizations o WHERE o.id = ?2)) ON CONFLICT (issuer_id, email) DO NOTHING
             RETURNING id",
            params![id, contract.issuer_id, provider.email, contract.id, hash, expires_at, now],
            |row| row.take(),
        )
        .await?;
    Ok(made.is_some())
}

/// One invitation of an issuer within the scope, as it stands at `now`.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::OnboardingInvitation>, now: Instant) -> Result<OnboardingInvitation> {
    let values = scope.after(params![id]);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE i.id = ?1 AND o.path >= ?2 AND o.path < ?3");
    db.query_opt(&sql, values, |row| read(row, now))
        .await?
        .ok_or_else(|| Error::not_found("onboarding_invitation_not_found", "onboarding invitation", id))
}

/// A page of the invitations of issuers within the scope, in the order of the tree and those of one issuer oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    after: &[String],
    limit: u32,
    now: Instant,
) -> Result<Vec<Placed<OnboardingInvitation>>> {
    let mut values = params![limit];
    let page = scope.page("i", after, &mut values);
    db.query_all(
        &format!(
            "SELECT {COLUMNS}, i.organization_path, i.id FROM {FROM} WHERE {page} ORDER BY i.organization_path, i.id LIMIT ?1"
        ),
        values,
        |row| Placed::read(row, |row| read(row, now), 2),
    )
    .await
}

/// Gives an invitation, as read in this transaction, a new secret and a new time; the old secret ends.
pub async fn resend(
    tx: &Tx<'_>,
    invitation: OnboardingInvitation,
    hash: &str,
    now: Instant,
    expires_at: Instant,
) -> Result<OnboardingInvitation> {
    tx.exec(
        "UPDATE onboarding_invitations SET status = 'PENDING', hash = ?2, expires_at = ?3, updated_at = ?4 WHERE id = ?1",
        params![invitation.id, hash, expires_at, now],
    )
    .await?;
    Ok(OnboardingInvitation { status: OnboardingInvitationStatus::Pending, expires_at, updated_at: now, ..invitation })
}

/// Takes an invitation, as read in this transaction, back.
pub async fn revoke(tx: &Tx<'_>, invitation: OnboardingInvitation, now: Instant) -> Result<OnboardingInvitation> {
    tx.exec("UPDATE onboarding_invitations SET status = 'REVOKED', updated_at = ?2 WHERE id = ?1", params![invitation.id, now])
        .await?;
    mailbox::delete(tx, &invitation.id.to_string()).await?;
    Ok(OnboardingInvitation { status: OnboardingInvitationStatus::Revoked, updated_at: now, ..invitation })
}

/// An invitation that was just accepted.
pub struct Accepted {
    /// The invitation.
    pub id: Id<id::OnboardingInvitation>,
    /// Below which organization the provider's comes.
    pub issuer_id: Id<id::Organization>,
    /// What its issuer said of the provider.
    pub provider: ProspectiveProvider,
    /// The currency of its first contract.
    pub currency: Currency,
}

/// The name that the issuer gave the provider of an invitation.
pub async fn provider_name(db: &Db, invitation: Id<id::OnboardingInvitation>) -> Result<String> {
    let sql = "SELECT p.display_name FROM onboarding_invitations i
         JOIN prospective_providers p ON p.issuer_id = i.issuer_id AND p.email = i.email WHERE i.id = ?1";
    let name = db.query_opt(sql, params![invitation], |row| row.take()).await?;
    name.ok_or_else(|| Error::not_found("onboarding_invitation_not_found", "onboarding invitation", invitation))
}

/// Uses up the invitation with this hash if it is still good: of two who do at once, one gets it. Nobody has a scope here;
/// whoever has the secret is who was invited.
pub async fn accept(tx: &Tx<'_>, hash: &str, now: Instant) -> Result<Option<Accepted>> {
    let accepted: Option<Id<id::OnboardingInvitation>> = tx
        .query_opt(
            "UPDATE onboarding_invitations SET status = 'ACCEPTED', updated_at = ?2
             WHERE hash = ?1 AND status = 'PENDING' AND expires_at > ?2 RETURNING id",
            params![hash, now],
            |row| row.take(),
        )
        .await?;
    let Some(id) = accepted else { return Ok(None) };
    mailbox::delete(tx, &id.to_string()).await?;
    tx.query_opt(
        "SELECT i.issuer_id, p.email, p.display_name, p.company_name, p.country, p.currency FROM onboarding_invitations i
         JOIN prospective_providers p ON p.issuer_id = i.issuer_id AND p.email = i.email WHERE i.id = ?1",
        params![id],
        |row| {
            let issuer_id = row.take()?;
            let provider = ProspectiveProvider {
                email: row.take()?,
                display_name: row.take()?,
                company_name: row.take()?,
                country: row.take()?,
            };
            Ok(Accepted { id, issuer_id, provider, currency: row.take()? })
        },
    )
    .await
}

/// Gives everything that waits for the provider of an accepted invitation to the organization that it has become.
pub async fn attach(tx: &Tx<'_>, accepted: &Accepted, organization_id: Id<id::Organization>, now: Instant) -> Result<()> {
    tx.exec("UPDATE onboarding_invitations SET organization_id = ?2 WHERE id = ?1", params![accepted.id, organization_id])
        .await?;
    tx.exec(
        "UPDATE prospective_providers SET organization_id = ?3 WHERE issuer_id = ?1 AND email = ?2",
        params![accepted.issuer_id, accepted.provider.email, organization_id],
    )
    .await?;
    tx.exec(
        "UPDATE contracts SET provider_id = ?3, organization_path = (SELECT o.path FROM organizations o WHERE o.id = ?3),
             version = version + 1, updated_at = ?4
         WHERE issuer_id = ?1 AND provider_email = ?2 AND provider_id = issuer_id",
        params![accepted.issuer_id, accepted.provider.email, organization_id, now],
    )
    .await
}
