//! API tokens: issued, exchanged, regenerated, revoked, and never more than their owner.

use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

fn new(organization: &str, roles: &[&str]) -> Value {
    json!({ "name": "x", "organizationId": organization, "roles": roles })
}

async fn issue(world: &World, by: &Actor, organization: &str, roles: &[&str]) -> Answer {
    let issued = world.post("/v1/api-tokens", new(organization, roles)).by(by).send().await;
    issued.expect(201);
    issued
}

async fn exchange(world: &World, api_token: &str) -> Answer {
    world.post("/v1/access-tokens", json!({ "apiToken": api_token })).send().await
}

#[test]
fn a_revoked_token_ends_with_the_next_request() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let list = world.get("/v1/api-tokens").by(&shop.admin).send().await;
        let id = list.text("/items/0/id");
        assert_eq!(list.at("/items").as_array().unwrap().len(), 1);
        assert!(!list.json().to_string().contains("hubpt_"));
        world.delete(&format!("/v1/api-tokens/{id}")).by(&shop.operator).send().await.expect(204);
        world.get("/v1/me").by(&shop.admin).send().await.expect_problem(401, "access_token_invalid");
        let exchange = json!({ "apiToken": shop.admin.api_token });
        world.post("/v1/access-tokens", exchange).send().await.expect_problem(401, "api_token_invalid");
        world.delete(&format!("/v1/api-tokens/{id}")).by(&shop.operator).send().await.expect_problem(404, "api_token_not_found");
    });
}

#[test]
fn nobody_grants_more_than_they_may() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let grant = |role: &str, organization: &str| json!({ "name": "x", "organizationId": organization, "roles": [role] });
        let post = |body| world.post("/v1/api-tokens", body).by(&shop.admin).send();
        post(grant("OPERATOR_ADMINISTRATOR", &shop.provider)).await.expect_problem(403, "role_above_own");
        post(grant("DISTRIBUTOR_ADMINISTRATOR", &shop.provider)).await.expect_problem(403, "role_above_own");
        post(grant("CUSTOMER_USER", &shop.provider)).await.expect_problem(422, "invalid_request");
        post(grant("PROVIDER_BILLING_USER", &shop.provider)).await.expect(201);
        let mut past = grant("CUSTOMER_USER", &shop.customer);
        past["expiresAt"] = json!("2020-01-01T00:00:00Z");
        post(past).await.expect_problem(422, "invalid_request");
        let billing = world.actor(&shop.admin, &shop.provider, "PROVIDER_BILLING_USER").await;
        let denied = world.post("/v1/api-tokens", grant("CUSTOMER_USER", &shop.customer)).by(&billing).send().await;
        denied.expect_problem(403, "permission_missing");
    });
}

#[test]
fn an_access_token_ends_with_its_api_token_and_says_so() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"], "expiresAt": "2026-11-21T12:05:00Z" });
        let issued = world.post("/v1/api-tokens", body).by(&shop.admin).send().await;
        let access = world.post("/v1/access-tokens", json!({ "apiToken": issued.expect(201).text("/apiToken") })).send().await;
        access.expect(201);
        assert_eq!((access.text("/expiresAt").as_str(), access.at("/expiresIn")), ("2026-11-21T12:05:00.000Z", json!(300)));
        let me = || world.get("/v1/me").bearer(&access.text("/accessToken")).send();
        world.hub.clock().advance(std::time::Duration::from_secs(299)).await;
        me().await.expect(200);
        world.hub.clock().advance(std::time::Duration::from_secs(1)).await;
        me().await.expect_problem(401, "access_token_invalid");
    });
}

