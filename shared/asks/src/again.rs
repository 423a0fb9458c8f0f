//! What is run again is judged again: a task on a subscription that is restarted or resumed is asked what the request that made it
//! was asked.

use crate::{Request, Why, charged_until, check_asked_again, check_contract};
use domain::{Error, Permission, Result, approval::ApprovalAction, id, subscription::SubscriptionAction, task::TaskType};
use store::{
    Tx, organizations, services,
    subscriptions::{self, Subscription},
    tasks::{self, Task},
};
use web::{Hub, Identity, read_json};

/// The refusal of a task that was asked for before the present one.
pub fn superseded(subscription: &Subscription) -> Error {
    Error::conflict(
        "task_outdated",
        format!(
            "Since this task was asked for, another one was at work on the subscription, which is {} now: {}. Ask for what is to be done anew.",
            subscription.status, subscription.task_id
        ),
    )
}

/// Refuses to run a task on a subscription again where the request that made it would be refused now: another task came meanwhile,
/// the customer is not in use, its contract is not in force, the service is not on offer, its term can be ended without charge no
/// more, or the customer is to be asked. Whether the service is offered as it is asked for is found out by the task.
pub async fn check_again(
    tx: &Tx<'_>,
    hub: &Hub,
    caller: &Identity,
    task: &Task,
    task_type: TaskType,
    id: domain::Id<id::Subscription>,
) -> Result<()> {
    let scope = caller.scope();
    let found = subscriptions::find(tx, &scope, id).await?;
    if found.task_id != task.id {
        return Err(superseded(&found));
    }
    let action = SubscriptionAction::of(task_type);
    let to = subscriptions::find_change(tx, task.id).await?;
    let (action, quantity) = match action {
        None => {
            services::find(tx, found.service_id).await?.check_published(caller.permissions().has(Permission::ServiceWrite))?;
            (ApprovalAction::Provision, found.quantity)
        }
        Some(action) => (of_task(action), to.as_ref().map_or(found.quantity, |to| to.quantity)),
    };
    match action {
        ApprovalAction::Terminate => {
            let why: Why = read_json(tasks::request(tx, &scope, task.id).await?.as_bytes()).unwrap_or_default();
            charged_until(tx, id, why.early, hub.now()).await?;
        }
        ApprovalAction::Suspend => {}
        _ => {
            let customer = organizations::find_place_in_use(tx, &scope, found.organization_id).await?;
            let contract_id = to.as_ref().and_then(|to| to.contract_id);
            check_contract(tx, &customer.path, &found, contract_id, hub.now()).await?;
        }
    }
    if to.and_then(|to| to.renews).is_some_and(|(ends, _)| found.renewed_after.is_some_and(|after| after >= ends)) {
        return Err(Error::conflict("renewed_already", "It has been renewed since. Look at its renewal."));
    }
    let Subscription { organization_id, service_id, .. } = found;
    check_asked_again(tx, caller, &Request { action, organization_id, service_id, quantity }, id, task.id).await
}

fn of_task(action: SubscriptionAction) -> ApprovalAction {
    match action {
        SubscriptionAction::Change => ApprovalAction::Change,
        SubscriptionAction::Suspend => ApprovalAction::Suspend,
        SubscriptionAction::Resume => ApprovalAction::Resume,
        SubscriptionAction::Renew => ApprovalAction::Renew,
        SubscriptionAction::Terminate => ApprovalAction::Terminate,
    }
}
