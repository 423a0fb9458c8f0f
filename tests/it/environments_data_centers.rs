//! Data center components: registering, validating, updating, discovering and removing them.

use crate::environments_data_centers_support::{PASSWORD, component, contacted, provider, read, registered, used_by};
use crate::provisioning_support::{ATTEMPTS, break_sql, run_out, steps, task};
use serde_json::{Value, json};
use tests::{World, simulated};

const PATH: &str = "/v1/data-centers";

#[test]
fn a_component_is_registered_as_described_and_its_password_is_shown_to_nobody() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let asked = world.post(PATH, component("vc1", "BUILTIN")).by(&operator).header("prefer", "wait=5").send().await;
        assert_eq!((asked.expect(200).text("/type"), asked.text("/status")), ("DATACENTER_REGISTER".into(), "SUCCESS".into()));
        assert_eq!(asked.at("/progress"), json!({ "done": 3, "total": 3, "percent": 100 }));
        let found = read(&world, &operator, &asked.text("/dataCenterId")).await;
        let value = found.expect(200).json();
        assert_eq!((&value["status"], found.header("etag")), (&json!("REGISTERED"), "\"1\""));
        for field in ["componentName", "componentType", "version", "fqdn", "username", "target", "tags", "networks"] {
            assert_eq!(value[field], component("vc1", "BUILTIN")[field], "{field}");
        }
        // Nobody looked, so nothing says that somebody did.
        assert_eq!(
            (&value["confirmedAt"], &value["discoveredAt"], &value["inventory"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        let request = world.get(&format!("/v1/tasks/{}/request", asked.text("/id"))).by(&operator).send().await;
        assert_eq!(request.expect(200).text("/request/password"), "********");
        assert_eq!(request.text("/request/fqdn"), "vc1.example.com");
        for told in [world.dump(), value.to_string(), request.json().to_string(), world.hub.logs().join("\n")] {
            assert!(!told.contains(PASSWORD));
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM data_centers WHERE password_sealed IS NOT NULL"), 1);
    });
}

#[test]
fn a_person_sees_to_a_component_with_the_target_manual() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let asked = world.post(PATH, component("vc1", "MANUAL")).by(&operator).send().await;
        world.settle().await;
        let waiting = task(&world, &operator, &asked).await;
        assert_eq!((&waiting["status"], steps(&waiting)), (&json!("MANUAL"), vec!["SUCCESS", "MANUAL", "NOT_STARTED"]));
        let told = waiting["steps"][1]["message"].as_str().unwrap();
        assert!(
            told.contains("vc1.example.com") && told.contains("/steps/CONTACT/complete") && !told.contains(PASSWORD),
            "{told}"
        );
        let id = asked.text("/dataCenterId");
        assert_eq!(read(&world, &operator, &id).await.text("/status"), "REGISTERING");
        contacted(&world, &operator, &asked).await;
        let found = read(&world, &operator, &id).await;
        assert_eq!(found.text("/status"), "REGISTERED");
        assert!(found.at("/confirmedAt").is_string());

        let refused = world.post(PATH, component("vc2", "MANUAL")).by(&operator).send().await;
        world.settle().await;
        let path = format!("/v1/tasks/{}/steps/CONTACT/fail", refused.text("/id"));
        world.post(&path, json!({ "message": "no such host" })).by(&operator).send().await.expect(200);
        world.settle().await;
        let ended = task(&world, &operator, &refused).await;
        assert_eq!((&ended["status"], &ended["message"]), (&json!("ERROR"), &json!("no such host")));
        assert_eq!(read(&world, &operator, &refused.text("/dataCenterId")).await.text("/status"), "FAILED");
        // The host is there now.
        world.post(&format!("/v1/tasks/{}/restart", refused.text("/id")), json!({})).by(&operator).send().await.expect(202);
        world.settle().await;
        assert_eq!(read(&world, &operator, &refused.text("/dataCenterId")).await.text("/status"), "REGISTERING");
        contacted(&world, &operator, &refused).await;
        assert_eq!(read(&world, &operator, &refused.text("/dataCenterId")).await.text("/status"), "REGISTERED");
    });
}

