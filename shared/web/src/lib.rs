//! What every component does with HTTP, done once: routes, identity, problems, idempotency, paging, jobs, logs.
//!
//! A component is a table of [`Routes`] and one call of [`serve`]. A handler takes the [`Hub`] (the request's own
//! connection, clock and ids) and typed parts of the request, each of which checks what it is about before the handler
//! runs and says so in the OpenAPI document:
//!
//! - [`Caller`]: who are you, and may you (the permission is in its type);
//! - [`Path`], [`Paths`], [`Query`], [`Body`], [`Filled`], [`Bytes`]: what did you say;
//! - [`IfMatch`], [`Prefer`]: under which conditions.

mod access_token;
mod audit;
mod clock;
mod extract;
mod headers;
mod hub;
mod idempotency;
mod identity;
mod internal;
pub mod jobs;
pub mod json;
mod mailbox;
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "an allocator hands out raw memory")]
mod memory;
#[cfg(not(target_family = "wasm"))]
pub mod openapi;
pub mod outbound;
mod paging;
mod pointer;
mod problem;
mod reply;
mod route;
pub mod secret;
mod serve;
mod source;
mod start;
mod trace;

pub use access_token::{AccessToken, Issued, NewTokens, Presented, Proof, begin_session, note_sign_in};
pub use audit::Record;
pub use clock::now;
pub use extract::{
    Body, Bytes, CSV, Csv, Filled, FromRequest, IfMatch, Incoming, Merge, NDJSON, Path, Paths, Prefer, Query, Rows, check_state,
    read, read_json,
};
pub use headers::Headers;
pub use hub::{Hub, random, variable};
pub use identity::{Caller, Identity, permit};
pub use internal::{Internal, ask, call, tell};
pub use mailbox::{Letter, Mail, Mailbox};
pub use paging::{Cursor, OrganizationPageQuery, Page, PageQuery};
pub use reply::{
    Accepted, Answer, Awaiting, Created, Edited, Either, File, InPieces, Listing, Multi, NoContent, OfCustomer, Pieces, Reply,
    Sent, Shown, Written,
};
pub use route::{Handler, LocalIn, Routes};
pub use serve::serve;
pub use source::RequestSource;
pub use start::start;

#[cfg(not(target_family = "wasm"))]
pub use openapi::Describe;
/// The components that ship carry no descriptions: everything passes for described.
#[cfg(target_family = "wasm")]
pub trait Describe {}
#[cfg(target_family = "wasm")]
impl<T: ?Sized> Describe for T {}

/// The limits on what is taken in. Every one of them is in the API's documentation.
pub mod limits {
    /// The largest request body, in bytes.
    pub const BODY: usize = 1024 * 1024;
    /// The longest target (path and query), in bytes.
    pub const TARGET: usize = 8 * 1024;
    /// The most items of a page.
    pub const PAGE: u32 = 200;
    /// The items of a page when none are asked for.
    pub const PAGE_DEFAULT: u32 = 50;
    /// The most rows of an import, and of a page of an export.
    pub const ROWS: u32 = 1_000;
    /// The longest `Prefer: wait`, in seconds.
    pub const WAIT_S: u32 = 30;
    /// For how many hours the answer to an Idempotency-Key is kept.
    pub const IDEMPOTENCY_HOURS: i64 = 24;
    /// How many bytes of answers to Idempotency-Keys are kept of one principal, packed and sealed: of some seven thousand requests. Of
    /// older ones is kept that they were answered.
    pub const KEPT_ANSWERS: i64 = 4 << 20;
}
