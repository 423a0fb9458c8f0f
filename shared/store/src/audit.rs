//! The audit: one chain of entries an organization, to which entries are only added.

use crate::{
    Db, Row, Stored, Tx, Value,
    organizations::Organization,
    params,
    value::{batch_of, packed, rows_of_numbers},
};
use domain::{
    Error, Id, Instant, JsonSchema, Result,
    audit::{self, AuditDetails, AuditPrincipal, AuditResult, Member, NO_HASH},
    id,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

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

/// Adds entries, one a subject, to the end of each organization's chain, in this order and in the transaction of what they tell.
/// The organizations come in the order of their ids, or two who add to several chains could wait for each other. However many
/// they are, they cost the statements of one.
pub async fn record(tx: &Tx<'_>, organizations: &[Id<id::Organization>], new: &NewEntry<'_>, subjects: &[Subject]) -> Result<()> {
    // Most of an entry is the same in every chain.
    let same: Vec<Columns> = subjects.iter().map(|subject| columns(new, subject)).collect();
    let chains: Vec<_> = organizations.iter().map(|&organization| (organization, same.as_slice())).collect();
    append(tx, new.at, &chains).await
}

/// Adds an entry to the chain of each organization, of a subject of its own. The order and the cost are as of [`record`].
pub async fn record_each(tx: &Tx<'_>, subjects: &[(Id<id::Organization>, Subject)], new: &NewEntry<'_>) -> Result<()> {
    let entries: Vec<_> = subjects.iter().map(|(organization, subject)| (*organization, [columns(new, subject)])).collect();
    let chains: Vec<_> = entries.iter().map(|(organization, entry)| (*organization, entry.as_slice())).collect();
    append(tx, new.at, &chains).await
}

/// Adds entries to the ends of chains, which come in the order of their organizations' ids.
async fn append(tx: &Tx<'_>, at: Instant, chains: &[(Id<id::Organization>, &[Columns])]) -> Result<()> {
    let mut ends = BTreeMap::new();
    for batch in chains.chunks(CHAINS) {
        // This holds the chains until the end of the transaction, also where two can write at once: so no chain can fork.
        let starts: Vec<Held> = batch
            .iter()
            .map(|&(organization_id, entries)| Held {
                organization_id,
                sequence: entries.len() as i64,
                hash: NO_HASH.to_owned(),
                at,
            })
            .collect();
        let (sql, values) = upsertion(&starts, HOLD);
        let held = tx
            .query_all(&sql, values, |row| {
                Ok(Held { organization_id: row.take()?, sequence: row.take()?, hash: row.take()?, at: row.take()? })
            })
            .await?;
        ends.extend(held.into_iter().map(|end| (end.organization_id, end)));
    }
    let mut rows = Vec::new();
    for &(organization_id, entries) in chains {
        let end = ends.get_mut(&organization_id).ok_or_else(|| Error::fault("a chain was not updated"))?;
        // A request that came earlier may be done later.
        end.at = end.at.max(at);
        for (entry, sequence) in entries.iter().zip(end.sequence - entries.len() as i64 + 1..) {
            let mut row = entry.clone();
            row[AT] = Some(end.at.timestamp_millis().to_string());
            row[ORGANIZATION] = Some(organization_id.to_string());
            row[PREVIOUS_HASH] = Some(std::mem::take(&mut end.hash));
            row[SEQUENCE] = Some(sequence.to_string());
            end.hash = audit::hash(&canonical(&row));
            row.push(Some(end.hash.clone()));
            rows.push(row);
        }
    }
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let (sql, values) = insertion(batch_of(rows.len()), &mut rows);
        tx.exec(&sql, values).await?;
    }
    let ends: Vec<_> = ends.into_values().collect();
    for batch in ends.chunks(CHAINS) {
        let (sql, values) = upsertion(batch, "hash = excluded.hash, at = excluded.at");
        tx.exec(&sql, values).await?;
    }
    Ok(())
}

/// To so many chains entries are added at once: a request concerns two or three, an import some hundreds.
const CHAINS: usize = 256;

/// How the chains that a transaction is to add to are made longer, and read.
const HOLD: &str = concat!(
    "sequence = audit_chains.sequence + excluded.sequence RETURNING ",
    packed!("organization_id", "sequence", "hash", "at")
);

/// A chain that is added to, and where it ends.
struct Held {
    organization_id: Id<id::Organization>,
    sequence: i64,
    hash: String,
    at: Instant,
}

