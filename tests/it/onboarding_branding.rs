//! Branding: said in one organization, inherited by those below, shown to nobody else.

use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

async fn put(world: &World, by: &Actor, organization: &str, etag: &str, branding: Value) -> Answer {
    let path = format!("/v1/organizations/{organization}/branding");
    world.call(http::Method::PUT, &path).json(&branding).by(by).header("if-match", etag).send().await
}

async fn get(world: &World, by: &Actor, organization: &str) -> Answer {
    world.get(&format!("/v1/organizations/{organization}/branding")).by(by).send().await
}

#[test]
fn each_field_is_inherited_from_the_nearest_that_says_it() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let links = json!([{ "title": "Help", "url": "https://help.contoso.example" }]);
        let first = get(&world, &shop.admin, &shop.customer).await;
        assert_eq!((first.expect(200).header("etag"), first.at("/effective/portalName")), ("\"0\"", Value::Null));
        put(
            &world,
            &shop.operator,
            &shop.operator.organization,
            "\"0\"",
            json!({ "portalName": "Hub", "primaryColor": "#AABBCC" }),
        )
        .await
        .expect(200);
        put(&world, &shop.admin, &shop.provider, "*", json!({ "portalName": "Contoso", "links": links })).await.expect(200);
        let own =
            put(&world, &shop.admin, &shop.customer, "\"0\"", json!({ "logoUrl": "https://fabrikam.example/logo.svg" })).await;
        own.expect(200);
        assert_eq!((own.header("etag"), own.at("/own/portalName")), ("\"1\"", Value::Null));

        let admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let seen = get(&world, &admin, &shop.customer).await;
        let from = |field: &str| {
            (
                seen.at(&format!("/effective/{field}/from/organizationKind")),
                seen.at(&format!("/effective/{field}/from/organizationId")),
            )
        };
        assert_eq!(seen.expect(200).at("/effective/logoUrl/value"), "https://fabrikam.example/logo.svg");
        assert_eq!(from("logoUrl"), (json!("CUSTOMER"), json!(shop.customer)));
        // Who is above the caller is not told by their ids.
        assert_eq!(
            (seen.text("/effective/portalName/value").as_str(), from("portalName")),
            ("Contoso", (json!("PROVIDER"), Value::Null))
        );
        assert_eq!(
            (seen.text("/effective/primaryColor/value").as_str(), from("primaryColor")),
            ("#aabbcc", (json!("OPERATOR"), Value::Null))
        );
        assert_eq!(seen.at("/effective/links/value"), links);
        assert_eq!(seen.at("/effective/iconUrl"), Value::Null);
        let seen = get(&world, &shop.admin, &shop.customer).await;
        assert_eq!(seen.at("/effective/portalName/from/organizationId"), json!(shop.provider));

        // Written anew, what is left out is inherited again.
        put(&world, &shop.admin, &shop.customer, "\"1\"", json!({ "portalName": "Fabrikam" })).await.expect(200);
        let seen = get(&world, &admin, &shop.customer).await;
        assert_eq!((seen.text("/effective/portalName/value").as_str(), seen.at("/effective/logoUrl")), ("Fabrikam", Value::Null));
    });
}

#[test]
fn nobody_sees_or_writes_the_branding_of_others() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival_admin = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let customer_admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        put(&world, &shop.admin, &shop.provider, "*", json!({ "portalName": "Contoso" })).await.expect(200);
        let before = world.dump();
        for (by, other) in [(&rival_admin, &shop.provider), (&rival_admin, &shop.customer), (&customer_admin, &shop.provider)] {
            get(&world, by, other).await.expect_problem(404, "organization_not_found");
        }
        put(&world, &rival_admin, &shop.provider, "*", json!({})).await.expect_problem(404, "organization_not_found");
        put(&world, &customer_admin, &shop.customer, "*", json!({})).await.expect_problem(403, "permission_missing");
        assert_eq!(get(&world, &rival_admin, &rival).await.at("/effective/portalName"), Value::Null);
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn a_branding_has_bounds_and_is_edited_under_its_etag() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let link = |url: &str| json!({ "links": [{ "title": "x", "url": url }] });
        for (body, pointer) in [
            (json!({ "portalName": "" }), "/portalName"),
            (json!({ "logoUrl": "http://a.b/x" }), "/logoUrl"),
            (json!({ "iconUrl": "javascript:alert(1)" }), "/iconUrl"),
            (json!({ "primaryColor": "red" }), "/primaryColor"),
            (link("https://u:p@a.b"), "/links/0/url"),
            (json!({ "links": vec![link("https://a.b")["links"][0].clone(); 11] }), "/links"),
            (json!({ "theme": "dark" }), "/theme"),
        ] {
            let refused = put(&world, &shop.admin, &shop.provider, "*", body).await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer);
        }
        let path = format!("/v1/organizations/{}/branding", shop.provider);
        world
            .call(http::Method::PUT, &path)
            .json(&json!({}))
            .by(&shop.admin)
            .send()
            .await
            .expect_problem(428, "if_match_required");
        let put = |name: &str| put(&world, &shop.admin, &shop.provider, "\"0\"", json!({ "portalName": name }));
        let (one, other) = futures::future::join(put("a"), put("b")).await;
        let mut statuses = [one.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        assert_eq!(world.count("SELECT COUNT(*) FROM branding"), 1);
    });
}
