//! What customers have of the catalogue, and the tasks that get it for them.

mod drivers;
mod steps;
mod subscriptions;

use domain::{Error, Result};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("provisioning")
        .post("/v1/subscriptions", subscriptions::create, "Provision a service to a customer")
        .get("/v1/subscriptions", subscriptions::list, "List subscriptions")
        .get("/v1/subscriptions/{subscriptionId}", subscriptions::show, "Read a subscription")
        .patch("/v1/subscriptions/{subscriptionId}", subscriptions::change, "Change what a customer has of a service")
        .post("/v1/subscriptions/{subscriptionId}/suspend", subscriptions::suspend, "Withhold a service from a customer")
        .post("/v1/subscriptions/{subscriptionId}/resume", subscriptions::resume, "Give a customer a service again")
        .post("/v1/subscriptions/{subscriptionId}/terminate", subscriptions::terminate, "Take a service away from a customer")
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
