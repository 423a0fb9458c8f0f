//! What the host tells an application about its life, by routes that its manifest names:
//!
//! ```toml
//! [application.tool.hub]
//! start = "/internal/start"   # POST before the hub serves; anything but a success stops the start, with the answer's `detail`
//! stop = "/internal/stop"     # POST when the hub is told to stop, and once more with {"final": true} before it ends
//! tick = "/internal/tick"     # what `--tick` must be
//! secret = "internal_secret"  # the variable whose value is the bearer token for all of them
//! ```
//!
//! Spin ignores the table, so an application must do without: what it checks at its start it checks at its first request, and
//! what it gives back when it stops comes back by itself, later.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, Client, Lane, full};

/// How long the application may take to give back what it has.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The routes of an application for its host, as its manifest names them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routes {
    pub(crate) start: Option<String>,
    pub(crate) stop: Option<String>,
    pub(crate) tick: Option<String>,
    pub(crate) secret: Option<String>,
}

/// Tells an application that it starts and stops.
pub(crate) struct Lifecycle {
    app: Arc<App>,
    routes: Routes,
    authorization: HeaderValue,
}

impl Lifecycle {
    pub(crate) fn new(app: Arc<App>, routes: Routes, secret: &str) -> Result<Self> {
        Ok(Self { app, routes, authorization: authorization(secret)? })
    }

    /// Asks the application whether it can start, and logs what it warns of.
    ///
    /// # Errors
    /// When it cannot: its own words.
    pub(crate) async fn start(&self, accept: &[String]) -> Result<()> {
        let Some(path) = &self.routes.start else {
            ensure!(accept.is_empty(), "--accept: the application has no route for its start and so nothing to accept");
            return Ok(());
        };
        let answer = self.post(path, &json!({ "accept": accept })).await?;
        for warning in answer["warnings"].as_array().into_iter().flatten() {
            self.app.env.log.warn("the hub starts with a warning", &[("warning", warning.as_str().unwrap_or_default())]);
        }
        Ok(())
    }

    /// Tells the application that the hub stops: it begins nothing more.
    pub(crate) async fn stopping(&self) {
        self.stop(false).await;
    }

    /// Tells the application that its guests end now: it gives back what they have begun.
    pub(crate) async fn stopped(&self) {
        self.stop(true).await;
    }

    async fn stop(&self, is_final: bool) {
        let Some(path) = &self.routes.stop else { return };
        let body = json!({ "final": is_final });
        let told = tokio::time::timeout(STOP_TIMEOUT, self.post(path, &body)).await;
        let log = &self.app.env.log;
        match told {
            Ok(Ok(answer)) if is_final => {
                let given_back = answer["givenBack"].as_u64().unwrap_or_default();
                if given_back > 0 {
                    log.warn("stopped before everything was done", &[("givenBack", &given_back.to_string())]);
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log.error("the application could not be stopped in order", &[("error", &format!("{error:#}"))]),
            Err(_) => log.error("the application could not be stopped in order", &[("error", "it did not answer in time")]),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(full(Bytes::from(body.to_string())))?;
        let response = self.app.route(request, Client::Inside(Lane::Requests)).await;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        match answer["detail"].as_str() {
            Some(detail) => bail!("{detail}"),
            None => bail!("{path} answered {status}: {}", String::from_utf8_lossy(&body)),
        }
    }
}

/// The header that carries a secret.
pub(crate) fn authorization(secret: &str) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(&format!("Bearer {secret}"));
    let mut value =
        value.context("the secret for the application's own routes cannot be sent in a header: use letters and digits")?;
    value.set_sensitive(true);
    Ok(value)
}
