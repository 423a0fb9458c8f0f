//! Environments: deploying, taking over, changing and deleting them, and the plans of it.

use crate::environments_data_centers_support::{provider, registered};
use crate::environments_support::{PASSWORD, deployed, environment, product, read};
use crate::provisioning_support::{ATTEMPTS, break_sql, run_out, steps, task};
use serde_json::{Value, json};
use tests::{Actor, World, simulated};

const PATH: &str = "/v1/environments";

#[test]
fn an_environment_is_deployed_as_described_and_its_secrets_are_shown_to_nobody() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let body = environment("Prod: West", &vc, &["a", "b"]);
        let asked = world.post(PATH, body).by(&operator).header("prefer", "wait=5").send().await;
        assert_eq!((asked.expect(200).text("/type"), asked.text("/status")), ("ENVIRONMENT_DEPLOY".into(), "SUCCESS".into()));
        let found = read(&world, &operator, &asked.text("/environmentId")).await;
        assert_eq!((found.expect(200).text("/status"), found.text("/code")), ("ACTIVE".into(), "Prod-West".into()));
        assert_eq!(found.text("/products/0/nodes/1/hostName"), "b");
        for masked in ["adminPassword", "license", "nodes/0/rootPassword", "properties/dbPassword"] {
            assert_eq!(found.text(&format!("/products/0/{masked}")), "********", "{masked}");
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM machines"), 2);
        let request = world.get(&format!("/v1/tasks/{}/request", asked.text("/id"))).by(&operator).send().await;
        assert_eq!(request.expect(200).text("/request/products/0/license"), "********");
        let plans = world.get(&format!("/v1/plans?environmentId={}", asked.text("/environmentId"))).by(&operator).send().await;
        assert_eq!((plans.text("/items/0/status"), plans.text("/items/0/taskId")), ("APPLIED".into(), asked.text("/id")));
        for told in [world.dump(), request.json().to_string(), plans.json().to_string(), world.hub.logs().join("\n")] {
            assert!(!told.contains(PASSWORD) && !told.contains("AAAA-BBBB"));
        }
        // What it uses stays, and a mask is no secret.
        world.delete(&format!("/v1/data-centers/{vc}")).by(&operator).send().await.expect_problem(409, "data_center_in_use");
        let mut body = json!({ "products": found.at("/products") });
        let path = format!("{PATH}/{}", found.text("/id"));
        let answer = world.call(http::Method::PUT, &path).json(&body).by(&operator).header("if-match", "*").send().await;
        assert_eq!(answer.expect(422).text("/errors/0/pointer"), "/products/0/adminPassword");
        body["products"] = json!([]);
        let answer = world.call(http::Method::PUT, &path).json(&body).by(&operator).header("if-match", "*").send().await;
        assert_eq!(answer.expect(422).text("/errors/0/pointer"), "/products");
    });
}

#[test]
fn a_second_deployment_under_a_code_overwrites_nothing() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let before = world.dump();
        let again = world.post(PATH, environment("prod", &vc, &["c"])).by(&operator).send().await;
        again.expect_problem(409, "environment_code_taken");
        assert!(again.text("/detail").contains(&id));
        let path = format!("{PATH}/{id}");
        let put = |version: Option<&'static str>| {
            let call =
                world.call(http::Method::PUT, &path).json(&json!({ "products": [product(&vc, "10.5", &["c"])] })).by(&operator);
            version.into_iter().fold(call, |call, version| call.header("if-match", version)).send()
        };
        put(None).await.expect_problem(428, "if_match_required");
        put(Some("\"9\"")).await.expect_problem(412, "stale");
        assert_eq!(world.dump(), before);
        put(Some("\"2\"")).await.expect(202);
        world.settle().await;
        let found = read(&world, &operator, &id).await;
        assert_eq!((found.text("/products/0/nodes/0/hostName"), found.header("etag")), ("c".into(), "\"3\""));
        assert_eq!(world.count("SELECT COUNT(*) FROM machines"), 1);
        // Another organization has its own codes.
        let one = provider(&world, &operator, "One").await;
        let theirs = registered(&world, &one, "vc1", "BUILTIN").await;
        deployed(&world, &one, "prod", &theirs).await;
    });
}

