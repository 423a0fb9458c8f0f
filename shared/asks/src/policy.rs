//! Whether a customer is asked before something is begun: by its policy on approvals, and by what it has said already.

use domain::{
    Decimal, Error, Id, Result,
    approval::{ApprovalAction, Asked, AskedBy, is_needed},
    id,
};
use store::{Db, approval_policies, approvals};
use web::Identity;

/// What is asked for, as far as a customer's policy on approvals looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What is to be done.
    pub action: ApprovalAction,
    /// For which customer.
    pub organization_id: Id<id::Organization>,
    /// Of which service.
    pub service_id: Id<id::Service>,
    /// How much the customer is to have afterwards.
    pub quantity: Decimal,
}

impl Request {
    /// How much the customer is to have afterwards, where the action says so.
    pub fn quantity(&self) -> Option<Decimal> {
        self.action.has_quantity().then_some(self.quantity)
    }
}

/// For how many days the customer is to be asked, if it is. Who may approve it in the customer need not ask.
pub async fn needs_approval(db: &Db, caller: &Identity, request: &Request) -> Result<Option<u32>> {
    let inside = caller.speaks_in(request.organization_id);
    if inside && caller.permissions().has(domain::Permission::SubscriptionApprove) {
        return Ok(None);
    }
    let policy = approval_policies::find(db, request.organization_id).await?;
    let asked = Asked {
        action: request.action,
        service_id: request.service_id,
        quantity: request.quantity(),
        by: if inside { AskedBy::Customer } else { AskedBy::Provider },
    };
    Ok(is_needed(&policy.rules, &asked).then_some(policy.lapse_days))
}

/// Refuses to run a task again that the customer's policy asks it about, unless the customer approved this very task and has
/// rejected nothing of the kind since.
pub async fn check_asked_again(
    db: &Db,
    caller: &Identity,
    request: &Request,
    subscription_id: Id<id::Subscription>,
    task_id: Id<id::Task>,
) -> Result<()> {
    if needs_approval(db, caller, request).await?.is_none() {
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
