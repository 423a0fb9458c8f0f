//! Signing in at an identity provider: the code flow, what is believed of an ID token, and who somebody is then.

use crate::federation_support::*;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Shop, World, simulated};

/// A shop whose provider has an administrator, and an identity provider that serves it.
async fn served(world: &World) -> (Shop, Idp, String) {
    let shop = world.shop().await;
    world.somebody(EMAIL, &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
    let idp = Idp::new(world);
    let provider = trust(world, &shop.operator, &shop.provider, json!({})).await;
    (shop, idp, provider)
}

fn sessions(world: &World) -> i64 {
    world.count("SELECT COUNT(*) FROM sessions")
}

async fn wait(world: &World, seconds: u64) {
    world.hub.clock().advance(Duration::from_secs(seconds)).await;
}

#[test]
fn the_code_flow_with_pkce_ends_in_a_session() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        let begun = begin(&world, &provider).await;
        // Beside what the endpoint's own address has.
        assert!(begun.url.starts_with("https://id.example.com/authorize?prompt=login&"), "{}", begun.url);
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", CALLBACK),
            ("scope", "openid email"),
            ("state", &begun.state),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(begun.parameter(name), value);
        }
        assert!(!begun.url.contains(&begun.secret));
        idp.set(|state| state.claims = claims(&world, &begun));
        let session = callback(&world, &begun).await;
        session.expect(201);
        let (authorization, form) = idp.exchanged();
        // RFC 6749, 2.3.1: what is in the header is form-encoded.
        let encoded = "provider+hub:s3cret%3A+100%25+%C3%BCnique";
        assert_eq!(
            authorization,
            format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, encoded))
        );
        assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "a code"));
        assert_eq!((form["redirect_uri"].as_str(), form.get("client_secret")), (CALLBACK, None));
        let challenge = base64url(rsa::sha2::Digest::finalize(<rsa::sha2::Sha256 as rsa::sha2::Digest>::new_with_prefix(
            &form["code_verifier"],
        )));
        assert_eq!(begun.parameter("code_challenge"), challenge);
        assert!(form["code_verifier"].len() >= 43);
        let me = world.get("/v1/me").bearer(&session.text("/accessToken")).send().await;
        assert_eq!((me.text("/email").as_str(), me.text("/organizationId")), (EMAIL, shop.provider.clone()));
        let again = world.post("/v1/access-tokens", json!({ "refreshToken": session.text("/refreshToken") })).send().await;
        again.expect(201);
        // The secrets of the flow are nowhere to be read.
        let dump = world.dump();
        for secret in [&form["code_verifier"], &begun.parameter("nonce"), &begun.state, &begun.secret, CLIENT_SECRET] {
            assert!(!dump.contains(secret) && !world.hub.logs().iter().any(|line| line.contains(secret)), "{secret}");
        }
    });
}

#[test]
fn a_subject_stays_the_person_it_was() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        // Another address at the identity provider, even one of somebody else here: it is the same person.
        world.somebody("grace@example.com", &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
        let moved = sign_in(&world, &idp, &provider, json!({ "email": "grace@example.com" })).await;
        let me = world.get("/v1/me").bearer(&moved.expect(201).text("/accessToken")).send().await;
        assert_eq!(me.text("/email"), EMAIL);
        // The address was given to somebody else, who is not this person.
        let other = sign_in(&world, &idp, &provider, json!({ "sub": "another" })).await;
        other.expect_problem(403, "sign_in_not_admitted");
        assert_eq!(world.count("SELECT COUNT(*) FROM person_identities"), 1);
    });
}

