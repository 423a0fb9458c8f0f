//! Cloud endpoints: infrastructure that providers run, and the customers that are let at it.

mod assignments;
mod cloud_endpoints;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("cloud-endpoints")
        .post("/v1/cloud-endpoints", "cloud_endpoints.create", cloud_endpoints::create, "Register a cloud endpoint")
        .get("/v1/cloud-endpoints", "cloud_endpoints.list", cloud_endpoints::list, "List cloud endpoints")
        .get("/v1/cloud-endpoints/{cloudEndpointId}", "cloud_endpoints.show", cloud_endpoints::show, "Read a cloud endpoint")
        .patch("/v1/cloud-endpoints/{cloudEndpointId}", "cloud_endpoints.edit", cloud_endpoints::edit, "Edit a cloud endpoint")
        .delete(
            "/v1/cloud-endpoints/{cloudEndpointId}",
            "cloud_endpoints.remove",
            cloud_endpoints::remove,
            "Remove a cloud endpoint from the hub",
        )
        .get(
            "/v1/cloud-endpoints/{cloudEndpointId}/access",
            "cloud_endpoints.access",
            cloud_endpoints::access,
            "Where to enter a cloud endpoint",
        )
        .post(
            "/v1/cloud-endpoints/{cloudEndpointId}/assignments",
            "assignments.create",
            assignments::create,
            "Assign a cloud endpoint to a customer",
        )
        .get(
            "/v1/cloud-endpoints/{cloudEndpointId}/assignments",
            "assignments.list",
            assignments::list,
            "List whom a cloud endpoint is assigned to",
        )
        .delete(
            "/v1/cloud-endpoints/{cloudEndpointId}/assignments/{customerId}",
            "assignments.remove",
            assignments::remove,
            "Take a cloud endpoint away from a customer",
        )
}

web::serve!(routes);
