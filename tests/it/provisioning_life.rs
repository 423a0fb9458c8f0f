//! What is done to a subscription after it was provisioned: changed, suspended, resumed, terminated; by whom, when, and in
//! whose sight.

use crate::provisioning_support::{ATTEMPTS, again, break_sql, run_out, say, steps, subscribe, subscription, task};
use serde_json::{Value, json};
use tests::{Actor, Answer, Shop, World, simulated};

/// A subscription of the shop's customer that is active, by its path.
async fn active(world: &World, shop: &Shop, service: &str) -> String {
    let asked = subscribe(world, shop, service).header("prefer", "wait=5").send().await;
    format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"))
}

/// Has something done to a subscription as it stands now, and waits for it.
async fn act(world: &World, by: &Actor, path: &str, action: &str, body: Value) -> Answer {
    let method = if action.is_empty() { "PATCH" } else { "POST" }.parse().unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = if action.is_empty() { path.to_owned() } else { format!("{path}/{action}") };
    let path = if query.is_empty() { path } else { format!("{path}?{query}") };
    world.call(method, &path).json(&body).by(by).header("if-match", "*").header("prefer", "wait=5").send().await
}

async fn shown(world: &World, by: &Actor, path: &str) -> Answer {
    let by = again(world, by).await;
    let answer = world.get(path).by(&by).send().await;
    answer.expect(200);
    answer
}

#[test]
fn a_subscription_has_a_whole_life() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_USER").await;
        let first = shown(&world, &customer, &path).await;
        assert_eq!((first.text("/status"), first.header("etag")), ("ACTIVE".into(), "\"2\""));

        let change = world.patch(&path, json!({ "quantity": "12.5" })).by(&shop.admin).header("if-match", "\"2\"").send().await;
        assert_eq!(
            (change.expect(202).text("/type"), change.text("/status")),
            ("SUBSCRIPTION_CHANGE".into(), "NOT_STARTED".into())
        );
        assert_eq!(change.header("location"), format!("/v1/tasks/{}", change.text("/id")));
        let meanwhile = shown(&world, &customer, &path).await;
        assert_eq!((meanwhile.text("/status"), meanwhile.text("/quantity")), ("CHANGING".into(), "10".into()));
        world.settle().await;
        let changed = shown(&world, &customer, &path).await;
        assert_eq!((changed.text("/status"), changed.text("/quantity")), ("ACTIVE".into(), "12.5".into()));
        assert_eq!(changed.text("/taskId"), change.text("/id"));
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements WHERE quantity = '12.5'"), 1);
        let request = world.get(&format!("/v1/tasks/{}/request", change.text("/id"))).by(&shop.admin).send().await;
        assert_eq!(request.expect(200).at("/request/quantity"), json!("12.5"), "{}", request.json());

        act(&world, &shop.admin, &path, "suspend", json!({ "reason": "unpaid" })).await.expect(200);
        let suspended = shown(&world, &customer, &path).await;
        assert_eq!((suspended.text("/status"), suspended.text("/reason")), ("SUSPENDED".into(), "unpaid".into()));
        assert!(suspended.at("/suspendedAt").is_string());
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements WHERE suspended = 1"), 1);

        act(&world, &shop.admin, &path, "resume", json!({})).await.expect(200);
        let resumed = shown(&world, &customer, &path).await;
        assert_eq!(
            (resumed.text("/status"), resumed.at("/suspendedAt"), resumed.at("/reason")),
            ("ACTIVE".into(), Value::Null, Value::Null)
        );
        assert_eq!(resumed.at("/activatedAt"), first.at("/activatedAt"));

        act(&world, &shop.admin, &path, "terminate", json!({ "reason": "moved away" })).await.expect(200);
        let ended = shown(&world, &customer, &path).await;
        assert_eq!((ended.text("/status"), ended.text("/reason")), ("TERMINATED".into(), "moved away".into()));
        assert!(ended.at("/terminatedAt").is_string());
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
        for action in ["", "suspend", "resume", "terminate"] {
            let body = if action.is_empty() { json!({ "quantity": "1" }) } else { json!({}) };
            let refused = act(&world, &shop.admin, &path, action, body).await;
            refused.expect_problem(409, "subscription_status");
            assert!(refused.text("/detail").contains("ask for another subscription"), "{}", refused.json());
        }
        // Nothing of the plan or the service is in use any more.
        world.post(&format!("/v1/services/{}/deprecate", shop.builtin), json!({})).by(&shop.operator).send().await.expect(200);
        world.post(&format!("/v1/services/{}/retire", shop.builtin), json!({})).by(&shop.operator).send().await.expect(200);
        // The customer's audit tells who did what.
        let admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let audit = world.get(&format!("/v1/audit-entries?organizationId={}&limit=200", shop.customer)).by(&admin).send().await;
        let audit = audit.expect(200).at("/items");
        let actions: Vec<_> = audit.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        for action in ["subscriptions.change", "subscriptions.suspend", "subscriptions.resume", "subscriptions.terminate"] {
            assert!(actions.contains(&action), "{action}: {actions:?}");
        }
    });
}

