//! Steps of the tasks on environments.

use crate::certificate_warnings::{self, Owner};
use domain::{
    Error, Result,
    data_center::Target,
    environment::EnvironmentStatus,
    form::read,
    interop::coming,
    task::{Outcome, StepName, StepStatus, TaskStatus, TaskType, Turn, Way},
};
use serde_json::Value;
use store::{
    Tx, data_centers,
    environments::{self, Environment},
    interop, jobs,
    plans::{self, Plan},
};
use tasks::{Settled, Work};

pub(super) async fn take(work: &Work<'_>, step: StepName, turn: Turn) -> Result<Outcome> {
    match (step, turn.way) {
        (StepName::Check, Way::Do) => check(work, turn).await,
        (StepName::Backup, _) => backup(work, turn).await,
        (StepName::Apply, _) => apply(work, turn).await,
        (StepName::Verify, Way::Do) => verify(work, turn).await,
        // What was taken over is let go.
        (StepName::Verify, Way::Undo) if work.task_type == TaskType::EnvironmentImport => verify(work, turn).await,
        (StepName::Record, Way::Do) if is_tidied(work.task_type) => tidy(work, turn).await,
        // To look changes nothing, and what is written down is a change of our own: it is made by `settle`.
        (StepName::Check | StepName::Verify, Way::Undo) | (StepName::Record | StepName::Remove, _) => Ok(Outcome::Done),
        _ => Err(Error::conflict(
            "task_unknown",
            format!("The task {} has the step {step}, which no {} has in this version of the hub.", work.task.id, work.task_type),
        )),
    }
}

/// Whether such a task may keep something to go back to.
fn is_tidied(task_type: TaskType) -> bool {
    matches!(task_type, TaskType::Upgrade | TaskType::EnvironmentDeploy | TaskType::NodeRedeploy)
}

/// What the task carries out, and on what; no environment for a question about one that is not kept.
async fn plan_and_environment(work: &Work<'_>) -> Result<(Plan, Option<Environment>)> {
    let db = work.hub.db().await?;
    let plan = plans::of_task(db, work.scope, work.task.id).await?;
    let environment = match work.task.environment_id {
        Some(id) => Some(environments::find(db, work.scope, id).await?),
        None => None,
    };
    Ok((plan, environment))
}

/// Asks once more whether it can be done: other tasks may have come before this one.
async fn check(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    let (plan, environment) = plan_and_environment(work).await?;
    let after = plan.products()?;
    let db = work.hub.db().await?;
    environments::check_components(db, work.scope, &after).await?;
    if let Some(environment) = &environment {
        environments::check_planned(environment, &plan)?;
    }
    let against = match work.task_type {
        // What was deployed before is there, whatever stands against it.
        TaskType::EnvironmentImport => None,
        _ => interop_against(work, &present(environment.as_ref())?, &after).await?,
    };
    if let Some(why) = against.as_ref().filter(|_| !plan.ignore_validation) {
        return Ok(Outcome::Failed(format!(
            "{why} Ask for other versions; with ignoreValidation=true a change goes on all the same."
        )));
    }
    let looks =
        matches!(work.task_type, TaskType::EnvironmentDeploy | TaskType::NodeAdd | TaskType::NodeRedeploy | TaskType::Upgrade);
    let products = [&after, &Value::Null];
    let mut outcome = Outcome::Done;
    if looks && !by_person(work, products).await? && environments::uses(db, work.scope, products, Target::Vsphere).await? {
        // Before anything is touched. What is found may be ignored.
        outcome = tasks::ask(work, "vsphere", StepName::Check, turn).await?.0;
    }
    Ok(match (against, outcome) {
        (Some(why), Outcome::Done) => ignored(&why),
        // Which says of itself that it was ignored.
        (Some(why), Outcome::Noted(more)) => ignored(&format!("{why} {more}")),
        (_, outcome) => outcome,
    })
}

/// What the interop table says against the products that are new in an environment or get another version, if it does.
async fn interop_against(work: &Work<'_>, before: &Value, after: &Value) -> Result<Option<String>> {
    let mut coming = coming(before, after);
    if coming.is_empty() {
        return Ok(None);
    }
    let db = work.hub.db().await?;
    for one in &mut coming {
        if let Ok(id) = one.data_center.parse() {
            one.beside.extend(data_centers::find_product(db, work.scope, id).await?);
        }
    }
    let (table, _) = interop::find(db).await?;
    Ok(table.against(&coming).map(|why| format!("The interop table (GET /v1/interop) stands against it. {why}")))
}

