//! Commit contracts: what they need, who decides about them, and what their days do to them.

use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Shop, World, simulated};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A contract of the shop's provider for its builtin service, with this said of it.
async fn draw(world: &World, shop: &Shop, more: Value) -> Answer {
    let mut body = json!({
        "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-11-01", "currency": "USD",
        "threshold": { "minorUnits": 100000, "currency": "USD" }
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.post("/v1/contracts", body).by(&shop.operator).send().await
}

/// Does this to a contract, as somebody with a new access token: tests let months pass.
async fn act(world: &World, by: &Actor, id: &str, what: &str, body: Value) -> Answer {
    let by = world.sign_in(&by.api_token, &by.organization).await;
    world.post(&format!("/v1/contracts/{id}/{what}"), body).by(&by).send().await
}

async fn status(world: &World, by: &Actor, id: &str) -> String {
    let by = world.sign_in(&by.api_token, &by.organization).await;
    world.get(&format!("/v1/contracts/{id}")).by(&by).send().await.expect(200).text("/status")
}

/// A contract that was approved, and where it stands then.
async fn approved(world: &World, shop: &Shop, more: Value) -> String {
    let drawn = draw(world, shop, more).await;
    let id = drawn.expect(201).text("/id");
    act(world, &shop.operator, &id, "approve", json!({})).await.expect(200);
    id
}

/// Lets days pass, with whatever falls due at the end of them.
async fn pass(world: &World, days: u32) {
    world.hub.clock().advance(DAY * days).await;
    world.settle().await;
}

fn usd(minor_units: i64) -> Value {
    json!({ "minorUnits": minor_units, "currency": "USD" })
}

/// A year in advance from 21 December 2026, ten a month.
fn year() -> Value {
    let mut commits = vec![usd(10); 13];
    (commits[0], commits[12]) = (usd(3), usd(7));
    json!({
        "contractType": "PREPAY", "effectiveDate": "2026-12-21", "term": 12, "graceTerm": 1, "discount": "5", "spf": "0.9",
        "minCommits": commits, "prepayment": usd(120), "triggerPoint": usd(20)
    })
}

#[test]
fn a_contract_waits_for_its_effective_date_and_then_is_in_force_once() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        let body = json!({
            "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-11-22", "currency": "USD", "threshold": { "minorUnits": 100000, "currency": "USD" }
        });
        world.post("/v1/contracts", body.clone()).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let drawn = world.post("/v1/contracts", body).by(&shop.operator).send().await;
        drawn.expect(201);
        assert_eq!(drawn.text("/status"), "PENDING_APPROVAL");
        let path = drawn.header("location").to_owned();
        let approve = format!("{path}/approve");
        world.post(&approve, json!({})).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let approved = world.post(&approve, json!({})).by(&shop.operator).send().await;
        assert_eq!(approved.text("/status"), "PENDING_EFFECTIVE_DATE");
        world.post(&approve, json!({})).by(&shop.operator).send().await.expect_problem(409, "contract_not_pending_approval");
        assert_eq!(world.hub.tick().await.unwrap(), Some(12 * 3600 * 1000));
        world.restart().await;
        world.hub.clock().advance(std::time::Duration::from_secs(12 * 3600)).await;
        world.settle().await;
        let operator = world.sign_in(&shop.operator.api_token, &shop.operator.organization).await;
        assert_eq!(world.get(&path).by(&operator).send().await.text("/status"), "ACTIVE");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

#[test]
fn a_contract_is_offered_by_the_operator_or_a_distributor() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let distributor = world.organization(&shop.operator, "DISTRIBUTOR", "Northwind", None).await;
        let reseller = world.organization(&shop.operator, "RESELLER", "Tailspin", Some(&distributor)).await;
        let provider = world.organization(&shop.operator, "PROVIDER", "Adatum", Some(&reseller)).await;
        let body = json!({
            "providerId": provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-10-01", "currency": "USD", "threshold": { "minorUnits": 100000, "currency": "USD" }
        });
        let before = world.dump();
        // The operator may do everything everywhere, but nobody commits to anything with itself or with what is above it.
        for place in [&reseller, &provider] {
            let drawn = world.post("/v1/contracts", body.clone()).by(&shop.operator).acting_in(place).send().await;
            drawn.expect_problem(403, "not_an_issuer");
        }
        assert_eq!(world.dump(), before);
        for issuer in [&distributor, &shop.operator.organization] {
            let drawn = world.post("/v1/contracts", body.clone()).by(&shop.operator).acting_in(issuer).send().await;
            assert_eq!(drawn.expect(201).text("/issuerId"), *issuer);
        }
    });
}

