//! What doing and undoing each step means.

use crate::drivers;
use domain::{
    Error, Instant, Kind, Result,
    subscription::SubscriptionStatus,
    task::{Next, Outcome, StepName, StepStatus, TaskStatus, TaskType, Turn, Way, next},
};
use store::{
    Scope, Tx, contracts,
    jobs::{self, Job},
    services,
    subscriptions::{self, Subscription},
    tasks::Task,
};
use web::Hub;

/// A task in the hands of a runner.
pub struct Work<'a> {
    /// Connection, clock and trace.
    pub hub: &'a Hub,
    /// The runner's claim.
    pub job: &'a Job,
    /// The data it may touch: that of the organization whose task it is.
    pub scope: &'a Scope,
    /// The task as it was read under the claim.
    pub task: &'a Task,
}

/// Takes a turn. This happens outside of the transaction that settles it, and may happen again after a crash, so
/// whatever is done here must come to the same end when it is done twice.
pub async fn take(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    match (known(work.task, turn)?, turn.way) {
        (StepName::CheckContract, Way::Do) => check_contract(work).await,
        (StepName::Provision, way) => call_driver(work, way).await,
        // To look changes nothing, and to activate is a change of our own: it is made by `settle`.
        (StepName::CheckContract, Way::Undo) | (StepName::Activate, _) => Ok(Outcome::Done),
    }
}

/// What a turn changes in the hub's own data, in the transaction that settles it. `task` is as the turn leaves it.
pub async fn settle(tx: &Tx<'_>, scope: &Scope, task: &Task, turn: Turn, now: Instant) -> Result<()> {
    let step = known(task, turn)?;
    let Some(subscription_id) = task.subscription_id else { return Ok(()) };
    if step == StepName::Activate && task.steps[turn.step].status == StepStatus::Success {
        subscriptions::set_status(tx, scope, subscription_id, SubscriptionStatus::Active, now).await?;
    }
    if matches!(next(&task.statuses()), Next::Ended(TaskStatus::Error | TaskStatus::Cancelled)) {
        subscriptions::set_status(tx, scope, subscription_id, SubscriptionStatus::Failed, now).await?;
    }
    Ok(())
}

/// The step whose turn it is, if this version of the hub knows such tasks. Another version may have written it.
fn known(task: &Task, turn: Turn) -> Result<StepName> {
    let unknown = |what: &str, name: &str| {
        Error::conflict(
            "task_unknown",
            format!(
                "The task {} has the {what} {name}, which this version of the hub does not know. Run the version that wrote the task, or a newer one, and replay the job.",
                task.id
            ),
        )
    };
    let TaskType::SubscriptionProvision = task.task_type.parse().map_err(|_| unknown("type", &task.task_type))?;
    let step = task.steps.get(turn.step).map_or("", |step| step.name.as_str());
    step.parse().map_err(|_| unknown("step", step))
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
