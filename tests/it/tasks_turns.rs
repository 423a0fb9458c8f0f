//! Organizations take turns in a queue: one tenant's jobs do not delay another's, however many they are.

use crate::provisioning_support::{run_out, steps, subscribe, task};
use crate::tasks_walk::runner;
use host::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    time::{Duration, Instant},
};
use tests::{Shop, World, simulated};

/// Writes down, in the order in which the database saw it, which jobs fall due, are claimed and end.
const LOG: &str = "
    CREATE TABLE job_log (n INTEGER PRIMARY KEY, what TEXT, organization_id TEXT);
    CREATE TRIGGER log_new AFTER INSERT ON jobs WHEN NEW.queue = 'provisioning' BEGIN
        INSERT INTO job_log (what, organization_id) VALUES ('DUE', NEW.organization_id); END;
    CREATE TRIGGER log_claim AFTER UPDATE ON jobs WHEN NEW.queue = 'provisioning' AND NEW.fence > OLD.fence BEGIN
        INSERT INTO job_log (what, organization_id) VALUES ('CLAIM', NEW.organization_id); END;
    CREATE TRIGGER log_again AFTER UPDATE ON jobs WHEN NEW.queue = 'provisioning' AND OLD.state = 'RUNNING' AND NEW.state = 'READY' BEGIN
        INSERT INTO job_log (what, organization_id) VALUES ('END', NEW.organization_id), ('DUE', NEW.organization_id); END;
    CREATE TRIGGER log_parked AFTER UPDATE ON jobs WHEN NEW.queue = 'provisioning' AND OLD.state = 'RUNNING' AND NEW.state = 'PARKED' BEGIN
        INSERT INTO job_log (what, organization_id) VALUES ('END', NEW.organization_id); END;
    CREATE TRIGGER log_end AFTER DELETE ON jobs WHEN OLD.queue = 'provisioning' BEGIN
        INSERT INTO job_log (what, organization_id) VALUES ('END', OLD.organization_id); END;";

fn log(world: &World) -> Vec<(String, String)> {
    let database = world.database();
    let mut statement = database.prepare("SELECT what, organization_id FROM job_log ORDER BY n").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// While an organization has due jobs and no runner is at any of them, no other organization is served twice.
fn check_turns(log: &[(String, String)]) -> Result<(), String> {
    let mut due: BTreeMap<&str, i64> = BTreeMap::new();
    let mut running: BTreeMap<&str, i64> = BTreeMap::new();
    // Of each organization that waits: how often each other one was served since.
    let mut waiting: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
    for (at, (what, organization)) in log.iter().enumerate() {
        let organization = organization.as_str();
        match what.as_str() {
            "DUE" => *due.entry(organization).or_default() += 1,
            "END" => *running.entry(organization).or_default() -= 1,
            _ => {
                *due.entry(organization).or_default() -= 1;
                *running.entry(organization).or_default() += 1;
                for (who, served) in &mut waiting {
                    let served = served.entry(organization).or_default();
                    *served += 1;
                    if *who != organization && *served > 1 {
                        return Err(format!("{organization} was served {served} times while {who} waited, at {at}: {log:?}"));
                    }
                }
            }
        }
        let idle = |organization: &str| running.get(organization).is_none_or(|jobs| *jobs == 0);
        if due[organization] > 0 && idle(organization) && (what != "CLAIM") {
            waiting.entry(organization).or_default();
        } else {
            waiting.remove(organization);
        }
    }
    Ok(())
}

/// As many due jobs of an organization that end as soon as they are run: they are of no task.
fn pile(world: &World, organization: &str, count: u32) {
    let database = world.database();
    let now = world.hub.clock().now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    database
        .execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
             SELECT printf('job_%026d', n), 'provisioning', 'task.advance', ?2, '{\"taskId\":\"tsk_01h455vb4pex5vsknk084sn02q\"}', 'READY', ?3, 0, 0, ?3 FROM n",
            (count, organization, now),
        )
        .unwrap();
    let turn = "INSERT INTO job_turns (queue, organization_id, turn) VALUES ('provisioning', ?1, ?2 * 16384)";
    database.execute(turn, (organization, now)).unwrap();
}

async fn customer(world: &World, shop: &Shop, name: &str) -> String {
    world.organization(&shop.admin, "CUSTOMER", name, None).await
}

fn order(organization: &str, shop: &Shop) -> Value {
    json!({ "organizationId": organization, "serviceId": shop.builtin, "quantity": "1" })
}

