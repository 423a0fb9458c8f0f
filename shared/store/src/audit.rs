//! The audit: one chain of entries an organization, to which entries are only added.

use crate::{
    Db, Row, Stored, Tx, Value,
    organizations::Organization,
    params,
    value::{batches, numbers},
};
use domain::{
    Error, Id, Instant, Result,
    audit::{AuditDetails, AuditEntry, AuditPrincipal, AuditResult, NO_HASH},
    id,
};

/// What an entry is made of; its place in the chain comes from the chain.
#[derive(Clone, Debug)]
pub struct NewEntry<'a> {
    /// When the request came that did it.
    pub at: Instant,
    /// What was done: two words with a dot between them.
    pub action: &'a str,
    /// Who did it.
    pub principal: AuditPrincipal,
    /// The organization that the principal belongs to.
    pub principal_organization_id: Option<Id<id::Organization>>,
    /// The organization acted in.
    pub acting_organization_id: Option<Id<id::Organization>>,
    /// The session in which the principal acted there.
    pub acting_session_id: Option<Id<id::ActingSession>>,
    /// The request.
    pub request_id: Id<id::Request>,
    /// Its trace.
    pub trace_id: &'a str,
    /// Whether it was done.
    pub result: AuditResult,
}

/// What an entry is about.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The thing's id.
    pub id: Option<String>,
    /// What changed. Never a secret.
    pub details: AuditDetails,
}

/// Adds entries, one a subject, to the end of an organization's chain, in this order and in the transaction of what they tell.
/// Whoever adds to several chains does so in the order of the organizations' ids, or two could wait for each other.
pub async fn record(tx: &Tx<'_>, organization_id: Id<id::Organization>, new: &NewEntry<'_>, subjects: &[Subject]) -> Result<()> {
    let count = subjects.len() as i64;
    // The update holds the chain until the end of the transaction, also where two can write at once: so the chain cannot fork.
    let end: Option<(i64, String, Instant)> = tx
        .query_opt(
            "INSERT INTO audit_chains (organization_id, sequence, hash, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (organization_id) DO UPDATE SET sequence = audit_chains.sequence + excluded.sequence
             RETURNING sequence, hash, at",
            params![organization_id, count, NO_HASH, new.at],
            |row| Ok((row.take()?, row.take()?, row.take()?)),
        )
        .await?;
    let (sequence, mut hash, last) = end.ok_or_else(|| Error::unavailable("a chain was not updated"))?;
    // A request that came earlier may be done later.
    let at = last.max(new.at);
    let mut values = Vec::with_capacity(subjects.len());
    for (subject, sequence) in subjects.iter().zip(sequence - count + 1..) {
        let entry = AuditEntry {
            acting_organization_id: new.acting_organization_id,
            acting_session_id: new.acting_session_id,
            action: new.action.to_owned(),
            at,
            details: subject.details.clone(),
            organization_id,
            previous_hash: hash,
            principal: new.principal,
            principal_organization_id: new.principal_organization_id,
            request_id: new.request_id,
            result: new.result,
            sequence,
            subject_id: subject.id.clone(),
            trace_id: new.trace_id.to_owned(),
        };
        hash = entry.hash();
        values.push(entry_values(entry, &hash)?);
    }
    for batch in batches(&values) {
        insert(tx, batch).await?;
    }
    tx.exec("UPDATE audit_chains SET hash = ?2, at = ?3 WHERE organization_id = ?1", params![organization_id, hash, at]).await
}

const COLUMNS: &str = "organization_id, sequence, at, resource, operation, subject_id, principal, principal_organization_id, acting_organization_id, acting_session_id, request_id, trace_id, result, details, previous_hash, hash";
/// How many columns that is.
const WIDTH: usize = 16;

fn entry_values(entry: AuditEntry, hash: &str) -> Result<Vec<Value>> {
    let (resource, operation) = entry.action.split_once('.').unwrap_or((&entry.action, ""));
    let details = serde_json::to_string(&entry.details).map_err(|error| Error::unavailable(error.to_string()))?;
    Ok(params![
        entry.organization_id,
        entry.sequence,
        entry.at,
        resource,
        operation,
        entry.subject_id,
        entry.principal,
        entry.principal_organization_id,
        entry.acting_organization_id,
        entry.acting_session_id,
        entry.request_id,
        entry.trace_id,
        entry.result,
        details,
        entry.previous_hash,
        hash
    ])
}

async fn insert(tx: &Tx<'_>, batch: &[Vec<Value>]) -> Result<()> {
    let tuples: Vec<_> = (0..batch.len()).map(|index| format!("({})", numbers(1 + index * WIDTH, WIDTH))).collect();
    tx.exec(&format!("INSERT INTO audit_entries ({COLUMNS}) VALUES {}", tuples.join(", ")), batch.concat()).await
}

/// An entry with its hash.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The entry.
    pub entry: AuditEntry,
    /// The hash that was stored with it.
    pub hash: String,
}