#[test]
fn every_wrong_field_is_named_at_once() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let before = world.dump();
        let mut wrong = component("vc1", "BUILTIN");
        for (field, value) in [
            ("componentType", json!("BAKERY")),
            ("fqdn", json!("no host")),
            ("password", json!("it's")),
            ("bakery", json!(1)),
            ("username", json!(null)),
            ("tags", json!(["a", 2])),
        ] {
            wrong[field] = value;
        }
        let answer = world.post(PATH, wrong).by(&operator).send().await;
        answer.expect_problem(422, "invalid_request");
        let places: Vec<String> =
            answer.at("/errors").as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
        assert_eq!(places, ["/bakery", "/componentType", "/fqdn", "/password", "/tags/1", "/username"]);
        assert!(!answer.json().to_string().contains("it's"));

        let mut wrong = component("vc1", "BUILTIN");
        wrong["networks"][0]["gateway"] = json!("10.1.2.255");
        wrong["networks"][0]["dns"] = json!(["10.1.2.2", "10.1.2.2"]);
        let answer = world.post(PATH, wrong).by(&operator).send().await;
        answer.expect_problem(422, "invalid_request");
        assert_eq!(
            (answer.text("/errors/0/pointer"), answer.text("/errors/1/pointer")),
            ("/networks/0/gateway".into(), "/networks/0/dns/1".into())
        );

        for (body, status, code) in [
            ("{", 400, "malformed_json"),
            (r#"{"fqdn":"a","fqdn":"b"}"#, 422, "invalid_request"),
            (r#"{"port":1.5}"#, 422, "invalid_request"),
            ("[]", 422, "invalid_request"),
        ] {
            let call = world.call(http::Method::POST, PATH).by(&operator);
            call.body("application/json", body).send().await.expect_problem(status, code);
        }
        world
            .post(&format!("{PATH}?action=DANCE"), component("a", "BUILTIN"))
            .by(&operator)
            .send()
            .await
            .expect_problem(400, "bad_query");
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn a_name_is_taken_once_in_an_organization() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        registered(&world, &operator, "vc1", "BUILTIN").await;
        let again = world.post(PATH, component("vc1", "BUILTIN")).by(&operator).send().await;
        again.expect_problem(409, "component_name_taken");
        let one = provider(&world, &operator, "One").await;
        registered(&world, &one, "vc1", "BUILTIN").await;
        let keyed = async || world.post(PATH, component("vc2", "BUILTIN")).by(&one).key("k").send().await;
        assert_eq!(keyed().await.text("/id"), keyed().await.text("/id"));
        assert_eq!(world.count("SELECT COUNT(*) FROM data_centers"), 3);
    });
}

#[test]
fn what_is_another_tenants_is_not_there() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let (one, other) = (provider(&world, &operator, "One").await, provider(&world, &operator, "Other").await);
        let id = registered(&world, &one, "vc1", "MANUAL").await;
        let missing = "dtc_01h455vb4pex5vsknk084sn02q";
        for (method, path, body) in [
            ("GET", "", json!({})),
            ("PATCH", "", json!({ "purpose": "mine" })),
            ("DELETE", "", json!({})),
            ("POST", "/validate", json!({})),
            ("POST", "/discover", json!({})),
            ("POST", "/inventory", json!({})),
        ] {
            let ask = async |id: &str| {
                let call = world.call(method.parse().unwrap(), &format!("{PATH}/{id}{path}")).header("if-match", "*");
                call.by(&other).json(&body).send().await
            };
            let (theirs, none) = (ask(&id).await, ask(missing).await);
            theirs.expect_problem(404, "data_center_not_found");
            assert_eq!(theirs.text("/detail").replace(&id, missing), none.text("/detail"), "{method} {path}");
        }
        assert_eq!(world.get(PATH).by(&other).send().await.expect(200).at("/items"), json!([]));
        let customer = world.organization(&one, "CUSTOMER", "Fabrikam", None).await;
        for (organization, status, code) in [
            (one.organization.as_str(), 404, "organization_not_found"),
            ("org_01h455vb4pex5vsknk084sn02q", 404, "organization_not_found"),
            (customer.as_str(), 404, "organization_not_found"),
            ("org_1", 422, "invalid_request"),
        ] {
            let mut body = component("x", "BUILTIN");
            body["organizationId"] = json!(organization);
            world.post(PATH, body).by(&other).send().await.expect_problem(status, code);
        }
        let mut body = component("x", "BUILTIN");
        body["organizationId"] = json!(customer);
        world.post(PATH, body).by(&one).send().await.expect_problem(422, "invalid_request");
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks"), 1);
    });
}

