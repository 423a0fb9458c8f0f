//! The role table as it is served, roles in services, and who has which of them.

use domain::Role;
use serde_json::{Value, json};
use tests::{Actor, World, simulated};

/// The table itself is served as it is.
#[test]
fn the_roles_are_served_with_their_permissions() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let roles = world.get("/v1/roles").by(&operator).send().await;
        let rows = roles.at("/items");
        let rows: Vec<&Value> = rows.as_array().unwrap().iter().collect();
        assert_eq!(rows.len(), Role::ALL.len());
        for row in rows {
            let role: Role = row["role"].as_str().unwrap().parse().unwrap();
            let known = role.row();
            assert_eq!((&row["permissions"], &row["mayGrant"]), (&json!(known.permissions), &json!(known.may_grant)));
            assert_eq!((&row["organizationKind"], &row["reach"]), (&json!(known.kind), &json!(known.reach)));
        }
    });
}

async fn service_role(world: &World, operator: &Actor, service: &str, name: &str, default: bool, tenant: bool) -> String {
    let body = json!({
        "serviceId": service, "name": name, "displayName": name, "default": default, "providerDefaultInTenant": tenant
    });
    // Ids of one instant are in no order.
    world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
    world.post("/v1/service-roles", body).by(operator).send().await.expect(201).text("/id")
}

#[test]
fn roles_in_services_are_the_operators_to_edit() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let id = service_role(&world, &shop.operator, &shop.builtin, "user", false, false).await;
        let path = format!("/v1/service-roles/{id}");
        let body = json!({ "serviceId": shop.builtin, "name": "user", "displayName": "Other" });
        world.post("/v1/service-roles", body).by(&shop.operator).send().await.expect_problem(409, "service_role_name_taken");
        let body = json!({ "serviceId": "svc_01h455vb4pex5vsknk084sn02q", "name": "user", "displayName": "Other" });
        world.post("/v1/service-roles", body.clone()).by(&shop.operator).send().await.expect_problem(404, "service_not_found");
        world.post("/v1/service-roles", body).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let edit = json!({ "default": true });
        world.patch(&path, edit.clone()).by(&shop.operator).send().await.expect_problem(428, "if_match_required");
        let edited = world.patch(&path, edit.clone()).by(&shop.operator).header("if-match", "\"1\"").send().await;
        assert_eq!((edited.expect(200).at("/default"), edited.header("etag")), (json!(true), "\"2\""));
        world.patch(&path, edit).by(&shop.operator).header("if-match", "\"1\"").send().await.expect_problem(412, "stale");
        service_role(&world, &shop.operator, &shop.manual, "user", false, false).await;
        let of_one = world.get(&format!("/v1/service-roles?serviceId={}", shop.builtin)).by(&shop.admin).send().await;
        assert_eq!(of_one.expect(200).at("/items").as_array().unwrap().len(), 1);
        let all = world.get("/v1/service-roles?limit=1").by(&shop.admin).send().await;
        assert!(all.at("/nextCursor").is_string());
        // What somebody has stays.
        let admin = world.member(&shop.operator, &shop.provider, "admin@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let give = json!({ "organizationId": shop.provider, "personIds": [admin.id], "addServiceRoleIds": [id] });
        world.patch("/v1/members/service-roles", give).by(&shop.operator).send().await.expect(207);
        world.delete(&path).by(&shop.operator).send().await.expect_problem(409, "service_role_in_use");
        let take = json!({ "organizationId": shop.provider, "personIds": [admin.id], "removeServiceRoleIds": [id] });
        world.patch("/v1/members/service-roles", take).by(&shop.operator).send().await.expect(207);
        world.delete(&path).by(&shop.operator).send().await.expect(204);
        world.get(&path).by(&shop.operator).send().await.expect_problem(404, "service_role_not_found");
    });
}

