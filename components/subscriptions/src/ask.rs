//! Sending what is asked for: the customer is asked first where it wants to be.

use asks::{Ask, Ready, Request, What, needs_approval};
use chrono::TimeDelta;
use domain::{Error, Id, Result, approval::ApprovalStatus, id, subscription::CARRIES_OUT};
use serde_json::value::RawValue;
use store::{
    Tx, acting_sessions,
    approvals::{self, Approval, LapseApproval},
    jobs::{self, NewJob},
    subscriptions::Subscription,
    tasks::Task,
};
use tasks::Boxed;
use web::{Accepted, Awaiting, Either, Hub, Identity, Prefer, Sent};

/// The answer to what is asked for: an approval that the customer has to give first, or the task.
pub type Begun = Sent<Either<Awaiting<Approval>, Accepted<Task>>>;

/// Has it done, or asks the customer where that is to be asked. All in one function, so that the transaction is compiled once.
pub fn send<'a>(ask: &'a Ask, hub: &'a Hub, caller: &'a Identity, prefer: Prefer, what: What) -> Boxed<'a, Begun> {
    Box::pin(async move {
        let (approval_id, lapse_job_id) = (hub.id(), hub.id());
        let sent = hub
            .write(caller, async |tx| {
                let ready = ask.check(tx, hub, &caller.scope(), &what).await?;
                if let Some(days) = needs_approval(tx, caller, &request(ask, &ready)).await? {
                    let value = ask_customer(ask, tx, hub, caller, &ready, approval_id, lapse_job_id, days).await?;
                    return Ok(Either::One(Awaiting { value, location: format!("/v1/approvals/{approval_id}") }));
                }
                let value = ask.begin(tx, hub, hub.principal(), ready).await?;
                Ok(Either::Other(Accepted { value, location: tasks::location(ask.task_id), ended: false }))
            })
            .await?;
        tasks::waited_there(hub, caller, sent, prefer, CARRIES_OUT).await
    })
}

fn request(ask: &Ask, ready: &Ready) -> Request {
    let Subscription { organization_id, service_id, .. } = ready.subscription;
    Request { action: ask.action, organization_id, service_id, quantity: ready.quantity() }
}

/// Writes what the customer is asked, and the job that sees to it when there is no answer.
#[allow(clippy::too_many_arguments)]
async fn ask_customer(
    ask: &Ask,
    tx: &Tx<'_>,
    hub: &Hub,
    caller: &Identity,
    ready: &Ready,
    id: Id<id::Approval>,
    lapse_job_id: Id<id::Job>,
    days: u32,
) -> Result<Approval> {
    let Subscription { organization_id, service_id, .. } = ready.subscription;
    let approval = Approval {
        id,
        organization_id,
        action: ask.action,
        subscription_id: ready.subscription_id(),
        service_id,
        quantity: request(ask, ready).quantity(),
        request: RawValue::from_string(ask.request.clone()).map_err(|error| Error::fault(error.to_string()))?,
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
        // Also where the caller asked it of any state: the customer approves it of the one that there is.
        if_version: ready.subscription_id().map(|_| ready.subscription.version),
        disable_rollback: ask.disable_rollback,
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
    hub.audit("action", ask.action.as_str());
    hub.audit("approvalStatus", approval.status.as_str());
    if let Some(quantity) = approval.quantity {
        hub.audit("quantity", &quantity.to_string());
    }
    Ok(approval)
}
