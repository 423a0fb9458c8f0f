//! `/v1/me/invitations`: what a signed-in person is invited to, and their answer.

use crate::{acceptance::admitted, admission::joinable, own_memberships::end};
use domain::{
    Error, Id, Instant, JsonSchema, Kind, PrincipalId, Result, id,
    member::{InvitationStatus, check_confirmed},
};
use serde::Deserialize;
use store::{
    Db, Scope, Tx, accounts,
    member_invitations::{self, OwnInvitation},
    members::{self, MemberDetails},
    people::{self, Person},
};
use web::{Caller, Cursor, Hub, Identity, Listing, NoContent, Page, Path, Query, Sent, Shown, permit};

/// Which page of invitations to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnInvitationQuery {
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

/// The person who asks, if they are known to own their mail address: others answer with the secret in their mail.
async fn owner(db: &Db, caller: &Identity) -> Result<Person> {
    let PrincipalId::Person(person) = caller.principal() else {
        return Err(Error::new(Kind::Forbidden, "not_a_person", "Only people are invited; sign in as a person."));
    };
    let person = people::find(db, person).await?;
    check_confirmed(person.confirmed_at.is_some())?;
    Ok(person)
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::Anybody>,
    Query(query): Query<OwnInvitationQuery>,
) -> Result<Listing<OwnInvitation>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    let email = owner(db, &caller).await?.email;
    let found = member_invitations::list_own(db, &email, caller.reach(), page.after()?, hub.now(), page.rows()).await?;
    Listing::new(&page, found, |own| own.invitation.id.to_string()).await
}

pub async fn accept(
    hub: Hub,
    caller: Caller<permit::Anybody>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Sent<Shown<MemberDetails>>> {
    hub.write(&caller, async |tx| {
        let person = owner(tx, &caller).await?;
        let (own, _) = find(tx, &caller, &person, (id, hub.now())).await?;
        let place = joinable(tx, own.invitation.organization_id).await?;
        if let Some(vouched) = people::find_vouched(tx, &person.email, place.id).await? {
            accounts::merge(tx, &vouched, &person, hub.now()).await?;
        }
        if own.invitation.status == InvitationStatus::Pending {
            admitted(tx, &place, &own.invitation, &person, hub.now()).await?;
        }
        member_invitations::accepted(tx, id, person.id, false, hub.now()).await?;
        hub.concerns(place.id);
        members::find(tx, &Scope::only(place.path), place.id, person.id).await.map(Shown)
    })
    .await
}

/// Declines an invitation; one that others accepted in the person's name ends with the membership that they got by it.
pub async fn decline(
    hub: Hub,
    caller: Caller<permit::Anybody>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        let person = owner(tx, &caller).await?;
        let (own, vouched) = find(tx, &caller, &person, (id, hub.now())).await?;
        if let Some(vouched) = vouched.filter(|_| own.accepted_by_others) {
            end(tx, own.invitation.organization_id, vouched, hub.now()).await?;
            accounts::close(tx, vouched).await?;
        }
        member_invitations::close(tx, id, InvitationStatus::Revoked, hub.now()).await?;
        hub.concerns(own.invitation.organization_id);
        Ok(NoContent)
    })
    .await
}

async fn find(
    tx: &Tx<'_>,
    caller: &Identity,
    person: &Person,
    (id, now): (Id<id::MemberInvitation>, Instant),
) -> Result<(OwnInvitation, Option<Id<id::Person>>)> {
    member_invitations::find_own(tx, &person.email, caller.reach(), id, now).await
}
