//! What people say of a whole task: cancel, restart, resume; and what they ask of it.

use crate::provisioning_support::{ATTEMPTS, again, break_sql, run_out, say, steps, subscribe, subscription, task};
use host::{Fault, Target};
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, INTERNAL_SECRET, World, simulated};

/// A word on a whole task.
async fn word(world: &World, by: &Actor, task: &Value, word: &str) -> Answer {
    let by = again(world, by).await;
    world.post(&format!("/v1/tasks/{}/{word}", task["id"].as_str().expect("an id")), json!({})).by(&by).send().await
}

#[test]
fn a_task_that_was_not_begun_is_cancelled_at_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        let cancelled = word(&world, &shop.admin, &asked.json(), "cancel").await;
        cancelled.expect(202);
        assert_eq!((cancelled.text("/status"), steps(&cancelled.json())), ("CANCELLED".into(), vec!["CANCELLED"; 3]));
        assert_eq!(cancelled.header("location"), format!("/v1/tasks/{}", asked.text("/id")));
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], &ended["message"]), (&json!("CANCELLED"), &json!("It was cancelled.")));
        assert!(ended["endedAt"].is_string() && ended["cancelRequestedAt"].is_string(), "{ended}");
        assert_eq!(ended["progress"], json!({ "done": 0, "total": 3, "percent": 0 }));
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs") + world.count("SELECT COUNT(*) FROM entitlements"), 0);
        assert_eq!(world.count("SELECT SUM(attempts) FROM task_steps"), 0);
        word(&world, &shop.admin, &ended, "cancel").await.expect_problem(409, "task_not_cancellable");
    });
}

#[test]
fn cancelling_while_a_person_is_asked_has_the_person_undo_what_was_begun() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.manual).header("prefer", "wait=1").send().await;
        word(&world, &shop.admin, &asked.json(), "cancel").await.expect(202);
        word(&world, &shop.admin, &asked.json(), "cancel").await.expect_problem(409, "task_not_cancellable");
        world.settle().await;
        let waiting = task(&world, &shop.admin, &asked).await;
        assert_eq!((&waiting["status"], steps(&waiting)), (&json!("MANUAL"), vec!["SUCCESS", "UNDO_MANUAL", "CANCELLED"]));
        say(&world, &shop.admin, &waiting, "complete", json!({})).await.expect(200);
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("CANCELLED"), vec!["UNDONE", "UNDONE", "CANCELLED"]));
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
    });
}

#[test]
fn a_task_that_is_to_be_tried_again_later_is_cancelled_now() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        break_sql(&world, "INSERT INTO entitlements", 3);
        world.settle().await;
        assert_eq!(task(&world, &shop.admin, &asked).await["status"], "IN_PROGRESS");
        word(&world, &shop.admin, &asked.json(), "cancel").await.expect(202);
        // Without another second going by.
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("CANCELLED"), vec!["UNDONE", "UNDONE", "CANCELLED"]), "{ended}");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

#[test]
fn a_task_that_a_runner_is_at_stops_after_the_present_step_and_is_undone() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        // The driver's step takes ten seconds, in the midst of which somebody cancels.
        world.hub.faults().push(Fault::on(Target::SqlMatching("FROM services WHERE".into())).delay(Duration::from_secs(10)));
        let cancel = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let answer = word(&world, &shop.admin, &asked.json(), "cancel").await;
            assert_eq!(answer.expect(202).text("/status"), "IN_PROGRESS");
            assert!(answer.at("/cancelRequestedAt").is_string());
            assert_eq!(steps(&answer.json()), ["SUCCESS", "IN_PROGRESS", "NOT_STARTED"]);
        };
        let ((), ()) = futures::join!(world.settle(), cancel);
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("CANCELLED"), vec!["UNDONE", "UNDONE", "CANCELLED"]), "{ended}");
        // The step was done, and then undone.
        assert_eq!(ended["steps"][1]["attempts"], 2);
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "FAILED");
    });
}

#[test]
fn a_task_at_its_last_step_cannot_be_cancelled() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        break_sql(&world, "UPDATE subscriptions SET", 1);
        world.settle().await;
        let last = task(&world, &shop.admin, &asked).await;
        assert_eq!(steps(&last), ["SUCCESS", "SUCCESS", "IN_PROGRESS"]);
        assert_eq!(last["progress"], json!({ "done": 2, "total": 3, "percent": 66 }));
        word(&world, &shop.admin, &last, "cancel").await.expect_problem(409, "task_not_cancellable");
        run_out(&world).await;
        assert_eq!(task(&world, &shop.admin, &asked).await["status"], "SUCCESS");
    });
}