#[test]
fn a_change_is_of_the_kind_of_what_it_changes() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let mut off = product(&vc, "10.6", &["a", "b", "c"]);
        off["nodes"][0]["powerState"] = json!("OFF");
        let mut more = off.clone();
        more["nodes"][1]["cpuNum"] = json!(8);
        let mut fewer = more.clone();
        fewer["nodes"].as_array_mut().unwrap().remove(0);
        for (products, kind, machines) in [
            (product(&vc, "10.6", &["a", "b"]), "UPGRADE", 2),
            (product(&vc, "10.6", &["a", "b", "c"]), "NODE_ADD", 3),
            (off, "NODE_POWER", 3),
            (more, "NODE_UPDATE", 3),
            (fewer, "NODE_DELETE", 2),
            (product(&vc, "10.7", &["x"]), "ENVIRONMENT_DEPLOY", 1),
        ] {
            let call = world.call(http::Method::PUT, &format!("{PATH}/{id}")).by(&operator).header("if-match", "*");
            let asked = call.json(&json!({ "products": [products] })).send().await;
            assert_eq!(asked.expect(202).text("/type"), kind);
            world.settle().await;
            assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS", "{kind}");
            assert_eq!(world.count("SELECT COUNT(*) FROM machines"), machines, "{kind}");
        }
    });
}

#[test]
fn a_node_is_redeployed_by_a_plan_of_its_own_and_stays_what_it_is() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let before = read(&world, &operator, &id).await;
        let ask = |path: String, version: Option<&'static str>, by: &Actor| {
            let call = world.post(&path, json!({})).by(by).header("prefer", "wait=5");
            version.into_iter().fold(call, |call, version| call.header("if-match", version)).send()
        };
        let path = |host: &str, query: &str| format!("{PATH}/{id}/nodes/{host}/redeploy{query}");
        ask(path("a", ""), None, &operator).await.expect_problem(428, "if_match_required");
        ask(path("a", ""), Some("\"9\""), &operator).await.expect_problem(412, "stale");
        ask(path("c", ""), Some("*"), &operator).await.expect_problem(404, "node_not_found");
        let one = provider(&world, &operator, "One").await;
        ask(path("a", ""), Some("*"), &one).await.expect_problem(404, "environment_not_found");
        let plan = ask(path("a", "?dryRun=true"), Some("\"2\""), &operator).await;
        assert_eq!((plan.expect(201).text("/taskType"), plan.at("/seenVersion")), ("NODE_REDEPLOY".into(), json!(2)));
        assert_eq!(plan.at("/changes").as_array().unwrap().len(), 1);
        assert_eq!(
            (plan.text("/changes/0/pointer"), plan.text("/changes/0/action"), plan.text("/changes/0/after/vmName")),
            ("/products/vcd/nodes/a".into(), "REPLACED".into(), "vm-a".into())
        );
        assert!(!plan.json().to_string().contains(PASSWORD));
        let replaced = "SELECT COUNT(*) FROM machines WHERE deployed_by IS NOT NULL";
        assert_eq!(world.count(replaced), 0);
        let path = plan.header("location").to_owned();
        world.post(&format!("{path}/approve"), json!({})).by(&operator).send().await.expect(200);
        let asked = ask(format!("{path}/apply"), None, &operator).await;
        assert_eq!((asked.expect(200).text("/type"), asked.text("/status")), ("NODE_REDEPLOY".into(), "SUCCESS".into()));
        assert_eq!(world.count(replaced), 1);
        let after = read(&world, &operator, &id).await;
        assert_eq!((after.at("/products"), after.header("etag")), (before.at("/products"), "\"3\""));
        // Its secrets stayed, so that a certificate, for example, can be installed after it.
        assert_eq!(world.count("SELECT COUNT(*) FROM environments WHERE secrets IS NOT NULL"), 1);
        let again = self::path_of(&id, "b");
        let second = ask(again.clone(), Some("*"), &operator).await;
        assert_eq!(second.expect(200).text("/status"), "SUCCESS");
        assert_eq!(world.count(replaced), 2);
        assert_eq!(world.count("SELECT COUNT(DISTINCT deployed_by) FROM machines"), 2);
    });
}

fn path_of(environment: &str, host: &str) -> String {
    format!("{PATH}/{environment}/nodes/{host}/redeploy")
}

