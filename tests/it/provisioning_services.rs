//! The catalog: adding, finding, editing and ending services and products.

use serde_json::{Value, json};
use tests::{Actor, Answer, Shop, World, simulated};

/// A service with two plans, regions, versions, roles, meters and a schema.
pub fn compute() -> Value {
    json!({
        "code": "compute", "displayName": "Compute", "productFamily": "MSP", "driver": "BUILTIN",
        "offer": {
            "plans": [
                { "code": "seats", "displayName": "By seat", "billingUnit": "seat", "minQuantity": "5", "maxQuantity": "50", "quantityStep": "5", "termMonths": [1, 12] },
                { "code": "flat", "displayName": "Flat", "billingUnit": "site" },
            ],
            "regions": ["eu-1", "us-1"],
            "versions": ["10.4", "10.5"],
            "serviceRoles": [
                { "name": "compute:user", "displayName": "User", "defaultRole": true },
                { "name": "compute:admin", "displayName": "Administrator", "mspDefaultRole": true, "mspDefaultRoleOfProviderAtTenant": true },
            ],
            "usageMeters": [{ "code": "EC-VCPU-H", "displayName": "vCPU", "unit": "vCPU hour" }],
            "propertiesSchema": {
                "type": "object",
                "properties": { "hostname": { "type": "string", "format": "hostname" }, "ha": { "type": "boolean" } },
                "required": ["hostname"],
                "additionalProperties": false,
            },
        },
    })
}

/// Adds a service as the operator.
pub async fn add(world: &World, shop: &Shop, body: Value) -> Answer {
    world.post("/v1/services", body).by(&shop.operator).send().await
}

async fn codes(world: &World, by: &Actor, query: &str) -> Vec<String> {
    let found = world.get(&format!("/v1/services?{query}")).by(by).send().await;
    let items = found.expect(200).at("/items");
    items.as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap().to_owned()).collect()
}

/// With the list's fields only.
fn brief(service: &Value) -> Value {
    let mut brief = service.clone();
    brief.as_object_mut().unwrap().remove("offer").expect("an offer");
    brief
}

#[test]
fn the_operator_adds_services_and_everybody_reads_them() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
        let body = json!({ "code": "vpc", "displayName": "Private Cloud", "description": "Hosts", "productFamily": "RENTAL", "driver": "BUILTIN" });
        let made = add(&world, &shop, body.clone()).await;
        made.expect(201);
        assert_eq!(made.header("location"), format!("/v1/services/{}", made.text("/id")));
        assert_eq!((made.text("/kind"), made.text("/status")), ("SERVICE".into(), "PUBLISHED".into()));

        let read = world.get(made.header("location")).by(&shop.admin).send().await;
        assert_eq!(read.expect(200).json(), made.json());
        assert_eq!((read.header("etag"), made.header("etag")), ("\"1\"", "\"1\""));
        let listed = world.get("/v1/services?limit=2").by(&shop.admin).send().await;
        assert_eq!(listed.expect(200).at("/items").as_array().unwrap().len(), 2);
        let rest = world.get(&format!("/v1/services?limit=2&cursor={}", listed.text("/nextCursor"))).by(&shop.admin).send().await;
        assert_eq!(rest.expect(200).at("/items/0"), brief(&made.json()));

        add(&world, &shop, body.clone()).await.expect_problem(409, "service_code_taken");
        world.post("/v1/services", body).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let missing = world.get("/v1/services/svc_00000000000000000000000000").by(&shop.admin).send().await;
        missing.expect_problem(404, "service_not_found");
    });
}