#[test]
fn a_failed_task_begins_again_as_another_attempt() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        word(&world, &shop.admin, &asked.json(), "restart").await.expect_problem(409, "task_not_restartable");
        break_sql(&world, "INSERT INTO entitlements", ATTEMPTS);
        run_out(&world).await;
        let failed = task(&world, &shop.admin, &asked).await;
        assert_eq!((&failed["status"], &failed["attempt"]), (&json!("ERROR"), &json!(1)));
        assert_eq!(failed["checkpoint"], Value::Null, "it was undone");
        word(&world, &shop.admin, &failed, "resume").await.expect_problem(409, "no_checkpoint");

        let admin = again(&world, &shop.admin).await;
        let path = format!("/v1/tasks/{}/restart", asked.text("/id"));
        let again = world.post(&path, json!({})).by(&admin).key("again").send().await;
        assert_eq!((again.expect(202).text("/status"), again.at("/attempt")), ("NOT_STARTED".into(), json!(2)));
        assert_eq!((again.at("/message"), again.at("/endedAt")), (Value::Null, Value::Null));
        world.post(&path, json!({})).by(&admin).key("again").send().await.expect(202);
        world.post(&path, json!({})).by(&admin).send().await.expect_problem(409, "task_not_restartable");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], &ended["attempt"], steps(&ended)), (&json!("SUCCESS"), &json!(2), vec!["SUCCESS"; 3]));
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "ACTIVE");
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 1);
        word(&world, &shop.admin, &ended, "restart").await.expect_problem(409, "task_not_restartable");
    });
}

#[test]
fn without_rollback_a_failed_task_stays_and_goes_on_at_its_checkpoint() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let order = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "10" });
        let asked = world.post("/v1/subscriptions?disableRollback=true", order).by(&shop.admin).send().await;
        assert_eq!(asked.expect(202).at("/disableRollback"), json!(true));
        break_sql(&world, "UPDATE subscriptions SET", ATTEMPTS);
        run_out(&world).await;
        let stopped = task(&world, &shop.admin, &asked).await;
        assert_eq!((&stopped["status"], steps(&stopped)), (&json!("ERROR"), vec!["SUCCESS", "SUCCESS", "IN_DOUBT"]), "{stopped}");
        assert_eq!(stopped["checkpoint"], "ACTIVATE");
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 1, "nothing was undone");
        assert_eq!(subscription(&world, &shop.admin, &stopped).await["status"], "FAILED");

        let resumed = word(&world, &shop.admin, &stopped, "resume").await;
        // It looks once more, and goes on at its checkpoint.
        assert_eq!(steps(&resumed.expect(202).json()), ["NOT_STARTED", "SUCCESS", "NOT_STARTED"]);
        assert_eq!((resumed.at("/checkpoint"), resumed.at("/attempt")), (Value::Null, json!(1)));
        word(&world, &shop.admin, &stopped, "resume").await.expect_problem(409, "no_checkpoint");
        world.settle().await;
        let ended = task(&world, &shop.admin, &asked).await;
        assert_eq!((&ended["status"], &ended["steps"][1]["attempts"]), (&json!("SUCCESS"), &json!(1)), "{ended}");
        assert_eq!(subscription(&world, &shop.admin, &ended).await["status"], "ACTIVE");
    });
}

#[test]
fn without_rollback_a_cancelled_task_stays_and_goes_on_or_begins_again() {
    for (then, attempt) in [("resume", 1), ("restart", 2)] {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let order = json!({ "organizationId": shop.customer, "serviceId": shop.manual, "quantity": "10" });
            let asked = world.post("/v1/subscriptions?disableRollback=true", order).by(&shop.admin).send().await;
            world.settle().await;
            word(&world, &shop.admin, &asked.json(), "cancel").await.expect(202);
            world.settle().await;
            let stopped = task(&world, &shop.admin, &asked).await;
            assert_eq!(
                (&stopped["status"], steps(&stopped)),
                (&json!("CANCELLED"), vec!["SUCCESS", "IN_DOUBT", "CANCELLED"]),
                "{stopped}"
            );
            assert_eq!(stopped["checkpoint"], "PROVISION");
            word(&world, &shop.admin, &stopped, then).await.expect(202);
            world.settle().await;
            let waiting = task(&world, &shop.admin, &asked).await;
            assert_eq!((&waiting["status"], &waiting["attempt"]), (&json!("MANUAL"), &json!(attempt)), "{waiting}");
            assert_eq!(waiting["cancelRequestedAt"], Value::Null);
            say(&world, &shop.admin, &waiting, "complete", json!({})).await.expect(200);
            world.settle().await;
            assert_eq!(task(&world, &shop.admin, &asked).await["status"], "SUCCESS");
        });
    }
}