#[test]
fn both_algorithms_and_both_ways_to_show_the_secret() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        idp.set(|state| {
            state.keys = vec![rsa_jwk(2048, "one"), ec_jwk("two"), rsa_jwk(3072, "three")];
            state.discovery["token_endpoint_auth_methods_supported"] = json!(["client_secret_post", "private_key_jwt"]);
        });
        for (alg, kid, sign) in
            [("ES256", "two", Sign::Ec), ("RS256", "three", Sign::Rsa(3072)), ("RS256", "one", Sign::Rsa(2048))]
        {
            idp.set(|state| (state.header, state.sign) = (json!({ "alg": alg, "kid": kid }), sign));
            sign_in(&world, &idp, &provider, json!({ "aud": ["else", CLIENT_ID], "azp": CLIENT_ID })).await.expect(201);
        }
        let (authorization, form) = idp.exchanged();
        assert_eq!(
            (authorization.as_str(), form["client_id"].as_str(), form["client_secret"].as_str()),
            ("", CLIENT_ID, CLIENT_SECRET)
        );
        // A public client has no secret to show.
        let public = trust(&world, &shop.operator, &shop.provider, json!({ "clientSecret": null })).await;
        sign_in(&world, &idp, &public, json!({})).await.expect(201);
        let (authorization, form) = idp.exchanged();
        assert_eq!((authorization.as_str(), form["client_id"].as_str(), form.get("client_secret")), ("", CLIENT_ID, None));
    });
}

#[test]
fn no_token_is_believed_that_is_wrong_in_anything() {
    simulated(|| async {
        let world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        idp.set(|state| state.keys = vec![rsa_jwk(2048, "one"), ec_jwk("two")]);
        let now = world.hub.clock().now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        for wrong in [
            json!({ "iss": "https://id.example.com/" }),
            json!({ "aud": "another" }),
            json!({ "aud": [CLIENT_ID, "another"] }),
            json!({ "aud": [CLIENT_ID, "another"], "azp": "another" }),
            json!({ "exp": now - 61 }),
            json!({ "nbf": now + 120 }),
            json!({ "iat": now + 120 }),
            json!({ "nonce": "another" }),
            json!({ "nonce": null }),
            json!({ "email_verified": false }),
            json!({ "email_verified": null }),
            json!({ "email": null }),
            json!({ "sub": "x".repeat(256) }),
            json!({ "exp": "soon" }),
            json!({ "padding": "x".repeat(16 * 1024) }),
        ] {
            sign_in(&world, &idp, &provider, wrong.clone()).await.expect_problem(401, "id_token_refused");
        }
        let public: &'static [u8] = Box::leak(rsa_jwk(2048, "one")["n"].as_str().unwrap().as_bytes().to_vec().into_boxed_slice());
        for (header, sign) in [
            (json!({ "alg": "none" }), Sign::Nothing),
            (json!({ "alg": "none", "kid": "one" }), Sign::Nothing),
            (json!({ "alg": "HS256", "kid": "one" }), Sign::Hmac(public)),
            (json!({ "alg": "RS256", "kid": "one" }), Sign::Hmac(public)),
            (json!({ "alg": "RS256", "kid": "one" }), Sign::Nothing),
            (json!({ "alg": "RS256", "kid": "one" }), Sign::Rsa(3072)),
            (json!({ "alg": "RS384", "kid": "one" }), Sign::Rsa(2048)),
            (json!({ "alg": "ES256", "kid": "one" }), Sign::Ec),
            (json!({ "alg": "RS256", "kid": "two" }), Sign::Rsa(2048)),
            (json!({ "alg": "RS256", "kid": "one", "crit": ["exp"] }), Sign::Rsa(2048)),
            (json!({ "alg": "RS256", "kid": "../keys/one" }), Sign::Rsa(2048)),
            (json!({ "alg": "RS256", "kid": "https://evil.example.com/key" }), Sign::Rsa(2048)),
            // The token brings its own key.
            (json!({ "alg": "RS256", "kid": "three", "jwk": rsa_jwk(3072, "three") }), Sign::Rsa(3072)),
            (json!({ "kid": "one" }), Sign::Rsa(2048)),
            (json!("RS256"), Sign::Rsa(2048)),
        ] {
            idp.set(|state| (state.header, state.sign) = (header.clone(), sign));
            let refused = sign_in(&world, &idp, &provider, json!({})).await;
            refused.expect_problem(401, "id_token_refused");
        }
        for answer in ["", "{}", r#"{"id_token":7}"#, r#"{"access_token":"x"}"#, "<html>"] {
            idp.set(|state| drop(state.modes.insert("/token", Mode::Answers(200, answer.into()))));
            sign_in(&world, &idp, &provider, json!({})).await.expect_problem(503, "identity_provider_unavailable");
        }
        for token in ["x", "a.b", "a.b.c", "a.b.c.d", "..", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.e30.!"] {
            idp.set(|state| drop(state.modes.insert("/token", Mode::Answers(200, json!({ "id_token": token }).to_string()))));
            sign_in(&world, &idp, &provider, json!({})).await.expect_problem(401, "id_token_refused");
        }
        assert_eq!((sessions(&world), world.count("SELECT COUNT(*) FROM person_identities")), (0, 0));
    });
}

