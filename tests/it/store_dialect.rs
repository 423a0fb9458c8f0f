//! The SQL is in the dialect that SQLite and PostgreSQL share: a real PostgreSQL takes every migration and every statement
//! that the hub was seen to send.

use crate::main_job::Caller;
use http::Method;
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};
use store::migrations::MIGRATIONS;
use tests::{World, simulated};

/// Everything the hub says to its database, once each, while it does its main job and whatever else its routes offer.
fn statements() -> BTreeSet<String> {
    simulated(|| async {
        let world = World::new().await;
        let mut caller = Caller::default();
        caller.play(&world).await.unwrap();
        let (operator, admin) = (caller.token("operator"), caller.token("admin"));
        let mut paths: Vec<String> = [
            "organizations",
            "api-tokens",
            "contracts",
            "services",
            "subscriptions",
            "tasks",
            "usage-reports",
            "invoices",
            "jobs",
        ]
        .map(|list| format!("/v1/{list}?limit=1"))
        .into();
        for list in ["organizations", "services", "contracts", "subscriptions", "tasks", "invoices"] {
            let first = world.get(&format!("/v1/{list}?limit=1")).bearer(&operator).send().await.text("/items/0/id");
            paths.push(format!("/v1/{list}/{first}"));
            if list == "invoices" {
                paths.push(format!("/v1/{list}/{first}/lines/1/usage"));
            }
        }
        for path in paths {
            world.get(&path).bearer(&operator).send().await.expect(200);
        }
        let customer = caller.text("customer", "/id");
        let edit = json!({ "tag": "x" });
        world
            .patch(&format!("/v1/organizations/{customer}"), edit)
            .bearer(&admin)
            .header("if-match", "*")
            .send()
            .await
            .expect(200);
        world.get("/v1/me").bearer(&admin).acting_in(&customer).send().await.expect(200);
        members(&world, &operator, &caller).await;
        // A job that keeps failing, is parked and replayed.
        let order = json!({ "organizationId": customer, "serviceId": caller.text("manual", "/id"), "quantity": "1" });
        let task = world.post("/v1/subscriptions", order).bearer(&admin).send().await.text("/id");
        world.settle().await;
        let fail = json!({ "message": "no" });
        world.post(&format!("/v1/tasks/{task}/steps/PROVISION/fail"), fail).bearer(&admin).send().await.expect(200);
        world.hub.faults().push(host::Fault::on(host::Target::SqlMatching("UPDATE tasks".into())).fail("disk I/O error"));
        world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).send().await;
        world.hub.faults().clear();
        world.call(Method::POST, "/v1/jobs/job_01h455vb4pex5vsknk084sn02q/replay").bearer(&operator).send().await.expect(409);
        world.hub.clock().advance(std::time::Duration::from_secs(25 * 3600)).await;
        world.settle().await;
        let token = world.sign_in(&caller.text("bootstrap", "/apiToken"), "").await;
        let id = caller.text("token", "/id");
        world.delete(&format!("/v1/api-tokens/{id}")).by(&token).send().await.expect(204);
        let calls = world.hub.host_calls();
        calls.into_iter().filter(|call| call.kind == host::Kind::Sql).map(|call| call.detail).collect()
    })
}

