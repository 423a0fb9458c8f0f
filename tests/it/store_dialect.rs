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
        for (component, environment) in [("a", "one"), ("b", "two")] {
            let vc = crate::data_centers_support::component(component, "BUILTIN");
            let sent = world.post("/v1/data-centers", vc).bearer(&operator).header("prefer", "wait=5").send().await;
            let vc = sent.expect(200).text("/dataCenterId");
            let body = crate::environments_support::environment(environment, &vc, &["x"]);
            for action in ["VALIDATE", "DEPLOY&dryRun=true", "DEPLOY"] {
                let path = format!("/v1/environments?action={action}");
                world.post(&path, body.clone()).bearer(&operator).send().await;
            }
            world.settle().await;
            for (method, path) in [
                ("POST", format!("/v1/data-centers/{vc}/validate")),
                ("POST", format!("/v1/data-centers/{vc}/discover")),
                ("PATCH", format!("/v1/data-centers/{vc}")),
                ("POST", format!("/v1/data-centers/{vc}/inventory")),
            ] {
                let call = world.call(method.parse().unwrap(), &path).json(&json!({})).bearer(&operator).header("if-match", "*");
                assert!(call.send().await.status() < 300, "{method} {path}");
            }
        }
        world.settle().await;
        let query = format!("organizationId={}", caller.text("bootstrap", "/organization/id"));
        for list in ["environments", "data-centers", "plans", "tasks?type=UPGRADE", "data-centers?componentType=NSXT"] {
            world.get(&format!("/v1/{list}")).bearer(&operator).send().await.expect(200);
        }
        for list in ["environments", "data-centers"] {
            world.get(&format!("/v1/{list}?{query}")).bearer(&operator).send().await.expect(200);
        }
        let environment = world.get("/v1/environments").bearer(&operator).send().await;
        let gone = format!("/v1/environments/{}", environment.text("/items/0/id"));
        let plans =
            world.get(&format!("/v1/plans?environmentId={}", environment.text("/items/0/id"))).bearer(&operator).send().await;
        world.get(&format!("/v1/plans/{}", plans.text("/items/0/id"))).bearer(&operator).send().await.expect(200);
        let asked = world.delete(&gone).bearer(&operator).header("if-match", "*").send().await.expect(202).text("/id");
        world.get(&format!("/v1/tasks/{asked}/request")).bearer(&operator).send().await.expect(200);
        world.post(&format!("/v1/tasks/{asked}/cancel"), json!({})).bearer(&operator).send().await.expect(202);
        world.settle().await;
        world.post(&format!("/v1/tasks/{asked}/restart"), json!({})).bearer(&operator).send().await.expect(202);
        world.settle().await;
        let vc = environment.text("/items/0/products/0/dataCenterId");
        world.delete(&format!("/v1/data-centers/{vc}")).bearer(&operator).send().await.expect(202);
        world.settle().await;
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

/// Run by `cargo xtask test postgres`, which installs and starts one and sets `PSQL` to how it is reached.
#[test]
#[ignore = "needs a PostgreSQL: cargo xtask test postgres"]
fn postgresql_takes_every_migration_and_every_statement() {
    let psql = std::env::var("PSQL").expect("PSQL says how to reach a PostgreSQL: run cargo xtask test postgres");
    // What concerns the file, the schema or the transaction itself is the connection's, and each kind has its own.
    let own =
        |sql: &str| ["PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "CREATE"].iter().any(|word| sql.trim_start().starts_with(word));
    let mut script = String::from("CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL);\n");
    for migration in MIGRATIONS {
        script += migration.sql;
    }
    // The steps were taken whole; what one of them made for itself only is no more.
    let migrating: BTreeSet<&str> = MIGRATIONS.iter().flat_map(|migration| migration.statements()).collect();
    let mut count = 0;
    for statement in statements().iter().filter(|sql| !own(sql) && !migrating.contains(sql.as_str()) && !sql.contains("CREATE "))
    {
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

#[test]
fn many_statements_are_seen() {
    assert!(statements().len() > 100);
}
