//! Terms of subscriptions: when they end, what becomes of the subscription then, and until when that can be said.

use crate::provisioning_support::{ATTEMPTS, again, break_sql};
use host::{Fault, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Answer, Shop, World, simulated};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A service with terms of 1 and 12 months, cancellable within 7 days, with a notice of 30 days for the plan `year` alone; and
/// a subscription of the shop's customer to it, for so many months.
pub async fn subscribed(world: &World, shop: &Shop, plan: &str, months: u32) -> String {
    let plan_of = |code: &str, terms: Value, notice: Value| {
        json!({
            "code": code, "displayName": code, "billingUnit": "seat", "maxQuantity": "100", "termMonths": terms,
            "cancellationDays": 7, "noticeDays": notice
        })
    };
    let offer = json!({ "plans": [plan_of("month", json!([1]), Value::Null), plan_of("year", json!([1, 12]), json!(30))] });
    let body = json!({ "code": "seats", "displayName": "Seats", "productFamily": "MSP", "driver": "BUILTIN", "offer": offer });
    let seats = world.post("/v1/services", body).by(&shop.operator).send().await.expect(201).text("/id");
    world.contract(&shop.operator, &shop.provider, &seats).await;
    let order = json!({
        "organizationId": shop.customer, "serviceId": seats, "quantity": "10", "planCode": plan, "termMonths": months
    });
    provisioned(world, shop, order).await
}

async fn provisioned(world: &World, shop: &Shop, order: Value) -> String {
    let asked = world.post("/v1/subscriptions", order).by(&shop.admin).header("prefer", "wait=5").send().await;
    asked.expect(200);
    world.settle().await;
    format!("/v1/subscriptions/{}", asked.text("/subscriptionId"))
}

async fn get(world: &World, shop: &Shop, path: &str) -> Answer {
    let admin = again(world, &shop.admin).await;
    let answer = world.get(path).by(&admin).send().await;
    answer.expect(200);
    answer
}

async fn say(world: &World, shop: &Shop, path: &str, body: Value) -> Answer {
    let admin = again(world, &shop.admin).await;
    world.put(&format!("{path}/renewal"), body).by(&admin).header("if-match", "*").send().await
}

/// Lets whole days pass, each with what is due on it.
async fn pass(world: &World, days: u32) {
    for _ in 0..days {
        world.hub.clock().advance(DAY).await;
        world.settle().await;
    }
}

#[test]
fn a_term_is_counted_down_and_renewed_with_what_is_to_change() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "month", 1).await;
        let first = get(&world, &shop, &format!("{path}/renewal")).await;
        assert_eq!(
            (first.text("/termStartsAt"), first.text("/termEndsAt")),
            ("2026-11-21T12:00:00.000Z".into(), "2026-12-21T12:00:00.000Z".into())
        );
        assert_eq!((first.at("/daysLeft"), first.at("/cancellableDaysLeft")), (json!(30), json!(7)));
        assert_eq!(
            (first.text("/renewsAt"), first.text("/changeableUntil")),
            (first.text("/termEndsAt"), first.text("/termEndsAt"))
        );
        assert_eq!((first.text("/renewalPreference"), first.header("etag")), ("AUTO".into(), "\"1\""));

        let change = json!({ "renewalPreference": "AUTO", "quantity": "20", "planCode": "year", "termMonths": 12 });
        let said = say(&world, &shop, &path, change).await;
        assert_eq!((said.expect(200).at("/change/quantity"), said.header("etag")), (json!("20"), "\"2\""));
        pass(&world, 29).await;
        let last = get(&world, &shop, &format!("{path}/renewal")).await;
        assert_eq!((last.at("/daysLeft"), last.at("/cancellableDaysLeft")), (json!(1), json!(0)));
        assert_eq!(get(&world, &shop, &path).await.text("/quantity"), "10");
        // Notices of 7 days and of 1 day; the one of 30 days would have been when the term began.
        let notices = "SELECT COUNT(DISTINCT at) FROM audit_entries WHERE resource = 'renewals' AND operation = 'notice'";
        assert_eq!(world.count(notices), 2);

        pass(&world, 1).await;
        let now = get(&world, &shop, &path).await;
        assert_eq!(
            (now.text("/status"), now.text("/quantity"), now.text("/planCode")),
            ("ACTIVE".into(), "20".into(), "year".into())
        );
        assert_eq!(now.at("/termMonths"), json!(12));
        let next = get(&world, &shop, &format!("{path}/renewal")).await;
        assert_eq!(
            (next.text("/termStartsAt"), next.text("/termEndsAt")),
            ("2026-12-21T12:00:00.000Z".into(), "2027-12-21T12:00:00.000Z".into())
        );
        assert_eq!((next.at("/change"), next.text("/changeableUntil")), (Value::Null, "2027-11-21T12:00:00.000Z".into()));
        let task = get(&world, &shop, "/v1/tasks?type=SUBSCRIPTION_RENEW").await;
        assert_eq!((task.at("/items").as_array().unwrap().len(), task.text("/items/0/status")), (1, "SUCCESS".into()));
        assert_eq!(world.count("SELECT COUNT(*) FROM entitlements WHERE quantity = '20'"), 1);
        // Nothing more happens on the days after, and one job waits for the next notice.
        pass(&world, 3).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE task_type = 'SUBSCRIPTION_RENEW'"), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
    });
}

