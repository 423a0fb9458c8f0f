//! Bad input: each kind gets the right refusal, one that says the fix; never a fault, never a partial write.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

const PATH: &str = "/v1/organizations";

fn good() -> Value {
    json!({ "kind": "PROVIDER", "displayName": "A", "companyName": "A", "country": "DE", "currency": "EUR" })
}

/// A world in which whatever was refused has changed nothing.
async fn untouched<F: Future<Output = World>>(test: impl FnOnce(World, Actor) -> F) -> World {
    let world = World::new().await;
    let operator = world.bootstrap().await;
    let before = world.dump();
    let world = test(world, operator).await;
    assert_eq!(world.dump(), before);
    world
}

async fn post(world: &World, by: &Actor, body: impl Into<Bytes>) -> Answer {
    world.call(Method::POST, PATH).by(by).body("application/json", body).send().await
}

#[test]
fn json_that_cannot_be_read_is_malformed() {
    simulated(|| async {
        untouched(|world, operator| async move {
            let whole = good().to_string();
            for body in [
                "",
                " ",
                "{",
                "[",
                "nul",
                "{]",
                "{\"kind\":",
                "\u{feff}{}",
                "{\"a\":1,}",
                "{'a':1}",
                "NaN",
                &whole[..whole.len() - 1],
            ] {
                post(&world, &operator, body.to_owned()).await.expect_problem(400, "malformed_json");
            }
            post(&world, &operator, format!("{whole} {{}}")).await.expect_problem(400, "malformed_json");
            post(&world, &operator, vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'])
                .await
                .expect_problem(400, "malformed_json");
            let mut broken = whole.replace("\"A\"", "\"@\"").into_bytes();
            broken.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = 0xc3);
            post(&world, &operator, broken).await.expect_problem(400, "malformed_json");
            // An unpaired surrogate is no text.
            post(&world, &operator, whole.replacen("\"A\"", "\"\\ud800\"", 1)).await.expect_problem(400, "malformed_json");
            world
        })
        .await;
    });
}

#[test]
fn ten_thousand_deep_is_refused_and_not_followed() {
    simulated(|| async {
        untouched(|world, operator| async move {
            for (open, close) in [("[", "]"), ("{\"kind\":", "}")] {
                let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
                let answer = post(&world, &operator, deep).await;
                assert!([400, 422].contains(&answer.status()), "{}", answer.json());
            }
            // Deep inside a field that is not known at all.
            let mut body = good().to_string();
            body.insert_str(1, &format!("\"extra\":{}1{},", "[".repeat(10_000), "]".repeat(10_000)));
            assert!([400, 422].contains(&post(&world, &operator, body).await.status()));
            world
        })
        .await;
    });
}

#[test]
fn every_wrong_field_is_named_by_its_pointer() {
    simulated(|| async {
        untouched(|world, operator| async move {
            let cases = [
                ("kind", json!("BAKERY"), "/kind"),
                ("kind", json!(7), "/kind"),
                ("kind", json!(null), "/kind"),
                ("displayName", json!(""), "/displayName"),
                ("displayName", json!("x".repeat(121)), "/displayName"),
                ("displayName", json!("a\u{0}b"), "/displayName"),
                ("displayName", json!(" a"), "/displayName"),
                ("displayName", json!(["a"]), "/displayName"),
                ("country", json!("XX"), "/country"),
                ("country", json!("de"), "/country"),
                ("currency", json!("EURO"), "/currency"),
                ("parentId", json!("org_1"), "/parentId"),
                ("parentId", json!("tok_01h455vb4pex5vsknk084sn02q"), "/parentId"),
                ("parentId", json!(true), "/parentId"),
                ("bakery", json!(1), "/bakery"),
            ];
            for (field, value, pointer) in cases {
                let mut body = good();
                body[field] = value.clone();
                let answer = world.post(PATH, body).by(&operator).send().await;
                answer.expect_problem(422, "invalid_request");
                assert_eq!(answer.at("/errors/0/pointer"), pointer, "{field} = {value}: {}", answer.json());
                assert!(answer.text("/errors/0/detail").len() > 10);
            }
            for missing in ["kind", "displayName", "companyName", "country", "currency"] {
                let mut body = good();
                body.as_object_mut().unwrap().remove(missing);
                let answer = world.post(PATH, body).by(&operator).send().await;
                answer.expect_problem(422, "invalid_request");
                assert_eq!(answer.text("/errors/0/pointer"), format!("/{missing}"));
            }
            for body in [json!([]), json!(null), json!("text"), json!(1), json!(true)] {
                world.post(PATH, body).by(&operator).send().await.expect_problem(422, "invalid_request");
            }
            let twice = good().to_string().replacen('{', "{\"kind\":\"PROVIDER\",", 1);
            post(&world, &operator, twice).await.expect_problem(422, "invalid_request");
            world
        })
        .await;
    });
}

