//! The audit: everything that changes something is recorded once, in order, by whom and what; and nobody changes it unseen.

use crate::{main_job::Caller, openapi::tables};
use domain::audit::{NO_HASH, hash};
use futures::future::join_all;
use host::{Fault, Target};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tests::{Actor, Shop, World, simulated};
use web::openapi::Document;

const ENTRIES: &str = "/v1/audit-entries";

/// All entries of an organization's chain.
async fn entries(world: &World, by: &Actor, organization: &str, filter: &str) -> Vec<Value> {
    let answer = world.get(&format!("{ENTRIES}?limit=200&organizationId={organization}{filter}")).by(by).send().await;
    answer.expect(200);
    assert!(answer.at("/nextCursor").is_null(), "there are more than one page");
    answer.at("/items").as_array().unwrap().clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

async fn verification(world: &World, by: &Actor, organization: &str) -> Value {
    let answer = world.get(&format!("{ENTRIES}/verification?organizationId={organization}")).by(by).send().await;
    answer.expect(200).json()
}

/// Every chain there is, is whole.
pub async fn verify_all(world: &World, operator: &str) {
    let database = world.database();
    let mut statement = database.prepare("SELECT organization_id, sequence FROM audit_chains").unwrap();
    let chains = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    for chain in chains {
        let (organization, sequence) = chain.unwrap();
        let answer = world.get(&format!("{ENTRIES}/verification?organizationId={organization}")).bearer(operator).send().await;
        let found = answer.expect(200).json();
        assert_eq!((&found["broken"], &found["sequence"]), (&Value::Null, &json!(sequence)), "{found}");
    }
}

/// What a caller is answered with when it changes something is made by `Hub::write` alone, which records it: and what `Hub::write`
/// makes takes an Idempotency-Key. Routes without a caller say themselves what they record, and who signs out changes nothing.
#[test]
fn every_route_that_changes_something_goes_through_the_one_door_that_records_it() {
    let mut document = Document::default();
    tables().iter().for_each(|table| table.document(&mut document));
    let document = document.whole("test");
    // These are questions with a body: they write nothing, as the test of all routes and roles sees in the database.
    let asked_only = ["/v1/interop/check", "/v1/services/{serviceId}/validate"];
    let mut walked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            // Whoever is not known yet has no key; what they change is recorded by hand.
            if operation["security"] == json!([]) || asked_only.contains(&path.as_str()) {
                continue;
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let name = |parameter: &Value| match parameter["$ref"].as_str() {
                None => parameter["name"].clone(),
                Some(shared) => document.pointer(shared.trim_start_matches('#')).unwrap()["name"].clone(),
            };
            assert!(parameters.iter().any(|parameter| name(parameter) == "Idempotency-Key"), "{method} {path}");
            walked += 1;
        }
    }
    assert!(walked > 12, "{walked}");
}

