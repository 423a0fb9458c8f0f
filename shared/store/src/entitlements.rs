//! Entitlements: what the driver `builtin` provisions.

use crate::{Scope, Tx, params, subscriptions::Subscription};
use domain::{Id, Instant, Result, id};

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
