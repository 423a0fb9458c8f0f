//! `/v1/service-bindings`

use domain::{
    Error, Id, JsonSchema, Result, id,
    service_broker::ServiceBindingStatus,
    subscription::SubscriptionStatus,
    task::{Subject, TaskType},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Tx, broker_resources,
    jobs::{self, Job},
    service_bindings::{self as bindings, ForgetServiceBinding, NewServiceBinding, ServiceBinding},
    service_brokers as brokers,
    subscriptions::{self, Subscription},
    tasks::{NewTask, Task},
};
use web::{Accepted, Body, Caller, Cursor, Hub, Listing, Page, Path, Prefer, Query, Sent, Shown, Written, json, permit};

/// The most bytes of what a broker is to be told.
const PARAMETERS: usize = 64 * 1024;
/// What stands in the place of parameters, which may hold secrets.
const MASK: &str = "********";

/// What a task keeps of the request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    service_binding_id: Id<id::ServiceBinding>,
    name: &'a str,
    parameters: Option<&'a str>,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::Managing>,
    prefer: Prefer,
    Body(new): Body<NewServiceBinding>,
) -> Result<Sent<Accepted<Task>>> {
    let id: Id<id::ServiceBinding> = hub.id();
    let parameters = match new.parameters.as_deref().map(RawValue::get) {
        Some(text) if !text.starts_with('{') => {
            return Err(Error::invalid("/parameters", "is not an object; write {\"name\": value}"));
        }
        Some(text) if text.len() > PARAMETERS => return Err(Error::invalid("/parameters", "are longer than 65536 bytes")),
        Some(text) => Some(hub.seal(&id.to_string(), text).await?),
        None => None,
    };
    let (task_id, job_id) = (hub.id(), hub.id());
    let request = Request { service_binding_id: id, name: &new.name, parameters: parameters.as_ref().map(|_| MASK) };
    let request = json::write(&request)?;
    let sent = hub
        .write(&caller, async |tx| {
            let subscription = subscriptions::find(tx, &caller.scope(), new.subscription_id).await?;
            check_bindable(tx, &subscription).await?;
            let binding = ServiceBinding {
                id,
                organization_id: subscription.organization_id,
                subscription_id: subscription.id,
                name: new.name.to_string(),
                status: ServiceBindingStatus::Binding,
                task_id,
                created_at: hub.now(),
                updated_at: hub.now(),
                parameters: parameters.clone(),
            };
            bindings::insert(tx, &binding).await?;
            let new = NewTask {
                id: task_id,
                task_type: TaskType::ServiceBind,
                organization_id: binding.organization_id,
                subject: Some(Subject::Subscription(binding.subscription_id)),
                disable_rollback: false,
                request: &request,
                job_id,
                now: hub.now(),
            };
            begin(tx, &hub, &new, id).await
        })
        .await?;
    ::tasks::waited(&hub, &caller, sent, prefer).await
}

async fn begin(tx: &Tx<'_>, hub: &Hub, new: &NewTask<'_>, id: Id<id::ServiceBinding>) -> Result<Accepted<Task>> {
    hub.concerns(new.organization_id);
    hub.audit_subject(id.to_string());
    let value = ::tasks::begin(tx, hub, new).await?;
    Ok(Accepted { value, location: ::tasks::location(new.id), ended: false })
}

/// Refuses where the subscription's broker makes no service bindings of it, or not now.
pub async fn check_bindable(db: &store::Db, subscription: &Subscription) -> Result<()> {
    if subscription.status != SubscriptionStatus::Active {
        return Err(Error::conflict(
            "subscription_not_active",
            format!(
                "The subscription is {}; service bindings are made of one that is ACTIVE. Wait for its task, {}.",
                subscription.status, subscription.task_id
            ),
        ));
    }
    let plan = match &subscription.plan_code {
        Some(code) => brokers::find_plan(db, subscription.service_id, code).await?,
        None => None,
    };
    match plan {
        Some((_, _, plan)) if plan.bindable => Ok(()),
        Some(_) => Err(Error::conflict(
            "plan_not_bindable",
            "The subscription's plan has no service bindings. Change it to one that has, if its broker offers one.",
        )),
        None => Err(Error::conflict(
            "plan_not_bindable",
            "The subscription's service is of no service broker, and only those make service bindings.",
        )),
    }
}

/// Which service bindings to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this subscription.
    subscription_id: Option<Id<id::Subscription>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<ServiceBinding>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    let found = bindings::list(db, &caller.scope(), query.subscription_id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |binding| binding.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::ServiceBinding>>,
) -> Result<Shown<ServiceBinding>> {
    bindings::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}

pub async fn show_credentials(
    hub: Hub,
    caller: Caller<permit::Using>,
    Path(id): Path<Id<id::ServiceBinding>>,
) -> Result<Written> {
    let binding = bindings::find(hub.db().await?, &caller.scope(), id).await?;
    let id = id.to_string();
    let given = match binding.status {
        ServiceBindingStatus::Active => broker_resources::find(hub.db().await?, &id).await?.and_then(|found| found.given),
        _ => None,
    };
    match given {
        Some(sealed) => Ok(Written(hub.unseal(&id, &sealed).await?.into_bytes().into())),
        _ => Err(Error::conflict(
            "service_binding_not_active",
            format!(
                "The service binding is {}; only one that is ACTIVE has credentials. Its task is {}.",
                binding.status, binding.task_id
            ),
        )),
    }
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::Managing>,
    prefer: Prefer,
    Path(id): Path<Id<id::ServiceBinding>>,
) -> Result<Sent<Accepted<Task>>> {
    let (task_id, job_id) = (hub.id(), hub.id());
    let sent = hub
        .write(&caller, async |tx| {
            let binding = bindings::find(tx, &caller.scope(), id).await?;
            if !matches!(binding.status, ServiceBindingStatus::Active | ServiceBindingStatus::Failed) {
                return Err(Error::conflict(
                    "service_binding_busy",
                    format!("The service binding is {}. Wait for its task, {}, or cancel that.", binding.status, binding.task_id),
                ));
            }
            bindings::set_status(tx, id, ServiceBindingStatus::Unbinding, task_id, hub.now()).await?;
            let request = json::write(&Request { service_binding_id: id, name: &binding.name, parameters: None })?;
            let new = NewTask {
                id: task_id,
                task_type: TaskType::ServiceUnbind,
                organization_id: binding.organization_id,
                subject: Some(Subject::Subscription(binding.subscription_id)),
                disable_rollback: false,
                request: &request,
                job_id,
                now: hub.now(),
            };
            begin(tx, &hub, &new, id).await
        })
        .await?;
    ::tasks::waited(&hub, &caller, sent, prefer).await
}

/// Removes a service binding whose service instance is gone, as the component `brokers` has found.
pub async fn forget(hub: Hub, job: Job, ForgetServiceBinding { service_binding_id }: ForgetServiceBinding) -> Result<()> {
    let db = hub.db().await?;
    db.in_transaction(async |tx| {
        jobs::finish(tx, &job).await?;
        bindings::delete(tx, service_binding_id).await
    })
    .await
}