#[test]
fn a_commitment_keeps_its_terms_and_what_is_against_the_rules_is_named() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let contact = json!({ "firstName": "Ada", "lastName": "Lovelace", "email": "ada@contoso.example" });
        let mut said = year();
        said["licenseContact"] = contact.clone();
        said["region"] = json!("EMEA");
        said["purchaseOrder"] = json!("PO 1");
        said["sellingPricePerPoint"] = json!("1.25");
        let drawn = draw(&world, &shop, said.clone()).await;
        drawn.expect(201);
        for (field, value) in said.as_object().unwrap() {
            assert_eq!(drawn.at(&format!("/{field}")), *value, "{field}");
        }
        assert_eq!((drawn.text("/endDate").as_str(), drawn.text("/status").as_str()), ("2027-12-21", "PENDING_APPROVAL"));
        let read = world.get(drawn.header("location")).by(&shop.admin).send().await;
        assert_eq!((read.expect(200).json(), read.header("etag")), (drawn.json(), drawn.header("etag")));
        // PAY_GO has no commitment: it is taken and not kept.
        let mut pay_go = year();
        pay_go["contractType"] = json!("PAY_GO");
        pay_go.as_object_mut().unwrap().remove("graceTerm");
        let kept = draw(&world, &shop, pay_go).await;
        assert_eq!(
            (kept.expect(201).at("/term"), kept.at("/minCommits"), kept.at("/endDate")),
            (Value::Null, Value::Null, Value::Null)
        );

        let before = world.dump();
        let without = |name: &str| {
            let mut said = year();
            said.as_object_mut().unwrap().remove(name);
            said
        };
        let with = |name: &str, value: Value| {
            let mut said = year();
            said[name] = value;
            said
        };
        for (said, pointer) in [
            (without("term"), "/term"),
            (without("discount"), "/discount"),
            (without("spf"), "/spf"),
            (without("minCommits"), "/minCommits"),
            (without("prepayment"), "/prepayment"),
            (with("prepayment", usd(119)), "/prepayment"),
            (with("prepayment", json!({ "minorUnits": 500, "currency": "EUR" })), "/prepayment"),
            (with("minCommits", json!(vec![usd(10); 12])), "/minCommits"),
            (with("minCommits", json!(vec![usd(10); 122])), "/minCommits"),
            (with("minCommits", json!([1.5])), "/minCommits/0"),
            (with("term", json!(0)), "/term"),
            (with("term", json!(1.5)), "/term"),
            (with("discount", json!(5)), "/discount"),
            (with("endDate", json!("2027-01-01")), "/endDate"),
            (with("threshold", Value::Null), "/threshold"),
            (with("providerId", Value::Null), "/providerId"),
            (with("providerId", json!(shop.customer)), "/providerId"),
        ] {
            let refused = draw(&world, &shop, said.clone()).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        assert_eq!(world.dump(), before);
        let rental = json!({ "code": "rental", "displayName": "R", "productFamily": "RENTAL", "driver": "BUILTIN" });
        let rental = world.post("/v1/services", rental).by(&shop.operator).send().await.text("/id");
        let refused = draw(&world, &shop, json!({ "serviceId": rental })).await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/licenseContact");
    });
}

