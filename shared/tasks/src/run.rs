//! Running a task: one turn a job.

use crate::{AdvanceTask, Settled, Steps, Work, enqueue, told};
use domain::{
    Error, Instant, Kind, Result,
    job::is_tried_again,
    task::{Next, Outcome, StepName, StepStatus, TaskType, Turn, Way, cancel, next},
};
use store::{
    Scope, Tx,
    jobs::{self, Job},
    tasks::{self, Task},
};
use web::{Hub, Record};

/// A turn that is being taken, with what it is taken from.
struct Run<'a> {
    work: &'a Work<'a>,
    steps: &'a dyn Steps,
    /// The task as it is stored. The one of `work` may be cancelled already.
    stored: &'a Task,
}

/// Takes one turn of a task.
pub async fn advance(hub: Hub, job: Job, steps: &dyn Steps) -> Result<()> {
    let AdvanceTask { task_id: id } = job.read()?;
    let scope = Scope::below(job.organization_path.clone());
    let stored = tasks::find(hub.db().await?, &scope, id).await?;
    let mut task = stored.clone();
    if task.cancel_requested_at.is_some() {
        set_cancelled(&mut task, hub.now());
    }
    let step = next(&task.statuses(), task.rollback());
    if stored.ended_at.is_some() || matches!(step, Next::Wait(_)) {
        // Nothing is left to do for this job, whoever saw to that.
        return hub.db().await?.in_transaction(async |tx| jobs::finish(tx, &job).await).await;
    }
    let (task_type, known) = known(&task, step);
    let work = Work { hub: &hub, job: &job, scope: &scope, task: &task, task_type: task_type.unwrap_or(TaskType::ALL[0]) };
    let run = Run { work: &work, steps, stored: &stored };
    let (turn, taken) = match (step, known) {
        (Next::Take(turn), Ok(Some(step))) => (turn, steps.take(&work, step, turn).await.map(|outcome| (step, outcome))),
        (Next::Take(turn), Ok(None)) => (turn, Err(Error::unavailable("a turn has no step"))),
        (Next::Take(turn), Err(unknown)) => (turn, Err(unknown)),
        (_, known) => {
            known?;
            return run.settle(None).await;
        }
    };
    let settled = match taken {
        Ok((step, outcome)) => run.settle(Some((step, turn, &outcome))).await,
        Err(error) => Err(error),
    };
    match settled {
        Err(error) if error.code != jobs::FENCED => run.give_way(turn, error).await,
        other => other,
    }
}

/// What a task is for and which step's turn it is, if this version of the hub knows such tasks. Another version may have
/// written it.
fn known(task: &Task, next: Next) -> (Option<TaskType>, Result<Option<StepName>>) {
    let unknown = |what: String| {
        Error::conflict(
            "task_unknown",
            format!(
                "The task {} has {what}, which this version of the hub does not know. Run the version that wrote the task, or a newer one, and replay the job.",
                task.id
            ),
        )
    };
    let Ok(task_type) = task.task_type.parse::<TaskType>() else {
        return (None, Err(unknown(format!("the type {}", task.task_type))));
    };
    let step = match next {
        Next::Take(turn) => task.steps.get(turn.step).map(|step| step.name.as_str()),
        _ => None,
    };
    let known = match step.map(str::parse::<StepName>) {
        _ if task.definition_version > task_type.version() => Err(unknown(format!(
            "the steps of version {} of {task_type}, of which {} is the next",
            task.definition_version,
            step.unwrap_or("none")
        ))),
        Some(Err(_)) => Err(unknown(format!("the step {}", step.unwrap_or_default()))),
        Some(Ok(step)) => Ok(Some(step)),
        None => Ok(None),
    };
    (Some(task_type), known)
}

/// Cancels a task that no runner is at, if there is something left to cancel.
pub(crate) fn set_cancelled(task: &mut Task, now: Instant) -> bool {
    let Some(statuses) = cancel(&task.statuses(), task.rollback()) else { return false };
    for (step, status) in task.steps.iter_mut().zip(statuses) {
        if step.status != status {
            (step.status, step.updated_at) = (status, now);
        }
    }
    task.message.get_or_insert_with(|| "It was cancelled.".to_owned());
    task.updated_at = now;
    task.follow();
    true
}

