//! What customers want to be asked about, what they say to it, and that it is begun once.

use crate::provisioning_support::{again, subscribe};
use host::{Fault, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Call, Shop, World, simulated};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A shop, an administrator of its customer, and a subscription that the customer has.
async fn ground() -> (World, Shop, Actor, String) {
    let world = World::new().await;
    let shop = world.shop().await;
    let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
    let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
    let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
    (world, shop, customer, path)
}

/// Has the customer be asked about what these rules hold for.
async fn policy(world: &World, by: &Actor, rules: Value) -> Answer {
    let path = format!("/v1/approval-policies/{}", by.organization);
    world.put(&path, json!({ "rules": rules })).by(by).header("if-match", "*").send().await
}

/// One rule for each of these actions.
fn rules(actions: &[&str]) -> Value {
    actions.iter().map(|action| json!({ "action": action })).collect()
}

fn change<'w>(world: &'w World, by: &Actor, path: &str, quantity: &str) -> Call<'w> {
    world.patch(path, json!({ "quantity": quantity })).by(by).header("if-match", "*")
}

async fn say(world: &World, by: &Actor, approval: &str, word: &str, body: Value) -> Answer {
    let by = again(world, by).await;
    world.post(&format!("/v1/approvals/{approval}/{word}"), body).by(&by).send().await
}

async fn get(world: &World, by: &Actor, path: &str) -> Answer {
    let by = again(world, by).await;
    let answer = world.get(path).by(&by).send().await;
    answer.expect(200);
    answer
}

async fn approval(world: &World, by: &Actor, id: &str) -> Answer {
    get(world, by, &format!("/v1/approvals/{id}")).await
}

const TASKS: &str = "SELECT COUNT(*) FROM tasks";

#[test]
fn what_needs_an_approval_is_begun_when_the_customer_gives_it() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        let tasks = world.count(TASKS);
        let asked = change(&world, &shop.admin, &path, "20").header("prefer", "wait=5").send().await;
        let id = asked.expect(202).text("/id");
        assert_eq!(asked.header("location"), format!("/v1/approvals/{id}"));
        assert_eq!(asked.header("preference-applied"), "");
        for (pointer, expected) in [
            ("/status", json!("PENDING")),
            ("/action", json!("CHANGE")),
            ("/organizationId", json!(shop.customer)),
            ("/subscriptionId", json!(path.rsplit('/').next())),
            ("/quantity", json!("20")),
            ("/request", json!({ "quantity": "20" })),
            ("/askedIn", json!(shop.provider)),
            ("/askedByName", json!("PROVIDER_ADMINISTRATOR")),
            ("/taskId", Value::Null),
            ("/lapsesAt", json!("2026-11-28T12:00:00.000Z")),
        ] {
            assert_eq!(asked.at(pointer), expected, "{pointer} of {}", asked.json());
        }
        world.settle().await;
        assert_eq!((world.count(TASKS), get(&world, &customer, &path).await.text("/quantity")), (tasks, "10".into()));
        let listed = get(&world, &customer, "/v1/approvals?status=PENDING").await;
        assert_eq!((listed.at("/items").as_array().unwrap().len(), listed.text("/items/0/id")), (1, id.clone()));

        let approved = say(&world, &customer, &id, "approve", json!({ "reason": "we grow" })).await;
        assert_eq!((approved.expect(200).text("/status"), approved.text("/reason")), ("APPROVED".into(), "we grow".into()));
        world.settle().await;
        let begun = approval(&world, &shop.admin, &id).await;
        assert_eq!(begun.text("/status"), "BEGUN");
        let task = get(&world, &customer, &format!("/v1/tasks/{}", begun.text("/taskId"))).await;
        assert_eq!((task.text("/status"), task.text("/type")), ("SUCCESS".into(), "SUBSCRIPTION_CHANGE".into()));
        assert_eq!(get(&world, &customer, &path).await.text("/quantity"), "20");
        assert_eq!(world.count(TASKS), tasks + 1);
        // The task is for whoever asked.
        assert_eq!(
            world.count("SELECT COUNT(*) FROM tasks t JOIN approvals a ON a.task_id = t.id AND a.asked_by = t.asked_by"),
            1
        );
        // No job is left, that of its lapse neither.
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        for word in ["approve", "reject"] {
            say(&world, &customer, &id, word, json!({ "reason": "x" })).await.expect_problem(409, "approval_closed");
        }
        say(&world, &shop.admin, &id, "withdraw", json!({})).await.expect_problem(409, "approval_closed");
    });
}

