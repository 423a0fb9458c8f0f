//! What roles there are, those that permit something in the hub and those in services; up to what customers and their people use
//! services; and what all that comes to for whoever asks.

mod access_levels;
mod me;
mod roles;
mod service_roles;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("roles")
        .get("/v1/me", "me.show", me::show, "Who you are, where you can act and what you may")
        .patch("/v1/me", "me.edit", me::edit, "Choose your default organization")
        .get("/v1/roles", "roles.list", roles::list, "The roles and what they permit")
        .post("/v1/service-roles", "service_roles.create", service_roles::create, "Add a role to a service")
        .get("/v1/service-roles", "service_roles.list", service_roles::list, "List roles in services")
        .get("/v1/service-roles/{serviceRoleId}", "service_roles.show", service_roles::show, "Read a role in a service")
        .patch("/v1/service-roles/{serviceRoleId}", "service_roles.edit", service_roles::edit, "Edit a role in a service")
        .delete(
            "/v1/service-roles/{serviceRoleId}",
            "service_roles.remove",
            service_roles::remove,
            "Remove a role that nobody has from a service",
        )
        .get("/v1/me/service-roles", "service_roles.own", service_roles::own, "Your roles in services where you act")
        .get(
            "/v1/access-levels/{organizationId}",
            "access_levels.show",
            access_levels::show,
            "Read up to what a customer uses its services",
        )
        .put(
            "/v1/access-levels/{organizationId}",
            "access_levels.put",
            access_levels::put,
            "Say up to what a customer uses its services",
        )
        .get(
            "/v1/access-levels/{organizationId}/people",
            "access_levels.list_people",
            access_levels::list_people,
            "List the people of a customer of whom an access level was said",
        )
        .get(
            "/v1/access-levels/{organizationId}/people/{personId}",
            "access_levels.show_person",
            access_levels::show_person,
            "Read up to what somebody uses a customer's services",
        )
        .put(
            "/v1/access-levels/{organizationId}/people/{personId}",
            "access_levels.put_person",
            access_levels::put_person,
            "Say up to what somebody uses a customer's services",
        )
        .get("/v1/me/access-levels", "access_levels.own", access_levels::own, "Up to what you use the services of where you act")
}

web::serve!(routes);
