//! Every SQL statement of the hub, the migrations, transactions and jobs.
//!
//! One file a resource, of the same name as in the components and the tests. Reading functions take a [`Db`], writing
//! ones a [`Tx`], and whatever belongs to a tenant also takes the caller's [`Scope`], so that forgetting it does not
//! compile. Statements go through [`Db::query_all`], [`Db::query_opt`] and [`Db::exec`] alone: each drains its rows and
//! then asks for the outcome, because on Spin an error comes only after the last row.

pub mod access_tokens;
pub mod account_links;
pub mod api_tokens;
pub mod contracts;
pub mod data_centers;
mod db;
pub mod entitlements;
pub mod environments;
pub mod idempotency;
pub mod invoices;
pub mod jobs;
pub mod migrations;
pub mod organizations;
pub mod people;
pub mod plans;
mod scope;
pub mod services;
pub mod subscriptions;
pub mod tasks;
pub mod usage;
pub mod usage_reports;
mod value;

pub use db::{Db, Tx};
pub use scope::Scope;
pub use value::{Row, Stored, Value};
