//! The steps that a test can ask for, one JSON object each.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{Either, select};
use serde_json::{Value, json};
use spin_sdk::http::{FullBody, send};
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, QueryResult, Value as SqlValue};
use spin_sdk::time::sleep;
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use spin_sdk::wasip3::random::{insecure, insecure_seed, random};

/// What the steps before left open.
#[derive(Default)]
struct Open {
    connections: BTreeMap<String, Connection>,
    results: BTreeMap<String, QueryResult>,
}

pub(crate) async fn run(body: &[u8]) -> anyhow::Result<Value> {
    let steps: Vec<Value> = serde_json::from_slice(body)?;
    let mut open = Open::default();
    let mut outcomes = Vec::new();
    for step in &steps {
        outcomes.push(match step["within"].as_u64() {
            None => open.step(step).await,
            Some(millis) => within(millis, open.step(step)).await,
        });
    }
    Ok(Value::from(outcomes))
}

/// `"hangs"` when a step is not done in time.
async fn within(millis: u64, step: impl Future<Output = Value>) -> Value {
    let timer = sleep(Duration::from_millis(millis));
    match select(Box::pin(step), Box::pin(timer)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => json!("hangs"),
    }
}

fn text<'a>(step: &'a Value, name: &str) -> &'a str {
    step[name].as_str().unwrap_or_default()
}

