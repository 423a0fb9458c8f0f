//! What a request carries through the hub: its own connection, its instant, its ids.

use crate::{
    Answer, Headers, Identity, Reply, Routes, Sent,
    audit::Deed,
    extract,
    idempotency::{self, Key},
    route::LocalIn,
    trace::{Line, Trace},
};
use chrono::TimeDelta;
use domain::{Error, Id, Instant, Result, clock::Jump, id::Noun};
use spin_sdk::wasip3::http::types;
use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};
use store::{Db, Tx};

/// The context of one request, or of one job. Cheap to clone; never shared between requests.
#[derive(Clone)]
pub struct Hub(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    /// The table of the component that serves.
    routes: &'static Routes,
    /// The instant of the request by the hub's time; everything it writes bears this one.
    now: Cell<Instant>,
    /// When it came, by the machine's clock: for the log.
    began: Instant,
    trace: Trace,
    method: http::Method,
    /// Path and query as sent.
    target: String,
    idempotency_key: Option<Vec<u8>>,
    /// The request that brings the body, until that is read.
    body: RefCell<Option<types::Request>>,
    /// SHA-256 of the body, once it was read.
    body_hash: Cell<Option<[u8; 32]>>,
    db: OnceCell<Db>,
    /// Whether somebody waits for the answer: of a request, not of a job.
    awaited: bool,
    /// Whether who asks has shown the internal secret, and so is told why something could not be done.
    trusted: Cell<bool>,
    /// Who asks, for the log.
    who: RefCell<Option<(String, String)>>,
    /// What this request does, for the audit.
    pub(crate) deed: RefCell<Deed>,
}

impl Hub {
    pub(crate) fn new(
        routes: &'static Routes,
        target: String,
        method: http::Method,
        headers: &Headers,
        request: types::Request,
    ) -> Self {
        let began = wall_clock();
        Self(Rc::new(Inner {
            routes,
            now: Cell::new(crate::clock::at(began)),
            began,
            trusted: Cell::new(false),
            trace: Trace::of(headers, began),
            idempotency_key: if method.is_safe() { None } else { headers.get("idempotency-key") },
            method,
            target,
            body: RefCell::new(Some(request)),
            body_hash: Cell::new(None),
            db: OnceCell::new(),
            awaited: true,
            who: RefCell::new(None),
            deed: RefCell::default(),
        }))
    }

    /// The same context for a piece of work of its own: another connection, the present instant, the job's trace.
    pub(crate) fn for_job(&self, trace: Option<&str>) -> Self {
        let began = wall_clock();
        Self(Rc::new(Inner {
            routes: self.0.routes,
            now: Cell::new(crate::clock::at(began)),
            began,
            trusted: Cell::new(false),
            trace: trace.map_or_else(|| self.0.trace.clone(), |trace| Trace::continued(trace, began)),
            method: self.0.method.clone(),
            target: self.0.target.clone(),
            idempotency_key: None,
            body: RefCell::default(),
            body_hash: Cell::new(None),
            db: OnceCell::new(),
            awaited: false,
            who: RefCell::new(None),
            deed: RefCell::default(),
        }))
    }

