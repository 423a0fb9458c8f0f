//! A provider that has contracts before it has an organization: invited once, in by its invitation.

use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, World, simulated};

/// A distributor with an administrator, and two services.
struct Market {
    world: World,
    operator: Actor,
    seller: Actor,
    distributor: String,
    services: [String; 2],
}

async fn market() -> Market {
    let world = World::new().await;
    let operator = world.bootstrap().await;
    let distributor = world.organization(&operator, "DISTRIBUTOR", "Northwind", None).await;
    let seller = world.actor(&operator, &distributor, "DISTRIBUTOR_ADMINISTRATOR").await;
    let services = [world.service(&operator, "one", "BUILTIN").await, world.service(&operator, "two", "BUILTIN").await];
    Market { world, operator, seller, distributor, services }
}

fn provider(email: &str) -> Value {
    json!({ "email": email, "displayName": "Contoso", "companyName": "Contoso LLC", "country": "DE" })
}

impl Market {
    async fn draw(&self, email: &str, service: usize, effective: &str) -> Answer {
        let body = json!({
            "provider": provider(email), "serviceId": self.services[service], "contractType": "PAY_GO", "effectiveDate": effective,
            "currency": "EUR", "threshold": { "minorUnits": 1, "currency": "EUR" }
        });
        self.world.post("/v1/contracts", body).by(&self.seller).send().await
    }

    /// Draws a contract up and approves it.
    async fn contract(&self, email: &str, service: usize, effective: &str) -> Answer {
        let drawn = self.draw(email, service, effective).await;
        let path = format!("/v1/contracts/{}/approve", drawn.expect(201).text("/id"));
        let approved = self.world.post(&path, json!({})).by(&self.operator).send().await;
        approved.expect(200);
        approved
    }

    async fn invitations(&self) -> Vec<Value> {
        let listed = self.world.get("/v1/onboarding-invitations").by(&self.seller).send().await;
        listed.expect(200).at("/items").as_array().unwrap().clone()
    }

    /// Sends the only invitation there is, and gives the secret in the mail.
    async fn secret(&self) -> String {
        let id = self.invitations().await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/onboarding-invitations/{id}/resend");
        let sent = self.world.post(&path, json!({})).by(&self.seller).send().await;
        assert!(!sent.expect(200).json().to_string().contains("hubin_"));
        self.world.mailed(&id)
    }

    async fn accept(&self, secret: &str) -> Answer {
        self.world.post("/v1/onboarding-invitations/accept", json!({ "secret": secret, "name": "Ada Lovelace" })).send().await
    }
}

#[test]
fn the_first_contract_in_force_invites_and_acceptance_makes_the_provider_and_its_administrator() {
    simulated(|| async {
        let market = market().await;
        let world = &market.world;
        let waiting = market.draw("Ada@Contoso.example", 0, "2026-10-01").await;
        assert_eq!(
            (waiting.expect(201).at("/providerId"), waiting.text("/provider/email").as_str()),
            (Value::Null, "ada@contoso.example")
        );
        assert_eq!(market.invitations().await.len(), 0);
        let path = format!("/v1/contracts/{}/approve", waiting.text("/id"));
        world.post(&path, json!({})).by(&market.operator).send().await.expect(200);
        // A later contract with the same address makes none.
        let second = market.contract("ada@contoso.example", 1, "2026-10-01").await;
        let invitations = market.invitations().await;
        assert_eq!(invitations.len(), 1);
        assert_eq!((&invitations[0]["status"], &invitations[0]["contractId"]), (&json!("PENDING"), &waiting.at("/id")));
        assert_eq!(invitations[0]["expiresAt"], "2026-12-21T12:00:00.000Z");
        assert!(!invitations[0].to_string().contains("hubin_") && invitations[0].get("secret").is_none());
        // Nothing can be provisioned, or be the default, while there is nobody to provision.
        let early =
            world.post(&format!("/v1/contracts/{}/default", second.text("/id")), json!({})).by(&market.seller).send().await;
        early.expect_problem(409, "contract_not_in_force");

        let secret = market.secret().await;
        assert!(!world.dump().contains(&secret));
        let accepted = market.accept(&secret).await;
        accepted.expect(201);
        let organization = accepted.text("/organizationId");
        let made = world.get(&format!("/v1/organizations/{organization}")).by(&market.seller).send().await;
        assert_eq!((made.expect(200).text("/parentId"), made.text("/kind").as_str()), (market.distributor.clone(), "PROVIDER"));
        assert_eq!(
            (made.text("/displayName").as_str(), made.text("/country").as_str(), made.text("/currency").as_str()),
            ("Contoso", "DE", "EUR")
        );
        let bound = format!(
            "SELECT COUNT(*) FROM bindings b JOIN people p ON p.id = b.principal_id WHERE p.email = 'ada@contoso.example'
             AND p.id = '{}' AND b.role = 'PROVIDER_ADMINISTRATOR' AND b.organization_id = '{organization}'",
            accepted.text("/personId")
        );
        assert_eq!(world.count(&bound), 1);
        let link = accepted.text("/accountLink/secret");
        assert!(!world.dump().contains(&link));
        assert_eq!(
            world.count(&format!("SELECT COUNT(*) FROM account_links WHERE person_id = '{}'", accepted.text("/personId"))),
            1
        );
        assert_eq!(accepted.text("/accountLink/expiresAt"), "2026-11-28T12:00:00.000Z");

        // All contracts that waited are the provider's, and provision.
        for contract in [&waiting, &second] {
            let read = world.get(&format!("/v1/contracts/{}", contract.text("/id"))).by(&market.seller).send().await;
            assert_eq!((read.text("/providerId"), read.at("/provider")), (organization.clone(), Value::Null));
        }
        let admin = world.actor(&market.operator, &organization, "PROVIDER_ADMINISTRATOR").await;
        let customer = world.organization(&admin, "CUSTOMER", "C", None).await;
        for service in &market.services {
            let order = json!({ "organizationId": customer, "serviceId": service, "quantity": "1" });
            world.post("/v1/subscriptions", order).by(&admin).header("prefer", "wait=5").send().await.expect(200);
        }
        // And a later one is the organization's from the start.
        let third = market.contract("ADA@contoso.example", 0, "2026-11-01").await;
        assert_eq!((third.text("/providerId"), third.at("/provider")), (organization.clone(), Value::Null));
        let invitations = market.invitations().await;
        assert_eq!(
            (invitations.len(), &invitations[0]["status"], &invitations[0]["organizationId"]),
            (1, &json!("ACCEPTED"), &json!(organization))
        );
    });
}

