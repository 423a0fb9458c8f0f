//! Committing several transactions at once.
//!
//! Most of what a transaction changes, it changes in pages that the one before and the one after change as well: the ends of
//! tables and indexes. Committed one by one, each of these pages is written to the log again and again. So while others wait for
//! their turn to write, a transaction that is done is left open on the connection for writing and the next one runs in it, as a
//! savepoint that can be rolled back alone. One COMMIT writes the pages of all of them once, and only then their own are
//! answered: nobody is told of what could still vanish, and no other connection sees it before.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::sync::Written;

/// So many transactions are committed at once. Each further one shares fewer pages with those before, and all wait for the last.
const MEMBERS: usize = 16;

/// Fewer than so many who wait are better served one by one: none of them has to wait for the others then. PostgreSQL's
/// `commit_siblings` is about this.
const SIBLINGS: usize = 4;

/// How each but the first begins: with a savepoint of a name that no guest would think of.
pub(super) const BEGIN: &str = "SAVEPOINT \"hub: one of several\"";
/// How it ends.
pub(super) const END: &str = "RELEASE \"hub: one of several\"";
/// How it is rolled back alone.
pub(super) const UNDO: &str = "ROLLBACK TO \"hub: one of several\"; RELEASE \"hub: one of several\"";

/// What those hear whose transaction went with another's: the text by which a guest knows that it may try again.
const LOST: &str = "database is locked: the transaction was rolled back with another's";

/// Transactions that are done on the connection for writing and not yet committed. Whoever changes it holds the gate.
#[derive(Default)]
pub(super) struct Group(Mutex<State>);

#[derive(Default)]
struct State {
    members: Vec<oneshot::Sender<Result<Written, String>>>,
    /// Those who were rolled back, and what they then say of it may be for what the members did.
    witnesses: Vec<oneshot::Sender<Result<Written, String>>>,
    /// Whether somebody is on the way who commits what is left open if nobody else does.
    closer: bool,
    /// Set for good when a COMMIT of several failed: one of them must not fail the others for ever.
    off: bool,
}

/// How the transactions of a group went, once that is known.
pub(super) type Committed = oneshot::Receiver<Result<Written, String>>;

impl Group {
    /// Whether something is done and not yet committed.
    pub(super) fn is_open(&self) -> bool {
        !self.lock().members.is_empty()
    }

    /// Whether it is worth waiting for one more, while so many wait for the gate.
    pub(super) fn gathers(&self, waiting: usize) -> bool {
        let state = self.lock();
        // The closer is among those who wait.
        !state.off && state.members.len() < MEMBERS && waiting >= SIBLINGS + usize::from(state.closer)
    }

    /// Adds a transaction that is done.
    pub(super) fn add(&self) -> Committed {
        let (member, committed) = oneshot::channel();
        self.lock().members.push(member);
        committed
    }

    /// How it goes, for somebody who has seen what the members did and is none; `None` when there is nothing left open.
    pub(super) fn witness(&self) -> Option<Committed> {
        let mut state = self.lock();
        (!state.members.is_empty()).then(|| {
            let (witness, committed) = oneshot::channel();
            state.witnesses.push(witness);
            committed
        })
    }

    /// Whether the caller shall see to it that the group is committed even if nobody comes any more.
    pub(super) fn needs_closer(&self) -> bool {
        !std::mem::replace(&mut self.lock().closer, true)
    }

    pub(super) fn closer_came(&self) {
        self.lock().closer = false;
    }

    /// Tells all of them how the COMMIT went.
    pub(super) fn end(&self, result: Result<Written, String>) {
        let mut state = self.lock();
        let (members, witnesses) = (std::mem::take(&mut state.members), std::mem::take(&mut state.witnesses));
        let several = members.len() > 1;
        state.off |= several && result.is_err();
        drop(state);
        // It was the fault of one of them, and each alone will hear whether of its own.
        let result = if several { result.map_err(|_| LOST.to_owned()) } else { result };
        for member in members.into_iter().chain(witnesses) {
            // Whoever does not want to know has gone.
            _ = member.send(result.clone());
        }
    }

