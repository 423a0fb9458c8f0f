//! Environments, and the machines that the target BUILTIN has deployed for them.

use crate::{Db, Row, Scope, Tx, data_centers::find_use, params, plans::Plan, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Kind, Result,
    data_center::{DataCenterStatus, DataCenterType, Target},
    environment::EnvironmentStatus,
    form::written,
    id,
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// An environment. Its secrets are shown to nobody.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Its id.
    pub id: Id<id::Environment>,
    /// Whose it is.
    pub organization_id: Id<id::Organization>,
    /// Its short name, unique in the organization.
    pub code: String,
    /// The name it is known by.
    pub name: String,
    /// Where it stands.
    pub status: EnvironmentStatus,
    /// Its products, with `********` where a secret stands. Empty until it was deployed or taken over.
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    pub products: Box<RawValue>,
    /// The task that works on it, or did so last.
    pub task_id: Id<id::Task>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Counts its edits.
    #[serde(skip)]
    pub version: i64,
}

const COLUMNS: &str =
    "e.id, e.organization_id, e.code, e.name, e.status, e.products, e.task_id, e.created_at, e.updated_at, e.version";
const FROM: &str = "environments e JOIN organizations o ON o.id = e.organization_id";

fn read(row: &mut Row) -> Result<Environment> {
    Ok(Environment {
        id: row.take()?,
        organization_id: row.take()?,
        code: row.take()?,
        name: row.take()?,
        status: row.take()?,
        products: json(row.take()?)?,
        task_id: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
    })
}

/// A column of JSON, as it is shown.
pub(crate) fn json(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| Error::fault(format!("a column of JSON: {error}")))
}

/// One environment within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Environment>) -> Result<Environment> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE e.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("environment_not_found", "environment", id))
}

/// One environment within the scope, and its secrets, sealed for its id.
pub async fn find_with_secrets(db: &Db, scope: &Scope, id: Id<id::Environment>) -> Result<(Environment, Option<String>)> {
    let values = scope.after(params![id]);
    let sql = format!("SELECT {COLUMNS}, e.secrets FROM {FROM} WHERE e.id = ?1 AND o.path >= ?2 AND o.path < ?3");
    let found = db.query_opt(&sql, values, |row| Ok((read(row)?, row.take()?))).await?;
    found.ok_or_else(|| Error::not_found("environment_not_found", "environment", id))
}

/// A page of the environments within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization_id: Option<Id<id::Organization>>,
    after: Option<Id<id::Environment>>,
    limit: u32,
) -> Result<Vec<Environment>> {
    // A filter that is there is a plain equation: only of such a one an index is used.
    let exact = if organization_id.is_some() { "e.organization_id = ?1" } else { "(e.organization_id = ?1 OR ?1 IS NULL)" };
    let values = scope.after(params![organization_id, start(after), limit]);
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE {exact} AND e.id > ?2 AND o.path >= ?4 AND o.path < ?5 ORDER BY e.id LIMIT ?3"
    );
    db.query_all(&sql, values, read).await
}

/// Refuses a code that an environment of the organization has. Whose organization it is was found by the caller.
pub async fn check_code(db: &Db, organization_id: Id<id::Organization>, code: &str) -> Result<()> {
    let sql = "SELECT id FROM environments WHERE organization_id = ?1 AND code = ?2";
    let taken: Option<Id<id::Environment>> = db.query_opt(sql, params![organization_id, code], |row| row.take()).await?;
    match taken {
        None => Ok(()),
        Some(id) => Err(Error::conflict(
            "environment_code_taken",
            format!(
                "The environment {id} has the code {code} already, and is not overwritten. To replace what it is, read it and send this with replaceExisting=true and its ETag as If-Match; or choose another code."
            ),
        )),
    }
}

/// The environment within the scope that has this code in an organization, if there is one.
pub async fn find_by_code(
    db: &Db,
    scope: &Scope,
    organization_id: Id<id::Organization>,
    code: &str,
) -> Result<Option<Id<id::Environment>>> {
    let values = scope.after(params![organization_id, code]);
    let sql = format!("SELECT e.id FROM {FROM} WHERE e.organization_id = ?1 AND e.code = ?2 AND o.path >= ?3 AND o.path < ?4");
    db.query_opt(&sql, values, |row| row.take()).await
}

