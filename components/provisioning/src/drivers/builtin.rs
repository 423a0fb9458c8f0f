//! The driver `builtin`: the hub itself records that the customer is entitled to the service.

use super::{Call, Driver};
use domain::{Decimal, Result, subscription::SubscriptionStatus, task::Outcome};
use store::{entitlements, jobs, subscriptions::Holding};

pub struct Builtin;

/// What is to become of the entitlement.
enum Entitlement {
    Insert,
    Delete,
    Restore,
    Quantity(Decimal),
    Suspended(bool),
}

impl Driver for Builtin {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, Entitlement::Insert).await
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, Entitlement::Delete).await
    }

    async fn restore(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, Entitlement::Restore).await
    }

    async fn change(&self, call: &Call<'_>, _: &Holding, to: &Holding) -> Result<Outcome> {
        write(call, Entitlement::Quantity(to.quantity)).await
    }

    async fn suspend(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, Entitlement::Suspended(true)).await
    }

    async fn resume(&self, call: &Call<'_>) -> Result<Outcome> {
        write(call, Entitlement::Suspended(false)).await
    }
}

/// All in one function, so that the transaction is compiled once.
async fn write(call: &Call<'_>, what: Entitlement) -> Result<Outcome> {
    let (subscription, now) = (call.subscription, call.hub.now());
    let db = call.hub.db().await?;
    db.in_transaction(async |tx| {
        // Without this a runner that was overtaken could entitle a customer whose task has been undone meanwhile.
        jobs::hold(tx, call.job).await?;
        if matches!(what, Entitlement::Insert | Entitlement::Restore) {
            entitlements::insert(tx, subscription, now).await?;
        }
        match what {
            Entitlement::Insert => Ok(()),
            Entitlement::Delete => entitlements::delete(tx, call.scope, subscription.id).await,
            Entitlement::Restore => {
                let suspended = subscription.before() == SubscriptionStatus::Suspended;
                entitlements::set_suspended(tx, subscription.id, suspended).await
            }
            Entitlement::Quantity(quantity) => entitlements::set_quantity(tx, subscription.id, quantity).await,
            Entitlement::Suspended(suspended) => entitlements::set_suspended(tx, subscription.id, suspended).await,
        }
    })
    .await?;
    Ok(Outcome::Done)
}
