//! The customer's word, as a story: a customer has said REFUSE, and its provider, the distributor above that and the operator try by
//! whatever they have to overrule it.

use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

struct Story {
    world: World,
    provider: String,
    customer: String,
    /// The customer's administrator.
    ada: Actor,
    ada_id: String,
    /// A token that the provider issued itself in the customer while that had nobody.
    given: Actor,
    attackers: Vec<(&'static str, Actor)>,
}

impl Story {
    async fn new() -> Self {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let distributor = world.organization(&operator, "DISTRIBUTOR", "Northwind", None).await;
        let provider = world.organization(&operator, "PROVIDER", "Contoso", Some(&distributor)).await;
        let distributor = world.actor(&operator, &distributor, "DISTRIBUTOR_ADMINISTRATOR").await;
        let admin = world.actor(&operator, &provider, "PROVIDER_ADMINISTRATOR").await;
        let customer = world.organization(&admin, "CUSTOMER", "Fabrikam", None).await;
        let given = world.actor(&admin, &customer, "CUSTOMER_ADMINISTRATOR").await;
        let ada = world.member(&admin, &customer, "ada@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        let (ada_id, ada) = (ada.id, ada.actor);
        let policy = format!("/v1/acting-policies/{customer}");
        world.put(&policy, json!({ "policy": "REFUSE" })).by(&ada).header("if-match", "*").send().await.expect(200);
        let attackers = vec![("the provider", admin), ("the distributor", distributor), ("the operator", operator)];
        Self { world, provider, customer, ada, ada_id, given, attackers }
    }

    async fn issue(&self, by: &Actor, role: &str) -> Answer {
        let body = json!({ "name": "x", "organizationId": self.customer, "roles": [role] });
        self.world.post("/v1/api-tokens", body).by(by).send().await
    }

    async fn allow(&self, by: &Actor) -> Answer {
        let policy = format!("/v1/acting-policies/{}", self.customer);
        self.world.put(&policy, json!({ "policy": "ALLOW" })).by(by).header("if-match", "*").send().await
    }

    async fn act(&self, by: &Actor) -> Answer {
        let body = json!({ "organizationId": self.customer, "reason": "x", "durationMinutes": 60 });
        self.world.post("/v1/acting-sessions", body).by(by).send().await
    }

    async fn invite(&self, by: &Actor, email: &str, role: &str) -> Answer {
        let people = json!([{ "email": email }]);
        let body = json!({ "organizationId": self.customer, "roles": [role], "people": people });
        self.world.post("/v1/members", body).by(by).send().await
    }

    /// What the customer said still holds, and nobody got in.
    async fn check_holds(&self, who: &str) {
        let policy = self.world.get(&format!("/v1/acting-policies/{}", self.customer)).by(&self.ada).send().await;
        assert_eq!(policy.expect(200).text("/policy"), "REFUSE", "{who}");
        let members = self.world.get("/v1/members").by(&self.ada).send().await.expect(200).at("/items");
        assert_eq!(members.as_array().unwrap().len(), 1, "{who}: {members}");
        let tokens = self.world.get("/v1/api-tokens").by(&self.ada).send().await.expect(200).at("/items");
        assert_eq!(tokens.as_array().unwrap().len(), 1, "{who}: {tokens}");
        assert_eq!(self.world.get("/v1/acting-sessions").by(&self.ada).send().await.at("/items"), json!([]), "{who}");
        assert_eq!(self.world.count("SELECT COUNT(*) FROM mailbox WHERE recipient = 'ada@fabrikam.example'"), 0, "{who}");
    }
}

/// A refusal, of whatever kind: the attackers see the customer, so most are 403.
#[track_caller]
fn refused(who: &str, answer: &Answer) {
    assert!([403, 404, 409].contains(&answer.status()), "{who}: {} {}", answer.status(), answer.json());
}

#[test]
fn nobody_above_overrules_a_customer_that_refused() {
    simulated(|| async {
        let story = Story::new().await;
        for (who, attacker) in &story.attackers {
            // A token of one's own in the customer, by which to set the policy and to approve one's own request.
            for role in ["CUSTOMER_ADMINISTRATOR", "CUSTOMER_USER"] {
                refused(who, &story.issue(attacker, role).await);
            }
            refused(who, &story.allow(attacker).await);
            refused(who, &story.act(attacker).await);
            // A link to the administrator's password, to sign in as her.
            let link =
                story.world.post("/v1/sign-in/password-reset", json!({ "personId": story.ada_id })).by(attacker).send().await;
            refused(who, &link);
            // Another administrator, of one's own; and one administrator less.
            refused(who, &story.invite(attacker, "me@contoso.example", "CUSTOMER_ADMINISTRATOR").await);
            let path = format!("/v1/members/{}?organizationId={}", story.ada_id, story.customer);
            refused(who, &story.world.delete(&path).by(attacker).send().await);
            // Disabling and enabling a customer, and another name, are no way in either.
            let path = format!("/v1/organizations/{}", story.customer);
            for verb in ["disable", "enable"] {
                let answer = story.world.post(&format!("{path}/{verb}"), json!({})).by(attacker).send().await;
                assert!([200, 409].contains(&answer.status()), "{who} {verb}: {}", answer.json());
            }
            refused(who, &story.issue(attacker, "CUSTOMER_ADMINISTRATOR").await);
            // A recovery of a customer whose administrator has just been here.
            story.world.database().execute("UPDATE people SET seen_at = 1795262400000 WHERE id = ?1", [&story.ada_id]).unwrap();
            let body = json!({ "reason": "lost", "email": "me@contoso.example" });
            let recovery = story.world.post(&format!("{path}/recoveries"), body).by(attacker).send().await;
            refused(who, &recovery);
            story.world.settle().await;
            story.check_holds(who).await;
        }
    });
}

#[test]
fn what_the_provider_kept_from_before_overrules_nothing() {
    simulated(|| async {
        let story = Story::new().await;
        let (world, given) = (&story.world, &story.given);
        refused("given", &story.allow(given).await);
        refused("given", &story.issue(given, "CUSTOMER_ADMINISTRATOR").await);
        refused("given", &story.invite(given, "me@contoso.example", "CUSTOMER_ADMINISTRATOR").await);
        for path in ["/v1/audit-entries", "/v1/members", "/v1/api-tokens"] {
            world.get(path).by(given).send().await.expect_problem(403, "permission_missing");
        }
        // An account administrator, whom the provider binds to the customer only now.
        let (operator, admin) = (&story.attackers[2].1, &story.attackers[0].1);
        let account =
            world.member(operator, &story.provider, "account@contoso.example", &["PROVIDER_ACCOUNT_ADMINISTRATOR"]).await;
        let bind =
            json!({ "organizationId": story.provider, "personIds": [account.id], "addBoundOrganizationIds": [story.customer] });
        assert_eq!(world.patch("/v1/members", bind).by(admin).send().await.expect(207).at("/failed"), json!([]));
        let inside = world.get("/v1/members").by(&account.actor).acting_in(&story.customer).send().await;
        inside.expect_problem(403, "acting_refused");
        // Ada finds both, and ends them.
        let path = format!("/v1/organizations/{}/credentials-from-above", story.customer);
        let listed = world.get(&path).by(&story.ada).send().await.expect(200).at("/items");
        let ids: Vec<Value> = listed.as_array().unwrap().iter().map(|one| one["principalId"].clone()).collect();
        assert_eq!(ids.len(), 2, "{listed}");
        for id in ids {
            world.delete(&format!("{path}/{}", id.as_str().unwrap())).by(&story.ada).send().await.expect(204);
        }
        world.get("/v1/me").by(given).send().await.expect_problem(401, "access_token_invalid");
        let renewed = world.post("/v1/access-tokens", json!({ "apiToken": given.api_token })).send().await;
        renewed.expect_problem(401, "api_token_invalid");
        let gone = world.get("/v1/me").by(&account.actor).acting_in(&story.customer).send().await;
        gone.expect_problem(404, "organization_not_found");
    });
}
