//! The one table for everything that outlives a request.
//!
//! A job is enqueued in the transaction that decides it and claimed under a lease. Each claim raises the job's fence;
//! a runner that lost its lease holds an old fence, and whatever it still tries to write is rolled back.
//!
//! Organizations take turns (round robin): `job_turns` has a row for each with jobs in a queue, and [`claim`] serves the lowest
//! turn, which then goes behind all that are due. So a job waits for at most one job of each other organization, however many
//! those have. Whatever makes a job due has to keep the organization's turn as low ([`take_place`]).

use crate::{Db, Row, Tx, Value, params, value::start};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, OrganizationPath, Result, id,
    job::{JobState, LEASE, SHARE, SUSPECT},
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

/// How many turns there are in a millisecond; the migration that made `job_turns` says the same.
const TURNS: i64 = 16_384;
/// How many organizations one claim looks at that turn out to have nothing due.
const LOOKS: usize = 64;

/// The first turn of an instant.
fn turn(at: Instant) -> i64 {
    at.timestamp_millis().saturating_mul(TURNS)
}

/// A job to be written.
pub struct NewJob<'a> {
    /// Its id.
    pub id: Id<id::Job>,
    /// The component that runs it.
    pub queue: &'a str,
    /// What is to be done, in that component's own words.
    pub kind: &'a str,
    /// Whose work it is.
    pub organization_id: Id<id::Organization>,
    /// What the component needs to know, as JSON. Never a secret.
    pub payload: String,
    /// Not before this instant.
    pub due_at: Instant,
    /// The traceparent of the request that decided it.
    pub trace: Option<&'a str>,
    /// The present instant.
    pub now: Instant,
}

/// What a job of one kind has to know: its payload, which is stored as JSON. Never a secret.
pub trait JobPayload: Serialize + DeserializeOwned + 'static {
    /// The component that runs it.
    const QUEUE: &'static str;
    /// What is to be done: a resource and a verb with a dot between them, as `contract.advance`. Part of the API.
    const KIND: &'static str;
}

/// Declares the payload of a kind of jobs: `Name { field: Type } queue "component" kind "resource.verb"`.
#[macro_export]
macro_rules! job_payload {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty),* } queue $queue:literal kind $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$about])* pub $field: $type,)*
        }

        impl $crate::jobs::JobPayload for $name {
            const QUEUE: &'static str = $queue;
            const KIND: &'static str = $kind;
        }
    };
}

impl<'a> NewJob<'a> {
    /// A job of a kind that is due at once. The other fields are for the caller to change.
    pub fn of<J: JobPayload>(id: Id<id::Job>, organization_id: Id<id::Organization>, payload: &J, now: Instant) -> Result<Self> {
        let payload = serde_json::to_string(payload).map_err(|error| Error::fault(format!("payload of {}: {error}", J::KIND)))?;
        Ok(Self { id, queue: J::QUEUE, kind: J::KIND, organization_id, payload, due_at: now, trace: None, now })
    }
}

impl Job {
    /// The payload, if it is one of this kind.
    pub fn read<J: JobPayload>(&self) -> Result<J> {
        serde_json::from_str(&self.payload)
            .map_err(|error| Error::malformed("job_payload", format!("The payload of the job is none of {}: {error}.", J::KIND)))
    }
}

/// A job that was claimed.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: Id<id::Job>,
    /// What is to be done.
    pub kind: String,
    /// Whose work it is.
    pub organization_id: Id<id::Organization>,
    /// Where that organization stands: the job's scope.
    pub organization_path: OrganizationPath,
    /// What the component wanted to know, as JSON.
    pub payload: String,
    /// Failures in a row so far, runners that died among them.
    pub attempts: u32,
    /// The claim's number.
    pub fence: i64,
    /// The traceparent of the request that decided it.
    pub trace: Option<String>,
}

/// Writes a job.
pub async fn enqueue(tx: &Tx<'_>, job: NewJob<'_>) -> Result<()> {
    tx.exec(
        "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, trace, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'READY', ?6, 0, 0, ?7, ?8)",
        params![job.id, job.queue, job.kind, job.organization_id, job.payload, job.due_at, job.trace, job.now],
    )
    .await?;
    take_place(tx, job.queue, job.organization_id, job.due_at).await
}