#[test]
fn headers_that_decide_who_asks_what_come_once() {
    simulated(|| async {
        untouched(|world, operator| async move {
            let bearer = format!("Bearer {}", operator.access_token);
            let organization = operator.organization.clone();
            let twice = [
                ("authorization", bearer.as_str(), "Bearer another"),
                ("authorization", &bearer, &bearer),
                ("hub-organization", &organization, "org_1"),
                ("hub-organization", &organization, &organization),
                ("idempotency-key", "one", "two"),
                ("content-type", "application/json", "text/plain"),
            ];
            for (name, first, second) in twice {
                let create = world.call(Method::POST, PATH).by(&operator).body("application/json", good().to_string());
                let create = if name == "authorization" { world.post(PATH, good()).header(name, first) } else { create };
                let create = if matches!(name, "authorization" | "content-type") { create } else { create.header(name, first) };
                create.header(name, second).send().await.expect_problem(400, "repeated_header");
            }
            // Reading, where nobody is known, and where there is nothing.
            for path in [PATH, "/openapi.json", "/v1/nothing"] {
                let call = world.get(path).by(&operator).header("authorization", "Basic eA==");
                call.send().await.expect_problem(400, "repeated_header");
            }
            let exchange = world.post("/v1/access-tokens", json!({ "apiToken": operator.api_token }));
            let exchange = exchange.header("hub-organization", "").header("hub-organization", "");
            exchange.send().await.expect_problem(400, "repeated_header");
            // The host refuses this one itself, as it decides where the request goes.
            let hosts = world.get("/openapi.json").header("host", "a").header("host", "a").send().await;
            assert!(hosts.expect(400).text("/detail").contains("Host"));
            world
        })
        .await;
    });
}

#[test]
fn a_compressed_body_is_refused() {
    simulated(|| async {
        untouched(|world, operator| async move {
            let create = || world.post(PATH, good()).by(&operator);
            for coding in ["gzip", "br", "identity, gzip", "x"] {
                let answer = create().header("content-encoding", coding).send().await;
                answer.expect_problem(415, "unsupported_content_encoding");
                assert_eq!(answer.header("accept-encoding"), "identity");
            }
            let answer = create().header("content-encoding", "identity").header("content-encoding", "gzip").send().await;
            answer.expect_problem(415, "unsupported_content_encoding");
            world
        })
        .await;
        let world = World::new().await;
        let operator = world.bootstrap().await;
        world.post(PATH, good()).by(&operator).header("content-encoding", "Identity").send().await.expect(201);
    });
}

#[test]
fn another_media_type_is_refused_by_name() {
    simulated(|| async {
        untouched(|world, operator| async move {
            for content_type in [
                "text/plain",
                "application/xml",
                "application/x-www-form-urlencoded",
                "application/json; charset=latin1",
                "json",
                "",
            ] {
                let answer = world.call(Method::POST, PATH).by(&operator).body(content_type, good().to_string()).send().await;
                answer.expect_problem(415, "unsupported_media_type");
            }
            world.call(Method::POST, PATH).by(&operator).send().await.expect_problem(415, "unsupported_media_type");
            world
        })
        .await;
        let world = World::new().await;
        let operator = world.bootstrap().await;
        for content_type in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            world.call(Method::POST, PATH).by(&operator).body(content_type, good().to_string()).send().await.expect(201);
        }
    });
}

