//! What customers have of the catalogue, and what is asked for of it. It is carried out by `provisioning`.

mod ask;
mod subscriptions;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("subscriptions")
        .post("/v1/subscriptions", "subscriptions.create", subscriptions::create, "Provision a service to a customer")
        .get("/v1/subscriptions", "subscriptions.list", subscriptions::list, "List subscriptions")
        .get("/v1/subscriptions/{subscriptionId}", "subscriptions.show", subscriptions::show, "Read a subscription")
        .patch(
            "/v1/subscriptions/{subscriptionId}",
            "subscriptions.change",
            subscriptions::change,
            "Change what a customer has of a service",
        )
        .post(
            "/v1/subscriptions/{subscriptionId}/suspend",
            "subscriptions.suspend",
            subscriptions::suspend,
            "Withhold a service from a customer",
        )
        .post(
            "/v1/subscriptions/{subscriptionId}/resume",
            "subscriptions.resume",
            subscriptions::resume,
            "Give a customer a service again",
        )
        .post(
            "/v1/subscriptions/{subscriptionId}/renew",
            "subscriptions.renew",
            subscriptions::renew,
            "Renew a subscription before its term ends",
        )
        .post(
            "/v1/subscriptions/{subscriptionId}/terminate",
            "subscriptions.terminate",
            subscriptions::terminate,
            "Take a service away from a customer",
        )
}

web::serve!(routes);