#[test]
fn a_draft_is_amended_under_its_etag_and_by_its_issuer_only() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let distributor = world.organization(&shop.operator, "DISTRIBUTOR", "D", None).await;
        let seller = world.actor(&shop.operator, &distributor, "DISTRIBUTOR_ADMINISTRATOR").await;
        let provider = world.organization(&seller, "PROVIDER", "P", None).await;
        let drawn = draw(&world, &shop, json!({ "providerId": provider, "draft": true, "reference": "A" })).await;
        let id = drawn.expect(201).text("/id");
        assert_eq!((drawn.text("/status").as_str(), drawn.header("etag")), ("DRAFT", "\"1\""));
        let path = format!("/v1/contracts/{id}");
        let amend =
            async |by: &Actor, etag: &str, patch: Value| world.patch(&path, patch).by(by).header("if-match", etag).send().await;
        let amended = amend(&shop.operator, "\"1\"", year()).await;
        amended.expect(200);
        assert_eq!(
            (amended.text("/endDate").as_str(), amended.text("/reference").as_str(), amended.header("etag")),
            ("2027-12-21", "A", "\"2\"")
        );
        amend(&shop.operator, "\"1\"", json!({})).await.expect_problem(412, "stale");
        let cleared =
            amend(&shop.operator, "*", json!({ "reference": null, "triggerPoint": null, "contractType": "CUSTOM" })).await;
        assert_eq!(
            (cleared.expect(200).at("/reference"), cleared.at("/triggerPoint"), cleared.at("/prepayment")),
            (Value::Null, Value::Null, Value::Null)
        );
        for (patch, pointer) in [
            (json!({ "term": null }), "/term"),
            (json!({ "status": "ACTIVE" }), "/status"),
            (json!({ "issuerId": distributor }), "/issuerId"),
            (json!({ "isDefault": true }), "/isDefault"),
            (json!({ "draft": false }), "/draft"),
        ] {
            let refused = amend(&shop.operator, "*", patch).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer);
        }
        // The distributor sees the operator's contract with its provider, and cannot touch it.
        world.get(&path).by(&seller).send().await.expect(200);
        amend(&seller, "*", json!({ "reference": "mine" })).await.expect_problem(403, "not_the_issuer");
        for what in ["submit", "default", "renew", "terminate"] {
            act(&world, &seller, &id, what, json!({})).await.expect_problem(403, "not_the_issuer");
        }
        let rival = world.organization(&shop.operator, "DISTRIBUTOR", "R", None).await;
        let rival = world.actor(&shop.operator, &rival, "DISTRIBUTOR_ADMINISTRATOR").await;
        world.get(&path).by(&rival).send().await.expect_problem(404, "contract_not_found");
        amend(&rival, "*", json!({})).await.expect_problem(404, "contract_not_found");
        act(&world, &rival, &id, "submit", json!({})).await.expect_problem(404, "contract_not_found");

        act(&world, &shop.operator, &id, "submit", json!({})).await.expect(200);
        amend(&shop.operator, "*", json!({})).await.expect_problem(409, "contract_not_draft");
        let rejected = act(&world, &shop.operator, &id, "reject", json!({ "reason": "too dear" })).await;
        assert_eq!((rejected.expect(200).text("/status").as_str(), rejected.text("/reason").as_str()), ("REJECTED", "too dear"));
        act(&world, &shop.operator, &id, "approve", json!({})).await.expect_problem(409, "contract_not_pending_approval");
        let again = act(&world, &shop.operator, &id, "redraft", json!({})).await;
        assert_eq!((again.expect(200).text("/status").as_str(), again.at("/reason")), ("DRAFT", Value::Null));
        act(&world, &shop.operator, &id, "submit", json!({})).await.expect(200);
        act(&world, &shop.operator, &id, "approve", json!({})).await.expect(200);
        act(&world, &shop.operator, &id, "redraft", json!({})).await.expect_problem(409, "contract_status");
        assert_eq!(status(&world, &shop.operator, &id).await, "PENDING_EFFECTIVE_DATE");
    });
}

