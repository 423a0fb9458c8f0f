//! `spin:sqlite` on SQLite in this process.
//!
//! What a guest can observe is what Spin 4.1 does, the parts that bite included: an error of any statement arrives in
//! the result future and never from `execute`; one statement per call, the text after it is dropped unread; rows that
//! are not read hold up the connection; dropping a connection rolls back.
//!
//! One thing more is said at every open, in case a guest does not: WAL and `synchronous = FULL`.
//!
//! What differs is cost. Spin opens a connection per `open` and hands every statement to a thread; here connections are
//! pooled and short statements run where the guest runs, so nobody may block: waiting for a lock is done on the
//! runtime's clock, see [`session`]. Writers pass one gate and write on one connection; each COMMIT is SQLite's own.

mod checkpoint;
mod database;
mod gate;
mod guest;
mod rows;
mod session;
mod success;

pub(crate) use database::Database;
pub(crate) use guest::link;
pub use session::Session;

/// How long a statement waits for a lock, as in Spin.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What a statement left behind.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<crate::bindings::spin::sqlite::sqlite::RowResult>,
    pub(crate) error: Option<String>,
}