impl Run<'_> {
    /// Writes what came of a turn, and lets the job go on or end, if the runner still has it. Without a turn, this ends a task
    /// that was cancelled and has nothing to undo.
    async fn settle(&self, taken: Option<(StepName, Turn, &Outcome)>) -> Result<()> {
        let Work { hub, task, .. } = *self.work;
        let db = hub.db().await?;
        db.in_transaction(async |tx| {
            // Due since the task was made: a task that was begun is finished before a later one is begun.
            // One that was made while the clock was ahead is due now.
            let (mut after, mut at) = (task.clone(), task.created_at.min(hub.now()));
            if let Some((_, turn, outcome)) = taken {
                // Somebody may have asked for it while the turn was taken.
                let cancelled = tasks::cancel_requested(tx, task.id).await?.is_some();
                after = settled(task, turn, outcome, cancelled, None, hub.now());
                // On the way back there is nothing left to cancel.
                let goes_on = !cancelled || turn.way == Way::Undo;
                if let (Outcome::LookAgain(look, _), true) = (outcome, goes_on) {
                    at = *look;
                }
            }
            self.conclude(tx, after, taken.map(|(step, turn, _)| (step, turn)), at).await
        })
        .await
    }

    /// `at`: when the next turn is due, if the hub is to take one.
    async fn conclude(&self, tx: &Tx<'_>, mut after: Task, turn: Option<(StepName, Turn)>, at: Instant) -> Result<()> {
        let Work { hub, job, scope, .. } = *self.work;
        let next = next(&after.statuses(), after.rollback());
        if matches!(next, Next::Take(_)) {
            jobs::again(tx, job, at).await?;
        } else {
            jobs::finish(tx, job).await?;
            after.job_id = None;
        }
        if matches!(next, Next::Ended(_)) {
            (after.ended_at, after.updated_at) = (Some(hub.now()), hub.now());
        }
        self.steps.settle(tx, &Settled { work: self.work, task: &after, turn }).await?;
        tasks::update(tx, scope, self.stored, &after).await?;
        if after.ended_at.is_none() {
            return Ok(());
        }
        self.record_end(tx, &after).await?;
        release(tx, hub, &after).await
    }

    async fn record_end(&self, tx: &Tx<'_>, after: &Task) -> Result<()> {
        let Work { hub, job, .. } = *self.work;
        told(hub, self.stored, after);
        let what = Record::of_job(job.id, after.organization_id, "tasks.end", after.id.to_string());
        hub.record(tx, what).await
    }

    /// A turn could not be taken, for a fault or because this hub does not know how. The job is tried again or parked by
    /// whoever runs it, which the step's message says; but a step that failed for the last time is given up, so that the
    /// task is undone and ends rather than waits for ever. A turn back is never given up: it is parked, and its replay
    /// goes on with it.
    async fn give_way(&self, turn: Turn, error: Error) -> Result<()> {
        let Work { hub, job, scope, task, .. } = *self.work;
        let attempt = job.attempts + 1;
        let is_tried_again = is_tried_again(attempt, &error);
        let is_given_up = error.kind == Kind::Unavailable && !is_tried_again && turn.way == Way::Do;
        if let (true, (_, Ok(Some(step)))) = (is_given_up, known(task, Next::Take(turn))) {
            let text = format!("Gave up after {attempt} attempts, each of which ended in a fault ({}).", error.code);
            return self.settle(Some((step, turn, &Outcome::GaveUp(text)))).await;
        }
        let message = match (error.kind, is_tried_again) {
            (_, true) => format!("Attempt {attempt} ended in a fault ({}); there will be another.", error.code),
            (Kind::Unavailable, false) => {
                format!(
                    "Set aside after {attempt} attempts, each of which ended in a fault ({}); the operator can replay {}.",
                    error.code, job.id
                )
            }
            _ => format!("Set aside: {}", error.public),
        };
        let mut after = task.clone();
        after.updated_at = hub.now();
        let step = &mut after.steps[turn.step];
        if step.status == StepStatus::NotStarted {
            step.status = StepStatus::InProgress;
        }
        (step.attempts, step.message, step.updated_at) = (step.attempts + 1, Some(message), after.updated_at);
        after.follow();
        let db = hub.db().await?;
        let noted = db
            .in_transaction(async |tx| {
                jobs::hold(tx, job).await?;
                tasks::update(tx, scope, self.stored, &after).await
            })
            .await;
        match noted {
            Err(fenced) if fenced.code == jobs::FENCED => Err(fenced),
            // Where even that failed, the first fault is the one that counts.
            _ => Err(error),
        }
    }
}

/// The task after a turn. `cancelled`: somebody asked for that meanwhile. `note` is what a person said about the turn.
pub(crate) fn settled(task: &Task, turn: Turn, outcome: &Outcome, cancelled: bool, note: Option<String>, now: Instant) -> Task {
    let mut after = task.clone();
    let goes_on = matches!(outcome, Outcome::LookAgain(..));
    let step = &mut after.steps[turn.step];
    step.status = turn.settled(step.status, outcome);
    // However often it is looked at, it is one turn.
    step.attempts += u32::from(!goes_on);
    step.updated_at = now;
    // Once turned round, what was said on the way there stays unless there is something new that lasts.
    let kept = (turn.way == Way::Undo).then(|| step.message.take()).flatten();
    step.message = match goes_on {
        true => kept.or_else(|| outcome.message().map(str::to_owned)),
        false => note.or_else(|| outcome.message().map(str::to_owned)).or(kept),
    };
    let wrong = match (step.status, outcome.message()) {
        _ if goes_on => None,
        (StepStatus::Error | StepStatus::InDoubt, Some(why)) => Some(why.to_owned()),
        (StepStatus::UndoFailed, Some(why)) => Some(format!("{} could not be undone: {why}", step.name)),
        _ => None,
    };
    after.message = match (after.message, wrong) {
        (Some(before), Some(wrong)) => Some(format!("{before} {wrong}")),
        (before, wrong) => wrong.or(before),
    };
    if cancelled {
        set_cancelled(&mut after, now);
    }
    if let Next::Take(Turn { step, way: Way::Do }) = next(&after.statuses(), after.rollback()) {
        let step = &mut after.steps[step];
        (step.status, step.updated_at) = (StepStatus::InProgress, now);
    }
    after.updated_at = now;
    after.follow();
    after
}

/// Begins the tasks that waited for this one and for no other.
async fn release(tx: &Tx<'_>, hub: &Hub, ended: &Task) -> Result<()> {
    for waiting in tasks::release(tx, ended.id, ended.subject).await? {
        let job_id = hub.id();
        tasks::set_job(tx, waiting.id, job_id).await?;
        enqueue(tx, hub, &waiting.queue, waiting.organization_id, waiting.id, job_id).await?;
    }
    Ok(())
}
