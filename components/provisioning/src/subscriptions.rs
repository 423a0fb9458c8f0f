//! `/v1/subscriptions`

use domain::{
    Decimal, Error, Id, Instant, JsonSchema, Kind, OrganizationKind, OrganizationPath, Permission, Result, Text, id,
    service::Code,
    subscription::{SubscriptionAction, SubscriptionStatus},
    task::{Subject, TaskType},
};
use engine::Boxed;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Db, Scope, Tx,
    access_tokens::Place,
    contracts,
    jobs::{self, Job},
    organizations, renewals, services,
    subscriptions::{self, Holding, NewSubscription, Subscription, SubscriptionPatch},
    tasks::{self, NewTask, Task},
};
use web::{
    Accepted, Body, Caller, Edited, FromRequest, Hub, Identity, IfMatch, Incoming, Listing, Page, Path, Prefer, Query, Record,
    Sent, permit,
};

/// How to go about it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateQuery {
    /// Whether the task stays where it is when a step fails, so that it can be resumed there, rather than being undone.
    #[serde(default)]
    disable_rollback: bool,
}

/// Refuses at once what can be known at once; the rest is for the task, which the first transaction writes with the
/// subscription.
pub async fn create(
    hub: Hub,
    caller: Caller<permit::SubscriptionWrite>,
    prefer: Prefer,
    Query(query): Query<CreateQuery>,
    Body(new): Body<NewSubscription>,
) -> Result<Sent<Accepted<Task>>> {
    if new.quantity <= Decimal::ZERO {
        return Err(Error::invalid("/quantity", "is not above zero; say how much the customer is to get"));
    }
    let (id, task_id, job_id) = (hub.id(), hub.id(), hub.id());
    // Asked before the transaction, which must not wait for another component; said inside it, where a request that is
    // repeated gets its first answer whatever the catalogue has become.
    let asked = Asked {
        plan_code: &new.plan_code,
        region: &new.region,
        version: &new.version,
        quantity: new.quantity,
        term_months: new.term_months,
        properties: &new.properties,
    };
    let drafts = caller.permissions().has(Permission::ServiceWrite);
    let fits = fits(&hub, new.service_id, Some(drafts), &asked).await;
    let request = serde_json::to_string(&new).map_err(|error| Error::unavailable(error.to_string()))?;
    let sent = hub
        .write(&caller, async |tx| {
            let customer = organizations::find_place_in_use(tx, &caller.scope(), new.organization_id).await?;
            let provider_id = provider_of(&customer)?;
            let service = services::find(tx, new.service_id).await?;
            service.check_published(drafts)?;
            let contract_id =
                contracts::allows(tx, &customer.path, provider_id, new.service_id, new.contract_id, hub.now()).await?;
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
                task_id,
                created_at: hub.now(),
                activated_at: None,
                suspended_at: None,
                terminated_at: None,
                reason: None,
                charged_until: None,
                version: 1,
                status_before: None,
                renewed_after: None,
            };
            subscriptions::insert(tx, &subscription).await?;
            hub.concerns(customer.id);
            hub.audit_subject(id.to_string());
            hub.audit("serviceId", &new.service_id.to_string());
            hub.audit("quantity", &new.quantity.to_string());
            let task = NewTask {
                id: task_id,
                task_type: TaskType::SubscriptionProvision,
                organization_id: customer.id,
                subject: Some(Subject::Subscription(id)),
                disable_rollback: query.disable_rollback,
                request: &request,
                job_id,
                now: hub.now(),
            };
            let value = engine::begin(tx, &hub, &task).await?;
            Ok(Accepted { value, location: engine::location(task_id), ended: false })
        })
        .await?;
    engine::waited(&hub, &caller, sent, prefer, crate::run).await
}

/// What is asked of the service: what the catalogue takes as a `ServiceRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    plan_code: &'a Option<Code>,
    region: &'a Option<Code>,
    version: &'a Option<Code>,
    quantity: Decimal,
    term_months: Option<u32>,
    properties: &'a Option<Box<RawValue>>,
}

/// The version of the service that the request was found to fit. A service whose offer asks nothing takes every request
/// that asks nothing of it, so the catalogue, which alone knows the rules of offers, is not asked. With `published`, whether
/// the caller sees drafts, the service must be one that can be asked for; who has it already may have it changed.
async fn fits(hub: &Hub, service_id: Id<id::Service>, published: Option<bool>, request: &Asked<'_>) -> Result<i64> {
    let service = services::find(hub.db().await?, service_id).await?;
    if let Some(drafts) = published {
        service.check_published(drafts)?;
    }
    let asked = request.plan_code.is_some() || request.region.is_some() || request.version.is_some();
    if service.asks || asked || request.term_months.is_some() || request.properties.is_some() {
        web::ask(hub, "catalogue", &format!("/internal/services/{}/validate", service.id), request).await?;
    }
    Ok(service.version)
}

