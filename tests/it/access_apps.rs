//! Apps: registered, and signing in with client credentials as RFC 6749 has it.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

const FORM: &str = "application/x-www-form-urlencoded";

async fn register(world: &World, by: &Actor, organization: &str, roles: &[&str]) -> (String, String) {
    let body = json!({ "name": "exporter", "organizationId": organization, "roles": roles });
    let app = world.post("/v1/apps", body).by(by).send().await;
    app.expect(201);
    assert_eq!(app.header("location"), format!("/v1/apps/{}", app.text("/id")));
    (app.text("/id"), app.text("/clientSecret"))
}

async fn token(world: &World, authorization: Option<&str>, form: &str) -> Answer {
    let call = world.call(Method::POST, "/v1/oauth/token").body(FORM, form.to_owned());
    match authorization {
        Some(header) => call.header("authorization", header).send().await,
        None => call.send().await,
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// A refusal in the form of RFC 6749, 5.2.
#[track_caller]
fn expect_error(answer: &Answer, status: u16, error: &str) {
    answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text("/error"), error, "{}", answer.json());
    assert!(answer.text("/error_description").len() > 20);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn an_app_signs_in_by_header_or_by_body() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (id, secret) = register(&world, &shop.admin, &shop.provider, &["PROVIDER_BILLING_USER"]).await;
        let by_header = token(&world, Some(&basic(&id, &secret)), "grant_type=client_credentials").await;
        let by_body =
            token(&world, None, &format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=&unknown=1"))
                .await;
        // The id may be repeated, and what the header holds is form-encoded in itself.
        let encoded = id.replace('_', "%5F");
        let repeated =
            token(&world, Some(&basic(&encoded, &secret)), &format!("grant_type=client_credentials&client_id={id}")).await;
        for answer in [by_header, by_body, repeated] {
            answer.expect(200);
            assert_eq!((answer.text("/token_type").as_str(), answer.at("/expires_in")), ("Bearer", json!(1800)));
            assert_eq!((answer.header("cache-control"), answer.at("/refresh_token")), ("no-store", Value::Null));
            let me = world.get("/v1/me").bearer(&answer.text("/access_token")).send().await;
            assert_eq!((me.text("/principalId"), me.text("/name").as_str()), (id.clone(), "exporter"));
            assert_eq!((me.text("/organizationId"), me.at("/roles")), (shop.provider.clone(), json!(["PROVIDER_BILLING_USER"])));
        }
        let read = world.get(&format!("/v1/apps/{id}")).by(&shop.admin).send().await;
        assert!(read.at("/lastUsedAt").is_string());
        assert!(!world.dump().contains(&secret) && !world.hub.logs().iter().any(|line| line.contains(&secret)));
    });
}

#[test]
fn a_wrong_request_is_refused_in_the_words_of_the_standard() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (id, secret) = register(&world, &shop.admin, &shop.provider, &["PROVIDER_BILLING_USER"]).await;
        let right = basic(&id, &secret);
        let unknown = "app_01h455vb4pex5vsknk084sn02q";
        for (authorization, form, status, error) in [
            (Some(right.clone()), "", 400, "invalid_request"),
            (Some(right.clone()), "grant_type=", 400, "invalid_request"),
            (Some(right.clone()), "grant_type=password&username=a&password=b", 400, "unsupported_grant_type"),
            (Some(right.clone()), "grant_type=client_credentials&scope=openid", 400, "invalid_scope"),
            (Some(right.clone()), "grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
            (Some(right.clone()), "grant_type=client_credentials&client_secret=x", 400, "invalid_request"),
            (Some(right.clone()), "grant_type=client_credentials&client_id=other", 400, "invalid_request"),
            (None, "grant_type=client_credentials", 401, "invalid_client"),
            (None, "grant_type=client_credentials&client_id=x", 401, "invalid_client"),
            (Some(basic(&id, "wrong")), "grant_type=client_credentials", 401, "invalid_client"),
            (Some(basic(unknown, &secret)), "grant_type=client_credentials", 401, "invalid_client"),
            (Some(basic(&shop.provider, &secret)), "grant_type=client_credentials", 401, "invalid_client"),
            (Some("Basic %%%".into()), "grant_type=client_credentials", 401, "invalid_client"),
            (Some(format!("Bearer {}", shop.admin.access_token)), "grant_type=client_credentials", 401, "invalid_client"),
        ] {
            let answer = token(&world, authorization.as_deref(), form).await;
            expect_error(&answer, status, error);
            assert_eq!(answer.header("www-authenticate").starts_with("Basic"), status == 401, "{form}");
        }
        let json = world
            .post("/v1/oauth/token", json!({ "grant_type": "client_credentials" }))
            .header("authorization", &right)
            .send()
            .await;
        expect_error(&json, 400, "invalid_request");
        let by_body = token(&world, None, &format!("grant_type=client_credentials&client_id={id}&client_secret=wrong")).await;
        expect_error(&by_body, 401, "invalid_client");
        assert_eq!(by_body.header("www-authenticate"), "");
        assert_eq!(world.count("SELECT COUNT(*) FROM access_tokens WHERE principal_id LIKE 'app_%'"), 0);
    });
}

