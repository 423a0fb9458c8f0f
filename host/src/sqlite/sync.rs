//! Bringing commits to the disk, many at once.
//!
//! SQLite with `synchronous = FULL` syncs the write-ahead log inside COMMIT, while it holds the lock: so a disk that takes
//! two milliseconds for that takes five hundred transactions a second, however many wait. Here COMMIT only writes
//! (`synchronous = NORMAL`, which keeps the log in order and syncs it at checkpoints), the lock goes to the next writer,
//! and one sync, begun after the writing, serves all who wait for one. COMMIT is answered after it: what was answered
//! survives a loss of power as it does with FULL.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// From here on a sync would hold up the others on its thread for longer than another thread takes to wake up.
const SLOW: Duration = Duration::from_micros(500);

/// Syncs one file.
pub(super) struct Syncer {
    sync: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    state: Mutex<State>,
    synced: Notify,
}

#[derive(Default)]
struct State {
    /// How many writes wanted to be synced.
    wanted: u64,
    /// How many of these are.
    done: u64,
    running: bool,
    /// What one takes of late.
    takes: Duration,
    /// Set for good when one failed: the operating system may have dropped what it could not write, and a later sync that
    /// succeeds would prove nothing.
    broken: Option<String>,
}

/// What whoever waits is to do.
enum Next {
    Ended(Result<(), String>),
    Wait,
    Run { inline: bool },
}

/// What has been written so far, and must be on the disk before anybody is told.
#[derive(Clone, Copy)]
pub(super) struct Written(pub(super) u64);

impl Syncer {
    /// For the write-ahead log of the database at this path.
    pub(super) fn of_log(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        let file = Mutex::new(None);
        Self::new(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *file {
                Some(file) => File::sync_data(file),
                // It stays this file for as long as a connection is open, and the database keeps one.
                none => none.insert(File::open(&log)?).sync_data(),
            }
        })
    }

    fn new(sync: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { sync: Box::new(sync), state: Mutex::default(), synced: Notify::new() }
    }

    /// Takes note of a write.
    pub(super) fn wrote(&self) -> Written {
        let mut state = self.lock();
        state.wanted += 1;
        Written(state.wanted)
    }

    /// All that was written so far: what a transaction has read must be on the disk as well before it tells of it.
    pub(super) fn written(&self) -> Written {
        Written(self.lock().wanted)
    }

    /// Waits until that is on the disk. Whoever finds no sync under way makes one, for all. In a crowd that is done on a
    /// thread of its own, so that the others go on meanwhile and their commits gather for the next one.
    pub(super) async fn durable(self: &Arc<Self>, written: Written, crowded: bool) -> Result<(), String> {
        loop {
            let synced = self.synced.notified();
            match self.next(written, crowded) {
                Next::Ended(result) => return result,
                Next::Wait => synced.await,
                Next::Run { inline: true } => self.run(),
                Next::Run { inline: false } => {
                    let this = self.clone();
                    // It ends by itself, whether or not somebody still waits. It only fails when the runtime ends.
                    _ = tokio::task::spawn_blocking(move || this.run()).await;
                }
            }
        }
    }

    fn next(&self, written: Written, crowded: bool) -> Next {
        let mut state = self.lock();
        if let Some(broken) = &state.broken {
            return Next::Ended(Err(broken.clone()));
        }
        if state.done >= written.0 {
            return Next::Ended(Ok(()));
        }
        if std::mem::replace(&mut state.running, true) {
            return Next::Wait;
        }
        Next::Run { inline: !crowded && state.takes < SLOW }
    }

    fn run(&self) {
        let wanted = self.lock().wanted;
        let began = Instant::now();
        let result = (self.sync)();
        let took = began.elapsed();
        let mut state = self.lock();
        state.running = false;
        state.takes = (state.takes * 7 + took) / 8;
        match result {
            Ok(()) => state.done = wanted,
            Err(error) => state.broken = Some(format!("disk I/O error: the write-ahead log could not be synced: {error}")),
        }
        drop(state);
        self.synced.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

    /// A disk that remembers how much was written when a sync began: that much, and no more, it then has.
    #[derive(Default)]
    struct Disk {
        written: AtomicU64,
        safe: AtomicU64,
        syncs: AtomicU64,
        slow: AtomicBool,
    }

    fn on(disk: &Arc<Disk>) -> Arc<Syncer> {
        let disk = disk.clone();
        Arc::new(Syncer::new(move || {
            let written = disk.written.load(SeqCst);
            disk.syncs.fetch_add(1, SeqCst);
            if disk.slow.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            disk.safe.fetch_max(written, SeqCst);
            Ok(())
        }))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_told_before_it_is_safe_and_many_share_a_sync() {
        let disk = Arc::new(Disk::default());
        disk.slow.store(true, SeqCst);
        let syncer = on(&disk);
        let writer = || {
            let (disk, syncer) = (disk.clone(), syncer.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let mine = disk.written.fetch_add(1, SeqCst) + 1;
                    let written = syncer.wrote();
                    syncer.durable(written, true).await.unwrap();
                    assert!(disk.safe.load(SeqCst) >= mine);
                }
            })
        };
        let writers: Vec<_> = std::iter::repeat_with(writer).take(32).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let syncs = disk.syncs.load(SeqCst);
        assert!(syncs < 640 / 2, "{syncs} syncs for 640 writes");
        let before = disk.syncs.load(SeqCst);
        syncer.durable(syncer.written(), false).await.unwrap();
        assert_eq!(disk.syncs.load(SeqCst), before, "what is safe needs no sync");
    }

    #[tokio::test]
    async fn a_sync_that_failed_is_never_taken_back() {
        let fails = Arc::new(AtomicBool::new(true));
        let failing = fails.clone();
        let syncer = Arc::new(Syncer::new(move || match failing.load(SeqCst) {
            true => Err(io::Error::other("the disk is gone")),
            false => Ok(()),
        }));
        assert!(syncer.durable(syncer.written(), false).await.is_ok());
        let written = syncer.wrote();
        assert!(syncer.durable(written, false).await.unwrap_err().contains("the disk is gone"));
        fails.store(false, SeqCst);
        assert!(syncer.durable(written, false).await.is_err() && syncer.durable(syncer.wrote(), false).await.is_err());
    }
}