#[test]
fn what_is_to_be_provisioned_is_a_subscription_only_when_it_is_approved() {
    simulated(|| async {
        let (world, shop, customer, _) = ground().await;
        policy(&world, &customer, rules(&["PROVISION"])).await.expect(200);
        let order = |key: &str| subscribe(&world, &shop, &shop.builtin).key(key);
        let asked = order("one").send().await;
        let id = asked.expect(202).text("/id");
        assert_eq!((asked.text("/action"), asked.at("/subscriptionId")), ("PROVISION".into(), Value::Null));
        // Repeated, it is the same; another may be asked for beside it.
        let repeated = order("one").send().await;
        assert_eq!((repeated.expect(202).text("/id"), repeated.header("idempotency-replayed")), (id.clone(), "true"));
        let other = order("two").send().await.expect(202).text("/id");
        assert_ne!(other, id);
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 1);
        say(&world, &customer, &id, "approve", json!({})).await.expect(200);
        world.settle().await;
        let begun = approval(&world, &customer, &id).await;
        let made = get(&world, &customer, &format!("/v1/subscriptions/{}", begun.text("/subscriptionId"))).await;
        assert_eq!((made.text("/status"), made.text("/taskId")), ("ACTIVE".into(), begun.text("/taskId")));
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 2);
        // What was asked for and is approved goes on with the answer that it had.
        assert_eq!(order("one").send().await.expect(202).text("/id"), id);
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 2);
    });
}

#[test]
fn everything_that_is_asked_for_can_need_an_approval() {
    simulated(|| async {
        let (world, shop, customer, _) = ground().await;
        let path = crate::provisioning_renewals::subscribed(&world, &shop, "month", 1).await;
        policy(&world, &customer, rules(&["CHANGE", "SUSPEND", "RESUME", "RENEW", "TERMINATE"])).await.expect(200);
        for (word, body, status) in [
            ("", json!({ "quantity": "20" }), "ACTIVE"),
            ("/suspend", json!({ "reason": "unpaid" }), "SUSPENDED"),
            ("/resume", json!({}), "ACTIVE"),
            ("/renew", json!({ "termMonths": 1 }), "ACTIVE"),
            ("/terminate", json!({ "early": true }), "TERMINATED"),
        ] {
            let target = format!("{path}{word}");
            let call = if word.is_empty() { world.patch(&target, body.clone()) } else { world.post(&target, body.clone()) };
            let asked = call.by(&shop.admin).header("if-match", "*").send().await;
            let id = asked.expect(202).text("/id");
            assert_eq!(asked.text("/status"), "PENDING", "{word}: {}", asked.json());
            say(&world, &customer, &id, "approve", json!({})).await.expect(200);
            world.settle().await;
            let begun = approval(&world, &customer, &id).await;
            assert_eq!(begun.text("/status"), "BEGUN", "{word}: {}", begun.json());
            assert_eq!(get(&world, &customer, &path).await.text("/status"), status, "{word}");
        }
        let ended = get(&world, &customer, &path).await;
        // It was renewed, so it is charged to the end of the term that runs.
        assert_eq!((ended.text("/quantity"), ended.text("/chargedUntil")), ("20".into(), "2026-12-21T12:00:00.000Z".into()));
    });
}

