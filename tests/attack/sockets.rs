//! Raw sockets against the hub as a process: what a stranger without a token can do to it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::child::{HubProcess, PATIENCE};

const DOCUMENT: &str = "GET /openapi.json HTTP/1.1\r\nhost: h\r\n\r\n";
const CLOSE: &str = "connection: close\r\n";
/// For how long an attack goes on that would never end by itself.
const WHILE: Duration = Duration::from_secs(4);

/// The head of a POST with a body of this length.
fn post(length: usize) -> String {
    format!("POST /v1/access-tokens HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

/// Sends what the socket takes at once; one that the hub has closed takes nothing.
fn push(stream: &TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while sent < bytes.len() {
        match (&mut &*stream).write(&bytes[sent..]) {
            Ok(count) if count > 0 => sent += count,
            _ => break,
        }
    }
}

/// Reads the head of an answer and as much of its body as the head says.
fn read_answer(stream: &mut TcpStream) -> String {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => answer.push(byte[0]),
            _ => return String::from_utf8_lossy(&answer).into_owned(),
        }
    }
    let head = String::from_utf8_lossy(&answer).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    format!("{head}{}", String::from_utf8_lossy(&body))
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn a_client_that_reads_gets_every_answer_that_it_pipelined() {
    let hub = HubProcess::start(&[]);
    let mut stream = hub.connect();
    let last = format!("GET /v1/nothing HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n");
    let requests = format!("{}{last}", DOCUMENT.repeat(20));
    let mut sender = stream.try_clone().unwrap();
    let sending = spawn(move || sender.write_all(requests.as_bytes()));
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    sending.join().unwrap().unwrap();
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 20);
    assert_eq!(answers.matches("HTTP/1.1 404 Not Found\r\n").count(), 1);
}

#[test]
fn answers_that_nobody_reads_do_not_fill_the_memory() {
    let hub = HubProcess::start(&[]);
    for connections in [1, 400] {
        let watch = hub.watch();
        let streams: Vec<_> = (0..connections).map(|_| hub.connect()).collect();
        for stream in &streams {
            push(stream, DOCUMENT.repeat(600).as_bytes());
        }
        sleep(WHILE);
        watch.check(&format!("{connections} connections with 600 documents that nobody reads"));
    }
    assert!(hub.ask(format!("GET /openapi.json HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n")).len() > 100_000);
}

#[test]
fn answers_that_are_read_byte_by_byte_do_not_fill_the_memory() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    let mut streams: Vec<_> = (0..300).map(|_| hub.connect()).collect();
    for stream in &streams {
        push(stream, DOCUMENT.as_bytes());
    }
    let start = Instant::now();
    while start.elapsed() < WHILE {
        for stream in &mut streams {
            let _ = stream.read(&mut [0; 16]);
        }
        sleep(Duration::from_millis(50));
    }
    watch.check("300 documents that are read byte by byte");
}

#[test]
fn bodies_that_come_byte_by_byte_keep_nobody_from_a_place() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    let streams: Vec<_> = (0..400).map(|_| hub.connect()).collect();
    for stream in &streams {
        push(stream, post(1000).as_bytes());
    }
    let start = Instant::now();
    while start.elapsed() < WHILE {
        for stream in &streams {
            push(stream, b" ");
        }
        sleep(Duration::from_millis(100));
    }
    watch.check("400 bodies that come byte by byte");
    assert!(!hub.log().contains("tick failed"), "{}", hub.log());
}

#[test]
fn bodies_that_never_end_do_not_fill_the_memory() {
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, " ".repeat(60_000));
    let chunked = "POST /v1/access-tokens HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for (what, head, piece) in [("of a known length", post(1 << 20), " ".repeat(60_000)), ("in chunks", chunked, chunk)] {
        // One each: the connections of both would be more than one address may have.
        let hub = HubProcess::start(&[]);
        let watch = hub.watch();
        let streams: Vec<_> = (0..300).map(|_| hub.connect()).collect();
        for stream in &streams {
            push(stream, head.as_bytes());
        }
        let start = Instant::now();
        let mut pieces = 0;
        while start.elapsed() < WHILE {
            for stream in &streams {
                // Of 1 MiB, all but the end.
                push(stream, if pieces < 17 { piece.as_bytes() } else { b"" });
            }
            pieces += 1;
            sleep(Duration::from_millis(100));
        }
        watch.check(&format!("300 bodies {what} that never end"));
    }
}

