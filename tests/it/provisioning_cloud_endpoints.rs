//! Cloud endpoints: registered by providers, assigned to customers, which see those and nobody else's.

use crate::{environments_data_centers_support::registered, environments_support::deployed};
use serde_json::{Value, json};
use tests::{Actor, Answer, Shop, World, simulated};

const PATH: &str = "/v1/cloud-endpoints";

fn endpoint(name: &str) -> Value {
    json!({ "displayName": name, "kind": "VCD", "url": format!("https://{name}.contoso.example/provider"), "region": "eu-1" })
}

async fn made(world: &World, by: &Actor, name: &str) -> String {
    // Ids of one instant are in no order.
    world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
    world.post(PATH, endpoint(name)).by(by).send().await.expect(201).text("/id")
}

async fn assign(world: &World, by: &Actor, id: &str, customer: &str) -> Answer {
    world.post(&format!("{PATH}/{id}/assignments"), json!({ "organizationId": customer })).by(by).send().await
}

fn ids(answer: &Answer) -> Vec<String> {
    let items = answer.expect(200).at("/items");
    items.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// The shop, and somebody who uses what its customer has.
async fn ground() -> (World, Shop, Actor) {
    let world = World::new().await;
    let shop = world.shop().await;
    let user = world.actor(&shop.admin, &shop.customer, "CUSTOMER_USER").await;
    (world, shop, user)
}

#[test]
fn a_provider_registers_edits_and_removes_what_it_runs() {
    simulated(|| async {
        let (world, shop, _) = ground().await;
        let data_center = registered(&world, &shop.admin, "vc1", "BUILTIN").await;
        let environment = deployed(&world, &shop.admin, "env1", &data_center).await;
        let mut new = endpoint("one");
        (new["dataCenterId"], new["environmentId"]) = (json!(data_center), json!(environment));
        new["description"] = json!("For those in the north");
        let made = world.post(PATH, new.clone()).by(&shop.admin).key("k").send().await;
        let (id, path) = (made.expect(201).text("/id"), made.header("location").to_owned());
        assert_eq!((made.header("etag"), path.as_str()), ("\"1\"", format!("{PATH}/{id}").as_str()));
        let again = world.post(PATH, new.clone()).by(&shop.admin).key("k").send().await;
        assert_eq!(again.expect(201).text("/id"), id);
        let found = world.get(&path).by(&shop.admin).send().await;
        for (field, value) in new.as_object().unwrap() {
            assert_eq!(&found.expect(200).at(&format!("/{field}")), value, "{field}");
        }
        assert_eq!(found.text("/organizationId"), shop.provider);
        let access = world.get(&format!("{path}/access")).by(&shop.admin).send().await;
        assert_eq!((access.expect(200).text("/url"), access.text("/cloudEndpointId")), (new["url"].as_str().unwrap().into(), id));

        let edit = |body: Value, etag: &'static str| world.patch(&path, body).by(&shop.admin).header("if-match", etag).send();
        world.patch(&path, json!({})).by(&shop.admin).send().await.expect_problem(428, "if_match_required");
        let edited = edit(json!({ "displayName": "two", "description": null }), "\"1\"").await;
        assert_eq!((edited.expect(200).text("/displayName"), edited.at("/description")), ("two".into(), Value::Null));
        assert_eq!((edited.header("etag"), edited.at("/dataCenterId")), ("\"2\"", json!(data_center)));
        edit(json!({ "kind": "OTHER" }), "\"1\"").await.expect_problem(412, "stale");
        edit(json!({ "organizationId": shop.customer }), "*").await.expect_problem(422, "invalid_request");
        edit(json!({ "url": null }), "*").await.expect_problem(422, "invalid_request");
        edit(json!({ "id": "x" }), "*").await.expect_problem(422, "invalid_request");
        self::made(&world, &shop.admin, "three").await;
        edit(json!({ "displayName": "three" }), "*").await.expect_problem(409, "cloud_endpoint_name_taken");

        // It outlives what it stands on.
        let gone = world.delete(&format!("/v1/environments/{environment}")).by(&shop.admin).header("if-match", "*").send().await;
        gone.expect(202);
        world.settle().await;
        world.delete(&format!("/v1/data-centers/{data_center}")).by(&shop.admin).send().await.expect(202);
        world.settle().await;
        let found = world.get(&path).by(&shop.admin).send().await;
        assert_eq!((found.expect(200).at("/dataCenterId"), found.text("/displayName")), (Value::Null, "two".into()));

        world.delete(&path).by(&shop.admin).send().await.expect(204);
        world.get(&path).by(&shop.admin).send().await.expect_problem(404, "cloud_endpoint_not_found");
        world.delete(&path).by(&shop.admin).send().await.expect_problem(404, "cloud_endpoint_not_found");
    });
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_written() {
    simulated(|| async {
        let (world, shop, user) = ground().await;
        let theirs = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let other = world.actor(&shop.operator, &theirs, "PROVIDER_ADMINISTRATOR").await;
        let data_center = registered(&world, &other, "vc1", "BUILTIN").await;
        let environment = deployed(&world, &other, "env1", &data_center).await;
        made(&world, &shop.admin, "one").await;
        let before = world.dump();
        let mut first = Vec::new();
        for (field, value, pointer) in [
            ("url", json!("http://one.example"), "/url"),
            ("url", json!("https://user:secret@one.example"), "/url"),
            ("kind", json!("BAKERY"), "/kind"),
            ("region", json!(""), "/region"),
            ("bakery", json!(1), "/bakery"),
            ("dataCenterId", json!(data_center), "/dataCenterId"),
            ("dataCenterId", json!("dtc_01h455vb4pex5vsknk084sn02q"), "/dataCenterId"),
            ("environmentId", json!(environment), "/environmentId"),
            ("environmentId", json!("env_01h455vb4pex5vsknk084sn02q"), "/environmentId"),
            ("organizationId", json!(shop.customer), "/organizationId"),
        ] {
            let mut new = endpoint("two");
            new[field] = value;
            let answer = world.post(PATH, new).by(&shop.admin).send().await;
            answer.expect_problem(422, "invalid_request");
            assert_eq!(answer.text("/errors/0/pointer"), pointer, "{}", answer.json());
            first.push(answer.text("/errors/0/detail"));
        }
        // Another provider's is answered as what is not there.
        assert_eq!((&first[5], &first[7]), (&first[6], &first[8]));
        world.post(PATH, endpoint("one")).by(&shop.admin).send().await.expect_problem(409, "cloud_endpoint_name_taken");
        let mut new = endpoint("two");
        new["organizationId"] = json!(theirs);
        world.post(PATH, new).by(&shop.admin).send().await.expect_problem(404, "organization_not_found");
        world.post(PATH, endpoint("two")).by(&user).send().await.expect_problem(403, "permission_missing");
        world.post(PATH, endpoint("two")).by(&shop.operator).send().await.expect_problem(422, "invalid_request");
        assert_eq!(world.dump(), before);
        // Another provider may call its own the same.
        made(&world, &other, "one").await;
    });
}

#[test]
fn a_customer_sees_what_it_is_let_at_and_never_who_else_is() {
    simulated(|| async {
        let (world, shop, user) = ground().await;
        // Ids of one instant are in no order.
        world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
        let neighbour = world.organization(&shop.admin, "CUSTOMER", "Adatum", None).await;
        let them = world.actor(&shop.admin, &neighbour, "CUSTOMER_ADMINISTRATOR").await;
        let (one, two) = (made(&world, &shop.admin, "one").await, made(&world, &shop.admin, "two").await);
        assert!(ids(&world.get(PATH).by(&user).send().await).is_empty());
        let own = json!({ "organizationId": shop.customer, "accessUrl": "https://one.contoso.example/tenant/fabrikam" });
        let path = format!("{PATH}/{one}/assignments");
        let assigned = world.post(&path, own.clone()).by(&shop.admin).send().await;
        assert_eq!(assigned.expect(201).at("/accessUrl"), own["accessUrl"]);
        world.post(&path, own).by(&shop.admin).send().await.expect_problem(409, "cloud_endpoint_assigned");
        assign(&world, &shop.admin, &one, &neighbour).await.expect(201);
        assign(&world, &shop.admin, &two, &neighbour).await.expect(201);

        // Each sees its own, and how the provider reaches it not at all.
        assert_eq!(ids(&world.get(PATH).by(&user).send().await), std::slice::from_ref(&one));
        assert_eq!(ids(&world.get(PATH).by(&them).send().await), [one.clone(), two.clone()]);
        let paged = world.get(&format!("{PATH}?limit=1")).by(&them).send().await;
        assert_eq!(ids(&paged), std::slice::from_ref(&one));
        let next = format!("{PATH}?cursor={}", paged.text("/nextCursor"));
        assert_eq!(ids(&world.get(&next).by(&them).send().await), std::slice::from_ref(&two));
        // A cursor is of the list of one organization.
        world.get(&next).by(&user).send().await.expect_problem(400, "cursor_unknown");
        assert!(ids(&world.get(&format!("{PATH}?kind=NSXT")).by(&them).send().await).is_empty());
        // To ask after another customer's shows one's own.
        assert_eq!(ids(&world.get(&format!("{PATH}?assignedTo={neighbour}")).by(&user).send().await), std::slice::from_ref(&one));
        let shown = world.get(&format!("{PATH}/{one}")).by(&user).send().await;
        assert_eq!((shown.expect(200).text("/displayName"), shown.at("/url")), ("one".into(), Value::Null));
        let access = async |by: &Actor, id: &str| world.get(&format!("{PATH}/{id}/access")).by(by).send().await;
        assert_eq!(access(&user, &one).await.expect(200).text("/url"), "https://one.contoso.example/tenant/fabrikam");
        assert_eq!(access(&them, &one).await.expect(200).text("/url"), "https://one.contoso.example/provider");
        for (id, whole) in [(&two, "two"), (&"cep_01h455vb4pex5vsknk084sn02q".to_owned(), "one that is not there")] {
            for path in [format!("{PATH}/{id}"), format!("{PATH}/{id}/access"), format!("{PATH}/{id}/assignments")] {
                let answer = world.get(&path).by(&user).send().await;
                answer.expect_problem(404, "cloud_endpoint_not_found");
                assert_eq!(
                    answer.text("/detail").replace(id.as_str(), "it"),
                    access(&user, &two).await.text("/detail").replace(&two, "it"),
                    "{whole}"
                );
            }
        }
        let listed = world.get(&path).by(&user).send().await;
        let whose = |answer: &Answer| {
            let items = answer.expect(200).at("/items");
            items.as_array().unwrap().iter().map(|item| item["organizationId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(whose(&listed), std::slice::from_ref(&shop.customer));
        assert_eq!(whose(&world.get(&path).by(&shop.admin).send().await), [shop.customer.clone(), neighbour.clone()]);
        assert_eq!(
            whose(&world.get(&format!("{path}?limit=1")).by(&shop.admin).send().await),
            std::slice::from_ref(&shop.customer)
        );
        let asked = world.get(&format!("{PATH}?assignedTo={}", shop.customer)).by(&shop.admin).send().await;
        assert_eq!(ids(&asked), std::slice::from_ref(&one));

        // Whoever acts in the customer sees what the customer does.
        let billing = world.actor(&shop.admin, &shop.customer, "CUSTOMER_BILLING_USER").await;
        world.get(PATH).by(&billing).send().await.expect_problem(403, "permission_missing");
        world.let_act(&shop.admin, &shop.customer).await;
        let inside = world.get(PATH).by(&shop.admin).acting_in(&shop.customer).send().await;
        assert_eq!((ids(&inside), inside.at("/items/0/url")), (vec![one.clone()], Value::Null));
        world
            .post(PATH, endpoint("x"))
            .by(&shop.admin)
            .acting_in(&shop.customer)
            .send()
            .await
            .expect_problem(403, "permission_missing");

        world.delete(&format!("{path}/{}", shop.customer)).by(&shop.admin).send().await.expect(204);
        world
            .delete(&format!("{path}/{}", shop.customer))
            .by(&shop.admin)
            .send()
            .await
            .expect_problem(404, "assignment_not_found");
        assert!(ids(&world.get(PATH).by(&user).send().await).is_empty());
        access(&user, &one).await.expect_problem(404, "cloud_endpoint_not_found");
        assert_eq!(whose(&world.get(&path).by(&shop.admin).send().await), std::slice::from_ref(&neighbour));
        // The audit of each tells what concerns it.
        let told = async |by: &Actor, organization: &str| {
            let entries = world.get(&format!("/v1/audit-entries?organizationId={organization}&limit=200")).by(by).send().await;
            entries.expect(200).json().to_string()
        };
        let admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let own = told(&admin, &shop.customer).await;
        assert!(own.contains("assignments.create") && own.contains("assignments.remove") && own.contains(&one), "{own}");
        assert!(!own.contains(&neighbour) && !own.contains(&two), "{own}");
    });
}

#[test]
fn only_customers_of_the_provider_are_let_at_it() {
    simulated(|| async {
        let (world, shop, _) = ground().await;
        let theirs = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let other = world.actor(&shop.operator, &theirs, "PROVIDER_ADMINISTRATOR").await;
        let stranger = world.organization(&other, "CUSTOMER", "Stranger", None).await;
        let one = made(&world, &shop.admin, "one").await;
        let before = world.dump();
        assign(&world, &shop.admin, &one, &stranger).await.expect_problem(404, "organization_not_found");
        assign(&world, &shop.admin, &one, &shop.provider).await.expect_problem(422, "invalid_request");
        // The operator reaches both, and still they do not belong together.
        assign(&world, &shop.operator, &one, &stranger).await.expect_problem(422, "invalid_request");
        assign(&world, &other, &one, &stranger).await.expect_problem(404, "cloud_endpoint_not_found");
        for path in [format!("{PATH}/{one}"), format!("{PATH}/{one}/access"), format!("{PATH}/{one}/assignments")] {
            world.get(&path).by(&other).send().await.expect_problem(404, "cloud_endpoint_not_found");
        }
        world.delete(&format!("{PATH}/{one}")).by(&other).send().await.expect_problem(404, "cloud_endpoint_not_found");
        assert!(ids(&world.get(PATH).by(&other).send().await).is_empty());
        let filtered = world.get(&format!("{PATH}?organizationId={}", shop.provider)).by(&other).send().await;
        assert!(ids(&filtered).is_empty());
        assert_eq!(world.dump(), before);
        world.post(&format!("/v1/organizations/{}/disable", shop.customer), json!({})).by(&shop.admin).send().await.expect(200);
        assign(&world, &shop.admin, &one, &shop.customer).await.expect_problem(409, "organization_disabled");
    });
}

#[test]
fn what_is_assigned_is_removed_when_told_so_and_goes_with_the_customer() {
    simulated(|| async {
        let (world, shop, _) = ground().await;
        let neighbour = world.organization(&shop.admin, "CUSTOMER", "Adatum", None).await;
        let (one, two) = (made(&world, &shop.admin, "one").await, made(&world, &shop.admin, "two").await);
        for id in [&one, &two] {
            assign(&world, &shop.admin, id, &shop.customer).await.expect(201);
        }
        assign(&world, &shop.admin, &two, &neighbour).await.expect(201);
        let refused = world.delete(&format!("{PATH}/{two}")).by(&shop.admin).send().await;
        refused.expect_problem(409, "cloud_endpoint_in_use");
        assert!(refused.text("/detail").contains(&shop.customer) && refused.text("/detail").contains(&neighbour));
        world.delete(&format!("{PATH}/{two}?unassign=true")).by(&shop.admin).send().await.expect(204);
        assert_eq!(world.count("SELECT COUNT(*) FROM cloud_endpoint_assignments"), 1);
        let admin = world.actor(&shop.admin, &neighbour, "CUSTOMER_ADMINISTRATOR").await;
        let told = world.get("/v1/audit-entries?limit=200").by(&admin).send().await.expect(200).json().to_string();
        assert!(told.contains("cloud_endpoints.remove") && !told.contains(&shop.customer), "{told}");

        // A customer that is removed leaves it, a provider is not removed with what it runs.
        world.delete(&format!("/v1/organizations/{neighbour}")).by(&shop.admin).send().await.expect(204);
        world.delete(&format!("/v1/organizations/{}", shop.customer)).by(&shop.admin).send().await.expect(204);
        assert_eq!(world.count("SELECT COUNT(*) FROM cloud_endpoint_assignments"), 0);
        let kept = world.delete(&format!("/v1/organizations/{}", shop.provider)).by(&shop.operator).send().await;
        kept.expect_problem(409, "organization_in_use");
        assert!(kept.text("/detail").contains(&format!("cloud endpoints ({one})")), "{}", kept.text("/detail"));
        world.delete(&format!("{PATH}/{one}")).by(&shop.admin).send().await.expect(204);
        let kept = world.delete(&format!("/v1/organizations/{}", shop.provider)).by(&shop.operator).send().await;
        assert!(!kept.text("/detail").contains("cloud endpoints"));
    });
}

/// Each sees no more of it than the role says.
#[test]
fn an_account_administrator_sees_what_the_bound_customer_has() {
    simulated(|| async {
        let (world, shop, _) = ground().await;
        let one = made(&world, &shop.admin, "one").await;
        made(&world, &shop.admin, "two").await;
        assign(&world, &shop.admin, &one, &shop.customer).await.expect(201);
        let account = world.member(&shop.admin, &shop.provider, "a@contoso.example", &["PROVIDER_ACCOUNT_ADMINISTRATOR"]).await;
        let bind = json!({ "personIds": [account.id], "addBoundOrganizationIds": [shop.customer] });
        world.patch("/v1/members", bind).by(&shop.admin).send().await.expect(207);
        world.get(PATH).by(&account.actor).send().await.expect_problem(403, "permission_missing");
        let listed = world.get(PATH).by(&account.actor).acting_in(&shop.customer).send().await;
        assert_eq!(ids(&listed), std::slice::from_ref(&one));
        world.get(&format!("{PATH}/{one}/access")).by(&account.actor).acting_in(&shop.customer).send().await.expect(200);
        let operations = world.actor(&shop.admin, &shop.provider, "PROVIDER_OPERATIONS_USER").await;
        assert_eq!(ids(&world.get(PATH).by(&operations).send().await).len(), 2);
        world.delete(&format!("{PATH}/{one}")).by(&operations).send().await.expect_problem(403, "permission_missing");
        let administrator = world.actor(&shop.admin, &shop.provider, "PROVIDER_OPERATIONS_ADMINISTRATOR").await;
        world.delete(&format!("{PATH}/{one}?unassign=true")).by(&administrator).send().await.expect(204);
    });
}
