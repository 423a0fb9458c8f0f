//! Members: adding them in bulk, roles, the last administrator, removal, and who looks after which customers.

use crate::onboarding_member_invitations::code_of;
use domain::Role;
use host::{Fault, Target};
use serde_json::{Value, json};
use tests::{Actor, Answer, Person, Shop, World, simulated};

/// A provider with an administrator of flesh and blood beside its token.
async fn ground() -> (World, Shop, Person) {
    let world = World::new().await;
    let shop = world.shop().await;
    let admin = world.member(&shop.operator, &shop.provider, "admin@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
    (world, shop, admin)
}

async fn change(world: &World, by: &Actor, body: Value) -> Answer {
    world.patch("/v1/members", body).by(by).send().await
}

fn path(person: &Person, organization: &str) -> String {
    format!("/v1/members/{}?organizationId={organization}", person.id)
}

#[test]
fn people_are_invited_in_bulk_and_members_get_the_roles_at_once() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let member = world.member(&admin.actor, &shop.provider, "member@contoso.example", &["PROVIDER_DEVELOPER"]).await;
        let disabled = world.member(&admin.actor, &shop.provider, "gone@contoso.example", &["PROVIDER_DEVELOPER"]).await;
        world.database().execute("UPDATE people SET status = 'DISABLED' WHERE id = ?1", [&disabled.id]).unwrap();
        let body = json!({
            "roles": ["PROVIDER_BILLING_USER", "PROVIDER_SUPPORT_USER"],
            "people": [
                { "email": "Member@Contoso.example" },
                { "email": "new@contoso.example", "displayName": "New Here" },
                { "email": "gone@contoso.example" },
                { "email": "new@contoso.example" },
            ],
        });
        let answer = world.post("/v1/members", body.clone()).by(&admin.actor).key("bulk").send().await;
        answer.expect(207);
        let added = answer.at("/succeeded/added");
        assert_eq!(added.as_array().unwrap().len(), 1, "{}", answer.json());
        assert_eq!((&added[0]["personId"], &added[0]["organizationId"]), (&json!(member.id), &json!(shop.provider)));
        assert_eq!(added[0]["roles"], json!(["PROVIDER_BILLING_USER", "PROVIDER_DEVELOPER", "PROVIDER_SUPPORT_USER"]));
        let invited = answer.at("/succeeded/invited");
        assert_eq!(invited.as_array().unwrap().len(), 1);
        assert_eq!((&invited[0]["email"], &invited[0]["status"]), (&json!("new@contoso.example"), &json!("PENDING")));
        assert!(invited[0]["secret"].as_str().unwrap().starts_with("hubmi_"));
        let failed = answer.at("/failed");
        let codes: Vec<_> = failed.as_array().unwrap().iter().map(|one| (&one["email"], &one["code"])).collect();
        assert_eq!(
            codes,
            [
                (&json!("gone@contoso.example"), &json!("person_disabled")),
                (&json!("new@contoso.example"), &json!("invitation_pending"))
            ]
        );
        // Sent again with its key it is answered as before, secret included, and nobody is invited twice.
        let again = world.post("/v1/members", body).by(&admin.actor).key("bulk").send().await;
        assert_eq!(again.json(), answer.json());
        assert_eq!(world.count("SELECT COUNT(*) FROM member_invitations WHERE status = 'PENDING'"), 1);
        world.get("/v1/invoices").by(&member.actor).send().await.expect(200);
    });
}