/// What there is to say about members, invitations and roles in services.
async fn members(world: &World, operator: &str, caller: &Caller) {
    let (provider, customer) = (caller.text("provider", "/id"), caller.text("customer", "/id"));
    let operator = tests::Actor { access_token: operator.into(), api_token: String::new(), organization: String::new() };
    let role = json!({ "serviceId": caller.text("builtin", "/id"), "name": "x", "displayName": "X", "default": true });
    let role = world.post("/v1/service-roles", role).by(&operator).send().await.expect(201).text("/id");
    let edit = json!({ "displayName": "Y" });
    let path = format!("/v1/service-roles/{role}");
    world.patch(&path, edit).by(&operator).header("if-match", "*").send().await.expect(200);
    let admin = world.member(&operator, &provider, "a@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
    let account = world.member(&admin.actor, &provider, "b@contoso.example", &["PROVIDER_ACCOUNT_ADMINISTRATOR"]).await;
    for change in [
        json!({ "personIds": [account.id], "addBoundOrganizationIds": [customer] }),
        json!({ "personIds": [account.id], "removeBoundOrganizationIds": [customer], "addRoles": ["PROVIDER_SUPPORT_USER"] }),
        json!({ "personIds": [account.id], "removeRoles": ["PROVIDER_ACCOUNT_ADMINISTRATOR"] }),
    ] {
        assert_eq!(world.patch("/v1/members", change).by(&admin.actor).send().await.expect(207).at("/failed"), json!([]));
    }
    for change in [
        json!({ "personIds": [account.id], "addServiceRoleIds": [role] }),
        json!({ "personIds": [account.id], "removeServiceRoleIds": [role] }),
    ] {
        world.patch("/v1/members/service-roles", change).by(&admin.actor).send().await.expect(207);
    }
    let invite = json!({ "roles": ["PROVIDER_SUPPORT_USER"], "people": [{ "email": "c@contoso.example" }] });
    let invited = world.post("/v1/members", invite).by(&admin.actor).send().await.text("/succeeded/invited/0/id");
    let path = format!("/v1/member-invitations/{invited}");
    world.post(&format!("{path}/resend"), json!({})).by(&admin.actor).send().await.expect(200);
    world.delete(&path).by(&admin.actor).send().await.expect(204);
    let list = format!("/v1/service-roles?serviceId={}", caller.text("builtin", "/id"));
    for path in [&path, "/v1/members", &format!("/v1/members/{}", account.id), "/v1/member-invitations?status=EXPIRED", &list] {
        world.get(path).by(&admin.actor).send().await.expect(200);
    }
    world.get("/v1/me/service-roles").by(&admin.actor).acting_in(&customer).send().await.expect(200);
    world.delete(&format!("/v1/members/{}", account.id)).by(&admin.actor).send().await.expect(204);
    let unused = json!({ "serviceId": caller.text("builtin", "/id"), "name": "unused", "displayName": "U" });
    let unused = world.post("/v1/service-roles", unused).by(&operator).send().await.expect(201).text("/id");
    world.delete(&format!("/v1/service-roles/{unused}")).by(&operator).send().await.expect(204);
}

/// Run by `cargo xtask test postgres`, which installs and starts one and sets `PSQL` to how it is reached.
#[test]
#[ignore = "needs a PostgreSQL: cargo xtask test postgres"]
fn postgresql_takes_every_migration_and_every_statement() {
    let psql = std::env::var("PSQL").expect("PSQL says how to reach a PostgreSQL: run cargo xtask test postgres");
    // What concerns the file, the schema or the transaction itself is the connection's, and each kind has its own.
    let own = |sql: &str| ["PRAGMA", "BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| sql.trim_start().starts_with(word));
    let migrating: BTreeSet<&str> = MIGRATIONS.iter().flat_map(|migration| migration.statements()).collect();
    let mut script = String::from("CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL);\n");
    for migration in MIGRATIONS {
        script += migration.sql;
    }
    let mut count = 0;
    for statement in statements().iter().filter(|sql| !own(sql) && !sql.contains("CREATE ") && !migrating.contains(sql.trim())) {
        count += 1;
        script += &format!("PREPARE statement_{count} AS {};\n", statement.replace('?', "$"));
    }
    assert!(count > 60, "only {count} statements were seen");
    let mut words = psql.split(' ');
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--single-transaction"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql runs");
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let line = |error: &str| -> Option<String> {
        let number: usize = error.split("<stdin>:").nth(1)?.split(':').next()?.parse().ok()?;
        script.lines().nth(number - 1).map(str::to_owned)
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", line(&errors).unwrap_or_default());
    println!("PostgreSQL took {} migrations and {count} statements", MIGRATIONS.len());
}
