//! Members: who belongs to an organization, who was invited, and which roles they have in it and in services.

mod admission;
mod first_administrators;
mod member_invitations;
mod members;
mod results;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("members")
        .post("/v1/members", members::add, "Add members: people known to the hub at once, others by invitation")
        .get("/v1/members", members::list, "List members")
        .patch("/v1/members", members::change_roles, "Give members roles and take them")
        .patch("/v1/members/service-roles", members::change_service_roles, "Give members roles in services and take them")
        .get("/v1/members/{personId}", members::show, "Read a member with all that they were given")
        .delete("/v1/members/{personId}", members::remove, "Remove a member")
        .get("/v1/member-invitations", member_invitations::list, "List member invitations")
        .post("/v1/member-invitations/accept", member_invitations::accept, "Accept a member invitation")
        .get("/v1/member-invitations/{memberInvitationId}", member_invitations::show, "Read a member invitation")
        .post(
            "/v1/member-invitations/{memberInvitationId}/resend",
            member_invitations::resend,
            "Send a member invitation again, expired or not, with another secret",
        )
        .delete("/v1/member-invitations/{memberInvitationId}", member_invitations::revoke, "Take a member invitation back")
        .jobs(|hub, job| async move {
            match job.kind.as_str() {
                domain::member::FIRST_ADMINISTRATOR => first_administrators::make(hub, job).await,
                other => Err(domain::Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
            }
        })
}

web::serve!(routes);
