//! The certificates that products of environments have, by when they end.

use crate::{Db, Placed, Row, Scope, Tx, environments::json, job_payload, params};
use domain::{Error, Id, Instant, JsonSchema, Result, id};
use serde::Serialize;
use serde_json::value::RawValue;

job_payload! {
    /// Notes which certificates an environment has now. Only databases of before schema step 33 have such jobs.
    NoteCertificates {
        /// The environment.
        environment_id: Id<id::Environment>
    } queue "environments" kind "certificate.note"
}

job_payload! {
    /// Warns before a certificate ends.
    WarnOfCertificate {
        /// The certificate.
        certificate_id: Id<id::Certificate>
    } queue "environments" kind "certificate.warn"
}

/// A certificate that a product of an environment has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Its id: another certificate of the same product has another.
    pub id: Id<id::Certificate>,
    /// Whose environment it is.
    pub organization_id: Id<id::Organization>,
    /// The environment.
    pub environment_id: Id<id::Environment>,
    /// The product.
    pub product_id: String,
    /// What is known of it.
    #[schemars(with = "domain::certificate::Certificate")]
    pub certificate: Box<RawValue>,
    /// Until when it is valid.
    pub valid_to: Instant,
    /// The last warning that was given: for so many days before it ends; absent before the first.
    pub warned_days: Option<i64>,
    /// When the hub noted it.
    pub noted_at: Instant,
    /// SHA-256 of it.
    #[serde(skip)]
    pub thumbprint: String,
    /// The job that gives the next warning.
    #[serde(skip)]
    pub job_id: Id<id::Job>,
}

const COLUMNS: &str = "c.id, c.organization_id, c.environment_id, c.product_id, c.facts, c.valid_to, c.warned_days, c.noted_at, c.thumbprint, c.job_id";
const FROM: &str = "certificates c JOIN organizations o ON o.id = c.organization_id";

fn read(row: &mut Row) -> Result<Certificate> {
    Ok(Certificate {
        id: row.take()?,
        organization_id: row.take()?,
        environment_id: row.take()?,
        product_id: row.take()?,
        certificate: json(row.take()?)?,
        valid_to: row.take()?,
        warned_days: row.take()?,
        noted_at: row.take()?,
        thumbprint: row.take()?,
        job_id: row.take()?,
    })
}

/// Which certificates to list.
#[derive(Default)]
pub struct Filter {
    /// Only those of this organization.
    pub organization_id: Option<Id<id::Organization>>,
    /// Only those of this environment.
    pub environment_id: Option<Id<id::Environment>>,
    /// Only those that end before this.
    pub expires_before: Option<Instant>,
}

/// A page of the certificates within the scope, those that end first first. `after` is the end and the id of the last one
/// before the page.
pub async fn list(
    db: &Db,
    scope: &Scope,
    filter: &Filter,
    after: Option<(Instant, Id<id::Certificate>)>,
    limit: u32,
) -> Result<Vec<Placed<Certificate>>> {
    // A filter that is there is a plain equation: only of such a one an index is used.
    let exact = match filter {
        Filter { environment_id: Some(_), .. } => "c.environment_id = ?2",
        Filter { organization_id: Some(_), .. } => "c.organization_id = ?1",
        _ => "1 = 1",
    };
    let before = filter.expires_before.map_or(i64::MAX, |instant| instant.timestamp_millis());
    let (from, id) = match after {
        Some((instant, id)) => (instant.timestamp_millis(), id.to_string()),
        None => (i64::MIN, String::new()),
    };
    let values = scope.after(params![filter.organization_id, filter.environment_id, before, from, id, limit]);
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE {exact} AND c.valid_to < ?3 AND (c.valid_to, c.id) > (?4, ?5)
         AND (c.organization_id = ?1 OR ?1 IS NULL) AND (c.environment_id = ?2 OR ?2 IS NULL)
         AND o.path >= ?7 AND o.path < ?8 ORDER BY c.valid_to, c.id LIMIT ?6"
    );
    let placed = |row: &mut Row| {
        let item = read(row)?;
        Ok(Placed { place: vec![item.valid_to.timestamp_millis().to_string(), item.id.to_string()], item })
    };
    db.query_all(&sql, values, placed).await
}

/// Those of an environment within the scope, which has no more than it has products.
pub async fn of_environment(db: &Db, scope: &Scope, id: Id<id::Environment>) -> Result<Vec<Certificate>> {
    let values = scope.after(params![id]);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE c.environment_id = ?1 AND o.path >= ?2 AND o.path < ?3");
    db.query_all(&sql, values, read).await
}

/// One within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Certificate>) -> Result<Certificate> {
    let values = scope.after(params![id]);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE c.id = ?1 AND o.path >= ?2 AND o.path < ?3");
    db.query_opt(&sql, values, read).await?.ok_or_else(|| Error::not_found("certificate_not_found", "certificate", id))
}

/// Writes one. Whose environment it is was found by the caller.
pub async fn insert(tx: &Tx<'_>, new: &Certificate) -> Result<()> {
    tx.exec(
        "INSERT INTO certificates (id, organization_id, environment_id, product_id, thumbprint, facts, valid_to, warned_days, job_id, noted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            new.id,
            new.organization_id,
            new.environment_id,
            new.product_id,
            new.thumbprint,
            new.certificate.get(),
            new.valid_to,
            new.warned_days,
            new.job_id,
            new.noted_at
        ],
    )
    .await
}

/// Forgets one that the caller found within its scope.
pub async fn delete(tx: &Tx<'_>, id: Id<id::Certificate>) -> Result<()> {
    tx.exec("DELETE FROM certificates WHERE id = ?1", params![id]).await
}

/// Writes which warning was given for one that the caller found within its scope.
pub async fn set_warned(tx: &Tx<'_>, id: Id<id::Certificate>, days: i64) -> Result<()> {
    tx.exec("UPDATE certificates SET warned_days = ?2 WHERE id = ?1", params![id, days]).await
}
