//! `/internal/start` and `/internal/stop`: the hub says at its start what is wrong with its variables and its database, and gives
//! back at its end what it has claimed.

use bytes::Bytes;
use host::{Fault, Target};
use http::Request;
use serde_json::json;
use std::{path::Path, time::Duration};
use tests::{DATA_KEY, INTERNAL_SECRET, World, builder, simulated, start_of_tests};

const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

async fn refusal(builder: host::Builder) -> String {
    let text = format!("{:#}", builder.lifecycle(true).start().await.err().expect("a refusal"));
    assert!(!text.contains('\n'), "{text}");
    text
}

fn on(dir: &Path, seed: u64) -> host::Builder {
    builder(dir, seed, start_of_tests() + Duration::from_secs(60))
}

#[test]
fn weak_and_mistyped_variables_stop_the_start() {
    simulated(|| async {
        let cases = [
            ("data_key", "0123", "data_key must be 64 hexadecimal digits and has 4 characters"),
            ("data_key", "", "data_key must be 64 hexadecimal digits"),
            ("data_key", &DATA_KEY.replace('0', "x"), "data_key must be 64 hexadecimal digits"),
            ("data_key", &format!("{DATA_KEY}\n"), "data_key ends with a line break"),
            ("internal_secret", "secret", "internal_secret has 6 characters and must have at least 32"),
            ("internal_secret", "", "internal_secret has 0 characters"),
        ];
        for (name, value, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            let why = refusal(on(dir.path(), 1).variable(name, value)).await;
            assert!(why.contains(expected), "{name}: {why}");
            // On Spin nobody asks at the start, so the first request finds it. Its caller is told nothing of variables.
            let hub = on(dir.path(), 2).variable(name, value).start().await.unwrap();
            for path in ["/health", "/v1/me", "/health/billing"] {
                let answer = hub.request(Request::get(path).body(Bytes::new()).unwrap()).await.unwrap();
                assert_eq!(answer.status(), 503, "{path}");
                assert!(!String::from_utf8_lossy(answer.body()).contains(name));
            }
            assert!(hub.logs().iter().any(|line| line.contains(expected)), "{name}: {:?}", hub.logs());
            assert!(!dir.path().join("sqlite_db.db").metadata().is_ok_and(|file| file.len() > 0), "nothing is written");
        }
    });
}

#[test]
fn another_data_key_stops_the_start_until_it_is_accepted() {
    simulated(|| async {
        let mut world = World::with(|builder| builder.lifecycle(true)).await;
        let operator = world.bootstrap().await;
        world.hub.kill();
        let dir = world.dir().to_owned();
        let why = refusal(on(&dir, 2).variable("data_key", OTHER_KEY)).await;
        assert!(
            why.contains("data_key is not the one that this database was sealed with") && why.contains("--accept data-key"),
            "{why}"
        );
        // As on Spin.
        let hub = on(&dir, 3).variable("data_key", OTHER_KEY).start().await.unwrap();
        let answer = hub.request(Request::get("/health").body(Bytes::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 503);
        hub.kill();
        assert!(refusal(on(&dir, 4).accept("anything")).await.contains("accept"));
        // The right one still opens it.
        on(&dir, 5).lifecycle(true).start().await.unwrap().kill();
        on(&dir, 6).variable("data_key", OTHER_KEY).accept("data-key").lifecycle(true).start().await.unwrap().kill();
        assert!(refusal(on(&dir, 7)).await.contains("data_key is not the one"));
        world.hub = on(&dir, 8).variable("data_key", OTHER_KEY).lifecycle(true).start().await.unwrap();
        world.get("/v1/me").by(&operator).send().await.expect(200);
    });
}

#[test]
fn a_database_from_before_is_known_by_what_is_sealed_in_it() {
    simulated(|| async {
        let mut world = World::new().await;
        let operator = world.bootstrap().await;
        let body = json!({ "alias": "one", "username": "root", "password": "Sesame-0pen-door!", "description": "x" });
        world.post("/v1/stored-passwords", body).by(&operator).send().await.expect(201);
        // As the step that brought the text by which the key is known left it.
        world.database().execute("UPDATE hub SET key_check = NULL", []).unwrap();
        world.hub.kill();
        let dir = world.dir().to_owned();
        assert!(refusal(on(&dir, 2).variable("data_key", OTHER_KEY)).await.contains("data_key is not the one"));
        assert_eq!(world.count("SELECT COUNT(*) FROM hub WHERE key_check IS NULL"), 1, "and nothing is kept of the wrong one");
        on(&dir, 3).lifecycle(true).start().await.unwrap().kill();
        assert!(refusal(on(&dir, 4).variable("data_key", OTHER_KEY)).await.contains("data_key is not the one"));
        world.hub = on(&dir, 5).lifecycle(true).start().await.unwrap();
        world.get("/v1/stored-passwords").by(&operator).send().await.expect(200);
    });
}

#[test]
fn a_newer_database_stops_the_start() {
    simulated(|| async {
        let world = World::new().await;
        world.bootstrap().await;
        world.database().execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'later')", []).unwrap();
        world.hub.kill();
        let why = refusal(on(world.dir(), 2)).await;
        assert!(why.contains("schema step 9999") && why.contains("at least as new"), "{why}");
    });
}