#[test]
fn a_regenerated_secret_and_a_deleted_app_end_at_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (id, secret) = register(&world, &shop.admin, &shop.provider, &["PROVIDER_BILLING_USER"]).await;
        let grant = "grant_type=client_credentials";
        let first = token(&world, Some(&basic(&id, &secret)), grant).await.text("/access_token");
        let path = format!("/v1/apps/{id}");
        let again = world.post(&format!("{path}/regenerate"), json!({})).by(&shop.admin).send().await;
        assert_eq!(again.expect(200).text("/id"), id);
        world.get("/v1/me").bearer(&first).send().await.expect_problem(401, "access_token_invalid");
        expect_error(&token(&world, Some(&basic(&id, &secret)), grant).await, 401, "invalid_client");
        let secret = again.text("/clientSecret");
        let second = token(&world, Some(&basic(&id, &secret)), grant).await.text("/access_token");
        world.delete(&path).by(&shop.admin).send().await.expect(204);
        world.get("/v1/me").bearer(&second).send().await.expect_problem(401, "access_token_invalid");
        expect_error(&token(&world, Some(&basic(&id, &secret)), grant).await, 401, "invalid_client");
        world.get(&path).by(&shop.admin).send().await.expect_problem(404, "app_not_found");
        world.delete(&path).by(&shop.admin).send().await.expect_problem(404, "app_not_found");
    });
}

#[test]
fn an_app_has_no_more_than_whoever_registers_it_and_is_seen_by_its_own_alone() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (id, _) = register(&world, &shop.admin, &shop.provider, &["PROVIDER_BILLING_USER"]).await;
        let above = json!({ "name": "x", "organizationId": shop.provider, "roles": ["OPERATOR_ADMINISTRATOR"] });
        world.post("/v1/apps", above).by(&shop.admin).send().await.expect_problem(403, "role_above_own");
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let path = format!("/v1/apps/{id}");
        world.get(&path).by(&rival).send().await.expect_problem(404, "app_not_found");
        world.post(&format!("{path}/regenerate"), json!({})).by(&rival).send().await.expect_problem(404, "app_not_found");
        world.delete(&path).by(&rival).send().await.expect_problem(404, "app_not_found");
        assert_eq!(world.get("/v1/apps").by(&rival).send().await.at("/items"), json!([]));
        let there = json!({ "name": "x", "organizationId": shop.provider, "roles": ["PROVIDER_BILLING_USER"] });
        world.post("/v1/apps", there).by(&rival).send().await.expect_problem(404, "organization_not_found");
        let listed = world.get("/v1/apps").by(&shop.operator).send().await;
        assert_eq!((listed.text("/items/0/id"), listed.at("/items/0/clientSecret")), (id, Value::Null));
    });
}
