//! Beginning an order that its customer has approved.

use super::order::{Demand, Order};
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

/// Begins an approved order once, by the roles that its caller has now. A refusal is written into the approval.
///
/// It is a job of its own, and not a part of the approval's transaction: the customer's word stands, with its entry in the audit,
/// also where the order cannot be begun just now, and the hub, not who approved, is the one that begins it.
pub async fn begin_approved(hub: Hub, job: Job, BeginApproved { approval_id: id }: BeginApproved) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    let db = hub.db().await?;
    let approval = approvals::find(db, &scope, id, hub.now()).await?;
    let order = Order::approved(&hub, &approval);
    let begun = db
        .in_transaction(async |tx| {
            let mut found = approvals::find(tx, &scope, id, hub.now()).await?;
            if found.status == ApprovalStatus::Approved {
                let permissions = check_asker(tx, &hub, &found, &job.organization_path).await?;
                let demand = demand(&hub, &found, permissions.has(Permission::ServiceWrite))?;
                let checked = order.check(tx, &hub, &scope, &demand).await?;
                found.subscription_id = Some(checked.subscription.id);
                order.begin(tx, &hub, Some(found.asked_by.to_string()), checked).await?;
                (found.status, found.task_id) = (ApprovalStatus::Begun, Some(order.task_id));
                settle(tx, &hub, &job, &found).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await;
    match begun {
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

/// The demand of an approved order, as its caller sent it.
fn demand(hub: &Hub, approval: &Approval, sees_drafts: bool) -> Result<Demand> {
    let request = approval.request.get().as_bytes();
    let subscription_id = || approval.subscription_id.ok_or_else(|| Error::fault("an approval names no subscription"));
    Ok(match approval.action {
        ApprovalAction::Provision => Demand::Provision { new: read_json(request)?, sees_drafts, id: hub.id() },
        ApprovalAction::Change => Demand::Change(subscription_id()?, read_json(request)?),
        ApprovalAction::Renew => Demand::Renew(subscription_id()?, read_json(request)?),
        ApprovalAction::Suspend | ApprovalAction::Resume | ApprovalAction::Terminate => {
            Demand::Status(subscription_id()?, read_json(request)?)
        }
    })
}

/// The permissions that the caller of the order has for the customer now. Refused where they do not include the order any more.
async fn check_asker(db: &Db, hub: &Hub, approval: &Approval, customer: &OrganizationPath) -> Result<Permissions> {
    let bindings = bindings::of(db, approval.asked_by, hub.now()).await?;
    let held = Authority::of(&bindings, customer).here;
    let is_own = approval.acting_session_id.is_none() && bindings.iter().any(|one| one.path == *customer && !one.bound);
    let mut may = held.has(Permission::SubscriptionWrite);
    // No access level alone lets a caller order a new subscription.
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

/// Writes the outcome of an approval, for the customer and for the organization in which the order was placed.
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
