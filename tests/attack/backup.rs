//! A backup of a large hub while writers work: it ends soon, they hardly notice, and what is restored of it is the hub.

use crate::child::HubProcess;
use bytes::Bytes;
use http::Request;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant, SystemTime};
use tests::{DATA_KEY, INTERNAL_SECRET, builder, manifest, simulated};

/// How large the database is to be, in bytes.
const SIZE: u64 = 162_000_000;
const WRITERS: usize = 8;
/// How long is measured before and after the backup.
const MEASURED: Duration = Duration::from_secs(8);
/// How long a backup may take.
const BOUND: Duration = Duration::from_secs(30);

fn post(path: &str, token: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn created(answer: &str) -> Value {
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let body = &answer[answer.find('{').expect("a body")..=answer.rfind('}').expect("a body")];
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// Fills a table with as much as makes the database this large.
fn fill(database: &Path) {
    let mut connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    let text = "0123456789abcdef".repeat(125);
    let mut row = 0;
    while database.metadata().unwrap().len() < SIZE {
        let filling = connection.transaction().unwrap();
        for _ in 0..4_000 {
            row += 1;
            let sql = "INSERT INTO idempotency_keys (principal_id, key_hash, fingerprint, status, answer, expires_at) VALUES ('tok_filling', ?1, '', 200, ?2, 4000000000000)";
            filling.execute(sql, (format!("{row:064}"), &text)).unwrap();
        }
        filling.commit().unwrap();
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    }
}

fn rows(file: &Path) -> Vec<(String, i64)> {
    let database = Connection::open(file).unwrap();
    let mut names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| database.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

fn p99(took: &mut [Duration]) -> Duration {
    assert!(took.len() >= 100, "only {} writes", took.len());
    took.sort();
    took[(took.len() * 99).div_ceil(100) - 1]
}

fn hub(verb: &str, file: &Path, dir: &Path) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(exe.parent().unwrap().parent().unwrap().join("hub"));
    command.arg(verb).arg(file).arg("--from").arg(manifest()).arg("--state-dir").arg(dir);
    command.env("SPIN_VARIABLE_INTERNAL_SECRET", INTERNAL_SECRET).env("SPIN_VARIABLE_DATA_KEY", DATA_KEY);
    command
}

#[test]
fn a_large_hub_is_backed_up_beside_its_writers() {
    let process = HubProcess::start(&[]);
    let database = process.dir().join("sqlite_db.db");
    let operator = created(&process.ask(post("/internal/bootstrap", INTERNAL_SECRET, &json!({ "displayName": "Operator" }))));
    let api_token = operator["apiToken"].as_str().unwrap().to_owned();
    let token = created(&process.ask(post("/v1/access-tokens", "", &json!({ "apiToken": api_token }))));
    let token = token["accessToken"].as_str().unwrap().to_owned();
    fill(&database);

    let new = json!({ "kind": "PROVIDER", "displayName": "P", "companyName": "P Ltd", "country": "US", "currency": "USD" });
    let request = post("/v1/organizations", &token, &new);
    let process = Arc::new(process);
    let stop = Arc::new(AtomicBool::new(false));
    let took = Arc::new(Mutex::new(Vec::new()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (process, stop, took, request) = (process.clone(), stop.clone(), took.clone(), request.clone());
            spawn(move || {
                while !stop.load(Relaxed) {
                    let start = Instant::now();
                    created(&process.ask(&request));
                    took.lock().unwrap().push(start.elapsed());
                }
            })
        })
        .collect();
    let taken = || std::mem::take(&mut *took.lock().unwrap());
    sleep(Duration::from_secs(2));
    taken();
    sleep(MEASURED);
    let mut before = taken();
    let copy = process.dir().join("copy.db");
    let start = Instant::now();
    let output = hub("backup", &copy, process.dir()).output().unwrap();
    let elapsed = start.elapsed();
    let mut during = taken();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sleep(MEASURED);
    let mut after = taken();
    stop.store(true, Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let (during, before, after) = (p99(&mut during), p99(&mut before), p99(&mut after));
    println!(
        "backup of {} MB in {elapsed:?}; p99 of writes {before:?} before, {during:?} during, {after:?} after",
        SIZE / 1_000_000
    );
    assert!(copy.metadata().unwrap().len() >= SIZE);
    assert!(elapsed < BOUND, "{elapsed:?}");
    assert!(during <= 2 * before.max(after), "{during:?} during, {before:?} before, {after:?} after");

    let dir = tempfile::tempdir().unwrap();
    let output = hub("restore", &copy, dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let restored = dir.path().join("sqlite_db.db");
    let counted = rows(&copy);
    assert_eq!(rows(&restored), counted);
    assert!(counted.iter().any(|(table, rows)| table == "organizations" && *rows > 100), "{counted:?}");
    let ids: Vec<String> = {
        let database = Connection::open(&restored).unwrap();
        let mut ids = database.prepare("SELECT DISTINCT organization_id FROM audit_entries").unwrap();
        ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    simulated(|| async {
        let hub = builder(dir.path(), 1, SystemTime::now()).lifecycle(true).start().await.unwrap();
        for id in &ids {
            let mut cursor = 0;
            loop {
                let path = format!("/v1/audit-entries/verification?organizationId={id}&cursor={cursor}");
                let request = Request::get(path).header("authorization", format!("Bearer {token}")).body(Bytes::new()).unwrap();
                let answer = hub.request(request).await.unwrap();
                assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
                let answer: Value = serde_json::from_slice(answer.body()).unwrap();
                assert!(answer.get("broken").is_none_or(Value::is_null), "{answer}");
                match answer["nextCursor"].as_i64() {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
        }
        hub.stop().await;
    });
    println!("{} audit chains verified", ids.len());
}
