//! Service bindings: made, read by those who may, deleted, and never left behind.

use crate::{
    provisioning_service_brokers_support::{Habit, PASSWORD, Stall, run_out},
    provisioning_support::{again, task},
};
use host::{Fault, Kind, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Answer, World, simulated};

async fn ended(world: &World, stall: &Stall, asked: &Answer) -> Value {
    run_out(world).await;
    task(world, &stall.shop.admin, asked).await
}

/// The only service binding there is.
async fn only(world: &World, stall: &Stall) -> Value {
    let by = again(world, &stall.shop.admin).await;
    let listed = world.get("/v1/service-bindings").by(&by).send().await;
    let items = listed.expect(200).at("/items");
    assert_eq!(items.as_array().unwrap().len(), 1, "{items}");
    items[0].clone()
}

#[test]
fn a_binding_is_made_read_and_deleted() {
    for polls in [None, Some(2)] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            let subscription = stall.subscribed(&world).await;
            if let Some(polls) = polls {
                stall.broker.asynchronous(polls);
            }
            let asked = stall.bind(&world, &subscription, "app").await;
            asked.expect(202);
            stall.bind(&world, &subscription, "app").await.expect_problem(409, "service_binding_name_taken");
            let done = ended(&world, &stall, &asked).await;
            assert_eq!((&done["type"], &done["status"]), (&json!("SERVICE_BIND"), &json!("SUCCESS")), "{done}");
            let seen = stall.broker.seen();
            let put = seen.iter().find(|seen| seen.method == "PUT" && seen.path.contains("service_bindings")).unwrap();
            assert_eq!((&put.body["plan_id"], &put.body["parameters"]), (&json!("plan-small"), &json!({ "secret": "sh-1" })));
            assert!(put.headers.contains_key("x-broker-api-originating-identity"));

            let binding = only(&world, &stall).await;
            assert_eq!((&binding["status"], &binding["name"]), (&json!("ACTIVE"), &json!("app")));
            let path = format!("/v1/service-bindings/{}", binding["id"].as_str().unwrap());
            let credentials = format!("{path}/credentials");
            let by = again(&world, &stall.shop.admin).await;
            let given = world.get(&credentials).by(&by).send().await;
            assert_eq!(given.expect(200).text("/credentials/password"), PASSWORD);
            let (request, shown) = (format!("/v1/tasks/{}/request", asked.text("/id")), world.get(&path).by(&by).send().await);
            assert!(!shown.json().to_string().contains(PASSWORD));
            assert!(!world.get(&request).by(&by).send().await.json().to_string().contains("sh-1"));
            let (dump, logs) = (world.dump(), world.hub.logs().join("\n"));
            assert!(![PASSWORD, "sh-1"].iter().any(|secret| dump.contains(secret) || logs.contains(secret)));

            // Whoever may see subscriptions may not see credentials for that; strangers see neither.
            let operator = again(&world, &stall.shop.operator).await;
            let reader = world.actor(&operator, &stall.shop.provider, "PROVIDER_OPERATIONS_USER").await;
            world.get(&path).by(&reader).send().await.expect(200);
            world.get(&credentials).by(&reader).send().await.expect_problem(403, "permission_missing");
            let customer = world.actor(&operator, &stall.shop.customer, "CUSTOMER_ADMINISTRATOR").await;
            world.get(&credentials).by(&customer).send().await.expect(200);
            world.delete(&path).by(&customer).send().await.expect_problem(403, "permission_missing");
            let other = world.organization(&operator, "PROVIDER", "Other", None).await;
            let other = world.actor(&operator, &other, "PROVIDER_ADMINISTRATOR").await;
            for stranger in [&path, &credentials] {
                world.get(stranger).by(&other).send().await.expect_problem(404, "service_binding_not_found");
            }
            world.delete(&path).by(&other).send().await.expect_problem(404, "service_binding_not_found");

            let asked = world.delete(&path).by(&by).send().await;
            asked.expect(202);
            world.delete(&path).by(&by).send().await.expect_problem(409, "service_binding_busy");
            let done = ended(&world, &stall, &asked).await;
            assert_eq!((&done["type"], &done["status"]), (&json!("SERVICE_UNBIND"), &json!("SUCCESS")), "{done}");
            let by = again(&world, &stall.shop.admin).await;
            world.get(&path).by(&by).send().await.expect_problem(404, "service_binding_not_found");
            assert_eq!((stall.broker.bindings(), stall.broker.instances().len()), (0, 1));
            stall.broker.check_ids();
        });
    }
}

#[test]
fn bindings_are_made_of_what_can_be_bound() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let asked = stall.subscribe(&world).await.unwrap();
        let id = asked.text("/subscriptionId");
        stall.bind(&world, &id, "early").await.expect_problem(409, "subscription_not_active");
        run_out(&world).await;
        let by = again(&world, &stall.shop.admin).await;
        let body = json!({ "organizationId": stall.shop.customer, "serviceId": stall.shop.builtin, "quantity": "1" });
        let other = world.post("/v1/subscriptions", body).by(&by).header("prefer", "wait=5").send().await;
        let other = other.expect(200).text("/subscriptionId");
        stall.bind(&world, &other, "x").await.expect_problem(409, "plan_not_bindable");
        let body = json!({ "subscriptionId": id, "name": "x", "parameters": [] });
        world.post("/v1/service-bindings", body).by(&by).send().await.expect(422);
        world.get("/v1/service-bindings?limit=0").by(&by).send().await.expect(400);
    });
}