/// Sees to it that an organization's turn comes when a job of it is due, behind those that were served already.
async fn take_place(tx: &Tx<'_>, queue: &str, organization_id: Id<id::Organization>, due_at: Instant) -> Result<()> {
    tx.exec(
        "INSERT INTO job_turns (queue, organization_id, turn)
         SELECT ?1, ?2, CASE WHEN last.served > ?3 THEN last.served ELSE ?3 END
         FROM (SELECT COALESCE(MAX(served), 0) AS served FROM job_queues WHERE queue = ?1) last WHERE TRUE
         ON CONFLICT (queue, organization_id) DO UPDATE SET turn = excluded.turn WHERE excluded.turn < job_turns.turn",
        params![queue, organization_id, turn(due_at)],
    )
    .await
}

/// Claims up to `limit` due jobs of a queue, one of each organization in turn; a second one only when all that are due have
/// had theirs, and none beyond an organization's [`SHARE`] of the runner's places. `running`: whose jobs the runner is at, each once a
/// job. The leases of all begin now.
///
/// Jobs that were claimed and whose lease has ended are due again: their runner is taken for dead, which is one more
/// failure, or a job that kills its runner would never be parked. One that did so [`SUSPECT`] times is claimed alone, by
/// a runner that is at nothing else.
pub async fn claim(tx: &Tx<'_>, queue: &str, now: Instant, limit: usize, running: &[Id<id::Organization>]) -> Result<Vec<Job>> {
    let sql = "SELECT served FROM job_queues WHERE queue = ?1";
    let last: Option<i64> = tx.query_opt(sql, params![queue], |row| row.take()).await?;
    let mut turns = Turns { tx, queue, now, next: (turn(now) + 1).max(last.unwrap_or_default() + 1), looks: 0 };
    let claimed = turns.claim(limit, running).await?;
    tx.exec(
        "INSERT INTO job_queues (queue, served) VALUES (?1, ?2) ON CONFLICT (queue) DO UPDATE SET served = excluded.served",
        params![queue, turns.next - 1],
    )
    .await?;
    Ok(claimed)
}

/// A claim that is under way.
struct Turns<'a> {
    tx: &'a Tx<'a>,
    queue: &'a str,
    now: Instant,
    /// The turn behind all that are due. Those that fall due in this very millisecond have its first one, and come before.
    next: i64,
    /// How many organizations had nothing due.
    looks: usize,
}

/// An organization's job whose turn it is.
struct FirstDue {
    id: Id<id::Job>,
    /// Whether it may be what kills its runners.
    suspect: bool,
}

impl Turns<'_> {
    async fn claim(&mut self, limit: usize, running: &[Id<id::Organization>]) -> Result<Vec<Job>> {
        let mut claimed: Vec<Job> = Vec::new();
        while claimed.len() < limit && self.looks < LOOKS {
            let places = running.iter().chain(claimed.iter().map(|job| &job.organization_id));
            let organizations = self.first(limit - claimed.len(), &full(places)).await?;
            if organizations.is_empty() {
                break;
            }
            for organization_id in organizations {
                let first = self.first_due(organization_id).await?;
                let suspect = first.as_ref().is_some_and(|first| first.suspect);
                if suspect && !(claimed.is_empty() && running.is_empty()) {
                    return Ok(claimed);
                }
                let job = match first {
                    Some(first) => claim_one(self.tx, first.id, self.now).await?,
                    None => None,
                };
                self.looks += usize::from(job.is_none());
                self.pass(organization_id).await?;
                claimed.extend(job);
                if suspect {
                    return Ok(claimed);
                }
            }
        }
        Ok(claimed)
    }

    /// The organizations whose turn it is, but for those that have their share already: two at most, for there are two shares.
    async fn first(&self, limit: usize, full: &[Id<id::Organization>]) -> Result<Vec<Id<id::Organization>>> {
        let full = |nth: usize| full.get(nth).map_or_else(String::new, Id::to_string);
        let sql = "SELECT organization_id FROM job_turns WHERE queue = ?1 AND turn < ?2 AND organization_id <> ?3 AND organization_id <> ?4
             ORDER BY turn, organization_id LIMIT ?5";
        let values = params![self.queue, turn(self.now) + TURNS, full(0), full(1), limit as u32];
        self.tx.query_all(sql, values, |row| row.take()).await
    }

    async fn first_due(&self, organization_id: Id<id::Organization>) -> Result<Option<FirstDue>> {
        let sql = "SELECT id, state, attempts FROM jobs WHERE queue = ?1 AND organization_id = ?2 AND state <> 'PARKED' AND due_at <= ?3
             ORDER BY due_at, id LIMIT 1";
        let read = |row: &mut Row| {
            let (id, state, attempts): (_, JobState, u32) = (row.take()?, row.take()?, row.take()?);
            Ok(FirstDue { id, suspect: state == JobState::Running && attempts + 1 >= SUSPECT })
        };
        self.tx.query_opt(sql, params![self.queue, organization_id, self.now], read).await
    }

    /// An organization had its turn. The next one comes behind all that are due, or when its next job is.
    async fn pass(&mut self, organization_id: Id<id::Organization>) -> Result<()> {
        let sql =
            "SELECT due_at FROM jobs WHERE queue = ?1 AND organization_id = ?2 AND state <> 'PARKED' ORDER BY due_at, id LIMIT 1";
        let due: Option<Instant> = self.tx.query_opt(sql, params![self.queue, organization_id], |row| row.take()).await?;
        let this = self.next;
        self.next += 1;
        let Some(due) = due else { return leave(self.tx, self.queue, organization_id).await };
        let turn = turn(due).max(this);
        let sql = "UPDATE job_turns SET turn = ?3 WHERE queue = ?1 AND organization_id = ?2";
        self.tx.exec(sql, params![self.queue, organization_id, turn]).await
    }
}