#[test]
fn the_first_token_is_given_again_until_it_was_used() {
    simulated(|| async {
        let world = World::new().await;
        let bootstrap =
            || world.post("/internal/bootstrap", json!({ "displayName": "Operator" })).bearer(tests::INTERNAL_SECRET).send();
        let (first, second) = (bootstrap().await, bootstrap().await);
        assert_eq!(first.text("/organization/id"), second.text("/organization/id"));
        let exchange =
            |answer: &tests::Answer| world.post("/v1/access-tokens", json!({ "apiToken": answer.text("/apiToken") })).send();
        exchange(&first).await.expect_problem(401, "api_token_invalid");
        exchange(&second).await.expect(201);
        bootstrap().await.expect_problem(409, "already_bootstrapped");
        // The operator revokes its last token; whoever runs the machine gets it back in.
        let operator = world.sign_in(&second.text("/apiToken"), "").await;
        let tokens = world.get("/v1/api-tokens").by(&operator).send().await;
        assert_eq!(tokens.at("/items").as_array().unwrap().len(), 1);
        let own = format!("/v1/api-tokens/{}", tokens.text("/items/0/id"));
        world.delete(&own).by(&operator).send().await.expect(204);
        world.get("/v1/me").by(&operator).send().await.expect_problem(401, "access_token_invalid");
        let third = bootstrap().await;
        third.expect(201);
        world.sign_in(&third.text("/apiToken"), "").await;
        bootstrap().await.expect_problem(409, "already_bootstrapped");
    });
}

#[test]
fn roles_add_up_and_are_all_of_the_kind_of_the_home() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let both = ["PROVIDER_BILLING_USER", "PROVIDER_ADMINISTRATOR", "PROVIDER_BILLING_USER"];
        let issued = issue(&world, &shop.operator, &shop.provider, &both).await;
        assert_eq!(issued.at("/roles"), json!(["PROVIDER_ADMINISTRATOR", "PROVIDER_BILLING_USER"]));
        let read = world.get(issued.header("location")).by(&shop.operator).send().await;
        assert_eq!(read.at("/roles"), issued.at("/roles"));
        assert_eq!(read.at("/apiToken"), Value::Null);
        let me = exchange(&world, &issued.text("/apiToken")).await;
        let me = world.get("/v1/me").bearer(&me.text("/accessToken")).send().await;
        assert_eq!(me.at("/roles").as_array().unwrap().len(), 2);
        let before = world.dump();
        for (roles, pointer) in [
            (json!([]), "/roles"),
            (json!(["PROVIDER_ADMINISTRATOR", "CUSTOMER_USER"]), "/roles/1"),
            (json!(["NOBODY"]), "/roles/0"),
            (json!(vec!["PROVIDER_ADMINISTRATOR"; 9]), "/roles"),
            (json!("PROVIDER_ADMINISTRATOR"), "/roles"),
        ] {
            let body = json!({ "name": "x", "organizationId": shop.provider, "roles": roles });
            let refused = world.post("/v1/api-tokens", body).by(&shop.operator).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer, "{roles}");
        }
        // One role above the own is enough.
        let above = new(&shop.provider, &["PROVIDER_BILLING_USER", "OPERATOR_ADMINISTRATOR"]);
        world.post("/v1/api-tokens", above).by(&shop.admin).send().await.expect_problem(403, "role_above_own");
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn the_list_says_who_owns_a_token() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let issued = issue(&world, &shop.admin, &shop.customer, &["CUSTOMER_USER"]).await;
        let me = world.get("/v1/me").by(&shop.admin).send().await;
        assert_eq!(
            (issued.at("/ownerId"), issued.text("/ownerName").as_str()),
            (me.at("/principalId"), "PROVIDER_ADMINISTRATOR")
        );
        let customer = world.actor(&shop.operator, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let listed = world.get("/v1/api-tokens").by(&customer).send().await;
        let listed = listed.at("/items");
        let listed = listed.as_array().unwrap().iter().find(|token| token["id"] == issued.at("/id")).unwrap();
        assert_eq!(listed["ownerId"], me.at("/principalId"));
        // What bootstrapping gave is nobody's.
        let all = world.get("/v1/api-tokens").by(&shop.operator).send().await.at("/items");
        let first = all.as_array().unwrap().iter().find(|token| token["name"] == "bootstrap").unwrap().clone();
        assert_eq!((&first["ownerId"], &first["ownerName"]), (&Value::Null, &Value::Null));
    });
}

