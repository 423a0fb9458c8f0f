//! One database file: its pool of connections and the gate for its writers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context as _, Result};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, Wal};
use rusqlite::{Connection, ffi};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::gate::Gate;
use super::group::{Committed, Group};
use super::session::{State, has_threads};
use super::sync::{Syncer, Written};

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
/// This many open sessions are a crowd.
const CROWD: usize = 4;
/// The pages in the write-ahead log (16 MB of them) from which it is brought back into the database: more than SQLite's
/// own 1000, as a page that many commits change is then written once for all of them.
const CHECKPOINT_PAGES: u32 = 4000;
/// The pages from which whoever commits waits until a checkpoint that is under way is through: on a busy machine writers would
/// else fill the log faster than it is emptied.
const BEHIND_PAGES: u32 = 2 * CHECKPOINT_PAGES;

/// A database that components may open by its label.
pub(crate) struct Database {
    /// `None` is a new, empty database for every connection.
    path: Option<PathBuf>,
    /// Held by the connection that writes.
    pub(super) gate: Gate,
    inner: Mutex<Inner>,
    /// The connection on which whoever holds the gate writes.
    writer: Mutex<Option<Pooled>>,
    /// What is done on that connection and not yet committed.
    pub(super) group: Group,
    /// What brings commits to the disk that SQLite itself does not. With one thread SQLite does.
    syncer: Option<Arc<Syncer>>,
    checkpointer: Mutex<Checkpointer>,
    /// Tells of every checkpoint that is through.
    checkpointed: Notify,
}

/// What brings the write-ahead log back into the database file, apart from the commits that fill it.
#[derive(Default)]
struct Checkpointer {
    connection: Option<Connection>,
    running: bool,
    /// Whether commits wait for it.
    behind: bool,
    /// The pages in the log when it last ran.
    pages: u32,
    closed: bool,
}

thread_local! {
    /// The pages in the write-ahead log after the commit that this thread has just made.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
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
    /// Whether its commits only write, and are brought to the disk by the database's syncer.
    only_writes: bool,
}

impl Pooled {
    pub(super) fn only_writes(&self) -> bool {
        self.only_writes
    }

    pub(super) fn is_marked(&self) -> bool {
        self.marked.load(Relaxed)
    }
}

impl Database {
    pub(crate) fn new(path: Option<PathBuf>) -> Result<Self> {
        if let Some(dir) = path.as_deref().and_then(Path::parent) {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot create the directory {} for a database", dir.display()))?;
        }
        let syncer = path.as_deref().filter(|_| has_threads()).map(|path| Arc::new(Syncer::of_log(path)));
        Ok(Self {
            syncer,
            path,
            gate: Gate::default(),
            inner: Mutex::default(),
            writer: Mutex::default(),
            group: Group::default(),
            checkpointer: Mutex::default(),
            checkpointed: Notify::new(),
        })
    }

    /// Whether its connections see each other's data, and so must wait for each other.
    pub(super) fn is_shared(&self) -> bool {
        self.path.is_some()
    }

