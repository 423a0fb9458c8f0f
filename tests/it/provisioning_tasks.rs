//! The task engine: people's steps, failures, repetitions, crashes and runners that overlap.

use crate::provisioning_support::{ATTEMPTS, again, break_sql, run_out, say, steps, subscribe, subscription, task};
use crate::tasks_walk::turn;
use host::{Fault, Kind, Target};
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{INTERNAL_SECRET, Shop, World, simulated};

#[test]
fn a_person_completes_a_manual_step() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.manual).send().await;
        let id = asked.text("/id");
        // Not yet: its turn has not come.
        say(&world, &shop.admin, &asked.json(), "complete", json!({})).await.expect_problem(409, "step_not_manual");
        world.settle().await;
        let waiting = task(&world, &shop.admin, &asked).await;
        assert_eq!((&waiting["status"], steps(&waiting)), (&json!("MANUAL"), vec!["SUCCESS", "MANUAL", "NOT_STARTED"]));
        assert!(waiting["steps"][1]["message"].as_str().unwrap().contains(&format!("/v1/tasks/{id}/steps/PROVISION/complete")));
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);

        for (path, body, status, code) in [
            ("ACTIVATE/complete", json!({}), 409, "step_not_manual"),
            ("CHECK_CONTRACT/fail", json!({ "message": "no" }), 409, "step_not_manual"),
            ("DANCE/complete", json!({}), 400, "bad_path"),
            ("PROVISION/fail", json!({}), 422, "invalid_request"),
            ("PROVISION/fail", json!({ "message": "" }), 422, "invalid_request"),
        ] {
            world.post(&format!("/v1/tasks/{id}/steps/{path}"), body).by(&shop.admin).send().await.expect_problem(status, code);
        }

        let done = say(&world, &shop.admin, &waiting, "complete", json!({ "message": "rack 12" })).await;
        assert_eq!((done.expect(200).text("/status"), done.text("/steps/1/message")), ("IN_PROGRESS".into(), "rack 12".into()));
        say(&world, &shop.admin, &waiting, "complete", json!({})).await.expect_problem(409, "step_not_manual");
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], &ended["steps"][1]["message"]), (&json!("SUCCESS"), &json!("rack 12")));
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "ACTIVE");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

#[test]
fn two_people_at_once_complete_a_step_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.manual).header("prefer", "wait=1").send().await.json();
        let calls = (0..6)
            .map(|n| say(&world, &shop.admin, &asked, if n % 2 == 0 { "complete" } else { "fail" }, json!({ "message": "me" })));
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status() == 409).count(), 5);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
    });
}

#[test]
fn a_person_fails_a_manual_step_and_the_task_is_undone() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.manual).header("prefer", "wait=1").send().await;
        let failed = say(&world, &shop.admin, &asked.json(), "fail", json!({ "message": "no fibre in the street" })).await;
        assert_eq!(failed.expect(200).text("/steps/1/status"), "ERROR");
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], &ended["message"]), (&json!("ERROR"), &json!("no fibre in the street")));
        assert_eq!(steps(&ended), ["UNDONE", "ERROR", "NOT_STARTED"]);
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
        say(&world, &shop.admin, &ended, "complete", json!({})).await.expect_problem(409, "step_not_manual");
    });
}

#[test]
fn a_contract_that_ended_meanwhile_stops_the_task() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        world.database().execute("UPDATE contracts SET status = 'PENDING_APPROVAL'", []).unwrap();
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["ERROR", "NOT_STARTED", "NOT_STARTED"]));
        let made = subscription(&world, &shop.admin, &ended).await;
        assert_eq!(made["status"], "FAILED");
        assert!(ended["message"].as_str().unwrap().contains(made["contractId"].as_str().unwrap()), "{ended}");
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
        // Another contract does not stand in for the one that was named at first.
        world.contract(&shop.operator, &shop.provider, &shop.builtin).await;
        subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=1").send().await.expect(200);
    });
}

/// A statement that only this step makes, and what the steps come to when it never succeeds.
const STEPS: [(&str, [&str; 3]); 3] = [
    ("c.provider_id = ?1 AND c.service_id = ?2", ["ERROR", "NOT_STARTED", "NOT_STARTED"]),
    ("INSERT INTO entitlements", ["UNDONE", "ERROR", "NOT_STARTED"]),
    ("UPDATE subscriptions SET", ["UNDONE", "UNDONE", "ERROR"]),
];