/// The organizations that have their share of a runner's places, each once a place.
fn full<'a>(places: impl Iterator<Item = &'a Id<id::Organization>>) -> Vec<Id<id::Organization>> {
    let mut count = BTreeMap::new();
    places.for_each(|organization| *count.entry(*organization).or_insert(0) += 1);
    count.into_iter().filter(|(_, places)| *places >= SHARE).map(|(organization, _)| organization).collect()
}

/// An organization without jobs in a queue takes no turns there.
async fn leave(tx: &Tx<'_>, queue: &str, organization_id: Id<id::Organization>) -> Result<()> {
    tx.exec(
        "DELETE FROM job_turns WHERE queue = ?1 AND organization_id = ?2
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE queue = ?1 AND organization_id = ?2 AND state <> 'PARKED')",
        params![queue, organization_id],
    )
    .await
}

/// Whether a queue may have work that is due: a read, so that a runner without work takes no lock. None, while the hub stops.
pub async fn any_due(db: &Db, queue: &str, now: Instant) -> Result<bool> {
    let sql =
        "SELECT turn FROM job_turns WHERE queue = ?1 AND turn < ?2 AND NOT EXISTS (SELECT 1 FROM hub WHERE stopping_until > ?3)
         ORDER BY turn LIMIT 1";
    let first: Option<i64> = db.query_opt(sql, params![queue, turn(now) + TURNS, now], |row| row.take()).await?;
    Ok(first.is_some())
}

/// Claims one job by its id if it is due, for a request that would rather wait than poll.
pub async fn claim_one(db: &Db, id: Id<id::Job>, now: Instant) -> Result<Option<Job>> {
    // What was asked before is asked of the row again: where two runners can write at once, that is old.
    db.query_opt(
        "UPDATE jobs SET attempts = attempts + CASE state WHEN 'RUNNING' THEN 1 ELSE 0 END, state = 'RUNNING', due_at = ?3, fence = fence + 1
         WHERE id = ?1 AND state <> 'PARKED' AND due_at <= ?2 AND NOT EXISTS (SELECT 1 FROM hub WHERE stopping_until > ?2)
         RETURNING id, kind, organization_id, (SELECT path FROM organizations WHERE id = jobs.organization_id), payload, attempts, fence, trace",
        params![id, now, now + LEASE],
        read_claimed,
    )
    .await
}

fn read_claimed(row: &mut Row) -> Result<Job> {
    Ok(Job {
        id: row.take()?,
        kind: row.take()?,
        organization_id: row.take()?,
        organization_path: row.take()?,
        payload: row.take()?,
        attempts: row.take()?,
        fence: row.take()?,
        trace: row.take()?,
    })
}

/// The job is done: in the transaction of its last effect, so that both happen or neither.
pub async fn finish(tx: &Tx<'_>, job: &Job) -> Result<()> {
    let queue = fenced(tx, job, "DELETE FROM jobs WHERE id = ?1 AND fence = ?2 RETURNING queue", vec![]).await?;
    leave(tx, &queue, job.organization_id).await
}

/// The job made headway and is to be run again at `due_at`. The failures so far are forgiven.
pub async fn again(tx: &Tx<'_>, job: &Job, due_at: Instant) -> Result<()> {
    let sql = "UPDATE jobs SET state = 'READY', attempts = 0, last_error = NULL, due_at = ?3 WHERE id = ?1 AND fence = ?2 RETURNING queue";
    let queue = fenced(tx, job, sql, params![due_at]).await?;
    take_place(tx, &queue, job.organization_id, due_at).await
}

