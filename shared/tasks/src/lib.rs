//! The task engine: takes the turns that the rules in `domain::task` ask for, one a run, and settles each in one
//! transaction that is fenced by the task's job.
//!
//! A task that can go on has exactly one job, written in the transaction that lets it go on. A task that waits for a
//! person or for another task has none: the person's answer, or the transaction in which the other task ends, writes the
//! next one. So there is never a turn that nobody will take, and of two runners of one task the fence lets one settle.
//!
//! The rows of tasks are the engine's, as those of jobs are the queue's. What a task works on is its component's: so what
//! people say of a task (done, cancelled, once more) changes the task's rows only, and goes on as a job of the component
//! whose task it is, which alone makes the effects of it.

mod people;
mod remote;
mod run;
mod wait;

pub use people::{answer, cancel, restart, resume};
pub use remote::{RemoteTurn, ask, taken};
pub use run::advance;
pub use wait::waited;

use domain::{
    Id, Result, id,
    task::{Outcome, StepName, Subject, TaskType, Turn},
};
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use store::{
    Scope, Tx,
    jobs::{self, Job, JobPayload, NewJob},
    tasks::{self, NewTask, Task},
};
use web::Hub;

/// The job that takes the next turn of a task. Its queue is that of the component whose task it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvanceTask {
    /// The task.
    pub task_id: Id<id::Task>,
}

impl JobPayload for AdvanceTask {
    const QUEUE: &'static str = "";
    const KIND: &'static str = "task.advance";
}

const TASKS: &str = "/v1/tasks/";

/// Where a task can be watched.
pub fn location(id: Id<id::Task>) -> String {
    format!("{TASKS}{id}")
}

/// Something that is awaited and is compiled once, wherever it is awaited.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

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
    /// What it is for.
    pub task_type: TaskType,
}

/// What a component's steps mean.
pub trait Steps {
    /// Takes a turn. This happens outside of the transaction that settles it, and may happen again after a crash, so
    /// whatever is done here must come to the same end when it is done twice. An error is a fault and worth another
    /// attempt; a refusal is an [`Outcome::Failed`], and leaves nothing behind.
    fn take<'a>(&'a self, work: &'a Work<'a>, step: StepName, turn: Turn) -> Boxed<'a, Outcome>;

    /// What a turn, and the end of a task, changes in the component's own data, in the transaction that settles it. What
    /// a person has done is not settled, but the turn after it is.
    fn settle<'a>(&'a self, tx: &'a Tx<'a>, settled: &'a Settled<'a>) -> Boxed<'a, ()>;
}

/// A turn that is being settled.
pub struct Settled<'a> {
    /// The runner's claim, and the task before.
    pub work: &'a Work<'a>,
    /// The task as the turn leaves it. It has ended if it has an `ended_at`.
    pub task: &'a Task,
    /// Which turn; none when nothing was done but to see that the task has ended, for it was cancelled.
    pub turn: Option<(StepName, Turn)>,
}

/// Writes a task of this component and the job of its first turn, unless it has to wait for others on its subject.
pub async fn begin(tx: &Tx<'_>, hub: &Hub, new: &NewTask<'_>) -> Result<Task> {
    begin_for(tx, hub, hub.component(), hub.principal(), new).await
}

/// The same for a task that another component carries out, for somebody who asked for it before.
pub async fn begin_for(tx: &Tx<'_>, hub: &Hub, component: &str, asked_by: Option<String>, new: &NewTask<'_>) -> Result<Task> {
    let task = tasks::insert(tx, component, asked_by, new).await?;
    if task.job_id.is_some() {
        enqueue(tx, hub, &task.queue, task.organization_id, task.id, new.job_id).await?;
    }
    Ok(task)
}

/// Tells the audit of a task that comes to another status.
fn told(hub: &Hub, before: &Task, after: &Task) {
    hub.concerns(after.organization_id);
    hub.audit_change("status", Some(before.status.as_str()), Some(after.status.as_str()));
    if let Some(subject) = after.subject {
        let name = match subject {
            Subject::Subscription(_) => "subscriptionId",
            Subject::Environment(_) => "environmentId",
            Subject::DataCenter(_) => "dataCenterId",
        };
        hub.audit(name, &subject.to_string());
    }
}

async fn enqueue(
    tx: &Tx<'_>,
    hub: &Hub,
    queue: &str,
    organization_id: Id<id::Organization>,
    task: Id<id::Task>,
    id: Id<id::Job>,
) -> Result<()> {
    let trace = hub.traceparent();
    let new = NewJob::of(id, organization_id, &AdvanceTask { task_id: task }, hub.now())?;
    let job = NewJob { queue, trace: Some(&trace), ..new };
    jobs::enqueue(tx, job).await
}
