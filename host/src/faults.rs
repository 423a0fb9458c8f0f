//! Faults on demand: what a test says shall go wrong, at which host call, and the record of those calls.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The kinds of host calls that can fail in the world: each is one step outside the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A statement on a database.
    Sql,
    /// An operation on a key-value store.
    KeyValue,
    /// An outbound or chained HTTP request.
    Outbound,
}

/// One host call, as recorded by a simulated hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// Its place in the order of calls, from 0.
    pub index: usize,
    /// Which component made it.
    pub component: String,
    /// What kind of call it was.
    pub kind: Kind,
    /// The statement, the operation and key, or the method and URL.
    pub detail: String,
}

/// Which calls a fault is for.
#[derive(Clone, Debug)]
pub enum Target {
    /// Every statement.
    Sql,
    /// Every statement that contains this text.
    SqlMatching(String),
    /// Every key-value operation.
    KeyValue,
    /// Every HTTP request to a host that contains this text.
    Outbound(String),
    /// Every host call.
    Any,
}

/// Something that shall go wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    target: Target,
    nth: Option<u64>,
    action: Action,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Action {
    #[default]
    Nothing,
    Fail(String),
    Delay(Duration),
    DropConnection,
    CrashBefore,
    CrashAfter,
}

impl Fault {
    /// A fault for these calls. Say what happens with one of the other methods.
    pub fn on(target: Target) -> Self {
        Self { target, nth: None, action: Action::Nothing }
    }

    /// Only the `n`-th matching call from now, counted from 1. Without this: every matching call.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.nth = Some(n);
        self
    }

    /// The call does nothing and the guest gets this error.
    #[must_use]
    pub fn fail(mut self, text: &str) -> Self {
        self.action = Action::Fail(text.to_owned());
        self
    }

    /// The call takes this much longer.
    #[must_use]
    pub fn delay(mut self, by: Duration) -> Self {
        self.action = Action::Delay(by);
        self
    }

    /// The connection is gone: an open transaction rolls back, a peer hangs up.
    #[must_use]
    pub fn drop_connection(mut self) -> Self {
        self.action = Action::DropConnection;
        self
    }

    /// The hub dies before the call has any effect.
    #[must_use]
    pub fn crash_before(mut self) -> Self {
        self.action = Action::CrashBefore;
        self
    }

    /// The hub dies when the call has had its effect and the guest has not yet heard of it.
    #[must_use]
    pub fn crash_after(mut self) -> Self {
        self.action = Action::CrashAfter;
        self
    }
}

/// A hub's plan of faults and record of calls.
pub struct Faults {
    /// Neither a plan nor a record: the usual case outside tests costs one load.
    idle: AtomicBool,
    recording: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    armed: Vec<Armed>,
    calls: Vec<HostCall>,
}

struct Armed {
    fault: Fault,
    seen: u64,
}

impl Faults {
    pub(crate) fn new(recording: bool) -> Self {
        Self { idle: AtomicBool::new(!recording), recording, state: Mutex::default() }
    }

    /// Adds a fault to the plan.
    pub fn push(&self, fault: Fault) {
        self.lock().armed.push(Armed { fault, seen: 0 });
        self.idle.store(false, Relaxed);
    }

    /// Forgets every fault; the record stays.
    pub fn clear(&self) {
        self.lock().armed.clear();
        self.idle.store(!self.recording, Relaxed);
    }

    pub(crate) fn calls(&self) -> Vec<HostCall> {
        self.lock().calls.clone()
    }

    /// Records a call and says what shall happen to it. `host` is the peer of an outbound call.
    pub(crate) fn enter(&self, component: &str, kind: Kind, host: &str, detail: impl FnOnce() -> String) -> Action {
        if self.idle.load(Relaxed) {
            return Action::Nothing;
        }
        let detail = detail();
        let mut state = self.lock();
        let mut action = Action::Nothing;
        for armed in &mut state.armed {
            let matches = match &armed.fault.target {
                Target::Any => true,
                Target::Sql => kind == Kind::Sql,
                Target::SqlMatching(text) => kind == Kind::Sql && detail.contains(text),
                Target::KeyValue => kind == Kind::KeyValue,
                Target::Outbound(text) => kind == Kind::Outbound && host.contains(text),
            };
            if !matches {
                continue;
            }
            armed.seen += 1;
            // The first fault in the plan that applies decides; later ones still count the call.
            if armed.fault.nth.is_none_or(|n| n == armed.seen) && matches!(action, Action::Nothing) {
                action = armed.fault.action.clone();
            }
        }
        if self.recording {
            let index = state.calls.len();
            let component = component.to_owned();
            state.calls.push(HostCall { index, component, kind, detail });
        }
        action
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