#[test]
fn its_days_bring_a_contract_into_force_into_its_grace_and_to_its_end() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        let id = approved(&world, &shop, year()).await;
        let version = |world: &World| world.count(&format!("SELECT version FROM contracts WHERE id = '{id}'"));
        assert_eq!(version(&world), 2);
        for (days, found) in [
            (29, "PENDING_EFFECTIVE_DATE"),
            (1, "ACTIVE"),
            (364, "ACTIVE"),
            (1, "PENDING_EXPIRATION"),
            (30, "PENDING_EXPIRATION"),
            (1, "EXPIRED"),
        ] {
            let before = version(&world);
            pass(&world, days).await;
            assert_eq!(status(&world, &shop.operator, &id).await, found, "after {days} days");
            // Moved once, or not at all.
            assert!(version(&world) - before <= 1);
            world.restart().await;
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        act(&world, &shop.operator, &id, "terminate", json!({})).await.expect_problem(409, "contract_status");
    });
}

#[test]
fn a_job_that_dies_anywhere_moves_its_contract_once() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        let id = approved(&world, &shop, year()).await;
        world.hub.clock().advance(DAY * 30).await;
        let version = |world: &World| world.count(&format!("SELECT version FROM contracts WHERE id = '{id}'"));
        let before = version(&world);
        // Before and after each of the statements that count.
        for sql in ["UPDATE contracts SET status", "INSERT INTO jobs", "DELETE FROM jobs"] {
            world.hub.faults().push(host::Fault::on(host::Target::SqlMatching(sql.into())).crash_before());
            let _ = world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).try_send().await;
            world.restart().await;
            assert_eq!(version(&world), before, "{sql}");
            // The lease of the runner that died ends.
            world.hub.clock().advance(Duration::from_secs(61)).await;
        }
        world.settle().await;
        assert_eq!((version(&world), status(&world, &shop.operator, &id).await.as_str()), (before + 1, "ACTIVE"));
        // The job for its end waits, once.
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE kind = 'contract.advance'"), 1);
    });
}

#[test]
fn a_termination_has_its_day_and_can_be_taken_back_until_then() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let id = approved(&world, &shop, json!({})).await;
        for on in ["2026-11-21", "2020-01-01", "tomorrow"] {
            let refused = act(&world, &shop.operator, &id, "terminate", json!({ "on": on })).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/on");
        }
        act(&world, &shop.operator, &id, "cancel-termination", json!({})).await.expect_problem(409, "contract_status");
        let scheduled = act(&world, &shop.operator, &id, "terminate", json!({ "on": "2026-12-01", "reason": "moving" })).await;
        assert_eq!(
            (scheduled.expect(200).text("/status").as_str(), scheduled.text("/terminationDate").as_str()),
            ("PENDING_TERMINATION", "2026-12-01")
        );
        let back = act(&world, &shop.operator, &id, "cancel-termination", json!({})).await;
        assert_eq!(
            (back.expect(200).text("/status").as_str(), back.at("/terminationDate"), back.at("/reason")),
            ("ACTIVE", Value::Null, Value::Null)
        );
        act(&world, &shop.operator, &id, "terminate", json!({ "on": "2026-12-10", "reason": "moving" })).await.expect(200);
        // The day that was taken back does nothing.
        pass(&world, 11).await;
        assert_eq!(status(&world, &shop.operator, &id).await, "PENDING_TERMINATION");
        pass(&world, 9).await;
        assert_eq!(status(&world, &shop.operator, &id).await, "TERMINATED");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);

        // And at once; deactivated by the operator alone.
        let shop = Shop { operator: world.sign_in(&shop.operator.api_token, "").await, ..shop };
        let id = approved(&world, &shop, json!({})).await;
        act(&world, &shop.admin, &id, "deactivate", json!({})).await.expect_problem(403, "permission_missing");
        act(&world, &shop.operator, &id, "deactivate", json!({ "reason": "unpaid" })).await.expect(200);
        assert_eq!(status(&world, &shop.operator, &id).await, "DEACTIVATED");
        act(&world, &shop.operator, &id, "reactivate", json!({})).await.expect(200);
        let gone = act(&world, &shop.operator, &id, "terminate", json!({})).await;
        assert_eq!(
            (gone.expect(200).text("/status").as_str(), gone.text("/terminationDate").as_str()),
            ("TERMINATED", "2026-12-11")
        );
    });
}

