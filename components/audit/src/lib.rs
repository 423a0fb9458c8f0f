//! The audit, and acting for customers, which is what it is read for most.

mod acting_policies;
mod acting_sessions;
mod audit_entries;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("audit")
        .get("/v1/audit-entries", "audit_entries.list", audit_entries::list, "List what was done")
        .get("/v1/audit-entries/export", "audit_entries.export", audit_entries::export, "Export what was done, with the hashes")
        .get("/v1/audit-entries/verification", "audit_entries.verify", audit_entries::verify, "Verify that no entry was changed")
        .get(
            "/v1/acting-policies/{organizationId}",
            "acting_policies.show",
            acting_policies::show,
            "Read whether a customer lets others act in it",
        )
        .put(
            "/v1/acting-policies/{organizationId}",
            "acting_policies.replace",
            acting_policies::replace,
            "Say whether others may act in the customer",
        )
        .post("/v1/acting-sessions", "acting_sessions.create", acting_sessions::create, "Start to act in a customer, or ask to")
        .get("/v1/acting-sessions", "acting_sessions.list", acting_sessions::list, "List acting sessions")
        .get("/v1/acting-sessions/{actingSessionId}", "acting_sessions.show", acting_sessions::show, "Read an acting session")
        .post(
            "/v1/acting-sessions/{actingSessionId}/approve",
            "acting_sessions.approve",
            acting_sessions::approve,
            "Let in who asked to act",
        )
        .post(
            "/v1/acting-sessions/{actingSessionId}/refuse",
            "acting_sessions.refuse",
            acting_sessions::refuse,
            "Refuse who asked to act",
        )
        .post(
            "/v1/acting-sessions/{actingSessionId}/end",
            "acting_sessions.end",
            acting_sessions::end,
            "End an acting session at once",
        )
        .job(acting_sessions::close)
}

web::serve!(routes);
