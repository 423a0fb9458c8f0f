//! What is asked for of what customers have, or are to have: whether it may be, and writing the task that does it. It is the same
//! for what somebody sends to `subscriptions`, and for what `provisioning` begins itself: what a customer has approved, and what a
//! term's end brings.

mod again;
mod offers;
mod policy;

pub use again::{check_again, superseded};
pub use offers::{Asked, check_contract, fits};
pub use policy::{Request, check_asked_again, needs_approval};

use ::tasks::Boxed;
use domain::{
    Decimal, Error, Id, Instant, JsonSchema, OrganizationKind, Result, Text,
    approval::ApprovalAction,
    id,
    subscription::{CARRIES_OUT, Rule, SubscriptionAction, SubscriptionStatus},
    task::{Subject, TaskType},
};
use serde::{Deserialize, Serialize};
use store::{
    Db, Scope, Tx, access_levels,
    access_tokens::Place,
    approvals::Approval,
    contracts, organizations, renewals, services,
    subscriptions::{self, Holding, NewSubscription, Subscription, SubscriptionPatch},
    tasks::{self, NewTask, Task},
};
use web::Hub;

/// How a subscription is to be renewed before its term ends.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Further {
    /// For how many months; as many as the present term has when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_months: Option<u32>,
}

/// Why something is done to a subscription.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Why {
    /// Why; the subscription shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<1, 500>>,
    /// Whether it is to be terminated although its term can be ended without charge no more, and so is charged to its end. It
    /// makes no difference otherwise.
    #[serde(default)]
    pub early: bool,
}

/// Something that is asked for, and how it is to be gone about.
pub struct Ask {
    /// The task that is to do it.
    pub task_id: Id<id::Task>,
    job_id: Id<id::Job>,
    /// What is to be done.
    pub action: ApprovalAction,
    /// Whether the task stays where it is when a step fails.
    pub disable_rollback: bool,
    /// The version that the caller saw; any, if absent.
    pub version: Option<i64>,
    /// What was sent.
    pub request: String,
}

/// What is asked for, as far as it was looked into before the transaction.
pub enum What {
    /// A service for a customer, for somebody who may ask for drafts or not; the subscription that it is to be, and the version of
    /// the service for which that was found to be offered so.
    Provision(Box<NewSubscription>, bool, Id<id::Subscription>, Result<i64>),
    /// What the customer is to have afterwards, if that was found to be right.
    Become(Id<id::Subscription>, Result<Changed>),
    /// Why something is to be done that leaves that as it is.
    Why(Id<id::Subscription>, Why),
}

/// What a customer is to have, with the versions of service and subscription for which the service was found to be offered so.
type Changed = (i64, i64, Holding);

/// What may be begun.
pub struct Ready {
    /// The subscription as it was found, or as it is to be.
    pub subscription: Subscription,
    /// What the customer is to have afterwards, where that changes.
    to: Option<Holding>,
    /// What is done to it; none where it is new.
    rule: Option<&'static Rule>,
}

impl Ready {
    /// The subscription, if there is one already.
    pub fn subscription_id(&self) -> Option<Id<id::Subscription>> {
        self.rule.map(|_| self.subscription.id)
    }

    /// How much the customer is to have afterwards.
    pub fn quantity(&self) -> Decimal {
        self.to.as_ref().map_or(self.subscription.quantity, |to| to.quantity)
    }
}

fn of_subscription(action: ApprovalAction) -> Option<SubscriptionAction> {
    Some(match action {
        ApprovalAction::Provision => return None,
        ApprovalAction::Change => SubscriptionAction::Change,
        ApprovalAction::Suspend => SubscriptionAction::Suspend,
        ApprovalAction::Resume => SubscriptionAction::Resume,
        ApprovalAction::Renew => SubscriptionAction::Renew,
        ApprovalAction::Terminate => SubscriptionAction::Terminate,
    })
}

fn edited_meanwhile(service: &str) -> Error {
    Error::conflict(EDITED, format!("The service {service} was edited while this was looked at. Send the same request again."))
}

/// The code of the refusal of what was looked into for nothing.
pub const EDITED: &str = "service_edited";

impl What {
    /// Asked before the transaction, which must not wait for another component; said inside it, where a request that is
    /// repeated gets its first answer whatever the catalogue has become.
    pub async fn provision(hub: &Hub, new: NewSubscription, drafts: bool) -> Self {
        let asked = Asked {
            plan_code: &new.plan_code,
            region: &new.region,
            version: &new.version,
            quantity: new.quantity,
            term_months: new.term_months,
            properties: &new.properties,
        };
        let fits = fits(hub, new.service_id, Some(drafts), &asked).await;
        Self::Provision(Box::new(new), drafts, hub.id(), fits)
    }

