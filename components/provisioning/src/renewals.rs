//! `/v1/subscriptions/{subscriptionId}/renewal`, `/v1/renewals`

use domain::{Error, Id, Instant, JsonSchema, Result, id, service::ServiceRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use store::{
    Tx,
    renewals::{self, Renewal},
    services,
    subscriptions::{self, Holding, Subscription, SubscriptionPatch},
};
use web::{Body, Caller, Cursor, Edited, Hub, IfMatch, Listing, Page, Path, Query, Sent, permit};

/// Which renewals to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this customer.
    organization_id: Option<Id<id::Organization>>,
    /// Only those of terms that end before this instant.
    term_ends_before: Option<Instant>,
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
) -> Result<Listing<Renewal>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let (db, scope) = (hub.db().await?, caller.scope());
    let found =
        renewals::list(db, &scope, query.organization_id, query.term_ends_before, page.after()?, page.rows(), hub.now()).await?;
    Listing::new(&page, found, |renewal| renewal.subscription_id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Subscription>>,
) -> Result<Edited<Renewal>> {
    let value = renewals::find(hub.db().await?, &caller.scope(), id, hub.now()).await?;
    Ok(Edited { version: value.version, value })
}

/// Says what is to become of a subscription when its term ends, while there is time for that.
pub async fn put(
    hub: Hub,
    caller: Caller<permit::Managing>,
    Path(id): Path<Id<id::Subscription>>,
    condition: IfMatch,
    Body(mut change): Body<SubscriptionPatch>,
) -> Result<Sent<Edited<Renewal>>> {
    let preference = change.renewal_preference.take().ok_or_else(|| {
        Error::invalid("/renewalPreference", "is missing; say AUTO to have it renewed, or CANCEL to have it end with its term")
    })?;
    if change.contract_id.is_some() {
        return Err(Error::invalid("/contractId", "is said of a change: PATCH /v1/subscriptions/{subscriptionId}"));
    }
    let text = serde_json::to_string(&change).map_err(|error| Error::fault(error.to_string()))?;
    let text = Some(text.as_str()).filter(|text| *text != "{}");
    hub.write(&caller, async |tx| {
        let found = renewals::find_to_edit(tx, &caller.scope(), id, condition.version, hub.now()).await?;
        let subscription = subscriptions::find(tx, &caller.scope(), id).await?;
        if !subscription.status.is_in_use() || found.changeable_until < hub.now() {
            return Err(Error::conflict(
                "renewal_fixed",
                format!(
                    "What becomes of the subscription, which is {}, could be said until {}. If it is renewed, it can be said of the next term.",
                    subscription.status, found.changeable_until
                ),
            ));
        }
        check_offered(tx, &subscription, &change).await?;
        hub.concerns(found.organization_id);
        hub.audit_change("renewalPreference", Some(found.renewal_preference.as_str()), Some(preference.as_str()));
        hub.audit_change("change", found.change.as_deref().map(RawValue::get), text);
        renewals::update(tx, id, preference, text, hub.now()).await?;
        let value = renewals::find(tx, &caller.scope(), id, hub.now()).await?;
        Ok(Edited { version: value.version, value })
    })
    .await
}

/// Refuses a change that the service does not offer. Whether it still does at the end of the term is found out by the task of
/// then.
async fn check_offered(tx: &Tx<'_>, now: &Subscription, change: &SubscriptionPatch) -> Result<()> {
    let to = Holding {
        plan_code: change.plan_code.clone().or_else(|| now.plan_code.clone()),
        quantity: change.quantity.unwrap_or(now.quantity),
        properties: change.properties.clone().or_else(|| now.properties.clone()),
        renews: None,
        contract_id: None,
    };
    let request = ServiceRequest { term_months: change.term_months.or(now.term_months), ..now.service_request(&to) };
    services::check_request(tx, now.service_id, true, &request).await.map(drop)
}
