//! Service brokers in the register, and what they offer in the catalog.

use crate::{
    provisioning_service_brokers_support::{BASE, Broker, Habit, Stall, catalog, import, register, run_out},
    provisioning_support::again,
};
use serde_json::{Value, json};
use tests::{INTERNAL_SECRET, World, simulated};

#[test]
fn a_broker_is_registered_edited_and_its_secret_is_never_seen() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let path = register(&world, &operator).await;
        let shown = world.get(&path).by(&operator).send().await;
        assert_eq!((shown.expect(200).text("/username"), shown.header("etag")), ("hub".into(), "\"1\""));
        assert!(!shown.json().to_string().contains("secret") && !world.dump().contains("secret-of-the-hub"));
        let again = json!({ "displayName": "B", "baseUrl": BASE, "bearerToken": "t0ken" });
        world.post("/v1/service-brokers", again.clone()).by(&operator).send().await.expect_problem(409, "service_broker_taken");
        for (body, at) in [
            (json!({ "displayName": "B", "baseUrl": "https://b.example" }), "/username"),
            (json!({ "displayName": "B", "baseUrl": "https://b.example", "username": "x" }), "/password"),
            (json!({ "displayName": "B", "baseUrl": "https://b.example", "username": "a:b", "password": "x" }), "/username"),
            (json!({ "displayName": "B", "baseUrl": "https://b.example", "password": "x" }), "/username"),
            (json!({ "displayName": "B", "baseUrl": "https://b.example", "bearerToken": "a b" }), "/bearerToken"),
            (json!({ "displayName": "B", "baseUrl": "http://b.example", "bearerToken": "x" }), "/baseUrl"),
            (json!({ "displayName": "B", "baseUrl": "https://x:y@b.example", "bearerToken": "x" }), "/baseUrl"),
        ] {
            let refused = world.post("/v1/service-brokers", body).by(&operator).send().await;
            assert_eq!(refused.expect(422).text("/errors/0/pointer"), at);
        }
        let patch = |body: Value| world.patch(&path, body).by(&operator);
        patch(json!({ "displayName": "C" })).send().await.expect_problem(428, "if_match_required");
        patch(json!({ "displayName": "C" })).header("if-match", "\"9\"").send().await.expect_problem(412, "stale");
        let moved = json!({ "baseUrl": "https://elsewhere.example" });
        let refused = patch(moved).header("if-match", "\"1\"").send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/baseUrl");
        let edited = patch(json!({ "displayName": "C", "bearerToken": "t0ken" })).header("if-match", "\"1\"").send().await;
        assert_eq!((edited.expect(200).text("/displayName"), edited.at("/username")), ("C".into(), Value::Null));
        assert!(!world.dump().contains("t0ken"));
        world.delete(&path).by(&operator).send().await.expect(204);
        world.get(&path).by(&operator).send().await.expect_problem(404, "service_broker_not_found");
    });
}

#[test]
fn what_brokers_is_asked_is_private() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let path = stall.path.replace("/v1/service-brokers/", "/internal/broker-catalogs/");
        world.post(&path, json!(null)).bearer(INTERNAL_SECRET).send().await.expect_problem(404, "route_not_found");
        let call = |token: &str| {
            let request = http::Request::builder()
                .method("POST")
                .uri(path.as_str())
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {token}"))
                .body("null".into())
                .unwrap();
            world.hub.call_component("brokers", request)
        };
        assert_eq!(call(INTERNAL_SECRET).await.unwrap().status(), 200);
        assert_eq!(call(&stall.shop.operator.access_token).await.unwrap().status(), 401);
    });
}

#[test]
fn a_catalog_becomes_services_and_follows_the_broker() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let operator = &stall.shop.operator;
        let service = world.get(&format!("/v1/services/{}", stall.service)).by(operator).send().await.expect(200).json();
        assert_eq!((&service["code"], &service["displayName"]), (&json!("database"), &json!("Database")));
        assert_eq!((&service["driver"], &service["status"]), (&json!("OSB"), &json!("PUBLISHED")));
        assert_eq!(service["offer"]["plans"].as_array().unwrap().len(), 2);
        assert_eq!(service["offer"]["propertiesSchema"]["additionalProperties"], false);

        // The same again changes nothing but what changed; a plan that somebody has stays.
        let subscription = stall.subscribed(&world).await;
        let mut changed = catalog(&["medium"]);
        changed["services"][0]["metadata"]["displayName"] = json!("Data base");
        stall.broker.set_catalog(changed);
        let imported = import(&world, operator, &stall.path).await;
        let one = &imported["services"][0];
        assert_eq!(one["serviceId"], stall.service);
        assert_eq!((&one["removedPlanCodes"], &one["keptPlanCodes"]), (&json!(["large"]), &json!(["small"])));
        let by = again(&world, operator).await;
        let service = world.get(&format!("/v1/services/{}", stall.service)).by(&by).send().await.json();
        let codes: Vec<_> = service["offer"]["plans"].as_array().unwrap().iter().map(|plan| plan["code"].clone()).collect();
        assert_eq!((codes, &service["displayName"]), (vec![json!("small"), json!("medium")], &json!("Data base")));

        // What is not offered any more is reported, and a broker that is in use stays.
        stall.broker.set_catalog(json!({ "services": [] }));
        let imported = import(&world, operator, &stall.path).await;
        assert_eq!(imported["missing"], json!([stall.service]));
        let by = again(&world, operator).await;
        world.delete(&stall.path).by(&by).send().await.expect_problem(409, "service_broker_in_use");
        assert!(subscription.starts_with("sub_"));
        run_out(&world).await;
    });
}

