//! Checkpoints of the write-ahead log, by one owner.
//!
//! SQLite's automatic checkpoint runs inside a COMMIT, which then waits for the disk a second and a third time. Here a commit
//! that leaves [`CHECKPOINT_PAGES`] or more starts a checkpoint on a thread of its own. It runs in two steps: PASSIVE beside
//! the writers, which copies nearly all pages, then RESTART with the gate held, after which the log is written from its start
//! again. A log file of more than [`LOG_BYTES`] is cut by TRUNCATE instead. Where writers fill the log faster than that, one of
//! them does the second step itself, before the next one enters. A reader that still needs the log stops all of it; it is
//! tried again every [`RETRY`] until the reader has ended, and writers go on meanwhile.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::runtime::Handle;

use super::database::open;
use super::gate::Gate;

/// The pages in the log that start a checkpoint: SQLite's own number (4 MB of log).
const CHECKPOINT_PAGES: i32 = 1000;
/// The pages from which a writer that has committed waits for the checkpoint.
const BEHIND_PAGES: i32 = 2 * CHECKPOINT_PAGES;
/// The size in bytes from which a log file is cut and not only written anew: half of what it may have between writes.
const LOG_BYTES: u64 = 8 << 20;
/// How long a checkpoint with the gate held waits for readers. They are short, so this is rarely used up; a longer one
/// delays the writers by this much every [`RETRY`].
const PATIENCE: Duration = Duration::from_millis(50);
/// The pause between two checkpoints while a reader needs the log.
const RETRY: Duration = Duration::from_secs(1);

/// The owner of a database's checkpoints.
pub(super) struct Checkpointer {
    database: PathBuf,
    gate: Gate,
    /// The pages in the log after the last commit.
    pages: AtomicI32,
    state: Mutex<State>,
    /// Held while a checkpoint runs.
    connection: Mutex<Option<Connection>>,
}

#[derive(Default)]
struct State {
    running: bool,
    /// Whether the last attempt to begin the log anew failed, usually because a reader needs it.
    blocked: bool,
    closed: bool,
}

impl Checkpointer {
    /// For the database file at this path, whose writers pass this gate.
    pub(super) fn new(database: PathBuf, gate: Gate) -> Self {
        Self { database, gate, pages: AtomicI32::new(0), state: Mutex::default(), connection: Mutex::default() }
    }

    /// Has the connection report its commits, and checkpoint nothing itself.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let this = Arc::downgrade(self);
        // Takes the place of the hook that is SQLite's automatic checkpoint.
        connection.wal_hook(Some(move |_: &mut _, pages| {
            if let Some(this) = this.upgrade() {
                this.pages.store(pages, Relaxed);
                if pages >= CHECKPOINT_PAGES {
                    this.start();
                }
            }
            Ok(())
        }))
    }

    fn start(self: Arc<Self>) {
        // Without a runtime the hub is at its end, and closing the database checkpoints it.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = lock(&self.state);
        if !state.closed && !std::mem::replace(&mut state.running, true) {
            drop(state);
            runtime.spawn(self.run());
        }
    }

    /// Waits for the checkpoint where the log has grown faster than it is emptied; for a writer, after its commit.
    pub(super) fn catch_up(&self) {
        if self.pages.load(Relaxed) >= BEHIND_PAGES && !lock(&self.state).blocked {
            self.restart();
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            let this = self.clone();
            // Either step fails only when the runtime ends.
            _ = tokio::task::spawn_blocking(move || this.checkpoint("PASSIVE")).await;
            let gate = self.gate.enter().await;
            let this = self.clone();
            let restart = move || {
                // A commit may have begun the log anew meanwhile, which leaves the file as large as it was.
                let is_small = this.pages.load(Relaxed) < CHECKPOINT_PAGES && this.log_bytes() <= LOG_BYTES;
                let through = is_small || this.restart();
                let mut state = lock(&this.state);
                state.blocked = !through;
                // With the gate still held: a commit after this starts the next one.
                state.running = !through && !state.closed;
                let ended = !state.running;
                drop(state);
                drop(gate);
                ended
            };
            if tokio::task::spawn_blocking(restart).await.unwrap_or(true) {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Lets the log begin anew, and cuts its file where that is large. For the holder of the gate.
    fn restart(&self) -> bool {
        let through = self.checkpoint(if self.log_bytes() > LOG_BYTES { "TRUNCATE" } else { "RESTART" });
        if through {
            self.pages.store(0, Relaxed);
        }
        lock(&self.state).blocked = !through;
        through
    }

    /// Whether the checkpoint got through to the end of the log. What stops it (a reader, a full disk) leaves the log as it is.
    fn checkpoint(&self, mode: &str) -> bool {
        let mut slot = lock(&self.connection);
        if lock(&self.state).closed {
            return false;
        }
        let connection = match slot.take() {
            Some(connection) => connection,
            None => match open(&self.database).and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection)) {
                Ok(connection) => connection,
                Err(_) => return false,
            },
        };
        let busy = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0));
        // One that failed may have been opened while the file could not be written.
        if busy.is_ok() && !lock(&self.state).closed {
            *slot = Some(connection);
        }
        matches!(busy, Ok(0))
    }

    fn log_bytes(&self) -> u64 {
        let mut log = self.database.clone().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |file| file.len())
    }

    /// Ends the checkpoints; one that is under way closes its connection itself.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        if let Ok(mut connection) = self.connection.try_lock() {
            *connection = None;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
