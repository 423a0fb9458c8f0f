//! Sockets: HTTP/1.1 in, requests to the application, answers out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::Error;

use crate::app::App;

/// How long a client may take to send a request's head, also the first one and the next on a kept connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// What the head of a request may take; hyper answers 431 beyond it.
const HEADER_BYTES: usize = 64 << 10;
/// A pause after `accept` failed, which it does when the process runs out of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the application stops, then lets open requests finish within its drain timeout.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener) -> Result<()> {
    let _serving = app.serving.read().await;
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = app.stopping.ended() => break,
            () = app.env.life.ended() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => connect(&app, stream, client, &connections),
            Err(error) => {
                app.env.log.warn("cannot accept a connection", &[("error", &error.to_string())]);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(app.env.limits.drain_timeout, connections.shutdown()).await.is_err() {
        app.env.log.warn("stopping with requests under way: the drain timeout is over", &[]);
    }
    Ok(())
}

fn connect(app: &Arc<App>, stream: TcpStream, client: SocketAddr, connections: &GracefulShutdown) {
    // An answer in two writes would otherwise wait for the client's delayed acknowledgement of the first.
    _ = stream.set_nodelay(true);
    let service = {
        let app = app.clone();
        service_fn(move |request: http::Request<Incoming>| {
            let app = app.clone();
            async move {
                let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
                Ok::<_, Infallible>(app.public(request, client).await)
            }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    let app = app.clone();
    tokio::spawn(async move {
        tokio::select! {
            // A client that goes away is its own business: nothing to log.
            _ = connection => {}
            () = app.env.life.ended() => {}
        }
    });
}
