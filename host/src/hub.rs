//! A hub as a value: started in a process, asked, shaken and killed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::allowed_hosts::AllowedHosts;
use crate::app::{App, Client, Handlers, Lane, full};
use crate::backup::{self, Copied, Staged};
use crate::clock::Clock;
use crate::env::{Env, Limits};
use crate::faults::{Faults, HostCall};
use crate::files::{self, NewDatabase};
use crate::guest::Component;
use crate::lifecycle::{self, Lifecycle};
use crate::log::Log;
use crate::manifest::Manifest;
use crate::outbound::Peers;
use crate::random::Random;
use crate::runtime_config::{DATABASE_FILE, Places, Storage};
use crate::ticker::Ticker;
use crate::variables::{Sources, Variables};
use crate::worker::{Handler, Instances};
use crate::{engine, server};

/// A running hub. Dropping it kills it.
pub struct Hub {
    app: Arc<App>,
    ticker: Option<Arc<Ticker>>,
    lifecycle: Option<Lifecycle>,
}

/// How a hub shall be started.
#[derive(Clone, Default)]
pub struct Builder {
    manifest: PathBuf,
    state_dir: Option<PathBuf>,
    runtime_config: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    cache: Option<PathBuf>,
    simulated: Option<(u64, SystemTime)>,
    log_to_process: bool,
    limits: Limits,
    tick: Option<(String, String)>,
    auto_tick: bool,
    job_threads: Option<Handle>,
    new_database: NewDatabase,
    lifecycle: bool,
    accept: Vec<String>,
}

/// Why a request to a hub in this process has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The hub was killed meanwhile.
    Killed,
    /// The answer broke off.
    Dropped(String),
    /// No trigger leads to a component of this name.
    NoSuchComponent(String),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("the hub was killed"),
            Self::Dropped(why) => write!(f, "the answer broke off: {why}"),
            Self::NoSuchComponent(id) => write!(f, "no trigger leads to a component {id:?}"),
        }
    }
}

impl std::error::Error for RequestError {}

impl Builder {
    /// Where databases and stores live: `--state-dir`. Empty means in memory.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Spin's runtime configuration: `--runtime-config-file`.
    #[must_use]
    pub fn runtime_config(mut self, file: impl Into<PathBuf>) -> Self {
        self.runtime_config = Some(file.into());
        self
    }

