//! The migrations: from empty, applied twice, and against the schema that is checked in.

use rusqlite::Connection;
use std::path::Path;
use store::migrations::{self, MIGRATIONS};
use tests::{World, simulated};

fn schema(database: &Connection) -> String {
    let mut statement = database
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name")
        .unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|row| row.unwrap() + ";\n").collect::<Vec<_>>().join("\n")
}

/// With `UPDATE_SCHEMA=1` this writes the file instead of comparing it.
#[test]
fn the_hub_makes_the_schema_that_is_checked_in() {
    simulated(|| async {
        let world = World::new().await;
        world.get("/health/onboarding").send().await.expect(200);
        let made = schema(&world.database());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/store/schema.sql");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&file, &made).unwrap();
        }
        let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            checked_in == made,
            "shared/store/schema.sql is out of date: run UPDATE_SCHEMA=1 cargo test -p tests schema and commit it"
        );
    });
}

#[test]
fn a_second_start_applies_nothing_and_every_component_finds_its_tables() {
    simulated(|| async {
        let mut world = World::new().await;
        world.get("/health").send().await.expect(200);
        let before = world.dump();
        assert_eq!(world.count("SELECT COUNT(*) FROM schema_migrations"), MIGRATIONS.len() as i64);
        world.restart().await;
        world.get("/health").send().await.expect(200);
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn the_first_requests_of_all_components_at_once_migrate_once() {
    simulated(|| async {
        let world = World::new().await;
        let calls = ["onboarding", "provisioning", "billing", "scheduler", "support", "discovery"]
            .map(|component| world.get(Box::leak(format!("/health/{component}").into_boxed_str())).send());
        for answer in futures::future::join_all(calls).await {
            answer.expect(200);
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM schema_migrations"), MIGRATIONS.len() as i64);
    });
}

#[test]
fn a_step_that_breaks_off_leaves_nothing_and_is_applied_by_the_next() {
    simulated(|| async {
        let mut world = World::new().await;
        world.hub.faults().push(host::Fault::on(host::Target::SqlMatching("CREATE TABLE jobs".into())).nth(1).crash_before());
        assert!(world.get("/health/onboarding").try_send().await.is_err());
        world.restart().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM sqlite_master WHERE name = 'organizations'"), 0);
        world.get("/health/onboarding").send().await.expect(200);
        assert_eq!(world.count("SELECT COUNT(*) FROM schema_migrations"), MIGRATIONS.len() as i64);
    });
}

#[test]
fn a_database_of_a_newer_hub_is_left_alone() {
    simulated(|| async {
        let mut world = World::new().await;
        world.get("/health/onboarding").send().await.expect(200);
        world.database().execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')", []).unwrap();
        world.restart().await;
        world.get("/health/onboarding").send().await.expect_problem(503, "temporarily_unavailable");
    });
}

/// A database of the steps before, with a disabled distributor in it, a contract and the job that waits for its day.
#[test]
fn organizations_and_contracts_of_before_are_what_they_were() {
    let database = Connection::open_in_memory().unwrap();
    let step =
        |number: i64| MIGRATIONS.iter().find(|step| step.name.ends_with("_organizations_contracts")).unwrap().number - number;
    let apply = |from: i64, to: i64| {
        for migration in MIGRATIONS.iter().filter(|step| (from..=to).contains(&step.number)) {
            for statement in migration.statements(&migrations::text()) {
                database.execute(statement, []).expect(statement);
            }
        }
    };
    apply(1, step(1));
    database
        .execute_batch(
            "INSERT INTO organizations (id, parent_id, path, kind, status, display_name, company_name, country, currency, version, created_at, updated_at)
             VALUES ('o', NULL, 'o.', 'OPERATOR', 'ACTIVE', 'O', 'O', 'US', 'USD', 1, 1, 1),
                    ('d', 'o', 'o.d.', 'DISTRIBUTOR', 'DISABLED', 'D', 'D', 'US', 'USD', 1, 1, 7),
                    ('p', 'd', 'o.d.p.', 'PROVIDER', 'ACTIVE', 'Contoso', 'P', 'US', 'USD', 1, 1, 1),
                    ('c', 'p', 'o.d.p.c.', 'CUSTOMER', 'DISABLED', 'C', 'C', 'US', 'USD', 1, 1, 1),
                    ('q', 'o', 'o.q.', 'PROVIDER', 'ACTIVE', 'Q', 'Q', 'US', 'USD', 1, 1, 1);
             INSERT INTO services VALUES ('s', 's', 'S', NULL, 'MSP', 'BUILTIN', 1);
             INSERT INTO contracts VALUES ('k', 'o', 'q', 's', 'PAY_GO', 'PENDING_EFFECTIVE_DATE', '2026-10-01', 'USD', NULL, 1, 1, 1);
             INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
             VALUES ('j', 'onboarding', 'contract.activate', 'q', 'k', 'READY', 1, 0, 0, 1);",
        )
        .unwrap();
    apply(step(0), step(0));
    let all = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let bound = all(
        "SELECT id || ' ' || status || ' ' || COALESCE(disabled_by, '-') || ' ' || COALESCE(disabled_at, '-') FROM organizations ORDER BY path",
    );
    assert_eq!(bound, ["o ACTIVE - -", "d DISABLED d 7", "p DISABLED d -", "c DISABLED d 1", "q ACTIVE - -"]);
    let traits = all(
        "SELECT name_key || ' ' || COALESCE(tenant_type, '-') || ' ' || COALESCE(provider_type, '-') FROM organizations ORDER BY path",
    );
    assert_eq!(traits, ["o - -", "d - -", "contoso - STANDARD", "c DEFAULT -", "q - STANDARD"]);
    assert_eq!(all("SELECT id || is_default || COALESCE(term, '-') FROM contracts"), ["k0-"]);
    assert_eq!(all("SELECT queue FROM jobs"), ["contracts"]);
}
