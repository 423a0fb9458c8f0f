//! Organizations: the tree, who sees what of it, edits, lists; and the tokens and contracts that live in it.

use serde_json::json;
use tests::{World, simulated};

#[test]
fn the_tree_takes_only_kinds_of_a_lower_rank() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let distributor = world.organization(&operator, "DISTRIBUTOR", "Northwind", None).await;
        let reseller = world.organization(&operator, "RESELLER", "Tailspin", Some(&distributor)).await;
        let provider = world.organization(&operator, "PROVIDER", "Contoso", Some(&reseller)).await;
        let customer = world.organization(&operator, "CUSTOMER", "Fabrikam", Some(&provider)).await;
        for (kind, parent) in [
            ("OPERATOR", &operator.organization),
            ("CUSTOMER", &operator.organization),
            ("CUSTOMER", &distributor),
            ("DISTRIBUTOR", &provider),
            ("PROVIDER", &provider),
            ("CUSTOMER", &customer),
        ] {
            let body = json!({ "kind": kind, "parentId": parent, "displayName": "X", "companyName": "X", "country": "US", "currency": "USD" });
            let answer = world.post("/v1/organizations", body).by(&operator).send().await;
            answer.expect_problem(422, "invalid_request");
            assert_eq!(answer.at("/errors/0/pointer"), "/kind");
        }
    });
}

#[test]
fn nobody_sees_or_touches_what_is_not_below_them() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival_admin = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let customer_admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let before = world.dump();
        let unknown = "org_01h455vb4pex5vsknk084sn02q";
        for (actor, others) in [
            (&rival_admin, vec![&shop.customer, &shop.provider, &shop.operator.organization]),
            (&customer_admin, vec![&shop.provider, &rival, &shop.operator.organization]),
        ] {
            for other in others {
                let path = format!("/v1/organizations/{other}");
                let hidden = world.get(&path).by(actor).send().await;
                hidden.expect_problem(404, "organization_not_found");
                // Word for word what is said of an organization that is not there at all.
                let absent = world.get(&format!("/v1/organizations/{unknown}")).by(actor).send().await;
                assert_eq!(hidden.text("/detail").replace(other, unknown), absent.text("/detail"));
                world.get("/v1/me").by(actor).acting_in(other).send().await.expect_problem(404, "organization_not_found");
            }
        }
        world
            .patch(&format!("/v1/organizations/{}", shop.customer), json!({ "tag": "mine" }))
            .by(&rival_admin)
            .header("if-match", "*")
            .send()
            .await
            .expect_problem(404, "organization_not_found");
        let steal = json!({ "name": "x", "organizationId": shop.customer, "role": "CUSTOMER_USER" });
        world.post("/v1/api-tokens", steal).by(&rival_admin).send().await.expect_problem(404, "organization_not_found");
        let below = json!({ "kind": "CUSTOMER", "parentId": shop.provider, "displayName": "X", "companyName": "X", "country": "US", "currency": "USD" });
        world.post("/v1/organizations", below).by(&rival_admin).send().await.expect_problem(404, "organization_not_found");
        assert_eq!(world.dump(), before);
        let seen = world.get("/v1/organizations").by(&rival_admin).send().await;
        assert_eq!(seen.at("/items").as_array().unwrap().len(), 1);
    });
}

#[test]
fn an_administrator_reaches_down_and_may_act_below() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let me = world.get("/v1/me").by(&shop.admin).acting_in(&shop.customer).send().await;
        me.expect(200);
        assert_eq!((me.at("/organizationId"), me.at("/actingOrganizationId")), (json!(shop.provider), json!(shop.customer)));
        // Acting in the customer, the provider itself is out of reach.
        let up =
            world.get(&format!("/v1/organizations/{}", shop.provider)).by(&shop.admin).acting_in(&shop.customer).send().await;
        up.expect_problem(404, "organization_not_found");
    });
}

#[test]
fn an_edit_needs_the_state_it_edits() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = format!("/v1/organizations/{}", shop.customer);
        let read = world.get(&path).by(&shop.admin).send().await;
        assert_eq!(read.header("etag"), "\"1\"");
        let edit = |tag: &str| world.patch(&path, json!({ "tag": tag })).by(&shop.admin);
        edit("a").send().await.expect_problem(428, "if_match_required");
        let edited = edit("a").header("if-match", "\"1\"").send().await;
        edited.expect(200);
        assert_eq!((edited.header("etag"), edited.text("/tag").as_str()), ("\"2\"", "a"));
        for stale in ["\"1\"", "\"99\"", "2", "W/\"2\"", "nonsense", ""] {
            edit("b").header("if-match", stale).send().await.expect_problem(412, "stale");
        }
        assert_eq!(world.get(&path).by(&shop.admin).send().await.text("/tag"), "a");
        edit("c").header("if-match", "*").send().await.expect(200);
    });
}

#[test]
fn of_two_edits_of_one_state_one_is_stale() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = format!("/v1/organizations/{}", shop.customer);
        let edit = |tag: &str| world.patch(&path, json!({ "tag": tag })).by(&shop.admin).header("if-match", "\"1\"").send();
        let (one, other) = futures::future::join(edit("a"), edit("b")).await;
        let mut statuses = [one.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
    });
}

