//! Requests to peers as they are on the wire: a real hub, real sockets.

use crate::provisioning_service_brokers_support::catalog;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Sender, channel},
};
use tests::World;

/// Serves one request as Python's `http.server` does: reads the head, as many bytes as Content-Length says, and no more;
/// answers and closes. Tells of the head before it answers, so that those who have the answer can count on it.
fn serve(mut stream: TcpStream, heads: &Sender<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
    // The test may be over.
    let _ = heads.send(head.clone());
    let (status, body) = match head.split(' ').next().unwrap() {
        "get" => ("200 OK", catalog(&["small"])),
        "put" => ("201 Created", json!({})),
        _ => ("200 OK", json!({})),
    };
    let body = body.to_string();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .unwrap();
}

fn listen(listener: TcpListener, heads: Sender<String>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), &heads);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_content_are_not_sent_in_chunks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heads, seen) = channel();
    listen(listener, heads);
    let world = World::in_real_time(&url).await;
    let shop = world.shop().await;
    let body = json!({ "displayName": "Broker", "baseUrl": url, "username": "hub", "password": "secret-of-the-hub" });
    let broker = world.post("/v1/service-brokers", body).by(&shop.operator).send().await;
    let import = format!("{}/import", broker.expect(201).header("location"));
    let imported = world.post(&import, json!({ "status": "PUBLISHED", "productFamily": "ISV" })).by(&shop.operator).send().await;
    let service = imported.expect(200).text("/services/0/serviceId");
    world.contract(&shop.operator, &shop.provider, &service).await;
    let ask = async |path: &str, body: Value| {
        let call = world.post(path, body).by(&shop.admin).header("if-match", "*").header("prefer", "wait=20");
        let (asked, ()) = futures::join!(call.send(), world.settle());
        assert_eq!(asked.expect(200).text("/status"), "SUCCESS", "{asked:?}");
        asked
    };
    // Twice, for a request goes wrong by what the one before it left on its connection.
    for _ in 0..2 {
        let body = json!({
            "organizationId": shop.customer, "serviceId": service, "planCode": "small", "quantity": "1", "properties": { "size": 3 }
        });
        let subscription = ask("/v1/subscriptions", body).await.text("/subscriptionId");
        ask(&format!("/v1/subscriptions/{subscription}/terminate"), json!({})).await;
    }
    let heads: Vec<String> = seen.try_iter().collect();
    let count = |method: &str| heads.iter().filter(|head| head.starts_with(method)).count();
    assert!(count("get ") >= 1 && count("put ") == 2 && count("delete ") == 2, "{heads:?}");
    for head in heads {
        assert!(!head.contains("transfer-encoding"), "{head}");
        assert_eq!(head.contains("\r\ncontent-length: "), !head.starts_with("get "), "{head}");
    }
}