#[test]
fn what_cannot_be_given_is_refused_as_a_whole() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let theirs = world.organization(&shop.operator, "CUSTOMER", "Theirs", Some(&rival)).await;
        let before = world.dump();
        let people = json!([{ "email": "x@example.com" }]);
        let unknown = "org_01h455vb4pex5vsknk084sn02q";
        for (body, status, code) in [
            (json!({ "roles": [], "people": people }), 422, "invalid_request"),
            (json!({ "roles": ["PROVIDER_DEVELOPER"], "people": [] }), 422, "invalid_request"),
            (json!({ "roles": ["CUSTOMER_USER"], "people": people }), 422, "invalid_request"),
            (json!({ "roles": ["PROVIDER_DEVELOPER"], "people": [{ "email": "nobody" }] }), 422, "invalid_request"),
            (json!({ "roles": ["PROVIDER_KING"], "people": people }), 422, "invalid_request"),
            (json!({ "roles": ["PROVIDER_DEVELOPER"], "people": people, "role": 1 }), 422, "invalid_request"),
            (
                json!({ "roles": ["PROVIDER_DEVELOPER"], "boundOrganizationIds": [shop.customer], "people": people }),
                422,
                "invalid_request",
            ),
            (
                json!({ "roles": ["PROVIDER_DEVELOPER"], "people": people, "organizationId": rival }),
                404,
                "organization_not_found",
            ),
            (
                json!({ "roles": ["PROVIDER_DEVELOPER"], "people": people, "organizationId": unknown }),
                404,
                "organization_not_found",
            ),
            (
                json!({ "roles": ["PROVIDER_ACCOUNT_ADMINISTRATOR"], "boundOrganizationIds": [theirs], "people": people }),
                404,
                "organization_not_found",
            ),
            (
                json!({ "roles": ["PROVIDER_ACCOUNT_ADMINISTRATOR"], "boundOrganizationIds": [shop.provider], "people": people }),
                404,
                "organization_not_found",
            ),
            (
                json!({ "roles": ["PROVIDER_DEVELOPER"], "serviceRoleIds": ["srol_01h455vb4pex5vsknk084sn02q"], "people": people }),
                404,
                "service_role_not_found",
            ),
        ] {
            world.post("/v1/members", body).by(&admin.actor).send().await.expect_problem(status, code);
        }
        let crowd: Vec<_> = (0..101).map(|n| json!({ "email": format!("p{n}@example.com") })).collect();
        let crowd = json!({ "roles": ["PROVIDER_DEVELOPER"], "people": crowd });
        world.post("/v1/members", crowd).by(&admin.actor).send().await.expect_problem(422, "invalid_request");
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn nobody_grants_above_their_own_level() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let operations =
            world.member(&admin.actor, &shop.provider, "ops@contoso.example", &["PROVIDER_OPERATIONS_ADMINISTRATOR"]).await;
        let give = |by: &Actor, organization: &str, role: &str| {
            let body = json!({ "organizationId": organization, "roles": [role], "people": [{ "email": "y@example.com" }] });
            world.post("/v1/members", body).by(by).send()
        };
        for role in ["PROVIDER_ADMINISTRATOR", "PROVIDER_BILLING_USER", "PROVIDER_DEVELOPER"] {
            give(&operations.actor, &shop.provider, role).await.expect_problem(403, "role_above_own");
        }
        let own = json!({ "personIds": [operations.id], "addRoles": ["PROVIDER_ADMINISTRATOR"] });
        change(&world, &operations.actor, own).await.expect_problem(403, "role_above_own");
        // Nor does anybody take from above.
        let taken = json!({ "personIds": [admin.id], "removeRoles": ["PROVIDER_ADMINISTRATOR"] });
        let taken = change(&world, &operations.actor, taken).await;
        assert_eq!(taken.expect(207).text("/failed/0/code"), "role_above_own");
        let removed = world.delete(&path(&admin, &shop.provider)).by(&operations.actor).send().await;
        removed.expect_problem(403, "role_above_own");
        give(&operations.actor, &shop.provider, "PROVIDER_OPERATIONS_USER").await.expect(207);
        // The first administrator of a customer is the exception; for oneself it is none.
        let before = world.dump();
        let own = json!({ "organizationId": shop.customer, "roles": ["CUSTOMER_ADMINISTRATOR"], "people": [{ "email": "ops@contoso.example" }] });
        let own = world.post("/v1/members", own).by(&operations.actor).send().await;
        assert_eq!(own.expect(207).text("/failed/0/code"), "role_above_own");
        assert_eq!(world.dump(), before);
        let first = world.member(&operations.actor, &shop.customer, "first@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        give(&operations.actor, &shop.customer, "CUSTOMER_ADMINISTRATOR").await.expect_problem(403, "customer_decides");
        give(&first.actor, &shop.customer, "CUSTOMER_ADMINISTRATOR").await.expect(207);
    });
}

