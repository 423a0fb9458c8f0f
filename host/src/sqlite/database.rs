//! One database file: its pool of connections and the gate for its writers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::session::State;

/// Connections beyond this many are closed when they come back.
const IDLE_CONNECTIONS: usize = 32;
/// Statements that each connection keeps prepared.
const CACHED_STATEMENTS: usize = 256;

/// A database that components may open by its label.
pub(crate) struct Database {
    /// `None` is a new, empty database for every connection.
    path: Option<PathBuf>,
    /// Held by the connection that writes. SQLite has one writer at a time anyway; waiting here is fair and blocks no
    /// thread, waiting in SQLite's busy handler would block the very thread on which the holder wants to go on.
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
    inner: Mutex<Inner>,
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
}

impl Database {
    pub(crate) fn new(path: Option<PathBuf>) -> Result<Self> {
        if let Some(dir) = path.as_deref().and_then(Path::parent) {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot create the directory {} for a database", dir.display()))?;
        }
        Ok(Self { path, gate: Arc::default(), inner: Mutex::default() })
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
            keeper.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).ok();
            inner.keeper = Some(keeper);
        }
        drop(inner);
        let connection = match &self.path {
            Some(path) => open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        let marked = Arc::new(AtomicBool::new(false));
        let mark = marked.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| authorize(&context, &mark)));
        Ok(Pooled { connection, marked })
    }

    /// Takes a connection back. What it has open is rolled back; what cannot be undone closes it.
    pub(super) fn give_back(&self, pooled: Pooled) {
        let connection = &pooled.connection;
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        if self.path.is_none() || pooled.marked.load(Relaxed) {
            return;
        }
        let mut inner = self.lock();
        if !inner.closed && inner.idle.len() < IDLE_CONNECTIONS {
            inner.idle.push(pooled);
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
        for state in sessions.into_values().filter_map(|weak| weak.upgrade()) {
            State::close(&state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // Waiting is the session's business: a busy handler would put the thread to sleep.
    connection.busy_timeout(std::time::Duration::ZERO)?;
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
