//! Signing in with a password, and which identity providers are trusted beside it.

mod account_links;
mod device;
mod hashing;
mod identity_providers;
mod password;
mod password_hashes;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("sign-in")
        .post("/v1/sign-in/password", "password.sign_in", password::sign_in, "Sign in with a password")
        .put("/v1/sign-in/password", "password.change", password::change, "Change your password and end your other sessions")
        .post(
            "/v1/sign-in/password-reset",
            "account_links.create",
            account_links::create,
            "Make a link by which a person sets a password",
        )
        .put("/v1/account-links", "account_links.redeem", account_links::redeem, "Set a password with such a link")
        .post("/v1/identity-providers", "identity_providers.create", identity_providers::create, "Add an identity provider")
        .get("/v1/identity-providers", "identity_providers.list", identity_providers::list, "List identity providers")
        .get(
            "/v1/identity-providers/{identityProviderId}",
            "identity_providers.show",
            identity_providers::show,
            "Read an identity provider",
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
            "Trust an identity provider in your own customer organization no longer",
        )
        .delete(
            "/v1/identity-providers/{identityProviderId}",
            "identity_providers.delete",
            identity_providers::delete,
            "Remove an identity provider",
        )
}

web::serve!(routes);
