//! `If-Match` is honored or refused on everything that changes something, and never passed over.

use crate::web_roles::{Ground, ROUTES};
use http::Method;
use serde_json::{Value, json};
use tests::{World, simulated};

#[test]
fn the_approver_approves_the_contract_that_they_read() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = json!({
            "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-11-01", "currency": "USD",
            "threshold": { "minorUnits": 100000, "currency": "USD" }
        });
        let drawn = world.post("/v1/contracts", body).by(&shop.operator).send().await;
        let (path, seen) = (drawn.expect(201).header("location").to_owned(), drawn.header("etag").to_owned());
        // Its issuer takes it back, amends it and sends it again while the approver reads.
        world.post(&format!("{path}/redraft"), json!({})).by(&shop.operator).send().await.expect(200);
        let patch = world.patch(&path, json!({ "threshold": { "minorUnits": 1, "currency": "USD" } })).by(&shop.operator);
        patch.header("if-match", "*").send().await.expect(200);
        world.post(&format!("{path}/submit"), json!({})).by(&shop.operator).send().await.expect(200);
        let before = world.dump();
        let approve = |etag: &str| world.post(&format!("{path}/approve"), json!({})).by(&shop.operator).header("if-match", etag);
        approve(&seen).send().await.expect_problem(412, "stale");
        assert_eq!(world.dump(), before);
        let now = world.get(&path).by(&shop.operator).send().await.header("etag").to_owned();
        approve(&now).send().await.expect(200);
        // Which version was approved stands in the audit of both.
        let entries = format!("/v1/audit-entries?organizationId={}&action=contracts.approve", shop.provider);
        let entries = world.get(&entries).by(&shop.operator).send().await.expect(200).at("/items");
        assert!(entries.to_string().contains(now.trim_matches('"')), "{entries}");
    });
}

/// Whatever changes something refuses a state that nobody ever saw.
#[test]
fn no_change_passes_over_a_condition() {
    simulated(|| async {
        let ground = Ground::new().await;
        let world = &ground.world;
        let operator = ground.operator();
        let mut conditions = 0;
        for route in ROUTES {
            let (method, path) = route.route.split_once(' ').unwrap();
            let method: Method = method.parse().unwrap();
            // Whom nobody knows yet, what makes something new, and what is no JSON.
            if method == Method::GET || !path.contains('{') {
                continue;
            }
            let target = if route.query.is_empty() { path.to_owned() } else { format!("{path}?{}", route.query) };
            for place in ground.places() {
                let (Some(target), Some(body)) = (ground.filled(&target, place), ground.filled(route.body, place)) else {
                    continue;
                };
                let body: Value = serde_json::from_str(&body).unwrap();
                let before = world.dump();
                let call = world.call(method.clone(), &target).json(&body).by(operator);
                let answer = call.header("if-match", "\"987654321\"").send().await;
                assert!((400..500).contains(&answer.status()), "{method} {target}: {}", answer.json());
                assert_eq!(world.dump(), before, "{method} {target}");
                conditions += usize::from(answer.status() == 412);
                break;
            }
        }
        assert!(conditions > 40, "{conditions}");
    });
}