#[test]
fn a_body_of_two_mebibytes_is_too_large() {
    simulated(|| async {
        untouched(|world, operator| async move {
            let mut body = good();
            body["displayName"] = json!("x".repeat(2 * 1024 * 1024));
            world.post(PATH, body).by(&operator).send().await.expect_problem(413, "body_too_large");
            // Whatever the declared length says.
            let spaces = " ".repeat(1024 * 1024 + 1);
            post(&world, &operator, spaces).await.expect_problem(413, "body_too_large");
            world
        })
        .await;
    });
}

#[test]
fn unknown_routes_and_methods_say_what_there_is() {
    simulated(|| async {
        untouched(|world, operator| async move {
            for path in [
                "/",
                "/v1",
                "/v1/nothing",
                "/v1/organizations/a/b/c",
                "/v2/organizations",
                "/internal",
                "/internal/jobs/runs",
                "/%00",
                "/v1/organizations//",
            ] {
                world.get(path).by(&operator).send().await.expect_problem(404, "route_not_found");
            }
            for (method, path, allow) in [
                (Method::PUT, PATH, "POST, GET, HEAD"),
                (Method::DELETE, PATH, "POST, GET, HEAD"),
                (Method::TRACE, PATH, "POST, GET, HEAD"),
                (Method::OPTIONS, "/v1/me", "GET, PATCH, HEAD"),
                (Method::GET, "/v1/access-tokens", "POST"),
                (Method::from_bytes(b"BREW").unwrap(), PATH, "POST, GET, HEAD"),
            ] {
                let answer = world.call(method.clone(), path).by(&operator).send().await;
                answer.expect_problem(405, "method_not_allowed");
                assert_eq!(answer.header("allow"), allow, "{method} {path}");
            }
            world
        })
        .await;
    });
}

#[test]
fn bad_ids_cursors_and_queries_are_malformed() {
    simulated(|| async {
        untouched(|world, operator| async move {
            for id in [
                "x",
                "org_",
                "org_01h455vb4pex5vsknk084sn02",
                "org_81h455vb4pex5vsknk084sn02q",
                "org_01H455VB4PEX5VSKNK084SN02Q",
                "ctr_01h455vb4pex5vsknk084sn02q",
                "%ff",
                "org_01h455vb4pex5vsknk084sn0%00",
            ] {
                world.get(&format!("{PATH}/{id}")).by(&operator).send().await.expect_problem(400, "bad_path");
            }
            for query in [
                "limit=0",
                "limit=201",
                "limit=-1",
                "limit=x",
                "limit=",
                "limit=1&limit=2",
                "kind=BAKERY",
                "parentId=7",
                "misspelt=1",
                "limit=99999999999999",
            ] {
                let answer =
                    world.get(&format!("{PATH}?limit=5&{query}").replace("limit=5&limit", "limit")).by(&operator).send().await;
                answer.expect_problem(400, "bad_query");
                assert!(answer.text("/detail").contains(query.split('=').next().unwrap()), "{}", answer.json());
            }
            for cursor in ["x", "%20", "b3JnX3g", "AAAA"] {
                world.get(&format!("{PATH}?cursor={cursor}")).by(&operator).send().await.expect_problem(400, "cursor_unknown");
            }
            let long = "x".repeat(9000);
            world.get(&format!("{PATH}?cursor={long}")).by(&operator).send().await.expect_problem(414, "target_too_long");
            world.get(PATH).by(&operator).acting_in("nonsense").send().await.expect_problem(400, "bad_hub_organization");
            world
        })
        .await;
    });
}

