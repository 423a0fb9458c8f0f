//! What customers want to be asked about before it is begun, and what they say to it. What is asked for is the business of
//! `subscriptions`; what was approved is begun by `provisioning`.

mod approval_policies;
mod approvals;

use domain::{Error, Result};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("approvals")
        .get("/v1/approval-policies/{organizationId}", approval_policies::show, "Read what needs a customer's approval")
        .put("/v1/approval-policies/{organizationId}", approval_policies::replace, "Say what needs a customer's approval")
        .get("/v1/approvals", approvals::list, "List what customers were asked to approve")
        .get("/v1/approvals/{approvalId}", approvals::show, "Read an approval")
        .post("/v1/approvals/{approvalId}/approve", approvals::approve, "Approve what was asked for, and have it begun")
        .post("/v1/approvals/{approvalId}/reject", approvals::reject, "Reject what was asked for")
        .post("/v1/approvals/{approvalId}/withdraw", approvals::withdraw, "Take back what was asked for")
        .jobs(run)
}

async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        store::approvals::LAPSE => approvals::lapse(hub, job).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

web::serve!(routes);
