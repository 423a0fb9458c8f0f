//! The customer's word: once a customer has an administrator of its own, nobody above it gives or takes anything inside it.

use crate::openapi::document;
use domain::role::{ACTING, WORD};
use http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tests::{Actor, Answer, Person, World, simulated};

/// A customer with an administrator, everybody above it, and what those gave inside it before.
struct House {
    world: World,
    customer: String,
    admin: Actor,
    ada: Person,
    bob: Person,
    /// Who tries, each by name.
    attackers: Vec<(&'static str, Actor)>,
    /// What stands for names in paths and bodies.
    names: BTreeMap<&'static str, String>,
}

const POLICIES: &str = "/v1/acting-policies";

async fn issue(world: &World, by: &Actor, what: &str, organization: &str, role: &str) -> (String, String) {
    let body = json!({ "name": "x", "organizationId": organization, "roles": [role] });
    let issued = world.post(&format!("/v1/{what}"), body).by(by).send().await;
    let secret = if what == "apps" { "/clientSecret" } else { "/apiToken" };
    (issued.expect(201).text("/id"), issued.text(secret))
}

async fn exchange(world: &World, id: &str, secret: &str, organization: &str) -> Actor {
    if id.starts_with("tok_") {
        return world.sign_in(secret, organization).await;
    }
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let answer = world.call(Method::POST, "/v1/oauth/token").body("application/x-www-form-urlencoded", form).send().await;
    let access_token = answer.expect(200).text("/access_token");
    Actor { access_token, api_token: String::new(), organization: organization.to_owned() }
}

impl House {
    async fn new() -> Self {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let distributor = world.organization(&operator, "DISTRIBUTOR", "Northwind", None).await;
        let provider = world.organization(&operator, "PROVIDER", "Contoso", Some(&distributor)).await;
        let distributor = world.actor(&operator, &distributor, "DISTRIBUTOR_ADMINISTRATOR").await;
        let admin = world.actor(&operator, &provider, "PROVIDER_ADMINISTRATOR").await;
        let operations = world.actor(&operator, &provider, "PROVIDER_OPERATIONS_ADMINISTRATOR").await;
        let customer = world.organization(&admin, "CUSTOMER", "Fabrikam", None).await;
        let service = world.service(&operator, "builtin", "BUILTIN").await;
        world.contract(&operator, &provider, &service).await;
        // What those above give while there is nobody else to give it.
        let mut attackers = Vec::new();
        for (name, what) in [("a token given before", "api-tokens"), ("an app given before", "apps")] {
            let (id, secret) = issue(&world, &admin, what, &customer, "CUSTOMER_ADMINISTRATOR").await;
            attackers.push((name, exchange(&world, &id, &secret, &customer).await, id));
        }
        let given = attackers[0].1.clone();
        let (below, secret) = issue(&world, &given, "api-tokens", &customer, "CUSTOMER_ADMINISTRATOR").await;
        attackers.push(("a token given by one given before", exchange(&world, &below, &secret, &customer).await, below));
        let policy = format!("{POLICIES}/{customer}");
        world.put(&policy, json!({ "policy": "ALLOW" })).by(&given).header("if-match", "*").send().await.expect(200);
        // An account administrator, to whom the customer is bound.
        let account = world.member(&operator, &provider, "account@contoso.example", &["PROVIDER_ACCOUNT_ADMINISTRATOR"]).await;
        let bind = json!({ "organizationId": provider, "personIds": [account.id], "addBoundOrganizationIds": [customer] });
        assert_eq!(world.patch("/v1/members", bind).by(&admin).send().await.expect(207).at("/failed"), json!([]));

        // And what is its own.
        let ada = world.member(&admin, &customer, "ada@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        let bob = world.member(&ada.actor, &customer, "bob@fabrikam.example", &["CUSTOMER_USER"]).await;
        let (token, _) = issue(&world, &ada.actor, "api-tokens", &customer, "CUSTOMER_ADMINISTRATOR").await;
        let (app, _) = issue(&world, &ada.actor, "apps", &customer, "CUSTOMER_USER").await;
        let people = json!([{ "email": "eve@fabrikam.example" }]);
        let invite = json!({ "organizationId": customer, "roles": ["CUSTOMER_USER"], "people": people });
        let invited = world.post("/v1/members", invite).by(&ada.actor).send().await;
        let invitation = invited.expect(207).text("/succeeded/invited/0/id");
        let rules = json!({ "rules": [{ "action": "PROVISION" }] });
        let approvals = format!("/v1/approval-policies/{customer}");
        world.put(&approvals, rules).by(&ada.actor).header("if-match", "*").send().await.expect(200);
        let order = json!({ "organizationId": customer, "serviceId": service, "quantity": "1" });
        let approval = world.post("/v1/subscriptions", order).by(&admin).send().await.expect(202).text("/id");
        assert!(approval.starts_with("apv_"), "{approval}");
        let ask = json!({ "organizationId": customer, "reason": "x", "durationMinutes": 60 });
        let session = world.post("/v1/acting-sessions", ask).by(&admin).send().await;
        // The policy that was set in the customer's stead ended with its administrator's coming.
        assert_eq!(session.expect(201).text("/status"), "PENDING");

        let names = BTreeMap::from([
            ("organizationId", customer.clone()),
            ("apiTokenId", token),
            ("givenTokenId", attackers[0].2.clone()),
            ("appId", app),
            ("personId", ada.id.clone()),
            ("userId", bob.id.clone()),
            ("memberInvitationId", invitation),
            ("approvalId", approval),
            ("actingSessionId", session.text("/id")),
        ]);
        let mut attackers: Vec<_> = attackers.into_iter().map(|(name, actor, _)| (name, actor)).collect();
        attackers.extend([
            ("the operator", operator),
            ("the distributor", distributor),
            ("the provider", admin.clone()),
            ("the provider's operations", operations),
            ("the account administrator", account.actor),
        ]);
        Self { world, customer, admin, ada, bob, attackers, names }
    }

    fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    async fn send(&self, by: &Actor, inside: bool, (route, body): (&str, &str)) -> Answer {
        let (method, path) = route.split_once(' ').unwrap();
        let mut call = self.world.call(method.parse().unwrap(), &self.named(path)).by(by).header("if-match", "*");
        if inside {
            call = call.acting_in(&self.customer);
        }
        if body.is_empty() {
            call.send().await
        } else {
            call.json(&serde_json::from_str(&self.named(body)).unwrap()).send().await
        }
    }

    async fn me(&self, by: &Actor) -> Answer {
        self.world.get("/v1/me").by(by).acting_in(&self.customer).send().await
    }
}

/// Everything by which something is given or taken inside a customer: the route, another thing it is tried on, and its body.
const ACTS: &[(&str, &str, &str)] = &[
    ("POST /v1/api-tokens", "", r#"{"name":"x","organizationId":"{organizationId}","roles":["CUSTOMER_ADMINISTRATOR"]}"#),
    ("POST /v1/api-tokens", "", r#"{"name":"x","organizationId":"{organizationId}","roles":["CUSTOMER_USER"]}"#),
    ("POST /v1/api-tokens/{apiTokenId}/regenerate", "", ""),
    ("POST /v1/api-tokens/{apiTokenId}/regenerate", "POST /v1/api-tokens/{givenTokenId}/regenerate", ""),
    ("DELETE /v1/api-tokens/{apiTokenId}", "", ""),
    ("POST /v1/apps", "", r#"{"name":"x","organizationId":"{organizationId}","roles":["CUSTOMER_USER"]}"#),
    ("POST /v1/apps/{appId}/regenerate", "", ""),
    ("DELETE /v1/apps/{appId}", "", ""),
    (
        "POST /v1/members",
        "",
        r#"{"organizationId":"{organizationId}","roles":["CUSTOMER_ADMINISTRATOR"],"people":[{"email":"x@contoso.example"}]}"#,
    ),
    (
        "POST /v1/members",
        "",
        r#"{"organizationId":"{organizationId}","roles":["CUSTOMER_OPERATIONS_ADMINISTRATOR"],"people":[{"email":"account@contoso.example"}]}"#,
    ),
    (
        "PATCH /v1/members",
        "",
        r#"{"organizationId":"{organizationId}","personIds":["{userId}"],"addRoles":["CUSTOMER_BILLING_USER"]}"#,
    ),
    (
        "PATCH /v1/members",
        "",
        r#"{"organizationId":"{organizationId}","personIds":["{personId}"],"addRoles":["CUSTOMER_USER"],"removeRoles":["CUSTOMER_ADMINISTRATOR"]}"#,
    ),
    ("PATCH /v1/members/service-roles", "", r#"{"organizationId":"{organizationId}","personIds":["{userId}"]}"#),
    ("DELETE /v1/members/{personId}", "DELETE /v1/members/{userId}?organizationId={organizationId}", ""),
    ("POST /v1/member-invitations/{memberInvitationId}/resend", "", ""),
    ("DELETE /v1/member-invitations/{memberInvitationId}", "", ""),
    ("POST /v1/sign-in/password-reset", "", r#"{"personId":"{personId}"}"#),
    ("POST /v1/sign-in/password-reset", "", r#"{"personId":"{userId}"}"#),
    (
        "PUT /v1/access-levels/{organizationId}/people/{personId}",
        "PUT /v1/access-levels/{organizationId}/people/{userId}",
        r#"{"level":"NONE"}"#,
    ),
    ("PUT /v1/acting-policies/{organizationId}", "", r#"{"policy":"ALLOW"}"#),
    ("PUT /v1/approval-policies/{organizationId}", "", r#"{"rules":[]}"#),
    ("POST /v1/acting-sessions/{actingSessionId}/approve", "", ""),
    ("POST /v1/acting-sessions/{actingSessionId}/refuse", "", ""),
    ("POST /v1/approvals/{approvalId}/approve", "", "{}"),
    ("POST /v1/approvals/{approvalId}/reject", "", r#"{"reason":"x"}"#),
];

/// Routes with the same permissions by which those above do something of their own.
const THEIR_OWN: &[&str] = &[
    // They ask, and stop asking.
    "POST /v1/acting-sessions",
    "POST /v1/acting-sessions/{actingSessionId}/end",
    // Identity providers of a customer wait for it: see `federation_oidc`.
    "POST /v1/identity-providers/{identityProviderId}/trust",
    "POST /v1/identity-providers/{identityProviderId}/distrust",
    "POST /v1/identity-providers",
    "PATCH /v1/identity-providers/{identityProviderId}",
    "DELETE /v1/identity-providers/{identityProviderId}",
    // They ask for a recovery and take it back: see `members_recoveries`.
    "POST /v1/organizations/{organizationId}/recoveries",
    "POST /v1/organizations/{organizationId}/recoveries/{recoveryId}/withdraw",
    // The customer's administrator's alone, whatever was given: see `members_credentials_from_above`.
    "DELETE /v1/organizations/{organizationId}/credentials-from-above/{principalId}",
];

/// A route that gives or takes and is not walked fails the test: so nobody adds one and forgets the customer.
#[test]
fn every_route_by_which_something_is_given_is_walked() {
    let document = document();
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if WORD.iter().any(|permission| operation["x-permission"] == json!(permission)) && method != "get" {
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let walked: BTreeSet<_> = ACTS.iter().map(|act| act.0).chain(THEIR_OWN.iter().copied()).map(str::to_owned).collect();
    let missing: Vec<_> = routes.difference(&walked).collect();
    assert!(missing.is_empty(), "not walked: {missing:?}");
}

#[test]
fn nobody_above_gives_or_takes_anything_in_a_customer_with_an_administrator() {
    simulated(|| async {
        let house = House::new().await;
        let before = house.world.dump();
        for (name, attacker) in &house.attackers {
            for inside in [false, true] {
                for (route, other, body) in ACTS {
                    let tried = if other.is_empty() { route } else { other };
                    let answer = house.send(attacker, inside, (*tried, *body)).await;
                    assert!(
                        [403, 404].contains(&answer.status()),
                        "{name} {tried} {body}: {} {}",
                        answer.status(),
                        answer.json()
                    );
                }
            }
            assert!(house.world.dump() == before, "{name} has changed something");
        }
        // From its provider's own organization they hear what they can do instead.
        let refused = house.send(&house.admin, false, (ACTS[0].0, ACTS[0].2)).await;
        refused.expect_problem(403, "customer_decides");
        assert!(refused.text("/detail").contains(&format!("/v1/organizations/{}/recoveries", house.customer)));
        // Each of them is the customer's own to do: nothing here is refused because it is wrong.
        for (route, other, body) in ACTS {
            if ["PATCH /v1/members", "DELETE /v1/members/{personId}"].contains(route) || body.contains("OPERATIONS") {
                continue;
            }
            let tried = if other.is_empty() { route } else { other };
            let answer = house.send(&house.ada.actor, false, (*tried, *body)).await;
            // What was answered, taken or given just above cannot be again.
            assert!(answer.status() < 300 || [404, 409].contains(&answer.status()), "{tried} {body}: {}", answer.json());
        }
    });
}

#[test]
fn what_was_given_before_permits_no_more_than_an_acting_session() {
    simulated(|| async {
        let house = House::new().await;
        let acting: BTreeSet<_> = ACTING.iter().map(|permission| permission.as_str().to_owned()).collect();
        let word: BTreeSet<_> = WORD.iter().map(|permission| permission.as_str().to_owned()).collect();
        for (name, attacker) in &house.attackers {
            let me = house.me(attacker).await;
            if me.status() != 200 {
                me.expect_problem(403, "acting_session_required");
                continue;
            }
            let permissions: Vec<String> = serde_json::from_value(me.at("/permissions")).unwrap();
            let permissions: BTreeSet<_> = permissions.into_iter().collect();
            assert!(permissions.is_disjoint(&word), "{name}: {permissions:?}");
            // The role of an account administrator is the provider's, and shows what the provider sees.
            let bound = *name == "the account administrator";
            assert!(bound || permissions.is_subset(&acting), "{name}: {permissions:?}");
            assert!(permissions.contains("SUBSCRIPTION_READ"), "{name}");
        }
        // Where it lets nobody act in it, nor is the account administrator let in.
        let policy = format!("{POLICIES}/{}", house.customer);
        let refuse = json!({ "policy": "REFUSE" });
        house.world.put(&policy, refuse).by(&house.ada.actor).header("if-match", "*").send().await.expect(200);
        let account = &house.attackers.last().unwrap().1;
        house.me(account).await.expect_problem(403, "acting_refused");
        house.me(&house.bob.actor).await.expect(200);
    });
}

/// The requests of a token that was given from above are its provider's, and its customer is asked.
#[test]
fn what_a_token_from_above_asks_for_its_provider_asks_for() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let (id, secret) = issue(&world, &shop.admin, "api-tokens", &shop.customer, "CUSTOMER_OPERATIONS_ADMINISTRATOR").await;
        let token = exchange(&world, &id, &secret, &shop.customer).await;
        let order = async || {
            let body = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" });
            world.post("/v1/subscriptions", body).by(&token).send().await.expect(202).at("/id")
        };
        let ada = world.member(&shop.admin, &shop.customer, "ada@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        let rules = json!({ "rules": [{ "action": "PROVISION", "askedBy": "PROVIDER" }] });
        let path = format!("/v1/approval-policies/{}", shop.customer);
        world.put(&path, rules).by(&ada.actor).header("if-match", "*").send().await.expect(200);
        let asked = order().await;
        assert!(asked.as_str().is_some_and(|id| id.starts_with("apv_")), "{asked}");
        // The customer makes it its own by giving it another secret.
        let renewed = world.post(&format!("/v1/api-tokens/{id}/regenerate"), json!({})).by(&ada.actor).send().await;
        renewed.expect_problem(403, "role_above_own");
    });
}

#[test]
fn an_invitation_from_above_ends_when_the_first_administrator_has_come() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let first = world.somebody("ada@fabrikam.example", &[]);
        let people = json!([{ "email": "late@contoso.example" }]);
        let invite = json!({ "organizationId": shop.customer, "roles": ["CUSTOMER_ADMINISTRATOR"], "people": people });
        let invited = world.post("/v1/members", invite).by(&shop.admin).send().await;
        let id = invited.expect(207).text("/succeeded/invited/0/id");
        let sql = "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, 'CUSTOMER_ADMINISTRATOR', ?2)";
        world.database().execute(sql, (&first, &shop.customer)).unwrap();
        let sql = "UPDATE organizations SET self_administered = 1 WHERE id = ?1";
        world.database().execute(sql, [&shop.customer]).unwrap();
        let secret = world.mailed(&id);
        let accept = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
        accept.expect_problem(403, "invitation_void");
        // Who sent it can take it back; and nobody of theirs can send it again.
        let path = format!("/v1/member-invitations/{id}");
        let resend = world.post(&format!("{path}/resend"), json!({})).by(&shop.admin).send().await;
        resend.expect_problem(403, "customer_decides");
        world.delete(&path).by(&shop.admin).send().await.expect(204);
    });
}

/// Losing the administrator gives nothing back to those above: only a recovery does.
#[test]
fn a_customer_that_has_lost_its_administrator_still_decides() {
    simulated(|| async {
        let house = House::new().await;
        house.world.database().execute("UPDATE people SET status = 'DISABLED' WHERE id = ?1", [&house.ada.id]).unwrap();
        for (name, attacker) in &house.attackers {
            for (route, other, body) in ACTS.iter().filter(|act| !act.0.starts_with("POST /v1/sign-in")) {
                let tried = if other.is_empty() { route } else { other };
                let answer = house.send(attacker, false, (*tried, *body)).await;
                assert!([403, 404].contains(&answer.status()), "{name} {tried} {body}: {} {}", answer.status(), answer.json());
            }
        }
    });
}
