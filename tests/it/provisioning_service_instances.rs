//! Subscriptions to what brokers offer: what brokers are asked and told, and that nothing is left at one whatever it does.

use crate::{
    provisioning_service_brokers_support::{Broker, Habit, Stall, run_out},
    provisioning_support::{again, subscription, task},
    provisioning_tasks::patient,
    tasks_walk::runner,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use host::{Fault, Kind, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Answer, World, simulated};

/// The task of an answer, when nothing is left to do.
async fn ended(world: &World, stall: &Stall, asked: &Answer) -> Value {
    run_out(world).await;
    task(world, &stall.shop.admin, asked).await
}

/// As many instances as subscriptions that are in force, and none twice.
fn check_no_orphan(world: &World, broker: &Broker) {
    let active = world.count("SELECT COUNT(*) FROM subscriptions WHERE status IN ('ACTIVE', 'ERROR')");
    assert_eq!(broker.instances().len() as i64, active, "{:?}", broker.instances());
    broker.check_ids();
}

#[test]
fn an_instance_is_made_by_the_book() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let id = stall.subscribed(&world).await;
        let seen = stall.broker.seen();
        assert_eq!(seen.len(), 1);
        let put = &seen[0];
        let guid = id.parse::<domain::Id<domain::id::Subscription>>().unwrap().uuid().to_string();
        assert_eq!((put.method.as_str(), put.path.clone()), ("PUT", format!("service_instances/{guid}?accepts_incomplete=true")));
        assert_eq!(put.headers["x-broker-api-version"], "2.17");
        assert_eq!(put.headers["authorization"], format!("Basic {}", STANDARD.encode("hub:secret-of-the-hub")));
        assert!(!put.headers["x-broker-api-request-identity"].is_empty());
        let (platform, identity) = put.headers["x-broker-api-originating-identity"].split_once(' ').unwrap();
        let identity: Value = serde_json::from_slice(&STANDARD.decode(identity).unwrap()).unwrap();
        assert_eq!((platform, &identity["organization_id"]), ("provider-hub", &json!(stall.shop.customer)));
        assert!(identity["principal_id"].as_str().unwrap().starts_with("tok_"), "{identity}");
        assert_eq!((&put.body["service_id"], &put.body["plan_id"]), (&json!("offering/1"), &json!("plan-small")));
        assert_eq!((&put.body["parameters"], &put.body["context"]["platform"]), (&json!({ "size": 3 }), &json!("provider-hub")));
        assert_eq!(
            (&put.body["organization_guid"], &put.body["space_guid"]),
            (&json!(stall.shop.customer), &json!(stall.shop.customer))
        );
        check_no_orphan(&world, &stall.broker);
    });
}

#[test]
fn an_operation_that_takes_its_time_is_looked_at_as_the_broker_asks() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        stall.broker.asynchronous(3);
        let asked = stall.subscribe(&world).await.unwrap();
        world.settle().await;
        let shown = task(&world, &stall.shop.admin, &asked).await;
        assert_eq!((&shown["status"], &shown["steps"][1]["status"]), (&json!("IN_PROGRESS"), &json!("IN_PROGRESS")), "{shown}");
        world.hub.clock().advance(Duration::from_secs(1)).await;
        world.settle().await;
        let shown = task(&world, &stall.shop.admin, &asked).await;
        assert!(shown["steps"][1]["message"].as_str().unwrap().contains("half-way"), "{shown}");
        // Retry-After is 7 seconds: not a look before.
        let looks = stall.broker.count("GET", "last_operation");
        world.hub.clock().advance(Duration::from_secs(6)).await;
        world.settle().await;
        assert_eq!(stall.broker.count("GET", "last_operation"), looks);
        let done = ended(&world, &stall, &asked).await;
        assert_eq!((&done["status"], &done["steps"][1]["attempts"]), (&json!("SUCCESS"), &json!(1)), "{done}");
        assert_eq!((stall.broker.count("PUT", ""), stall.broker.count("GET", "last_operation")), (1, 4));
        check_no_orphan(&world, &stall.broker);
    });
}