fn edited_meanwhile(service: &str) -> Error {
    Error::conflict(
        "service_edited",
        format!("The service {service} was edited while this was looked at. Send the same request again."),
    )
}

/// Refuses where the contract that a subscription runs on is not in force. `customer` is where its customer stands.
pub async fn check_contract(db: &Db, customer: &OrganizationPath, subscription: &Subscription, now: Instant) -> Result<()> {
    let Subscription { provider_id, service_id, contract_id, .. } = *subscription;
    match contracts::allows(db, customer, provider_id, service_id, Some(contract_id), now).await {
        Err(error) if error.kind != Kind::Unavailable => Err(Error::conflict(
            "no_active_contract",
            format!(
                "The commit contract {contract_id}, which the subscription runs on, is not active any more, so nothing was done. Ask for it again when it is active."
            ),
        )),
        other => other.map(drop),
    }
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

/// Which subscriptions to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this customer.
    organization_id: Option<Id<id::Organization>>,
    /// Only those that stand there.
    status: Option<SubscriptionStatus>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Id<id::Subscription>>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Subscription>> {
    let page = Page::new(query.limit)?;
    let found =
        subscriptions::list(hub.db().await?, &caller.scope(), query.organization_id, query.status, query.cursor, page.rows())
            .await?;
    Ok(Listing::new(&page, found, hub.target(), |subscription| subscription.id.to_string()))
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Subscription>>,
) -> Result<Edited<Subscription>> {
    let value = subscriptions::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: value.version, value })
}

/// What comes with everything that is done to a subscription: to which, in which state, and how to go about it. One part, because
/// the reading of each would otherwise be compiled into every handler.
pub struct Asking {
    id: Id<id::Subscription>,
    /// The version that the caller saw; any, if absent.
    version: Option<i64>,
    prefer: Prefer,
    disable_rollback: bool,
}

impl FromRequest for Asking {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        asking(hub, incoming).await
    }
}

fn asking<'a>(hub: &'a Hub, incoming: &'a mut Incoming) -> Boxed<'a, Asking> {
    Box::pin(async move {
        let Path(id) = Path::from_request(hub, incoming).await?;
        let IfMatch { version } = IfMatch::from_request(hub, incoming).await?;
        let prefer = Prefer::from_request(hub, incoming).await?;
        let Query(CreateQuery { disable_rollback }) = Query::from_request(hub, incoming).await?;
        Ok(Asking { id, version, prefer, disable_rollback })
    })
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for Asking {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        Path::<Id<id::Subscription>>::describe(operation);
        IfMatch::describe(operation);
        Prefer::describe(operation);
        Query::<CreateQuery>::describe(operation);
    }
}

pub async fn change(
    hub: Hub,
    caller: Caller<permit::SubscriptionWrite>,
    asking: Asking,
    Body(patch): Body<SubscriptionPatch>,
) -> Result<Sent<Accepted<Task>>> {
    if patch.term_months.is_some() || patch.renewal_preference.is_some() {
        let pointer = if patch.term_months.is_some() { "/termMonths" } else { "/renewalPreference" };
        return Err(Error::invalid(
            pointer,
            "is said of a renewal, for the present term stays as it is: PUT /v1/subscriptions/{subscriptionId}/renewal",
        ));
    }
    let ask = Ask::new(&hub, SubscriptionAction::Change, &asking, &patch)?;
    // Asked before the transaction, of what it is now; inside it, that must still be so.
    let fits = match subscriptions::find(hub.db().await?, &caller.scope(), asking.id).await {
        Ok(now) => changed(&hub, &now, patch, None).await,
        Err(error) => Err(error),
    };
    ask.send(&hub, &caller, asking, What::Become(fits)).await
}

/// What is said of what is done to a subscription.
enum What {
    /// Why.
    Why(Why),
    /// What the customer is to have afterwards, if that was found to be right.
    Become(Result<Changed>),
}

/// What a customer is to have, with the versions of service and subscription for which the service was found to be offered so.
type Changed = (i64, i64, Holding);

