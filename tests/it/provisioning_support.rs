//! What the tests of provisioning share.

use host::{Fault, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Call, Shop, World};

/// Asks for a service for the shop's customer.
pub fn subscribe<'w>(world: &'w World, shop: &Shop, service: &str) -> Call<'w> {
    let body = json!({ "organizationId": shop.customer, "serviceId": service, "quantity": "10" });
    world.post("/v1/subscriptions", body).by(&shop.admin)
}

/// The same somebody with a new access token: those of the beginning have ended when a test has let hours pass.
pub async fn again(world: &World, actor: &Actor) -> Actor {
    world.sign_in(&actor.api_token, &actor.organization).await
}

/// The task that an answer is about, as it stands now.
pub async fn task(world: &World, by: &Actor, answer: &Answer) -> Value {
    let by = again(world, by).await;
    let found = world.get(&format!("/v1/tasks/{}", answer.text("/id"))).by(&by).send().await;
    found.expect(200).json()
}

/// The subscription of a task.
pub async fn subscription(world: &World, by: &Actor, task: &Value) -> Value {
    let by = again(world, by).await;
    let path = format!("/v1/subscriptions/{}", task["subscriptionId"].as_str().expect("a subscription"));
    let found = world.get(&path).by(&by).send().await;
    found.expect(200).json()
}

/// The statuses of a task's steps.
pub fn steps(task: &Value) -> Vec<&str> {
    task["steps"].as_array().expect("steps").iter().map(|step| step["status"].as_str().expect("a status")).collect()
}

/// A person's word on the step PROVISION.
pub async fn say(world: &World, by: &Actor, task: &Value, word: &str, body: Value) -> Answer {
    let by = again(world, by).await;
    world.post(&format!("/v1/tasks/{}/steps/PROVISION/{word}", task["id"].as_str().expect("an id")), body).by(&by).send().await
}

/// Lets time pass until no job is left that will ever run by itself, but for those that look at what is far away: terms, and the
/// ends of certificates.
pub async fn run_out(world: &World) {
    for _ in 0..100 {
        world.settle().await;
        let kinds = "('renewal.look', 'certificate.warn')";
        if world.count(&format!("SELECT COUNT(*) FROM jobs WHERE state <> 'PARKED' AND kind NOT IN {kinds}")) == 0 {
            return;
        }
        world.hub.clock().advance(Duration::from_secs(600)).await;
    }
    panic!("there are still jobs after 100 times ten minutes");
}

/// Makes the next `times` statements that contain this text fail.
pub fn break_sql(world: &World, text: &str, times: u64) {
    for n in 1..=times {
        world.hub.faults().push(Fault::on(Target::SqlMatching(text.into())).nth(n).fail("disk I/O error"));
    }
}

/// How many attempts the hub makes at a step.
pub const ATTEMPTS: u64 = 10;
