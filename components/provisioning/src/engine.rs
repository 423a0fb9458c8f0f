//! The task engine: takes the turns that the rules in `domain::task` ask for, one a run, and settles each in one
//! transaction that is fenced by the task's job.
//!
//! A task that can go on has exactly one job, written in the transaction that lets it go on. A task that waits for a
//! person has none: the person's answer writes the next one. So there is never a turn that nobody will take, and of two
//! runners of one task the fence lets one settle.

use crate::steps::{self, Work};
use domain::{
    Error, Id, Instant, Kind, Result,
    audit::{AuditPrincipal, AuditResult},
    id,
    job::is_tried_again,
    task::{Next, Outcome, StepName, StepStatus, Turn, Way, next, status},
};
use spin_sdk::time::sleep;
use std::time::Duration;
use store::{
    Scope, Tx,
    jobs::{self, Job, NewJob},
    tasks::{self, NewTask, Task},
};
use web::{Accepted, Hub, Identity, Prefer, Record, Sent, Shown};

/// The job that takes the next turn of a task.
pub const ADVANCE: &str = "task.advance";
/// How often a request that waits looks whether another runner is done with the task.
const LOOK: Duration = Duration::from_millis(50);

/// Where a task can be watched.
pub fn location(id: Id<id::Task>) -> String {
    format!("{TASKS}{id}")
}

const TASKS: &str = "/v1/tasks/";

/// Writes a task and the job of its first turn.
pub async fn begin(tx: &Tx<'_>, hub: &Hub, new: &NewTask) -> Result<Task> {
    let task = tasks::insert(tx, new).await?;
    enqueue(tx, hub, &task, new.job_id).await?;
    Ok(task)
}

async fn enqueue(tx: &Tx<'_>, hub: &Hub, task: &Task, id: Id<id::Job>) -> Result<()> {
    let job = NewJob {
        id,
        queue: hub.component(),
        kind: ADVANCE,
        organization_id: task.organization_id,
        payload: task.id.to_string(),
        due_at: hub.now(),
        trace: Some(&hub.traceparent()),
        now: hub.now(),
    };
    jobs::enqueue(tx, job).await
}

/// Takes one turn of a task.
pub async fn advance(hub: Hub, job: Job) -> Result<()> {
    let id = job.payload.parse().map_err(|error| Error::malformed("job_payload", format!("The job's payload is {error}.")))?;
    let scope = Scope::below(job.organization_path.clone());
    let task = tasks::find(hub.db().await?, &scope, id).await?;
    let work = Work { hub: &hub, job: &job, scope: &scope, task: &task };
    let Next::Take(turn) = next(&task.statuses()) else {
        // Nothing is left to do for this job, whoever saw to that.
        return hub.db().await?.in_transaction(async |tx| jobs::finish(tx, &job).await).await;
    };
    let taken = match steps::take(&work, turn).await {
        Ok(outcome) => settle(&work, turn, &outcome).await,
        Err(error) => Err(error),
    };
    match taken {
        Err(error) if error.code != jobs::FENCED => give_way(&work, turn, error).await,
        other => other,
    }
}

/// Writes what came of a turn, and lets the job go on or end, if the runner still has it.
async fn settle(work: &Work<'_>, turn: Turn, outcome: &Outcome) -> Result<()> {
    let now = work.hub.now();
    let mut after = settled(work.task, turn, outcome, None, now);
    let goes_on = matches!(next(&after.statuses()), Next::Take(_));
    if !goes_on {
        after.job_id = None;
    }
    let db = work.hub.db().await?;
    db.in_transaction(async |tx| {
        if goes_on {
            // Due since the task was made: a task that was begun is finished before a later one is begun.
            jobs::again(tx, work.job, work.task.created_at).await?;
        } else {
            jobs::finish(tx, work.job).await?;
        }
        steps::settle(tx, work.scope, &after, turn, now).await?;
        if after.ended_at.is_some() {
            told(work.hub, work.task, &after);
            let what = Record {
                organization_id: after.organization_id,
                action: "tasks.end",
                principal: AuditPrincipal::Job(work.job.id),
                subject_id: Some(after.id.to_string()),
                result: AuditResult::Success,
            };
            work.hub.record(tx, what).await?;
        }
        tasks::update(tx, work.scope, work.task, &after).await
    })
    .await
}

/// What the audit is told of a task that comes to another status.
fn told(hub: &Hub, before: &Task, after: &Task) {
    hub.concerns(after.organization_id);
    hub.audit_change("status", Some(before.status.as_str()), Some(after.status.as_str()));
    if let Some(id) = after.subscription_id {
        hub.audit("subscriptionId", &id.to_string());
    }
}

