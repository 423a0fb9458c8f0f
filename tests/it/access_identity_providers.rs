//! Which identity providers are trusted: added, edited, removed, by the operator alone.

use crate::federation_support::{CLIENT_ID, CLIENT_SECRET, ISSUER, Idp, begin, callback, claims, trust, try_begin};
use serde_json::{Value, json};
use tests::{World, simulated};

#[test]
fn an_identity_provider_is_shown_without_its_secret_and_edited_under_its_etag() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let id = trust(
            &world,
            &shop.operator,
            &shop.provider,
            json!({ "scopes": ["profile", "openid"], "emailDomains": ["Example.com"] }),
        )
        .await;
        let path = format!("/v1/identity-providers/{id}");
        let read = world.get(&path).by(&shop.operator).send().await;
        assert_eq!(
            (read.text("/issuer").as_str(), read.text("/clientId").as_str(), read.header("etag")),
            (ISSUER, CLIENT_ID, "\"1\"")
        );
        assert_eq!(
            (read.at("/scopes"), read.at("/emailDomains")),
            (json!(["openid", "email", "profile"]), json!(["example.com"]))
        );
        assert_eq!((read.at("/hasClientSecret"), read.at("/clientSecret")), (json!(true), Value::Null));
        assert!(!world.dump().contains(CLIENT_SECRET) && !read.json().to_string().contains(CLIENT_SECRET));
        let edit = |body: Value| world.patch(&path, body).by(&shop.operator);
        edit(json!({ "name": "X" })).send().await.expect_problem(428, "if_match_required");
        let edited = edit(json!({ "name": "X", "emailDomains": [] })).header("if-match", "\"1\"").send().await;
        assert_eq!((edited.expect(200).text("/name").as_str(), edited.at("/emailDomains")), ("X", json!([])));
        assert_eq!(
            (edited.at("/clientId"), edited.at("/hasClientSecret"), edited.header("etag")),
            (json!(CLIENT_ID), json!(true), "\"2\"")
        );
        edit(json!({ "name": "Y" })).header("if-match", "\"1\"").send().await.expect_problem(412, "stale");
        edit(json!({ "issuer": ISSUER })).header("if-match", "*").send().await.expect_problem(422, "invalid_request");
        let listed = world.get("/v1/identity-providers").by(&shop.operator).send().await;
        assert_eq!((listed.text("/items/0/id"), listed.at("/items").as_array().unwrap().len()), (id, 1));
    });
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = world.dump();
        for (field, value) in [
            ("issuer", json!("http://id.example.com")),
            ("issuer", json!("id.example.com")),
            ("issuer", json!("https://user@id.example.com")),
            ("issuer", json!("https://id.example.com?tenant=1")),
            ("issuer", json!(format!("https://id.example.com/{}", "x".repeat(1000)))),
            ("name", json!("")),
            ("clientId", json!("x".repeat(201))),
            ("clientSecret", json!("x".repeat(501))),
            ("scopes", json!(["openid email"])),
            ("scopes", json!(vec!["x"; 21])),
            ("emailDomains", json!(["ada@example.com"])),
            ("emailDomains", json!(["localhost"])),
            ("emailDomains", json!(vec!["example.com"; 51])),
        ] {
            let mut body = json!({ "name": "X", "organizationId": shop.provider, "issuer": ISSUER, "clientId": "x" });
            body[field] = value.clone();
            let refused = world.post("/v1/identity-providers", body).by(&shop.operator).send().await;
            refused.expect_problem(422, "invalid_request");
            let pointer = refused.text("/errors/0/pointer");
            assert!(pointer.starts_with(&format!("/{field}")), "{value}: {pointer}");
        }
        for wrong in ["http://console.example.com", "javascript:alert(1)", "https://console.example.com#x", "/signed-in"] {
            let body = json!({ "identityProviderId": "idp_01h455vb4pex5vsknk084sn02q", "redirectUri": wrong });
            world.post("/v1/sign-in/oidc", body).send().await.expect_problem(422, "invalid_request");
        }
        assert_eq!(world.dump(), before);
        try_begin(&world, "idp_01h455vb4pex5vsknk084sn02q").await.expect_problem(404, "identity_provider_not_found");
    });
}

#[test]
fn only_the_operator_says_who_is_trusted() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let id = trust(&world, &shop.operator, &shop.provider, json!({})).await;
        let path = format!("/v1/identity-providers/{id}");
        let body = json!({ "name": "X", "organizationId": shop.provider, "issuer": ISSUER, "clientId": "x" });
        world.post("/v1/identity-providers", body).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let edit = world.patch(&path, json!({ "name": "X" })).header("if-match", "*");
        for refused in [edit, world.delete(&path)] {
            refused.by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        }
        // Whom it serves sees what vouches for them, and nothing of its secret.
        let seen = world.get(&path).by(&shop.admin).send().await;
        assert_eq!((seen.expect(200).text("/id"), seen.json().to_string().contains(CLIENT_SECRET)), (id.clone(), false));
        // The operator acts further down: what is not there is out of reach.
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        for call in [world.get(&path), world.delete(&path), world.patch(&path, json!({ "name": "X" })).header("if-match", "*")] {
            let hidden = call.by(&shop.operator).acting_in(&rival).send().await;
            hidden.expect_problem(404, "identity_provider_not_found");
        }
    });
}

#[test]
fn with_an_identity_provider_its_sign_ins_under_way_end() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        world.somebody("ada@example.com", &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
        let idp = Idp::new(&world);
        let id = trust(&world, &shop.operator, &shop.provider, json!({})).await;
        let begun = begin(&world, &id).await;
        idp.set(|state| state.claims = claims(&world, &begun));
        let path = format!("/v1/identity-providers/{id}");
        world.delete(&path).by(&shop.operator).send().await.expect(204);
        callback(&world, &begun).await.expect_problem(401, "sign_in_unknown");
        try_begin(&world, &id).await.expect_problem(404, "identity_provider_not_found");
        world.delete(&path).by(&shop.operator).send().await.expect_problem(404, "identity_provider_not_found");
    });
}

/// The manifest lets the hub out by https alone, unless whoever runs it says otherwise.
#[test]
fn a_place_that_the_manifest_does_not_name_is_not_asked() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let local = trust(&world, &shop.operator, &shop.provider, json!({ "issuer": "http://localhost:8089" })).await;
        try_begin(&world, &local).await.expect_problem(503, "identity_provider_unavailable");
        assert!(world.hub.logs().iter().any(|line| line.contains("outbound request denied")));
    });
}
