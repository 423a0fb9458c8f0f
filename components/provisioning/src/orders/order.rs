//! An order: what a caller, an approval or the end of a term wants done for a customer. Whether it may be done, and writing the
//! task that does it, in one transaction.

use ::tasks::Boxed;
use domain::{
    Decimal, Error, Id, Instant, OrganizationKind, Result,
    approval::{ApprovalAction, Request},
    id,
    subscription::{Rule, SubscriptionAction, SubscriptionStatus},
    task::{Subject, TaskType},
};
use serde::Serialize;
use store::{
    Db, Scope, Tx, access_levels,
    access_tokens::Place,
    approvals::Approval,
    contracts, orders, organizations, renewals, services,
    subscriptions::{self, FurtherTerm, Holding, NewSubscription, StatusReason, Subscription, SubscriptionPatch},
    tasks::{self, NewTask, Task},
};
use web::Hub;

/// An order, and how its task goes about it.
pub struct Order {
    /// The task that carries it out.
    pub task_id: Id<id::Task>,
    job_id: Id<id::Job>,
    /// The action.
    pub action: ApprovalAction,
    /// Whether the task stays where it is when a step fails.
    pub disable_rollback: bool,
    /// The version that the caller saw; any, if absent.
    pub version: Option<i64>,
    /// The body of the request.
    pub request: String,
}

/// What an order is for.
pub enum Demand {
    /// A service for a customer.
    Provision {
        /// The request.
        new: Box<NewSubscription>,
        /// Whether the caller sees services that are drafts.
        sees_drafts: bool,
        /// The id of the subscription that comes of it.
        id: Id<id::Subscription>,
    },
    /// Another plan, quantity, contract, or other properties.
    Change(Id<id::Subscription>, SubscriptionPatch),
    /// A further term before the present one ends.
    Renew(Id<id::Subscription>, FurtherTerm),
    /// A suspension, a resumption or a termination: what the customer has stays as it is.
    Status(Id<id::Subscription>, StatusReason),
}

/// An order that may be begun.
pub struct CheckedOrder {
    /// The subscription as it was found, or the new one.
    pub subscription: Subscription,
    /// What the customer has afterwards, where that changes.
    to: Option<Holding>,
    /// The rule of what is done to the subscription; none where it is new.
    rule: Option<&'static Rule>,
}

impl CheckedOrder {
    /// The subscription, if there is one already.
    pub fn subscription_id(&self) -> Option<Id<id::Subscription>> {
        self.rule.map(|_| self.subscription.id)
    }

    /// The order as the customer's approval policy sees it.
    pub fn request(&self, action: ApprovalAction) -> Request {
        let Subscription { organization_id, service_id, quantity, .. } = self.subscription;
        Request::new(action, organization_id, service_id, self.to.as_ref().map_or(quantity, |to| to.quantity))
    }
}

impl Order {
    /// An order that a caller sent.
    pub fn new(
        hub: &Hub,
        action: ApprovalAction,
        disable_rollback: bool,
        version: Option<i64>,
        request: &impl Serialize,
    ) -> Result<Self> {
        let request = serde_json::to_string(request).map_err(|error| Error::fault(error.to_string()))?;
        Ok(Self { disable_rollback, version, request, ..Self::of_hub(hub, action) })
    }

    /// An order of the hub itself, at the end of a term.
    pub fn of_hub(hub: &Hub, action: ApprovalAction) -> Self {
        let request = "{}".to_owned();
        Self { task_id: hub.id(), job_id: hub.id(), action, disable_rollback: false, version: None, request }
    }

    /// An order that the customer approved.
    pub fn approved(hub: &Hub, approval: &Approval) -> Self {
        let Approval { action, disable_rollback, if_version: version, .. } = *approval;
        let request = approval.request.get().to_owned();
        Self { disable_rollback, version, request, ..Self::of_hub(hub, action) }
    }