    /// The component that serves.
    pub fn component(&self) -> &'static str {
        self.0.routes.component()
    }

    /// The instant of this request, by the hub's time: that of the machine's clock, unless this was set back.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// When the request came, by the machine's clock.
    pub fn wall(&self) -> Instant {
        self.0.began
    }

    /// Takes note of the time in the store, and of what is known there. Gives the jump that the machine's clock made since the last time.
    pub async fn observe_clock(&self) -> Result<Option<Jump>> {
        let db = self.db().await?;
        let jump = store::hub::observe(db, self.wall()).await?;
        crate::clock::know(store::hub::find(db).await?.clock, self.wall());
        self.0.now.set(crate::clock::at(self.wall()));
        Ok(jump)
    }

    /// Who asks has shown the internal secret.
    pub(crate) fn trust(&self) {
        self.0.trusted.set(true);
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.0.trusted.get()
    }

    /// The present instant, which of a request that waits is later than the request's own. What is written bears that one.
    pub fn present(&self) -> Instant {
        crate::clock::now()
    }

    pub(crate) fn routes(&self) -> &'static Routes {
        self.0.routes
    }

    /// The path as it was sent.
    pub(crate) fn path(&self) -> &str {
        self.0.target.split('?').next().unwrap_or_default()
    }

    /// Path and query as they were sent.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// The `traceparent` to hand on to whatever this request causes.
    pub fn traceparent(&self) -> String {
        self.0.trace.to_header()
    }

    /// A new id.
    pub fn id<N: Noun>(&self) -> Id<N> {
        Id::new(self.now(), distinct())
    }

    /// Seals a secret that the hub has to know again, for a row: with the hub's `data_key`, which is not in the database.
    /// `owner` is the id of what the secret belongs to; sealed for one it cannot be opened for another.
    pub async fn seal(&self, owner: &str, secret: &str) -> Result<String> {
        crate::secret::seal(&seal_key(owner).await?, secret.as_bytes())
    }

    /// The secret that was sealed for this owner.
    pub async fn unseal(&self, owner: &str, sealed: &str) -> Result<String> {
        let bytes = crate::secret::open(&seal_key(owner).await?, sealed)?;
        String::from_utf8(bytes).map_err(|_| Error::fault("a sealed secret is not text"))
    }

    /// The request's connection, opened when first asked for, on a schema that is up to date.
    pub async fn db(&self) -> Result<&Db> {
        if self.0.db.get().is_none() {
            // A request is one task, so nobody else can open it meanwhile.
            let _ = self.0.db.set(crate::start::open(self.0.awaited, self.0.began).await?);
            self.0.now.set(crate::clock::at(self.0.began));
        }
        self.0.db.get().ok_or_else(|| Error::fault("the connection vanished"))
    }

    /// Changes something for a caller: `work` runs in one transaction, and so do recording it in the audit and keeping its answer
    /// for the request's Idempotency-Key. A repeated request gets the first answer and `work` does not run.
    pub async fn write<R: Reply>(&self, caller: &Identity, work: impl AsyncFn(&Tx<'_>) -> Result<R>) -> Result<Sent<R>> {
        self.answer_once(caller, &Answering(work)).await.map(Sent::new)
    }

    /// Boxed, and without the type of the answer, because it would otherwise be compiled into every handler that writes.
    fn answer_once<'a>(&'a self, caller: &'a Identity, work: &'a dyn Work) -> LocalIn<'a, Result<Answer>> {
        Box::pin(async move {
            let key = self.key(caller).await?;
            self.db()
                .await?
                .in_transaction(async |tx| {
                    if let Some(first) = self.first_answer(tx, caller, key.as_ref()).await? {
                        return Ok(first);
                    }
                    self.begin_deed();
                    let answer = work.answer(tx).await?;
                    self.record_deed(tx, caller, &answer).await?;
                    self.keep_answer(tx, caller, key.as_ref(), &answer).await?;
                    Ok(answer)
                })
                .await
        })
    }

    /// The first answer to a request that was sent before with its Idempotency-Key: for a handler that does something before its
    /// transaction, such as to ask another host. [`Hub::write`] looks again.
    pub async fn replayed<R>(&self, caller: &Identity) -> Result<Option<Sent<R>>> {
        let key = self.key(caller).await?;
        Ok(self.first_answer(self.db().await?, caller, key.as_ref()).await?.map(Sent::new))
    }

    async fn first_answer(&self, db: &Db, caller: &Identity, key: Option<&Key>) -> Result<Option<Answer>> {
        let Some(key) = key else { return Ok(None) };
        let first = store::idempotency::find(db, caller.principal(), &key.hash, self.now()).await?;
        first.map(|first| key.replay(first)).transpose()
    }

    async fn keep_answer(&self, tx: &Tx<'_>, caller: &Identity, key: Option<&Key>, answer: &Answer) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        let until = self.now() + TimeDelta::hours(crate::limits::IDEMPOTENCY_HOURS);
        let kept = key.keep(answer)?;
        store::idempotency::insert(tx, caller.principal(), &key.hash, &kept, until, crate::limits::KEPT_ANSWERS).await
    }

    async fn key(&self, caller: &Identity) -> Result<Option<Key>> {
        let Some(header) = &self.0.idempotency_key else { return Ok(None) };
        let data_key = variable("data_key").await?;
        if self.0.body_hash.get().is_none() {
            // A body that no part asked for still tells apart two requests with one key.
            extract::read(self).await?;
        }
        let what = idempotency::Fingerprint {
            method: self.0.method.as_str(),
            target: &self.0.target,
            acting: &caller.acting().id.to_string(),
            body: self.0.body_hash.get().unwrap_or_default(),
        };
        Key::new(header, &data_key, &what).map(Some)
    }

    pub(crate) fn take_body(&self) -> Option<types::Request> {
        self.0.body.take()
    }

    pub(crate) fn set_body_hash(&self, hash: [u8; 32]) {
        self.0.body_hash.set(Some(hash));
    }

    pub(crate) fn set_who(&self, principal: String, acting: String) {
        *self.0.who.borrow_mut() = Some((principal, acting));
    }

    /// Who asks, once that is known; nobody, in a job.
    pub fn principal(&self) -> Option<String> {
        self.0.who.borrow().as_ref().map(|who| who.0.clone())
    }

    /// A line in the log about something that went wrong beside the request.
    pub fn warn(&self, what: &str, error: &Error) {
        self.0.trace.log(&Line {
            code: Some(error.code),
            error: error.internal.as_deref(),
            ..Line::new("warn", what, self.component(), self.0.began)
        });
    }

    /// The one log line of this request.
    pub(crate) fn log(&self, answer: &Answer, code: Option<&str>, internal: Option<&str>) {
        // Before the host says where it listens, which is its first line. A refusal is logged.
        if answer.status == 200 && self.path() == "/internal/start" {
            return;
        }
        let who = self.0.who.borrow();
        let level = if answer.status >= 500 { "error" } else { "info" };
        self.0.trace.log(&Line {
            method: Some(self.0.method.as_str()),
            path: Some(self.path()),
            status: Some(answer.status),
            code,
            principal: who.as_ref().map(|who| who.0.as_str()),
            organization: who.as_ref().map(|who| who.1.as_str()),
            error: internal,
            ..Line::new(level, "request", self.component(), self.0.began)
        });
    }
}

