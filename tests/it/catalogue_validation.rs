//! Whether a request fits a service: asked of the catalogue, and asked of it by provisioning before anything is written.

use crate::catalogue_services::{add, compute};
use crate::provisioning_support::{run_out, subscribe};
use host::{Fault, Target};
use serde_json::{Value, json};
use tests::{Answer, INTERNAL_SECRET, Shop, World, simulated};

/// What fits [`compute`], with changes.
fn request(with: Value) -> Value {
    let mut body = json!({
        "planCode": "seats", "region": "eu-1", "version": "10.5", "quantity": "10", "termMonths": 12,
        "properties": { "hostname": "a.example", "ha": true }
    });
    body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    body
}

async fn order(world: &World, shop: &Shop, service: &str, with: Value) -> Answer {
    let mut body = request(with);
    (body["organizationId"], body["serviceId"]) = (json!(shop.customer), json!(service));
    world.post("/v1/subscriptions", body).by(&shop.admin).send().await
}

fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.at("/errors");
    errors.as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

/// A shop with a contract for a service of many choices.
async fn with_compute(world: &World) -> (Shop, String) {
    let shop = world.shop().await;
    let service = add(world, &shop, compute()).await.expect(201).text("/id");
    world.contract(&shop.operator, &shop.provider, &service).await;
    (shop, service)
}

#[test]
fn a_request_is_refused_at_every_place_that_does_not_fit() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let before = world.dump();
        let path = format!("/v1/services/{service}/validate");
        for (with, expected) in [
            (json!({ "planCode": null }), vec!["/planCode"]),
            (json!({ "planCode": "gold", "region": "ap-1", "version": "9" }), vec!["/planCode", "/region", "/version"]),
            (json!({ "quantity": "55" }), vec!["/quantity"]),
            (json!({ "quantity": "12", "termMonths": 3 }), vec!["/quantity", "/termMonths"]),
            (json!({ "properties": null }), vec!["/properties/hostname"]),
            (json!({ "properties": [] }), vec!["/properties"]),
            (json!({ "properties": { "hostname": "-", "size": 1 } }), vec!["/properties/size", "/properties/hostname"]),
            (json!({ "properties": { "hostname": "a", "x": "y".repeat(70_000) } }), vec!["/properties"]),
        ] {
            let validated = world.post(&path, request(with.clone())).by(&shop.admin).send().await;
            validated.expect_problem(422, "invalid_request");
            assert_eq!(pointers(&validated), expected, "{with}");
            // Provisioning says the same, word for word, and has written nothing.
            let ordered = order(&world, &shop, &service, with.clone()).await;
            ordered.expect_problem(422, "invalid_request");
            assert_eq!(ordered.at("/errors"), validated.at("/errors"), "{with}");
        }
        assert_eq!(world.dump(), before);
        world.post(&path, request(json!({ "typo": 1 }))).by(&shop.admin).send().await.expect_problem(422, "invalid_request");
        let valid = world.post(&path, request(json!({}))).by(&shop.admin).send().await;
        assert_eq!(valid.expect(200).json(), json!({ "valid": true }));
    });
}

#[test]
fn what_was_asked_stays_with_the_subscription() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let ordered = order(&world, &shop, &service, json!({})).await;
        ordered.expect(202);
        run_out(&world).await;
        let path = format!("/v1/subscriptions/{}", ordered.text("/subscriptionId"));
        let read = world.get(&path).by(&world.sign_in(&shop.admin.api_token, "").await).send().await;
        assert_eq!(read.expect(200).text("/status"), "ACTIVE");
        for (field, value) in request(json!({})).as_object().unwrap() {
            assert_eq!(read.at(&format!("/{field}")), *value, "{field}");
        }
    });
}

#[test]
fn a_service_that_offers_no_choice_takes_none() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let refused = order(&world, &shop, &shop.builtin, json!({})).await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(pointers(&refused), ["/planCode", "/region", "/version", "/termMonths", "/properties"]);
        // And where nothing is asked for, the catalogue is not asked either.
        world.hub.faults().push(Fault::on(Target::Outbound("catalogue".into())).fail("down"));
        subscribe(&world, &shop, &shop.builtin).send().await.expect(202);
        let product =
            json!({ "code": "VCD", "kind": "PRODUCT", "displayName": "VCD", "productFamily": "RENTAL", "driver": "MANUAL" });
        let product = add(&world, &shop, product).await.text("/id");
        let refused = subscribe(&world, &shop, &product).send().await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(pointers(&refused), ["/serviceId"]);
    });
}

#[test]
fn a_catalogue_that_does_not_answer_is_a_fault_and_changes_nothing() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let before = world.dump();
        world.hub.faults().push(Fault::on(Target::Outbound("catalogue".into())).fail("down"));
        order(&world, &shop, &service, json!({})).await.expect_problem(503, "temporarily_unavailable");
        assert_eq!(world.dump(), before);
        world.hub.faults().clear();
        order(&world, &shop, &service, json!({})).await.expect(202);
    });
}

#[test]
fn a_repeated_order_gets_its_first_answer_whatever_the_catalogue_has_become() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let mut body = request(json!({ "planCode": "flat", "termMonths": null }));
        (body["organizationId"], body["serviceId"]) = (json!(shop.customer), json!(service));
        let send = || world.post("/v1/subscriptions", body.clone()).by(&shop.admin).key("once").send();
        let first = send().await;
        first.expect(202);
        world.post(&format!("/v1/services/{service}/deprecate"), json!({})).by(&shop.operator).send().await.expect(200);
        let again = send().await;
        assert_eq!((again.expect(202).json(), again.header("idempotency-replayed")), (first.json(), "true"));
        world.hub.faults().push(Fault::on(Target::Outbound("catalogue".into())).fail("down"));
        assert_eq!(send().await.expect(202).json(), first.json());
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 1);
    });
}

/// The catalogue is asked before the transaction; an edit in between must not let an order through that fits no more.
#[test]
fn an_order_does_not_outrun_an_edit() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        world.hub.faults().push(Fault::on(Target::Outbound("catalogue".into())).nth(1).delay(std::time::Duration::from_secs(5)));
        let edit = async {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            let path = format!("/v1/services/{service}");
            world
                .patch(&path, json!({ "displayName": "Edited" }))
                .by(&shop.operator)
                .header("if-match", "*")
                .send()
                .await
                .expect(200);
        };
        let (ordered, ()) = futures::join!(order(&world, &shop, &service, json!({})), edit);
        ordered.expect_problem(409, "service_edited");
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 0);
        order(&world, &shop, &service, json!({})).await.expect(202);
    });
}

#[test]
fn the_private_route_is_private() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let path = format!("/internal/services/{service}/validate");
        world.post(&path, request(json!({}))).bearer(INTERNAL_SECRET).send().await.expect_problem(404, "route_not_found");
        let call = |token: &str| {
            let request = http::Request::builder()
                .method("POST")
                .uri(path.as_str())
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {token}"))
                .body(request(json!({})).to_string().into())
                .unwrap();
            world.hub.call_component("catalogue", request)
        };
        assert_eq!(call(INTERNAL_SECRET).await.unwrap().status(), 200);
        assert_eq!(call(&shop.operator.access_token).await.unwrap().status(), 401);
    });
}
