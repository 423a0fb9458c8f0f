//! Environments and what they stand on: data center components, plans and their tasks, certificates, and stored passwords.

mod certificate_warnings;
mod certificates;
mod change;
mod data_centers;
mod environments;
mod given_certificate;
mod nodes;
mod plans;
mod product_certificates;
mod steps;
mod stored_environment;
mod stored_passwords;
mod targets;
pub mod x509;

use tasks::AdvanceTask;
use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    let routes = Routes::new("environments");
    let routes = stored_password_routes(certificate_routes(plan_routes(environment_routes(data_center_routes(routes)))));
    routes
        .job(|hub, job, _: AdvanceTask| tasks::advance(hub, job, &steps::Steps))
        .job(certificate_warnings::note)
        .job(certificate_warnings::warn)
}

fn data_center_routes(routes: Routes) -> Routes {
    routes
        .post(
            "/v1/data-centers",
            "data_centers.create",
            data_centers::create,
            "Register a data center component, or only validate it",
        )
        .get("/v1/data-centers", "data_centers.list", data_centers::list, "List data center components")
        .get("/v1/data-centers/{dataCenterId}", "data_centers.show", data_centers::show, "Show a data center component")
        .patch("/v1/data-centers/{dataCenterId}", "data_centers.edit", data_centers::edit, "Edit a data center component")
        .delete("/v1/data-centers/{dataCenterId}", "data_centers.remove", data_centers::remove, "Remove a data center component")
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
            "Discover the inventory of a data center component",
        )
        .post(
            "/v1/data-centers/{dataCenterId}/inventory",
            "data_centers.upload",
            data_centers::upload,
            "Upload the inventory of a data center component",
        )
}

fn environment_routes(routes: Routes) -> Routes {
    routes
        .post(
            "/v1/environments",
            "environments.create",
            environments::create,
            "Deploy, import or validate an environment, or plan it",
        )
        .get("/v1/environments", "environments.list", environments::list, "List environments")
        .get("/v1/environments/{environmentId}", "environments.show", environments::show, "Show an environment")
        .put(
            "/v1/environments/{environmentId}",
            "environments.replace",
            environments::replace,
            "Change an environment, or plan it",
        )
        .delete(
            "/v1/environments/{environmentId}",
            "environments.remove",
            environments::remove,
            "Delete an environment, or plan it",
        )
        .get(
            "/v1/environments/{environmentId}/products/{productId}/certificate",
            "certificates.show",
            product_certificates::show,
            "Show the certificate of a product",
        )
        .put(
            "/v1/environments/{environmentId}/products/{productId}/certificate",
            "certificates.replace",
            product_certificates::replace,
            "Install a certificate for a product, or plan it",
        )
        .post(
            "/v1/environments/{environmentId}/nodes/{hostName}/redeploy",
            "nodes.redeploy",
            nodes::redeploy,
            "Redeploy a node, or plan it",
        )
}

fn plan_routes(routes: Routes) -> Routes {
    routes
        .get("/v1/plans", "plans.list", plans::list, "List plans")
        .get("/v1/plans/{planId}", "plans.show", plans::show, "Show a plan")
        .post("/v1/plans/{planId}/approve", "plans.approve", plans::approve, "Approve a plan")
        .post("/v1/plans/{planId}/apply", "plans.apply", plans::apply, "Apply a plan")
}

fn certificate_routes(routes: Routes) -> Routes {
    routes.get("/v1/certificates", "certificates.list", certificates::list, "List the certificates of products by their end")
}

fn stored_password_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/stored-passwords", "stored_passwords.create", stored_passwords::create, "Create a stored password")
        .get("/v1/stored-passwords", "stored_passwords.list", stored_passwords::list, "List stored passwords")
        .get(
            "/v1/stored-passwords/{storedPasswordId}",
            "stored_passwords.show",
            stored_passwords::show,
            "Show a stored password without its secret",
        )
        .patch(
            "/v1/stored-passwords/{storedPasswordId}",
            "stored_passwords.edit",
            stored_passwords::edit,
            "Replace or edit a stored password",
        )
        .delete(
            "/v1/stored-passwords/{storedPasswordId}",
            "stored_passwords.remove",
            stored_passwords::remove,
            "Delete a stored password that nothing uses",
        )
}

web::serve!(routes);