#[test]
fn a_token_without_a_key_id_is_taken_under_the_only_key_it_can_be_of() {
    simulated(|| async {
        let world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        idp.set(|state| {
            state.keys = vec![ec_jwk("two"), rsa_jwk(2048, "one")];
            state.header = json!({ "alg": "RS256" });
        });
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        wait(&world, 3600).await;
        idp.set(|state| state.keys = vec![rsa_jwk(3072, "three"), rsa_jwk(2048, "one")]);
        sign_in(&world, &idp, &provider, json!({})).await.expect_problem(401, "id_token_refused");
        wait(&world, 3600).await;
        // A key to encrypt with signs nothing.
        let mut encrypting = rsa_jwk(2048, "one");
        encrypting["use"] = json!("enc");
        idp.set(|state| state.keys = vec![encrypting]);
        sign_in(&world, &idp, &provider, json!({})).await.expect_problem(401, "id_token_refused");
    });
}

#[test]
fn keys_are_kept_rotated_and_not_asked_for_at_everybodys_whim() {
    simulated(|| async {
        let mut world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        // Kept in the database: another instance, even another process, asks nothing.
        world.restart().await;
        idp.listen(&world);
        for _ in 0..3 {
            sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        }
        let asked = |idp: &Idp| (idp.asked("/.well-known/openid-configuration"), idp.asked("/keys"));
        assert_eq!(asked(&idp), (1, 1));
        // A new key: the next token names it, and the keys are fetched again.
        wait(&world, 61).await;
        idp.set(|state| {
            state.keys = vec![rsa_jwk(3072, "next")];
            (state.header, state.sign) = (json!({ "alg": "RS256", "kid": "next" }), Sign::Rsa(3072));
        });
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        assert_eq!(asked(&idp), (1, 2));
        // The old one is no more.
        idp.set(|state| (state.header, state.sign) = (json!({ "alg": "RS256", "kid": "one" }), Sign::Rsa(2048)));
        sign_in(&world, &idp, &provider, json!({})).await.expect_problem(401, "id_token_refused");
        // Names that nobody knows: at most one look a minute.
        for name in 0..5 {
            idp.set(|state| state.header = json!({ "alg": "RS256", "kid": format!("made up {name}") }));
            sign_in(&world, &idp, &provider, json!({})).await.expect_problem(401, "id_token_refused");
        }
        assert_eq!(asked(&idp), (1, 2));
        wait(&world, 61).await;
        for _ in 0..5 {
            sign_in(&world, &idp, &provider, json!({})).await.expect_problem(401, "id_token_refused");
        }
        assert_eq!(asked(&idp), (1, 3));
        // After an hour nothing of it is believed any more.
        wait(&world, 3601).await;
        idp.set(|state| (state.header, state.sign) = (json!({ "alg": "RS256", "kid": "next" }), Sign::Rsa(3072)));
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        assert_eq!(asked(&idp), (2, 4));
    });
}

