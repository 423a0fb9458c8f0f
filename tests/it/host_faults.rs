//! Faults, crashes and determinism: the ground for every test that says "whatever goes wrong".

use std::time::Duration;

use bytes::Bytes;
use host::{Fault, Hub, Kind, RequestError, Target};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::host_support::{get, new_year, post, probe, run, simulated, sql, try_run};

#[test]
fn statements_fail_on_demand() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("CREATE TABLE t (a)")])).await;
        hub.faults().push(Fault::on(Target::Sql).nth(2).fail("disk I/O error"));
        hub.faults().push(Fault::on(Target::SqlMatching("VALUES (4)".to_owned())).fail("database is locked"));
        let insert = |n: u32| sql(&format!("INSERT INTO t VALUES ({n})"));
        let outcomes = run(&hub, json!([insert(1), insert(2), insert(3), insert(4), sql("SELECT a FROM t")])).await;
        assert_eq!(outcomes[1]["error"], r#"Error::Io("disk I/O error")"#);
        assert_eq!(outcomes[3]["error"], r#"Error::Io("database is locked")"#);
        assert_eq!(outcomes[4], json!([[1], [3]]));
        hub.faults().clear();
        assert_eq!(run(&hub, json!([insert(4)])).await, json!([[]]));
    });
}

#[test]
fn a_lost_connection_rolls_back() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("CREATE TABLE t (a)")])).await;
        hub.faults().push(Fault::on(Target::SqlMatching("COMMIT".to_owned())).nth(1).drop_connection());
        let outcomes = run(
            &hub,
            json!([
                sql("BEGIN IMMEDIATE"),
                sql("INSERT INTO t VALUES (1)"),
                sql("COMMIT"),
                sql("SELECT a FROM t"),
                sql("COMMIT"),
            ]),
        )
        .await;
        assert_eq!(outcomes[2]["error"], r#"Error::Io("disk I/O error")"#);
        assert_eq!(outcomes[3], json!([]));
        assert!(outcomes[4]["error"].as_str().unwrap().contains("no transaction is active"));
    });
}