/// A turn could not be taken, for a fault or because this hub does not know how. The job is tried again or parked by
/// whoever runs it, which the step's message says; but a step that failed for the last time is given up, so that the
/// task is undone and ends rather than waits for ever. A turn back is never given up: it is parked, and its replay goes
/// on with it.
async fn give_way(work: &Work<'_>, turn: Turn, error: Error) -> Result<()> {
    let attempt = work.job.attempts + 1;
    let is_tried_again = is_tried_again(attempt, &error);
    if error.kind == Kind::Unavailable && !is_tried_again && turn.way == Way::Do {
        let text = format!("Gave up after {attempt} attempts, each of which ended in a fault ({}).", error.code);
        return settle(work, turn, &Outcome::GaveUp(text)).await;
    }
    let message = match (error.kind, is_tried_again) {
        (_, true) => format!("Attempt {attempt} ended in a fault ({}); there will be another.", error.code),
        (Kind::Unavailable, false) => {
            format!(
                "Set aside after {attempt} attempts, each of which ended in a fault ({}); the operator can replay {}.",
                error.code, work.job.id
            )
        }
        _ => format!("Set aside: {}", error.public),
    };
    let mut after = work.task.clone();
    after.updated_at = work.hub.now();
    let step = &mut after.steps[turn.step];
    if step.status == StepStatus::NotStarted {
        step.status = StepStatus::InProgress;
    }
    (step.attempts, step.message, step.updated_at) = (step.attempts + 1, Some(message), after.updated_at);
    after.status = status(&after.statuses());
    let db = work.hub.db().await?;
    let noted = db
        .in_transaction(async |tx| {
            jobs::hold(tx, work.job).await?;
            tasks::update(tx, work.scope, work.task, &after).await
        })
        .await;
    match noted {
        Err(fenced) if fenced.code == jobs::FENCED => Err(fenced),
        // Where even that failed, the first fault is the one that counts.
        _ => Err(error),
    }
}

/// The task after a turn. `note` is what a person said about it.
fn settled(task: &Task, turn: Turn, outcome: &Outcome, note: Option<String>, now: Instant) -> Task {
    let mut after = task.clone();
    let step = &mut after.steps[turn.step];
    step.status = turn.settled(step.status, outcome);
    step.attempts += 1;
    step.updated_at = now;
    // Once turned round, what was said on the way there stays unless there is something new.
    let kept = (turn.way == Way::Undo).then(|| step.message.take()).flatten();
    step.message = note.or_else(|| outcome.message().map(str::to_owned)).or(kept);
    let wrong = match (step.status, outcome.message()) {
        (StepStatus::Error | StepStatus::InDoubt, Some(why)) => Some(why.to_owned()),
        (StepStatus::UndoFailed, Some(why)) => Some(format!("{} could not be undone: {why}", step.name)),
        _ => None,
    };
    after.message = match (after.message, wrong) {
        (Some(before), Some(wrong)) => Some(format!("{before} {wrong}")),
        (before, wrong) => wrong.or(before),
    };
    match next(&after.statuses()) {
        Next::Take(Turn { step, way: Way::Do }) => {
            let step = &mut after.steps[step];
            (step.status, step.updated_at) = (StepStatus::InProgress, now);
        }
        Next::Ended(_) => after.ended_at = Some(now),
        Next::Take(_) | Next::Wait(_) => {}
    }
    after.status = status(&after.statuses());
    after.updated_at = now;
    after
}

/// A person says how a turn went that waited for them, and the task goes on from there.
pub async fn answered(
    hub: &Hub,
    caller: &Identity,
    id: Id<id::Task>,
    step: StepName,
    outcome: &Outcome,
    note: Option<String>,
) -> Result<Sent<Shown<Task>>> {
    let job_id = hub.id();
    let scope = caller.scope();
    hub.write(caller, async |tx| {
        let task = tasks::find(tx, &scope, id).await?;
        let turn = waiting(&task, step)?;
        let mut after = settled(&task, turn, outcome, note.clone(), hub.now());
        if matches!(next(&after.statuses()), Next::Take(_)) {
            after.job_id = Some(job_id);
            enqueue(tx, hub, &task, job_id).await?;
        }
        steps::settle(tx, &scope, &after, turn, hub.now()).await?;
        tasks::update(tx, &scope, &task, &after).await?;
        told(hub, &task, &after);
        Ok(Shown(after))
    })
    .await
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
    match next(&task.statuses()) {
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

/// The answer to a caller who would rather wait for the task: this request runs it itself meanwhile.
pub async fn waited(hub: &Hub, caller: &Identity, sent: Sent<Accepted<Task>>, prefer: Prefer) -> Result<Sent<Accepted<Task>>> {
    let Some(wait) = prefer.wait else { return Ok(sent) };
    // From the answer and not from what was just written: a repeated request gets the first answer, and waits for its task.
    let location = sent.answer().headers.iter().find(|(name, _)| name == "location");
    let Some(id) = location.and_then(|(_, location)| location.strip_prefix(TASKS)?.parse().ok()) else { return Ok(sent) };
    match watch(hub, &caller.scope(), id, wait).await {
        Ok(task) => sent.waited(wait, &task, task.ended_at.is_some()),
        // What was written stays written: a fault in waiting for it must not be answered as if it were not.
        Err(_) => Ok(sent),
    }
}

async fn watch(hub: &Hub, scope: &Scope, id: Id<id::Task>, wait: Duration) -> Result<Task> {
    let began = std::time::Instant::now();
    loop {
        let task = tasks::find(hub.db().await?, scope, id).await?;
        let left = wait.saturating_sub(began.elapsed());
        // Without a job it waits for a person, or has ended.
        let Some(job_id) = task.job_id.filter(|_| !left.is_zero()) else { return Ok(task) };
        if !web::jobs::run_now(hub, job_id, crate::run).await? {
            sleep(left.min(LOOK)).await;
        }
    }
}