fn outcome<T: Into<Value>>(result: Result<T, impl std::fmt::Debug>) -> Value {
    match result {
        Ok(value) => value.into(),
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}

impl Open {
    async fn step(&mut self, step: &Value) -> Value {
        let name = step["on"].as_str().unwrap_or("default").to_owned();
        match text(step, "do") {
            "open" => self.open(&name, step["database"].as_str().unwrap_or("default")).await,
            "open-many" => open_many(step["count"].as_u64().unwrap_or_default()).await,
            "close" => json!(self.connections.remove(&name).is_some()),
            "sql" => self.sql(&name, step).await,
            "sql-start" => self.start(&name, step).await,
            "sql-result" => match self.results.remove(&name) {
                Some(result) => outcome(result.result().await),
                None => json!("nothing started"),
            },
            "sql-collect" => match self.results.remove(&name) {
                Some(result) => outcome(result.collect().await.map(|rows| rows.len())),
                None => json!("nothing started"),
            },
            "sql-next" => match self.results.get_mut(&name) {
                Some(result) => json!(result.next().await.is_some()),
                None => json!("nothing started"),
            },
            "changes" => json!(self.connections[&name].changes().await),
            "last-rowid" => json!(self.connections[&name].last_insert_rowid().await),
            "kv" => key_value(step).await,
            "variable" => outcome(spin_sdk::variables::get(text(step, "name")).await),
            "environment" => json!(std::env::var(text(step, "name")).ok()),
            "http" => http(step).await,
            "sleep" => {
                sleep(Duration::from_millis(step["millis"].as_u64().unwrap_or_default())).await;
                json!("slept")
            }
            "now" => {
                let now = system_clock::now();
                json!({ "seconds": now.seconds, "nanos": now.nanoseconds, "monotonic": monotonic_clock::now() })
            }
            "random" => json!({
                "secure": random::get_random_u64(),
                "insecure": insecure::get_insecure_random_u64(),
                "seed": insecure_seed::get_insecure_seed().0,
            }),
            "print" => {
                println!("{}", text(step, "text"));
                eprintln!("{}", text(step, "text"));
                json!("printed")
            }
            "trap" => panic!("the probe was told to trap"),
            "spin" => loop {
                std::hint::black_box(());
            },
            other => json!({ "error": format!("no step {other:?}") }),
        }
    }

    async fn open(&mut self, name: &str, database: &str) -> Value {
        match Connection::open(database).await {
            Ok(connection) => {
                self.connections.insert(name.to_owned(), connection);
                json!("opened")
            }
            Err(error) => json!({ "error": format!("{error:?}") }),
        }
    }

    /// Opens a connection of this name if there is none.
    async fn connection(&mut self, name: &str) -> &Connection {
        if !self.connections.contains_key(name) {
            let opened = self.open(name, "default").await;
            assert_eq!(opened, json!("opened"));
        }
        &self.connections[name]
    }

    async fn sql(&mut self, name: &str, step: &Value) -> Value {
        let result = self.connection(name).await.execute(text(step, "sql"), parameters(step)).await;
        match result {
            Err(error) => json!({ "error at once": format!("{error:?}") }),
            Ok(result) => {
                let columns = result.columns().to_vec();
                match result.collect().await {
                    Err(error) => json!({ "columns": columns, "error": format!("{error:?}") }),
                    Ok(rows) => {
                        let rows: Vec<Vec<Value>> =
                            rows.into_iter().map(|row| row.values.into_iter().map(to_json).collect()).collect();
                        json!(rows)
                    }
                }
            }
        }
    }

    async fn start(&mut self, name: &str, step: &Value) -> Value {
        let result = self.connection(name).await.execute(text(step, "sql"), parameters(step)).await;
        match result {
            Err(error) => json!({ "error at once": format!("{error:?}") }),
            Ok(result) => {
                let columns = json!(result.columns());
                self.results.insert(name.to_owned(), result);
                json!({ "columns": columns })
            }
        }
    }
}

async fn open_many(count: u64) -> Value {
    let mut connections = Vec::new();
    for index in 0..count {
        match Connection::open_default().await {
            Ok(connection) => connections.push(connection),
            Err(error) => return json!({ "opened": index, "error": format!("{error:?}") }),
        }
    }
    json!({ "opened": count })
}

fn parameters(step: &Value) -> Vec<SqlValue> {
    let list = step["parameters"].as_array().cloned().unwrap_or_default();
    list.into_iter()
        .map(|value| match value {
            Value::Null => SqlValue::Null,
            Value::Bool(b) => SqlValue::Integer(b.into()),
            Value::Number(n) => match n.as_i64() {
                Some(integer) => SqlValue::Integer(integer),
                None => SqlValue::Real(n.as_f64().unwrap_or_default()),
            },
            Value::String(text) => SqlValue::Text(text),
            Value::Array(bytes) => SqlValue::Blob(bytes.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect()),
            Value::Object(_) => SqlValue::Null,
        })
        .collect()
}

fn to_json(value: SqlValue) -> Value {
    match value {
        SqlValue::Integer(i) => json!(i),
        SqlValue::Real(r) => json!(r),
        SqlValue::Text(text) => json!(text),
        SqlValue::Blob(bytes) => json!(bytes),
        SqlValue::Null => Value::Null,
    }
}

async fn key_value(step: &Value) -> Value {
    let store = match Store::open(step["store"].as_str().unwrap_or("default")).await {
        Ok(store) => store,
        Err(error) => return json!({ "error": format!("{error:?}") }),
    };
    let key = text(step, "key");
    match text(step, "operation") {
        "set" => outcome(store.set(key, text(step, "value").as_bytes()).await),
        "get" => outcome(store.get(key).await.map(|value| value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))),
        "delete" => outcome(store.delete(key).await),
        "exists" => outcome(store.exists(key).await),
        "keys" => outcome(store.get_keys().await.collect().await),
        other => json!({ "error": format!("no operation {other:?}") }),
    }
}

async fn http(step: &Value) -> Value {
    let body = bytes::Bytes::from(text(step, "body").to_owned());
    let mut request = http::Request::builder().method(step["method"].as_str().unwrap_or("GET")).uri(text(step, "url"));
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    let request = match request.body(FullBody::new(body)) {
        Ok(request) => request,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    match send(request).await {
        Err(error) => json!({ "error": format!("{error:?}") }),
        Ok(response) => {
            use http_body_util::BodyExt as _;
            let status = response.status().as_u16();
            let location = response.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
            match response.into_body().collect().await {
                Err(error) => json!({ "status": status, "error": format!("{error:?}") }),
                Ok(body) => {
                    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                    json!({ "status": status, "location": location, "body": body })
                }
            }
        }
    }
}
