//! The steps of tasks on subscriptions: what doing and undoing each means.

use crate::{drivers, terms};
use ::tasks::{Settled, Work};
use domain::{
    Error, Instant, Kind, Result,
    subscription::{SubscriptionAction, SubscriptionStatus},
    task::{Outcome, StepName, StepStatus, TaskStatus, TaskType, Way},
};
use store::{
    Tx, jobs,
    orders::{charged_until, check_contract, superseded},
    services,
    subscriptions::{self, Holding, StatusReason, Subscription},
    tasks::{self, Task},
};

/// Takes a step, or undoes it.
pub async fn take(work: &Work<'_>, step: StepName, way: Way) -> Result<Outcome> {
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
            Ok(if is_at_it(work, &subscription) { Outcome::Done } else { Outcome::Failed(superseded(&subscription).public) })
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

/// Judges again what was judged when the task was made: things may have changed meanwhile.
async fn check(work: &Work<'_>, subscription: &Subscription) -> Result<Outcome> {
    let action = SubscriptionAction::of(work.task_type);
    let db = work.hub.db().await?;
    let to = subscriptions::find_change(db, work.task.id).await?;
    if !is_at_it(work, subscription) {
        // Begun again. Where another task came meanwhile, what was asked for was asked of something else.
        let refused = match action {
            _ if subscription.task_id != work.task.id => Err(superseded(subscription)),
            Some(action) => action.check_to(subscription.status, subscription.is_only_moved(to.as_ref())),
            None => Err(superseded(subscription)),
        };
        if let Err(refused) = refused {
            return Ok(Outcome::Failed(refused.public));
        }
    }
    if matches!(action, Some(SubscriptionAction::Suspend | SubscriptionAction::Terminate)) {
        return Ok(Outcome::Done);
    }
    // For this contract: another one does not stand in for the one that the subscription runs on, or is moved to.
    let contract_id = to.as_ref().and_then(|to| to.contract_id);
    let mut found = check_contract(db, &work.job.organization_path, subscription, contract_id, work.hub.now()).await;
    // For a coming term the service has to be offered so still; and where the task is run again.
    let again = may_be_resumed(work.task) && (work.task.attempt > 1 || work.task.steps[0].attempts > 0);
    if found.is_ok() && (again || work.task_type == TaskType::SubscriptionRenew) {
        found = match (action, to) {
            (Some(SubscriptionAction::Resume), _) => Ok(()),
            // What is only moved to another contract stays as it is.
            (Some(SubscriptionAction::Change), Some(to)) if to == subscription.holding() => Ok(()),
            (_, to) => {
                // A service that is new to the customer has to be published, too.
                let published = match action {
                    None => services::find(db, subscription.service_id).await?.check_published(true),
                    Some(_) => Ok(()),
                };
                let request = subscription.service_request(&to.unwrap_or_else(|| subscription.holding()));
                let offered = services::check_request(db, subscription.service_id, true, &request).await;
                published.and(offered.map(drop))
            }
        };
    }
    match found {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        Err(error) => Ok(Outcome::Failed(error.public)),
    }
}

async fn call_driver(work: &Work<'_>, step: StepName, way: Way) -> Result<Outcome> {
    let subscription = subscription(work).await?;
    // One that is resumed in its midst has no step that would look.
    if way == Way::Do && !is_at_it(work, &subscription) {
        return Ok(Outcome::Failed(superseded(&subscription).public));
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

/// The term that the end of a task begins.
enum NextTerm {
    First,
    /// The one after the term that ends then, of so many months.
    Renewed(Instant, u32),
}

/// What a turn, and the end of a task, changes in the subscription.
pub async fn settle(tx: &Tx<'_>, settled: &Settled<'_>) -> Result<()> {
    let Settled { work, task, turn } = settled;
    let Some(id) = task.subscription_id else { return Ok(()) };
    let done = turn.is_some_and(|(_, turn)| turn.way == Way::Do && task.steps[turn.step].status == StepStatus::Success);
    let ended = task.ended_at.is_some();
    // On its way nothing changes, but that a task may have been begun again.
    if !(ended || (done && may_be_resumed(task))) {
        return Ok(());
    }
    let mut after = subscriptions::find(tx, work.scope, id).await?;
    let (during, mut next_term) = (during(work.task_type), None);
    if !ended {
        if after.task_id == task.id && after.status == during {
            return Ok(());
        }
        if !matches!(after.status, SubscriptionStatus::Error | SubscriptionStatus::Failed) || after.task_id != task.id {
            after.status_before = Some(after.status);
        }
        (after.task_id, after.status) = (task.id, during);
        restate_reason(tx, work, task, &mut after).await?;
    } else if !(is_at_it(work, &after) && (after.status == during || task.status == TaskStatus::Success)) {
        // It ended before it began again.
        return Ok(());
    } else {
        next_term = end(tx, work, task, &mut after).await?;
    }
    subscriptions::update(tx, &after, work.hub.now()).await?;
    match next_term {
        Some(NextTerm::First) => terms::begin(tx, work.hub, work.scope, id).await,
        Some(NextTerm::Renewed(ends, months)) => terms::renew(tx, work.hub, work.scope, &after, ends, months).await,
        None => Ok(()),
    }
}

/// Writes again why a subscription is suspended or terminated whose task is run again, and until when it is charged for.
async fn restate_reason(tx: &Tx<'_>, work: &Work<'_>, task: &Task, after: &mut Subscription) -> Result<()> {
    if !matches!(work.task_type, TaskType::SubscriptionSuspend | TaskType::SubscriptionTerminate) {
        return Ok(());
    }
    let request = tasks::request(tx, work.scope, task.id).await?;
    let StatusReason { reason, .. } = web::read_json(request.as_bytes()).unwrap_or_default();
    if work.task_type == TaskType::SubscriptionTerminate {
        // That it may be was judged when it was run again.
        after.charged_until = charged_until(tx, after.id, true, work.hub.now()).await?;
    }
    after.reason = reason.map(String::from).or(after.reason.take());
    Ok(())
}

/// What the end of a task makes of its subscription, and the term that begins with that.
async fn end(tx: &Tx<'_>, work: &Work<'_>, task: &Task, after: &mut Subscription) -> Result<Option<NextTerm>> {
    let (now, reached) = (work.hub.now(), task.status == TaskStatus::Success);
    let Some(action) = SubscriptionAction::of(work.task_type) else {
        after.status = if reached { SubscriptionStatus::Active } else { SubscriptionStatus::Failed };
        return Ok((reached && after.term_months.is_some()).then_some(NextTerm::First));
    };
    let mut next_term = None;
    after.status = action.settled(after.before(), task.status, &task.statuses());
    match (action, reached) {
        (SubscriptionAction::Change | SubscriptionAction::Renew, true) => {
            if let Some(change) = subscriptions::find_change(tx, task.id).await? {
                let Holding { plan_code, quantity, properties, renews, contract_id } = change;
                (after.plan_code, after.quantity, after.properties) = (plan_code, quantity, properties);
                after.contract_id = contract_id.unwrap_or(after.contract_id);
                if let Some((ends, months)) = renews {
                    (after.term_months, after.renewed_after) = (Some(months), Some(ends));
                    next_term = Some(NextTerm::Renewed(ends, months));
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
    Ok(next_term)
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