    /// Judges whether it may be done now. That the caller has the permission was found before; what they may do it to is in the
    /// scope.
    pub fn check<'a>(&'a self, tx: &'a Tx<'a>, hub: &'a Hub, scope: &'a Scope, demand: &'a Demand) -> Boxed<'a, CheckedOrder> {
        Box::pin(async move {
            let now = hub.now();
            match demand {
                Demand::Provision { new, sees_drafts, id } => self.check_new(tx, hub, scope, new, *sees_drafts, *id).await,
                Demand::Change(id, patch) => {
                    let found = subscriptions::find_to_edit(tx, scope, *id, self.version).await?;
                    let to = changed(&found, patch);
                    let rule = self.check_subscription(tx, scope, &found, to.as_ref().ok(), now).await?;
                    let to = to?;
                    // What the service offers now does not matter to a subscription that keeps what it has.
                    if to != found.holding() {
                        services::check_request(tx, found.service_id, true, &found.service_request(&to)).await?;
                    }
                    Ok(CheckedOrder { subscription: found, to: Some(to), rule: Some(rule) })
                }
                Demand::Renew(id, further) => {
                    let found = subscriptions::find_to_edit(tx, scope, *id, self.version).await?;
                    let rule = self.check_subscription(tx, scope, &found, None, now).await?;
                    let to = renewed(tx, scope, &found, further.term_months, now).await?;
                    services::check_request(tx, found.service_id, true, &found.service_request(&to)).await?;
                    Ok(CheckedOrder { subscription: found, to: Some(to), rule: Some(rule) })
                }
                Demand::Status(id, StatusReason { reason, early }) => {
                    let mut found = subscriptions::find_to_edit(tx, scope, *id, self.version).await?;
                    let rule = self.check_subscription(tx, scope, &found, None, now).await?;
                    if rule.action == SubscriptionAction::Terminate {
                        found.charged_until = orders::charged_until(tx, *id, *early, now).await?;
                    }
                    found.reason = reason.clone().map(String::from).or(found.reason);
                    Ok(CheckedOrder { subscription: found, to: None, rule: Some(rule) })
                }
            }
        })
    }

    async fn check_new(
        &self,
        tx: &Tx<'_>,
        hub: &Hub,
        scope: &Scope,
        new: &NewSubscription,
        sees_drafts: bool,
        id: Id<id::Subscription>,
    ) -> Result<CheckedOrder> {
        let customer = organizations::find_place_in_use(tx, scope, new.organization_id).await?;
        let provider_id = provider_of(&customer)?;
        let service = services::find(tx, new.service_id).await?;
        service.check_published(sees_drafts)?;
        access_levels::check_service(tx, scope, customer.id, service.id).await?;
        let contract_id = contracts::allows(tx, &customer.path, provider_id, new.service_id, new.contract_id, hub.now()).await?;
        services::check_request(tx, service.id, sees_drafts, &new.service_request()).await?;
        let subscription = Subscription {
            id,
            organization_id: customer.id,
            provider_id,
            service_id: new.service_id,
            contract_id,
            plan_code: new.plan_code.clone(),
            region: new.region.clone(),
            service_version: new.version.clone(),
            quantity: new.quantity,
            term_months: new.term_months,
            properties: new.properties.clone(),
            status: SubscriptionStatus::Provisioning,
            task_id: self.task_id,
            created_at: hub.now(),
            activated_at: None,
            suspended_at: None,
            terminated_at: None,
            reason: None,
            charged_until: None,
            version: 1,
            status_before: None,
            renewed_after: None,
            renewal_preference: new.renewal_preference,
        };
        Ok(CheckedOrder { subscription, to: None, rule: None })
    }

