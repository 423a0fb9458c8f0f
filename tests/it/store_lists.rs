//! Lists of what the organizations of a subtree have: in the order of the tree, within the caller's reach, and by an index that
//! ends at the page.

use crate::web_cursors::after;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{Actor, World, simulated};

/// All items of a list, page by page.
async fn all(world: &World, by: &Actor, path: &str) -> Vec<Value> {
    let (mut next, mut found) = (Some(path.to_owned()), Vec::new());
    while let Some(path) = next {
        let page = world.get(&path).by(by).send().await;
        found.extend(page.expect(200).at("/items").as_array().unwrap().clone());
        next = page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
    }
    found
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// How the database goes about the statement of a request that reads this table.
async fn plan(world: &World, by: &Actor, path: &str, table: &str) -> String {
    let seen = world.hub.host_calls().len();
    world.get(path).by(by).send().await.expect(200);
    let calls = world.hub.host_calls();
    let from = format!("FROM {table} ");
    let sql =
        calls[seen..].iter().map(|call| &call.detail).find(|sql| sql.contains(&from) && sql.contains("LIMIT")).unwrap().clone();
    let database = world.database();
    let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = vec!["x"; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>(3)).unwrap();
    rows.map(|row| row.unwrap()).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_a_subtree_has_is_listed_in_its_order_and_no_further() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let other = world.organization(&shop.operator, "PROVIDER", "Other Cloud", None).await;
        let theirs = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        let mut customers = vec![shop.customer.clone()];
        for name in ["Adatum", "Tailspin"] {
            customers.push(world.organization(&shop.admin, "CUSTOMER", name, None).await);
        }
        // In the order of their ids; what they have was not made in that order.
        customers.sort();
        for customer in [2, 0, 1, 0, 2] {
            world.hub.clock().advance(std::time::Duration::from_millis(5)).await;
            world.actor(&shop.admin, &customers[customer], "CUSTOMER_USER").await;
        }
        for customer in &customers {
            let body = json!({ "organizationId": customer, "reason": "a test", "durationMinutes": 5 });
            world.post("/v1/acting-sessions", body).by(&shop.admin).send().await.expect(201);
        }
        let place = |item: &Value| {
            let place = item["organizationId"].as_str().unwrap().to_owned();
            let index = customers.iter().position(|customer| *customer == place).map_or(0, |index| index + 1);
            (index, item["id"].as_str().unwrap().to_owned())
        };
        for path in ["/v1/api-tokens", "/v1/acting-sessions"] {
            let whole = all(&world, &shop.admin, path).await;
            let paged = all(&world, &shop.admin, &format!("{path}?limit=1")).await;
            assert_eq!(ids(&whole), ids(&paged), "{path}");
            assert!(whole.len() >= 3, "{path}");
            let places: Vec<_> = whole.iter().map(place).collect();
            assert!(places.is_sorted(), "{path}: {places:?}");
            let own: BTreeSet<_> = ids(&whole).into_iter().collect();
            // Another tenant's, from its beginning or from a row of this one on: nothing of this one.
            let of = |id: &String| after(path, &other, &["", id]);
            for from in [path.to_owned(), of(&ids(&whole)[0]), of(ids(&whole).last().unwrap())] {
                let found = all(&world, &theirs, &from).await;
                assert!(ids(&found).iter().all(|id| !own.contains(id)), "{from}");
            }
            let operators: BTreeSet<_> =
                ids(&all(&world, &shop.operator, &format!("{path}?limit=2")).await).into_iter().collect();
            assert!(operators.is_superset(&own), "{path}");
        }
    });
}

