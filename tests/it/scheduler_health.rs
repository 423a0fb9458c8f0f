//! `/health`: what it asks, how often, and what one component that is down does to it.

use host::{Fault, Kind, Target};
use serde_json::json;
use std::time::Duration;
use tests::{World, simulated};

/// How many components the scheduler has asked for their health.
fn asked(world: &World) -> usize {
    let calls = world.hub.host_calls();
    calls.iter().filter(|call| call.kind == Kind::Outbound && call.detail.contains("/health/")).count()
}

/// How many components the manifest has beside the scheduler.
fn others() -> usize {
    let manifest = std::fs::read_to_string(tests::manifest()).unwrap();
    let components = manifest.lines().filter_map(|line| line.strip_prefix("[component.")?.strip_suffix(']'));
    components.filter(|name| !name.contains('.') && *name != "scheduler").count()
}

/// A second later the last check no longer stands.
async fn later() {
    tokio::time::sleep(Duration::from_millis(1001)).await;
}

#[test]
fn components_are_asked_once_a_second_for_all_callers() {
    simulated(|| async {
        let world = World::new().await;
        let all = || futures::future::join_all((0..60).map(|_| world.get("/health").send()));
        for answer in all().await {
            answer.expect(200);
            assert_eq!((answer.at("/status"), answer.at("/down")), (json!("UP"), json!([])));
            assert_eq!(answer.at("/components").as_array().map(Vec::len), Some(others() + 1));
        }
        assert_eq!(asked(&world), others(), "one check for 60 callers at once");
        all().await;
        assert_eq!(asked(&world), others(), "and for 60 more within the second");
        later().await;
        for answer in all().await {
            answer.expect(200);
        }
        assert_eq!(asked(&world), 2 * others());
    });
}

#[test]
fn a_component_that_is_down_is_named_and_the_others_are_ready() {
    simulated(|| async {
        let world = World::new().await;
        world.hub.faults().push(Fault::on(Target::Outbound("billing.spin.internal".into())).fail("gone"));
        // One that neither answers nor fails.
        world.hub.faults().push(Fault::on(Target::Outbound("vsphere.spin.internal".into())).delay(Duration::from_secs(3600)));
        let before = world.hub.clock().now();
        let answer = world.get("/health").send().await;
        answer.expect(200);
        assert_eq!(answer.at("/status"), "DEGRADED");
        assert_eq!(answer.at("/down"), json!(["billing", "vsphere"]));
        assert!(!answer.at("/components").as_array().unwrap().contains(&json!("billing")));
        assert!(world.hub.clock().now().duration_since(before).unwrap() < Duration::from_secs(3));
        assert!(
            world.hub.logs().iter().any(|line| line.contains("a component is down") && line.contains("billing/health/billing"))
        );
        world.hub.faults().clear();
        later().await;
        let answer = world.get("/health").send().await;
        assert_eq!((answer.expect(200).at("/status"), answer.at("/down")), (json!("UP"), json!([])));
    });
}

#[test]
fn it_is_503_when_no_component_or_no_database_answers() {
    simulated(|| async {
        let world = World::new().await;
        world.hub.faults().push(Fault::on(Target::Outbound(".spin.internal".into())).fail("gone"));
        world.get("/health").send().await.expect_problem(503, "temporarily_unavailable");
        // The check stands for a second, also a bad one.
        world.hub.faults().clear();
        world.get("/health").send().await.expect_problem(503, "temporarily_unavailable");
        later().await;
        world.get("/health").send().await.expect(200);
        later().await;
        world.hub.faults().push(Fault::on(Target::SqlMatching("UPDATE health_checks".into())).fail("disk I/O error"));
        world.get("/health").send().await.expect_problem(503, "temporarily_unavailable");
        world.hub.faults().clear();
        world.get("/health").send().await.expect(200);
    });
}

#[test]
fn a_check_that_breaks_off_is_made_by_another_caller_a_second_later() {
    simulated(|| async {
        let mut world = World::new().await;
        world.hub.faults().push(Fault::on(Target::Outbound("billing.spin.internal".into())).crash_before());
        assert!(world.get("/health").try_send().await.is_err());
        world.restart().await;
        // Nobody ends the check that was begun; it is not waited for for ever.
        world.get("/health").send().await.expect_problem(503, "temporarily_unavailable");
        world.get("/health").send().await.expect(200);
    });
}

#[test]
fn a_hub_that_cannot_write_is_not_healthy_and_heals_without_a_restart() {
    simulated(|| async {
        let world = World::new().await;
        world.get("/health").send().await.expect(200);
        for (statement, why) in [
            ("UPDATE health_checks", "attempt to write a readonly database"),
            ("COMMIT", "database or disk is full"),
            ("BEGIN", "unable to open database file"),
        ] {
            later().await;
            world.hub.faults().push(Fault::on(Target::SqlMatching(statement.into())).fail(why));
            world.get("/health").send().await.expect(503);
            assert!(world.hub.logs().join("\n").contains(why), "{:?}", world.hub.logs());
            world.hub.faults().clear();
            later().await;
            world.get("/health").send().await.expect(200);
        }
    });
}

#[test]
fn a_database_that_is_moved_away_is_noticed_and_never_made_anew() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        for suffix in ["", "-wal"] {
            later().await;
            world.get("/health").send().await.expect(200);
            let file = world.dir().join(format!("sqlite_db.db{suffix}"));
            let aside = world.dir().join("aside");
            std::fs::rename(&file, &aside).unwrap();
            later().await;
            world.get("/health").send().await.expect(503);
            let new = json!({
                "kind": "PROVIDER", "displayName": "P", "companyName": "P Ltd.", "country": "US", "currency": "USD"
            });
            world.post("/v1/organizations", new.clone()).by(&operator).send().await.expect(503);
            assert!(!file.exists(), "nothing stands in its place");
            assert!(world.hub.logs().join("\n").contains("was moved or removed under the hub"), "{:?}", world.hub.logs());
            // Put back as it was, it is the database again.
            std::fs::rename(&aside, &file).unwrap();
            later().await;
            world.get("/health").send().await.expect(200);
            world.post("/v1/organizations", new).by(&operator).send().await.expect(201);
        }
    });
}
