//! `/v1/member-invitations`

use crate::{
    admission::admission,
    member_invitation_mail::{InvitationDraft, SentInvitation},
};
use domain::{
    Id, JsonSchema, Result, id,
    member::{InvitationStatus, sees_secret},
};
use serde::Deserialize;
use store::{
    customers_word,
    member_invitations::{self, MemberInvitation},
    members,
};
use web::{Caller, Cursor, Hub, Listing, Mailbox, NoContent, Page, Path, Query, Sent, Shown, permit};

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

/// Sends an invitation again. The caller may see its secret, so the caller must be able to give what it gives; it rests on the caller's
/// rights from then on.
pub async fn resend(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Sent<Shown<SentInvitation>>> {
    let draft = InvitationDraft::new(&hub, caller.principal());
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
        draft.renew((&hub, &mailbox), tx, invitation, sees).await.map(Shown)
    })
    .await
}

/// Revokes an invitation: the inviter always, others only one that they could have sent.
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
