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
fn a_tick_that_takes_long_keeps_no_change_waiting_and_many_changes_make_few_ticks() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = ticking(dir.path()).auto_tick(true).start().await.unwrap();
        let sleep = async |millis| tokio::time::sleep(Duration::from_millis(millis)).await;
        let begun = || hub.logs().iter().filter(|line| line.starts_with("tick ")).count();
        sleep(1).await;
        let slow = json!([{ "do": "kv", "operation": "set", "key": "slow", "value": "yes" }]);
        hub.request(post("/probe/run", &slow)).await.unwrap();
        sleep(100).await;
        assert_eq!(begun(), 2, "the second takes two seconds");
        // Changes of the first quarter of a second make one tick more, in the midst of the one under way.
        futures::future::join_all((0..20).map(|_| set(&hub, json!(null)))).await;
        assert_eq!(begun(), 2);
        sleep(200).await;
        assert_eq!(begun(), 3, "{:?}", hub.logs());
        // However many changes there are, no more than four are under way.
        for _ in 0..100 {
            set(&hub, json!(null)).await;
            sleep(37).await;
        }
        let quick = json!([{ "do": "kv", "operation": "delete", "key": "slow" }]);
        hub.request(post("/probe/run", &quick)).await.unwrap();
        sleep(10_000).await;
        let (mut now, mut most) = (0, 0);
        for line in hub.logs() {
            now = now + i32::from(line.starts_with("tick ")) - i32::from(line == "tock");
            most = most.max(now);
        }
        assert_eq!((now, most), (0, 4), "{:?}", hub.logs());
        assert!(begun() < 20, "{:?}", hub.logs());
    });
}

#[test]
fn what_falls_due_by_time_does_not_wait_for_a_tick_that_takes_long() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = ticking(dir.path()).auto_tick(true).start().await.unwrap();
        let slow = json!([{ "do": "kv", "operation": "set", "key": "slow", "value": "yes" }]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        hub.request(post("/probe/run", &slow)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1900)).await;
        assert_eq!(ticks(&hub), [0, 0, 1], "a second after the one under way began");
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
