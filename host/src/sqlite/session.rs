//! One guest's connection: statements in turn, and waiting for locks without blocking a thread.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, CachedStatement, Connection, ErrorCode, Statement, ToSql, TransactionState, params_from_iter};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::database::{Database, Pooled};
use super::gate::Held;
use super::{BUSY_TIMEOUT, Outcome};
use crate::bindings::spin::sqlite::sqlite::{RowResult, Value};

/// What the rows of one statement may take together; Spin's bound for what it buffers.
const RESULT_BYTES: usize = 128 << 20;

/// `SQLITE_BUSY_SNAPSHOT`: the transaction has read what another has since changed, so waiting is of no use.
const BUSY_SNAPSHOT: i32 = 517;

/// What begins a statement that changes rows.
const CHANGES: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"];

/// A transaction that has had the gate for so long runs its further statements apart from the other guests of its thread.
const LONG: Duration = Duration::from_millis(20);

/// How long to wait before trying again, in milliseconds; the last one repeats. SQLite's own schedule.
const BACKOFF: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/// A connection as a guest holds it.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    id: u64,
    state: Arc<Mutex<State>>,
    /// Whose turn it is on this connection. A statement whose rows are not yet read keeps it.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The connection itself; taken on first use, as in Spin.
#[derive(Default)]
pub(super) struct State {
    pooled: Option<Pooled>,
    /// This guest's own connection while `pooled` is the database's writer.
    aside: Option<Pooled>,
    /// The write gate, and since when it is held: from the statement that begins to write until the transaction ends.
    gate: Option<(Held, Instant)>,
    closed: bool,
    /// Whether this guest changed rows on `pooled`, which otherwise still has the counters of the guest before.
    changed: bool,
    /// What this guest last changed on a connection that it no longer has.
    counters: Counters,
}

/// What a connection says of its last change.
#[derive(Clone, Copy, Default)]
struct Counters {
    changes: u64,
    last_insert_rowid: i64,
}

/// The right to be the running statement of a session.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// What one try at a statement came to.
enum Attempt {
    Done(Outcome),
    NeedsGate,
    /// It would write, on a connection that is not for that.
    NeedsWriter,
    Busy(String),
    Closed,
}

impl Session {
    pub(crate) fn open(database: Arc<Database>) -> Self {
        let state = Arc::default();
        let id = database.register(&state);
        Self(Arc::new(Inner { database, id, state, turn: Arc::default() }))
    }

    /// Waits until earlier statements of this session are done and their rows read.
    pub(crate) async fn turn(&self) -> Turn {
        self.0.turn.clone().lock_owned().await
    }

