//! The hub's own scheduler.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use host::{Builder, Hub};
use http::Request;
use serde_json::{Value, json};

use crate::host_support::{get, manifest, new_year, post};

/// A probe whose tick answers what the test has put into its store, and prints when it came.
fn ticking(dir: &Path) -> Builder {
    Hub::builder(manifest()).data_dir(dir).variable("secret", "s3cret").tick("/probe/tick", "secret").simulated(1, new_year())
}

/// The seconds since the start at which ticks came.
fn ticks(hub: &Hub) -> Vec<u64> {
    let lines = hub.logs();
    lines.iter().filter_map(|line| line.strip_prefix("tick ")?.parse().ok()).collect()
}

async fn set(hub: &Hub, next: Value) {
    let steps = json!([{ "do": "kv", "operation": "set", "key": "next", "value": next.to_string() }]);
    let answer = hub.request(post("/probe/run", &steps)).await.unwrap();
    assert!(answer.status().is_success());
}

#[test]
fn a_tick_by_hand() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = ticking(dir.path()).start().await.unwrap();
        assert_eq!(hub.tick().await.unwrap(), None);
        set(&hub, json!(1500)).await;
        assert_eq!(hub.tick().await.unwrap(), Some(1500));
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(ticks(&hub).len(), 2, "none but those asked for");

        // The route is an ordinary one: who has no secret gets nothing.
        let answer = hub.request(post("/probe/tick", &json!(null))).await.unwrap();
        assert_eq!(answer.status(), 401);
        let request = Request::builder().method("POST").uri("/probe/tick").header("authorization", "Bearer s3cret");
        let answer = hub.request(request.body(Bytes::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
    });
}

#[test]
fn ticks_come_when_the_last_one_said_and_after_changes() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = ticking(dir.path()).auto_tick(true).start().await.unwrap();
        let sleep = async |seconds: u64| tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
        sleep(65).await;
        assert_eq!(ticks(&hub), [0, 30, 60], "idle: every 30 s");
        set(&hub, json!(2000)).await;
        sleep(5).await;
        assert_eq!(ticks(&hub)[3..], [65, 67, 69], "at once after a change, then as told");
        hub.request(get("/probe/count")).await.unwrap();
        hub.request(post("/nowhere", &json!(null))).await.unwrap();
        sleep(0).await;
        assert_eq!(ticks(&hub).len(), 6, "reading changes nothing, nor does what failed");
        set(&hub, json!(null)).await;
        sleep(29).await;
        assert_eq!(ticks(&hub).len(), 7);
        hub.stop().await;
        sleep(100).await;
        assert_eq!(ticks(&hub).len(), 7);
    });
}

#[test]
fn many_changes_make_one_tick_and_never_two_at_once() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = ticking(dir.path()).auto_tick(true).start().await.unwrap();
        let sleep = async |millis| tokio::time::sleep(Duration::from_millis(millis)).await;
        let changes = || futures::future::join_all((0..20).map(|_| set(&hub, json!(null))));
        sleep(1).await;
        let slow = json!([{ "do": "kv", "operation": "set", "key": "slow", "value": "yes" }]);
        hub.request(post("/probe/run", &slow)).await.unwrap();
        // A tick now takes two seconds, from 0 to 2; changes in it make exactly one more, from 2 to 4; and so on.
        sleep(500).await;
        changes().await;
        sleep(500).await;
        changes().await;
        sleep(1500).await;
        changes().await;
        sleep(5000).await;
        assert_eq!(ticks(&hub), [0, 0, 2, 4]);
        let order: Vec<_> = hub.logs().into_iter().filter(|l| l.starts_with("ti") || l == "tock").collect();
        for pair in order.chunks(2) {
            assert!(pair[0].starts_with("tick") && pair[1] == "tock", "{order:?}");
        }
    });
}

#[test]
fn a_tick_that_fails_is_logged_and_tried_again() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = ticking(dir.path()).auto_tick(true).start().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        set(&hub, json!("nonsense")).await;
        tokio::time::sleep(Duration::from_millis(3500)).await;
        let failures = hub.logs().iter().filter(|line| line.contains("tick failed")).count();
        assert_eq!(failures, 4, "at 0, 1, 2 and 3 s: {:?}", hub.logs());
        assert!(!hub.logs().join("\n").contains("s3cret"));
    });
}

#[test]
fn a_tick_needs_its_variable() {
    host::sim::run(async {
        let builder = Hub::builder(manifest()).data_dir("").variable("secret", "x").tick("/probe/tick", "other");
        let error = format!("{:#}", builder.simulated(1, new_year()).start().await.err().unwrap());
        assert!(error.contains("other") && error.contains("[variables]"), "{error}");
    });
}