    /// Whether so many sessions are open that one should not hold up the others.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().sessions.len() >= CROWD
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
        if let Some(mut pooled) = inner.idle.pop() {
            drop(inner);
            self.share_syncs(&mut pooled)?;
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
        if has_threads() {
            // Takes the place of SQLite's own hook, by which every so many pages some commit pays for a checkpoint.
            connection.wal_hook(Some(note_pages));
        }
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        let marked = Arc::new(AtomicBool::new(false));
        let mark = marked.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| authorize(&context, &mark)));
        let mut pooled = Pooled { connection, marked, is_writer: false, only_writes: false };
        self.share_syncs(&mut pooled)?;
        Ok(pooled)
    }

    /// Takes the writer back. Gives it on when there is one already, or when the hub has ended.
    fn keep_writer(&self, mut pooled: Pooled) -> Option<Pooled> {
        let mut writer = lock(&self.writer);
        // With the place for it in hand: else the hub could end in between and leave it there.
        let closed = self.lock().closed;
        if closed || writer.is_some() {
            pooled.is_writer = false;
            return Some(pooled);
        }
        *writer = Some(pooled);
        None
    }

    /// The connection for writing, for whoever holds the gate.
    pub(super) fn writer(&self) -> rusqlite::Result<Pooled> {
        let writer = lock(&self.writer).take();
        let mut writer = match writer {
            Some(mut writer) => {
                self.share_syncs(&mut writer)?;
                writer
            }
            None => {
                // Were something open on the one before, it would have gone with it.
                self.group.lost();
                let writer = self.connect()?;
                writer.connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
                // That was ours, as in `share_syncs`.
                writer.marked.store(false, Relaxed);
                writer
            }
        };
        writer.is_writer = true;
        Ok(writer)
    }

    /// Leaves the syncs of a connection's commits to the syncer, as soon as the database has a write-ahead log.
    fn share_syncs(&self, pooled: &mut Pooled) -> rusqlite::Result<()> {
        if self.syncer.is_none() || pooled.only_writes {
            return Ok(());
        }
        let connection = &pooled.connection;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode == "wal" {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            pooled.only_writes = true;
            // That was ours: it is no reason to close the connection when it comes back.
            pooled.marked.store(false, Relaxed);
        }
        Ok(())
    }

    /// Takes a connection back. What it has open is rolled back; what cannot be undone closes it.
    pub(super) fn give_back(&self, pooled: Pooled) {
        let connection = &pooled.connection;
        let kept_open = pooled.is_writer && self.group.is_open();
        if !kept_open && !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        if self.path.is_none() || pooled.marked.load(Relaxed) {
            return;
        }
        let pooled = if pooled.is_writer {
            match self.keep_writer(pooled) {
                Some(second) => second,
                None => return,
            }
        } else {
            pooled
        };
        let mut inner = self.lock();
        if !inner.closed && inner.idle.len() < IDLE_CONNECTIONS {
            inner.idle.push(pooled);
        }
    }

    /// Whether a transaction that is done on this connection, the one for writing, shall be committed with those to come.
    pub(super) fn gathers(&self, writer: &Pooled) -> bool {
        writer.only_writes && !writer.is_marked() && self.group.gathers(self.gate.waiting())
    }

    /// Leaves a transaction that is done to be committed with those to come.
    pub(super) fn leave_open(self: &Arc<Self>) -> Committed {
        if self.group.needs_closer() {
            let database = self.clone();
            // Usually the last who waited has done it by then; but whoever waits may also go away.
            tokio::spawn(async move {
                let _gate = database.gate.enter().await;
                database.group.closer_came();
                database.settle();
            });
        }
        self.group.add()
    }

    /// Commits what is left open on the connection for writing, for whoever holds the gate and does not have that connection.
    pub(super) fn settle(self: &Arc<Self>) {
        if !self.group.is_open() {
            return;
        }
        let writer = lock(&self.writer).take();
        match writer {
            Some(writer) => {
                self.settle_on(&writer);
                self.give_back(writer);
            }
            None => self.group.lost(),
        }
    }

    /// Commits what is left open on this connection, the one for writing.
    pub(super) fn settle_on(self: &Arc<Self>, writer: &Pooled) {
        let result = writer.connection.execute_batch("COMMIT");
        self.group.end(match result {
            Ok(()) => self.committed(writer.only_writes).ok_or_else(|| "disk I/O error: nothing syncs the log".to_owned()),
            Err(error) => {
                // Where COMMIT itself rolled back there is nothing left to.
                _ = writer.connection.execute_batch("ROLLBACK");
                Err(error.to_string())
            }
        });
    }

    /// What brings to the disk what commits have written.
    pub(super) fn syncer(&self) -> Option<&Arc<Syncer>> {
        self.syncer.as_ref()
    }

    /// Takes note of a commit on this thread: what must be on the disk before it is told of. Also sees to it that the
    /// write-ahead log does not grow for ever.
    pub(super) fn committed(self: &Arc<Self>, only_wrote: bool) -> Option<Written> {
        let pages = LOGGED.take();
        self.limit_log(pages);
        self.syncer.as_ref().map(|syncer| if pages > 0 && only_wrote { syncer.wrote() } else { syncer.written() })
    }

    /// How often something was committed.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.syncer.as_ref().map_or(0, |syncer| syncer.written().0)
    }

    fn limit_log(self: &Arc<Self>, pages: u32) {
        if pages < CHECKPOINT_PAGES {
            return;
        }
        let mut checkpointer = lock(&self.checkpointer);
        let grown = pages.checked_sub(checkpointer.pages).unwrap_or(pages);
        if checkpointer.running {
            checkpointer.behind = pages >= BEHIND_PAGES;
            return;
        }
        if grown < CHECKPOINT_PAGES {
            return;
        }
        // Without a runtime the hub is at its end, and the log may stay as it is.
        let Ok(runtime) = Handle::try_current() else { return };
        checkpointer.running = true;
        checkpointer.pages = pages;
        drop(checkpointer);
        runtime.spawn(self.clone().checkpoint());
    }

    /// Twice: first beside the writers, for nearly all of the log; then, for what they added meanwhile, without them. Only
    /// a log that is through to its end begins anew, and so stays as small as it is.
    async fn checkpoint(self: Arc<Self>) {
        for alone in [false, true] {
            let gate = match alone {
                true => Some(self.gate.enter().await),
                false => None,
            };
            if alone {
                self.settle();
            }
            let database = self.clone();
            let run = move || {
                database.checkpoint_once(if alone { "RESTART" } else { "PASSIVE" });
                drop(gate);
            };
            // It only fails when the runtime ends.
            _ = tokio::task::spawn_blocking(run).await;
        }
        let mut checkpointer = lock(&self.checkpointer);
        (checkpointer.running, checkpointer.behind) = (false, false);
        drop(checkpointer);
        self.checkpointed.notify_waiters();
    }

    /// Waits while the write-ahead log is longer than it should be and something is done about it.
    pub(super) async fn caught_up(&self) {
        if !lock(&self.checkpointer).behind {
            return;
        }
        let mut through = std::pin::pin!(self.checkpointed.notified());
        through.as_mut().enable();
        // It may have got through between the two.
        if lock(&self.checkpointer).behind {
            through.await;
        }
    }

    fn checkpoint_once(&self, mode: &str) {
        let mut checkpointer = lock(&self.checkpointer);
        if checkpointer.closed {
            return;
        }
        // What goes wrong here (the disk is full, a reader is in the way) leaves the log as it is, for the next time.
        if checkpointer.connection.is_none() {
            checkpointer.connection = self.path.as_deref().and_then(|path| open(path).ok());
        }
        if let Some(connection) = checkpointer.connection.take() {
            drop(checkpointer);
            _ = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
            let mut checkpointer = lock(&self.checkpointer);
            if !checkpointer.closed {
                checkpointer.connection = Some(connection);
            }
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
        let mut checkpointer = lock(&self.checkpointer);
        checkpointer.closed = true;
        checkpointer.connection = None;
        drop(checkpointer);
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

/// Forgets what was committed on this thread, so that [`has_committed`] speaks of what comes next.
pub(super) fn watch_commits() {
    LOGGED.set(0);
}

/// Whether something was written to the log and committed on this thread, by whatever words.
pub(super) fn has_committed() -> bool {
    LOGGED.get() > 0
}

/// Whether a row refers to one that is not there and need not be before COMMIT.
#[expect(unsafe_code, reason = "rusqlite does not say it")]
pub(super) fn owes_references(connection: &Connection) -> bool {
    let (mut owed, mut highest) = (0, 0);
    // SAFETY: the connection is open for as long as it is borrowed, and SQLite writes to the two numbers only.
    let answer =
        unsafe { ffi::sqlite3_db_status(connection.handle(), ffi::SQLITE_DBSTATUS_DEFERRED_FKS, &mut owed, &mut highest, 0) };
    answer != ffi::SQLITE_OK || owed != 0
}

fn note_pages(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    LOGGED.set(u32::try_from(pages).unwrap_or_default());
    Ok(())
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
