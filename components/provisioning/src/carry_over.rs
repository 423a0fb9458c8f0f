//! Subscriptions go over to the contract that follows theirs.

use domain::Result;
use store::{
    Scope,
    jobs::{self, Job},
    subscriptions::{self, CarryOver},
};
use web::{Hub, Record};

/// How many subscriptions one run moves.
const AT_ONCE: u32 = 100;

/// Moves the subscriptions of a contract to the one that follows it, which has come into force. Run twice it finds none the
/// second time.
pub async fn carry_over(hub: Hub, job: Job, CarryOver { from, to }: CarryOver) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let moved = subscriptions::carry_over(tx, &scope, from, to, AT_ONCE).await?;
            for (subscription, customer) in &moved {
                hub.audit_change("contractId", Some(&from.to_string()), Some(&to.to_string()));
                let what = Record::of_job(job.id, *customer, "subscriptions.carry_over", subscription.to_string());
                hub.record(tx, what).await?;
            }
            if moved.len() < AT_ONCE as usize { jobs::finish(tx, &job).await } else { jobs::again(tx, &job, hub.now()).await }
        })
        .await
}