#[test]
fn whichever_step_keeps_failing_everything_is_undone() {
    for (statement, expected) in STEPS {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let asked = subscribe(&world, &shop, &shop.builtin).send().await;
            break_sql(&world, statement, ATTEMPTS);
            run_out(&world).await;
            let ended = task(&world, &shop.admin, &asked).await;
            assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), expected.to_vec()), "{ended}");
            assert!(ended["message"].as_str().unwrap().contains("10 attempts"), "{ended}");
            assert!(!ended.to_string().contains("disk I/O"), "the fault itself is for the log: {ended}");
            assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
            assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        });
    }
}

#[test]
fn whichever_step_fails_for_a_while_the_task_succeeds_in_the_end() {
    for (statement, _) in STEPS {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let asked = subscribe(&world, &shop, &shop.builtin).send().await;
            break_sql(&world, statement, ATTEMPTS - 1);
            world.settle().await;
            let trying = task(&world, &shop.admin, &asked).await;
            assert_eq!(trying["status"], "IN_PROGRESS");
            assert!(trying.to_string().contains("there will be another"), "{trying}");
            run_out(&world).await;
            let ended = task(&world, &shop.admin, &asked).await;
            assert_eq!((&ended["status"], steps(&ended)), (&json!("SUCCESS"), vec!["SUCCESS"; 3]), "{ended}");
            let attempts: i64 = ended["steps"].as_array().unwrap().iter().filter_map(|step| step["attempts"].as_i64()).sum();
            assert_eq!(attempts, 3 + 9, "{ended}");
            assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 1);
        });
    }
}

#[test]
fn an_undo_that_keeps_failing_is_parked_and_goes_on_when_replayed() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        break_sql(&world, "UPDATE subscriptions SET", ATTEMPTS);
        break_sql(&world, "DELETE FROM entitlements", ATTEMPTS);
        run_out(&world).await;
        let stuck = task(&world, &shop.admin, &asked).await;
        assert_eq!((&stuck["status"], steps(&stuck)), (&json!("IN_PROGRESS"), vec!["SUCCESS", "SUCCESS", "ERROR"]), "{stuck}");
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 1);
        let operator = again(&world, &shop.operator).await;
        let parked = world.get("/v1/jobs?state=PARKED").by(&operator).send().await;
        let job = parked.expect(200).text("/items/0/id");
        assert!(stuck["steps"][1]["message"].as_str().unwrap().contains(&job), "{stuck}");

        world.post(&format!("/v1/jobs/{job}/replay"), json!({})).by(&operator).send().await.expect(200);
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["UNDONE", "UNDONE", "ERROR"]), "{ended}");
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
    });
}

#[test]
fn a_job_that_kills_its_runner_every_time_is_parked_and_takes_no_other_with_it() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        let deadly = subscribe(&world, &shop, &shop.builtin).send().await;
        // Claimed together with the deadly one, after it.
        let innocent = subscribe(&world, &shop, &shop.manual).send().await;
        for death in 1..=ATTEMPTS {
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE state = 'PARKED'"), 0, "{death}");
            world.hub.faults().push(Fault::on(Target::SqlMatching("INSERT INTO entitlements".into())).crash_before());
            while world.hub.tick().await.is_ok_and(|next| next == Some(0)) {}
            world.restart().await;
            world.hub.clock().advance(Duration::from_secs(61)).await;
        }
        world.settle().await;
        let operator = again(&world, &shop.operator).await;
        let parked = world.get("/v1/jobs?state=PARKED").by(&operator).send().await;
        assert_eq!(parked.expect(200).at("/items").as_array().unwrap().len(), 1);
        assert!(parked.text("/items/0/lastError").contains("died"), "{}", parked.json());
        assert_eq!(task(&world, &shop.admin, &innocent).await["status"], "MANUAL");
        // What killed it is gone: a replay goes on where it was.
        let job = parked.text("/items/0/id");
        world.post(&format!("/v1/jobs/{job}/replay"), json!({})).by(&operator).send().await.expect(200);
        world.settle().await;
        assert_eq!(task(&world, &shop.admin, &deadly).await["status"], "SUCCESS");
    });
}

