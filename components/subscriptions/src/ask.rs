//! Sending what is asked for: the customer is asked first where it wants to be.

use asks::{Ask, Ready, What};
use chrono::TimeDelta;
use domain::{
    Decimal, Error, Id, Permission, Result,
    approval::{ApprovalStatus, Asked, AskedBy, is_needed},
    id,
    subscription::CARRIES_OUT,
};
use engine::Boxed;
use serde_json::value::RawValue;
use store::{
    Tx, acting_sessions, approval_policies,
    approvals::{self, Approval},
    jobs::{self, NewJob},
    subscriptions::Subscription,
    tasks::Task,
};
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
                if let Some(days) = needs_approval(ask, tx, caller, &ready).await? {
                    let value = ask_customer(ask, tx, hub, caller, &ready, approval_id, lapse_job_id, days).await?;
                    return Ok(Either::One(Awaiting { value, location: format!("/v1/approvals/{approval_id}") }));
                }
                let value = ask.begin(tx, hub, hub.principal(), ready).await?;
                Ok(Either::Other(Accepted { value, location: engine::location(ask.task_id), ended: false }))
            })
            .await?;
        engine::waited_there(hub, caller, sent, prefer, CARRIES_OUT).await
    })
}

/// For how many days the customer is to be asked, if it is. Who may approve it in the customer need not ask.
async fn needs_approval(ask: &Ask, tx: &Tx<'_>, caller: &Identity, ready: &Ready) -> Result<Option<u32>> {
    let Subscription { organization_id, service_id, .. } = ready.subscription;
    let inside = caller.acting().id == organization_id && caller.acting_session().is_none();
    if inside && caller.permissions().has(Permission::SubscriptionApprove) {
        return Ok(None);
    }
    let policy = approval_policies::find(tx, organization_id).await?;
    let asked = Asked {
        action: ask.action,
        service_id,
        quantity: quantity(ask, ready),
        by: if inside { AskedBy::Customer } else { AskedBy::Provider },
    };
    Ok(is_needed(&policy.rules, &asked).then_some(policy.lapse_days))
}

/// How much the customer is to have afterwards, where that is said.
fn quantity(ask: &Ask, ready: &Ready) -> Option<Decimal> {
    ask.action.has_quantity().then(|| ready.quantity())
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
        quantity: quantity(ask, ready),
        request: RawValue::from_string(ask.request.clone()).map_err(|error| Error::unavailable(error.to_string()))?,
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
        if_version: ask.version,
        disable_rollback: ask.disable_rollback,
        lapse_job_id,
    };
    if let Some(lapsed) = approvals::insert(tx, &approval).await? {
        hub.audit("lapsedApproval", &lapsed.to_string());
    }
    let trace = hub.traceparent();
    let job = NewJob {
        id: lapse_job_id,
        queue: approvals::QUEUE,
        kind: approvals::LAPSE,
        organization_id,
        payload: id.to_string(),
        due_at: approval.lapses_at,
        trace: Some(&trace),
        now: hub.now(),
    };
    jobs::enqueue(tx, job).await?;
    hub.concerns(organization_id);
    hub.audit_subject(id.to_string());
    hub.audit("action", ask.action.as_str());
    hub.audit("approvalStatus", approval.status.as_str());
    if let Some(quantity) = approval.quantity {
        hub.audit("quantity", &quantity.to_string());
    }
    Ok(approval)
}
