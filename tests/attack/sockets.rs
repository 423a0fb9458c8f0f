//! Raw sockets against the hub as a process: what a stranger without a token can do to it.

use std::io::{Read as _, Write as _};

use crate::child::HubProcess;

const DOCUMENT: &str = "GET /openapi.json HTTP/1.1\r\nhost: h\r\n\r\n";

#[test]
fn a_client_that_reads_gets_every_answer_that_it_pipelined() {
    let hub = HubProcess::start(&[]);
    let mut stream = hub.connect();
    let last = format!("GET /v1/nothing HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let requests = format!("{}{last}", DOCUMENT.repeat(20));
    let watch = hub.watch();
    let mut sender = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || sender.write_all(requests.as_bytes()));
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    sending.join().unwrap().unwrap();
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 20);
    assert_eq!(answers.matches("HTTP/1.1 404 Not Found\r\n").count(), 1);
    std::thread::sleep(std::time::Duration::from_secs(1));
    watch.check("20 pipelined documents, read");
    assert!(!hub.log().contains("tick failed"), "{}", hub.log());
    drop(hub.connect_from([127, 0, 0, 2]));
    assert!(hub.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
}