/// Finds out whether the service offers what a customer is to have. `renews` says which renewal it is for, if it is for one; that
/// may leave all as it is.
pub fn changed<'a>(
    hub: &'a Hub,
    now: &'a Subscription,
    patch: SubscriptionPatch,
    renews: Option<(Instant, u32)>,
) -> Boxed<'a, Changed> {
    Box::pin(async move {
        let to = Holding {
            plan_code: patch.plan_code.or_else(|| now.plan_code.clone()),
            quantity: patch.quantity.unwrap_or(now.quantity),
            properties: patch.properties.or_else(|| now.properties.clone()),
            renews,
        };
        if to.quantity <= Decimal::ZERO {
            return Err(Error::invalid("/quantity", "is not above zero; to take the service away, terminate the subscription"));
        }
        if renews.is_none() && to == now.holding() {
            return Err(Error::invalid("", "nothing is to change; say another planCode or quantity, or other properties"));
        }
        let asked = Asked {
            plan_code: &to.plan_code,
            region: &now.region,
            version: &now.service_version,
            quantity: to.quantity,
            term_months: renews.map(|renews| renews.1).or(now.term_months),
            properties: &to.properties,
        };
        let service_version = fits(hub, now.service_id, None, &asked).await?;
        Ok((service_version, now.version, to))
    })
}

/// Why something is done to a subscription.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Why {
    /// Why; the subscription shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text<1, 500>>,
    /// Whether it is to be terminated although its term can be ended without charge no more, and so is charged to its end. It
    /// makes no difference otherwise.
    #[serde(default)]
    early: bool,
}

pub async fn suspend(
    hub: Hub,
    caller: Caller<permit::SubscriptionWrite>,
    asking: Asking,
    Body(why): Body<Why>,
) -> Result<Sent<Accepted<Task>>> {
    Ask::new(&hub, SubscriptionAction::Suspend, &asking, &why)?.send(&hub, &caller, asking, What::Why(why)).await
}

pub async fn resume(hub: Hub, caller: Caller<permit::SubscriptionWrite>, asking: Asking) -> Result<Sent<Accepted<Task>>> {
    let why = Why::default();
    Ask::new(&hub, SubscriptionAction::Resume, &asking, &why)?.send(&hub, &caller, asking, What::Why(why)).await
}

pub async fn terminate(
    hub: Hub,
    caller: Caller<permit::SubscriptionWrite>,
    asking: Asking,
    Body(why): Body<Why>,
) -> Result<Sent<Accepted<Task>>> {
    Ask::new(&hub, SubscriptionAction::Terminate, &asking, &why)?.send(&hub, &caller, asking, What::Why(why)).await
}

/// Something that somebody asks for to be done to a subscription.
struct Ask {
    id: Id<id::Task>,
    job_id: Id<id::Job>,
    action: SubscriptionAction,
    disable_rollback: bool,
    /// The version that the caller saw; any, if absent.
    version: Option<i64>,
    request: String,
}

impl Ask {
    fn new(hub: &Hub, action: SubscriptionAction, asking: &Asking, request: &impl Serialize) -> Result<Self> {
        let request = serde_json::to_string(request).map_err(|error| Error::unavailable(error.to_string()))?;
        Ok(Self { disable_rollback: asking.disable_rollback, version: asking.version, request, ..Self::of(hub, action) })
    }

    /// What nobody asks for but its day.
    fn of(hub: &Hub, action: SubscriptionAction) -> Self {
        let request = "{}".to_owned();
        Self { id: hub.id(), job_id: hub.id(), action, disable_rollback: false, version: None, request }
    }

    /// The subscription, if this may be done to it now.
    async fn find(&self, tx: &Tx<'_>, hub: &Hub, caller: &Identity, id: Id<id::Subscription>) -> Result<Subscription> {
        let found = subscriptions::find_to_edit(tx, &caller.scope(), id, self.version).await?;
        self.action.check(found.status)?;
        if let [busy, ..] = tasks::unended(tx, Some(Subject::Subscription(id))).await?[..] {
            return Err(Error::conflict(
                "subscription_busy",
                format!("The task {busy} is at work on the subscription. Wait for it to end, or cancel it, and ask again."),
            ));
        }
        if matches!(self.action, SubscriptionAction::Change | SubscriptionAction::Resume) {
            let customer = organizations::find_place_in_use(tx, &caller.scope(), found.organization_id).await?;
            check_contract(tx, &customer.path, &found, hub.now()).await?;
        }
        Ok(found)
    }

    /// Writes the task, what it is to make of what the customer has, and where the subscription stands while it is at work.
    async fn begin(&self, tx: &Tx<'_>, hub: &Hub, found: Subscription, to: Option<&Holding>) -> Result<Accepted<Task>> {
        let rule = self.action.rule();
        hub.concerns(found.organization_id);
        hub.audit_subject(found.id.to_string());
        hub.audit("taskId", &self.id.to_string());
        hub.audit_change("status", Some(found.status.as_str()), Some(rule.during.as_str()));
        let task = NewTask {
            id: self.id,
            task_type: rule.task_type,
            organization_id: found.organization_id,
            subject: Some(Subject::Subscription(found.id)),
            disable_rollback: self.disable_rollback,
            request: &self.request,
            job_id: self.job_id,
            now: hub.now(),
        };
        let value = engine::begin(tx, hub, &task).await?;
        if let Some(to) = to {
            subscriptions::insert_change(tx, self.id, to).await?;
        }
        let status_before = Some(found.status);
        let after = Subscription { status: rule.during, status_before, task_id: self.id, ..found };
        subscriptions::update(tx, &after, hub.now()).await?;
        Ok(Accepted { value, location: engine::location(self.id), ended: false })
    }