    /// Judges whether this may be done to a subscription now: `to` is what the customer has afterwards, where that changes.
    async fn check_subscription(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        found: &Subscription,
        to: Option<&Holding>,
        now: Instant,
    ) -> Result<&'static Rule> {
        let new = || Error::fault(format!("{} is nothing that is done to a subscription", self.action));
        let action = self.action.of_subscription().ok_or_else(new)?;
        action.check_to(found.status, found.is_only_moved(to))?;
        if let [busy, ..] = tasks::unended(tx, Some(Subject::Subscription(found.id))).await?[..] {
            return Err(Error::conflict(
                "subscription_busy",
                format!("The task {busy} is at work on the subscription. Wait for it to end, or cancel it, and ask again."),
            ));
        }
        if matches!(action, SubscriptionAction::Change | SubscriptionAction::Resume | SubscriptionAction::Renew) {
            let customer = organizations::find_place_in_use(tx, scope, found.organization_id).await?;
            orders::check_contract(tx, &customer.path, found, to.and_then(|to| to.contract_id), now).await?;
        }
        Ok(action.rule())
    }

    /// The order for a subscription whose term has ended, which was agreed on before and needs no further judgment.
    pub fn at_term_end(&self, subscription: Subscription, to: Option<Holding>) -> CheckedOrder {
        CheckedOrder { subscription, to, rule: self.action.of_subscription().map(SubscriptionAction::rule) }
    }

    /// Writes the task, what the customer has afterwards, and the status of the subscription while the task is at work.
    pub fn begin<'a>(&'a self, tx: &'a Tx<'a>, hub: &'a Hub, asked_by: Option<String>, checked: CheckedOrder) -> Boxed<'a, Task> {
        Box::pin(async move {
            let CheckedOrder { subscription, to, rule } = checked;
            hub.concerns(subscription.organization_id);
            hub.audit_subject(subscription.id.to_string());
            match rule {
                None => {
                    hub.audit("serviceId", &subscription.service_id.to_string());
                    hub.audit("quantity", &subscription.quantity.to_string());
                    subscriptions::insert(tx, &subscription).await?;
                }
                Some(rule) => {
                    hub.audit("taskId", &self.task_id.to_string());
                    hub.audit_change("status", Some(subscription.status.as_str()), Some(rule.during.as_str()));
                }
            }
            let task = NewTask {
                id: self.task_id,
                task_type: rule.map_or(TaskType::SubscriptionProvision, |rule| rule.task_type),
                organization_id: subscription.organization_id,
                subject: Some(Subject::Subscription(subscription.id)),
                disable_rollback: self.disable_rollback,
                request: &self.request,
                job_id: self.job_id,
                now: hub.now(),
            };
            let value = ::tasks::begin_for(tx, hub, hub.component(), asked_by, &task).await?;
            if let Some(to) = &to {
                hub.audit_change("quantity", Some(&subscription.quantity.to_string()), Some(&to.quantity.to_string()));
                hub.audit_change("planCode", subscription.plan_code.as_deref(), to.plan_code.as_deref());
                if let Some(contract_id) = to.contract_id {
                    let (from, to) = (subscription.contract_id.to_string(), contract_id.to_string());
                    hub.audit_change("contractId", Some(&from), Some(&to));
                }
                subscriptions::insert_change(tx, self.task_id, to).await?;
            }
            if let Some(rule) = rule {
                let status_before = Some(subscription.status);
                let after = Subscription { status: rule.during, status_before, task_id: self.task_id, ..subscription };
                subscriptions::update(tx, &after, hub.now()).await?;
            }
            Ok(value)
        })
    }
}

/// What the customer has after a change. Refused where the change is none.
fn changed(now: &Subscription, patch: &SubscriptionPatch) -> Result<Holding> {
    let to = Holding {
        plan_code: patch.plan_code.clone().or_else(|| now.plan_code.clone()),
        quantity: patch.quantity.unwrap_or(now.quantity),
        properties: patch.properties.clone().or_else(|| now.properties.clone()),
        renews: None,
        contract_id: patch.contract_id.filter(|id| *id != now.contract_id),
    };
    if to.quantity <= Decimal::ZERO {
        return Err(Error::invalid("/quantity", "is not above zero; to take the service away, terminate the subscription"));
    }
    if to == now.holding() && to.contract_id.is_none() {
        return Err(Error::invalid(
            "",
            "nothing is to change; say another planCode, quantity or contractId, or other properties",
        ));
    }
    Ok(to)
}

/// What the customer has after a renewal before the end of the term: the same, for a further term.
async fn renewed(db: &Db, scope: &Scope, now: &Subscription, months: Option<u32>, at: Instant) -> Result<Holding> {
    let renewal = renewals::find(db, scope, now.id, at).await?;
    let ends = renewal.term_ends_at;
    if renewal.change.is_some() {
        return Err(Error::conflict(
            "renewal_changes",
            format!(
                "Something is to change when the subscription is renewed at {ends}. Let it be renewed then, or take the change back (PUT /v1/subscriptions/{}/renewal without it) and renew it as it is.",
                now.id
            ),
        ));
    }
    // The term of a subscription that an older hub renewed is moved on by a job.
    if now.renewed_after.is_some_and(|after| after >= ends) {
        return Err(Error::conflict("renewed_already", "It has just been renewed. Look at its renewal in a moment."));
    }
    let months = months.unwrap_or(renewal.term_months);
    renewal.agreed.further(months, at)?;
    Ok(Holding { renews: Some((ends, months)), ..now.holding() })
}

/// A customer's provider is the organization right above it.
fn provider_of(customer: &Place) -> Result<Id<id::Organization>> {
    let line: Vec<_> = customer.path.line().collect();
    match (customer.kind, &line[..]) {
        (OrganizationKind::Customer, [.., provider_id, _]) => Ok(*provider_id),
        _ => Err(Error::invalid(
            "/organizationId",
            format!("is of the kind {}; services are provisioned to a CUSTOMER", customer.kind),
        )),
    }
}
