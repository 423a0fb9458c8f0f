//! `/v1/member-invitations`
//!
//! An invitation has two secrets. One goes to the hub's mailbox and to nobody else: who accepts with it confirms that the mail
//! address is theirs. The other is shown to the inviter, if the inviter is of the organization itself, and makes an account that
//! opens this organization only.

use crate::members::admission;
use chrono::TimeDelta;
use domain::{
    Id, Instant, JsonSchema, PrincipalId, Result, Text, id, mail,
    member::{Grants, INVITATION_DAYS, InvitationStatus, sees_secret},
    person::Email,
};
use serde::{Deserialize, Serialize};
use store::{
    Tx, customers_word, mailbox,
    member_invitations::{self, MemberInvitation, NewMemberInvitation},
    members,
};
use web::{Caller, Cursor, Hub, Letter, Listing, Mailbox, NoContent, Page, Path, Query, Sent, Shown, permit, secret};

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

/// What an invitation needs that is not in the database: drawn before the transaction, which may run again.
pub struct Draft {
    id: Id<id::MemberInvitation>,
    secret: String,
    confirming: String,
    by: PrincipalId,
    now: Instant,
}

impl Draft {
    /// An invitation by this principal.
    pub fn new(hub: &Hub, by: PrincipalId) -> Self {
        Self { id: hub.id(), secret: secret::new("hubmi_"), confirming: secret::new("hubmi_"), by, now: hub.now() }
    }

    fn expires_at(&self) -> Instant {
        self.now + TimeDelta::days(INVITATION_DAYS)
    }

    /// Invites somebody by mail. `sees` says that the inviter sees a secret too.
    pub async fn send(
        &self,
        post: (&Hub, &Mailbox),
        tx: &Tx<'_>,
        organization_id: Id<id::Organization>,
        (email, display_name): (&Email, Option<&Text<1, 120>>),
        grants: &Grants,
        sees: bool,
    ) -> Result<SentInvitation> {
        let new = NewMemberInvitation {
            id: self.id,
            organization_id,
            email,
            display_name,
            invited_by: self.by,
            grants,
            hash: &secret::hash(&self.secret),
            confirming_hash: &secret::hash(&self.confirming),
            now: self.now,
            expires_at: self.expires_at(),
        };
        let invitation = member_invitations::insert(tx, &new).await?;
        self.sent(post, tx, invitation, sees).await
    }

    /// Writes the mail of an invitation that has these secrets. The one that nobody sees is worth nothing.
    async fn sent(
        &self,
        (hub, post): (&Hub, &Mailbox),
        tx: &Tx<'_>,
        invitation: MemberInvitation,
        sees: bool,
    ) -> Result<SentInvitation> {
        let organization = mailbox::name(tx, invitation.organization_id).await?;
        let letter = Letter {
            about: invitation.id.to_string(),
            from: invitation.organization_id,
            to: &invitation.email,
            text: mail::member_invitation(&organization, &self.confirming, invitation.expires_at),
            expires_at: invitation.expires_at,
        };
        post.post(hub, tx, letter).await?;
        Ok(SentInvitation { invitation, secret: sees.then(|| self.secret.clone()) })
    }
}

/// Which invitations to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// The organization; the acting one when left out.
    organization_id: Option<Id<id::Organization>>,
    /// Only those that stand there.
    status: Option<InvitationStatus>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<MemberInvitation>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let (db, scope) = (hub.db().await?, caller.scope());
    let place = members::place(db, &scope, query.organization_id.unwrap_or(caller.acting().id)).await?;
    let found = member_invitations::list(db, &scope, place.id, query.status, page.after()?, hub.now(), page.rows()).await?;
    Listing::new(&page, found, |invitation| invitation.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Shown<MemberInvitation>> {
    member_invitations::find(hub.db().await?, &caller.scope(), id, hub.now()).await.map(Shown)
}

/// Who sends an invitation again may see its secret, so they must be able to give what it gives, and it rests on their rights from
/// then on.
pub async fn resend(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Sent<Shown<SentInvitation>>> {
    let draft = Draft::new(&hub, caller.principal());
    let mailbox = Mailbox::open().await?;
    hub.write(&caller, async |tx| {
        let scope = caller.scope();
        let invitation = member_invitations::find(tx, &scope, id, hub.now()).await?;
        invitation.status.check_open()?;
        let (organization, grants) = (invitation.organization_id, invitation.grants.clone());
        let granter = |path: &_| (caller.principal(), caller.authority_in(path));
        let (place, admission) = admission(tx, &scope, organization, &grants, granter).await?;
        hub.concerns(organization);
        let sees = sees_secret(caller.is_own(&place.path), admission.makes_first_administrator());
        let hashes = (&*secret::hash(&draft.secret), &*secret::hash(&draft.confirming));
        let invitation = member_invitations::renew(tx, invitation, hashes, draft.by, hub.now(), draft.expires_at()).await?;
        draft.sent((&hub, &mailbox), tx, invitation, sees).await.map(Shown)
    })
    .await
}

/// Whoever sent an invitation can take it back; others only what they could have given.
pub async fn revoke(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        let invitation = member_invitations::find(tx, &caller.scope(), id, hub.now()).await?;
        invitation.status.check_open()?;
        if invitation.invited_by != caller.principal() {
            let place = members::place(tx, &caller.scope(), invitation.organization_id).await?;
            customers_word::check(tx, caller.principal(), place.id).await?;
            let authority = caller.authority_in(&place.path);
            invitation.grants.roles.iter().try_for_each(|role| authority.check(*role, false))?;
        }
        member_invitations::close(tx, id, InvitationStatus::Revoked, hub.now()).await?;
        hub.concerns(invitation.organization_id);
        Ok(NoContent)
    })
    .await
}
