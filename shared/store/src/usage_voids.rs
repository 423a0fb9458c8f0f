//! Usage voids: usage that is taken out before an invoice has it. The rows stay; a void names them and says why.

use crate::{
    Db, Row, Scope, Stored, Tx, params, usage_reports,
    value::{batches, numbers, start},
};
use domain::{
    Error, FieldError, Id, Instant, JsonSchema, Kind, List, Result, Text, id,
    usage::{ERRORS, VOIDED},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A void of usage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageVoid {
    /// Its id.
    pub id: Id<id::UsageVoid>,
    /// The organization that voided the usage.
    pub organization_id: Id<id::Organization>,
    /// Why.
    pub reason: String,
    /// How many rows it took out.
    pub rows: u32,
    /// When.
    pub created_at: Instant,
}

/// Usage to void. Exactly one of `usageReportId` and `usageIds` is given.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUsageVoid {
    /// A report, of which all rows that came with it and are not void yet are voided.
    pub usage_report_id: Option<Id<id::UsageReport>>,
    /// Rows of usage, at most 1,000.
    pub usage_ids: Option<List<Id<id::Usage>, VOIDED>>,
    /// Why: it is shown with the void and in the audit.
    pub reason: Text<1, 400>,
}

/// A row that is to be voided.
struct Found {
    id: Id<id::Usage>,
    organization_id: Id<id::Organization>,
    void: Option<Id<id::UsageVoid>>,
    invoice: Option<Id<id::Invoice>>,
}

const FOUND: &str = "SELECT u.id, u.organization_id, v.void_id, i.invoice_id FROM usage_rows u
     JOIN organizations o ON o.id = u.organization_id AND o.path >= ?1 AND o.path < ?2
     LEFT JOIN voided_usage v ON v.usage_id = u.id LEFT JOIN invoice_usage i ON i.usage_id = u.id";

fn read_found(row: &mut Row) -> Result<Found> {
    Ok(Found { id: row.take()?, organization_id: row.take()?, void: row.take()?, invoice: row.take()? })
}

/// Voids usage within the scope, and says of which customers it is. Refused as a whole when a row is void already or on an invoice.
pub async fn create(
    tx: &Tx<'_>,
    scope: &Scope,
    (id, organization_id): (Id<id::UsageVoid>, Id<id::Organization>),
    new: &NewUsageVoid,
    now: Instant,
) -> Result<(UsageVoid, BTreeSet<Id<id::Organization>>)> {
    let found = match (new.usage_report_id, &new.usage_ids) {
        (Some(report), None) => of_report(tx, scope, report).await?,
        (None, Some(ids)) if !ids.is_empty() => of_ids(tx, scope, ids).await?,
        _ => {
            let detail = "is to be given, with one id at least, or usageReportId in its place; not both";
            return Err(Error::invalid("/usageIds", detail));
        }
    };
    if let Some((row, invoice)) = found.iter().find_map(|row| row.invoice.map(|invoice| (row.id, invoice))) {
        return Err(Error::conflict(
            "usage_invoiced",
            format!(
                "The row {row} is on the invoice {invoice}, and an issued invoice never changes. Void only rows that are on none: GET /v1/usage-reports/{{usageReportId}}/rows shows which."
            ),
        ));
    }
    let void = UsageVoid { id, organization_id, reason: new.reason.to_string(), rows: found.len() as u32, created_at: now };
    tx.exec(
        "INSERT INTO usage_voids (id, organization_id, reason, row_count, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![void.id, void.organization_id, void.reason, void.rows, void.created_at],
    )
    .await?;
    for batch in batches(&found) {
        let ids = || batch.iter().map(|row| row.id.to_value());
        let sql = format!(
            "INSERT INTO voided_usage (usage_id, void_id, source, row_key)
             SELECT u.id, ?1, u.source, u.row_key FROM usage_rows u WHERE u.id IN ({})",
            numbers(2, batch.len())
        );
        tx.exec(&sql, params![id].into_iter().chain(ids()).collect()).await?;
        // The key is for the row that corrects it; no key that is a hash looks like this one.
        let sql = format!("UPDATE usage_rows SET row_key = 'void ' || id WHERE id IN ({})", numbers(1, batch.len()));
        tx.exec(&sql, ids().collect()).await?;
    }
    Ok((void, found.into_iter().map(|row| row.organization_id).collect()))
}