#[test]
fn a_full_story_is_recorded_under_the_names_of_its_operations_and_tells_no_secret() {
    let mut document = Document::default();
    tables().iter().for_each(|table| table.document(&mut document));
    let document = document.whole("test");
    let known: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|operations| operations.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    simulated(|| async {
        let world = World::new().await;
        let mut caller = Caller::default();
        caller.play(&world).await.unwrap();
        let operator = caller.token("operator");
        verify_all(&world, &operator).await;
        let customer = caller.text("customer", "/id");
        let read = |organization: String| {
            let (world, operator) = (&world, &operator);
            async move {
                let path = format!("{ENTRIES}?limit=200&organizationId={organization}");
                world.get(&path).bearer(operator).send().await.expect(200).at("/items").as_array().unwrap().clone()
            }
        };
        let of_customer = read(customer).await;
        assert_eq!(
            actions(&of_customer),
            [
                "organizations.create",
                "subscriptions.create",
                "subscriptions.create",
                "tasks.end",
                "tasks.complete",
                "tasks.end",
                "invoices.create"
            ]
        );
        let of_provider = read(caller.text("provider", "/id")).await;
        assert_eq!(
            actions(&of_provider)[..5],
            ["organizations.create", "contracts.create", "contracts.approve", "contracts.create", "contracts.approve"]
        );
        let of_operator = read(caller.text("bootstrap", "/organization/id")).await;
        let by_hub = ["bootstrap.create", "tasks.end", "contracts.activate", "acting_sessions.close"];
        for entry in of_customer.iter().chain(&of_provider).chain(&of_operator) {
            let action = entry["action"].as_str().unwrap();
            let is_known = known.contains(&action.replacen('.', "_", 1));
            assert!(is_known || by_hub.contains(&action), "{action}");
            let principal = entry["principal"].as_str().unwrap();
            assert_eq!(principal.starts_with("tok_"), is_known, "{entry}");
        }
        assert_eq!(of_operator[0]["principal"], "system");
        assert!(of_customer[3]["principal"].as_str().unwrap().starts_with("job_"));
        assert_eq!(of_customer[3]["details"]["status"], json!({ "from": "IN_PROGRESS", "to": "SUCCESS" }));
        // Nothing that was given out, or that the hub keeps to itself, can be read in it.
        let audit: String = world.dump().lines().filter(|line| line.starts_with("audit_")).collect();
        assert!(audit.len() > 5000);
        for secret in [
            caller.text("bootstrap", "/apiToken"),
            caller.text("token", "/apiToken"),
            caller.token("operator"),
            caller.token("admin"),
            tests::INTERNAL_SECRET.into(),
            tests::DATA_KEY.into(),
            web::secret::hash(&caller.text("token", "/apiToken")),
        ] {
            assert!(!audit.contains(&secret), "{secret}");
        }
        for mark in ["hubpt_", "hubat_"] {
            assert!(!audit.contains(mark), "{mark}");
        }
    });
}

#[test]
fn an_edit_tells_both_sides_who_changed_what_from_what_to_what() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = format!("/v1/organizations/{}", shop.customer);
        let edit = json!({ "displayName": "Fabrikam Europe", "tag": "eu" });
        let edited = world.patch(&path, edit).by(&shop.admin).header("if-match", "*").send().await;
        edited.expect(200);
        let me = world.get("/v1/me").by(&shop.admin).send().await;
        for organization in [&shop.customer, &shop.provider] {
            let chain = entries(&world, &shop.admin, organization, "").await;
            let entry = chain.last().unwrap();
            assert_eq!(entry["action"], "organizations.edit");
            assert_eq!(entry["organizationId"], json!(organization));
            assert_eq!(entry["actingOrganizationId"], json!(shop.provider));
            assert_eq!(entry["principal"], me.at("/principalId"));
            assert_eq!(entry["principalOrganizationId"], json!(shop.provider));
            assert_eq!(entry["actingSessionId"], Value::Null);
            assert_eq!(entry["subjectId"], json!(shop.customer));
            assert_eq!(entry["requestId"], edited.header("hub-request-id"));
            assert_eq!(entry["result"], "SUCCESS");
            assert_eq!(
                entry["details"],
                json!({ "displayName": { "from": "Fabrikam", "to": "Fabrikam Europe" }, "tag": { "to": "eu" } })
            );
        }
        // What was refused is not in it, nor is what was asked again.
        let before = world.count("SELECT COUNT(*) FROM audit_entries");
        world.patch(&path, json!({ "tag": "x" })).by(&shop.admin).header("if-match", "\"1\"").send().await.expect(412);
        for _ in 0..2 {
            world.patch(&path, json!({ "tag": "y" })).by(&shop.admin).key("one").header("if-match", "*").send().await.expect(200);
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM audit_entries"), before + 2);
    });
}