#[test]
fn a_broker_with_bad_habits_keeps_nothing() {
    // The habit, whether the hub has to clean up, and how the task ends.
    for (habit, mitigates, status) in [
        (Habit::Hangs, true, "ERROR"),
        (Habit::Late(40), true, "ERROR"),
        (Habit::Says(201, "garbage"), true, "ERROR"),
        (Habit::Says(201, "[]"), true, "ERROR"),
        (Habit::Says(202, r#"{"operation":{}}"#), true, "ERROR"),
        (Habit::Says(204, ""), true, "ERROR"),
        (Habit::Says(500, "{}"), true, "ERROR"),
        (Habit::Answers(503, "garbage"), true, "ERROR"),
        (Habit::Answers(200, "garbage"), false, "ERROR"),
        (Habit::Answers(400, r#"{"error":"Bad","description":"no such size"}"#), false, "ERROR"),
        (Habit::Answers(401, "{}"), false, "ERROR"),
        (Habit::Answers(409, "{}"), false, "ERROR"),
        (Habit::Answers(422, r#"{"error":"AsyncRequired"}"#), false, "ERROR"),
        (Habit::Answers(422, r#"{"error":"MaintenanceInfoConflict"}"#), false, "ERROR"),
        (Habit::Answers(302, ""), false, "ERROR"),
        (Habit::Answers(422, r#"{"error":"ConcurrencyError"}"#), false, "SUCCESS"),
        (Habit::Throttles(429, 30), false, "SUCCESS"),
        (Habit::Answers(408, ""), false, "SUCCESS"),
    ] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            stall.broker.habit("PUT", "", habit.clone());
            let asked = stall.subscribe(&world).await.unwrap();
            let done = ended(&world, &stall, &asked).await;
            assert_eq!(done["status"], status, "{habit:?}: {done}");
            assert_eq!(stall.broker.count("DELETE", "") > 0, mitigates, "{habit:?}");
            for clean in stall.broker.seen().iter().filter(|seen| seen.method == "DELETE") {
                assert!(!clean.headers.contains_key("x-broker-api-originating-identity"), "{clean:?}");
            }
            check_no_orphan(&world, &stall.broker);
            if status == "ERROR" {
                assert_eq!(subscription(&world, &stall.shop.admin, &done).await["status"], "FAILED");
                // Begun again, it is called another thing at the broker.
                let by = again(&world, &stall.shop.admin).await;
                let id = done["id"].as_str().unwrap();
                world.post(&format!("/v1/tasks/{id}/restart"), json!({})).by(&by).send().await.expect(202);
                let done = ended(&world, &stall, &asked).await;
                assert_eq!(done["status"], "SUCCESS", "{habit:?}: {done}");
                check_no_orphan(&world, &stall.broker);
            }
        });
    }
}

#[test]
fn what_may_be_there_is_deleted_until_the_broker_says_that_it_is_gone() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        stall.broker.habit("PUT", "", Habit::Says(500, "{}"));
        for habit in [
            Habit::Answers(500, "{}"),
            Habit::Answers(400, "{}"),
            Habit::Hangs,
            Habit::Answers(200, "garbage"),
            Habit::Throttles(429, 20),
            Habit::Answers(422, r#"{"error":"ConcurrencyError"}"#),
        ] {
            stall.broker.habit("DELETE", "", habit);
        }
        let asked = stall.subscribe(&world).await.unwrap();
        let done = ended(&world, &stall, &asked).await;
        assert!(done["message"].as_str().unwrap().contains("500"), "{done}");
        assert_eq!(stall.broker.count("DELETE", ""), 7);
        check_no_orphan(&world, &stall.broker);
    });
}

#[test]
fn a_failed_or_endless_operation_is_cleaned_up() {
    for endless in [false, true] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            stall.broker.asynchronous(if endless { 100_000 } else { 2 });
            if !endless {
                stall.broker.fails();
            }
            let asked = stall.subscribe(&world).await.unwrap();
            if endless {
                world.settle().await;
                world.hub.clock().advance(Duration::from_secs(3601)).await;
                world.settle().await;
                stall.broker.asynchronous(1);
            }
            let done = ended(&world, &stall, &asked).await;
            let words = if endless { "in the time" } else { "no room" };
            assert!(done["message"].as_str().unwrap().contains(words), "{done}");
            check_no_orphan(&world, &stall.broker);
        });
    }
}

#[test]
fn a_cancelled_task_deletes_what_was_begun() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        stall.broker.asynchronous(50);
        let asked = stall.subscribe(&world).await.unwrap();
        world.settle().await;
        stall.broker.asynchronous(1);
        let path = format!("/v1/tasks/{}/cancel", asked.text("/id"));
        world.post(&path, json!({})).by(&stall.shop.admin).send().await.expect(202);
        let done = ended(&world, &stall, &asked).await;
        assert_eq!((&done["status"], &done["steps"][1]["status"]), (&json!("CANCELLED"), &json!("UNDONE")), "{done}");
        check_no_orphan(&world, &stall.broker);
    });
}

