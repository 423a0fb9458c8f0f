//! The power is cut: what was answered is there, and what failed is not called undone.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use host::Hub;
use http::{Request, Response};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::host_disk::Disk;
use crate::host_support::{json_of, probe, run, sql};

/// Repeatable luck.
fn luck(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 1 == 1
    }
}

/// A database as it is after a power cut, in a folder of its own: with nothing of what was not synced, with all, or with some.
fn after_cut(disk: &Disk, seed: u64) -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let mut some = luck(seed);
    disk.cut_power(folder.path(), || match seed % 3 {
        0 => false,
        1 => true,
        _ => some(),
    });
    let database = Connection::open(folder.path().join("sqlite_db.db")).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok", "cut {seed}");
    (folder, database)
}

/// The numbers of what was answered.
type Answered = Arc<Mutex<Vec<usize>>>;

/// Has eight guests write at once, rows of which some are large so that the log is checkpointed and begun anew, and cuts the
/// power after every few answers.
async fn write_and_cut(hub: &Hub, disk: &Disk, answered: &Answered, next: &Arc<AtomicUsize>, writes: usize) {
    let until = next.load(SeqCst) + writes;
    let writer = async || {
        loop {
            let number = next.fetch_add(1, SeqCst);
            if number >= until {
                return;
            }
            let size = if number.is_multiple_of(7) { 700_000 } else { 300 };
            let insert = format!("INSERT INTO t VALUES ({number}, zeroblob({size}))");
            let outcomes = run(hub, json!([sql("BEGIN IMMEDIATE"), sql(&insert), sql("COMMIT")])).await;
            assert_eq!(outcomes, json!([[], [], []]));
            let known = {
                let mut answered = answered.lock().unwrap();
                answered.push(number);
                (answered.len().is_multiple_of(9)).then(|| answered.clone())
            };
            if let Some(known) = known {
                let (_folder, database) = after_cut(disk, number as u64);
                for number in known {
                    let there: i64 =
                        database.query_row("SELECT count(*) FROM t WHERE a = ?", [number as i64], |row| row.get(0)).unwrap();
                    assert_eq!(there, 1, "{number} was answered and is gone");
                }
            }
        }
    };
    futures::future::join_all((0..8).map(|_| writer())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_survives_a_power_cut_in_every_life_of_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::below(dir.path());
    let (answered, next) = (Answered::default(), Arc::new(AtomicUsize::new(0)));
    let hub = probe(dir.path()).start().await.unwrap();
    assert_eq!(run(&hub, json!([sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")])).await, json!([[]]));
    write_and_cut(&hub, &disk, &answered, &next, 120).await;
    // A life that ends well, one that ends at once, and one on what a power cut left.
    hub.stop().await;
    let hub = probe(dir.path()).start().await.unwrap();
    write_and_cut(&hub, &disk, &answered, &next, 120).await;
    hub.kill();
    let hub = probe(dir.path()).start().await.unwrap();
    write_and_cut(&hub, &disk, &answered, &next, 60).await;

    let (cut, database) = after_cut(&disk, 2);
    drop((hub, database));
    let disk = Disk::below(cut.path());
    let hub = probe(cut.path()).start().await.unwrap();
    write_and_cut(&hub, &disk, &answered, &next, 60).await;
    assert!(answered.lock().unwrap().len() >= 300);
}

/// The hub's own components on a folder, as the program runs them.
async fn components(dir: &Path) -> Hub {
    Hub::builder(tests::manifest())
        .data_dir(dir)
        .variable("internal_secret", tests::INTERNAL_SECRET)
        .variable("data_key", tests::DATA_KEY)
        .variable("package_repository", "https://packages.example")
        .variable("service_broker", "https://broker.example")
        .variable("vcenter_hosts", "https://*.example.com")
        .tick("/internal/tick", "internal_secret")
        .start()
        .await
        .unwrap()
}

async fn ask(hub: &Hub, path: &str, bearer: &str, key: Option<&str>, body: &Value) -> Response<Bytes> {
    let mut request =
        Request::post(path).header("content-type", "application/json").header("authorization", format!("Bearer {bearer}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    hub.request(request.body(body.to_string().into()).unwrap()).await.unwrap()
}

/// The operator's access token on a new hub.
async fn operator(hub: &Hub) -> String {
    let boot = ask(hub, "/internal/bootstrap", tests::INTERNAL_SECRET, None, &json!({ "displayName": "Operator" })).await;
    let exchange = json!({ "apiToken": json_of(&boot)["apiToken"] });
    let signed = hub
        .request(
            Request::post("/v1/access-tokens")
                .header("content-type", "application/json")
                .body(exchange.to_string().into())
                .unwrap(),
        )
        .await
        .unwrap();
    json_of(&signed)["accessToken"].as_str().unwrap().to_owned()
}

fn provider(name: &str) -> Value {
    json!({ "kind": "PROVIDER", "displayName": name, "companyName": name, "country": "US", "currency": "USD" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_that_were_answered_survive_a_power_cut_and_the_hub_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::below(dir.path());
    let hub = components(dir.path()).await;
    let token = operator(&hub).await;
    let mut made = Vec::new();
    for number in 0..12 {
        let four = (0..4).map(|one| {
            let name = format!("Provider {number}-{one}");
            let (hub, token) = (&hub, &token);
            async move { ask(hub, "/v1/organizations", token, (one == 0).then_some(&*name), &provider(&name)).await }
        });
        for answer in futures::future::join_all(four).await {
            assert_eq!(answer.status(), 201);
            made.push(json_of(&answer)["id"].as_str().unwrap().to_owned());
        }
        let (_folder, database) = after_cut(&disk, number);
        for id in &made {
            let there: i64 =
                database.query_row("SELECT count(*) FROM organizations WHERE id = ?", [id], |row| row.get(0)).unwrap();
            assert_eq!(there, 1, "{id} was answered and is gone");
        }
    }
    let (cut, database) = after_cut(&disk, 0);
    drop((hub, database));
    let hub = components(cut.path()).await;
    for id in &made {
        let request = Request::get(format!("/v1/organizations/{id}")).header("authorization", format!("Bearer {token}"));
        assert_eq!(hub.request(request.body(Bytes::new()).unwrap()).await.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_sync_failed_is_not_called_undone_and_is_sent_again_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::below(dir.path());
    let hub = components(dir.path()).await;
    let token = operator(&hub).await;
    // Every component that answers has looked at the schema by then, and no job is under way.
    assert_eq!(ask(&hub, "/v1/organizations", &token, None, &provider("First")).await.status(), 201);
    disk.fail_syncs(1);
    let before = disk.syncs();
    let failed = ask(&hub, "/v1/organizations", &token, Some("key"), &provider("Second")).await;
    assert!(disk.syncs() > before);
    let problem = json_of(&failed);
    assert_eq!((failed.status().as_u16(), &problem["code"]), (503, &json!("outcome_unknown")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("may have been done") && detail.contains("same key") && !detail.contains("nothing"), "{detail}");
    // The next ones do what they say, without a restart.
    assert_eq!(ask(&hub, "/v1/organizations", &token, None, &provider("Third")).await.status(), 201);
    assert_eq!(ask(&hub, "/v1/organizations", &token, Some("key"), &provider("Second")).await.status(), 201);
    assert_eq!(ask(&hub, "/v1/organizations", &token, Some("key"), &provider("Second")).await.status(), 201);
    let (_folder, database) = after_cut(&disk, 0);
    let names: String = database
        .query_row(
            "SELECT group_concat(display_name, ' ') FROM (SELECT display_name FROM organizations WHERE kind = 'PROVIDER' ORDER BY display_name)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(names, "First Second Third");
}