#[test]
fn others_tokens_are_answered_like_missing_ones() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let theirs = issue(&world, &shop.admin, &shop.provider, &["PROVIDER_BILLING_USER"]).await;
        let before = world.dump();
        let unknown = "tok_01h455vb4pex5vsknk084sn02q";
        for id in [theirs.text("/id").as_str(), unknown] {
            let path = format!("/v1/api-tokens/{id}");
            let said = [
                world.get(&path).by(&rival).send().await,
                world.post(&format!("{path}/regenerate"), json!({})).by(&rival).send().await,
                world.delete(&path).by(&rival).send().await,
            ];
            for answer in said {
                answer.expect_problem(404, "api_token_not_found");
                assert!(answer.text("/detail").starts_with(&format!("There is no API token {id} in")), "{}", answer.json());
            }
        }
        assert_eq!(world.dump(), before);
        assert_eq!(world.get("/v1/api-tokens").by(&rival).send().await.at("/items").as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_regenerated_token_is_the_same_with_another_secret() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let issued = issue(&world, &shop.admin, &shop.provider, &["PROVIDER_BILLING_USER"]).await;
        let access = exchange(&world, &issued.text("/apiToken")).await.text("/accessToken");
        world.get("/v1/me").bearer(&access).send().await.expect(200);
        let path = format!("{}/regenerate", issued.header("location"));
        let again = world.post(&path, json!({})).by(&shop.operator).key("again").send().await;
        again.expect(200);
        assert_eq!((again.at("/id"), again.at("/roles")), (issued.at("/id"), issued.at("/roles")));
        // A credential does not become an owner by regenerating another.
        assert_eq!(again.at("/ownerId"), issued.at("/ownerId"));
        world.get("/v1/me").bearer(&access).send().await.expect_problem(401, "access_token_invalid");
        exchange(&world, &issued.text("/apiToken")).await.expect_problem(401, "api_token_invalid");
        exchange(&world, &again.text("/apiToken")).await.expect(201);
        // Sent again with its key, it gives the same secret and makes no other.
        let replayed = world.post(&path, json!({})).by(&shop.operator).key("again").send().await;
        assert_eq!(replayed.text("/apiToken"), again.text("/apiToken"));
        exchange(&world, &again.text("/apiToken")).await.expect(201);
        assert!(!world.dump().contains(&again.text("/apiToken")));
        // Who has the secret has the roles: nobody regenerates what may more than they.
        let above = issue(&world, &shop.operator, &shop.operator.organization, &["OPERATOR_ADMINISTRATOR"]).await;
        let path = format!("{}/regenerate", above.header("location"));
        world
            .post(&path, json!({}))
            .by(&shop.operator)
            .acting_in(&shop.provider)
            .send()
            .await
            .expect_problem(404, "api_token_not_found");
        world.post(&path, json!({})).by(&shop.operator).send().await.expect(200);
    });
}

#[test]
fn a_token_gets_itself_a_new_secret() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let id = world.get("/v1/me").by(&shop.admin).send().await.text("/principalId");
        let again = world.post(&format!("/v1/api-tokens/{id}/regenerate"), json!({})).by(&shop.admin).send().await;
        again.expect(200);
        assert_ne!(again.at("/ownerId"), json!(id));
        world.get("/v1/me").by(&shop.admin).send().await.expect_problem(401, "access_token_invalid");
        world.sign_in(&again.text("/apiToken"), &shop.provider).await;
    });
}

