//! A database of before the components of provisioning were one goes on with what was open in it.

use crate::{
    provisioning_renewals::subscribed,
    provisioning_service_brokers_support::Stall,
    provisioning_support::{again, subscribe},
};
use serde_json::json;
use std::time::Duration;
use store::migrations::MIGRATIONS;
use tests::{Actor, Answer, Shop, World, simulated};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes of the database what a hub of before would have left, up to these changes, and starts the hub on it.
async fn upgrade(world: &mut World, changes: &str) {
    world.hub.kill();
    let step = MIGRATIONS.iter().find(|step| step.name.ends_with("_provisioning") && step.number > 30).unwrap().number;
    let before = format!(
        "ALTER TABLE services ADD COLUMN asks BIGINT NOT NULL DEFAULT 0;
         UPDATE jobs SET queue = 'approvals' WHERE kind = 'approval.lapse';
         UPDATE jobs SET queue = 'renewals' WHERE kind = 'renewal.look';
         UPDATE jobs SET queue = 'service-bindings' WHERE kind = 'service_bindings.forget' OR (kind = 'task.advance'
             AND substr(payload, 12, 31) IN (SELECT id FROM tasks WHERE task_type IN ('SERVICE_BIND', 'SERVICE_UNBIND')));
         UPDATE tasks SET queue = 'service-bindings' WHERE task_type IN ('SERVICE_BIND', 'SERVICE_UNBIND');
         {changes}
         DELETE FROM job_turns;
         INSERT INTO job_turns (queue, organization_id, turn)
             SELECT queue, organization_id, MIN(due_at) * 16384 FROM jobs WHERE state <> 'PARKED' GROUP BY queue, organization_id;
         DELETE FROM schema_migrations WHERE number >= {step};"
    );
    world.database().execute_batch(&before).unwrap();
    world.restart().await;
    world.get("/health").send().await.expect(200);
    let old = "('catalogue', 'subscriptions', 'approvals', 'renewals', 'service-bindings', 'service-brokers', 'cloud-endpoints')";
    for table in ["jobs", "tasks", "job_turns", "job_queues"] {
        assert_eq!(world.count(&format!("SELECT COUNT(*) FROM {table} WHERE queue IN {old}")), 0, "{table}");
    }
    let dissolved = "('renewal.begin', 'renewal.renewed', 'subscription.term-over')";
    assert_eq!(world.count(&format!("SELECT COUNT(*) FROM jobs WHERE kind IN {dissolved}")), 0);
}