    /// Runs one statement to its end, on the thread that runs the guest: for most that takes microseconds, less than handing
    /// it to another thread.
    pub(crate) async fn execute(&self, sql: &str, parameters: &[Value]) -> Outcome {
        let mut gate = None;
        let mut deadline = None;
        let mut tries = 0;
        loop {
            let attempt = self.lock().attempt(&self.0.database, sql, parameters, &mut gate);
            let failure = match attempt {
                Attempt::Done(outcome) => return outcome,
                Attempt::NeedsWriter => "a statement was handed on twice".to_owned(),
                Attempt::Closed => std::future::pending().await,
                Attempt::NeedsGate => {
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + BUSY_TIMEOUT);
                    match timeout_at(deadline, self.0.database.gate.enter()).await {
                        Ok(held) => {
                            gate = Some(held);
                            continue;
                        }
                        Err(_) => "database is locked".to_owned(),
                    }
                }
                Attempt::Busy(text) => {
                    let now = Instant::now();
                    let deadline = *deadline.get_or_insert(now + BUSY_TIMEOUT);
                    if now < deadline {
                        let pause = Duration::from_millis(BACKOFF[tries.min(BACKOFF.len() - 1)]);
                        tries += 1;
                        sleep_until(deadline.min(now + pause)).await;
                        continue;
                    }
                    text
                }
            };
            return Outcome::failed(failure);
        }
    }

    pub(crate) fn changes(&self) -> u64 {
        self.lock().counters().changes
    }

    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.lock().counters().last_insert_rowid
    }

    /// Loses the connection as a network would: whatever was open on it is rolled back.
    pub(crate) fn disconnect(&self) {
        let mut state = self.lock();
        state.pooled = None;
        state.aside = None;
        state.gate = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.database.unregister(self.id);
        let mut state = lock(&self.state);
        let state = &mut *state;
        for pooled in state.pooled.take().into_iter().chain(state.aside.take()) {
            self.database.give_back(pooled);
        }
        state.gate = None;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn close(state: &Mutex<Self>) {
        let mut state = lock(state);
        state.closed = true;
        state.pooled = None;
        state.aside = None;
        state.gate = None;
    }

    fn counters(&self) -> Counters {
        match &self.pooled {
            Some(Pooled { connection, .. }) if self.changed => {
                Counters { changes: connection.changes(), last_insert_rowid: connection.last_insert_rowid() }
            }
            _ => self.counters,
        }
    }

    /// Goes over to the database's one writing connection, with the gate held and nothing begun: what it has cached stays
    /// true, while every commit of another empties a connection's cache.
    fn go_to_writer(&mut self, database: &Database) -> rusqlite::Result<()> {
        let writer = database.writer()?;
        self.counters = self.counters();
        self.changed = false;
        self.aside = self.pooled.replace(writer);
        Ok(())
    }

    /// Back to the guest's own connection, as soon as nothing is under way on the writer.
    fn go_back(&mut self, database: &Database) {
        if let Some(own) = self.aside.take() {
            self.counters = self.counters();
            self.changed = false;
            if let Some(writer) = self.pooled.replace(own) {
                database.give_back(writer);
            }
        }
    }

    /// Gives the connection back between statements, unless the guest has set something on it. So there are hardly more
    /// connections than threads, however many requests there are: each has the schema in memory and took milliseconds to read it.
    fn rest(&mut self, database: &Database) {
        let is_free = |pooled: &Pooled| database.is_shared() && !pooled.is_marked();
        if self.pooled.as_ref().is_some_and(is_free) && self.aside.is_none() {
            self.counters = self.counters();
            self.changed = false;
            self.pooled.take().into_iter().for_each(|pooled| database.give_back(pooled));
        }
    }

    fn attempt(&mut self, database: &Database, sql: &str, parameters: &[Value], gate: &mut Option<Held>) -> Attempt {
        if self.closed {
            return Attempt::Closed;
        }
        if self.pooled.is_none() {
            match database.connect() {
                Ok(pooled) => self.pooled = Some(pooled),
                Err(error) => return Attempt::failed(&error, true),
            }
        }
        let mut attempt = self.try_here(database, sql, parameters, gate);
        if matches!(attempt, Attempt::NeedsWriter) {
            attempt = match self.go_to_writer(database) {
                Ok(()) => self.try_here(database, sql, parameters, gate),
                Err(error) => Attempt::failed(&error, true),
            };
        }
        let is_through = self.pooled.as_ref().is_some_and(|pooled| pooled.connection.is_autocommit());
        if is_through && !matches!(attempt, Attempt::NeedsGate) {
            self.go_back(database);
            self.gate = None;
            *gate = None;
        }
        if is_through {
            self.rest(database);
        }
        attempt
    }

    /// Tries a statement on the connection that the session has.
    fn try_here(&mut self, database: &Database, sql: &str, parameters: &[Value], gate: &mut Option<Held>) -> Attempt {
        let Some(pooled) = &self.pooled else { return Attempt::Closed };
        let connection = &pooled.connection;
        let before = connection.transaction_state(None::<&str>).unwrap_or(TransactionState::None);
        let mut statement = match Prepared::first_of(connection, sql) {
            Ok(statement) => statement,
            Err(error) => return Attempt::failed(&error, before == TransactionState::None),
        };
        let writes = !statement.readonly();
        // A transaction that has read already gets its answer at once, as SQLite gives it: to wait would be to deadlock.
        let begins = before == TransactionState::None;
        if writes && begins && database.is_shared() {
            if self.gate.is_none() && gate.is_none() {
                match database.gate.try_enter() {
                    Some(held) => *gate = Some(held),
                    None => return Attempt::NeedsGate,
                }
            }
            // A guest that has set something on its connection keeps it.
            if self.aside.is_none() && connection.is_autocommit() && !pooled.is_marked() {
                return Attempt::NeedsWriter;
            }
        }
        let commits = match before {
            TransactionState::None => writes && connection.is_autocommit() && !says(sql, "BEGIN"),
            _ => says(sql, "COMMIT") || says(sql, "END"),
        };
        let is_long = self.gate.as_ref().is_some_and(|(_, since)| since.elapsed() > LONG);
        let columns = statement.column_names().map(str::to_owned).collect();
        let mut rows = Vec::new();
        let result = match (commits || is_long) && database.is_shared() {
            true => apart(|| {
                let result = run(&mut statement, parameters, &mut rows);
                if commits {
                    database.catch_up();
                }
                result
            }),
            false => run(&mut statement, parameters, &mut rows),
        };
        drop(statement);
        self.changed |= writes && CHANGES.iter().any(|word| says(sql, word));
        if !connection.is_autocommit() && self.gate.is_none() {
            // Kept until the transaction ends. One that upgraded from reading takes the gate if it is free.
            let writing = matches!(connection.transaction_state(None::<&str>), Ok(TransactionState::Write));
            let late = || database.gate.try_enter();
            self.gate = gate.take().or_else(|| writing.then(late).flatten()).map(|held| (held, Instant::now()));
        }
        let error = match result {
            Ok(()) => None,
            Err(Failure::Sqlite(error)) => {
                // What may wait: a statement that holds nothing yet, and the COMMIT of a writer that waits for readers.
                let may_wait = before == TransactionState::None || (before == TransactionState::Write && !writes);
                match Attempt::failed(&error, may_wait) {
                    Attempt::Busy(text) => return Attempt::Busy(text),
                    _ => Some(error.to_string()),
                }
            }
            Err(Failure::Other(text)) => Some(text),
        };
        Attempt::Done(Outcome { columns, rows, error })
    }
}

