//! The embedded host on real sockets, and as a command.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use host::{Builder, Hub};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::host_support::{get, manifest, post, probe, sql};

/// Runs a test against a probe on a socket.
async fn served<F: Future>(
    build: impl FnOnce(Builder) -> Builder,
    test: impl FnOnce(SocketAddr, std::sync::Arc<Hub>) -> F,
) -> F::Output {
    let dir = tempfile::tempdir().unwrap();
    let hub = std::sync::Arc::new(build(probe(dir.path())).start().await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = hub.clone();
    tokio::spawn(async move { serving.serve(listener).await.unwrap() });
    test(address, hub).await
}

/// Sends bytes, closes the sending side if told to, and reads all that comes back.
async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(path: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n{more}\r\n{body}").into_bytes()
}

/// Whether an answer has as much of a body as its head says.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    head.lines().find_map(|line| line.strip_prefix("content-length: ")).is_some_and(|length| length == body.len().to_string())
}

const CLOSE: &str = "connection: close\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_and_pipelined() {
    served(
        |builder| builder,
        async |address, _| {
            let mut bytes = request("/probe/echo", "", "one");
            bytes.extend(request("/probe/echo", "", "two"));
            bytes.extend(request("/probe/echo", CLOSE, "three"));
            let answer = talk(address, &bytes).await;
            assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
            let at = |text| answer.find(text).unwrap();
            assert!(at("one") < at("two") && at("two") < at("three"), "{answer}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_does_not_wait_for_delayed_acknowledgements() {
    served(
        |builder| builder,
        async |address, hub| {
            hub.request(post("/probe/run", &json!([sql("CREATE TABLE item (id, name)")]))).await.unwrap();
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut buffer = vec![0; 4096];
            let mut took = Vec::new();
            for _ in 0..50 {
                let start = Instant::now();
                stream.write_all(&request("/probe/reads", "", "")).await.unwrap();
                let mut answer = String::new();
                while !is_whole(&answer) {
                    let count = stream.read(&mut buffer).await.unwrap();
                    assert_ne!(count, 0, "{answer}");
                    answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                }
                took.push(start.elapsed());
            }
            // 40 ms each, if it did, but for the first ones, which are acknowledged at once; a busy machine is slow now and then.
            let later = &mut took[25..];
            later.sort();
            assert!(later[5] < Duration::from_millis(35), "{later:?}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_larger_than_what_waits_outside_its_component_is_whole() {
    served(
        |builder| builder,
        async |address, _| {
            for length in [1 << 10, 100 << 10, 1 << 20, 3 << 20] {
                let answer = talk(address, &request("/probe/echo", CLOSE, &"#".repeat(length))).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{}", &answer[..200]);
                assert_eq!(answer.matches('#').count(), length);
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused() {
    served(
        |builder| builder.body_limit(1000),
        async |address, _| {
            let answer = talk(address, &request("/probe/size", CLOSE, &"x".repeat(1000))).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("1000"), "{answer}");
            // Declared: refused before a byte of it is read.
            let head = format!("POST /probe/size HTTP/1.1\r\nhost: h\r\ncontent-length: 1001\r\n{CLOSE}\r\n");
            let answer = talk(address, head.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
            assert!(answer.contains("application/problem+json") && answer.contains("1000 bytes"), "{answer}");
            // Not declared: refused when it gets there, whatever the component makes of it.
            let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500)).repeat(3);
            let head = format!("POST /probe/size HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n{CLOSE}\r\n");
            let answer = talk(address, format!("{head}{chunk}0\r\n\r\n").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_heads_get_4xx() {
    served(
        |builder| builder,
        async |address, _| {
            let large = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "x".repeat(300_000));
            let cases: [(&[u8], &str); 6] = [
                (large.as_bytes(), "HTTP/1.1 431"),
                (b"GET /probe/count HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 400"),
                (b"GET /probe/count HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", "HTTP/1.1 400"),
                (b"GET /probe/count HTTP/1.1\r\nhost: a\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 400"),
                (b"GET http://a/probe/count HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n", "HTTP/1.1 400"),
                (b"GET http://hidden.spin.internal/probe/count HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 400"),
            ];
            for (bytes, expected) in cases {
                let answer = talk(address, bytes).await;
                assert!(answer.starts_with(expected), "{expected}: {answer}");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_takes_too_long_is_ended_and_others_go_on() {
    served(
        |builder| builder.request_timeout(Duration::from_millis(1500)),
        async |address, hub| {
            let slow = json!([{ "do": "sleep", "millis": 60_000 }]).to_string();
            let start = Instant::now();
            let answer = talk(address, &request("/probe/run", CLOSE, &slow)).await;
            assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
            assert!(start.elapsed() < Duration::from_secs(30));
            assert!(hub.request(get("/probe/count")).await.unwrap().status().is_success());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_computes_forever_is_ended_and_others_go_on() {
    served(
        |builder| builder.cpu_timeout(Duration::from_secs(8)),
        async |_, hub| {
            let start = Instant::now();
            let spin = [(); 2].map(|()| async { hub.request(post("/probe/run", &json!([{ "do": "spin" }]))).await.unwrap() });
            let others = futures::future::join_all((0..20).map(async |n| {
                tokio::time::sleep(Duration::from_millis(100 + 10 * n)).await;
                let answer = hub.request(get("/probe/count")).await.unwrap();
                // While both still compute, with time to spare on a machine that has other things to do.
                answer.status().is_success() && start.elapsed() < Duration::from_millis(7000)
            }));
            let (spun, others) = tokio::join!(futures::future::join_all(spin), others);
            for answer in spun {
                assert_eq!(answer.status(), 500);
            }
            // The first ones may have joined an instance before it was seen to loop.
            let quick = others.iter().filter(|quick| **quick).count();
            assert!(quick >= 15, "two loops on two threads, and {quick} of 20 others answered");
            assert!(start.elapsed() < Duration::from_secs(40));
            assert!(hub.logs().join("\n").contains("computed for too long"));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_capacity_is_told_so() {
    served(
        |builder| builder.concurrency(2, 2),
        async |_, hub| {
            let slow = json!([{ "do": "sleep", "millis": 1000 }]);
            let all = (0..10).map(|_| hub.request(post("/probe/run", &slow)));
            let answers = futures::future::join_all(all).await;
            let statuses: Vec<u16> = answers.iter().map(|a| a.as_ref().unwrap().status().as_u16()).collect();
            assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 4, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|s| **s == 503).count(), 6, "{statuses:?}");
            let refused = answers.iter().flatten().find(|a| a.status() == 503).unwrap();
            assert_eq!(refused.headers()["retry-after"], "1");
            assert_eq!(hub.request(get("/probe/count")).await.unwrap().status(), 200);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_under_way_takes_no_place_and_the_tick_needs_none() {
    served(
        |builder| builder.concurrency(1, 0).tick("/probe/tick", "secret"),
        async |address, hub| {
            let (head, body) = ("POST /probe/size HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\n", "1234");
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("{head}{}", &body[..3]).as_bytes()).await.unwrap();
            let mut others = TcpStream::connect(address).await.unwrap();
            others.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            let mut answer = vec![0; 4096];
            let count = others.read(&mut answer).await.unwrap();
            assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
            assert_eq!(hub.request(get("/probe/count")).await.unwrap().status(), 200);
            // The one place is taken by a request that runs; the tick has its own.
            let slow = post("/probe/run", &json!([{ "do": "sleep", "millis": 1000 }]));
            let (slow, ticked, other) = tokio::join!(
                hub.request(slow),
                async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    hub.tick().await
                },
                async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    hub.request(get("/probe/count")).await.unwrap().status().as_u16()
                }
            );
            assert!(slow.unwrap().status().is_success() && ticked.is_ok());
            assert_eq!(other, 503);
            stream.write_all(&body.as_bytes()[3..]).await.unwrap();
            let count = stream.read(&mut answer).await.unwrap();
            assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
        },
    )
    .await;
}

/// The command `hub`, as cargo built it for these tests.
fn command() -> Command {
    let exe = std::env::current_exe().unwrap();
    let hub = exe.parent().unwrap().parent().unwrap().join("hub");
    assert!(hub.exists(), "build it first: cargo build -p host");
    let mut command = Command::new(hub);
    command.env_remove("SPIN_VARIABLE_SECRET").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> (Running, BufReader<ChildStdout>, SocketAddr) {
    let mut child = Running(command.spawn().unwrap());
    let mut line = String::new();
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
        let mut errors = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("{line}{errors}")
    });
    let url = ready["listening"].as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    (child, out, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_requests_finish() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    command
        .arg("--from")
        .arg(manifest())
        .args(["--new", "--listen", "127.0.0.1:0", "--variable", "secret=x", "--state-dir"])
        .arg(dir.path());
    let (mut child, mut out, address) = start(&mut command);
    let slow = json!([{ "do": "print", "text": "begun" }, { "do": "sleep", "millis": 5000 }]);
    let bytes = request("/probe/run", "", &slow.to_string());
    let under_way = tokio::spawn(async move { talk(address, &bytes).await });
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    while TcpStream::connect(address).await.is_ok() {
        assert!(!under_way.is_finished(), "new connections while the last request goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = under_way.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("slept"), "{answer}");
    let status = child.0.wait().unwrap();
    assert!(status.success(), "{status}");
    let mut errors = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "begun\n");
}

#[test]
fn the_command_says_in_one_line_what_is_wrong() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("runtime-config.toml");
    std::fs::write(&config, "[sqlite_database.default]\ntype = \"libsql\"\n").unwrap();
    let config = config.to_str().unwrap().to_owned();
    let from = manifest().to_str().unwrap().to_owned();
    let any = "127.0.0.1:0";
    let file = dir.path().join("a-file");
    std::fs::write(&file, "no database").unwrap();
    let below = file.join("below").to_str().unwrap().to_owned();
    let probe = ["--from", &from, "--listen", any, "--variable", "secret=x"];
    let cases: [(&[&str], &str); 24] = [
        (&["--nonsense"], "unknown option --nonsense"),
        (&["--from", "nowhere.toml", "--listen", any], "nowhere.toml"),
        (&["--from", &from, "--listen", &taken], "choose another address with --listen"),
        (&["--from", &from, "--listen", any], "--variable secret="),
        (&["--from", &from, "--variable", "secret"], "name=value"),
        (&["--from", &from, "--tick", "/x"], "--tick-variable"),
        (&["--request-timeout", "soon"], "number of seconds"),
        (
            &["--from", &from, "--listen", any, "--variable", "secret=x", "--runtime-config-file", &config],
            "\"libsql\" is not served",
        ),
        (&["--workers", "0"], "--workers \"0\": write at least 1 and at most 1024"),
        (&["--workers", "100000"], "at most 1024"),
        (&["--request-timeout", "0"], "--request-timeout \"0\": nothing can be done in no time"),
        (&["--cpu-timeout", "0"], "--cpu-timeout"),
        (&["--request-timeout", "-1"], "write a number of seconds from 0 to 86400"),
        (&["--drain-timeout", "1e300"], "write a number of seconds from 0 to 86400"),
        (&["--request-timeout", "NaN"], "write a number of seconds from 0 to 86400"),
        (&["--body-limit", "0"], "--body-limit \"0\": write at least 1"),
        (&["--max-instance-reuse-count", "0"], "write at least 1"),
        (&["--max-instance-concurrent-reuse-count", "0"], "write at least 1"),
        (&["serve"], "write `hub`, `hub backup FILE` or `hub restore FILE`"),
        (&["backup"], "`hub backup FILE`"),
        (&[&probe[..], &["--new", "--tick", "probe/tick", "--tick-variable", "secret"]].concat(), "starts with /"),
        (&[&probe[..], &["--new", "--state-dir", &below]].concat(), "name another with --state-dir"),
        (&[&probe[..], &["--state-dir", "nothing-here"]].concat(), "for a new hub start once with --new"),
        (&[&probe[..], &["--state-dir", "", "--accept", "anything"]].concat(), "--accept"),
    ];
    for (arguments, expected) in cases {
        let output = command().current_dir(&dir).args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn variables_come_from_the_environment_and_dotenv() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), "# a comment\nSPIN_VARIABLE_GREETING='good day'\nSPIN_VARIABLE_SECRET=lost\n")
        .unwrap();
    let file = dir.path().join("peer");
    std::fs::write(&file, "https://elsewhere").unwrap();
    let mut command = command();
    command
        .current_dir(&dir)
        .env("SPIN_VARIABLE_SECRET", "from outside")
        .arg("--from")
        .arg(manifest())
        .args(["--listen", "127.0.0.1:0", "--state-dir", "", "--variable"])
        .arg(format!("peer=@{}", file.display()));
    let (_child, _out, address) = start(&mut command);
    let steps = json!([{ "do": "variable", "name": "sentence" }]).to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(talk(address, &request("/probe/run", CLOSE, &steps)));
    assert!(answer.contains("good day, from outside!"), "{answer}");
    assert!(!dir.path().join(".spin").exists());
    assert!(!PathBuf::from(".spin").exists());
}
