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
        .post(
            "/v1/members",
            "members.add",
            members::add,
            "Invite people, and give roles to those of them who are members already",
        )
        .get("/v1/members", "members.list", members::list, "List members")
        .patch("/v1/members", "members.change_roles", members::change_roles, "Give members roles and take them")
        .patch(
            "/v1/members/service-roles",
            "members.change_service_roles",
            members::change_service_roles,
            "Give members roles in services and take them",
        )
        .get("/v1/members/{personId}", "members.show", members::show, "Read a member with all that they were given")
        .delete("/v1/members/{personId}", "members.remove", members::remove, "Remove a member")
        .get("/v1/member-invitations", "member_invitations.list", member_invitations::list, "List member invitations")
        .post("/v1/member-invitations/accept", "acceptance.accept", acceptance::accept, "Accept a member invitation")
        .get(
            "/v1/member-invitations/{memberInvitationId}",
            "member_invitations.show",
            member_invitations::show,
            "Read a member invitation",
        )
        .post(
            "/v1/member-invitations/{memberInvitationId}/resend",
            "member_invitations.resend",
            member_invitations::resend,
            "Send a member invitation again, expired or not, with another secret",
        )
        .delete(
            "/v1/member-invitations/{memberInvitationId}",
            "member_invitations.revoke",
            member_invitations::revoke,
            "Take a member invitation back",
        )
        .get("/v1/me/invitations", "own_invitations.list", own_invitations::list, "List the invitations that you can answer")
        .post(
            "/v1/me/invitations/{memberInvitationId}/accept",
            "own_invitations.accept",
            own_invitations::accept,
            "Accept an invitation while signed in",
        )
        .post(
            "/v1/me/invitations/{memberInvitationId}/decline",
            "own_invitations.decline",
            own_invitations::decline,
            "Decline an invitation",
        )
        .delete("/v1/me/memberships/{organizationId}", "own_memberships.leave", own_memberships::leave, "Leave an organization")
        .get("/v1/mailbox", "mailbox.list", mailbox::list, "Read the hub's mailbox")
        .post(
            "/v1/organizations/{organizationId}/recoveries",
            "recoveries.start",
            recoveries::start,
            "Start the recovery of a customer",
        )
        .get(
            "/v1/organizations/{organizationId}/recoveries",
            "recoveries.list",
            recoveries::list,
            "List the recoveries of a customer",
        )
        .get("/v1/organizations/{organizationId}/recoveries/{recoveryId}", "recoveries.show", recoveries::show, "Read a recovery")
        .post(
            "/v1/organizations/{organizationId}/recoveries/{recoveryId}/refuse",
            "recoveries.refuse",
            recoveries::refuse,
            "Refuse a recovery",
        )
        .post(
            "/v1/organizations/{organizationId}/recoveries/{recoveryId}/withdraw",
            "recoveries.withdraw",
            recoveries::withdraw,
            "Take a recovery back",
        )
        .get(
            "/v1/organizations/{organizationId}/credentials-from-above",
            "credentials_from_above.list",
            credentials_from_above::list,
            "List who has a way into a customer from above",
        )
        .delete(
            "/v1/organizations/{organizationId}/credentials-from-above/{principalId}",
            "credentials_from_above.end",
            credentials_from_above::end,
            "End what somebody has inside a customer from above",
        )
        .job(first_administrators::make)
        .job(recoveries::announce)
        .job(recoveries::carry_out)
}

web::serve!(routes);
