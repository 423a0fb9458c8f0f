//! Signing in at identity providers. This is the one component that reaches out to them.

mod id_token;
mod oidc;
mod outbound;
mod trust;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("federation").post("/v1/sign-in/oidc", "oidc.begin", oidc::begin, "Begin a sign-in at an identity provider").post(
        "/v1/sign-in/oidc/callback",
        "oidc.callback",
        oidc::callback,
        "Complete a sign-in at an identity provider",
    )
}

web::serve!(routes);
