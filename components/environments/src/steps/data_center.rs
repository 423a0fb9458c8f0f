//! Steps of the tasks on data center components.

use super::refused;
use crate::targets::{self, Contact};
use domain::{
    Error, Id, Result,
    data_center::{DataCenterStatus, Target},
    id,
    task::{Outcome, StepName, StepStatus, TaskStatus, TaskType, Turn, Way},
};
use store::{
    Tx,
    data_centers::{self, DataCenter},
    jobs,
};
use tasks::{Settled, Work};

pub(super) async fn take(work: &Work<'_>, step: StepName, turn: Turn) -> Result<Outcome> {
    match (step, turn.way) {
        (StepName::Check, Way::Do) => check(work).await.or_else(refused),
        (StepName::Check, Way::Undo) => uncheck(work).await,
        (StepName::Contact, Way::Do) => contact(work, turn).await.or_else(refused),
        // To look changes nothing, and what is written down is a change of our own: it is made by `settle`.
        (StepName::Contact, Way::Undo) | (StepName::Record | StepName::Remove, _) => Ok(Outcome::Done),
        _ => Err(Error::conflict(
            "task_unknown",
            format!("The task {} has the step {step}, which no {} has in this version of the hub.", work.task.id, work.task_type),
        )),
    }
}

/// The component that the task works on. None for a question about one that is not kept.
async fn subject(work: &Work<'_>) -> Result<Option<DataCenter>> {
    match work.task.data_center_id {
        Some(id) => data_centers::find(work.hub.db().await?, work.scope, id).await.map(Some),
        None => Ok(None),
    }
}

/// Asks once more whether it can be done: other tasks may have come before this one.
async fn check(work: &Work<'_>) -> Result<Outcome> {
    let Some(found) = subject(work).await? else { return Ok(Outcome::Done) };
    let wrong = match work.task_type {
        TaskType::DatacenterUpdate | TaskType::DatacenterDelete => {
            data_centers::check_asked(work.hub.db().await?, &found, work.task).await?;
            if work.task_type == TaskType::DatacenterDelete {
                return mark(work, &found).await;
            }
            not_registered(&found)
        }
        TaskType::DatacenterDiscover => not_registered(&found),
        _ => None,
    };
    Ok(wrong.map_or(Outcome::Done, Outcome::Failed))
}

fn not_registered(found: &DataCenter) -> Option<String> {
    (found.status != DataCenterStatus::Registered).then(|| {
        format!(
            "The data center component {} is {}; this can be done with one that is REGISTERED. Restart the task that registers it, or remove it and register it anew.",
            found.id, found.status
        )
    })
}

/// Marks a component that is to be removed, so that no environment begins to use it.
async fn mark(work: &Work<'_>, found: &DataCenter) -> Result<Outcome> {
    let db = work.hub.db().await?;
    let marked = db
        .in_transaction(async |tx| {
            jobs::hold(tx, work.job).await?;
            data_centers::set_removing(tx, work.scope, found.id).await
        })
        .await?;
    if marked {
        return Ok(Outcome::Done);
    }
    data_centers::check_unused(db, found.id).await.map(|()| Outcome::Failed("It was used a moment ago. Try again.".into()))
}

/// A component that was to be removed and stays can be used again.
async fn uncheck(work: &Work<'_>) -> Result<Outcome> {
    let (TaskType::DatacenterDelete, Some(id)) = (work.task_type, work.task.data_center_id) else { return Ok(Outcome::Done) };
    let now = work.hub.now();
    let db = work.hub.db().await?;
    db.in_transaction(async |tx| {
        jobs::hold(tx, work.job).await?;
        let found = data_centers::find(tx, work.scope, id).await?;
        let before = found.registered_at.map_or(DataCenterStatus::Failed, |_| DataCenterStatus::Registered);
        data_centers::set_status(tx, work.scope, id, before, now).await
    })
    .await?;
    Ok(Outcome::Done)
}

/// Reaches the component as it is, or as it is to be.
async fn contact(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    let db = work.hub.db().await?;
    let reach = data_centers::reach(db, work.task.id, work.task.data_center_id).await?;
    let Some(reach) = reach else {
        return Ok(Outcome::Failed("What was to be done is not known any more. Ask for it again.".into()));
    };
    // A runner that was overtaken must not begin something that others can see.
    if !jobs::holds(db, work.job).await? {
        return Err(jobs::taken_over());
    }
    let contact = Contact {
        work,
        turn,
        task_id: work.task.id,
        task_type: work.task_type,
        data_center_id: work.task.data_center_id,
        reach: &reach,
    };
    targets::contact(reach.target, &contact).await
}

/// Writes what a turn, or the end of a task, changes of the component.
pub(super) async fn settle(tx: &Tx<'_>, settled: &Settled<'_>) -> Result<()> {
    let Settled { work, task, turn } = settled;
    let Some(id) = task.data_center_id else { return Ok(()) };
    let now = work.hub.now();
    let registers = work.task_type == TaskType::DatacenterRegister;
    let done = turn.filter(|(_, turn)| task.steps[turn.step].status == StepStatus::Success).map(|(step, _)| step);
    if registers && task.ended_at.is_some() && task.status != TaskStatus::Success {
        return data_centers::set_status(tx, work.scope, id, DataCenterStatus::Failed, now).await;
    }
    match done {
        // Begun again, after it has failed.
        Some(StepName::Check) if registers => {
            data_centers::set_status(tx, work.scope, id, DataCenterStatus::Registering, now).await
        }
        Some(StepName::Record) => record(tx, work, id).await,
        Some(StepName::Remove) => data_centers::delete(tx, work.scope, id).await,
        _ => Ok(()),
    }
}

async fn record(tx: &Tx<'_>, work: &Work<'_>, id: Id<id::DataCenter>) -> Result<()> {
    let now = work.hub.now();
    match work.task_type {
        TaskType::DatacenterRegister => {
            data_centers::set_status(tx, work.scope, id, DataCenterStatus::Registered, now).await?;
        }
        TaskType::DatacenterUpdate => data_centers::update(tx, work.scope, id, work.task.id, now).await?,
        _ => {}
    }
    if data_centers::find(tx, work.scope, id).await?.target == Target::Builtin {
        return Ok(());
    }
    if work.task_type == TaskType::DatacenterDiscover {
        // What was found is written down by now.
        data_centers::set_inventory(tx, id, None, Some(now)).await?;
    }
    data_centers::set_confirmed(tx, id, now).await
}
