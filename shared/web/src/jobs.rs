//! Running a component's jobs: claim, run, and see to those that fail.

use crate::{
    Hub,
    hub::random,
    route::{Local, LocalIn, RunJob},
    trace::Line,
};
use domain::{
    Error, Id, JsonSchema, Result, id,
    job::{ATTEMPTS, is_tried_again, wait_after},
};
use serde::{Deserialize, Serialize};
use store::jobs::{self, Job};

/// How many jobs one call claims. Few, because the leases of all begin at once and the last must still be fresh when
/// its turn comes.
const BATCH: u32 = 8;

/// What came of a round.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// How many jobs were run.
    pub ran: u32,
}

/// Runs what is due, or the one job that the query names.
pub(crate) fn round<'a>(hub: &'a Hub, run: &'a RunJob) -> LocalIn<'a, Result<Round>> {
    Box::pin(async move {
        let Some((_, id)) = hub.target().split_once("?job=") else { return run_due(hub, run).await };
        let id = id.parse().map_err(|error| Error::malformed("bad_query", format!("The job in the query is {error}.")))?;
        let ran = run_one(hub, id, run.as_ref()).await?;
        Ok(Round { ran: ran.into() })
    })
}

/// Claims a batch of the component's due jobs and runs them one after the other.
async fn run_due(hub: &Hub, run: &RunJob) -> Result<Round> {
    let mut claimed = jobs::claim(hub.db().await?, hub.component(), hub.now(), BATCH).await?;
    let ran = claimed.len();
    if let Some(failures) = claimed.iter().map(|job| job.attempts as usize).max() {
        // A job that kills its runner keeps those after it from running. So each time another one is the first.
        claimed.rotate_left(failures % ran);
    }
    for job in claimed {
        run_claimed(hub, run.as_ref(), job).await?;
    }
    Ok(Round { ran: ran as u32 })
}

/// Runs one job of the component now, in the request that would rather wait for it. `false` when it is not due, when
/// another runner has it, and when it is no more.
pub async fn run_now<Fut>(hub: &Hub, id: Id<id::Job>, run: impl Fn(Hub, Job) -> Fut) -> Result<bool>
where
    Fut: Future<Output = Result<()>> + 'static,
{
    run_one(hub, id, &|hub, job| Box::pin(run(hub, job))).await
}

/// The same, compiled once.
fn run_one<'a>(hub: &'a Hub, id: Id<id::Job>, run: &'a dyn Fn(Hub, Job) -> Local<Result<()>>) -> LocalIn<'a, Result<bool>> {
    Box::pin(async move {
        match jobs::claim_one(hub.db().await?, id, crate::hub::wall_clock()).await? {
            Some(job) => run_claimed(hub, run, job).await.map(|()| true),
            None => Ok(false),
        }
    })
}

/// Runs one claimed job. It finishes itself, in the transaction of its last effect; what is seen to here is failure. Boxed,
/// because it would otherwise be compiled into both of those that run jobs.
fn run_claimed<'a>(hub: &'a Hub, run: &'a dyn Fn(Hub, Job) -> Local<Result<()>>, job: Job) -> LocalIn<'a, Result<()>> {
    Box::pin(async move {
        let hub = hub.for_job(job.trace.as_deref());
        let began = hub.now();
        // A job that ends in a fault is counted and parked where the fault is; here come those whose runners never told.
        let outcome = if job.attempts < ATTEMPTS { run(hub.clone(), job.clone()).await } else { Err(died(&job)) };
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
    let now = crate::hub::wall_clock();
    let recorded = hub.db().await?.in_transaction(async |tx| jobs::failed(tx, job, now, wait, &error.to_string()).await).await;
    match recorded {
        Err(error) if error.code == jobs::FENCED => Ok(()),
        other => other,
    }
}
