//! Whether a request fits a service: asked by callers, and judged of every order before anything is written.

use crate::provisioning_services::{add, compute};
use crate::provisioning_support::{run_out, subscribe};
use host::{Fault, Kind, Target};
use serde_json::{Value, json};
use tests::{Answer, Shop, World, simulated};

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
fn an_offer_that_cannot_be_read_is_a_fault_and_changes_nothing() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let before = world.dump();
        world.hub.faults().push(Fault::on(Target::SqlMatching("status, offer, created_at".into())).fail("disk I/O error"));
        order(&world, &shop, &service, json!({})).await.expect_problem(503, "temporarily_unavailable");
        assert_eq!(world.dump(), before);
        world.hub.faults().clear();
        order(&world, &shop, &service, json!({})).await.expect(202);
    });
}

#[test]
fn a_repeated_order_gets_its_first_answer_whatever_the_catalog_has_become() {
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
        world.hub.faults().push(Fault::on(Target::SqlMatching("FROM services".into())).fail("disk I/O error"));
        assert_eq!(send().await.expect(202).json(), first.json());
        assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), 1);
    });
}

/// An order is judged in the transaction that writes it, so an edit comes before it or after it: an order that came first keeps
/// its plan in the offer, and one that came second does not get a plan that is gone.
#[test]
fn an_order_and_an_edit_do_not_overtake_each_other() {
    for order_is_first in [true, false] {
        simulated(|| async {
            let world = World::new().await;
            let (shop, service) = with_compute(&world).await;
            let offer = world.get(&format!("/v1/services/{service}")).by(&shop.operator).send().await.at("/offer");
            let mut without = offer.clone();
            without["plans"].as_array_mut().unwrap().retain(|plan| plan["code"] != request(json!({}))["planCode"]);
            assert_ne!(without, offer);
            // The first holds its transaction open after it has looked at the service.
            let looked = if order_is_first { "INSERT INTO subscriptions" } else { "UPDATE services SET" };
            let held = Fault::on(Target::SqlMatching(looked.into())).nth(1).delay(std::time::Duration::from_secs(3));
            world.hub.faults().push(held);
            let later = async |second: bool| {
                if second {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            };
            let edit = async {
                later(order_is_first).await;
                let call = world.patch(&format!("/v1/services/{service}"), json!({ "offer": without }));
                call.by(&shop.operator).header("if-match", "*").send().await
            };
            let ordering = async {
                later(!order_is_first).await;
                order(&world, &shop, &service, json!({})).await
            };
            let (ordered, edited) = futures::join!(ordering, edit);
            if order_is_first {
                ordered.expect(202);
                edited.expect_problem(409, "plan_in_use");
            } else {
                edited.expect(200);
                assert_eq!(pointers(&ordered), ["/planCode"], "{}", ordered.json());
            }
            assert_eq!(world.count("SELECT COUNT(*) FROM subscriptions"), i64::from(order_is_first));
        });
    }
}

/// What an order with a plan and a term costs between components: nothing to place it, and to carry it out no more than the
/// ticks.
#[test]
fn an_order_with_a_plan_and_a_term_is_one_components_work() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, service) = with_compute(&world).await;
        let hops = |from: usize| {
            let calls = world.hub.host_calls();
            calls[from..].iter().filter(|call| call.kind == Kind::Outbound).map(|call| call.detail.clone()).collect::<Vec<_>>()
        };
        let before = world.hub.host_calls().len();
        let ordered = order(&world, &shop, &service, json!({})).await;
        assert_eq!(hops(before), [""; 0]);
        let path = format!("/v1/subscriptions/{}", ordered.expect(202).text("/subscriptionId"));
        world.settle().await;
        let hops = hops(before);
        assert!(
            hops.len() <= 3 && hops.iter().all(|hop| hop.contains("provisioning.spin.internal/internal/jobs/run")),
            "{hops:?}"
        );
        let ordered = world.get(&path).by(&shop.admin).send().await;
        assert_eq!(ordered.expect(200).text("/status"), "ACTIVE");
        world.get(&format!("{path}/renewal")).by(&shop.admin).send().await.expect(200);
    });
}

/// What this thread has computed so far. The world, its hub and the hub's guests run in it.
fn computed() -> std::time::Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    std::time::Duration::from_nanos(schedule.split(' ').next().unwrap().parse().unwrap())
}

/// Properties of about as many bytes as are taken: as many of these items as fit.
fn filled(item: impl Fn(usize) -> Value, most: usize) -> Value {
    let (mut items, mut bytes) = (Vec::new(), 20);
    for n in 0..most {
        let item = item(n);
        bytes += item.to_string().len() + 1;
        if bytes > 64 * 1024 {
            break;
        }
        items.push(item);
    }
    json!({ "a": items })
}