/// What came of asking for the builtin service for the shop's customer.
async fn order(world: &World, shop: &Shop, named: Option<&str>) -> Answer {
    let admin = world.sign_in(&shop.admin.api_token, &shop.admin.organization).await;
    let body = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1", "contractId": named });
    world.post("/v1/subscriptions", body).by(&admin).header("prefer", "wait=5").send().await
}

#[test]
fn a_service_has_one_default_contract_at_a_time() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let first =
            world.get(&format!("/v1/contracts?serviceId={}", shop.builtin)).by(&shop.admin).send().await.text("/items/0/id");
        order(&world, &shop, None).await.expect(200);
        let second = approved(&world, &shop, json!({})).await;
        let asked = order(&world, &shop, None).await;
        asked.expect_problem(422, "invalid_request");
        assert_eq!(asked.at("/errors/0/pointer"), "/contractId");
        let used = || {
            world.count("SELECT COUNT(*) FROM subscriptions s JOIN contracts c ON c.id = s.contract_id WHERE c.is_default = 1")
        };

        act(&world, &shop.operator, &second, "default", json!({})).await.expect(200);
        order(&world, &shop, None).await.expect(200);
        assert_eq!(used(), 1);
        let (one, other) = futures::future::join(
            act(&world, &shop.operator, &first, "default", json!({})),
            act(&world, &shop.operator, &second, "default", json!({})),
        )
        .await;
        one.expect(200);
        other.expect(200);
        assert_eq!(world.count("SELECT COUNT(*) FROM contracts WHERE is_default = 1"), 1);
        // A fault between the two halves leaves the default as it was.
        act(&world, &shop.operator, &second, "default", json!({})).await.expect(200);
        world.hub.faults().push(host::Fault::on(host::Target::SqlMatching("SET is_default = 1".into())).fail("disk I/O error"));
        act(&world, &shop.operator, &first, "default", json!({})).await.expect(503);
        let of = |id: &str| world.count(&format!("SELECT is_default FROM contracts WHERE id = '{id}'"));
        assert_eq!((of(&first), of(&second)), (0, 1));
        // What is not in force is no default, and what ends is not any more.
        let future = approved(&world, &shop, json!({ "effectiveDate": "2027-01-01" })).await;
        act(&world, &shop.operator, &future, "default", json!({})).await.expect_problem(409, "contract_not_in_force");
        act(&world, &shop.operator, &second, "terminate", json!({})).await.expect(200);
        assert_eq!(world.count("SELECT COUNT(*) FROM contracts WHERE is_default = 1"), 0);
        order(&world, &shop, None).await.expect(200);
        act(&world, &shop.admin, &first, "default", json!({})).await.expect_problem(403, "permission_missing");
    });
}