#[test]
fn the_policy_says_what_is_asked_about_and_of_whom() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        let orderer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_OPERATIONS_ADMINISTRATOR").await;
        let asks = async |by: &Actor, quantity: &str| {
            let answer = change(&world, by, &path, quantity).send().await;
            answer.expect(202);
            let is_approval = answer.at("/action") == "CHANGE";
            if is_approval {
                say(&world, &customer, &answer.text("/id"), "reject", json!({ "reason": "no" })).await.expect(200);
            }
            world.settle().await;
            is_approval
        };
        let rule = |more: Value| {
            let mut rule = json!({ "action": "CHANGE" });
            rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([rule])
        };
        // Nobody said anything: nobody is asked.
        assert!(!asks(&shop.admin, "11").await && !asks(&orderer, "12").await);
        policy(&world, &customer, rule(json!({ "aboveQuantity": "20" }))).await.expect(200);
        assert!(!asks(&shop.admin, "20").await && asks(&shop.admin, "20.5").await && asks(&orderer, "21").await);
        policy(&world, &customer, rule(json!({ "askedBy": "PROVIDER" }))).await.expect(200);
        assert!(asks(&shop.admin, "21").await && !asks(&orderer, "21").await && asks(&shop.operator, "22").await);
        policy(&world, &customer, rule(json!({ "askedBy": "CUSTOMER" }))).await.expect(200);
        assert!(!asks(&shop.admin, "22").await && asks(&orderer, "23").await);
        policy(&world, &customer, rule(json!({ "serviceId": shop.manual }))).await.expect(200);
        assert!(!asks(&shop.admin, "24").await);
        policy(&world, &customer, rule(json!({ "serviceId": shop.builtin }))).await.expect(200);
        assert!(asks(&shop.admin, "25").await);
        // Whoever acts in the customer from above is not its own.
        policy(&world, &customer, rule(json!({ "askedBy": "PROVIDER" }))).await.expect(200);
        world.let_act(&shop.admin, &shop.customer).await;
        let inside = change(&world, &shop.admin, &path, "26").acting_in(&shop.customer).send().await;
        assert_eq!((inside.expect(202).text("/status"), inside.text("/askedIn")), ("PENDING".into(), shop.customer.clone()));
        assert!(inside.text("/actingSessionId").starts_with("act_"));
        let id = inside.text("/id");
        // In the session neither the policy nor the approval is theirs to decide.
        let approve = world.post(&format!("/v1/approvals/{id}/approve"), json!({})).by(&shop.admin);
        approve.acting_in(&shop.customer).send().await.expect_problem(403, "permission_missing");
        say(&world, &shop.admin, &id, "approve", json!({})).await.expect_problem(403, "not_the_customer");
        say(&world, &shop.admin, &id, "withdraw", json!({})).await.expect(200);
    });
}

#[test]
fn who_may_approve_need_not_ask() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        let both = ["CUSTOMER_ADMINISTRATOR", "CUSTOMER_OPERATIONS_ADMINISTRATOR"];
        let both = world.member(&shop.admin, &shop.customer, "both@example.com", &both).await;
        let changed = change(&world, &both.actor, &path, "20").send().await;
        assert_eq!(changed.expect(202).text("/type"), "SUBSCRIPTION_CHANGE");
        // The role that asks is its provider's to grant.
        let grant = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_OPERATIONS_ADMINISTRATOR"] });
        let admin = world.member(&both.actor, &shop.customer, "admin@example.com", &["CUSTOMER_ADMINISTRATOR"]).await;
        world.post("/v1/api-tokens", grant).by(&admin.actor).send().await.expect_problem(403, "role_above_own");
    });
}