    /// Has it done. All in one function, so that the transaction is compiled once.
    fn send<'a>(&'a self, hub: &'a Hub, caller: &'a Identity, asking: Asking, what: What) -> Boxed<'a, Sent<Accepted<Task>>> {
        Box::pin(async move {
            let Asking { id, prefer, .. } = asking;
            let sent = hub
                .write(caller, async |tx| {
                    let mut found = self.find(tx, hub, caller, id).await?;
                    let to = match &what {
                        What::Become(fits) => {
                            let (service_version, seen, to) = fits.clone()?;
                            let service = services::find(tx, found.service_id).await?;
                            if seen != found.version || service_version != service.version {
                                return Err(edited_meanwhile(&service.code));
                            }
                            hub.audit_change("quantity", Some(&found.quantity.to_string()), Some(&to.quantity.to_string()));
                            hub.audit_change("planCode", found.plan_code.as_deref(), to.plan_code.as_deref());
                            Some(to)
                        }
                        What::Why(why) => {
                            if self.action == SubscriptionAction::Terminate {
                                found.charged_until = charged_until(tx, id, why.early, hub.now()).await?;
                            }
                            found.reason = why.reason.clone().map(String::from).or(found.reason);
                            None
                        }
                    };
                    self.begin(tx, hub, found, to.as_ref()).await
                })
                .await?;
            engine::waited(hub, caller, sent, prefer, crate::run).await
        })
    }
}

/// Until when a subscription that is terminated now is to be charged for. Refused where that is later than now and nobody said
/// that it is to be ended `early`.
async fn charged_until(tx: &Tx<'_>, id: Id<id::Subscription>, early: bool, now: Instant) -> Result<Option<Instant>> {
    match renewals::window(tx, id).await? {
        Some((until, ends)) if until < now && now < ends => {
            if early {
                return Ok(Some(ends));
            }
            Err(Error::conflict(
                "cancellation_window_over",
                format!(
                    "The term could be ended without charge until {until}; it ends at {ends}. Have it end then (PUT /v1/subscriptions/{id}/renewal with the renewalPreference CANCEL), or send \"early\": true to end it now and have it charged until then."
                ),
            ))
        }
        _ => Ok(None),
    }
}

/// At the end of a term, renews a subscription or terminates it. While a task is at work on it, it does neither: it is asked
/// again a day later.
pub async fn term_over(hub: Hub, job: Job) -> Result<()> {
    let wrong = || Error::malformed("job_payload", "The job's payload is no subscription, instant and change.");
    let mut parts = job.payload.splitn(3, ' ');
    let (id, ends, change) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let id: Id<id::Subscription> = id.parse().map_err(|_| wrong())?;
    let ends = ends.parse().ok().and_then(Instant::from_timestamp_millis).ok_or_else(wrong)?;
    // Whether the service is offered so still is looked at by the task, which can say so.
    let patch = (!change.is_empty()).then(|| web::read_json::<SubscriptionPatch>(change.as_bytes())).transpose()?;
    let action = if patch.is_some() { SubscriptionAction::Renew } else { SubscriptionAction::Terminate };
    let (ask, scope) = (Ask::of(&hub, action), Scope::below(job.organization_path.clone()));
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let mut found = subscriptions::find(tx, &scope, id).await?;
            let busy = !tasks::unended(tx, Some(Subject::Subscription(id))).await?.is_empty();
            if busy || !found.status.is_at_rest() || found.renewed_after.is_some_and(|after| after >= ends) {
                return jobs::finish(tx, &job).await;
            }
            let to = patch.clone().map(|patch| Holding {
                plan_code: patch.plan_code.or_else(|| found.plan_code.clone()),
                quantity: patch.quantity.unwrap_or(found.quantity),
                properties: patch.properties.or_else(|| found.properties.clone()),
                renews: patch.term_months.or(found.term_months).map(|months| (ends, months)),
            });
            if to.is_none() {
                found.reason = Some("Its term has ended.".to_owned());
            }
            ask.begin(tx, &hub, found, to.as_ref()).await?;
            let what = Record::of_job(
                job.id,
                job.organization_id,
                if to.is_some() { "subscriptions.renew" } else { "subscriptions.terminate" },
                id.to_string(),
            );
            hub.record(tx, what).await?;
            jobs::finish(tx, &job).await
        })
        .await
}
