//! Commit contracts: from their drafts to their ends.

mod contracts;
mod uses;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("contracts")
        .post("/v1/contracts", "contracts.create", contracts::create, "Draw up a commit contract")
        .get("/v1/contracts", "contracts.list", contracts::list, "List commit contracts")
        .get("/v1/contracts/{contractId}", "contracts.show", contracts::show, "Read a commit contract")
        .patch("/v1/contracts/{contractId}", "contracts.amend", contracts::amend, "Amend a draft")
        .post("/v1/contracts/{contractId}/submit", "contracts.submit", contracts::submit, "Send a draft for approval")
        .post(
            "/v1/contracts/{contractId}/redraft",
            "contracts.redraft",
            contracts::redraft,
            "Take a contract back to a draft, before it is approved",
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
            "Take a termination back",
        )
        .post(
            "/v1/contracts/{contractId}/deactivate",
            "contracts.deactivate",
            contracts::deactivate,
            "Stop a contract until it is reactivated",
        )
        .post("/v1/contracts/{contractId}/reactivate", "contracts.reactivate", contracts::reactivate, "Let a contract go on")
        .post("/v1/contracts/{contractId}/renew", "contracts.renew", contracts::renew, "Draw up the contract that follows one")
        .job(contracts::advance)
        .job(uses::add_up)
        .job(uses::take_out)
}

web::serve!(routes);