#[test]
fn rejected_withdrawn_and_lapsed_begin_nothing() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        let tasks = world.count(TASKS);
        let ask = async || {
            let admin = again(&world, &shop.admin).await;
            change(&world, &admin, &path, "20").send().await.expect(202).text("/id")
        };
        let rejected = ask().await;
        let refused = say(&world, &customer, &rejected, "reject", json!({})).await;
        assert_eq!(refused.expect_problem(422, "invalid_request").text("/errors/0/pointer"), "/reason");
        // One subscription waits for one answer.
        let second = change(&world, &shop.admin, &path, "30").send().await;
        assert!(second.expect_problem(409, "approval_pending").text("/detail").contains(&rejected), "{}", second.json());
        say(&world, &customer, &rejected, "reject", json!({ "reason": "too much" })).await.expect(200);
        let shown = approval(&world, &shop.admin, &rejected).await;
        assert_eq!((shown.text("/status"), shown.text("/reason")), ("REJECTED".into(), "too much".into()));

        let withdrawn = ask().await;
        let colleague = world.actor(&shop.operator, &shop.provider, "PROVIDER_OPERATIONS_ADMINISTRATOR").await;
        let orderer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_OPERATIONS_ADMINISTRATOR").await;
        say(&world, &orderer, &withdrawn, "withdraw", json!({})).await.expect_problem(403, "not_the_asker");
        say(&world, &colleague, &withdrawn, "withdraw", json!({ "reason": "a mistake" })).await.expect(200);
        assert_eq!(approval(&world, &customer, &withdrawn).await.text("/status"), "WITHDRAWN");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);

        let lapsed = ask().await;
        for _ in 0..6 {
            world.hub.clock().advance(DAY).await;
        }
        world.settle().await;
        assert_eq!(approval(&world, &customer, &lapsed).await.text("/status"), "PENDING");
        world.hub.clock().advance(DAY).await;
        // It has lapsed before the job comes round that writes it.
        assert_eq!(approval(&world, &customer, &lapsed).await.text("/status"), "LAPSED");
        say(&world, &customer, &lapsed, "approve", json!({})).await.expect_problem(409, "approval_closed");
        for (status, count) in [("PENDING", 0), ("LAPSED", 1), ("REJECTED", 1), ("BEGUN", 0)] {
            let listed = get(&world, &customer, &format!("/v1/approvals?status={status}")).await;
            assert_eq!(listed.at("/items").as_array().unwrap().len(), count, "{status}");
        }
        // Another can be asked for at once.
        let next = ask().await;
        let told = "SELECT COUNT(*) FROM audit_entries WHERE subject_id = ?1 AND details LIKE '%lapsedApproval%' || ?2 || '%'";
        let told: i64 = world.database().query_row(told, [&next, &lapsed], |row| row.get(0)).unwrap();
        assert_eq!(told, 2, "in the chains of both");
        world.settle().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM approvals WHERE status = 'LAPSED'"), 1);
        say(&world, &shop.admin, &next, "withdraw", json!({})).await.expect(200);
        let last = ask().await;
        for _ in 0..7 {
            world.hub.clock().advance(DAY).await;
        }
        world.settle().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM approvals WHERE status = 'LAPSED'"), 2);
        let told = "SELECT COUNT(*) FROM audit_entries WHERE resource = 'approvals' AND operation = 'lapse' AND subject_id = ?1";
        let told: i64 = world.database().query_row(told, [&last], |row| row.get(0)).unwrap();
        assert_eq!(told, 2, "in the chains of both");
        assert_eq!((world.count(TASKS), world.count("SELECT COUNT(*) FROM jobs")), (tasks, 0));
    });
}