#[test]
fn stores_and_peers_fail_on_demand() {
    simulated(async |hub, _dir| {
        hub.outbound("peer.example", async |_| Response::new(Bytes::from("hello")));
        hub.faults().push(Fault::on(Target::KeyValue).nth(1).fail("no space left"));
        hub.faults().push(Fault::on(Target::Outbound("peer".to_owned())).nth(1).drop_connection());
        hub.faults().push(Fault::on(Target::Outbound("peer".to_owned())).nth(2).fail("weather"));
        hub.faults().push(Fault::on(Target::Outbound("peer".to_owned())).nth(3).delay(Duration::from_secs(9)));
        let set = json!({ "do": "kv", "operation": "set", "key": "k", "value": "v" });
        let call = json!({ "do": "http", "url": "https://peer.example/" });
        let now = json!({ "do": "now" });
        let outcomes = run(&hub, json!([set, set, call, call, now, call, now])).await;
        assert_eq!(outcomes[0]["error"], r#"Error::Other("no space left")"#);
        assert_eq!(outcomes[1], json!(null));
        assert_eq!(outcomes[2]["error"], "ErrorCode::ConnectionTerminated");
        assert!(outcomes[3]["error"].as_str().unwrap().contains("weather"), "{outcomes}");
        assert_eq!(outcomes[5]["body"], "hello");
        let at = |step: usize| outcomes[step]["monotonic"].as_u64().unwrap();
        assert_eq!(Duration::from_nanos(at(6) - at(4)), Duration::from_secs(9));
    });
}

#[test]
fn host_calls_are_recorded_in_order() {
    simulated(async |hub, _dir| {
        run(
            &hub,
            json!([
                sql("SELECT 1"),
                { "do": "kv", "operation": "get", "key": "k" },
                { "do": "http", "url": "http://hidden.spin.internal/count" },
            ]),
        )
        .await;
        let calls = hub.host_calls();
        let short: Vec<_> = calls.iter().map(|c| (c.index, c.component.as_str(), c.kind, c.detail.as_str())).collect();
        assert_eq!(
            short,
            [
                (0, "probe", Kind::Sql, "SELECT 1"),
                (1, "probe", Kind::KeyValue, "get k"),
                (2, "probe", Kind::Outbound, "GET http://hidden.spin.internal/count"),
            ]
        );
    });
}

/// A request with an effect before, in and after a transaction.
fn story() -> Value {
    json!([
        sql("INSERT INTO t VALUES ('before')"),
        sql("BEGIN IMMEDIATE"),
        sql("INSERT INTO t VALUES ('one')"),
        sql("INSERT INTO t VALUES ('two')"),
        sql("COMMIT"),
        { "do": "kv", "operation": "set", "key": "after", "value": "yes" },
    ])
}

#[test]
fn a_crash_at_any_call_leaves_what_was_committed() {
    let prepare = json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")]);
    let seen = json!([sql("SELECT a FROM t"), { "do": "kv", "operation": "get", "key": "after" }]);
    let calls = 6;
    for crash_after in [false, true] {
        for k in 1..=calls {
            host::sim::run(async {
                let dir = tempfile::tempdir().unwrap();
                let hub = probe(dir.path()).simulated(k, new_year()).start().await.unwrap();
                run(&hub, prepare.clone()).await;
                let fault = Fault::on(Target::Any).nth(k);
                hub.faults().push(if crash_after { fault.crash_after() } else { fault.crash_before() });
                assert_eq!(try_run(&hub, story()).await, Err(RequestError::Killed));
                assert_eq!(hub.host_calls().len() as u64, 2 + k, "nothing runs after the crash");
                assert_eq!(try_run(&hub, story()).await, Err(RequestError::Killed));

                let hub = probe(dir.path()).simulated(k, new_year()).start().await.unwrap();
                let outcomes = run(&hub, seen.clone()).await;
                let done = k - u64::from(!crash_after);
                let rows = match done {
                    0 => json!([]),
                    1..=4 => json!([["before"]]),
                    _ => json!([["before"], ["one"], ["two"]]),
                };
                let value = if done >= 6 { json!("yes") } else { json!(null) };
                assert_eq!(outcomes, json!([rows, value]), "after {done} calls");
                // No lock is left behind.
                assert_eq!(run(&hub, json!([sql("INSERT INTO t VALUES ('next')")])).await, json!([[]]));
            });
        }
    }
}

#[test]
fn a_kill_ends_every_request_and_releases_every_lock() {
    simulated(async |hub, dir| {
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")])).await;
        let writer =
            try_run(&hub, json!([sql("BEGIN IMMEDIATE"), sql("INSERT INTO t VALUES (1)"), { "do": "sleep", "millis": 60_000 }]));
        let waiter = try_run(&hub, json!([{ "do": "sleep", "millis": 5 }, sql("BEGIN IMMEDIATE")]));
        let killer = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            hub.kill();
            let other = rusqlite::Connection::open(dir.path().join("sqlite_db.db")).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
        };
        let (writer, waiter, ()) = tokio::join!(writer, waiter, killer);
        assert_eq!((writer, waiter), (Err(RequestError::Killed), Err(RequestError::Killed)));
        let hub = probe(dir.path()).simulated(1, new_year()).start().await.unwrap();
        assert_eq!(run(&hub, json!([sql("SELECT a FROM t")])).await, json!([[]]));
    });
}

#[test]
fn a_trap_is_one_requests_problem_and_says_nothing_of_its_cause() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("CREATE TABLE t (a)")])).await;
        let steps = json!([sql("BEGIN IMMEDIATE"), sql("INSERT INTO t VALUES (1)"), { "do": "trap" }]);
        let answer = hub.request(post("/probe/run", &steps)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(!body.contains("trap") && !body.contains("wasm"), "{body}");
        assert!(hub.logs().iter().any(|line| line.contains("the probe was told to trap")));
        assert!(hub.logs().iter().any(|line| line.contains("\"component\":\"probe\"")));
        assert_eq!(run(&hub, json!([sql("SELECT a FROM t"), sql("INSERT INTO t VALUES (2)")])).await, json!([[], []]));
        // An error that the guest returns instead of an answer is the same to a client.
        let answer = hub.request(get("/probe/nothing")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    });
}

