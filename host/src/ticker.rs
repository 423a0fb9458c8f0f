//! The hub's own scheduler: it calls the one route that does what is due, when that route said it would be.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep_until};

use crate::app::{App, Client, Lane, full};
use crate::lifecycle::authorization;

/// The longest pause: what only time makes due is found at the latest after this.
const IDLE: Duration = Duration::from_secs(30);
/// The shortest time between the beginnings of two ticks, for an application that always says "now".
const BREATH: Duration = Duration::from_millis(10);
/// How many ticks may be under way at once. One whose work takes long keeps no other work waiting.
const MOST: usize = 4;
/// While ticks are under way, the next one begins so long after the last one after a change,
const CHANGED: Duration = Duration::from_millis(250);
/// and so long after it without one, for what falls due by time.
const LONG: Duration = Duration::from_secs(1);
/// The pause after a tick that failed.
const BACKOFF: Duration = Duration::from_secs(1);

pub(crate) struct Ticker {
    app: Arc<App>,
    path: String,
    authorization: HeaderValue,
    /// Held for reading by every tick that is under way.
    ticking: RwLock<()>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    next_tick_in_ms: Option<u64>,
}

impl Ticker {
    pub(crate) fn new(app: Arc<App>, path: &str, secret: &str) -> Result<Self> {
        Ok(Self { app, path: path.to_owned(), authorization: authorization(secret)?, ticking: RwLock::default() })
    }

    /// Ticks for as long as the hub lives: at once, when the last tick said so, and after every change from outside.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut under_way = FuturesUnordered::new();
        let mut changed = false;
        let mut last = Instant::now() - BREATH;
        let mut next = Instant::now();
        loop {
            let due = match (changed, under_way.is_empty()) {
                (true, true) => last + BREATH,
                (true, false) => next.min(last + CHANGED),
                (false, _) => next,
            };
            tokio::select! {
                biased;
                () = self.app.stopping.ended() => break,
                () = self.app.env.life.ended() => return,
                Some(ticked) = under_way.next() => next = Instant::now() + self.pause(ticked, under_way.is_empty()),
                () = self.app.changed.notified() => changed = true,
                () = sleep_until(due.max(last + BREATH)), if under_way.len() < MOST => {
                    under_way.push(self.tick());
                    (changed, last) = (false, Instant::now());
                    next = last + LONG;
                }
            }
        }
        // Those under way when the hub is told to stop may come to their end.
        tokio::select! {
            () = self.app.env.life.ended() => {}
            () = under_way.for_each(|_| std::future::ready(())) => {}
        }
    }

    /// How long to wait after a tick. `alone`: none is under way.
    fn pause(&self, ticked: Result<Option<u64>>, alone: bool) -> Duration {
        let longest = if alone { IDLE } else { LONG };
        match ticked {
            Ok(next) => next.map_or(longest, Duration::from_millis).clamp(BREATH, longest),
            Err(error) => {
                self.app.env.log.error("tick failed", &[("error", &format!("{error:#}"))]);
                BACKOFF
            }
        }
    }

    /// Waits until no tick is under way.
    pub(crate) async fn idle(&self) {
        drop(self.ticking.write().await);
    }

    /// Runs what is due, and says in how many milliseconds something will be.
    pub(crate) async fn tick(&self) -> Result<Option<u64>> {
        let _ticking = self.ticking.read().await;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, &self.authorization)
            .body(full(Bytes::new()))?;
        let response = self.app.route(request, Client::Inside(Lane::Jobs)).await;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{} answered {status}: {}", self.path, String::from_utf8_lossy(&body));
        let answer: Answer = serde_json::from_slice(&body)
            .with_context(|| format!("{} must answer {{\"nextTickInMs\": number|null}}", self.path))?;
        Ok(answer.next_tick_in_ms)
    }
}
