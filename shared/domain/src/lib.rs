//! The rules of the hub: types, state machines, money, roles.
//!
//! Nothing here reaches out. There is no SDK, no SQL, no HTTP, no clock and no randomness: an instant or a random
//! value that a rule needs is an argument. That is why these rules can be tested natively in microseconds, and why
//! every other crate may depend on this one while it depends on none of them.

pub mod access_level;
pub mod acting;
pub mod approval;
pub mod audit;
pub mod branding;
pub mod certificate;
pub mod clock;
pub mod cloud_endpoint;
pub mod common_password;
pub mod contract;
pub mod country;
pub mod credential;
pub mod customers_word;
pub mod data_center;
pub mod environment;
pub mod error;
pub mod form;
pub mod id;
pub mod instant;
pub mod interop;
pub mod invoice;
pub mod job;
pub mod json;
pub mod mail;
pub mod member;
pub mod money;
pub mod oidc;
pub mod onboarding_invitation;
pub mod organization;
pub mod package;
pub mod period;
pub mod person;
pub mod principal;
pub mod recovery;
pub mod role;
pub mod service;
pub mod service_broker;
pub mod session;
pub mod setting;
pub mod sign_in;
pub mod source;
pub mod stored_password;
pub mod subdivision;
pub mod subscription;
pub mod table;
pub mod task;
pub mod term;
pub mod text;
pub mod time;
pub mod usage;

pub use error::{Error, FieldError, Kind, Result};
pub use id::Id;
pub use instant::Instant;
pub use money::{Currency, Decimal, Money};
pub use organization::{OrganizationKind, OrganizationPath};
pub use period::Period;
pub use principal::PrincipalId;
pub use role::{Permission, Role};
pub use text::{List, Text};
pub use time::{Date, Moment};

/// Types whose values have a JSON Schema, for the OpenAPI document.
#[cfg(not(target_family = "wasm"))]
pub use schemars::JsonSchema;

/// The components that ship carry no schemas (see `no-schema`): every type passes for one that has its.
#[cfg(target_family = "wasm")]
pub use no_schema::JsonSchema;
#[cfg(target_family = "wasm")]
pub use without_schemas::JsonSchema;
#[cfg(target_family = "wasm")]
mod without_schemas {
    /// Stands where schemars' trait of this name stands natively.
    pub trait JsonSchema {}
    impl<T: ?Sized> JsonSchema for T {}
}