#[test]
fn a_distributor_makes_a_providers_first_administrator_and_no_second() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let distributor = world.organization(&operator, "DISTRIBUTOR", "Northwind", None).await;
        let admin = world.member(&operator, &distributor, "d@northwind.example", &["DISTRIBUTOR_ADMINISTRATOR"]).await;
        let provider = world.organization(&admin.actor, "PROVIDER", "Contoso", None).await;
        let first = world.member(&admin.actor, &provider, "p@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let second = json!({ "organizationId": provider, "roles": ["PROVIDER_ADMINISTRATOR"], "people": [{ "email": "q@contoso.example" }] });
        world.post("/v1/members", second).by(&admin.actor).send().await.expect_problem(403, "role_above_own");
        world.organization(&first.actor, "CUSTOMER", "Fabrikam", None).await;
    });
}

#[test]
fn roles_add_up_and_are_given_and_taken_in_bulk() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let one = world.member(&admin.actor, &shop.provider, "one@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        let two = world.member(&admin.actor, &shop.provider, "two@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        let stranger = "per_01h455vb4pex5vsknk084sn02q";
        world.get("/v1/invoices").by(&one.actor).send().await.expect_problem(403, "permission_missing");
        let body = json!({ "personIds": [one.id, two.id, stranger], "addRoles": ["PROVIDER_BILLING_USER"] });
        let answer = change(&world, &admin.actor, body).await;
        answer.expect(207);
        assert_eq!(answer.at("/succeeded/changed").as_array().unwrap().len(), 2);
        assert_eq!(answer.at("/succeeded/changed/0/roles"), json!(["PROVIDER_BILLING_USER", "PROVIDER_SUPPORT_USER"]));
        assert_eq!(answer.at("/failed").as_array().unwrap().len(), 1);
        assert_eq!(
            (answer.text("/failed/0/personId").as_str(), answer.text("/failed/0/code").as_str()),
            (stranger, "member_not_found")
        );
        world.get("/v1/invoices").by(&one.actor).send().await.expect(200);
        // What was taken is gone with the next request; what is left stays.
        let taken = json!({ "personIds": [one.id], "removeRoles": ["PROVIDER_BILLING_USER"] });
        assert_eq!(change(&world, &admin.actor, taken).await.at("/failed"), json!([]));
        world.get("/v1/invoices").by(&one.actor).send().await.expect_problem(403, "permission_missing");
        world.get("/v1/subscriptions").by(&one.actor).send().await.expect(200);
        let last = json!({ "personIds": [one.id], "removeRoles": ["PROVIDER_SUPPORT_USER"] });
        assert_eq!(change(&world, &admin.actor, last).await.text("/failed/0/code"), "invalid_request");
        let both = json!({ "personIds": [one.id], "addRoles": ["PROVIDER_DEVELOPER"], "removeRoles": ["PROVIDER_DEVELOPER"] });
        change(&world, &admin.actor, both).await.expect_problem(422, "invalid_request");
        // A user cannot change anything, their own roles included.
        let own = json!({ "personIds": [one.id], "addRoles": ["PROVIDER_SUPPORT_USER"] });
        change(&world, &one.actor, own).await.expect_problem(403, "permission_missing");
    });
}

#[test]
fn the_last_administrator_stays() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let remove = || world.delete(&path(&admin, &shop.provider)).by(&shop.operator).send();
        remove().await.expect_problem(409, "last_administrator");
        let demote = json!({ "organizationId": shop.provider, "personIds": [admin.id], "addRoles": ["PROVIDER_SUPPORT_USER"], "removeRoles": ["PROVIDER_ADMINISTRATOR"] });
        assert_eq!(change(&world, &shop.operator, demote.clone()).await.text("/failed/0/code"), "last_administrator");
        // Somebody who cannot sign in does not count, nor somebody who was only invited.
        let other = world.member(&admin.actor, &shop.provider, "two@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        world.database().execute("UPDATE people SET status = 'DISABLED' WHERE id = ?1", [&other.id]).unwrap();
        let invite = json!({ "roles": ["PROVIDER_ADMINISTRATOR"], "people": [{ "email": "three@contoso.example" }] });
        world.post("/v1/members", invite).by(&admin.actor).send().await.expect(207);
        remove().await.expect_problem(409, "last_administrator");
        world.database().execute("UPDATE people SET status = 'ACTIVE' WHERE id = ?1", [&other.id]).unwrap();
        assert_eq!(change(&world, &shop.operator, demote).await.at("/failed"), json!([]));
        remove().await.expect(204);
        world.delete(&path(&other, &shop.provider)).by(&other.actor).send().await.expect_problem(409, "last_administrator");
        // Both at once in one request: the second of them stays.
        let third = world.member(&other.actor, &shop.provider, "admin@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let both = json!({ "personIds": [other.id, third.id], "addRoles": ["PROVIDER_SUPPORT_USER"], "removeRoles": ["PROVIDER_ADMINISTRATOR"] });
        let answer = change(&world, &shop.admin, both).await;
        assert_eq!(answer.at("/succeeded/changed").as_array().unwrap().len(), 1);
        assert_eq!(answer.text("/failed/0/code"), "last_administrator");
    });
}

