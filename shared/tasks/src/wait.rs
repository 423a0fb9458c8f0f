//! Waiting for a task, for those who would rather.

use crate::TASKS;
use domain::{Id, Result, id};
use spin_sdk::time::sleep;
use std::time::Duration;
use store::{
    Scope,
    tasks::{self, Task},
};
use web::{Hub, Identity, Prefer, Sent};

/// How often a request that waits looks whether another runner is done with the task.
const LOOK: Duration = Duration::from_millis(50);

/// The answer to a caller who waits for the task (`Prefer: wait`): this request runs its job meanwhile. An answer about something
/// else than a task is given at once.
pub async fn waited<R>(hub: &Hub, caller: &Identity, sent: Sent<R>, prefer: Prefer) -> Result<Sent<R>> {
    let Some((wait, id)) = waits_for(&sent, &prefer) else { return Ok(sent) };
    settled(sent, wait, watch(hub, &caller.scope(), id, wait).await)
}

/// For how long to wait for which task, if at all.
fn waits_for<R>(sent: &Sent<R>, prefer: &Prefer) -> Option<(Duration, Id<id::Task>)> {
    // From the answer and not from what was just written: a repeated request gets the first answer, and waits for its task.
    let location = sent.answer().headers.iter().find(|(name, _)| name == "location");
    Some((prefer.wait?, location.and_then(|(_, location)| location.strip_prefix(TASKS)?.parse().ok())?))
}

fn settled<R>(sent: Sent<R>, wait: Duration, watched: Result<Task>) -> Result<Sent<R>> {
    match watched {
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
        // Without a job it waits for a person, or has ended; unless it waits for another task.
        if left.is_zero() || (task.job_id.is_none() && !task.is_queued()) {
            return Ok(task);
        }
        let ran = match task.job_id {
            Some(job_id) => web::jobs::run_now(hub, job_id).await?,
            None => false,
        };
        if !ran {
            sleep(left.min(LOOK)).await;
        }
    }
}
