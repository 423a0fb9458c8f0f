//! Terms of subscriptions: when they end, what is to become of the subscription then, and seeing to it on the day.

mod renewals;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("renewals")
        .get("/v1/renewals", "renewals.list", renewals::list, "List the terms of subscriptions and what is to be when they end")
        .get("/v1/subscriptions/{subscriptionId}/renewal", "renewals.show", renewals::show, "Read a subscription's term")
        .put("/v1/subscriptions/{subscriptionId}/renewal", "renewals.put", renewals::put, "Say what is to be when the term ends")
        .job(renewals::begin)
        .job(renewals::look)
        .job(renewals::renewed)
}

web::serve!(routes);
