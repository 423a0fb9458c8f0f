//! `spin:sqlite` in the embedded host: what bites on Spin must bite here.

use std::time::Duration;

use serde_json::{Value, json};

use crate::host_support::{json_of, post, probe, run, simulated, sql, sql_on};

/// A query with this many rows.
fn rows(count: u32) -> String {
    format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n")
}

fn error(text: &str) -> Value {
    json!({ "columns": [], "error": format!("Error::Io({text:?})") })
}

#[test]
fn errors_come_with_the_result_never_at_once() {
    simulated(async |hub, _dir| {
        let outcomes = run(
            &hub,
            json!([
                sql("this is not sql"),
                sql("CREATE TABLE t (a UNIQUE)"),
                sql("INSERT INTO t VALUES (1)"),
                sql("INSERT INTO t VALUES (1)"),
                { "do": "sql", "sql": "INSERT INTO t VALUES (?)", "parameters": [] },
                sql("SELECT a FROM t"),
            ]),
        )
        .await;
        assert_eq!(outcomes[0], error("near \"this\": syntax error in this is not sql at offset 0"));
        assert_eq!(outcomes[1], json!([]));
        assert_eq!(outcomes[3], error("UNIQUE constraint failed: t.a"));
        assert!(outcomes[4]["error"].as_str().unwrap().contains("Wrong number of parameters"), "{outcomes}");
        assert_eq!(outcomes[5], json!([[1]]));
    });
}

#[test]
fn values_go_there_and_back() {
    simulated(async |hub, _dir| {
        let step = json!({
            "do": "sql",
            "sql": "SELECT ?, ?, ?, ?, ?",
            "parameters": [null, -9_007_199_254_740_993_i64, 1.5, "grüße", [0, 255]],
        });
        let outcomes = run(&hub, json!([step])).await;
        assert_eq!(outcomes, json!([[[null, -9_007_199_254_740_993_i64, 1.5, "grüße", [0, 255]]]]));
    });
}

#[test]
fn one_statement_per_call_the_rest_is_dropped() {
    simulated(async |hub, _dir| {
        let outcomes = run(
            &hub,
            json!([
                sql("CREATE TABLE t (a)"),
                sql("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"),
                sql("INSERT INTO t VALUES (3); this is not sql"),
                sql("INSERT INTO t VALUES (';') ; -- and so on"),
                sql("/* ; */ INSERT INTO t VALUES (5);"),
                sql("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; DROP TABLE t"),
                sql("BEGIN IMMEDIATE; ROLLBACK"),
                sql("INSERT INTO t VALUES (6);;"),
                sql("COMMIT; BEGIN"),
                sql("SELECT a FROM t"),
            ]),
        )
        .await;
        assert_eq!(outcomes[9], json!([[1], [3], [";"], [5], [6]]), "{outcomes}");
    });
}

#[test]
fn four_unread_rows_are_fine_and_five_hang() {
    simulated(async |hub, _dir| {
        let start = |count| json!({ "do": "sql-start", "sql": rows(count) });
        let result = json!({ "do": "sql-result", "within": 3000 });
        let second = json!({ "do": "sql", "sql": "SELECT 1", "within": 3000 });
        let next = json!({ "do": "sql-next" });

        let outcomes = run(&hub, json!([start(4), result])).await;
        assert_eq!(outcomes[1], json!(null));
        let outcomes = run(&hub, json!([start(5), result])).await;
        assert_eq!(outcomes[1], json!("hangs"));

        let outcomes = run(&hub, json!([start(4), second])).await;
        assert_eq!(outcomes[1], json!([[1]]));
        let outcomes = run(&hub, json!([start(5), second])).await;
        assert_eq!(outcomes[1], json!("hangs"));
        // One row read leaves four.
        let outcomes = run(&hub, json!([start(5), next, second])).await;
        assert_eq!(outcomes[2], json!([[1]]));
        let outcomes = run(&hub, json!([start(6), next, second])).await;
        assert_eq!(outcomes[2], json!("hangs"));

        let outcomes = run(&hub, json!([start(1000), { "do": "sql-collect" }, second])).await;
        assert_eq!(outcomes[1], json!(1000));
        assert_eq!(outcomes[2], json!([[1]]));
    });
}