#[test]
fn a_broker_that_hangs_is_left_alone_for_a_while() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        stall.broker.habit("PUT", "", Habit::Hangs);
        stall.subscribe(&world).await.unwrap().expect(202);
        world.settle().await;
        stall.broker.seen();
        let body =
            json!({ "organizationId": stall.shop.customer, "serviceId": stall.service, "planCode": "small", "quantity": "1" });
        world.post("/v1/subscriptions", body).by(&stall.shop.admin).send().await.expect(202);
        world.settle().await;
        assert_eq!(stall.broker.seen().len(), 0);
        run_out(&world).await;
        assert_eq!(stall.broker.instances().len(), 1);
        check_no_orphan(&world, &stall.broker);
    });
}

#[test]
fn a_plan_and_parameters_are_changed_and_the_service_is_taken_away() {
    for polls in [None, Some(2)] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            let id = stall.subscribed(&world).await;
            if let Some(polls) = polls {
                stall.broker.asynchronous(polls);
            }
            let path = format!("/v1/subscriptions/{id}");
            let by = again(&world, &stall.shop.admin).await;
            let change = json!({ "planCode": "large", "properties": { "size": 9 } });
            let asked = world.patch(&path, change).by(&by).header("if-match", "*").send().await;
            asked.expect(202);
            let done = ended(&world, &stall, &asked).await;
            assert_eq!(done["status"], "SUCCESS", "{done}");
            let seen = stall.broker.seen();
            let patch = seen.iter().find(|seen| seen.method == "PATCH").unwrap();
            assert_eq!(patch.body["previous_values"]["plan_id"], "plan-small");
            let instance = stall.broker.instances().into_values().next().unwrap();
            assert_eq!((&instance["plan_id"], &instance["parameters"]["size"]), (&json!("plan-large"), &json!(9)));

            // A broker that refuses changes nothing; nor do those that answer badly.
            for habit in
                [Habit::Answers(422, r#"{"description":"no"}"#), Habit::Answers(500, "{}"), Habit::Answers(200, "garbage")]
            {
                stall.broker.habit("PATCH", "", habit);
                let by = again(&world, &stall.shop.admin).await;
                let change = json!({ "planCode": "small" });
                let asked = world.patch(&path, change).by(&by).header("if-match", "*").send().await;
                let done = ended(&world, &stall, &asked).await;
                assert_eq!(done["status"], "ERROR", "{done}");
                assert_eq!(subscription(&world, &stall.shop.admin, &done).await["planCode"], "large");
            }
            let by = again(&world, &stall.shop.admin).await;
            let asked = world.post(&format!("{path}/terminate"), json!({})).by(&by).header("if-match", "*").send().await;
            asked.expect(202);
            let done = ended(&world, &stall, &asked).await;
            assert_eq!(done["status"], "SUCCESS", "{done}");
            assert!(stall.broker.instances().is_empty());
            let gone = stall.broker.seen().into_iter().find(|seen| seen.method == "DELETE").unwrap();
            assert!(gone.path.contains("plan_id=plan-large") && gone.path.contains("service_id=offering%2F1"), "{gone:?}");
            assert!(gone.headers.contains_key("x-broker-api-originating-identity"));
        });
    }
}

/// How many host calls of a kind there are from the request until the task has ended.
async fn calls(kind: Kind, polls: Option<u32>) -> u64 {
    let world = World::new().await;
    let stall = Stall::new(&world).await;
    if let Some(polls) = polls {
        stall.broker.asynchronous(polls);
    }
    let before = world.hub.host_calls().len();
    stall.subscribed(&world).await;
    world.hub.host_calls()[before..].iter().filter(|call| call.kind == kind).count() as u64
}