/// Keeps what is upgraded as it is, or lets go of that. With the target BUILTIN there is nothing to keep.
async fn backup(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    let (plan, environment) = plan_and_environment(work).await?;
    if plan.disable_backup {
        return Ok(match turn.way {
            Way::Do => Outcome::Noted("Nothing is kept to go back to, for that was asked for (disableBackup).".to_owned()),
            Way::Undo => Outcome::Done,
        });
    }
    let (before, after) = (present(environment.as_ref())?, plan.products()?);
    if by_person(work, [&before, &after]).await? {
        return Ok(match turn.way {
            Way::Do => wait_for_person(work, &plan, "Back up what is upgraded by", StepName::Backup),
            Way::Undo => Outcome::Done,
        });
    }
    if environments::uses(work.hub.db().await?, work.scope, [&before, &after], Target::Vsphere).await? {
        return tasks::ask(work, "vsphere", StepName::Backup, turn).await.map(|(outcome, _)| outcome);
    }
    Ok(Outcome::Done)
}

fn present(environment: Option<&Environment>) -> Result<Value> {
    let text = environment.map_or("[]", |environment| environment.products.get());
    read(text.as_bytes()).map_err(|error| Error::fault(format!("the products of an environment: {error}")))
}

/// Makes the machines what they are to be, or what they were.
async fn apply(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    let way = turn.way;
    let (plan, environment) = plan_and_environment(work).await?;
    let (before, after) = (present(environment.as_ref())?, plan.products()?);
    let db = work.hub.db().await?;
    if by_person(work, [&before, &after]).await? {
        let what = match way {
            Way::Do => "Carry out",
            Way::Undo => "The task did not reach its goal after this was done. Take back",
        };
        return Ok(wait_for_person(work, &plan, what, StepName::Apply));
    }
    if environments::uses(db, work.scope, [&before, &after], Target::Vsphere).await? {
        return tasks::ask(work, "vsphere", StepName::Apply, turn).await.map(|(outcome, _)| outcome);
    }
    db.in_transaction(async |tx| {
        // Without this a runner that was overtaken could bring back what was undone meanwhile.
        jobs::hold(tx, work.job).await?;
        match (work.task_type, way) {
            (TaskType::NodeRedeploy, Way::Do) => {
                for host_name in &plan.replaced()? {
                    environments::replace_machine(tx, plan.environment_id, host_name, work.task.id).await?;
                }
                Ok(())
            }
            (TaskType::NodeRedeploy, Way::Undo) => environments::bring_machines_back(tx, plan.environment_id, work.task.id).await,
            (_, Way::Do) => environments::set_machines(tx, plan.environment_id, &after).await,
            (_, Way::Undo) => environments::set_machines(tx, plan.environment_id, &before).await,
        }
    })
    .await?;
    Ok(Outcome::Done)
}

/// Sees whether the machines are what they are to be. What the target BUILTIN did not deploy it cannot see, and takes as
/// given.
async fn verify(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    let (plan, environment) = plan_and_environment(work).await?;
    let (before, after) = (present(environment.as_ref())?, plan.products()?);
    let db = work.hub.db().await?;
    if by_person(work, [&before, &after]).await? {
        if turn.way == Way::Undo {
            return Ok(Outcome::Done);
        }
        return Ok(wait_for_person(work, &plan, "See whether the machines are as they are to be by", StepName::Verify));
    }
    if environments::uses(db, work.scope, [&before, &after], Target::Vsphere).await? {
        return tasks::ask(work, "vsphere", StepName::Verify, turn).await.map(|(outcome, _)| outcome);
    }
    if turn.way == Way::Undo {
        return Ok(Outcome::Done);
    }
    Ok(match verify_builtin(work, &plan, &after).await? {
        None => Outcome::Done,
        Some(why) if plan.ignore_validation => ignored(&why),
        Some(why) => Outcome::Failed(why),
    })
}

/// What is said of faults that a validation has found, where it was said that they are to be ignored.
fn ignored(why: &str) -> Outcome {
    Outcome::Noted(format!("Ignored, as was asked for (ignoreValidation): {why}"))
}

/// What is wrong with the machines that the target BUILTIN has noted, if anything is.
async fn verify_builtin(work: &Work<'_>, plan: &Plan, after: &Value) -> Result<Option<String>> {
    let db = work.hub.db().await?;
    let deployed = work.task.steps.iter().any(|step| step.name == StepName::Apply.as_str());
    let nodes = |product: &Value| product["nodes"].as_array().map_or(0, Vec::len);
    let expected: usize = after.as_array().into_iter().flatten().map(nodes).sum();
    let found = environments::count_machines(db, plan.environment_id).await?;
    if deployed && !environments::has_certificates(db, plan.environment_id, after).await? {
        return Ok(Some("There are machines with another certificate than was installed.".to_owned()));
    }
    let replaced = plan.replaced()?.len() as i64;
    if replaced > 0 && environments::count_replaced(db, plan.environment_id, work.task.id).await? != replaced {
        return Ok(Some("There are machines that were to be replaced.".to_owned()));
    }
    let differs = deployed && found != expected as i64;
    Ok(differs.then(|| format!("There are {found} machines where {expected} were deployed.")))
}

