//! Certificates of products: given at the deployment or installed later, shown, kept, replaced, and warned of.

use crate::environments_certificates_support::{certificate, chain, pem};
use crate::environments_data_centers_support::{provider, registered};
use crate::environments_support::{deployed, environment, product, read};
use crate::provisioning_support::{again, steps, task};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, World, simulated};

const PATH: &str = "/v1/environments";

/// Installs a certificate for the product `vcd`.
async fn install(world: &World, by: &Actor, id: &str, body: Value, query: &str) -> Answer {
    let by = again(world, by).await;
    let call = world.put(&format!("{PATH}/{id}/products/vcd/certificate{query}"), body).by(&by);
    call.header("if-match", "*").header("prefer", "wait=5").send().await
}

async fn shown(world: &World, by: &Actor, id: &str) -> Answer {
    let by = again(world, by).await;
    world.get(&format!("{PATH}/{id}/products/vcd/certificate")).by(&by).send().await
}

async fn listed(world: &World, by: &Actor, query: &str) -> Vec<Value> {
    let by = again(world, by).await;
    let list = world.get(&format!("/v1/certificates{query}")).by(&by).send().await;
    list.expect(200).at("/items").as_array().unwrap().clone()
}

/// A world with an environment of two nodes and no certificate.
async fn scene() -> (World, Actor, String, String) {
    let world = World::new().await;
    let operator = world.bootstrap().await;
    let vc = registered(&world, &operator, "vc1", "BUILTIN").await;
    let id = deployed(&world, &operator, "prod", &vc).await;
    (world, operator, vc, id)
}

