//! Service bindings: ways into the services that customers have, each with credentials of its own, which a service broker
//! makes and deletes.

mod service_bindings;
mod steps;

use domain::{Error, Result};
use store::jobs::{self, Job};
use web::{Hub, Routes};

/// The job that removes a service binding that went with the service instance that it was of. Written by `broker-operations`.
const FORGET: &str = "service_bindings.forget";

/// The route table.
pub fn routes() -> Routes {
    Routes::new("service-bindings")
        .post("/v1/service-bindings", service_bindings::create, "Make a service binding")
        .get("/v1/service-bindings", service_bindings::list, "List service bindings")
        .get("/v1/service-bindings/{serviceBindingId}", service_bindings::show, "Read a service binding")
        .get(
            "/v1/service-bindings/{serviceBindingId}/credentials",
            service_bindings::show_credentials,
            "Read the credentials of a service binding",
        )
        .delete("/v1/service-bindings/{serviceBindingId}", service_bindings::remove, "Delete a service binding")
        .jobs(run)
}

/// Runs one job, for the scheduler and for requests that would rather wait.
pub(crate) async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        engine::ADVANCE => engine::advance(hub, job, &steps::Steps).await,
        FORGET => forget(hub, job).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

async fn forget(hub: Hub, job: Job) -> Result<()> {
    let id = job.payload.parse().map_err(|error| Error::malformed("job_payload", format!("The job's payload is {error}.")))?;
    let db = hub.db().await?;
    db.in_transaction(async |tx| {
        jobs::finish(tx, &job).await?;
        store::service_bindings::delete(tx, id).await
    })
    .await
}

web::serve!(routes);