#[test]
fn the_invitation_comes_with_the_effective_date_exactly_once() {
    simulated(|| async {
        let mut market = market().await;
        for service in [0, 1] {
            let waiting = market.contract("ada@contoso.example", service, "2026-11-22").await;
            assert_eq!(waiting.text("/status"), "PENDING_EFFECTIVE_DATE");
        }
        assert_eq!(market.invitations().await.len(), 0);
        market.world.hub.clock().advance(Duration::from_secs(12 * 3600)).await;
        for sql in ["INSERT INTO onboarding_invitations", "DELETE FROM jobs"] {
            market.world.hub.faults().push(host::Fault::on(host::Target::SqlMatching(sql.into())).crash_before());
            let _ = market.world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).try_send().await;
            market.world.restart().await;
            assert_eq!(market.world.count("SELECT COUNT(*) FROM onboarding_invitations"), 0);
            assert_eq!(market.world.count("SELECT COUNT(*) FROM contracts WHERE status = 'ACTIVE'"), 0);
            market.world.hub.clock().advance(Duration::from_secs(61)).await;
        }
        market.world.settle().await;
        assert_eq!(market.world.count("SELECT COUNT(*) FROM onboarding_invitations"), 1);
        assert_eq!(market.world.count("SELECT COUNT(*) FROM contracts WHERE status = 'ACTIVE'"), 2);
    });
}

#[test]
fn an_invitation_is_good_once_for_thirty_days_until_sent_again_or_revoked() {
    simulated(|| async {
        let market = market().await;
        let world = &market.world;
        market.contract("ada@contoso.example", 0, "2026-10-01").await;
        let id = market.invitations().await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/onboarding-invitations/{id}");
        let unknown = "onboarding_invitation_unknown";
        market.accept("hubin_nonsense").await.expect_problem(404, unknown);
        let first = market.secret().await;
        let second = market.secret().await;
        let before = world.dump();
        market.accept(&first).await.expect_problem(404, unknown);
        assert_eq!(world.dump(), before);

        world.post(&format!("{path}/revoke"), json!({})).by(&market.seller).send().await.expect(200);
        market.accept(&second).await.expect_problem(404, unknown);
        assert_eq!(market.invitations().await[0]["status"], "REVOKED");
        let third = market.secret().await;
        world.hub.clock().advance(Duration::from_secs(30 * 24 * 3600)).await;
        market.accept(&third).await.expect_problem(404, unknown);
        let seller = world.sign_in(&market.seller.api_token, "").await;
        assert_eq!(world.get(&path).by(&seller).send().await.expect(200).text("/status"), "EXPIRED");
        let sent = world.post(&format!("{path}/resend"), json!({})).by(&seller).send().await;
        assert_eq!(
            (sent.expect(200).text("/status").as_str(), sent.text("/expiresAt").as_str()),
            ("PENDING", "2027-01-20T12:00:00.000Z")
        );

        // Of two at once, one gets in.
        let secret = world.mailed(&id);
        let (one, other) = futures::future::join(market.accept(&secret), market.accept(&secret)).await;
        let mut statuses = [one.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 404]);
        market.accept(&secret).await.expect_problem(404, unknown);
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations WHERE kind = 'PROVIDER'"), 1);
        for what in ["resend", "revoke"] {
            let refused = world.post(&format!("{path}/{what}"), json!({})).by(&seller).send().await;
            refused.expect_problem(409, "onboarding_invitation_accepted");
        }
    });
}