#[test]
fn a_sign_in_is_good_once_for_ten_minutes_and_for_whoever_began_it() {
    simulated(|| async {
        let world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        let good = async || {
            let begun = begin(&world, &provider).await;
            idp.set(|state| state.claims = claims(&world, &begun));
            begun
        };
        let begun = good().await;
        callback(&world, &begun).await.expect(201);
        callback(&world, &begun).await.expect_problem(401, "sign_in_unknown");
        // Two at once.
        let begun = good().await;
        let (one, other) = futures::future::join(callback(&world, &begun), callback(&world, &begun)).await;
        let mut statuses = [one.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 401]);
        // Somebody saw the address that the browser came back to.
        let begun = good().await;
        let stranger = Begun { secret: good().await.secret, ..begun.clone() };
        callback(&world, &stranger).await.expect_problem(401, "sign_in_unknown");
        callback(&world, &begun).await.expect_problem(401, "sign_in_unknown");
        // Somebody has the browser come back to a sign-in of their own, of which it has no secret.
        callback(&world, &Begun { state: "made up".into(), ..good().await }).await.expect_problem(401, "sign_in_unknown");
        let begun = good().await;
        wait(&world, 599).await;
        idp.set(|state| state.claims = claims(&world, &begun));
        callback(&world, &begun).await.expect(201);
        let begun = good().await;
        wait(&world, 600).await;
        callback(&world, &begun).await.expect_problem(401, "sign_in_unknown");
        // The identity provider does not take the code: nothing is left to try with.
        let begun = good().await;
        idp.set(|state| drop(state.modes.insert("/token", Mode::Answers(400, r#"{"error":"invalid_grant"}"#.into()))));
        callback(&world, &begun).await.expect_problem(401, "code_refused");
        idp.set(|state| state.modes.clear());
        callback(&world, &begun).await.expect_problem(401, "sign_in_unknown");
        // Those that were never finished are forgotten as others begin.
        wait(&world, 600).await;
        good().await;
        assert_eq!(world.count("SELECT COUNT(*) FROM oidc_sign_ins"), 1);
    });
}

#[test]
fn an_address_may_be_a_host_and_a_query() {
    simulated(|| async {
        let world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        idp.set(|state| state.discovery["jwks_uri"] = json!(format!("{ISSUER}?show=keys")));
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
        assert_eq!(idp.asked("/?show=keys"), 1);
    });
}

#[test]
fn an_identity_provider_that_misbehaves_keeps_nobody_waiting_for_long() {
    simulated(|| async {
        let world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        let discovery = "/.well-known/openid-configuration";
        let metadata = |change: Value| {
            let mut all =
                json!({ "issuer": ISSUER, "authorization_endpoint": ISSUER, "token_endpoint": ISSUER, "jwks_uri": ISSUER });
            change.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
            Mode::Answers(200, all.to_string())
        };
        for mode in [
            Mode::Hangs,
            Mode::Answers(500, "{}".into()),
            Mode::Answers(302, String::new()),
            Mode::Answers(200, "<html>".into()),
            Mode::Answers(200, "{}".into()),
            Mode::Answers(200, format!("[{}]", "0,".repeat(200_000))),
            metadata(json!({ "issuer": "https://evil.example.com" })),
            metadata(json!({ "token_endpoint": "http://id.example.com/token" })),
            metadata(json!({ "jwks_uri": "file:///etc/passwd" })),
            metadata(json!({ "authorization_endpoint": null })),
        ] {
            idp.set(|state| drop(state.modes.insert(discovery, mode)));
            let (before, asked) = (world.hub.clock().now(), idp.asked(discovery));
            try_begin(&world, &provider).await.expect_problem(503, "identity_provider_unavailable");
            assert!(world.hub.clock().now().duration_since(before).unwrap() <= Duration::from_secs(11));
            // Who comes next does not wait for it again.
            let refused = try_begin(&world, &provider).await;
            refused.expect_problem(503, "identity_provider_unavailable");
            assert!((1..=61).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
            assert_eq!(idp.asked(discovery), asked + 1);
            wait(&world, 61).await;
        }
        idp.set(|state| state.modes.clear());
        for path in ["/token", "/keys"] {
            for mode in [Mode::Hangs, Mode::Answers(500, String::new()), Mode::Answers(200, "garbage".into())] {
                idp.set(|state| drop(state.modes.insert(path, mode)));
                sign_in(&world, &idp, &provider, json!({})).await.expect_problem(503, "identity_provider_unavailable");
                wait(&world, 61).await;
            }
            idp.set(|state| state.modes.clear());
        }
        assert_eq!(sessions(&world), 0);
        // What it was is in the log, and not in the answer.
        assert!(world.hub.logs().iter().any(|line| line.contains("no answer within 10s")));
        sign_in(&world, &idp, &provider, json!({})).await.expect(201);
    });
}

#[test]
fn an_identity_provider_vouches_for_its_own_alone() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        world.somebody("both@example.com", &[("PROVIDER_ADMINISTRATOR", &shop.provider), ("PROVIDER_BILLING_USER", &rival)]);
        world.somebody("above@example.com", &[("OPERATOR_ADMINISTRATOR", &shop.operator.organization)]);
        world.somebody("below@example.com", &[("CUSTOMER_USER", &shop.customer)]);
        world.somebody("alone@example.com", &[]);
        world.somebody("gone@example.com", &[("CUSTOMER_USER", &shop.customer)]);
        world.database().execute("UPDATE people SET status = 'DISABLED' WHERE email = 'gone@example.com'", []).unwrap();
        let as_email = |email: &str| sign_in(&world, &idp, &provider, json!({ "email": email, "sub": email }));
        for email in ["above@example.com", "alone@example.com", "gone@example.com", "nobody@example.com"] {
            let refused = as_email(email).await;
            refused.expect_problem(403, "sign_in_not_admitted");
            assert!(refused.text("/detail").contains(email));
        }
        assert_eq!((sessions(&world), world.count("SELECT COUNT(*) FROM person_identities")), (0, 0));
        as_email("below@example.com").await.expect(201);
        // A role elsewhere changes nothing at home, and nobody comes to it by this session: not at first, and not by refreshing it.
        let both = as_email("both@example.com").await;
        let session = |answer: &tests::Answer| (answer.text("/accessToken"), answer.text("/refreshToken"));
        let (mut token, refresh) = session(both.expect(201));
        for refreshed in [false, true] {
            if refreshed {
                token = session(&world.post("/v1/access-tokens", json!({ "refreshToken": refresh })).send().await).0;
            }
            let me = world.get("/v1/me").bearer(&token).send().await;
            assert_eq!(me.expect(200).at("/organizations").as_array().unwrap().len(), 1);
            assert_eq!(me.text("/organizations/0/organizationId"), shop.provider);
            let there = world.get("/v1/me").bearer(&token).acting_in(&rival).send().await;
            there.expect_problem(404, "organization_not_found");
        }
        // Where they act in other sessions is not for this one to say.
        let choose = world.patch("/v1/me", json!({ "defaultOrganizationId": shop.provider })).bearer(&token);
        choose.header("if-match", "*").send().await.expect_problem(403, "session_limited");
        // Who is disabled is nobody.
        world.database().execute("UPDATE people SET status = 'DISABLED' WHERE email = 'below@example.com'", []).unwrap();
        as_email("below@example.com").await.expect_problem(403, "sign_in_not_admitted");
        // Of all domains, only some.
        let all = trust(
            &world,
            &shop.operator,
            &shop.operator.organization,
            json!({ "emailDomains": ["Contoso.example", "example.com"] }),
        )
        .await;
        sign_in(&world, &idp, &all, json!({ "email": "both@example.com", "sub": "both@example.com" })).await.expect(201);
        world.somebody("eve@evil.example.com", &[("CUSTOMER_USER", &shop.customer)]);
        let foreign = sign_in(&world, &idp, &all, json!({ "email": "eve@evil.example.com", "sub": "eve" })).await;
        foreign.expect_problem(403, "sign_in_not_admitted");
    });
}

/// Wherever the hub dies in it, the sign-in is over or it is done; the next one works.
#[test]
fn a_hub_that_dies_in_a_callback_leaves_nothing_half_done() {
    simulated(|| async {
        let mut world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        for nth in 1..100 {
            let begun = begin(&world, &provider).await;
            idp.set(|state| state.claims = claims(&world, &begun));
            let before = sessions(&world);
            world.hub.faults().push(host::Fault::on(host::Target::Any).nth(nth).crash_before());
            let outcome = world.post("/v1/sign-in/oidc/callback", callback_body(&begun)).try_send().await;
            let done = outcome.is_ok();
            world.restart().await;
            idp.listen(&world);
            assert_eq!(sessions(&world) - before, i64::from(done), "after a crash at call {nth}");
            assert_eq!(world.count("SELECT COUNT(*) FROM access_tokens WHERE session_hash IS NOT NULL"), sessions(&world));
            if done {
                assert!(nth > 10, "only {nth} calls were seen");
                return;
            }
        }
        panic!("a callback makes 100 calls");
    });
}

#[test]
fn what_an_identity_provider_vouched_for_ends_with_it() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        let other = trust(&world, &shop.operator, &shop.provider, json!({})).await;
        let by = |answer: &tests::Answer| answer.text("/accessToken");
        let (one, two) = (sign_in(&world, &idp, &provider, json!({})).await, sign_in(&world, &idp, &other, json!({})).await);
        let again =
            world.post("/v1/access-tokens", json!({ "refreshToken": one.expect(201).text("/refreshToken") })).send().await;
        let me = |token: String| world.get("/v1/me").bearer(&token).send();
        me(by(&again)).await.expect(200);
        let path = format!("/v1/identity-providers/{provider}");
        world.delete(&path).by(&shop.operator).send().await.expect(204);
        // Whatever followed from it, refreshed or not; and nothing else.
        for token in [by(&one), by(&again)] {
            me(token).await.expect_problem(401, "access_token_invalid");
        }
        let refresh = json!({ "refreshToken": again.text("/refreshToken") });
        world.post("/v1/access-tokens", refresh).send().await.expect_problem(401, "refresh_token_invalid");
        me(by(&two)).await.expect(200);
        assert_eq!(sessions(&world), 1);
    });
}