#[test]
fn an_import_sent_again_gets_the_first_answer_and_reads_no_broker() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let broker = Broker::new(&world);
        broker.set_catalog(catalog(&["small"]));
        let path = register(&world, &operator).await;
        let import = || {
            let body = json!({ "status": "PUBLISHED", "productFamily": "ISV" });
            world.post(&format!("{path}/import"), body).by(&operator).key("import")
        };
        let first = import().send().await;
        let id = first.expect(200).text("/services/0/serviceId");
        let service = format!("/v1/services/{id}");
        // Its services stand in the audit by the caller's name, as if they had been added by hand.
        let created = world.get("/v1/audit-entries?action=services.create").by(&operator).send().await;
        assert_eq!(created.expect(200).at("/items").as_array().map(Vec::len), Some(1));
        let entry = created.at("/items/0");
        let imported = world.get("/v1/audit-entries?action=imports.import").by(&operator).send().await;
        assert_eq!((&entry["subjectId"], &entry["principal"]), (&json!(id), &imported.at("/items/0/principal")), "{entry}");

        let edited = world.patch(&service, json!({ "displayName": "Ours" })).header("if-match", "*").by(&operator).send().await;
        edited.expect(200);
        broker.seen();
        let again = import().send().await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.expect(200).json(), first.json());
        assert_eq!(broker.count("GET", "catalog"), 0);
        assert_eq!(world.get(&service).by(&operator).send().await.expect(200).text("/displayName"), "Ours");
        // Another key is another import.
        let body = json!({ "status": "PUBLISHED", "productFamily": "ISV" });
        world.post(&format!("{path}/import"), body).by(&operator).key("other").send().await.expect(200);
        assert_eq!(broker.count("GET", "catalog"), 1);
        let edits = world.get("/v1/audit-entries?action=services.edit").by(&operator).send().await;
        assert_eq!(edits.expect(200).at("/items").as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn what_the_catalog_does_not_take_is_reported_and_keeps_nothing_out() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        world.service(&operator, "database", "BUILTIN").await;
        let broker = Broker::new(&world);
        let mut offered = catalog(&["small"]);
        let mut other = offered["services"][0].clone();
        (other["id"], other["name"], other["plans"][0]["id"]) = (json!("o2"), json!("queue"), json!("p2"));
        other["plans"][0]["schemas"]["service_instance"]["create"]["parameters"]["dependencies"] = json!({ "a": ["b"] });
        offered["services"].as_array_mut().unwrap().push(other);
        broker.set_catalog(offered);
        let path = register(&world, &operator).await;
        let imported = import(&world, &operator, &path).await;
        assert_eq!(imported["refused"][0]["name"], "database");
        assert!(imported["refused"][0]["reason"].as_str().unwrap().contains("already"), "{imported}");
        assert_eq!(imported["services"][0]["name"], "queue");
        assert!(imported["services"][0]["warnings"][0].as_str().unwrap().contains("dependencies"), "{imported}");
        assert_eq!(world.count("SELECT COUNT(*) FROM broker_offerings"), 1);
        // Services of brokers come by an import alone.
        let body = json!({ "code": "x", "displayName": "X", "productFamily": "ISV", "driver": "OSB" });
        let refused = world.post("/v1/services", body).by(&operator).send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/driver");
    });
}

#[test]
fn a_broker_that_cannot_be_read_says_why() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let broker = Broker::new(&world);
        let path = register(&world, &operator).await;
        for (habit, words) in [
            (Habit::Answers(401, "{}"), "credentials"),
            (Habit::Answers(404, "{}"), "baseUrl"),
            (Habit::Answers(412, "{}"), "2.17"),
            (Habit::Answers(500, "{}"), "500"),
            (Habit::Answers(200, "garbage"), "specification"),
            (Habit::Answers(200, "{}"), "specification"),
            (Habit::Hangs, "in time"),
        ] {
            broker.habit("GET", "catalog", habit);
            let body = json!({ "productFamily": "ISV" });
            let refused = world.post(&format!("{path}/import"), body).by(&operator).send().await;
            refused.expect_problem(409, "service_broker_catalog");
            assert!(refused.text("/detail").contains(words), "{}", refused.text("/detail"));
        }
        let body = json!({ "displayName": "B", "baseUrl": "https://forbidden.example", "bearerToken": "x" });
        let other = world.post("/v1/service-brokers", body).by(&operator).send().await;
        let body = json!({ "productFamily": "ISV" });
        let refused = world.post(&format!("{}/import", other.header("location")), body).by(&operator).send().await;
        assert!(refused.expect(409).text("/detail").contains("service_broker"), "{}", refused.text("/detail"));
        let body = json!({ "productFamily": "ISV", "status": "RETIRED" });
        world.post(&format!("{path}/import"), body).by(&operator).send().await.expect(422);
    });
}