#[test]
fn a_person_redeploys_a_node_where_a_person_does_everything() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "MANUAL").await;
        let asked = world.post(PATH, environment("prod", &vc, &["a"])).by(&operator).send().await;
        let say = async |task: &tests::Answer, step: &str, word: &str| {
            world.settle().await;
            let path = format!("/v1/tasks/{}/steps/{step}/{word}", task.text("/id"));
            world.post(&path, json!({ "message": "so it is" })).by(&operator).send().await.expect(200);
        };
        say(&asked, "APPLY", "complete").await;
        say(&asked, "VERIFY", "complete").await;
        world.settle().await;
        let id = asked.text("/environmentId");
        for (word, status) in [("fail", "ERROR"), ("complete", "SUCCESS")] {
            let asked = world.post(&path_of(&id, "a"), json!({})).by(&operator).header("if-match", "*").send().await;
            assert_eq!(asked.expect(202).text("/type"), "NODE_REDEPLOY");
            say(&asked, "APPLY", "complete").await;
            say(&asked, "VERIFY", word).await;
            if word == "fail" {
                say(&asked, "APPLY", "complete").await;
            }
            world.settle().await;
            assert_eq!(task(&world, &operator, &asked).await["status"], status);
        }
        // An upgrade is backed up by a person too, unless that was not wanted.
        for (version, query) in [("10.6", ""), ("10.7", "?disableBackup=true")] {
            let body = json!({ "products": [product(&vc, version, &["a"])] });
            let asked = world.put(&format!("{PATH}/{id}{query}"), body).by(&operator).header("if-match", "*").send().await;
            asked.expect(202);
            if query.is_empty() {
                say(&asked, "BACKUP", "complete").await;
            }
            say(&asked, "APPLY", "complete").await;
            let waiting = task(&world, &operator, &asked).await;
            let told = waiting["steps"][1]["message"].as_str().unwrap();
            assert!(told.contains(if query.is_empty() { "so it is" } else { "disableBackup" }), "{waiting}");
            say(&asked, "VERIFY", "complete").await;
            world.settle().await;
            assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        }
    });
}

#[test]
fn what_a_validation_finds_fails_a_task_unless_it_is_to_be_ignored_and_is_then_said() {
    for (query, status) in [("", "ERROR"), ("&ignoreValidation=true", "SUCCESS")] {
        simulated(|| async {
            let world = World::new().await;
            let operator = world.bootstrap().await;
            let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
            let asked = world.post(&format!("{PATH}?action=DEPLOY{query}"), environment("prod", &vc, &["a", "b"]));
            let asked = asked.by(&operator).send().await;
            asked.expect(202);
            for _ in 0..2 {
                crate::tasks_walk::turn(&world, "environments").await;
            }
            // Somebody has taken a machine away meanwhile.
            world.database().execute("DELETE FROM machines WHERE host_name = 'a'", []).unwrap();
            world.settle().await;
            let ended = task(&world, &operator, &asked).await;
            assert_eq!(ended["status"], status, "{ended}");
            let told = ended["steps"][2]["message"].as_str().unwrap();
            assert!(told.contains("There are 1 machines where 2 were deployed."), "{ended}");
            assert_eq!(told.contains("ignoreValidation"), status == "SUCCESS");
            let plans = world.get("/v1/plans").by(&operator).send().await;
            assert_eq!(plans.at("/items/0/ignoreValidation"), json!(status == "SUCCESS"));
            let only = world.post(&format!("{PATH}?action=VALIDATE&ignoreValidation=true"), environment("only", &vc, &["a"]));
            only.by(&operator).send().await.expect_problem(400, "bad_query");
        });
    }
}

