//! A customer's administrator makes an account with somebody else's address, and waits for the address to be given roles.

use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

const VICTIM: &str = "ceo@operator.example";
const PASSWORD: &str = "what the attacker knows";

/// The attacker's customer in the shop, and its administrator.
struct Ground {
    world: World,
    shop: tests::Shop,
    attacker: Actor,
}

impl Ground {
    async fn new() -> Self {
        let world = World::new().await;
        let shop = world.shop().await;
        let admin = world.member(&shop.admin, &shop.customer, "mallory@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        Self { world, shop, attacker: admin.actor }
    }

    async fn accept(&self, secret: &str) -> Answer {
        self.world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await
    }

    /// Invites the victim's address into the attacker's own organization, accepts with the secret that the inviter sees and sets
    /// a password.
    async fn set_up(&self) {
        let body = json!({ "roles": ["CUSTOMER_USER"], "people": [{ "email": VICTIM }] });
        let invited = self.world.post("/v1/members", body).by(&self.attacker).send().await;
        let accepted = self.accept(&invited.expect(207).text("/succeeded/invited/0/secret")).await;
        let link = accepted.expect(200).text("/accountLink/secret");
        let body = json!({ "accountLink": link, "password": PASSWORD });
        self.world.put("/v1/account-links", body).send().await.expect(204);
    }

    /// All organizations that the attacker's password and earlier session open.
    async fn opened(&self, session: &Answer) -> Vec<String> {
        let mut tokens = vec![session.text("/accessToken")];
        let again = self.world.try_password(VICTIM, PASSWORD).await;
        if again.status() == 201 {
            tokens.push(again.text("/accessToken"));
        }
        let refreshed = json!({ "refreshToken": session.text("/refreshToken") });
        let refreshed = self.world.post("/v1/access-tokens", refreshed).send().await;
        if refreshed.status() == 201 {
            tokens.push(refreshed.text("/accessToken"));
        }
        let mut opened = Vec::new();
        for token in tokens {
            let me = self.world.get("/v1/me").bearer(&token).send().await;
            let organizations = me.at("/organizations").as_array().cloned().unwrap_or_default();
            opened.extend(organizations.iter().map(|one| one["organizationId"].as_str().unwrap().to_owned()));
        }
        opened
    }
}

/// Each door by which the address is given a role in an organization that is not the attacker's. Gives the id of the mail's subject,
/// and what answers the mail's secret.
async fn invited(ground: &Ground, door: &str) -> (String, &'static str) {
    let (world, shop) = (&ground.world, &ground.shop);
    let subject = |of: &str, column: &str| {
        let sql = format!("SELECT {column} FROM {of} WHERE email = '{VICTIM}' ORDER BY id DESC LIMIT 1");
        world.database().query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap()
    };
    let members = "/v1/member-invitations/accept";
    match door {
        "a member of the operator" | "a member of the provider" => {
            let (organization, role) = match door {
                "a member of the operator" => (&shop.operator.organization, "OPERATOR_ADMINISTRATOR"),
                _ => (&shop.provider, "PROVIDER_ADMINISTRATOR"),
            };
            let body = json!({ "organizationId": organization, "roles": [role], "people": [{ "email": VICTIM }] });
            let invited = world.post("/v1/members", body).by(&shop.operator).send().await;
            assert_eq!(invited.expect(207).at("/succeeded/added"), json!([]));
            (invited.text("/succeeded/invited/0/id"), members)
        }
        "named when a customer is created" => {
            let body = json!({
                "kind": "CUSTOMER", "displayName": "New", "companyName": "New", "country": "US", "currency": "USD", "adminUserEmail": VICTIM,
            });
            world.post("/v1/organizations", body).by(&shop.admin).send().await.expect(201);
            world.settle().await;
            (subject("member_invitations", "id"), members)
        }
        "named in an import" => {
            let row = json!({ "displayName": "New", "companyName": "New", "country": "US", "currency": "USD", "adminUserEmail": VICTIM });
            let import = world.call(http::Method::POST, "/v1/organizations/import").by(&shop.admin);
            import.body("application/x-ndjson", row.to_string()).send().await.expect(207);
            world.settle().await;
            (subject("member_invitations", "id"), members)
        }
        _ => {
            let provider = json!({ "email": VICTIM, "displayName": "P", "companyName": "P", "country": "DE" });
            let body = json!({
                "provider": provider, "serviceId": shop.builtin, "contractType": "PAY_GO", "effectiveDate": "2026-10-01", "currency": "EUR",
                "threshold": { "minorUnits": 1, "currency": "EUR" },
            });
            let contract = world.post("/v1/contracts", body).by(&shop.operator).send().await.expect(201).text("/id");
            let approve = format!("/v1/contracts/{contract}/approve");
            world.post(&approve, json!({})).by(&shop.operator).send().await.expect(200);
            (subject("onboarding_invitations", "id"), "/v1/onboarding-invitations/accept")
        }
    }
}

#[test]
fn an_account_set_up_beforehand_opens_nothing_that_its_address_is_given_later() {
    for door in [
        "a member of the operator",
        "a member of the provider",
        "named when a customer is created",
        "named in an import",
        "offered a contract",
    ] {
        simulated(|| async {
            let ground = Ground::new().await;
            let world = &ground.world;
            ground.set_up().await;
            let session = world.try_password(VICTIM, PASSWORD).await;
            session.expect(201);
            let (mail, route) = invited(&ground, door).await;
            assert!(ground.opened(&session).await.iter().all(|one| *one == ground.shop.customer), "{door}");
            let session = world.try_password(VICTIM, PASSWORD).await;
            let mut acceptance = json!({ "secret": world.mailed(&mail) });
            if route.contains("onboarding") {
                acceptance["name"] = json!("The CEO");
            }
            let accepted = world.post(route, acceptance).send().await;
            assert!([200, 201].contains(&accepted.status()), "{door}: {}", accepted.json());
            // Accepted: what the attacker had has ended, and a new password is the victim's to set.
            assert_eq!(ground.opened(&session).await, Vec::<String>::new(), "{door}");
            world.try_password(VICTIM, PASSWORD).await.expect_problem(401, "password_wrong");
            let link = accepted.text("/accountLink/secret");
            let body = json!({ "accountLink": link, "password": "what the victim knows" });
            world.put("/v1/account-links", body).send().await.expect(204);
            world.try_password(VICTIM, "what the victim knows").await.expect(201);
            // Nor does the attacker get in by inviting again, by a new link, or by sending the invitation again.
            let members = world.get("/v1/members").by(&ground.attacker).send().await.at("/items");
            for member in members.as_array().unwrap().iter().filter(|member| member["email"] == VICTIM) {
                let reset = json!({ "personId": member["personId"] });
                let reset = world.post("/v1/sign-in/password-reset", reset).by(&ground.attacker).send().await;
                if let Value::String(link) = reset.at("/accountLink") {
                    let body = json!({ "accountLink": link, "password": PASSWORD });
                    world.put("/v1/account-links", body).send().await.expect(204);
                    let session = world.try_password(VICTIM, PASSWORD).await;
                    assert!(ground.opened(session.expect(201)).await.iter().all(|one| *one == ground.shop.customer), "{door}");
                }
            }
            world.try_password(VICTIM, "what the victim knows").await.expect(201);
        });
    }
}
