//! What is run again is judged again: a task that is restarted or resumed, an approval that comes late, a job that is replayed. Where
//! the world has moved on since, nothing is done, and what was done meanwhile stays.

use crate::{
    environments_data_centers_support::registered,
    environments_support::{deployed, environment, product, read},
    provisioning_support::{ATTEMPTS, again, break_sql, run_out, subscribe, task},
    tasks_walk::{STORIES, Story, breaking, scene, turn},
};
use serde_json::{Value, json};
use tests::{Actor, Answer, Shop, World, simulated};

async fn word(world: &World, by: &Actor, task: &Answer, word: &str) -> Answer {
    let by = again(world, by).await;
    world.post(&format!("/v1/tasks/{}/{word}", task.text("/id")), json!({})).by(&by).send().await
}

async fn send(world: &World, by: &Actor, method: &str, path: &str, body: Value) -> Answer {
    let by = again(world, by).await;
    let call = world.call(method.parse().unwrap(), path).json(&body).by(&by).header("if-match", "*").header("prefer", "wait=5");
    call.send().await
}

/// Something else that is done to what the story's task works on, after that has failed.
async fn move_on(world: &World, by: &Actor, story: &Story, asked: &Answer, component: &str) {
    let newer = json!({ "products": [product(component, "10.6", &["a", "b", "c"])] });
    let done = match (story.subject, story.path) {
        ("data-centers", "/v1/data-centers") => {
            send(world, by, "DELETE", &format!("/v1/data-centers/{}", asked.text("/dataCenterId")), json!({})).await
        }
        ("data-centers", _) => {
            let path = format!("/v1/data-centers/{}", asked.text("/dataCenterId"));
            send(world, by, "PATCH", &path, json!({ "fqdn": "newer.example.com" })).await
        }
        ("environments", _) => {
            let path = format!("/v1/environments/{}?ignoreValidation=true", asked.text("/environmentId"));
            send(world, by, "PUT", &path, newer).await
        }
        (_, path) => {
            let subscription = format!("/v1/subscriptions/{}", asked.text("/subscriptionId"));
            let by = again(world, by).await;
            let is_active = world.get(&subscription).by(&by).send().await.text("/status") == "ACTIVE";
            match is_active && !path.ends_with("/renew") {
                true => send(world, &by, "PATCH", &subscription, json!({ "quantity": "30" })).await,
                false => send(world, &by, "POST", &format!("{subscription}/terminate"), json!({ "early": true })).await,
            }
        }
    };
    assert_eq!((done.expect(200).text("/status"), done.at("/endedAt").is_string()), ("SUCCESS".into(), true), "{}", done.json());
}

#[test]
fn no_type_of_task_is_run_again_over_what_came_after_it() {
    for story in STORIES {
        // What is asked of data centers is always undone, so it has no checkpoint.
        let ways: &[&str] = if story.subject == "data-centers" { &["restart"] } else { &["restart", "resume"] };
        for way in ways {
            simulated(|| async {
                let (world, operator, ids) = scene(story).await;
                let query = if *way == "resume" { "disableRollback=true" } else { "" };
                let asked = story.ask_with(&world, &operator, &ids, query).await.unwrap();
                asked.expect(202);
                turn(&world, story.runner()).await;
                let step = task(&world, &operator, &asked).await["steps"][1]["name"].as_str().unwrap().to_owned();
                break_sql(&world, breaking(&step, story), ATTEMPTS);
                run_out(&world).await;
                world.hub.faults().clear();
                let ended = task(&world, &operator, &asked).await;
                assert_eq!(ended["status"], "ERROR", "{way} of {}: {ended}", story.path);
                move_on(&world, &operator, story, &asked, &ids.component).await;
                let by = again(&world, &operator).await;
                // The customer's turn in the queue comes once more, and finds nothing that is due.
                world.settle().await;
                let before = world.dump();
                let refused = world.post(&format!("/v1/tasks/{}/{way}", asked.text("/id")), json!({})).by(&by).send().await;
                refused.expect_problem(409, "task_outdated");
                world.settle().await;
                assert_eq!(world.dump(), before, "{way} of {} {}", story.method, story.path);
            });
        }
    }
}