#[test]
fn many_bodies_at_once_do_not_fill_the_memory() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    let body = format!("{{\"apiToken\":\"{}\"}}", "x".repeat((1 << 20) - 20));
    let sent: Vec<_> = (0..64)
        .map(|_| {
            let (mut stream, request) = (hub.connect(), format!("{}{body}", post(body.len())));
            spawn(move || {
                let _ = stream.write_all(request.as_bytes());
                status(&read_answer(&mut stream))
            })
        })
        .collect();
    let statuses: Vec<_> = sent.into_iter().map(|sent| sent.join().unwrap()).collect();
    assert!(statuses.iter().all(|status| matches!(status, 400..=422)), "{statuses:?}");
    sleep(WHILE);
    watch.check("64 bodies of 1 MiB at once");
}

#[test]
fn heads_that_come_byte_by_byte_and_idle_connections_keep_nobody_out() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    // From two addresses: each may have half of the 1,024 connections, and they would take all of them together.
    let streams: Vec<_> = (0..800).map(|n: u32| hub.connect_from([127, 0, 0, 2 + (n % 2) as u8])).collect();
    let start = Instant::now();
    let head: Vec<u8> = format!("GET /health HTTP/1.1\r\nhost: h\r\nx: {}", "x".repeat(1000)).into();
    let mut at = 0;
    while start.elapsed() < WHILE {
        for stream in streams.iter().skip(400) {
            push(stream, &head[at..=at]);
        }
        at += 1;
        sleep(Duration::from_millis(100));
    }
    watch.check("400 idle connections and 400 heads that come byte by byte");
}

#[test]
fn heads_as_long_as_may_be_do_not_fill_the_memory() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    let streams: Vec<_> = (0..400).map(|_| hub.connect()).collect();
    let head = format!("GET /health HTTP/1.1\r\nhost: h\r\nx: {}", "x".repeat(16_000));
    for stream in &streams {
        push(stream, head.as_bytes());
    }
    sleep(WHILE);
    watch.check("400 heads of 16 kB that never end");
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    for _ in 0..400 {
        push(&hub.connect(), DOCUMENT.as_bytes());
    }
    sleep(WHILE);
    watch.check("400 clients that go away");
}

#[test]
fn a_client_that_reads_nothing_is_left() {
    let hub = HubProcess::start(&["--write-timeout", "1"]);
    let mut stream = hub.connect();
    push(&stream, DOCUMENT.repeat(600).as_bytes());
    sleep(Duration::from_secs(3));
    stream.set_nonblocking(false).unwrap();
    let mut answers = Vec::new();
    // To the end, or to the reset.
    let _ = stream.read_to_end(&mut answers);
    assert!(answers.len() < 16 << 20, "{} bytes", answers.len());
}

#[test]
fn a_request_is_answered_before_the_next_one_comes() {
    let hub = HubProcess::start(&[]);
    let body = r#"{"apiToken":"unknown"}"#;
    let request = format!("{}{body}", post(body.len()));
    // Stray line ends behind a body and before a head (RFC 9112, 2.2), a part of the next request, and the whole of it.
    for more in ["\r\n", "\r\n\r\n\r\n", "\n", "GET /hea", "GET /health HTTP/1.1\r\n"] {
        let mut stream = hub.connect();
        stream.write_all(format!("\r\n{request}{more}").as_bytes()).unwrap();
        let start = Instant::now();
        let answer = read_answer(&mut stream);
        assert_eq!(status(&answer), 401, "{more:?}: {answer}");
        assert!(start.elapsed() < PATIENCE / 4, "{more:?}: {:?}", start.elapsed());
        let rest = ["GET /health HTTP/1.1\r\n", "host: h\r\n\r\n"].concat();
        stream.write_all(rest.strip_prefix(more).unwrap_or(&rest).as_bytes()).unwrap();
        assert_eq!(status(&read_answer(&mut stream)), 200, "{more:?}");
    }
}

#[test]
fn a_client_that_has_closed_its_side_is_answered() {
    let hub = HubProcess::start(&[]);
    let body = r#"{"apiToken":"unknown"}"#;
    let whole = format!("GET /health HTTP/1.1\r\nhost: h\r\n\r\n{}{body}", post(body.len()));
    for (sent, expected) in [
        (whole.as_str(), &[200, 401][..]),
        ("GET /health HTTP/1.1\r\nhos", &[400]),
        ("POST /v1/access-tokens HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{", &[400]),
        ("", &[]),
    ] {
        let mut stream = hub.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let statuses: Vec<u16> = answers.match_indices("HTTP/1.1 ").map(|(at, _)| status(&answers[at..])).collect();
        assert_eq!(statuses, expected, "{sent}: {answers}");
    }
}

