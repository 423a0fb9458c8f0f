//! `/v1/subscriptions`

use domain::{
    Decimal, Error, Id, JsonSchema, OrganizationKind, Permission, Result, id,
    service::Code,
    subscription::SubscriptionStatus,
    task::{Subject, TaskType},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    contracts,
    organizations::{self, OrganizationHead},
    services,
    subscriptions::{self, NewSubscription, Subscription},
    tasks::{NewTask, Task},
};
use web::{Accepted, Body, Caller, Hub, Identity, Listing, Page, Path, Prefer, Query, Sent, Shown, permit};

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
    let fits = fits(&hub, &caller, &new).await;
    let request = serde_json::to_string(&new).map_err(|error| Error::unavailable(error.to_string()))?;
    let sent = hub
        .write(&caller, async |tx| {
            let customer = organizations::find_in_use(tx, &caller.scope(), new.organization_id).await?;
            let provider_id = provider_of(&customer)?;
            let service = services::find(tx, new.service_id).await?;
            service.check_published(caller.permissions().has(Permission::ServiceWrite))?;
            let contract_id =
                contracts::allows(tx, &customer.path, provider_id, new.service_id, new.contract_id, hub.now()).await?;
            if fits.clone()? != service.version {
                return Err(Error::conflict(
                    "service_edited",
                    format!("The service {} was edited while this was looked at. Send the same request again.", service.code),
                ));
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
/// that asks nothing of it, so the catalogue, which alone knows the rules of offers, is not asked.
async fn fits(hub: &Hub, caller: &Identity, new: &NewSubscription) -> Result<i64> {
    let service = services::find(hub.db().await?, new.service_id).await?;
    service.check_published(caller.permissions().has(Permission::ServiceWrite))?;
    let asked = new.plan_code.is_some() || new.region.is_some() || new.version.is_some();
    if service.asks || asked || new.term_months.is_some() || new.properties.is_some() {
        let request = Asked {
            plan_code: &new.plan_code,
            region: &new.region,
            version: &new.version,
            quantity: new.quantity,
            term_months: new.term_months,
            properties: &new.properties,
        };
        web::ask(hub, "catalogue", &format!("/internal/services/{}/validate", service.id), &request).await?;
    }
    Ok(service.version)
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