/// The term is written with what makes the subscription active, and moved on with what renews it: no moment lies between.
#[test]
fn a_term_is_there_as_soon_as_its_subscription_is_active_and_moves_on_as_soon_as_it_is_renewed() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        subscribed(&world, &shop, "month", 1).await;
        let service =
            world.database().query_row("SELECT id FROM services WHERE code = 'seats'", [], |row| row.get::<_, String>(0));
        let order = json!({
            "organizationId": shop.customer, "serviceId": service.unwrap(), "quantity": "1", "planCode": "month", "termMonths": 1
        });
        let ordered = world.post("/v1/subscriptions", order).by(&shop.admin).send().await;
        let path = format!("/v1/subscriptions/{}", ordered.expect(202).text("/subscriptionId"));
        let renewal = format!("{path}/renewal");
        // The jobs of the task are run one at a time, and after each the term is there exactly where the subscription is active.
        let follow = async |active: &str, ends: &str| loop {
            let now = get(&world, &shop, &path).await.text("/status");
            let term = world.get(&renewal).by(&shop.admin).send().await;
            if now == active {
                assert_eq!(term.expect(200).text("/termEndsAt"), ends);
                return;
            }
            if now == "PROVISIONING" {
                term.expect_problem(404, "renewal_not_found");
            } else {
                assert_ne!(term.expect(200).text("/termEndsAt"), ends);
            }
            crate::tasks_walk::turn(&world, "provisioning").await;
        };
        follow("ACTIVE", "2026-12-21T12:00:00.000Z").await;
        let renew = world.post(&format!("{path}/renew"), json!({})).by(&shop.admin).header("if-match", "*").send().await;
        renew.expect(202);
        follow("ACTIVE", "2027-01-21T12:00:00.000Z").await;
    });
}

#[test]
fn what_is_not_to_be_renewed_ends_with_its_term() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "month", 1).await;
        let said = say(&world, &shop, &path, json!({ "renewalPreference": "CANCEL" })).await;
        assert_eq!((said.expect(200).at("/renewsAt"), said.at("/change")), (Value::Null, Value::Null));
        pass(&world, 29).await;
        assert_eq!(get(&world, &shop, &path).await.text("/status"), "ACTIVE");
        pass(&world, 1).await;
        let ended = get(&world, &shop, &path).await;
        assert_eq!((ended.text("/status"), ended.text("/reason")), ("TERMINATED".into(), "Its term has ended.".into()));
        assert_eq!(ended.at("/chargedUntil"), Value::Null);
        pass(&world, 2).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        assert_eq!(get(&world, &shop, "/v1/renewals").await.at("/items"), json!([]));
        say(&world, &shop, &path, json!({ "renewalPreference": "AUTO" })).await.expect_problem(409, "renewal_fixed");
    });
}