#[test]
fn a_contract_that_comes_into_force_by_itself_was_put_in_force_by_the_job() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = json!({
            "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-12-01", "currency": "USD",
            "threshold": { "minorUnits": 1, "currency": "USD" }
        });
        let contract = world.post("/v1/contracts", body).by(&shop.operator).send().await.expect(201).text("/id");
        world.post(&format!("/v1/contracts/{contract}/approve"), json!({})).by(&shop.operator).send().await.expect(200);
        let job: String = world.database().query_row("SELECT id FROM jobs", [], |row| row.get(0)).unwrap();
        world.hub.clock().advance(Duration::from_secs(10 * 24 * 3600)).await;
        world.settle().await;
        let operator = world.sign_in(&shop.operator.api_token, &shop.operator.organization).await;
        for organization in [&shop.operator.organization, &shop.provider] {
            let chain = entries(&world, &operator, organization, &format!("&subjectId={contract}")).await;
            assert_eq!(actions(&chain), ["contracts.create", "contracts.approve", "contracts.advance"]);
            let last = chain.last().unwrap();
            assert_eq!((&last["principal"], &last["actingOrganizationId"]), (&json!(job), &Value::Null));
            assert_eq!(last["details"]["status"], json!({ "from": "PENDING_EFFECTIVE_DATE", "to": "ACTIVE" }));
        }
        verify_all(&world, &operator.access_token).await;
    });
}

#[test]
fn requests_at_once_never_fork_a_chain() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = verification(&world, &shop.admin, &shop.provider).await["sequence"].as_i64().unwrap();
        let path = format!("/v1/organizations/{}", shop.customer);
        // Two chains in one request, in both orders of who acts and what is changed.
        let edits =
            (0..8).map(|n| world.patch(&path, json!({ "tag": n.to_string() })).by(&shop.admin).header("if-match", "*").send());
        let tokens = (0..8).map(|n| {
            let body = json!({ "name": n.to_string(), "organizationId": shop.provider, "roles": ["PROVIDER_BILLING_USER"] });
            world.post("/v1/api-tokens", body).by(&shop.operator).send()
        });
        let (edits, tokens) = futures::future::join(join_all(edits), join_all(tokens)).await;
        assert!(edits.iter().all(|answer| answer.status() == 200) && tokens.iter().all(|answer| answer.status() == 201));
        verify_all(&world, &shop.operator.access_token).await;
        assert_eq!(verification(&world, &shop.admin, &shop.provider).await["sequence"], json!(before + 16));
    });
}

#[test]
fn a_crash_leaves_the_change_and_its_entry_or_neither() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        fn edit<'w>(world: &'w World, shop: &Shop, tag: &str) -> tests::Call<'w> {
            let path = format!("/v1/organizations/{}", shop.customer);
            world.patch(&path, json!({ "tag": tag })).by(&shop.admin).header("if-match", "*").key(tag)
        }
        edit(&world, &shop, "warm").send().await.expect(200);
        let before = world.hub.host_calls().len();
        edit(&world, &shop, "counted").send().await.expect(200);
        let calls = world.hub.host_calls().len() - before;
        let state = |world: &World| {
            let versions = world.count(&format!("SELECT version FROM organizations WHERE id = '{}'", shop.customer));
            let sql =
                format!("SELECT COUNT(*) FROM audit_entries WHERE organization_id = '{}' AND operation = 'edit'", shop.customer);
            (versions, world.count(&sql))
        };
        for call in 1..=calls {
            for after in [false, true] {
                let fault = Fault::on(Target::Any).nth(call as u64);
                world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                let tag = format!("{call} {after}");
                assert!(edit(&world, &shop, &tag).try_send().await.is_err());
                world.restart().await;
                let (version, entries) = state(&world);
                assert_eq!(version, entries + 1, "call {call}");
                edit(&world, &shop, &tag).send().await.expect(200);
                assert_eq!(state(&world).0, state(&world).1 + 1);
            }
        }
        verify_all(&world, &shop.operator.access_token).await;
    });
}

