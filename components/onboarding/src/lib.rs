//! Organizations and commit contracts: who there is, and what they agreed on.

mod contracts;
mod organizations;

use domain::Error;
use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("onboarding")
        .post("/v1/organizations", organizations::create, "Create an organization")
        .get("/v1/organizations", organizations::list, "List organizations")
        .get("/v1/organizations/{organizationId}", organizations::show, "Read an organization")
        .patch("/v1/organizations/{organizationId}", organizations::edit, "Edit an organization")
        .post("/v1/contracts", contracts::create, "Draw up a commit contract")
        .get("/v1/contracts", contracts::list, "List commit contracts")
        .get("/v1/contracts/{contractId}", contracts::show, "Read a commit contract")
        .post("/v1/contracts/{contractId}/approve", contracts::approve, "Approve a commit contract")
        .jobs(|hub, job| async move {
            match job.kind.as_str() {
                contracts::ACTIVATE => contracts::activate(hub, job).await,
                other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
            }
        })
}

web::serve!(routes);
