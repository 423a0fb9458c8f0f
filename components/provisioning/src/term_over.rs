//! What a term's end brings.

use asks::Ask;
use domain::{Error, Instant, Result, approval::ApprovalAction, task::Subject};
use store::{
    Scope,
    jobs::{self, Job},
    renewals::EndTerm,
    subscriptions::{self, Holding, SubscriptionPatch},
    tasks,
};
use web::{Hub, Record};

/// Why a subscription is terminated whose term is over.
const OVER: &str = "Its term has ended.";

/// At the end of a term, renews a subscription or terminates it. While a task is at work on it, it does neither: it is asked
/// again a day later. Nobody has to approve it: what is to be at a term's end was agreed on.
pub async fn term_over(hub: Hub, job: Job, EndTerm { subscription_id: id, term_ends_at, change }: EndTerm) -> Result<()> {
    let out_of_range = || Error::malformed("job_payload", "The job's payload has no instant.");
    let ends = Instant::from_timestamp_millis(term_ends_at).ok_or_else(out_of_range)?;
    // Whether the service is offered so still is looked at by the task, which can say so.
    let patch = change.map(|change| web::read_json::<SubscriptionPatch>(change.get().as_bytes())).transpose()?;
    let action = if patch.is_some() { ApprovalAction::Renew } else { ApprovalAction::Terminate };
    let (mut ask, scope) = (Ask::of(&hub, action), Scope::below(job.organization_path.clone()));
    if patch.is_none() {
        ask.request = format!("{{\"reason\":\"{OVER}\"}}");
    }
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
                contract_id: None,
            });
            if to.is_none() {
                found.reason = Some(OVER.to_owned());
            }
            ask.begin(tx, &hub, None, ask.ready(found, to)).await?;
            let action = if patch.is_some() { "subscriptions.renew" } else { "subscriptions.terminate" };
            let what = Record::of_job(job.id, job.organization_id, action, id.to_string());
            hub.record(tx, what).await?;
            jobs::finish(tx, &job).await
        })
        .await
}
