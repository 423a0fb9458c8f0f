//! Package repositories: reading an index, comparing files with it, and repositories with bad habits.

use crate::provisioning_support::again;
use bytes::Bytes;
use domain::package::PIECE;
use host::{Fault, Target};
use http::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{Actor, Answer, World, simulated};

const HOST: &str = "packages.example";
/// A URL that the hub may reach.
pub const BASE: &str = "https://packages.example/vcd";

/// What a repository does with requests for a path, beside serving it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    Hangs,
    Answers(u16),
    /// Serves the first bytes only.
    Truncates(usize),
    /// Serves whole files, whatever was asked for.
    NoRange,
    /// Answers the first so many requests with 500.
    FailsFirst(u32),
}

/// A repository in the test's hand.
#[derive(Clone, Default)]
pub struct Repository(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Bytes>,
    habits: BTreeMap<String, Habit>,
    /// Path and Range of each request.
    asked: Vec<(String, String)>,
}

impl Repository {
    /// One that the world's hub can reach.
    pub fn new(world: &World) -> Self {
        let repository = Self::default();
        let peer = repository.clone();
        world.hub.outbound(HOST, move |request| {
            let peer = peer.clone();
            async move { peer.answer(&request).await }
        });
        repository
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().trim_start_matches("/vcd/").to_owned();
        let range = request.headers().get("range").map_or("", |range| range.to_str().unwrap()).to_owned();
        let (file, habit) = {
            let mut state = self.0.lock().unwrap();
            state.asked.push((path.clone(), range.clone()));
            let habit = state.habits.get(&path).copied();
            if let Some(Habit::FailsFirst(left @ 1..)) = state.habits.get_mut(&path) {
                *left -= 1;
            }
            (state.files.get(&path).cloned(), habit)
        };
        let answer = |status: u16| Response::builder().status(status);
        match habit {
            Some(Habit::Hangs) => std::future::pending().await,
            Some(Habit::Answers(status)) => {
                return answer(status).header("location", "https://elsewhere.example/").body(Bytes::new()).unwrap();
            }
            Some(Habit::FailsFirst(1..)) => return answer(500).body(Bytes::new()).unwrap(),
            _ => {}
        }
        let Some(file) = file else { return answer(404).body(Bytes::new()).unwrap() };
        let asked = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        let (status, from, to) = match asked {
            Some((from, to)) if habit != Some(Habit::NoRange) => {
                let (from, to) = (from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap());
                if from >= file.len() {
                    return answer(416).body(Bytes::new()).unwrap();
                }
                (206, from, to.min(file.len() - 1) + 1)
            }
            _ => (200, 0, file.len()),
        };
        let mut body = file.slice(from..to);
        if let Some(Habit::Truncates(length)) = habit {
            body = body.slice(..length.min(body.len()));
        }
        let mut head = answer(status);
        if status == 206 {
            head = head.header("content-range", format!("bytes {from}-{}/{}", to - 1, file.len()));
        }
        head.body(body).unwrap()
    }

    fn habit(&self, path: &str, habit: Habit) {
        self.0.lock().unwrap().habits.insert(path.to_owned(), habit);
    }

    fn put(&self, path: &str, content: impl Into<Bytes>) {
        self.0.lock().unwrap().files.insert(path.to_owned(), content.into());
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// Puts these files there, and the index that lists them.
    pub fn fill(&self, files: &[(&str, &[u8])]) {
        let listed: Vec<Value> = files.iter().map(|(path, content)| entry(path, content)).collect();
        for (path, content) in files {
            self.put(path, content.to_vec());
        }
        self.index(&listed);
    }

    fn index(&self, files: &[Value]) {
        let index =
            json!({ "formatVersion": 1, "products": [{ "code": "VCD", "versions": [{ "version": "10.5", "files": files }] }] });
        self.put("index.json", index.to_string());
    }
}

fn entry(path: &str, content: &[u8]) -> Value {
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "path": path, "size": content.len(), "sha256": digest })
}

/// Bytes that differ from place to place.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 + place / 251) as u8).collect()
}

async fn register(world: &World, by: &Actor) -> Answer {
    world.post("/v1/package-repositories", json!({ "displayName": "Packages", "baseUrl": BASE })).by(by).send().await
}

/// Lets time pass until nothing is left to do.
async fn run_out(world: &World) {
    for _ in 0..200 {
        world.settle().await;
        if world.count("SELECT COUNT(*) FROM jobs WHERE state <> 'PARKED'") == 0 {
            return;
        }
        world.hub.clock().advance(Duration::from_secs(5)).await;
    }
    panic!("there are still jobs");
}

