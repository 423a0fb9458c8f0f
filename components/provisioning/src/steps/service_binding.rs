//! The steps of tasks on service bindings: what doing and undoing each means.

use crate::{
    drivers::{self, BrokerCall},
    service_bindings::check_bindable,
};
use domain::{
    Error, Kind, Result,
    service_broker::{BrokerState, BrokerVerb, ServiceBindingStatus},
    task::{Outcome, StepName, StepStatus, TaskStatus, TaskType, Way},
};
use serde_json::value::RawValue;
use store::{
    Tx, broker_resources,
    service_bindings::{self as bindings, ServiceBinding},
    subscriptions::{self, Subscription},
};
use tasks::{Settled, Work};

/// Takes a step, or undoes it.
pub async fn take(work: &Work<'_>, step: StepName, way: Way) -> Result<Outcome> {
    let Some(binding) = bindings::of_task(work.hub.db().await?, work.scope, work.task.id).await? else {
        // It went with the instance that it was of.
        return Ok(match (work.task_type, way) {
            (TaskType::ServiceBind, Way::Do) => Outcome::Failed("The service binding is no more.".into()),
            _ => Outcome::Done,
        });
    };
    match (work.task_type, step, way) {
        (TaskType::ServiceBind, StepName::Check, Way::Do) => check(work, &binding).await,
        (TaskType::ServiceBind, StepName::Bind, Way::Do) => at_broker(work, &binding, BrokerVerb::Bind, way).await,
        (TaskType::ServiceBind, StepName::Bind, Way::Undo) | (TaskType::ServiceUnbind, StepName::Unbind, Way::Do) => {
            at_broker(work, &binding, BrokerVerb::Unbind, way).await
        }
        (TaskType::ServiceUnbind, StepName::Unbind, Way::Undo) => {
            Ok(Outcome::Failed("A service binding that is deleted cannot be brought back. Make another one.".into()))
        }
        // To look changes nothing, and what is written down is a change of our own: it is made by `settle`.
        (TaskType::ServiceBind | TaskType::ServiceUnbind, StepName::Check | StepName::Record | StepName::Remove, _) => {
            Ok(Outcome::Done)
        }
        _ => Err(Error::conflict(
            "task_unknown",
            format!("The task {} has the step {step}, which no {} has in this version of the hub.", work.task.id, work.task_type),
        )),
    }
}

async fn subscription(work: &Work<'_>, binding: &ServiceBinding) -> Result<Subscription> {
    subscriptions::find(work.hub.db().await?, work.scope, binding.subscription_id).await
}

/// Judges once more whether it can be made: other tasks may have come before this one.
async fn check(work: &Work<'_>, binding: &ServiceBinding) -> Result<Outcome> {
    let subscription = subscription(work, binding).await?;
    match check_bindable(work.hub.db().await?, &subscription).await {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        Err(error) => Ok(Outcome::Failed(error.public)),
    }
}

/// Has it made or deleted.
async fn at_broker(work: &Work<'_>, binding: &ServiceBinding, verb: BrokerVerb, way: Way) -> Result<Outcome> {
    let subscription = subscription(work, binding).await?;
    let parameters = match &binding.parameters {
        Some(sealed) if verb == BrokerVerb::Bind => Some(work.hub.unseal(&binding.id.to_string(), sealed).await?),
        _ => None,
    };
    let call = BrokerCall {
        verb,
        undoes: way == Way::Undo,
        job: work.job,
        task_id: work.task.id,
        organization_id: binding.organization_id,
        subscription_id: binding.subscription_id,
        service_binding_id: Some(binding.id),
        service_id: subscription.service_id,
        plan_code: subscription.plan_code.as_deref(),
        previous_plan_code: None,
        properties: parameters.map(RawValue::from_string).transpose().map_err(|error| Error::fault(error.to_string()))?,
    };
    drivers::take_broker_turn(work.hub, &call).await
}

/// What a turn, and the end of a task, changes in what is known of the binding.
pub async fn settle(tx: &Tx<'_>, settled: &Settled<'_>) -> Result<()> {
    let Settled { work, task, turn } = settled;
    let Some(binding) = bindings::of_task(tx, work.scope, task.id).await? else { return Ok(()) };
    let done = turn.filter(|(_, turn)| task.steps[turn.step].status == StepStatus::Success).map(|(step, _)| step);
    let failed = task.ended_at.is_some() && matches!(task.status, TaskStatus::Error | TaskStatus::Cancelled);
    let status = match (work.task_type, done) {
        (TaskType::ServiceBind, _) if failed => ServiceBindingStatus::Failed,
        (TaskType::ServiceUnbind, _) if failed => {
            // It is still there, or has gone before what failed.
            let found = broker_resources::find(tx, &binding.id.to_string()).await?;
            if found.is_none_or(|one| one.state == BrokerState::Gone) {
                return bindings::delete(tx, binding.id).await;
            }
            ServiceBindingStatus::Active
        }
        (TaskType::ServiceBind, Some(StepName::Record)) => ServiceBindingStatus::Active,
        // Begun again, after it has failed.
        (TaskType::ServiceBind, Some(StepName::Check)) => ServiceBindingStatus::Binding,
        (TaskType::ServiceUnbind, Some(StepName::Check)) => ServiceBindingStatus::Unbinding,
        (TaskType::ServiceUnbind, Some(StepName::Remove)) => return bindings::delete(tx, binding.id).await,
        _ => return Ok(()),
    };
    bindings::set_status(tx, binding.id, status, task.id, work.hub.now()).await
}