    /// Another plan, quantity or other properties: asked before the transaction, of what it is now; inside it, that must still be so.
    pub async fn change(hub: &Hub, scope: &Scope, id: Id<id::Subscription>, patch: SubscriptionPatch) -> Self {
        let looked = async || {
            let now = subscriptions::find(hub.db().await?, scope, id).await?;
            let to = Holding {
                plan_code: patch.plan_code.clone().or_else(|| now.plan_code.clone()),
                quantity: patch.quantity.unwrap_or(now.quantity),
                properties: patch.properties.clone().or_else(|| now.properties.clone()),
                renews: None,
                contract_id: patch.contract_id.filter(|id| *id != now.contract_id),
            };
            if to.quantity <= Decimal::ZERO {
                return Err(Error::invalid(
                    "/quantity",
                    "is not above zero; to take the service away, terminate the subscription",
                ));
            }
            if to == now.holding() {
                return match to.contract_id {
                    None => {
                        let text = "nothing is to change; say another planCode, quantity or contractId, or other properties";
                        Err(Error::invalid("", text))
                    }
                    // What the service offers now is not asked of what the customer has already.
                    Some(_) => Ok((services::find(hub.db().await?, now.service_id).await?.version, now.version, to)),
                };
            }
            becomes(hub, &now, to).await
        };
        Self::Become(id, looked().await)
    }

    /// A further term of so many months, or of as many as the present one has.
    pub async fn renew(hub: &Hub, scope: &Scope, id: Id<id::Subscription>, months: Option<u32>) -> Self {
        let looked = async || {
            let db = hub.db().await?;
            let now = subscriptions::find(db, scope, id).await?;
            let to = further(db, scope, &now, months, hub.now()).await?;
            becomes(hub, &now, to).await
        };
        Self::Become(id, looked().await)
    }
}

/// Finds out whether the service offers what a customer is to have.
fn becomes<'a>(hub: &'a Hub, now: &'a Subscription, to: Holding) -> Boxed<'a, Changed> {
    Box::pin(async move {
        let service_version = fits(hub, now.service_id, None, &Asked::of(now, &to)).await?;
        Ok((service_version, now.version, to))
    })
}

/// What a customer has after a subscription is renewed before its term ends: the same, for a further term.
async fn further(db: &Db, scope: &Scope, now: &Subscription, months: Option<u32>, at: Instant) -> Result<Holding> {
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
    if now.renewed_after.is_some_and(|after| after >= ends) {
        return Err(Error::conflict("renewed_already", "It has just been renewed. Look at its renewal in a moment."));
    }
    let months = months.unwrap_or(renewal.term_months);
    renewal.agreed.further(months, at)?;
    Ok(Holding { renews: Some((ends, months)), ..now.holding() })
}

impl Ask {
    /// Something that somebody sent.
    pub fn new(
        hub: &Hub,
        action: ApprovalAction,
        disable_rollback: bool,
        version: Option<i64>,
        request: &impl Serialize,
    ) -> Result<Self> {
        let request = serde_json::to_string(request).map_err(|error| Error::fault(error.to_string()))?;
        Ok(Self { disable_rollback, version, request, ..Self::of(hub, action) })
    }

    /// What nobody asks for but its day.
    pub fn of(hub: &Hub, action: ApprovalAction) -> Self {
        let request = "{}".to_owned();
        Self { task_id: hub.id(), job_id: hub.id(), action, disable_rollback: false, version: None, request }
    }

    /// What was approved.
    pub fn approved(hub: &Hub, approval: &Approval) -> Self {
        let Approval { action, disable_rollback, if_version: version, .. } = *approval;
        let request = approval.request.get().to_owned();
        Self { disable_rollback, version, request, ..Self::of(hub, action) }
    }

