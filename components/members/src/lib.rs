//! Members: who belongs to an organization, who was invited, and which roles they have in it and in services.

mod acceptance;
mod admission;
mod credentials_from_above;
mod first_administrators;
mod mailbox;
mod member_invitations;
mod members;
mod own_invitations;
mod own_memberships;
mod recoveries;
mod results;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("members")
        .post("/v1/members", members::add, "Invite people, and give roles to those of them who are members already")
        .get("/v1/members", members::list, "List members")
        .patch("/v1/members", members::change_roles, "Give members roles and take them")
        .patch("/v1/members/service-roles", members::change_service_roles, "Give members roles in services and take them")
        .get("/v1/members/{personId}", members::show, "Read a member with all that they were given")
        .delete("/v1/members/{personId}", members::remove, "Remove a member")
        .get("/v1/member-invitations", member_invitations::list, "List member invitations")
        .post("/v1/member-invitations/accept", acceptance::accept, "Accept a member invitation")
        .get("/v1/member-invitations/{memberInvitationId}", member_invitations::show, "Read a member invitation")
        .post(
            "/v1/member-invitations/{memberInvitationId}/resend",
            member_invitations::resend,
            "Send a member invitation again, expired or not, with another secret",
        )
        .delete("/v1/member-invitations/{memberInvitationId}", member_invitations::revoke, "Take a member invitation back")
        .get("/v1/me/invitations", own_invitations::list, "List the invitations that you can answer")
        .post("/v1/me/invitations/{memberInvitationId}/accept", own_invitations::accept, "Accept an invitation while signed in")
        .post("/v1/me/invitations/{memberInvitationId}/decline", own_invitations::decline, "Decline an invitation")
        .delete("/v1/me/memberships/{organizationId}", own_memberships::leave, "Leave an organization")
        .get("/v1/mailbox", mailbox::list, "Read the hub's mailbox")
        .post("/v1/organizations/{organizationId}/recoveries", recoveries::start, "Start the recovery of a customer")
        .get("/v1/organizations/{organizationId}/recoveries", recoveries::list, "List the recoveries of a customer")
        .get("/v1/organizations/{organizationId}/recoveries/{recoveryId}", recoveries::show, "Read a recovery")
        .post("/v1/organizations/{organizationId}/recoveries/{recoveryId}/refuse", recoveries::refuse, "Refuse a recovery")
        .post("/v1/organizations/{organizationId}/recoveries/{recoveryId}/withdraw", recoveries::withdraw, "Take a recovery back")
        .get(
            "/v1/organizations/{organizationId}/credentials-from-above",
            credentials_from_above::list,
            "List who has a way into a customer from above",
        )
        .delete(
            "/v1/organizations/{organizationId}/credentials-from-above/{principalId}",
            credentials_from_above::end,
            "End what somebody has inside a customer from above",
        )
        .jobs(|hub, job| async move {
            match job.kind.as_str() {
                domain::member::FIRST_ADMINISTRATOR => first_administrators::make(hub, job).await,
                domain::recovery::ANNOUNCE => recoveries::announce(hub, job).await,
                domain::recovery::CARRY_OUT => recoveries::carry_out(hub, job).await,
                other => Err(domain::Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
            }
        })
}

web::serve!(routes);
