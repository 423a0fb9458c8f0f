//! HTTP requests that guests send: checked against their permissions, then chained to another component, sent to a
//! simulated peer, or to the world.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::allowed_hosts::CHAINING_SUFFIX;
use crate::app::{Client, Lane};
use crate::env::{Env, Failure};
use crate::faults::Kind;
use crate::guest::Component;

/// The peers of a hub.
pub(crate) enum Peers {
    Real,
    Simulated(Mutex<BTreeMap<String, Peer>>),
}

type Peer = Arc<dyn Fn(Request<Bytes>) -> PeerAnswer + Send + Sync>;
pub(crate) type PeerAnswer = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

impl Peers {
    pub(crate) fn add(&self, host: &str, peer: Peer) {
        if let Self::Simulated(peers) = self {
            peers.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), peer);
        }
    }
}

/// The outbound side of one instance.
pub(crate) struct Outbound {
    component: Arc<Component>,
    lane: Lane,
    env: Arc<Env>,
}

/// The response, and what drives its connection.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl Outbound {
    pub(crate) fn new(component: Arc<Component>, lane: Lane, env: Arc<Env>) -> Self {
        Self { component, lane, env }
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let (component, lane, env) = (self.component.clone(), self.lane, self.env.clone());
        Box::new(async move { send(&component, lane, &env, request, options).await })
    }
}

async fn send(
    component: &Component,
    lane: Lane,
    env: &Arc<Env>,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Sent, Error> {
    let destination = Destination::of(component, env, &request)?;
    let host = request.uri().host().unwrap_or_default().to_owned();
    let entered = env.enter(&component.id, Kind::Outbound, &host, || format!("{} {}", request.method(), request.uri())).await;
    if let Some(Failure::Error(text)) = &entered.failure {
        return Err(Error::InternalError(Some(text.clone())));
    }
    let sent = match destination {
        Destination::Component(id) => {
            request.headers_mut().remove(HOST);
            let app = env.app.get().and_then(|app| app.upgrade()).ok_or(Error::DestinationUnavailable)?;
            done(app.chained(&id, lane, request).await.map_err(|_| Error::DestinationNotFound)?)
        }
        Destination::Myself => {
            let app = env.app.get().and_then(|app| app.upgrade()).ok_or(Error::DestinationUnavailable)?;
            request.headers_mut().remove(HOST);
            done(app.public(request, Client::Inside(lane)).await)
        }
        Destination::World => match &env.peers {
            Peers::Real => {
                let (response, io) = default_send_request(request, options).await?;
                (response.map(|body| body.boxed_unsync()), Box::new(io) as _)
            }
            Peers::Simulated(peers) => {
                let peer = peers.lock().unwrap_or_else(PoisonError::into_inner).get(&host).cloned();
                let Some(peer) = peer else {
                    let fields = [("component", component.id.as_str()), ("host", host.as_str())];
                    env.log.warn("no simulated peer of this name; add one with Hub::outbound", &fields);
                    return Err(Error::ConnectionRefused);
                };
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let response = peer(Request::from_parts(parts, body)).await;
                done(response.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync()))
            }
        },
    };
    env.leave(&entered).await;
    match entered.failure {
        // The peer has had the request, and hangs up before the answer is through.
        Some(Failure::ConnectionDropped) => Err(Error::ConnectionTerminated),
        _ => Ok(sent),
    }
}

fn done(response: Response<WasiBody>) -> Sent {
    (response, Box::new(std::future::ready(Ok(()))))
}

enum Destination {
    Component(String),
    Myself,
    World,
}

impl Destination {
    fn of(component: &Component, env: &Env, request: &Request<WasiBody>) -> Result<Self, Error> {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or("https");
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16();
        let allowed = &component.allowed_hosts;
        let (permitted, destination) = if host.is_empty() || host == "self.alt" {
            (allowed.allows_self(), Self::Myself)
        } else if let Some(id) = host.strip_suffix(CHAINING_SUFFIX) {
            (allowed.allows_chaining(scheme, host, port), Self::Component(id.to_owned()))
        } else {
            (allowed.allows(scheme, host, port), Self::World)
        };
        if permitted {
            return Ok(destination);
        }
        let target = match &destination {
            Self::Myself => "http://self".to_owned(),
            _ => format!("{scheme}://{}", uri.authority().map_or("", |a| a.as_str())),
        };
        let fix = format!("add \"{target}\" to allowed_outbound_hosts in [component.{}]", component.id);
        let fields = [("component", component.id.as_str()), ("target", &target), ("fix", &fix)];
        env.log.warn("outbound request denied", &fields);
        Err(Error::HttpRequestDenied)
    }
}
