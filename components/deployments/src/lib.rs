//! Carries out what is to become of environments: the steps of their tasks. What is asked for is the business of `environments`,
//! which writes the tasks; the two are parted because one component has no room for both.

mod steps;

use domain::{Error, Result};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table: none but what every component has.
pub fn routes() -> Routes {
    Routes::new("deployments").jobs(run)
}

/// Runs one job, for the scheduler, and for `environments` when somebody would rather wait.
async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        engine::ADVANCE => engine::advance(hub, job, &steps::Steps).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

web::serve!(routes);