/// Refuses an edit of another version than the present one.
pub fn check_version(found: &Environment, version: Option<i64>) -> Result<()> {
    if version.is_none_or(|version| version == found.version) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Stale,
        "stale",
        "The environment was changed since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match.",
    ))
}

/// Refuses a plan that was made for another state of the environment than there is. One that was to make the environment finds it as
/// it was written down then.
pub fn check_planned(found: &Environment, plan: &Plan) -> Result<()> {
    check_version(found, Some(plan.seen_version.max(FIRST_VERSION)))
}

/// The version of an environment that was never deployed.
const FIRST_VERSION: i64 = 1;

/// Writes the environment that a plan is to make: with no products yet.
pub async fn insert(tx: &Tx<'_>, plan: &Plan, task_id: Id<id::Task>, now: Instant) -> Result<()> {
    tx.exec(
        "INSERT INTO environments (id, organization_id, code, name, status, products, task_id, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 'DEPLOYING', '[]', ?5, ?7, ?6, ?6)",
        params![plan.environment_id, plan.organization_id, plan.code, plan.name, task_id, now, FIRST_VERSION],
    )
    .await
}

/// Names the task that works on an environment, which the caller found within its scope.
pub async fn set_task(tx: &Tx<'_>, id: Id<id::Environment>, task_id: Id<id::Task>) -> Result<()> {
    tx.exec("UPDATE environments SET task_id = ?2 WHERE id = ?1", params![id, task_id]).await
}

/// Changes where an environment within the scope stands; one that is gone stays so.
pub async fn set_status(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::Environment>,
    status: EnvironmentStatus,
    now: Instant,
) -> Result<()> {
    let values = scope.after(params![id, status, now]);
    tx.exec(
        "UPDATE environments SET status = ?2, updated_at = ?3 WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?4 AND path < ?5)",
        values,
    )
    .await
}

/// Makes of an environment within the scope what a plan says.
pub async fn record(tx: &Tx<'_>, scope: &Scope, plan: &Plan, now: Instant) -> Result<()> {
    let values = scope.after(params![plan.environment_id, plan.id, now]);
    let of = |column: &str| format!("{column} = (SELECT p.{column} FROM plans p WHERE p.id = ?2)");
    let sql = format!(
        "UPDATE environments SET {}, {}, {}, status = 'ACTIVE', version = version + 1, updated_at = ?3 WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?4 AND path < ?5)",
        of("name"),
        of("products"),
        of("secrets")
    );
    tx.exec(&sql, values).await
}

/// Removes an environment within the scope, and whatever was noted for it. Done again it changes nothing.
pub async fn delete(tx: &Tx<'_>, scope: &Scope, id: Id<id::Environment>) -> Result<()> {
    tx.exec("DELETE FROM environment_data_centers WHERE environment_id = ?1", params![id]).await?;
    tx.exec("DELETE FROM machines WHERE environment_id = ?1", params![id]).await?;
    let values = scope.after(params![id]);
    tx.exec(
        "DELETE FROM environments WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?2 AND path < ?3)",
        values,
    )
    .await
}

/// The data center components that products name, with the place of each.
fn components(products: &Value) -> impl Iterator<Item = (usize, &str)> {
    let products = products.as_array().map(Vec::as_slice).unwrap_or_default();
    products.iter().enumerate().filter_map(|(at, product)| Some((at, product["dataCenterId"].as_str()?)))
}

/// Refuses products of which one names a component that is no registered vCenter within the scope.
pub async fn check_components(db: &Db, scope: &Scope, products: &Value) -> Result<()> {
    for (at, text) in components(products) {
        let pointer = || format!("/products/{at}/dataCenterId");
        let id: Id<id::DataCenter> = text.parse().map_err(|error: id::NotAnId| Error::invalid(pointer(), error.to_string()))?;
        let (component_type, status, _) = find_use(db, scope, id).await?;
        if component_type != DataCenterType::Vcenter {
            return Err(Error::invalid(pointer(), format!("is a {component_type}; products are deployed to a VCENTER")));
        }
        if status != DataCenterStatus::Registered {
            return Err(Error::invalid(pointer(), format!("is {status}; products are deployed to one that is REGISTERED")));
        }
    }
    Ok(())
}

