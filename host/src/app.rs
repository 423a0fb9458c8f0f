//! An application that runs: its routes, its components, and the way of a request to one of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::sync::{Notify, RwLock, Semaphore};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{ExpirationError, InstantiationError};

use crate::allowed_hosts::CHAINING_SUFFIX;
use crate::body::Limited;
use crate::env::Env;
use crate::life::Life;
use crate::manifest::{Route, StaticResponse};
use crate::routes::{Matched, Routes, WELL_KNOWN};
use crate::worker::Handler;

/// A running application.
pub(crate) struct App {
    name: String,
    version: String,
    routes: Routes<Target>,
    handlers: BTreeMap<String, Handler>,
    pub(crate) env: Arc<Env>,
    running: Semaphore,
    waiting: AtomicUsize,
    /// Told of every public request that may have changed something.
    pub(crate) changed: Notify,
    /// Ends when no new request shall come.
    pub(crate) stopping: Life,
    /// Held for reading by whoever serves sockets.
    pub(crate) serving: RwLock<()>,
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
    pub(crate) fn new(manifest: &crate::manifest::Manifest, handlers: BTreeMap<String, Handler>, env: Arc<Env>) -> Result<Self> {
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
            running: Semaphore::new(env.limits.running),
            waiting: AtomicUsize::new(0),
            changed: Notify::new(),
            stopping: Life::default(),
            serving: RwLock::new(()),
            env,
        })
    }

    /// Answers a request from outside.
    pub(crate) async fn public(&self, request: Request<WasiBody>, client: SocketAddr) -> Response<WasiBody> {
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
        let all = u32::try_from(self.env.limits.running).unwrap_or(u32::MAX);
        _ = self.running.acquire_many(all).await;
    }

    /// As `public`, for a request that does not count as a change.
    pub(crate) async fn route(&self, mut request: Request<WasiBody>, client: SocketAddr) -> Response<WasiBody> {
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
        let limit = self.env.limits.body_bytes;
        if declared_length(&request).is_some_and(|length| length > limit) {
            return too_large(limit);
        }
        if let Err(detail) = set_uri(&mut request) {
            return problem(StatusCode::BAD_REQUEST, detail);
        }
        let Some(_permit) = self.admit().await else {
            let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting; try again");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        };
        let (parts, body) = request.into_parts();
        let (body, exceeded) = Limited::new(body, limit);
        let request = Request::from_parts(parts, body.boxed_unsync());
        let response = self.run(id, request, &matched, client).await;
        match exceeded.is_set() {
            // Whatever the component made of the body that broke off, this is why it did.
            true => too_large(limit),
            false => response,
        }
    }

    /// Answers a request of one component to another.
    pub(crate) async fn chained(&self, id: &str, mut request: Request<WasiBody>) -> Result<Response<WasiBody>, NoSuchComponent> {
        if !self.handlers.contains_key(id) {
            return Err(NoSuchComponent);
        }
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = format!("{id}{CHAINING_SUFFIX}").parse().ok();
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| NoSuchComponent)?;
        let matched = Matched::chained(request.uri().path());
        Ok(self.run(id, request, &matched, SocketAddr::from(([0, 0, 0, 0], 0))).await)
    }

    /// Hands a request to a component.
    async fn run(&self, id: &str, mut request: Request<WasiBody>, matched: &Matched, client: SocketAddr) -> Response<WasiBody> {
        let handler = &self.handlers[id];
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

    /// A place among the running requests; `None` when too many wait for one already.
    async fn admit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if let Ok(permit) = self.running.try_acquire() {
            return Some(permit);
        }
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        let others = self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        if others >= self.env.limits.waiting {
            return None;
        }
        self.running.acquire().await.ok()
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

fn too_large(limit: u64) -> Response<WasiBody> {
    problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {limit} bytes"))
}

/// An answer of the host itself, for errors: RFC 9457.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response<WasiBody> {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    answer(status, "application/problem+json", body.to_string().into())
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
