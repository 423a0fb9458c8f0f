//! Environments, and the plans of their changes. The tasks that carry those out are done by `deployments`.

mod certificates;
mod environments;
mod nodes;
mod plans;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("environments")
        .post(
            "/v1/environments",
            "environments.create",
            environments::create,
            "Deploy, import or validate an environment, or plan to",
        )
        .get("/v1/environments", "environments.list", environments::list, "List environments")
        .get("/v1/environments/{environmentId}", "environments.show", environments::show, "Read an environment")
        .put(
            "/v1/environments/{environmentId}",
            "environments.replace",
            environments::replace,
            "Change an environment, or plan to",
        )
        .delete(
            "/v1/environments/{environmentId}",
            "environments.remove",
            environments::remove,
            "Delete an environment, or plan to",
        )
        .get(
            "/v1/environments/{environmentId}/products/{productId}/certificate",
            "certificates.show",
            certificates::show,
            "Read the certificate of a product",
        )
        .put(
            "/v1/environments/{environmentId}/products/{productId}/certificate",
            "certificates.replace",
            certificates::replace,
            "Install a certificate for a product, or plan to",
        )
        .post(
            "/v1/environments/{environmentId}/nodes/{hostName}/redeploy",
            "nodes.redeploy",
            nodes::redeploy,
            "Redeploy a node, or plan to",
        )
        .get("/v1/plans", "plans.list", plans::list, "List plans")
        .get("/v1/plans/{planId}", "plans.show", plans::show, "Read a plan")
        .post("/v1/plans/{planId}/approve", "plans.approve", plans::approve, "Approve a plan")
        .post("/v1/plans/{planId}/apply", "plans.apply", plans::apply, "Carry out a plan")
}

web::serve!(routes);
