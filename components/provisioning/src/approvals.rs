//! Beginning what a customer has approved.

use asks::{Ask, EDITED, Further, What, Why};
use domain::{
    Error, Kind, OrganizationPath, Permission, Result,
    access_level::AccessLevel,
    approval::{ApprovalAction, ApprovalStatus},
    audit::AuditResult,
    role::{Authority, Permissions},
};
use store::{
    Db, Scope, Tx, access_levels,
    approvals::{self, Approval, BeginApproved},
    bindings,
    jobs::{self, Job},
};
use web::{Hub, Record, read_json};

/// Begins what was approved, by the roles that whoever asked for it has now, and once: with the task, this is written down and the
/// job is over. What may not be any more is written down too.
pub async fn begin(hub: Hub, job: Job, BeginApproved { approval_id: id }: BeginApproved) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    let db = hub.db().await?;
    let approval = approvals::find(db, &scope, id, hub.now()).await?;
    let begun = match what(&hub, &scope, &approval, &job.organization_path).await {
        Ok(what) => {
            let ask = Ask::approved(&hub, &approval);
            db.in_transaction(async |tx| {
                let mut found = approvals::find(tx, &scope, id, hub.now()).await?;
                if found.status == ApprovalStatus::Approved {
                    check_asker(tx, &hub, &found, &job.organization_path).await?;
                    let ready = ask.check(tx, &hub, &scope, &what).await?;
                    found.subscription_id = Some(ready.subscription.id);
                    ask.begin(tx, &hub, Some(found.asked_by.to_string()), ready).await?;
                    (found.status, found.task_id) = (ApprovalStatus::Begun, Some(ask.task_id));
                    settle(tx, &hub, &job, &found).await?;
                }
                jobs::finish(tx, &job).await
            })
            .await
        }
        Err(error) => Err(error),
    };
    match begun {
        // Looked into again, as whoever asks would do it.
        Err(error) if error.code == EDITED => Err(Error::unavailable(error.public)),
        Err(error) if error.kind != Kind::Unavailable && error.code != jobs::FENCED => {
            db.in_transaction(async |tx| {
                let mut found = approvals::find(tx, &scope, id, hub.now()).await?;
                if found.status == ApprovalStatus::Approved {
                    (found.status, found.message) = (ApprovalStatus::Failed, Some(error.public.clone()));
                    settle(tx, &hub, &job, &found).await?;
                }
                jobs::finish(tx, &job).await
            })
            .await
        }
        other => other,
    }
}

/// What was asked for, as it was sent, and looked into anew.
async fn what(hub: &Hub, scope: &Scope, approval: &Approval, customer: &OrganizationPath) -> Result<What> {
    let drafts = check_asker(hub.db().await?, hub, approval, customer).await?.has(Permission::ServiceWrite);
    let request = approval.request.get().as_bytes();
    let subscription_id = || approval.subscription_id.ok_or_else(|| Error::unavailable("an approval names no subscription"));
    Ok(match approval.action {
        ApprovalAction::Provision => What::provision(hub, read_json(request)?, drafts).await,
        ApprovalAction::Change => What::change(hub, scope, subscription_id()?, read_json(request)?).await,
        ApprovalAction::Renew => What::renew(hub, scope, subscription_id()?, read_json::<Further>(request)?.term_months).await,
        ApprovalAction::Suspend | ApprovalAction::Resume | ApprovalAction::Terminate => {
            What::Why(subscription_id()?, read_json::<Why>(request)?)
        }
    })
}

/// What whoever asked may do for the customer now. Refused where that is not this any more.
async fn check_asker(db: &Db, hub: &Hub, approval: &Approval, customer: &OrganizationPath) -> Result<Permissions> {
    let bindings = bindings::of(db, approval.asked_by, hub.now()).await?;
    let held = Authority::of(&bindings, customer).here;
    let is_own = approval.acting_session_id.is_none() && bindings.iter().any(|one| one.path == *customer && !one.bound);
    let mut may = held.has(Permission::SubscriptionWrite);
    // What is not there yet nobody asks for by a level alone.
    if is_own && (may || approval.subscription_id.is_some()) {
        // The customer's own are narrowed and let by its access levels, as when they asked.
        let permitted = (!may).then(|| AccessLevel::permitted(held));
        let (customer_id, needed) = (approval.organization_id, AccessLevel::Manage);
        may = match access_levels::narrowing(db, customer_id, approval.asked_by, needed, permitted).await? {
            None => may,
            Some(levels) => {
                let scope = Scope::below(customer.clone()).up_to(levels);
                let checked = match approval.subscription_id {
                    Some(subscription_id) => access_levels::check(db, &scope, subscription_id).await,
                    None => access_levels::check_service(db, &scope, customer_id, approval.service_id).await,
                };
                match checked {
                    Err(error) if error.kind == Kind::Unavailable => return Err(error),
                    checked => checked.is_ok(),
                }
            }
        };
    }
    if may && approvals::is_asker_in_use(db, approval.asked_in).await? {
        return Ok(held);
    }
    Err(Error::new(
        Kind::Forbidden,
        "asker_may_not",
        format!(
            "{} ({}), who asked for it, may not ask for it any more. Have it asked for by somebody who may.",
            approval.asked_by, approval.asked_by_name
        ),
    ))
}

/// Writes what became of an approval, for the customer and for where it was asked.
async fn settle(tx: &Tx<'_>, hub: &Hub, job: &Job, approval: &Approval) -> Result<()> {
    approvals::update(tx, approval).await?;
    hub.concerns(approval.asked_in);
    hub.audit("action", approval.action.as_str());
    hub.audit("askedBy", &approval.asked_by.to_string());
    hub.audit("approvalStatus", approval.status.as_str());
    if let Some(subscription_id) = approval.subscription_id {
        hub.audit("subscriptionId", &subscription_id.to_string());
    }
    if let Some(message) = &approval.message {
        hub.audit("message", message);
    }
    let mut what = Record::of_job(job.id, approval.organization_id, "approvals.begin", approval.id.to_string());
    if approval.status == ApprovalStatus::Failed {
        what.result = AuditResult::Failure;
    }
    hub.record(tx, what).await
}
