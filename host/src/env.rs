//! What all instances of one hub share, and the gate that every host call with an effect passes.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::app::App;
use crate::clock::Clock;
use crate::faults::{Action, Faults, Kind};
use crate::key_value::StoreFile;
use crate::life::Life;
use crate::log::Log;
use crate::outbound::Peers;
use crate::random::Random;
use crate::sqlite::Database;

/// The surroundings of a hub's guests.
pub(crate) struct Env {
    pub(crate) life: Life,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    pub(crate) databases: BTreeMap<String, Arc<Database>>,
    pub(crate) stores: BTreeMap<String, Arc<StoreFile>>,
    pub(crate) peers: Peers,
    /// What keeps other hubs away from the databases while this one lives.
    pub(crate) locks: Mutex<Vec<File>>,
    /// For chaining: the application that these guests are part of.
    pub(crate) app: OnceLock<Weak<App>>,
}

/// Bounds on what a request may take. The names are those of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) request_timeout: Duration,
    /// How long a guest may compute without waiting for anything.
    pub(crate) cpu_timeout: Duration,
    pub(crate) body_bytes: u64,
    pub(crate) instance_requests: usize,
    pub(crate) instance_concurrency: usize,
    /// How long an idle instance is kept.
    pub(crate) instance_idle: Duration,
    /// How many public requests run at once, and how many more may wait.
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) drain_timeout: Duration,
    /// How many connections may be open at once.
    pub(crate) connections: usize,
    /// How long a client may take for a body.
    pub(crate) body_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub(crate) write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            cpu_timeout: Duration::from_secs(10),
            body_bytes: 4 << 20,
            instance_requests: 128,
            instance_concurrency: 16,
            instance_idle: Duration::from_secs(1),
            running: 256,
            waiting: 1024,
            drain_timeout: Duration::from_secs(10),
            connections: 1024,
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// A host call that may go on.
pub(crate) struct Entered {
    pub(crate) failure: Option<Failure>,
    crash_after: bool,
}

/// How a fault makes a call fail.
pub(crate) enum Failure {
    Error(String),
    ConnectionDropped,
}

impl Env {
    /// Records the call and does to it what the plan of faults says. Never resolves in a hub that was killed.
    pub(crate) fn enter<D: FnOnce() -> String>(
        &self,
        component: &str,
        kind: Kind,
        host: &str,
        detail: D,
    ) -> impl Future<Output = Entered> + Send + use<'_, D> {
        let action = match self.life.is_over() {
            true => None,
            false => Some(self.faults.enter(component, kind, host, detail)),
        };
        async {
            let mut entered = Entered { failure: None, crash_after: false };
            match action {
                None => std::future::pending().await,
                Some(Action::Nothing) => {}
                Some(Action::Fail(text)) => entered.failure = Some(Failure::Error(text)),
                Some(Action::DropConnection) => entered.failure = Some(Failure::ConnectionDropped),
                Some(Action::Delay(by)) => tokio::time::sleep(by).await,
                Some(Action::CrashBefore) => self.crash().await,
                Some(Action::CrashAfter) => entered.crash_after = true,
            }
            entered
        }
    }

    /// The way back to the guest; it leads nowhere in a hub that was killed meanwhile.
    pub(crate) async fn leave(&self, entered: &Entered) {
        if entered.crash_after {
            self.crash().await;
        }
        if self.life.is_over() {
            std::future::pending::<()>().await;
        }
    }

    async fn crash(&self) {
        self.kill();
        std::future::pending::<()>().await;
    }

    /// Ends everything as the death of the process would: what is not committed is gone.
    pub(crate) fn kill(&self) {
        self.life.end();
        for database in self.databases.values() {
            database.close();
        }
        for store in self.stores.values() {
            store.close();
        }
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