/// A transaction that is run again, because the database was too busy for it, is told of once and as what it is.
#[test]
fn what_is_run_again_is_recorded_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = entries(&world, &shop.admin, &shop.customer, "").await;
        world.hub.faults().push(Fault::on(Target::SqlMatching("COMMIT".into())).nth(1).fail("database is locked"));
        let path = format!("/v1/organizations/{}", shop.customer);
        world.patch(&path, json!({ "tag": "x" })).by(&shop.admin).header("if-match", "*").send().await.expect(200);
        let after = entries(&world, &shop.admin, &shop.customer, "").await;
        assert_eq!(after[..before.len()], before);
        assert_eq!(actions(&after[before.len()..]), ["organizations.edit"]);
        let entry = after.last().unwrap();
        assert_eq!((&entry["subjectId"], &entry["details"]), (&json!(shop.customer), &json!({ "tag": { "to": "x" } })));
    });
}

/// What came first may be done last: its entry comes after, and is no earlier.
#[test]
fn time_never_goes_back_within_a_chain() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = format!("/v1/organizations/{}", shop.customer);
        let edit = |tag: &str| world.patch(&path, json!({ "tag": tag })).by(&shop.admin).header("if-match", "*");
        let second = Duration::from_secs(1);
        world.hub.faults().push(Fault::on(Target::SqlMatching("BEGIN".into())).nth(1).delay(5 * second));
        let later = async {
            world.hub.clock().advance(second).await;
            edit("later").send().await
        };
        let (earlier, later) = futures::future::join(edit("earlier").send(), later).await;
        assert_eq!((earlier.status(), later.status()), (200, 200));
        let chain = entries(&world, &shop.admin, &shop.customer, "&action=organizations.edit").await;
        assert_eq!(chain[0]["requestId"], later.header("hub-request-id"));
        assert_eq!(chain[1]["requestId"], earlier.header("hub-request-id"));
        assert_eq!((&chain[0]["at"], &chain[1]["at"]), (&json!("2026-11-21T12:00:01.000Z"), &json!("2026-11-21T12:00:01.000Z")));
        verify_all(&world, &shop.operator.access_token).await;
    });
}

#[test]
fn a_request_for_many_is_an_entry_for_each_that_it_changed_and_none_for_the_others() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let known = world.member(&shop.admin, &shop.customer, "a@fabrikam.example", &["CUSTOMER_USER"]).await;
        let before = entries(&world, &shop.admin, &shop.customer, "").await.len();
        let change = |people: Value, role: &str| {
            let body = json!({ "organizationId": shop.customer, "personIds": people, "addRoles": [role] });
            world.patch("/v1/members", body).by(&shop.admin).send()
        };
        let nobody = "per_01h455vb4pex5vsknk084sn02q";
        assert_eq!(change(json!([nobody]), "CUSTOMER_BILLING_USER").await.expect(207).at("/succeeded/changed"), json!([]));
        change(json!([nobody, known.id]), "CUSTOMER_BILLING_USER").await.expect(207);
        let people = json!([{ "email": "b@fabrikam.example" }, { "email": "c@fabrikam.example" }]);
        let add = json!({ "organizationId": shop.customer, "roles": ["CUSTOMER_USER"], "people": people });
        let added = world.post("/v1/members", add).by(&shop.admin).send().await;
        let told = entries(&world, &shop.admin, &shop.customer, "").await.split_off(before);
        assert_eq!(actions(&told), ["members.change_roles", "members.add", "members.add"]);
        let invited = added.expect(207).at("/succeeded/invited");
        let subjects: Vec<_> = told.iter().map(|entry| entry["subjectId"].clone()).collect();
        assert_eq!(subjects, [json!(known.id), invited[0]["id"].clone(), invited[1]["id"].clone()]);
        assert_eq!(told[0]["details"], json!({ "rolesGiven": { "to": "CUSTOMER_BILLING_USER" } }));
        assert_eq!(told[1]["requestId"], told[2]["requestId"]);
        verify_all(&world, &shop.operator.access_token).await;
    });
}