#[test]
fn every_gate_is_asked_again_when_it_is_begun() {
    type Meanwhile = (&'static str, &'static str);
    let gates: &[(&str, Meanwhile)] = &[
        ("is not active any more", ("", "UPDATE contracts SET status = 'DEACTIVATED'")),
        ("may not ask for it any more", ("", "DELETE FROM bindings WHERE principal_id = (SELECT asked_by FROM approvals)")),
        ("may not ask for it any more", ("", "UPDATE api_tokens SET revoked_at = 1 WHERE id = (SELECT asked_by FROM approvals)")),
        ("may not ask for it any more", ("", "UPDATE organizations SET status = 'DISABLED' WHERE kind = 'PROVIDER'")),
        ("was edited since", ("\"2\"", "UPDATE subscriptions SET version = version + 1")),
        ("is SUSPENDED", ("", "UPDATE subscriptions SET status = 'SUSPENDED'")),
        ("nothing is to change", ("", "UPDATE subscriptions SET quantity = '20'")),
    ];
    for (message, (version, meanwhile)) in gates {
        simulated(|| async {
            let (world, shop, customer, path) = ground().await;
            policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
            let tasks = world.count(TASKS);
            let call = world.patch(&path, json!({ "quantity": "20" })).by(&shop.admin);
            let asked = call.header("if-match", if version.is_empty() { "*" } else { version }).send().await;
            let id = asked.expect(202).text("/id");
            // Between the word and what comes of it.
            say(&world, &customer, &id, "approve", json!({})).await.expect(200);
            world.database().execute(meanwhile, []).unwrap();
            world.settle().await;
            let failed = approval(&world, &customer, &id).await;
            assert_eq!(failed.text("/status"), "FAILED", "{meanwhile}");
            assert!(failed.text("/message").contains(message), "{meanwhile}: {}", failed.json());
            assert_eq!(failed.at("/taskId"), Value::Null);
            assert_eq!((world.count(TASKS), world.count("SELECT COUNT(*) FROM jobs")), (tasks, 0));
            let told =
                "SELECT COUNT(*) FROM audit_entries WHERE resource = 'approvals' AND operation = 'begin' AND result = 'FAILURE'";
            assert_eq!(world.count(told), 2, "in the chains of both");
            // It stands in nobody's way.
            assert_eq!(world.count("SELECT COUNT(*) FROM approvals WHERE status IN ('PENDING', 'APPROVED')"), 0);
        });
    }
}

#[test]
fn plan_bounds_hold_when_it_is_begun() {
    simulated(|| async {
        let (world, shop, customer, _) = ground().await;
        let path = crate::provisioning_renewals::subscribed(&world, &shop, "month", 1).await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        change(&world, &shop.admin, &path, "101").send().await.expect_problem(422, "invalid_request");
        let id = change(&world, &shop.admin, &path, "100").send().await.expect(202).text("/id");
        let service = get(&world, &shop.operator, &path).await.text("/serviceId");
        let service = format!("/v1/services/{service}");
        let found = get(&world, &shop.operator, &service).await;
        let mut offer = found.at("/offer");
        offer["plans"][0]["maxQuantity"] = json!("50");
        let edit = world.patch(&service, json!({ "offer": offer })).by(&shop.operator);
        edit.header("if-match", found.header("etag")).send().await.expect(200);
        say(&world, &customer, &id, "approve", json!({})).await.expect(200);
        world.settle().await;
        let failed = approval(&world, &customer, &id).await;
        assert_eq!(failed.text("/status"), "FAILED");
        assert!(failed.text("/message").contains("/quantity"), "{}", failed.json());
    });
}

