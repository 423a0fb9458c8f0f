//! One database file: its pool of connections, the gate for its writers, and the owner of its checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags, ffi};

use crate::files;

use super::checkpoint::Checkpointer;
use super::gate::Gate;
use super::session::{State, has_threads};

/// Connections beyond this many are closed when they come back.
const IDLE_CONNECTIONS: usize = 32;
/// Statements that each connection keeps prepared.
const CACHED_STATEMENTS: usize = 256;
/// What each connection keeps of the database. SQLite's own 2 MB, for every pooled connection, would be most of the
/// hub's memory; what is not in here is in the operating system's cache.
const CACHE_KIB: i32 = 256;
/// The same for the one connection that writes: a write touches a page of every index of its tables, and each page that has
/// to be read again is read with the gate held.
const WRITER_CACHE_KIB: i32 = 2 << 10;

/// A database that components may open by its label.
pub(crate) struct Database {
    /// `None` is a new, empty database for every connection.
    path: Option<PathBuf>,
    /// Held by the connection that writes.
    pub(super) gate: Gate,
    inner: Mutex<Inner>,
    /// The connection that writes, while no session has it. It is kept warm: every commit of another connection would empty
    /// its cache of pages, and its own commits do not.
    writer: Mutex<Option<Pooled>>,
    /// The owner of checkpoints; `None` on a runtime of one thread, where SQLite's own are made inside COMMIT.
    checkpointer: Option<Arc<Checkpointer>>,
    /// Which files the connections have open, once they have: not those that stand under their names by now.
    files: OnceLock<[Option<files::Identity>; 2]>,
}

#[derive(Default)]
struct Inner {
    idle: Vec<Pooled>,
    /// Open for the life of the hub: else each last close would checkpoint and remove the write-ahead log.
    keeper: Option<Connection>,
    /// Every session's connection, so that a kill can take them away.
    sessions: BTreeMap<u64, Weak<Mutex<State>>>,
    next_session: u64,
    closed: bool,
}

/// A connection, and whether a guest has set something on it that would outlive the guest.
pub(super) struct Pooled {
    pub(super) connection: Connection,
    marked: Arc<AtomicBool>,
    /// Whether it is the one for writing.
    is_writer: bool,
}

impl Pooled {
    pub(super) fn is_marked(&self) -> bool {
        self.marked.load(Relaxed)
    }
}

impl Database {
    pub(crate) fn new(path: Option<PathBuf>) -> Result<Self> {
        if let Some(path) = &path {
            files::make_parent(path)?;
            files::make(path).with_context(|| format!("cannot make the database {}", path.display()))?;
        }
        let gate = Gate::default();
        let watched = path.clone().filter(|_| has_threads());
        Ok(Self {
            checkpointer: watched.map(|path| Arc::new(Checkpointer::new(path, gate.clone()))),
            path,
            gate,
            inner: Mutex::default(),
            writer: Mutex::default(),
            files: OnceLock::new(),
        })
    }

    /// Whether its connections see each other's data, and so must wait for each other.
    pub(super) fn is_shared(&self) -> bool {
        self.path.is_some()
    }

    /// Registers a session, so that `close` reaches it.
    pub(super) fn register(&self, state: &Arc<Mutex<State>>) -> u64 {
        let mut inner = self.lock();
        let id = inner.next_session;
        inner.next_session += 1;
        inner.sessions.insert(id, Arc::downgrade(state));
        id
    }

    pub(super) fn unregister(&self, id: u64) {
        self.lock().sessions.remove(&id);
    }

    /// A connection from the pool, or a new one.
    pub(super) fn connect(&self) -> rusqlite::Result<Pooled> {
        let mut inner = self.lock();
        if let Some(pooled) = inner.idle.pop() {
            return Ok(pooled);
        }
        if let (None, false, Some(path)) = (&inner.keeper, inner.closed, &self.path) {
            let keeper = open(path)?;
            // Only a connection that has read keeps the log open.
            keeper.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            inner.keeper = Some(keeper);
            self.files.get_or_init(|| self.present_files());
        }
        drop(inner);
        self.open_pooled(CACHE_KIB)
    }