/// Writes that an environment uses the components that products name: from now on they cannot be removed.
pub async fn link(tx: &Tx<'_>, id: Id<id::Environment>, products: &Value) -> Result<()> {
    for (_, component) in components(products) {
        let sql = "INSERT INTO environment_data_centers (environment_id, data_center_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        tx.exec(sql, params![id, component]).await?;
    }
    Ok(())
}

/// Writes that an environment uses the components that products name, and no others.
pub async fn relink(tx: &Tx<'_>, id: Id<id::Environment>, products: &Value) -> Result<()> {
    tx.exec("DELETE FROM environment_data_centers WHERE environment_id = ?1", params![id]).await?;
    link(tx, id, products).await
}

/// Whether one of the components that an environment uses, or is to use, is reached so.
pub async fn uses(db: &Db, scope: &Scope, products: [&Value; 2], target: Target) -> Result<bool> {
    for (_, component) in products.into_iter().flat_map(components) {
        let Ok(id) = component.parse() else { continue };
        if find_use(db, scope, id).await?.2 == target {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the machines of an environment those that products say. Done again it changes nothing.
pub async fn set_machines(tx: &Tx<'_>, id: Id<id::Environment>, products: &Value) -> Result<()> {
    tx.exec("DELETE FROM machines WHERE environment_id = ?1", params![id]).await?;
    for product in products.as_array().map(Vec::as_slice).unwrap_or_default() {
        for node in product["nodes"].as_array().map(Vec::as_slice).unwrap_or_default() {
            tx.exec(
                "INSERT INTO machines (environment_id, host_name, product_id, node, certificate) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id, node["hostName"].as_str(), product["productId"].as_str(), written(node), thumbprint(product)],
            )
            .await?;
        }
    }
    Ok(())
}

/// Has a machine of an environment replaced for a task; what it replaces is kept in mind. Done again it changes nothing.
pub async fn replace_machine(tx: &Tx<'_>, id: Id<id::Environment>, host_name: &str, task_id: Id<id::Task>) -> Result<()> {
    tx.exec(
        "UPDATE machines SET replaces = COALESCE(deployed_by, ''), deployed_by = ?3
         WHERE environment_id = ?1 AND host_name = ?2 AND COALESCE(deployed_by, '') <> ?3",
        params![id, host_name, task_id],
    )
    .await
}

/// Brings the machines back that were replaced for a task. Done again it changes nothing.
pub async fn bring_machines_back(tx: &Tx<'_>, id: Id<id::Environment>, task_id: Id<id::Task>) -> Result<()> {
    tx.exec(
        "UPDATE machines SET deployed_by = NULLIF(replaces, ''), replaces = NULL
         WHERE environment_id = ?1 AND deployed_by = ?2 AND replaces IS NOT NULL",
        params![id, task_id],
    )
    .await
}

/// Takes the machines of an environment away that were replaced for a task: there is no way back to them any more.
pub async fn discard_replaced(tx: &Tx<'_>, id: Id<id::Environment>, task_id: Id<id::Task>) -> Result<()> {
    tx.exec("UPDATE machines SET replaces = NULL WHERE environment_id = ?1 AND deployed_by = ?2", params![id, task_id]).await
}

/// How many machines of an environment were deployed in the place of others, for a task.
pub async fn count_replaced(db: &Db, id: Id<id::Environment>, task_id: Id<id::Task>) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM machines WHERE environment_id = ?1 AND deployed_by = ?2";
    Ok(db.query_opt(sql, params![id, task_id], |row| row.take()).await?.unwrap_or_default())
}

/// How many machines there are of an environment.
pub async fn count_machines(db: &Db, id: Id<id::Environment>) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM machines WHERE environment_id = ?1";
    Ok(db.query_opt(sql, params![id], |row| row.take()).await?.unwrap_or_default())
}

/// The thumbprint of a product's certificate, if it has one.
fn thumbprint(product: &Value) -> Option<&str> {
    product["certificate"]["thumbprint"].as_str()
}

/// Whether the machines of an environment have the certificates that products say, and no others.
pub async fn has_certificates(db: &Db, id: Id<id::Environment>, products: &Value) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM machines WHERE environment_id = ?1 AND product_id = ?2 AND COALESCE(certificate, '') <> ?3";
    for product in products.as_array().map(Vec::as_slice).unwrap_or_default() {
        let values = params![id, product["productId"].as_str(), thumbprint(product).unwrap_or_default()];
        if db.query_opt(sql, values, |row| row.take::<i64>()).await?.unwrap_or_default() > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