    /// Tells all of them that they were rolled back.
    pub(super) fn lost(&self) {
        self.end(Err(LOST.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::{Database, Session};
    use crate::bindings::spin::sqlite::sqlite::Value;

    /// A database with a table, whose connections share syncs.
    async fn database(folder: &Path) -> Arc<Database> {
        let database = Arc::new(Database::new(Some(folder.join("db"))).unwrap());
        let session = Session::open(database.clone());
        done(&session, "PRAGMA journal_mode = WAL").await;
        done(&session, "CREATE TABLE t (id INTEGER PRIMARY KEY, by INTEGER NOT NULL)").await;
        database
    }

    async fn done(session: &Session, sql: &str) {
        assert_eq!(tried(session, sql).await, None, "{sql}");
    }

    async fn tried(session: &Session, sql: &str) -> Option<String> {
        session.execute(sql, &[]).await.error
    }

    async fn count(session: &Session, sql: &str) -> i64 {
        match session.execute(sql, &[]).await.rows[0].values[0] {
            Value::Integer(count) => count,
            _ => panic!("{sql} counts nothing"),
        }
    }

    /// What 32 do at once, each in 20 transactions: `work` gets the database, the number of who does it and of the time.
    async fn at_once<W>(database: &Arc<Database>, work: impl Fn(Arc<Database>, i64, i64) -> W + Clone + Send + 'static)
    where
        W: Future<Output = ()> + Send,
    {
        let one = |by| {
            let (database, work) = (database.clone(), work.clone());
            tokio::spawn(async move {
                for time in 0..20 {
                    work(database.clone(), by, time).await;
                }
            })
        };
        let all: Vec<_> = (0..32).map(one).collect();
        for one in all {
            one.await.unwrap();
        }
    }

    async fn begin_and_insert(session: &Session, by: i64, time: i64) {
        done(session, "BEGIN IMMEDIATE").await;
        // So that others come to wait.
        tokio::task::yield_now().await;
        done(session, &format!("INSERT INTO t (id, by) VALUES ({}, {by})", by * 100 + time)).await;
        tokio::task::yield_now().await;
    }

    fn counted(by: i64) -> String {
        format!("SELECT count(*) FROM t WHERE by = {by}")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_are_committed_at_once_and_nobody_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        let before = database.commits();
        at_once(&database, async |database, by, time| {
            let session = Session::open(database.clone());
            begin_and_insert(&session, by, time).await;
            done(&session, "COMMIT").await;
            // On another connection, which sees what is committed.
            assert_eq!(count(&Session::open(database), &counted(by)).await, time + 1);
        })
        .await;
        assert_eq!(count(&Session::open(database.clone()), "SELECT count(*) FROM t").await, 640);
        let commits = database.commits() - before;
        assert!(commits < 640 / 2, "{commits} commits of 640 transactions");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_one_takes_back_or_leaves_behind_is_gone_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        at_once(&database, async |database, by, time| {
            let session = Session::open(database.clone());
            begin_and_insert(&session, by, time).await;
            match (by + time) % 5 {
                0 => done(&session, "ROLLBACK").await,
                1 => drop(session),
                2 => {
                    // A transaction of its own within is nobody's business but its own.
                    done(&session, "SAVEPOINT mine").await;
                    done(&session, "DELETE FROM t").await;
                    done(&session, "ROLLBACK TO mine").await;
                    done(&session, "COMMIT").await;
                }
                3 => {
                    assert!(tried(&session, "INSERT INTO t (id) VALUES (-1)").await.unwrap().contains("NOT NULL"));
                    done(&session, "END").await;
                }
                _ => done(&session, "COMMIT").await,
            }
        })
        .await;
        let session = Session::open(database.clone());
        assert_eq!(count(&session, "SELECT count(*) FROM t").await, 640 / 5 * 3);
        assert_eq!(count(&session, "SELECT count(*) FROM t WHERE (by + id % 100) % 5 < 2").await, 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_writes_otherwise_finds_nothing_left_open() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        at_once(&database, async |database, by, time| {
            let session = Session::open(database);
            if by % 4 == 0 {
                let (id, sql) = (by * 100 + time, "INSERT INTO t (id, by) VALUES");
                match time % 3 {
                    // By itself; on a connection that was set up for it; in a transaction that begins with reading.
                    0 => done(&session, &format!("{sql} ({id}, {by})")).await,
                    1 => {
                        done(&session, "PRAGMA recursive_triggers = 1").await;
                        done(&session, &format!("{sql} ({id}, {by})")).await;
                    }
                    _ => {
                        done(&session, "BEGIN").await;
                        let seen = count(&session, &counted(by)).await;
                        assert_eq!(seen, time);
                        let refused = tried(&session, &format!("{sql} ({id}, {by})")).await;
                        let locked = refused.is_some_and(|text| text.contains("database is locked"));
                        done(&session, if locked { "ROLLBACK" } else { "COMMIT" }).await;
                        if locked {
                            done(&session, &format!("{sql} ({id}, {by})")).await;
                        }
                    }
                }
            } else {
                begin_and_insert(&session, by, time).await;
                done(&session, "COMMIT").await;
            }
        })
        .await;
        assert_eq!(count(&Session::open(database.clone()), "SELECT count(*) FROM t").await, 640);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_one_still_owes_is_its_own_to_repair() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        let session = Session::open(database.clone());
        done(&session, "CREATE TABLE child (of INTEGER NOT NULL REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)").await;
        at_once(&database, async |database, by, time| {
            let session = Session::open(database);
            begin_and_insert(&session, by, time).await;
            if by % 4 == 0 {
                done(&session, "INSERT INTO child (of) VALUES (-1)").await;
                assert_eq!(tried(&session, "COMMIT").await.unwrap(), "FOREIGN KEY constraint failed");
                done(&session, if time % 2 == 0 { "ROLLBACK" } else { "UPDATE child SET of = (SELECT max(id) FROM t)" }).await;
            }
            if by % 4 != 0 || time % 2 != 0 {
                done(&session, "COMMIT").await;
            }
        })
        .await;
        assert_eq!(count(&session, "SELECT count(*) FROM child").await, 80);
        assert_eq!(count(&session, "SELECT count(*) FROM t").await, 640 - 80);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_ends_all_in_words_of_their_own_tells_all() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        at_once(&database, async |database, by, time| {
            let session = Session::open(database);
            // As a guest does that may try again.
            loop {
                begin_and_insert(&session, by, time).await;
                match (by, time % 4) {
                    (3, 0) => done(&session, "/* all of it */ COMMIT").await,
                    (3, 1) => assert!(tried(&session, "INSERT OR ROLLBACK INTO t (id) VALUES (-1)").await.is_some()),
                    _ => match tried(&session, "COMMIT").await {
                        None => {}
                        Some(error) => {
                            assert!(error.contains("database is locked"), "{error}");
                            continue;
                        }
                    },
                }
                let stays = (by, time % 4) != (3, 1);
                let seen = count(&session, &format!("SELECT count(*) FROM t WHERE id = {}", by * 100 + time)).await;
                assert_eq!(seen, i64::from(stays));
                break;
            }
        })
        .await;
        assert_eq!(count(&Session::open(database.clone()), "SELECT count(*) FROM t").await, 640 - 5);
    }
}
