//! The life of an instance: how it is made, how many requests it takes, when it must go.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::{Instant as TokioInstant, Sleep, sleep};
use wasmtime::component::GuestTaskId;
use wasmtime::{Result, Store, StoreContextMut, UpdateDeadline, bail};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ProxyHandler, Request, Response, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};

use crate::app::Lane;
use crate::engine::{EPOCH, Pre};
use crate::env::Env;
use crate::guest::{Component, Computing, Guest};

/// An epoch deadline that never comes.
const NEVER: u64 = u64::MAX >> 1;

/// How long a guest rests that has computed through a whole epoch.
const BREATHER: Duration = Duration::from_millis(1);

/// How long an instance with a request that timed out may go on.
const AFTER_TIMEOUT: Duration = Duration::from_secs(1);

/// Epochs after which a guest that computes is taken to be busy with it.
const LONG: u32 = 5;

/// Runs the requests to one component.
///
/// The crate's `ProxyHandler` gives waiting requests to an instance that once said it could take more, also while that
/// instance computes and cannot. So when one computes for long, requests from then on go to a new handler, and the old
/// one ends with what it has.
pub(crate) struct Handler(Mutex<ProxyHandler<Instances>>);

impl Handler {
    pub(crate) fn new(instances: Instances) -> Self {
        Self(Mutex::new(ProxyHandler::new(instances)))
    }

    pub(crate) async fn handle(&self, request: Request) -> Result<Response> {
        let proxy = {
            let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if current.state().busy.load(Relaxed) {
                *current = ProxyHandler::new(current.state().fresh());
            }
            current.clone()
        };
        proxy.handle((), request).await
    }
}

/// Makes the instances of one component.
pub(crate) struct Instances {
    pre: Pre,
    component: Arc<Component>,
    lane: Lane,
    env: Arc<Env>,
    /// Set when one of them computes for long.
    busy: Arc<AtomicBool>,
}

impl Instances {
    pub(crate) fn new(pre: Pre, component: Arc<Component>, lane: Lane, env: Arc<Env>) -> Self {
        Self { pre, component, lane, env, busy: Arc::default() }
    }

    fn fresh(&self) -> Self {
        Self::new(self.pre.clone(), self.component.clone(), self.lane, self.env.clone())
    }
}

impl HandlerState for Instances {
    type StoreData = Guest;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> Result<Instance<Guest, Expiration, Worker>> {
        let env = &self.env;
        if env.life.is_over() {
            bail!("the hub is stopping");
        }
        let computing = Computing::default();
        let guest = Guest::new(self.component.clone(), self.lane, env.clone(), computing.clone());
        let grown = guest.grown.clone();
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| guest);
        interrupt(&mut store, env, self.busy.clone());
        let proxy = Proxy::P3(self.pre.instantiate_async(&mut store).await?);
        let timed_out = Arc::<AtomicBool>::default();
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiration::new(env.clone(), timed_out.clone(), computing.clone()),
            state: Worker { component: self.component.clone(), env: env.clone(), timed_out, grown, computing },
        })
    }
}

/// Lets others run while this guest computes, and ends it when it computes for too long. A simulated hub must not depend
/// on real time, so there a guest that loops forever is a test that hangs.
fn interrupt(store: &mut Store<Guest>, env: &Env, busy: Arc<AtomicBool>) {
    if env.clock.is_simulated() {
        store.set_epoch_deadline(NEVER);
        return;
    }
    let allowed = env.limits.cpu_timeout.as_millis() / EPOCH.as_millis();
    store.set_epoch_deadline(2);
    store.epoch_deadline_callback(move |store| {
        let computing = store.data().computing.clone();
        let Some(epochs) = computing.interrupted() else {
            // The next but one: of an epoch that is under way already, nobody knows who spent it.
            return Ok(UpdateDeadline::Continue(2));
        };
        if epochs == LONG {
            busy.store(true, Relaxed);
        }
        if u128::from(epochs) > allowed {
            bail!("the guest computed for too long without waiting for anything");
        }
        // A mere yield would be scheduled again at once, and two such guests would keep a thread from ever looking at
        // its sockets.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(computing.rest(sleep(BREATHER)))))
    });
}

