//! Idempotency-Key: the first answer again, whatever happened in between.

use serde_json::json;
use tests::{World, simulated};

fn organization(name: &str) -> serde_json::Value {
    json!({ "kind": "PROVIDER", "displayName": name, "companyName": name, "country": "DE", "currency": "EUR" })
}

#[test]
fn the_same_request_again_gets_the_first_answer_and_changes_nothing() {
    simulated(|| async {
        let mut world = World::new().await;
        let operator = world.bootstrap().await;
        let first = world.post("/v1/organizations", organization("A")).by(&operator).key("one").send().await;
        first.expect(201);
        assert_eq!(first.header("idempotency-replayed"), "");
        // Also after a crash, since the answer was kept in the transaction of the change.
        world.restart().await;
        let again = world.post("/v1/organizations", organization("A")).by(&operator).key("one").send().await;
        again.expect(201);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.0.body(), first.0.body());
        assert_eq!((again.header("location"), again.header("etag")), (first.header("location"), first.header("etag")));
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations"), 2);
    });
}

#[test]
fn a_key_belongs_to_one_request_and_one_caller() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        world.post("/v1/organizations", organization("A")).by(&operator).key("one").send().await.expect(201);
        let other_body = world.post("/v1/organizations", organization("B")).by(&operator).key("one").send().await;
        other_body.expect_problem(422, "idempotency_key_reused");
        // The same key of another caller is another key.
        let other = world.actor(&operator, &operator.organization, "OPERATOR_ADMINISTRATOR").await;
        world.post("/v1/organizations", organization("C")).by(&other).key("one").send().await.expect(201);
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations"), 3);
    });
}

#[test]
fn a_body_that_the_route_has_no_use_for_belongs_to_the_request_too() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = json!({
            "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-10-01", "currency": "USD", "threshold": { "minorUnits": 100000, "currency": "USD" }
        });
        let drawn = world.post("/v1/contracts", body).by(&shop.operator).send().await;
        let path = format!("/v1/contracts/{}/approve", drawn.expect(201).text("/id"));
        let approve = |body| world.post(&path, body).by(&shop.operator).key("one").send();
        approve(json!({})).await.expect(200);
        assert_eq!(approve(json!({})).await.expect(200).header("idempotency-replayed"), "true");
        approve(json!({ "on": "another day" })).await.expect_problem(422, "idempotency_key_reused");
    });
}

#[test]
fn a_refused_request_is_judged_again() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let customer = json!({ "kind": "CUSTOMER", "displayName": "C", "companyName": "C", "country": "DE", "currency": "EUR" });
        world.post("/v1/organizations", customer).by(&operator).key("one").send().await.expect(422);
        world.post("/v1/organizations", organization("A")).by(&operator).key("one").send().await.expect(201);
    });
}

#[test]
fn two_at_once_with_one_key_change_one_thing() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let calls = (0..8).map(|_| world.post("/v1/organizations", organization("A")).by(&operator).key("one").send());
        let answers = futures::future::join_all(calls).await;
        let bodies: std::collections::BTreeSet<_> = answers.iter().map(|answer| answer.expect(201).0.body().clone()).collect();
        assert_eq!(bodies.len(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count(), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations"), 2);
    });
}

#[test]
fn a_replayed_secret_is_the_same_and_stands_nowhere_in_the_database() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let body = json!({ "name": "robot", "organizationId": operator.organization, "roles": ["OPERATOR_ADMINISTRATOR"] });
        let first = world.post("/v1/api-tokens", body.clone()).by(&operator).key("secret-key-1").send().await;
        let again = world.post("/v1/api-tokens", body).by(&operator).key("secret-key-1").send().await;
        assert_eq!(first.text("/apiToken"), again.text("/apiToken"));
        let dump = world.dump();
        for secret in [&first.text("/apiToken"), &operator.api_token, &operator.access_token, "secret-key-1", tests::DATA_KEY] {
            assert!(!dump.contains(secret), "{secret} can be read in the database");
            assert!(!world.hub.logs().iter().any(|line| line.contains(secret)), "{secret} can be read in the log");
        }
    });
}

