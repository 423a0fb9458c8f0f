//! Stored passwords: storing, replacing and deleting them, and who gets them.

use crate::environments_data_centers_support::{PASSWORD, component, provider, read};
use crate::environments_support::environment;
use crate::provisioning_support::{again, run_out, task};
use crate::vsphere_support::Vcenter;
use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

const PATH: &str = "/v1/stored-passwords";

async fn stored(world: &World, by: &Actor, alias: &str, password: &str) -> Answer {
    let by = again(world, by).await;
    let answer = world.post(PATH, json!({ "alias": alias, "password": password, "username": "hub" })).by(&by).send().await;
    answer.expect(201);
    answer
}

#[test]
fn a_password_is_stored_replaced_and_deleted_and_shown_to_nobody() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let one = stored(&world, &operator, "vc", "Secret-the-1st").await;
        let reference = one.text("/reference");
        let key = reference.strip_prefix("ref:password:").unwrap();
        assert!(key.len() == 20 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{reference}");
        assert_ne!(stored(&world, &operator, "nsx", "Secret-the-1st").await.text("/reference"), reference);
        let again = world.post(PATH, json!({ "alias": "vc", "password": "other" })).by(&operator).send().await;
        again.expect_problem(409, "stored_password_alias_taken");
        let path = format!("{PATH}/{}", one.text("/id"));
        let edit = |body: Value, version: Option<&'static str>| {
            let call = world.patch(&path, body).by(&operator);
            version.into_iter().fold(call, |call, version| call.header("if-match", version)).send()
        };
        edit(json!({ "password": "Secret-the-2nd" }), None).await.expect_problem(428, "if_match_required");
        edit(json!({ "password": "Secret-the-2nd" }), Some("\"7\"")).await.expect_problem(412, "stale");
        edit(json!({ "alias": "nsx" }), Some("\"1\"")).await.expect_problem(409, "stored_password_alias_taken");
        let sealed = || {
            let sql = "SELECT sealed FROM stored_passwords WHERE alias = 'vc'";
            world.database().query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
        };
        let before = sealed();
        let edited = edit(json!({ "password": "Secret-the-2nd", "description": "Frankfurt" }), Some("\"1\"")).await;
        assert_eq!((edited.expect(200).text("/reference"), edited.header("etag")), (reference.clone(), "\"2\""));
        let shown = world.get(&path).by(&operator).send().await;
        assert_eq!(
            (shown.text("/username"), shown.text("/description"), shown.header("etag")),
            ("hub".into(), "Frankfurt".into(), "\"2\"")
        );
        assert_ne!(before, sealed());
        let listed = world.get(&format!("{PATH}?limit=1")).by(&operator).send().await;
        assert!(listed.expect(200).at("/items/0/id") == one.at("/id") && listed.at("/nextCursor").is_string());
        for told in [world.dump(), shown.json().to_string(), listed.json().to_string(), world.hub.logs().join("\n")] {
            assert!(!told.contains("Secret-the"));
        }
        for (body, pointer) in [
            (json!({ "alias": "x" }), "/password"),
            (json!({ "alias": "x", "password": "ref:password:abcdefghij0123456789" }), "/password"),
            (json!({ "alias": "x", "password": "it's" }), "/password"),
            (json!({ "alias": "", "password": "Secret-the-3rd" }), "/alias"),
            (json!({ "alias": "x", "password": "Secret-the-3rd", "value": 1 }), "/value"),
            (json!({ "alias": "x", "password": "********" }), "/password"),
        ] {
            let refused = world.post(PATH, body).by(&operator).send().await;
            assert_eq!(refused.expect(422).text("/errors/0/pointer"), pointer);
        }
        world.delete(&path).by(&operator).send().await.expect(204);
        world.get(&path).by(&operator).send().await.expect_problem(404, "stored_password_not_found");
        assert_eq!(world.count("SELECT COUNT(*) FROM stored_passwords"), 1);
    });
}

/// A vCenter that refers to its password.
fn referring(name: &str, reference: &str) -> Value {
    let mut body = component(name, "VSPHERE");
    body["password"] = json!(reference);
    body
}