#[test]
fn dropping_a_connection_rolls_back() {
    simulated(async |hub, _dir| {
        let outcomes = run(
            &hub,
            json!([
                sql("CREATE TABLE t (a)"),
                sql_on("w", "BEGIN IMMEDIATE"),
                sql_on("w", "INSERT INTO t VALUES (1)"),
                sql_on("w", "SELECT a FROM t"),
                sql("SELECT a FROM t"),
                { "do": "close", "on": "w" },
                sql_on("v", "BEGIN IMMEDIATE"),
                sql_on("v", "INSERT INTO t VALUES (2)"),
                sql_on("v", "COMMIT"),
                sql("SELECT a FROM t"),
            ]),
        )
        .await;
        assert_eq!(outcomes[3], json!([[1]]));
        assert_eq!(outcomes[4], json!([]));
        assert_eq!(outcomes[9], json!([[2]]));
    });
}

#[test]
fn a_request_that_ends_in_a_transaction_leaves_nothing() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")])).await;
        run(&hub, json!([sql("BEGIN IMMEDIATE"), sql("INSERT INTO t VALUES (1)")])).await;
        let outcomes = run(&hub, json!([sql("SELECT a FROM t"), sql("INSERT INTO t VALUES (2)")])).await;
        assert_eq!(outcomes, json!([[], []]));
    });
}

#[test]
fn writers_wait_five_seconds_for_each_other() {
    simulated(async |hub, _dir| {
        let now = json!({ "do": "now" });
        let outcomes = run(
            &hub,
            json!([
                sql("PRAGMA journal_mode = wal"),
                sql("CREATE TABLE t (a)"),
                sql_on("w", "BEGIN IMMEDIATE"),
                now,
                sql_on("v", "BEGIN IMMEDIATE"),
                now,
                sql_on("v", "INSERT INTO t VALUES (1)"),
                now,
                sql_on("v", "SELECT count(*) FROM t"),
                now,
            ]),
        )
        .await;
        let at = |step: usize| Duration::from_nanos(outcomes[step]["monotonic"].as_u64().unwrap()).as_secs();
        assert_eq!(outcomes[4], error("database is locked"));
        assert_eq!(outcomes[6]["error"], error("database is locked")["error"]);
        assert_eq!(outcomes[8], json!([[0]]), "a reader does not wait");
        assert_eq!([at(5) - at(3), at(7) - at(5), at(9) - at(7)], [5, 5, 0]);
    });
}

#[test]
fn a_waiting_writer_goes_on_as_soon_as_it_can() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")])).await;
        let slow = json!([
            sql("BEGIN IMMEDIATE"),
            { "do": "sleep", "millis": 2000 },
            sql("INSERT INTO t VALUES ('slow')"),
            sql("COMMIT"),
        ]);
        let quick = json!([
            { "do": "sleep", "millis": 10 },
            { "do": "now" },
            sql("BEGIN IMMEDIATE"),
            { "do": "now" },
            sql("INSERT INTO t VALUES ('quick')"),
            sql("COMMIT"),
            sql("SELECT a FROM t ORDER BY rowid"),
        ]);
        let (_, quick) = tokio::join!(run(&hub, slow), run(&hub, quick));
        let millis = |step: usize| quick[step]["monotonic"].as_u64().unwrap() / 1_000_000;
        assert_eq!(quick[6], json!([["slow"], ["quick"]]));
        assert!((1985..2005).contains(&(millis(3) - millis(1))), "{quick}");
    });
}