/// The old secret may have leaked, and whoever had it may have made something that outlives it.
#[test]
fn a_new_secret_ends_all_that_the_old_one_issued() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let child = world.actor(&shop.admin, &shop.provider, "PROVIDER_ADMINISTRATOR").await;
        let app = json!({ "name": "x", "organizationId": shop.provider, "roles": ["PROVIDER_BILLING_USER"] });
        let app = world.post("/v1/apps", app).by(&child).send().await;
        app.expect(201);
        let grandchild = world.actor(&child, &shop.provider, "PROVIDER_BILLING_USER").await;
        let elsewhere = world.actor(&shop.operator, &shop.provider, "PROVIDER_BILLING_USER").await;
        let id = world.get("/v1/me").by(&shop.admin).send().await.text("/principalId");
        let again = world.post(&format!("/v1/api-tokens/{id}/regenerate"), json!({})).by(&shop.operator).send().await;
        let admin = world.sign_in(&again.expect(200).text("/apiToken"), &shop.provider).await;
        for ended in [&shop.admin, &child, &grandchild] {
            world.get("/v1/me").by(ended).send().await.expect_problem(401, "access_token_invalid");
            exchange(&world, &ended.api_token).await.expect_problem(401, "api_token_invalid");
        }
        world.get(app.header("location")).by(&admin).send().await.expect_problem(404, "app_not_found");
        world.get("/v1/me").by(&elsewhere).send().await.expect(200);
        // An app's secret is no other matter.
        let app = json!({ "name": "x", "organizationId": shop.provider, "roles": ["PROVIDER_ADMINISTRATOR"] });
        let app = world.post("/v1/apps", app).by(&admin).send().await;
        let form =
            format!("grant_type=client_credentials&client_id={}&client_secret={}", app.text("/id"), app.text("/clientSecret"));
        let issued =
            world.call(http::Method::POST, "/v1/oauth/token").body("application/x-www-form-urlencoded", form).send().await;
        let by = tests::Actor {
            access_token: issued.expect(200).text("/access_token"),
            api_token: String::new(),
            organization: shop.provider.clone(),
        };
        let child = world.actor(&by, &shop.provider, "PROVIDER_BILLING_USER").await;
        world.post(&format!("{}/regenerate", app.header("location")), json!({})).by(&admin).send().await.expect(200);
        for ended in [&by, &child] {
            world.get("/v1/me").by(ended).send().await.expect_problem(401, "access_token_invalid");
        }
    });
}

#[test]
fn what_a_token_owns_ends_with_it_however_far_down() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let child = world.actor(&shop.admin, &shop.provider, "PROVIDER_ADMINISTRATOR").await;
        let grandchild = world.actor(&child, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let app = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
        let app = world.post("/v1/apps", app).by(&grandchild).send().await;
        app.expect(201);
        let other = world.actor(&shop.operator, &shop.customer, "CUSTOMER_USER").await;
        let child_id = world.get("/v1/me").by(&child).send().await.text("/principalId");
        world.delete(&format!("/v1/api-tokens/{child_id}")).by(&shop.admin).send().await.expect(204);
        for ended in [&child, &grandchild] {
            world.get("/v1/me").by(ended).send().await.expect_problem(401, "access_token_invalid");
            exchange(&world, &ended.api_token).await.expect_problem(401, "api_token_invalid");
        }
        world.get(app.header("location")).by(&shop.operator).send().await.expect_problem(404, "app_not_found");
        world.get("/v1/me").by(&other).send().await.expect(200);
        world.get("/v1/me").by(&shop.admin).send().await.expect(200);
        assert_eq!(world.count("SELECT COUNT(*) FROM bindings b WHERE NOT EXISTS (SELECT 1 FROM api_tokens t WHERE t.id = b.principal_id AND t.revoked_at IS NULL)"), 0);
    });
}

