//! An application that runs: its routes, its components, and the way of a request to one of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::sync::{Notify, RwLock};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{ExpirationError, InstantiationError};

use crate::allowed_hosts::CHAINING_SUFFIX;
use crate::body::{self, Placed, Refused};
use crate::door::{Door, Visit};
use crate::env::Env;
use crate::life::Life;
use crate::manifest::{Route, StaticResponse};
use crate::routes::{Matched, Routes, WELL_KNOWN};
use crate::socket::Stream;
use crate::worker::Handler;

/// What is asked whether the application is ready: it has places of its own.
const PROBE: &str = "/health";

/// A running application.
pub(crate) struct App {
    name: String,
    version: String,
    routes: Routes<Target>,
    handlers: BTreeMap<String, Handlers>,
    pub(crate) env: Arc<Env>,
    pub(crate) door: Arc<Door>,
    /// Told of every public request that may have changed something.
    pub(crate) changed: Notify,
    /// Ends when no new request shall come.
    pub(crate) stopping: Life,
    /// Held for reading by whoever serves sockets.
    pub(crate) serving: RwLock<()>,
}

/// What a request is for. Each has instances of its own, and threads: what is due is done with a share of the machine
/// however many clients there are, and clients are served however much is due.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// To answer a client.
    Requests,
    /// To do what is due: a tick, and what it makes components do.
    Jobs,
}

/// What runs the requests to one component, by lane.
pub(crate) struct Handlers {
    pub(crate) requests: Handler,
    pub(crate) jobs: Handler,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) enum Client<'a> {
    /// A part of the hub itself: for what it asks there is always a place.
    Inside(Lane),
    /// This process, in the place of a client at this address.
    Process(SocketAddr),
    /// A client on a socket.
    Socket { visit: &'a Arc<Visit>, stream: &'a Stream, address: SocketAddr },
}

