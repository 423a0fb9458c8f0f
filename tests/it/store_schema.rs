//! The migrations: from empty, applied twice, and against the schema that is checked in.

use rusqlite::Connection;
use std::path::Path;
use store::{jobs::JobPayload, migrations::MIGRATIONS};
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
        let world = World::empty().await;
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
        let mut world = World::empty().await;
        world.get("/health").send().await.expect(200);
        let before = world.dump();
        assert_eq!(world.count("SELECT COUNT(*) FROM schema_migrations"), MIGRATIONS.len() as i64);
        world.restart().await;
        // The check of a moment ago still stands, so each is asked itself.
        for component in world.get("/health").send().await.expect(200).at("/components").as_array().unwrap() {
            world.get(&format!("/health/{}", component.as_str().unwrap())).send().await.expect(200);
        }
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn the_first_requests_of_all_components_at_once_migrate_once() {
    simulated(|| async {
        let world = World::empty().await;
        let calls = ["onboarding", "provisioning", "billing", "scheduler", "environments", "vsphere"]
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
        let mut world = World::empty().await;
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
        let mut world = World::empty().await;
        world.get("/health/onboarding").send().await.expect(200);
        world.database().execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')", []).unwrap();
        world.restart().await;
        world.get("/health/onboarding").send().await.expect_problem(503, "temporarily_unavailable");
    });
}

/// Applies the steps of these numbers.
fn apply(database: &Connection, steps: std::ops::RangeInclusive<i64>) {
    for migration in MIGRATIONS.iter().filter(|step| steps.contains(&step.number)) {
        for statement in migration.statements() {
            database.execute(&statement, []).expect(&statement);
        }
    }
}