#[test]
fn what_the_interop_table_stands_against_is_not_begun_unless_that_is_to_be_ignored() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let body = json!({ "version": "8.0", "networks": [] });
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        world.patch(&format!("/v1/data-centers/{vc}"), body).by(&operator).header("if-match", "*").send().await.expect(202);
        world.settle().await;
        let say = async |compatibilities: Value, upgrades: Value| {
            let table = json!({ "compatibilities": compatibilities, "upgrades": upgrades });
            world.put("/v1/interop", table).by(&operator).header("if-match", "*").send().await.expect(200);
        };
        let works = |code: &str, version: &str, other: &str, versions: &[&str]| json!({ "product": { "code": code, "version": version }, "worksWith": other, "versions": versions });
        let step = |from: &str, to: &str| json!({ "code": "VCD", "from": from, "to": to });
        let mut products = json!([product(&vc, "10.5", &["a"]), product(&vc, "3.9", &["b"])]);
        (products[1]["productType"], products[1]["productId"]) = (json!("RMQ"), json!("rmq"));
        products[1]["properties"] = json!({});
        products[0]["integrations"] = json!([{ "integrationId": "NSXT", "version": "4.1" }]);
        let deploy = async |name: &str, query: &str| {
            let body = json!({ "name": name, "products": products });
            let call = world.post(&format!("{PATH}?{query}"), body).by(&operator).header("prefer", "wait=5");
            let asked = call.send().await;
            (asked.expect(200).at("/environmentId"), asked.json())
        };
        // Of what was deployed before it is not asked.
        say(json!([works("VCD", "10.6", "VCENTER", &["8.0"])]), json!([])).await;
        let (_, refused) = deploy("new", "").await;
        assert_eq!((&refused["status"], steps(&refused)[0]), (&json!("ERROR"), "ERROR"));
        let told = refused["steps"][0]["message"].as_str().unwrap();
        assert!(told.contains("VCD 10.5 is not listed as working with VCENTER 8.0."), "{told}");
        assert_eq!(deploy("only", "action=VALIDATE").await.1["status"], "ERROR");
        let (id, taken) = deploy("prod", "action=IMPORT").await;
        assert_eq!(taken["status"], "SUCCESS");
        assert_eq!(deploy("all-the-same", "ignoreValidation=true").await.1["status"], "SUCCESS");

        let upgrade = async |to: &str, query: &str| {
            let mut products = products.clone();
            products[0]["version"] = json!(to);
            let path = format!("{PATH}/{}{query}", id.as_str().unwrap());
            let call = world.put(&path, json!({ "products": products })).by(&operator);
            let asked = call.header("if-match", "*").header("prefer", "wait=5").send().await;
            assert_eq!(asked.expect(200).text("/type"), "UPGRADE");
            let message = asked.at("/steps/0/message").as_str().unwrap_or_default().to_owned();
            (asked.text("/status"), message, read(&world, &operator, id.as_str().unwrap()).await.text("/products/0/version"))
        };
        // With what it stands in an environment: the vCenter, the other products, what it is integrated with.
        for (other, detail) in [("VCENTER", "VCENTER 8.0"), ("RMQ", "RMQ 3.9"), ("NSXT", "NSXT 4.1")] {
            say(json!([works("VCD", "10.6", other, &["1"])]), json!([])).await;
            let (status, message, version) = upgrade("10.6", "").await;
            assert_eq!((&*status, &*version), ("ERROR", "10.5"), "{message}");
            assert!(message.contains(&format!("VCD 10.6 is not listed as working with {detail}.")), "{message}");
            assert!(message.contains("/v1/interop") && message.contains("ignoreValidation"), "{message}");
        }
        // Where it lists upgrades it lists all there are.
        say(json!([]), json!([step("10.5", "10.5.1"), step("10.5.1", "10.6")])).await;
        let (status, message, version) = upgrade("10.6", "").await;
        assert_eq!((&*status, &*version), ("ERROR", "10.5"));
        assert!(
            message.contains("VCD cannot be upgraded from 10.5 to 10.6 in one step: upgrade it to 10.5.1 first."),
            "{message}"
        );
        assert_eq!(upgrade("10.5.1", "").await, ("SUCCESS".into(), String::new(), "10.5.1".into()));
        let (status, message, version) = upgrade("10.7", "?ignoreValidation=true").await;
        assert_eq!((&*status, &*version), ("SUCCESS", "10.7"));
        assert!(message.contains("Ignored") && message.contains("from 10.5.1 to 10.7."), "{message}");
        // And what it is silent about it lets through.
        say(json!([works("VCD", "1", "OTHER", &["1"])]), json!([{ "code": "RMQ", "from": "1", "to": "2" }])).await;
        assert_eq!(upgrade("10.8", "").await, ("SUCCESS".into(), String::new(), "10.8".into()));
    });
}