/// One instance's conditions.
pub(crate) struct Worker {
    component: Arc<Component>,
    env: Arc<Env>,
    timed_out: Arc<AtomicBool>,
    /// It holds more memory than an instance may that goes on.
    grown: Arc<AtomicBool>,
    computing: Computing,
}

impl WorkerState for Worker {
    type StoreData = Guest;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        self.computing.give_way();
        let limits = &self.env.limits;
        if total >= limits.instance_requests || self.grown.load(Relaxed) || self.env.life.is_over() {
            ShouldAccept::Never
        } else if concurrent > 0 && self.computing.is_long() {
            // An interrupted guest looks idle, but who joined it now would wait until it is through.
            ShouldAccept::No
        } else if concurrent >= limits.instance_concurrency {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, Guest>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().computing.pause();
        let timeout = sleep(self.env.limits.request_timeout);
        let timed_out = self.timed_out.clone();
        Box::pin(async move {
            timeout.await;
            timed_out.store(true, Relaxed);
        })
    }

    fn drop(&self, store: Store<Guest>, result: Result<()>) {
        drop(store);
        if let Err(error) = result
            && !self.env.life.is_over()
        {
            // Without the native stack, which `{error:?}` would add: it says nothing about a guest.
            let text = format!("{error:#}");
            self.env.log.error("instance ended", &[("component", &self.component.id), ("error", &text)]);
        }
    }
}

/// When an instance must go, whatever it is doing.
pub(crate) struct Expiration {
    env: Arc<Env>,
    timed_out: Arc<AtomicBool>,
    computing: Computing,
    /// The state that `due` is for, by the worker's own token for it.
    seen: Option<(WorkerStatus, Instant, bool)>,
    due: Option<TokioInstant>,
    /// Fires at `due` or earlier, and is then set again: the state changes several times a request, and setting a timer
    /// each time would show.
    timer: Pin<Box<Sleep>>,
    ended: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    /// Who `timer` and `ended` wake.
    waker: Option<Waker>,
}

impl Expiration {
    fn new(env: Arc<Env>, timed_out: Arc<AtomicBool>, computing: Computing) -> Self {
        let life = env.clone();
        Self {
            env,
            timed_out,
            computing,
            seen: None,
            due: None,
            timer: Box::pin(sleep(Duration::MAX)),
            ended: Box::pin(async move { life.life.ended().await }),
            waker: None,
        }
    }

    fn timeout(&self, status: WorkerStatus) -> Option<Duration> {
        let limits = &self.env.limits;
        match status {
            WorkerStatus::Idle if self.env.clock.is_simulated() => None,
            WorkerStatus::Idle => Some(limits.instance_idle),
            WorkerStatus::PostReturn if self.timed_out.load(Relaxed) => Some(AFTER_TIMEOUT),
            // A response that is still being written counts as work after the return.
            WorkerStatus::Requests | WorkerStatus::PostReturn => Some(limits.request_timeout + AFTER_TIMEOUT),
        }
    }
}

impl WorkerExpiration for Expiration {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let this = self.get_mut();
        this.computing.give_way();
        if this.env.life.is_over() {
            return Poll::Ready(());
        }
        let mut listen = false;
        if this.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            this.waker = Some(context.waker().clone());
            listen = true;
            if this.ended.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
        }
        // `start` is real time, which a simulated hub has none of: it only tells one state from the next.
        let state = (status, start, this.timed_out.load(Relaxed));
        if this.seen != Some(state) {
            this.seen = Some(state);
            this.due = this.timeout(status).map(|timeout| TokioInstant::now() + timeout);
        }
        let Some(due) = this.due else {
            return Poll::Pending;
        };
        if this.timer.is_elapsed() || this.timer.deadline() > due {
            this.timer.as_mut().reset(due);
            listen = true;
        }
        match listen {
            true => this.timer.as_mut().poll(context),
            false => Poll::Pending,
        }
    }
}