#[test]
fn a_deployment_that_failed_is_not_made_over_a_newer_environment() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let component = registered(&world, &operator, "vc", "BUILTIN").await;
        let old = world.post("/v1/environments", environment("prod", &component, &["a"])).by(&operator).send().await;
        break_sql(&world, "DELETE FROM machines", ATTEMPTS);
        run_out(&world).await;
        world.hub.faults().clear();
        let path = format!("/v1/environments/{}", old.text("/environmentId"));
        let newer = json!({ "products": [product(&component, "10.6", &["a", "b", "c"])] });
        send(&world, &operator, "PUT", &path, newer).await.expect(200);
        word(&world, &operator, &old, "restart").await.expect_problem(409, "task_outdated");
        world.settle().await;
        let now = read(&world, &operator, &old.text("/environmentId")).await;
        let nodes = now.at("/products/0/nodes").as_array().unwrap().len();
        assert_eq!((now.text("/products/0/version"), nodes), ("10.6".into(), 3));
    });
}

/// A shop whose customer has a subscription, and a change of it to 20 that has failed and was undone.
async fn failed_change() -> (World, Shop, Actor, String, Answer) {
    let world = World::new().await;
    let shop = world.shop().await;
    let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
    let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
    let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
    let change = world.patch(&path, json!({ "quantity": "20" })).by(&shop.admin).header("if-match", "*").send().await;
    change.expect(202);
    fail(&world).await;
    (world, shop, customer, path, change)
}

async fn fail(world: &World) {
    break_sql(world, "UPDATE entitlements SET", ATTEMPTS);
    run_out(world).await;
    world.hub.faults().clear();
}

async fn quantity(world: &World, by: &Actor, path: &str) -> String {
    let by = again(world, by).await;
    world.get(path).by(&by).send().await.text("/quantity")
}

async fn rules(world: &World, customer: &Actor, actions: &[&str]) {
    let rules: Value = actions.iter().map(|action| json!({ "action": action })).collect();
    let by = again(world, customer).await;
    let policy = format!("/v1/approval-policies/{}", customer.organization);
    world.put(&policy, json!({ "rules": rules })).by(&by).header("if-match", "*").send().await.expect(200);
}

async fn say(world: &World, by: &Actor, approval: &str, word: &str) -> Answer {
    let by = again(world, by).await;
    world.post(&format!("/v1/approvals/{approval}/{word}"), json!({ "reason": "so we say" })).by(&by).send().await
}

#[test]
fn what_the_customer_is_to_be_asked_about_is_not_run_again_without_it() {
    simulated(|| async {
        let (world, shop, customer, path, old) = failed_change().await;
        rules(&world, &customer, &["CHANGE"]).await;
        word(&world, &shop.admin, &old, "restart").await.expect_problem(409, "approval_needed");
        // It was asked, and refused; the old task is no way round that.
        let asked = send(&world, &shop.admin, "PATCH", &path, json!({ "quantity": "20" })).await.expect(202).text("/id");
        say(&world, &customer, &asked, "reject").await.expect(200);
        word(&world, &shop.admin, &old, "restart").await.expect_problem(409, "approval_needed");
        world.settle().await;
        assert_eq!(quantity(&world, &shop.admin, &path).await, "10");
        // Where the customer wants to be asked no more, it is as if it never had been.
        rules(&world, &customer, &[]).await;
        word(&world, &shop.admin, &old, "restart").await.expect(202);
        world.settle().await;
        assert_eq!(quantity(&world, &shop.admin, &path).await, "20");
    });
}