#[test]
fn a_policy_is_the_customers_own() {
    simulated(|| async {
        let (world, shop, customer, _) = ground().await;
        let path = format!("/v1/approval-policies/{}", shop.customer);
        let none = get(&world, &shop.admin, &path).await;
        assert_eq!((none.at("/rules"), none.at("/lapseDays"), none.header("etag")), (json!([]), json!(7), "\"0\""));
        let body = json!({ "rules": [{ "action": "PROVISION", "aboveQuantity": "5", "askedBy": "PROVIDER" }], "lapseDays": 2 });
        let put = |by: &Actor, body: Value| world.put(&path, body).by(by);
        put(&customer, body.clone()).send().await.expect_problem(428, "if_match_required");
        let set = put(&customer, body.clone()).header("if-match", "\"0\"").send().await;
        assert_eq!(
            (set.expect(200).at("/rules"), set.at("/lapseDays"), set.header("etag")),
            (body["rules"].clone(), json!(2), "\"1\"")
        );
        put(&customer, body.clone()).header("if-match", "\"0\"").send().await.expect_problem(412, "stale");
        put(&shop.admin, body.clone()).header("if-match", "*").send().await.expect_problem(403, "not_the_customer");
        put(&shop.operator, body.clone()).header("if-match", "*").send().await.expect_problem(403, "not_the_customer");
        world.let_act(&shop.admin, &shop.customer).await;
        let inside = put(&shop.admin, body.clone()).acting_in(&shop.customer).header("if-match", "*").send().await;
        inside.expect_problem(403, "permission_missing");
        let other = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let stranger = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        put(&stranger, body.clone()).header("if-match", "*").send().await.expect_problem(404, "organization_not_found");
        world.get(&path).by(&stranger).send().await.expect_problem(404, "organization_not_found");
        let provider = format!("/v1/approval-policies/{}", shop.provider);
        world.get(&provider).by(&shop.admin).send().await.expect_problem(409, "not_a_customer");
        let unknown = "svc_01h455vb4pex5vsknk084sn02q";
        for (body, pointer) in [
            (json!({}), "/rules"),
            (json!({ "rules": [{ "action": "SUSPEND", "aboveQuantity": "5" }] }), "/rules/0/aboveQuantity"),
            (json!({ "rules": [{ "action": "CHANGE", "aboveQuantity": "-5" }] }), "/rules/0/aboveQuantity"),
            (json!({ "rules": [{ "action": "CHANGE" }, { "action": "CHANGE", "serviceId": unknown }] }), "/rules/1/serviceId"),
            (json!({ "rules": [{ "action": "DEPLOY" }] }), "/rules/0/action"),
            (json!({ "rules": [], "lapseDays": 91 }), "/lapseDays"),
            (json!({ "rules": [], "lapseDays": 0 }), "/lapseDays"),
            (json!({ "rules": vec![json!({ "action": "CHANGE" }); 51] }), "/rules"),
        ] {
            let refused = put(&customer, body.clone()).header("if-match", "*").send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.text("/errors/0/pointer"), pointer, "{body}: {}", refused.json());
        }
        // Others' approvals are like none.
        let id = subscribe(&world, &shop, &shop.builtin).send().await.expect(202).text("/id");
        assert_eq!(approval(&world, &customer, &id).await.text("/lapsesAt"), "2026-11-23T12:00:00.000Z");
        let missing = "apv_01h455vb4pex5vsknk084sn02q";
        let answers = async |id: &str| {
            let path = format!("/v1/approvals/{id}");
            let shown = world.get(&path).by(&stranger).send().await;
            let withdrawn = world.post(&format!("{path}/withdraw"), json!({})).by(&stranger).send().await;
            [shown, withdrawn].map(|answer| answer.expect_problem(404, "approval_not_found").text("/detail").replace(id, "…"))
        };
        assert_eq!(answers(&id).await, answers(missing).await);
        assert_eq!(world.get("/v1/approvals").by(&stranger).send().await.expect(200).at("/items"), json!([]));
        let named = format!("/v1/approvals?organizationId={}&status=PENDING", shop.customer);
        assert_eq!(get(&world, &shop.operator, &named).await.at("/items").as_array().unwrap().len(), 1);
    });
}

#[test]
fn who_asked_and_who_decided_stands_in_the_audit_of_both() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        let id = change(&world, &shop.admin, &path, "20").send().await.expect(202).text("/id");
        say(&world, &customer, &id, "approve", json!({ "reason": "we grow" })).await.expect(200);
        world.settle().await;
        let task = approval(&world, &customer, &id).await.text("/taskId");
        for (by, organization) in [(&customer, &shop.customer), (&shop.admin, &shop.provider)] {
            let path = format!("/v1/audit-entries?organizationId={organization}&limit=200");
            let entries = get(&world, by, &path).await.at("/items");
            let told: Vec<_> = entries.as_array().unwrap().iter().filter(|entry| entry["subjectId"] == *id).collect();
            let actions: Vec<_> = told.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
            assert_eq!(actions, ["subscriptions.change", "approvals.approve", "approvals.begin"], "{entries:#}");
            let asker = told[0]["principal"].clone();
            assert_eq!(told[1]["details"]["askedBy"], json!({ "to": asker }));
            assert_eq!(told[1]["details"]["reason"], json!({ "to": "we grow" }));
            assert_ne!(told[1]["principal"], asker);
            assert_eq!(told[2]["details"]["taskId"], json!({ "to": task }));
        }
    });
}

