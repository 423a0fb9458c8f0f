//! What people say of a task: that a step is done, that the task is to stop, or to begin again.

use crate::{
    enqueue, location,
    run::{set_cancelled, settled},
    told,
};
use domain::{
    Error, Id, Kind, Result, id,
    task::{Next, Outcome, StepName, StepStatus, TaskStatus, Turn, next},
};
use store::{
    Scope, Tx, jobs,
    tasks::{self, Task},
};
use web::Hub;

/// A person says how a turn went that waited for them, and the task goes on from there.
pub async fn answer(
    tx: &Tx<'_>,
    hub: &Hub,
    scope: &Scope,
    id: Id<id::Task>,
    step: StepName,
    outcome: &Outcome,
    note: Option<String>,
) -> Result<Task> {
    let task = tasks::find(tx, scope, id).await?;
    let turn = waiting(&task, step)?;
    let mut after = settled(&task, turn, outcome, false, note, hub.now());
    go_on(tx, hub, &mut after).await?;
    tasks::update(tx, scope, &task, &after).await?;
    told(hub, &task, &after);
    Ok(after)
}

/// Gives a task a job: what follows from what was said is done by the component whose task it is.
async fn go_on(tx: &Tx<'_>, hub: &Hub, task: &mut Task) -> Result<()> {
    let job_id = hub.id();
    task.job_id = Some(job_id);
    enqueue(tx, hub, &task.queue, task.organization_id, task.id, job_id).await
}

/// The turn at this step, if it waits for a person.
fn waiting(task: &Task, name: StepName) -> Result<Turn> {
    let step = task.steps.iter().find(|step| step.name == name.as_str()).ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            "step_not_found",
            format!("The task {} has no step {name}; GET {} shows its steps.", task.id, location(task.id)),
        )
    })?;
    match next(&task.statuses(), task.rollback()) {
        Next::Wait(turn) if task.steps[turn.step].name == name.as_str() => Ok(turn),
        _ => Err(Error::conflict(
            "step_not_manual",
            format!(
                "The step {name} is {}; only a step that waits for a person (MANUAL or UNDO_MANUAL) can be completed or failed.",
                step.status
            ),
        )),
    }
}

/// Cancels a task: at once where no runner is at it, else after the runner's present turn. What was done is undone, or
/// stays where the task's rollback is disabled.
pub async fn cancel(tx: &Tx<'_>, hub: &Hub, scope: &Scope, id: Id<id::Task>) -> Result<Task> {
    let task = tasks::find(tx, scope, id).await?;
    let mut after = task.clone();
    if !set_cancelled(&mut after, hub.now()) {
        return Err(Error::conflict(
            "task_not_cancellable",
            format!(
                "The task {id} is {} and has no step left that could be kept from being done. GET {} shows its steps.",
                task.status,
                location(id)
            ),
        ));
    }
    tasks::set_cancel_requested(tx, id, Some(hub.now())).await?;
    let idle = match task.job_id {
        // Under the lock of the job's row, so that no runner comes to it meanwhile.
        Some(job_id) => jobs::hasten(tx, job_id, hub.now()).await?,
        None => {
            tasks::unqueue(tx, id).await?;
            go_on(tx, hub, &mut after).await?;
            true
        }
    };
    if !idle {
        told(hub, &task, &task);
        return Ok(Task { cancel_requested_at: Some(hub.now()), ..task });
    }
    after.cancel_requested_at = Some(hub.now());
    after.preceding_tasks.clear();
    tasks::update(tx, scope, &task, &after).await?;
    told(hub, &task, &after);
    Ok(after)
}

/// Begins a task anew, from its first step, that ended before its goal.
pub async fn restart(tx: &Tx<'_>, hub: &Hub, scope: &Scope, id: Id<id::Task>) -> Result<Task> {
    let task = tasks::find(tx, scope, id).await?;
    if task.ended_at.is_none() || !matches!(task.status, TaskStatus::Error | TaskStatus::Cancelled) {
        return Err(Error::conflict(
            "task_not_restartable",
            format!(
                "The task {id} is {}; only a task that has ended as ERROR or CANCELLED can be begun again. Wait for it to end, or cancel it.",
                task.status
            ),
        ));
    }
    let mut after = task.clone();
    after.attempt += 1;
    begin_again(tx, hub, scope, &task, after, |_, _| true).await
}

/// Lets a task go on that ended before its goal and was not undone, at the step that failed. Its first step, which asks whether it
/// may be done, is taken again before that: the world may have moved on since.
pub async fn resume(tx: &Tx<'_>, hub: &Hub, scope: &Scope, id: Id<id::Task>) -> Result<Task> {
    let task = tasks::find(tx, scope, id).await?;
    if task.checkpoint.is_none() || task.ended_at.is_none() {
        return Err(Error::conflict(
            "no_checkpoint",
            format!(
                "The task {id} is {} and has no checkpoint to go on from: only a task that ended as ERROR or CANCELLED and was asked for with disableRollback has one. A task that was undone can be begun again: POST {}/restart.",
                task.status,
                location(id)
            ),
        ));
    }
    begin_again(tx, hub, scope, &task, task.clone(), |at, status| at == 0 || status != StepStatus::Success).await
}

/// Lets a task go on, when its turn on its subject comes again: `anew` says which steps are taken anew.
async fn begin_again(
    tx: &Tx<'_>,
    hub: &Hub,
    scope: &Scope,
    task: &Task,
    mut after: Task,
    anew: impl Fn(usize, StepStatus) -> bool,
) -> Result<Task> {
    for (_, step) in after.steps.iter_mut().enumerate().filter(|(at, step)| anew(*at, step.status)) {
        (step.status, step.message, step.updated_at) = (StepStatus::NotStarted, None, hub.now());
    }
    (after.message, after.ended_at, after.cancel_requested_at) = (None, None, None);
    after.updated_at = hub.now();
    after.preceding_tasks = tasks::unended(tx, after.subject).await?;
    after.follow();
    if after.preceding_tasks.is_empty() {
        go_on(tx, hub, &mut after).await?;
    }
    tasks::set_cancel_requested(tx, task.id, None).await?;
    tasks::update(tx, scope, task, &after).await?;
    tasks::precede(tx, &after).await?;
    told(hub, task, &after);
    Ok(after)
}
