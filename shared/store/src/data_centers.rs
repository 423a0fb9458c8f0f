//! Data center components.

use crate::{Db, Row, Scope, Tx, params, tasks::Task, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Kind, Result,
    data_center::{DataCenterStatus, DataCenterType, Target},
    form::written,
    id,
    interop::ProductVersion,
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// A data center component. Its password is shown to nobody.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataCenter {
    /// Its id.
    pub id: Id<id::DataCenter>,
    /// Whose it is.
    pub organization_id: Id<id::Organization>,
    /// Its name, unique in the organization.
    pub component_name: String,
    /// What it is.
    pub component_type: DataCenterType,
    /// The version of the product that it runs.
    pub version: Option<String>,
    /// Where it answers.
    pub fqdn: String,
    /// Who the hub is to it.
    pub username: String,
    /// Where the password is kept, when it is not kept here.
    pub password_reference: Option<String>,
    /// How the hub reaches it.
    pub target: Target,
    /// What it is for.
    pub purpose: Option<String>,
    /// Who sees to it.
    pub managed_by: Option<String>,
    /// Words to find it by.
    #[schemars(with = "Vec<String>")]
    pub tags: Box<RawValue>,
    /// The IP settings of its port groups.
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    pub networks: Box<RawValue>,
    /// What was found there.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub inventory: Option<Box<RawValue>>,
    /// When that was found.
    pub discovered_at: Option<Instant>,
    /// When a person last saw that it is as described here. Never with the target BUILTIN, which looks at nothing.
    pub confirmed_at: Option<Instant>,
    /// When it was registered.
    pub registered_at: Option<Instant>,
    /// Where it stands.
    pub status: DataCenterStatus,
    /// The task that works on it, or did so last.
    pub task_id: Id<id::Task>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts its edits.
    #[serde(skip)]
    pub edits: i64,
}

const COLUMNS: &str = "d.id, d.organization_id, d.component_name, d.component_type, d.product_version, d.fqdn, d.username, d.password_ref, d.target, d.purpose, d.managed_by, d.tags, d.networks, d.inventory, d.discovered_at, d.confirmed_at, d.registered_at, d.status, d.task_id, d.version, d.created_at, d.updated_at";
const FROM: &str = "data_centers d JOIN organizations o ON o.id = d.organization_id";

fn read(row: &mut Row) -> Result<DataCenter> {
    Ok(DataCenter {
        id: row.take()?,
        organization_id: row.take()?,
        component_name: row.take()?,
        component_type: row.take()?,
        version: row.take()?,
        fqdn: row.take()?,
        username: row.take()?,
        password_reference: row.take()?,
        target: row.take()?,
        purpose: row.take()?,
        managed_by: row.take()?,
        tags: json(row.take()?)?,
        networks: json(row.take()?)?,
        inventory: row.take::<Option<String>>()?.map(json).transpose()?,
        discovered_at: row.take()?,
        confirmed_at: row.take()?,
        registered_at: row.take()?,
        status: row.take()?,
        task_id: row.take()?,
        edits: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

/// A column of JSON, as it is shown: it is read by nobody here.
fn json(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| Error::fault(format!("a column of JSON: {error}")))
}

/// A text of a body.
fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body[field].as_str()
}

/// A list of a body, as JSON.
fn list_of(body: &Value, field: &str) -> Option<String> {
    body[field].is_array().then(|| written(&body[field]))
}

/// A password as it is kept: a reference, or sealed.
pub enum KeptPassword {
    /// Where it is kept.
    Reference(String),
    /// The password, sealed for the component's id.
    Sealed(String),
}

impl KeptPassword {
    fn columns(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Reference(text) => (Some(text), None),
            Self::Sealed(text) => (None, Some(text)),
        }
    }
}

/// Writes a data center component whose registration begins. `body` is a [`domain::data_center::Registration`]; whose it is
/// was found by the caller.
pub async fn insert(
    tx: &Tx<'_>,
    id: Id<id::DataCenter>,
    organization_id: Id<id::Organization>,
    body: &Value,
    password: &KeptPassword,
    task_id: Id<id::Task>,
    now: Instant,
) -> Result<()> {
    let (reference, sealed) = password.columns();
    let written: Option<Id<id::DataCenter>> = tx
        .query_opt(
            "INSERT INTO data_centers (id, organization_id, component_name, component_type, product_version, fqdn, username,
                 password_ref, password_sealed, target, purpose, managed_by, tags, networks, status, task_id, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 'REGISTERING', ?15, 1, ?16, ?16)
             ON CONFLICT DO NOTHING RETURNING id",
            params![
                id,
                organization_id,
                text(body, "componentName"),
                text(body, "componentType"),
                text(body, "version"),
                text(body, "fqdn"),
                text(body, "username"),
                reference,
                sealed,
                text(body, "target"),
                text(body, "purpose"),
                text(body, "managedBy"),
                list_of(body, "tags").unwrap_or_else(|| "[]".into()),
                list_of(body, "networks").unwrap_or_else(|| "[]".into()),
                task_id,
                now
            ],
            |row| row.take(),
        )
        .await?;
    written.map(drop).ok_or_else(|| {
        Error::conflict(
            "component_name_taken",
            format!(
                "There is a data center component with the name {} in the organization already. Update it, or choose another name.",
                text(body, "componentName").unwrap_or_default()
            ),
        )
    })
}