/// The repository, and its files by path, when nothing is left to do.
async fn report(world: &World, by: &Actor, path: &str) -> (Value, BTreeMap<String, (String, String)>) {
    run_out(world).await;
    let by = again(world, by).await;
    let found = world.get(path).by(&by).send().await.expect(200).json();
    let files = world.get(&format!("{path}/files?limit=200")).by(&by).send().await.expect(200).at("/items");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let files =
        files.as_array().unwrap().iter().map(|file| (text(&file["path"]), (text(&file["status"]), text(&file["message"]))));
    (found, files.collect())
}

/// Registers the repository, reads its index and verifies its files.
async fn verified(world: &World, operator: &Actor) -> (Value, BTreeMap<String, (String, String)>) {
    let made = register(world, operator).await;
    made.expect(201);
    let path = made.header("location").to_owned();
    run_out(world).await;
    let operator = again(world, operator).await;
    world.post(&format!("{path}/verify"), json!({})).by(&operator).send().await.expect(202);
    report(world, &operator, &path).await
}

#[test]
fn an_index_is_read_and_every_file_is_compared_with_it() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let repository = Repository::new(&world);
        let large = content(2 * PIECE as usize + 100);
        repository.fill(&[
            ("a/whole.ova", &content(1000)),
            ("a/large.ova", &large),
            ("a/empty", b""),
            ("b/gone", b"x"),
            ("b/longer", b"xx"),
            ("b/other", b"abc"),
        ]);
        repository.0.lock().unwrap().files.remove("b/gone");
        repository.put("b/longer", "xxx");
        repository.put("b/other", "abd");

        let made = register(&world, &operator).await;
        assert_eq!((made.expect(201).text("/refreshStatus"), made.at("/refreshedAt")), ("IN_PROGRESS".into(), Value::Null));
        let path = made.header("location").to_owned();
        register(&world, &operator).await.expect_problem(409, "package_repository_taken");
        let busy = world.post(&format!("{path}/verify"), json!({})).by(&operator).send().await;
        busy.expect_problem(409, "package_repository_busy");
        let (read, files) = report(&world, &operator, &path).await;
        assert_eq!((&read["refreshStatus"], &read["verificationStatus"]), (&json!("SUCCESS"), &json!("NOT_STARTED")), "{read}");
        assert_eq!(files.len(), 6);
        assert!(files.values().all(|(status, _)| status == "UNVERIFIED"));
        repository.asked();

        let asked = world.post(&format!("{path}/verify"), json!({})).by(&operator).send().await;
        assert_eq!(
            (asked.expect(202).text("/verificationStatus"), asked.header("location")),
            ("IN_PROGRESS".into(), path.as_str())
        );
        let refused = world.post(&format!("{path}/refresh"), json!({})).by(&operator).send().await;
        refused.expect_problem(409, "package_repository_busy");
        world.delete(&path).by(&operator).send().await.expect_problem(409, "package_repository_busy");
        let (read, files) = report(&world, &operator, &path).await;
        let statuses: Vec<_> = files.iter().map(|(path, (status, _))| (path.as_str(), status.as_str())).collect();
        assert_eq!(
            statuses,
            [
                ("a/empty", "VERIFIED"),
                ("a/large.ova", "VERIFIED"),
                ("a/whole.ova", "VERIFIED"),
                ("b/gone", "MISSING"),
                ("b/longer", "WRONG_SIZE"),
                ("b/other", "WRONG_HASH"),
            ],
            "{files:?}"
        );
        assert_eq!(read["verificationStatus"], "ERROR");
        assert_eq!(read["verificationMessage"], "3 of 6 files are not as the index says: 1 MISSING, 1 WRONG_HASH, 1 WRONG_SIZE.");
        // No request asks for more than a piece, and none twice.
        let mut ranges: Vec<_> =
            repository.asked().into_iter().filter(|(path, _)| path == "a/large.ova").map(|(_, range)| range).collect();
        ranges.sort();
        let piece = |from: u64, to: u64| format!("bytes={from}-{to}");
        assert_eq!(ranges, [piece(0, PIECE - 1), piece(PIECE, 2 * PIECE - 1), piece(2 * PIECE, 2 * PIECE + 99)]);

        let wrong = world.get(&format!("{path}/files?status=MISSING")).by(&operator).send().await;
        assert_eq!(wrong.expect(200).at("/items").as_array().unwrap().len(), 1);
        let none = world.get(&format!("{path}/files?productCode=VCD&version=9")).by(&operator).send().await;
        assert_eq!(none.expect(200).at("/items"), json!([]));

        // Mended, and verified again.
        repository.fill(&[("a/whole.ova", &content(1000)), ("b/other", b"abc")]);
        world.post(&format!("{path}/refresh"), json!({})).by(&operator).send().await.expect(202);
        let (_, files) = report(&world, &operator, &path).await;
        // What stays as it was stays known; what is not listed any more is gone.
        assert_eq!(files["a/whole.ova"].0, "VERIFIED");
        assert_eq!((files["b/other"].0.as_str(), files.len()), ("WRONG_HASH", 2));
        world.post(&format!("{path}/verify"), json!({})).by(&operator).send().await.expect(202);
        let (read, _) = report(&world, &operator, &path).await;
        assert_eq!((&read["verificationStatus"], &read["verificationMessage"]), (&json!("SUCCESS"), &Value::Null));

        world.delete(&path).by(&operator).send().await.expect(204);
        world.get(&path).by(&operator).send().await.expect_problem(404, "package_repository_not_found");
        assert_eq!(world.count("SELECT COUNT(*) FROM package_files"), 0);
    });
}