#[test]
fn of_two_who_remove_the_last_two_administrators_at_once_one_fails() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let other = world.member(&admin.actor, &shop.provider, "two@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let remove = |who: &Person, by: &Person| world.delete(&path(who, &shop.provider)).by(&by.actor).send();
        // Each removes the other; and in a second round each removes themselves.
        let (one, two) = futures::future::join(remove(&admin, &other), remove(&other, &admin)).await;
        let mut statuses = [one.status(), two.status()];
        statuses.sort_unstable();
        // Who came second was removed meanwhile, or is the last.
        assert_eq!(statuses[0], 204);
        assert!([401, 403, 404, 409].contains(&statuses[1]), "{statuses:?}");
        let administrators = "SELECT COUNT(*) FROM bindings WHERE role = 'PROVIDER_ADMINISTRATOR' AND principal_id LIKE 'per_%'";
        assert_eq!(world.count(administrators), 1);

        let third = world.member(&shop.admin, &shop.provider, "three@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let left = if one.status() == 204 { &other } else { &admin };
        let (one, two) = futures::future::join(
            world.delete(&path(left, &shop.provider)).by(&shop.admin).send(),
            world.delete(&path(&third, &shop.provider)).by(&shop.operator).send(),
        )
        .await;
        let mut statuses = [one.status(), two.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409]);
        assert_eq!(world.count(administrators), 1);
    });
}

#[test]
fn removal_counts_from_the_next_request_on_and_in_that_organization_alone() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let user = world.member(&admin.actor, &shop.provider, "user@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let there = world.member(&shop.operator, &rival, "user@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        assert_eq!(user.id, there.id);
        let home = || {
            world.count("SELECT COUNT(*) FROM people p JOIN organizations o ON o.id = p.default_organization_id WHERE o.display_name = 'Rival'")
        };
        assert_eq!(home(), 0);
        world.delete(&path(&user, &shop.provider)).by(&admin.actor).send().await.expect(204);
        world.get("/v1/me").by(&user.actor).send().await.expect_problem(401, "access_token_invalid");
        world.get("/v1/me").by(&there.actor).acting_in(&shop.provider).send().await.expect_problem(404, "organization_not_found");
        world.get("/v1/subscriptions").by(&there.actor).send().await.expect(200);
        assert_eq!(home(), 1);
        world.delete(&path(&user, &shop.provider)).by(&admin.actor).send().await.expect_problem(404, "member_not_found");
        // Their last membership gone, they are nobody; added again, they are back, with nothing from before.
        world.delete(&path(&user, &rival)).by(&shop.operator).send().await.expect(204);
        world.get("/v1/me").by(&there.actor).send().await.expect_problem(401, "access_token_invalid");
        let back = world.member(&admin.actor, &shop.provider, "user@contoso.example", &["PROVIDER_OPERATIONS_USER"]).await;
        let member = world.get(&path(&back, &shop.provider)).by(&admin.actor).send().await;
        assert_eq!(member.expect(200).at("/roles"), json!(["PROVIDER_OPERATIONS_USER"]));
        assert_eq!(world.count("SELECT COUNT(*) FROM people WHERE default_organization_id IS NULL"), 0);
    });
}

