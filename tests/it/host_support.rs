//! What the tests of the host share: a probe on a directory of its own, and steps for it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use host::{Builder, Hub, RequestError};
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The manifest of the probe.
pub fn manifest() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wasm = root.join("../target/wasm32-wasip2/wasm/probe.wasm");
    assert!(wasm.exists(), "build the guests first: cargo build --profile wasm --target wasm32-wasip2 -p floor -p probe");
    root.join("probe/spin.toml")
}

/// 2026-01-01T00:00:00Z.
pub fn new_year() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

/// A probe on this directory, not yet started.
pub fn probe(dir: &Path) -> Builder {
    Hub::builder(manifest()).data_dir(dir).variable("secret", "s3cret")
}

/// Runs a test against a simulated probe.
pub fn simulated<F: Future>(test: impl FnOnce(Hub, TempDir) -> F) -> F::Output {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = probe(dir.path()).simulated(1, new_year()).start().await.unwrap();
        test(hub, dir).await
    })
}

/// A request without a body.
pub fn get(path: &str) -> Request<Bytes> {
    Request::builder().uri(path).body(Bytes::new()).unwrap()
}

/// A request with a JSON body.
pub fn post(path: &str, body: &Value) -> Request<Bytes> {
    Request::builder().method(Method::POST).uri(path).body(body.to_string().into()).unwrap()
}

/// Reads an answer's JSON.
pub fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body())
        .unwrap_or_else(|_| panic!("{}: {}", response.status(), String::from_utf8_lossy(response.body())))
}

/// Has the probe run steps, and gives their outcomes.
pub async fn run(hub: &Hub, steps: Value) -> Value {
    try_run(hub, steps).await.unwrap()
}

/// As [`run`], for a hub that may die.
pub async fn try_run(hub: &Hub, steps: Value) -> Result<Value, RequestError> {
    Ok(json_of(&hub.request(post("/probe/run", &steps)).await?))
}

/// One statement.
pub fn sql(text: &str) -> Value {
    json!({ "do": "sql", "sql": text })
}

/// One statement on a connection of this name.
pub fn sql_on(connection: &str, text: &str) -> Value {
    json!({ "do": "sql", "on": connection, "sql": text })
}