#[test]
fn pages_show_everything_once() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        for number in 0..24 {
            world.organization(&shop.admin, "CUSTOMER", &format!("Customer {number}"), None).await;
        }
        let mut next = Some("/v1/organizations?kind=CUSTOMER&limit=7".to_owned());
        let (mut seen, mut pages) = (Vec::new(), 0);
        while let Some(path) = next {
            let page = world.get(&path).by(&shop.admin).send().await;
            page.expect(200);
            pages += 1;
            seen.extend(page.at("/items").as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            next = page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
            assert_eq!(next.is_some(), page.at("/nextCursor").is_string());
        }
        assert_eq!((seen.len(), pages), (25, 4));
        assert!(seen.is_sorted());
        seen.dedup();
        assert_eq!(seen.len(), 25);
        let below = world.get(&format!("/v1/organizations?parentId={}", shop.provider)).by(&shop.operator).send().await;
        assert_eq!(below.at("/items").as_array().unwrap().len(), 25);
    });
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
        let grant = |role: &str, organization: &str| json!({ "name": "x", "organizationId": organization, "role": role });
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
fn a_contract_waits_for_its_effective_date_and_then_is_in_force_once() {
    simulated(|| async {
        let mut world = World::new().await;
        let shop = world.shop().await;
        let body = json!({
            "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-11-22", "currency": "USD"
        });
        world.post("/v1/contracts", body.clone()).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let drawn = world.post("/v1/contracts", body).by(&shop.operator).send().await;
        drawn.expect(201);
        assert_eq!(drawn.text("/status"), "PENDING_APPROVAL");
        let path = drawn.header("location").to_owned();
        let approve = format!("{path}/approve");
        world.post(&approve, json!({})).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let approved = world.post(&approve, json!({})).by(&shop.operator).send().await;
        assert_eq!(approved.text("/status"), "PENDING_EFFECTIVE_DATE");
        world.post(&approve, json!({})).by(&shop.operator).send().await.expect_problem(409, "contract_not_pending_approval");
        assert_eq!(world.hub.tick().await.unwrap(), Some(12 * 3600 * 1000));
        world.restart().await;
        world.hub.clock().advance(std::time::Duration::from_secs(12 * 3600)).await;
        world.settle().await;
        let operator = world.sign_in(&shop.operator.api_token, &shop.operator.organization).await;
        assert_eq!(world.get(&path).by(&operator).send().await.text("/status"), "ACTIVE");
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

#[test]
fn a_contract_is_offered_by_the_operator_or_a_distributor() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let distributor = world.organization(&shop.operator, "DISTRIBUTOR", "Northwind", None).await;
        let reseller = world.organization(&shop.operator, "RESELLER", "Tailspin", Some(&distributor)).await;
        let provider = world.organization(&shop.operator, "PROVIDER", "Adatum", Some(&reseller)).await;
        let body = json!({
            "providerId": provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-10-01", "currency": "USD"
        });
        let before = world.dump();
        // The operator may do everything everywhere, but nobody commits to anything with itself or with what is above it.
        for place in [&reseller, &provider] {
            let drawn = world.post("/v1/contracts", body.clone()).by(&shop.operator).acting_in(place).send().await;
            drawn.expect_problem(403, "not_an_issuer");
        }
        assert_eq!(world.dump(), before);
        for issuer in [&distributor, &shop.operator.organization] {
            let drawn = world.post("/v1/contracts", body.clone()).by(&shop.operator).acting_in(issuer).send().await;
            assert_eq!(drawn.expect(201).text("/issuerId"), *issuer);
        }
    });
}

#[test]
fn days_and_instants_out_of_reach_are_refused_by_name() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = world.dump();
        for day in
            ["0001-01-01", "1999-12-31", "3000-01-01", "9999-12-31", "+262142-12-31", "-0001-01-01", "2026-1-1", "2026-02-30", ""]
        {
            let body = json!({
                "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": day, "currency": "USD"
            });
            let refused = world.post("/v1/contracts", body).by(&shop.operator).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/effectiveDate", "{day}");
        }
        for end in [
            "9999-12-31T23:59:59Z",
            "+262142-12-31T23:59:59Z",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-06-30T23:59:60Z",
            // What is stored has milliseconds, and nothing is cut off in silence.
            "2030-01-01T00:00:00.123456Z",
        ] {
            let body = json!({ "name": "x", "organizationId": shop.customer, "role": "CUSTOMER_USER", "expiresAt": end });
            let refused = world.post("/v1/api-tokens", body).by(&shop.admin).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/expiresAt", "{end}");
        }
        assert_eq!(world.dump(), before);
        let body = json!({ "name": "x", "organizationId": shop.customer, "role": "CUSTOMER_USER", "expiresAt": "2030-01-01T01:00:00.25+01:00" });
        let issued = world.post("/v1/api-tokens", body).by(&shop.admin).send().await;
        assert_eq!(issued.expect(201).text("/expiresAt"), "2030-01-01T00:00:00.250Z");
        let listed = world.get("/v1/api-tokens").by(&shop.admin).acting_in(&shop.customer).send().await;
        assert_eq!(listed.text("/items/0/expiresAt"), "2030-01-01T00:00:00.250Z");
    });
}

#[test]
fn an_access_token_ends_with_its_api_token_and_says_so() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = json!({ "name": "x", "organizationId": shop.customer, "role": "CUSTOMER_USER", "expiresAt": "2026-11-21T12:05:00.000Z" });
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