#[test]
fn each_list_ends_at_the_page_by_its_index() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let contract = all(&world, &shop.operator, "/v1/contracts").await[0]["id"].as_str().unwrap().to_owned();
        let token = all(&world, &shop.operator, "/v1/api-tokens").await[0]["id"].as_str().unwrap().to_owned();
        let from = |path: &str, id: &str| after(path, &shop.operator.organization, &["/", id]);
        for (path, table, index) in [
            ("/v1/api-tokens", "api_tokens c", "api_tokens_path"),
            (&*from("/v1/api-tokens", &token), "api_tokens c", "api_tokens_path"),
            ("/v1/apps", "apps c", "apps_path"),
            ("/v1/acting-sessions", "acting_sessions s", "acting_sessions_path"),
            (
                &*format!("/v1/acting-sessions?organizationId={}", shop.customer),
                "acting_sessions s",
                "acting_sessions_organization",
            ),
            ("/v1/approvals", "approvals a", "approvals_path"),
            (&*from("/v1/approvals", "apv_01h455vb4pex5vsknk084sn02q"), "approvals a", "approvals_path"),
            ("/v1/approvals?status=PENDING", "approvals a", "approvals_status"),
            ("/v1/approvals?status=BEGUN", "approvals a", "approvals_status"),
            (&*format!("/v1/approvals?organizationId={}", shop.customer), "approvals a", "approvals_organization"),
            ("/v1/onboarding-invitations", "onboarding_invitations i", "onboarding_invitations_path"),
            ("/v1/contracts", "contracts c", "contracts_path"),
            (&*from("/v1/contracts", &contract), "contracts c", "contracts_path"),
            ("/v1/contracts?status=PENDING_APPROVAL", "contracts c", "contracts_status"),
            (&*format!("/v1/contracts?serviceId={}", shop.builtin), "contracts c", "contracts_service"),
            (&*format!("/v1/contracts?providerId={}", shop.provider), "contracts c", "contracts_provider"),
            ("/v1/member-invitations", "member_invitations i", "member_invitations_organization"),
            ("/v1/member-invitations?status=REVOKED", "member_invitations i", "member_invitations_status"),
            ("/v1/member-invitations?status=PENDING", "member_invitations i", "member_invitations_"),
            ("/v1/mailbox?to=a@example.com", "mailbox m", "mailbox_recipient"),
        ] {
            let plan = plan(&world, &shop.operator, path, table).await;
            let sorts = plan.contains("TEMP B-TREE FOR ORDER BY") || plan.contains("LAST TERM");
            assert!(plan.contains(&format!("INDEX {index}")) && !sorts && !plan.contains("SCAN"), "{path}: {plan}");
        }
    });
}

#[test]
fn invitations_are_listed_by_what_became_of_them() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let invite = async |email: &str| {
            let body = json!({ "roles": ["PROVIDER_BILLING_USER"], "people": [{ "email": email }] });
            world.post("/v1/members", body).by(&shop.admin).send().await.expect(207).at("/succeeded/invited/0")
        };
        let (expired, revoked, accepted) =
            (invite("a@example.com").await, invite("b@example.com").await, invite("c@example.com").await);
        let path = format!("/v1/member-invitations/{}", revoked["id"].as_str().unwrap());
        world.delete(&path).by(&shop.admin).send().await.expect(204);
        world.post("/v1/member-invitations/accept", json!({ "secret": accepted["secret"] })).send().await.expect(200);
        world.hub.clock().advance(std::time::Duration::from_secs(7 * 24 * 3600)).await;
        let admin = world.sign_in(&shop.admin.api_token, &shop.provider).await;
        let body = json!({ "roles": ["PROVIDER_BILLING_USER"], "people": [{ "email": "d@example.com" }] });
        let pending = world.post("/v1/members", body).by(&admin).send().await.expect(207).at("/succeeded/invited/0");
        for (status, one) in [("EXPIRED", &expired), ("REVOKED", &revoked), ("ACCEPTED", &accepted), ("PENDING", &pending)] {
            let found = all(&world, &admin, &format!("/v1/member-invitations?status={status}")).await;
            assert_eq!((ids(&found), &found[0]["status"]), (vec![one["id"].as_str().unwrap().to_owned()], &json!(status)));
        }
        assert_eq!(all(&world, &admin, "/v1/member-invitations?limit=1").await.len(), 4);
    });
}
