//! Organizations and their people: organizations one by one and in bulk, branding, contracts, onboarding invitations, members, roles
//! and access levels.

mod acceptance;
mod access_levels;
mod admission;
mod branding;
mod bulk_results;
mod contract_usage;
mod contracts;
mod credentials_from_above;
mod customers;
mod first_administrators;
mod mailbox;
mod member_invitation_mail;
mod member_invitations;
mod members;
mod onboarding_invitations;
mod organizations;
mod own_invitations;
mod own_memberships;
mod recoveries;
mod roles;
mod service_roles;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    let routes = Routes::new("onboarding");
    let routes = recovery_routes(member_routes(organization_routes(routes)));
    role_routes(contract_routes(onboarding_invitation_routes(routes)))
}

/// Organizations, customers in bulk, and branding.
fn organization_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/organizations", "organizations.create", organizations::create, "Create an organization")
        .get("/v1/organizations", "organizations.list", organizations::list, "List organizations")
        .get("/v1/organizations/{organizationId}", "organizations.show", organizations::show, "Show an organization")
        .patch("/v1/organizations/{organizationId}", "organizations.edit", organizations::edit, "Edit an organization")
        .delete("/v1/organizations/{organizationId}", "organizations.remove", organizations::remove, "Remove an organization")
        .post(
            "/v1/organizations/{organizationId}/disable",
            "organizations.disable",
            organizations::disable,
            "Disable an organization and all below it",
        )
        .post(
            "/v1/organizations/{organizationId}/enable",
            "organizations.enable",
            organizations::enable,
            "Enable an organization",
        )
        .post("/v1/organizations/import", "customers.import", customers::import, "Import customers in bulk")
        .get("/v1/organizations/export", "customers.export", customers::export, "Export customers in bulk")
        .get("/v1/organizations/{organizationId}/branding", "branding.show", branding::show, "Show an organization's branding")
        .put("/v1/organizations/{organizationId}/branding", "branding.put", branding::put, "Set an organization's branding")
}

/// Members, invitations to become one, and the mailbox that the invitations go to.
fn member_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/members", "members.add", members::add, "Invite people, or add roles to members")
        .get("/v1/members", "members.list", members::list, "List members")
        .patch("/v1/members", "members.change_roles", members::change_roles, "Add and remove roles of members")
        .patch(
            "/v1/members/service-roles",
            "members.change_service_roles",
            members::change_service_roles,
            "Add and remove service roles of members",
        )
        .get("/v1/members/{personId}", "members.show", members::show, "Show a member with roles and levels")
        .delete("/v1/members/{personId}", "members.remove", members::remove, "Remove a member")
        .get("/v1/member-invitations", "member_invitations.list", member_invitations::list, "List member invitations")
        .post("/v1/member-invitations/accept", "acceptance.accept", acceptance::accept, "Accept a member invitation")
        .get(
            "/v1/member-invitations/{memberInvitationId}",
            "member_invitations.show",
            member_invitations::show,
            "Show a member invitation",
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
            "Revoke a member invitation",
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
        .get("/v1/mailbox", "mailbox.list", mailbox::list, "List the mails in the hub's mailbox")
        .job(first_administrators::invite)
}

/// Recoveries of customers, and the credentials that those above a customer gave in it.
fn recovery_routes(routes: Routes) -> Routes {
    routes
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
        .get("/v1/organizations/{organizationId}/recoveries/{recoveryId}", "recoveries.show", recoveries::show, "Show a recovery")
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
            "Withdraw a recovery",
        )
        .get(
            "/v1/organizations/{organizationId}/credentials-from-above",
            "credentials_from_above.list",
            credentials_from_above::list,
            "List the credentials that others gave in a customer",
        )
        .delete(
            "/v1/organizations/{organizationId}/credentials-from-above/{principalId}",
            "credentials_from_above.end",
            credentials_from_above::end,
            "End a credential that others gave in a customer",
        )
        .job(recoveries::announce)
        .job(recoveries::carry_out)
}

