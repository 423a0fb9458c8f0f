//! Checkpoints of the write-ahead log, by one owner.
//!
//! SQLite's automatic checkpoint runs inside a COMMIT, which then waits for the disk a second and a third time. Here a commit
//! that leaves [`CHECKPOINT_PAGES`] or more starts a checkpoint on a thread of its own. It runs in two steps: PASSIVE beside
//! the writers, which copies nearly all pages, then RESTART with the gate held, after which the log is written from its start
//! again. A log file of more than [`LOG_BYTES`] is cut by TRUNCATE instead. A reader that still needs the log stops both; they
//! are tried again every [`RETRY`] until it has ended.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::runtime::Handle;

use super::database::open;
use super::gate::Gate;

/// The pages in the log that start a checkpoint: SQLite's own number (4 MB of log).
const CHECKPOINT_PAGES: i32 = 1000;
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
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    running: bool,
    closed: bool,
}

impl Checkpointer {
    /// For the database file at this path, whose writers pass this gate.
    pub(super) fn new(database: PathBuf, gate: Gate) -> Self {
        Self { database, gate, state: Mutex::default() }
    }

    /// Has the connection report its commits, and checkpoint nothing itself.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let this = Arc::downgrade(self);
        // Takes the place of the hook that is SQLite's automatic checkpoint.
        connection.wal_hook(Some(move |_: &mut _, pages| {
            if let (true, Some(this)) = (pages >= CHECKPOINT_PAGES, this.upgrade()) {
                this.start();
            }
            Ok(())
        }))
    }

    fn start(self: Arc<Self>) {
        // Without a runtime the hub is at its end, and closing the database checkpoints it.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = self.lock();
        if !state.closed && !std::mem::replace(&mut state.running, true) {
            drop(state);
            runtime.spawn(self.run());
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
                let through = this.checkpoint(if this.log_bytes() > LOG_BYTES { "TRUNCATE" } else { "RESTART" });
                let mut state = this.lock();
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

    /// Whether the checkpoint got through to the end of the log. What stops it (a reader, a full disk) leaves the log as it is.
    fn checkpoint(&self, mode: &str) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let connection = match state.connection.take() {
            Some(connection) => connection,
            None => match open(&self.database).and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection)) {
                Ok(connection) => connection,
                Err(_) => return false,
            },
        };
        drop(state);
        let busy = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0));
        let mut state = self.lock();
        if !state.closed {
            state.connection = Some(connection);
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
        let mut state = self.lock();
        state.closed = true;
        state.connection = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