#[test]
fn wherever_the_hub_dies_the_broker_has_what_the_hub_knows_of() {
    for (target, kind) in [(Target::Sql, Kind::Sql), (Target::Outbound("broker.example".into()), Kind::Outbound)] {
        let total = simulated(|| calls(kind, Some(1)));
        assert!(total > 0);
        // Of the statements every seventh: its neighbours are in the same transactions.
        let step = if kind == Kind::Sql { 7 } else { 1 };
        for nth in (1..=total).step_by(step) {
            for after in [false, true] {
                simulated(|| async {
                    let mut world = World::new().await;
                    let stall = Stall::new(&world).await;
                    stall.broker.asynchronous(1);
                    let fault = Fault::on(target.clone()).nth(nth);
                    world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                    if stall.subscribe(&world).await.is_ok() {
                        for _ in 0..6 {
                            let _ = world.hub.tick().await;
                            world.hub.clock().advance(Duration::from_secs(8)).await;
                        }
                    }
                    world.restart().await;
                    stall.broker.listen(&world);
                    stall.subscribe(&world).await.unwrap().expect(202);
                    world.hub.clock().advance(Duration::from_secs(61)).await;
                    run_out(&world).await;
                    assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 1);
                    assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0);
                    check_no_orphan(&world, &stall.broker);
                    assert_eq!(stall.broker.instances().len(), 1, "at {nth}");
                });
            }
        }
    }
}

#[test]
fn whichever_step_keeps_failing_nothing_is_left_at_the_broker() {
    for text in ["UPDATE subscriptions SET", "broker_resources", "FROM broker_plans"] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            let asked = stall.subscribe(&world).await.unwrap();
            for n in 1..=10 {
                world.hub.faults().push(Fault::on(Target::SqlMatching(text.into())).nth(n).fail("disk I/O error"));
            }
            for _ in 0..200 {
                world.settle().await;
                world.hub.clock().advance(Duration::from_secs(60)).await;
            }
            world.hub.faults().clear();
            let done = ended(&world, &stall, &asked).await;
            assert!(done["endedAt"].is_string(), "{text}: {done}");
            check_no_orphan(&world, &stall.broker);
        });
    }
}

/// Lets so many hours pass.
async fn hours(world: &World, hours: u32) {
    for _ in 0..hours {
        world.settle().await;
        world.hub.clock().advance(Duration::from_secs(3600)).await;
    }
    world.settle().await;
}

