//! The hub's time when the machine's clock is set back or jumps ahead.

use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tests::{Actor, INTERNAL_SECRET, World, simulated};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

async fn set_back(world: &World, by: u64) {
    world.hub.clock().set(world.hub.clock().now() - Duration::from_secs(by)).await;
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

async fn order(world: &World, admin: &Actor, customer: &str, service: &str) -> Value {
    let body = json!({ "organizationId": customer, "serviceId": service, "quantity": "1" });
    world.post("/v1/subscriptions", body).by(admin).send().await.expect(202).json()
}

async fn again(world: &World, actor: &Actor) -> Actor {
    world.sign_in(&actor.api_token, &actor.organization).await
}

#[test]
fn a_clock_set_back_by_a_day_stops_no_work() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        world.settle().await;
        let task = order(&world, &shop.admin, &shop.customer, &shop.builtin).await;
        let before = world.hub.clock().now();
        set_back(&world, DAY).await;
        // Also for a hub that is started then.
        world.restart().await;
        world.settle().await;
        let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
        let done = world.get(&path).by(&shop.admin).send().await;
        assert_eq!(done.expect(200).text("/status"), "SUCCESS", "{}", done.json());
        assert!(world.hub.logs().join("\n").contains("s behind what the hub wrote"), "{:?}", world.hub.logs());

        // What is written then comes after what was written before, and what waits for its time gets it.
        world.hub.clock().advance(Duration::from_secs(600)).await;
        let admin = again(&world, &shop.admin).await;
        let next = order(&world, &admin, &shop.customer, &shop.manual).await;
        assert!(next["id"].as_str() > task["id"].as_str(), "{next} after {task}");
        world.settle().await;
        let highest = world.count("SELECT highest FROM hub");
        assert!(highest > millis(before) + 300_000 && highest < millis(before) + 700_000, "{highest}");
        // A token lives its half hour, a little longer while the clock catches up, and not a day.
        let token = admin.access_token.clone();
        world.hub.clock().advance(Duration::from_secs(HOUR)).await;
        world.get("/v1/me").bearer(&token).send().await.expect(401);
        // In four days the clock has caught up.
        for _ in 0..24 {
            world.hub.clock().advance(Duration::from_secs(5 * HOUR)).await;
            world.hub.tick().await.unwrap();
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM hub WHERE anchor_wall IS NULL"), 1);
        let (highest, now) = (world.count("SELECT highest FROM hub"), millis(world.hub.clock().now()));
        assert!((now - highest).abs() < 2_000, "{highest} at {now}");
    });
}

#[test]
fn a_token_from_the_future_ends_with_it_and_work_comes_back_by_the_operators_word() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        world.settle().await;
        let right = world.hub.clock().now();
        world.hub.clock().advance(Duration::from_secs(40 * DAY)).await;
        world.hub.tick().await.unwrap();
        assert!(world.hub.logs().join("\n").contains("h ahead of what the hub wrote last"), "{:?}", world.hub.logs());
        let future = again(&world, &shop.admin).await;
        let task = order(&world, &future, &shop.customer, &shop.builtin).await;
        world.hub.clock().set(right + Duration::from_secs(60)).await;
        world.hub.tick().await.unwrap();
        assert!(world.hub.logs().join("\n").contains("--accept clock"), "{:?}", world.hub.logs());
        // The hub's time is a day ahead of the clock, so the token would have lived for 39 days.
        world.get("/v1/me").by(&future).send().await.expect(401);
        let admin = again(&world, &shop.admin).await;
        let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
        world.settle().await;
        assert_ne!(world.get(&path).by(&admin).send().await.text("/status"), "SUCCESS", "its job is due in the future");

        let accept = json!({ "accept": ["clock"] });
        world.post("/internal/start", accept).bearer(INTERNAL_SECRET).send().await.expect(200);
        world.hub.clock().advance(Duration::from_secs(2)).await;
        world.settle().await;
        let now = millis(world.hub.clock().now());
        assert!((world.count("SELECT highest FROM hub") - now).abs() < 3_000);
        let admin = again(&world, &shop.admin).await;
        let ended = world.get(&path).by(&admin).send().await;
        let left = || {
            world.dump().lines().filter(|row| row.starts_with("job") || row.starts_with("hub:")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(ended.text("/status"), "SUCCESS", "at {now}: {}\n{}", ended.json(), left());
        world.get("/v1/me").by(&admin).send().await.expect(200);
    });
}

#[test]
fn reading_writes_no_time_and_ticks_write_it_seldom() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        world.hub.tick().await.unwrap();
        let before = world.hub.host_calls().len();
        for _ in 0..10 {
            world.get("/v1/me").by(&operator).send().await.expect(200);
            world.hub.tick().await.unwrap();
        }
        let calls = world.hub.host_calls().split_off(before);
        assert!(!calls.iter().any(|call| call.detail.contains("UPDATE hub")), "{calls:?}");
        world.hub.clock().advance(Duration::from_secs(10)).await;
        world.hub.tick().await.unwrap();
        let now = millis(world.hub.clock().now());
        assert!((world.count("SELECT highest FROM hub") - now).abs() < 1_000);
    });
}
