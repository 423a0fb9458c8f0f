//! The catalogue: services and products, and what may be asked of them. It alone knows the rules of offers and their JSON
//! Schemas, so whoever is asked for a service asks it.

mod services;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("catalogue")
        .post("/v1/services", "services.create", services::create, "Add a service or product to the catalogue")
        .get("/v1/services", "services.list", services::list, "List the catalogue")
        .get("/v1/services/{serviceId}", "services.show", services::show, "Read a service with all that it offers")
        .patch("/v1/services/{serviceId}", "services.edit", services::edit, "Edit a service")
        .post("/v1/services/{serviceId}/publish", "services.publish", services::publish, "Let a service be asked for")
        .post(
            "/v1/services/{serviceId}/deprecate",
            "services.deprecate",
            services::deprecate,
            "Let a service not be asked for any more",
        )
        .post("/v1/services/{serviceId}/retire", "services.retire", services::retire, "End a service that nobody has")
        .post(
            "/v1/services/{serviceId}/validate",
            "services.validate",
            services::validate,
            "Say whether a request fits a service, and where not",
        )
        .post(
            "/internal/services/{serviceId}",
            "services.put_internally",
            services::put_internally,
            "Add or edit a service, for other components",
        )
        .post(
            "/internal/services/{serviceId}/validate",
            "services.validate_internally",
            services::validate_internally,
            "The same, for other components",
        )
}

web::serve!(routes);
