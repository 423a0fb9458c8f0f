//! Data center components: what environments are deployed to, and the tasks that find out about them.

mod data_centers;
mod steps;
mod targets;

use tasks::AdvanceTask;
use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("data-centers")
        .post(
            "/v1/data-centers",
            "data_centers.create",
            data_centers::create,
            "Register a data center component, or only validate it",
        )
        .get("/v1/data-centers", "data_centers.list", data_centers::list, "List data center components")
        .get("/v1/data-centers/{dataCenterId}", "data_centers.show", data_centers::show, "Read a data center component")
        .patch("/v1/data-centers/{dataCenterId}", "data_centers.edit", data_centers::edit, "Update a data center component")
        .delete(
            "/v1/data-centers/{dataCenterId}",
            "data_centers.remove",
            data_centers::remove,
            "Remove a data center component from the hub",
        )
        .post(
            "/v1/data-centers/{dataCenterId}/validate",
            "data_centers.validate",
            data_centers::validate,
            "Validate a data center component",
        )
        .post(
            "/v1/data-centers/{dataCenterId}/discover",
            "data_centers.discover",
            data_centers::discover,
            "Find out what a data center component has",
        )
        .post(
            "/v1/data-centers/{dataCenterId}/inventory",
            "data_centers.upload",
            data_centers::upload,
            "Say what a data center component has",
        )
        .job(|hub, job, _: AdvanceTask| tasks::advance(hub, job, &steps::Steps))
}

web::serve!(routes);