/// Whoever runs a provider's identity provider does not sign in as the administrator of one of its customers.
#[test]
fn an_identity_provider_above_a_customer_that_decides_for_itself_does_not_open_it() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        let at_operator = trust(&world, &shop.operator, &shop.operator.organization, json!({})).await;
        world.somebody("bob@example.com", &[("CUSTOMER_USER", &shop.customer)]);
        let as_email =
            async |provider: &str, email: &str| sign_in(&world, &idp, provider, json!({ "email": email, "sub": email })).await;
        let before = as_email(&provider, "bob@example.com").await.expect(201).text("/accessToken");
        world.get("/v1/me").bearer(&before).send().await.expect(200);
        world.somebody("eva@example.com", &[("CUSTOMER_ADMINISTRATOR", &shop.customer)]);
        world.somebody(
            "both@example.com",
            &[("CUSTOMER_ADMINISTRATOR", &shop.customer), ("PROVIDER_SUPPORT_USER", &shop.provider)],
        );
        for email in ["eva@example.com", "bob@example.com"] {
            as_email(&provider, email).await.expect_problem(403, "sign_in_not_admitted");
        }
        // What was opened before is closed, and who belongs to the provider too is that alone.
        world.get("/v1/me").bearer(&before).send().await.expect_problem(401, "access_token_invalid");
        let both = as_email(&provider, "both@example.com").await.expect(201).text("/accessToken");
        let me = world.get("/v1/me").bearer(&both).send().await;
        assert_eq!(me.expect(200).text("/organizationId"), shop.provider);
        let inside = world.get("/v1/me").bearer(&both).acting_in(&shop.customer).send().await;
        inside.expect_problem(403, "acting_session_required");
        // The operator's is the hub's.
        let eva = as_email(&at_operator, "eva@example.com").await.expect(201).text("/accessToken");
        assert_eq!(world.get("/v1/me").bearer(&eva).send().await.text("/organizationId"), shop.customer);
    });
}

