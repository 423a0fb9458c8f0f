//! Organizations: the tree, who sees what of it, edits, lists, what disabling and removing does; and the tokens that live in it.

use serde_json::{Value, json};
use tests::{Actor, Shop, World, simulated};

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
        let steal = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
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
        let session = world.let_act(&shop.admin, &shop.customer).await;
        let me = world.get("/v1/me").by(&shop.admin).acting_in(&shop.customer).send().await;
        assert_eq!(me.expect(200).at("/actingSessionId"), json!(session));
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
fn days_and_instants_out_of_reach_are_refused_by_name() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = world.dump();
        for day in
            ["0001-01-01", "1999-12-31", "3000-01-01", "9999-12-31", "+262142-12-31", "-0001-01-01", "2026-1-1", "2026-02-30", ""]
        {
            let body = json!({
                "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": day, "currency": "USD", "threshold": { "minorUnits": 100000, "currency": "USD" }
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
            let body = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"], "expiresAt": end });
            let refused = world.post("/v1/api-tokens", body).by(&shop.admin).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/expiresAt", "{end}");
        }
        assert_eq!(world.dump(), before);
        let body = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"], "expiresAt": "2030-01-01T01:00:00.25+01:00" });
        let issued = world.post("/v1/api-tokens", body).by(&shop.admin).send().await;
        assert_eq!(issued.expect(201).text("/expiresAt"), "2030-01-01T00:00:00.250Z");
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let listed = world.get("/v1/api-tokens").by(&customer).send().await;
        assert_eq!(listed.text("/items/0/expiresAt"), "2030-01-01T00:00:00.250Z");
    });
}

#[test]
fn an_access_token_ends_with_its_api_token_and_says_so() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"], "expiresAt": "2026-11-21T12:05:00.000Z" });
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

/// A customer of the shop of which this is said.
async fn customer(world: &World, shop: &Shop, more: Value) -> tests::Answer {
    let mut body = json!({ "kind": "CUSTOMER", "displayName": "X", "companyName": "X Ltd.", "country": "US", "currency": "USD" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.post("/v1/organizations", body).by(&shop.admin).send().await
}

async fn patch(world: &World, by: &Actor, id: &str, patch: Value) -> tests::Answer {
    world.patch(&format!("/v1/organizations/{id}"), patch).by(by).header("if-match", "*").send().await
}

/// The display names of a list.
async fn names(world: &World, by: &Actor, query: &str) -> Vec<String> {
    let listed = world.get(&format!("/v1/organizations?{query}")).by(by).send().await;
    let items = listed.expect(200).at("/items");
    items.as_array().unwrap().iter().map(|item| item["displayName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_organization_keeps_all_that_is_said_of_it_and_clears_what_is_cleared() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let said = json!({
            "displayName": "Éclair", "description": "Cakes", "state": "georgia", "city": "Atlanta", "zip": "30301",
            "addressLine1": "1 Main St", "addressLine2": "Floor 2", "domain": "eclair.example", "tag": "a", "tenantType": "INTERNAL",
            "alternateContact": { "name": "Ada", "email": "Ada@Example.com" }
        });
        let made = customer(&world, &shop, said.clone()).await;
        made.expect(201);
        let id = made.text("/id");
        let mut shown = said.clone();
        shown["state"] = json!("GA");
        shown["alternateContact"]["email"] = json!("ada@example.com");
        for (field, value) in shown.as_object().unwrap() {
            assert_eq!(made.at(&format!("/{field}")), *value, "{field}");
        }
        assert_eq!(world.get(&format!("/v1/organizations/{id}")).by(&shop.admin).send().await.json(), made.json());

        // RFC 7396: what is left out stays, null clears, objects are merged.
        let edited =
            patch(&world, &shop.admin, &id, json!({ "tag": null, "city": "Augusta", "alternateContact": { "name": "Eve" } }))
                .await;
        edited.expect(200);
        assert_eq!(
            (edited.at("/tag"), edited.text("/city").as_str(), edited.text("/zip").as_str()),
            (Value::Null, "Augusta", "30301")
        );
        assert_eq!(edited.at("/alternateContact"), json!({ "name": "Eve", "email": "ada@example.com" }));
        let cleared = patch(&world, &shop.admin, &id, json!({ "alternateContact": null, "state": null })).await;
        assert_eq!((cleared.expect(200).at("/alternateContact"), cleared.at("/state")), (Value::Null, Value::Null));

        let before = world.dump();
        for (patched, pointer) in [
            (json!({ "displayName": null }), "/displayName"),
            (json!({ "id": "x" }), "/id"),
            (json!({ "status": "ACTIVE" }), "/status"),
            (json!({ "kind": "PROVIDER" }), "/kind"),
            (json!({ "parentId": shop.operator.organization }), "/parentId"),
            (json!({ "currency": "EUR" }), "/currency"),
            (json!({ "providerStatus": "PAID" }), "/providerStatus"),
            (json!({ "state": "Bavaria" }), "/state"),
            (json!({ "country": "CA", "state": "GA" }), "/state"),
            (json!({ "alternateContact": { "name": "Eve" } }), "/alternateContact/email"),
            (json!({ "zip": "x".repeat(21) }), "/zip"),
        ] {
            let refused = patch(&world, &shop.admin, &id, patched.clone()).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer, "{patched}: {}", refused.json());
        }
        for (body, code) in [("[]", 422), ("{", 400), ("1", 422), ("{} {}", 400)] {
            let path = format!("/v1/organizations/{id}");
            let call = world.call(http::Method::PATCH, &path).by(&shop.admin).header("if-match", "*");
            assert_eq!(call.body("application/merge-patch+json", body).send().await.status(), code, "{body}");
        }
        assert_eq!(world.dump(), before);
        // A state from before there was a rule for it does not keep the rest from being edited.
        world.database().execute("UPDATE organizations SET state = 'Somewhere' WHERE id = ?1", [&id]).unwrap();
        assert_eq!(patch(&world, &shop.admin, &id, json!({ "tag": "b" })).await.expect(200).text("/state"), "Somewhere");
    });
}

