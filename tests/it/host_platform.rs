//! What a component gets from the embedded host beside SQL: routes, variables, stores, peers, time and chance.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::host_support::{get, json_of, new_year, post, probe, run, simulated};

fn header(head: &Value, name: &str) -> Vec<String> {
    let all = head["headers"].as_array().unwrap().iter();
    all.filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_component_learns_how_it_was_reached() {
    simulated(async |hub, _dir| {
        let request = Request::builder()
            .uri("/named/Ann/a/head?x=1")
            .header("host", "hub.example")
            .header("spin-full-url", "http://lies/")
            .header("spin-client-addr", "6.6.6.6:6")
            .header("x-two", "1")
            .header("x-two", "2")
            .body(Bytes::new())
            .unwrap();
        let head = json_of(&hub.request(request).await.unwrap());
        assert_eq!(head["uri"], "http://hub.example/named/Ann/a/head?x=1");
        let expected = [
            ("spin-full-url", "http://hub.example/named/Ann/a/head?x=1"),
            ("spin-path-info", "/a/head"),
            ("spin-matched-route", "/named/:who/..."),
            ("spin-raw-component-route", "/named/:who/..."),
            ("spin-component-route", "/named/:who"),
            ("spin-base-path", "/"),
            ("spin-path-match-who", "Ann"),
            ("spin-client-addr", "127.0.0.1:0"),
        ];
        for (name, value) in expected {
            assert_eq!(header(&head, name), [value], "{name}");
        }
        assert_eq!(header(&head, "x-two"), ["1", "2"]);
    });
}

#[test]
fn the_host_answers_what_needs_no_component() {
    simulated(async |hub, _dir| {
        let answer = hub.request(get("/static")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(answer.headers()["x-kind"], "static");
        assert_eq!(answer.body(), "short and stout");
        let answer = hub.request(get("/.well-known/spin/health")).await.unwrap();
        assert_eq!(answer.body(), "OK");
        let answer = hub.request(get("/.well-known/spin/info")).await.unwrap();
        assert_eq!(json_of(&answer), json!({ "name": "probe", "version": "1.2.3" }));
        for path in ["/", "/nowhere", "/probex", "/.well-known/spin/other", "/hidden"] {
            let answer = hub.request(get(path)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
    });
}

#[test]
fn a_private_component_is_reached_from_inside_only() {
    simulated(async |hub, _dir| {
        let chained = json!([{
            "do": "http",
            "method": "POST",
            "url": "http://hidden.spin.internal/deep/head?x=1",
            "headers": { "x-request-id": "r1" },
        }]);
        let request = Request::builder()
            .method("POST")
            .uri("/probe/run")
            .header("x-inbound", "stays here")
            .body(chained.to_string().into())
            .unwrap();
        let outcomes = json_of(&hub.request(request).await.unwrap());
        assert_eq!(outcomes[0]["status"], 200, "{outcomes}");
        let head: Value = serde_json::from_str(outcomes[0]["body"].as_str().unwrap()).unwrap();
        assert_eq!(head["method"], "POST");
        assert_eq!(head["uri"], "http://hidden.spin.internal/deep/head?x=1");
        assert_eq!(header(&head, "x-request-id"), ["r1"]);
        assert_eq!(header(&head, "x-inbound"), [""; 0]);
        assert_eq!(header(&head, "spin-client-addr"), ["0.0.0.0:0"]);
        assert_eq!(header(&head, "spin-path-info"), ["/deep/head"]);

        // From outside, neither by Host nor by URI.
        for host in ["hidden.spin.internal", "hidden.spin.internal:80"] {
            let request = Request::builder().uri("/head").header("host", host).body(Bytes::new()).unwrap();
            let answer = hub.request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            let request = Request::builder().uri("/probe/head").header("host", host).body(Bytes::new()).unwrap();
            let answer = hub.request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        }
    });
}

#[test]
fn outbound_requests_need_permission() {
    simulated(async |hub, _dir| {
        for host in ["peer.example", "templated.example", "denied.example"] {
            hub.outbound(host, async |request| {
                let text = format!("{} {}", request.method(), request.uri());
                Response::builder().status(302).header("location", "https://x/").body(text.into()).unwrap()
            });
        }
        let http = |url: &str| json!({ "do": "http", "url": url });
        let outcomes = run(
            &hub,
            json!([
                http("https://peer.example/a?b"),
                http("https://templated.example/"),
                http("https://denied.example/"),
                http("http://peer.example/"),
                http("https://peer.example:444/"),
                http("http://probe.spin.internal/probe/count"),
                http("http://self.alt/static"),
            ]),
        )
        .await;
        let denied = json!({ "error": "ErrorCode::HttpRequestDenied" });
        assert_eq!(
            outcomes[0],
            json!({ "status": 302, "location": "https://x/", "body": "GET https://peer.example/a?b" }),
            "no redirect is followed"
        );
        assert_eq!(outcomes[1]["status"], 302);
        for step in 2..=5 {
            assert_eq!(outcomes[step], denied, "step {step}");
        }
        assert_eq!(outcomes[6]["status"], 418);
        let logs = hub.logs().join("\n");
        let fix = r#"add \"https://denied.example\" to allowed_outbound_hosts in [component.probe]"#;
        assert!(logs.contains(fix), "{logs}");

        let request = post("/run", &json!([http("https://peer.example/")]));
        let answer = hub.call_component("hidden", request).await.unwrap();
        assert_eq!(json_of(&answer), json!([denied]));
    });
}

#[tokio::test]
async fn outbound_requests_reach_real_peers() {
    let dir = tempfile::tempdir().unwrap();
    let hub = probe(dir.path()).start().await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let peer = probe(elsewhere.path()).start().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/probe/echo", listener.local_addr().unwrap());
    let talk = run(&hub, json!([{ "do": "http", "method": "POST", "url": url, "body": "over the wire" }]));
    tokio::select! {
        outcomes = talk => assert_eq!(outcomes[0]["body"], "over the wire", "{outcomes}"),
        served = peer.serve(listener) => served.unwrap(),
    }
}

#[test]
fn variables_are_templates_over_the_applications() {
    simulated(async |hub, _dir| {
        let variable = |name: &str| json!({ "do": "variable", "name": name });
        let outcomes = run(
            &hub,
            json!([
                variable("sentence"),
                variable("secret"),
                variable("Sentence"),
                { "do": "environment", "name": "PROBE" },
                { "do": "environment", "name": "PATH" },
            ]),
        )
        .await;
        assert_eq!(outcomes[0], "hello, s3cret!");
        assert_eq!(outcomes[1]["error"], r#"Error::Undefined("no variable for \"probe\".\"secret\"")"#);
        assert!(outcomes[2]["error"].as_str().unwrap().starts_with("Error::InvalidName"), "{outcomes}");
        assert_eq!(outcomes[3], "yes");
        assert_eq!(outcomes[4], json!(null));
        assert!(!hub.logs().join("\n").contains("s3cret"));
    });
}

#[tokio::test]
async fn a_start_without_a_required_variable_says_which() {
    let error = async |builder: host::Builder| format!("{:#}", builder.start().await.err().unwrap());
    let manifest = crate::host_support::manifest();
    let text = error(host::Hub::builder(&manifest).data_dir("")).await;
    assert!(text.contains("\"secret\"") && text.contains("SPIN_VARIABLE_SECRET"), "{text}");
    let text = error(host::Hub::builder(&manifest).data_dir("").variable("secret", "x").variable("sceret", "y")).await;
    assert!(text.contains("\"sceret\"") && !text.contains('\n'), "{text}");
    let text = error(host::Hub::builder("no/such/spin.toml")).await;
    assert!(text.contains("no/such/spin.toml"), "{text}");
}

#[test]
fn a_store_keeps_what_it_is_given() {
    simulated(async |hub, dir| {
        let kv =
            |operation: &str, key: &str, value: &str| json!({ "do": "kv", "operation": operation, "key": key, "value": value });
        let outcomes = run(
            &hub,
            json!([
                kv("get", "a", ""),
                kv("set", "a", "1"),
                kv("set", "b", "2"),
                kv("set", "a", "3"),
                kv("get", "a", ""),
                kv("exists", "b", ""),
                kv("delete", "b", ""),
                kv("exists", "b", ""),
                kv("keys", "", ""),
                { "do": "kv", "store": "other", "operation": "get", "key": "a" },
            ]),
        )
        .await;
        let denied = json!({ "error": "Error::AccessDenied" });
        assert_eq!(outcomes, json!([null, null, null, null, "3", true, null, false, ["a"], denied]));
        hub.stop().await;
        let hub = probe(dir.path()).simulated(2, new_year()).start().await.unwrap();
        assert_eq!(run(&hub, json!([kv("get", "a", "")])).await, json!(["3"]));
    });
}

#[test]
fn time_is_in_the_tests_hand() {
    simulated(async |hub, _dir| {
        let now = json!([{ "do": "now" }]);
        let seconds = |outcomes: &Value, step: usize| outcomes[step]["seconds"].as_u64().unwrap();
        let start = run(&hub, now.clone()).await;
        assert_eq!(start[0]["seconds"], 1_767_225_600);
        hub.clock().advance(Duration::from_secs(3600)).await;
        let later = run(&hub, now.clone()).await;
        assert_eq!(seconds(&later, 0) - seconds(&start, 0), 3600);
        hub.clock().set(new_year() + Duration::from_secs(86_400)).await;
        assert_eq!(hub.clock().now(), new_year() + Duration::from_secs(86_400));
        hub.clock().set(new_year()).await;
        let back = run(&hub, now).await;
        assert_eq!(seconds(&back, 0), 1_767_225_600);
        let monotonic = |outcomes: &Value| outcomes[0]["monotonic"].as_u64().unwrap();
        assert!(monotonic(&back) > monotonic(&later), "only the wall clock goes back");

        // Who waits is woken at its moment, which costs no real time.
        let real = std::time::Instant::now();
        let slept = run(&hub, json!([{ "do": "now" }, { "do": "sleep", "millis": 50_000 }, { "do": "now" }])).await;
        assert_eq!(seconds(&slept, 2) - seconds(&slept, 0), 50);
        assert!(real.elapsed() < Duration::from_secs(25));
    });
}

#[test]
fn chance_comes_from_the_seed() {
    let draw = |seed| {
        host::sim::run(async {
            let dir = tempfile::tempdir().unwrap();
            let hub = probe(dir.path()).simulated(seed, new_year()).start().await.unwrap();
            run(&hub, json!([{ "do": "random" }, { "do": "random" }])).await
        })
    };
    let first = draw(1);
    assert_eq!(first, draw(1));
    assert_ne!(first, draw(2));
    assert_ne!(first[0]["secure"], first[1]["secure"]);
    assert_ne!(first[0]["secure"], first[0]["insecure"]);
}

#[test]
fn instances_are_shared_and_replaced_as_on_spin() {
    host::sim::run(async {
        let dir = tempfile::tempdir().unwrap();
        let hub = probe(dir.path()).simulated(1, new_year()).instance_reuse(3, 2).start().await.unwrap();
        let mut counts = Vec::new();
        for _ in 0..7 {
            counts.push(json_of(&hub.request(get("/probe/count")).await.unwrap()).as_u64().unwrap());
        }
        assert_eq!(counts, [0, 1, 2, 0, 1, 2, 0]);

        // A folder is one hub's at a time.
        drop(hub);
        let hub = probe(dir.path()).simulated(1, new_year()).start().await.unwrap();
        let sleepers = (0..40).map(|_| run(&hub, json!([{ "do": "sleep", "millis": 100 }, { "do": "random" }])));
        futures::future::join_all(sleepers).await;
        let mut counts = Vec::new();
        for _ in 0..3 {
            counts.push(json_of(&hub.request(get("/probe/count")).await.unwrap()));
        }
        assert!(hub.logs().is_empty(), "{:?}", hub.logs());
    });
}

#[test]
fn what_guests_print_is_passed_on() {
    simulated(async |hub, _dir| {
        run(&hub, json!([{ "do": "print", "text": "a line" }])).await;
        assert_eq!(hub.logs(), ["a line", "a line"]);
    });
}

#[test]
fn bodies_stream_through() {
    simulated(async |hub, _dir| {
        let body = Bytes::from(vec![b'x'; 3 << 20]);
        let request = Request::builder().method("POST").uri("/probe/echo").body(body.clone()).unwrap();
        let answer = hub.request(request).await.unwrap();
        assert_eq!(answer.body().len(), body.len());
        assert_eq!(answer.body(), &body);
    });
}

#[test]
fn databases_lie_where_the_runtime_configuration_says() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("runtime-config.toml");
    let start = async |text: &str| {
        std::fs::write(&config, text).unwrap();
        let builder = probe(&dir.path().join("state")).simulated(1, new_year());
        builder.runtime_config(&config).start().await
    };
    host::sim::run(async {
        let hub = start("[sqlite_database.default]\ntype = \"spin\"\npath = \"deep/mine.db\"\n").await.unwrap();
        let kv = json!({ "do": "kv", "operation": "set", "key": "a", "value": "1" });
        run(&hub, json!([{ "do": "sql", "sql": "CREATE TABLE t (a)" }, kv])).await;
        assert!(dir.path().join("deep/mine.db").exists());
        assert!(dir.path().join("state/sqlite_key_value.db").exists());
        assert!(!dir.path().join("state/sqlite_db.db").exists());

        let refused = [
            ("[sqlite_database.default]\ntype = \"spin\"\npathh = \"x\"\n", "unknown key `pathh`"),
            ("[llm_compute]\ntype = \"spin\"\n", "unknown key `llm_compute`"),
            ("[key_value_store.default]\ntype = \"redis\"\n", "\"redis\" is not served"),
        ];
        for (text, expected) in refused {
            let error = format!("{:#}", start(text).await.err().unwrap());
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    });
}

#[test]
fn in_memory_databases_are_new_for_every_connection() {
    host::sim::run(async {
        let hub = probe(std::path::Path::new("")).simulated(1, new_year()).start().await.unwrap();
        let on = |connection: &str, sql: &str| json!({ "do": "sql", "on": connection, "sql": sql });
        let outcomes = run(
            &hub,
            json!([
                on("a", "CREATE TABLE t (a)"),
                on("a", "BEGIN IMMEDIATE"),
                on("b", "BEGIN IMMEDIATE"),
                on("b", "SELECT * FROM t"),
            ]),
        )
        .await;
        assert_eq!(outcomes[2], json!([]));
        assert!(outcomes[3]["error"].as_str().unwrap().contains("no such table"), "{outcomes}");
    });
}