#[test]
fn a_request_that_never_ends_is_ended() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("CREATE TABLE t (a)")])).await;
        let steps = json!([sql("BEGIN IMMEDIATE"), sql("INSERT INTO t VALUES (1)"), { "do": "sleep", "millis": 3_600_000 }]);
        let answer = hub.request(post("/probe/run", &steps)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        hub.clock().advance(Duration::from_secs(3)).await;
        // Its instance is gone, and the lock with it.
        assert_eq!(run(&hub, json!([sql("INSERT INTO t VALUES (2)"), sql("SELECT a FROM t")])).await, json!([[], [[2]]]));
    });
}

/// Everything that can be observed of a run of mixed requests under faults.
fn observe(seed: u64) -> (Vec<String>, Vec<String>, String, usize) {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = probe(dir.path()).simulated(seed, new_year()).start().await.unwrap();
        hub.outbound("peer.example", async |request| {
            tokio::time::sleep(Duration::from_millis(request.body().len() as u64)).await;
            Response::new(request.into_body())
        });
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a, b)")])).await;
        for n in 1..40 {
            let target = match n % 4 {
                0 => Target::Sql,
                1 => Target::KeyValue,
                2 => Target::Outbound("peer".to_owned()),
                _ => Target::Any,
            };
            let fault = Fault::on(target).nth(n * 7);
            hub.faults().push(match n % 3 {
                0 => fault.fail("injected"),
                1 => fault.delay(Duration::from_millis(n)),
                _ => fault.drop_connection(),
            });
        }
        let requests = (0..200).map(|n| request(&hub, n));
        let answers = futures::future::join_all(requests).await;
        let logs = hub.logs();
        let calls = hub.host_calls().len();
        hub.stop().await;
        let database = rusqlite::Connection::open(dir.path().join("sqlite_db.db")).unwrap();
        let mut statement = database.prepare("SELECT rowid, a, b FROM t ORDER BY rowid").unwrap();
        let rows = statement
            .query_map([], |row| Ok(format!("{:?} {:?} {:?}", row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?)))
            .unwrap();
        let dump = rows.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        (answers, logs, dump, calls)
    })
}

async fn request(hub: &Hub, n: usize) -> String {
    let steps = match n % 5 {
        0 => json!([{ "do": "random" }, { "do": "now" }, sql("SELECT count(*) FROM t")]),
        1 => json!([
            sql("BEGIN IMMEDIATE"),
            { "do": "sql", "sql": "INSERT INTO t VALUES (?, random() IS NULL)", "parameters": [n] },
            { "do": "sleep", "millis": n % 7 },
            sql("COMMIT"),
        ]),
        2 => {
            json!([{ "do": "kv", "operation": "set", "key": n.to_string(), "value": "v" }, { "do": "kv", "operation": "keys" }])
        }
        3 => json!([
            { "do": "http", "method": "POST", "url": "https://peer.example/", "body": "x".repeat(n) },
            { "do": "http", "url": "http://hidden.spin.internal/count" },
            { "do": "print", "text": n.to_string() },
        ]),
        _ if n % 100 == 4 => json!([{ "do": "sleep", "millis": n }, { "do": "trap" }]),
        _ => json!([{ "do": "sleep", "millis": n }, { "do": "random" }]),
    };
    match hub.request(post("/probe/run", &steps)).await {
        Ok(answer) => format!("{} {:?} {:?}", answer.status(), answer.headers(), answer.body()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn two_runs_with_one_seed_are_the_same_to_the_byte() {
    let first = observe(42);
    assert_eq!(first.0.len(), 200);
    assert!(first.0.iter().any(|answer| answer.contains("injected")), "the faults do strike");
    assert!(first.3 > 300, "{} host calls", first.3);
    for _ in 0..2 {
        let again = observe(42);
        assert_eq!(first.0, again.0);
        assert_eq!(first.1, again.1);
        assert_eq!(first.2, again.2);
    }
    assert_ne!(first.0, observe(43).0);
}
