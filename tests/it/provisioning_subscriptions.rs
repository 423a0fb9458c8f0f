//! Provisioning a service to a customer: the straight line, what is refused at once, and waiting for the end.

use crate::provisioning_support::{break_sql, run_out, steps, subscribe, subscription, task};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{World, simulated};

#[test]
fn a_builtin_service_is_provisioned_by_itself() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        asked.expect(202);
        assert_eq!(asked.header("location"), format!("/v1/tasks/{}", asked.text("/id")));
        assert_eq!(asked.header("preference-applied"), "");
        assert_eq!((asked.text("/type"), asked.text("/status")), ("SUBSCRIPTION_PROVISION".into(), "NOT_STARTED".into()));
        assert_eq!(asked.at("/steps/1/name"), "PROVISION");
        let before = subscription(&world, &shop.admin, &asked.json()).await;
        assert_eq!((&before["status"], &before["activatedAt"]), (&json!("PROVISIONING"), &Value::Null));

        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], &ended["message"]), (&json!("SUCCESS"), &Value::Null));
        assert_eq!(steps(&ended), ["SUCCESS"; 3]);
        assert!(ended["steps"].as_array().unwrap().iter().all(|step| step["attempts"] == 1), "{ended}");
        assert!(ended["endedAt"].is_string());
        let active = subscription(&world, &shop.admin, &ended).await;
        assert_eq!((&active["status"], &active["quantity"]), (&json!("ACTIVE"), &json!("10")));
        assert_eq!((&active["providerId"], &active["taskId"]), (&json!(shop.provider), &ended["id"]));
        assert!(active["activatedAt"].is_string());
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

#[test]
fn what_can_be_known_at_once_is_refused_at_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let bare = world.service(&shop.operator, "bare", "BUILTIN").await;
        let twice = world.service(&shop.operator, "twice", "BUILTIN").await;
        let contract = world.contract(&shop.operator, &shop.provider, &twice).await;
        world.contract(&shop.operator, &shop.provider, &twice).await;
        let nobody = "org_00000000000000000000000000";
        let nothing = "svc_00000000000000000000000000";
        let before = world.dump();
        for (customer, service, quantity, named, status, code) in [
            (shop.customer.as_str(), shop.builtin.as_str(), "0", None, 422, "invalid_request"),
            (&shop.customer, &shop.builtin, "-1", None, 422, "invalid_request"),
            (&shop.customer, &shop.builtin, "ten", None, 422, "invalid_request"),
            (&shop.provider, &shop.builtin, "1", None, 422, "invalid_request"),
            (nobody, &shop.builtin, "1", None, 404, "organization_not_found"),
            (&shop.customer, nothing, "1", None, 404, "service_not_found"),
            (&shop.customer, &bare, "1", None, 409, "no_active_contract"),
            (&shop.customer, &twice, "1", None, 422, "invalid_request"),
            (&shop.customer, &shop.builtin, "1", Some(&contract), 422, "invalid_request"),
        ] {
            let body = json!({ "organizationId": customer, "serviceId": service, "quantity": quantity, "contractId": named });
            world.post("/v1/subscriptions", body).by(&shop.admin).send().await.expect_problem(status, code);
        }
        assert_eq!(world.dump(), before);
        let body = json!({ "organizationId": shop.customer, "serviceId": twice, "quantity": "0.5", "contractId": contract });
        let asked = world.post("/v1/subscriptions", body).by(&shop.admin).send().await;
        let made = subscription(&world, &shop.admin, &asked.expect(202).json()).await;
        assert_eq!(made["contractId"], json!(contract));
    });
}