#[test]
fn what_the_customer_approved_is_run_again_until_it_refuses_something_of_the_kind() {
    for refuses in [false, true] {
        simulated(|| async {
            let (world, shop, customer, path, _) = failed_change().await;
            rules(&world, &customer, &["CHANGE", "SUSPEND"]).await;
            let asked = send(&world, &shop.admin, "PATCH", &path, json!({ "quantity": "25" })).await.expect(202).text("/id");
            say(&world, &customer, &asked, "approve").await.expect(200);
            fail(&world).await;
            let by = again(&world, &shop.admin).await;
            let begun = world.get(&format!("/v1/approvals/{asked}")).by(&by).send().await;
            assert_eq!(begun.text("/status"), "BEGUN");
            if refuses {
                let other = send(&world, &shop.admin, "POST", &format!("{path}/suspend"), json!({})).await;
                say(&world, &customer, &other.expect(202).text("/id"), "reject").await.expect(200);
            }
            let restart = format!("/v1/tasks/{}/restart", begun.text("/taskId"));
            let by = again(&world, &shop.admin).await;
            let restarted = world.post(&restart, json!({})).by(&by).send().await;
            match refuses {
                true => restarted.expect_problem(409, "approval_needed"),
                false => restarted.expect(202),
            };
            world.settle().await;
            let expected = if refuses { "10" } else { "25" };
            assert_eq!(quantity(&world, &shop.admin, &path).await, expected);
        });
    }
}

#[test]
fn a_contract_that_ended_and_a_service_that_changed_are_looked_at_again() {
    for (sql, code) in [
        ("UPDATE contracts SET status = 'DEACTIVATED'", "no_active_contract"),
        ("UPDATE organizations SET status = 'DISABLED' WHERE kind = 'CUSTOMER'", "organization_disabled"),
    ] {
        simulated(|| async {
            let (world, shop, _, path, old) = failed_change().await;
            world.database().execute(sql, []).unwrap();
            let refused = word(&world, &shop.admin, &old, "restart").await;
            refused.expect_problem(409, code);
            world.settle().await;
            assert_eq!(quantity(&world, &shop.admin, &path).await, "10");
        });
    }
    simulated(|| async {
        let (world, shop, _, path, old) = failed_change().await;
        // The service has come to offer plans since, of which the change names none.
        let by = again(&world, &shop.operator).await;
        let offer = json!({ "offer": { "plans": [{ "code": "small", "displayName": "Small", "billingUnit": "seat" }] } });
        let service = format!("/v1/services/{}", shop.builtin);
        world.patch(&service, offer).by(&by).header("if-match", "*").send().await.expect(200);
        word(&world, &shop.admin, &old, "restart").await.expect(202);
        world.settle().await;
        let ended = task(&world, &shop.admin, &old).await;
        assert_eq!((&ended["status"], &ended["steps"][0]["status"]), (&json!("ERROR"), &json!("ERROR")), "{ended}");
        assert_eq!(quantity(&world, &shop.admin, &path).await, "10");
    });
}

#[test]
fn a_service_that_is_off_offer_is_not_provisioned_by_an_old_task() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        break_sql(&world, "INSERT INTO entitlements", ATTEMPTS);
        run_out(&world).await;
        let by = again(&world, &shop.operator).await;
        world.post(&format!("/v1/services/{}/deprecate", shop.builtin), json!({})).by(&by).send().await.expect(200);
        word(&world, &shop.admin, &asked, "restart").await.expect_problem(409, "service_not_published");
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), 0);
    });
}

#[test]
fn an_approval_is_given_of_the_state_that_it_was_asked_of() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
        let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
        rules(&world, &customer, &["CHANGE"]).await;
        let asked = send(&world, &shop.admin, "PATCH", &path, json!({ "quantity": "20" })).await.expect(202).text("/id");
        // What needs no approval is done meanwhile.
        send(&world, &shop.admin, "POST", &format!("{path}/suspend"), json!({})).await.expect(200);
        send(&world, &shop.admin, "POST", &format!("{path}/resume"), json!({})).await.expect(200);
        let tasks = world.count("SELECT COUNT(*) FROM tasks");
        say(&world, &customer, &asked, "approve").await.expect_problem(409, "approval_outdated");
        world.settle().await;
        assert_eq!((world.count("SELECT COUNT(*) FROM tasks"), quantity(&world, &shop.admin, &path).await), (tasks, "10".into()));
        say(&world, &customer, &asked, "reject").await.expect(200);
    });
}