#[test]
fn a_term_is_ended_without_charge_within_its_window_and_early_after_it() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "year", 12).await;
        let end = async |body: Value| {
            let admin = again(&world, &shop.admin).await;
            let path = format!("{path}/terminate");
            world.post(&path, body).by(&admin).header("if-match", "*").header("prefer", "wait=5").send().await
        };
        pass(&world, 8).await;
        let before = world.dump();
        let refused = end(json!({})).await;
        refused.expect_problem(409, "cancellation_window_over");
        assert!(
            refused.text("/detail").contains("2026-11-28") && refused.text("/detail").contains("2027-11-21"),
            "{}",
            refused.json()
        );
        assert_eq!(
            world.dump().lines().filter(|line| line.starts_with("tasks")).count(),
            before.lines().filter(|line| line.starts_with("tasks")).count()
        );
        end(json!({ "early": true })).await.expect(200);
        let ended = get(&world, &shop, &path).await;
        assert_eq!(
            (ended.text("/status"), ended.text("/chargedUntil")),
            ("TERMINATED".into(), "2027-11-21T12:00:00.000Z".into())
        );
    });
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "year", 12).await;
        pass(&world, 6).await;
        let admin = again(&world, &shop.admin).await;
        let end =
            world.post(&format!("{path}/terminate"), json!({})).by(&admin).header("if-match", "*").header("prefer", "wait=5");
        end.send().await.expect(200);
        assert_eq!(get(&world, &shop, &path).await.at("/chargedUntil"), Value::Null);
    });
}

#[test]
fn what_is_to_be_is_said_in_time_by_whom_it_concerns() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "year", 1).await;
        let renewal = format!("{path}/renewal");
        for (body, pointer) in [
            (json!({}), "/renewalPreference"),
            (json!({ "renewalPreference": "AUTO", "quantity": "101" }), "/quantity"),
            (json!({ "renewalPreference": "AUTO", "planCode": "huge" }), "/planCode"),
            (json!({ "renewalPreference": "AUTO", "termMonths": 7 }), "/termMonths"),
        ] {
            let refused = say(&world, &shop, &path, body).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.text("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        let cancel = json!({ "renewalPreference": "CANCEL" });
        let put = |by| world.put(&renewal, cancel.clone()).by(by);
        put(&shop.admin).send().await.expect_problem(428, "if_match_required");
        put(&shop.admin).header("if-match", "\"7\"").send().await.expect_problem(412, "stale");
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        put(&customer).header("if-match", "*").send().await.expect_problem(403, "permission_missing");
        let seen = world.get(&renewal).by(&customer).send().await;
        assert_eq!(seen.expect(200).text("/renewalPreference"), "AUTO");
        let other = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let stranger = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        put(&stranger).header("if-match", "*").send().await.expect_problem(404, "renewal_not_found");
        world.get(&renewal).by(&stranger).send().await.expect_problem(404, "renewal_not_found");
        assert_eq!(world.get("/v1/renewals").by(&stranger).send().await.expect(200).at("/items"), json!([]));
        for (query, count) in [
            ("", 1),
            ("?termEndsBefore=2026-12-21T12:00:00.001Z", 1),
            ("?termEndsBefore=2026-12-21T12:00:00Z", 0),
            (&format!("?organizationId={}", shop.customer) as &str, 1),
            (&format!("?organizationId={}", shop.provider), 0),
        ] {
            let list = world.get(&format!("/v1/renewals{query}")).by(&customer).send().await;
            assert_eq!(list.expect(200).at("/items").as_array().unwrap().len(), count, "{query}");
        }
        // A notice of 30 days for a term of 30: the term had begun when it was too late.
        pass(&world, 1).await;
        say(&world, &shop, &path, cancel.clone()).await.expect_problem(409, "renewal_fixed");
    });
}

#[test]
fn a_renewal_that_cannot_be_is_tried_again_each_day() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "month", 1).await;
        world.database().execute("UPDATE contracts SET status = 'DEACTIVATED'", []).unwrap();
        pass(&world, 32).await;
        let failed = "SELECT COUNT(*) FROM tasks WHERE task_type = 'SUBSCRIPTION_RENEW' AND status = 'ERROR'";
        assert_eq!(world.count(failed), 3);
        assert_eq!(get(&world, &shop, &path).await.text("/status"), "ACTIVE");
        assert_eq!(get(&world, &shop, &format!("{path}/renewal")).await.at("/daysLeft"), json!(0));
        world.database().execute("UPDATE contracts SET status = 'ACTIVE'", []).unwrap();
        pass(&world, 1).await;
        let next = get(&world, &shop, &format!("{path}/renewal")).await;
        // From the end of the term before, and not from the day on which it could be at last.
        assert_eq!(
            (next.text("/termStartsAt"), next.text("/termEndsAt")),
            ("2026-12-21T12:00:00.000Z".into(), "2027-01-21T12:00:00.000Z".into())
        );
    });
}

