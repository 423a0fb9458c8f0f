//! Terms of subscriptions: the first is written when a subscription becomes active, the next when it is renewed, each in the
//! transaction that does so.

use domain::{Id, Instant, Kind, Result, id, service::TermRules, term::next_look};
use store::{
    Scope, Tx,
    renewals::{self, LookAtTerm, Renewal},
    services,
    subscriptions::{self, Subscription},
};
use web::Hub;

/// Writes the first term of a subscription that has become active, if it has terms. Done again it changes nothing.
pub async fn begin(tx: &Tx<'_>, hub: &Hub, scope: &Scope, id: Id<id::Subscription>) -> Result<()> {
    let subscription = subscriptions::find(tx, scope, id).await?;
    let rules = rules(tx, &subscription).await?;
    if renewals::insert(tx, &subscription, rules, hub.now()).await? {
        schedule(tx, hub, scope, id).await?;
    }
    Ok(())
}

/// Writes the term after the one that `ends` then, of so many months, of a subscription that was renewed. Done again it changes
/// nothing.
pub async fn renew(tx: &Tx<'_>, hub: &Hub, scope: &Scope, renewed: &Subscription, ends: Instant, months: u32) -> Result<()> {
    let found = renewals::find(tx, scope, renewed.id, hub.now()).await?;
    if found.term_ends_at != ends {
        return Ok(());
    }
    let mut agreed = found.agreed.renewed(months);
    let TermRules { cancellation_days, notice_days } = rules(tx, renewed).await?;
    (agreed.cancellation_days, agreed.notice_days) = (cancellation_days, notice_days);
    renewals::advance(tx, renewed.id, &agreed, hub.now()).await?;
    schedule(tx, hub, scope, renewed.id).await
}

/// A subscription and its present term; `None` where it has no terms.
///
/// Hubs before step 34 of the schema wrote terms by jobs of their own. Those that were open then have become jobs that look at
/// the term, so a term that is not written yet, or not moved on, is so here.
pub async fn current(tx: &Tx<'_>, hub: &Hub, scope: &Scope, id: Id<id::Subscription>) -> Result<Option<(Subscription, Renewal)>> {
    let subscription = subscriptions::find(tx, scope, id).await?;
    begin(tx, hub, scope, id).await?;
    let renewal = match renewals::find(tx, scope, id, hub.now()).await {
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        found => found?,
    };
    let behind = subscription.renewed_after.filter(|after| *after == renewal.term_ends_at).zip(subscription.term_months);
    let Some((ends, months)) = behind else { return Ok(Some((subscription, renewal))) };
    renew(tx, hub, scope, &subscription, ends, months).await?;
    Ok(Some((subscription, renewals::find(tx, scope, id, hub.now()).await?)))
}

/// The term rules that a subscription's plan has now. Where the service does not offer it so any more, what was agreed on holds,
/// without windows.
async fn rules(tx: &Tx<'_>, subscription: &Subscription) -> Result<TermRules> {
    let request = subscription.service_request(&subscription.holding());
    match services::check_request(tx, subscription.service_id, true, &request).await {
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        other => Ok(other.unwrap_or_default()),
    }
}

/// Writes the job that looks at the present term next.
async fn schedule(tx: &Tx<'_>, hub: &Hub, scope: &Scope, id: Id<id::Subscription>) -> Result<()> {
    let Renewal { term_ends_at, organization_id, .. } = renewals::find(tx, scope, id, hub.now()).await?;
    let look = LookAtTerm { subscription_id: id, term_ends_at: term_ends_at.timestamp_millis() };
    hub.enqueue_at(tx, organization_id, &look, next_look(term_ends_at, hub.now())).await
}
