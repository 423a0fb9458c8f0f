//! The end of a term: notices before it, and on its day the order that renews the subscription or terminates it.

use super::order::Order;
use crate::terms;
use chrono::TimeDelta;
use domain::{
    Result,
    approval::ApprovalAction,
    subscription::SubscriptionStatus,
    task::Subject,
    term::{RenewalPreference, next_look},
};
use serde_json::value::RawValue;
use store::{
    Scope, Tx,
    jobs::{self, Job},
    renewals::{LookAtTerm, Renewal},
    subscriptions::{Holding, Subscription, SubscriptionPatch},
    tasks,
};
use web::{Hub, Record};

/// The reason of a termination at the end of a term.
const TERM_ENDED: &str = "Its term has ended.";

/// Looks at a term: records a notice of its end; at its end, has the subscription renewed or terminated, and again a day later
/// while it is neither.
pub async fn look_at_term(hub: Hub, job: Job, LookAtTerm { subscription_id: id, term_ends_at }: LookAtTerm) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let Some((subscription, renewal)) = terms::current(tx, &hub, &scope, id).await? else {
                return jobs::finish(tx, &job).await;
            };
            // Another job looks at the term that came after it.
            let is_other_term = renewal.term_ends_at.timestamp_millis() != term_ends_at;
            if is_other_term || subscription.status == SubscriptionStatus::Terminated {
                return jobs::finish(tx, &job).await;
            }
            let over = renewal.term_ends_at <= hub.now();
            hub.audit("termEndsAt", &renewal.term_ends_at.to_string());
            hub.audit("daysLeft", &renewal.days_left.to_string());
            hub.audit("renewalPreference", renewal.renewal_preference.as_str());
            let action = if over { "renewals.end" } else { "renewals.notice" };
            hub.record(tx, Record::of_job(job.id, renewal.organization_id, action, id.to_string())).await?;
            if !over {
                return jobs::again(tx, &job, next_look(renewal.term_ends_at, hub.now())).await;
            }
            order(tx, &hub, &job, subscription, &renewal).await?;
            jobs::again(tx, &job, hub.now() + TimeDelta::days(1)).await
        })
        .await
}

/// Orders the renewal or the termination of a subscription whose term is over. While a task is at work on it, and where it is
/// neither active nor suspended, nothing is ordered. It needs no approval: what becomes of a subscription at its term's end was
/// agreed on. Whether the service still offers the renewal is found out by the task, which can say so.
async fn order(tx: &Tx<'_>, hub: &Hub, job: &Job, mut found: Subscription, renewal: &Renewal) -> Result<()> {
    let (id, ends) = (found.id, renewal.term_ends_at);
    if !tasks::unended(tx, Some(Subject::Subscription(id))).await?.is_empty() || !found.status.is_at_rest() {
        return Ok(());
    }
    let renews = renewal.renewal_preference == RenewalPreference::Auto;
    let mut order = Order::of_hub(hub, if renews { ApprovalAction::Renew } else { ApprovalAction::Terminate });
    let to = if renews {
        let change = renewal.change.as_deref().map_or("{}", RawValue::get);
        let change: SubscriptionPatch = web::read_json(change.as_bytes())?;
        Some(Holding {
            plan_code: change.plan_code.or_else(|| found.plan_code.clone()),
            quantity: change.quantity.unwrap_or(found.quantity),
            properties: change.properties.or_else(|| found.properties.clone()),
            renews: change.term_months.or(found.term_months).map(|months| (ends, months)),
            contract_id: None,
        })
    } else {
        order.request = format!("{{\"reason\":\"{TERM_ENDED}\"}}");
        found.reason = Some(TERM_ENDED.to_owned());
        None
    };
    order.begin(tx, hub, None, order.at_term_end(found, to)).await?;
    let action = if renews { "subscriptions.renew" } else { "subscriptions.terminate" };
    hub.record(tx, Record::of_job(job.id, job.organization_id, action, id.to_string())).await
}
