//! What customers want to be asked about before it is begun, and what they say to it. What is asked for is the business of
//! `subscriptions`; what was approved is begun by `provisioning`.

mod approval_policies;
mod approvals;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("approvals")
        .get(
            "/v1/approval-policies/{organizationId}",
            "approval_policies.show",
            approval_policies::show,
            "Read what needs a customer's approval",
        )
        .put(
            "/v1/approval-policies/{organizationId}",
            "approval_policies.replace",
            approval_policies::replace,
            "Say what needs a customer's approval",
        )
        .get("/v1/approvals", "approvals.list", approvals::list, "List what customers were asked to approve")
        .get("/v1/approvals/{approvalId}", "approvals.show", approvals::show, "Read an approval")
        .post(
            "/v1/approvals/{approvalId}/approve",
            "approvals.approve",
            approvals::approve,
            "Approve what was asked for, and have it begun",
        )
        .post("/v1/approvals/{approvalId}/reject", "approvals.reject", approvals::reject, "Reject what was asked for")
        .post("/v1/approvals/{approvalId}/withdraw", "approvals.withdraw", approvals::withdraw, "Take back what was asked for")
        .job(approvals::lapse)
}

web::serve!(routes);
