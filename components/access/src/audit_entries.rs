//! `/v1/audit-entries`

use domain::{
    Error, Id, Instant, JsonSchema, Result, Text,
    audit::{AuditBreak, AuditFault, AuditPrincipal, AuditWalk, NO_HASH},
    id,
};
use serde::{Deserialize, Serialize};
use store::{
    audit::{self, AuditEntry, Filter},
    organizations::{self, Organization},
};
use web::{Answer, Caller, Cursor, Hub, Identity, Listing, Page, Query, Reply, Shown, permit};

/// The most entries of one export.
const EXPORTED: u32 = 1000;
/// The most entries that one request verifies.
const VERIFIED: u32 = 5000;
/// How many of them are read at once.
const PIECE: u32 = 500;

/// Which entries to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Whose entries; the acting organization's when left out.
    organization_id: Option<Id<id::Organization>>,
    /// Only this action (`organizations.edit`), or all of which this is the first word (`organizations`).
    action: Option<Text<1, 80>>,
    /// Only what this one did.
    principal: Option<AuditPrincipal>,
    /// Only what was done to the thing with this id.
    subject_id: Option<Text<1, 40>>,
    /// Only what was done in this acting session.
    acting_session_id: Option<Id<id::ActingSession>>,
    /// Only what was done at this instant or later.
    from: Option<Instant>,
    /// Only what was done before this instant.
    to: Option<Instant>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::AuditRead>, Query(query): Query<ListQuery>) -> Result<Listing<AuditEntry>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let chain = chain(&hub, &caller, query.organization_id).await?;
    let (resource, operation) = match query.action.as_deref() {
        Some(action) => {
            action.split_once('.').map_or((Some(action), None), |(resource, operation)| (Some(resource), Some(operation)))
        }
        None => (None, None),
    };
    let filter = Filter {
        resource,
        operation,
        principal: query.principal,
        subject_id: query.subject_id.as_deref(),
        acting_session_id: query.acting_session_id,
        from: query.from,
        to: query.to,
    };
    let found = audit::list(hub.db().await?, &chain, &filter, page.after()?.unwrap_or_default(), page.rows()).await?;
    Listing::new(&page, found, |entry| entry.sequence.to_string()).await
}

/// The organization whose chain is asked for.
async fn chain(hub: &Hub, caller: &Identity, named: Option<Id<id::Organization>>) -> Result<Organization> {
    organizations::find(hub.db().await?, &caller.scope(), named.unwrap_or(caller.acting().id)).await
}

/// The number of an entry, from a cursor.
fn number(cursor: Option<u64>) -> Result<i64> {
    // What every JSON library can carry; no chain comes near it.
    match cursor.unwrap_or_default() {
        number @ 0..=9_007_199_254_740_991 => Ok(number as i64),
        other => Err(Error::malformed("bad_query", format!("cursor is the number of an entry; {other} is none."))),
    }
}

/// Which entries to export.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportQuery {
    /// Whose entries; the acting organization's when left out.
    organization_id: Option<Id<id::Organization>>,
    /// How many at most: 1 to 1000, 1000 when left out.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// The number of the last entry that you have; 0, as when left out, for the beginning.
    #[schemars(range(min = 0, max = 9007199254740991i64))]
    cursor: Option<u64>,
}

/// Entries as JSON, one a line, and where there are more.
pub struct Exported {
    lines: Vec<u8>,
    next: Option<String>,
}

impl Reply for Exported {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::new(200);
        answer.body = Some(self.lines);
        answer.header("content-type", "application/x-ndjson");
        if let Some(next) = self.next {
            answer.header("link", format!("<{next}>; rel=\"next\""));
        }
        Ok(answer)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for Exported {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers_text(200, "application/x-ndjson", "Entries, each a JSON object on a line of its own.");
        operation.answer_header(200, "Link", "rel=\"next\": the next entries (RFC 8288); absent when there are none yet.");
    }
}