#[test]
fn the_named_contract_is_found_among_however_many() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let several = world.service(&shop.operator, "several", "BUILTIN").await;
        let contract = world.contract(&shop.operator, &shop.provider, &several).await;
        // Older ones than the one named, by their ids.
        let more = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 150)
            INSERT INTO contracts (id, issuer_id, provider_id, service_id, contract_type, status, effective_date, currency, version, created_at, updated_at)
            SELECT printf('ctr_%026d', n), issuer_id, provider_id, service_id, contract_type, status, effective_date, currency, version,
                created_at, updated_at FROM contracts, n WHERE id = ?1";
        assert_eq!(world.database().execute(more, [&contract]).unwrap(), 150);
        let body = json!({ "organizationId": shop.customer, "serviceId": several, "quantity": "1", "contractId": contract });
        let asked = world.post("/v1/subscriptions", body).by(&shop.admin).header("prefer", "wait=5").send().await;
        assert_eq!(asked.expect(200).text("/status"), "SUCCESS");
    });
}

#[test]
fn each_sees_what_is_their_own_and_below() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.manual).send().await;
        world.settle().await;
        let task = format!("/v1/tasks/{}", asked.text("/id"));
        let subscription = format!("/v1/subscriptions/{}", asked.text("/subscriptionId"));
        let complete = format!("{task}/steps/PROVISION/complete");
        let fail = format!("{task}/steps/PROVISION/fail");

        let other = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let stranger = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        world.get(&task).by(&stranger).send().await.expect_problem(404, "task_not_found");
        world.get(&subscription).by(&stranger).send().await.expect_problem(404, "subscription_not_found");
        world.post(&complete, json!({})).by(&stranger).send().await.expect_problem(404, "task_not_found");
        world.post(&fail, json!({ "message": "no" })).by(&stranger).send().await.expect_problem(404, "task_not_found");
        let body = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" });
        world.post("/v1/subscriptions", body.clone()).by(&stranger).send().await.expect_problem(404, "organization_not_found");
        for list in ["/v1/tasks", "/v1/subscriptions", &format!("/v1/subscriptions?organizationId={}", shop.customer)] {
            assert_eq!(world.get(list).by(&stranger).send().await.expect(200).at("/items"), json!([]), "{list}");
        }

        // The customer sees its own and works on nothing; a distributor's kind of role neither.
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_USER").await;
        world.get(&task).by(&customer).send().await.expect(200);
        world.get(&subscription).by(&customer).send().await.expect(200);
        world.post(&complete, json!({})).by(&customer).send().await.expect_problem(403, "permission_missing");
        world.post("/v1/subscriptions", body).by(&customer).send().await.expect_problem(403, "permission_missing");

        for (list, length) in [
            ("/v1/tasks?status=MANUAL", 1),
            ("/v1/tasks?status=SUCCESS", 0),
            ("/v1/subscriptions?status=PROVISIONING", 1),
            ("/v1/subscriptions?status=ACTIVE", 0),
        ] {
            let found = world.get(list).by(&shop.operator).send().await;
            assert_eq!(found.expect(200).at("/items").as_array().unwrap().len(), length, "{list}");
        }
        world.get("/v1/tasks?status=LOST").by(&shop.operator).send().await.expect_problem(400, "bad_query");
        world.get("/v1/subscriptions?customer=x").by(&shop.operator).send().await.expect_problem(400, "bad_query");
    });
}

#[test]
fn lists_of_tasks_are_paged_by_task_and_not_by_step() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let mut made = Vec::new();
        for _ in 0..5 {
            made.push(subscribe(&world, &shop, &shop.builtin).send().await.text("/id"));
            world.hub.clock().advance(Duration::from_millis(1)).await;
        }
        let (mut seen, mut path) = (Vec::new(), "/v1/tasks?limit=2".to_owned());
        loop {
            let page = world.get(&path).by(&shop.admin).send().await;
            for task in page.expect(200).at("/items").as_array().unwrap() {
                assert_eq!(task["steps"].as_array().unwrap().len(), 3);
                seen.push(task["id"].as_str().unwrap().to_owned());
            }
            match page.at("/nextCursor") {
                Value::String(cursor) => path = format!("/v1/tasks?limit=2&cursor={cursor}"),
                _ => break,
            }
        }
        assert_eq!(seen, made);
    });
}