/// Invitations of providers that have no organization yet.
fn onboarding_invitation_routes(routes: Routes) -> Routes {
    routes
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
            "Show an onboarding invitation",
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

/// Commit contracts, from their drafts to their ends.
fn contract_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/contracts", "contracts.create", contracts::create, "Create a commit contract")
        .get("/v1/contracts", "contracts.list", contracts::list, "List commit contracts")
        .get("/v1/contracts/{contractId}", "contracts.show", contracts::show, "Show a commit contract")
        .patch("/v1/contracts/{contractId}", "contracts.amend", contracts::amend, "Edit the draft of a contract")
        .post("/v1/contracts/{contractId}/submit", "contracts.submit", contracts::submit, "Submit a draft for approval")
        .post(
            "/v1/contracts/{contractId}/redraft",
            "contracts.redraft",
            contracts::redraft,
            "Return a contract to draft before its approval",
        )
        .post("/v1/contracts/{contractId}/approve", "contracts.approve", contracts::approve, "Approve a commit contract")
        .post("/v1/contracts/{contractId}/reject", "contracts.reject", contracts::reject, "Reject a commit contract")
        .post(
            "/v1/contracts/{contractId}/default",
            "contracts.make_default",
            contracts::make_default,
            "Make a contract the default for its service",
        )
        .post(
            "/v1/contracts/{contractId}/terminate",
            "contracts.terminate",
            contracts::terminate,
            "Terminate a contract, now or on a day",
        )
        .post(
            "/v1/contracts/{contractId}/cancel-termination",
            "contracts.cancel_termination",
            contracts::cancel_termination,
            "Cancel the termination of a contract",
        )
        .post("/v1/contracts/{contractId}/deactivate", "contracts.deactivate", contracts::deactivate, "Deactivate a contract")
        .post("/v1/contracts/{contractId}/reactivate", "contracts.reactivate", contracts::reactivate, "Reactivate a contract")
        .post(
            "/v1/contracts/{contractId}/renew",
            "contracts.renew",
            contracts::renew,
            "Create the contract that follows this one",
        )
        .job(contracts::advance)
        .job(contract_usage::add_up)
        .job(contract_usage::take_out)
}

/// Roles in the hub, roles in services, and access levels.
fn role_routes(routes: Routes) -> Routes {
    routes
        .get("/v1/roles", "roles.list", roles::list, "List the roles and what they permit")
        .post("/v1/service-roles", "service_roles.create", service_roles::create, "Add a role to a service")
        .get("/v1/service-roles", "service_roles.list", service_roles::list, "List roles in services")
        .get("/v1/service-roles/{serviceRoleId}", "service_roles.show", service_roles::show, "Show a role in a service")
        .patch("/v1/service-roles/{serviceRoleId}", "service_roles.edit", service_roles::edit, "Edit a role in a service")
        .delete(
            "/v1/service-roles/{serviceRoleId}",
            "service_roles.remove",
            service_roles::remove,
            "Remove a role that nobody has from a service",
        )
        .get("/v1/me/service-roles", "service_roles.own", service_roles::own, "List your roles in services where you act")
        .get("/v1/access-levels/{organizationId}", "access_levels.show", access_levels::show, "Show a customer's access levels")
        .put("/v1/access-levels/{organizationId}", "access_levels.put", access_levels::put, "Set a customer's access levels")
        .get(
            "/v1/access-levels/{organizationId}/people",
            "access_levels.list_people",
            access_levels::list_people,
            "List the people of a customer who have an access level of their own",
        )
        .get(
            "/v1/access-levels/{organizationId}/people/{personId}",
            "access_levels.show_person",
            access_levels::show_person,
            "Show the access levels of a person in a customer",
        )
        .put(
            "/v1/access-levels/{organizationId}/people/{personId}",
            "access_levels.put_person",
            access_levels::put_person,
            "Set the access levels of a person in a customer",
        )
        .get("/v1/me/access-levels", "access_levels.own", access_levels::own, "Show your own access levels where you act")
}

web::serve!(routes);