#[test]
fn what_is_renewed_by_itself_needs_no_approval() {
    simulated(|| async {
        let (world, shop, customer, _) = ground().await;
        let path = crate::provisioning_renewals::subscribed(&world, &shop, "month", 1).await;
        policy(&world, &customer, rules(&["RENEW", "TERMINATE"])).await.expect(200);
        for _ in 0..30 {
            world.hub.clock().advance(DAY).await;
            world.settle().await;
        }
        assert_eq!(get(&world, &customer, &format!("{path}/renewal")).await.text("/termEndsAt"), "2027-01-21T12:00:00.000Z");
        assert_eq!(world.count("SELECT COUNT(*) FROM approvals"), 0);
    });
}

/// Asked, approved and begun, with the hub dying at one statement of either; what nobody has an answer to is sent again. How many
/// statements it took.
async fn walked(provision: bool, crash: Option<(u64, bool)>) -> (World, u64) {
    let (mut world, shop, customer, path) = ground().await;
    policy(&world, &customer, rules(&["PROVISION", "CHANGE"])).await.expect(200);
    let before = world.hub.host_calls().len();
    if let Some((nth, after)) = crash {
        let fault = Fault::on(Target::Sql).nth(nth);
        world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
    }
    let mut statements = 0;
    let mut id = String::new();
    // What is sent is sent with a key, so it can be sent again.
    for part in ["ask", "approve"] {
        for _ in 0..2 {
            let call = match (part, provision) {
                ("ask", true) => subscribe(&world, &shop, &shop.builtin),
                ("ask", false) => change(&world, &shop.admin, &path, "20"),
                _ => world.post(&format!("/v1/approvals/{id}/approve"), json!({})).by(&customer),
            };
            match call.key(part).try_send().await {
                Ok(answer) => {
                    id = answer.text("/id");
                    break;
                }
                Err(_) => world.restart().await,
            }
        }
    }
    for _ in 0..30 {
        match world.hub.tick().await {
            Ok(next) if next.is_none_or(|wait| wait > 0) && world.count("SELECT COUNT(*) FROM jobs") == 0 => break,
            Ok(_) => world.hub.clock().advance(Duration::from_secs(61)).await,
            Err(_) => world.restart().await,
        }
    }
    if crash.is_none() {
        statements = world.hub.host_calls()[before..].iter().filter(|call| call.kind == host::Kind::Sql).count() as u64;
    }
    (world, statements)
}

fn begun_once_wherever_the_hub_dies(provision: bool) {
    let total = simulated(|| async { walked(provision, None).await.1 });
    assert!(total > 60, "{total}");
    for nth in 1..=total {
        for after in [false, true] {
            simulated(|| async {
                let (world, _) = walked(provision, Some((nth, after))).await;
                for (sql, count) in [
                    ("SELECT COUNT(*) FROM approvals", 1),
                    (
                        "SELECT COUNT(*) FROM approvals a JOIN tasks t ON t.id = a.task_id WHERE a.status = 'BEGUN' AND t.status = 'SUCCESS'",
                        1,
                    ),
                    (TASKS, 2),
                    ("SELECT COUNT(*) FROM subscriptions WHERE status = 'ACTIVE'", 1 + i64::from(provision)),
                    ("SELECT COUNT(*) FROM entitlements", 1 + i64::from(provision)),
                    ("SELECT COUNT(*) FROM entitlements WHERE quantity = '20'", i64::from(!provision)),
                    ("SELECT COUNT(DISTINCT at) FROM audit_entries WHERE resource = 'approvals' AND operation = 'begin'", 1),
                    ("SELECT COUNT(*) FROM jobs", 0),
                ] {
                    assert_eq!(world.count(sql), count, "at {nth}, after {after}: {sql}");
                }
            });
        }
    }
}