/// A customer with a chain of some length.
async fn edited(world: &World, times: usize) -> Shop {
    let shop = world.shop().await;
    for n in 0..times {
        world
            .patch(&format!("/v1/organizations/{}", shop.customer), json!({ "tag": n.to_string() }))
            .by(&shop.admin)
            .header("if-match", "*")
            .send()
            .await
            .expect(200);
    }
    shop
}

#[test]
fn whatever_is_done_to_the_rows_is_found_and_named() {
    simulated(|| async {
        let world = World::new().await;
        let shop = edited(&world, 9).await;
        let length = verification(&world, &shop.admin, &shop.customer).await["sequence"].as_i64().unwrap();
        assert_eq!(length, 10);
        let database = world.database();
        let kept = database.prepare("SELECT * FROM audit_entries").unwrap().column_count();
        database
            .execute_batch(
                "CREATE TABLE kept AS SELECT * FROM audit_entries; CREATE TABLE kept_chains AS SELECT * FROM audit_chains;",
            )
            .unwrap();
        assert_eq!(kept, 17 - 1);
        let customer = &shop.customer;
        let row = |sequence: i64| format!("organization_id = '{customer}' AND sequence = {sequence}");
        let copy = |from: i64, to: i64| {
            let columns = "at, resource, operation, subject_id, principal, principal_organization_id, acting_organization_id, acting_session_id, request_id, trace_id, result, details, previous_hash, hash";
            format!(
                "INSERT INTO audit_entries (organization_id, sequence, {columns}) SELECT organization_id, {to}, {columns} FROM audit_entries WHERE {}",
                row(from)
            )
        };
        let mut cases = vec![
            (format!("DELETE FROM audit_entries WHERE {}", row(4)), 4, "MISSING"),
            (format!("DELETE FROM audit_entries WHERE {}", row(1)), 1, "MISSING"),
            (format!("DELETE FROM audit_entries WHERE {}", row(10)), 10, "END"),
            (format!("DELETE FROM audit_entries WHERE organization_id = '{customer}'"), 1, "END"),
            (
                format!(
                    "DELETE FROM audit_entries WHERE {}; UPDATE audit_chains SET sequence = 9 WHERE organization_id = '{customer}'",
                    row(10)
                ),
                9,
                "END",
            ),
            (format!("DELETE FROM audit_chains WHERE organization_id = '{customer}'"), 1, "END"),
            (format!("UPDATE audit_chains SET hash = '{NO_HASH}' WHERE organization_id = '{customer}'"), 10, "END"),
            // One more than were written, copied from another.
            (copy(3, 11), 11, "END"),
            // Two that change places.
            (
                format!(
                    "UPDATE audit_entries SET sequence = 0 WHERE {}; UPDATE audit_entries SET sequence = 5 WHERE {}; UPDATE audit_entries SET sequence = 6 WHERE {}",
                    row(5),
                    row(6),
                    row(0)
                ),
                5,
                "CONTENT",
            ),
            // Something squeezed in, and those after it moved on.
            (
                format!(
                    "UPDATE audit_entries SET sequence = -sequence WHERE organization_id = '{customer}' AND sequence > 3; UPDATE audit_entries SET sequence = 1 - sequence WHERE organization_id = '{customer}' AND sequence < 0; {}",
                    copy(2, 4)
                ),
                4,
                "CONTENT",
            ),
        ];
        for (column, value) in [
            ("at", "at + 1"),
            ("at", "'yesterday'"),
            ("resource", "'invoices'"),
            ("operation", "'create'"),
            ("subject_id", "NULL"),
            ("principal", "'system'"),
            ("principal", "'nonsense'"),
            ("principal_organization_id", "NULL"),
            ("acting_organization_id", "NULL"),
            ("acting_session_id", "'act_01h455vb4pex5vsknk084sn02q'"),
            ("request_id", "'req_01h455vb4pex5vsknk084sn02q'"),
            ("trace_id", "''"),
            ("result", "'FAILURE'"),
            ("details", "'{}'"),
            ("details", "'nonsense'"),
            ("details", "replace(details, ':', ': ')"),
            ("previous_hash", "hash"),
            ("hash", "previous_hash"),
        ] {
            cases.push((format!("UPDATE audit_entries SET {column} = {value} WHERE {}", row(5)), 5, "CONTENT"));
        }
        for (tampering, sequence, fault) in cases {
            database.execute_batch(&tampering).unwrap_or_else(|error| panic!("{tampering}: {error}"));
            let found = verification(&world, &shop.admin, customer).await;
            assert_eq!(found["broken"], json!({ "sequence": sequence, "fault": fault }), "{tampering}");
            assert_eq!(found["nextCursor"], Value::Null);
            // Other chains are none the worse for it.
            assert_eq!(verification(&world, &shop.admin, &shop.provider).await["broken"], Value::Null);
            database
                .execute_batch("DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM kept; DELETE FROM audit_chains; INSERT INTO audit_chains SELECT * FROM kept_chains;")
                .unwrap();
        }
        assert_eq!(verification(&world, &shop.admin, customer).await["broken"], Value::Null);
    });
}