#[test]
fn what_is_no_request_is_told_so() {
    let hub = HubProcess::start(&[]);
    let head = |more: &str| format!("GET /health HTTP/1.1\r\nhost: h\r\n{more}\r\n").into_bytes();
    let chunked = |chunks: &str| {
        format!("POST /v1/access-tokens HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n{CLOSE}\r\n{chunks}").into_bytes()
    };
    let long = |length: usize| "x".repeat(length);
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("a TLS client", [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[0; 500]].concat(), &[400]),
        ("noise", vec![0xff; 200], &[400]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), &[505]),
        ("HTTP/0.9", b"GET /health\r\n\r\n".to_vec(), &[400]),
        ("HTTP/3.0", b"GET /health HTTP/3.0\r\nhost: h\r\n\r\n".to_vec(), &[400]),
        ("a method that is none", b"G@T /health HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(), &[400]),
        ("a target that is none", b"GET ht!tp://[ HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(), &[400]),
        ("a space before the colon", head("x : y\r\n"), &[400]),
        ("a header without a colon", head("nothing\r\n"), &[400]),
        ("a folded header", head("x: y\r\n z\r\n"), &[400]),
        ("a control character", head("x: a\0b\r\n"), &[400]),
        ("no host", b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("no host, in HTTP/1.0", b"GET /health HTTP/1.0\r\n\r\n".to_vec(), &[400]),
        ("two hosts", head(&format!("host: h\r\n{CLOSE}")), &[400]),
        ("a host that is none", format!("GET /health HTTP/1.1\r\nhost: a b\r\n{CLOSE}\r\n").into_bytes(), &[400]),
        ("two authorizations", head(&format!("authorization: Bearer a\r\nauthorization: Bearer b\r\n{CLOSE}")), &[400]),
        ("two organizations", head(&format!("hub-organization: a\r\nhub-organization: a\r\n{CLOSE}")), &[400]),
        ("another host in the target", format!("GET http://a/health HTTP/1.1\r\nhost: b\r\n{CLOSE}\r\n").into_bytes(), &[400]),
        ("a component's host", format!("GET http://access.spin.internal/ HTTP/1.1\r\n{CLOSE}\r\n").into_bytes(), &[400]),
        ("a length that is none", head("content-length: abc\r\n"), &[400]),
        ("a length with a sign", head("content-length: +5\r\n"), &[400]),
        ("a length below nothing", head("content-length: -1\r\n"), &[400]),
        ("a length beyond numbers", head("content-length: 99999999999999999999\r\n"), &[400]),
        ("two lengths", head("content-length: 1\r\ncontent-length: 2\r\n"), &[400]),
        ("a coding that is none", head("transfer-encoding: gzip\r\n"), &[400]),
        ("chunks not last", head("transfer-encoding: chunked, identity\r\n"), &[400]),
        (
            "chunks in HTTP/1.0",
            b"POST /health HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            &[400],
        ),
        ("a chunk's length that is none", chunked("zz\r\n"), &[400]),
        ("a chunk's length beyond numbers", chunked("fffffffffffffffff\r\n"), &[400]),
        ("a chunk without its end", chunked("1\r\nabc\r\n0\r\n\r\n"), &[400]),
        ("chunk extensions without end", chunked(&format!("1;{}\r\na\r\n0\r\n\r\n", long(40_000))), &[400]),
        ("trailers without end", chunked(&format!("1\r\na\r\n0\r\nx: {}\r\n\r\n", long(40_000))), &[400]),
        ("a header of 20 kB", head(&format!("x: {}\r\n", long(20_000))), &[431]),
        ("a header of 300 kB", head(&format!("x: {}\r\n", long(300_000))), &[431]),
        ("200 headers", head(&"x: y\r\n".repeat(200)), &[431]),
        ("a target of 9 kB", format!("GET /{} HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n", long(9_000)).into_bytes(), &[414]),
        ("a target of 100 kB", format!("GET /{} HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n", long(100_000)).into_bytes(), &[414, 431]),
        ("a tunnel", format!("CONNECT h:80 HTTP/1.1\r\nhost: h:80\r\n{CLOSE}\r\n").into_bytes(), &[400, 404, 405]),
        ("the server as such", format!("OPTIONS * HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n").into_bytes(), &[400, 404, 405]),
        (
            "a compressed body",
            format!("{}{}", post(2).replacen("\r\n\r\n", "\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n", 1), "{}")
                .into_bytes(),
            &[415],
        ),
    ];
    for (what, bytes, expected) in cases {
        let answer = hub.ask(&bytes);
        assert!(expected.contains(&status(&answer)), "{what}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count() + answer.matches("HTTP/1.0 ").count(), 1, "{what}: {answer}");
    }
}

#[test]
fn what_is_a_request_is_answered() {
    let hub = HubProcess::start(&[]);
    for (what, bytes) in [
        ("HTTP/1.0", "GET /health HTTP/1.0\r\nhost: h\r\n\r\n".to_owned()),
        ("an absolute target", format!("GET http://h/health HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n")),
        ("line feeds alone", format!("GET /health HTTP/1.1\nhost: h\n{}\n", "connection: close\n")),
        ("an upgrade that is not made", format!("GET /health HTTP/1.1\r\nhost: h\r\nupgrade: h2c\r\n{CLOSE}\r\n")),
        ("the largest head", format!("GET /health HTTP/1.1\r\nhost: h\r\nx: {}\r\n{CLOSE}\r\n", "x".repeat(15_000))),
    ] {
        let answer = hub.ask(&bytes);
        assert_eq!(status(&answer), 200, "{what}: {answer}");
    }
    // A head says how long its answer would be, or nothing of it.
    let answer = hub.ask(format!("HEAD /openapi.json HTTP/1.1\r\nhost: h\r\n{CLOSE}\r\n"));
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\n") && !answer.contains("content-length: 0"), "{answer}");
}

#[test]
fn a_request_in_a_body_is_none() {
    let hub = HubProcess::start(&[]);
    // With two lengths, chunks count (RFC 9112, 6.3), and nothing more is taken from a connection on which that was unclear.
    for (lengths, chunks) in [
        ("content-length: 100\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"),
    ] {
        let hidden = "GET /v1/hidden HTTP/1.1\r\nhost: h\r\n\r\n";
        let answer = hub.ask(format!("POST /v1/access-tokens HTTP/1.1\r\nhost: h\r\n{lengths}\r\n{chunks}{hidden}"));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(!answer.contains("hidden"), "{answer}");
    }
}

#[test]
fn a_client_that_asks_before_it_sends_is_told() {
    let hub = HubProcess::start(&[]);
    let mut stream = hub.connect();
    let body = r#"{"apiToken":"unknown"}"#;
    stream.write_all(post(body.len()).replacen("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n", 1).as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut stream)), 100);
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut stream)), 401);
    // And is told not to.
    let mut stream = hub.connect();
    stream.write_all(post(100 << 20).replacen("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n", 1).as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut stream)), 413);
}