#[test]
fn a_fault_while_accepting_leaves_the_invitation_as_it_was() {
    simulated(|| async {
        let market = market().await;
        market.contract("ada@contoso.example", 0, "2026-10-01").await;
        let secret = market.secret().await;
        let before = market.world.dump();
        for sql in [
            "INSERT INTO organizations",
            "INSERT INTO people",
            "INSERT INTO bindings",
            "UPDATE contracts",
            "INSERT INTO account_links",
        ] {
            market.world.hub.faults().push(host::Fault::on(host::Target::SqlMatching(sql.into())).fail("disk I/O error"));
            market.accept(&secret).await.expect(503);
            assert_eq!(market.world.dump(), before, "{sql}");
            market.world.hub.faults().clear();
        }
        market.accept(&secret).await.expect(201);
    });
}

#[test]
fn whoever_the_hub_knows_already_gets_no_way_into_their_account() {
    simulated(|| async {
        let market = market().await;
        let world = &market.world;
        market.contract("ada@contoso.example", 0, "2026-10-01").await;
        let known = market.accept(&market.secret().await).await;
        let password =
            json!({ "accountLink": known.expect(201).text("/accountLink/secret"), "password": "correct horse battery" });
        world.put("/v1/account-links", password).send().await.expect(204);
        // Another distributor names the same address: it gets a provider of its own, and nobody's account.
        let other = world.organization(&market.operator, "DISTRIBUTOR", "Other", None).await;
        let other = world.actor(&market.operator, &other, "DISTRIBUTOR_ADMINISTRATOR").await;
        let body = json!({
            "provider": provider("ada@contoso.example"), "serviceId": market.services[0], "contractType": "PAY_GO",
            "effectiveDate": "2026-10-01", "currency": "EUR", "threshold": { "minorUnits": 1, "currency": "EUR" }
        });
        let drawn = world.post("/v1/contracts", body).by(&other).send().await;
        assert_eq!(drawn.expect(201).at("/providerId"), Value::Null);
        let approve = format!("/v1/contracts/{}/approve", drawn.text("/id"));
        world.post(&approve, json!({})).by(&market.operator).send().await.expect(200);
        let listed = world.get("/v1/onboarding-invitations").by(&other).send().await;
        assert_eq!(listed.at("/items").as_array().unwrap().len(), 1);
        let path = format!("/v1/onboarding-invitations/{}", listed.text("/items/0/id"));
        // Each sees its own.
        world.get(&path).by(&market.seller).send().await.expect_problem(404, "onboarding_invitation_not_found");
        for what in ["resend", "revoke"] {
            let refused = world.post(&format!("{path}/{what}"), json!({})).by(&market.seller).send().await;
            refused.expect_problem(404, "onboarding_invitation_not_found");
        }
        world.post(&format!("{path}/resend"), json!({})).by(&other).send().await.expect(200);
        let secret = world.mailed(&listed.text("/items/0/id"));
        let accepted = market.accept(&secret).await;
        assert_eq!((accepted.expect(201).text("/personId"), accepted.at("/accountLink")), (known.text("/personId"), Value::Null));
        assert_ne!(accepted.text("/organizationId"), known.text("/organizationId"));
    });
}

#[test]
fn a_disabled_issuer_or_person_lets_nobody_in() {
    simulated(|| async {
        let market = market().await;
        let world = &market.world;
        market.contract("ada@contoso.example", 0, "2026-10-01").await;
        let secret = market.secret().await;
        let path = format!("/v1/organizations/{}", market.distributor);
        world.post(&format!("{path}/disable"), json!({})).by(&market.operator).send().await.expect(200);
        let before = world.dump();
        market.accept(&secret).await.expect_problem(409, "organization_disabled");
        assert_eq!(world.dump(), before);
        world.post(&format!("{path}/enable"), json!({})).by(&market.operator).send().await.expect(200);
        world
            .database()
            .execute(
                "INSERT INTO people (id, email, display_name, status, version, created_at, updated_at)
                 VALUES ('per_01h455vb4pex5vsknk084sn02q', 'ada@contoso.example', 'Ada', 'DISABLED', 1, 0, 0)",
                [],
            )
            .unwrap();
        market.accept(&secret).await.expect_problem(403, "person_disabled");
        // Both are refused whole.
        for (body, pointer) in [
            (json!({ "secret": secret }), "/name"),
            (json!({ "secret": "", "name": "A" }), "/secret"),
            (json!({ "secret": secret, "name": "A", "role": "OPERATOR_ADMINISTRATOR" }), "/role"),
        ] {
            let refused = world.post("/v1/onboarding-invitations/accept", body).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer);
        }
    });
}