#[test]
fn what_a_task_was_asked_for_can_be_read() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        let request = world.get(&format!("/v1/tasks/{}/request", asked.text("/id"))).by(&shop.admin).send().await;
        assert_eq!(request.expect(200).text("/request/organizationId"), shop.customer);
        assert_eq!(request.at("/request/quantity"), "10");
    });
}

#[test]
fn other_tenants_tasks_are_not_there() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await.text("/id");
        let provider = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let other = world.actor(&shop.operator, &provider, "PROVIDER_ADMINISTRATOR").await;
        let missing = "task_01h455vb4pex5vsknk084sn02q";
        for (method, path) in [("GET", ""), ("GET", "/request"), ("POST", "/cancel"), ("POST", "/restart"), ("POST", "/resume")] {
            let ask = async |id: &str| {
                let call = world.call(method.parse().unwrap(), &format!("/v1/tasks/{id}{path}"));
                call.by(&other).json(&json!({})).send().await
            };
            let (theirs, none) = (ask(&asked).await, ask(missing).await);
            theirs.expect_problem(404, "task_not_found");
            assert_eq!(theirs.text("/detail").replace(&asked, missing), none.text("/detail"), "{method} {path}");
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE cancel_requested_at IS NOT NULL"), 0);
    });
}

#[test]
fn tasks_are_listed_by_status_type_and_subject() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let done = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
        // Ids of one millisecond have no order.
        world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
        let waiting = subscribe(&world, &shop, &shop.manual).header("prefer", "wait=1").send().await;
        let ids = async |query: &str| -> Vec<String> {
            let found = world.get(&format!("/v1/tasks?{query}")).by(&shop.admin).send().await;
            let items = found.expect(200).at("/items");
            items.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
        };
        let (done_id, waiting_id) = (done.text("/id"), waiting.text("/id"));
        assert_eq!(ids("").await, [done_id.clone(), waiting_id.clone()]);
        assert_eq!(ids("status=MANUAL").await, std::slice::from_ref(&waiting_id));
        assert_eq!(ids("type=SUBSCRIPTION_PROVISION&limit=1").await, std::slice::from_ref(&done_id));
        assert_eq!(ids("type=DATACENTER_DISCOVER").await, [""; 0]);
        let subscription = waiting.text("/subscriptionId");
        assert_eq!(ids(&format!("subscriptionId={subscription}")).await, std::slice::from_ref(&waiting_id));
        assert_eq!(ids(&format!("subscriptionId={subscription}&status=MANUAL&type=SUBSCRIPTION_PROVISION")).await, [waiting_id]);
        assert_eq!(ids(&format!("subscriptionId={subscription}&status=SUCCESS")).await, [""; 0]);
        assert_eq!(ids("environmentId=env_01h455vb4pex5vsknk084sn02q").await, [""; 0]);
        let two = format!("subscriptionId={subscription}&environmentId=env_01h455vb4pex5vsknk084sn02q");
        assert_eq!(ids(&two).await, [""; 0]);
    });
}

#[test]
fn a_task_of_a_later_definition_is_parked_and_names_its_step() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        world.database().execute("UPDATE tasks SET definition_version = 7", []).unwrap();
        world.settle().await;
        let parked = world.get("/v1/jobs?state=PARKED").by(&shop.operator).send().await;
        let error = parked.expect(200).text("/items/0/lastError");
        assert!(error.starts_with("task_unknown") && error.contains("version 7") && error.contains("CHECK_CONTRACT"), "{error}");
        let shown = task(&world, &shop.admin, &asked).await;
        assert!(shown["steps"][0]["message"].as_str().unwrap().contains("CHECK_CONTRACT"), "{shown}");
        // The hub that wrote it is there again.
        world.database().execute("UPDATE tasks SET definition_version = 1", []).unwrap();
        let replay = format!("/v1/jobs/{}/replay", parked.text("/items/0/id"));
        world.post(&replay, json!({})).by(&shop.operator).send().await.expect(200);
        world.settle().await;
        assert_eq!(task(&world, &shop.admin, &asked).await["status"], "SUCCESS");
    });
}

#[test]
fn two_words_at_once_come_to_one() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        let task = asked.json();
        let calls = (0..4).map(|_| word(&world, &shop.admin, &task, "cancel"));
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.status() == 202).count(), 1);
        let request = Request::post("/internal/jobs/run").header("authorization", format!("Bearer {INTERNAL_SECRET}"));
        world.hub.call_component("provisioning", request.body(Default::default()).unwrap()).await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        let calls = (0..4).map(|_| word(&world, &shop.admin, &task, "restart"));
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.status() == 202).count(), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
    });
}