#[test]
fn whoever_was_removed_has_no_way_back_in() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let invite = json!({ "roles": ["PROVIDER_SUPPORT_USER"], "people": [{ "email": "user@contoso.example" }] });
        let invited = world.post("/v1/members", invite).by(&admin.actor).send().await;
        let old = invited.expect(207).text("/succeeded/invited/0/secret");
        let id = invited.text("/succeeded/invited/0/id");
        let mailed = world.mailed(&id);
        // Known to the hub by another provider meanwhile, and a member here in another way.
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let there = world.member(&shop.operator, &rival, "user@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        let sql = "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, 'PROVIDER_SUPPORT_USER', ?2)";
        world.database().execute(sql, (&there.id, &shop.provider)).unwrap();
        world.delete(&path(&there, &shop.provider)).by(&admin.actor).send().await.expect(204);
        for secret in [old, mailed] {
            let accept = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
            accept.expect_problem(409, "invitation_revoked");
        }
        assert_eq!(world.count(&format!("SELECT COUNT(*) FROM mailbox WHERE subject_id = '{id}'")), 0);
        // A token that says they are at home there says nothing.
        let left = world.person(&there.id, &shop.provider);
        world.get("/v1/me").by(&left.actor).send().await.expect_problem(404, "organization_not_found");
        world.get("/v1/me").by(&left.actor).acting_in(&rival).send().await.expect(200);
    });
}

#[test]
fn a_removal_that_breaks_off_has_removed_nothing() {
    simulated(|| async {
        let (mut world, shop, admin) = ground().await;
        let user = world.member(&admin.actor, &shop.provider, "user@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        let before = world.dump();
        for statement in
            ["DELETE FROM bindings", "DELETE FROM member_service_roles", "DELETE FROM access_tokens", "UPDATE people", "COMMIT"]
        {
            world.hub.faults().push(Fault::on(Target::SqlMatching(statement.into())).fail("disk I/O error"));
            let broken = world.delete(&path(&user, &shop.provider)).by(&admin.actor).send().await;
            broken.expect_problem(503, code_of(statement));
            world.hub.faults().clear();
            assert_eq!(world.dump(), before, "{statement}");
        }
        world.hub.faults().push(Fault::on(Target::SqlMatching("UPDATE people".into())).crash_before());
        assert!(world.delete(&path(&user, &shop.provider)).by(&admin.actor).try_send().await.is_err());
        world.restart().await;
        assert_eq!(world.dump(), before);
        world.delete(&path(&user, &shop.provider)).by(&admin.actor).send().await.expect(204);
        world.get("/v1/me").by(&user.actor).send().await.expect_problem(401, "access_token_invalid");
    });
}

#[test]
fn one_who_cannot_be_added_for_a_fault_leaves_nobody_added() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        world.member(&admin.actor, &shop.customer, "known@fabrikam.example", &["CUSTOMER_USER"]).await;
        let before = world.dump();
        let people = json!([{ "email": "known@fabrikam.example" }, { "email": "new@contoso.example" }]);
        let body = json!({ "organizationId": shop.customer, "roles": ["CUSTOMER_BILLING_USER"], "people": people });
        world.hub.faults().push(Fault::on(Target::SqlMatching("INSERT INTO member_invitations".into())).fail("disk I/O error"));
        let broken = world.post("/v1/members", body).by(&admin.actor).send().await;
        broken.expect_problem(503, "temporarily_unavailable");
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn an_account_administrator_reaches_the_customers_bound_to_the_role_and_nothing_else() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let other = world.organization(&admin.actor, "CUSTOMER", "Other", None).await;
        let body = json!({
            "roles": ["PROVIDER_ACCOUNT_ADMINISTRATOR"], "boundOrganizationIds": [shop.customer],
            "people": [{ "email": "account@contoso.example" }],
        });
        let invited = world.post("/v1/members", body).by(&admin.actor).send().await;
        let secret = invited.expect(207).text("/succeeded/invited/0/secret");
        let accepted = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
        assert_eq!(accepted.expect(200).at("/member/boundOrganizationIds"), json!([shop.customer]));
        let account = world.person(&accepted.text("/member/personId"), &shop.provider);
        let get = |path: &str, place: &str| world.get(path).by(&account.actor).acting_in(place).send();

        // At home they know who they are and see nothing of the provider, and so nothing of its customers.
        let me = get("/v1/me", &shop.provider).await;
        assert_eq!((me.expect(200).at("/permissions"), me.at("/actingOrganizationId")), (json!([]), json!(shop.provider)));
        for list in ["organizations", "members", "subscriptions", "invoices", "api-tokens", "contracts", "services"] {
            get(&format!("/v1/{list}"), &shop.provider).await.expect_problem(403, "permission_missing");
        }
        // In the customer they do their work.
        let seen = get("/v1/organizations", &shop.customer).await;
        assert_eq!(seen.expect(200).at("/items").as_array().unwrap().len(), 1);
        get("/v1/subscriptions", &shop.customer).await.expect(200);
        get("/v1/invoices", &shop.customer).await.expect_problem(403, "permission_missing");
        let tag = json!({ "tag": "mine" });
        let edit = |id: &str, place: &str| {
            let call = world.patch(&format!("/v1/organizations/{id}"), tag.clone()).by(&account.actor).header("if-match", "*");
            call.acting_in(place).send()
        };
        edit(&shop.customer, &shop.customer).await.expect(200);
        edit(&other, &shop.customer).await.expect_problem(404, "organization_not_found");
        edit(&shop.provider, &shop.customer).await.expect_problem(404, "organization_not_found");
        let people = json!({ "roles": ["CUSTOMER_USER"], "people": [{ "email": "u@fabrikam.example" }] });
        world.post("/v1/members", people).by(&account.actor).acting_in(&shop.customer).send().await.expect(207);
        // Other customers do not exist.
        get("/v1/me", &other).await.expect_problem(404, "organization_not_found");
        // They are no member of the customer, but of the provider.
        let members = world.get(&format!("/v1/members?organizationId={}", shop.customer)).by(&admin.actor).send().await;
        assert_eq!(members.expect(200).at("/items"), json!([]));

        // Bound to another one, and from the first, from the next request on.
        let moved = json!({ "personIds": [account.id], "addBoundOrganizationIds": [other], "removeBoundOrganizationIds": [shop.customer] });
        let moved = change(&world, &admin.actor, moved).await;
        assert_eq!(moved.expect(207).at("/succeeded/changed/0/boundOrganizationIds"), json!([other]));
        get("/v1/organizations", &shop.customer).await.expect_problem(404, "organization_not_found");
        get("/v1/organizations", &other).await.expect(200);
        // Without the role nothing is bound.
        let swapped = json!({ "personIds": [account.id], "addRoles": ["PROVIDER_SUPPORT_USER"], "removeRoles": ["PROVIDER_ACCOUNT_ADMINISTRATOR"] });
        let swapped = change(&world, &admin.actor, swapped).await;
        assert_eq!(swapped.expect(207).at("/succeeded/changed/0/boundOrganizationIds"), json!([]));
        let bound = json!({ "personIds": [account.id], "addBoundOrganizationIds": [other] });
        assert_eq!(change(&world, &admin.actor, bound).await.text("/failed/0/code"), "invalid_request");
    });
}