#[test]
fn components_are_listed_by_type_and_organization_in_pages() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let one = provider(&world, &operator, "One").await;
        let first = registered(&world, &one, "a", "BUILTIN").await;
        // Ids of one millisecond sort by chance.
        world.hub.clock().advance(std::time::Duration::from_secs(1)).await;
        let mut nsx = component("b", "BUILTIN");
        nsx["componentType"] = json!("NSXT");
        let second = world.post(PATH, nsx).by(&operator).send().await.text("/dataCenterId");
        let ids = async |query: &str| -> Vec<String> {
            let found = world.get(&format!("{PATH}?{query}")).by(&operator).send().await;
            found
                .expect(200)
                .at("/items")
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(ids("").await, [first.clone(), second.clone()]);
        assert_eq!(ids("componentType=NSXT").await, std::slice::from_ref(&second));
        assert_eq!(ids(&format!("organizationId={}", one.organization)).await, std::slice::from_ref(&first));
        assert_eq!(ids(&format!("organizationId={}&componentType=NSXT", one.organization)).await, [""; 0]);
        assert_eq!(ids("limit=1").await, [first]);
        let page = world.get(&format!("{PATH}?limit=1")).by(&operator).send().await;
        assert_eq!(ids(&format!("limit=1&cursor={}", page.text("/nextCursor"))).await, [second]);
    });
}

#[test]
fn an_update_says_what_it_has_seen_and_comes_after_those_before_it() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "BUILTIN").await;
        let path = format!("{PATH}/{id}");
        let edit = |version: &'static str, body: Value| world.patch(&path, body).by(&operator).header("if-match", version);
        world.patch(&path, json!({})).by(&operator).send().await.expect_problem(428, "if_match_required");
        edit("\"7\"", json!({ "purpose": "x" })).send().await.expect_problem(412, "stale");
        edit("\"1\"", json!({ "componentType": "NSXT" })).send().await.expect_problem(422, "invalid_request");
        // Two who have seen the same: the second comes too late, and says so.
        let first = edit("\"1\"", json!({ "fqdn": "vc2.example.com", "password": "An0ther!" })).send().await;
        let second = edit("\"1\"", json!({ "fqdn": "vc3.example.com" })).send().await;
        assert_eq!(second.expect(202).at("/precedingTasks"), json!([first.text("/id")]));
        let sealed = |world: &World| -> Option<String> {
            world.database().query_row("SELECT password_sealed FROM data_centers", [], |row| row.get(0)).unwrap()
        };
        let before = sealed(&world);
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &first).await["status"], "SUCCESS");
        let late = task(&world, &operator, &second).await;
        assert_eq!(late["status"], "ERROR");
        assert!(late["message"].as_str().unwrap().contains("edited since"), "{late}");
        let found = read(&world, &operator, &id).await;
        assert_eq!(
            (found.text("/fqdn"), found.text("/username")),
            ("vc2.example.com".into(), "administrator@vsphere.local".into())
        );
        assert_eq!((found.header("etag"), found.text("/status")), ("\"2\"", "REGISTERED".into()));
        assert!(before.is_some() && sealed(&world).is_some() && before != sealed(&world));
        assert!(!world.dump().contains("An0ther!"));
        // A password that is kept elsewhere takes the place of the one that was kept here.
        let reference = "ref:password:abcdefghij0123456789";
        edit("\"2\"", json!({ "password": reference, "networks": [] })).header("prefer", "wait=5").send().await.expect(200);
        let found = read(&world, &operator, &id).await;
        assert_eq!((found.text("/passwordReference"), found.at("/networks")), (reference.into(), json!([])));
        assert_eq!(sealed(&world), None);
    });
}

