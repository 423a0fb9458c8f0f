//! `/v1/member-invitations`
//!
//! The hub sends no mail yet, so whoever invites gets the secret, once, and hands it on.

use crate::{admission::Admission, members::admission};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, Permission, PrincipalId, Result, Text,
    audit::AuditResult,
    id,
    member::{Grants, INVITATION_DAYS, InvitationStatus},
    organization::OrganizationStatus,
    person::Email,
    role::Authority,
};
use serde::{Deserialize, Serialize};
use store::{
    Scope, Tx,
    access_tokens::{self, Place},
    account_links, bindings,
    member_invitations::{self, MemberInvitation, NewMemberInvitation},
    members::{self, MemberDetails},
    people::{self, Person},
    service_roles,
};
use web::{Body, Caller, Hub, Listing, NoContent, Page, Path, Query, Record, Reply, Sent, Shown, permit, secret};

/// For how long the link that sets a new person's password is good.
const LINK: TimeDelta = TimeDelta::hours(24);

/// An invitation with its secret, as it is shown once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentInvitation {
    #[serde(flatten)]
    invitation: MemberInvitation,
    /// The secret that accepts it. It is stored nowhere: hand it to whom is invited, and to nobody else.
    secret: String,
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
    by: PrincipalId,
    now: Instant,
}

impl Draft {
    /// An invitation by this principal.
    pub fn new(hub: &Hub, by: PrincipalId) -> Self {
        Self { id: hub.id(), secret: secret::new("hubmi_"), by, now: hub.now() }
    }

    fn expires_at(&self) -> Instant {
        self.now + TimeDelta::days(INVITATION_DAYS)
    }

    /// Invites somebody whom the hub does not know.
    pub async fn send(
        &self,
        tx: &Tx<'_>,
        organization_id: Id<id::Organization>,
        email: &Email,
        display_name: Option<&Text<1, 120>>,
        grants: &Grants,
    ) -> Result<SentInvitation> {
        let new = NewMemberInvitation {
            id: self.id,
            organization_id,
            email,
            display_name,
            invited_by: self.by,
            grants,
            hash: &secret::hash(&self.secret),
            now: self.now,
            expires_at: self.expires_at(),
        };
        let invitation = member_invitations::insert(tx, &new).await?;
        Ok(SentInvitation { invitation, secret: self.secret.clone() })
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
    cursor: Option<Id<id::MemberInvitation>>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<MemberInvitation>> {
    let page = Page::new(query.limit)?;
    let (db, scope) = (hub.db().await?, caller.scope());
    let place = members::place(db, &scope, query.organization_id.unwrap_or(caller.acting().id)).await?;
    let found = member_invitations::list(db, &scope, place.id, query.status, query.cursor, hub.now(), page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |invitation| invitation.id.to_string()))
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Shown<MemberInvitation>> {
    member_invitations::find(hub.db().await?, &caller.scope(), id, hub.now()).await.map(Shown)
}

/// Whoever sends an invitation again sees its secret, so they must be able to give what it gives, and it rests on their
/// rights from then on.
pub async fn resend(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(id): Path<Id<id::MemberInvitation>>,
) -> Result<Sent<Shown<SentInvitation>>> {
    let draft = Draft::new(&hub, caller.principal());
    hub.write(&caller, async |tx| {
        let scope = caller.scope();
        let invitation = member_invitations::find(tx, &scope, id, hub.now()).await?;
        invitation.status.check_open()?;
        let (organization, grants) = (invitation.organization_id, invitation.grants.clone());
        admission(tx, &scope, organization, &grants, |path| (caller.principal(), caller.authority_in(path))).await?;
        hub.concerns(organization);
        let hash = secret::hash(&draft.secret);
        let invitation = member_invitations::renew(tx, invitation, &hash, draft.by, hub.now(), draft.expires_at()).await?;
        Ok(Shown(SentInvitation { invitation, secret: draft.secret.clone() }))
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
            let authority = caller.authority_in(&place.path);
            invitation.grants.roles.iter().try_for_each(|role| authority.check(*role, false))?;
        }
        member_invitations::close(tx, id, InvitationStatus::Revoked, hub.now()).await?;
        hub.concerns(invitation.organization_id);
        Ok(NoContent)
    })
    .await
}

/// The secret of an invitation, from whom it was for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acceptance {
    /// The secret: `hubmi_…`.
    secret: Text<1, 200>,
    /// The name you go by, if the hub does not know you yet.
    display_name: Option<Text<1, 120>>,
}

