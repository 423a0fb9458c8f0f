//! The SQL is in the dialect that SQLite and PostgreSQL share: a real PostgreSQL takes every migration and every statement
//! that the hub was seen to send.

use crate::{
    federation_support::{Idp, sign_in, trust},
    main_job::Caller,
};
use http::Method;
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};
use store::migrations::MIGRATIONS;
use tests::{Actor, World, simulated};

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
        people_and_machines_come_and_go(&world, &token, &customer).await;
        let id = caller.text("token", "/id");
        world.delete(&format!("/v1/api-tokens/{id}")).by(&token).send().await.expect(204);
        let calls = world.hub.host_calls();
        calls.into_iter().filter(|call| call.kind == host::Kind::Sql).map(|call| call.detail).collect()
    })
}

/// Whatever access, sign-in and federation say.
async fn people_and_machines_come_and_go(world: &World, operator: &Actor, customer: &str) {
    let body = json!({ "name": "x", "organizationId": customer, "roles": ["CUSTOMER_USER"] });
    for list in ["api-tokens", "apps"] {
        let owner = world.actor(operator, customer, "CUSTOMER_ADMINISTRATOR").await;
        let made = world.post(&format!("/v1/{list}"), body.clone()).by(&owner).send().await;
        let path = made.expect(201).header("location").to_owned();
        world.get(&format!("/v1/{list}?limit=1")).by(operator).send().await.expect(200);
        world.post(&format!("{path}/regenerate"), json!({})).by(operator).send().await.expect(200);
        let owner_id = world.get("/v1/me").by(&owner).send().await.text("/principalId");
        world.delete(&format!("/v1/api-tokens/{owner_id}")).by(operator).send().await.expect(204);
        world.get(&path).by(operator).send().await.expect(404);
    }
    let app = world.post("/v1/apps", body).by(operator).send().await;
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", app.text("/id"), app.text("/clientSecret"));
    world.call(Method::POST, "/v1/oauth/token").body("application/x-www-form-urlencoded", form).send().await.expect(200);
    let (email, password) = ("ada@example.com", "correct horse battery staple");
    let person = world.somebody(email, &[("CUSTOMER_USER", customer)]);
    world.set_password(operator, &person, password).await;
    for _ in 0..6 {
        world.try_password(email, "wrong").await;
    }
    world.hub.clock().advance(std::time::Duration::from_secs(1)).await;
    let session = world.try_password(email, password).await;
    let session = world.post("/v1/access-tokens", json!({ "refreshToken": session.text("/refreshToken") })).send().await;
    let token = session.expect(201).text("/accessToken");
    world.post("/v1/access-tokens", json!({ "refreshToken": "hubrt_a.b" })).send().await.expect(401);
    let home = json!({ "defaultOrganizationId": customer });
    world.patch("/v1/me", home).bearer(&token).header("if-match", "*").send().await.expect(200);
    let change = json!({ "currentPassword": password, "newPassword": "another password" });
    world.call(Method::PUT, "/v1/sign-in/password").json(&change).bearer(&token).send().await.expect(204);
    world.delete("/v1/access-tokens/current").bearer(&token).send().await.expect(204);
    let idp = Idp::new(world);
    let provider = trust(world, operator, customer, json!({})).await;
    sign_in(world, &idp, &provider, json!({})).await.expect(201);
    let path = format!("/v1/identity-providers/{provider}");
    world.get("/v1/identity-providers").by(operator).send().await.expect(200);
    world.patch(&path, json!({ "name": "Y" })).by(operator).header("if-match", "*").send().await.expect(200);
    world.delete(&path).by(operator).send().await.expect(204);
}

/// Run by `cargo xtask test postgres`, which installs and starts one and sets `PSQL` to how it is reached.
#[test]
#[ignore = "needs a PostgreSQL: cargo xtask test postgres"]
fn postgresql_takes_every_migration_and_every_statement() {
    let psql = std::env::var("PSQL").expect("PSQL says how to reach a PostgreSQL: run cargo xtask test postgres");
    // What concerns the file, the schema or the transaction itself is the connection's, and each kind has its own.
    let own = |sql: &str| ["PRAGMA", "BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| sql.starts_with(word));
    // The migrations are run as they are; what they say cannot be prepared before that.
    let migrating: BTreeSet<&str> = MIGRATIONS.iter().flat_map(|migration| migration.statements()).collect();
    let mut script = String::from("CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL);\n");
    for migration in MIGRATIONS {
        script += migration.sql;
    }
    let mut count = 0;
    for statement in statements().iter().filter(|sql| !own(sql) && !migrating.contains(sql.as_str()) && !sql.contains("CREATE "))
    {
        count += 1;
        script += &format!("PREPARE statement_{count} AS {};\n", statement.replace('?', "$"));
    }
    assert!(count > 110, "only {count} statements were seen");
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
