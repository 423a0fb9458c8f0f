//! Stored passwords. What is known of one is read apart from the password, which only who reaches something with it gets.

use crate::{Db, Row, Scope, Tx, db::Boxed, params, stale, value::start};
use domain::{Error, Id, Instant, JsonSchema, Result, id};
use serde::Serialize;

/// What is known of a stored password. The password is shown to nobody.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredPassword {
    /// Its id.
    pub id: Id<id::StoredPassword>,
    /// Whose it is; what belongs to the same organization can refer to it.
    pub organization_id: Id<id::Organization>,
    /// The name it is known by, unique in the organization.
    pub alias: String,
    /// What is given in the place of the password: `ref:password:` and 20 letters and digits.
    pub reference: String,
    /// Whose password it is.
    pub username: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When it was stored.
    pub created_at: Instant,
    /// When it was last replaced or edited.
    pub updated_at: Instant,
    /// Counts its edits.
    #[serde(skip)]
    pub version: i64,
}

/// What is to be edited of a stored password; what is absent stays.
pub struct Edit {
    /// The name it is known by.
    pub alias: Option<String>,
    /// Whose password it is.
    pub username: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The password, sealed for its id.
    pub sealed: Option<String>,
}

const COLUMNS: &str =
    "p.id, p.organization_id, p.alias, p.reference, p.username, p.description, p.created_at, p.updated_at, p.version";
const FROM: &str = "stored_passwords p JOIN organizations o ON o.id = p.organization_id";

fn read(row: &mut Row) -> Result<StoredPassword> {
    Ok(StoredPassword {
        id: row.take()?,
        organization_id: row.take()?,
        alias: row.take()?,
        reference: row.take()?,
        username: row.take()?,
        description: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
    })
}

fn taken(alias: &str) -> Error {
    Error::conflict(
        "stored_password_alias_taken",
        format!(
            "There is a stored password with the alias {alias} in the organization already. Replace that, or choose another alias."
        ),
    )
}

/// Stores a password, sealed for its id. Whose it is was found by the caller.
pub async fn insert(tx: &Tx<'_>, new: &StoredPassword, sealed: &str) -> Result<()> {
    let values = params![
        new.id,
        new.organization_id,
        new.alias,
        new.reference,
        new.username,
        new.description,
        sealed,
        new.version,
        new.created_at
    ];
    let sql = "INSERT INTO stored_passwords (id, organization_id, alias, reference, username, description, sealed, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9) ON CONFLICT DO NOTHING RETURNING id";
    let inserted: Option<String> = tx.query_opt(sql, values, |row| row.take()).await?;
    inserted.map(drop).ok_or_else(|| taken(&new.alias))
}

/// What is known of a stored password within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::StoredPassword>) -> Result<StoredPassword> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE p.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("stored_password_not_found", "stored password", id))
}

/// A page of what is known of the stored passwords within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization_id: Option<Id<id::Organization>>,
    after: Option<Id<id::StoredPassword>>,
    limit: u32,
) -> Result<Vec<StoredPassword>> {
    // A filter that is there is a plain equation: only of such a one an index is used.
    let exact = if organization_id.is_some() { "p.organization_id = ?1" } else { "(p.organization_id = ?1 OR ?1 IS NULL)" };
    let values = scope.after(params![organization_id, start(after), limit]);
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE {exact} AND p.id > ?2 AND o.path >= ?4 AND o.path < ?5 ORDER BY p.id LIMIT ?3"
    );
    db.query_all(&sql, values, read).await
}

/// Edits a stored password within the scope that is at `version`, or at any.
pub async fn update(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::StoredPassword>,
    version: Option<i64>,
    edit: &Edit,
    now: Instant,
) -> Result<StoredPassword> {
    let found = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != found.version) {
        return Err(stale("stored password"));
    }
    if let Some(alias) = &edit.alias {
        let sql = "SELECT id FROM stored_passwords WHERE organization_id = ?1 AND alias = ?2 AND id <> ?3";
        let other: Option<String> = tx.query_opt(sql, params![found.organization_id, alias, id], |row| row.take()).await?;
        if other.is_some() {
            return Err(taken(alias));
        }
    }
    tx.exec(
        "UPDATE stored_passwords SET alias = COALESCE(?2, alias), username = COALESCE(?3, username),
             description = COALESCE(?4, description), sealed = COALESCE(?5, sealed), version = version + 1, updated_at = ?6 WHERE id = ?1",
        params![id, edit.alias, edit.username, edit.description, edit.sealed, now],
    )
    .await?;
    find(tx, scope, id).await
}

/// Refuses when something refers to the password, or is about to, naming what does.
pub async fn check_unused(db: &Db, stored: &StoredPassword) -> Result<()> {
    let sql = "SELECT d.component_name, d.id FROM data_centers d WHERE d.password_ref = ?1 ORDER BY d.id LIMIT 1";
    let component: Option<(String, String)> =
        db.query_opt(sql, params![stored.reference], |row| Ok((row.take()?, row.take()?))).await?;
    let sql = "SELECT x.task_id FROM data_center_edits x JOIN tasks t ON t.id = x.task_id
         WHERE x.password_ref = ?1 AND t.ended_at IS NULL ORDER BY x.task_id LIMIT 1";
    let task: Option<String> = match component {
        None => db.query_opt(sql, params![stored.reference], |row| row.take()).await?,
        Some(_) => None,
    };
    let by = match (component, task) {
        (None, None) => return Ok(()),
        (Some((name, id)), _) => format!("The data center component {name} ({id})"),
        (None, Some(task)) => format!("The task {task}"),
    };
    Err(Error::conflict(
        "stored_password_in_use",
        format!("{by} uses the stored password {}, so it cannot be deleted. Give that another password first.", stored.id),
    ))
}

/// Deletes a stored password within the scope.
pub async fn delete(tx: &Tx<'_>, scope: &Scope, id: Id<id::StoredPassword>) -> Result<()> {
    let values = scope.after(params![id]);
    tx.exec(
        "DELETE FROM stored_passwords WHERE id = ?1
         AND organization_id IN (SELECT id FROM organizations WHERE path >= ?2 AND path < ?3)",
        values,
    )
    .await
}

/// The password that a reference stands for among those of the organization whose thing refers to it, which the caller found:
/// sealed for the id it comes with.
pub async fn find_sealed(
    db: &Db,
    organization_id: Id<id::Organization>,
    reference: &str,
) -> Result<Option<(Id<id::StoredPassword>, String)>> {
    let sql = "SELECT id, sealed FROM stored_passwords WHERE reference = ?1 AND organization_id = ?2";
    db.query_opt(sql, params![reference, organization_id], |row| Ok((row.take()?, row.take()?))).await
}

/// Refuses a reference that stands for no password of the organization whose thing is to refer to it: word for word whether it is
/// another's or nobody's.
pub fn check_reference<'a>(db: &'a Db, organization_id: Id<id::Organization>, reference: &'a str) -> Boxed<'a, ()> {
    Box::pin(async move {
        let sql = "SELECT id FROM stored_passwords WHERE reference = ?1 AND organization_id = ?2";
        match db.texts(sql, params![reference, organization_id]).await?.is_empty() {
            false => Ok(()),
            true => Err(Error::invalid(
                "/password",
                "refers to no stored password of the organization; store it (POST /v1/stored-passwords) and give its reference, or give the password itself",
            )),
        }
    })
}
