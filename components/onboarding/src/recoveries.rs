//! `/v1/organizations/{organizationId}/recoveries`: how a customer that has lost its last administrator gets another.

use crate::{admission::joinable, first_administrators::administrator_grants, member_invitation_mail::InvitationDraft};
use domain::{
    Error, Id, OrganizationPath, Permission, PrincipalId, Result, Role, Text, id,
    recovery::{Announcement, DELAY, NewRecovery, RecoveryStatus, announcement, check_start, judged},
    role::Authority,
};
use store::{
    Scope, Tx, acting_sessions, bindings, customers_word,
    jobs::{self, Job},
    mailbox, members,
    recoveries::{self, CarryOut, Recovery},
};
use web::{
    Body, Caller, Created, Hub, Identity, Letter, Listing, Mailbox, OfCustomer, Page, PageQuery, Path, Paths, Query, Record,
    Sent, Shown, permit,
};

/// Starts a recovery, for those who could name the customer's first administrator. The customer's people are told and have three days
/// to refuse.
pub async fn start(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(customer): Path<Id<id::Organization>>,
    Body(new): Body<NewRecovery>,
) -> Result<Sent<OfCustomer<Created<Recovery>>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let place = members::place(tx, &caller.scope(), customer).await?;
        place.kind.check_customer(customer, "recoveries")?;
        check_may_start(&caller.authority_in(&place.path))?;
        let administered = customers_word::is_self_administered(tx, customer).await?;
        let (seen, ended) = (recoveries::administrator_seen(tx, customer).await?, recoveries::last_refused(tx, customer).await?);
        check_start(administered, seen, ended, hub.now())?;
        let recovery = Recovery {
            id,
            organization_id: customer,
            reason: new.reason.to_string(),
            email: new.email.clone(),
            display_name: new.display_name.clone().map(String::from),
            started_by: caller.principal(),
            started_by_name: acting_sessions::name(tx, caller.principal()).await?,
            started_in: caller.acting().id,
            status: RecoveryStatus::Announced,
            due_at: hub.now() + DELAY,
            created_at: hub.now(),
            closed_at: None,
            closed_by: None,
            invitation_id: None,
        };
        recoveries::insert(tx, &recovery).await?;
        hub.enqueue(tx, customer, &Announcement { recovery_id: id, after: None }).await?;
        hub.enqueue_at(tx, customer, &CarryOut { recovery_id: id }, recovery.due_at).await?;
        tell(&hub, &recovery);
        Ok(OfCustomer(Created::at(format!("/v1/organizations/{customer}/recoveries/{id}"), recovery)))
    })
    .await
}

/// Refuses a caller who could not have named the customer's first administrator.
fn check_may_start(authority: &Authority) -> Result<()> {
    authority.check(Role::CustomerAdministrator, true)
}