#[test]
fn new_members_get_the_default_roles_of_the_services_that_their_organization_has() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let unused = world.service(&shop.operator, "unused", "BUILTIN").await;
        let user = service_role(&world, &shop.operator, &shop.builtin, "user", true, false).await;
        let admin = service_role(&world, &shop.operator, &shop.builtin, "admin", false, false).await;
        service_role(&world, &shop.operator, &unused, "user", true, false).await;
        let manual = service_role(&world, &shop.operator, &shop.manual, "user", true, false).await;
        let roles = async |email: &str, organization: &str, role: &str, given: Value| {
            let body = json!({ "organizationId": organization, "roles": [role], "serviceRoleIds": given, "people": [{ "email": email }] });
            let answer = world.post("/v1/members", body).by(&shop.operator).send().await;
            let secret = world.mailed(&answer.expect(207).text("/succeeded/invited/0/id"));
            let accepted = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
            accepted.expect(200).at("/member/serviceRoleIds")
        };
        // The provider has both services, by contract; the customer none, until one is provisioned.
        assert_eq!(roles("p@contoso.example", &shop.provider, "PROVIDER_SUPPORT_USER", json!([])).await, json!([user, manual]));
        assert_eq!(roles("a@fabrikam.example", &shop.customer, "CUSTOMER_USER", json!([])).await, json!([]));
        let order = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" });
        world.post("/v1/subscriptions", order).by(&shop.admin).header("prefer", "wait=5").send().await.expect(200);
        assert_eq!(roles("b@fabrikam.example", &shop.customer, "CUSTOMER_USER", json!([])).await, json!([user]));
        // Where a role was named, that one and not the default.
        assert_eq!(roles("c@fabrikam.example", &shop.customer, "CUSTOMER_USER", json!([admin])).await, json!([admin]));
    });
}

#[test]
fn roles_in_services_are_given_by_whoever_may_and_seen_where_one_acts() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let user = service_role(&world, &shop.operator, &shop.builtin, "user", false, false).await;
        let visiting = service_role(&world, &shop.operator, &shop.builtin, "visitor", false, true).await;
        let order = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" });
        world.post("/v1/subscriptions", order).by(&shop.admin).header("prefer", "wait=5").send().await.expect(200);
        let manager = world.member(&shop.operator, &shop.provider, "m@contoso.example", &["PROVIDER_SERVICE_MANAGER"]).await;
        let support = world.member(&shop.operator, &shop.provider, "s@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        let customer = world.member(&shop.operator, &shop.customer, "c@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        let give = |by: &Actor, body: Value| world.patch("/v1/members/service-roles", body).by(by).send();
        let to_support = json!({ "personIds": [support.id], "addServiceRoleIds": [user] });
        give(&support.actor, to_support.clone()).await.expect_problem(403, "permission_missing");
        let given = give(&manager.actor, to_support).await;
        assert_eq!(given.expect(207).at("/succeeded/changed/0/serviceRoleIds"), json!([user]));
        // The manager's say ends with the provider's own organization.
        let below = json!({ "organizationId": shop.customer, "personIds": [customer.id], "addServiceRoleIds": [user] });
        give(&manager.actor, below.clone()).await.expect_problem(404, "organization_not_found");
        give(&shop.admin, below.clone()).await.expect_problem(403, "customer_decides");
        give(&customer.actor, below).await.expect(207);
        let stranger = json!({ "personIds": [customer.id], "addServiceRoleIds": [user] });
        assert_eq!(give(&manager.actor, stranger).await.text("/failed/0/code"), "member_not_found");

        let own = async |by: &Actor, place: &str| {
            let answer = world.get("/v1/me/service-roles").by(by).acting_in(place).send().await;
            answer.expect(200).at("/items").as_array().unwrap().iter().map(|role| role["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(own(&support.actor, &shop.provider).await, [json!(user)]);
        // In the customer they have what whoever acts there for its provider has, and nothing of their own.
        world.let_in(&customer.actor, &shop.customer, &support.actor).await;
        assert_eq!(own(&support.actor, &shop.customer).await, [json!(visiting)]);
        assert_eq!(own(&customer.actor, &shop.customer).await, [json!(user)]);
        // Taken and gone.
        let take = json!({ "personIds": [support.id], "removeServiceRoleIds": [user] });
        give(&manager.actor, take).await.expect(207);
        assert_eq!(own(&support.actor, &shop.provider).await, Vec::<Value>::new());
    });
}