/// A new member.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// What you are now.
    member: MemberDetails,
    /// For people new to the hub, the secret that sets a password, good once.
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
pub async fn accept(hub: Hub, Body(acceptance): Body<Acceptance>) -> Result<Accepted> {
    let (new_person, link) = (hub.id(), secret::new("hubal_"));
    let expires_at = hub.now() + LINK;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let invitation = pending(tx, &acceptance.secret, hub.now()).await?;
            let place = place(tx, invitation.organization_id).await?;
            let person = invited(tx, new_person, &invitation, acceptance.display_name.as_ref(), hub.now()).await?;
            admitted(tx, &place, &invitation, &person, hub.now()).await?;
            member_invitations::close(tx, invitation.id, InvitationStatus::Accepted, hub.now()).await?;
            let mut account_link = None;
            if person.id == new_person {
                account_links::insert(tx, &secret::hash(&link), person.id, hub.now(), expires_at).await?;
                account_link = Some(AccountLink { secret: link.clone(), expires_at });
            }
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

async fn pending(tx: &Tx<'_>, secret: &str, now: Instant) -> Result<MemberInvitation> {
    let invitation = member_invitations::find_by_hash(tx, &secret::hash(secret), now).await?.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            "invitation_secret_unknown",
            "No invitation has this secret. It may have been sent again, which ends the secret before: use the newest.",
        )
    })?;
    invitation.status.check_acceptable()?;
    Ok(invitation)
}

/// The organization that somebody is to join without a scope of their own, while it is in use.
pub async fn place(tx: &Tx<'_>, organization: Id<id::Organization>) -> Result<Place> {
    let place = access_tokens::place(tx, organization).await?;
    place.filter(|place| place.status == OrganizationStatus::Active).ok_or_else(|| {
        Error::new(
            Kind::Forbidden,
            "organization_disabled",
            "The organization that invited you is disabled, so nobody can join it. Ask whoever invited you.",
        )
    })
}

/// Whom the invitation is for: known to the hub by now, or made known.
async fn invited(
    tx: &Tx<'_>,
    id: Id<id::Person>,
    invitation: &MemberInvitation,
    name: Option<&Text<1, 120>>,
    now: Instant,
) -> Result<Person> {
    let fallback = invitation.display_name.as_deref().or(invitation.email.as_str().split('@').next()).unwrap_or_default();
    let name = match name {
        Some(name) => name.clone(),
        None => fallback.parse().map_err(Error::unavailable)?,
    };
    people::find_or_insert(tx, id, &invitation.email, &name, invitation.organization_id, now).await
}

/// Gives the person what the invitation says, if whoever sent it may still give that.
async fn admitted(tx: &Tx<'_>, place: &Place, invitation: &MemberInvitation, person: &Person, now: Instant) -> Result<()> {
    let authority = Authority::of(&bindings::of(tx, invitation.invited_by, now).await?, &place.path);
    // What was bound or given then and is there no longer is left out.
    let mut grants = invitation.grants.clone();
    let bound = bindings::bindable(tx, &Scope::below(place.path.clone()), &place.path, &grants.bound_organization_ids).await?;
    grants.bound_organization_ids = domain::List::new(bound).map_err(Error::unavailable)?;
    let roles = service_roles::known(tx, &grants.service_role_ids).await?;
    grants.service_role_ids = domain::List::new(roles).map_err(Error::unavailable)?;
    let granter = (invitation.invited_by, authority.clone());
    let admission = Admission::check(tx, (place.id, place.kind), &grants, granter).await;
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