impl<'a> Client<'a> {
    fn visit(self) -> Option<&'a Arc<Visit>> {
        match self {
            Self::Socket { visit, .. } => Some(visit),
            Self::Inside(_) | Self::Process(_) => None,
        }
    }

    /// Waits until the client has gone, as far as that can be seen.
    async fn gone(self) {
        match self {
            Self::Socket { stream, .. } => stream.closed().await,
            Self::Inside(_) | Self::Process(_) => std::future::pending().await,
        }
    }

    fn address(self) -> SocketAddr {
        match self {
            Self::Socket { address, .. } | Self::Process(address) => address,
            Self::Inside(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

#[derive(Debug)]
enum Target {
    Component(String),
    Answer(StaticResponse),
}

/// There is no such component, or no trigger makes it reachable.
#[derive(Debug)]
pub(crate) struct NoSuchComponent;

impl App {
    pub(crate) fn new(manifest: &crate::manifest::Manifest, handlers: BTreeMap<String, Handlers>, env: Arc<Env>) -> Result<Self> {
        let mut routes = Vec::new();
        for trigger in &manifest.triggers {
            let Route::Public(route) = trigger.route()? else {
                continue;
            };
            if route.starts_with(WELL_KNOWN) {
                env.log.warn("the host answers this route by itself", &[("route", &route)]);
            }
            let target = match (trigger.component(), &trigger.static_response) {
                (Some(id), _) => Target::Component(id.to_owned()),
                (None, answer) => Target::Answer(answer.clone().context("a trigger without a target")?),
            };
            routes.push((route, target));
        }
        Ok(Self {
            name: manifest.application.name.clone(),
            version: manifest.application.version.clone(),
            routes: Routes::new(routes)?,
            handlers,
            door: Arc::new(Door::new(&env.limits)),
            changed: Notify::new(),
            stopping: Life::default(),
            serving: RwLock::new(()),
            env,
        })
    }

    /// Answers a request from outside.
    pub(crate) async fn public(&self, request: Request<WasiBody>, client: Client<'_>) -> Response<WasiBody> {
        let safe = request.method().is_safe();
        let response = self.route(request, client).await;
        if !safe && response.status().is_success() {
            self.changed.notify_one();
        }
        response
    }

    /// Waits until no request is under way and no socket is served.
    pub(crate) async fn drained(&self) {
        let _sockets = self.serving.write().await;
        self.door.drained(self.env.limits.running).await;
    }

    /// As `public`, for a request that does not count as a change.
    pub(crate) async fn route(&self, mut request: Request<WasiBody>, client: Client<'_>) -> Response<WasiBody> {
        strip(&mut request);
        let path = request.uri().path();
        if let Some(page) = path.strip_prefix(WELL_KNOWN) {
            return self.well_known(page);
        }
        let Some((target, matched)) = self.routes.find(path) else {
            return problem(StatusCode::NOT_FOUND, "no route matches this path");
        };
        let id = match target {
            Target::Component(id) => id,
            Target::Answer(answer) => return answer.into(),
        };
        if let Err(detail) = set_uri(&mut request) {
            return problem(StatusCode::BAD_REQUEST, detail);
        }
        let (limits, visit, declared) = (&self.env.limits, client.visit(), declared_length(&request));
        let probe = request.uri().path() == PROBE;
        let (parts, body) = request.into_parts();
        let (body, room) = match body::receive(body, declared, limits.body_bytes, limits.body_timeout, &self.door, visit).await {
            Ok(received) => received,
            Err(refused) => return self.refusal(&refused),
        };
        if let Some(visit) = visit {
            visit.hubs_turn();
        }
        // Only now: who sends slowly keeps nobody from a place.
        let place = match client {
            Client::Inside(_) => self.door.parts_place(),
            Client::Socket { .. } if probe => self.door.probes_place().await,
            _ => {
                let place = tokio::select! {
                    biased;
                    place = self.door.place(visit) => place,
                    // Nothing runs for who is no longer there; who only closed its side and still listens gets this answer.
                    () = client.gone() => None,
                };
                match place {
                    Some(place) => Some(place),
                    None => return busy("too many requests are waiting; try again"),
                }
            }
        };
        let lane = if let Client::Inside(lane) = client { lane } else { Lane::Requests };
        let response = self.run(id, lane, Request::from_parts(parts, full(body)), &matched, client.address()).await;
        response.map(|body| Placed::new(body, place, room).boxed_unsync())
    }

    fn refusal(&self, refused: &Refused) -> Response<WasiBody> {
        let limits = &self.env.limits;
        let mut response = match refused {
            Refused::TooLarge => {
                problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {} bytes", limits.body_bytes))
            }
            Refused::TooSlow => {
                let detail = format!("the body did not come within {} s; send the request again", limits.body_timeout.as_secs());
                problem(StatusCode::REQUEST_TIMEOUT, &detail)
            }
            Refused::Broken => problem(StatusCode::BAD_REQUEST, "the body broke off, or is not in the form that the headers say"),
            Refused::NoRoom => busy("too many bodies are under way; try again"),
        };
        // The rest of the body is not waited for.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// Answers a request of one component to another.
    pub(crate) async fn chained(
        &self,
        id: &str,
        lane: Lane,
        mut request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, NoSuchComponent> {
        if !self.handlers.contains_key(id) {
            return Err(NoSuchComponent);
        }
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = format!("{id}{CHAINING_SUFFIX}").parse().ok();
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| NoSuchComponent)?;
        let matched = Matched::chained(request.uri().path());
        Ok(self.run(id, lane, request, &matched, SocketAddr::from(([0, 0, 0, 0], 0))).await)
    }

    /// Hands a request to a component.
    async fn run(
        &self,
        id: &str,
        lane: Lane,
        mut request: Request<WasiBody>,
        matched: &Matched,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        let handlers = &self.handlers[id];
        let handler = match lane {
            Lane::Requests => &handlers.requests,
            Lane::Jobs => &handlers.jobs,
        };
        let host = request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let full_url = format!("http://{host}{target}");
        let path = request.uri().path().to_owned();
        matched.set_headers(request.headers_mut(), &full_url, &client.to_string());
        let error = match handler.handle(request).await {
            Ok(response) => return response,
            Err(error) => error,
        };
        if self.env.life.is_over() {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "the hub is stopping");
        }
        let text = format!("{error:#}");
        let fields = [("component", id), ("path", &path), ("error", &text)];
        if error.is::<ExpirationError>() {
            self.env.log.error("request timed out", &fields);
            problem(StatusCode::GATEWAY_TIMEOUT, "the component did not answer in time")
        } else if error.is::<InstantiationError<()>>() {
            self.env.log.error("no instance for a request", &fields);
            problem(StatusCode::SERVICE_UNAVAILABLE, "no capacity to answer; try again")
        } else {
            self.env.log.error("request failed", &fields);
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the component failed to answer")
        }
    }

    fn well_known(&self, page: &str) -> Response<WasiBody> {
        match page {
            "health" => answer(StatusCode::OK, "text/plain", Bytes::from_static(b"OK")),
            "info" => {
                let mut info = json!({ "name": self.name });
                if !self.version.is_empty() {
                    info["version"] = json!(self.version);
                }
                answer(StatusCode::OK, "application/json", info.to_string().into())
            }
            _ => problem(StatusCode::NOT_FOUND, "no such page"),
        }
    }
}

/// Removes what concerns the connection only, and a `Host` that would look like a chained request from inside.
fn strip(request: &mut Request<WasiBody>) {
    let headers = request.headers_mut();
    let internal =
        |host: &HeaderValue| host.to_str().is_ok_and(|host| host.split(':').next().is_some_and(|h| h.ends_with(CHAINING_SUFFIX)));
    if headers.get(HOST).is_some_and(internal) {
        headers.remove(HOST);
    }
    headers.remove(CONNECTION);
}

/// Makes the URI absolute, from itself and the `Host` header, which must agree.
fn set_uri(request: &mut Request<WasiBody>) -> Result<(), &'static str> {
    if request.headers().get_all(HOST).iter().count() > 1 {
        return Err("there is more than one Host header");
    }
    let from_header = match request.headers().get(HOST) {
        None => None,
        Some(host) => {
            Some(host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()).ok_or("the Host header is not a host")?)
        }
    };
    let mut parts = request.uri().clone().into_parts();
    let authority = match (from_header, parts.authority.take()) {
        (None, None) => return Err("the Host header is missing"),
        (Some(a), Some(b)) if a != b => {
            return Err("the Host header and the URI name different hosts");
        }
        (Some(a), _) | (None, Some(a)) => a,
    };
    if authority.host().ends_with(CHAINING_SUFFIX) {
        return Err("this host is reachable from inside only");
    }
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| "the URI is invalid")?;
    Ok(())
}

fn declared_length(request: &Request<WasiBody>) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn busy(detail: &str) -> Response<WasiBody> {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An answer of the host itself, for errors: RFC 9457.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response<WasiBody> {
    answer(status, "application/problem+json", problem_text(status, detail).into())
}

/// The body of such an answer.
pub(crate) fn problem_text(status: StatusCode, detail: &str) -> String {
    let title = status.canonical_reason().unwrap_or_default();
    json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail }).to_string()
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<WasiBody> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(crate) fn full(body: Bytes) -> WasiBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

impl From<&StaticResponse> for Response<WasiBody> {
    fn from(from: &StaticResponse) -> Self {
        let mut response = Response::builder().status(from.status_code.unwrap_or(200));
        for (name, value) in &from.headers {
            response = response.header(name, value);
        }
        let body = full(from.body.clone().unwrap_or_default().into());
        response.body(body).unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the static response is not valid"))
    }
}
