//! Organizations, commit contracts and tokens: who there is.

mod access_tokens;
mod api_tokens;
mod bootstrap;
mod contracts;
mod me;
mod organizations;

use domain::Error;
use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("onboarding")
        .post("/internal/bootstrap", bootstrap::create, "Create the operator and its first API token")
        .post("/v1/access-tokens", access_tokens::create, "Exchange an API token for an access token of 30 minutes")
        .get("/v1/me", me::show, "Who you are and what you may")
        .post("/v1/organizations", organizations::create, "Create an organization")
        .get("/v1/organizations", organizations::list, "List organizations")
        .get("/v1/organizations/{organizationId}", organizations::show, "Read an organization")
        .patch("/v1/organizations/{organizationId}", organizations::edit, "Edit an organization")
        .post("/v1/api-tokens", api_tokens::create, "Issue an API token")
        .get("/v1/api-tokens", api_tokens::list, "List API tokens")
        .delete("/v1/api-tokens/{apiTokenId}", api_tokens::revoke, "Revoke an API token and its access tokens at once")
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
