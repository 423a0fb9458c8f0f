//! How organizations come in other than one by one: customers in bulk, providers by invitation. Apart from `onboarding`
//! for its size: a component is to stay small enough to start in no time.

mod customers;
mod onboarding_invitations;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("enrollment")
        .post("/v1/organizations/import", "customers.import", customers::import, "Import customers in bulk")
        .get("/v1/organizations/export", "customers.export", customers::export, "Export customers in bulk")
        .get(
            "/v1/onboarding-invitations",
            "onboarding_invitations.list",
            onboarding_invitations::list,
            "List onboarding invitations",
        )
        .post(
            "/v1/onboarding-invitations/accept",
            "onboarding_invitations.accept",
            onboarding_invitations::accept,
            "Accept an onboarding invitation",
        )
        .get(
            "/v1/onboarding-invitations/{onboardingInvitationId}",
            "onboarding_invitations.show",
            onboarding_invitations::show,
            "Read an onboarding invitation",
        )
        .post(
            "/v1/onboarding-invitations/{onboardingInvitationId}/resend",
            "onboarding_invitations.resend",
            onboarding_invitations::resend,
            "Send an onboarding invitation again, with another secret",
        )
        .post(
            "/v1/onboarding-invitations/{onboardingInvitationId}/revoke",
            "onboarding_invitations.revoke",
            onboarding_invitations::revoke,
            "Revoke an onboarding invitation",
        )
}

web::serve!(routes);
