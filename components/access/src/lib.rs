//! Ways into the hub and the account of what was done with them: access tokens, API tokens, apps, passwords, account links, identity
//! providers, acting for customers, the audit, and who the caller is.

mod access_tokens;
mod account_links;
mod acting_policies;
mod acting_sessions;
mod api_tokens;
mod apps;
mod audit_entries;
mod bootstrap;
mod credentials;
mod device;
mod hashing;
mod identity_providers;
mod me;
mod oauth;
mod password;
mod password_hashes;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    acting_routes(sign_in_routes(token_routes(Routes::new("access"))))
        .get("/v1/me", "me.show", me::show, "Show who you are, where you can act and what you may")
        .patch("/v1/me", "me.edit", me::edit, "Set your default organization")
        .get("/v1/audit-entries", "audit_entries.list", audit_entries::list, "List audit entries")
        .get("/v1/audit-entries/export", "audit_entries.export", audit_entries::export, "Export audit entries with their hashes")
        .get("/v1/audit-entries/verification", "audit_entries.verify", audit_entries::verify, "Verify that no entry was changed")
}

/// The first API token, access tokens, API tokens and apps.
fn token_routes(routes: Routes) -> Routes {
    routes
        .post("/internal/bootstrap", "bootstrap.create", bootstrap::create, "Create the operator and its first API token")
        .post(
            "/v1/access-tokens",
            "access_tokens.create",
            access_tokens::create,
            "Exchange an API token or a refresh token for an access token of 30 minutes",
        )
        .delete("/v1/access-tokens/current", "access_tokens.end", access_tokens::end, "Sign out")
        .post("/v1/oauth/token", "oauth.token", oauth::token, "Get an access token with client credentials (RFC 6749)")
        .post("/v1/api-tokens", "api_tokens.create", api_tokens::create, "Create an API token")
        .get("/v1/api-tokens", "api_tokens.list", api_tokens::list, "List API tokens")
        .get("/v1/api-tokens/{apiTokenId}", "api_tokens.show", api_tokens::show, "Show an API token")
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
        .post("/v1/apps", "apps.create", apps::create, "Create an app")
        .get("/v1/apps", "apps.list", apps::list, "List apps")
        .get("/v1/apps/{appId}", "apps.show", apps::show, "Show an app")
        .post("/v1/apps/{appId}/regenerate", "apps.regenerate", apps::regenerate, "Give an app a new client secret")
        .delete("/v1/apps/{appId}", "apps.revoke", apps::revoke, "Delete an app, its access tokens and what it owns at once")
}

/// Passwords, account links and identity providers.
fn sign_in_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/sign-in/password", "password.sign_in", password::sign_in, "Sign in with a password")
        .put("/v1/sign-in/password", "password.change", password::change, "Change your password and end your other sessions")
        .post(
            "/v1/sign-in/password-reset",
            "account_links.create",
            account_links::create,
            "Create a link by which a person sets a password",
        )
        .put("/v1/account-links", "account_links.redeem", account_links::redeem, "Set a password with an account link")
        .post("/v1/identity-providers", "identity_providers.create", identity_providers::create, "Create an identity provider")
        .get("/v1/identity-providers", "identity_providers.list", identity_providers::list, "List identity providers")
        .get(
            "/v1/identity-providers/{identityProviderId}",
            "identity_providers.show",
            identity_providers::show,
            "Show an identity provider",
        )
        .patch(
            "/v1/identity-providers/{identityProviderId}",
            "identity_providers.edit",
            identity_providers::edit,
            "Edit an identity provider",
        )
        .post(
            "/v1/identity-providers/{identityProviderId}/trust",
            "identity_providers.trust",
            identity_providers::trust,
            "Trust an identity provider in your own customer organization",
        )
        .post(
            "/v1/identity-providers/{identityProviderId}/distrust",
            "identity_providers.distrust",
            identity_providers::distrust,
            "Stop trusting an identity provider in your own customer organization",
        )
        .delete(
            "/v1/identity-providers/{identityProviderId}",
            "identity_providers.delete",
            identity_providers::delete,
            "Delete an identity provider",
        )
}

/// Acting for customers.
fn acting_routes(routes: Routes) -> Routes {
    routes
        .get(
            "/v1/acting-policies/{organizationId}",
            "acting_policies.show",
            acting_policies::show,
            "Show whether others may act in a customer",
        )
        .put(
            "/v1/acting-policies/{organizationId}",
            "acting_policies.replace",
            acting_policies::replace,
            "Set whether others may act in a customer",
        )
        .post(
            "/v1/acting-sessions",
            "acting_sessions.create",
            acting_sessions::create,
            "Start to act in a customer, or request it",
        )
        .get("/v1/acting-sessions", "acting_sessions.list", acting_sessions::list, "List acting sessions")
        .get("/v1/acting-sessions/{actingSessionId}", "acting_sessions.show", acting_sessions::show, "Show an acting session")
        .post(
            "/v1/acting-sessions/{actingSessionId}/approve",
            "acting_sessions.approve",
            acting_sessions::approve,
            "Approve a requested acting session",
        )
        .post(
            "/v1/acting-sessions/{actingSessionId}/refuse",
            "acting_sessions.refuse",
            acting_sessions::refuse,
            "Refuse a requested acting session",
        )
        .post(
            "/v1/acting-sessions/{actingSessionId}/end",
            "acting_sessions.end",
            acting_sessions::end,
            "End an acting session at once",
        )
        .job(acting_sessions::close)
}

web::serve!(routes);