#[test]
fn a_role_of_the_organization_alone_does_not_reach_below() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let developer = world.member(&admin.actor, &shop.provider, "dev@contoso.example", &["PROVIDER_DEVELOPER"]).await;
        world.actor(&shop.admin, &shop.customer, "CUSTOMER_USER").await;
        let tokens = world.get("/v1/api-tokens").by(&developer.actor).send().await;
        let places: Vec<_> = tokens.at("/items").as_array().unwrap().iter().map(|one| one["organizationId"].clone()).collect();
        assert_eq!(places, [json!(shop.provider)]);
        let all = world.get("/v1/api-tokens").by(&admin.actor).send().await;
        assert_eq!(all.at("/items").as_array().unwrap().len(), 2);
        world
            .get(&format!("/v1/organizations/{}", shop.customer))
            .by(&developer.actor)
            .send()
            .await
            .expect_problem(404, "organization_not_found");
        world
            .get("/v1/me")
            .by(&developer.actor)
            .acting_in(&shop.customer)
            .send()
            .await
            .expect_problem(404, "organization_not_found");
        // With a role that does, the one permission reaches below and the other still does not.
        let both = json!({ "personIds": [developer.id], "addRoles": ["PROVIDER_SUPPORT_USER"] });
        change(&world, &admin.actor, both).await.expect(207);
        world.get(&format!("/v1/organizations/{}", shop.customer)).by(&developer.actor).send().await.expect(200);
        let tokens = world.get("/v1/api-tokens").by(&developer.actor).send().await;
        assert_eq!(tokens.at("/items").as_array().unwrap().len(), 1);
        let token = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
        world.post("/v1/api-tokens", token).by(&developer.actor).send().await.expect_problem(404, "organization_not_found");
    });
}

