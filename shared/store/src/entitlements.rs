//! Entitlements: what the driver `builtin` provisions.

use crate::{Scope, Tx, params, subscriptions::Subscription};
use domain::{Decimal, Id, Instant, Result, id};

/// Records that a customer is entitled to what it subscribed to, which the caller has found within its scope. Done
/// again it changes nothing.
pub async fn insert(tx: &Tx<'_>, subscription: &Subscription, now: Instant) -> Result<()> {
    tx.exec(
        "INSERT INTO entitlements (subscription_id, organization_id, service_id, quantity, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (subscription_id) DO NOTHING",
        params![subscription.id, subscription.organization_id, subscription.service_id, subscription.quantity, now],
    )
    .await
}

/// Makes the entitlement to a subscription, which the caller has found within its scope, one to so much.
pub async fn set_quantity(tx: &Tx<'_>, subscription_id: Id<id::Subscription>, quantity: Decimal) -> Result<()> {
    tx.exec("UPDATE entitlements SET quantity = ?2 WHERE subscription_id = ?1", params![subscription_id, quantity]).await
}

/// Says whether the customer is not to have, for a while, what it is entitled to by a subscription, which the caller has found
/// within its scope.
pub async fn set_suspended(tx: &Tx<'_>, subscription_id: Id<id::Subscription>, suspended: bool) -> Result<()> {
    tx.exec("UPDATE entitlements SET suspended = ?2 WHERE subscription_id = ?1", params![subscription_id, i64::from(suspended)])
        .await
}

/// Takes an entitlement within the scope away. Done again it changes nothing.
pub async fn delete(tx: &Tx<'_>, scope: &Scope, subscription_id: Id<id::Subscription>) -> Result<()> {
    let values = scope.after(params![subscription_id]);
    tx.exec(
        "DELETE FROM entitlements WHERE subscription_id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?2 AND path < ?3)",
        values,
    )
    .await
}