/// A second identity provider, which is malicious or was taken over: it sends the browser on to the first, and has the code of the
/// first sent to its own token endpoint.
#[test]
fn the_answer_of_one_identity_provider_is_not_taken_for_that_of_another() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, honest) = served(&world).await;
        let stolen = std::sync::Arc::new(std::sync::Mutex::new(0));
        let count = stolen.clone();
        let says = std::sync::Arc::new(std::sync::Mutex::new(true));
        let supported = says.clone();
        world.hub.outbound("evil.example.com", move |request| {
            let discovery = json!({
                "issuer": "https://evil.example.com", "authorization_endpoint": "https://evil.example.com/authorize",
                "token_endpoint": "https://evil.example.com/token", "jwks_uri": "https://evil.example.com/keys",
                "authorization_response_iss_parameter_supported": *supported.lock().unwrap(),
            });
            if request.uri().path() == "/token" {
                *count.lock().unwrap() += 1;
            }
            let answer = http::Response::builder().status(200).body(bytes::Bytes::from(discovery.to_string())).unwrap();
            async move { answer }
        });
        let issuer = json!({ "issuer": "https://evil.example.com" });
        let evil = trust(&world, &shop.operator, &shop.provider, issuer).await;
        // Begun at the one, answered by the other: `iss` tells, and so does its absence.
        for iss in [Some(ISSUER), None, Some("https://evil.example.com/")] {
            let begun = begin(&world, &evil).await;
            let mut body = callback_body(&begun);
            body["iss"] = json!(iss);
            body["redirectUri"] = json!(CALLBACK);
            world.post("/v1/sign-in/oidc/callback", body).send().await.expect_problem(401, "sender_unknown");
        }
        // One that says that it does not say has an address of its own, and the browser came back to another.
        *says.lock().unwrap() = false;
        wait(&world, 3601).await;
        try_begin(&world, &evil).await.expect_problem(422, "invalid_request");
        let own = |provider: &str| format!("https://console.example.com/signed-in/{provider}");
        let body = json!({ "identityProviderId": evil, "redirectUri": own(&evil) });
        for came_back_to in [Some(own(&honest)), None] {
            let begun = world.post("/v1/sign-in/oidc", body.clone()).send().await;
            let mut callback =
                json!({ "code": "x", "state": begun.expect(201).text("/state"), "signInSecret": begun.text("/signInSecret") });
            if let Some(uri) = came_back_to {
                callback["redirectUri"] = json!(uri);
            }
            world.post("/v1/sign-in/oidc/callback", callback).send().await.expect_problem(401, "sender_unknown");
        }
        assert_eq!(*stolen.lock().unwrap(), 0);
        // An honest one that says nothing is used with its own address.
        idp.set(|state| state.discovery["authorization_response_iss_parameter_supported"] = json!(false));
        let body = json!({ "identityProviderId": honest, "redirectUri": own(&honest) });
        let begun = world.post("/v1/sign-in/oidc", body).send().await;
        let begun = Begun {
            url: begun.expect(201).text("/authorizationUrl"),
            state: begun.text("/state"),
            secret: begun.text("/signInSecret"),
        };
        idp.set(|state| state.claims = claims(&world, &begun));
        let callback = json!({ "code": "x", "state": begun.state, "signInSecret": begun.secret, "redirectUri": own(&honest) });
        world.post("/v1/sign-in/oidc/callback", callback).send().await.expect(201);
    });
}