/// A manual service that was provisioned by a person and whose last step then fails.
async fn to_be_undone_by_hand(world: &World, shop: &Shop) -> Value {
    let asked = subscribe(world, shop, &shop.manual).header("prefer", "wait=1").send().await;
    break_sql(world, "UPDATE subscriptions SET", ATTEMPTS);
    say(world, &shop.admin, &asked.json(), "complete", json!({ "message": "rack 12" })).await.expect(200);
    run_out(world).await;
    let waiting = task(world, &shop.admin, &asked).await;
    assert_eq!((&waiting["status"], steps(&waiting)), (&json!("MANUAL"), vec!["SUCCESS", "UNDO_MANUAL", "ERROR"]), "{waiting}");
    waiting
}

#[test]
fn what_a_person_did_a_person_undoes() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let waiting = to_be_undone_by_hand(&world, &shop).await;
        let undone = say(&world, &shop.admin, &waiting, "complete", json!({ "message": "taken out" })).await;
        assert_eq!(undone.expect(200).text("/steps/1/status"), "UNDONE");
        world.settle().await;
        let ended = task(&world, &shop.admin, &undone).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["UNDONE", "UNDONE", "ERROR"]), "{ended}");
    });
}

#[test]
fn what_a_person_cannot_undo_is_named() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let waiting = to_be_undone_by_hand(&world, &shop).await;
        let left = say(&world, &shop.admin, &waiting, "fail", json!({ "message": "the key is lost" })).await;
        world.settle().await;
        let ended = task(&world, &shop.admin, &left).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["UNDONE", "UNDO_FAILED", "ERROR"]), "{ended}");
        assert!(ended["message"].as_str().unwrap().ends_with("PROVISION could not be undone: the key is lost"), "{ended}");
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
    });
}

#[test]
fn a_task_of_another_version_is_parked_with_a_message_and_goes_on_under_its_own() {
    for (vandalism, repair) in [
        (
            "UPDATE task_steps SET name = 'REBOOT' WHERE position = 0",
            "UPDATE task_steps SET name = 'CHECK_CONTRACT' WHERE position = 0",
        ),
        ("UPDATE tasks SET task_type = 'NODE_POWER'", "UPDATE tasks SET task_type = 'SUBSCRIPTION_PROVISION'"),
    ] {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let asked = subscribe(&world, &shop, &shop.builtin).send().await;
            world.database().execute(vandalism, []).unwrap();
            world.settle().await;
            let parked = world.get("/v1/jobs?state=PARKED").by(&shop.operator).send().await;
            let error = parked.expect(200).text("/items/0/lastError");
            assert!(error.starts_with("task_unknown") && error.contains(&asked.text("/id")), "{error}");
            let shown = task(&world, &shop.admin, &asked).await;
            assert!(shown["steps"][0]["message"].as_str().unwrap().contains("does not know"), "{shown}");
            world.get("/v1/tasks").by(&shop.admin).send().await.expect(200);

            world.database().execute(repair, []).unwrap();
            let replay = format!("/v1/jobs/{}/replay", parked.text("/items/0/id"));
            world.post(&replay, json!({})).by(&shop.operator).send().await.expect(200);
            world.settle().await;
            assert_eq!(task(&world, &shop.admin, &asked).await["status"], "SUCCESS");
        });
    }
}

/// What there must be in the end, however often and by however many it was run.
fn provisioned_once(world: &World) {
    assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions WHERE status = 'ACTIVE'"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE status = 'SUCCESS'"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM task_steps WHERE status = 'SUCCESS'"), 3);
    assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
}

/// How many statements the component makes from the request until its task has ended.
async fn statements(world: &World, shop: &Shop) -> u64 {
    let before = world.hub.host_calls().len();
    subscribe(world, shop, &shop.builtin).send().await.expect(202);
    world.settle().await;
    provisioned_once(world);
    let calls = world.hub.host_calls();
    calls[before..].iter().filter(|call| call.kind == Kind::Sql && call.component == "provisioning").count() as u64
}

#[test]
fn wherever_the_hub_dies_the_task_ends_with_nothing_lost_and_nothing_twice() {
    let total = simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        statements(&world, &shop).await
    });
    assert!(total > 30, "{total}");
    for nth in 1..=total {
        for after in [false, true] {
            simulated(|| async {
                let mut world = World::new().await;
                let shop = world.shop().await;
                // The scheduler's own statements count too, so some of the last are never reached.
                let fault = Fault::on(Target::Sql).nth(nth);
                world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                if subscribe(&world, &shop, &shop.builtin).key("one").try_send().await.is_ok() {
                    let _ = world.hub.tick().await;
                }
                world.restart().await;
                // The caller repeats what it has no answer to. The lease of a runner that died ends after a minute.
                subscribe(&world, &shop, &shop.builtin).key("one").send().await.expect(202);
                world.hub.clock().advance(Duration::from_secs(61)).await;
                run_out(&world).await;
                provisioned_once(&world);
            });
        }
    }
}

