//! The connection, the four ways to use it, and nothing else.
//!
//! What Spin's SQL does, and what follows from it here (`docs/decisions/0003`):
//!
//! - Of a statement that runs asynchronously an error, a broken constraint included, comes from the end of its rows, never
//!   from the call. So its rows are collected at once, and then it is asked how it went.
//! - One statement an `execute`; what follows a semicolon is dropped in silence.
//! - Undrained rows block the connection, so rows are never handed out as a stream.
//! - A dropped connection rolls back. A transaction still always ends in COMMIT or ROLLBACK, for PostgreSQL's pool
//!   would hand an open one to the next borrower.
//!
//! PostgreSQL's place: `Db` holds a SQLite connection today. The statements keep to the common dialect and number their
//! parameters (`?1`, there `$1`), so that a second kind of connection is a second arm in `run`, and in nothing else.

use crate::{Row, Value};
use domain::{Error, Result};
use spin_sdk::sqlite::{self, wit::sqlite::Connection};
use std::{cell::Cell, ops::Deref, pin::Pin};

/// How often a transaction is run again when the database was too busy to let it in.
const ATTEMPTS: u32 = 3;
/// The stable code of "too busy"; also what tells `in_transaction` to try again.
const BUSY: &str = "database_busy";

/// Something that is awaited and is compiled once, wherever it is awaited.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A connection of one request's own. It is never shared between requests: instances serve several at once, and their
/// transactions would mix.
pub struct Db {
    connection: Connection,
    /// Whether a transaction is under way, which therefore has the lock.
    writing: Cell<bool>,
    /// Whether somebody waits for what it is asked: a request does, a job does not.
    awaited: bool,
}

impl Db {
    /// Opens the hub's database, for a request that is `awaited` or for a job.
    pub async fn open(awaited: bool) -> Result<Self> {
        // In one piece: opening waits for nobody, for a connection is made when it is first used.
        let connection = Connection::open("default").map_err(fault)?;
        Ok(Self { connection, writing: Cell::new(false), awaited })
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
            return Err(Error::unavailable(format!("{} rows where one was expected: {sql}", rows.len())));
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
        work.value.into_inner().ok_or_else(|| Error::unavailable("a transaction was committed without an outcome"))
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
        // IMMEDIATE, because a transaction that reads first and then writes is refused at once when another wrote
        // meanwhile, while one that asks for the lock first waits its turn.
        self.exec("BEGIN IMMEDIATE", vec![]).await?;
        self.writing.set(true);
        let worked = work.run(&Tx(self)).await;
        self.writing.set(false);
        let outcome = match worked {
            Ok(()) => self.exec("COMMIT", vec![]).await,
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
        sqlite::Value::Real(_) | sqlite::Value::Blob(_) => Err(Error::unavailable("a column holds floating point or bytes")),
    }
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
