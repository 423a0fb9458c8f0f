//! Service brokers: where they are, and what they offer, which becomes services of the catalogue.

mod imports;
mod service_brokers;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("service-brokers")
        .post("/v1/service-brokers", "service_brokers.create", service_brokers::create, "Register a service broker")
        .get("/v1/service-brokers", "service_brokers.list", service_brokers::list, "List service brokers")
        .get("/v1/service-brokers/{serviceBrokerId}", "service_brokers.show", service_brokers::show, "Read a service broker")
        .patch("/v1/service-brokers/{serviceBrokerId}", "service_brokers.edit", service_brokers::edit, "Edit a service broker")
        .delete(
            "/v1/service-brokers/{serviceBrokerId}",
            "service_brokers.remove",
            service_brokers::remove,
            "Take a service broker off the register",
        )
        .post(
            "/v1/service-brokers/{serviceBrokerId}/import",
            "imports.import",
            imports::import,
            "Bring what a service broker offers into the catalogue",
        )
}

web::serve!(routes);
