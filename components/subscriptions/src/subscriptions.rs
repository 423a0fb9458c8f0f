//! `/v1/subscriptions`

use crate::ask::{Begun, send};
use asks::{Ask, Further, What, Why};
use domain::{
    Decimal, Error, Id, JsonSchema, Permission, Result, approval::ApprovalAction, id, subscription::SubscriptionStatus,
};
use serde::{Deserialize, Serialize};
use store::subscriptions::{self, NewSubscription, Subscription, SubscriptionPatch};
use tasks::Boxed;
use web::{Body, Caller, Cursor, Edited, FromRequest, Hub, IfMatch, Incoming, Listing, Page, Path, Prefer, Query, permit};

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
) -> Result<Begun> {
    if new.quantity <= Decimal::ZERO {
        return Err(Error::invalid("/quantity", "is not above zero; say how much the customer is to get"));
    }
    if new.renewal_preference.is_some() && new.term_months.is_none() {
        return Err(Error::invalid("/renewalPreference", "is said of what has a term; say its termMonths, or leave this out"));
    }
    let drafts = caller.permissions().has(Permission::ServiceWrite);
    let ask = Ask::new(&hub, ApprovalAction::Provision, query.disable_rollback, None, &new)?;
    let what = What::provision(&hub, new, drafts).await;
    send(&ask, &hub, &caller, prefer, what).await
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

impl Asking {
    fn ask(&self, hub: &Hub, action: ApprovalAction, request: &impl Serialize) -> Result<Ask> {
        Ask::new(hub, action, self.disable_rollback, self.version, request)
    }
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
    caller: Caller<permit::Managing>,
    asking: Asking,
    Body(patch): Body<SubscriptionPatch>,
) -> Result<Begun> {
    if patch.term_months.is_some() || patch.renewal_preference.is_some() {
        let pointer = if patch.term_months.is_some() { "/termMonths" } else { "/renewalPreference" };
        return Err(Error::invalid(
            pointer,
            "is said of a renewal, for the present term stays as it is: PUT /v1/subscriptions/{subscriptionId}/renewal",
        ));
    }
    let ask = asking.ask(&hub, ApprovalAction::Change, &patch)?;
    let what = What::change(&hub, &caller.scope(), asking.id, patch).await;
    send(&ask, &hub, &caller, asking.prefer, what).await
}

pub async fn renew(hub: Hub, caller: Caller<permit::Managing>, asking: Asking, Body(further): Body<Further>) -> Result<Begun> {
    let ask = asking.ask(&hub, ApprovalAction::Renew, &further)?;
    let what = What::renew(&hub, &caller.scope(), asking.id, further.term_months).await;
    send(&ask, &hub, &caller, asking.prefer, what).await
}

pub async fn suspend(hub: Hub, caller: Caller<permit::Managing>, asking: Asking, Body(why): Body<Why>) -> Result<Begun> {
    let ask = asking.ask(&hub, ApprovalAction::Suspend, &why)?;
    send(&ask, &hub, &caller, asking.prefer, What::Why(asking.id, why)).await
}

pub async fn resume(hub: Hub, caller: Caller<permit::Managing>, asking: Asking) -> Result<Begun> {
    let why = Why::default();
    let ask = asking.ask(&hub, ApprovalAction::Resume, &why)?;
    send(&ask, &hub, &caller, asking.prefer, What::Why(asking.id, why)).await
}

pub async fn terminate(hub: Hub, caller: Caller<permit::Managing>, asking: Asking, Body(why): Body<Why>) -> Result<Begun> {
    let ask = asking.ask(&hub, ApprovalAction::Terminate, &why)?;
    send(&ask, &hub, &caller, asking.prefer, What::Why(asking.id, why)).await
}