#[test]
fn a_key_that_is_none_and_times_with_fractions_stop_nobody() {
    simulated(|| async {
        let world = World::new().await;
        let (_, idp, provider) = served(&world).await;
        // What other software of the issuer uses, and a key of another kind by the same name.
        idp.set(|state| {
            state.keys = vec![
                json!({ "kid": "one" }),
                json!({ "kty": 7, "kid": ["one"] }),
                json!("key"),
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "AA" }),
                ec_jwk("one"),
                rsa_jwk(2048, "one"),
            ];
        });
        let now = world.hub.clock().now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let fractions = json!({ "exp": now + 300.75, "iat": now - 0.25, "nbf": now - 1.5 });
        sign_in(&world, &idp, &provider, fractions).await.expect(201);
    });
}

#[test]
fn a_provider_that_does_not_say_what_it_verified_speaks_for_named_domains_alone() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, strict) = served(&world).await;
        let silent = json!({ "email_verified": null });
        sign_in(&world, &idp, &strict, silent.clone()).await.expect_problem(401, "id_token_refused");
        let path = format!("/v1/identity-providers/{strict}");
        let edit = async |patch: Value| world.patch(&path, patch).by(&shop.operator).header("if-match", "*").send().await;
        edit(json!({ "assumeEmailVerified": true })).await.expect_problem(422, "invalid_request");
        let edited = edit(json!({ "assumeEmailVerified": true, "emailDomains": ["example.com"] })).await;
        assert_eq!(edited.expect(200).at("/assumeEmailVerified"), json!(true));
        edit(json!({ "emailDomains": [] })).await.expect_problem(422, "invalid_request");
        let session = sign_in(&world, &idp, &strict, silent.clone()).await;
        // What it says counts, and so does the domain.
        sign_in(&world, &idp, &strict, json!({ "email_verified": false })).await.expect_problem(401, "id_token_refused");
        world.somebody("ada@other.example", &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
        let foreign = json!({ "email_verified": null, "email": "ada@other.example", "sub": "other" });
        sign_in(&world, &idp, &strict, foreign).await.expect_problem(401, "id_token_refused");
        // An edit that takes it away ends what rested on it; one that adds a domain does not.
        let me = |session: &tests::Answer| world.get("/v1/me").bearer(&session.text("/accessToken")).send();
        edit(json!({ "emailDomains": ["example.com", "other.example"], "name": "Renamed" })).await.expect(200);
        me(&session).await.expect(200);
        edit(json!({ "assumeEmailVerified": false })).await.expect(200);
        me(&session).await.expect_problem(401, "access_token_invalid");
        let refresh = json!({ "refreshToken": session.text("/refreshToken") });
        world.post("/v1/access-tokens", refresh).send().await.expect_problem(401, "refresh_token_invalid");
        let body = json!({ "assumeEmailVerified": true });
        let refused = trust_answer(&world, &shop.operator, &shop.provider, body).await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/assumeEmailVerified");
    });
}