#[test]
fn while_a_person_is_at_work_on_it_a_subscription_is_not_renewed() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "month", 1).await;
        pass(&world, 29).await;
        // Somebody has to do something, and takes two days for it.
        world.database().execute("UPDATE services SET driver = 'MANUAL'", []).unwrap();
        let admin = again(&world, &shop.admin).await;
        let change = world.patch(&path, json!({ "quantity": "11" })).by(&admin).header("if-match", "*").send().await;
        pass(&world, 2).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE task_type = 'SUBSCRIPTION_RENEW'"), 0);
        let admin = again(&world, &shop.admin).await;
        let step = format!("/v1/tasks/{}/steps/CHANGE/complete", change.expect(202).text("/id"));
        world.post(&step, json!({})).by(&admin).send().await.expect(200);
        // What was said of the step is carried out before the next day's look.
        world.settle().await;
        pass(&world, 1).await;
        let now = get(&world, &shop, &path).await;
        assert_eq!((now.text("/status"), now.text("/quantity")), ("ACTIVE".into(), "11".into()));
        assert_eq!(get(&world, &shop, &format!("{path}/renewal")).await.text("/termEndsAt"), "2027-01-21T12:00:00.000Z");
    });
}

#[test]
fn whichever_step_of_a_renewal_keeps_failing_it_is_undone_and_done_the_next_day() {
    for (step, statement) in
        [(0, "FROM subscription_changes"), (1, "UPDATE entitlements SET quantity"), (2, "UPDATE subscriptions SET status")]
    {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let path = subscribed(&world, &shop, "month", 1).await;
            say(&world, &shop, &path, json!({ "renewalPreference": "AUTO", "quantity": "20" })).await.expect(200);
            pass(&world, 29).await;
            world.hub.clock().advance(DAY).await;
            // Until the task is there; from then on its step fails, as often as it is tried.
            while world.count("SELECT COUNT(*) FROM tasks WHERE task_type = 'SUBSCRIPTION_RENEW'") == 0 {
                crate::tasks_walk::turn(&world, "provisioning").await;
            }
            break_sql(&world, statement, ATTEMPTS);
            for _ in 0..20 {
                world.settle().await;
                world.hub.clock().advance(Duration::from_secs(600)).await;
            }
            let task = get(&world, &shop, "/v1/tasks?type=SUBSCRIPTION_RENEW").await;
            assert_eq!(task.text("/items/0/status"), "ERROR", "{}", task.json());
            assert!(task.at(&format!("/items/0/steps/{step}/attempts")).as_i64() >= Some(10), "{}", task.json());
            let undone = get(&world, &shop, &path).await;
            assert_eq!((undone.text("/status"), undone.text("/quantity")), ("ACTIVE".into(), "10".into()));
            assert_eq!(world.count("SELECT COUNT(*) FROM entitlements WHERE quantity = '10'"), 1);
            pass(&world, 1).await;
            let now = get(&world, &shop, &path).await;
            assert_eq!((now.text("/status"), now.text("/quantity")), ("ACTIVE".into(), "20".into()));
            assert_eq!(get(&world, &shop, &format!("{path}/renewal")).await.text("/termEndsAt"), "2027-01-21T12:00:00.000Z");
        });
    }
}

/// From the day before the end of the term to the day after, with the hub dying at one statement.
async fn over(preference: &str, crash: Option<(u64, bool)>) -> (World, Shop, String, u64) {
    let mut world = World::new().await;
    let shop = world.shop().await;
    let path = subscribed(&world, &shop, "month", 1).await;
    say(&world, &shop, &path, json!({ "renewalPreference": preference })).await.expect(200);
    pass(&world, 29).await;
    let before = world.hub.host_calls().len();
    if let Some((nth, after)) = crash {
        let fault = Fault::on(Target::Sql).nth(nth);
        world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
    }
    world.hub.clock().advance(DAY).await;
    for _ in 0..20 {
        match world.hub.tick().await {
            Ok(next) if next.is_none_or(|wait| wait > 0) => break,
            Ok(_) => {}
            Err(_) => {
                world.restart().await;
                world.hub.clock().advance(Duration::from_secs(61)).await;
            }
        }
    }
    let calls = world.hub.host_calls();
    let statements = calls[before.min(calls.len())..].iter().filter(|call| call.kind == host::Kind::Sql).count() as u64;
    world.hub.faults().clear();
    world.settle().await;
    (world, shop, path, statements)
}