#[test]
fn an_offer_is_kept_as_it_was_said_and_lists_are_filtered() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let made = add(&world, &shop, compute()).await;
        let offer = made.expect(201).at("/offer");
        assert_eq!(offer["propertiesSchema"], compute()["offer"]["propertiesSchema"]);
        assert_eq!(offer["plans"][0]["termMonths"], json!([1, 12]));
        assert_eq!((&offer["plans"][1]["minQuantity"], &offer["plans"][1]["termMonths"]), (&Value::Null, &json!([])));
        assert_eq!(offer["serviceRoles"][0]["mspDefaultRole"], false);
        let product = json!({ "code": "VCD", "kind": "PRODUCT", "displayName": "Cloud Director", "productFamily": "RENTAL", "driver": "MANUAL" });
        add(&world, &shop, product).await.expect(201);
        for (query, expected) in [
            ("code=compute", vec!["compute"]),
            ("kind=PRODUCT", vec!["VCD"]),
            ("driver=BUILTIN&kind=SERVICE", vec!["builtin", "compute"]),
            ("productFamily=RENTAL", vec!["VCD"]),
            ("status=RETIRED", vec![]),
        ] {
            let mut found = codes(&world, &shop.admin, query).await;
            found.sort();
            assert_eq!(found, expected, "{query}");
        }
        world.get("/v1/services?kind=THING").by(&shop.admin).send().await.expect_problem(400, "bad_query");
    });
}

#[test]
fn an_offer_that_is_wrong_is_refused_at_each_place() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = world.dump();
        for (path, value, pointer) in [
            ("/offer/plans/1/code", json!("seats"), "/offer/plans/1/code"),
            ("/offer/plans/0/minQuantity", json!("60"), "/offer/plans/0/minQuantity"),
            ("/offer/plans/0/minQuantity", json!(5), "/offer/plans/0/minQuantity"),
            ("/offer/plans/0/termMonths", json!([0]), "/offer/plans/0/termMonths/0"),
            ("/offer/regions/1", json!("eu-1"), "/offer/regions/1"),
            ("/offer/regions", json!(vec!["r"; 101]), "/offer/regions"),
            ("/offer/serviceRoles/1/defaultRole", json!(true), "/offer/serviceRoles/1/defaultRole"),
            ("/offer/propertiesSchema/type", json!("objekt"), "/offer/propertiesSchema/type"),
            ("/offer/propertiesSchema", json!([]), "/offer/propertiesSchema"),
            ("/status", json!("RETIRED"), "/status"),
            ("/offer/typo", json!(1), "/offer/typo"),
        ] {
            let mut body = compute();
            let (parent, name) = path.rsplit_once('/').unwrap();
            match body.pointer_mut(path) {
                Some(place) => *place = value,
                None => body.pointer_mut(parent).unwrap()[name] = value,
            }
            let refused = add(&world, &shop, body).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.text("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn an_edit_needs_the_newest_state_and_keeps_plans_that_are_in_use() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let service = add(&world, &shop, compute()).await.text("/id");
        world.contract(&shop.operator, &shop.provider, &service).await;
        let path = format!("/v1/services/{service}");
        let edit = |etag: &'static str, body: Value| world.patch(&path, body).by(&shop.operator).header("if-match", etag).send();
        world.patch(&path, json!({})).by(&shop.operator).send().await.expect_problem(428, "if_match_required");
        let renamed = edit("\"1\"", json!({ "displayName": "Elastic" })).await;
        assert_eq!((renamed.expect(200).text("/displayName"), renamed.header("etag")), ("Elastic".into(), "\"2\""));
        assert_eq!(renamed.at("/offer/plans/1/code"), "flat");
        edit("\"1\"", json!({ "displayName": "Late" })).await.expect_problem(412, "stale");
        edit("*", json!({ "code": "other" })).await.expect_problem(422, "invalid_request");
        world
            .patch(&path, json!({}))
            .by(&shop.admin)
            .header("if-match", "*")
            .send()
            .await
            .expect_problem(403, "permission_missing");

        let order = json!({
            "organizationId": shop.customer, "serviceId": service, "planCode": "seats", "region": "eu-1", "version": "10.5",
            "quantity": "10", "termMonths": 12, "properties": { "hostname": "a.example" }
        });
        let ordered = world.post("/v1/subscriptions", order).by(&shop.admin).header("prefer", "wait=5").send().await;
        ordered.expect(200);
        let mut offer = compute()["offer"].clone();
        offer["plans"].as_array_mut().unwrap().remove(0);
        let refused = edit("*", json!({ "offer": offer })).await;
        refused.expect_problem(409, "plan_in_use");
        assert!(refused.text("/detail").contains("seats"));
        // The other one is nobody's, and may go.
        let mut offer = compute()["offer"].clone();
        offer["plans"].as_array_mut().unwrap().remove(1);
        assert_eq!(edit("*", json!({ "offer": offer })).await.expect(200).at("/offer/plans").as_array().unwrap().len(), 1);

        // A failed subscription holds nothing.
        world.database().execute("UPDATE subscriptions SET status = 'FAILED'", []).unwrap();
        assert_eq!(edit("*", json!({ "offer": {} })).await.expect(200).at("/offer/plans"), json!([]));
    });
}