/// One data center component within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::DataCenter>) -> Result<DataCenter> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE d.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("data_center_not_found", "data center component", id))
}

/// What a data center component within the scope is, where it stands and how it is reached: what who deploys to it needs.
pub async fn find_use(db: &Db, scope: &Scope, id: Id<id::DataCenter>) -> Result<(DataCenterType, DataCenterStatus, Target)> {
    let values = scope.after(params![id]);
    let sql = format!("SELECT d.component_type, d.status, d.target FROM {FROM} WHERE d.id = ?1 AND o.path >= ?2 AND o.path < ?3");
    db.query_opt(&sql, values, |row| Ok((row.take()?, row.take()?, row.take()?)))
        .await?
        .ok_or_else(|| Error::not_found("data_center_not_found", "data center component", id))
}

/// What a data center component within the scope is, in the version that it is said to run; nothing where none is said.
pub async fn find_product(db: &Db, scope: &Scope, id: Id<id::DataCenter>) -> Result<Option<ProductVersion>> {
    let values = scope.after(params![id]);
    let sql = format!("SELECT d.component_type, d.product_version FROM {FROM} WHERE d.id = ?1 AND o.path >= ?2 AND o.path < ?3");
    let found = db.query_opt(&sql, values, |row| Ok((row.take::<String>()?, row.take::<Option<String>>()?))).await?;
    Ok(found.and_then(|(code, version)| Some(ProductVersion { code: code.parse().ok()?, version: version?.parse().ok()? })))
}

/// A page of the data center components within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization_id: Option<Id<id::Organization>>,
    component_type: Option<DataCenterType>,
    after: Option<Id<id::DataCenter>>,
    limit: u32,
) -> Result<Vec<DataCenter>> {
    let values = scope.after(params![organization_id, component_type, start(after), limit]);
    // One filter is a plain equation: only of such a one an index is used.
    let exact = match (organization_id, component_type) {
        (Some(_), _) => "d.organization_id = ?1",
        (None, Some(_)) => "d.component_type = ?2",
        (None, None) => "1 = 1",
    };
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM {FROM}
             WHERE {exact} AND o.path >= ?5 AND o.path < ?6 AND (d.organization_id = ?1 OR ?1 IS NULL) AND (d.component_type = ?2 OR ?2 IS NULL)
             AND d.id > ?3 ORDER BY d.id LIMIT ?4"
        ),
        values,
        read,
    )
    .await
}

/// Refuses an edit of another version than the present one.
pub fn check_version(found: &DataCenter, version: Option<i64>) -> Result<()> {
    if version.is_none_or(|version| version == found.edits) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Stale,
        "stale",
        "The data center component was edited since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match.",
    ))
}

/// Refuses when an environment uses the component, naming one that does.
pub async fn check_unused(db: &Db, id: Id<id::DataCenter>) -> Result<()> {
    let sql = "SELECT e.id, e.code FROM environment_data_centers u JOIN environments e ON e.id = u.environment_id
         WHERE u.data_center_id = ?1 ORDER BY u.environment_id LIMIT 1";
    let used = db.query_opt(sql, params![id], |row| Ok((row.take::<Id<id::Environment>>()?, row.take::<String>()?))).await?;
    match used {
        None => Ok(()),
        Some((environment, code)) => Err(Error::conflict(
            "data_center_in_use",
            format!(
                "The environment {code} ({environment}) uses the data center component {id}, so it cannot be removed. Delete the environment first, or move it to another component."
            ),
        )),
    }
}

/// Names the task that works on a component, which the caller found within its scope.
pub async fn set_task(tx: &Tx<'_>, id: Id<id::DataCenter>, task_id: Id<id::Task>) -> Result<()> {
    tx.exec("UPDATE data_centers SET task_id = ?2 WHERE id = ?1", params![id, task_id]).await
}

