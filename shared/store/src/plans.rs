//! Plans: what changes of environments come to.

use crate::{Db, Row, Scope, Tx, environments::json, params, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result,
    environment::{PlanStatus, replaced},
    form, id,
    task::TaskType,
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// What a change of an environment comes to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its id.
    pub id: Id<id::Plan>,
    /// Whose it is.
    pub organization_id: Id<id::Organization>,
    /// The environment that it changes. It need not be there yet, or any more.
    pub environment_id: Id<id::Environment>,
    /// What kind of change it is.
    pub task_type: TaskType,
    /// Where it stands.
    pub status: PlanStatus,
    /// The version of the environment (its ETag) that it was made for; 0 where there was none.
    pub seen_version: i64,
    /// The environment's short name.
    pub code: String,
    /// The name that it is to be known by.
    pub name: String,
    /// What would be created, changed, destroyed and replaced: `pointer`, `action` (CREATED, CHANGED, DESTROYED, REPLACED), `before`
    /// and `after`. What is replaced is another machine for the same node.
    /// Products are known by their ids and nodes by their host names; secrets are not compared.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub changes: Box<RawValue>,
    /// The task that carries it out.
    pub task_id: Option<Id<id::Task>>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was approved.
    pub approved_at: Option<Instant>,
    /// Whether the task that carries it out goes on where its validation finds faults.
    pub ignore_validation: bool,
    /// Whether the task that carries it out keeps nothing to go back to.
    pub disable_backup: bool,
    /// The products as they are to be.
    #[serde(skip)]
    pub products: String,
    /// Their secrets, sealed for the environment's id.
    #[serde(skip)]
    pub secrets: Option<String>,
}

impl Plan {
    /// The products as they are to be.
    pub fn products(&self) -> Result<Value> {
        form::read(self.products.as_bytes()).map_err(|error| Error::fault(format!("the products of a plan: {error}")))
    }

    /// The host names of the nodes whose machines are replaced.
    pub fn replaced(&self) -> Result<Vec<String>> {
        let changes = form::read(self.changes.get().as_bytes());
        let changes = changes.map_err(|error| Error::fault(format!("the changes of a plan: {error}")))?;
        Ok(replaced(&changes).into_iter().map(str::to_owned).collect())
    }
}

const COLUMNS: &str = "p.id, p.organization_id, p.environment_id, p.task_type, p.status, p.seen_version, p.code, p.name, p.changes, p.task_id, p.created_at, p.approved_at, p.ignore_validation, p.disable_backup, p.products, p.secrets";
const FROM: &str = "plans p JOIN organizations o ON o.id = p.organization_id";

fn read(row: &mut Row) -> Result<Plan> {
    Ok(Plan {
        id: row.take()?,
        organization_id: row.take()?,
        environment_id: row.take()?,
        task_type: row.take()?,
        status: row.take()?,
        seen_version: row.take()?,
        code: row.take()?,
        name: row.take()?,
        changes: json(row.take()?)?,
        task_id: row.take()?,
        created_at: row.take()?,
        approved_at: row.take()?,
        ignore_validation: row.take::<i64>()? != 0,
        disable_backup: row.take::<i64>()? != 0,
        products: row.take()?,
        secrets: row.take()?,
    })
}

/// Writes a plan. Whose it is was found by the caller.
pub async fn insert(tx: &Tx<'_>, plan: &Plan) -> Result<()> {
    tx.exec(
        "INSERT INTO plans (id, organization_id, environment_id, task_type, status, seen_version, code, name, changes, task_id, created_at, approved_at, products, secrets)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            plan.id,
            plan.organization_id,
            plan.environment_id,
            plan.task_type,
            plan.status,
            plan.seen_version,
            plan.code,
            plan.name,
            plan.changes.get(),
            plan.task_id,
            plan.created_at,
            plan.approved_at,
            plan.products,
            plan.secrets
        ],
    )
    .await
}

/// One plan within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Plan>) -> Result<Plan> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE p.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("plan_not_found", "plan", id))
}

/// The plan that a task within the scope carries out.
pub async fn of_task(db: &Db, scope: &Scope, task_id: Id<id::Task>) -> Result<Plan> {
    let values = scope.after(params![task_id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE p.task_id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("plan_not_found", "plan of the task", task_id))
}

/// A page of the plans within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    environment_id: Option<Id<id::Environment>>,
    after: Option<Id<id::Plan>>,
    limit: u32,
) -> Result<Vec<Plan>> {
    // A filter that is there is a plain equation: only of such a one an index is used.
    let exact = if environment_id.is_some() { "p.environment_id = ?1" } else { "(p.environment_id = ?1 OR ?1 IS NULL)" };
    let values = scope.after(params![environment_id, start(after), limit]);
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE {exact} AND p.id > ?2 AND o.path >= ?4 AND o.path < ?5 ORDER BY p.id LIMIT ?3"
    );
    db.query_all(&sql, values, read).await
}

/// Moves a plan that the caller found within its scope on: to be approved, or to be carried out by a task.
pub async fn update(tx: &Tx<'_>, plan: &Plan) -> Result<()> {
    tx.exec(
        "UPDATE plans SET status = ?2, task_id = ?3, approved_at = ?4, ignore_validation = ?5, disable_backup = ?6 WHERE id = ?1",
        params![
            plan.id,
            plan.status,
            plan.task_id,
            plan.approved_at,
            i64::from(plan.ignore_validation),
            i64::from(plan.disable_backup)
        ],
    )
    .await
}