impl Attempt {
    fn failed(error: &rusqlite::Error, may_wait: bool) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(code, _)
                if may_wait && code.code == ErrorCode::DatabaseBusy && code.extended_code != BUSY_SNAPSHOT =>
            {
                Self::Busy(error.to_string())
            }
            _ => Self::Done(Outcome::failed(error.to_string())),
        }
    }
}

impl Outcome {
    pub(crate) fn failed(text: String) -> Self {
        Self { columns: Vec::new(), rows: Vec::new(), error: Some(text) }
    }
}

/// Whether there are threads for what may block.
pub(super) fn has_threads() -> bool {
    Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread
}

/// Whether a statement begins with this word.
fn says(sql: &str, word: &str) -> bool {
    let sql = sql.trim_start();
    sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Runs what may take long, or waits for the disk, on this thread, while another one takes over the other guests of it. With
/// one thread there is none, and a simulated hub must not have one.
fn apart<T>(run: impl FnOnce() -> T) -> T {
    match has_threads() {
        true => tokio::task::block_in_place(run),
        false => run(),
    }
}

/// A statement that is ready to run.
enum Prepared<'c> {
    /// As the connection keeps it.
    Kept(CachedStatement<'c>),
    /// The first one of a text that goes on.
    Once(Statement<'c>),
}

impl<'c> Prepared<'c> {
    /// The first statement of a text. What follows it is dropped unread, as on Spin; rusqlite would refuse it.
    fn first_of(connection: &'c Connection, sql: &str) -> rusqlite::Result<Self> {
        // The cache first: a semicolon can stand in a text too, and compiling a statement takes longer than running it.
        match connection.prepare_cached(sql) {
            Err(_) if sql.contains(';') => Batch::new(connection, sql).next()?.map(Self::Once).ok_or(rusqlite::Error::Empty),
            cached => cached.map(Self::Kept),
        }
    }
}

impl<'c> Deref for Prepared<'c> {
    type Target = Statement<'c>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Kept(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}

impl DerefMut for Prepared<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Kept(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}

enum Failure {
    Sqlite(rusqlite::Error),
    Other(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn run(statement: &mut rusqlite::Statement<'_>, parameters: &[Value], out: &mut Vec<RowResult>) -> Result<(), Failure> {
    let width = statement.column_count();
    let mut rows = statement.query(params_from_iter(parameters.iter().map(Parameter)))?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            let value = match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(i) => Value::Integer(i),
                ValueRef::Real(r) => Value::Real(r),
                ValueRef::Text(text) => {
                    bytes += text.len();
                    match std::str::from_utf8(text) {
                        Ok(text) => Value::Text(text.to_owned()),
                        Err(error) => {
                            return Err(Failure::Other(format!("text in column {column}: {error}")));
                        }
                    }
                }
                ValueRef::Blob(blob) => {
                    bytes += blob.len();
                    Value::Blob(blob.to_vec())
                }
            };
            values.push(value);
        }
        bytes += width * size_of::<Value>();
        if bytes > RESULT_BYTES {
            return Err(Failure::Other(format!("query result exceeds limit of {RESULT_BYTES} bytes")));
        }
        out.push(RowResult { values });
    }
    Ok(())
}

/// A guest's value, bound without a copy.
struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(i) => ValueRef::Integer(*i),
            Value::Real(r) => ValueRef::Real(*r),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}