#[test]
fn of_two_changes_of_one_version_the_second_fails_when_its_turn_comes() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let put = |version: &str| {
            let call = world.call(http::Method::PUT, &format!("{PATH}/{id}")).by(&operator).header("if-match", "\"2\"");
            call.json(&json!({ "products": [product(&vc, version, &["a", "b"])] })).send()
        };
        let (first, second) = (put("10.6").await, put("10.7").await);
        assert_eq!(second.expect(202).at("/precedingTasks"), json!([first.text("/id")]));
        world.settle().await;
        assert_eq!(task(&world, &operator, &first).await["status"], "SUCCESS");
        let late = task(&world, &operator, &second).await;
        assert_eq!(
            (&late["status"], steps(&late)),
            (&json!("ERROR"), vec!["ERROR", "NOT_STARTED", "NOT_STARTED", "NOT_STARTED", "NOT_STARTED"])
        );
        assert!(late["message"].as_str().unwrap().contains("changed since"), "{late}");
        let found = read(&world, &operator, &id).await;
        assert_eq!((found.text("/products/0/version"), found.text("/status")), ("10.6".into(), "ACTIVE".into()));
    });
}

#[test]
fn a_plan_says_what_would_change_and_changes_nothing_until_it_is_applied() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let put = |hosts: &'static [&'static str], query: &str| {
            let call = world.call(http::Method::PUT, &format!("{PATH}/{id}{query}")).by(&operator).header("if-match", "*");
            call.json(&json!({ "products": [product(&vc, "10.6", hosts)] })).send()
        };
        let plan = put(&["a", "c"], "?dryRun=true").await;
        plan.expect(201);
        assert_eq!(
            (plan.text("/status"), plan.at("/seenVersion"), plan.at("/taskId")),
            ("PLANNED".into(), json!(2), Value::Null)
        );
        let changes: Vec<(String, String)> = plan
            .at("/changes")
            .as_array()
            .unwrap()
            .iter()
            .map(|change| (change["pointer"].as_str().unwrap().to_owned(), change["action"].as_str().unwrap().to_owned()))
            .collect();
        let expected =
            [("/products/vcd/nodes/b", "DESTROYED"), ("/products/vcd/nodes/c", "CREATED"), ("/products/vcd/version", "CHANGED")];
        assert_eq!(changes, expected.map(|(pointer, action)| (pointer.to_owned(), action.to_owned())));
        assert_eq!(plan.at("/changes/2/before"), "10.5");
        assert!(!plan.json().to_string().contains(PASSWORD));
        assert_eq!(read(&world, &operator, &id).await.header("etag"), "\"2\"");

        let path = plan.header("location").to_owned();
        let say = |word: &str| world.post(&format!("{path}/{word}"), json!({})).by(&operator).send();
        say("apply").await.expect_problem(409, "plan_not_approved");
        assert_eq!(say("approve").await.expect(200).text("/status"), "APPROVED");
        say("approve").await.expect_problem(409, "plan_not_planned");
        let asked = say("apply").await;
        asked.expect(202);
        say("apply").await.expect_problem(409, "plan_not_approved");
        world.settle().await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        assert_eq!(read(&world, &operator, &id).await.text("/products/0/version"), "10.6");

        // The world moves after a plan was made, and after one was approved.
        let (one, two) = (put(&["x"], "?dryRun=true").await, put(&["y"], "?dryRun=true").await);
        let say = |plan: &tests::Answer, word: &str| {
            world.post(&format!("{}/{word}", plan.header("location")), json!({})).by(&operator).send()
        };
        say(&two, "approve").await.expect(200);
        put(&["z"], "").await.expect(202);
        world.settle().await;
        say(&one, "approve").await.expect_problem(409, "plan_outdated");
        say(&two, "apply").await.expect_problem(409, "plan_outdated");
        assert_eq!(read(&world, &operator, &id).await.text("/products/0/nodes/0/hostName"), "z");
    });
}

#[test]
fn what_is_not_there_yet_can_be_planned_too() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let path = format!("{PATH}?dryRun=true");
        let make = || world.post(&path, environment("prod", &vc, &["a"])).by(&operator).send();
        let (one, other) = (make().await, make().await);
        assert_eq!((one.expect(201).at("/seenVersion"), one.text("/changes/0/action")), (json!(0), "CREATED".into()));
        assert_eq!(world.count("SELECT COUNT(*) FROM environments"), 0);
        for plan in [&one, &other] {
            world.post(&format!("{}/approve", plan.header("location")), json!({})).by(&operator).send().await.expect(200);
        }
        let apply = |plan: &tests::Answer| {
            world.post(&format!("{}/apply", plan.header("location")), json!({})).by(&operator).header("prefer", "wait=5").send()
        };
        assert_eq!(apply(&one).await.expect(200).text("/status"), "SUCCESS");
        apply(&other).await.expect_problem(409, "plan_outdated");
        assert_eq!(world.count("SELECT COUNT(*) FROM environments WHERE status = 'ACTIVE'"), 1);
    });
}

