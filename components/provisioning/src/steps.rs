//! What doing and undoing each step means.

use crate::drivers;
use domain::{
    Error, Kind, Result,
    subscription::SubscriptionStatus,
    task::{Outcome, StepName, StepStatus, TaskStatus, TaskType, Turn, Way},
};
use engine::{Boxed, Settled, Work};
use store::{
    Tx, contracts, jobs, services,
    subscriptions::{self, Subscription},
};

/// The steps of this component's tasks.
pub struct Steps;

impl engine::Steps for Steps {
    fn take<'a>(&'a self, work: &'a Work<'a>, step: StepName, turn: Turn) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            if work.task_type != TaskType::SubscriptionProvision {
                return Err(foreign(work, step));
            }
            match (step, turn.way) {
                (StepName::CheckContract, Way::Do) => check_contract(work).await,
                (StepName::Provision, way) => call_driver(work, way).await,
                // To look changes nothing, and to activate is a change of our own: it is made by `settle`.
                (StepName::CheckContract, Way::Undo) | (StepName::Activate, _) => Ok(Outcome::Done),
                _ => Err(foreign(work, step)),
            }
        })
    }

    fn settle<'a>(&'a self, tx: &'a Tx<'a>, settled: &'a Settled<'a>) -> Boxed<'a, ()> {
        Box::pin(async move {
            let (Settled { work, task, turn }, now) = (settled, settled.work.hub.now());
            let Some(subscription_id) = task.subscription_id else { return Ok(()) };
            let done = turn.map(|(step, turn)| (step, task.steps[turn.step].status));
            let status = match (task.ended_at, task.status, done) {
                (Some(_), TaskStatus::Error | TaskStatus::Cancelled, _) => SubscriptionStatus::Failed,
                (_, _, Some((StepName::Activate, StepStatus::Success))) => SubscriptionStatus::Active,
                // Begun again, after it has failed.
                (None, _, Some((StepName::CheckContract, StepStatus::Success))) if task.attempt > 1 => {
                    SubscriptionStatus::Provisioning
                }
                _ => return Ok(()),
            };
            subscriptions::set_status(tx, work.scope, subscription_id, status, now).await
        })
    }
}

/// A task that another component's steps are for.
fn foreign(work: &Work<'_>, step: StepName) -> Error {
    Error::conflict(
        "task_unknown",
        format!(
            "The task {} is a {} and at its step {step}, which this version of the component does not know. Run the version that wrote the task, or a newer one, and replay the job.",
            work.task.id, work.task_type
        ),
    )
}

/// Asks again what was asked when the task was made, for this contract: it may have ended meanwhile.
async fn check_contract(work: &Work<'_>) -> Result<Outcome> {
    let subscription = subscription(work).await?;
    let answer = contracts::allows(
        work.hub.db().await?,
        &work.job.organization_path,
        subscription.provider_id,
        subscription.service_id,
        Some(subscription.contract_id),
        work.hub.now(),
    )
    .await;
    match answer {
        Ok(_) => Ok(Outcome::Done),
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        Err(_) => Ok(Outcome::Failed(format!(
            "The commit contract {} is not active any more, so the service was not provisioned. Ask for it again when a contract is active.",
            subscription.contract_id
        ))),
    }
}

async fn call_driver(work: &Work<'_>, way: Way) -> Result<Outcome> {
    let subscription = subscription(work).await?;
    let db = work.hub.db().await?;
    let service = services::find(db, subscription.service_id).await?;
    // A runner that was overtaken must not begin something that others can see.
    if !jobs::holds(db, work.job).await? {
        return Err(jobs::taken_over());
    }
    let call = drivers::Call {
        hub: work.hub,
        job: work.job,
        scope: work.scope,
        task_id: work.task.id,
        subscription: &subscription,
        service: &service,
    };
    drivers::go(way, &call).await
}

async fn subscription(work: &Work<'_>) -> Result<Subscription> {
    let id = work.task.subscription_id.ok_or_else(|| {
        Error::conflict(
            "task_unknown",
            format!("The task {} names no subscription, so there is nothing it could provision.", work.task.id),
        )
    })?;
    subscriptions::find(work.hub.db().await?, work.scope, id).await
}