#[test]
fn whoever_prefers_to_wait_gets_the_finished_task() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        // No tick runs here: the request runs the task itself.
        let done = subscribe(&world, &shop, &shop.builtin).header("prefer", "respond-async, wait=100").key("one").send().await;
        assert_eq!((done.expect(200).text("/status"), done.header("preference-applied")), ("SUCCESS".into(), "wait=30"));
        assert_eq!(done.header("location"), format!("/v1/tasks/{}", done.text("/id")));
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);

        let none = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=0").send().await;
        assert_eq!((none.expect(202).text("/status"), none.header("preference-applied")), ("NOT_STARTED".into(), "wait=0"));
    });
}

#[test]
fn a_task_that_waits_for_a_person_is_not_waited_for() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = world.hub.clock().now();
        let asked = subscribe(&world, &shop, &shop.manual).header("prefer", "wait=30").send().await;
        assert_eq!((asked.expect(202).text("/status"), asked.header("preference-applied")), ("MANUAL".into(), "wait=30"));
        assert_eq!(world.hub.clock().now(), before);
    });
}

#[test]
fn a_repeated_request_waits_for_the_first_ones_task() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let first = subscribe(&world, &shop, &shop.builtin).key("one").send().await;
        assert_eq!(first.expect(202).text("/status"), "NOT_STARTED");
        let again = subscribe(&world, &shop, &shop.builtin).key("one").header("prefer", "wait=5").send().await;
        again.expect(200);
        assert_eq!((again.text("/id"), again.text("/status")), (first.text("/id"), "SUCCESS".into()));
        assert_eq!((again.header("idempotency-replayed"), again.header("preference-applied")), ("true", "wait=5"));
        // And without the preference the first answer comes again as it was.
        let replayed = subscribe(&world, &shop, &shop.builtin).key("one").send().await;
        assert_eq!(replayed.expect(202).0.body(), first.0.body());
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 1);
    });
}

#[test]
fn waiting_for_another_runner_ends_with_it_or_when_the_time_is_up() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        subscribe(&world, &shop, &shop.builtin).key("one").send().await.expect(202);
        // Somebody has claimed the job and does not come back within its lease of a minute.
        let database = world.database();
        database.execute("UPDATE jobs SET state = 'RUNNING', fence = fence + 1, due_at = due_at + 60000", []).unwrap();
        let before = world.hub.clock().now();
        let waited = subscribe(&world, &shop, &shop.builtin).key("one").header("prefer", "wait=2").send().await;
        assert_eq!(waited.expect(202).text("/status"), "NOT_STARTED");
        assert_eq!(world.hub.clock().now().duration_since(before).unwrap(), Duration::from_secs(2));

        // Now it comes back after three seconds and says that the job goes on.
        let release = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            database.execute("UPDATE jobs SET state = 'READY', due_at = due_at - 60000", []).unwrap();
        };
        let wait = subscribe(&world, &shop, &shop.builtin).key("one").header("prefer", "wait=20").send();
        let (ended, ()) = futures::join!(wait, release);
        assert_eq!(ended.expect(200).text("/status"), "SUCCESS");
        let took = world.hub.clock().now().duration_since(before).unwrap();
        assert!(took < Duration::from_millis(5_100), "{took:?}");
    });
}

#[test]
fn a_fault_while_waiting_does_not_make_the_subscription_look_undone() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        break_sql(&world, "INSERT INTO entitlements", 1);
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=0").send().await;
        asked.expect(202);
        break_sql(&world, "FROM tasks t JOIN", 1);
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=10").send().await;
        asked.expect(202);
        // The broken attempt comes back within the wait.
        let waited = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=10").send().await;
        assert_eq!(waited.expect(200).text("/status"), "SUCCESS");
        assert_eq!(waited.at("/steps/1/attempts"), 2);
        run_out(&world).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions WHERE status = 'ACTIVE'"), 3);
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 3);
    });
}