#[test]
fn what_may_be_provisioned_follows_the_days_even_when_their_job_is_late() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let first =
            world.get(&format!("/v1/contracts?serviceId={}", shop.builtin)).by(&shop.admin).send().await.text("/items/0/id");
        act(&world, &shop.operator, &first, "deactivate", json!({})).await.expect(200);
        order(&world, &shop, None).await.expect_problem(409, "no_active_contract");
        order(&world, &shop, Some(&first)).await.expect_problem(409, "no_active_contract");
        let id = approved(&world, &shop, json!({ "effectiveDate": "2026-11-25", "endDate": "2026-12-05", "graceTerm": 1 })).await;
        // No job runs from here on.
        for (days, status) in [(3, 409), (1, 200), (9, 200), (1, 409), (40, 409)] {
            world.hub.clock().advance(DAY * days).await;
            let asked = order(&world, &shop, None).await;
            assert_eq!(asked.status(), status, "after {days} days: {}", asked.json());
        }
        assert_eq!(
            world.count(&format!("SELECT COUNT(*) FROM contracts WHERE id = '{id}' AND status = 'PENDING_EFFECTIVE_DATE'")),
            1
        );
        // Nobody decides about what is over, nor provisions for who is disabled.
        act(&world, &shop.operator, &id, "terminate", json!({})).await.expect_problem(409, "contract_status");
        act(&world, &shop.operator, &first, "reactivate", json!({})).await.expect(200);
        order(&world, &shop, None).await.expect(200);
        let operator = world.sign_in(&shop.operator.api_token, "").await;
        world.post(&format!("/v1/organizations/{}/disable", shop.customer), json!({})).by(&operator).send().await.expect(200);
        order(&world, &shop, None).await.expect_problem(409, "organization_disabled");
    });
}

#[test]
fn a_renewal_follows_on_the_day_and_takes_the_default_over() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let endless = approved(&world, &shop, json!({})).await;
        act(&world, &shop.operator, &endless, "renew", json!({})).await.expect_problem(409, "contract_not_renewable");
        let id = approved(&world, &shop, json!({ "endDate": "2026-12-01" })).await;
        act(&world, &shop.operator, &id, "default", json!({})).await.expect(200);
        for (patch, pointer) in
            [(json!({ "effectiveDate": "2026-12-02" }), "/effectiveDate"), (json!({ "serviceId": shop.manual }), "/serviceId")]
        {
            let refused = act(&world, &shop.operator, &id, "renew", patch).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer);
        }
        let renewal = act(&world, &shop.operator, &id, "renew", json!({ "reference": "next" })).await;
        renewal.expect(201);
        assert_eq!(
            (renewal.text("/effectiveDate").as_str(), renewal.text("/renewsId"), renewal.at("/endDate")),
            ("2026-12-01", id.clone(), Value::Null)
        );
        assert_eq!((renewal.text("/status").as_str(), renewal.text("/reference").as_str()), ("PENDING_APPROVAL", "next"));
        act(&world, &shop.operator, &id, "renew", json!({})).await.expect_problem(409, "contract_renewed");
        act(&world, &shop.operator, &renewal.text("/id"), "approve", json!({})).await.expect(200);
        pass(&world, 10).await;
        assert_eq!(status(&world, &shop.operator, &id).await, "EXPIRED");
        let operator = world.sign_in(&shop.operator.api_token, "").await;
        let now = world.get(renewal.header("location")).by(&operator).send().await;
        assert_eq!((now.text("/status").as_str(), now.at("/isDefault")), ("ACTIVE", json!(true)));
        order(&world, &shop, None).await.expect(200);
    });
}

#[test]
fn contracts_are_listed_by_provider_service_and_status() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival_admin = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        draw(&world, &shop, json!({ "providerId": rival })).await.expect(201);
        let count = async |by: &Actor, query: &str| {
            let listed = world.get(&format!("/v1/contracts?{query}")).by(by).send().await;
            listed.expect(200).at("/items").as_array().unwrap().len()
        };
        assert_eq!(count(&shop.operator, "").await, 3);
        assert_eq!(count(&shop.operator, "status=PENDING_APPROVAL").await, 1);
        assert_eq!(count(&shop.operator, &format!("serviceId={}", shop.builtin)).await, 2);
        assert_eq!(count(&shop.operator, &format!("providerId={rival}")).await, 1);
        assert_eq!((count(&shop.admin, "").await, count(&rival_admin, "").await), (2, 1));
        assert_eq!(count(&rival_admin, &format!("providerId={}", shop.provider)).await, 0);
    });
}