#[test]
fn a_tick_that_leads_nowhere_stops_the_start() {
    simulated(|| async {
        let dir = tempfile::tempdir().unwrap();
        let why = refusal(on(dir.path(), 1).tick("/internal/tock", "internal_secret")).await;
        assert!(why.contains("--tick /internal/tock") && why.contains("--tick /internal/tick"), "{why}");
        let why = refusal(on(dir.path(), 1).tick("/internal/tick", "data_key")).await;
        assert!(why.contains("--tick-variable data_key") && why.contains("internal_secret"), "{why}");
    });
}

#[test]
fn starting_and_stopping_are_for_who_runs_the_hub() {
    simulated(|| async {
        let world = World::new().await;
        for path in ["/internal/start", "/internal/stop"] {
            world.post(path, json!({})).bearer("nonsense").send().await.expect_problem(401, "internal_secret_wrong");
            world.post(path, json!({ "x": 1 })).bearer(INTERNAL_SECRET).send().await.expect(422);
        }
        world.post("/internal/start", json!({})).bearer(INTERNAL_SECRET).send().await.expect(200);
    });
}

/// A hub with a job that runs for as long as the peer it asks, and another that waits behind it.
async fn busy() -> (World, tests::Actor) {
    let world = World::with(|builder| builder.lifecycle(true)).await;
    let operator = world.bootstrap().await;
    world.hub.outbound("packages.example", |_| std::future::pending());
    for name in ["one", "two"] {
        let body = json!({ "displayName": name, "baseUrl": format!("https://packages.example/{name}") });
        world.post("/v1/package-repositories", body).by(&operator).send().await.expect(201);
    }
    (world, operator)
}

fn jobs(world: &World) -> Vec<(String, i64, i64)> {
    let database = world.database();
    let mut statement = database.prepare("SELECT state, due_at, attempts FROM jobs ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_hub_that_stops_gives_back_what_it_claimed() {
    simulated(|| async {
        let (mut world, _) = busy().await;
        let claimed = async {
            // Until the tick is under way and its first job asks a peer that does not answer.
            while !jobs(&world).iter().any(|job| job.0 == "RUNNING") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = world.hub.tick() => panic!("the peer answered"),
            () = claimed => {}
        }
        world.hub.stop().await;
        let now = world.hub.clock().now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
        let left = jobs(&world);
        assert_eq!(left.len(), 2);
        for (state, due_at, attempts) in &left {
            assert_eq!((state.as_str(), attempts), ("READY", &0), "{left:?}");
            assert!(*due_at <= now, "{left:?} at {now}");
        }
        // Another hub begins with them at once.
        world.hub = builder(world.dir(), 2, world.hub.clock().now()).lifecycle(true).start().await.unwrap();
        world.hub.outbound("packages.example", |_| async { http::Response::builder().status(404).body(Bytes::new()).unwrap() });
        world.settle().await;
        assert!(jobs(&world).iter().all(|job| job.0 != "RUNNING"), "{:?}", jobs(&world));
        assert!(world.hub.logs().iter().filter(|line| line.contains(r#""msg":"job""#)).count() >= 2, "{:?}", world.hub.logs());
    });
}

#[test]
fn a_hub_that_stops_claims_nothing_more() {
    simulated(|| async {
        let (world, _) = busy().await;
        world.post("/internal/stop", json!({})).bearer(INTERNAL_SECRET).send().await.expect(200);
        let tick = world.post("/internal/tick", json!({})).bearer(INTERNAL_SECRET).send().await;
        assert_eq!(tick.expect(200).at("/ran"), json!(0));
        assert!(jobs(&world).iter().all(|job| job.0 == "READY"));
        assert_eq!(world.count("SELECT COUNT(*) FROM hub WHERE stopping_until > 0"), 1);
        world.post("/internal/start", json!({})).bearer(INTERNAL_SECRET).send().await.expect(200);
        assert_eq!(world.count("SELECT COUNT(*) FROM hub WHERE stopping_until > 0"), 0);
    });
}

#[test]
fn a_hub_that_stops_on_a_full_disk_says_what_is_left() {
    simulated(|| async {
        let (world, _) = busy().await;
        world.database().execute("UPDATE jobs SET state = 'RUNNING' WHERE id = (SELECT MIN(id) FROM jobs)", []).unwrap();
        world.hub.faults().push(Fault::on(Target::SqlMatching("COMMIT".into())).fail("database or disk is full"));
        world.hub.stop().await;
        let logs = world.hub.logs().join("\n");
        for said in ["1 claimed jobs could not be given back", "disk is full", "takes them up within 60 s; 1 more are due"] {
            assert!(logs.contains(said), "{said}: {logs}");
        }
    });
}