#[test]
fn what_is_validated_is_not_kept_and_what_is_imported_is() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let ask = |action: &str| {
            let path = format!("{PATH}?action={action}");
            world.post(&path, environment("prod", &vc, &["a"])).by(&operator).header("prefer", "wait=5").send()
        };
        let validated = ask("VALIDATE").await;
        assert_eq!(
            (validated.expect(200).text("/type"), validated.at("/environmentId")),
            ("ENVIRONMENT_VALIDATE".into(), Value::Null)
        );
        assert_eq!(world.count("SELECT COUNT(*) FROM environments") + world.count("SELECT COUNT(*) FROM machines"), 0);
        let imported = ask("IMPORT").await;
        assert_eq!(
            (imported.expect(200).text("/type"), imported.text("/status")),
            ("ENVIRONMENT_IMPORT".into(), "SUCCESS".into())
        );
        assert_eq!(world.count("SELECT COUNT(*) FROM machines"), 1);
    });
}

#[test]
fn a_person_sees_to_what_has_the_target_manual_and_takes_it_back() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "MANUAL").await;
        let asked = world.post(PATH, environment("prod", &vc, &["a"])).by(&operator).send().await;
        world.settle().await;
        let say = |step: &str, word: &str| {
            let path = format!("/v1/tasks/{}/steps/{step}/{word}", asked.text("/id"));
            world.post(&path, json!({ "message": "so it is" })).by(&operator).send()
        };
        let waiting = task(&world, &operator, &asked).await;
        assert_eq!(steps(&waiting), ["SUCCESS", "MANUAL", "NOT_STARTED", "NOT_STARTED"]);
        assert!(waiting["steps"][1]["message"].as_str().unwrap().contains("/v1/plans/pln_"), "{waiting}");
        say("APPLY", "complete").await.expect(200);
        world.settle().await;
        say("VERIFY", "fail").await.expect(200);
        world.settle().await;
        let waiting = task(&world, &operator, &asked).await;
        assert_eq!(steps(&waiting), ["SUCCESS", "UNDO_MANUAL", "ERROR", "NOT_STARTED"]);
        say("APPLY", "complete").await.expect(200);
        world.settle().await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!((&ended["status"], &ended["message"]), (&json!("ERROR"), &json!("so it is")));
        assert_eq!(read(&world, &operator, &asked.text("/environmentId")).await.text("/status"), "FAILED");
        // Nothing of it is left, so nothing is used.
        assert_eq!(world.count("SELECT COUNT(*) FROM environment_data_centers"), 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM machines"), 0, "the hub deploys nothing where a person does");
    });
}

#[test]
fn without_rollback_a_change_stays_and_goes_on_at_its_checkpoint() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let body = environment("prod", &vc, &["a"]);
        let asked = world.post(&format!("{PATH}?disableRollback=true"), body).by(&operator).send().await;
        break_sql(&world, "UPDATE environments SET name", ATTEMPTS);
        run_out(&world).await;
        let stopped = task(&world, &operator, &asked).await;
        assert_eq!((&stopped["status"], &stopped["checkpoint"]), (&json!("ERROR"), &json!("RECORD")), "{stopped}");
        assert_eq!(world.count("SELECT COUNT(*) FROM machines"), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM environment_data_centers"), 1, "they stand on it");
        let by = crate::provisioning_support::again(&world, &operator).await;
        world.post(&format!("/v1/tasks/{}/resume", asked.text("/id")), json!({})).by(&by).send().await.expect(202);
        world.settle().await;
        assert_eq!(read(&world, &operator, &asked.text("/environmentId")).await.text("/status"), "ACTIVE");
    });
}

