//! What opens the hub: API tokens, apps, identity providers, and the access tokens that all of them lead to.

mod access_tokens;
mod api_tokens;
mod apps;
mod bootstrap;
mod credentials;
mod oauth;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("access")
        .post("/internal/bootstrap", "bootstrap.create", bootstrap::create, "Create the operator and its first API token")
        .post(
            "/v1/access-tokens",
            "access_tokens.create",
            access_tokens::create,
            "Exchange an API token or a refresh token for an access token of 30 minutes",
        )
        .delete("/v1/access-tokens/current", "access_tokens.end", access_tokens::end, "Sign out")
        .post("/v1/oauth/token", "oauth.token", oauth::token, "Get an access token with client credentials (RFC 6749)")
        .post("/v1/api-tokens", "api_tokens.create", api_tokens::create, "Issue an API token")
        .get("/v1/api-tokens", "api_tokens.list", api_tokens::list, "List API tokens")
        .get("/v1/api-tokens/{apiTokenId}", "api_tokens.show", api_tokens::show, "Read an API token")
        .post(
            "/v1/api-tokens/{apiTokenId}/regenerate",
            "api_tokens.regenerate",
            api_tokens::regenerate,
            "Give an API token a new secret",
        )
        .delete(
            "/v1/api-tokens/{apiTokenId}",
            "api_tokens.revoke",
            api_tokens::revoke,
            "Revoke an API token, its access tokens and what it owns at once",
        )
        .post("/v1/apps", "apps.create", apps::create, "Register an app")
        .get("/v1/apps", "apps.list", apps::list, "List apps")
        .get("/v1/apps/{appId}", "apps.show", apps::show, "Read an app")
        .post("/v1/apps/{appId}/regenerate", "apps.regenerate", apps::regenerate, "Give an app a new client secret")
        .delete("/v1/apps/{appId}", "apps.revoke", apps::revoke, "Delete an app, its access tokens and what it owns at once")
}

web::serve!(routes);