pub async fn export(hub: Hub, caller: Caller<permit::AuditRead>, Query(query): Query<ExportQuery>) -> Result<Exported> {
    let limit = bounded(query.limit, EXPORTED)?;
    let chain = chain(&hub, &caller, query.organization_id).await?;
    let mut after = number(query.cursor)?;
    let (mut lines, mut left) = (Vec::new(), limit);
    let db = hub.db().await?;
    loop {
        let rows = left.min(PIECE);
        let found = audit::list(db, &chain, &Filter::default(), after, rows).await?;
        let is_last = found.len() < rows as usize;
        for entry in found {
            after = entry.sequence;
            left -= 1;
            serde_json::to_writer(&mut lines, &entry).map_err(|error| Error::fault(error.to_string()))?;
            lines.push(b'\n');
        }
        if is_last {
            return Ok(Exported { lines, next: None });
        }
        if left == 0 {
            let next = format!("/v1/audit-entries/export?organizationId={}&limit={limit}&cursor={after}", chain.id);
            return Ok(Exported { lines, next: Some(next) });
        }
    }
}

fn bounded(limit: Option<u32>, most: u32) -> Result<u32> {
    let limit = limit.unwrap_or(most);
    if !(1..=most).contains(&limit) {
        return Err(Error::malformed("bad_query", format!("limit must be from 1 to {most}; it was {limit}.")));
    }
    Ok(limit)
}

/// What to verify.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyQuery {
    /// Whose entries; the acting organization's when left out.
    organization_id: Option<Id<id::Organization>>,
    /// How many at most: 1 to 5000, 5000 when left out.
    #[schemars(range(min = 1, max = 5000))]
    limit: Option<u32>,
    /// The number of the entry up to which the chain was verified before: the `nextCursor` of that answer.
    #[schemars(range(min = 0, max = 9007199254740991i64))]
    cursor: Option<u64>,
}

/// What came of verifying a chain, or a part of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Whose chain.
    organization_id: Id<id::Organization>,
    /// The number of the last entry that was found to be right; 0 before the first.
    sequence: i64,
    /// Its hash. Keep it outside of the hub: then nobody can make a chain anew without your seeing it.
    hash: String,
    /// The first entry that is broken; absent when there is none as far as this came.
    broken: Option<AuditBreak>,
    /// Where to go on; absent when the chain was verified to its end, or is broken.
    next_cursor: Option<i64>,
}

pub async fn verify(
    hub: Hub,
    caller: Caller<permit::AuditRead>,
    Query(query): Query<VerifyQuery>,
) -> Result<Shown<Verification>> {
    let limit = bounded(query.limit, VERIFIED)?;
    let chain = chain(&hub, &caller, query.organization_id).await?;
    let mut walk = AuditWalk { sequence: number(query.cursor)?, hash: NO_HASH.into() };
    let walked = walked(&hub, &chain, &mut walk, limit).await?;
    Ok(Shown(Verification {
        organization_id: chain.id,
        sequence: walk.sequence,
        hash: walk.hash,
        next_cursor: (walked == Ok(false)).then_some(walk.sequence),
        broken: walked.err(),
    }))
}

/// Walks along a chain. Whether it came to its end, or where the chain is broken.
async fn walked(hub: &Hub, chain: &Organization, walk: &mut AuditWalk, limit: u32) -> Result<Result<bool, AuditBreak>> {
    let db = hub.db().await?;
    // First, so that what is added meanwhile is not taken for what does not belong there.
    let end = audit::end(db, chain).await?;
    let mut left = limit;
    if walk.sequence > end.sequence {
        // There were more once.
        return Ok(Err(AuditBreak { sequence: end.sequence + 1, fault: AuditFault::End }));
    }
    if walk.sequence > 0 {
        // It goes on from the last entry that was verified, which must still be what it says itself.
        (walk.sequence, left) = (walk.sequence - 1, left + 1);
        if let Some(link) = audit::links(db, chain, walk.sequence, walk.sequence + 1, 1).await?.first() {
            walk.hash.clone_from(&link.previous_hash);
        }
    }
    while left > 0 {
        let rows = left.min(PIECE);
        let found = audit::links(db, chain, walk.sequence, end.sequence, rows).await?;
        let is_last = found.len() < rows as usize;
        for link in found {
            if let Err(broken) = walk.step(link.sequence, &link.previous_hash, &link.hash, &link.canonical) {
                return Ok(Err(broken));
            }
            left -= 1;
        }
        if is_last || walk.sequence == end.sequence {
            let more = AuditBreak { sequence: end.sequence + 1, fault: AuditFault::End };
            let is_whole = if end.highest > end.sequence { Err(more) } else { walk.end(end.sequence, &end.hash) };
            return Ok(is_whole.map(|()| true));
        }
    }
    Ok(Ok(false))
}