/// Has the backup taken away, now that the task cannot be undone any more.
async fn tidy(work: &Work<'_>, turn: Turn) -> Result<Outcome> {
    let (plan, environment) = plan_and_environment(work).await?;
    let (before, after) = (present(environment.as_ref())?, plan.products()?);
    let upgrades = before.as_array().is_some_and(|products| !products.is_empty());
    if upgrades && environments::uses(work.hub.db().await?, work.scope, [&before, &after], Target::Vsphere).await? {
        return tasks::ask(work, "vsphere", StepName::Record, turn).await.map(|(outcome, _)| outcome);
    }
    Ok(Outcome::Done)
}

/// Whether a person sees to a change. What is reached through a vCenter has its machines made there, but within them a person
/// installs certificates.
async fn by_person(work: &Work<'_>, products: [&Value; 2]) -> Result<bool> {
    let db = work.hub.db().await?;
    if environments::uses(db, work.scope, products, Target::Manual).await? {
        return Ok(true);
    }
    Ok(work.task_type == TaskType::CertificateUpdate && environments::uses(db, work.scope, products, Target::Vsphere).await?)
}

fn wait_for_person(work: &Work<'_>, plan: &Plan, what: &str, step: StepName) -> Outcome {
    Outcome::WaitForPerson(format!(
        "{what} the plan {id} of the environment {code} (GET /v1/plans/{id} shows it), then say so: POST /v1/tasks/{task}/steps/{step}/complete, or /fail if it cannot be done.",
        id = plan.id,
        code = plan.code,
        task = work.task.id
    ))
}

/// Writes what a turn, or the end of a task, changes of the environment.
pub(super) async fn settle(tx: &Tx<'_>, settled: &Settled<'_>) -> Result<()> {
    let Settled { work, task, turn } = settled;
    let (Some(id), now) = (task.environment_id, work.hub.now()) else { return Ok(()) };
    let owner = Owner { organization_id: task.organization_id, environment_id: id };
    let done = turn.filter(|(_, turn)| task.steps[turn.step].status == StepStatus::Success).map(|(step, _)| step);
    if task.ended_at.is_some() && task.status != TaskStatus::Success {
        // As it was before. One that was never deployed is left, to be tried again.
        let Ok(environment) = environments::find(tx, work.scope, id).await else { return Ok(()) };
        let products = present(Some(&environment))?;
        let never = products.as_array().is_none_or(Vec::is_empty);
        let status = if never { EnvironmentStatus::Failed } else { EnvironmentStatus::Active };
        environments::set_status(tx, work.scope, id, status, now).await?;
        // What was not undone may still stand there, and uses what it stands on.
        return if task.disable_rollback { Ok(()) } else { environments::relink(tx, id, &products).await };
    }
    match done {
        Some(StepName::Check) if work.task_type == TaskType::EnvironmentDelete => {
            environments::set_status(tx, work.scope, id, EnvironmentStatus::Removing, now).await
        }
        // Begun again, after it has failed.
        Some(StepName::Check) if task.attempt > 1 => {
            let plan = plans::of_task(tx, work.scope, task.id).await?;
            environments::link(tx, id, &plan.products()?).await?;
            if plan.seen_version > 0 {
                return Ok(());
            }
            environments::set_status(tx, work.scope, id, EnvironmentStatus::Deploying, now).await
        }
        Some(StepName::Record) if work.task_type != TaskType::EnvironmentValidate => {
            let plan = plans::of_task(tx, work.scope, task.id).await?;
            let after = plan.products()?;
            if work.task_type == TaskType::EnvironmentImport
                && !environments::uses(tx, work.scope, [&after, &Value::Null], Target::Manual).await?
            {
                environments::set_machines(tx, id, &after).await?;
            }
            environments::discard_replaced(tx, id, task.id).await?;
            environments::record(tx, work.scope, &plan, now).await?;
            environments::relink(tx, id, &after).await?;
            certificate_warnings::follow(tx, work.hub, work.scope, owner, &after).await
        }
        Some(StepName::Remove) => {
            certificate_warnings::follow(tx, work.hub, work.scope, owner, &Value::Null).await?;
            environments::delete(tx, work.scope, id).await
        }
        _ => Ok(()),
    }
}
