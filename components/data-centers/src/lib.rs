//! Data center components: what environments are deployed to, and the tasks that find out about them.

mod data_centers;
mod steps;
mod targets;

use domain::{Error, Result};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("data-centers")
        .post("/v1/data-centers", data_centers::create, "Register a data center component, or only validate it")
        .get("/v1/data-centers", data_centers::list, "List data center components")
        .get("/v1/data-centers/{dataCenterId}", data_centers::show, "Read a data center component")
        .patch("/v1/data-centers/{dataCenterId}", data_centers::edit, "Update a data center component")
        .delete("/v1/data-centers/{dataCenterId}", data_centers::remove, "Remove a data center component from the hub")
        .post("/v1/data-centers/{dataCenterId}/validate", data_centers::validate, "Validate a data center component")
        .post("/v1/data-centers/{dataCenterId}/discover", data_centers::discover, "Find out what a data center component has")
        .post("/v1/data-centers/{dataCenterId}/inventory", data_centers::upload, "Say what a data center component has")
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