#[test]
fn what_can_be_known_at_once_is_refused_at_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let before = world.dump();
        for (body, status, code) in [
            (json!({}), 422, "invalid_request"),
            (json!({ "quantity": "10" }), 422, "invalid_request"),
            (json!({ "quantity": "0" }), 422, "invalid_request"),
            (json!({ "quantity": "-3" }), 422, "invalid_request"),
            (json!({ "planCode": "gold" }), 422, "invalid_request"),
            (json!({ "properties": { "x": 1 } }), 422, "invalid_request"),
            (json!({ "serviceId": shop.manual }), 422, "invalid_request"),
        ] {
            act(&world, &shop.admin, &path, "", body).await.expect_problem(status, code);
        }
        act(&world, &shop.admin, &path, "resume", json!({})).await.expect_problem(409, "subscription_status");
        act(&world, &shop.admin, &path, "suspend", json!({ "reason": "" })).await.expect_problem(422, "invalid_request");
        for (method, to) in [("PATCH", path.clone()), ("POST", format!("{path}/suspend")), ("POST", format!("{path}/terminate"))]
        {
            let call = || world.call(method.parse().unwrap(), &to).json(&json!({})).by(&shop.admin);
            call().send().await.expect_problem(428, "if_match_required");
            call().header("if-match", "\"1\"").send().await.expect_problem(412, "stale");
        }
        assert_eq!(world.dump(), before);

        world.database().execute("UPDATE contracts SET status = 'DEACTIVATED'", []).unwrap();
        let refused = act(&world, &shop.admin, &path, "", json!({ "quantity": "11" })).await;
        refused.expect_problem(409, "no_active_contract");
        // What only takes away needs no contract.
        act(&world, &shop.admin, &path, "suspend", json!({})).await.expect(200);
        act(&world, &shop.admin, &path, "resume", json!({})).await.expect_problem(409, "no_active_contract");
        act(&world, &shop.admin, &path, "terminate", json!({})).await.expect(200);
    });
}

#[test]
fn others_find_nothing_and_customers_change_nothing() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let other = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let stranger = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let before = world.dump();
        for action in ["", "suspend", "resume", "terminate"] {
            let body = if action.is_empty() { json!({ "quantity": "1" }) } else { json!({}) };
            let answer = act(&world, &stranger, &path, action, body.clone()).await;
            answer.expect_problem(404, "subscription_not_found");
            let missing = path.replace(path.rsplit('/').next().unwrap(), "sub_00000000000000000000000000");
            let never = act(&world, &stranger, &missing, action, body.clone()).await;
            let words = |answer: &Answer| answer.text("/detail").split("sub_").next().unwrap().to_owned();
            assert_eq!(words(&answer), words(&never));
            act(&world, &customer, &path, action, body).await.expect_problem(403, "permission_missing");
        }
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn of_two_at_once_one_is_done() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        for (one, other) in [("", ""), ("", "terminate"), ("suspend", "terminate"), ("terminate", "terminate")] {
            let path = active(&world, &shop, &shop.builtin).await;
            let send = |action: &'static str, quantity: &'static str| {
                let body = if action.is_empty() { json!({ "quantity": quantity }) } else { json!({}) };
                let (world, admin, path) = (&world, &shop.admin, path.clone());
                async move {
                    let method = if action.is_empty() { "PATCH" } else { "POST" }.parse().unwrap();
                    let path = if action.is_empty() { path } else { format!("{path}/{action}") };
                    world.call(method, &path).json(&body).by(admin).header("if-match", "\"2\"").send().await
                }
            };
            let (first, second) = futures::join!(send(one, "20"), send(other, "30"));
            let mut statuses = [first.status(), second.status()];
            statuses.sort();
            assert_eq!(statuses, [202, 412], "{one} against {other}: {} {}", first.json(), second.json());
            let loser = if first.status() == 412 { &first } else { &second };
            loser.expect_problem(412, "stale");
            // Whoever does not mind what it is still waits for the task.
            act(&world, &shop.admin, &path, "terminate", json!({})).await.expect_problem(409, "subscription_status");
            world.settle().await;
            assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0);
        }
    });
}