#[test]
fn what_can_never_be_deleted_is_given_up_and_named() {
    for asynchronous in [false, true] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            stall.broker.habit("PUT", "", Habit::Says(500, "{}"));
            for _ in 0..1000 {
                if asynchronous {
                    // It takes each deletion on, and fails at it.
                    stall.broker.habit("DELETE", "", Habit::Answers(202, r#"{"operation":"op/1 & more"}"#));
                    stall.broker.habit("GET", "last_operation", Habit::Answers(200, r#"{"state":"failed"}"#));
                } else {
                    stall.broker.habit("DELETE", "", Habit::Answers(500, "{}"));
                }
            }
            let asked = stall.subscribe(&world).await.unwrap();
            hours(&world, 71).await;
            let by = again(&world, &stall.shop.admin).await;
            let path = format!("/v1/tasks/{}", asked.text("/id"));
            assert_eq!(world.get(&path).by(&by).send().await.at("/endedAt"), Value::Null);
            hours(&world, 4).await;
            let by = again(&world, &stall.shop.admin).await;
            let done = world.get(&path).by(&by).send().await.expect(200).json();
            let left = stall.broker.instances().into_keys().next().expect("it is there");
            let message = done["message"].as_str().unwrap();
            assert_eq!(done["status"], "ERROR", "{done}");
            assert!(message.contains(&left) && message.contains("3 days") && message.contains("500"), "{message}");
            assert_eq!(subscription(&world, &stall.shop.admin, &done).await["status"], "FAILED");
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE state <> 'PARKED'"), 0);
            // Begun again while the broker is no better it gives up again; then it is deleted first, and another made.
            let restart = async || {
                let by = again(&world, &stall.shop.admin).await;
                world.post(&format!("{path}/restart"), json!({})).by(&by).send().await.expect(202);
            };
            restart().await;
            hours(&world, 75).await;
            let by = again(&world, &stall.shop.admin).await;
            assert_eq!(world.get(&path).by(&by).send().await.text("/status"), "ERROR");
            stall.broker.heal();
            restart().await;
            let done = ended(&world, &stall, &asked).await;
            assert_eq!(done["status"], "SUCCESS", "{done}");
            assert_eq!(stall.broker.instances().len(), 1);
            assert!(!stall.broker.instances().contains_key(&left));
            check_no_orphan(&world, &stall.broker);
        });
    }
}

#[test]
fn a_deletion_that_fails_for_ever_ends_with_what_the_customer_has() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let id = stall.subscribed(&world).await;
        for _ in 0..1000 {
            stall.broker.habit("DELETE", "", Habit::Answers(202, r#"{"operation":"op/1 & more"}"#));
            stall.broker.habit("GET", "last_operation", Habit::Answers(200, r#"{"state":"failed"}"#));
        }
        let path = format!("/v1/subscriptions/{id}");
        let terminate = async || {
            let by = again(&world, &stall.shop.admin).await;
            world.post(&format!("{path}/terminate"), json!({})).by(&by).header("if-match", "*").send().await
        };
        let asked = terminate().await;
        asked.expect(202);
        hours(&world, 27).await;
        let by = again(&world, &stall.shop.admin).await;
        let done = world.get(&format!("/v1/tasks/{}", asked.text("/id"))).by(&by).send().await.json();
        assert_eq!(done["status"], "ERROR", "{done}");
        assert_eq!((world.get(&path).by(&by).send().await.text("/status"), stall.broker.instances().len()), ("ACTIVE".into(), 1));
        stall.broker.heal();
        let asked = terminate().await;
        assert_eq!(ended(&world, &stall, &asked).await["status"], "SUCCESS");
        assert!(stall.broker.instances().is_empty());
    });
}

/// What is done to what a customer has of a broker.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Bind,
    Unbind,
    Change,
    Terminate,
}

/// A stall whose customer has the service and a binding of it, by their paths.
async fn owned(world: &World) -> (Stall, String, String) {
    let stall = Stall::new(world).await;
    let subscription = stall.subscribed(world).await;
    stall.bind(world, &subscription, "app").await.expect(202);
    run_out(world).await;
    let by = again(world, &stall.shop.admin).await;
    let listed = world.get("/v1/service-bindings").by(&by).send().await;
    let binding = format!("/v1/service-bindings/{}", listed.expect(200).text("/items/0/id"));
    (stall, format!("/v1/subscriptions/{subscription}"), binding)
}

async fn ask(
    world: &World,
    by: &tests::Actor,
    deed: Deed,
    subscription: &str,
    binding: &str,
) -> Result<Answer, host::RequestError> {
    let call = match deed {
        Deed::Bind => {
            let id = subscription.rsplit('/').next();
            world.post("/v1/service-bindings", json!({ "subscriptionId": id, "name": "second" }))
        }
        Deed::Unbind => world.delete(binding),
        Deed::Change => world.patch(subscription, json!({ "planCode": "large" })),
        Deed::Terminate => world.post(&format!("{subscription}/terminate"), json!({})),
    };
    call.by(by).header("if-match", "*").key("deed").try_send().await
}

/// What the broker has is what the hub says that the customer has.
fn check_agreed(world: &World, stall: &Stall, at: &str) {
    let active = world.count("SELECT COUNT(*) FROM service_bindings WHERE status = 'ACTIVE'");
    assert_eq!(stall.broker.bindings() as i64, active, "{at}");
    let (status, plan): (String, String) = world
        .database()
        .query_row("SELECT status, plan_code FROM subscriptions", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let plans: Vec<_> = stall.broker.instances().into_values().map(|instance| instance["plan_id"].clone()).collect();
    match status.as_str() {
        // What was not undone says so.
        "ERROR" => {}
        "TERMINATED" => assert!(plans.is_empty(), "{at}"),
        _ => assert_eq!(plans, [json!(format!("plan-{plan}"))], "{at}"),
    }
    stall.broker.check_ids();
}

fn check_done(world: &World, deed: Deed, at: &str) {
    let sql = match deed {
        Deed::Bind => "SELECT COUNT(*) = 2 FROM service_bindings WHERE status = 'ACTIVE'",
        Deed::Unbind => "SELECT COUNT(*) = 0 FROM service_bindings",
        Deed::Change => "SELECT COUNT(*) FROM subscriptions WHERE status = 'ACTIVE' AND plan_code = 'large'",
        Deed::Terminate => "SELECT COUNT(*) FROM subscriptions WHERE status = 'TERMINATED'",
    };
    assert_eq!(world.count(sql), 1, "{deed:?} {at}");
}

#[test]
fn wherever_the_hub_dies_what_is_done_at_a_broker_is_done_once_and_wholly() {
    for deed in [Deed::Unbind, Deed::Change, Deed::Terminate] {
        for (target, kind, step) in [(Target::Sql, Kind::Sql, 11), (Target::Outbound("broker.example".into()), Kind::Outbound, 1)]
        {
            let total = simulated(|| async {
                let world = World::new().await;
                let (stall, subscription, binding) = owned(&world).await;
                stall.broker.asynchronous(1);
                let by = again(&world, &stall.shop.admin).await;
                let before = world.hub.host_calls().len();
                ask(&world, &by, deed, &subscription, &binding).await.unwrap().expect(202);
                run_out(&world).await;
                check_done(&world, deed, "undisturbed");
                check_agreed(&world, &stall, "undisturbed");
                world.hub.host_calls()[before..].iter().filter(|call| call.kind == kind).count()
            });
            assert!(total > 0);
            for nth in (1..=total).step_by(step) {
                for after in [false, true] {
                    simulated(|| async {
                        let mut world = World::new().await;
                        let (stall, subscription, binding) = owned(&world).await;
                        stall.broker.asynchronous(1);
                        let by = again(&world, &stall.shop.admin).await;
                        let fault = Fault::on(target.clone()).nth(nth as u64);
                        world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                        if ask(&world, &by, deed, &subscription, &binding).await.is_ok() {
                            for _ in 0..6 {
                                let _ = world.hub.tick().await;
                                world.hub.clock().advance(Duration::from_secs(8)).await;
                            }
                        }
                        world.restart().await;
                        stall.broker.listen(&world);
                        ask(&world, &by, deed, &subscription, &binding).await.unwrap().expect(202);
                        world.hub.clock().advance(Duration::from_secs(61)).await;
                        run_out(&world).await;
                        let at = format!("{deed:?} at {kind:?} {nth}");
                        assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0, "{at}");
                        check_done(&world, deed, &at);
                        check_agreed(&world, &stall, &at);
                    });
                }
            }
        }
    }
}

#[test]
fn a_runner_that_wakes_up_after_its_lease_does_nothing_twice_at_a_broker() {
    for deed in [Deed::Bind, Deed::Unbind, Deed::Change, Deed::Terminate] {
        let mut overtaken = 0;
        for nth in (1..=40).step_by(3) {
            overtaken += simulated(|| async {
                let mut world = World::new().await;
                let (stall, subscription, binding) = owned(&world).await;
                patient(&mut world).await;
                stall.broker.listen(&world);
                let by = again(&world, &stall.shop.admin).await;
                ask(&world, &by, deed, &subscription, &binding).await.unwrap().expect(202);
                world.hub.faults().push(Fault::on(Target::Sql).nth(nth).delay(Duration::from_secs(90)));
                let run = async || {
                    for _ in 0..4 {
                        runner(&world, "provisioning").await;
                    }
                };
                let second = async {
                    tokio::time::sleep(Duration::from_secs(61)).await;
                    run().await;
                };
                futures::join!(run(), second);
                run_out(&world).await;
                let at = format!("{deed:?} {nth}");
                assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0, "{at}");
                check_done(&world, deed, &at);
                check_agreed(&world, &stall, &at);
                usize::from(world.hub.logs().iter().any(|line| line.contains("job_fenced")))
            });
        }
        assert!(overtaken >= 2, "{deed:?}: only {overtaken} of the delays let a second runner in");
    }
}

