//! Usage reports: the imports of usage.

use crate::{Db, Row, Scope, Tx, invoices, params, usage, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Period, Result, id,
    usage::{Keyed, ROWS, UsageRow, is_late},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// One import of usage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Its id.
    pub id: Id<id::UsageReport>,
    /// Who imported it.
    pub organization_id: Id<id::Organization>,
    /// Which system it is from. One use is counted once for each source.
    pub source: String,
    /// How many rows it had.
    pub rows: u32,
    /// How many of them were new.
    pub accepted: u32,
    /// How many were there already, from this report or an earlier one, with the same content, void or not.
    pub duplicates: u32,
    /// How many of the new ones came late: after their month, or after its invoice. The next invoice has them.
    pub late: u32,
    /// The months of its rows.
    pub periods: Vec<Period>,
    /// When it was imported.
    pub created_at: Instant,
}

/// A report that is to be imported. Its rows were checked: against the clock, and against the caller's scope.
pub struct Import<'a> {
    /// Its id.
    pub id: Id<id::UsageReport>,
    /// Who imports it.
    pub organization_id: Id<id::Organization>,
    /// Which system it is from.
    pub source: &'a str,
    /// All its rows.
    pub rows: &'a [UsageRow],
    /// The same without repetitions, with their keys.
    pub distinct: &'a [Keyed<'a>],
    /// Begins the series of the rows' ids.
    pub first_usage_id: Id<id::Usage>,
    /// The present instant.
    pub now: Instant,
}

/// Imports a report: the rows that are not there yet become usage. Refused as a whole when a row that is there says
/// something else.
pub async fn import(tx: &Tx<'_>, scope: &Scope, new: &Import<'_>) -> Result<UsageReport> {
    let (mut periods, mut customers) = (Vec::new(), BTreeSet::new());
    for row in new.rows {
        if let Err(place) = periods.binary_search(&row.period()) {
            periods.insert(place, row.period());
        }
        customers.insert(row.organization_id);
    }
    let newest = periods.last().copied().ok_or_else(|| Error::invalid("/rows", "are missing"))?;
    let invoiced = invoices::last_periods(tx, scope, &customers).await?;
    let late = |row: &UsageRow| is_late(row.period(), newest, invoiced.get(&row.organization_id).copied());

    let mut report = UsageReport {
        id: new.id,
        organization_id: new.organization_id,
        source: new.source.to_owned(),
        rows: new.rows.len() as u32,
        accepted: 0,
        duplicates: 0,
        late: 0,
        periods,
        created_at: new.now,
    };
    let periods: Vec<String> = report.periods.iter().map(Period::to_string).collect();
    // Usage refers to its report, and only the database knows which rows are new: so the counts follow.
    tx.exec(
        "INSERT INTO usage_reports (id, organization_id, source, periods, row_count, accepted, duplicates, late, created_at, first_usage_id)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, ?6, ?7)",
        params![
            report.id,
            report.organization_id,
            report.source,
            periods.join(" "),
            report.rows,
            report.created_at,
            new.first_usage_id.nth(0)
        ],
    )
    .await?;
    for row in usage::insert(tx, new, late).await? {
        report.accepted += 1;
        report.late += u32::from(late(row));
    }
    report.duplicates = report.rows - report.accepted;
    tx.exec(
        "UPDATE usage_reports SET accepted = ?2, duplicates = ?3, late = ?4 WHERE id = ?1",
        params![report.id, report.accepted, report.duplicates, report.late],
    )
    .await?;
    Ok(report)
}

const COLUMNS: &str = "r.id, r.organization_id, r.source, r.periods, r.row_count, r.accepted, r.duplicates, r.late, r.created_at";
/// A report belongs to who imported it.
const FROM: &str = "usage_reports r JOIN organizations o ON o.id = r.organization_id";

fn read(row: &mut Row) -> Result<UsageReport> {
    let (id, organization_id, source, periods): (_, _, _, String) = (row.take()?, row.take()?, row.take()?, row.take()?);
    let periods = periods.split(' ').map(|period| period.parse().map_err(Error::fault)).collect::<Result<_>>()?;
    Ok(UsageReport {
        id,
        organization_id,
        source,
        periods,
        rows: row.take()?,
        accepted: row.take()?,
        duplicates: row.take()?,
        late: row.take()?,
        created_at: row.take()?,
    })
}

/// One report within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::UsageReport>) -> Result<UsageReport> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE r.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("usage_report_not_found", "usage report", id))
}

/// The ids between which all rows that came with a report are, the first one left out. They are a series, so that they are found
/// without an index of their own. `None` for a report with no new row.
pub(crate) async fn series(db: &Db, id: Id<id::UsageReport>) -> Result<Option<(Id<id::Usage>, Id<id::Usage>)>> {
    let sql = "SELECT first_usage_id FROM usage_reports WHERE id = ?1";
    let first: Option<Option<Id<id::Usage>>> = db.query_opt(sql, params![id], |row| row.take()).await?;
    Ok(first.flatten().map(|first| (first.nth(0), first.nth(ROWS as u32))))
}

/// A page of the reports within the scope, oldest first.
pub async fn list(db: &Db, scope: &Scope, after: Option<Id<id::UsageReport>>, limit: u32) -> Result<Vec<UsageReport>> {
    let values = scope.after(params![start(after), limit]);
    db.query_all(
        &format!("SELECT {COLUMNS} FROM {FROM} WHERE o.path >= ?3 AND o.path < ?4 AND r.id > ?1 ORDER BY r.id LIMIT ?2"),
        values,
        read,
    )
    .await
}