/// An entry with a hash of its own making fits nowhere but at its place, and is found by the next.
#[test]
fn who_makes_hashes_anew_is_found_by_the_entry_after_or_by_the_end() {
    simulated(|| async {
        let world = World::new().await;
        let shop = edited(&world, 5).await;
        let forge = |entry: &Value| {
            let mut entry = entry.clone();
            entry["subjectId"] = Value::Null;
            entry.as_object_mut().unwrap().remove("hash");
            let forged = hash(&entry.to_string());
            let sequence = &entry["sequence"];
            let sql = "UPDATE audit_entries SET subject_id = NULL, hash = ?1 WHERE organization_id = ?2 AND sequence = ?3";
            world.database().execute(sql, rusqlite::params![forged, shop.customer, sequence.as_i64()]).unwrap();
        };
        let chain = entries(&world, &shop.admin, &shop.customer, "").await;
        forge(chain.last().unwrap());
        assert_eq!(verification(&world, &shop.admin, &shop.customer).await["broken"], json!({ "sequence": 6, "fault": "END" }));
        forge(&chain[2]);
        assert_eq!(verification(&world, &shop.admin, &shop.customer).await["broken"], json!({ "sequence": 4, "fault": "LINK" }));
    });
}

#[test]
fn a_chain_is_verified_piece_by_piece() {
    simulated(|| async {
        let world = World::new().await;
        let shop = edited(&world, 9).await;
        let base = format!("{ENTRIES}/verification?organizationId={}&limit=3", shop.customer);
        let (mut cursor, mut hashes) = (Some(0), Vec::new());
        while let Some(from) = cursor {
            let found = world.get(&format!("{base}&cursor={from}")).by(&shop.admin).send().await.expect(200).json();
            assert_eq!(found["broken"], Value::Null, "{found}");
            hashes.push((found["sequence"].as_i64().unwrap(), found["hash"].as_str().unwrap().to_owned()));
            cursor = found["nextCursor"].as_i64();
        }
        assert_eq!(hashes.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [3, 6, 9, 10]);
        // A piece is judged by itself, and by what was verified before it.
        let tamper = |sequence: i64| {
            let sql = format!(
                "UPDATE audit_entries SET result = 'FAILURE' WHERE organization_id = '{}' AND sequence = {sequence}",
                shop.customer
            );
            world.database().execute(&sql, []).unwrap();
        };
        tamper(6);
        let piece =
            async |cursor: i64| world.get(&format!("{base}&cursor={cursor}")).by(&shop.admin).send().await.expect(200).json();
        assert_eq!(piece(0).await["broken"], Value::Null);
        assert_eq!(piece(3).await["broken"], json!({ "sequence": 6, "fault": "CONTENT" }));
        assert_eq!(piece(6).await["broken"], json!({ "sequence": 6, "fault": "CONTENT" }));
        assert_eq!(piece(7).await["broken"], Value::Null);
        // Who verified more than there is now has found that the end was cut off.
        assert_eq!(piece(11).await["broken"], json!({ "sequence": 11, "fault": "END" }));
        for wrong in ["limit=0", "limit=5001", "cursor=-1", "cursor=9007199254740992", "cursor=x", "after=1"] {
            let path = format!("{ENTRIES}/verification?{wrong}");
            world.get(&path).by(&shop.admin).send().await.expect_problem(400, "bad_query");
        }
    });
}