#[test]
fn kinds_have_their_own_traits_and_a_provider_does_not_say_that_it_pays() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        for (more, pointer) in [
            (json!({ "providerStatus": "TRIAL" }), "/providerStatus"),
            (json!({ "providerType": "STANDARD" }), "/providerType"),
            (json!({ "partnerTypes": ["RESELLER"] }), "/partnerTypes"),
            (json!({ "tenantType": "INTENRAL" }), "/tenantType"),
            (json!({ "mainProviderId": shop.provider }), "/mainProviderId"),
        ] {
            let refused = customer(&world, &shop, more).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer);
        }
        let trial =
            patch(&world, &shop.operator, &shop.provider, json!({ "providerStatus": "TRIAL", "partnerTypes": ["PARTNER"] }))
                .await;
        assert_eq!(
            (trial.expect(200).text("/providerStatus").as_str(), trial.at("/partnerTypes")),
            ("TRIAL", json!(["PARTNER"]))
        );
        patch(&world, &shop.admin, &shop.provider, json!({ "providerStatus": "PAID" }))
            .await
            .expect_problem(403, "decided_from_above");
        patch(&world, &shop.admin, &shop.provider, json!({ "tag": "mine" })).await.expect(200);
    });
}

#[test]
fn lists_are_filtered_and_each_filter_has_its_index() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        for (name, country, tag) in [("Ábaco", "MX", "x"), ("abacus", "US", "y"), ("Beta", "US", "x")] {
            world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
            customer(&world, &shop, json!({ "displayName": name, "country": country, "tag": tag })).await.expect(201);
            world.hub.clock().advance(std::time::Duration::from_secs(60)).await;
        }
        let parent = format!("parentId={}", shop.provider);
        for (query, found) in [
            ("country=MX", vec!["Ábaco"]),
            ("tag=x", vec!["Ábaco", "Beta"]),
            ("tag=x&country=US", vec!["Beta"]),
            ("kind=CUSTOMER", vec!["Fabrikam", "Ábaco", "abacus", "Beta"]),
            ("name=ABAC", vec!["Ábaco", "abacus"]),
            ("name=abac&limit=1", vec!["Ábaco"]),
            ("name=zeta", vec![]),
            ("createdAfter=2026-11-21T12:01:00Z", vec!["abacus", "Beta"]),
            ("status=ACTIVE&kind=CUSTOMER&tag=y", vec!["abacus"]),
            ("status=DISABLED", vec![]),
            ("status=REMOVED", vec![]),
            (&*format!("tag=x&{parent}"), vec!["Ábaco", "Beta"]),
            (&*format!("tag=x&country=US&{parent}"), vec!["Beta"]),
            (&*format!("country=US&{parent}"), vec!["Fabrikam", "abacus", "Beta"]),
            (&*format!("country=US&parentId={}", shop.customer), vec![]),
            (&*format!("country=US&createdAfter=2026-11-21T12:01:00Z&{parent}"), vec!["abacus", "Beta"]),
        ] {
            assert_eq!(names(&world, &shop.admin, query).await, found, "{query}");
        }
        assert_eq!(names(&world, &shop.operator, &format!("name=b&{parent}")).await, ["Beta"]);
        // Directly below the operator stands only the provider.
        assert_eq!(names(&world, &shop.operator, "name=b").await.len(), 0);
        world.get("/v1/organizations?color=red").by(&shop.admin).send().await.expect_problem(400, "bad_query");

        let (mut next, mut seen) = (Some("/v1/organizations?name=a&limit=1".to_owned()), Vec::new());
        while let Some(path) = next {
            let page = world.get(&path).by(&shop.admin).send().await;
            seen.extend(page.expect(200).at("/items").as_array().unwrap().iter().map(|item| item["displayName"].clone()));
            next = page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
        }
        assert_eq!(seen, ["Ábaco", "abacus"]);

        // What the database does for each: no sorting, and through the index that is meant.
        for (query, index) in [
            ("limit=1", "organizations_here"),
            (parent.as_str(), "organizations_parent"),
            ("tag=x", "organizations_tag"),
            ("country=US&kind=CUSTOMER", "organizations_country"),
            ("country=US&kind=PROVIDER", "organizations_kind"),
            (&*format!("tag=x&{parent}"), "organizations_tag"),
            (&*format!("country=MX&{parent}"), "organizations_country"),
            (&*format!("status=DISABLED&{parent}"), "organizations_disabled"),
            (&*format!("kind=CUSTOMER&{parent}"), "organizations_parent"),
            ("kind=CUSTOMER&tag=x", "organizations_tag"),
            ("kind=CUSTOMER", "organizations_kind"),
            ("name=a", "organizations_name"),
            ("createdAfter=2026-11-21T12:01:00Z", "organizations_parent"),
            ("status=DISABLED", "organizations_disabled"),
            ("status=REMOVED", "organizations_removed"),
        ] {
            let seen = world.hub.host_calls().len();
            names(&world, &shop.admin, query).await;
            let calls = world.hub.host_calls();
            let sql = calls[seen..].iter().map(|call| &call.detail).find(|sql| sql.contains("main_provider_id")).unwrap().clone();
            let database = world.database();
            let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = statement.parameter_count();
            let rows =
                statement.query_map(rusqlite::params_from_iter(vec!["x"; parameters]), |row| row.get::<_, String>(3)).unwrap();
            let plan = rows.map(|row| row.unwrap()).collect::<Vec<_>>().join("; ");
            assert!(plan.contains(&format!("INDEX {index} ")) && !plan.contains("TEMP B-TREE"), "{query}: {plan}");
        }
    });
}

