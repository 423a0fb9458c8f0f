//! What doing and undoing each step means.

use crate::drivers;
use asks::{Asked, check_contract, fits};
use domain::{
    Error, Kind, Result,
    subscription::{SubscriptionAction, SubscriptionStatus},
    task::{Outcome, StepName, StepStatus, TaskStatus, TaskType, Turn, Way},
};
use engine::{Boxed, Settled, Work};
use store::{
    Tx,
    jobs::{self, NewJob},
    renewals, services,
    subscriptions::{self, Holding, Subscription},
    tasks::Task,
};

/// The steps of this component's tasks.
pub struct Steps;

impl engine::Steps for Steps {
    fn take<'a>(&'a self, work: &'a Work<'a>, step: StepName, turn: Turn) -> Boxed<'a, Outcome> {
        Box::pin(take(work, step, turn.way))
    }

    fn settle<'a>(&'a self, tx: &'a Tx<'a>, settled: &'a Settled<'a>) -> Boxed<'a, ()> {
        Box::pin(settle(tx, settled))
    }
}

async fn take(work: &Work<'_>, step: StepName, way: Way) -> Result<Outcome> {
    if work.task_type != TaskType::SubscriptionProvision && SubscriptionAction::of(work.task_type).is_none() {
        return Err(foreign(work, step));
    }
    match (step, way) {
        (StepName::CheckContract | StepName::Check, Way::Do) => check(work, &subscription(work).await?).await,
        (StepName::Provision | StepName::Change | StepName::Suspend | StepName::Resume | StepName::Deprovision, way) => {
            call_driver(work, step, way).await
        }
        (StepName::Activate | StepName::Record, Way::Do) if may_be_resumed(work.task) => {
            let subscription = subscription(work).await?;
            Ok(if is_at_it(work, &subscription) { Outcome::Done } else { Outcome::Failed(superseded(&subscription)) })
        }
        // To look changes nothing, and what is written down is a change of our own: it is made by `settle`.
        (StepName::CheckContract | StepName::Check, Way::Undo) | (StepName::Activate | StepName::Record, _) => Ok(Outcome::Done),
        _ => Err(foreign(work, step)),
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

/// Whether the subscription stands where its task left it; one that is begun again may find that another came meanwhile.
fn is_at_it(work: &Work<'_>, subscription: &Subscription) -> bool {
    let during = during(work.task_type);
    subscription.task_id == work.task.id
        && (subscription.status == during
            || matches!(subscription.status, SubscriptionStatus::Error | SubscriptionStatus::Failed))
}

/// Whether others may have been at work since the task began: only one that ended before its goal is gone on with.
fn may_be_resumed(task: &Task) -> bool {
    task.attempt > 1 || task.disable_rollback
}

/// Where a subscription stands while such a task is at work on it.
fn during(task_type: TaskType) -> SubscriptionStatus {
    SubscriptionAction::of(task_type).map_or(SubscriptionStatus::Provisioning, |action| action.rule().during)
}

/// Asks again what was asked when the task was made: things may have changed meanwhile.
async fn check(work: &Work<'_>, subscription: &Subscription) -> Result<Outcome> {
    let action = SubscriptionAction::of(work.task_type);
    if !is_at_it(work, subscription) {
        let refused = match action {
            Some(action) => action.check(subscription.status).err().map(|error| error.public),
            None => Some(superseded(subscription)),
        };
        if let Some(refused) = refused {
            return Ok(Outcome::Failed(refused));
        }
    }
    if matches!(action, Some(SubscriptionAction::Suspend | SubscriptionAction::Terminate)) {
        return Ok(Outcome::Done);
    }
    // For this contract: another one does not stand in for the one that the subscription runs on.
    let db = work.hub.db().await?;
    let mut found = check_contract(db, &work.job.organization_path, subscription, work.hub.now()).await;
    if let (Ok(()), Some(to)) = (&found, renewal(work).await?) {
        // For the coming term the service has to be offered so still.
        found = fits(work.hub, subscription.service_id, None, &Asked::of(subscription, &to)).await.map(drop);
    }
    match found {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        Err(error) => Ok(Outcome::Failed(error.public)),
    }
}

/// What a renewal is to make of what the customer has.
async fn renewal(work: &Work<'_>) -> Result<Option<Holding>> {
    match work.task_type {
        TaskType::SubscriptionRenew => subscriptions::find_change(work.hub.db().await?, work.task.id).await,
        _ => Ok(None),
    }
}

fn superseded(subscription: &Subscription) -> String {
    format!(
        "Since this task was asked for, another one was at work on the subscription, which is {} now: {}. Ask for what is to be done anew.",
        subscription.status, subscription.task_id
    )
}

async fn call_driver(work: &Work<'_>, step: StepName, way: Way) -> Result<Outcome> {
    let subscription = subscription(work).await?;
    // One that is resumed in its midst has no step that would look.
    if way == Way::Do && !is_at_it(work, &subscription) {
        return Ok(Outcome::Failed(superseded(&subscription)));
    }
    let before = subscription.before();
    let none = !matches!(before, SubscriptionStatus::Active | SubscriptionStatus::Suspended);
    if step == StepName::Deprovision && way == Way::Undo && none {
        // There was nothing, or nobody knew what: there is nothing to bring back.
        return Ok(Outcome::Done);
    }
    let db = work.hub.db().await?;
    let service = services::find(db, subscription.service_id).await?;
    let to = match step {
        StepName::Change => subscriptions::find_change(db, work.task.id).await?,
        _ => None,
    };
    if to.as_ref().is_some_and(|to| *to == subscription.holding()) {
        // It is renewed as it is.
        return Ok(Outcome::Done);
    }
    // A runner that was overtaken must not begin something that others can see.
    if !jobs::holds(db, work.job).await? {
        return Err(jobs::taken_over());
    }
    let call = drivers::Call {
        hub: work.hub,
        job: work.job,
        scope: work.scope,
        task_id: work.task.id,
        step,
        undoes: way == Way::Undo,
        subscription: &subscription,
        service: &service,
    };
    drivers::go(way, &call, to.as_ref()).await
}

async fn settle(tx: &Tx<'_>, settled: &Settled<'_>) -> Result<()> {
    let Settled { work, task, turn } = settled;
    let Some(id) = task.subscription_id else { return Ok(()) };
    let done = turn.is_some_and(|(_, turn)| turn.way == Way::Do && task.steps[turn.step].status == StepStatus::Success);
    let ended = task.ended_at.is_some();
    // On its way nothing changes, but that a task may have been begun again.
    if !(ended || (done && may_be_resumed(task))) {
        return Ok(());
    }
    let mut after = subscriptions::find(tx, work.scope, id).await?;
    let during = during(work.task_type);
    if !ended {
        if after.task_id == task.id && after.status == during {
            return Ok(());
        }
        if !matches!(after.status, SubscriptionStatus::Error | SubscriptionStatus::Failed) || after.task_id != task.id {
            after.status_before = Some(after.status);
        }
        (after.task_id, after.status) = (task.id, during);
    } else if !(is_at_it(work, &after) && (after.status == during || task.status == TaskStatus::Success)) {
        // It ended before it began again.
        return Ok(());
    } else {
        end(tx, work, task, &mut after).await?;
    }
    subscriptions::update(tx, &after, work.hub.now()).await
}

/// What the end of a task makes of its subscription.
async fn end(tx: &Tx<'_>, work: &Work<'_>, task: &Task, after: &mut Subscription) -> Result<()> {
    let (now, reached) = (work.hub.now(), task.status == TaskStatus::Success);
    let Some(action) = SubscriptionAction::of(work.task_type) else {
        after.status = if reached { SubscriptionStatus::Active } else { SubscriptionStatus::Failed };
        if reached && after.term_months.is_some() {
            tell(tx, work, renewals::BEGIN, after.id.to_string()).await?;
        }
        return Ok(());
    };
    after.status = action.settled(after.before(), task.status, &task.statuses());
    match (action, reached) {
        (SubscriptionAction::Change | SubscriptionAction::Renew, true) => {
            if let Some(Holding { plan_code, quantity, properties, renews }) = subscriptions::find_change(tx, task.id).await? {
                (after.plan_code, after.quantity, after.properties) = (plan_code, quantity, properties);
                if let Some((ends, months)) = renews {
                    (after.term_months, after.renewed_after) = (Some(months), Some(ends));
                    tell(tx, work, renewals::RENEWED, format!("{} {} {months}", after.id, ends.timestamp_millis())).await?;
                }
            }
        }
        (SubscriptionAction::Suspend, true) => after.suspended_at = Some(now),
        (SubscriptionAction::Resume, true) => (after.suspended_at, after.reason) = (None, None),
        (SubscriptionAction::Terminate, true) => after.terminated_at = Some(now),
        (SubscriptionAction::Suspend | SubscriptionAction::Terminate, false) => {
            after.charged_until = None;
            if after.suspended_at.is_none() {
                after.reason = None;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Has the component of terms write what follows from it.
async fn tell(tx: &Tx<'_>, work: &Work<'_>, kind: &str, payload: String) -> Result<()> {
    let Work { hub, task, .. } = *work;
    let trace = hub.traceparent();
    let job = NewJob {
        id: hub.id(),
        queue: renewals::QUEUE,
        kind,
        organization_id: task.organization_id,
        payload,
        due_at: hub.now(),
        trace: Some(&trace),
        now: hub.now(),
    };
    jobs::enqueue(tx, job).await
}

async fn subscription(work: &Work<'_>) -> Result<Subscription> {
    let id = work.task.subscription_id.ok_or_else(|| {
        Error::conflict(
            "task_unknown",
            format!("The task {} names no subscription, so there is nothing it could be at work on.", work.task.id),
        )
    })?;
    subscriptions::find(work.hub.db().await?, work.scope, id).await
}