fn tell(hub: &Hub, recovery: &Recovery) {
    hub.concerns(recovery.organization_id);
    hub.concerns(recovery.started_in);
    hub.audit("email", recovery.email.as_str());
    hub.audit("reason", &recovery.reason);
    hub.audit("status", recovery.status.as_str());
    hub.audit("startedBy", &recovery.started_by.to_string());
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Path(customer): Path<Id<id::Organization>>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Recovery>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let (db, scope) = (hub.db().await?, caller.scope());
    members::place(db, &scope, customer).await?;
    let found = recoveries::list(db, &scope, customer, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |recovery| recovery.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Paths(customer, id): Paths<Id<id::Organization>, Id<id::Recovery>>,
) -> Result<Shown<Recovery>> {
    recoveries::find(hub.db().await?, &caller.scope(), customer, id).await.map(Shown)
}

/// Refuses a recovery, for any of the customer's people, whatever their role.
pub async fn refuse(
    hub: Hub,
    caller: Caller<permit::OrganizationRead>,
    Paths(customer, id): Paths<Id<id::Organization>, Id<id::Recovery>>,
) -> Result<Sent<Shown<Recovery>>> {
    hub.write(&caller, async |tx| {
        let recovery = recoveries::find(tx, &caller.scope(), customer, id).await?;
        caller.check_acts_in(customer)?;
        if !matches!(caller.principal(), PrincipalId::Person(_)) || !caller.is_customers_own() {
            return Err(Error::new(
                domain::Kind::Forbidden,
                "not_the_customer",
                "A recovery is refused by one of the customer's own people, signed in as themselves.",
            ));
        }
        close(tx, &hub, &caller, recovery, RecoveryStatus::Refused).await
    })
    .await
}

/// Withdraws a recovery, for those who could have started it.
pub async fn withdraw(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Paths(customer, id): Paths<Id<id::Organization>, Id<id::Recovery>>,
) -> Result<Sent<Shown<Recovery>>> {
    hub.write(&caller, async |tx| {
        let recovery = recoveries::find(tx, &caller.scope(), customer, id).await?;
        let place = members::place(tx, &caller.scope(), customer).await?;
        check_may_start(&caller.authority_in(&place.path))?;
        close(tx, &hub, &caller, recovery, RecoveryStatus::Withdrawn).await
    })
    .await
}

async fn close(
    tx: &Tx<'_>,
    hub: &Hub,
    caller: &Identity,
    mut recovery: Recovery,
    status: RecoveryStatus,
) -> Result<Shown<Recovery>> {
    recovery.status.check_waiting()?;
    recovery.status = status;
    (recovery.closed_at, recovery.closed_by) = (Some(hub.now()), Some(caller.principal()));
    recoveries::update(tx, &recovery).await?;
    tell(hub, &recovery);
    Ok(Shown(recovery))
}

/// Tells the next of the customer's people, and has the rest told by another job.
pub async fn announce(hub: Hub, job: Job, to: Announcement) -> Result<()> {
    let mailbox = Mailbox::open().await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let scope = Scope::only(job.organization_path.clone());
            let recovery = recoveries::find(tx, &scope, job.organization_id, to.recovery_id).await?;
            if recovery.status == RecoveryStatus::Announced {
                let name = mailbox::name(tx, recovery.organization_id).await?;
                let people = recoveries::people(tx, recovery.organization_id, to.after).await?;
                for (person, email) in &people {
                    let (customer, new) =
                        ((name.as_str(), recovery.organization_id), (&recovery.email, recovery.reason.as_str()));
                    let text = announcement(customer, recovery.id, new, &recovery.started_by_name, recovery.due_at);
                    let about = format!("{} {person}", recovery.id);
                    let letter = Letter { about, from: recovery.organization_id, to: email, text, expires_at: recovery.due_at };
                    mailbox.post(&hub, tx, letter).await?;
                }
                if people.len() == domain::recovery::TOLD_AT_ONCE as usize {
                    let after = people.last().map(|(person, _)| *person);
                    hub.enqueue(tx, recovery.organization_id, &Announcement { recovery_id: recovery.id, after }).await?;
                }
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// Invites the administrator, if its starter still may start it and no administrator has been here since it was announced.
pub async fn carry_out(hub: Hub, job: Job, CarryOut { recovery_id: id }: CarryOut) -> Result<()> {
    let mailbox = Mailbox::open().await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let scope = Scope::only(job.organization_path.clone());
            let mut recovery = recoveries::find(tx, &scope, job.organization_id, id).await?;
            if recovery.status == RecoveryStatus::Announced {
                let may = may_still(tx, &hub, &recovery, &job.organization_path).await?;
                let seen = recoveries::administrator_seen(tx, recovery.organization_id).await?;
                let draft = InvitationDraft::new(&hub, recovery.started_by);
                recovery.status = judged(may, seen.is_some_and(|seen| seen >= recovery.created_at));
                recovery.closed_at = Some(hub.now());
                if recovery.status == RecoveryStatus::Invited {
                    recovery.invitation_id = Some(invite(tx, (&hub, &mailbox), &recovery, &draft).await?);
                }
                recoveries::update(tx, &recovery).await?;
                tell(&hub, &recovery);
                hub.record(tx, Record::of_job(job.id, recovery.organization_id, "recoveries.end", id.to_string())).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// Invites the administrator; nobody but their mailbox sees the secret.
async fn invite(
    tx: &Tx<'_>,
    post: (&Hub, &Mailbox),
    recovery: &Recovery,
    draft: &InvitationDraft,
) -> Result<Id<id::MemberInvitation>> {
    let customer = recovery.organization_id;
    let grants = administrator_grants()?;
    let name: Option<Text<1, 120>> = recovery.display_name.as_deref().and_then(|name| name.parse().ok());
    recoveries::clear_way(tx, customer, &recovery.email, post.0.now()).await?;
    let sent = draft.send(post, tx, customer, (&recovery.email, name.as_ref()), &grants, false).await?;
    Ok(sent.id())
}

/// Whether its starter could start it now, and the customer can be joined.
async fn may_still(tx: &Tx<'_>, hub: &Hub, recovery: &Recovery, path: &OrganizationPath) -> Result<bool> {
    match joinable(tx, recovery.organization_id).await {
        Err(error) if error.kind == domain::Kind::Unavailable => return Err(error),
        Err(_) => return Ok(false),
        Ok(_) => {}
    }
    let authority = Authority::of(&bindings::of(tx, recovery.started_by, hub.now()).await?, path);
    Ok(authority.here.has(Permission::MemberWrite) && check_may_start(&authority).is_ok())
}