/// The texts of the first column.
fn texts(database: &Connection, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Jobs that were written before their payloads were JSON are read by those that run them now.
#[test]
fn open_jobs_of_before_have_payloads_that_can_be_read() {
    /// Kind, payload of before, and what reads it now.
    type Before = (&'static str, String, fn(&str) -> String);
    fn read<J: JobPayload + std::fmt::Debug>(payload: &str) -> String {
        format!("{:?}", serde_json::from_str::<J>(payload).unwrap_or_else(|error| panic!("{payload} of {}: {error}", J::KIND)))
    }
    /// Of a kind that a later step turns into another.
    fn json(payload: &str) -> String {
        serde_json::from_str::<serde_json::Value>(payload).unwrap_or_else(|error| panic!("{payload}: {error}")).to_string()
    }
    let id = |prefix: &str| format!("{prefix}_01h455vb4pex5vsknk084sn02q");
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let step = MIGRATIONS.iter().find(|step| step.name.ends_with("_house")).unwrap().number;
    apply(&database, 1..=step - 1);
    let sub = id("sub");
    let jobs: [Before; 18] = [
        ("task.advance", id("task"), read::<tasks::AdvanceTask>),
        ("certificate.note", id("env"), read::<store::certificates::NoteCertificates>),
        ("certificate.warn", id("crt"), read::<store::certificates::WarnOfCertificate>),
        ("packages.refresh", id("rep"), read::<store::package_repositories::RefreshRepository>),
        ("packages.verify", id("rep"), read::<store::package_repositories::VerifyRepository>),
        ("renewal.begin", sub.clone(), json),
        ("renewal.look", format!("{sub} 1790000000000"), read::<store::renewals::LookAtTerm>),
        ("renewal.renewed", format!("{sub} 1790000000000 12"), json),
        ("subscription.term-over", format!("{sub} 1790000000000 "), json),
        ("subscription.term-over", format!("{sub} 1790000000000 {{\"quantity\":\"2\"}}"), json),
        ("acting-session.close", id("act"), read::<store::acting_sessions::CloseActingSession>),
        ("approval.lapse", id("apv"), read::<store::approvals::LapseApproval>),
        ("approval.begin", id("apv"), read::<store::approvals::BeginApproved>),
        ("contract.activate", id("ctr"), read::<store::contracts::AdvanceContract>),
        ("contract.use", format!("{} {}", id("use"), id("use")), read::<store::contracts::AddUse>),
        ("subscription.carry-over", format!("{} {}", id("ctr"), id("ctr")), read::<store::subscriptions::CarryOver>),
        ("recovery.carry-out", id("rec"), read::<store::recoveries::CarryOut>),
        ("service_bindings.forget", id("bnd"), read::<store::service_bindings::ForgetServiceBinding>),
    ];
    for (number, (kind, payload, _)) in jobs.iter().enumerate() {
        database
            .execute(
                "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
                 VALUES (?1, 'q', ?2, 'o', ?3, 'READY', 1, 0, 0, 1)",
                (format!("{number:02}"), kind, payload),
            )
            .unwrap();
    }
    apply(&database, step..=step);
    let payloads = texts(&database, "SELECT payload FROM jobs ORDER BY id");
    let read: Vec<_> = payloads.iter().zip(&jobs).map(|(payload, (_, _, read))| read(payload)).collect();
    for (text, (_, payload, _)) in read.iter().zip(&jobs) {
        assert!(text.contains(&payload[..30]), "{text} of {payload}");
    }
    assert!(read[7].contains("1790000000000") && read[7].contains("\"months\":12"), "{}", read[7]);
    assert!(read[8].contains("\"change\":null"), "{}", read[8]);
    assert!(read[9].contains("quantity"), "{}", read[9]);
    assert_eq!(texts(&database, "SELECT kind FROM jobs WHERE kind LIKE 'contract.a%'"), ["contract.advance"]);
}

/// Open jobs and tasks of the components that environments have taken in go on in one queue.
#[test]
fn open_work_of_data_centers_deployments_and_certificates_goes_on_in_one_queue() {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let step = MIGRATIONS.iter().find(|step| step.name.ends_with("_environments") && step.number > 32).unwrap().number;
    apply(&database, 1..=step - 1);
    let all = |sql: &str| texts(&database, sql);
    database
        .execute_batch(
            "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
             VALUES ('1', 'deployments', 'task.advance', 'o', '{}', 'READY', 30, 0, 0, 1),
                    ('2', 'data-centers', 'task.advance', 'o', '{}', 'RUNNING', 20, 0, 4, 1),
                    ('3', 'certificates', 'certificate.note', 'o', '{}', 'READY', 10, 0, 0, 1),
                    ('4', 'certificates', 'certificate.warn', 'p', '{}', 'READY', 40, 0, 0, 1),
                    ('5', 'deployments', 'task.advance', 'q', '{}', 'PARKED', 1, 10, 10, 1),
                    ('6', 'billing', 'x', 'o', '{}', 'READY', 50, 0, 0, 1);
             INSERT INTO job_turns (queue, organization_id, turn)
             VALUES ('deployments', 'o', 7), ('data-centers', 'o', 7), ('certificates', 'o', 7), ('certificates', 'p', 7), ('billing', 'o', 7);
             INSERT INTO job_queues (queue, served) VALUES ('deployments', 9), ('billing', 9);",
        )
        .unwrap();
    for (id, queue) in [("a", "deployments"), ("b", "data-centers"), ("c", "provisioning")] {
        let columns = "id, queue, task_type, organization_id, status, created_at, updated_at";
        database
            .execute(&format!("INSERT INTO tasks ({columns}) VALUES (?1, ?2, 'T', 'o', 'IN_PROGRESS', 1, 1)"), (id, queue))
            .unwrap();
    }
    apply(&database, step..=step);
    assert_eq!(
        all("SELECT id || ' ' || queue || ' ' || kind || ' ' || state || ' ' || fence FROM jobs ORDER BY id"),
        [
            "1 environments task.advance READY 0",
            "2 environments task.advance RUNNING 4",
            "3 environments certificate.note READY 0",
            "4 environments certificate.warn READY 0",
            "5 environments task.advance PARKED 10",
            "6 billing x READY 0",
        ]
    );
    assert_eq!(all("SELECT id || ' ' || queue FROM tasks ORDER BY id"), ["a environments", "b environments", "c provisioning"]);
    // Each organization's turn is that of its first job.
    assert_eq!(
        all("SELECT queue || ' ' || organization_id || ' ' || (turn / 16384) FROM job_turns ORDER BY 1"),
        ["billing o 50", "environments o 10", "environments p 40"]
    );
    assert_eq!(all("SELECT queue FROM job_queues"), Vec::<String>::new());
}

/// Jobs, tasks and turns of the components that have become one go on in its queue.
#[test]
fn queues_of_the_parts_of_onboarding_and_access_are_their_wholes() {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let step = MIGRATIONS.iter().find(|step| step.name.ends_with("_onboarding_and_access")).unwrap().number;
    apply(&database, 1..=step - 1);
    let jobs = [
        ("audit", "acting-session.close", "READY", 500),
        ("members", "recovery.carry-out", "READY", 300),
        ("members", "recovery.announce", "RUNNING", 200),
        ("members", "member.first-administrator", "PARKED", 100),
        ("contracts", "contract.advance", "READY", 400),
        ("contracts", "contract.use", "PARKED", 50),
        ("billing", "invoice.draw-up", "READY", 700),
    ];
    for (number, (queue, kind, state, due_at)) in jobs.iter().enumerate() {
        database
            .execute(
                "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
                 VALUES (?1, ?2, ?3, 'o', '{}', ?4, ?5, 0, 0, 1)",
                (format!("{number:02}"), queue, kind, state, due_at),
            )
            .unwrap();
    }
    database
        .execute_batch(
            "INSERT INTO job_turns (queue, organization_id, turn)
                 SELECT queue, organization_id, MIN(due_at) * 16384 FROM jobs WHERE state <> 'PARKED' GROUP BY queue, organization_id;
             INSERT INTO job_queues (queue, served) VALUES ('members', 9), ('audit', 7), ('billing', 8);",
        )
        .unwrap();
    apply(&database, step..=step);
    let queues = texts(&database, "SELECT queue || ' ' || kind || ' ' || state || ' ' || due_at FROM jobs ORDER BY id");
    assert_eq!(
        queues,
        [
            "access acting-session.close READY 500",
            "onboarding recovery.carry-out READY 300",
            "onboarding recovery.announce RUNNING 200",
            "onboarding member.first-administrator PARKED 100",
            "onboarding contract.advance READY 400",
            "onboarding contract.use PARKED 50",
            "billing invoice.draw-up READY 700",
        ]
    );
    // An organization has one turn in a queue: that of its first job which is not parked.
    let turns = texts(&database, "SELECT queue || ' ' || organization_id || ' ' || (turn / 16384) FROM job_turns ORDER BY queue");
    assert_eq!(turns, ["access o 500", "billing o 700", "onboarding o 200"]);
    assert_eq!(texts(&database, "SELECT queue FROM job_queues"), Vec::<String>::new());
}

/// A database of the steps before, with a disabled distributor in it, a contract and the job that waits for its day.
#[test]
fn organizations_and_contracts_of_before_are_what_they_were() {
    let database = Connection::open_in_memory().unwrap();
    let step =
        |number: i64| MIGRATIONS.iter().find(|step| step.name.ends_with("_organizations_contracts")).unwrap().number - number;
    apply(&database, 1..=step(1));
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
    apply(&database, step(0)..=step(0));
    let all = |sql: &str| texts(&database, sql);
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

#[test]
fn the_step_on_consent_ends_the_secrets_that_others_saw_and_no_password() {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let step = MIGRATIONS.iter().find(|step| step.name.ends_with("_consent")).unwrap().number;
    apply(&database, 1..=step - 1);
    database
        .execute_batch(
            r#"INSERT INTO organizations (id, parent_id, path, kind, status, display_name, company_name, country, currency, version, created_at, updated_at)
             VALUES ('o', NULL, 'o.', 'OPERATOR', 'ACTIVE', 'O', 'O', 'US', 'USD', 1, 1, 1),
                    ('p', 'o', 'o.p.', 'PROVIDER', 'ACTIVE', 'P', 'P', 'US', 'USD', 1, 1, 1),
                    ('c', 'p', 'o.p.c.', 'CUSTOMER', 'ACTIVE', 'C', 'C', 'US', 'USD', 1, 1, 1);
             INSERT INTO people (id, email, display_name, status, version, created_at, updated_at) VALUES ('ada', 'ada@p.example', 'Ada', 'ACTIVE', 1, 1, 1);
             INSERT INTO passwords VALUES ('ada', 'a hash', 1);
             INSERT INTO bindings (principal_id, role, organization_id, bound_by)
             VALUES ('ada', 'PROVIDER_ADMINISTRATOR', 'p', NULL), ('tok', 'CUSTOMER_ADMINISTRATOR', 'c', NULL), ('acc', 'PROVIDER_ACCOUNT_ADMINISTRATOR', 'c', 'p');
             INSERT INTO member_invitations (id, organization_id, email, invited_by, grants, hash, status, expires_at, created_at)
             VALUES ('own', 'p', '1@x.example', 'ada', '{"roles":["PROVIDER_ADMINISTRATOR"]}', 'h1', 'PENDING', 9, 1),
                    ('above', 'c', '2@x.example', 'ada', '{"roles":["CUSTOMER_USER"]}', 'h2', 'PENDING', 9, 1),
                    ('bound', 'c', '3@x.example', 'acc', '{"roles":["CUSTOMER_USER"]}', 'h3', 'PENDING', 9, 1),
                    ('first', 'c', '4@x.example', 'tok', '{"roles":["CUSTOMER_ADMINISTRATOR"]}', 'h4', 'PENDING', 9, 1),
                    ('user', 'c', '5@x.example', 'tok', '{"roles":["CUSTOMER_USER"]}', 'h5', 'PENDING', 9, 1),
                    ('over', 'c', '6@x.example', 'ada', '{"roles":["CUSTOMER_USER"]}', 'h6', 'ACCEPTED', 9, 1);
             INSERT INTO onboarding_invitations (id, issuer_id, email, contract_id, status, hash, expires_at, created_at, updated_at)
             VALUES ('in', 'o', '7@x.example', 'k', 'PENDING', 'h7', 9, 1, 1);
             INSERT INTO identity_providers VALUES ('i', 'p', 'I', 'x', 'x', NULL, '', '', NULL, 0, NULL, 0, 0, 1, 1, 1);
             INSERT INTO sessions (hash, refresh_hash, person_id, expires_at, created_at, identity_provider_id)
             VALUES ('s1', 'r1', 'ada', 9, 1, 'i'), ('s2', 'r2', 'ada', 9, 1, NULL);
             INSERT INTO access_tokens (hash, principal_id, organization_id, expires_at, session_hash)
             VALUES ('a1', 'ada', 'p', 9, 's1'), ('a2', 'ada', 'p', 9, 's2'), ('a3', 'tok', 'c', 9, NULL);"#,
        )
        .unwrap();
    apply(&database, step..=step);
    let all = |sql: &str| texts(&database, sql);
    let good = all("SELECT id FROM member_invitations WHERE hash NOT LIKE 'ended %' ORDER BY id");
    assert_eq!(good, ["over", "own", "user"]);
    assert_eq!(all("SELECT hash FROM onboarding_invitations"), ["ended in"]);
    assert_eq!(all("SELECT hash FROM passwords"), ["a hash"]);
    assert_eq!(all("SELECT COALESCE(confirmed_at, vouched_by, 'unconfirmed') FROM people"), ["unconfirmed"]);
    assert_eq!(all("SELECT COALESCE(reach, 'all') FROM sessions ORDER BY hash"), ["o.p.", "all"]);
    assert_eq!(all("SELECT COALESCE(reach, 'all') FROM access_tokens ORDER BY hash"), ["o.p.", "all", "all"]);
}

/// Customers with an administrator decide for themselves from the step on, and what those above had issued in them is known as that.
#[test]
fn the_step_on_the_customers_word_knows_what_was_given_from_above() {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let step = MIGRATIONS.iter().find(|step| step.name.ends_with("_customers_word")).unwrap().number;
    apply(&database, 1..=step - 1);
    database
        .execute_batch(
            "INSERT INTO organizations (id, parent_id, path, kind, status, display_name, company_name, country, currency, version, created_at, updated_at)
             VALUES ('o', NULL, 'o.', 'OPERATOR', 'ACTIVE', 'O', 'O', 'US', 'USD', 1, 1, 1),
                    ('p', 'o', 'p.', 'PROVIDER', 'ACTIVE', 'P', 'P', 'US', 'USD', 1, 1, 1),
                    ('c', 'p', 'p.c.', 'CUSTOMER', 'ACTIVE', 'C', 'C', 'US', 'USD', 1, 1, 1),
                    ('d', 'p', 'p.d.', 'CUSTOMER', 'ACTIVE', 'D', 'D', 'US', 'USD', 1, 1, 1);
             INSERT INTO bindings (principal_id, role, organization_id, bound_by)
             VALUES ('per_ada', 'CUSTOMER_ADMINISTRATOR', 'c', NULL), ('per_pat', 'PROVIDER_ADMINISTRATOR', 'p', NULL),
                    ('per_acc', 'PROVIDER_ACCOUNT_ADMINISTRATOR', 'c', 'p'), ('tok_own', 'CUSTOMER_ADMINISTRATOR', 'c', NULL),
                    ('app_own', 'CUSTOMER_USER', 'c', NULL), ('tok_above', 'CUSTOMER_ADMINISTRATOR', 'c', NULL),
                    ('tok_below', 'CUSTOMER_USER', 'c', NULL), ('tok_nobodys', 'CUSTOMER_USER', 'c', NULL),
                    ('tok_other', 'CUSTOMER_ADMINISTRATOR', 'd', NULL), ('tok_pat', 'PROVIDER_ADMINISTRATOR', 'p', NULL);
             INSERT INTO api_tokens (id, organization_id, name, hash, created_at, owner_id)
             VALUES ('tok_own', 'c', 'x', '1', 1, 'per_ada'), ('tok_above', 'c', 'x', '2', 1, 'tok_pat'), ('tok_below', 'c', 'x', '3', 1, 'tok_above'),
                    ('tok_nobodys', 'c', 'x', '4', 1, NULL), ('tok_other', 'd', 'x', '5', 1, 'per_pat'), ('tok_pat', 'p', 'x', '6', 1, 'per_pat');
             INSERT INTO apps (id, organization_id, name, hash, created_at, owner_id) VALUES ('app_own', 'c', 'x', '7', 1, 'tok_own');",
        )
        .unwrap();
    apply(&database, step..=step);
    let all = |sql: &str| texts(&database, sql);
    assert_eq!(all("SELECT id FROM organizations WHERE self_administered = 1"), ["c"]);
    let given = all("SELECT principal_id FROM bindings WHERE from_above = 1 ORDER BY principal_id");
    assert_eq!(given, ["tok_above", "tok_below", "tok_nobodys", "tok_other"]);
}