/// A customer writes the properties, and nothing can interrupt the guest that checks them.
#[test]
fn no_schema_and_properties_take_long_to_be_checked() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let of = |schema: Value| json!({ "type": "object", "properties": { "a": { "items": schema } } });
        let words = |count: usize| (0..count).map(|n| json!(format!("word-{n:04}"))).collect::<Vec<_>>();
        let nested = |n: usize| (0..60).fold(json!(n), |inner, _| json!([inner]));
        let long = "n".repeat(20_000);
        let pairs = [
            // Every item is compared with every other, and so is every item of every item.
            (json!({ "properties": { "a": { "uniqueItems": true } } }), filled(|n| json!(format!("item-{n}")), 1_000)),
            (
                of(json!({ "uniqueItems": true, "items": { "uniqueItems": true } })),
                filled(|n| json!([[n, n + 1], [n + 1, n]]), 1_000),
            ),
            (of(json!({ "uniqueItems": true })), filled(|n| json!((0..900).map(|m| n * 1000 + m).collect::<Vec<_>>()), 1_000)),
            (json!({ "properties": { "a": { "uniqueItems": true } } }), filled(nested, 1_000)),
            // A long list of values for every item, none of which is it.
            (of(json!({ "enum": words(1_000) })), filled(|n| json!(format!("none-{n:04}")), 900)),
            (of(json!({ "not": { "enum": words(1_000) } })), filled(|n| json!(format!("none-{n:04}")), 900)),
            (
                of(json!({ "anyOf": [{ "enum": words(400) }, { "enum": words(400) }] })),
                filled(|n| json!(format!("none-{n:04}")), 900),
            ),
            (of(json!({ "const": vec![1; 900] })), filled(|_| json!(vec![1; 899]), 1_000)),
            // A pattern for every item, and one long text.
            (of(json!({ "pattern": "^(a|b|ab)*c{1,60}$" })), filled(|n| json!(format!("abababababababab{n}")), 5_000)),
            (of(json!({ "pattern": "((a{1,40}){1,40})*b" })), json!({ "a": ["a".repeat(60_000)] })),
            (
                of(
                    json!({ "patternProperties": (0..300).map(|n| (format!("^[a-z]{{1,30}}{n}$"), json!({}))).collect::<serde_json::Map<_, _>>() }),
                ),
                json!({ "a": [(0..1000).map(|n| (format!("abcdefghijklmnopqrstuvwxyz{n}"), json!(1))).collect::<serde_json::Map<_, _>>()] }),
            ),
            (
                of(json!({ "allOf": (0..150).map(|n| json!({ "pattern": format!("^.*{n}.*{n}$") })).collect::<Vec<_>>() })),
                filled(|n| json!(format!("{}{n}", "x".repeat(200))), 1_000),
            ),
            // Many schemas for every item.
            (of(json!({ "allOf": vec![json!({ "type": ["string", "number"] }); 240] })), filled(|n| json!(n), 900)),
            (of(json!({ "oneOf": vec![json!({ "type": "string" }); 300] })), filled(|n| json!(n), 900)),
            (of(json!({ "$ref": "#/$defs/many" , "x": 1 })), filled(|n| json!(n), 3)),
            (
                json!({ "$defs": { "d": { "allOf": vec![json!({ "type": "number", "minimum": 1 }); 300] } }, "properties": { "a": { "items": { "$ref": "#/$defs/d" } } } }),
                filled(|n| json!(n), 700),
            ),
            // Pointers as long as the names in them, and errors that tell of long values.
            (
                json!({ "additionalProperties": { "items": { "items": { "type": "null" } } } }),
                json!({ long.as_str(): (0..4_000).map(|n| json!([n])).collect::<Vec<_>>() }),
            ),
            (of(json!({ "anyOf": vec![json!({ "const": "c".repeat(150) }); 300] })), filled(|n| json!(n), 900)),
            (
                of(json!({ "dependentSchemas": { "x": { "maxProperties": 2000 }, "y": {} } })),
                json!({ "a": [(0..4000).map(|n| (format!("k{n}"), json!(1))).chain([("x".into(), json!(1)), ("y".into(), json!(1))]).collect::<serde_json::Map<_, _>>()] }),
            ),
            (of(json!({ "contains": { "enum": words(900) }, "minContains": 1 })), filled(|_| json!(words(20)), 1_000)),
        ];
        let mut services = Vec::new();
        for (index, (schema, _)) in pairs.iter().enumerate() {
            let body = json!({
                "code": format!("worst-{index}"), "displayName": "Worst", "productFamily": "MSP", "driver": "BUILTIN",
                "offer": { "propertiesSchema": schema },
            });
            let added = add(&world, &shop, body).await;
            services.push((added.status() == 201).then(|| added.text("/id")));
        }
        // Two are no schemas that are taken at all: a keyword that is unknown, and patterns that are too large together.
        assert!(services.iter().filter(|service| service.is_none()).count() <= 3, "{services:?}");
        let check = async |service: &str, properties: &Value| {
            let before = computed();
            let path = format!("/v1/services/{service}/validate");
            let answer = world.post(&path, json!({ "properties": properties })).by(&shop.admin).send().await;
            assert!([200, 422].contains(&answer.status()), "{}", answer.json());
            computed() - before
        };
        // The first request also makes the instance.
        let service = services[0].clone().unwrap();
        let mut least = std::time::Duration::MAX;
        for _ in 0..3 {
            least = least.min(check(&service, &json!({})).await);
        }
        for (service, (schema, properties)) in services.iter().zip(&pairs) {
            let Some(service) = service else { continue };
            let took = check(service, properties).await.saturating_sub(least);
            assert!(took < std::time::Duration::from_millis(100), "{took:?}: {:.200}", schema.to_string());
        }
    });
}
