//! One tick in, one call to every component with due work. Being the one component that asks all the others, it also
//! answers for the hub as a whole: its health, its OpenAPI document, its jobs, and that there is nothing at a path.

mod health;
mod jobs;
mod life;
mod openapi;
mod tick;

use web::Routes;

/// The components besides this one.
const OTHERS: [&str; 32] = [
    "access",
    "sign-in",
    "federation",
    "onboarding",
    "members",
    "roles",
    "contracts",
    "enrollment",
    "branding",
    "catalogue",
    "packages",
    "provisioning",
    "subscriptions",
    "approvals",
    "renewals",
    "service-brokers",
    "service-bindings",
    "broker-operations",
    "tasks",
    "data-centers",
    "environments",
    "vsphere",
    "deployments",
    "certificates",
    "cloud-endpoints",
    "stored-passwords",
    "invitations",
    "billing",
    "discovery",
    "support",
    "marketplaces",
    "audit",
];

/// The route table.
pub fn routes() -> Routes {
    Routes::new("scheduler")
        .post("/internal/tick", tick::run, "Run what is due")
        .post("/internal/start", life::start, "Look whether the hub can work")
        .post("/internal/stop", life::stop, "Give back what is claimed")
        .get("/health", health::show, "Whether the database takes writes and every component answers")
        .get("/openapi.json", openapi::show, "This document")
        .get("/v1/jobs", jobs::list, "List jobs, parked ones among them")
        .post("/v1/jobs/{jobId}/replay", jobs::replay, "Let a parked job run again")
}

web::serve!(routes);