#[test]
fn environments_stand_on_registered_vcenters_of_their_own_tenant() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let (one, other) = (provider(&world, &operator, "One").await, provider(&world, &operator, "Other").await);
        let vc = registered(&world, &one, "vc1", "BUILTIN").await;
        let missing = "dtc_01h455vb4pex5vsknk084sn02q";
        let ask = async |component: &str| world.post(PATH, environment("prod", component, &["a"])).by(&other).send().await;
        let (theirs, none) = (ask(&vc).await, ask(missing).await);
        theirs.expect_problem(404, "data_center_not_found");
        assert_eq!(theirs.text("/detail").replace(&vc, missing), none.text("/detail"));
        assert_eq!(ask("dtc_1").await.expect(422).text("/errors/0/pointer"), "/products/0/dataCenterId");
        let id = deployed(&world, &one, "prod", &vc).await;
        let plan = world.get("/v1/plans").by(&one).send().await.text("/items/0/id");
        for (method, path, code) in [
            ("GET", format!("{PATH}/{id}"), "environment_not_found"),
            ("DELETE", format!("{PATH}/{id}"), "environment_not_found"),
            ("GET", format!("/v1/plans/{plan}"), "plan_not_found"),
            ("POST", format!("/v1/plans/{plan}/approve"), "plan_not_found"),
            ("POST", format!("/v1/plans/{plan}/apply"), "plan_not_found"),
        ] {
            let call = world.call(method.parse().unwrap(), &path).header("if-match", "*");
            call.by(&other).json(&json!({})).send().await.expect_problem(404, code);
        }
        for list in ["environments", "plans"] {
            assert_eq!(world.get(&format!("/v1/{list}")).by(&other).send().await.expect(200).at("/items"), json!([]));
        }
        // Deleted, it is gone, and what it stood on is free.
        world.delete(&format!("{PATH}/{id}")).by(&one).send().await.expect_problem(428, "if_match_required");
        world.delete(&format!("{PATH}/{id}")).by(&one).header("if-match", "*").send().await.expect(202);
        world.settle().await;
        read(&world, &one, &id).await.expect_problem(404, "environment_not_found");
        world.delete(&format!("/v1/data-centers/{vc}")).by(&one).send().await.expect(202);
        world.settle().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM data_centers") + world.count("SELECT COUNT(*) FROM machines"), 0);
    });
}

#[test]
fn two_hundred_environments_are_each_deployed_once_by_one_runner_and_by_four() {
    for runners in [1, 4] {
        simulated(|| async {
            let world = World::new().await;
            let operator = world.bootstrap().await;
            let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
            for n in 0..200 {
                world.post(PATH, environment(&format!("env-{n}"), &vc, &["a"])).by(&operator).send().await.expect(202);
            }
            let runs = (0..runners).map(|_| async {
                for _ in 0..120 / runners {
                    crate::tasks_walk::runner(&world, "environments").await;
                }
            });
            futures::future::join_all(runs).await;
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0, "with {runners}");
            assert_eq!(world.count("SELECT COUNT(*) FROM environments WHERE status = 'ACTIVE'"), 200);
            assert_eq!(world.count("SELECT COUNT(*) FROM machines"), 200);
            assert_eq!(world.count("SELECT SUM(s.attempts) FROM task_steps s JOIN tasks t ON t.id = s.task_id WHERE t.task_type = 'ENVIRONMENT_DEPLOY'"), 800);
        });
    }
}