/// The statement that writes where chains end, or changes it where they have begun, and its values.
fn upsertion(ends: &[Held], change: &str) -> (String, Vec<Value>) {
    let values = ends.iter().flat_map(|end| params![end.organization_id, end.sequence, end.hash, end.at]).collect();
    let sql = [
        "INSERT INTO audit_chains (organization_id, sequence, hash, at) VALUES ",
        &rows_of_numbers(1, 4, ends.len()),
        " ON CONFLICT (organization_id) DO UPDATE SET ",
        change,
    ];
    (sql.concat(), values)
}

/// An entry without its place in a chain: when it was written there, the chain, the hash before it, its number and its own hash.
fn columns(new: &NewEntry<'_>, subject: &Subject) -> Columns {
    let (resource, operation) = new.action.split_once('.').unwrap_or((new.action, ""));
    let principal = new.principal;
    let texts: [Option<&dyn fmt::Display>; WIDTH - 1] = [
        new.acting_organization_id.as_ref().map(|id| id as _),
        new.acting_session_id.as_ref().map(|id| id as _),
        Some(&resource),
        Some(&operation),
        None,
        None,
        None,
        None,
        Some(&principal),
        new.principal_organization_id.as_ref().map(|id| id as _),
        Some(&new.request_id),
        Some(&new.result),
        None,
        subject.id.as_ref().map(|id| id as _),
        Some(&new.trace_id),
    ];
    let mut columns = Columns::with_capacity(WIDTH);
    columns.extend(texts.iter().map(|text| text.map(|text| text.to_string())));
    columns[DETAILS] = Some(subject.details.canonical());
    columns
}

/// The columns of an entry, each as a text. Those that are members of its JSON have the order of their names there.
type Columns = Vec<Option<String>>;

const COLUMNS: &str = "acting_organization_id, acting_session_id, resource, operation, at, details, organization_id, previous_hash, principal, principal_organization_id, request_id, result, sequence, subject_id, trace_id, hash";
/// How many that is.
const WIDTH: usize = 16;
/// Where some of them are. When and the sequence are numbers.
const AT: usize = 4;
const DETAILS: usize = 5;
const ORGANIZATION: usize = 6;
const PREVIOUS_HASH: usize = 7;
const SEQUENCE: usize = 12;

/// The JSON of an entry, from its columns but the last, as they are, whatever they hold: this is what its hash is made of.
fn canonical(columns: &[Option<String>]) -> String {
    let column = |index: usize| columns.get(index).and_then(Option::as_deref);
    let number = |index: usize| column(index).and_then(|text| text.parse().ok());
    let member = |index: usize| column(index).map_or(Member::Null, Member::Text);
    let action = format!("{}.{}", column(2).unwrap_or_default(), column(3).unwrap_or_default());
    let at = number(AT).and_then(Instant::from_timestamp_millis).map(|at| at.to_string());
    audit::canonical(&[
        ("actingOrganizationId", member(0)),
        ("actingSessionId", member(1)),
        ("action", Member::Text(&action)),
        ("at", at.as_deref().map_or(Member::Null, Member::Text)),
        ("details", column(DETAILS).map_or(Member::Null, Member::Json)),
        ("organizationId", member(ORGANIZATION)),
        ("previousHash", member(PREVIOUS_HASH)),
        ("principal", member(8)),
        ("principalOrganizationId", member(9)),
        ("requestId", member(10)),
        ("result", member(11)),
        ("sequence", number(SEQUENCE).map_or(Member::Null, Member::Number)),
        ("subjectId", member(13)),
        ("traceId", member(14)),
    ])
}

/// The statement that writes as many entries, and its values.
fn insertion(count: usize, entries: &mut std::vec::IntoIter<Columns>) -> (String, Vec<Value>) {
    let mut values = Vec::with_capacity(count * WIDTH);
    for columns in entries.take(count) {
        for (index, column) in columns.into_iter().enumerate() {
            values.push(match (index, column) {
                (_, None) => Value::Null,
                (AT | SEQUENCE, Some(text)) => Value::Int(text.parse().unwrap_or_default()),
                (_, Some(text)) => Value::Text(text),
            });
        }
    }
    let sql = ["INSERT INTO audit_entries (", COLUMNS, ") VALUES ", &rows_of_numbers(1, WIDTH, count)];
    (sql.concat(), values)
}

