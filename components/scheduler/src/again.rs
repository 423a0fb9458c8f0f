//! What is run again is judged again: a task that is restarted or resumed is asked what the request that made it was asked, so that
//! what was refused, changed or ended since is not undone by it. The first step of the task asks once more, when its turn comes.

use domain::{
    Error, Kind, Permission, Result,
    task::{Subject, TaskType},
};
use store::{
    Tx, data_centers, environments,
    orders::{self, RerunCaller},
    plans, service_bindings,
    tasks::Task,
};
use web::{Hub, Identity};

/// Refuses to run a task again that would not be begun now.
pub async fn check(tx: &Tx<'_>, hub: &Hub, caller: &Identity, task: &Task) -> Result<()> {
    // What this version of the hub does not know is set aside when its turn comes.
    let Ok(task_type) = task.task_type.parse::<TaskType>() else { return Ok(()) };
    let scope = caller.scope();
    match (task.subject, task_type) {
        // A question about something that is not kept.
        (None, _) => Ok(()),
        (Some(Subject::Subscription(_)), TaskType::ServiceBind | TaskType::ServiceUnbind) => {
            let found = service_bindings::of_task(tx, &scope, task.id).await?;
            found.map(drop).ok_or_else(|| outdated("Its service binding is no more, or another task was at work on it since."))
        }
        (Some(Subject::Subscription(id)), _) => {
            let caller = RerunCaller {
                scope: &scope,
                sees_drafts: caller.permissions().has(Permission::ServiceWrite),
                requester: caller.requester(task.organization_id),
            };
            orders::check_rerun(tx, &caller, task, task_type, id, hub.now()).await
        }
        (Some(Subject::Environment(id)), _) => {
            let found = environments::find(tx, &scope, id).await.map_err(gone)?;
            let plan = plans::of_task(tx, &scope, task.id).await?;
            environments::check_planned(&found, &plan).map_err(changed)?;
            environments::check_components(tx, &scope, &plan.products()?).await
        }
        (Some(Subject::DataCenter(id)), _) => {
            let found = data_centers::find(tx, &scope, id).await.map_err(gone)?;
            data_centers::check_asked(tx, &found, task).await.map_err(changed)
        }
    }
}

fn outdated(what: &str) -> Error {
    Error::conflict("task_outdated", format!("{what} Ask for what is to be done anew, of what there is now."))
}

/// What a task works on may have been changed by another.
fn changed(error: Error) -> Error {
    if error.kind == Kind::Stale { outdated("What this task works on has changed since the task was asked for.") } else { error }
}

/// What a task worked on may be gone.
fn gone(error: Error) -> Error {
    if error.kind == Kind::NotFound { outdated("What this task worked on is no more.") } else { error }
}