async fn of_report(tx: &Tx<'_>, scope: &Scope, report: Id<id::UsageReport>) -> Result<Vec<Found>> {
    usage_reports::find(tx, scope, report)
        .await
        .map_err(|error| if error.kind == Kind::NotFound { Error::invalid("/usageReportId", error.public) } else { error })?;
    let Some((first, last)) = usage_reports::series(tx, report).await? else { return Err(nothing(report)) };
    let sql = format!("{FOUND} WHERE u.report_id = ?3 AND u.id > ?4 AND u.id <= ?5 AND v.void_id IS NULL ORDER BY u.id");
    let mut values = vec![scope.from(), scope.until()];
    values.extend(params![report, first, last]);
    let found = tx.query_all(&sql, values, read_found).await?;
    if found.is_empty() { Err(nothing(report)) } else { Ok(found) }
}

fn nothing(report: Id<id::UsageReport>) -> Error {
    Error::conflict(
        "nothing_to_void",
        format!("No row that came with {report} is left to void: they are void already, or came with an earlier report."),
    )
}

async fn of_ids(tx: &Tx<'_>, scope: &Scope, ids: &[Id<id::Usage>]) -> Result<Vec<Found>> {
    let mut known = BTreeMap::new();
    for batch in batches(ids) {
        let mut values = vec![scope.from(), scope.until()];
        values.extend(batch.iter().map(Stored::to_value));
        let sql = format!("{FOUND} WHERE u.id IN ({})", numbers(3, batch.len()));
        for row in tx.query_all(&sql, values, read_found).await? {
            known.insert(row.id, row);
        }
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    let mut named = BTreeSet::new();
    for (index, id) in ids.iter().enumerate() {
        let detail = match known.remove(id) {
            _ if !named.insert(*id) => "is there twice; name each row once".to_owned(),
            None => format!("is no usage row {id} in the organizations you can act in"),
            Some(Found { void: Some(void), .. }) => format!("is void already, by {void}; leave it out"),
            Some(row) => {
                found.push(row);
                continue;
            }
        };
        wrong.push(FieldError { pointer: format!("/usageIds/{index}"), detail });
    }
    if wrong.is_empty() {
        return Ok(found);
    }
    wrong.truncate(ERRORS);
    Err(Error::invalid_fields(wrong))
}

const COLUMNS: &str = "v.id, v.organization_id, v.reason, v.row_count, v.created_at";
/// A void belongs to the organization that made it.
const FROM: &str = "usage_voids v JOIN organizations o ON o.id = v.organization_id";

fn read(row: &mut Row) -> Result<UsageVoid> {
    Ok(UsageVoid {
        id: row.take()?,
        organization_id: row.take()?,
        reason: row.take()?,
        rows: row.take()?,
        created_at: row.take()?,
    })
}

/// One void within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::UsageVoid>) -> Result<UsageVoid> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE v.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("usage_void_not_found", "usage void", id))
}

/// A page of the voids within the scope, oldest first.
pub async fn list(db: &Db, scope: &Scope, after: Option<Id<id::UsageVoid>>, limit: u32) -> Result<Vec<UsageVoid>> {
    let values = scope.after(params![start(after), limit]);
    db.query_all(
        &format!("SELECT {COLUMNS} FROM {FROM} WHERE o.path >= ?3 AND o.path < ?4 AND v.id > ?1 ORDER BY v.id LIMIT ?2"),
        values,
        read,
    )
    .await
}