    /// Sets an application variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Where compiled components are kept; by default in `target/hub-cache` of the workspace.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = Some(dir.into());
        self
    }

    /// Puts clocks, randomness and peers into the test's hand. Needs a runtime like the one of [`crate::sim::run`].
    #[must_use]
    pub fn simulated(mut self, seed: u64, start: SystemTime) -> Self {
        self.simulated = Some((seed, start));
        self
    }

    /// Writes logs to stderr and guests' output to stdout and stderr, instead of keeping them for [`Hub::logs`].
    #[must_use]
    pub fn log_to_process(mut self) -> Self {
        self.log_to_process = true;
        self
    }

    /// How long a request may take.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.limits.request_timeout = timeout;
        self
    }

    /// How long a guest may compute without waiting for anything.
    #[must_use]
    pub fn cpu_timeout(mut self, timeout: Duration) -> Self {
        self.limits.cpu_timeout = timeout;
        self
    }

    /// How large a request's body may be.
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.limits.body_bytes = bytes;
        self
    }

    /// How many requests one instance answers before it is replaced, and how many of them at once.
    #[must_use]
    pub fn instance_reuse(mut self, requests: usize, concurrent: usize) -> Self {
        self.limits.instance_requests = requests.max(1);
        self.limits.instance_concurrency = concurrent.max(1);
        self
    }

    /// How many public requests run at once, and how many more may wait for their turn.
    #[must_use]
    pub fn concurrency(mut self, running: usize, waiting: usize) -> Self {
        self.limits.running = running.max(1);
        self.limits.waiting = waiting;
        self
    }

    /// How many connections may be open at once; one address may have half of them.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.limits.connections = connections.max(1);
        self
    }

    /// How long a client may take to send a request's body.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.limits.body_timeout = timeout;
        self
    }

    /// How long a client may take nothing of an answer before its connection is closed.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.limits.write_timeout = timeout;
        self
    }

    /// How long a stopping hub waits for requests that are under way.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.limits.drain_timeout = timeout;
        self
    }

    /// The route that runs what is due, and the variable that holds the secret for it.
    #[must_use]
    pub fn tick(mut self, path: &str, variable: &str) -> Self {
        self.tick = Some((path.to_owned(), variable.to_owned()));
        self
    }

    /// Whether the hub ticks by itself; else only [`Hub::tick`] does.
    #[must_use]
    pub fn auto_tick(mut self, yes: bool) -> Self {
        self.auto_tick = yes;
        self
    }

    /// The threads on which the hub ticks, and with that all that is due is done; the caller's own when nothing is said.
    #[must_use]
    pub fn job_threads(mut self, threads: Handle) -> Self {
        self.job_threads = Some(threads);
        self
    }

    /// Whether a database that is not there is a new one.
    #[must_use]
    pub fn new_database(mut self, new: NewDatabase) -> Self {
        self.new_database = new;
        self
    }

    /// Whether the application is asked at the start and told of the end, by the routes that its manifest names.
    #[must_use]
    pub fn lifecycle(mut self, yes: bool) -> Self {
        self.lifecycle = yes;
        self
    }

    /// Has the application accept at its start what this word stands for, which is the application's own.
    #[must_use]
    pub fn accept(mut self, word: &str) -> Self {
        self.accept.push(word.to_owned());
        self
    }

    /// Copies the hub's database to a new file, also while a hub runs on it.
    ///
    /// # Errors
    /// When there is something at `to`, when the database cannot be read, and when the copy is not the same.
    pub fn back_up(&self, to: &Path) -> Result<Copied> {
        let database = self.database()?;
        ensure!(database.is_file(), "there is no database {}: name its folder with --state-dir", database.display());
        backup::back_up(&database, to)
    }

    /// Puts a backup in the place of the hub's database, once a hub has started on a copy of it. Gives the name under which the
    /// database before is kept, if there was one.
    ///
    /// # Errors
    /// When a hub runs on the database, and when the backup is damaged, empty, or none that the application starts on. The
    /// database is then as it was.
    pub async fn restore(self, backup: &Path) -> Result<Option<PathBuf>> {
        let database = self.database()?;
        let _lock = files::lock(&database)?;
        let staged = Staged::copy(backup, &database, DATABASE_FILE)?;
        let trial = Self {
            state_dir: Some(staged.dir().to_owned()),
            runtime_config: None,
            new_database: NewDatabase::Refused,
            lifecycle: true,
            tick: None,
            ..self
        };
        trial.start().await.with_context(|| format!("the hub does not start on {}", backup.display()))?.kill();
        let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as i64);
        let now = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().format("%Y%m%dT%H%M%SZ");
        staged.put_in_place(&database, &files::beside(&database, &format!(".before-{now}")))
    }

    fn database(&self) -> Result<PathBuf> {
        let places = self.places()?;
        places.default_database()?.context("the database is in memory: name its folder with --state-dir")
    }

    fn places(&self) -> Result<Places> {
        let default_dir = self.manifest.parent().unwrap_or(Path::new("")).join(".spin");
        Places::read(self.runtime_config.as_deref(), self.state_dir.as_deref(), &default_dir)
    }

    /// Starts the hub; it then answers requests in this process.
    ///
    /// # Errors
    /// Everything that is wrong with the manifest, its components or the configuration, in one line that says the fix.
    pub async fn start(self) -> Result<Hub> {
        let manifest = Manifest::load(&self.manifest)?;
        let places = self.places()?;
        let sources = Sources { explicit: self.variables, environment: self.simulated.is_none() };
        let variables = Variables::resolve(&manifest.variables, &sources)?;
        let told = manifest.application.tool.hub.clone();
        if let Some((path, variable)) = &self.tick {
            check_tick(&told, path, variable)?;
        }
        let storage = Storage::open(&manifest, &places, self.new_database)?;
        let cache = self.cache.unwrap_or_else(default_cache);

        // Only what a trigger leads to can ever run.
        let reachable: Vec<&str> = manifest
            .components
            .keys()
            .map(String::as_str)
            .filter(|id| manifest.triggers.iter().any(|trigger| trigger.component() == Some(id)))
            .collect();
        let wasm: Vec<&Path> = reachable.iter().map(|id| manifest.components[*id].wasm.as_path()).collect();
        let loaded = engine::load(&wasm, Some(&cache))?;

        let clock = match self.simulated {
            Some((_, start)) => Clock::simulated(start),
            None => Clock::real(),
        };
        if self.simulated.is_none() {
            engine::start_epochs()?;
        }
        let log = match self.log_to_process {
            true => Log::to_process(clock.clone()),
            false => Log::captured(clock.clone()),
        };
        for warning in storage.warnings.iter().chain(&variables.warnings) {
            log.warn("the hub starts with a warning", &[("warning", warning)]);
        }
        let env = Arc::new(Env {
            life: Default::default(),
            clock,
            random: Random::new(self.simulated.map(|(seed, _)| seed)),
            faults: Faults::new(self.simulated.is_some()),
            log,
            limits: self.limits,
            databases: storage.databases,
            stores: storage.stores,
            locks: storage.locks.into(),
            peers: match self.simulated {
                Some(_) => Peers::Simulated(Default::default()),
                None => Peers::Real,
            },
            app: Default::default(),
        });
        let ids: Vec<String> = reachable.iter().map(|id| (*id).to_owned()).collect();
        let mut handlers = BTreeMap::new();
        for (id, pre) in ids.iter().zip(loaded) {
            let declared = &manifest.components[id];
            let allowed_hosts = AllowedHosts::parse(&declared.allowed_outbound_hosts, &variables, &ids)
                .with_context(|| format!("[component.{id}] allowed_outbound_hosts"))?;
            let component = Arc::new(Component {
                id: id.clone(),
                databases: declared.sqlite_databases.iter().cloned().collect(),
                stores: declared.key_value_stores.iter().cloned().collect(),
                variables: variables.of_component(&manifest, id)?,
                environment: declared.environment.clone().into_iter().collect(),
                allowed_hosts,
            });
            let handler = |lane| Handler::new(Instances::new(pre.clone(), component.clone(), lane, env.clone()));
            handlers.insert(id.clone(), Handlers { requests: handler(Lane::Requests), jobs: handler(Lane::Jobs) });
        }
        let app = Arc::new(App::new(&manifest, handlers, env.clone())?);
        _ = env.app.set(Arc::downgrade(&app));

        let ticker = match self.tick {
            None => None,
            Some((path, variable)) => {
                let secret = variables
                    .get(&variable)
                    .with_context(|| format!("--tick-variable {variable}: [variables] does not declare it"))?;
                Some(Arc::new(Ticker::new(app.clone(), &path, secret)?))
            }
        };
        let lifecycle = match (self.lifecycle, &told.secret) {
            (true, Some(variable)) => {
                let secret = variables
                    .get(variable)
                    .with_context(|| format!("[application.tool.hub] secret = {variable:?}: [variables] does not declare it"))?;
                let lifecycle = Lifecycle::new(app.clone(), told.clone(), secret)?;
                // A hub that does not start leaves nothing behind that runs.
                lifecycle.start(&self.accept).await.inspect_err(|_| app.env.kill())?;
                Some(lifecycle)
            }
            _ => {
                ensure!(self.accept.is_empty(), "--accept: the manifest names no route by which the application could");
                None
            }
        };
        if let (Some(ticker), true) = (&ticker, self.auto_tick) {
            let threads = self.job_threads.unwrap_or_else(Handle::current);
            threads.spawn(ticker.clone().run());
        }
        Ok(Hub { app, ticker, lifecycle })
    }
}