#[test]
fn what_a_token_owns_ends_with_it_however_much_it_is() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let both = &["PROVIDER_ADMINISTRATOR", "PROVIDER_BILLING_USER"];
        let owner = issue(&world, &shop.operator, &shop.provider, both).await;
        let owner_path = owner.header("location").to_owned();
        let owner = world.sign_in(&owner.text("/apiToken"), &shop.provider).await;
        // More roles than one statement looks at.
        for _ in 0..130 {
            issue(&world, &owner, &shop.provider, both).await;
        }
        let left = "SELECT COUNT(*) FROM api_tokens WHERE revoked_at IS NULL";
        assert_eq!(world.count(left), 133);
        world.delete(&owner_path).by(&shop.operator).send().await.expect(204);
        assert_eq!(world.count(left), 2, "the bootstrap token and the provider's administrator");
        assert_eq!(world.count("SELECT COUNT(*) FROM bindings"), 2);
    });
}

#[test]
fn a_credential_loses_what_its_owner_loses_at_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let both = &["PROVIDER_ADMINISTRATOR", "PROVIDER_BILLING_USER"];
        // Somebody else remains who runs the provider.
        world.member(&shop.operator, &shop.provider, "grace@example.com", &["PROVIDER_ADMINISTRATOR"]).await;
        let ada = world.member(&shop.operator, &shop.provider, "ada@example.com", both).await;
        let token = issue(&world, &ada.actor, &shop.provider, both).await;
        let token = world.sign_in(&token.text("/apiToken"), &shop.provider).await;
        let below = world.sign_in(&issue(&world, &token, &shop.provider, both).await.text("/apiToken"), &shop.provider).await;
        let gone = world
            .sign_in(&issue(&world, &token, &shop.customer, &["CUSTOMER_ADMINISTRATOR"]).await.text("/apiToken"), &shop.customer)
            .await;
        let app = json!({ "name": "x", "organizationId": shop.provider, "roles": ["PROVIDER_BILLING_USER"] });
        let app = world.post("/v1/apps", app).by(&ada.actor).send().await.expect(201).header("location").to_owned();
        let mine = async |actor: &Actor| {
            let again = world.sign_in(&actor.api_token, &actor.organization).await;
            world.get("/v1/me").by(&again).send().await.at("/roles")
        };
        let change = json!({ "organizationId": shop.provider, "personIds": [ada.id], "removeRoles": ["PROVIDER_ADMINISTRATOR"] });
        let changed = world.patch("/v1/members", change).by(&shop.operator).send().await;
        assert_eq!(changed.expect(207).at("/failed"), json!([]));
        // With the next request, in the same transaction, and however far down.
        for narrowed in [&token, &below] {
            world.get("/v1/me").by(narrowed).send().await.expect_problem(401, "access_token_invalid");
            assert_eq!(mine(narrowed).await, json!(["PROVIDER_BILLING_USER"]));
        }
        exchange(&world, &gone.api_token).await.expect_problem(401, "api_token_invalid");
        world.get(&app).by(&shop.operator).send().await.expect(200);
        let path = format!("/v1/members/{}?organizationId={}", ada.id, shop.provider);
        world.delete(&path).by(&shop.operator).send().await.expect(204);
        for ended in [&token, &below] {
            exchange(&world, &ended.api_token).await.expect_problem(401, "api_token_invalid");
        }
        world.get(&app).by(&shop.operator).send().await.expect_problem(404, "app_not_found");
        // The provider's own token is nobody's of these.
        exchange(&world, &shop.admin.api_token).await.expect(201);
    });
}

#[test]
fn a_token_ends_no_later_than_the_one_that_asked_for_it() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let mut body = new(&shop.provider, &["PROVIDER_ADMINISTRATOR"]);
        body["expiresAt"] = json!("2026-12-01T00:00:00.000Z");
        let short = world.post("/v1/api-tokens", body.clone()).by(&shop.operator).send().await;
        let short = world.sign_in(&short.expect(201).text("/apiToken"), &shop.provider).await;
        assert_eq!(
            issue(&world, &short, &shop.provider, &["PROVIDER_ADMINISTRATOR"]).await.text("/expiresAt"),
            "2026-12-01T00:00:00.000Z"
        );
        body["expiresAt"] = json!("2026-12-01T00:00:00.001Z");
        let refused = world.post("/v1/api-tokens", body).by(&short).send().await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/expiresAt");
    });
}

