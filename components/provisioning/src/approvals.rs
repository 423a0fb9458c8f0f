//! `/v1/approvals`

use domain::{
    Error, Id, JsonSchema, Kind, Permission, Result, Text, access_level::AccessLevel, approval::ApprovalStatus, id, task::Subject,
};
use serde::Deserialize;
use std::pin::Pin;
use store::{
    Scope, Tx, access_levels,
    approvals::{self, Approval, BeginApproved, LapseApproval},
    jobs::{self, Job},
    subscriptions, tasks,
};
use web::{Body, Caller, Cursor, Hub, Identity, Listing, Page, Path, Query, Record, Sent, Shown, permit};

/// Which approvals to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this customer.
    organization_id: Option<Id<id::Organization>>,
    /// Only those that stand there.
    status: Option<ApprovalStatus>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Approval>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let (db, scope) = (hub.db().await?, caller.scope());
    let found = approvals::list(db, &scope, query.organization_id, query.status, page.place(2)?, hub.now(), page.rows()).await?;
    Listing::placed(&page, found).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Approval>>,
) -> Result<Shown<Approval>> {
    approvals::find(hub.db().await?, &caller.scope(), id, hub.now()).await.map(Shown)
}

/// Why something is approved or taken back.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Note {
    /// Why; the approval shows it.
    reason: Option<Text<1, 500>>,
}

/// Why something is rejected.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rejection {
    /// Why; the approval shows it.
    reason: Text<1, 500>,
}

pub async fn approve(
    hub: Hub,
    caller: Caller<permit::SubscriptionApprove>,
    Path(id): Path<Id<id::Approval>>,
    Body(note): Body<Note>,
) -> Result<Sent<Shown<Approval>>> {
    decide(&hub, &caller, id, ApprovalStatus::Approved, note.reason).await
}

pub async fn reject(
    hub: Hub,
    caller: Caller<permit::SubscriptionApprove>,
    Path(id): Path<Id<id::Approval>>,
    Body(rejection): Body<Rejection>,
) -> Result<Sent<Shown<Approval>>> {
    decide(&hub, &caller, id, ApprovalStatus::Rejected, Some(rejection.reason)).await
}

/// Withdraws an approval: for its asker, and for callers who may ask in the same organization.
pub async fn withdraw(
    hub: Hub,
    caller: Caller<permit::Managing>,
    Path(id): Path<Id<id::Approval>>,
    Body(note): Body<Note>,
) -> Result<Sent<Shown<Approval>>> {
    decide(&hub, &caller, id, ApprovalStatus::Withdrawn, note.reason).await
}

type Decided<'a> = Pin<Box<dyn Future<Output = Result<Sent<Shown<Approval>>>> + 'a>>;

/// Writes a decision on an approval. An approved order is begun by a job that is written with the decision. All in one function,
/// so that the transaction is compiled once.
fn decide<'a>(
    hub: &'a Hub,
    caller: &'a Identity,
    id: Id<id::Approval>,
    status: ApprovalStatus,
    reason: Option<Text<1, 500>>,
) -> Decided<'a> {
    Box::pin(async move {
        hub.write(caller, async |tx| {
            let mut approval = approvals::find(tx, &caller.scope(), id, hub.now()).await?;
            if status == ApprovalStatus::Withdrawn {
                check_asking_side(caller, &approval)?;
                match approval.subscription_id {
                    Some(subscription_id) => access_levels::check(tx, &caller.scope(), subscription_id).await?,
                    // Nobody asks for what is not there yet by a level alone.
                    None if caller.permissions().has(Permission::SubscriptionWrite) => {
                        let (customer, service) = (approval.organization_id, approval.service_id);
                        access_levels::check_service(tx, &caller.scope(), customer, service).await?;
                    }
                    None => return Err(access_levels::too_low(AccessLevel::Manage)),
                }
            } else {
                caller.check_acts_in(approval.organization_id)?;
            }
            approval.status.check_pending()?;
            if status == ApprovalStatus::Approved {
                check_idle(tx, &approval).await?;
                check_present(tx, &caller.scope(), &approval).await?;
            }
            hub.concerns(approval.organization_id);
            hub.concerns(approval.asked_in);
            hub.audit("action", approval.action.as_str());
            hub.audit("askedBy", &approval.asked_by.to_string());
            hub.audit_change("approvalStatus", Some(approval.status.as_str()), Some(status.as_str()));
            if let Some(reason) = &reason {
                hub.audit("reason", reason);
            }
            approval.status = status;
            (approval.decided_by, approval.decided_at) = (Some(caller.principal()), Some(hub.now()));
            approval.reason = reason.clone().map(String::from);
            approvals::update(tx, &approval).await?;
            jobs::forget(tx, approval.lapse_job_id).await?;
            if status == ApprovalStatus::Approved {
                hub.enqueue(tx, approval.organization_id, &BeginApproved { approval_id: id }).await?;
            }
            Ok(Shown(approval))
        })
        .await
    })
}

/// Refuses to approve what was asked of another state of the subscription than there is.
async fn check_present(tx: &Tx<'_>, scope: &Scope, approval: &Approval) -> Result<()> {
    let (Some(subscription_id), Some(version)) = (approval.subscription_id, approval.if_version) else { return Ok(()) };
    if subscriptions::find(tx, scope, subscription_id).await?.version == version {
        return Ok(());
    }
    Err(Error::conflict(
        "approval_outdated",
        format!(
            "The subscription {subscription_id} has changed since this was asked for. Reject it, and have it asked for anew if it is still wanted."
        ),
    ))
}

/// Refuses to begin what could not be begun now, but can be when a task has ended.
async fn check_idle(tx: &Tx<'_>, approval: &Approval) -> Result<()> {
    let Some(subscription_id) = approval.subscription_id else { return Ok(()) };
    match tasks::unended(tx, Some(Subject::Subscription(subscription_id))).await?[..] {
        [busy, ..] => Err(Error::conflict(
            "subscription_busy",
            format!(
                "The task {busy} is at work on the subscription. Wait for it to end, or have it cancelled, and approve this then."
            ),
        )),
        [] => Ok(()),
    }
}

/// Refuses callers who neither asked nor act in the organization in which it was asked.
fn check_asking_side(caller: &Identity, approval: &Approval) -> Result<()> {
    if caller.principal() == approval.asked_by || caller.acting().id == approval.asked_in {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forbidden,
        "not_the_asker",
        format!(
            "It was asked for by {} in {}, so it is for them to withdraw. In the customer, it can be rejected.",
            approval.asked_by, approval.asked_in
        ),
    ))
}

/// Writes down that an approval has lapsed, if it has. Run twice it does nothing the second time.
pub async fn lapse(hub: Hub, job: Job, LapseApproval { approval_id: id }: LapseApproval) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            if let Some(approval) = approvals::lapse(tx, &scope, id, hub.now()).await? {
                hub.concerns(approval.asked_in);
                hub.audit("action", approval.action.as_str());
                hub.audit("askedBy", &approval.asked_by.to_string());
                let what = Record::of_job(job.id, approval.organization_id, "approvals.lapse", id.to_string());
                hub.record(tx, what).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}
