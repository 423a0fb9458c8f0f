//! What those above gave inside a customer is listed to it, and its administrator ends each.

use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

async fn issue(world: &World, by: &Actor, what: &str, organization: &str, role: &str) -> String {
    let body = json!({ "name": format!("{role} of {what}"), "organizationId": organization, "roles": [role] });
    world.post(&format!("/v1/{what}"), body).by(by).send().await.expect(201).text("/id")
}

#[test]
fn what_was_given_from_above_is_listed_and_ended_one_by_one() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = format!("/v1/organizations/{}/credentials-from-above", shop.customer);
        let list = async |by: &Actor, query: &str| -> Answer { world.get(&format!("{path}{query}")).by(by).send().await };
        assert_eq!(list(&shop.admin, "").await.expect(200).at("/items"), json!([]));

        let admin = world.get("/v1/me").by(&shop.admin).send().await.text("/principalId");
        let token = issue(&world, &shop.admin, "api-tokens", &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let app = issue(&world, &shop.admin, "apps", &shop.customer, "CUSTOMER_BILLING_USER").await;
        let guest = world.member(&shop.admin, &shop.customer, "guest@fabrikam.example", &["CUSTOMER_USER"]).await;
        let account = world.somebody("account@contoso.example", &[("PROVIDER_ACCOUNT_ADMINISTRATOR", &shop.provider)]);
        let bind = json!({ "organizationId": shop.provider, "personIds": [account], "addBoundOrganizationIds": [shop.customer] });
        world.patch("/v1/members", bind).by(&shop.admin).send().await.expect(207);
        let ada = world.member(&shop.admin, &shop.customer, "ada@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        // Somebody who has a role above, too, and one of the customer's own.
        let both = world
            .somebody("both@contoso.example", &[("CUSTOMER_USER", &shop.customer), ("PROVIDER_SUPPORT_USER", &shop.provider)]);
        let own = world.member(&ada.actor, &shop.customer, "own@fabrikam.example", &["CUSTOMER_USER"]).await;
        let own_token = issue(&world, &ada.actor, "api-tokens", &shop.customer, "CUSTOMER_ADMINISTRATOR").await;

        let listed = list(&ada.actor, "").await.expect(200).at("/items");
        let of = |id: &str| -> Value {
            let found = listed.as_array().unwrap().iter().find(|one| one["principalId"] == id);
            found.cloned().unwrap_or_default()
        };
        assert_eq!(listed.as_array().unwrap().len(), 5, "{listed}");
        for id in [&own_token, &own.id, &ada.id] {
            assert_eq!(of(id), Value::Null);
        }
        assert_eq!((&of(&token)["roles"], &of(&token)["ownerId"]), (&json!(["CUSTOMER_ADMINISTRATOR"]), &json!(admin)));
        assert_eq!((&of(&app)["givenFromAbove"], &of(&app)["name"]), (&json!(true), &json!("CUSTOMER_BILLING_USER of apps")));
        assert_eq!((&of(&guest.id)["givenFromAbove"], &of(&guest.id)["boundBy"]), (&json!(true), &Value::Null));
        assert_eq!((&of(&account)["boundBy"], &of(&account)["givenFromAbove"]), (&json!(shop.provider), &json!(false)));
        assert_eq!((&of(&both)["roles"], &of(&both)["givenFromAbove"]), (&json!(["CUSTOMER_USER"]), &json!(false)));
        // Page by page the same.
        let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let page = list(&ada.actor, &query).await;
            paged.extend(page.expect(200).at("/items").as_array().unwrap().clone());
            match page.at("/nextCursor") {
                Value::String(next) => query = format!("?limit=2&cursor={next}"),
                _ => break,
            }
        }
        assert_eq!(json!(paged), listed);

        // The customer's administrator ends each; nobody above does it in her stead, nor ends what is its own.
        let end = async |by: &Actor, id: &str| world.delete(&format!("{path}/{id}")).by(by).send().await;
        end(&shop.admin, &token).await.expect_problem(403, "customer_decides");
        end(&own.actor, &token).await.expect_problem(403, "permission_missing");
        for id in [&own_token, &own.id, &ada.id, &"tok_01h455vb4pex5vsknk084sn02q".to_owned()] {
            end(&ada.actor, id).await.expect_problem(404, "credential_not_found");
        }
        for id in [&token, &app, &guest.id, &account, &both] {
            end(&ada.actor, id).await.expect(204);
            end(&ada.actor, id).await.expect_problem(404, "credential_not_found");
        }
        assert_eq!(list(&ada.actor, "").await.at("/items"), json!([]));
        world.get("/v1/me").by(&guest.actor).send().await.expect_problem(401, "access_token_invalid");
        let there = world.get(&format!("/v1/api-tokens/{token}")).by(&ada.actor).send().await;
        there.expect_problem(404, "api_token_not_found");
        let entries = world.get("/v1/audit-entries?action=credentials_from_above").by(&ada.actor).send().await;
        assert_eq!(entries.expect(200).at("/items").as_array().unwrap().len(), 5);
        assert_eq!(entries.at("/items/0/subjectId"), json!(token));
        // The role above is the provider's to end.
        let support = world.get(&format!("/v1/members/{both}")).by(&shop.admin).send().await;
        assert_eq!(support.expect(200).at("/roles"), json!(["PROVIDER_SUPPORT_USER"]));
    });
}

/// The last administrator is not ended by this either, and other organizations have no such list.
#[test]
fn the_last_administrator_stays() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let roles = [("CUSTOMER_ADMINISTRATOR", shop.customer.as_str()), ("PROVIDER_SUPPORT_USER", shop.provider.as_str())];
        let both = world.somebody("both@contoso.example", &roles);
        let actor = world.person(&both, &shop.customer).actor;
        let path = format!("/v1/organizations/{}/credentials-from-above", shop.customer);
        let ended = world.delete(&format!("{path}/{both}")).by(&actor).send().await;
        ended.expect_problem(409, "last_administrator");
        let path = format!("/v1/organizations/{}/credentials-from-above", shop.provider);
        world.get(&path).by(&shop.admin).send().await.expect_problem(409, "not_a_customer");
        world.get(&format!("{path}?cursor=x")).by(&shop.admin).send().await.expect_problem(400, "cursor_unknown");
    });
}
