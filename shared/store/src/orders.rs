//! Orders: the rules by which one is accepted, when it is placed and whenever its task is run again.
//!
//! They stand here and not in a component, for two components judge by them: the one that takes orders, and the one through which
//! people restart and resume tasks. Each does so in the transaction that writes what follows. See `docs/decisions/0035` and
//! `0046`.

use crate::{
    Db, Scope, Tx, approval_policies, approvals, contracts, organizations, renewals, services,
    subscriptions::{self, StatusReason, Subscription},
    tasks::{self, Task},
};
use domain::{
    Error, Id, Instant, OrganizationPath, Result,
    approval::{ApprovalAction, Request, Requester, is_needed},
    id,
    subscription::SubscriptionAction,
    task::TaskType,
};

/// How many contracts a refusal names.
const CONTRACTS_NAMED: usize = 3;

/// The caller who has a task run again.
pub struct RerunCaller<'a> {
    /// The data in their reach.
    pub scope: &'a Scope,
    /// Whether they see services that are drafts.
    pub sees_drafts: bool,
    /// What the customer's approval policy looks at.
    pub requester: Requester,
}

/// Refuses where the contract that a subscription runs on, or is moved to, is not in force. `customer` is the customer's place.
pub async fn check_contract(
    db: &Db,
    customer: &OrganizationPath,
    subscription: &Subscription,
    moved_to: Option<Id<id::Contract>>,
    now: Instant,
) -> Result<()> {
    let Subscription { id, provider_id, service_id, contract_id, .. } = *subscription;
    if moved_to.is_some() {
        return contracts::allows(db, customer, provider_id, service_id, moved_to, now).await.map(drop);
    }
    let in_force = contracts::in_force(db, customer, provider_id, service_id, Some(contract_id), now).await?;
    let follows = contracts::followed_by(db, contract_id).await?;
    // It is about to go over to the one that follows its own.
    if in_force.iter().any(|(one, _)| *one == contract_id || Some(*one) == follows) {
        return Ok(());
    }
    let offered: Vec<_> = in_force.iter().take(CONTRACTS_NAMED).map(|(one, _)| one.to_string()).collect();
    let way = match offered.is_empty() {
        true => format!(
            "No other contract of its provider for the service is in force either. When one is, move the subscription to it: PATCH /v1/subscriptions/{id} with its id as contractId."
        ),
        false => format!(
            "Move the subscription to one that is in force, which is {}: PATCH /v1/subscriptions/{id} with its id as contractId. Then ask for this again.",
            offered.join(" or ")
        ),
    };
    Err(Error::conflict(
        "no_active_contract",
        format!(
            "The commit contract {contract_id}, which the subscription runs on, is not active any more, so nothing was done. {way}"
        ),
    ))
}

/// Until when a subscription that is terminated now is charged. Refused where that is later than now and the termination is not
/// `early` on purpose.
pub async fn charged_until(db: &Db, id: Id<id::Subscription>, early: bool, now: Instant) -> Result<Option<Instant>> {
    let Some(window) = renewals::window(db, id).await? else { return Ok(None) };
    match window.charged_until(now) {
        Some(ends) if !early => Err(Error::conflict(
            "cancellation_window_over",
            format!(
                "The term can not be ended without charge any more{}; it ends at {ends}. Have it end then (PUT /v1/subscriptions/{id}/renewal with the renewalPreference CANCEL), or send \"early\": true to end it now and have it charged until then.",
                if now < window.starts_at {
                    ", for it was renewed before its end".to_owned()
                } else {
                    format!(" since {}", window.cancellable_until)
                }
            ),
        )),
        charged => Ok(charged),
    }
}

/// For how many days a request waits for the customer's approval; none, where it needs no approval.
pub async fn needs_approval(db: &Db, requester: Requester, request: &Request) -> Result<Option<u32>> {
    if requester.approves {
        return Ok(None);
    }
    let policy = approval_policies::find(db, request.organization_id).await?;
    Ok(is_needed(&policy.rules, request, requester).then_some(policy.lapse_days))
}

/// Refuses to run a task again that needs the customer's approval, unless the customer approved this very task and has rejected
/// nothing of the kind since.
async fn check_approved(
    db: &Db,
    requester: Requester,
    request: &Request,
    subscription_id: Id<id::Subscription>,
    task_id: Id<id::Task>,
) -> Result<()> {
    if needs_approval(db, requester, request).await?.is_none() {
        return Ok(());
    }
    let Request { organization_id, service_id, action, .. } = *request;
    let why = match approvals::approved_at(db, organization_id, task_id).await? {
        None => "the customer has not approved this task".to_owned(),
        Some(at) => match approvals::rejected_since(db, organization_id, at, subscription_id, service_id, action).await? {
            None => return Ok(()),
            Some(rejected) => format!("the customer has rejected {rejected} since it approved this task"),
        },
    };
    Err(Error::conflict(
        "approval_needed",
        format!(
            "{organization_id} is to be asked before this is done (GET /v1/approval-policies/{organization_id}), and {why}. Ask for it anew; the customer is asked then."
        ),
    ))
}

/// The refusal of a task that was ordered before the subscription's present one.
pub fn superseded(subscription: &Subscription) -> Error {
    Error::conflict(
        "task_outdated",
        format!(
            "Since this task was asked for, another one was at work on the subscription, which is {} now: {}. Ask for what is to be done anew.",
            subscription.status, subscription.task_id
        ),
    )
}

/// Refuses to run a task on a subscription again where the order that made it would be refused now: another task came meanwhile,
/// the customer is not in use, its contract is not in force, the service is not on offer, its term can no longer be ended without
/// charge, or it needs the customer's approval. Whether the service still offers it so is found out by the task's first step.
pub async fn check_rerun(
    tx: &Tx<'_>,
    caller: &RerunCaller<'_>,
    task: &Task,
    task_type: TaskType,
    id: Id<id::Subscription>,
    now: Instant,
) -> Result<()> {
    let found = subscriptions::find(tx, caller.scope, id).await?;
    if found.task_id != task.id {
        return Err(superseded(&found));
    }
    let to = subscriptions::find_change(tx, task.id).await?;
    let (action, quantity) = match SubscriptionAction::of(task_type) {
        None => {
            services::find(tx, found.service_id).await?.check_published(caller.sees_drafts)?;
            (ApprovalAction::Provision, found.quantity)
        }
        Some(action) => (action.into(), to.as_ref().map_or(found.quantity, |to| to.quantity)),
    };
    match action {
        ApprovalAction::Terminate => {
            let request = tasks::request(tx, caller.scope, task.id).await?;
            let StatusReason { early, .. } = serde_json::from_str(&request).unwrap_or_default();
            charged_until(tx, id, early, now).await?;
        }
        ApprovalAction::Suspend => {}
        _ => {
            let customer = organizations::find_place_in_use(tx, caller.scope, found.organization_id).await?;
            let contract_id = to.as_ref().and_then(|to| to.contract_id);
            check_contract(tx, &customer.path, &found, contract_id, now).await?;
        }
    }
    if to.and_then(|to| to.renews).is_some_and(|(ends, _)| found.renewed_after.is_some_and(|after| after >= ends)) {
        return Err(Error::conflict("renewed_already", "It has been renewed since. Look at its renewal."));
    }
    let Subscription { organization_id, service_id, .. } = found;
    let request = Request::new(action, organization_id, service_id, quantity);
    check_approved(tx, caller.requester, &request, id, task.id).await
}