#[test]
fn disabling_binds_the_subtree_and_enabling_frees_what_nothing_else_binds() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let distributor = world.organization(&operator, "DISTRIBUTOR", "D", None).await;
        let mut places = vec![distributor.clone()];
        for (kind, above) in [("PROVIDER", 0), ("CUSTOMER", 1), ("PROVIDER", 0), ("CUSTOMER", 3), ("CUSTOMER", 1)] {
            let above = places[above].clone();
            places.push(world.organization(&operator, kind, kind, Some(&above)).await);
        }
        let admin = world.actor(&operator, &places[1], "PROVIDER_ADMINISTRATOR").await;
        let seller = world.actor(&operator, &distributor, "DISTRIBUTOR_ADMINISTRATOR").await;
        let status = async || -> String {
            let mut found = String::new();
            for place in &places {
                let read = world.get(&format!("/v1/organizations/{place}")).by(&operator).send().await;
                let by = read.expect(200).at("/disabledBy");
                assert_eq!(by.is_null(), read.text("/status") == "ACTIVE");
                found += &places.iter().position(|place| by == *place).map_or("-".into(), |index| index.to_string());
            }
            found
        };
        let set = async |by: &Actor, place: usize, what: &str| {
            world.post(&format!("/v1/organizations/{}/{what}", places[place]), json!({})).by(by).send().await
        };
        // The first is read twice: with no second query each request answers from the caller's own row.
        world.get("/v1/me").by(&admin).send().await.expect(200);
        set(&seller, 1, "disable").await.expect(200);
        assert_eq!(status().await, "-11--1");
        world.get("/v1/me").by(&admin).send().await.expect_problem(403, "organization_disabled");
        let below = world.get("/v1/me").by(&operator).acting_in(&places[2]).send().await;
        below.expect_problem(403, "organization_disabled");
        // What is created below it is bound as well, and nothing is begun in it.
        let body = json!({ "kind": "CUSTOMER", "parentId": places[1], "displayName": "X", "companyName": "X", "country": "US", "currency": "USD" });
        world.post("/v1/organizations", body).by(&operator).send().await.expect_problem(409, "organization_disabled");

        set(&operator, 0, "disable").await.expect(200);
        assert_eq!(status().await, "000000");
        world.get("/v1/me").by(&seller).send().await.expect_problem(403, "organization_disabled");
        set(&operator, 4, "disable").await.expect(200);
        set(&operator, 2, "disable").await.expect(200);
        assert_eq!(status().await, "000000");
        set(&operator, 2, "enable").await.expect(200);
        set(&operator, 0, "enable").await.expect(200);
        assert_eq!(status().await, "-11-41");
        set(&operator, 0, "disable").await.expect(200);
        // Enabled meanwhile by itself, it is bound from above all the same.
        let still = set(&operator, 1, "enable").await;
        assert_eq!(still.expect(200).at("/disabledBy"), json!(distributor));
        set(&operator, 0, "enable").await.expect(200);
        assert_eq!(status().await, "----4-");
        set(&operator, 4, "enable").await.expect(200);
        assert_eq!(status().await, "------");
        world.get("/v1/me").by(&admin).send().await.expect(200);
        // Nobody shuts themselves out, nor anybody who is not below them.
        set(&admin, 1, "disable").await.expect_problem(403, "decided_from_above");
        set(&admin, 0, "disable").await.expect_problem(404, "organization_not_found");
        set(&admin, 4, "disable").await.expect_problem(404, "organization_not_found");
    });
}