#[test]
fn a_key_expires_after_a_day_and_is_forgotten() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        world.post("/v1/organizations", organization("A")).by(&operator).key("one").send().await.expect(201);
        world.hub.clock().advance(std::time::Duration::from_secs(24 * 3600 + 1)).await;
        world.settle().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM idempotency_keys"), 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM access_tokens"), 0);
        let operator = world.sign_in(&operator.api_token, &operator.organization).await;
        world.post("/v1/organizations", organization("B")).by(&operator).key("one").send().await.expect(201);
    });
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As if the principal of this key had kept so many bytes of answers by then.
fn swell(world: &World, key: &str, bytes: i64) {
    let sql = "UPDATE idempotency_keys SET kept = kept + ?2 WHERE key_hash = ?1";
    let changed = world.database().execute(sql, (&sha256(key)[..32], bytes)).unwrap();
    assert_eq!(changed, 1, "half of a SHA-256 is what is stored of a key");
}

#[test]
fn the_answers_of_a_principal_are_bounded_and_nothing_is_carried_out_twice() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let other = world.actor(&operator, &operator.organization, "OPERATOR_ADMINISTRATOR").await;
        let ask = |by: &tests::Actor, key: &str| world.post("/v1/organizations", organization(key)).by(by).key(key).send();
        let first = ask(&operator, "one").await;
        let others = ask(&other, "others").await;
        ask(&operator, "two").await.expect(201);
        ask(&other, "next").await.expect(201);
        let size = world.count("SELECT MAX(LENGTH(answer)) FROM idempotency_keys");
        swell(&world, "two", (4 << 20) - 5 * size / 2);
        // Two more: with the second of them, the first answer is beyond the bound.
        ask(&operator, "three").await.expect(201);
        let again = ask(&operator, "one").await;
        assert_eq!((again.expect(201).0.body(), again.header("idempotency-replayed")), (first.0.body(), "true"));
        ask(&operator, "four").await.expect(201);
        assert_eq!(world.count("SELECT COUNT(*) FROM answered_keys"), 1);
        let made = world.count("SELECT COUNT(*) FROM organizations");

        let forgotten = ask(&operator, "one").await;
        forgotten.expect_problem(409, "idempotency_answer_forgotten");
        let detail = forgotten.text("/detail");
        assert!(detail.contains(first.header("location")) && detail.contains("status 201"), "{detail}");
        let reused = world.post("/v1/organizations", organization("else")).by(&operator).key("one").send().await;
        reused.expect_problem(422, "idempotency_key_reused");
        for key in ["two", "three", "four"] {
            assert_eq!(ask(&operator, key).await.expect(201).header("idempotency-replayed"), "true", "{key}");
        }
        // One caller's many requests take nothing from another.
        assert_eq!(ask(&other, "others").await.expect(201).0.body(), others.0.body());
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations"), made);
        // After a day the key is as good as new.
        world.hub.clock().advance(std::time::Duration::from_secs(24 * 3600 + 1)).await;
        world.settle().await;
        assert_eq!(world.count("SELECT (SELECT COUNT(*) FROM idempotency_keys) + (SELECT COUNT(*) FROM answered_keys)"), 0);
    });
}

#[test]
fn the_newest_answer_is_kept_however_large_it_is_and_large_ones_take_little() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let provider = world.organization(&operator, "PROVIDER", "P", None).await;
        let rows: String = (0..500).map(|n| format!("Customer number {n},Customer {n} Ltd.,US,USD\n")).collect();
        let body = format!("displayName,companyName,country,currency\n{rows}");
        let admin = world.actor(&operator, &provider, "PROVIDER_ADMINISTRATOR").await;
        let send = || {
            world.call(http::Method::POST, "/v1/organizations/import").by(&admin).key("one").body("text/csv", body.clone()).send()
        };
        let first = send().await;
        first.expect(207);
        let kept = world.count("SELECT LENGTH(answer) FROM idempotency_keys");
        assert!(kept * 4 < first.0.body().len() as i64, "{kept} of {}", first.0.body().len());
        swell(&world, "one", 8 << 20);
        assert_eq!(send().await.expect(207).0.body(), first.0.body());
    });
}

#[test]
fn what_has_expired_is_forgotten_in_batches_until_nothing_is_left() {
    simulated(|| async {
        let world = World::new().await;
        world.bootstrap().await;
        world
            .database()
            .execute_batch(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
                 INSERT INTO idempotency_keys (principal_id, key_hash, fingerprint, status, answer, expires_at) SELECT 'tok_x', n, 'x', 201, 'x', 1 FROM n",
            )
            .unwrap();
        world.hub.tick().await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM idempotency_keys"), 0);
    });
}

#[test]
fn keys_have_bounds() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        for key in ["".to_owned(), "x".repeat(256), "tab\there".to_owned()] {
            let answer = world.post("/v1/organizations", organization("A")).by(&operator).key(&key).send().await;
            answer.expect_problem(400, "bad_idempotency_key");
        }
    });
}
