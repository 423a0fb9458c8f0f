//! Placing an order. Where the customer's approval policy has a rule for it, the customer is asked first.

use super::order::{CheckedOrder, Demand, Order};
use chrono::TimeDelta;
use domain::{Error, Id, Result, approval::ApprovalStatus, id};
use serde_json::value::RawValue;
use store::{
    Tx, acting_sessions,
    approvals::{self, Approval, LapseApproval},
    jobs::{self, NewJob},
    orders::needs_approval,
    subscriptions::Subscription,
    tasks::Task,
};
use tasks::Boxed;
use web::{Accepted, Awaiting, Either, Hub, Identity, Prefer, Sent};

/// The answer to an order: an approval that the customer has to give first, or the task.
pub type Submitted = Sent<Either<Awaiting<Approval>, Accepted<Task>>>;

/// Begins an order, or asks the customer for its approval. All in one function, so that the transaction is compiled once.
pub fn submit<'a>(order: &'a Order, hub: &'a Hub, caller: &'a Identity, prefer: Prefer, demand: Demand) -> Boxed<'a, Submitted> {
    Box::pin(async move {
        let (approval_id, lapse_job_id) = (hub.id(), hub.id());
        let sent = hub
            .write(caller, async |tx| {
                let checked = order.check(tx, hub, &caller.scope(), &demand).await?;
                let requester = caller.requester(checked.subscription.organization_id);
                if let Some(days) = needs_approval(tx, requester, &checked.request(order.action)).await? {
                    let value = ask_customer(order, tx, hub, caller, &checked, approval_id, lapse_job_id, days).await?;
                    return Ok(Either::One(Awaiting { value, location: format!("/v1/approvals/{approval_id}") }));
                }
                let value = order.begin(tx, hub, hub.principal(), checked).await?;
                Ok(Either::Other(Accepted { value, location: tasks::location(order.task_id), ended: false }))
            })
            .await?;
        tasks::waited(hub, caller, sent, prefer).await
    })
}

/// Writes the approval, and the job that lapses it when there is no answer.
#[allow(clippy::too_many_arguments)]
async fn ask_customer(
    order: &Order,
    tx: &Tx<'_>,
    hub: &Hub,
    caller: &Identity,
    checked: &CheckedOrder,
    id: Id<id::Approval>,
    lapse_job_id: Id<id::Job>,
    days: u32,
) -> Result<Approval> {
    let Subscription { organization_id, service_id, .. } = checked.subscription;
    let approval = Approval {
        id,
        organization_id,
        action: order.action,
        subscription_id: checked.subscription_id(),
        service_id,
        quantity: checked.request(order.action).quantity,
        request: RawValue::from_string(order.request.clone()).map_err(|error| Error::fault(error.to_string()))?,
        status: ApprovalStatus::Pending,
        asked_by: caller.principal(),
        asked_by_name: acting_sessions::name(tx, caller.principal()).await?,
        asked_in: caller.acting().id,
        acting_session_id: caller.acting_session(),
        created_at: hub.now(),
        lapses_at: hub.now() + TimeDelta::days(days.into()),
        decided_by: None,
        decided_at: None,
        reason: None,
        task_id: None,
        message: None,
        // Also where the caller named no version: the customer approves it of the state that there is.
        if_version: checked.subscription_id().map(|_| checked.subscription.version),
        disable_rollback: order.disable_rollback,
        lapse_job_id,
    };
    if let Some(lapsed) = approvals::insert(tx, &approval).await? {
        hub.audit("lapsedApproval", &lapsed.to_string());
    }
    let trace = hub.traceparent();
    let lapse = NewJob::of(lapse_job_id, organization_id, &LapseApproval { approval_id: id }, hub.now())?;
    jobs::enqueue(tx, NewJob { due_at: approval.lapses_at, trace: Some(&trace), ..lapse }).await?;
    hub.concerns(organization_id);
    hub.audit_subject(id.to_string());
    hub.audit("action", order.action.as_str());
    hub.audit("approvalStatus", approval.status.as_str());
    if let Some(quantity) = approval.quantity {
        hub.audit("quantity", &quantity.to_string());
    }
    Ok(approval)
}
