//! Running a component's jobs: claim, run, and see to those that fail.

use crate::{Hub, hub::random, route::RunJob, trace::Line};
use domain::JsonSchema;
use domain::{
    Error, Id, Result, id,
    job::{is_tried_again, wait_after},
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

/// Claims a batch of the component's due jobs and runs them one after the other.
pub(crate) async fn run_due(hub: &Hub, run: &RunJob) -> Result<Round> {
    let claimed = jobs::claim(hub.db().await?, hub.component(), hub.now(), BATCH).await?;
    let ran = claimed.len() as u32;
    for job in claimed {
        run_claimed(hub, run, job).await?;
    }
    Ok(Round { ran })
}

/// Runs one job of the component now, in the request that would rather wait for it. `false` when it is not due, when
/// another runner has it, and when it is no more.
pub async fn run_now<Fut>(hub: &Hub, id: Id<id::Job>, run: impl Fn(Hub, Job) -> Fut) -> Result<bool>
where
    Fut: Future<Output = Result<()>>,
{
    match jobs::claim_one(hub.db().await?, id, crate::hub::wall_clock()).await? {
        Some(job) => run_claimed(hub, &run, job).await.map(|()| true),
        None => Ok(false),
    }
}

/// Runs one claimed job. It finishes itself, in the transaction of its last effect; what is seen to here is failure.
async fn run_claimed<Fut>(hub: &Hub, run: &impl Fn(Hub, Job) -> Fut, job: Job) -> Result<()>
where
    Fut: Future<Output = Result<()>>,
{
    let hub = hub.for_job(job.trace.as_deref());
    let began = hub.now();
    let outcome = run(hub.clone(), job.clone()).await;
    let (code, error) = match &outcome {
        Ok(()) => (None, None),
        Err(error) => (Some(error.code), Some(error.to_string())),
    };
    hub.trace().log(&Line {
        level: if outcome.is_ok() { "info" } else { "warn" },
        msg: "job",
        component: hub.component(),
        method: None,
        path: Some(&job.kind),
        status: None,
        code,
        principal: None,
        organization: Some(&job.organization_id.to_string()),
        job: Some(&job.id.to_string()),
        error: error.as_deref(),
        duration_ms: (crate::hub::wall_clock() - began).num_milliseconds(),
    });
    let Err(error) = outcome else { return Ok(()) };
    if error.code == jobs::FENCED {
        // Somebody else has it now and will finish it.
        return Ok(());
    }
    record_failure(&hub, &job, &error).await
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