#[test]
fn a_password_that_is_replaced_reaches_all_that_refer_to_it() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vcenter = Vcenter::new(&world);
        let password = stored(&world, &operator, "vc", PASSWORD).await;
        let reference = password.text("/reference");
        // What is only asked about refers to it as well.
        for action in ["VALIDATE", "REGISTER"] {
            let path = format!("/v1/data-centers?action={action}");
            let asked = world.post(&path, referring("vc", &reference)).by(&operator).send().await;
            asked.expect(202);
            world.settle().await;
            assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS", "{action}");
        }
        let id = world.get("/v1/data-centers").by(&operator).send().await.text("/items/0/id");
        assert_eq!(read(&world, &operator, &id).await.text("/passwordReference"), reference);
        let path = format!("{PATH}/{}", password.text("/id"));
        let replace = async |password: &str| {
            let by = again(&world, &operator).await;
            world.patch(&path, json!({ "password": password })).by(&by).header("if-match", "*").send().await.expect(200);
        };
        let discover = async || {
            let by = again(&world, &operator).await;
            let asked = world.post(&format!("/v1/data-centers/{id}/discover"), json!({})).by(&by).send().await;
            run_out(&world).await;
            task(&world, &operator, &asked).await
        };
        replace("not-the-password").await;
        let failed = discover().await;
        assert!(failed["message"].as_str().unwrap().contains("does not let"), "{failed}");
        replace(PASSWORD).await;
        assert_eq!(discover().await["status"], "SUCCESS");
        // Environments are deployed with it too.
        let by = again(&world, &operator).await;
        let asked = world.post("/v1/environments", environment("prod", &id, &["a"])).by(&by).send().await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        assert_eq!(vcenter.machines().len(), 1);
        assert!(!world.dump().contains(PASSWORD) && !world.hub.logs().join("\n").contains(PASSWORD));
        // While it is used it stays.
        let by = again(&world, &operator).await;
        let kept = world.delete(&path).by(&by).send().await;
        kept.expect_problem(409, "stored_password_in_use");
        assert!(kept.text("/detail").contains(&id));
        let edit = world.patch(&format!("/v1/data-centers/{id}"), json!({ "password": PASSWORD }));
        edit.by(&by).header("if-match", "*").header("prefer", "wait=5").send().await.expect(200);
        world.delete(&path).by(&by).send().await.expect(204);
    });
}

#[test]
fn a_reference_to_nothing_is_refused_where_the_hub_is_to_sign_in_with_it() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        Vcenter::new(&world);
        let (none, known) =
            ("ref:password:abcdefghij0123456789", stored(&world, &operator, "vc", PASSWORD).await.text("/reference"));
        let refused = world.post("/v1/data-centers", referring("vc", none)).by(&operator).send().await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.text("/errors/0/pointer"), "/password");
        assert!(refused.text("/errors/0/detail").contains("POST /v1/stored-passwords"), "{}", refused.json());
        // What a person reaches may be kept where only they look.
        let mut by_hand = referring("by-hand", none);
        by_hand["target"] = json!("BUILTIN");
        let id = world.post("/v1/data-centers", by_hand).by(&operator).send().await.expect(202).text("/dataCenterId");
        world.settle().await;
        let edit = async |body: Value| {
            let call = world.patch(&format!("/v1/data-centers/{id}"), body).by(&again(&world, &operator).await);
            call.header("if-match", "*").header("prefer", "wait=5").send().await
        };
        edit(json!({ "password": none })).await.expect(200);
        edit(json!({ "password": none, "target": "VSPHERE" })).await.expect_problem(422, "invalid_request");
        // Who says another target and nothing of the password is told when it is reached.
        let asked = edit(json!({ "target": "VSPHERE", "fqdn": "vc.example.com" })).await;
        assert!(asked.expect(200).text("/message").contains("no stored password"), "{}", asked.json());
        assert_eq!(
            edit(json!({ "target": "VSPHERE", "fqdn": "vc.example.com", "password": known })).await.text("/status"),
            "SUCCESS"
        );
        edit(json!({ "password": none })).await.expect_problem(422, "invalid_request");
        assert_eq!(read(&world, &operator, &id).await.text("/passwordReference"), known);
    });
}

