//! One guest's connection: statements in turn, and waiting for locks without blocking a thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, ToSql, TransactionState, params_from_iter};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::database::{Database, Pooled, has_committed, owes_references, watch_commits};
use super::gate::Held;
use super::group::{self, Committed};
use super::sync::Written;
use super::{BUSY_TIMEOUT, Outcome};
use crate::bindings::spin::sqlite::sqlite::{RowResult, Value};

/// What the rows of one statement may take together; Spin's bound for what it buffers.
const RESULT_BYTES: usize = 128 << 20;

/// `SQLITE_BUSY_SNAPSHOT`: the transaction has read what another has since changed, so waiting is of no use.
const BUSY_SNAPSHOT: i32 = 517;

/// What begins a statement that changes rows.
const CHANGES: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"];

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
    /// Whether this guest's transaction is one of several on the writer that are committed at once, and not the first.
    joined: bool,
    /// The write gate, from the statement that begins to write until the transaction ends.
    gate: Option<Held>,
    closed: bool,
    /// What the last commit wrote or saw, until it is known to be on the disk.
    written: Option<Written>,
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
    /// It ended a transaction that is committed with others.
    Grouped(Committed),
    NeedsGate,
    /// It would write, on a connection that is not for that.
    NeedsWriter,
    Busy(String),
    /// It would wait for the disk, on a thread that must not.
    Syncs,
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

    /// Runs one statement to its end.
    ///
    /// Inline, on the thread that runs the guest: that takes microseconds, less than handing it to another thread. Only
    /// commits that SQLite itself brings to the disk are handed over; others wait for the database's syncer.
    pub(crate) async fn execute(&self, sql: &str, parameters: &[Value]) -> Outcome {
        // With one thread there is none to hand a statement to, and a simulated hub must not.
        let may_block = !has_threads();
        let mut gate = None;
        let mut deadline = None;
        let mut tries = 0;
        loop {
            let mut attempt = self.lock().attempt(&self.0.database, sql, parameters, &mut gate, may_block);
            if matches!(attempt, Attempt::Syncs) {
                attempt = self.elsewhere(sql, parameters, &mut gate).await;
            }
            let failure = match attempt {
                Attempt::Done(outcome) => return self.durable(outcome).await,
                Attempt::Grouped(committed) => return self.committed(committed).await,
                Attempt::Syncs | Attempt::NeedsWriter => "a statement was handed on twice".to_owned(),
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

    /// The outcome of a COMMIT, once those that it is one of are committed and on the disk.
    async fn committed(&self, committed: Committed) -> Outcome {
        match committed.await {
            Ok(Ok(written)) => {
                self.lock().written = Some(written);
                self.durable(Outcome::default()).await
            }
            Ok(Err(text)) => Outcome::failed(text),
            // Only the end of the hub takes the group away.
            Err(_) => std::future::pending().await,
        }
    }

    /// The outcome of a statement, once what it committed is on the disk.
    async fn durable(&self, outcome: Outcome) -> Outcome {
        let written = self.lock().written.take();
        let (Some(written), Some(syncer), None) = (written, self.0.database.syncer(), &outcome.error) else { return outcome };
        match syncer.durable(written, self.0.database.is_crowded()).await {
            Ok(()) => {
                self.0.database.caught_up().await;
                outcome
            }
            Err(text) => Outcome::failed(text),
        }
    }

    /// Tries a statement on a thread that may block.
    async fn elsewhere(&self, sql: &str, parameters: &[Value], gate: &mut Option<Held>) -> Attempt {
        let (inner, sql, parameters) = (self.0.clone(), sql.to_owned(), parameters.to_vec());
        let mut held = gate.take();
        let run = move || {
            let attempt = lock(&inner.state).attempt(&inner.database, &sql, &parameters, &mut held, true);
            (attempt, held)
        };
        match tokio::task::spawn_blocking(run).await {
            Ok((attempt, held)) => {
                *gate = held;
                attempt
            }
            Err(error) => Attempt::Done(Outcome::failed(error.to_string())),
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
        if std::mem::take(&mut state.joined) {
            // It goes with what others have left open on it.
            self.0.database.group.lost();
        }
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
        state.leave_group(&self.database);
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
        state.joined = false;
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

    fn attempt(
        &mut self,
        database: &Arc<Database>,
        sql: &str,
        parameters: &[Value],
        gate: &mut Option<Held>,
        may_block: bool,
    ) -> Attempt {
        if self.closed {
            return Attempt::Closed;
        }
        if self.pooled.is_none() {
            match database.connect() {
                Ok(pooled) => self.pooled = Some(pooled),
                Err(error) => return Attempt::failed(&error, true),
            }
        }
        let mut attempt = self.try_here(database, sql, parameters, gate, may_block);
        if matches!(attempt, Attempt::NeedsWriter) {
            attempt = match self.go_to_writer(database) {
                Ok(()) => self.try_here(database, sql, parameters, gate, may_block),
                Err(error) => Attempt::failed(&error, true),
            };
        }
        if self.joined && self.gate.is_none() {
            self.gate = gate.take();
        }
        let waits = matches!(attempt, Attempt::NeedsGate | Attempt::Syncs);
        if !waits && self.is_through(database) {
            self.go_back(database);
            self.gate = None;
            *gate = None;
        }
        attempt
    }

    /// Whether this guest has no transaction under way.
    fn is_through(&self, database: &Database) -> bool {
        let among_others = self.aside.is_some() && database.group.is_open();
        match &self.pooled {
            Some(_) if among_others => !self.joined,
            Some(pooled) => pooled.connection.is_autocommit(),
            None => false,
        }
    }

    /// Begins or ends a transaction that is committed with others; `None` for any other statement. Only on the writer.
    fn grouped(&mut self, database: &Arc<Database>, sql: &str) -> Option<Attempt> {
        let writer = self.pooled.as_ref()?;
        let connection = &writer.connection;
        match (self.joined, database.group.is_open(), Bound::of(sql)) {
            (false, false, Some(Bound::Commit)) => {
                let gathers = !connection.is_autocommit() && !owes_references(connection) && database.gathers(writer);
                gathers.then(|| Attempt::Grouped(database.leave_open()))
            }
            (false, true, Some(Bound::Begin)) => {
                let failed = self.bound(database, group::BEGIN);
                self.joined = failed.is_none();
                Some(failed.unwrap_or_else(|| Attempt::Done(Outcome::default())))
            }
            (false, true, _) => {
                // What is no transaction of its own, or of another kind, may not run within one.
                database.settle_on(writer);
                None
            }
            (true, _, Some(Bound::Commit)) => {
                if owes_references(connection) {
                    // As COMMIT itself says, and leaves the transaction as it is.
                    return Some(Attempt::Done(Outcome::failed("FOREIGN KEY constraint failed".to_owned())));
                }
                if let Some(failed) = self.bound(database, group::END) {
                    return Some(failed);
                }
                self.joined = false;
                let committed = database.leave_open();
                self.settle_if_alone(database);
                Some(Attempt::Grouped(committed))
            }
            (true, _, Some(Bound::Rollback)) => {
                let committed = database.group.witness();
                self.leave_group(database);
                Some(committed.map_or_else(|| Attempt::Done(Outcome::default()), Attempt::Grouped))
            }
            _ => None,
        }
    }

    /// Runs what begins or ends one of several.
    fn bound(&mut self, database: &Database, sql: &str) -> Option<Attempt> {
        let connection = &self.pooled.as_ref()?.connection;
        let error = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).err()?;
        if connection.is_autocommit() {
            // SQLite has rolled back all.
            self.joined = false;
            database.group.lost();
        }
        Some(Attempt::Done(Outcome::failed(error.to_string())))
    }

    /// Commits what is left open, unless it is worth waiting for more.
    fn settle_if_alone(&self, database: &Arc<Database>) {
        if let Some(writer) = &self.pooled
            && database.group.is_open()
            && !database.gathers(writer)
        {
            database.settle_on(writer);
        }
    }

    /// Rolls back this guest's transaction alone, if it is one of several.
    fn leave_group(&mut self, database: &Arc<Database>) {
        let (true, Some(writer)) = (std::mem::take(&mut self.joined), &self.pooled) else { return };
        if writer.connection.execute_batch(group::UNDO).is_err() {
            // With what it wrote still there, nothing of it may be committed.
            _ = writer.connection.execute_batch("ROLLBACK");
            database.group.lost();
        }
        self.settle_if_alone(database);
    }

    /// Tries a statement on the connection that the session has.
    fn try_here(
        &mut self,
        database: &Arc<Database>,
        sql: &str,
        parameters: &[Value],
        gate: &mut Option<Held>,
        may_block: bool,
    ) -> Attempt {
        if self.aside.is_some()
            && let Some(attempt) = self.grouped(database, sql)
        {
            return attempt;
        }
        let Some(pooled) = &self.pooled else { return Attempt::Closed };
        let connection = &pooled.connection;
        let before = connection.transaction_state(None).unwrap_or(TransactionState::None);
        let mut statement = match connection.prepare_cached(sql) {
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
            // Whoever has set something on their own connection keeps it.
            if self.aside.is_none() && connection.is_autocommit() && !pooled.is_marked() {
                return Attempt::NeedsWriter;
            }
            if self.aside.is_none() {
                database.settle();
            }
        }
        if writes && before == TransactionState::Read && self.gate.is_none() && database.group.is_open() {
            // What was read may be written to now, unless what is left open is in the way.
            let _gate = database.gate.try_enter().inspect(|_| database.settle());
        }
        let commits = match before {
            TransactionState::None => writes && connection.is_autocommit() && !says(sql, "BEGIN"),
            _ => says(sql, "COMMIT") || says(sql, "END"),
        };
        if commits && !may_block && database.is_shared() && !pooled.only_writes() {
            return Attempt::Syncs;
        }
        let columns = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        watch_commits();
        let result = run(&mut statement, parameters, &mut rows);
        drop(statement);
        self.changed |= writes && CHANGES.iter().any(|word| says(sql, word));
        // Something that nobody took for its end, or a fault, may have ended what several have open.
        let ended_all = self.joined && connection.is_autocommit();
        self.joined &= !ended_all;
        if commits || has_committed() {
            // Before the gate opens: whoever goes in next then waits for this as well.
            self.written = database.committed(pooled.only_writes());
            if let (true, Some(written)) = (ended_all, self.written) {
                database.group.end(Ok(written));
            }
        } else if ended_all {
            database.group.lost();
        }
        if !connection.is_autocommit() && self.gate.is_none() {
            // Kept until the transaction ends. One that upgraded from reading takes the gate if it is free.
            let writing = matches!(connection.transaction_state(None), Ok(TransactionState::Write));
            let late = || database.gate.try_enter();
            self.gate = gate.take().or_else(|| writing.then(late).flatten());
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

/// What begins or ends a transaction, if it is said in so many words. What is said otherwise is SQLite's to understand.
#[derive(Clone, Copy)]
enum Bound {
    Begin,
    Commit,
    Rollback,
}

impl Bound {
    fn of(sql: &str) -> Option<Self> {
        const SAID: [(&str, Bound); 4] =
            [("BEGIN IMMEDIATE", Bound::Begin), ("COMMIT", Bound::Commit), ("END", Bound::Commit), ("ROLLBACK", Bound::Rollback)];
        let sql = sql.trim().trim_end_matches(';').trim_end();
        SAID.into_iter().find(|(words, _)| sql.eq_ignore_ascii_case(words)).map(|(_, bound)| bound)
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