#[test]
fn a_person_takes_the_steps_of_a_manual_service() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.manual).header("prefer", "wait=5").send().await;
        say(&world, &shop.admin, &asked.json(), "complete", json!({})).await.expect(200);
        world.settle().await;
        let path = format!("/v1/subscriptions/{}", asked.text("/subscriptionId"));
        let answer = async |task: &Answer, step: &str, word: &str| {
            let path = format!("/v1/tasks/{}/steps/{step}/{word}", task.text("/id"));
            let body = if word == "fail" { json!({ "message": "no" }) } else { json!({}) };
            world.post(&path, body).by(&shop.admin).send().await.expect(200);
            world.settle().await;
        };
        let change = act(&world, &shop.admin, &path, "", json!({ "quantity": "11" })).await;
        let told = change.expect(202).text("/steps/1/message");
        assert!(told.starts_with("Change 10 of") && told.contains("to 11") && told.contains("/steps/CHANGE/complete"), "{told}");
        answer(&change, "CHANGE", "complete").await;
        assert_eq!(shown(&world, &shop.admin, &path).await.text("/quantity"), "11");

        let failed = act(&world, &shop.admin, &path, "suspend", json!({ "reason": "unpaid" })).await;
        answer(&failed, "SUSPEND", "fail").await;
        let still = shown(&world, &shop.admin, &path).await;
        assert_eq!((still.text("/status"), still.at("/reason")), ("ACTIVE".into(), Value::Null));

        // Cancelled in its midst: the person is asked to bring it back.
        let terminate = act(&world, &shop.admin, &path, "terminate", json!({})).await;
        let cancelled =
            world.post(&format!("/v1/tasks/{}/cancel", terminate.text("/id")), json!({})).by(&shop.admin).send().await;
        cancelled.expect(202);
        world.settle().await;
        let undoing = task(&world, &shop.admin, &terminate).await;
        assert_eq!(undoing["steps"][1]["status"], "UNDO_MANUAL", "{undoing}");
        assert!(undoing["steps"][1]["message"].as_str().unwrap().contains("Bring back"), "{undoing}");
        answer(&terminate, "DEPROVISION", "complete").await;
        assert_eq!(shown(&world, &shop.admin, &path).await.text("/status"), "ACTIVE");

        // What cannot be brought back is said to be lost, and can only be ended.
        let terminate = act(&world, &shop.admin, &path, "terminate", json!({})).await;
        world.post(&format!("/v1/tasks/{}/cancel", terminate.text("/id")), json!({})).by(&shop.admin).send().await.expect(202);
        world.settle().await;
        answer(&terminate, "DEPROVISION", "fail").await;
        let torn = shown(&world, &shop.admin, &path).await;
        assert_eq!(torn.text("/status"), "ERROR");
        act(&world, &shop.admin, &path, "suspend", json!({})).await.expect_problem(409, "subscription_status");
        let end = act(&world, &shop.admin, &path, "terminate", json!({})).await;
        answer(&end, "DEPROVISION", "complete").await;
        assert_eq!(shown(&world, &shop.admin, &path).await.text("/status"), "TERMINATED");
    });
}

#[test]
fn a_change_without_rollback_stays_half_way_and_goes_on() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let change = format!("{path}?disableRollback=true");
        let asked = world.patch(&change, json!({ "quantity": "20" })).by(&shop.admin).header("if-match", "*").send().await;
        break_sql(&world, "UPDATE subscriptions SET status", ATTEMPTS);
        run_out(&world).await;
        let stuck = task(&world, &shop.admin, &asked).await;
        assert_eq!((&stuck["status"], &stuck["checkpoint"]), (&json!("ERROR"), &json!("RECORD")), "{stuck}");
        let torn = subscription(&world, &shop.admin, &stuck).await;
        assert_eq!((&torn["status"], &torn["quantity"]), (&json!("ERROR"), &json!("10")));
        let admin = again(&world, &shop.admin).await;
        act(&world, &admin, &path, "", json!({ "quantity": "30" })).await.expect_problem(409, "subscription_status");
        world.post(&format!("/v1/tasks/{}/resume", asked.text("/id")), json!({})).by(&admin).send().await.expect(202);
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        let now = subscription(&world, &shop.admin, &ended).await;
        assert_eq!((&now["status"], &now["quantity"]), (&json!("ACTIVE"), &json!("20")), "{ended}");
    });
}

