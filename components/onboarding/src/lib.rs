//! Organizations: who there is.

mod organizations;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("onboarding")
        .post("/v1/organizations", "organizations.create", organizations::create, "Create an organization")
        .get("/v1/organizations", "organizations.list", organizations::list, "List organizations")
        .get("/v1/organizations/{organizationId}", "organizations.show", organizations::show, "Read an organization")
        .patch("/v1/organizations/{organizationId}", "organizations.edit", organizations::edit, "Edit an organization")
        .delete("/v1/organizations/{organizationId}", "organizations.remove", organizations::remove, "Remove an organization")
        .post(
            "/v1/organizations/{organizationId}/disable",
            "organizations.disable",
            organizations::disable,
            "Disable an organization and all below it",
        )
        .post(
            "/v1/organizations/{organizationId}/enable",
            "organizations.enable",
            organizations::enable,
            "Enable an organization",
        )
}

web::serve!(routes);
