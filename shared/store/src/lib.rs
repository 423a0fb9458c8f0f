//! Every SQL statement of the hub, the migrations, transactions and jobs.
//!
//! One file a resource, of the same name as in the components and the tests. Reading functions take a [`Db`], writing
//! ones a [`Tx`], and whatever belongs to a tenant also takes the caller's [`Scope`], so that forgetting it does not
//! compile. Statements go through [`Db::query_all`], [`Db::query_opt`] and [`Db::exec`] alone: each drains its rows and
//! then asks for the outcome, because on Spin an error comes only after the last row.

pub mod access_levels;
pub mod access_tokens;
pub mod account_links;
pub mod accounts;
pub mod acting_policies;
pub mod acting_sessions;
pub mod approval_policies;
pub mod approvals;
pub mod audit;
pub mod bindings;
pub mod branding;
pub mod broker_resources;
pub mod certificates;
pub mod cloud_endpoints;
pub mod contracts;
pub mod credentials;
pub mod customers_word;
pub mod data_centers;
mod db;
pub mod entitlements;
pub mod environments;
pub mod from_above;
pub mod hash_slots;
pub mod health_checks;
pub mod hub;
pub mod idempotency;
pub mod identity_providers;
pub mod interop;
pub mod invoices;
pub mod jobs;
pub mod mailbox;
pub mod member_invitations;
pub mod members;
pub mod memberships;
pub mod migrations;
pub mod oidc_sign_ins;
pub mod onboarding_invitations;
pub mod orders;
pub mod organizations;
pub mod package_repositories;
pub mod passwords;
pub mod people;
pub mod person_identities;
pub mod plans;
pub mod recoveries;
pub mod renewals;
mod scope;
pub mod service_bindings;
pub mod service_brokers;
pub mod service_roles;
pub mod services;
pub mod sessions;
pub mod sign_in_attempts;
pub mod stored_passwords;
pub mod subscriptions;
pub mod tasks;
pub mod usage;
pub mod usage_reports;
pub mod usage_voids;
mod value;
pub mod vsphere;

pub use db::{Db, Tx};
pub use scope::{Levels, Scope, TaskReach};
pub use value::{Placed, Row, Stored, Value};

/// The refusal of an edit of what was edited since by somebody else.
pub fn stale(noun: &str) -> domain::Error {
    domain::Error::new(
        domain::Kind::Stale,
        "stale",
        format!(
            "The {noun} was edited since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match."
        ),
    )
}

/// The same of what is set as a whole, such as a policy: there is no change to apply again.
fn set_anew() -> domain::Error {
    domain::Error::new(
        domain::Kind::Stale,
        "stale",
        "The policy was set anew since you read it. Read it again and send its new ETag as If-Match.",
    )
}
