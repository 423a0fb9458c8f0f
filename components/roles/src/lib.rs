//! What roles there are, those that permit something in the hub and those in services; and what they come to for whoever asks.

mod me;
mod roles;
mod service_roles;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("roles")
        .get("/v1/me", me::show, "Who you are, where you can act and what you may")
        .patch("/v1/me", me::edit, "Choose your default organization")
        .get("/v1/roles", roles::list, "The roles and what they permit")
        .post("/v1/service-roles", service_roles::create, "Add a role to a service")
        .get("/v1/service-roles", service_roles::list, "List roles in services")
        .get("/v1/service-roles/{serviceRoleId}", service_roles::show, "Read a role in a service")
        .patch("/v1/service-roles/{serviceRoleId}", service_roles::edit, "Edit a role in a service")
        .delete("/v1/service-roles/{serviceRoleId}", service_roles::remove, "Remove a role that nobody has from a service")
        .get("/v1/me/service-roles", service_roles::own, "Your roles in services where you act")
}

web::serve!(routes);