#[test]
fn a_session_goes_on_only_while_its_provider_would_still_vouch_for_it() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, idp, provider) = served(&world).await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        let session = sign_in(&world, &idp, &provider, json!({})).await;
        let refresh = async |answer: &tests::Answer| {
            world.post("/v1/access-tokens", json!({ "refreshToken": answer.text("/refreshToken") })).send().await
        };
        // A role that the provider cannot vouch for: the session does not open it, now or when it is refreshed.
        let sql = "INSERT INTO bindings (principal_id, role, organization_id) SELECT id, 'PROVIDER_ADMINISTRATOR', ?1 FROM people WHERE email = ?2";
        world.database().execute(sql, (&rival, EMAIL)).unwrap();
        let there = |answer: &tests::Answer| world.get("/v1/me").bearer(&answer.text("/accessToken")).acting_in(&rival).send();
        there(&session).await.expect_problem(404, "organization_not_found");
        let session = refresh(&session).await;
        world.get("/v1/me").bearer(&session.expect(201).text("/accessToken")).send().await.expect(200);
        there(&session).await.expect_problem(404, "organization_not_found");
        // It serves another organization now.
        world.database().execute("UPDATE identity_providers SET organization_id = ?1", [&rival]).unwrap();
        refresh(&session).await.expect_problem(401, "refresh_token_invalid");
        world.get("/v1/me").bearer(&session.text("/accessToken")).send().await.expect_problem(401, "access_token_invalid");
        assert_eq!(sessions(&world), 0);
    });
}

/// One that is added inside the customer vouches for nobody until the customer trusts it, and again when it was edited from above.
#[test]
fn a_customer_that_decides_for_itself_trusts_its_identity_provider_itself() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let idp = Idp::new(&world);
        let ada = world.somebody("ada@example.com", &[("CUSTOMER_ADMINISTRATOR", &shop.customer)]);
        let ada = world.person(&ada, &shop.customer).actor;
        let provider = trust(&world, &shop.operator, &shop.customer, json!({})).await;
        let path = format!("/v1/identity-providers/{provider}");
        let say = async |verb: &str, by: &tests::Actor| world.post(&format!("{path}/{verb}"), json!({})).by(by).send().await;
        let begin = async || {
            let begin =
                json!({ "identityProviderId": provider, "redirectUri": format!("https://console.example.com/{provider}") });
            world.post("/v1/sign-in/oidc", begin).send().await
        };
        assert_eq!(world.get(&path).by(&ada).send().await.expect(200).at("/awaitsCustomer"), json!(true));
        begin().await.expect_problem(404, "identity_provider_not_found");
        for by in [&shop.operator, &shop.admin] {
            say("trust", by).await.expect_problem(403, "customer_decides");
        }
        assert_eq!(say("trust", &ada).await.expect(200).at("/awaitsCustomer"), json!(false));
        let as_ada = || sign_in(&world, &idp, &provider, json!({ "email": "ada@example.com", "sub": "ada" }));
        let session = as_ada().await.expect(201).text("/accessToken");
        let edit = world.patch(&path, json!({ "clientId": "mine" })).by(&shop.operator).header("if-match", "*");
        assert_eq!(edit.send().await.expect(200).at("/awaitsCustomer"), json!(true));
        world.get("/v1/me").bearer(&session).send().await.expect_problem(401, "access_token_invalid");
        begin().await.expect_problem(404, "identity_provider_not_found");
        say("trust", &ada).await.expect(200);
        say("distrust", &ada).await.expect(200);
        begin().await.expect_problem(404, "identity_provider_not_found");
    });
}