#[test]
fn a_binding_that_fails_leaves_nothing() {
    for (habit, mitigates) in [
        (Habit::Hangs, true),
        (Habit::Says(201, "garbage"), true),
        (Habit::Says(500, "{}"), true),
        (Habit::Answers(422, r#"{"error":"RequiresApp"}"#), false),
        (Habit::Answers(400, "{}"), false),
    ] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            let subscription = stall.subscribed(&world).await;
            stall.broker.habit("PUT", "service_bindings", habit.clone());
            let asked = stall.bind(&world, &subscription, "app").await;
            let done = ended(&world, &stall, &asked).await;
            assert_eq!(done["status"], "ERROR", "{habit:?}: {done}");
            assert_eq!(stall.broker.count("DELETE", "service_bindings") > 0, mitigates, "{habit:?}");
            assert_eq!((stall.broker.bindings(), stall.broker.instances().len()), (0, 1), "{habit:?}");
            assert_eq!(only(&world, &stall).await["status"], "FAILED");
            // The name is free again.
            let asked = stall.bind(&world, &subscription, "app").await;
            assert_eq!(ended(&world, &stall, &asked).await["status"], "SUCCESS");
            assert_eq!(only(&world, &stall).await["status"], "ACTIVE");
        });
    }
}

#[test]
fn what_an_asynchronous_binding_gives_is_fetched_until_it_is_there() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let subscription = stall.subscribed(&world).await;
        stall.broker.asynchronous(0);
        for _ in 0..3 {
            stall.broker.habit("GET", "?service_id=offering%2F1&plan_id=plan-small", Habit::Answers(404, "{}"));
        }
        let asked = stall.bind(&world, &subscription, "app").await;
        assert_eq!(ended(&world, &stall, &asked).await["status"], "SUCCESS");
        let path = format!("/v1/service-bindings/{}/credentials", only(&world, &stall).await["id"].as_str().unwrap());
        let by = again(&world, &stall.shop.admin).await;
        assert_eq!(world.get(&path).by(&by).send().await.text("/credentials/user"), "u");
    });
}

#[test]
fn bindings_go_before_the_service_that_they_are_of() {
    for polls in [None, Some(1)] {
        simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            let subscription = stall.subscribed(&world).await;
            for name in ["a", "b"] {
                let asked = stall.bind(&world, &subscription, name).await;
                assert_eq!(ended(&world, &stall, &asked).await["status"], "SUCCESS");
            }
            if let Some(polls) = polls {
                stall.broker.asynchronous(polls);
            }
            let by = again(&world, &stall.shop.admin).await;
            let path = format!("/v1/subscriptions/{subscription}/terminate");
            let asked = world.post(&path, json!({})).by(&by).header("if-match", "*").send().await;
            assert_eq!(ended(&world, &stall, &asked).await["status"], "SUCCESS");
            assert_eq!((stall.broker.bindings(), stall.broker.instances().len()), (0, 0));
            assert_eq!(world.count("SELECT COUNT(*) FROM service_bindings"), 0);
            assert_eq!(world.count("SELECT COUNT(*) FROM broker_resources WHERE state <> 'GONE'"), 0);
        });
    }
}

#[test]
fn wherever_the_hub_dies_a_binding_is_there_or_not() {
    for (target, kind, step) in [(Target::Sql, Kind::Sql, 9), (Target::Outbound("broker.example".into()), Kind::Outbound, 1)] {
        let total = simulated(|| async {
            let world = World::new().await;
            let stall = Stall::new(&world).await;
            let subscription = stall.subscribed(&world).await;
            let before = world.hub.host_calls().len();
            let asked = stall.bind(&world, &subscription, "app").await;
            ended(&world, &stall, &asked).await;
            world.hub.host_calls()[before..].iter().filter(|call| call.kind == kind).count()
        });
        for nth in (1..=total).step_by(step) {
            simulated(|| async {
                let mut world = World::new().await;
                let stall = Stall::new(&world).await;
                let subscription = stall.subscribed(&world).await;
                let by = again(&world, &stall.shop.admin).await;
                world.hub.faults().push(Fault::on(target.clone()).nth(nth as u64).crash_after());
                let ask = async |world: &World| {
                    let body = json!({ "subscriptionId": subscription, "name": "app" });
                    world.post("/v1/service-bindings", body).by(&by).key("two").try_send().await
                };
                if ask(&world).await.is_ok() {
                    let _ = world.hub.tick().await;
                }
                world.restart().await;
                stall.broker.listen(&world);
                ask(&world).await.unwrap().expect(202);
                world.hub.clock().advance(Duration::from_secs(61)).await;
                run_out(&world).await;
                assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0);
                let active = world.count("SELECT COUNT(*) FROM service_bindings WHERE status = 'ACTIVE'");
                assert_eq!((stall.broker.bindings() as i64, active), (1, 1), "at {nth}");
                stall.broker.check_ids();
            });
        }
    }
}
