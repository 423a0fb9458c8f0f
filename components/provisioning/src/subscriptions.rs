//! `/v1/subscriptions`

use crate::orders::{Demand, Order, Submitted, submit};
use domain::{
    Decimal, Error, Id, JsonSchema, Permission, Result, approval::ApprovalAction, id, subscription::SubscriptionStatus,
};
use serde::{Deserialize, Serialize};
use store::subscriptions::{self, FurtherTerm, NewSubscription, StatusReason, Subscription, SubscriptionPatch};
use tasks::Boxed;
use web::{Body, Caller, Cursor, Edited, FromRequest, Hub, IfMatch, Incoming, Listing, Page, Path, Prefer, Query, permit};

/// How the task goes about an order.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateQuery {
    /// Whether the task stays where it is when a step fails, so that it can be resumed there, rather than being undone.
    #[serde(default)]
    disable_rollback: bool,
}

/// Refuses at once what can be known at once; the rest is for the task, which is written with the subscription.
pub async fn create(
    hub: Hub,
    caller: Caller<permit::SubscriptionWrite>,
    prefer: Prefer,
    Query(query): Query<CreateQuery>,
    Body(new): Body<NewSubscription>,
) -> Result<Submitted> {
    if new.quantity <= Decimal::ZERO {
        return Err(Error::invalid("/quantity", "is not above zero; say how much the customer is to get"));
    }
    if new.renewal_preference.is_some() && new.term_months.is_none() {
        return Err(Error::invalid("/renewalPreference", "is said of what has a term; say its termMonths, or leave this out"));
    }
    let order = Order::new(&hub, ApprovalAction::Provision, query.disable_rollback, None, &new)?;
    let sees_drafts = caller.permissions().has(Permission::ServiceWrite);
    let demand = Demand::Provision { new: Box::new(new), sees_drafts, id: hub.id() };
    submit(&order, &hub, &caller, prefer, demand).await
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
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Subscription>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found =
        subscriptions::list(hub.db().await?, &caller.scope(), query.organization_id, query.status, page.after()?, page.rows())
            .await?;
    Listing::new(&page, found, |subscription| subscription.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Subscription>>,
) -> Result<Edited<Subscription>> {
    let value = subscriptions::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: value.version, value })
}

/// The options of every order on a subscription: which one, in which state, and how its task goes about it. One part, because the
/// reading of each would otherwise be compiled into every handler.
pub struct OrderOptions {
    id: Id<id::Subscription>,
    /// The version that the caller saw; any, if absent.
    version: Option<i64>,
    prefer: Prefer,
    disable_rollback: bool,
}

impl FromRequest for OrderOptions {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        order_options(hub, incoming).await
    }
}

fn order_options<'a>(hub: &'a Hub, incoming: &'a mut Incoming) -> Boxed<'a, OrderOptions> {
    Box::pin(async move {
        let Path(id) = Path::from_request(hub, incoming).await?;
        let IfMatch { version } = IfMatch::from_request(hub, incoming).await?;
        let prefer = Prefer::from_request(hub, incoming).await?;
        let Query(CreateQuery { disable_rollback }) = Query::from_request(hub, incoming).await?;
        Ok(OrderOptions { id, version, prefer, disable_rollback })
    })
}

impl OrderOptions {
    fn order(&self, hub: &Hub, action: ApprovalAction, request: &impl Serialize) -> Result<Order> {
        Order::new(hub, action, self.disable_rollback, self.version, request)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for OrderOptions {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        Path::<Id<id::Subscription>>::describe(operation);
        IfMatch::describe(operation);
        Prefer::describe(operation);
        Query::<CreateQuery>::describe(operation);
    }
}

pub async fn change(
    hub: Hub,
    caller: Caller<permit::Managing>,
    options: OrderOptions,
    Body(patch): Body<SubscriptionPatch>,
) -> Result<Submitted> {
    if patch.term_months.is_some() || patch.renewal_preference.is_some() {
        let pointer = if patch.term_months.is_some() { "/termMonths" } else { "/renewalPreference" };
        return Err(Error::invalid(
            pointer,
            "is said of a renewal, for the present term stays as it is: PUT /v1/subscriptions/{subscriptionId}/renewal",
        ));
    }
    let order = options.order(&hub, ApprovalAction::Change, &patch)?;
    submit(&order, &hub, &caller, options.prefer, Demand::Change(options.id, patch)).await
}

pub async fn renew(
    hub: Hub,
    caller: Caller<permit::Managing>,
    options: OrderOptions,
    Body(further): Body<FurtherTerm>,
) -> Result<Submitted> {
    let order = options.order(&hub, ApprovalAction::Renew, &further)?;
    submit(&order, &hub, &caller, options.prefer, Demand::Renew(options.id, further)).await
}

pub async fn suspend(
    hub: Hub,
    caller: Caller<permit::Managing>,
    options: OrderOptions,
    Body(reason): Body<StatusReason>,
) -> Result<Submitted> {
    let order = options.order(&hub, ApprovalAction::Suspend, &reason)?;
    submit(&order, &hub, &caller, options.prefer, Demand::Status(options.id, reason)).await
}

pub async fn resume(hub: Hub, caller: Caller<permit::Managing>, options: OrderOptions) -> Result<Submitted> {
    let reason = StatusReason::default();
    let order = options.order(&hub, ApprovalAction::Resume, &reason)?;
    submit(&order, &hub, &caller, options.prefer, Demand::Status(options.id, reason)).await
}

pub async fn terminate(
    hub: Hub,
    caller: Caller<permit::Managing>,
    options: OrderOptions,
    Body(reason): Body<StatusReason>,
) -> Result<Submitted> {
    let order = options.order(&hub, ApprovalAction::Terminate, &reason)?;
    submit(&order, &hub, &caller, options.prefer, Demand::Status(options.id, reason)).await
}
