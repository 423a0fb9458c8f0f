//! The connection, the four ways to use it, and nothing else.
//!
//! What Spin's SQL does, and what follows from it here (`docs/decisions/0003`):
//!
//! - Of a statement that runs asynchronously an error, a broken constraint included, comes from the end of its rows, never
//!   from the call. So its rows are collected at once, and then it is asked how it went.
//! - One statement an `execute`; what follows a semicolon is dropped in silence. No statement here has one.
//! - Undrained rows block the connection, so rows are never handed out as a stream.
//! - A dropped connection rolls back. A transaction still always ends in COMMIT or ROLLBACK, for PostgreSQL's pool
//!   would hand an open one to the next borrower.
//!
//! PostgreSQL's place: `Db` holds a SQLite connection today. The statements keep to the common dialect and number their
//! parameters (`?1`, there `$1`), so that a second kind of connection is a second arm in `run`, and in nothing else.

use crate::{Row, Value};
use domain::{Error, Result};
use spin_sdk::sqlite::{self, wit::sqlite::Connection};
use std::{
    cell::Cell,
    ops::Deref,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// How often a transaction is run again when the database was too busy to let it in.
const ATTEMPTS: u32 = 3;
/// The stable code of "too busy"; also what tells `in_transaction` to try again.
const BUSY: &str = "database_busy";

/// Whether this SQLite has the WAL-reset race (docs/decisions/0033). Then no COMMIT may checkpoint the write-ahead log, and the
/// scheduler's tick does, with the write lock held. It is a property of the host's library and of no tenant.
static RACES: AtomicBool = AtomicBool::new(false);

/// Something that is awaited and is compiled once, wherever it is awaited.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A connection of one request's own. It is never shared between requests: instances serve several at once, and their
/// transactions would mix.
pub struct Db {
    connection: Connection,
    /// Whether a transaction is under way, which therefore has the lock.
    writing: Cell<bool>,
    /// Whether its commits leave the checkpoints to the tick, where that is needed.
    leaves_checkpoints: Cell<bool>,
    /// Whether somebody waits for what it is asked: a request does, a job does not.
    awaited: bool,
}

impl Db {
    /// Opens the hub's database, for a request that is `awaited` or for a job.
    pub async fn open(awaited: bool) -> Result<Self> {
        // In one piece: opening waits for nobody, for a connection is made when it is first used.
        let connection = Connection::open("default").map_err(fault)?;
        Ok(Self { connection, writing: Cell::new(false), leaves_checkpoints: Cell::new(false), awaited })
    }

    /// Sees to the database file, once in the life of an instance: that it is in WAL, which lets readers go on while one
    /// writes, and which version of SQLite serves it. A file that was restored from a backup is not in WAL.
    pub(crate) async fn prepare_file(&self) -> Result<()> {
        if self.texts("PRAGMA journal_mode", vec![]).await?.first().is_none_or(|mode| mode != "wal") {
            self.exec("PRAGMA journal_mode = WAL", vec![]).await?;
        }
        let version = self.texts("SELECT sqlite_version()", vec![]).await?.pop().unwrap_or_default();
        RACES.store(has_reset_race(&version), Relaxed);
        Ok(())
    }

    /// Brings the write-ahead log back into the database, where no COMMIT does that. For the scheduler's tick.
    pub async fn checkpoint(&self) -> Result<()> {
        if !RACES.load(Relaxed) {
            return Ok(());
        }
        // Writers wait while it waits for readers, so it does not wait for long ones.
        self.exec("PRAGMA busy_timeout = 1000", vec![]).await?;
        // Unlike PASSIVE it takes the write lock before it looks at the log: no commit can begin the log anew meanwhile.
        self.exec("PRAGMA wal_checkpoint(TRUNCATE)", vec![]).await
    }

    /// All rows of a statement. The statement bounds how many there can be.
    pub async fn query_all<T>(&self, sql: &str, params: Vec<Value>, read: impl Fn(&mut Row) -> Result<T>) -> Result<Vec<T>> {
        let rows = self.run(sql, params).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(read(&mut Row::new(row))?);
        }
        Ok(found)
    }

    /// The only row, if there is one. More than one is a fault of the statement.
    pub async fn query_opt<T>(&self, sql: &str, params: Vec<Value>, read: impl Fn(&mut Row) -> Result<T>) -> Result<Option<T>> {
        let mut rows = self.query_all(sql, params, read).await?;
        if rows.len() > 1 {
            return Err(Error::fault(format!("{} rows where one was expected: {sql}", rows.len())));
        }
        Ok(rows.pop())
    }

    /// The texts of a statement that gives one column of them. Not for every kind of row, and so compiled once.
    pub(crate) fn texts<'a>(&'a self, sql: &'a str, params: Vec<Value>) -> Boxed<'a, Vec<String>> {
        Box::pin(async move {
            let columns = self.run(sql, params).await?.into_iter().flatten();
            Ok(columns.filter_map(|column| if let Value::Text(text) = column { Some(text) } else { None }).collect())
        })
    }

    /// A statement of which only its success is of interest.
    pub async fn exec(&self, sql: &str, params: Vec<Value>) -> Result<()> {
        self.run(sql, params).await.map(drop)
    }

    /// Runs `work` in one transaction, and the whole of it again when the database was too busy. So `work` must do
    /// nothing but SQL: no outbound call (the lock is held meanwhile) and no change to what it captured.
    pub async fn in_transaction<T>(&self, work: impl AsyncFn(&Tx<'_>) -> Result<T>) -> Result<T> {
        let work = Kept { work, value: Cell::new(None) };
        self.run_transaction(&work).await?;
        work.value.into_inner().ok_or_else(|| Error::outcome_unknown("a transaction was committed without an outcome"))
    }

    async fn run_transaction(&self, work: &dyn Work) -> Result<()> {
        let mut attempt = 1;
        loop {
            match self.try_transaction(work).await {
                Err(error) if error.code == BUSY && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_transaction(&self, work: &dyn Work) -> Result<()> {
        if RACES.load(Relaxed) && !self.leaves_checkpoints.replace(true) {
            self.exec("PRAGMA wal_autocheckpoint = 0", vec![]).await?;
        }
        // IMMEDIATE, because a transaction that reads first and then writes is refused at once when another wrote
        // meanwhile, while one that asks for the lock first waits its turn.
        self.exec("BEGIN IMMEDIATE", vec![]).await?;
        self.writing.set(true);
        let worked = work.run(&Tx(self)).await;
        self.writing.set(false);
        let outcome = match worked {
            Ok(()) => self.exec("COMMIT", vec![]).await.map_err(after_commit),
            Err(error) => Err(error),
        };
        if let Err(first) = &outcome {
            // Where COMMIT itself failed the transaction may be gone already; the first error is the one that counts.
            if let Err(second) = self.exec("ROLLBACK", vec![]).await {
                // In the form of the log, by hand: a `Value` would bring its whole machinery into every component.
                let [error, after] = [&second, first].map(|error| serde_json::to_string(&error.to_string()).unwrap_or_default());
                eprintln!(r#"{{"level":"warn","msg":"rollback failed","error":{error},"after":{after}}}"#);
            }
        }
        outcome
    }

    /// Whether a statement can be called for in one piece, the way without a stream of rows and a future of the outcome,
    /// which costs about a quarter less. The call holds the whole instance, and the other requests it serves, so it is only for
    /// what cannot be kept waiting by another connection: reads, which WAL lets through, and what is inside a transaction,
    /// which has the lock already. BEGIN waits for the lock, COMMIT for the disk. A job's reads are in no hurry.
    fn waits_for_nobody(&self, sql: &str) -> bool {
        self.writing.get() || (self.awaited && sql.starts_with("SELECT"))
    }

    /// Boxed, because it would otherwise be compiled into everything that asks the database something.
    fn run<'a>(&'a self, sql: &'a str, params: Vec<Value>) -> Boxed<'a, Vec<Vec<Value>>> {
        Box::pin(async move {
            let params: Vec<_> = params
                .into_iter()
                .map(|value| match value {
                    Value::Null => sqlite::Value::Null,
                    Value::Int(int) => sqlite::Value::Integer(int),
                    Value::Text(text) => sqlite::Value::Text(text),
                })
                .collect();
            let rows = if self.waits_for_nobody(sql) {
                self.connection.execute(sql, &params).map_err(fault)?.rows
            } else {
                let (_, rows, outcome) = self.connection.execute_async(sql.to_owned(), params).await.map_err(fault)?;
                let rows = rows.collect().await;
                outcome.await.map_err(fault)?;
                rows
            };
            rows.into_iter().map(|row| row.values.into_iter().map(column).collect()).collect()
        })
    }
}

fn column(value: sqlite::Value) -> Result<Value> {
    match value {
        sqlite::Value::Null => Ok(Value::Null),
        sqlite::Value::Integer(int) => Ok(Value::Int(int)),
        sqlite::Value::Text(text) => Ok(Value::Text(text)),
        sqlite::Value::Real(_) | sqlite::Value::Blob(_) => Err(Error::fault("a column holds floating point or bytes")),
    }
}

/// Whether SQLite of this version has the WAL-reset race: up to 3.51.2, and 3.52.0, which was withdrawn.
fn has_reset_race(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    numbers[..] < [3, 51, 3][..] || numbers.starts_with(&[3, 52])
}

/// The one place that looks at the text of a database error; there is nothing else to look at.
fn fault(error: sqlite::Error) -> Error {
    let text = match error {
        sqlite::Error::Io(text) => text,
        other => format!("{other:?}"),
    };
    if text.contains("database is locked") {
        return Error { code: BUSY, ..Error::unavailable(text) };
    }
    if LASTING.iter().any(|lasting| text.contains(lasting)) { Error::fault(text) } else { Error::unavailable(text) }
}

/// What SQLite and the hosts say of a statement that will fail again: a broken constraint, a statement that is wrong, or a result or
/// value beyond a limit. All else, such as a full disk, passes or is mended.
const LASTING: [&str; 9] = [
    "constraint failed",
    "syntax error",
    "no such ",
    "has no column",
    "datatype mismatch",
    "too many SQL variables",
    "too big",
    "exceeds limit",
    "malformed",
];

/// The error of a COMMIT. Only where the database refused it is it certain that nothing was committed: it was locked, a
/// deferred constraint was broken, or there was no space for the transaction. After any other error, a sync of the disk that
/// failed or a connection that was lost, the transaction may be there.
fn after_commit(error: Error) -> Error {
    let text = error.internal.as_deref().unwrap_or_default();
    let refused = ["constraint failed", "database or disk is full"].iter().any(|reason| text.contains(reason));
    if error.code == BUSY || refused { error } else { Error::outcome_unknown(text) }
}

/// What a transaction does, without the type of its outcome: so that the transaction around it is compiled once in a
/// component and not for every use.
trait Work {
    fn run<'a>(&'a self, tx: &'a Tx<'_>) -> Boxed<'a, ()>;
}

/// Work that keeps its outcome until the transaction has ended.
struct Kept<F, T> {
    work: F,
    value: Cell<Option<T>>,
}

impl<T, F: AsyncFn(&Tx<'_>) -> Result<T>> Work for Kept<F, T> {
    fn run<'a>(&'a self, tx: &'a Tx<'_>) -> Boxed<'a, ()> {
        Box::pin(async {
            self.value.set(Some((self.work)(tx).await?));
            Ok(())
        })
    }
}

/// A transaction that is under way. Whoever writes takes one of these, so nothing is written outside a transaction.
pub struct Tx<'db>(&'db Db);

impl Deref for Tx<'_> {
    type Target = Db;
    fn deref(&self) -> &Db {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_the_wal_reset_race_are_known() {
        for version in ["3.40.1", "3.49.1", "3.51.2", "3.52.0", "", "unknown"] {
            assert!(has_reset_race(version), "{version}");
        }
        for version in ["3.51.3", "3.53.0", "3.54.1", "4.0.0"] {
            assert!(!has_reset_race(version), "{version}");
        }
    }

    #[test]
    fn a_failed_commit_is_certain_only_where_the_database_refused_it() {
        let after = |text: &str| after_commit(fault(sqlite::Error::Io(text.to_owned()))).code;
        assert_eq!(after("disk I/O error"), "outcome_unknown");
        assert_eq!(after("connection closed"), "outcome_unknown");
        assert_eq!(after("FOREIGN KEY constraint failed"), "internal_fault");
        assert_eq!(after("database or disk is full"), "temporarily_unavailable");
        assert_eq!(after("database is locked"), BUSY);
    }
}