fn text(world: &World, sql: &str) -> String {
    world.database().query_row(sql, [], |row| row.get(0)).expect(sql)
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

async fn get(world: &World, by: &Actor, path: &str) -> Answer {
    let by = again(world, by).await;
    let answer = world.get(path).by(&by).send().await;
    answer.expect(200);
    answer
}

async fn order_seats(world: &World, shop: &Shop) -> String {
    let service = text(world, "SELECT id FROM services WHERE code = 'seats'");
    let by = again(world, &shop.admin).await;
    let order = json!({
        "organizationId": shop.customer, "serviceId": service, "quantity": "1", "planCode": "month", "termMonths": 1
    });
    let ordered = world.post("/v1/subscriptions", order).by(&by).header("prefer", "wait=5").send().await;
    format!("/v1/subscriptions/{}", ordered.expect(200).text("/subscriptionId"))
}

/// A job as the hubs of before wrote it.
fn job(queue: &str, kind: &str, customer: &str, payload: String, due: &str) -> String {
    format!(
        "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
         VALUES ('job_{kind}', '{queue}', '{kind}', '{customer}', '{payload}', 'READY', {due}, 0, 0, 1);"
    )
    .replace("job_renewal.begin", "job_01h455vb4pex5vsknk084sn01a")
    .replace("job_renewal.renewed", "job_01h455vb4pex5vsknk084sn01b")
    .replace("job_subscription.term-over", "job_01h455vb4pex5vsknk084sn01c")
}

/// The jobs that wrote first terms, moved terms on and ended them.
#[test]
fn terms_go_on() {
    for preference in ["AUTO", "CANCEL"] {
        simulated(|| async {
            let mut world = World::new().await;
            let shop = world.shop().await;
            // The term of the first is over.
            let over = subscribed(&world, &shop, "month", 1).await;
            let by = again(&world, &shop.admin).await;
            let put = world.put(&format!("{over}/renewal"), json!({ "renewalPreference": preference })).by(&by);
            put.header("if-match", "*").send().await.expect(200);
            let ends = text(&world, "SELECT CAST(ends_at AS TEXT) FROM renewals").parse::<i64>().unwrap();
            for _ in 0..30 {
                world.hub.clock().advance(DAY).await;
            }
            // The second has just become active, the third was just renewed.
            let begun = order_seats(&world, &shop).await;
            let renewed = order_seats(&world, &shop).await;
            let before = text(
                &world,
                &format!(
                    "SELECT 'months_done = ' || months_done || ', starts_at = ' || starts_at || ', ends_at = ' || ends_at
                         || ', cancellable_until = ' || cancellable_until FROM renewals WHERE subscription_id = '{}'",
                    id(&renewed)
                ),
            );
            let renewed_ends =
                text(&world, &format!("SELECT CAST(ends_at AS TEXT) FROM renewals WHERE subscription_id = '{}'", id(&renewed)))
                    .parse::<i64>()
                    .unwrap();
            let by = again(&world, &shop.admin).await;
            let renew = world.post(&format!("{renewed}/renew"), json!({})).by(&by).header("if-match", "*");
            renew.header("prefer", "wait=5").send().await.expect(200);
            let now = get(&world, &shop.admin, &format!("{renewed}/renewal")).await;

            let (customer, due) = (shop.customer.as_str(), ends.to_string());
            let changes = [
                format!(
                    "UPDATE jobs SET due_at = due_at + 86400000 WHERE kind = 'renewal.look' AND payload LIKE '%{}%';",
                    id(&over)
                ),
                job(
                    "provisioning",
                    "subscription.term-over",
                    customer,
                    format!(
                        r#"{{"subscriptionId":"{}","termEndsAt":{ends},"change":{}}}"#,
                        id(&over),
                        if preference == "AUTO" { "{}" } else { "null" }
                    ),
                    &due,
                ),
                format!("DELETE FROM jobs WHERE kind = 'renewal.look' AND payload LIKE '%{}%';", id(&begun)),
                format!("DELETE FROM renewals WHERE subscription_id = '{}';", id(&begun)),
                job("renewals", "renewal.begin", customer, format!(r#"{{"subscriptionId":"{}"}}"#, id(&begun)), &due),
                format!(
                    "DELETE FROM jobs WHERE kind = 'renewal.look' AND payload LIKE '%{}%' AND payload NOT LIKE '%{renewed_ends}%';",
                    id(&renewed)
                ),
                format!("UPDATE renewals SET version = 1, {before} WHERE subscription_id = '{}';", id(&renewed)),
                job(
                    "renewals",
                    "renewal.renewed",
                    customer,
                    format!(r#"{{"subscriptionId":"{}","termEndsAt":{renewed_ends},"months":1}}"#, id(&renewed)),
                    &due,
                ),
            ];
            upgrade(&mut world, &changes.concat()).await;
            world.settle().await;
            let ended = get(&world, &shop.admin, &over).await;
            assert_eq!(ended.text("/status"), if preference == "AUTO" { "ACTIVE" } else { "TERMINATED" });
            if preference == "AUTO" {
                let next = get(&world, &shop.admin, &format!("{over}/renewal")).await;
                assert_eq!(next.text("/termEndsAt"), "2027-01-21T12:00:00.000Z");
            }
            let first = get(&world, &shop.admin, &format!("{begun}/renewal")).await;
            assert_eq!(first.text("/termEndsAt"), "2027-01-21T12:00:00.000Z");
            let next = get(&world, &shop.admin, &format!("{renewed}/renewal")).await;
            assert_eq!(
                (next.text("/termEndsAt"), next.text("/termStartsAt")),
                (now.text("/termEndsAt"), now.text("/termStartsAt"))
            );
            // Each term is looked at by one job, and two days later by one still.
            for _ in 0..2 {
                let looks =
                    "SELECT COUNT(*) FROM jobs WHERE kind = 'renewal.look' AND payload LIKE '%' || (SELECT ends_at FROM renewals
                     WHERE subscription_id = '";
                for path in [&begun, &renewed] {
                    assert_eq!(world.count(&format!("{looks}{0}') || '%' AND payload LIKE '%{0}%'", id(path))), 1);
                }
                assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE state = 'PARKED'"), 0);
                world.hub.clock().advance(DAY).await;
                world.settle().await;
            }
            let tasks = format!(
                "SELECT COUNT(*) FROM tasks WHERE subscription_id = '{}' AND task_type IN ('SUBSCRIPTION_RENEW', 'SUBSCRIPTION_TERMINATE')",
                id(&over)
            );
            assert_eq!(world.count(&tasks), 1);
        });
    }
}

/// An approval that was pending before is given afterwards; one that was given before is begun; one that nobody answers lapses.
#[test]
fn approvals_go_on() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let mut paths = Vec::new();
        for _ in 0..3 {
            let ordered = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
            paths.push(format!("/v1/subscriptions/{}", ordered.expect(200).text("/subscriptionId")));
        }
        let policy = format!("/v1/approval-policies/{}", customer.organization);
        let rules = json!({ "rules": [{ "action": "CHANGE" }] });
        world.put(&policy, rules).by(&customer).header("if-match", "*").send().await.expect(200);
        let mut approvals = Vec::new();
        for path in &paths {
            let asked = world.patch(path, json!({ "quantity": "20" })).by(&shop.admin).header("if-match", "*").send().await;
            approvals.push(format!("/v1/approvals/{}", asked.expect(202).text("/id")));
        }
        let approve = async |world: &World, path: &str| {
            let by = again(world, &customer).await;
            world.post(&format!("{path}/approve"), json!({})).by(&by).send().await.expect(200);
        };
        approve(&world, &approvals[1]).await;
        upgrade(&mut world, "").await;
        approve(&world, &approvals[0]).await;
        world.settle().await;
        for (path, approval) in paths.iter().zip(&approvals).take(2) {
            assert_eq!(get(&world, &shop.admin, approval).await.text("/status"), "BEGUN");
            assert_eq!(get(&world, &shop.admin, path).await.text("/quantity"), "20");
        }
        assert_eq!(get(&world, &shop.admin, &approvals[2]).await.text("/status"), "PENDING");
        for _ in 0..8 {
            world.hub.clock().advance(DAY).await;
        }
        world.settle().await;
        assert_eq!(text(&world, "SELECT status FROM approvals WHERE status NOT IN ('BEGUN', 'PENDING')"), "LAPSED");
        assert_eq!(get(&world, &shop.admin, &paths[2]).await.text("/quantity"), "10");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

/// Tasks on the queue of service bindings, a task that waits for a person, and a parked job.
#[test]
fn tasks_go_on() {
    simulated(|| async {
        let mut world = World::new().await;
        let stall = Stall::new(&world).await;
        let subscription = stall.subscribed(&world).await;
        let manual = subscribe(&world, &stall.shop, &stall.shop.manual).send().await;
        manual.expect(202);
        world.settle().await;
        let bound = stall.bind(&world, &subscription, "app").await;
        bound.expect(202);
        upgrade(&mut world, "UPDATE jobs SET state = 'PARKED', attempts = 10 WHERE kind = 'task.advance';").await;
        stall.broker.listen(&world);
        let by = again(&world, &stall.shop.operator).await;
        let parked = world.get("/v1/jobs?state=PARKED").by(&by).send().await;
        assert_eq!((parked.text("/items/0/queue"), parked.text("/items/0/kind")), ("provisioning".into(), "task.advance".into()));
        world.post(&format!("/v1/jobs/{}/replay", parked.text("/items/0/id")), json!({})).by(&by).send().await.expect(200);
        for _ in 0..5 {
            world.settle().await;
            world.hub.clock().advance(Duration::from_secs(10)).await;
        }
        let task = get(&world, &stall.shop.admin, &format!("/v1/tasks/{}", bound.text("/id"))).await;
        assert_eq!(task.text("/status"), "SUCCESS", "{}", task.json());
        let by = again(&world, &stall.shop.admin).await;
        let done = format!("/v1/tasks/{}/steps/PROVISION/complete", manual.text("/id"));
        world.post(&done, json!({})).by(&by).send().await.expect(200);
        world.settle().await;
        let now = get(&world, &stall.shop.admin, &format!("/v1/subscriptions/{}", manual.text("/subscriptionId"))).await;
        assert_eq!(now.text("/status"), "ACTIVE");
    });
}