#[test]
fn a_client_that_is_still_sending_sees_that_it_is_too_much() {
    let hub = HubProcess::start(&[]);
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let chunked =
        "POST /v1/access-tokens HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for (what, head, piece) in [
        ("a known length", post(12 << 20), " ".repeat(1 << 20)),
        ("chunks", chunked.to_owned(), chunk),
        // 2 MiB are within the host's bound and beyond the components'.
        ("the component's bound", post(2 << 20), " ".repeat(1 << 20)),
    ] {
        let mut stream = hub.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let pieces = if what == "the component's bound" { 2 } else { 12 };
        for _ in 0..pieces {
            // A client that reads only when it has sent everything.
            stream.write_all(piece.as_bytes()).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let answer = read_answer(&mut stream);
        assert_eq!(status(&answer), 413, "{what}: {answer}");
    }
}

#[test]
fn a_body_that_takes_too_long_is_told_so() {
    let hub = HubProcess::start(&["--body-timeout", "1"]);
    let mut stream = hub.connect();
    stream.write_all(post(10).as_bytes()).unwrap();
    let start = Instant::now();
    let answer = read_answer(&mut stream);
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
}

#[test]
fn many_who_ask_for_the_health_at_once_are_answered() {
    let hub = HubProcess::start(&[]);
    let watch = hub.watch();
    let start = Instant::now();
    let askers: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = hub.connect();
            spawn(move || {
                let mut answered = 0;
                while start.elapsed() < WHILE {
                    stream.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
                    assert_eq!(status(&read_answer(&mut stream)), 200);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let answered: u32 = askers.into_iter().map(|asker| asker.join().unwrap()).sum();
    watch.check(&format!("32 clients that asked for the health {answered} times"));
}