/// The same in one, for there are many and of many rows.
const PACKED: &str = packed!(
    "acting_organization_id",
    "acting_session_id",
    "resource",
    "operation",
    "at",
    "details",
    "organization_id",
    "previous_hash",
    "principal",
    "principal_organization_id",
    "request_id",
    "result",
    "sequence",
    "subject_id",
    "trace_id",
    "hash"
);

/// An entry as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The organization acted in; none where nobody acted anywhere.
    pub acting_organization_id: Option<Id<id::Organization>>,
    /// The session in which the principal acted in a customer that it is no member of.
    pub acting_session_id: Option<Id<id::ActingSession>>,
    /// What was done: the operationId of the route with a dot, `organizations.create`; or a name of the same form for what the
    /// hub does by itself.
    pub action: String,
    /// When the request came that did it. Within a chain this never goes back.
    pub at: Instant,
    /// What changed, by name; what did not change but belongs to it has only `to`.
    pub details: AuditDetails,
    /// Whose chain this is.
    pub organization_id: Id<id::Organization>,
    /// The hash of the entry before this one; 64 zeros in the first.
    pub previous_hash: String,
    /// Who did it.
    pub principal: AuditPrincipal,
    /// The organization that the principal belongs to.
    pub principal_organization_id: Option<Id<id::Organization>>,
    /// The request that did it, as in its answer's `Hub-Request-Id` and in the log; of a job, its run.
    pub request_id: Id<id::Request>,
    /// Whether it was done.
    pub result: AuditResult,
    /// The number of the entry in its chain, from 1 without gaps.
    pub sequence: i64,
    /// What it was done to: the id of it, which says of what kind it is.
    pub subject_id: Option<String>,
    /// The trace that the request was part of (W3C Trace Context).
    pub trace_id: String,
    /// SHA-256 (in hexadecimal) of this entry without this member, in the canonical form of RFC 8785.
    pub hash: String,
}

fn read(row: &mut Row) -> Result<AuditEntry> {
    Ok(AuditEntry {
        acting_organization_id: row.take()?,
        acting_session_id: row.take()?,
        action: format!("{}.{}", row.take::<String>()?, row.take::<String>()?),
        at: row.take()?,
        details: serde_json::from_str(&row.take::<String>()?).map_err(|error| Error::fault(error.to_string()))?,
        organization_id: row.take()?,
        previous_hash: row.take()?,
        principal: row.take()?,
        principal_organization_id: row.take()?,
        request_id: row.take()?,
        result: row.take()?,
        sequence: row.take()?,
        subject_id: row.take()?,
        trace_id: row.take()?,
        hash: row.take()?,
    })
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
pub async fn list(db: &Db, chain: &Organization, filter: &Filter<'_>, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
    let mut first = after + 1;
    if let Some(from) = filter.from {
        first = first.max(first_since(db, chain, from).await?);
    }
    let last = match filter.to {
        Some(to) => first_since(db, chain, to).await? - 1,
        None => i64::MAX,
    };
    // A filter is in the statement only when it is asked for, so that its index is used. And BETWEEN, because SQLite takes two
    // comparisons of the number for so narrow a range that it prefers the primary key.
    let mut sql = format!("SELECT {PACKED} FROM audit_entries WHERE organization_id = ?1 AND sequence BETWEEN ?2 AND ?3");
    let mut values = params![chain.id, first, last, limit];
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
    found.ok_or_else(|| Error::fault("an organization vanished"))
}

/// An entry as far as its place in the chain goes.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its number.
    pub sequence: i64,
    /// The hash that it gives for the entry before.
    pub previous_hash: String,
    /// The hash that it gives for itself.
    pub hash: String,
    /// What that should be the hash of.
    pub canonical: String,
}

/// The entries numbered above `after` and up to `last`, as they are, whatever they hold.
pub async fn links(db: &Db, chain: &Organization, after: i64, last: i64, limit: u32) -> Result<Vec<Link>> {
    let sql = format!(
        "SELECT {PACKED} FROM audit_entries WHERE organization_id = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT ?4"
    );
    db.query_all(&sql, params![chain.id, after, last, limit], |row| {
        let columns = (0..WIDTH).map(|_| row.take()).collect::<Result<Columns>>()?;
        let text = |index: usize| columns[index].clone().unwrap_or_default();
        let sequence = text(SEQUENCE).parse().unwrap_or_default();
        Ok(Link { sequence, previous_hash: text(7), hash: text(WIDTH - 1), canonical: canonical(&columns) })
    })
    .await
}
