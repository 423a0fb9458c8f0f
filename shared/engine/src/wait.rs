//! Waiting for a task, for those who would rather.

use crate::TASKS;
use domain::{Id, Result, id};
use spin_sdk::time::sleep;
use std::time::Duration;
use store::{
    Scope,
    jobs::Job,
    tasks::{self, Task},
};
use web::{Accepted, Hub, Identity, Prefer, Sent};

/// How often a request that waits looks whether another runner is done with the task.
const LOOK: Duration = Duration::from_millis(50);

/// The answer to a caller who would rather wait for the task: this request runs it itself meanwhile. `run` runs a job of
/// this component.
pub async fn waited<Fut>(
    hub: &Hub,
    caller: &Identity,
    sent: Sent<Accepted<Task>>,
    prefer: Prefer,
    run: fn(Hub, Job) -> Fut,
) -> Result<Sent<Accepted<Task>>>
where
    Fut: Future<Output = Result<()>> + 'static,
{
    let Some((wait, id)) = waits_for(&sent, &prefer) else { return Ok(sent) };
    settled(sent, wait, watch(hub, &caller.scope(), id, wait, run).await)
}

/// The same where another component carries the task out: it is asked to meanwhile.
pub async fn waited_there(
    hub: &Hub,
    caller: &Identity,
    sent: Sent<Accepted<Task>>,
    prefer: Prefer,
    component: &str,
) -> Result<Sent<Accepted<Task>>> {
    let Some((wait, id)) = waits_for(&sent, &prefer) else { return Ok(sent) };
    settled(sent, wait, watch_there(hub, &caller.scope(), id, wait, component).await)
}

/// For how long to wait for which task, if at all.
fn waits_for(sent: &Sent<Accepted<Task>>, prefer: &Prefer) -> Option<(Duration, Id<id::Task>)> {
    // From the answer and not from what was just written: a repeated request gets the first answer, and waits for its task.
    let location = sent.answer().headers.iter().find(|(name, _)| name == "location");
    Some((prefer.wait?, location.and_then(|(_, location)| location.strip_prefix(TASKS)?.parse().ok())?))
}

fn settled(sent: Sent<Accepted<Task>>, wait: Duration, watched: Result<Task>) -> Result<Sent<Accepted<Task>>> {
    match watched {
        Ok(task) => sent.waited(wait, &task, task.ended_at.is_some()),
        // What was written stays written: a fault in waiting for it must not be answered as if it were not.
        Err(_) => Ok(sent),
    }
}

async fn watch_there(hub: &Hub, scope: &Scope, id: Id<id::Task>, wait: Duration, component: &str) -> Result<Task> {
    let began = std::time::Instant::now();
    let mut before = None;
    loop {
        let task = tasks::find(hub.db().await?, scope, id).await?;
        let left = wait.saturating_sub(began.elapsed());
        if left.is_zero() || (task.job_id.is_none() && !task.is_queued()) {
            return Ok(task);
        }
        // Where nothing has come of asking, somebody else is at it, or it is not due.
        if before == Some(task.updated_at) {
            sleep(left.min(LOOK)).await;
        }
        before = Some(task.updated_at);
        if task.job_id.is_some() {
            web::call(hub, component, http::Method::POST, "/internal/jobs/run").await?;
        }
    }
}

async fn watch<Fut>(hub: &Hub, scope: &Scope, id: Id<id::Task>, wait: Duration, run: fn(Hub, Job) -> Fut) -> Result<Task>
where
    Fut: Future<Output = Result<()>> + 'static,
{
    let began = std::time::Instant::now();
    loop {
        let task = tasks::find(hub.db().await?, scope, id).await?;
        let left = wait.saturating_sub(began.elapsed());
        // Without a job it waits for a person, or has ended; unless it waits for another task.
        if left.is_zero() || (task.job_id.is_none() && !task.is_queued()) {
            return Ok(task);
        }
        let ran = match task.job_id {
            Some(job_id) => web::jobs::run_now(hub, job_id, run).await?,
            None => false,
        };
        if !ran {
            sleep(left.min(LOOK)).await;
        }
    }
}