#[test]
fn who_acts_is_known_from_as_many_statements_as_ever() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        // The first request of an instance looks at the schema too.
        world.get("/v1/roles").by(&shop.admin).send().await.expect(200);
        let seen = world.hub.host_calls().len();
        world.get("/v1/roles").by(&shop.admin).send().await.expect(200);
        let sql = world.hub.host_calls()[seen..].iter().filter(|call| call.kind == host::Kind::Sql).count();
        assert_eq!(sql, 1);
    });
}

#[test]
fn what_is_still_needed_is_not_removed_and_what_is_removed_can_still_be_named() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let remove = async |by: &Actor, id: &str| world.delete(&format!("/v1/organizations/{id}")).by(by).send().await;
        let provider = remove(&shop.operator, &shop.provider).await;
        provider.expect_problem(409, "organization_in_use");
        for what in ["below it", "contracts", &shop.customer] {
            assert!(provider.text("/detail").contains(what), "{}", provider.text("/detail"));
        }
        let order = json!({ "organizationId": shop.customer, "serviceId": shop.manual, "quantity": "1" });
        let task = world.post("/v1/subscriptions", order).by(&shop.admin).send().await.text("/id");
        let busy = remove(&shop.admin, &shop.customer).await;
        busy.expect_problem(409, "organization_in_use");
        assert!(
            busy.text("/detail").contains("subscriptions") && busy.text("/detail").contains(&task),
            "{}",
            busy.text("/detail")
        );
        assert!(!busy.text("/detail").contains("contracts"));
        world.settle().await;
        world
            .post(&format!("/v1/tasks/{task}/steps/PROVISION/fail"), json!({ "message": "no" }))
            .by(&shop.admin)
            .send()
            .await
            .expect(200);
        world.settle().await;

        let token = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        remove(&token, &shop.customer).await.expect_problem(403, "permission_missing");
        remove(&shop.admin, &shop.provider).await.expect_problem(403, "decided_from_above");
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        remove(&rival, &shop.customer).await.expect_problem(404, "organization_not_found");
        let people = json!([{ "email": "new@example.com" }]);
        let invite = json!({ "organizationId": shop.customer, "roles": ["CUSTOMER_USER"], "people": people });
        world.post("/v1/members", invite).by(&shop.admin).send().await.expect(207);
        let member = world.member(&shop.admin, &shop.customer, "eve@example.com", &["CUSTOMER_USER"]).await;
        remove(&shop.admin, &shop.customer).await.expect(204);
        assert_eq!(world.count("SELECT COUNT(*) FROM member_invitations WHERE status = 'PENDING'"), 0);
        let of_customer = format!("SELECT COUNT(*) FROM bindings WHERE organization_id = '{}'", shop.customer);
        assert_eq!(world.count(&of_customer), 0);
        world.get("/v1/me").by(&member.actor).send().await.expect_problem(401, "access_token_invalid");
        remove(&shop.admin, &shop.customer).await.expect_problem(409, "organization_removed");

        let path = format!("/v1/organizations/{}", shop.customer);
        let read = world.get(&path).by(&shop.admin).send().await;
        assert_eq!((read.expect(200).text("/status").as_str(), read.text("/displayName").as_str()), ("REMOVED", "Fabrikam"));
        assert!(read.at("/removedAt").is_string());
        assert_eq!(names(&world, &shop.admin, "kind=CUSTOMER").await, Vec::<String>::new());
        assert_eq!(names(&world, &shop.admin, "status=REMOVED").await, ["Fabrikam"]);
        world.get("/v1/me").by(&token).send().await.expect_problem(401, "access_token_invalid");
        world
            .post("/v1/access-tokens", json!({ "apiToken": token.api_token }))
            .send()
            .await
            .expect_problem(401, "api_token_invalid");
        world.get("/v1/me").by(&shop.admin).acting_in(&shop.customer).send().await.expect_problem(403, "organization_disabled");
        patch(&world, &shop.admin, &shop.customer, json!({ "tag": "x" })).await.expect_problem(409, "organization_removed");
        let again = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" });
        world.post("/v1/subscriptions", again).by(&shop.admin).send().await.expect_problem(409, "organization_removed");
        let grant = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
        world.post("/v1/api-tokens", grant).by(&shop.admin).send().await.expect_problem(409, "organization_removed");
        for what in ["enable", "disable"] {
            world
                .post(&format!("{path}/{what}"), json!({}))
                .by(&shop.admin)
                .send()
                .await
                .expect_problem(409, "organization_removed");
        }
        // What is removed stays so when those above it are disabled and enabled.
        for what in ["disable", "enable"] {
            let provider = format!("/v1/organizations/{}/{what}", shop.provider);
            world.post(&provider, json!({})).by(&shop.operator).send().await.expect(200);
        }
        assert_eq!(world.get(&path).by(&shop.admin).send().await.text("/status"), "REMOVED");
    });
}

