//! Environments, the plans of their changes, and the tasks that carry them out.

mod environments;
mod plans;
mod steps;

use domain::{Error, Result};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("environments")
        .post("/v1/environments", environments::create, "Deploy, import or validate an environment, or plan to")
        .get("/v1/environments", environments::list, "List environments")
        .get("/v1/environments/{environmentId}", environments::show, "Read an environment")
        .put("/v1/environments/{environmentId}", environments::replace, "Change an environment, or plan to")
        .delete("/v1/environments/{environmentId}", environments::remove, "Delete an environment, or plan to")
        .get("/v1/plans", plans::list, "List plans")
        .get("/v1/plans/{planId}", plans::show, "Read a plan")
        .post("/v1/plans/{planId}/approve", plans::approve, "Approve a plan")
        .post("/v1/plans/{planId}/apply", plans::apply, "Carry out a plan")
        .jobs(run)
}

/// Runs one job, for the scheduler and for requests that would rather wait.
pub(crate) async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        engine::ADVANCE => engine::advance(hub, job, &steps::Steps).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

web::serve!(routes);
