//! `/v1/subscriptions/{subscriptionId}/renewal`, `/v1/renewals`

use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Result, id,
    service::{Code, TermRules},
    subscription::SubscriptionStatus,
    term::{RenewalPreference, next_look},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Scope, Tx,
    jobs::{self, Job},
    renewals::{self, BeginTerm, EndTerm, LookAtTerm, RenewTerm, Renewal},
    subscriptions::{self, Subscription, SubscriptionPatch},
};
use web::{Body, Caller, Cursor, Edited, Hub, IfMatch, Listing, Page, Path, Query, Record, Sent, permit, read_json};

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
    // Asked before the transaction; what has changed meanwhile is found out when it is renewed.
    let fits = match subscriptions::find(hub.db().await?, &caller.scope(), id).await {
        Ok(now) => rules(&hub, &now, &change).await.map(drop),
        // The one answer that tells nothing is that of the renewal.
        Err(_) => Ok(()),
    };
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
        fits.clone()?;
        hub.concerns(found.organization_id);
        hub.audit_change("renewalPreference", Some(found.renewal_preference.as_str()), Some(preference.as_str()));
        hub.audit_change("change", found.change.as_deref().map(RawValue::get), text);
        renewals::update(tx, id, preference, text, hub.now()).await?;
        let value = renewals::find(tx, &caller.scope(), id, hub.now()).await?;
        Ok(Edited { version: value.version, value })
    })
    .await
}

/// What is asked of the service: what the catalogue takes as a `ServiceRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    plan_code: Option<&'a Code>,
    region: Option<&'a Code>,
    version: Option<&'a Code>,
    quantity: domain::Decimal,
    term_months: Option<u32>,
    properties: Option<&'a RawValue>,
}

/// What the plan says of terms that a subscription has after a change, if the service is offered so.
async fn rules(hub: &Hub, now: &Subscription, change: &SubscriptionPatch) -> Result<TermRules> {
    let asked = Asked {
        plan_code: change.plan_code.as_ref().or(now.plan_code.as_ref()),
        region: now.region.as_ref(),
        version: now.service_version.as_ref(),
        quantity: change.quantity.unwrap_or(now.quantity),
        term_months: change.term_months.or(now.term_months),
        properties: change.properties.as_deref().or(now.properties.as_deref()),
    };
    let answer = web::ask(hub, "catalogue", &format!("/internal/services/{}/validate", now.service_id), &asked).await?;
    read_json(&answer.body.unwrap_or_default())
}

/// The same for a subscription as it is. What the service does not offer any more is held by what was agreed on, without windows.
async fn present_rules(hub: &Hub, now: &Subscription) -> Result<TermRules> {
    match rules(hub, now, &SubscriptionPatch::default()).await {
        Err(error) if error.kind == domain::Kind::Unavailable => Err(error),
        other => Ok(other.unwrap_or_default()),
    }
}

/// Writes the first term of a subscription that has become active. Done again it changes nothing.
pub async fn begin(hub: Hub, job: Job, BeginTerm { subscription_id }: BeginTerm) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    let subscription = subscriptions::find(hub.db().await?, &scope, subscription_id).await?;
    let rules = present_rules(&hub, &subscription).await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            if renewals::insert(tx, &subscription, rules, hub.now()).await? {
                let written = renewals::find(tx, &scope, subscription.id, hub.now()).await?;
                schedule(tx, &hub, &written).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// Writes the next term of a subscription that was renewed. Done again it changes nothing.
pub async fn renewed(hub: Hub, job: Job, payload: RenewTerm) -> Result<()> {
    let RenewTerm { subscription_id, term_ends_at: ends, months } = payload;
    let scope = Scope::below(job.organization_path.clone());
    let subscription = subscriptions::find(hub.db().await?, &scope, subscription_id).await?;
    let rules = present_rules(&hub, &subscription).await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let found = renewals::find(tx, &scope, subscription.id, hub.now()).await?;
            if found.term_ends_at.timestamp_millis() == ends {
                let mut agreed = found.agreed.renewed(months);
                (agreed.cancellation_days, agreed.notice_days) = (rules.cancellation_days, rules.notice_days);
                renewals::advance(tx, subscription.id, &agreed, hub.now()).await?;
                let written = renewals::find(tx, &scope, subscription.id, hub.now()).await?;
                schedule(tx, &hub, &written).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// Writes the job that looks at a term next.
async fn schedule(tx: &Tx<'_>, hub: &Hub, renewal: &Renewal) -> Result<()> {
    let Renewal { subscription_id, term_ends_at, organization_id, .. } = *renewal;
    let look = LookAtTerm { subscription_id, term_ends_at: term_ends_at.timestamp_millis() };
    hub.enqueue_at(tx, organization_id, &look, next_look(term_ends_at, hub.now())).await
}

/// Looks at a term: says in the audit that it will end; at its end, has the subscription renewed or terminated, and again a day
/// later while it is neither.
pub async fn look(hub: Hub, job: Job, LookAtTerm { subscription_id, term_ends_at: ends }: LookAtTerm) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    let subscription = subscriptions::find(hub.db().await?, &scope, subscription_id).await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let found = renewals::find(tx, &scope, subscription.id, hub.now()).await?;
            let status = subscriptions::find(tx, &scope, subscription.id).await?.status;
            // Another job looks at the term that came after it.
            if found.term_ends_at.timestamp_millis() != ends || status == SubscriptionStatus::Terminated {
                return jobs::finish(tx, &job).await;
            }
            let over = found.term_ends_at <= hub.now();
            let renews = found.renewal_preference == RenewalPreference::Auto;
            if over {
                let none = || RawValue::from_string("{}".to_owned()).map_err(|error| Error::fault(error.to_string()));
                let change = renews.then(|| found.change.clone().map_or_else(none, Ok)).transpose()?;
                let end = EndTerm { subscription_id, term_ends_at: ends, change };
                hub.enqueue(tx, found.organization_id, &end).await?;
            }
            hub.audit("termEndsAt", &found.term_ends_at.to_string());
            hub.audit("daysLeft", &found.days_left.to_string());
            hub.audit("renewalPreference", found.renewal_preference.as_str());
            let what = Record::of_job(
                job.id,
                found.organization_id,
                if over { "renewals.end" } else { "renewals.notice" },
                subscription.id.to_string(),
            );
            hub.record(tx, what).await?;
            let again = if over { hub.now() + TimeDelta::days(1) } else { next_look(found.term_ends_at, hub.now()) };
            jobs::again(tx, &job, again).await
        })
        .await
}