#[test]
fn a_repository_that_cannot_be_used_says_why() {
    for (habit, index, why) in [
        (None, "", "404"),
        (None, "<html>", "not an index"),
        (None, r#"{"formatVersion":2,"products":[]}"#, "reads 1"),
        (Some(Habit::Answers(302)), "", "leads elsewhere and is not followed"),
        (Some(Habit::Answers(403)), "", "403"),
        (Some(Habit::Answers(500)), "", "Gave up after 10 attempts. The repository answers 500"),
        (Some(Habit::Hangs), "", "Gave up after 10 attempts. The repository did not answer within 10 seconds"),
    ] {
        simulated(|| async {
            let world = World::new().await;
            let operator = world.bootstrap().await;
            let repository = Repository::new(&world);
            if !index.is_empty() {
                repository.put("index.json", index.to_owned());
            }
            if let Some(habit) = habit {
                repository.habit("index.json", habit);
            }
            let made = register(&world, &operator).await;
            let path = made.expect(201).header("location").to_owned();
            let (read, files) = report(&world, &operator, &path).await;
            assert_eq!(read["refreshStatus"], "ERROR", "{read}");
            assert!(read["refreshMessage"].as_str().unwrap().contains(why), "{why}: {read}");
            assert!(files.is_empty());
            let operator = again(&world, &operator).await;
            let unread = world.post(&format!("{path}/verify"), json!({})).by(&operator).send().await;
            unread.expect_problem(409, "package_index_unread");
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
        });
    }
}

#[test]
fn an_index_without_end_is_not_read_to_its_end() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let repository = Repository::new(&world);
        repository.put("index.json", vec![b' '; 5 * 1024 * 1024]);
        let path = register(&world, &operator).await.expect(201).header("location").to_owned();
        let (read, _) = report(&world, &operator, &path).await;
        assert_eq!(read["refreshMessage"], "index.json is longer than 4194304 bytes; split the repository.");
    });
}

#[test]
fn an_index_that_breaks_keeps_the_files_before() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let repository = Repository::new(&world);
        repository.fill(&[("a", b"a")]);
        let (read, files) = verified(&world, &operator).await;
        assert_eq!((read["verificationStatus"].as_str(), files["a"].0.as_str()), (Some("SUCCESS"), "VERIFIED"));
        repository.index(&[entry("../../etc/passwd", b"a")]);
        let path = format!("/v1/package-repositories/{}", read["id"].as_str().unwrap());
        let operator = again(&world, &operator).await;
        world.post(&format!("{path}/refresh"), json!({})).by(&operator).send().await.expect(202);
        let (read, files) = report(&world, &operator, &path).await;
        assert!(read["refreshMessage"].as_str().unwrap().contains("relative path"), "{read}");
        assert_eq!(files["a"].0, "VERIFIED");
    });
}