/// The same hub with a request timeout that lets a runner sleep past its lease.
pub async fn patient(world: &mut World) {
    let now = world.hub.clock().now();
    world.hub.kill();
    world.hub = host::Hub::builder(tests::manifest())
        .data_dir(world.dir())
        .variable("internal_secret", INTERNAL_SECRET)
        .variable("data_key", tests::DATA_KEY)
        .variable("service_broker", "https://broker.example")
        .tick("/internal/tick", "internal_secret")
        .request_timeout(Duration::from_secs(100_000))
        .simulated(77, now)
        .start()
        .await
        .unwrap();
}

/// One runner: has the component run what is due.
async fn runner(world: &World) {
    let request = Request::post("/internal/jobs/run").header("authorization", format!("Bearer {INTERNAL_SECRET}"));
    world.hub.call_component("provisioning", request.body(Default::default()).unwrap()).await.unwrap();
}

#[test]
fn a_runner_that_wakes_up_after_its_lease_changes_nothing() {
    let mut overtaken = 0;
    for nth in 1..=40 {
        overtaken += simulated(|| async {
            let mut world = World::new().await;
            let shop = world.shop().await;
            patient(&mut world).await;
            subscribe(&world, &shop, &shop.builtin).send().await.expect(202);
            // One of the first runner's statements takes 90 seconds; after 61 the second runner takes the job over.
            world.hub.faults().push(Fault::on(Target::Sql).nth(nth).delay(Duration::from_secs(90)));
            let first = async {
                for _ in 0..4 {
                    runner(&world).await;
                }
            };
            let second = async {
                tokio::time::sleep(Duration::from_secs(61)).await;
                for _ in 0..4 {
                    runner(&world).await;
                }
            };
            futures::join!(first, second);
            run_out(&world).await;
            provisioned_once(&world);
            // Of two runners of one turn, one has settled it.
            assert_eq!(world.count("SELECT SUM(attempts) FROM task_steps"), 3, "at statement {nth}");
            usize::from(world.hub.logs().iter().any(|line| line.contains("job_fenced")))
        });
    }
    assert!(overtaken >= 3, "only {overtaken} of the delays let a second runner in");
}

#[test]
fn a_runner_that_wakes_up_after_the_task_was_undone_provisions_nothing() {
    // Before it looks whether the job is still its own, and after that, before it writes.
    for asleep in ["FROM services WHERE", "BEGIN IMMEDIATE"] {
        simulated(|| async {
            let mut world = World::new().await;
            let shop = world.shop().await;
            patient(&mut world).await;
            let asked = subscribe(&world, &shop, &shop.builtin).send().await;
            turn(&world, "provisioning").await;
            let fault = Fault::on(Target::SqlMatching(asleep.into())).nth(1);
            world.hub.faults().push(fault.delay(Duration::from_secs(50_000)));
            break_sql(&world, "INSERT INTO entitlements", ATTEMPTS);
            let others = async {
                tokio::time::sleep(Duration::from_secs(61)).await;
                run_out(&world).await;
            };
            let ((), ()) = futures::join!(turn(&world, "provisioning"), others);
            let ended = task(&world, &shop.admin, &asked).await;
            assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["UNDONE", "ERROR", "NOT_STARTED"]), "{ended}");
            assert!(world.hub.logs().iter().any(|line| line.contains("job_fenced")), "the first runner never woke up");
            assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
            assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
        });
    }
}

#[test]
fn many_tasks_and_several_runners_each_task_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let calls = (0..30).map(|_| subscribe(&world, &shop, &shop.builtin).send());
        for answer in futures::future::join_all(calls).await {
            answer.expect(202);
        }
        let runners = (0..4).map(|_| async {
            for _ in 0..12 {
                runner(&world).await;
            }
        });
        futures::future::join_all(runners).await;
        run_out(&world).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions WHERE status = 'ACTIVE'"), 30);
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 30);
        assert_eq!(world.count("SELECT SUM(attempts) FROM task_steps"), 90);
    });
}