#[test]
fn missing_wrong_and_ended_tokens_are_unauthenticated() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        world.get(PATH).send().await.expect_problem(401, "access_token_missing");
        for header in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "hubat_x"] {
            let answer = world.get(PATH).header("authorization", header).send().await;
            answer.expect_problem(401, "access_token_missing");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        // An API token is not an access token, and neither is one character less of one.
        let short = &operator.access_token[..operator.access_token.len() - 1];
        for token in [operator.api_token.as_str(), short, "hubat_x", tests::INTERNAL_SECRET, "' OR 1=1 --"] {
            world.get(PATH).bearer(token).send().await.expect_problem(401, "access_token_invalid");
        }
        for token in ["hubpt_x", operator.access_token.as_str()] {
            let answer = world.post("/v1/access-tokens", json!({ "apiToken": token })).send().await;
            answer.expect_problem(401, "api_token_invalid");
        }
        world.hub.clock().advance(std::time::Duration::from_secs(30 * 60)).await;
        world.get(PATH).by(&operator).send().await.expect_problem(401, "access_token_invalid");
        // The internal routes take the internal secret and nothing else.
        for path in ["/internal/tick", "/internal/jobs/run"] {
            world.post(path, json!({})).bearer("wrong").send().await.expect_problem(401, "internal_secret_wrong");
            world.post(path, json!({})).send().await.expect_problem(401, "access_token_missing");
        }
        let bootstrap = json!({ "displayName": "Mallory" });
        world
            .post("/internal/bootstrap", bootstrap.clone())
            .bearer("wrong")
            .send()
            .await
            .expect_problem(401, "internal_secret_wrong");
        world
            .post("/internal/bootstrap", bootstrap)
            .bearer(tests::INTERNAL_SECRET)
            .send()
            .await
            .expect_problem(409, "already_bootstrapped");
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations"), 1);
    });
}

#[test]
fn a_fault_is_a_503_that_changed_nothing_and_can_be_sent_again() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        // The first request of an instance looks at the schema too, and takes a fault there for a database that is new.
        world.get(PATH).by(&operator).send().await.expect(200);
        let before = world.dump();
        // Every statement of a write, one after the other, until there is none left to fail.
        for nth in 1..100 {
            world.hub.faults().push(host::Fault::on(host::Target::Sql).nth(nth).fail("disk I/O error"));
            let answer = world.post(PATH, good()).by(&operator).key("again").send().await;
            world.hub.faults().clear();
            if answer.status() == 201 {
                assert!(nth > 5, "only {nth} statements were seen");
                world.post(PATH, good()).by(&operator).key("again").send().await.expect(201);
                assert_eq!(world.count("SELECT COUNT(*) FROM organizations"), 2);
                return;
            }
            // Only of a COMMIT that failed nobody knows whether it was done.
            let calls = world.hub.host_calls();
            let failed = calls.iter().rev().find(|call| call.kind == host::Kind::Sql && call.detail != "ROLLBACK").unwrap();
            let committing = failed.detail == "COMMIT";
            answer.expect_problem(503, if committing { "outcome_unknown" } else { "temporarily_unavailable" });
            assert_eq!(answer.text("/detail").contains("has changed nothing"), !committing);
            assert_eq!(answer.header("retry-after"), "1");
            assert!(!String::from_utf8_lossy(answer.0.body()).contains("disk"), "{}", answer.json());
            assert!(world.hub.logs().iter().any(|line| line.contains("disk I/O error")));
            assert_eq!(world.dump(), before, "after failing statement {nth}");
        }
        panic!("a write has 100 statements");
    });
}

#[test]
fn head_is_get_without_the_body() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let path = format!("{PATH}/{}", operator.organization);
        let head = world.call(Method::HEAD, &path).by(&operator).send().await;
        head.expect(200);
        assert!(head.0.body().is_empty());
        assert_eq!(head.header("etag"), world.get(&path).by(&operator).send().await.header("etag"));
    });
}

#[test]
fn the_callers_trace_goes_through_and_every_request_is_one_line_of_the_log() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let answer = world.get("/health").header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")).send().await;
        assert!(answer.header("traceparent").contains(trace));
        let lines: Vec<Value> = world.hub.logs().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let traced: Vec<_> = lines.iter().filter(|line| line["traceId"] == trace).collect();
        // The scheduler and each of the components that it asked.
        assert_eq!(traced.len(), crate::openapi::tables().len(), "{traced:#?}");
        for bad in ["", "00-short-00f067aa0ba902b7-01", &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), "ff-x-y-z"] {
            let answer = world.get("/v1/me").by(&operator).header("traceparent", bad).send().await;
            assert_eq!(answer.header("traceparent").len(), 55);
        }
        let line: Value = world.hub.logs().iter().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap();
        assert_eq!(
            (&line["path"], &line["status"], &line["organization"]),
            (&json!("/v1/me"), &json!(200), &json!(operator.organization))
        );
    });
}