/// The attempt failed: the job waits for its next one, or is parked when `wait` is `None`. `why` is shown to the
/// operator and must hold no secret.
pub async fn failed(tx: &Tx<'_>, job: &Job, now: Instant, wait: Option<TimeDelta>, why: &str) -> Result<()> {
    let state = if wait.is_some() { JobState::Ready } else { JobState::Parked };
    let due_at = now + wait.unwrap_or_default();
    let sql = "UPDATE jobs SET state = ?3, attempts = attempts + 1, last_error = ?4, due_at = ?5 WHERE id = ?1 AND fence = ?2 RETURNING queue";
    let queue = fenced(tx, job, sql, params![state, why, due_at]).await?;
    match state {
        JobState::Parked => leave(tx, &queue, job.organization_id).await,
        _ => take_place(tx, &queue, job.organization_id, due_at).await,
    }
}

/// Refuses, and so rolls back, when the job was claimed by another runner meanwhile. For what a runner writes before it
/// comes to [`finish`] or [`again`].
pub async fn hold(tx: &Tx<'_>, job: &Job) -> Result<()> {
    hold_claim(tx, Claim { id: job.id, fence: job.fence }).await
}

/// The same for a runner in another component, which asks for it to be done there.
pub async fn hold_claim(tx: &Tx<'_>, claim: Claim) -> Result<()> {
    if holds_claim(tx, claim).await? { Ok(()) } else { Err(taken_over()) }
}

/// What makes a runner the one of a job.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The job.
    pub id: Id<id::Job>,
    /// The claim's number.
    pub fence: i64,
}

/// The code of [`taken_over`].
pub const FENCED: &str = "job_fenced";

/// The refusal that a runner gets whose job another has taken over.
pub fn taken_over() -> Error {
    Error::conflict(FENCED, "Another runner has taken this job over; it goes on there.")
}

/// Refuses, and so rolls back, when the job was claimed by another runner meanwhile. Gives what the statement returns.
async fn fenced(tx: &Tx<'_>, job: &Job, sql: &str, more: Vec<Value>) -> Result<String> {
    let mut values = params![job.id, job.fence];
    values.extend(more);
    tx.query_opt(sql, values, |row| row.take()).await?.ok_or_else(taken_over)
}

/// Whether a runner still holds the claim it has. A cheap check before something slow is begun; what is written is
/// checked again by [`finish`], [`again`] and [`failed`].
pub async fn holds(db: &Db, job: &Job) -> Result<bool> {
    holds_claim(db, Claim { id: job.id, fence: job.fence }).await
}

async fn holds_claim(db: &Db, claim: Claim) -> Result<bool> {
    let sql = "SELECT fence FROM jobs WHERE id = ?1 AND fence = ?2";
    let row: Option<i64> = db.query_opt(sql, params![claim.id, claim.fence], |row| row.take()).await?;
    Ok(row.is_some())
}

/// The claim of this number on a job, if its runner still holds it: for who works for that runner elsewhere.
pub async fn held(db: &Db, id: Id<id::Job>, fence: i64) -> Result<Option<Job>> {
    let sql = "SELECT id, kind, organization_id, (SELECT path FROM organizations WHERE id = jobs.organization_id), payload, attempts, fence, trace
         FROM jobs WHERE id = ?1 AND fence = ?2 AND state = 'RUNNING'";
    db.query_opt(sql, params![id, fence], read_claimed).await
}

/// The queues that may have work that is due by `now`. It jumps from queue to queue, past all that is in them.
pub async fn due(db: &Db, now: Instant) -> Result<Vec<String>> {
    let sql = "WITH RECURSIVE queues (queue) AS (
             SELECT MIN(queue) FROM job_turns
             UNION ALL
             SELECT (SELECT MIN(later.queue) FROM job_turns later WHERE later.queue > queues.queue) FROM queues WHERE queues.queue IS NOT NULL
         )
         SELECT queue FROM queues WHERE EXISTS (SELECT 1 FROM job_turns due WHERE due.queue = queues.queue AND due.turn < ?1)";
    db.query_all(sql, params![turn(now) + TURNS], |row| row.take()).await
}

/// When the next work falls due, if there is any.
pub async fn next_due(db: &Db) -> Result<Option<Instant>> {
    let sql = "SELECT due_at FROM jobs WHERE state <> 'PARKED' ORDER BY due_at LIMIT 1";
    db.query_opt(sql, vec![], |row| row.take()).await
}

/// Gives back every job that is claimed, for a hub that stops: it is due at once, and what its runner still writes is refused.
/// Gives how many they were.
pub async fn give_back(tx: &Tx<'_>, now: Instant) -> Result<u32> {
    let sql = "UPDATE jobs SET state = 'READY', fence = fence + 1, due_at = ?1 WHERE state = 'RUNNING' RETURNING queue, organization_id";
    let given: Vec<(String, Id<id::Organization>)> =
        tx.query_all(sql, params![now], |row| Ok((row.take()?, row.take()?))).await?;
    for (queue, organization_id) in given.iter().collect::<BTreeSet<_>>() {
        take_place(tx, queue, *organization_id, now).await?;
    }
    Ok(given.len() as u32)
}