#[test]
fn two_thousand_jobs_of_one_tenant_do_not_delay_anothers() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let crowd = customer(&world, &shop, "Crowd").await;
        world.database().execute_batch(LOG).unwrap();
        pile(&world, &crowd, 2000);
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        world.hub.tick().await.unwrap();
        assert_eq!(steps(&task(&world, &shop.admin, &asked).await), ["SUCCESS"; 3]);
        let log = log(&world);
        check_turns(&log).unwrap();
        let last = log.iter().rposition(|(what, organization)| what == "END" && *organization == shop.customer).unwrap();
        let before = log[..last].iter().filter(|(what, organization)| what == "CLAIM" && *organization == crowd).count();
        // It waits for a claim behind one job, as was checked; while it runs, the other tenant's four places and the gate of writers, which
        // lets some pass, bring some more through.
        assert!(before <= 600, "{before} of 2,000 jobs of another tenant were run before it ended");
        run_out(&world).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE state <> 'PARKED'"), 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM job_turns"), 0);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn no_tenant_is_served_twice_while_another_waits(
        seed: u64,
        plan in proptest::collection::vec((0usize..4, 0u64..3, 0u32..4), 4..24),
    ) {
        simulated(|| async {
            let world = World::with_seed(seed).await;
            let shop = world.shop().await;
            let mut customers = vec![shop.customer.clone()];
            for n in 1..4 {
                customers.push(customer(&world, &shop, &format!("C{n}")).await);
            }
            world.database().execute_batch(LOG).unwrap();
            let (world, shop, customers) = (&world, &shop, &customers);
            let mut work: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
            for &(organization, millis, runners) in &plan {
                work.push(Box::pin(async move {
                    world.post("/v1/subscriptions", order(&customers[organization], shop)).by(&shop.admin).send().await.expect(202);
                }));
                if runners > 1 {
                    // Whatever was asked so far and so many runners, all at once.
                    for _ in 1..runners {
                        work.push(Box::pin(runner(world, "provisioning")));
                    }
                    futures::future::join_all(work.drain(..)).await;
                    world.hub.clock().advance(Duration::from_millis(millis)).await;
                }
            }
            futures::future::join_all(work.drain(..)).await;
            run_out(world).await;
            check_turns(&log(world)).unwrap();
            assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE status = 'SUCCESS'"), plan.len() as i64);
            assert_eq!(world.count("SELECT SUM(attempts) FROM task_steps"), 3 * plan.len() as i64);
            assert_eq!(world.count("SELECT COUNT(*) FROM job_turns") + world.count("SELECT COUNT(*) FROM jobs"), 0);
        });
    }
}

#[test]
fn a_claim_costs_the_same_with_a_hundred_thousand_jobs_and_ten_thousand_tenants() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let crowd = customer(&world, &shop, "Crowd").await;
        pile(&world, &crowd, 100_000);
        // Each with a job that falls due on another day.
        world
            .database()
            .execute_batch(&format!(
                "PRAGMA foreign_keys = OFF;
                 BEGIN;
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
                 INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
                 SELECT printf('job_1%025d', n), 'provisioning', 'task.advance', printf('org_%026d', n), '{{}}', 'READY', {day}, 0, 0, 0 FROM n;
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
                 INSERT INTO job_turns (queue, organization_id, turn) SELECT 'provisioning', printf('org_%026d', n), {day} * 16384 FROM n;
                 COMMIT;",
                day = 1_795_262_400_000i64 + 86_400_000,
            ))
            .unwrap();
        world.database().execute_batch(LOG).unwrap();
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        let (before, began) = (world.hub.host_calls().len(), Instant::now());
        world.hub.tick().await.unwrap();
        let (took, ran) = (began.elapsed(), world.count("SELECT COUNT(*) FROM job_log WHERE what = 'CLAIM'"));
        assert_eq!(steps(&task(&world, &shop.admin, &asked).await), ["SUCCESS"; 3]);
        check_turns(&log(&world)).unwrap();
        assert!(ran >= 200, "{ran}");
        println!("{ran} jobs in {took:?}");
        // Statements that look at the queue go to what they are after and look at nothing else.
        let calls = world.hub.host_calls().split_off(before);
        let asked: BTreeSet<String> = calls
            .into_iter()
            .filter(|call| call.kind == Kind::Sql && (call.detail.contains("job_turns") || call.detail.contains(" jobs ")))
            .map(|call| call.detail)
            .collect();
        assert!(asked.len() >= 8, "{asked:?}");
        let database = world.database();
        for sql in asked {
            let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = statement.raw_query();
            let mut plan = String::new();
            while let Some(row) = rows.next().unwrap() {
                plan += &(row.get::<_, String>(3).unwrap() + "; ");
            }
            // What is read as a whole is one row, or the list of queues; or one row along an index.
            let scans = plan.split("; ").filter(|line| line.starts_with("SCAN"));
            let few = ["SCAN last", "SCAN queues", "SCAN hub", "SCAN CONSTANT ROW", "SCAN jobs USING INDEX jobs_next"];
            assert!(scans.into_iter().all(|scan| few.contains(&scan)), "{sql}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
        // A query plan is a promise; this is time. Twenty milliseconds a job is many times what it takes on a busy machine.
        assert!(took < Duration::from_millis(20) * u32::try_from(ran).unwrap(), "{ran} jobs took {took:?}");
    });
}

#[test]
fn an_organization_that_is_due_has_a_turn_whatever_became_of_its_jobs() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let check = || {
            let late = world.count(
                "SELECT COUNT(*) FROM jobs j WHERE state <> 'PARKED' AND NOT EXISTS (SELECT 1 FROM job_turns t, (SELECT COALESCE(MAX(served), 0) AS served FROM job_queues) q
                     WHERE t.queue = j.queue AND t.organization_id = j.organization_id AND t.turn <= MAX(j.due_at * 16384 + 16383, q.served))",
            );
            assert_eq!(late, 0);
        };
        // Tried again after a fault, given up, undone.
        let asked = subscribe(&world, &shop, &shop.builtin).send().await;
        check();
        crate::provisioning_support::break_sql(&world, "INSERT INTO entitlements", 10);
        for _ in 0..40 {
            world.hub.tick().await.unwrap();
            check();
            world.hub.clock().advance(Duration::from_secs(60)).await;
        }
        assert_eq!(task(&world, &shop.admin, &asked).await["status"], "ERROR");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM job_turns"), 0);
    });
}