/// The export can be verified by whoever has a JSON library that sorts members, and SHA-256.
#[test]
fn an_export_is_whole_and_can_be_verified_by_anybody() {
    simulated(|| async {
        let world = World::new().await;
        let shop = edited(&world, 9).await;
        let mut next = Some(format!("{ENTRIES}/export?organizationId={}&limit=4", shop.customer));
        let mut lines = Vec::new();
        while let Some(path) = next {
            let answer = world.get(&path).by(&shop.admin).send().await;
            assert_eq!(answer.expect(200).header("content-type"), "application/x-ndjson");
            let text = String::from_utf8(answer.0.body().to_vec()).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
            next = answer.header("link").strip_prefix('<').map(|link| link.split('>').next().unwrap().to_owned());
        }
        assert_eq!(lines.len(), 10);
        let mut previous = NO_HASH.to_owned();
        for (index, line) in lines.iter().enumerate() {
            let mut entry = line.clone();
            let own = entry.as_object_mut().unwrap().remove("hash").unwrap();
            // `to_string` sorts the members.
            assert_eq!(hash(&entry.to_string()), own, "{line}");
            assert_eq!((&entry["previousHash"], &entry["sequence"]), (&json!(previous), &json!(index + 1)));
            previous = own.as_str().unwrap().to_owned();
        }
        assert_eq!(verification(&world, &shop.admin, &shop.customer).await["hash"], json!(previous));
        assert_eq!(lines, entries(&world, &shop.admin, &shop.customer, "").await);
        let path = format!("{ENTRIES}/export?limit=1001");
        world.get(&path).by(&shop.admin).send().await.expect_problem(400, "bad_query");
    });
}