#[test]
fn a_deployment_over_what_there_is_is_a_change_of_what_the_caller_has_seen() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let ask = |name: &str, hosts: &[&str], version: Option<&'static str>, more: &str| {
            let path = format!("{PATH}?replaceExisting=true{more}");
            let call = world.post(&path, environment(name, &vc, hosts)).by(&operator).header("prefer", "wait=5");
            version.into_iter().fold(call, |call, version| call.header("if-match", version)).send()
        };
        let before = world.dump();
        ask("prod", &["a", "b", "c"], None, "").await.expect_problem(428, "if_match_required");
        ask("prod", &["a", "b", "c"], Some("\"1\""), "").await.expect_problem(412, "stale");
        assert_eq!(world.dump(), before);
        let plan = ask("prod", &["a", "b", "c"], Some("\"2\""), "&dryRun=true").await;
        assert_eq!((plan.expect(201).text("/environmentId"), plan.text("/taskType")), (id.clone(), "NODE_ADD".into()));
        let asked = ask("prod", &["a", "b", "c"], Some("\"2\""), "").await;
        assert_eq!((asked.expect(200).text("/type"), asked.text("/environmentId")), ("NODE_ADD".into(), id.clone()));
        assert_eq!((world.count("SELECT COUNT(*) FROM machines"), world.count("SELECT COUNT(*) FROM environments")), (3, 1));
        // Where there is none of this code, it is a deployment as any other, and so it is when it is asked again.
        let path = format!("{PATH}?replaceExisting=true");
        let other = || world.post(&path, environment("other", &vc, &["x"])).by(&operator).key("other").send();
        let first = other().await;
        assert_eq!(first.expect(202).text("/type"), "ENVIRONMENT_DEPLOY");
        world.settle().await;
        assert_eq!(other().await.expect(202).text("/id"), first.text("/id"));
        // What another tenant has under the code is not looked at.
        let one = provider(&world, &operator, "One").await;
        let theirs = registered(&world, &one, "vc1", "BUILTIN").await;
        let mine = world.post(&path, environment("prod", &theirs, &["a"])).by(&one).send().await;
        assert_ne!(mine.expect(202).text("/environmentId"), id);
        let mut body = environment("prod", &theirs, &["a"]);
        body["organizationId"] = json!(operator.organization);
        let call = world.post(&path, body).by(&one).header("if-match", "*").send().await;
        call.expect_problem(404, "organization_not_found");
    });
}

#[test]
fn what_is_asked_of_a_change_is_asked_of_a_plan_and_a_deletion_too() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let call = world.put(&format!("{PATH}/{id}?dryRun=true"), json!({ "products": [product(&vc, "10.6", &["a"])] }));
        let plan = call.by(&operator).header("if-match", "*").send().await;
        let path = plan.expect(201).header("location").to_owned();
        world.post(&format!("{path}/approve"), json!({})).by(&operator).send().await.expect(200);
        let apply = world.post(&format!("{path}/apply?disableRollback=true"), json!({})).by(&operator).send().await;
        assert_eq!(apply.expect(202).at("/disableRollback"), true);
        world.settle().await;
        let call = world.put(&format!("{PATH}/{id}"), json!({ "products": [product(&vc, "10.7", &["a"])] })).by(&operator);
        let changed = call.header("if-match", "*").header("prefer", "wait=5").send().await;
        assert_eq!((changed.expect(200).text("/status"), changed.header("preference-applied")), ("SUCCESS".into(), "wait=5"));
        let call = world.delete(&format!("{PATH}/{id}")).by(&operator).header("if-match", "*");
        let deleted = call.header("prefer", "wait=5").send().await;
        assert_eq!((deleted.expect(200).text("/type"), deleted.text("/status")), ("ENVIRONMENT_DELETE".into(), "SUCCESS".into()));
    });
}

#[test]
fn what_products_work_with_and_products_that_go_are_changes_of_their_own_kinds() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
        let id = deployed(&world, &operator, "prod", &vc).await;
        let with = |integrations: Value| {
            let mut product = product(&vc, "10.5", &["a", "b"]);
            product["integrations"] = integrations;
            product
        };
        let nsx = |version: &str| json!({ "integrationId": "nsx", "version": version, "integrationPassword": "Secret-1" });
        let mut rmq = product(&vc, "3.9", &["r"]);
        (rmq["productId"], rmq["productType"], rmq["properties"]) = (json!("rmq"), json!("RMQ"), json!({ "virtualHost": "/" }));
        let added = with(json!([nsx("4.1")]));
        let updated = with(json!([nsx("4.2")]));
        for (products, kind, machines) in [
            (json!([added]), "INTEGRATION_ADD", 2),
            (json!([updated]), "INTEGRATION_UPDATE", 2),
            (json!([with(json!([]))]), "INTEGRATION_DELETE", 2),
            (json!([with(json!([])), rmq]), "ENVIRONMENT_DEPLOY", 3),
            (json!([with(json!([]))]), "PRODUCT_DELETE", 2),
        ] {
            let call = world.put(&format!("{PATH}/{id}"), json!({ "products": products })).by(&operator);
            let asked = call.header("if-match", "*").header("prefer", "wait=5").send().await;
            assert_eq!((asked.expect(200).text("/type"), asked.text("/status")), (kind.into(), "SUCCESS".into()));
            assert_eq!(world.count("SELECT COUNT(*) FROM machines"), machines, "{kind}");
        }
    });
}