#[test]
fn wherever_the_hub_dies_at_the_end_of_a_term_it_is_renewed_or_ended_once() {
    for (preference, status) in [("AUTO", "ACTIVE"), ("CANCEL", "TERMINATED")] {
        let total = simulated(|| async { over(preference, None).await.3 });
        assert!(total > 40, "{total}");
        for nth in 1..=total {
            for after in [false, true] {
                simulated(|| async {
                    let (world, shop, path, _) = over(preference, Some((nth, after))).await;
                    pass(&world, 2).await;
                    assert_eq!(get(&world, &shop, &path).await.text("/status"), status, "{nth} {after}");
                    let tasks = "SELECT COUNT(*) FROM tasks WHERE task_type IN ('SUBSCRIPTION_RENEW', 'SUBSCRIPTION_TERMINATE')";
                    assert_eq!(world.count(tasks), 1, "{nth} {after}");
                    let ends = if preference == "AUTO" { "2027-01-21T12:00:00.000Z" } else { "2026-12-21T12:00:00.000Z" };
                    assert_eq!(get(&world, &shop, &format!("{path}/renewal")).await.text("/termEndsAt"), ends);
                    assert_eq!(world.count("SELECT COUNT(*) FROM entitlements"), i64::from(preference == "AUTO"));
                });
            }
        }
    }
}

/// Renews a subscription before its term ends.
async fn renew(world: &World, shop: &Shop, path: &str, body: Value) -> Answer {
    let admin = again(world, &shop.admin).await;
    let path = format!("{path}/renew");
    let answer = world.post(&path, body).by(&admin).header("if-match", "*").header("prefer", "wait=5").send().await;
    world.settle().await;
    answer
}

#[test]
fn a_further_term_is_appended_by_hand_once_a_term() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "month", 1).await;
        pass(&world, 10).await;
        let done = renew(&world, &shop, &path, json!({})).await;
        assert_eq!((done.expect(200).text("/type"), done.text("/status")), ("SUBSCRIPTION_RENEW".into(), "SUCCESS".into()));
        let next = get(&world, &shop, &format!("{path}/renewal")).await;
        // From the end of the present one, however early it was asked for.
        assert_eq!(
            (next.text("/termStartsAt"), next.text("/termEndsAt")),
            ("2026-12-21T12:00:00.000Z".into(), "2027-01-21T12:00:00.000Z".into())
        );
        assert_eq!((next.text("/renewalPreference"), next.header("etag")), ("AUTO".into(), "\"2\""));
        assert_eq!(get(&world, &shop, &path).await.text("/status"), "ACTIVE");
        let again = renew(&world, &shop, &path, json!({})).await;
        assert!(again.expect_problem(409, "renewed_already").text("/detail").contains("2026-12-21"), "{}", again.json());
        // At the end of the first term nothing happens; at that of the further one it goes on by itself.
        pass(&world, 22).await;
        let tasks = "SELECT COUNT(*) FROM tasks WHERE task_type = 'SUBSCRIPTION_RENEW'";
        assert_eq!(world.count(tasks), 1);
        // One job waits for the next notice: none is left of the term before.
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
        renew(&world, &shop, &path, json!({})).await.expect(200);
        assert_eq!(get(&world, &shop, &format!("{path}/renewal")).await.text("/termEndsAt"), "2027-02-21T12:00:00.000Z");
        pass(&world, 62).await;
        assert_eq!(world.count(tasks), 3);
        assert_eq!(get(&world, &shop, &format!("{path}/renewal")).await.text("/termEndsAt"), "2027-03-21T12:00:00.000Z");
    });
}