/// The middle of a key: what must be nowhere.
fn traces_of(key: &str) -> Vec<String> {
    pem(key).lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn a_certificate_is_installed_and_its_key_is_shown_to_nobody() {
    simulated(|| async {
        let (world, operator, _, id) = scene().await;
        shown(&world, &operator, &id).await.expect_problem(404, "certificate_not_found");
        let asked = install(&world, &operator, &id, certificate("server"), "").await;
        assert_eq!((asked.expect(200).text("/type"), asked.text("/status")), ("CERTIFICATE_UPDATE".into(), "SUCCESS".into()));
        let found = shown(&world, &operator, &id).await;
        assert_eq!(found.expect(200).text("/certificate"), chain(&["server", "issuing", "root"]));
        assert_eq!((found.text("/validTo"), found.header("etag")), ("2028-11-21T12:00:00.000Z".into(), "\"3\""));
        assert_eq!(found.at("/names/0"), "vcd.example.com");
        let environment = read(&world, &operator, &id).await;
        assert_eq!(environment.at("/products/0/certificate/thumbprint"), found.at("/thumbprint"));
        assert_eq!(world.count("SELECT COUNT(DISTINCT certificate) FROM machines WHERE certificate IS NOT NULL"), 1);
        // The task that has ended has noted it.
        let items = listed(&world, &operator, "").await;
        assert_eq!((items.len(), &items[0]["productId"], &items[0]["environmentId"]), (1, &json!("vcd"), &json!(id)));
        let request = world.get(&format!("/v1/tasks/{}/request", asked.text("/id"))).by(&operator).send().await;
        assert_eq!(request.expect(200).at("/request/certificate/thumbprint"), found.at("/thumbprint"));
        let plans = world.get("/v1/plans").by(&operator).send().await;
        let audit = world.get("/v1/audit-entries?limit=200").by(&operator).send().await;
        for told in [world.dump(), world.hub.logs().join("\n"), found.json().to_string(), environment.json().to_string()]
            .into_iter()
            .chain([request.json().to_string(), plans.json().to_string(), audit.json().to_string()])
        {
            assert!(traces_of("server.key").iter().all(|line| !told.contains(line)));
        }
    });
}

#[test]
fn what_cannot_be_installed_is_refused_with_its_field_and_nothing_changes() {
    simulated(|| async {
        let (world, operator, vc, id) = scene().await;
        // But for the tokens of those who asked.
        let dump =
            |world: &World| world.dump().lines().filter(|line| !line.starts_with("access_tokens")).collect::<Vec<_>>().join("\n");
        let before = dump(&world);
        let mut wrong = certificate("server");
        wrong["privateKey"] = json!(pem("renewed.key"));
        let refused = install(&world, &operator, &id, wrong.clone(), "").await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/privateKey");
        let expired = install(&world, &operator, &id, certificate("expired"), "").await;
        assert_eq!(expired.expect(422).text("/errors/0/pointer"), "/certificate");
        let encrypted = json!({ "certificate": pem("server"), "privateKey": pem("server.pbes2") });
        assert_eq!(install(&world, &operator, &id, encrypted, "").await.expect(422).text("/errors/0/pointer"), "/keyPassword");
        let large = json!({ "certificate": "x".repeat(65_537), "privateKey": "x" });
        assert_eq!(install(&world, &operator, &id, large, "").await.expect(422).text("/errors/0/pointer"), "/certificate");
        let masked = json!({ "certificate": "********", "privateKey": "********" });
        install(&world, &operator, &id, masked, "").await.expect(422);
        // In a description the place is the product's.
        let mut body = environment("other", &vc, &["c"]);
        body["products"][0]["certificate"] = wrong;
        let refused = world.post(PATH, body.clone()).by(&operator).send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/products/0/certificate/privateKey");
        body["products"][0]["certificate"] = json!({ "certificate": pem("server") });
        let refused = world.post(PATH, body.clone()).by(&operator).send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/products/0/certificate/privateKey");
        body["products"][0]["certificate"] = json!({ "thumbprint": "AB" });
        let refused = world.post(PATH, body.clone()).by(&operator).send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/products/0/certificate/thumbprint");
        // The hosts at which a product is reached are its certificate's.
        body["products"][0]["certificate"] = certificate("server");
        body["products"][0]["properties"]["publicAddress"] = json!({ "restApiBaseUri": "https://other.example.com" });
        let refused = world.post(PATH, body).by(&operator).send().await;
        assert!(refused.expect(422).text("/errors/0/detail").contains("is not for other.example.com"));
        assert_eq!(dump(&world), before);
        // Somebody else's environment is like none.
        let other = provider(&world, &operator, "Other").await;
        install(&world, &other, &id, certificate("server"), "").await.expect_problem(404, "environment_not_found");
        shown(&world, &other, &id).await.expect_problem(404, "environment_not_found");
        let call = world.put(&format!("{PATH}/{id}/products/none/certificate"), certificate("server")).by(&operator);
        call.header("if-match", "*").send().await.expect_problem(404, "product_not_found");
        let call = world.put(&format!("{PATH}/{id}/products/vcd/certificate"), certificate("server")).by(&operator);
        call.header("if-match", "\"1\"").send().await.expect_problem(412, "stale");
    });
}

#[test]
fn a_certificate_comes_with_a_deployment_stays_with_changes_and_goes_when_it_is_left_out() {
    simulated(|| async {
        let (world, operator, vc, _) = scene().await;
        let mut body = environment("with", &vc, &["c", "d"]);
        body["products"][0]["certificate"] = certificate("server");
        body["products"][0]["properties"]["publicAddress"] = json!({ "restApiBaseUri": "https://vcd.example.com" });
        let asked = world.post(PATH, body).by(&operator).header("prefer", "wait=5").send().await;
        let id = asked.expect(200).text("/environmentId");
        let first = shown(&world, &operator, &id).await;
        let put = async |product: Value| {
            let call = world.put(&format!("{PATH}/{id}"), json!({ "products": [product] })).by(&operator);
            let asked = call.header("if-match", "*").header("prefer", "wait=5").send().await;
            assert_eq!(asked.expect(200).text("/status"), "SUCCESS");
            world.settle().await;
            asked.text("/type")
        };
        // As it is shown it is sent back, and stays, with its chain and its key.
        let mut kept = product(&vc, "10.6", &["c", "d"]);
        kept["certificate"] = read(&world, &operator, &id).await.at("/products/0/certificate");
        assert_eq!(put(kept.clone()).await, "ENVIRONMENT_DEPLOY", "the public address goes too");
        kept["version"] = json!("10.7");
        assert_eq!(put(kept.clone()).await, "UPGRADE");
        assert_eq!(shown(&world, &operator, &id).await.text("/certificate"), first.text("/certificate"));
        // Another is a change of its own kind, and so is none.
        kept["certificate"] = certificate("renewed");
        assert_eq!(put(kept.clone()).await, "CERTIFICATE_UPDATE");
        let second = shown(&world, &operator, &id).await;
        assert_ne!(second.text("/thumbprint"), first.text("/thumbprint"));
        assert_eq!(listed(&world, &operator, "").await.len(), 1);
        kept["certificate"] = first.at("");
        let call = world.put(&format!("{PATH}/{id}"), json!({ "products": [kept.clone()] })).by(&operator);
        assert_eq!(
            call.header("if-match", "*").send().await.expect(422).text("/errors/0/pointer"),
            "/products/0/certificate/privateKey"
        );
        kept["certificate"] = json!({ "thumbprint": first.text("/thumbprint") });
        let call = world.put(&format!("{PATH}/{id}"), json!({ "products": [kept.clone()] })).by(&operator);
        assert_eq!(
            call.header("if-match", "*").send().await.expect(422).text("/errors/0/pointer"),
            "/products/0/certificate/thumbprint"
        );
        kept["certificate"] = Value::Null;
        assert_eq!(put(kept).await, "CERTIFICATE_UPDATE");
        shown(&world, &operator, &id).await.expect_problem(404, "certificate_not_found");
        assert_eq!(listed(&world, &operator, "").await.len(), 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs") + world.count("SELECT COUNT(certificate) FROM machines"), 0);
    });
}

#[test]
fn a_certificate_can_be_planned_and_a_plan_of_an_older_world_is_refused() {
    simulated(|| async {
        let (world, operator, _, id) = scene().await;
        let (one, two) = (
            install(&world, &operator, &id, certificate("server"), "?dryRun=true").await,
            install(&world, &operator, &id, certificate("renewed"), "?dryRun=true").await,
        );
        assert_eq!(
            (one.expect(201).text("/taskType"), one.text("/changes/0/action")),
            ("CERTIFICATE_UPDATE".into(), "CREATED".into())
        );
        shown(&world, &operator, &id).await.expect_problem(404, "certificate_not_found");
        let say = |plan: &Answer, word: &str| {
            let path = format!("{}/{word}", plan.header("location"));
            world.post(&path, json!({})).by(&operator).header("prefer", "wait=5").send()
        };
        say(&one, "approve").await.expect(200);
        say(&two, "approve").await.expect(200);
        assert_eq!(say(&two, "apply").await.expect(200).text("/status"), "SUCCESS");
        say(&one, "apply").await.expect_problem(409, "plan_outdated");
        assert_eq!(shown(&world, &operator, &id).await.text("/validTo"), "2029-06-01T00:00:00.000Z");
    });
}

#[test]
fn a_person_installs_what_has_the_target_manual_and_puts_the_old_one_back() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let vc = registered(&world, &operator, "vc1", "MANUAL").await;
        let asked = world.post(PATH, environment("prod", &vc, &["a"])).by(&operator).send().await;
        let id = asked.text("/environmentId");
        let say = async |asked: &Answer, step: &str, word: &str| {
            world.settle().await;
            let path = format!("/v1/tasks/{}/steps/{step}/{word}", asked.text("/id"));
            world.post(&path, json!({ "message": "so it is" })).by(&operator).send().await.expect(200);
            world.settle().await;
        };
        say(&asked, "APPLY", "complete").await;
        say(&asked, "VERIFY", "complete").await;
        let asked = install(&world, &operator, &id, certificate("server"), "").await;
        assert_eq!(asked.expect(202).text("/status"), "MANUAL");
        say(&asked, "APPLY", "complete").await;
        say(&asked, "VERIFY", "fail").await;
        assert_eq!(steps(&task(&world, &operator, &asked).await), ["SUCCESS", "UNDO_MANUAL", "ERROR", "NOT_STARTED"]);
        say(&asked, "APPLY", "complete").await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "ERROR");
        shown(&world, &operator, &id).await.expect_problem(404, "certificate_not_found");
        assert_eq!(listed(&world, &operator, "").await.len(), 0);
    });
}

