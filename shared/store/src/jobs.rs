//! The one table for everything that outlives a request.
//!
//! A job is enqueued in the transaction that decides it and claimed under a lease. Each claim raises the job's fence;
//! a runner that lost its lease holds an old fence, and whatever it still tries to write is rolled back.

use crate::{
    Db, Row, Tx, Value, params,
    value::{batches, numbers, start},
};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, OrganizationPath, Result, id,
    job::{JobState, LEASE},
};

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
    .await
}

/// Writes many jobs, with few statements.
pub async fn enqueue_all(tx: &Tx<'_>, jobs: &[NewJob<'_>]) -> Result<()> {
    const WIDTH: usize = 8;
    for batch in batches(jobs) {
        let row = |row: usize| {
            let first = WIDTH * row + 1;
            format!("({}, 'READY', 0, 0)", numbers(first, WIDTH))
        };
        let rows: Vec<_> = (0..batch.len()).map(row).collect();
        let values = batch.iter().flat_map(|job| {
            params![job.id, job.queue, job.kind, job.organization_id, job.payload, job.due_at, job.trace, job.now]
        });
        tx.exec(
            &format!(
                "INSERT INTO jobs (id, queue, kind, organization_id, payload, due_at, trace, created_at, state, attempts, fence) VALUES {}",
                rows.join(", ")
            ),
            values.collect(),
        )
        .await?;
    }
    Ok(())
}

/// Claims up to `limit` due jobs of a queue. Only the first of them starts at once, but the lease of all begins now.
///
/// Jobs that were claimed and whose lease has ended are due again: their runner is taken for dead, which is one more
/// failure, or a job that kills its runner would never be parked.
pub async fn claim(db: &Db, queue: &str, now: Instant, limit: u32) -> Result<Vec<Job>> {
    // What the list asks is asked of the row again: where two runners can write at once, the list of the second is old.
    db.query_all(
        "UPDATE jobs SET attempts = attempts + CASE state WHEN 'RUNNING' THEN 1 ELSE 0 END, state = 'RUNNING', due_at = ?3, fence = fence + 1
         WHERE state <> 'PARKED' AND due_at <= ?2
         AND id IN (SELECT id FROM jobs WHERE queue = ?1 AND state <> 'PARKED' AND due_at <= ?2 ORDER BY due_at, id LIMIT ?4)
         RETURNING id, kind, organization_id, (SELECT path FROM organizations WHERE id = jobs.organization_id), payload, attempts, fence, trace",
        params![queue, now, now + LEASE, limit],
        read_claimed,
    )
    .await
}

/// Claims one job by its id if it is due, for a request that would rather wait than poll.
pub async fn claim_one(db: &Db, id: Id<id::Job>, now: Instant) -> Result<Option<Job>> {
    db.query_opt(
        "UPDATE jobs SET attempts = attempts + CASE state WHEN 'RUNNING' THEN 1 ELSE 0 END, state = 'RUNNING', due_at = ?3, fence = fence + 1
         WHERE id = ?1 AND state <> 'PARKED' AND due_at <= ?2
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
    fenced(tx, job, "DELETE FROM jobs WHERE id = ?1 AND fence = ?2 RETURNING id", vec![]).await
}

/// The job made headway and is to be run again at `due_at`. The failures so far are forgiven.
pub async fn again(tx: &Tx<'_>, job: &Job, due_at: Instant) -> Result<()> {
    fenced(
        tx,
        job,
        "UPDATE jobs SET state = 'READY', attempts = 0, last_error = NULL, due_at = ?3 WHERE id = ?1 AND fence = ?2 RETURNING id",
        params![due_at],
    )
    .await
}

/// The attempt failed: the job waits for its next one, or is parked when `wait` is `None`. `why` is shown to the
/// operator and must hold no secret.
pub async fn failed(tx: &Tx<'_>, job: &Job, now: Instant, wait: Option<TimeDelta>, why: &str) -> Result<()> {
    let state = if wait.is_some() { JobState::Ready } else { JobState::Parked };
    fenced(
        tx,
        job,
        "UPDATE jobs SET state = ?3, attempts = attempts + 1, last_error = ?4, due_at = ?5 WHERE id = ?1 AND fence = ?2 RETURNING id",
        params![state, why, now + wait.unwrap_or_default()],
    )
    .await
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

/// Refuses, and so rolls back, when the job was claimed by another runner meanwhile.
async fn fenced(tx: &Tx<'_>, job: &Job, sql: &str, more: Vec<Value>) -> Result<()> {
    let mut values = params![job.id, job.fence];
    values.extend(more);
    let row: Option<Id<id::Job>> = tx.query_opt(sql, values, |row| row.take()).await?;
    row.map(drop).ok_or_else(taken_over)
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

/// The queues with work that is due by `now`.
pub async fn due(db: &Db, now: Instant) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT queue FROM jobs WHERE state <> 'PARKED' AND due_at <= ?1 ORDER BY queue";
    db.query_all(sql, params![now], |row| row.take()).await
}

/// When the next work falls due, if there is any.
pub async fn next_due(db: &Db) -> Result<Option<Instant>> {
    let sql = "SELECT due_at FROM jobs WHERE state <> 'PARKED' ORDER BY due_at LIMIT 1";
    db.query_opt(sql, vec![], |row| row.take()).await
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
    let sql = "UPDATE jobs SET state = 'READY', attempts = 0, due_at = ?2 WHERE id = ?1 AND state <> 'RUNNING' RETURNING id";
    let row: Option<Id<id::Job>> = tx.query_opt(sql, params![id, now], |row| row.take()).await?;
    Ok(row.is_some())
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
    tx.query_opt(
        &format!(
            "UPDATE jobs SET state = 'READY', attempts = 0, due_at = ?2 WHERE id = ?1 AND state = 'PARKED' RETURNING {VIEW}"
        ),
        params![id, now],
        read_view,
    )
    .await
}