#[test]
fn a_reader_that_wants_to_write_is_told_at_once() {
    simulated(async |hub, _dir| {
        let outcomes = run(
            &hub,
            json!([
                sql("PRAGMA journal_mode = wal"),
                sql("CREATE TABLE t (a)"),
                sql_on("r", "BEGIN"),
                sql_on("r", "SELECT count(*) FROM t"),
                sql("INSERT INTO t VALUES (1)"),
                { "do": "now" },
                sql_on("r", "INSERT INTO t VALUES (2)"),
                { "do": "now" },
                sql_on("r", "ROLLBACK"),
                sql_on("r", "INSERT INTO t VALUES (3)"),
                sql("SELECT a FROM t"),
            ]),
        )
        .await;
        assert_eq!(outcomes[6]["error"], error("database is locked")["error"]);
        assert_eq!(outcomes[5], outcomes[7], "no waiting");
        assert_eq!(outcomes[10], json!([[1], [3]]));
    });
}

#[test]
fn a_lock_of_another_process_is_waited_for() {
    simulated(async |hub, dir| {
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")])).await;
        let other = rusqlite::Connection::open(dir.path().join("sqlite_db.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let insert = json!([{ "do": "now" }, sql("INSERT INTO t VALUES (1)"), { "do": "now" }]);
        let outcomes = run(&hub, insert.clone()).await;
        assert_eq!(outcomes[1]["error"], error("database is locked")["error"]);
        let at = |step: usize| outcomes[step]["monotonic"].as_u64().unwrap() / 1_000_000;
        assert_eq!(at(2) - at(0), 5000);

        let release = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            other.execute_batch("ROLLBACK").unwrap();
        };
        let (outcomes, ()) = tokio::join!(run(&hub, insert), release);
        assert_eq!(outcomes[1], json!([]));
    });
}

#[test]
fn many_writers_lose_nothing() {
    simulated(async |hub, _dir| {
        run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")])).await;
        let writes = (0..50).map(|_| {
            run(
                &hub,
                json!([
                    sql("BEGIN IMMEDIATE"),
                    sql("INSERT INTO t SELECT count(*) FROM t"),
                    { "do": "sleep", "millis": 20 },
                    sql("COMMIT"),
                ]),
            )
        });
        for outcomes in futures::future::join_all(writes).await {
            assert_eq!(outcomes[0], json!([]), "{outcomes}");
        }
        let outcomes = run(&hub, json!([sql("SELECT count(*), count(DISTINCT a), max(a) FROM t")])).await;
        assert_eq!(outcomes, json!([[[50, 50, 49]]]));
    });
}

#[test]
fn only_what_the_manifest_names_can_be_opened() {
    simulated(async |hub, _dir| {
        let outcomes = run(&hub, json!([{ "do": "open", "database": "other" }])).await;
        assert_eq!(outcomes, json!([{ "error": "Error::AccessDenied" }]));
        let request = post("/run", &json!([{ "do": "open", "database": "default" }]));
        let answer = hub.call_component("hidden", request).await.unwrap();
        assert_eq!(json_of(&answer), json!([{ "error": "Error::AccessDenied" }]));
    });
}

#[test]
fn an_instance_holds_at_most_256_connections() {
    simulated(async |hub, _dir| {
        let outcomes = run(&hub, json!([{ "do": "open-many", "count": 257 }, { "do": "open-many", "count": 256 }])).await;
        assert_eq!(outcomes[0], json!({ "opened": 256, "error": "Error::Io(\"too many connections opened\")" }));
        assert_eq!(outcomes[1], json!({ "opened": 256 }));
    });
}

#[test]
fn nothing_set_on_a_connection_reaches_the_next_guest() {
    simulated(async |hub, _dir| {
        run(
            &hub,
            json!([
                sql("PRAGMA foreign_keys = off"),
                sql("CREATE TEMP TABLE secret (a)"),
                sql("CREATE TABLE t (a)"),
                sql("INSERT INTO t VALUES (1)"),
            ]),
        )
        .await;
        let outcomes = run(
            &hub,
            json!([
                { "do": "open" },
                { "do": "last-rowid" },
                { "do": "changes" },
                sql("PRAGMA foreign_keys"),
                sql("SELECT a FROM secret"),
                sql("ATTACH 'elsewhere.db' AS other"),
                sql("INSERT INTO t VALUES (2), (3)"),
                { "do": "last-rowid" },
                { "do": "changes" },
            ]),
        )
        .await;
        assert_eq!(outcomes[1], json!(0));
        assert_eq!(outcomes[2], json!(0));
        assert_eq!(outcomes[3], json!([[1]]));
        assert!(outcomes[4]["error"].as_str().unwrap().contains("no such table: secret"), "{outcomes}");
        assert!(outcomes[5]["error"].as_str().unwrap().contains("not authorized"), "{outcomes}");
        assert_eq!(outcomes[7], json!(3));
        assert_eq!(outcomes[8], json!(2));
    });
}

#[test]
fn sqlites_own_defaults_hold() {
    simulated(async |hub, _dir| {
        let outcomes = run(
            &hub,
            json!([
                sql("PRAGMA foreign_keys"),
                sql("PRAGMA journal_mode"),
                sql("PRAGMA synchronous"),
                sql("SELECT sqlite_version()"),
            ]),
        )
        .await;
        // But for WAL, which the host sets at every open, as `synchronous`.
        assert_eq!(outcomes, json!([[[1]], [["wal"]], [[2]], [["3.54.1"]]]));
    });
}

#[test]
fn wal_and_full_are_set_at_every_open() {
    simulated(async |hub, dir| {
        let settings = json!([sql("PRAGMA journal_mode"), sql("PRAGMA synchronous")]);
        assert_eq!(run(&hub, settings.clone()).await, json!([[["wal"]], [[2]]]));
        hub.kill();
        // As a backup leaves it that was made by VACUUM INTO.
        let other = rusqlite::Connection::open(dir.path().join("sqlite_db.db")).unwrap();
        other.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF").unwrap();
        drop(other);
        let hub = probe(dir.path()).simulated(1, crate::host_support::new_year()).start().await.unwrap();
        assert_eq!(run(&hub, settings).await, json!([[["wal"]], [[2]]]));
    });
}

#[test]
fn sqlite_is_built_with_its_own_settings() {
    simulated(async |hub, _dir| {
        let options = run(&hub, json!([sql("PRAGMA compile_options")])).await;
        let options: Vec<&str> = options[0].as_array().unwrap().iter().filter_map(|row| row[0].as_str()).collect();
        let value = |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        // The one of ours, and what would be SQLite's own where it says it.
        assert_eq!(value("DEFAULT_MEMSTATUS"), Some("0"), "{options:?}");
        for (name, own) in [
            ("STMTJRNL_SPILL", "65536"),
            ("DEFAULT_LOOKASIDE", "1200,40"),
            ("DEFAULT_PCACHE_INITSZ", "20"),
            ("DEFAULT_CACHE_SIZE", "-2000"),
            ("DEFAULT_MMAP_SIZE", "0"),
            ("DEFAULT_PAGE_SIZE", "4096"),
            ("DEFAULT_SYNCHRONOUS", "2"),
            ("DEFAULT_WAL_SYNCHRONOUS", "2"),
            ("DEFAULT_WAL_AUTOCHECKPOINT", "1000"),
            ("TEMP_STORE", "1"),
            ("THREADSAFE", "1"),
        ] {
            assert!(value(name).is_none_or(|value| value == own), "{name}: {options:?}");
        }
    });
}

/// A statement that changes many pages and may fail keeps what they were, in a journal of its own: in memory first, then in a file.
#[test]
fn a_statement_may_change_any_number_of_pages() {
    simulated(async |hub, _dir| {
        let fill = format!("INSERT INTO t SELECT i, 0, zeroblob(900) FROM ({})", rows(10_000));
        let outcomes = run(
            &hub,
            json!([
                sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER NOT NULL CHECK (b < 2), c BLOB)"),
                sql(&fill),
                sql("BEGIN IMMEDIATE"),
                sql("UPDATE t SET b = b + 1"),
                sql("UPDATE t SET b = b + CASE a WHEN 9999 THEN 1 ELSE 0 END"),
                sql("COMMIT"),
                sql("SELECT sum(b), count(*) FROM t"),
            ]),
        )
        .await;
        assert_eq!([&outcomes[1], &outcomes[3], &outcomes[5]], [&json!([]), &json!([]), &json!([])], "{outcomes}");
        assert!(outcomes[4]["error"].as_str().unwrap().contains("CHECK constraint failed"), "{outcomes}");
        assert_eq!(outcomes[6], json!([[10_000, 10_000]]));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_do_not_block_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let hub = probe(dir.path()).start().await.unwrap();
    run(&hub, json!([sql("PRAGMA journal_mode = wal"), sql("CREATE TABLE t (a)")])).await;
    let writes = (0..40).map(|_| {
        run(
            &hub,
            json!([
                sql("BEGIN IMMEDIATE"),
                sql("INSERT INTO t SELECT count(*) FROM t"),
                { "do": "sleep", "millis": 1 },
                sql("COMMIT"),
            ]),
        )
    });
    for outcomes in futures::future::join_all(writes).await {
        assert_eq!(outcomes[0], json!([]), "{outcomes}");
    }
    let outcomes = run(&hub, json!([sql("SELECT count(DISTINCT a) FROM t")])).await;
    assert_eq!(outcomes, json!([[[40]]]));
}

/// What the write-ahead log of the database here may have between writes.
const LOG: u64 = 16_000_000;

fn log_bytes(dir: &std::path::Path) -> u64 {
    std::fs::metadata(dir.join("sqlite_db.db-wal")).map_or(0, |file| file.len())
}

/// So that what runs by itself can.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Waits until the log is as small as it may be, for ten seconds at most. `meanwhile` is run again and again.
async fn until_small(dir: &std::path::Path, mut meanwhile: impl AsyncFnMut()) {
    let began = std::time::Instant::now();
    while log_bytes(dir) >= LOG {
        assert!(began.elapsed() < Duration::from_secs(10), "{} bytes after {:?}", log_bytes(dir), began.elapsed());
        meanwhile().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_below_16_mb() {
    let dir = tempfile::tempdir().unwrap();
    let hub = probe(dir.path()).start().await.unwrap();
    run(&hub, json!([sql("CREATE TABLE t (a)")])).await;
    // 100 MB, in transactions of half a megabyte by four at once.
    let insert = json!([sql("INSERT INTO t VALUES (zeroblob(500000))")]);
    let mut highest = 0;
    for _ in 0..50 {
        let four = (0..4).map(|_| run(&hub, insert.clone()));
        for outcome in futures::future::join_all(four).await {
            assert_eq!(outcome, json!([[]]));
        }
        highest = highest.max(log_bytes(dir.path()));
    }
    assert!(highest < LOG, "{highest} bytes");
    assert_eq!(run(&hub, json!([sql("SELECT count(*) FROM t")])).await, json!([[[200]]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_larger_write_ahead_log_is_cut_when_its_last_reader_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let hub = probe(dir.path()).start().await.unwrap();
    run(&hub, json!([sql("CREATE TABLE t (a)"), sql("INSERT INTO t VALUES (0)")])).await;
    // One transaction of 40 MB.
    let large = sql(
        "INSERT INTO t SELECT zeroblob(400000) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)), (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10))",
    );
    assert_eq!(run(&hub, json!([large])).await, json!([[]]));
    until_small(dir.path(), pause).await;

    for writing in [false, true] {
        // A reader, as a backup is one, that began before.
        let reader = rusqlite::Connection::open(dir.path().join("sqlite_db.db")).unwrap();
        let count = || reader.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let seen = count();
        assert_eq!(run(&hub, json!([large])).await, json!([[]]));
        // Writers go on beside it meanwhile, and it sees what it saw.
        let write = async || assert_eq!(run(&hub, json!([sql("INSERT INTO t VALUES (1)")])).await, json!([[]]));
        for _ in 0..20 {
            write().await;
        }
        assert!(log_bytes(dir.path()) > 40_000_000);
        assert_eq!(count(), seen);
        reader.execute_batch("ROLLBACK").unwrap();
        assert_eq!(count(), seen + 120);
        match writing {
            false => until_small(dir.path(), pause).await,
            // A commit begins the log anew by itself, and its file stays as large as it was.
            true => until_small(dir.path(), write).await,
        }
    }
}