/// Changes where a component within the scope stands; a component that is gone stays so.
pub async fn set_status(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::DataCenter>,
    status: DataCenterStatus,
    now: Instant,
) -> Result<()> {
    let registered = (status == DataCenterStatus::Registered).then_some(now);
    let values = scope.after(params![id, status, registered, now]);
    tx.exec(
        "UPDATE data_centers SET status = ?2, registered_at = COALESCE(registered_at, ?3), updated_at = ?4 WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?5 AND path < ?6)",
        values,
    )
    .await
}

/// Writes that a person saw that a component is as described.
pub async fn set_confirmed(tx: &Tx<'_>, id: Id<id::DataCenter>, now: Instant) -> Result<()> {
    tx.exec("UPDATE data_centers SET confirmed_at = ?2 WHERE id = ?1", params![id, now]).await
}

/// Writes what was found at a component, as JSON, and when; `None` leaves what is there.
pub async fn set_inventory(tx: &Tx<'_>, id: Id<id::DataCenter>, inventory: Option<&str>, at: Option<Instant>) -> Result<()> {
    tx.exec(
        "UPDATE data_centers SET inventory = COALESCE(?2, inventory), discovered_at = COALESCE(?3, discovered_at) WHERE id = ?1",
        params![id, inventory, at],
    )
    .await
}

/// Writes what a task is to make of a component: the fields of `body`, which is a [`domain::data_center::Edit`], or a
/// registration when the component is only asked about. With nothing in it, the component is left as it is. `seen_version` is the
/// version that the caller named, `found_version` the one that there was.
pub async fn insert_edit(
    tx: &Tx<'_>,
    task_id: Id<id::Task>,
    seen_version: Option<i64>,
    found_version: Option<i64>,
    body: &Value,
    password: Option<&KeptPassword>,
) -> Result<()> {
    let (reference, sealed) = password.map(KeptPassword::columns).unwrap_or_default();
    tx.exec(
        "INSERT INTO data_center_edits (task_id, seen_version, component_name, component_type, product_version, fqdn, username,
             password_ref, password_sealed, target, purpose, managed_by, tags, networks, found_version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            task_id,
            seen_version,
            text(body, "componentName"),
            text(body, "componentType"),
            text(body, "version"),
            text(body, "fqdn"),
            text(body, "username"),
            reference,
            sealed,
            text(body, "target"),
            text(body, "purpose"),
            text(body, "managedBy"),
            list_of(body, "tags"),
            list_of(body, "networks"),
            found_version
        ],
    )
    .await
}

/// How a component is reached.
pub struct Reach {
    /// Its name.
    pub component_name: String,
    /// What it is.
    pub component_type: DataCenterType,
    /// Where it answers.
    pub fqdn: String,
    /// Who the hub is to it.
    pub username: String,
    /// How the hub reaches it.
    pub target: Target,
}

/// How the component that a task works on is reached: as the task is to make it. Whose task it is was decided before.
pub async fn reach(db: &Db, task_id: Id<id::Task>, id: Option<Id<id::DataCenter>>) -> Result<Option<Reach>> {
    let sql = "SELECT COALESCE(x.component_name, d.component_name), COALESCE(x.component_type, d.component_type), COALESCE(x.fqdn, d.fqdn),
             COALESCE(x.username, d.username), COALESCE(x.target, d.target)
         FROM data_center_edits x LEFT JOIN data_centers d ON d.id = ?2 WHERE x.task_id = ?1";
    let read = |row: &mut Row| {
        Ok(Reach {
            component_name: row.take()?,
            component_type: row.take()?,
            fqdn: row.take()?,
            username: row.take()?,
            target: row.take()?,
        })
    };
    db.query_opt(sql, params![task_id, id], read).await
}

/// What it takes to sign in to a component, and what is said of it that can be seen there.
pub struct Access {
    /// Where it answers.
    pub fqdn: String,
    /// Who the hub is to it.
    pub username: String,
    /// Whose it is.
    pub organization_id: Id<id::Organization>,
    /// The password, sealed for the component's id, or for the task's where the component is only asked about. None where it
    /// is referred to.
    pub password_sealed: Option<String>,
    /// The reference to the password, where it is not kept here.
    pub password_reference: Option<String>,
    /// The version of the product that it is said to run.
    pub version: Option<String>,
    /// The IP settings of its port groups, as JSON.
    pub networks: String,
}

fn read_access(row: &mut Row) -> Result<Access> {
    Ok(Access {
        fqdn: row.take()?,
        username: row.take()?,
        organization_id: row.take()?,
        password_sealed: row.take()?,
        password_reference: row.take()?,
        version: row.take()?,
        networks: row.take()?,
    })
}