/// How many jobs are claimed, and how many others are due by `now`.
pub async fn left(db: &Db, now: Instant) -> Result<(u32, u32)> {
    let sql = "SELECT (SELECT COUNT(*) FROM jobs WHERE state = 'RUNNING'), (SELECT COUNT(*) FROM jobs WHERE state = 'READY' AND due_at <= ?1)";
    let counts = db.query_opt(sql, params![now], |row| Ok((row.take()?, row.take()?))).await?;
    Ok(counts.unwrap_or_default())
}

/// Brings turns that a clock in the future gave back to `now`. An organization whose jobs are due in that future alone gives its turn up
/// when it comes.
pub async fn bring_turns_back(tx: &Tx<'_>, now: Instant) -> Result<()> {
    tx.exec("UPDATE job_queues SET served = ?1 WHERE served > ?1", params![turn(now)]).await?;
    tx.exec("UPDATE job_turns SET turn = ?1 WHERE turn > ?1", params![turn(now)]).await
}

/// A job as the operator sees it. The payload is not shown: it may hold a tenant's data.
#[derive(Clone, Debug, serde::Serialize, domain::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// The job's id.
    pub id: Id<id::Job>,
    /// The component that runs it.
    pub queue: String,
    /// What is to be done.
    pub kind: String,
    /// Whose work it is.
    pub organization_id: Id<id::Organization>,
    /// Where it stands.
    pub state: JobState,
    /// When it may be claimed next.
    pub due_at: Instant,
    /// Failures in a row, runners that died among them.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was decided.
    pub created_at: Instant,
}

const VIEW: &str = "id, queue, kind, organization_id, state, due_at, attempts, last_error, created_at";

fn read_view(row: &mut Row) -> Result<JobView> {
    Ok(JobView {
        id: row.take()?,
        queue: row.take()?,
        kind: row.take()?,
        organization_id: row.take()?,
        state: row.take()?,
        due_at: row.take()?,
        attempts: row.take()?,
        last_error: row.take()?,
        created_at: row.take()?,
    })
}

/// Has a job that no runner is at run now, and with a full number of attempts, parked or not: what it waited for has
/// changed. `false` when a runner is at it, or when it is no more.
pub async fn hasten(tx: &Tx<'_>, id: Id<id::Job>, now: Instant) -> Result<bool> {
    let sql = "UPDATE jobs SET state = 'READY', attempts = 0, due_at = ?2 WHERE id = ?1 AND state <> 'RUNNING' RETURNING queue, organization_id";
    let job: Option<(String, _)> = tx.query_opt(sql, params![id, now], |row| Ok((row.take()?, row.take()?))).await?;
    let Some((queue, organization_id)) = job else { return Ok(false) };
    take_place(tx, &queue, organization_id, now).await?;
    Ok(true)
}

/// Forgets a job that is not needed any more. One that a runner is at stays: it finds out by itself.
pub async fn forget(tx: &Tx<'_>, id: Id<id::Job>) -> Result<()> {
    tx.exec("DELETE FROM jobs WHERE id = ?1 AND state <> 'RUNNING'", params![id]).await
}

/// A page of jobs, oldest first. Jobs are the hub's, so this is for the operator: the route's permission sees to it.
pub async fn list(db: &Db, state: Option<JobState>, after: Option<Id<id::Job>>, limit: u32) -> Result<Vec<JobView>> {
    db.query_all(
        &format!("SELECT {VIEW} FROM jobs WHERE (state = ?1 OR ?1 IS NULL) AND id > ?2 ORDER BY id LIMIT ?3"),
        params![state, start(after), limit],
        read_view,
    )
    .await
}

/// Lets a parked job run again, from now on and with a full number of attempts. `None` when there is no such parked job.
pub async fn replay(tx: &Tx<'_>, id: Id<id::Job>, now: Instant) -> Result<Option<JobView>> {
    let sql =
        format!("UPDATE jobs SET state = 'READY', attempts = 0, due_at = ?2 WHERE id = ?1 AND state = 'PARKED' RETURNING {VIEW}");
    let job = tx.query_opt(&sql, params![id, now], read_view).await?;
    if let Some(job) = &job {
        take_place(tx, &job.queue, job.organization_id, now).await?;
    }
    Ok(job)
}
