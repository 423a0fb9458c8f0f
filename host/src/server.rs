//! Sockets: HTTP/1.1 in, requests to the application, answers out.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::RwLock;
use wasmtime_wasi_http::Error;

use crate::app::{App, Client, problem, problem_text};
use crate::body::{Answer, Lost};
use crate::door::{Entered, Visit};
use crate::socket::{Socket, Stream};

/// How long a client may take to send a request's head, also the first one and the next on a kept connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// What the head of a request may take; hyper answers 431 beyond it.
const HEADER_BYTES: usize = 16 << 10;
/// How many connections may wait to be accepted, as far as the system allows: of those beyond it, each is tried again after a second.
const BACKLOG: i32 = 4096;
/// A pause after `accept` failed, which it does when the process runs out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the application stops, then lets open requests finish within its drain timeout.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener) -> Result<()> {
    let _serving = app.serving.read().await;
    allow_files(&app);
    _ = SockRef::from(&listener).listen(BACKLOG);
    // Held for reading by every connection.
    let open = Arc::new(RwLock::new(()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = app.stopping.ended() => break,
            () = app.env.life.ended() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let (Some(entered), Ok(open)) = (app.door.enter(client.ip()), open.clone().try_read_owned()) else {
                    refuse(stream);
                    continue;
                };
                let app = app.clone();
                tokio::spawn(async move {
                    converse(&app, &entered, stream, client).await;
                    drop((entered, open));
                });
            }
            Err(error) => {
                app.env.log.warn("cannot accept a connection", &[("error", &error.to_string())]);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(app.env.limits.drain_timeout, open.write()).await.is_err() {
        app.env.log.warn("stopping with requests under way: the drain timeout is over", &[]);
    }
    Ok(())
}

/// Lets the process open as many files as connections and databases need, as far as the system allows.
fn allow_files(app: &App) {
    let wanted = 2 * app.env.limits.connections as u64 + 512;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    if setrlimit(Resource::Nofile, limit).is_err() || limit.current.is_some_and(|current| current < wanted) {
        let remedy = format!("raise the limit on open files to {wanted} (`ulimit -n`): connections may fail before their bound");
        app.env.log.warn(&remedy, &[]);
    }
}

/// Tells a client that there is no room for its connection.
fn refuse(stream: TcpStream) {
    let text = plain(StatusCode::SERVICE_UNAVAILABLE, "too many connections are open; try again", "retry-after: 1\r\n");
    // It is not waited for: what does not go into the socket's empty buffer is lost.
    _ = stream.into_std().and_then(|mut stream| stream.write(text.as_bytes()));
}

/// Answers the requests of one connection.
async fn converse(app: &Arc<App>, entered: &Entered, stream: TcpStream, address: SocketAddr) {
    let (visit, stream) = (&entered.visit, &Stream::new(stream));
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(app, visit, request, Client::Socket { visit, stream, address }).await)
    });
    let socket = Socket::new(stream.clone(), app.clone(), visit.clone());
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        // Who has sent a request and closed its side may wait for the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), service);
    let (mut stopping, mut stops) = (pin!(app.stopping.ended()), false);
    let ended = loop {
        tokio::select! {
            ended = &mut connection => break ended,
            () = &mut stopping, if !stops => {
                stops = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            () = visit.cut.ended() => return,
            () = app.env.life.ended() => return,
        }
    };
    // Otherwise a client that goes away is its own business: nothing to log.
    let Err(error) = ended else { return };
    let mut socket = connection.into_parts().io.into_inner();
    let (status, detail) = if error.is_timeout() {
        (StatusCode::REQUEST_TIMEOUT, "the head of the request did not come in time")
    } else if error.is_incomplete_message() {
        (StatusCode::BAD_REQUEST, "the head of the request is incomplete")
    } else if error.is_parse() {
        (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this speaks HTTP/1.1")
    } else {
        return;
    };
    // hyper has no answer to these.
    if socket.unanswered {
        let last = async {
            socket.write_all(plain(status, detail, "").as_bytes()).await?;
            socket.shutdown().await
        };
        tokio::select! {
            _ = last => {}
            () = visit.cut.ended() => {}
            () = app.env.life.ended() => {}
        }
    }
}

/// A problem as it goes over the wire when nothing else follows on the connection.
fn plain(status: StatusCode, detail: &str, more: &str) -> String {
    let text = problem_text(status, detail);
    let (title, length) = (status.canonical_reason().unwrap_or_default(), text.len());
    format!(
        "HTTP/1.1 {} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n{text}",
        status.as_u16()
    )
}

async fn answer(app: &App, visit: &Arc<Visit>, request: Request<Incoming>, client: Client<'_>) -> Response<Answer> {
    visit.clients_turn();
    let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
    let response = app.public(request, client).await;
    let (mut parts, body) = response.into_parts();
    let body = match Answer::take(body, &app.door, visit).await {
        Ok(body) => body,
        Err(lost) => {
            let response = match lost {
                Lost::Broken(error) => {
                    app.env.log.error("an answer broke off", &[("error", &error.to_string())]);
                    problem(StatusCode::INTERNAL_SERVER_ERROR, "the component failed to answer")
                }
                Lost::NoRoom => {
                    let detail = "too many answers wait to be read; what was asked for may be done, so send the request again with its \
                                  Idempotency-Key if it had one";
                    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                    // What else was sent ahead on this connection would end the same way.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    response
                }
            };
            let (problem, body) = response.into_parts();
            parts = problem;
            Answer::whole(body.collect().await.map(|body| body.to_bytes()).unwrap_or_default())
        }
    };
    visit.clients_turn();
    Response::from_parts(parts, body)
}
