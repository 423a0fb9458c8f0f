//! Backups of a hub that is in use, and hubs that go on from one.

use host::Builder;
use rusqlite::Connection;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tests::{Actor, World, builder, simulated, start_of_tests};

/// Every table's name and number of rows, but that of the hub itself, whose probes count.
fn rows(file: &Path) -> Vec<(String, i64)> {
    let database = Connection::open(file).unwrap();
    let mut names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| database.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
    names.iter().map(|name| (name.clone(), count(name))).collect()
}

fn later(world: &World) -> SystemTime {
    world.hub.clock().now() + Duration::from_secs(1)
}

/// Verifies the audit of every organization to its end.
async fn verified(world: &World, operator: &Actor) {
    let ids: Vec<String> = {
        let database = world.database();
        let mut ids = database.prepare("SELECT DISTINCT organization_id FROM audit_entries").unwrap();
        ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(ids.len() >= 3, "{ids:?}");
    for id in ids {
        let answer = world.get(&format!("/v1/audit-entries/verification?organizationId={id}")).by(operator).send().await;
        answer.expect(200);
        assert_eq!((answer.at("/broken"), answer.at("/nextCursor")), (json!(null), json!(null)), "{}", answer.json());
        assert!(answer.at("/sequence").as_i64() > Some(0));
    }
}

#[test]
fn a_backup_of_a_running_hub_is_a_hub() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        world.settle().await;
        let copy = world.dir().join("copy.db");
        let copied = on(world.dir(), &world).back_up(&copy).unwrap();
        let database = world.dir().join("sqlite_db.db");
        let before = rows(&database);
        assert_eq!(rows(&copy), before);
        assert_eq!(copied.rows, before.iter().map(|table| table.1 as u64).sum::<u64>());
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!world.dir().join("copy.db-wal").exists() && !world.dir().join("copy.db.part").exists());

        // It is not overwritten, and the database it is restored to is not in use.
        let error = on(world.dir(), &world).back_up(&copy).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
        let error = format!("{:#}", on(world.dir(), &world).restore(&copy).await.unwrap_err());
        assert!(error.contains("another hub uses"), "{error}");

        // What came later is gone after restoring, and kept beside.
        world.organization(&shop.admin, "CUSTOMER", "Later", None).await;
        let after = rows(&database);
        let now = later(&world);
        world.hub.kill();
        let kept = on(world.dir(), &world).restore(&copy).await.unwrap().unwrap();
        assert_eq!(rows(&kept), after);
        assert_eq!(rows(&database), before);
        world.hub = builder(world.dir(), 5, now).lifecycle(true).start().await.unwrap();
        world.get("/v1/me").by(&shop.admin).send().await.expect(200);
        verified(&world, &shop.operator).await;
        world.organization(&shop.admin, "CUSTOMER", "Again", None).await;
        assert!(!world.dir().join("sqlite_db.db.restoring").exists());

        // On another machine's empty folder, too.
        let other = tempfile::tempdir().unwrap();
        assert_eq!(on(other.path(), &world).restore(&copy).await.unwrap(), None);
        assert_eq!(rows(&other.path().join("sqlite_db.db")), before);
    });
}

/// A hub that is not started, on this folder, at the world's time.
fn on(dir: &Path, world: &World) -> Builder {
    builder(dir, 3, later(world))
}

#[test]
fn what_is_no_backup_is_not_restored_and_changes_nothing() {
    simulated(|| async {
        let world = World::new().await;
        world.shop().await;
        world.settle().await;
        let copy = world.dir().join("copy.db");
        on(world.dir(), &world).back_up(&copy).unwrap();
        world.hub.kill();
        let database = world.dir().join("sqlite_db.db");
        let before = rows(&database);
        let file = |name: &str, content: &[u8]| -> PathBuf {
            let file = world.dir().join(name);
            fs::write(&file, content).unwrap();
            file
        };
        let changed = |name: &str, sql: &str| {
            let file = file(name, &fs::read(&copy).unwrap());
            Connection::open(&file).unwrap().execute_batch(sql).unwrap();
            file
        };
        let whole = fs::read(&copy).unwrap();
        let mut torn = whole.clone();
        let middle = torn.len() / 2;
        torn[middle..middle + 8192].fill(0x5a);
        let other = world.dir().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        let cases = [
            (world.dir().join("nowhere.db"), "there is no file"),
            (file("empty.db", b""), "is an empty database"),
            (file("text.db", b"not a database at all, but long enough to look at"), "is not a database"),
            (file("torn.db", &torn), "is damaged"),
            (file("short.db", &whole[..whole.len() / 2]), "is damaged"),
            (changed("later.db", "INSERT INTO schema_migrations VALUES (9999, 'later')"), "schema step 9999"),
            (
                changed("lost.db", "PRAGMA foreign_keys = OFF; DELETE FROM organizations WHERE kind = 'PROVIDER'"),
                "refer to rows that are not there",
            ),
            (changed("half.db", "PRAGMA foreign_keys = OFF; DROP TABLE hub"), "does not start on"),
        ];
        for (backup, expected) in cases {
            let error = on(world.dir(), &world).restore(&backup).await.unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(expected) && !error.contains('\n'), "{}: {error}", backup.display());
            assert_eq!(rows(&database), before, "{}", backup.display());
            assert!(!world.dir().join("sqlite_db.db.restoring").exists());
        }
        // With another key the hub would not start on it.
        let other_key = "ff".repeat(32);
        let error = on(world.dir(), &world).variable("data_key", &other_key).restore(&copy).await.unwrap_err();
        assert!(format!("{error:#}").contains("data_key"), "{error:#}");
        assert_eq!(rows(&database), before);
    });
}

#[test]
fn an_empty_database_is_not_backed_up() {
    simulated(|| async {
        let dir = tempfile::tempdir().unwrap();
        let builder = || builder(dir.path(), 1, start_of_tests());
        let to = dir.path().join("copy.db");
        assert!(builder().back_up(&to).unwrap_err().to_string().contains("there is no database"));
        fs::write(dir.path().join("sqlite_db.db"), "").unwrap();
        assert!(format!("{:#}", builder().back_up(&to).unwrap_err()).contains("the database is empty"));
        assert!(!to.exists() && !dir.path().join("copy.db.part").exists());
    });
}

#[test]
fn a_damaged_database_is_kept_aside_as_it_is() {
    simulated(|| async {
        let world = World::new().await;
        world.shop().await;
        world.settle().await;
        let copy = world.dir().join("copy.db");
        on(world.dir(), &world).back_up(&copy).unwrap();
        let before = rows(&copy);
        world.hub.kill();
        let database = world.dir().join("sqlite_db.db");
        fs::write(&database, "rubbish").unwrap();
        fs::write(world.dir().join("sqlite_db.db-wal"), "more").unwrap();
        let kept = on(world.dir(), &world).restore(&copy).await.unwrap().unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"rubbish");
        assert_eq!(rows(&database), before);
        assert_eq!(json!(fs::read(format!("{}-wal", kept.display())).unwrap()), json!(b"more".to_vec()));
    });
}
