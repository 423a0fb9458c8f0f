//! Running a component's jobs: claim, run, and see to those that fail.

use crate::{Hub, hub::random, route::LocalIn, trace::Line};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Result, id,
    job::{ATTEMPTS, PLACES, is_tried_again, wait_after},
};
use serde::{Deserialize, Serialize};
use std::{future::poll_fn, task::Poll};
use store::{
    Tx,
    jobs::{self, Job, JobPayload, NewJob},
};

/// How long a call goes on to claim jobs while there are some that are due.
pub const PATIENCE: TimeDelta = TimeDelta::seconds(5);
/// How many jobs a call claims at the most, also where the clock stands still.
const MOST: u32 = 200;

/// What came of a round.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// How many jobs were run.
    pub ran: u32,
}

/// Runs what is due, or the one job that the query names.
pub(crate) fn round(hub: &Hub) -> LocalIn<'_, Result<Round>> {
    Box::pin(async move {
        let Some((_, id)) = hub.target().split_once("?job=") else { return run_due(hub).await };
        let id = id.parse().map_err(|error| Error::malformed("bad_query", format!("The job in the query is {error}.")))?;
        let ran = run_now(hub, id).await?;
        Ok(Round { ran: ran.into() })
    })
}

/// What a call does several of at once.
enum Done {
    Job(Result<()>),
    Claim(Result<Vec<Job>>),
}

/// Runs the component's jobs, several at once, until none is due or the call's time is up. Those under way then come to their end.
async fn run_due(hub: &Hub) -> Result<Round> {
    // The connection asks for the time, which turns and leases are made of.
    hub.db().await?;
    let mut round = Round { ran: 0 };
    // Jobs with whose they are, and the claim of more. It goes on beside them: waiting for it alone would let a job sleep that has
    // the write lock for which the claim waits.
    let mut under_way: Vec<(Option<Id<id::Organization>>, LocalIn<'_, Done>)> = Vec::new();
    let (mut failure, mut may_be_due) = (None, true);
    loop {
        let now = crate::clock::now();
        let running: Vec<_> = under_way.iter().filter_map(|(organization, _)| *organization).collect();
        let free = PLACES - running.len();
        let goes_on = failure.is_none() && now - hub.now() < PATIENCE && round.ran < MOST;
        // Half of the places at a time: a claim is a write, which several jobs share.
        if may_be_due && goes_on && free >= PLACES / 2 && under_way.len() == running.len() {
            may_be_due = false;
            under_way.push((None, Box::pin(async move { Done::Claim(claim(hub, now, free, &running).await) })));
        }
        match first_done(&mut under_way).await {
            Some((_, Done::Job(outcome))) => {
                may_be_due = true;
                failure = failure.or(outcome.err());
            }
            Some((_, Done::Claim(Err(error)))) => failure = Some(error),
            Some((_, Done::Claim(Ok(claimed)))) => {
                may_be_due |= !claimed.is_empty();
                round.ran += claimed.len() as u32;
                for job in claimed {
                    let organization = job.organization_id;
                    let running = run_claimed(hub, job);
                    under_way.push((Some(organization), Box::pin(async move { Done::Job(running.await) })));
                }
            }
            None => return failure.map_or(Ok(round), Err),
        }
    }
}

async fn claim(hub: &Hub, now: Instant, limit: usize, running: &[Id<id::Organization>]) -> Result<Vec<Job>> {
    let (db, queue) = (hub.db().await?, hub.component());
    if !jobs::any_due(db, queue, now).await? {
        return Ok(Vec::new());
    }
    db.in_transaction(async |tx| jobs::claim(tx, queue, now, limit, running).await).await
}

/// Waits for the first of several that is done, and takes it out; `None` when there are none.
pub async fn first_done<K, T>(under_way: &mut Vec<(K, LocalIn<'_, T>)>) -> Option<(K, T)> {
    poll_fn(|context| {
        if under_way.is_empty() {
            return Poll::Ready(None);
        }
        for place in 0..under_way.len() {
            if let Poll::Ready(done) = under_way[place].1.as_mut().poll(context) {
                return Poll::Ready(Some((under_way.remove(place).0, done)));
            }
        }
        Poll::Pending
    })
    .await
}

/// Runs one job of the component now, in the request that would rather wait for it. `false` when it is not due, when
/// another runner has it, and when it is no more.
pub fn run_now(hub: &Hub, id: Id<id::Job>) -> LocalIn<'_, Result<bool>> {
    Box::pin(async move {
        match jobs::claim_one(hub.db().await?, id, crate::clock::now()).await? {
            Some(job) => run_claimed(hub, job).await.map(|()| true),
            None => Ok(false),
        }
    })
}

/// Runs one claimed job. It finishes itself, in the transaction of its last effect; what is seen to here is failure.
fn run_claimed(hub: &Hub, job: Job) -> LocalIn<'_, Result<()>> {
    Box::pin(async move {
        let hub = hub.for_job(job.trace.as_deref());
        let began = hub.wall();
        // A job that ends in a fault is counted and parked where the fault is; here come those whose runners never told.
        let outcome =
            if job.attempts < ATTEMPTS { hub.routes().run_job(hub.clone(), job.clone()).await } else { Err(died(&job)) };
        let (code, error) = match &outcome {
            Ok(()) => (None, None),
            Err(error) => (Some(error.code), Some(error.to_string())),
        };
        let level = if outcome.is_ok() { "info" } else { "warn" };
        hub.trace().log(&Line {
            path: Some(&job.kind),
            code,
            organization: Some(&job.organization_id.to_string()),
            job: Some(&job.id.to_string()),
            error: error.as_deref(),
            ..Line::new(level, "job", hub.component(), began)
        });
        let Err(error) = outcome else { return Ok(()) };
        if error.code == jobs::FENCED {
            // Somebody else has it now and will finish it.
            return Ok(());
        }
        record_failure(&hub, &job, &error).await
    })
}

impl Hub {
    /// Writes a job that is due at once.
    pub async fn enqueue<J: JobPayload>(&self, tx: &Tx<'_>, organization_id: Id<id::Organization>, payload: &J) -> Result<()> {
        self.enqueue_at(tx, organization_id, payload, self.now()).await
    }

    /// Writes a job that is due at an instant.
    pub async fn enqueue_at<J: JobPayload>(
        &self,
        tx: &Tx<'_>,
        organization_id: Id<id::Organization>,
        payload: &J,
        due_at: Instant,
    ) -> Result<()> {
        let trace = self.traceparent();
        let new = NewJob::of(self.id(), organization_id, payload, self.now())?;
        jobs::enqueue(tx, NewJob { due_at, trace: Some(&trace), ..new }).await
    }
}

fn died(job: &Job) -> Error {
    Error::conflict(
        "job_runner_died",
        format!(
            "Set aside after {} attempts, the last of which ended without a word: its runner died, or took longer than its lease.",
            job.attempts
        ),
    )
}

async fn record_failure(hub: &Hub, job: &Job, error: &Error) -> Result<()> {
    let attempt = job.attempts + 1;
    let wait = is_tried_again(attempt, error).then(|| wait_after(attempt, u64::from_be_bytes(random())));
    let now = crate::clock::now();
    let recorded = hub.db().await?.in_transaction(async |tx| jobs::failed(tx, job, now, wait, &error.to_string()).await).await;
    match recorded {
        Err(error) if error.code == jobs::FENCED => Ok(()),
        other => other,
    }
}