    fn open_pooled(&self, cache_kib: i32) -> rusqlite::Result<Pooled> {
        self.check_in_place()?;
        let mut connection = match &self.path {
            Some(path) => open(path)?,
            None => Connection::open_in_memory()?,
        };
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.watch(&mut connection)?;
        }
        connection.pragma_update(None, "cache_size", -cache_kib)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        // The query planner stability guarantee: without it SQLite compiles a statement anew at every run where the bound values might
        // change its plan, which was half of an authenticated read.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let marked = Arc::new(AtomicBool::new(false));
        let mark = marked.clone();
        // Last, so that only what guests set is marked.
        connection.authorizer(Some(move |context: AuthContext<'_>| authorize(&context, &mark)))?;
        Ok(Pooled { connection, marked, is_writer: false })
    }

    /// Refuses when the database or its log was moved, removed or replaced: what is written to a file without a name is lost, and a
    /// new connection would be one to something else.
    fn check_in_place(&self) -> rusqlite::Result<()> {
        match self.files.get() {
            Some(opened) if *opened != self.present_files() => Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED),
                Some("the database or its -wal was moved or removed under the hub: put it back, or stop the hub and restore a backup".into()),
            )),
            _ => Ok(()),
        }
    }

    fn present_files(&self) -> [Option<files::Identity>; 2] {
        let of = |suffix| self.path.as_deref().and_then(|path| files::identity(&files::beside(path, suffix)));
        [of(""), of("-wal")]
    }

    /// The connection that writes, for the holder of the gate.
    pub(super) fn writer(&self) -> rusqlite::Result<Pooled> {
        self.check_in_place()?;
        let kept = lock(&self.writer).take();
        let writer = kept.map_or_else(|| self.open_pooled(WRITER_CACHE_KIB), Ok)?;
        Ok(Pooled { is_writer: true, ..writer })
    }

    /// Keeps the connection that writes for its next holder, unless the hub has ended.
    fn keep_writer(&self, pooled: Pooled) {
        let mut writer = lock(&self.writer);
        // With the place for it in hand: else the hub could end in between and leave it there.
        let closed = self.lock().closed;
        if !closed && writer.is_none() {
            *writer = Some(pooled);
        }
    }

    /// Takes a connection back. What it has open is rolled back; what cannot be undone closes it.
    pub(super) fn give_back(&self, pooled: Pooled) {
        let connection = &pooled.connection;
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        // One that was opened while the file could not be written stays as it is, after that was mended, too.
        let is_readonly = connection.is_readonly("main").unwrap_or(true);
        if self.path.is_none() || pooled.is_marked() || is_readonly {
            return;
        }
        if pooled.is_writer {
            return self.keep_writer(pooled);
        }
        let mut inner = self.lock();
        if !inner.closed && inner.idle.len() < IDLE_CONNECTIONS {
            inner.idle.push(pooled);
        }
    }

    /// Waits, after a commit, where the write-ahead log has grown faster than it is checkpointed.
    pub(super) fn catch_up(&self) {
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.catch_up();
        }
    }

    /// Closes every connection at once, whoever uses it.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.idle.clear();
        inner.keeper = None;
        let sessions = std::mem::take(&mut inner.sessions);
        drop(inner);
        *lock(&self.writer) = None;
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.close();
        }
        for state in sessions.into_values().filter_map(|weak| weak.upgrade()) {
            State::close(&state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a database file as every connection of the hub does: WAL, and `synchronous = FULL`, with which COMMIT returns when
/// the transaction is on the disk. Both are set each time: a file that was restored from a backup is not in WAL, and
/// `synchronous` is a property of the connection.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    // Without making one: a database that vanished must not come back empty.
    let connection = Connection::open_with_flags(path, flags)?;
    // Waiting is the session's business: a busy handler would put the thread to sleep.
    connection.busy_timeout(Duration::ZERO)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Denies what Spin denies (attaching files), and marks the connection when something is done to it that the next guest
/// would inherit: settings by pragma, attached databases, temporary tables.
fn authorize(context: &AuthContext<'_>, mark: &AtomicBool) -> Authorization {
    match context.action {
        AuthAction::Attach { filename } if !matches!(filename, "" | ":memory:") => {
            return Authorization::Deny;
        }
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { pragma_value: Some(_), .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempTrigger { .. } => mark.store(true, Relaxed),
        _ => {}
    }
    Authorization::Allow
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_compiled_once_whatever_its_values() {
        let pooled = Database::new(None).unwrap().connect().unwrap();
        let tables = "CREATE TABLE places (id TEXT PRIMARY KEY, kind TEXT);
            CREATE UNIQUE INDEX one_root ON places (kind) WHERE kind = 'ROOT';
            CREATE TABLE tokens (hash TEXT PRIMARY KEY, place TEXT);";
        pooled.connection.execute_batch(tables).unwrap();
        let sql = "SELECT places.id FROM tokens JOIN places ON places.id = tokens.place WHERE tokens.hash = ?1";
        for value in ["one", "two", "three"] {
            let mut statement = pooled.connection.prepare_cached(sql).unwrap();
            assert!(statement.query([value]).unwrap().next().unwrap().is_none());
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{value}");
        }
    }
}