fn read(row: &mut Row) -> Result<StoredEntry> {
    let (organization_id, sequence, at) = (row.take()?, row.take()?, row.take()?);
    let (resource, operation): (String, String) = (row.take()?, row.take()?);
    let (subject_id, principal, principal_organization_id, acting_organization_id, acting_session_id) =
        (row.take()?, row.take()?, row.take()?, row.take()?, row.take()?);
    let (request_id, trace_id, result) = (row.take()?, row.take()?, row.take()?);
    let text: String = row.take()?;
    let details: AuditDetails = serde_json::from_str(&text).map_err(|error| Error::unavailable(error.to_string()))?;
    if serde_json::to_string(&details).is_ok_and(|canonical| canonical != text) {
        return Err(Error::unavailable("an audit entry's details are not in the form in which they were written"));
    }
    let entry = AuditEntry {
        acting_organization_id,
        acting_session_id,
        action: format!("{resource}.{operation}"),
        at,
        details,
        organization_id,
        previous_hash: row.take()?,
        principal,
        principal_organization_id,
        request_id,
        result,
        sequence,
        subject_id,
        trace_id,
    };
    Ok(StoredEntry { entry, hash: row.take()? })
}

/// Which entries of a chain.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// Only what was done to such things: the first word of the action.
    pub resource: Option<&'a str>,
    /// Only this: the second word of the action.
    pub operation: Option<&'a str>,
    /// Only by this one.
    pub principal: Option<AuditPrincipal>,
    /// Only to this thing.
    pub subject_id: Option<&'a str>,
    /// Only in this session.
    pub acting_session_id: Option<Id<id::ActingSession>>,
    /// Not before this instant.
    pub from: Option<Instant>,
    /// Before this instant.
    pub to: Option<Instant>,
}

/// A page of the entries of a chain that come after number `after`, in their order. The organization was found within the
/// caller's scope.
pub async fn list(db: &Db, chain: &Organization, filter: &Filter<'_>, after: i64, limit: u32) -> Result<Vec<StoredEntry>> {
    let mut first = after + 1;
    if let Some(from) = filter.from {
        first = first.max(first_since(db, chain, from).await?);
    }
    let end = match filter.to {
        Some(to) => first_since(db, chain, to).await?,
        None => i64::MAX,
    };
    // A filter is in the statement only when it is asked for, so that its index is used.
    let mut sql = format!("SELECT {COLUMNS} FROM audit_entries WHERE organization_id = ?1 AND sequence >= ?2 AND sequence < ?3");
    let mut values = params![chain.id, first, end, limit];
    for (column, value) in [
        ("resource", filter.resource.to_value()),
        ("operation", filter.operation.to_value()),
        ("principal", filter.principal.to_value()),
        ("subject_id", filter.subject_id.to_value()),
        ("acting_session_id", filter.acting_session_id.to_value()),
    ] {
        if value != Value::Null {
            values.push(value);
            sql += &format!(" AND {column} = ?{}", values.len());
        }
    }
    sql += " ORDER BY sequence LIMIT ?4";
    db.query_all(&sql, values, read).await
}

/// The number of the first entry at or after an instant; one past the last when there is none. Instants never go back within
/// a chain, so this halves it until the place is found, and no index is needed for it.
async fn first_since(db: &Db, chain: &Organization, at: Instant) -> Result<i64> {
    let (mut low, mut high) = (1, end(db, chain).await?.sequence + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT at FROM audit_entries WHERE organization_id = ?1 AND sequence = ?2";
        let there: Option<Instant> = db.query_opt(sql, params![chain.id, middle], |row| row.take()).await?;
        // What is missing breaks the chain, which is for its verification to say.
        if there.is_none_or(|there| there < at) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Where a chain ends.
#[derive(Clone, Debug)]
pub struct End {
    /// The number of the last entry that was written; 0 before the first.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
    /// The highest number that there is now.
    pub highest: i64,
}

/// Where the chain ends, by what was written when its last entry was, and by the entries there are: both at one moment.
pub async fn end(db: &Db, chain: &Organization) -> Result<End> {
    let found = db
        .query_opt(
            "SELECT COALESCE(c.sequence, 0), COALESCE(c.hash, ?2),
                 (SELECT COALESCE(MAX(e.sequence), 0) FROM audit_entries e WHERE e.organization_id = o.id)
             FROM organizations o LEFT JOIN audit_chains c ON c.organization_id = o.id WHERE o.id = ?1",
            params![chain.id, NO_HASH],
            |row| Ok(End { sequence: row.take()?, hash: row.take()?, highest: row.take()? }),
        )
        .await?;
    found.ok_or_else(|| Error::unavailable("an organization vanished"))
}

/// The entries numbered above `after` and up to `last`, as they are: what cannot be read any more comes without its content.
pub async fn raw(db: &Db, chain: &Organization, after: i64, last: i64, limit: u32) -> Result<Vec<(i64, Option<StoredEntry>)>> {
    let sql = format!(
        "SELECT sequence, {COLUMNS} FROM audit_entries WHERE organization_id = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT ?4"
    );
    db.query_all(&sql, params![chain.id, after, last, limit], |row| Ok((row.take()?, read(row).ok()))).await
}