    /// Looks whether it may be done now. Whoever asks has the permission; what they may do it to is in the scope.
    pub fn check<'a>(&'a self, tx: &'a Tx<'a>, hub: &'a Hub, scope: &'a Scope, what: &'a What) -> Boxed<'a, Ready> {
        Box::pin(async move {
            match what {
                What::Provision(new, drafts, id, fits) => self.check_new(tx, hub, scope, new, *drafts, *id, fits).await,
                What::Become(id, changed) => {
                    let to = changed.as_ref().ok().map(|(_, _, to)| to);
                    let (found, rule) = self.find(tx, hub, scope, *id, to).await?;
                    let (service_version, seen, to) = changed.clone()?;
                    let service = services::find(tx, found.service_id).await?;
                    if seen != found.version || service_version != service.version {
                        return Err(edited_meanwhile(&service.code));
                    }
                    if let Some((_, months)) = to.renews {
                        // Of terms the subscription's version tells nothing.
                        further(tx, scope, &found, Some(months), hub.now()).await?;
                    }
                    Ok(Ready { subscription: found, to: Some(to), rule: Some(rule) })
                }
                What::Why(id, why) => {
                    let (mut found, rule) = self.find(tx, hub, scope, *id, None).await?;
                    if rule.action == SubscriptionAction::Terminate {
                        found.charged_until = charged_until(tx, *id, why.early, hub.now()).await?;
                    }
                    found.reason = why.reason.clone().map(String::from).or(found.reason);
                    Ok(Ready { subscription: found, to: None, rule: Some(rule) })
                }
            }
        })
    }

    #[allow(clippy::too_many_arguments)]
    async fn check_new(
        &self,
        tx: &Tx<'_>,
        hub: &Hub,
        scope: &Scope,
        new: &NewSubscription,
        drafts: bool,
        id: Id<id::Subscription>,
        fits: &Result<i64>,
    ) -> Result<Ready> {
        let customer = organizations::find_place_in_use(tx, scope, new.organization_id).await?;
        let provider_id = provider_of(&customer)?;
        let service = services::find(tx, new.service_id).await?;
        service.check_published(drafts)?;
        access_levels::check_service(tx, scope, customer.id, service.id).await?;
        let contract_id = contracts::allows(tx, &customer.path, provider_id, new.service_id, new.contract_id, hub.now()).await?;
        if fits.clone()? != service.version {
            return Err(edited_meanwhile(&service.code));
        }
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
        Ok(Ready { subscription, to: None, rule: None })
    }

    /// The subscription, if this may be done to it now: `to` is what the customer is to have, where that changes.
    async fn find(
        &self,
        tx: &Tx<'_>,
        hub: &Hub,
        scope: &Scope,
        id: Id<id::Subscription>,
        to: Option<&Holding>,
    ) -> Result<(Subscription, &'static Rule)> {
        let found = subscriptions::find_to_edit(tx, scope, id, self.version).await?;
        let action = of_subscription(self.action).ok_or_else(|| Error::unavailable("what is new was not found"))?;
        let contract_id = to.and_then(|to| to.contract_id);
        action.check_to(found.status, moves(&found, to))?;
        if let [busy, ..] = tasks::unended(tx, Some(Subject::Subscription(id))).await?[..] {
            return Err(Error::conflict(
                "subscription_busy",
                format!("The task {busy} is at work on the subscription. Wait for it to end, or cancel it, and ask again."),
            ));
        }
        if matches!(action, SubscriptionAction::Change | SubscriptionAction::Resume | SubscriptionAction::Renew) {
            let customer = organizations::find_place_in_use(tx, scope, found.organization_id).await?;
            check_contract(tx, &customer.path, &found, contract_id, hub.now()).await?;
        }
        Ok((found, action.rule()))
    }

    /// What may be done to a subscription that was found, at the end of its term.
    pub fn ready(&self, subscription: Subscription, to: Option<Holding>) -> Ready {
        Ready { subscription, to, rule: of_subscription(self.action).map(SubscriptionAction::rule) }
    }

    /// Writes the task, what it is to make of what the customer has, and where the subscription stands while it is at work.
    pub fn begin<'a>(&'a self, tx: &'a Tx<'a>, hub: &'a Hub, asked_by: Option<String>, ready: Ready) -> Boxed<'a, Task> {
        Box::pin(async move {
            let Ready { subscription, to, rule } = ready;
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
            let value = ::tasks::begin_for(tx, hub, CARRIES_OUT, asked_by, &task).await?;
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

/// Whether a subscription is only moved to another contract: the customer has the same afterwards.
pub fn moves(subscription: &Subscription, to: Option<&Holding>) -> bool {
    to.is_some_and(|to| to.contract_id.is_some() && *to == subscription.holding())
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

/// Until when a subscription that is terminated now is to be charged for. Refused where that is later than now and nobody said
/// that it is to be ended `early`.
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
