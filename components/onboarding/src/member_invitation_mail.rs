//! Sending member invitations by mail.
//!
//! An invitation has two secrets. One goes to the hub's mailbox and to nobody else: accepting with it confirms the mail address. The
//! other is shown to the inviter, if the inviter is of the organization itself, and makes an account that opens this organization only.

use chrono::TimeDelta;
use domain::{
    Id, Instant, JsonSchema, PrincipalId, Result, Text, id, mail,
    member::{Grants, INVITATION_DAYS},
    person::Email,
};
use serde::Serialize;
use store::{
    Tx, mailbox,
    member_invitations::{self, MemberInvitation, NewMemberInvitation},
    organizations::NewOrganization,
};
use web::{Hub, Letter, Mailbox, secret};

/// An invitation with its secret, as it is shown once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentInvitation {
    #[serde(flatten)]
    invitation: MemberInvitation,
    /// The secret that accepts it, if the inviter is a member of the organization and this is not its first administrator. It is
    /// stored nowhere: hand it to the invited person. What is set up with it opens this organization only. The invited person's
    /// mailbox gets another secret in any case, which confirms the mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    secret: Option<String>,
}

impl SentInvitation {
    /// The invitation's id.
    pub fn id(&self) -> Id<id::MemberInvitation> {
        self.invitation.id
    }
}

/// The id, the secrets and the inviter of an invitation that is to be sent.
pub struct InvitationDraft {
    id: Id<id::MemberInvitation>,
    secret: String,
    confirming: String,
    by: PrincipalId,
    now: Instant,
}

impl InvitationDraft {
    /// An invitation by this principal.
    pub fn new(hub: &Hub, by: PrincipalId) -> Self {
        Self { id: hub.id(), secret: secret::new("hubmi_"), confirming: secret::new("hubmi_"), by, now: hub.now() }
    }

    fn expires_at(&self) -> Instant {
        self.now + TimeDelta::days(INVITATION_DAYS)
    }

    /// Invites a person by mail. `sees`: the inviter sees a secret too.
    pub async fn send(
        &self,
        post: (&Hub, &Mailbox),
        tx: &Tx<'_>,
        organization_id: Id<id::Organization>,
        (email, display_name): (&Email, Option<&Text<1, 120>>),
        grants: &Grants,
        sees: bool,
    ) -> Result<SentInvitation> {
        let (hash, confirming_hash) = self.hashes();
        let new = NewMemberInvitation {
            id: self.id,
            organization_id,
            email,
            display_name,
            invited_by: self.by,
            grants,
            hash: &hash,
            confirming_hash: &confirming_hash,
            now: self.now,
            expires_at: self.expires_at(),
        };
        let invitation = member_invitations::insert(tx, &new).await?;
        self.mail(post, tx, invitation, sees).await
    }

    /// Sends an invitation again with these secrets and by this inviter; the secrets before end.
    pub async fn renew(
        &self,
        post: (&Hub, &Mailbox),
        tx: &Tx<'_>,
        invitation: MemberInvitation,
        sees: bool,
    ) -> Result<SentInvitation> {
        let (hash, confirming_hash) = self.hashes();
        let hashes = (hash.as_str(), confirming_hash.as_str());
        let invitation = member_invitations::renew(tx, invitation, hashes, self.by, self.now, self.expires_at()).await?;
        self.mail(post, tx, invitation, sees).await
    }

    fn hashes(&self) -> (String, String) {
        (secret::hash(&self.secret), secret::hash(&self.confirming))
    }

    /// Writes the mail of an invitation that has these secrets. A secret that nobody sees is worth nothing.
    async fn mail(
        &self,
        (hub, post): (&Hub, &Mailbox),
        tx: &Tx<'_>,
        invitation: MemberInvitation,
        sees: bool,
    ) -> Result<SentInvitation> {
        let organization = mailbox::name(tx, invitation.organization_id).await?;
        let letter = self.letter(invitation.id, (invitation.organization_id, &organization), &invitation.email);
        post.post(hub, tx, letter).await?;
        Ok(SentInvitation { invitation, secret: sees.then(|| self.secret.clone()) })
    }

    /// The mail about an invitation that has these secrets.
    fn letter<'a>(
        &self,
        invitation: Id<id::MemberInvitation>,
        (organization_id, organization): (Id<id::Organization>, &str),
        to: &'a Email,
    ) -> Letter<'a> {
        Letter {
            about: invitation.to_string(),
            from: organization_id,
            to,
            text: mail::member_invitation(organization, &self.confirming, self.expires_at()),
            expires_at: self.expires_at(),
        }
    }
}

/// The person to invite to an organization that was created in the same transaction.
pub struct FirstInvitee<'a> {
    /// The organization.
    pub organization_id: Id<id::Organization>,
    /// The name it is known by.
    pub organization: &'a str,
    /// The mail address.
    pub email: &'a Email,
    /// The name the inviter gives the person.
    pub display_name: Option<&'a Text<1, 120>>,
}

impl<'a> FirstInvitee<'a> {
    /// The first administrator that a new customer names, if it names one.
    pub fn of(organization_id: Id<id::Organization>, new: &'a NewOrganization) -> Option<Self> {
        Some(Self {
            organization_id,
            organization: &new.display_name,
            email: new.admin_user_email.as_ref()?,
            display_name: new.admin_user_name.as_ref(),
        })
    }
}

/// Invites one person to each of these organizations, with few statements. Nobody sees a secret but the mailboxes. Gives the ids of the
/// invitations in the same order.
pub async fn send_first(
    (hub, post): (&Hub, &Mailbox),
    tx: &Tx<'_>,
    by: PrincipalId,
    grants: &Grants,
    invitees: &[FirstInvitee<'_>],
) -> Result<Vec<Id<id::MemberInvitation>>> {
    let drafts: Vec<_> = invitees.iter().map(|_| InvitationDraft::new(hub, by)).collect();
    let hashes: Vec<_> = drafts.iter().map(InvitationDraft::hashes).collect();
    let new = invitees.iter().zip(&drafts).zip(&hashes).map(|((invitee, draft), (hash, confirming_hash))| NewMemberInvitation {
        id: draft.id,
        organization_id: invitee.organization_id,
        email: invitee.email,
        display_name: invitee.display_name,
        invited_by: by,
        grants,
        hash,
        confirming_hash,
        now: draft.now,
        expires_at: draft.expires_at(),
    });
    member_invitations::insert_all(tx, &new.collect::<Vec<_>>()).await?;
    let letters = invitees
        .iter()
        .zip(&drafts)
        .map(|(invitee, draft)| draft.letter(draft.id, (invitee.organization_id, invitee.organization), invitee.email));
    post.post_all(hub, tx, letters.collect()).await?;
    Ok(drafts.iter().map(|draft| draft.id).collect())
}