/// What it takes to sign in to the component that a task works on: as the task is to make it. Whose task it is was decided
/// before.
pub async fn access_of_task(db: &Db, task_id: Id<id::Task>, id: Option<Id<id::DataCenter>>) -> Result<Option<Access>> {
    let sql = "SELECT COALESCE(x.fqdn, d.fqdn), COALESCE(x.username, d.username), COALESCE(d.organization_id, t.organization_id),
             CASE WHEN COALESCE(x.password_ref, x.password_sealed) IS NULL THEN d.password_sealed ELSE x.password_sealed END,
             CASE WHEN COALESCE(x.password_ref, x.password_sealed) IS NULL THEN d.password_ref ELSE x.password_ref END,
             COALESCE(x.product_version, d.product_version), COALESCE(x.networks, d.networks, '[]')
         FROM data_center_edits x JOIN tasks t ON t.id = x.task_id LEFT JOIN data_centers d ON d.id = ?2 WHERE x.task_id = ?1";
    db.query_opt(sql, params![task_id, id], read_access).await
}

/// What it takes to sign in to a component within the scope.
pub async fn access(db: &Db, scope: &Scope, id: Id<id::DataCenter>) -> Result<Access> {
    let values = scope.after(params![id]);
    let sql = format!(
        "SELECT d.fqdn, d.username, d.organization_id, d.password_sealed, d.password_ref, d.product_version, d.networks FROM {FROM}
         WHERE d.id = ?1 AND o.path >= ?2 AND o.path < ?3"
    );
    db.query_opt(&sql, values, read_access)
        .await?
        .ok_or_else(|| Error::not_found("data_center_not_found", "data center component", id))
}

/// Refuses a task on a component that was asked of another version than the present one: the version that the caller named as
/// If-Match, and, for a task that is run again, the version that there was when it was asked for.
pub async fn check_asked(db: &Db, found: &DataCenter, task: &Task) -> Result<()> {
    let sql = "SELECT seen_version, found_version FROM data_center_edits WHERE task_id = ?1";
    let read = |row: &mut Row| Ok((row.take::<Option<i64>>()?, row.take::<Option<i64>>()?));
    let (seen, then) = db.query_opt(sql, params![task.id], read).await?.unwrap_or_default();
    check_version(found, seen.or(then.filter(|_| task.attempt > 1)))
}

/// Makes of a component within the scope what a task is to make of it.
pub async fn update(tx: &Tx<'_>, scope: &Scope, id: Id<id::DataCenter>, task_id: Id<id::Task>, now: Instant) -> Result<()> {
    let edit = |column: &str| format!("(SELECT x.{column} FROM data_center_edits x WHERE x.task_id = ?2)");
    let kept = ["product_version", "fqdn", "username", "target", "purpose", "managed_by", "tags", "networks"]
        .map(|column| format!("{column} = COALESCE({}, {column})", edit(column)))
        .join(", ");
    // Where there is a new password, the old one goes, wherever it was kept.
    let password = ["password_ref", "password_sealed"]
        .map(|column| {
            let any = format!("COALESCE({}, {})", edit("password_ref"), edit("password_sealed"));
            format!("{column} = CASE WHEN {any} IS NULL THEN {column} ELSE {} END", edit(column))
        })
        .join(", ");
    let values = scope.after(params![id, task_id, now]);
    let sql = format!(
        "UPDATE data_centers SET {kept}, {password}, version = version + 1, updated_at = ?3 WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?4 AND path < ?5)"
    );
    tx.exec(&sql, values).await
}

/// Marks a component within the scope as being removed, unless an environment uses it: whoever wants to use it from now
/// on is refused. `false` when one uses it.
pub async fn set_removing(tx: &Tx<'_>, scope: &Scope, id: Id<id::DataCenter>) -> Result<bool> {
    let values = scope.after(params![id]);
    let marked: Option<Id<id::DataCenter>> = tx
        .query_opt(
            "UPDATE data_centers SET status = 'REMOVING' WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM environment_data_centers u WHERE u.data_center_id = data_centers.id)
             AND organization_id IN (SELECT id FROM organizations WHERE path >= ?2 AND path < ?3) RETURNING id",
            values,
            |row| row.take(),
        )
        .await?;
    Ok(marked.is_some())
}

/// Removes a component within the scope. Done again it changes nothing.
pub async fn delete(tx: &Tx<'_>, scope: &Scope, id: Id<id::DataCenter>) -> Result<()> {
    let values = scope.after(params![id]);
    tx.exec(
        "DELETE FROM data_centers WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?2 AND path < ?3)",
        values,
    )
    .await
}
