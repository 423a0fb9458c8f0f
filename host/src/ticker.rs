//! The hub's own scheduler: it calls the one route that does what is due, when that route said it would be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::app::{App, full};

/// The longest pause: what only time makes due is found at the latest after this.
const IDLE: Duration = Duration::from_secs(30);
/// The shortest pause, for an application that always says "now".
const BREATH: Duration = Duration::from_millis(10);
/// The pause after a tick that failed.
const BACKOFF: Duration = Duration::from_secs(1);

pub(crate) struct Ticker {
    app: Arc<App>,
    path: String,
    authorization: HeaderValue,
    /// Never two ticks at once, by whomever they are asked for.
    running: Mutex<()>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    next_tick_in_ms: Option<u64>,
}

impl Ticker {
    pub(crate) fn new(app: Arc<App>, path: &str, secret: &str) -> Result<Self> {
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {secret}")).context("the tick's secret cannot be sent in a header")?;
        authorization.set_sensitive(true);
        Ok(Self { app, path: path.to_owned(), authorization, running: Mutex::default() })
    }

    /// Ticks for as long as the hub lives: at once, when the last tick said so, and after every change from outside.
    pub(crate) async fn run(self: Arc<Self>) {
        let over = || async {
            tokio::select! {
                () = self.app.stopping.ended() => {}
                () = self.app.env.life.ended() => {}
            }
        };
        loop {
            let ticked = tokio::select! {
                biased;
                () = over() => return,
                ticked = self.tick() => ticked,
            };
            let pause = match ticked {
                Ok(next) => next.map_or(IDLE, Duration::from_millis).clamp(BREATH, IDLE),
                Err(error) => {
                    self.app.env.log.error("tick failed", &[("error", &format!("{error:#}"))]);
                    BACKOFF
                }
            };
            tokio::select! {
                biased;
                () = over() => return,
                () = self.app.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Runs what is due, and says in how many milliseconds something will be.
    pub(crate) async fn tick(&self) -> Result<Option<u64>> {
        let _alone = self.running.lock().await;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, &self.authorization)
            .body(full(Bytes::new()))?;
        let client = SocketAddr::from(([127, 0, 0, 1], 0));
        let response = self.app.route(request, client).await;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{} answered {status}: {}", self.path, String::from_utf8_lossy(&body));
        let answer: Answer = serde_json::from_slice(&body)
            .with_context(|| format!("{} must answer {{\"nextTickInMs\": number|null}}", self.path))?;
        Ok(answer.next_tick_in_ms)
    }
}