#[test]
fn what_is_not_offered_or_settled_otherwise_is_not_renewed_by_hand() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "year", 12).await;
        let before = world.count("SELECT COUNT(*) FROM tasks");
        for (body, pointer) in [(json!({ "termMonths": 7 }), "/termMonths"), (json!({ "quantity": "20" }), "/quantity")] {
            let refused = renew(&world, &shop, &path, body).await;
            assert_eq!(refused.expect_problem(422, "invalid_request").text("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        renew(&world, &shop, &path, json!({ "termMonths": 4_000_000_000_u32 })).await.expect_problem(409, "term_too_late");
        // Something else was agreed on.
        say(&world, &shop, &path, json!({ "renewalPreference": "AUTO", "quantity": "20" })).await.expect(200);
        renew(&world, &shop, &path, json!({})).await.expect_problem(409, "renewal_changes");
        say(&world, &shop, &path, json!({ "renewalPreference": "AUTO" })).await.expect(200);
        // Its contract is not in force.
        world.database().execute("UPDATE contracts SET status = 'DEACTIVATED'", []).unwrap();
        renew(&world, &shop, &path, json!({})).await.expect_problem(409, "no_active_contract");
        world.database().execute("UPDATE contracts SET status = 'ACTIVE'", []).unwrap();
        let post = |by| world.post(&format!("{path}/renew"), json!({})).by(by);
        post(&shop.admin).send().await.expect_problem(428, "if_match_required");
        post(&shop.admin).header("if-match", "\"7\"").send().await.expect_problem(412, "stale");
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        post(&customer).header("if-match", "*").send().await.expect_problem(403, "permission_missing");
        let other = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let stranger = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        post(&stranger).header("if-match", "*").send().await.expect_problem(404, "subscription_not_found");
        let plain = world
            .post("/v1/subscriptions", json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" }));
        let plain = plain.by(&shop.admin).header("prefer", "wait=5").send().await.expect(200).text("/subscriptionId");
        renew(&world, &shop, &format!("/v1/subscriptions/{plain}"), json!({})).await.expect_problem(404, "renewal_not_found");
        // The notice of 30 days has to be given by then.
        pass(&world, 336).await;
        let late = renew(&world, &shop, &path, json!({})).await;
        assert!(late.expect_problem(409, "renewal_fixed").text("/detail").contains("2027-10-22"), "{}", late.json());
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks"), before + 1);
    });
}

#[test]
fn who_renewed_by_hand_is_charged_for_the_term_that_runs() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = subscribed(&world, &shop, "year", 12).await;
        pass(&world, 8).await;
        renew(&world, &shop, &path, json!({ "termMonths": 1 })).await.expect(200);
        let admin = again(&world, &shop.admin).await;
        let end = async |body: Value| {
            let path = format!("{path}/terminate");
            world.post(&path, body).by(&admin).header("if-match", "*").header("prefer", "wait=5").send().await
        };
        let refused = end(json!({})).await;
        assert!(
            refused.expect_problem(409, "cancellation_window_over").text("/detail").contains("2027-11-21"),
            "{}",
            refused.json()
        );
        end(json!({ "early": true })).await.expect(200);
        assert_eq!(get(&world, &shop, &path).await.text("/chargedUntil"), "2027-11-21T12:00:00.000Z");
    });
}

#[test]
fn what_is_to_be_at_the_end_is_said_with_the_order() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let first = subscribed(&world, &shop, "month", 1).await;
        let seats = get(&world, &shop, &first).await.text("/serviceId");
        let order = |preference: &str| {
            json!({
                "organizationId": shop.customer, "serviceId": seats, "quantity": "10", "planCode": "month", "termMonths": 1,
                "renewalPreference": preference
            })
        };
        let path = provisioned(&world, &shop, order("CANCEL")).await;
        let renewal = get(&world, &shop, &format!("{path}/renewal")).await;
        assert_eq!((renewal.text("/renewalPreference"), renewal.at("/renewsAt")), ("CANCEL".into(), Value::Null));
        let auto = provisioned(&world, &shop, order("AUTO")).await;
        assert_eq!(get(&world, &shop, &format!("{auto}/renewal")).await.text("/renewalPreference"), "AUTO");
        let plain =
            json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1", "renewalPreference": "CANCEL" });
        let refused = world.post("/v1/subscriptions", plain).by(&shop.admin).send().await;
        assert_eq!(refused.expect_problem(422, "invalid_request").text("/errors/0/pointer"), "/renewalPreference");
        let refused = world.post("/v1/subscriptions", order("NEVER")).by(&shop.admin).send().await;
        assert_eq!(refused.expect_problem(422, "invalid_request").text("/errors/0/pointer"), "/renewalPreference");
        pass(&world, 31).await;
        assert_eq!(get(&world, &shop, &path).await.text("/status"), "TERMINATED");
        assert_eq!(get(&world, &shop, &auto).await.text("/status"), "ACTIVE");
    });
}