#[test]
fn whichever_step_keeps_failing_hub_and_broker_agree() {
    for deed in [Deed::Bind, Deed::Unbind, Deed::Change, Deed::Terminate] {
        for text in ["UPDATE subscriptions SET", "broker_resources", "service_bindings", "FROM broker_plans", "UPDATE tasks"] {
            simulated(|| async {
                let world = World::new().await;
                let (stall, subscription, binding) = owned(&world).await;
                let by = again(&world, &stall.shop.admin).await;
                ask(&world, &by, deed, &subscription, &binding).await.unwrap().expect(202);
                for n in 1..=10 {
                    world.hub.faults().push(Fault::on(Target::SqlMatching(text.into())).nth(n).fail("disk I/O error"));
                }
                for _ in 0..100 {
                    world.settle().await;
                    world.hub.clock().advance(Duration::from_secs(60)).await;
                }
                world.hub.faults().clear();
                // What was parked goes on when somebody says so.
                let operator = again(&world, &stall.shop.operator).await;
                let parked = world.get("/v1/jobs?state=PARKED").by(&operator).send().await.at("/items");
                for job in parked.as_array().into_iter().flatten() {
                    let path = format!("/v1/jobs/{}/replay", job["id"].as_str().unwrap());
                    world.post(&path, json!({})).by(&operator).send().await.expect(200);
                }
                run_out(&world).await;
                assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0, "{deed:?} {text}");
                check_agreed(&world, &stall, &format!("{deed:?} {text}"));
            });
        }
    }
}