#[test]
fn a_service_is_published_deprecated_and_retired() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let draft =
            json!({ "code": "new", "displayName": "New", "productFamily": "MSP", "driver": "BUILTIN", "status": "DRAFT" });
        let service = add(&world, &shop, draft).await.text("/id");
        let path = format!("/v1/services/{service}");
        let go = |verb: &str| world.post(&format!("{path}/{verb}"), json!({})).by(&shop.operator).send();
        let order = || {
            let body = json!({ "organizationId": shop.customer, "serviceId": service, "quantity": "1" });
            world.post("/v1/subscriptions", body).by(&shop.admin).header("prefer", "wait=5").send()
        };
        // A draft is nobody's but its writers': word for word as if it were not there.
        world.contract(&shop.operator, &shop.provider, &service).await;
        let hidden = world.get(&path).by(&shop.admin).send().await;
        hidden.expect_problem(404, "service_not_found");
        let missing = world.get("/v1/services/svc_00000000000000000000000000").by(&shop.admin).send().await;
        assert_eq!(hidden.text("/detail").replace(&service, "svc_00000000000000000000000000"), missing.text("/detail"));
        order().await.expect_problem(404, "service_not_found");
        let validate = world.post(&format!("{path}/validate"), json!({ "quantity": "1" })).by(&shop.admin).send().await;
        validate.expect_problem(404, "service_not_found");
        assert!(codes(&world, &shop.admin, "code=new").await.is_empty());
        assert_eq!(codes(&world, &shop.operator, "status=DRAFT").await, ["new"]);
        go("deprecate").await.expect_problem(409, "service_status");

        let published = go("publish").await;
        assert_eq!((published.expect(200).text("/status"), published.header("etag")), ("PUBLISHED".into(), "\"2\""));
        go("publish").await.expect_problem(409, "service_status");
        go("retire").await.expect_problem(409, "service_status");
        order().await.expect(200);
        go("deprecate").await.expect(200);
        order().await.expect_problem(409, "service_not_published");
        go("retire").await.expect_problem(409, "service_in_use");
        world.database().execute("UPDATE subscriptions SET status = 'FAILED'", []).unwrap();
        assert_eq!(go("retire").await.expect(200).text("/status"), "RETIRED");
        for verb in ["publish", "deprecate", "retire"] {
            go(verb).await.expect_problem(409, "service_status");
            world
                .post(&format!("{path}/{verb}"), json!({}))
                .by(&shop.admin)
                .send()
                .await
                .expect_problem(403, "permission_missing");
        }
        let edit = world.patch(&path, json!({ "displayName": "x" })).by(&shop.operator).header("if-match", "*").send().await;
        edit.expect_problem(409, "service_status");
        order().await.expect_problem(409, "service_not_published");
    });
}

/// Looking whether something is in use must not grow with how much is in use.
#[test]
fn whether_a_plan_is_in_use_is_found_by_the_index() {
    simulated(|| async {
        let world = World::new().await;
        world.get("/health/provisioning").send().await.expect(200);
        let database = world.database();
        for sql in [
            "SELECT id FROM subscriptions WHERE service_id = ?1 AND status IN (?2, ?3) AND plan_code = ?4 LIMIT 1",
            "SELECT id FROM subscriptions WHERE service_id = ?1 AND status IN (?2, ?3) LIMIT 1",
        ] {
            let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter(vec![""; sql.matches('?').count()]), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(
                steps.iter().all(|step| step.contains("USING INDEX subscriptions_service (service_id=? AND status=?")),
                "{steps:?}"
            );
        }
    });
}
