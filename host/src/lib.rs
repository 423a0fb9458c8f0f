//! A host for Spin applications, embedded: it runs a `spin.toml` of `wasi:http@0.3.0` components without Spin.
//!
//! As the binary `hub` it serves them. As a library it is the ground that tests stand on: a [`Hub`] starts in this
//! process in milliseconds, and with [`Builder::simulated`] its clocks, its randomness, its peers and its misfortunes
//! are in the test's hand.
//!
//! It knows nothing of what the components do.

mod allowed_hosts;
mod app;
mod backup;
mod bindings;
mod body;
mod clock;
mod door;
mod engine;
mod env;
mod faults;
mod files;
mod guest;
mod hub;
mod key_value;
mod life;
mod lifecycle;
pub mod log;
mod manifest;
mod outbound;
mod random;
mod routes;
mod runtime_config;
mod server;
pub mod sim;
mod socket;
mod sqlite;
mod ticker;
mod variables;
mod worker;

pub use backup::{Copied, back_up};
pub use clock::Clock;
pub use faults::{Fault, Faults, HostCall, Kind, Target};
pub use files::NewDatabase;
pub use hub::{Builder, Hub, RequestError};
pub use variables::parse_assignment;
