//! The contract that a subscription runs on: a renewal carries it over, and otherwise it is moved to another one in force.

use crate::provisioning_support::{again, subscribe, task};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Answer, Shop, World, simulated};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn act(world: &World, shop: &Shop, path: &str, word: &str, body: Value) -> Answer {
    let by = again(world, &shop.admin).await;
    let call = if word.is_empty() { world.patch(path, body) } else { world.post(&format!("{path}/{word}"), body) };
    call.by(&by).header("if-match", "*").header("prefer", "wait=5").send().await
}

async fn read(world: &World, shop: &Shop, path: &str) -> Answer {
    let by = again(world, &shop.admin).await;
    world.get(path).by(&by).send().await
}

async fn subscribed(world: &World, shop: &Shop) -> (String, String) {
    let asked = subscribe(world, shop, &shop.builtin).header("prefer", "wait=5").send().await;
    let path = format!("/v1/subscriptions/{}", asked.expect(200).text("/subscriptionId"));
    let contract = read(world, shop, &path).await.text("/contractId");
    (path, contract)
}

#[test]
fn a_renewed_contract_takes_its_subscriptions_over() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (path, old) = subscribed(&world, &shop).await;
        let (ended, _) = subscribed(&world, &shop).await;
        act(&world, &shop, &ended, "terminate", json!({})).await.expect(200);
        world.database().execute("UPDATE contracts SET end_date = '2026-12-01' WHERE id = ?1", [&old]).unwrap();
        let by = again(&world, &shop.operator).await;
        let renewal = world.post(&format!("/v1/contracts/{old}/renew"), json!({})).by(&by).send().await.expect(201).text("/id");
        world.post(&format!("/v1/contracts/{renewal}/approve"), json!({})).by(&by).send().await.expect(200);
        world.hub.clock().advance(DAY * 11).await;
        // Before its job has come round, too, a subscription is not stranded.
        act(&world, &shop, &path, "", json!({ "quantity": "11" })).await.expect(200);
        world.settle().await;
        let now = read(&world, &shop, &path).await;
        assert_eq!((now.text("/contractId"), now.text("/quantity")), (renewal.clone(), "11".into()));
        assert_eq!(read(&world, &shop, &ended).await.text("/contractId"), old, "what has ended stays where it was");
        let by = again(&world, &shop.operator).await;
        let audit = format!("/v1/audit-entries?organizationId={}&action=subscriptions.carry_over", shop.customer);
        let entries = world.get(&audit).by(&by).send().await.expect(200).at("/items");
        assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");
    });
}

#[test]
fn a_stranded_subscription_is_moved_to_the_contract_that_the_refusal_names() {
    for suspended in [false, true] {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let (path, old) = subscribed(&world, &shop).await;
            if suspended {
                act(&world, &shop, &path, "suspend", json!({})).await.expect(200);
            }
            world.database().execute("UPDATE contracts SET status = 'EXPIRED' WHERE id = ?1", [&old]).unwrap();
            let (word, body) = if suspended { ("resume", json!({})) } else { ("", json!({ "quantity": "11" })) };
            let refused = act(&world, &shop, &path, word, body.clone()).await;
            refused.expect_problem(409, "no_active_contract");
            assert!(refused.text("/detail").contains("No other contract"), "{}", refused.json());
            let other = world.contract(&again(&world, &shop.operator).await, &shop.provider, &shop.builtin).await;
            let refused = act(&world, &shop, &path, word, body.clone()).await;
            refused.expect_problem(409, "no_active_contract");
            assert!(
                refused.text("/detail").contains(&other) && refused.text("/detail").contains("contractId"),
                "{}",
                refused.json()
            );
            // To one that is in force and of this service, and to nothing else.
            let wrong = world.contract(&again(&world, &shop.operator).await, &shop.provider, &shop.manual).await;
            for id in [&wrong, &old, "ctr_01h455vb4pex5vsknk084sn02q"] {
                let refused = act(&world, &shop, &path, "", json!({ "contractId": id })).await;
                assert!([409, 422].contains(&refused.status()), "{id}: {}", refused.json());
            }
            let moved = act(&world, &shop, &path, "", json!({ "contractId": other })).await;
            assert_eq!(moved.expect(200).text("/status"), "SUCCESS", "{}", moved.json());
            let now = read(&world, &shop, &path).await;
            let status = if suspended { "SUSPENDED" } else { "ACTIVE" };
            assert_eq!(
                (now.text("/contractId"), now.text("/status"), now.text("/quantity")),
                (other, status.into(), "10".into())
            );
            act(&world, &shop, &path, word, body).await.expect(200);
            assert_eq!(read(&world, &shop, &path).await.text("/status"), "ACTIVE");
        });
    }
}

#[test]
fn a_change_moves_and_changes_at_once_and_an_old_one_does_not_move_back() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (path, old) = subscribed(&world, &shop).await;
        let other = world.contract(&shop.operator, &shop.provider, &shop.builtin).await;
        let asked = act(&world, &shop, &path, "", json!({ "contractId": other, "quantity": "12" })).await;
        assert_eq!(task(&world, &shop.admin, &asked).await["status"], "SUCCESS");
        let now = read(&world, &shop, &path).await;
        assert_eq!((now.text("/contractId"), now.text("/quantity")), (other.clone(), "12".into()));
        act(&world, &shop, &path, "", json!({ "contractId": other })).await.expect_problem(422, "invalid_request");
        let said = json!({ "renewalPreference": "AUTO", "contractId": old });
        let by = again(&world, &shop.admin).await;
        let put = world.put(&format!("{path}/renewal"), said).by(&by).header("if-match", "*").send().await;
        put.expect_problem(422, "invalid_request");
    });
}
