//! What the host looks at before it starts: the database's file, who else uses it, and who may read it.

use crate::host_support::{new_year, probe, run, sql};
use host::{Builder, NewDatabase};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn simulated(dir: &Path) -> Builder {
    probe(dir).simulated(1, new_year())
}

async fn refusal(builder: Builder) -> String {
    let error = builder.start().await.err().expect("a refusal");
    let text = format!("{error:#}");
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn the_files_are_their_owners_alone() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new/data");
        let hub = simulated(&data).start().await.unwrap();
        let steps = json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE item (id)"), { "do": "kv", "operation": "set", "key": "a", "value": "b" }]);
        run(&hub, steps).await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut seen = Vec::new();
        for entry in fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        for file in ["sqlite_db.db", "sqlite_db.db-wal", "sqlite_db.db-shm", "sqlite_key_value.db"] {
            assert!(seen.iter().any(|seen| seen == file), "{file}: {seen:?}");
        }
        assert_eq!(mode(&data), 0o700);
        assert!(!hub.logs().join("").contains("others may read"), "{:?}", hub.logs());
        hub.stop().await;

        fs::set_permissions(data.join("sqlite_db.db"), fs::Permissions::from_mode(0o644)).unwrap();
        let hub = simulated(&data).start().await.unwrap();
        assert!(hub.logs().join("").contains("(mode 644): chmod 600 it"), "{:?}", hub.logs());
    });
}

#[test]
fn of_two_hubs_on_one_folder_the_second_says_so() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let first = simulated(dir.path()).start().await.unwrap();
        let why = refusal(simulated(dir.path())).await;
        assert!(why.contains("another hub uses") && why.contains("stop it"), "{why}");
        run(&first, json!([sql("CREATE TABLE item (id)")])).await;
        first.kill();
        let third = simulated(dir.path()).start().await.unwrap();
        third.stop().await;
        drop(simulated(dir.path()).start().await.unwrap());
        simulated(dir.path()).start().await.unwrap();
    });
}

#[test]
fn two_runtime_configurations_that_share_a_database_are_noticed() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("runtime-config.toml");
        fs::write(&config, "[sqlite_database.default]\ntype = \"spin\"\npath = \"shared.db\"\n").unwrap();
        let on = |state: &str| simulated(&dir.path().join(state)).runtime_config(&config);
        let _first = on("one").start().await.unwrap();
        assert!(refusal(on("two")).await.contains("another hub uses"));
    });
}

#[test]
fn a_database_that_is_not_there_is_a_new_one_only_if_that_is_said() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let as_new = |new| simulated(dir.path()).new_database(new);
        let why = refusal(as_new(NewDatabase::Refused)).await;
        assert!(why.contains("there is no database") && why.contains("--new") && why.contains("hub restore"), "{why}");
        assert!(!dir.path().join("sqlite_db.db").exists(), "a refused start makes none");
        let hub = as_new(NewDatabase::Required).start().await.unwrap();
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE item (id)")])).await;
        hub.kill();
        let why = refusal(as_new(NewDatabase::Required)).await;
        assert!(why.contains("there is a database already") && why.contains("without --new"), "{why}");
        as_new(NewDatabase::Refused).start().await.unwrap().stop().await;

        // What a copy leaves that was cut off at once is no database either, nor is anything else.
        let file = dir.path().join("sqlite_db.db");
        let whole = fs::read(&file).unwrap();
        fs::write(&file, "").unwrap();
        assert!(refusal(as_new(NewDatabase::Refused)).await.contains("there is no database"));
        fs::write(&file, "<html>404 Not Found</html>").unwrap();
        let why = refusal(as_new(NewDatabase::Allowed)).await;
        assert!(why.contains("is not a database") && why.contains("hub restore"), "{why}");

        // A log without its database would be played into the new one.
        fs::remove_file(&file).unwrap();
        fs::write(dir.path().join("sqlite_db.db-wal"), "pages").unwrap();
        for new in [NewDatabase::Allowed, NewDatabase::Refused, NewDatabase::Required] {
            let why = refusal(as_new(new)).await;
            assert!(why.contains("sqlite_db.db-wal lies there without its database"), "{why}");
        }
        fs::remove_file(dir.path().join("sqlite_db.db-wal")).unwrap();
        fs::write(&file, whole).unwrap();
        as_new(NewDatabase::Refused).start().await.unwrap();
    });
}