/// A tick that leads nowhere would only be seen in the log.
fn check_tick(told: &lifecycle::Routes, path: &str, variable: &str) -> Result<()> {
    ensure!(path.starts_with('/'), "--tick {path:?}: write a path that starts with /");
    for (option, given, named) in [("--tick", path, &told.tick), ("--tick-variable", variable, &told.secret)] {
        if let Some(named) = named {
            ensure!(given == named, "{option} {given}: the application has its tick otherwise; write {option} {named}");
        }
    }
    Ok(())
}

/// Beside the build: `target/hub-cache`.
fn default_cache() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => Path::new(&target).join("hub-cache"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hub-cache"),
    }
}

impl Hub {
    /// Begins to describe a hub that runs this manifest.
    pub fn builder(manifest: impl Into<PathBuf>) -> Builder {
        Builder { manifest: manifest.into(), ..Builder::default() }
    }

    /// Asks as a client would, by the same way as requests from sockets take.
    ///
    /// # Errors
    /// When there is no answer at all: the hub was killed, or the answer broke off.
    pub async fn request(&self, request: Request<Bytes>) -> Result<Response<Bytes>, RequestError> {
        self.request_from(SocketAddr::from(([127, 0, 0, 1], 0)), request).await
    }

    /// The same from a client at this address.
    ///
    /// # Errors
    /// As above.
    pub async fn request_from(&self, client: SocketAddr, mut request: Request<Bytes>) -> Result<Response<Bytes>, RequestError> {
        if request.uri().host().is_none() && !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        }
        let answer = async { Ok(self.app.public(request.map(full), Client::Process(client)).await) };
        self.alive(answer).await
    }

    /// Asks a component directly, as another component would by service chaining; private routes too.
    ///
    /// # Errors
    /// As [`Hub::request`], and when there is no such component.
    pub async fn call_component(&self, id: &str, request: Request<Bytes>) -> Result<Response<Bytes>, RequestError> {
        let answer = async {
            let response = self.app.chained(id, Lane::Requests, request.map(full)).await;
            response.map_err(|_| RequestError::NoSuchComponent(id.to_owned()))
        };
        self.alive(answer).await
    }

    async fn alive(
        &self,
        answer: impl Future<Output = Result<Response<wasmtime_wasi_http::WasiBody>, RequestError>>,
    ) -> Result<Response<Bytes>, RequestError> {
        let whole = async {
            let (parts, body) = answer.await?.into_parts();
            let body = body.collect().await.map_err(|error| RequestError::Dropped(error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        tokio::select! {
            biased;
            () = self.app.env.life.ended() => Err(RequestError::Killed),
            answer = whole => answer,
        }
    }

    /// The hub's clock.
    pub fn clock(&self) -> &Clock {
        &self.app.env.clock
    }

    /// What shall go wrong.
    pub fn faults(&self) -> &Faults {
        &self.app.env.faults
    }

    /// Every host call with an effect since the start, in order; recorded by simulated hubs only.
    pub fn host_calls(&self) -> Vec<HostCall> {
        self.app.env.faults.calls()
    }

    /// Stands in for a peer out in the world. Simulated hubs reach no other.
    pub fn outbound<F, Answer>(&self, host: &str, peer: F)
    where
        F: Fn(Request<Bytes>) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Response<Bytes>> + Send + 'static,
    {
        self.app.env.peers.add(host, Arc::new(move |request| Box::pin(peer(request))));
    }

    /// What was logged, by the host and its guests; empty when it goes to the process's own streams.
    pub fn logs(&self) -> Vec<String> {
        self.app.env.log.lines()
    }

    /// Runs what is due, once, and says in how many milliseconds something will be.
    ///
    /// # Errors
    /// When no tick is configured, or it was not answered as it should.
    pub async fn tick(&self) -> Result<Option<u64>> {
        let ticker = self.ticker.as_ref().context("this hub was started without a tick")?;
        ticker.tick().await
    }

    /// Answers on a socket until the hub is stopped.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(&self, listener: TcpListener) -> Result<()> {
        server::serve(self.app.clone(), listener).await
    }

    /// Stops: no new connections, what is under way may finish within the drain timeout, then the hub ends.
    pub async fn stop(&self) {
        self.app.stopping.end();
        if let Some(lifecycle) = &self.lifecycle {
            lifecycle.stopping().await;
        }
        let drained = async {
            self.app.drained().await;
            if let Some(ticker) = &self.ticker {
                ticker.idle().await;
            }
        };
        _ = tokio::time::timeout(self.app.env.limits.drain_timeout, drained).await;
        if let Some(lifecycle) = &self.lifecycle {
            lifecycle.stopped().await;
        }
        self.kill();
    }

    /// Ends everything at once, as the death of the process would. What was committed survives in the data directory.
    pub fn kill(&self) {
        self.app.env.kill();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.kill();
    }
}