/// What a request changes, without the type of its answer.
trait Work {
    fn answer<'a>(&'a self, tx: &'a Tx<'_>) -> LocalIn<'a, Result<Answer>>;
}

struct Answering<F>(F);

impl<R: Reply, F: AsyncFn(&Tx<'_>) -> Result<R>> Work for Answering<F> {
    fn answer<'a>(&'a self, tx: &'a Tx<'_>) -> LocalIn<'a, Result<Answer>> {
        Box::pin(async { (self.0)(tx).await?.into_answer() })
    }
}

/// The present instant to the millisecond, from the host's clock.
pub(crate) fn wall_clock() -> Instant {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Instant::from_timestamp_millis(millis).unwrap_or_default()
}

/// Random bytes from the host.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // WASI's random source cannot fail; a trap is the only honest answer if it ever does.
    getrandom::fill(&mut bytes).expect("the host has a random source");
    bytes
}

/// Random bytes for ids and traces, which must differ and are no secrets. They come from the host by the hundred, for each
/// time that it is asked costs as much as a small request to the database.
pub(crate) fn distinct<const N: usize>() -> [u8; N] {
    const FETCHED: usize = 384;
    thread_local! {
        /// What was fetched, and how much of it is used.
        static POOL: RefCell<([u8; FETCHED], usize)> = const { RefCell::new(([0; FETCHED], FETCHED)) };
    }
    POOL.with_borrow_mut(|(pool, used)| {
        if *used + N > FETCHED {
            (*pool, *used) = (random(), 0);
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&pool[*used..*used + N]);
        *used += N;
        bytes
    })
}

async fn seal_key(owner: &str) -> Result<[u8; 32]> {
    Ok(crate::secret::digest(&[b"secret", variable("data_key").await?.as_bytes(), owner.as_bytes()]))
}

/// A variable of the application.
pub async fn variable(name: &str) -> Result<String> {
    spin_sdk::variables::get(name).await.map_err(|error| Error::unavailable(format!("variable {name}: {error:?}")))
}