#[test]
fn a_password_that_a_task_is_about_to_use_stays() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let password = stored(&world, &operator, "vc", PASSWORD).await;
        let mut body = referring("vc", &password.text("/reference"));
        body["target"] = json!("MANUAL");
        let asked = world.post("/v1/data-centers?action=VALIDATE", body).by(&operator).send().await;
        world.settle().await;
        let path = format!("{PATH}/{}", password.text("/id"));
        let kept = world.delete(&path).by(&operator).send().await;
        kept.expect_problem(409, "stored_password_in_use");
        assert!(kept.text("/detail").contains(&asked.text("/id")));
        crate::environments_data_centers_support::contacted(&world, &operator, &asked).await;
        world.delete(&path).by(&operator).send().await.expect(204);
    });
}

#[test]
fn passwords_are_stored_for_one_organization() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        Vcenter::new(&world);
        let (one, other) = (provider(&world, &operator, "One").await, provider(&world, &operator, "Other").await);
        let password = stored(&world, &one, "vc", PASSWORD).await;
        let id = password.text("/id");
        // The operator, above both, sees it, and can store one for a provider; a customer has none.
        assert_eq!(
            world.get(&format!("{PATH}/{id}")).by(&operator).send().await.expect(200).text("/organizationId"),
            one.organization
        );
        let body = json!({ "alias": "more", "password": PASSWORD, "organizationId": other.organization });
        let more = world.post(PATH, body).by(&operator).send().await;
        assert_eq!(more.expect(201).text("/organizationId"), other.organization);
        let filtered = world.get(&format!("{PATH}?organizationId={}", other.organization)).by(&operator).send().await;
        assert_eq!((filtered.at("/items/0/id"), filtered.at("/items/1")), (more.at("/id"), Value::Null));
        let missing = "pwd_01h455vb4pex5vsknk084sn02q";
        for method in ["GET", "PATCH", "DELETE"] {
            let ask = async |id: &str| {
                let call = world.call(method.parse().unwrap(), &format!("{PATH}/{id}")).by(&other).header("if-match", "*");
                call.json(&json!({})).send().await
            };
            let (theirs, none) = (ask(&id).await, ask(missing).await);
            theirs.expect_problem(404, "stored_password_not_found");
            assert_eq!(theirs.text("/detail").replace(&id, missing), none.text("/detail"));
        }
        // Who has learned a reference of another organization gets nothing for it, and does not learn that it is one. Whoever sees
        // both organizations does not mix them up either.
        let (learned, none) = (password.text("/reference"), "ref:password:abcdefghij0123456789");
        for action in ["VALIDATE", "REGISTER"] {
            let ask = async |by: &Actor, owner: &str, reference: &str| {
                let mut body = referring("vc", reference);
                body["organizationId"] = json!(owner);
                let asked = world.post(&format!("/v1/data-centers?action={action}"), body).by(by).send().await;
                (asked.status(), asked.text("/code"), asked.at("/errors"))
            };
            let (theirs, unknown) =
                (ask(&other, &other.organization, &learned).await, ask(&other, &other.organization, none).await);
            assert_eq!((theirs.0, theirs.2[0]["pointer"].as_str()), (422, Some("/password")), "{theirs:?}");
            assert_eq!(theirs, unknown);
            assert_eq!(ask(&operator, &other.organization, &learned).await, unknown);
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM data_centers") + world.count("SELECT COUNT(*) FROM tasks"), 0);
        let customer = world.organization(&operator, "CUSTOMER", "Customer", Some(&one.organization)).await;
        let by = again(&world, &operator).await;
        let body = json!({ "alias": "x", "password": PASSWORD, "organizationId": customer });
        let refused = world.post(PATH, body).by(&by).send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/organizationId");
    });
}