#[test]
fn signing_out_ends_the_access_token_and_no_other() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let other = exchange(&world, &shop.admin.api_token).await.text("/accessToken");
        world.delete("/v1/access-tokens/current").by(&shop.admin).send().await.expect(204);
        world.get("/v1/me").by(&shop.admin).send().await.expect_problem(401, "access_token_invalid");
        world.get("/v1/me").bearer(&other).send().await.expect(200);
        world.delete("/v1/access-tokens/current").send().await.expect_problem(401, "access_token_missing");
    });
}

#[test]
fn exactly_one_credential_is_exchanged() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        for body in
            [json!({}), json!({ "apiToken": operator.api_token, "refreshToken": "hubrt_a.b" }), json!({ "apiToken": null })]
        {
            world.post("/v1/access-tokens", body).send().await.expect_problem(422, "invalid_request");
        }
        for wrong in ["x", "hubrt_", "hubrt_a", "hubrt_a.b", "hubrt_."] {
            let refused = world.post("/v1/access-tokens", json!({ "refreshToken": wrong })).send().await;
            refused.expect_problem(401, "refresh_token_invalid");
        }
    });
}

#[test]
fn nobody_revokes_what_is_above_them_but_what_is_theirs() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let developer = world.actor(&shop.operator, &shop.provider, "PROVIDER_DEVELOPER").await;
        let above = world.get("/v1/me").by(&shop.admin).send().await.text("/principalId");
        let revoke = |id: &str, by: &Actor| world.delete(&format!("/v1/api-tokens/{id}")).by(by).send();
        revoke(&above, &developer).await.expect_problem(403, "role_above_own");
        world.get("/v1/me").by(&shop.admin).send().await.expect(200);
        // What somebody owns they can end, and a token itself.
        let own = issue(&world, &developer, &shop.provider, &["PROVIDER_DEVELOPER"]).await.text("/id");
        revoke(&own, &developer).await.expect(204);
        let itself = world.get("/v1/me").by(&developer).send().await.text("/principalId");
        revoke(&itself, &developer).await.expect(204);
        revoke(&above, &shop.operator).await.expect(204);
    });
}

#[test]
fn a_role_of_bound_customers_is_no_tokens() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = new(&shop.provider, &["PROVIDER_BILLING_USER", "PROVIDER_ACCOUNT_ADMINISTRATOR"]);
        for path in ["/v1/api-tokens", "/v1/apps"] {
            let refused = world.post(path, body.clone()).by(&shop.admin).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/roles/1");
        }
    });
}

#[test]
fn what_an_ended_app_set_going_does_not_count() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let mut body = new(&shop.provider, &["PROVIDER_ADMINISTRATOR"]);
        body["expiresAt"] = json!("2026-11-21T13:00:00Z");
        let app = world.post("/v1/apps", body).by(&shop.admin).send().await;
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            app.expect(201).text("/id"),
            app.text("/clientSecret")
        );
        let token =
            world.call(http::Method::POST, "/v1/oauth/token").body("application/x-www-form-urlencoded", form).send().await;
        let body = json!({ "roles": ["PROVIDER_BILLING_USER"], "people": [{ "email": "ada@example.com" }] });
        let invited = world.post("/v1/members", body).bearer(&token.expect(200).text("/access_token")).send().await;
        world.hub.clock().advance(std::time::Duration::from_secs(3600)).await;
        let secret = json!({ "secret": invited.expect(207).text("/succeeded/invited/0/secret") });
        world.post("/v1/member-invitations/accept", secret).send().await.expect_problem(403, "invitation_void");
    });
}