#[test]
fn lists_are_filtered_and_paged_and_use_their_indexes() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let minute = || world.hub.clock().advance(Duration::from_secs(60));
        let mut tokens = Vec::new();
        for n in 0..4 {
            minute().await;
            let body = json!({ "name": n.to_string(), "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
            tokens.push(world.post("/v1/api-tokens", body).by(&shop.admin).send().await.expect(201).text("/id"));
        }
        minute().await;
        world.delete(&format!("/v1/api-tokens/{}", tokens[1])).by(&shop.operator).send().await.expect(204);
        let of = async |filter: &str| entries(&world, &shop.admin, &shop.customer, filter).await;
        let numbers =
            async |filter: &str| of(filter).await.iter().map(|entry| entry["sequence"].as_i64().unwrap()).collect::<Vec<_>>();
        assert_eq!(numbers("").await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(actions(&of("&action=api_tokens.revoke").await), ["api_tokens.revoke"]);
        assert_eq!(numbers("&action=api_tokens").await, [2, 3, 4, 5, 6]);
        assert_eq!(numbers("&action=api_token").await, [0; 0]);
        assert_eq!(numbers(&format!("&subjectId={}", tokens[1])).await, [3, 6]);
        let operator = of("").await[5]["principal"].as_str().unwrap().to_owned();
        assert_eq!(numbers(&format!("&principal={operator}")).await, [6]);
        assert_eq!(numbers(&format!("&principal={operator}&action=api_tokens.create")).await, [0; 0]);
        assert_eq!(numbers("&actingSessionId=act_01h455vb4pex5vsknk084sn02q").await, [0; 0]);
        // The world began at noon.
        assert_eq!(numbers("&from=2026-11-21T12:02:00Z").await, [3, 4, 5, 6]);
        assert_eq!(numbers("&from=2026-11-21T12:02:00Z&to=2026-11-21T12:04:00Z").await, [3, 4]);
        assert_eq!(numbers("&to=2026-11-21T12:01:00Z").await, [1]);
        assert_eq!(numbers("&from=2027-01-01T00:00:00Z").await, [0; 0]);
        let mut next = Some(format!("{ENTRIES}?organizationId={}&action=api_tokens&limit=2", shop.customer));
        let mut seen = Vec::new();
        while let Some(path) = next {
            let page = world.get(&path).by(&shop.admin).send().await;
            seen.extend(
                page.expect(200).at("/items").as_array().unwrap().iter().map(|entry| entry["sequence"].as_i64().unwrap()),
            );
            next = page.header("link").strip_prefix('<').map(|link| link.split('>').next().unwrap().to_owned());
        }
        assert_eq!(seen, [2, 3, 4, 5, 6]);
        for wrong in [
            "action=",
            "principal=nobody",
            "principal=org_01h455vb4pex5vsknk084sn02q",
            "from=yesterday",
            "limit=201",
            "color=red",
        ] {
            world.get(&format!("{ENTRIES}?{wrong}")).by(&shop.admin).send().await.expect_problem(400, "bad_query");
        }
        let unknown = world.get(&format!("{ENTRIES}?cursor=3")).by(&shop.admin).send().await;
        unknown.expect_problem(400, "cursor_unknown");
        // Each of the statements finds its rows by an index, in the order in which they are shown.
        let database = world.database();
        let mut looked = 0;
        for call in world
            .hub
            .host_calls()
            .into_iter()
            .filter(|call| call.kind == host::Kind::Sql && call.detail.contains("FROM audit_entries"))
        {
            let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {}", call.detail)).unwrap();
            let count = statement.parameter_count();
            let plan: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(vec![1i64; count]), |row| row.get::<_, String>(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let plan = plan.join("; ");
            assert!(
                plan.contains("SEARCH") && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
                "{}: {plan}",
                call.detail
            );
            for (filter, index) in [
                ("resource =", "_resource"),
                ("principal =", "_principal"),
                ("subject_id =", "_subject"),
                ("acting_session_id =", "_acting_session"),
            ] {
                let filters = [" resource =", " principal =", " subject_id =", " acting_session_id ="];
                let others = filters.iter().filter(|other| call.detail.contains(**other)).count();
                if call.detail.contains(filter) && others == 1 {
                    assert!(plan.contains(&format!("audit_entries{index} ")), "{}: {plan}", call.detail);
                }
            }
            looked += 1;
        }
        assert!(looked > 10, "{looked}");
    });
}

#[test]
fn an_audit_is_for_the_administrators_of_the_organization_and_of_those_above() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival_admin = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let member = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let unknown = "org_01h455vb4pex5vsknk084sn02q";
        for path in ["", "/export", "/verification"] {
            let of = |organization: &str| format!("{ENTRIES}{path}?organizationId={organization}");
            for actor in [&shop.operator, &shop.admin, &member] {
                world.get(&of(&shop.customer)).by(actor).send().await.expect(200);
            }
            for (actor, other) in [(&rival_admin, &shop.customer), (&rival_admin, &shop.provider), (&member, &shop.provider)] {
                let hidden = world.get(&of(other)).by(actor).send().await;
                hidden.expect_problem(404, "organization_not_found");
                let absent = world.get(&of(unknown)).by(actor).send().await;
                assert_eq!(hidden.text("/detail").replace(other, unknown), absent.text("/detail"));
            }
            let user = world.actor(&shop.admin, &shop.customer, "CUSTOMER_USER").await;
            world.get(&of(&shop.customer)).by(&user).send().await.expect_problem(403, "permission_missing");
        }
        // Without a name it is the organization acted in.
        let own = world.get(ENTRIES).by(&member).send().await;
        assert_eq!(own.text("/items/0/organizationId"), shop.customer);
    });
}
