//! Organizations and tokens: who there is.

mod access_tokens;
mod api_tokens;
mod bootstrap;
mod me;
mod organizations;

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
        .delete("/v1/organizations/{organizationId}", organizations::remove, "Remove an organization")
        .post("/v1/organizations/{organizationId}/disable", organizations::disable, "Disable an organization and all below it")
        .post("/v1/organizations/{organizationId}/enable", organizations::enable, "Enable an organization")
        .post("/v1/api-tokens", api_tokens::create, "Issue an API token")
        .get("/v1/api-tokens", api_tokens::list, "List API tokens")
        .delete("/v1/api-tokens/{apiTokenId}", api_tokens::revoke, "Revoke an API token and its access tokens at once")
}

web::serve!(routes);
