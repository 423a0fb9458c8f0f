//! The driver `builtin`: the hub itself records that the customer is entitled to the service.

use super::{Call, Driver};
use domain::{Result, task::Outcome};
use store::{entitlements, jobs};

pub struct Builtin;

impl Driver for Builtin {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        let db = call.hub.db().await?;
        db.in_transaction(async |tx| {
            // Without this a runner that was overtaken could entitle a customer whose task has been undone meanwhile.
            jobs::hold(tx, call.job).await?;
            entitlements::insert(tx, call.subscription, call.hub.now()).await
        })
        .await?;
        Ok(Outcome::Done)
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        let db = call.hub.db().await?;
        db.in_transaction(async |tx| {
            jobs::hold(tx, call.job).await?;
            entitlements::delete(tx, call.scope, call.subscription.id).await
        })
        .await?;
        Ok(Outcome::Done)
    }
}
