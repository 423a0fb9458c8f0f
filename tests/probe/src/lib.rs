//! A component that does what a test tells it to: the ground of the host's own tests.
//!
//! `POST …/run` takes a JSON list of steps, runs them in order on one set of connections, and answers with the list of
//! their outcomes. The other routes are for what a step cannot show: bodies, headers, and the bench.

mod steps;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use spin_sdk::http::{BoxBody, FullBody, IntoResponse, Request, Response, box_body};
use spin_sdk::http_service;
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value as SqlValue};
use spin_sdk::time::sleep;
use spin_sdk::variables;
use spin_sdk::wasip3::clocks::monotonic_clock;

/// Shared by all requests to one instance.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

#[http_service]
async fn handle(request: Request) -> Result<impl IntoResponse, anyhow::Error> {
    let path = request.uri().path().to_owned();
    let answer = match path.rsplit('/').next().unwrap_or_default() {
        "run" => steps::run(&request.into_body().collect().await?.to_bytes()).await?,
        "echo" => {
            return Ok(Response::new(box_body(request.into_body().map_err(anyhow::Error::from))));
        }
        "size" => match request.into_body().collect().await {
            Ok(body) => json!(body.to_bytes().len()),
            Err(error) => json!({ "error": error.to_string() }),
        },
        "head" => head(&request),
        "count" => json!(REQUESTS.fetch_add(1, Relaxed)),
        "tick" => return tick(&request).await,
        "reads" => two_reads().await?,
        "write" => one_write().await?,
        _ => anyhow::bail!("the probe has no {path}"),
    };
    Ok(respond(&answer))
}

/// A scheduler's route: says when it wants to be called again, as the test has put it into the store.
async fn tick(request: &Request) -> anyhow::Result<Response<BoxBody>> {
    let expected = format!("Bearer {}", variables::get("tick_secret").await?);
    if request.headers().get("authorization").is_none_or(|sent| sent.as_bytes() != expected.as_bytes()) {
        let mut response = respond(&json!("no secret, no tick"));
        *response.status_mut() = spin_sdk::http::StatusCode::UNAUTHORIZED;
        return Ok(response);
    }
    let store = Store::open_default().await?;
    let next = store.get("next").await?;
    let next: Value = serde_json::from_slice(&next.unwrap_or_else(|| b"null".to_vec()))?;
    println!("tick {}", monotonic_clock::now() / 1_000_000_000);
    if store.exists("slow").await? {
        sleep(Duration::from_secs(2)).await;
    }
    println!("tock");
    Ok(respond(&json!({ "nextTickInMs": next })))
}

fn respond(answer: &Value) -> Response<BoxBody> {
    let mut response = Response::new(box_body(FullBody::new(Bytes::from(answer.to_string()))));
    let kind = "application/json".parse().expect("a header value");
    response.headers_mut().insert("content-type", kind);
    response
}

fn head(request: &Request) -> Value {
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    json!({ "method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers })
}

/// What an authenticated read costs: a connection and two indexed look-ups.
async fn two_reads() -> anyhow::Result<Value> {
    let connection = Connection::open_default().await?;
    let mut found = Vec::new();
    for id in [7, 42] {
        let rows = connection.execute("SELECT name FROM item WHERE id = ?", [SqlValue::Integer(id)]).await?.collect().await?;
        found.push(rows.first().and_then(|row| row.get::<&str>(0)).map(str::to_owned));
    }
    Ok(json!(found))
}

/// What a durable write costs: one transaction of a read and an insert.
async fn one_write() -> anyhow::Result<Value> {
    let connection = Connection::open_default().await?;
    for sql in [
        "BEGIN IMMEDIATE",
        "SELECT name FROM item WHERE id = 7",
        "INSERT INTO written (name) VALUES ('a row of the bench')",
        "COMMIT",
    ] {
        connection.execute(sql, []).await?.collect().await?;
    }
    Ok(json!("written"))
}