#[test]
fn a_person_says_what_there_is() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "MANUAL").await;
        let inventory = json!({ "clusters": ["c1"], "datastores": ["d1", "d2"], "networks": ["mgmt"] });
        let upload = |body: &Value| world.post(&format!("{PATH}/{id}/inventory"), body.clone()).by(&operator).send();
        upload(&inventory).await.expect_problem(409, "no_discovery_waiting");
        let asked = world.post(&format!("{PATH}/{id}/discover"), json!({})).by(&operator).send().await;
        upload(&inventory).await.expect_problem(409, "no_discovery_waiting");
        world.settle().await;
        let waiting = task(&world, &operator, &asked).await;
        assert!(waiting["steps"][1]["message"].as_str().unwrap().contains(&format!("{PATH}/{id}/inventory")), "{waiting}");
        upload(&json!({ "bakeries": [] })).await.expect_problem(422, "invalid_request");
        assert_eq!(upload(&inventory).await.expect(200).at("/inventory"), inventory);
        upload(&inventory).await.expect_problem(409, "no_discovery_waiting");
        world.settle().await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        let found = read(&world, &operator, &id).await;
        assert_eq!(found.at("/inventory"), inventory);
        assert!(found.at("/discoveredAt").is_string());
        // With BUILTIN nobody looks: what is said is taken as given, and a discovery finds nothing.
        let id = registered(&world, &operator, "vc2", "BUILTIN").await;
        let path = format!("{PATH}/{id}");
        world.post(&format!("{path}/inventory"), inventory.clone()).by(&operator).send().await.expect(200);
        world.post(&format!("{path}/discover"), json!({})).by(&operator).header("prefer", "wait=5").send().await.expect(200);
        let found = read(&world, &operator, &id).await;
        assert_eq!((found.at("/inventory"), found.at("/discoveredAt")), (inventory, Value::Null));
    });
}

#[test]
fn validating_keeps_nothing_but_the_task() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let path = format!("{PATH}?action=VALIDATE");
        let asked = world.post(&path, component("vc1", "MANUAL")).by(&operator).send().await;
        assert_eq!((asked.expect(202).text("/type"), asked.at("/dataCenterId")), ("DATACENTER_VALIDATE".into(), Value::Null));
        world.settle().await;
        let waiting = task(&world, &operator, &asked).await;
        assert!(waiting["steps"][1]["message"].as_str().unwrap().contains("vc1.example.com"), "{waiting}");
        contacted(&world, &operator, &asked).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        assert_eq!(world.count("SELECT COUNT(*) FROM data_centers"), 0);
        assert!(!world.dump().contains(PASSWORD));
        // One that is kept is validated as it is.
        let id = registered(&world, &operator, "vc1", "MANUAL").await;
        let asked = world.post(&format!("{PATH}/{id}/validate"), json!({})).by(&operator).send().await;
        world.settle().await;
        world.hub.clock().advance(std::time::Duration::from_secs(60)).await;
        let before = read(&world, &operator, &id).await.text("/confirmedAt");
        contacted(&world, &operator, &asked).await;
        assert!(read(&world, &operator, &id).await.text("/confirmedAt") > before);
    });
}

#[test]
fn what_an_environment_uses_stays() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "BUILTIN").await;
        let path = format!("{PATH}/{id}");
        // It is used after its removal was asked for, and before it is begun.
        let asked = world.delete(&path).by(&operator).send().await;
        let environment = used_by(&world, &operator.organization, &id);
        world.settle().await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)), (&json!("ERROR"), vec!["ERROR", "NOT_STARTED"]));
        assert!(ended["message"].as_str().unwrap().contains(environment), "{ended}");
        assert_eq!(read(&world, &operator, &id).await.text("/status"), "REGISTERED");
        let refused = world.delete(&path).by(&operator).send().await;
        refused.expect_problem(409, "data_center_in_use");
        assert!(refused.text("/detail").contains(environment) && refused.text("/detail").contains("prod"));
        world.database().execute("DELETE FROM environment_data_centers", []).unwrap();
        let asked = world.delete(&path).by(&operator).send().await;
        let after = world.post(&format!("{path}/validate"), json!({})).by(&operator).send().await;
        world.settle().await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        read(&world, &operator, &id).await.expect_problem(404, "data_center_not_found");
        // What was asked for behind it says why it cannot be done.
        let late = task(&world, &operator, &after).await;
        assert!(late["status"] == "ERROR" && late["message"].as_str().unwrap().contains(&id), "{late}");
        registered(&world, &operator, "vc1", "BUILTIN").await;
    });
}

#[test]
fn a_removal_that_cannot_be_finished_leaves_the_component_usable() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "BUILTIN").await;
        let asked = world.delete(&format!("{PATH}/{id}")).by(&operator).send().await;
        break_sql(&world, "DELETE FROM data_centers", ATTEMPTS);
        world.settle().await;
        assert_eq!(read(&world, &operator, &id).await.text("/status"), "REMOVING");
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "ERROR");
        assert_eq!(read(&world, &operator, &id).await.text("/status"), "REGISTERED");
    });
}
