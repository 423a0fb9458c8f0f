//! Service bindings: ways into the services that customers have, each with credentials of its own.

use crate::{Db, Row, Scope, Tx, access_levels, job_payload, params, value::start};
use domain::{Error, Id, Instant, JsonSchema, Result, Text, id, service_broker::ServiceBindingStatus};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

job_payload! {
    /// Removes a service binding that went with the service instance that it was of.
    ForgetServiceBinding {
        /// The binding.
        service_binding_id: Id<id::ServiceBinding>
    } queue "provisioning" kind "service_bindings.forget"
}

/// A service binding as it is shown: never with its credentials, which have a route of their own.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceBinding {
    /// Its id.
    pub id: Id<id::ServiceBinding>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// What it is a way into.
    pub subscription_id: Id<id::Subscription>,
    /// Its name, unique for the subscription.
    pub name: String,
    /// Where it stands.
    pub status: ServiceBindingStatus,
    /// The task that works on it, or did so last.
    pub task_id: Id<id::Task>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// What the broker is to be told, sealed.
    #[serde(skip)]
    pub parameters: Option<String>,
}

/// What is said of a service binding that is to be made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewServiceBinding {
    /// What it is to be a way into: an ACTIVE subscription to a service of a service broker.
    pub subscription_id: Id<id::Subscription>,
    /// Its name, unique for the subscription.
    pub name: Text<1, 80>,
    /// What the broker is to be told: an object, of at most 64 KiB.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub parameters: Option<Box<RawValue>>,
}

const COLUMNS: &str =
    "b.id, b.organization_id, b.subscription_id, b.name, b.status, b.task_id, b.created_at, b.updated_at, b.parameters";
/// A binding belongs to its customer, so whoever is above the customer sees it.
const FROM: &str = "service_bindings b JOIN organizations o ON o.id = b.organization_id";

fn read(row: &mut Row) -> Result<ServiceBinding> {
    Ok(ServiceBinding {
        id: row.take()?,
        organization_id: row.take()?,
        subscription_id: row.take()?,
        name: row.take()?,
        status: row.take()?,
        task_id: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        parameters: row.take()?,
    })
}

/// Writes a service binding, of a subscription that the caller has found. One of that name that failed makes room.
pub async fn insert(tx: &Tx<'_>, new: &ServiceBinding) -> Result<()> {
    let sql = "DELETE FROM service_bindings WHERE subscription_id = ?1 AND name = ?2 AND status = 'FAILED'";
    tx.exec(sql, params![new.subscription_id, new.name]).await?;
    let inserted: Option<String> = tx
        .query_opt(
            "INSERT INTO service_bindings (id, organization_id, subscription_id, name, status, task_id, created_at, updated_at,
                 parameters) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8) ON CONFLICT DO NOTHING RETURNING id",
            params![
                new.id,
                new.organization_id,
                new.subscription_id,
                new.name,
                new.status,
                new.task_id,
                new.created_at,
                new.parameters
            ],
            |row| row.take(),
        )
        .await?;
    inserted.map(drop).ok_or_else(|| {
        Error::conflict(
            "service_binding_name_taken",
            format!("The subscription has a service binding {} already. Use that one, or choose another name.", new.name),
        )
    })
}

/// One service binding within the scope. Refused where the caller sees it, and their access level is too low for the request.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::ServiceBinding>) -> Result<ServiceBinding> {
    let mut values = scope.after(params![id]);
    let seen = scope.sees("b.organization_id", "b.subscription_id", &mut values);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE b.id = ?1 AND o.path >= ?2 AND o.path < ?3{seen}");
    let found = db.query_opt(&sql, values, read).await?;
    let found = found.ok_or_else(|| Error::not_found("service_binding_not_found", "service binding", id))?;
    access_levels::check(db, scope, found.subscription_id).await?;
    Ok(found)
}

/// The service binding within the scope that a task works on; none when it is gone.
pub async fn of_task(db: &Db, scope: &Scope, task_id: Id<id::Task>) -> Result<Option<ServiceBinding>> {
    let values = scope.after(params![task_id]);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE b.task_id = ?1 AND o.path >= ?2 AND o.path < ?3");
    db.query_opt(&sql, values, read).await
}

/// A page of the service bindings within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    subscription_id: Option<Id<id::Subscription>>,
    after: Option<Id<id::ServiceBinding>>,
    limit: u32,
) -> Result<Vec<ServiceBinding>> {
    let mut values = scope.after(params![subscription_id, start(after), limit]);
    let seen = scope.sees("b.organization_id", "b.subscription_id", &mut values);
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE o.path >= ?4 AND o.path < ?5 AND (b.subscription_id = ?1 OR ?1 IS NULL) AND b.id > ?2{seen}
         ORDER BY b.id LIMIT ?3"
    );
    db.query_all(&sql, values, read).await
}

/// Moves a service binding that the caller has found, for a task if it is another's.
pub async fn set_status(
    tx: &Tx<'_>,
    id: Id<id::ServiceBinding>,
    status: ServiceBindingStatus,
    task_id: Id<id::Task>,
    now: Instant,
) -> Result<()> {
    let sql = "UPDATE service_bindings SET status = ?2, task_id = ?3, updated_at = ?4 WHERE id = ?1";
    tx.exec(sql, params![id, status, task_id, now]).await
}

/// Removes a service binding; removed again it is still not there.
pub async fn delete(tx: &Tx<'_>, id: Id<id::ServiceBinding>) -> Result<()> {
    tx.exec("DELETE FROM service_bindings WHERE id = ?1", params![id]).await
}