#[test]
fn wherever_the_hub_dies_what_was_approved_is_changed_once() {
    begun_once_wherever_the_hub_dies(false);
}

#[test]
fn wherever_the_hub_dies_what_was_approved_is_provisioned_once() {
    begun_once_wherever_the_hub_dies(true);
}

#[test]
fn what_cannot_be_looked_into_is_begun_later() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        let id = change(&world, &shop.admin, &path, "20").send().await.expect(202).text("/id");
        say(&world, &customer, &id, "approve", json!({})).await.expect(200);
        crate::provisioning_support::break_sql(&world, "FROM services", 3);
        crate::provisioning_support::run_out(&world).await;
        assert_eq!(approval(&world, &customer, &id).await.text("/status"), "BEGUN");
        assert_eq!(get(&world, &customer, &path).await.text("/quantity"), "20");
    });
}

#[test]
fn of_two_who_answer_at_once_one_decides() {
    simulated(|| async {
        let (world, shop, customer, path) = ground().await;
        policy(&world, &customer, rules(&["CHANGE"])).await.expect(200);
        let id = change(&world, &shop.admin, &path, "20").send().await.expect(202).text("/id");
        let (yes, no) = futures::join!(
            say(&world, &customer, &id, "approve", json!({})),
            say(&world, &shop.admin, &id, "withdraw", json!({})),
        );
        let statuses = [yes.status(), no.status()];
        assert!(statuses == [200, 409] || statuses == [409, 200], "{statuses:?}");
        world.settle().await;
        let expected = if yes.status() == 200 { "20" } else { "10" };
        assert_eq!(get(&world, &customer, &path).await.text("/quantity"), expected);
    });
}

#[test]
fn while_a_task_is_at_work_nothing_is_approved() {
    simulated(|| async {
        let (world, shop, customer, _) = ground().await;
        let manual = subscribe(&world, &shop, &shop.manual).send().await;
        let done = format!("/v1/tasks/{}/steps/PROVISION/complete", manual.expect(202).text("/id"));
        world.settle().await;
        world.post(&done, json!({})).by(&shop.admin).send().await.expect(200);
        world.settle().await;
        let path = format!("/v1/subscriptions/{}", manual.text("/subscriptionId"));
        policy(&world, &customer, rules(&["TERMINATE"])).await.expect(200);
        let end = world.post(&format!("{path}/terminate"), json!({ "reason": "moved" })).by(&shop.admin).header("if-match", "*");
        let id = end.send().await.expect(202).text("/id");
        let task = change(&world, &shop.admin, &path, "20").send().await.expect(202).text("/id");
        world.settle().await;
        let refused = say(&world, &customer, &id, "approve", json!({})).await;
        assert!(refused.expect_problem(409, "subscription_busy").text("/detail").contains(&task), "{}", refused.json());
        // To say no there is no need to wait; and what is asked for is left for when it can be.
        assert_eq!(approval(&world, &customer, &id).await.text("/status"), "PENDING");
        let done = format!("/v1/tasks/{task}/steps/CHANGE/complete");
        world.post(&done, json!({})).by(&shop.admin).send().await.expect(200);
        world.settle().await;
        // It was asked of what the customer had before, so it is asked for anew.
        say(&world, &customer, &id, "approve", json!({})).await.expect_problem(409, "approval_outdated");
        say(&world, &customer, &id, "reject", json!({ "reason": "asked of before" })).await.expect(200);
        let end = world.post(&format!("{path}/terminate"), json!({ "reason": "moved" })).by(&shop.admin).header("if-match", "*");
        let id = end.send().await.expect(202).text("/id");
        say(&world, &customer, &id, "approve", json!({})).await.expect(200);
        world.settle().await;
        assert_eq!(get(&world, &customer, &path).await.text("/status"), "TERMINATING");
        assert_eq!(get(&world, &customer, &path).await.text("/reason"), "moved");
    });
}