#[test]
fn who_is_asked_again_gives_the_first_answer() {
    simulated(|| async {
        let (world, operator, _, id) = scene().await;
        let ask = || {
            let call = world.put(&format!("{PATH}/{id}/products/vcd/certificate"), certificate("server")).by(&operator);
            call.header("if-match", "\"2\"").key("one").send()
        };
        let first = ask().await;
        first.expect(202);
        world.settle().await;
        let again = ask().await;
        assert_eq!(again.expect(202).text("/id"), first.text("/id"));
    });
}

fn warnings(world: &World) -> Vec<String> {
    let database = world.database();
    let sql = "SELECT resource || '.' || operation, details FROM audit_entries WHERE resource = 'certificates' AND operation <> 'replace' ORDER BY at";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn warnings_come_in_time_and_once_and_a_new_certificate_moves_them() {
    simulated(|| async {
        let (mut world, operator, _, id) = scene().await;
        install(&world, &operator, &id, certificate("server"), "").await.expect(200);
        world.settle().await;
        let days = async |world: &World, days: u64| {
            world.hub.clock().advance(Duration::from_secs(86_400 * days)).await;
            world.settle().await;
        };
        // It ends on 21 November 2028: 731 days after the tests begin.
        days(&world, 700).await;
        assert_eq!((warnings(&world).len(), listed(&world, &operator, "").await[0]["warnedDays"].clone()), (0, Value::Null));
        days(&world, 1).await;
        assert_eq!(warnings(&world).len(), 1);
        assert!(
            warnings(&world)[0].starts_with("certificates.warn") && warnings(&world)[0].contains("\"30\""),
            "{:?}",
            warnings(&world)
        );
        assert_eq!(listed(&world, &operator, "").await[0]["warnedDays"], 30);
        // A hub that was away tells the latest only.
        world.restart().await;
        days(&world, 24).await;
        assert_eq!(warnings(&world).len(), 2);
        assert!(warnings(&world)[1].contains("\"7\""));
        // Renewed, it is warned of by its own end.
        install(&world, &operator, &id, certificate("renewed"), "").await.expect(200);
        world.settle().await;
        days(&world, 10).await;
        assert_eq!(warnings(&world).len(), 2);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
        days(&world, 300).await;
        let all = warnings(&world);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[2].starts_with("certificates.expire"));
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0, "after the last warning there is nothing left to do");
        assert_eq!(world.count("SELECT COUNT(*) FROM certificates"), 1);
        // With its environment it is forgotten.
        let by = again(&world, &operator).await;
        world.delete(&format!("{PATH}/{id}")).by(&by).header("if-match", "*").send().await.expect(202);
        world.settle().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM certificates") + world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

/// A hub of before schema step 33 noted certificates in a job of their own.
#[test]
fn a_job_of_before_that_notes_certificates_comes_to_its_end() {
    simulated(|| async {
        let (world, operator, _, id) = scene().await;
        install(&world, &operator, &id, certificate("server"), "").await.expect(200);
        let open = |environment: &str| {
            let jobs = format!(
                "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
                 SELECT 'job_01h455vb4pex5vsknk084sn02q', 'environments', 'certificate.note', '{organization}', '{{\"environmentId\":\"{environment}\"}}', 'READY', 1, 0, 0, 1;
                 INSERT INTO job_turns (queue, organization_id, turn) VALUES ('environments', '{organization}', 1)
                 ON CONFLICT (queue, organization_id) DO UPDATE SET turn = 1;",
                organization = operator.organization
            );
            world.database().execute_batch(&jobs).unwrap();
        };
        // What it finds noted stays, with its warning.
        let before = listed(&world, &operator, "").await;
        open(&id);
        world.settle().await;
        assert_eq!(listed(&world, &operator, "").await, before);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE kind = 'certificate.warn'"), 1);
        // What was to be noted is.
        world.database().execute_batch("DELETE FROM certificates; DELETE FROM jobs;").unwrap();
        open(&id);
        world.settle().await;
        let after = listed(&world, &operator, "").await;
        assert_eq!((after.len(), &after[0]["certificate"]), (1, &before[0]["certificate"]));
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE kind = 'certificate.warn'"), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 1);
    });
}

#[test]
fn a_list_shows_who_ends_first_first_page_by_page_and_to_its_tenant() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let (one, other) = (provider(&world, &operator, "One").await, provider(&world, &operator, "Other").await);
        for (by, names) in [(&one, &["renewed", "server", "self"][..]), (&other, &["server"])] {
            let vc = registered(&world, by, "vc1", "BUILTIN").await;
            for name in names {
                let mut body = environment(name, &vc, &["a"]);
                body["products"][0]["certificate"] =
                    json!({ "certificate": pem(name), "privateKey": pem(&format!("{name}.key")) });
                world.post(PATH, body).by(by).send().await.expect(202);
                world.settle().await;
            }
        }
        let ends =
            |items: &[Value]| items.iter().map(|item| item["validTo"].as_str().unwrap()[..7].to_owned()).collect::<Vec<_>>();
        assert_eq!(ends(&listed(&world, &one, "").await), ["2028-11", "2028-11", "2029-06"]);
        assert_eq!(listed(&world, &operator, "").await.len(), 4);
        assert_eq!(listed(&world, &one, "?expiresBefore=2029-01-01T00:00:00Z").await.len(), 2);
        assert_eq!(listed(&world, &one, &format!("?organizationId={}", other.organization)).await.len(), 0);
        assert_eq!(listed(&world, &operator, &format!("?organizationId={}", other.organization)).await.len(), 1);
        let mut seen = Vec::new();
        let mut path = "/v1/certificates?limit=1".to_owned();
        loop {
            let page = world.get(&path).by(&one).send().await;
            seen.push(page.expect(200).text("/items/0/id"));
            let Value::String(cursor) = page.at("/nextCursor") else { break };
            path = format!("/v1/certificates?limit=1&cursor={cursor}");
        }
        seen.dedup();
        assert_eq!(seen.len(), 3);
        for wrong in ["expiresBefore=soon", "more=1"] {
            world.get(&format!("/v1/certificates?{wrong}")).by(&one).send().await.expect_problem(400, "bad_query");
        }
    });
}