#[test]
fn a_job_that_is_replayed_late_begins_nothing_that_may_not_be_any_more() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
        let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
        rules(&world, &customer, &["CHANGE"]).await;
        let asked = send(&world, &shop.admin, "PATCH", &path, json!({ "quantity": "20" })).await.expect(202).text("/id");
        say(&world, &customer, &asked, "approve").await.expect(200);
        break_sql(&world, "INSERT INTO subscription_changes", ATTEMPTS);
        run_out(&world).await;
        world.hub.faults().clear();
        let by = again(&world, &shop.operator).await;
        let parked = world.get("/v1/jobs?state=PARKED").by(&by).send().await;
        assert_eq!(parked.expect(200).text("/items/0/kind"), "approval.begin");
        world.database().execute("UPDATE contracts SET status = 'DEACTIVATED'", []).unwrap();
        let replay = format!("/v1/jobs/{}/replay", parked.text("/items/0/id"));
        world.post(&replay, json!({})).by(&by).send().await.expect(200);
        world.settle().await;
        let ended = world.get(&format!("/v1/approvals/{asked}")).by(&by).send().await;
        assert_eq!(ended.text("/status"), "FAILED", "{}", ended.json());
        assert_eq!(quantity(&world, &shop.admin, &path).await, "10");
    });
}

#[test]
fn why_a_subscription_ends_is_said_again_when_its_task_is_run_again() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
        let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
        let call = world.post(&format!("{path}/terminate"), json!({ "reason": "moved away" })).by(&shop.admin);
        let asked = call.header("if-match", "*").send().await;
        break_sql(&world, "DELETE FROM entitlements", ATTEMPTS);
        run_out(&world).await;
        word(&world, &shop.admin, &asked, "restart").await.expect(202);
        world.settle().await;
        let by = again(&world, &shop.admin).await;
        let now = world.get(&path).by(&by).send().await;
        assert_eq!((now.text("/status"), now.text("/reason")), ("TERMINATED".into(), "moved away".into()));
    });
}

/// What support, billing and operations users may not read of data centers and environments they do not read by their tasks either;
/// what is said of a task needs what its subject does.
#[test]
fn a_task_needs_the_permission_of_its_subject() {
    use domain::{Permission, Role, role::Permissions};
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let component = registered(&world, &shop.admin, "vc", "BUILTIN").await;
        deployed(&world, &shop.admin, "prod", &component).await;
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
        asked.expect(200);
        let body = environment("asked", &component, &["x"]);
        let question = world.post("/v1/environments?action=VALIDATE", body).by(&shop.admin).send().await.expect(202).text("/id");
        world.settle().await;
        let all = world.get("/v1/tasks?limit=200").by(&shop.admin).send().await.expect(200).at("/items");
        let all: Vec<(String, Permission)> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|task| {
                let needed = task["type"].as_str().unwrap().parse::<domain::task::TaskType>().unwrap().needed_to_read();
                (task["id"].as_str().unwrap().to_owned(), needed)
            })
            .collect();
        assert!(all.iter().any(|(id, needed)| *id == question && *needed == Permission::EnvironmentRead));
        let unknown = "task_01h455vb4pex5vsknk084sn02q";
        let mut hidden = 0;
        for &role in Role::ALL.iter().filter(|role| role.row().kind.as_str() == "PROVIDER") {
            let held = Permissions::of([role]);
            if !held.has(Permission::SubscriptionRead) || role == Role::ProviderAccountAdministrator {
                continue;
            }
            let by = world.actor(&shop.operator, &shop.provider, role.as_str()).await;
            let listed = world.get("/v1/tasks?limit=200").by(&by).send().await.expect(200).at("/items");
            let listed: Vec<_> = listed.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect();
            let reaches_below = role.row().reach == domain::role::Reach::Tree;
            for (id, needed) in &all {
                // Subscriptions are the customer's.
                let sees = held.has(*needed) && (reaches_below || *needed != Permission::SubscriptionRead);
                assert_eq!(listed.contains(id), sees, "{role}: {id}");
                for path in ["", "/request"] {
                    let shown = world.get(&format!("/v1/tasks/{id}{path}")).by(&by).send().await;
                    if sees {
                        shown.expect(200);
                        continue;
                    }
                    hidden += 1;
                    let none = world.get(&format!("/v1/tasks/{unknown}{path}")).by(&by).send().await;
                    shown.expect_problem(404, "task_not_found");
                    assert_eq!(shown.text("/detail").replace(id, unknown), none.text("/detail"), "{role}");
                }
            }
        }
        assert!(hidden > 0, "every role sees everything");
    });
}
