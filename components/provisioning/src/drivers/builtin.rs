//! The driver `builtin`: the hub itself records that the customer is entitled to the service.

use super::{Call, Driver};
use domain::{Result, subscription::SubscriptionStatus, task::Outcome};
use store::{Tx, entitlements, jobs, subscriptions::Holding};

pub struct Builtin;

impl Driver for Builtin {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, async |tx| entitlements::insert(tx, call.subscription, call.hub.now()).await).await
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, async |tx| entitlements::delete(tx, call.scope, call.subscription.id).await).await
    }

    async fn restore(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, async |tx| {
            entitlements::insert(tx, call.subscription, call.hub.now()).await?;
            let suspended = call.subscription.before() == SubscriptionStatus::Suspended;
            entitlements::set_suspended(tx, call.subscription.id, suspended).await
        })
        .await
    }

    async fn change(&self, call: &Call<'_>, _: &Holding, to: &Holding) -> Result<Outcome> {
        write(call, async |tx| entitlements::set_quantity(tx, call.subscription.id, to.quantity).await).await
    }

    async fn suspend(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, async |tx| entitlements::set_suspended(tx, call.subscription.id, true).await).await
    }

    async fn resume(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, async |tx| entitlements::set_suspended(tx, call.subscription.id, false).await).await
    }
}

/// Without the claim a runner that was overtaken could entitle a customer whose task has been undone meanwhile.
async fn write(call: &Call<'_>, work: impl AsyncFn(&Tx<'_>) -> Result<()>) -> Result<Outcome> {
    let db = call.hub.db().await?;
    db.in_transaction(async |tx| {
        jobs::hold(tx, call.job).await?;
        work(tx).await
    })
    .await?;
    Ok(Outcome::Done)
}
