//! `/v1/subscriptions`

use domain::{
    Decimal, Error, Id, JsonSchema, OrganizationKind, Result, id,
    subscription::SubscriptionStatus,
    task::{Subject, TaskType},
};
use serde::Deserialize;
use store::{
    contracts,
    organizations::{self, OrganizationHead},
    services,
    subscriptions::{self, NewSubscription, Subscription},
    tasks::{NewTask, Task},
};
use web::{Accepted, Body, Caller, Hub, Listing, Page, Path, Prefer, Query, Sent, Shown, permit};

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
    let request = serde_json::to_string(&new).map_err(|error| Error::unavailable(error.to_string()))?;
    let sent = hub
        .write(&caller, async |tx| {
            let customer = organizations::find_in_use(tx, &caller.scope(), new.organization_id).await?;
            let provider_id = provider_of(&customer)?;
            services::find(tx, new.service_id).await?;
            let contract_id =
                contracts::allows(tx, &customer.path, provider_id, new.service_id, new.contract_id, hub.now()).await?;
            let subscription = Subscription {
                id,
                organization_id: customer.id,
                provider_id,
                service_id: new.service_id,
                contract_id,
                quantity: new.quantity,
                status: SubscriptionStatus::Provisioning,
                task_id,
                created_at: hub.now(),
                activated_at: None,
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

/// A customer's provider is the organization right above it.
fn provider_of(customer: &OrganizationHead) -> Result<Id<id::Organization>> {
    match (customer.kind, customer.parent_id) {
        (OrganizationKind::Customer, Some(provider_id)) => Ok(provider_id),
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
) -> Result<Shown<Subscription>> {
    subscriptions::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}