#[test]
fn a_provider_has_additional_organizations_beside_it() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let body = |parent: Value, main: &str| {
            json!({
                "kind": "PROVIDER", "providerType": "ADDITIONAL", "parentId": parent, "mainProviderId": main, "displayName": "Test", "companyName": "Contoso",
                "country": "US", "currency": "USD"
            })
        };
        let post = async |by: &Actor, body: Value| world.post("/v1/organizations", body).by(by).send().await;
        let made = post(&shop.admin, body(Value::Null, &shop.provider)).await;
        made.expect(201);
        assert_eq!(
            (made.text("/parentId"), made.text("/mainProviderId")),
            (shop.operator.organization.clone(), shop.provider.clone())
        );
        // Whoever created it acts in it, and nobody else of the provider does.
        let additional = made.text("/id");
        let me = world.get("/v1/me").by(&shop.admin).acting_in(&additional).send().await;
        me.expect(200);
        world.organization(&shop.operator, "CUSTOMER", "C", Some(&additional)).await;
        let other = world.actor(&shop.operator, &shop.provider, "PROVIDER_ADMINISTRATOR").await;
        world.get("/v1/me").by(&other).acting_in(&additional).send().await.expect_problem(404, "organization_not_found");
        post(&shop.operator, body(json!(shop.operator.organization), &shop.provider)).await.expect(201);

        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let distributor = world.organization(&shop.operator, "DISTRIBUTOR", "D", None).await;
        for (by, parent, main, pointer) in [
            (&shop.admin, Value::Null, rival.as_str(), "/parentId"),
            (&shop.operator, json!(distributor), shop.provider.as_str(), "/mainProviderId"),
            (&shop.operator, json!(shop.operator.organization), additional.as_str(), "/mainProviderId"),
            (&shop.operator, json!(shop.operator.organization), shop.customer.as_str(), "/mainProviderId"),
            (&shop.operator, json!(shop.provider), shop.provider.as_str(), "/kind"),
        ] {
            let refused = post(by, body(parent, main)).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer);
        }
        for _ in 2..20 {
            post(&shop.admin, body(Value::Null, &shop.provider)).await.expect(201);
        }
        post(&shop.admin, body(Value::Null, &shop.provider)).await.expect_problem(409, "too_many_additional_providers");
    });
}