#[test]
fn a_task_that_was_overtaken_by_another_does_nothing_more() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let change = format!("{path}?disableRollback=true");
        let old = world.patch(&change, json!({ "quantity": "20" })).by(&shop.admin).header("if-match", "*").send().await;
        break_sql(&world, "UPDATE entitlements SET", ATTEMPTS);
        run_out(&world).await;
        let admin = again(&world, &shop.admin).await;
        assert_eq!(shown(&world, &shop.admin, &path).await.text("/status"), "ERROR");
        act(&world, &admin, &path, "terminate", json!({})).await.expect(200);
        // Neither from where it stopped nor from the beginning.
        for word in ["resume", "restart"] {
            let said = world.post(&format!("/v1/tasks/{}/{word}", old.text("/id")), json!({})).by(&admin).send().await;
            said.expect_problem(409, "task_outdated");
            assert!(said.text("/detail").contains("TERMINATED"), "{}", said.json());
            world.settle().await;
            assert_eq!(task(&world, &shop.admin, &old).await["status"], "ERROR");
            assert_eq!(shown(&world, &shop.admin, &path).await.text("/status"), "TERMINATED");
            assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
        }
    });
}

#[test]
fn a_task_that_stopped_at_its_last_step_records_nothing_of_what_another_has_ended() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let change = format!("{path}?disableRollback=true");
        let old = world.patch(&change, json!({ "quantity": "20" })).by(&shop.admin).header("if-match", "*").send().await;
        break_sql(&world, "UPDATE subscriptions SET status", ATTEMPTS);
        run_out(&world).await;
        let admin = again(&world, &shop.admin).await;
        act(&world, &admin, &path, "terminate", json!({})).await.expect(200);
        let resumed = world.post(&format!("/v1/tasks/{}/resume", old.text("/id")), json!({})).by(&admin).send().await;
        resumed.expect_problem(409, "task_outdated");
        world.settle().await;
        let ended = task(&world, &shop.admin, &old).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["SUCCESS", "SUCCESS", "IN_DOUBT"]), "{ended}");
        let now = shown(&world, &shop.admin, &path).await;
        assert_eq!((now.text("/status"), now.text("/quantity")), ("TERMINATED".into(), "10".into()));
    });
}

#[test]
fn a_failed_change_is_done_when_its_task_is_begun_again() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = active(&world, &shop, &shop.builtin).await;
        let asked = world.patch(&path, json!({ "quantity": "20" })).by(&shop.admin).header("if-match", "*").send().await;
        break_sql(&world, "UPDATE entitlements SET", ATTEMPTS);
        run_out(&world).await;
        assert_eq!(shown(&world, &shop.admin, &path).await.text("/status"), "ACTIVE");
        let admin = again(&world, &shop.admin).await;
        let restart = format!("/v1/tasks/{}/restart", asked.text("/id"));
        world.post(&restart, json!({})).by(&admin).send().await.expect(202);
        // As soon as it is asked for, nobody else begins anything.
        act(&world, &admin, &path, "suspend", json!({})).await.expect_problem(409, "subscription_busy");
        world.settle().await;
        let now = shown(&world, &shop.admin, &path).await;
        assert_eq!((now.text("/status"), now.text("/quantity")), ("ACTIVE".into(), "20".into()));
    });
}

#[test]
fn a_change_fits_the_plan_or_is_refused() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let plan = |code: &str, max: &str| json!({ "code": code, "displayName": code, "billingUnit": "seat", "minQuantity": "5", "maxQuantity": max, "quantityStep": "5" });
        let schema = json!({ "type": "object", "properties": { "size": { "type": "integer" } }, "additionalProperties": false });
        let offer = json!({ "plans": [plan("small", "50"), plan("large", "500")], "propertiesSchema": schema });
        let body =
            json!({ "code": "seats", "displayName": "Seats", "productFamily": "MSP", "driver": "BUILTIN", "offer": offer });
        let seats = world.post("/v1/services", body).by(&shop.operator).send().await.expect(201).text("/id");
        world.contract(&shop.operator, &shop.provider, &seats).await;
        let order = json!({ "organizationId": shop.customer, "serviceId": seats, "quantity": "10", "planCode": "small", "properties": { "size": 1 } });
        let asked = world.post("/v1/subscriptions", order).by(&shop.admin).header("prefer", "wait=5").send().await;
        let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
        for (body, pointer) in [
            (json!({ "quantity": "55" }), "/quantity"),
            (json!({ "quantity": "11" }), "/quantity"),
            (json!({ "planCode": "huge" }), "/planCode"),
            (json!({ "properties": { "size": "x" } }), "/properties/size"),
        ] {
            let refused = act(&world, &shop.admin, &path, "", body).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.text("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        let body = json!({ "quantity": "55", "planCode": "large", "properties": { "size": 2 } });
        act(&world, &shop.admin, &path, "", body).await.expect(200);
        let now = shown(&world, &shop.admin, &path).await;
        assert_eq!(
            (now.text("/planCode"), now.text("/quantity"), now.at("/properties/size")),
            ("large".into(), "55".into(), json!(2))
        );
    });
}