#[test]
fn members_are_listed_page_by_page_and_others_tenants_are_not_there() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let people: Vec<_> = (0..24).map(|n| json!({ "email": format!("p{n}@contoso.example") })).collect();
        let body = json!({ "roles": ["PROVIDER_SUPPORT_USER", "PROVIDER_DEVELOPER"], "people": people });
        let answer = world.post("/v1/members", body).by(&admin.actor).send().await;
        for invited in answer.expect(207).at("/succeeded/invited").as_array().unwrap() {
            let body = json!({ "secret": invited["secret"] });
            world.post("/v1/member-invitations/accept", body).send().await.expect(200);
        }
        let (mut path_, mut seen, mut pages) = (Some("/v1/members?limit=7".to_owned()), Vec::new(), 0);
        while let Some(next) = path_ {
            let page = world.get(&next).by(&admin.actor).send().await;
            page.expect(200);
            pages += 1;
            seen.extend(page.at("/items").as_array().unwrap().clone());
            path_ =
                page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
        }
        assert_eq!((seen.len(), pages), (25, 4));
        let ids: std::collections::BTreeSet<_> = seen.iter().map(|one| one["personId"].to_string()).collect();
        assert_eq!(ids.len(), 25);
        assert_eq!(seen.iter().filter(|one| one["roles"] == json!(["PROVIDER_DEVELOPER", "PROVIDER_SUPPORT_USER"])).count(), 24);

        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival = world.actor(&shop.operator, &rival, Role::ProviderAdministrator.as_str()).await;
        let before = world.dump();
        let unknown = "per_01h455vb4pex5vsknk084sn02q";
        let hidden = world.get(&format!("/v1/members/{}", admin.id)).by(&rival).send().await;
        let absent = world.get(&format!("/v1/members/{unknown}")).by(&rival).send().await;
        hidden.expect_problem(404, "member_not_found");
        assert_eq!(hidden.text("/detail").replace(&admin.id, unknown), absent.text("/detail"));
        world.get(&path(&admin, &shop.provider)).by(&rival).send().await.expect_problem(404, "member_not_found");
        world.delete(&path(&admin, &shop.provider)).by(&rival).send().await.expect_problem(404, "member_not_found");
        let list = format!("/v1/members?organizationId={}", shop.provider);
        world.get(&list).by(&rival).send().await.expect_problem(404, "organization_not_found");
        let body = json!({ "organizationId": shop.provider, "personIds": [admin.id], "addRoles": ["PROVIDER_DEVELOPER"] });
        change(&world, &rival, body.clone()).await.expect_problem(404, "organization_not_found");
        let mut here = body;
        here.as_object_mut().unwrap().remove("organizationId");
        assert_eq!(change(&world, &rival, here).await.text("/failed/0/code"), "member_not_found");
        assert_eq!(world.dump(), before);
    });
}

#[test]
fn there_is_one_first_administrator_however_many_are_named() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let by = world.actor(&shop.operator, &shop.provider, "PROVIDER_OPERATIONS_ADMINISTRATOR").await;
        // They are members already, and have confirmed their addresses.
        let one = world.member(&shop.operator, &shop.customer, "one@example.com", &["CUSTOMER_USER"]).await.id;
        let two = world.member(&shop.operator, &shop.customer, "two@example.com", &["CUSTOMER_USER"]).await.id;
        let body = json!({
            "organizationId": shop.customer, "roles": ["CUSTOMER_ADMINISTRATOR"],
            "people": [{ "email": "one@example.com" }, { "email": "two@example.com" }],
        });
        let added = world.post("/v1/members", body).by(&by).send().await;
        assert_eq!(added.expect(207).at("/succeeded/added/0/personId"), json!(one));
        assert_eq!(
            (added.at("/failed/0/email"), added.at("/failed/0/code")),
            (json!("two@example.com"), json!("role_above_own"))
        );
        // Nor by giving the role to several at once.
        let other = world.organization(&shop.admin, "CUSTOMER", "Tailspin", None).await;
        for person in [&one, &two] {
            let sql = "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, 'CUSTOMER_USER', ?2)";
            world.database().execute(sql, (person, &other)).unwrap();
        }
        let body = json!({ "organizationId": other, "personIds": [one, two], "addRoles": ["CUSTOMER_ADMINISTRATOR"] });
        let changed = world.patch("/v1/members", body).by(&by).send().await;
        assert_eq!(changed.expect(207).at("/succeeded/changed/0/personId"), json!(one));
        assert_eq!((changed.at("/failed/0/personId"), changed.at("/failed/0/code")), (json!(two), json!("role_above_own")));
    });
}