#[test]
fn a_file_that_cannot_be_read_is_called_that_and_the_rest_goes_on() {
    let large = content(PIECE as usize + 1);
    for (habit, path, status, why) in [
        (Habit::Answers(500), "b", "UNREADABLE", "Gave up after 4 attempts. The repository answers 500"),
        (Habit::Answers(302), "b", "UNREADABLE", "not followed"),
        (Habit::Hangs, "b", "UNREADABLE", "did not answer within 10 seconds"),
        (Habit::Truncates(2), "b", "UNREADABLE", "ended after 2 of 3 bytes"),
        (Habit::NoRange, "b", "VERIFIED", ""),
        (Habit::NoRange, "large", "WRONG_SIZE", ""),
        (Habit::FailsFirst(3), "b", "VERIFIED", ""),
    ] {
        simulated(|| async {
            let world = World::new().await;
            let operator = world.bootstrap().await;
            let repository = Repository::new(&world);
            repository.fill(&[("a", b"aaa"), ("b", b"bbb"), ("c", b"ccc"), ("large", &large)]);
            if status == "WRONG_SIZE" {
                // It has more than a piece, all of which comes though a piece was asked for.
                repository.put(path, content(PIECE as usize + 2));
            }
            repository.habit(path, habit);
            let (_, files) = verified(&world, &operator).await;
            let expected = if habit == Habit::NoRange && path == "large" { "UNREADABLE" } else { status };
            assert_eq!(files[path].0, expected, "{habit:?} {files:?}");
            assert!(files[path].1.contains(why), "{files:?}");
            let others = files.iter().filter(|(other, _)| *other != path);
            assert!(others.into_iter().all(|(_, (status, _))| status == "VERIFIED"), "{habit:?} {files:?}");
        });
    }
}

#[test]
fn a_repository_that_answers_nothing_is_given_up_early() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let repository = Repository::new(&world);
        let names: Vec<String> = (0..20).map(|number| format!("f{number:02}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        repository.fill(&files);
        names.iter().for_each(|name| repository.habit(name, Habit::Answers(503)));
        let (read, files) = verified(&world, &operator).await;
        assert_eq!(read["verificationStatus"], "ERROR");
        assert!(read["verificationMessage"].as_str().unwrap().contains("3 files in a row"), "{read}");
        assert_eq!(files.values().filter(|(status, _)| status == "UNVERIFIED").count(), 17);
    });
}

#[test]
fn a_url_that_leads_elsewhere_is_refused() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        for url in [
            "http://packages.example/vcd",
            "https://user:secret@packages.example",
            "https://packages.example/a/../b",
            "https://billing.spin.internal",
            "file:///etc/passwd",
        ] {
            let body = json!({ "displayName": "x", "baseUrl": url });
            let refused = world.post("/v1/package-repositories", body).by(&operator).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.text("/errors/0/pointer"), "/baseUrl", "{url}");
        }
        // A host that the hub was not given is not reached.
        let body = json!({ "displayName": "x", "baseUrl": "https://10.0.0.7/a" });
        let made = world.post("/v1/package-repositories", body).by(&operator).send().await;
        let (read, _) = report(&world, &operator, made.expect(201).header("location")).await;
        assert!(read["refreshMessage"].as_str().unwrap().contains("package_repository"), "{read}");
    });
}

/// The hub dies at every host call of a verification, one after the other, and the next one ends it.
#[test]
fn a_verification_goes_on_after_a_crash_where_it_was() {
    let large = content(2 * PIECE as usize + 1);
    for nth in 1.. {
        let crashed = simulated(|| async {
            let mut world = World::with_seed(nth).await;
            let operator = world.bootstrap().await;
            let repository = Repository::new(&world);
            repository.fill(&[("a", b"aaa"), ("large", &large), ("z", b"zzz")]);
            let path = register(&world, &operator).await.expect(201).header("location").to_owned();
            run_out(&world).await;
            world.post(&format!("{path}/verify"), json!({})).by(&operator).send().await.expect(202);
            repository.asked();
            world.hub.faults().push(Fault::on(Target::Any).nth(nth).crash_after());
            let tick = world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).try_send().await;
            let crashed = tick.is_err();
            // Where the tick made fewer calls, the fault must not wait for what comes after it.
            world.hub.faults().clear();
            if crashed {
                world.restart().await;
                let peer = repository.clone();
                world.hub.outbound(HOST, move |request| {
                    let peer = peer.clone();
                    async move { peer.answer(&request).await }
                });
            }
            let (read, files) = report(&world, &operator, &path).await;
            assert_eq!(read["verificationStatus"], "SUCCESS", "{nth} {read} {files:?}");
            // One piece at the most was read twice.
            let asked = repository.asked().len();
            assert!((5..=6).contains(&asked), "{nth}: {asked}");
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
            crashed
        });
        if !crashed {
            assert!(nth > 20, "only {nth} crashes");
            return;
        }
    }
}
