//! Recoveries: how a customer that has lost its last administrator gets another, and how its people refuse it.

use host::{Fault, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Person, Shop, World, simulated};

const HOUR: u64 = 3600;
const NEW: &str = "grace@fabrikam.example";

/// A customer whose administrator has not been there for three days, and a user of it.
struct House {
    world: World,
    shop: Shop,
    ada: Person,
    bob: Person,
}

impl House {
    async fn new() -> Self {
        let world = World::new().await;
        let shop = world.shop().await;
        let ada = world.member(&shop.admin, &shop.customer, "ada@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        let bob = world.member(&ada.actor, &shop.customer, "bob@fabrikam.example", &["CUSTOMER_USER"]).await;
        let mut house = Self { world, shop, ada, bob };
        house.pass(4 * 24).await;
        house
    }

    /// Lets so many hours pass, with everything that falls due in them, and signs everybody in again.
    async fn pass(&mut self, hours: u64) {
        self.world.hub.clock().advance(Duration::from_secs(hours * HOUR)).await;
        self.world.settle().await;
        for actor in [&mut self.shop.admin, &mut self.shop.operator] {
            *actor = self.world.sign_in(&actor.api_token, &actor.organization).await;
        }
        self.bob = self.world.person(&self.bob.id, &self.shop.customer);
    }

    fn path(&self) -> String {
        format!("/v1/organizations/{}/recoveries", self.shop.customer)
    }

    async fn start(&self, by: &Actor) -> Answer {
        let body = json!({ "reason": "Ada has left the company.", "email": NEW, "displayName": "Grace" });
        self.world.post(&self.path(), body).by(by).send().await
    }

    async fn verb(&self, id: &str, verb: &str, by: &Actor) -> Answer {
        self.world.post(&format!("{}/{id}/{verb}", self.path()), json!({})).by(by).send().await
    }

    async fn shown(&self, id: &str) -> Value {
        self.world.get(&format!("{}/{id}", self.path())).by(&self.bob.actor).send().await.expect(200).json()
    }

    /// What is in the mailbox for an address.
    async fn mail(&self, to: &str) -> Vec<Value> {
        let listed = self.world.get(&format!("/v1/mailbox?to={to}")).by(&self.shop.operator).send().await;
        listed.expect(200).at("/items").as_array().unwrap().clone()
    }

    /// A sign-in, as far as the hub notes it.
    fn seen(&self, person: &Person) {
        let now = self.world.hub.clock().now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        let sql = "UPDATE people SET seen_at = ?2 WHERE id = ?1";
        self.world.database().execute(sql, (&person.id, now)).unwrap();
    }

    async fn actions(&self, organization: &str) -> Vec<String> {
        let path = format!("/v1/audit-entries?organizationId={organization}&action=recoveries");
        let entries = self.world.get(&path).by(&self.shop.operator).send().await.expect(200).at("/items");
        entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
    }
}

/// The secret of an invitation in a mail: the one line that is indented.
fn secret(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    text.lines().find_map(|line| line.strip_prefix("    ")).expect("a secret").trim().to_owned()
}

#[test]
fn all_people_are_told_and_after_three_days_the_administrator_is_invited() {
    simulated(|| async {
        let mut house = House::new().await;
        let started = house.start(&house.shop.admin).await;
        let id = started.expect(201).text("/id");
        assert_eq!(started.header("location"), format!("{}/{id}", house.path()));
        assert_eq!(
            (started.text("/status").as_str(), started.text("/dueAt").as_str()),
            ("ANNOUNCED", "2026-11-28T12:00:00.000Z")
        );
        house.world.settle().await;
        for person in ["ada@fabrikam.example", "bob@fabrikam.example"] {
            let mail = house.mail(person).await;
            assert_eq!(mail.len(), 1, "{mail:?}");
            let text = mail[0]["text"].as_str().unwrap();
            for told in ["Ada has left the company.", NEW, "2026-11-28T12:00:00Z", &format!("{}/{id}/refuse", house.path())] {
                assert!(text.contains(told), "{told} in {text}");
            }
        }
        assert_eq!(house.mail(NEW).await, Vec::<Value>::new());
        house.pass(71).await;
        assert_eq!((&house.shown(&id).await["status"], house.mail(NEW).await.len()), (&json!("ANNOUNCED"), 0));
        house.pass(1).await;
        assert_eq!(house.shown(&id).await["status"], "INVITED");
        let mail = house.mail(NEW).await;
        let accepted = house.world.post("/v1/member-invitations/accept", json!({ "secret": secret(&mail[0]) })).send().await;
        assert_eq!(accepted.expect(200).at("/member/roles"), json!(["CUSTOMER_ADMINISTRATOR"]));
        let grace = house.world.person(&accepted.text("/member/personId"), &house.shop.customer);
        // She is an administrator like any other; those above are where they were.
        let policy = format!("/v1/acting-policies/{}", house.shop.customer);
        let refuse = json!({ "policy": "REFUSE" });
        house.world.put(&policy, refuse).by(&grace.actor).header("if-match", "*").send().await.expect(200);
        let token = json!({ "name": "x", "organizationId": house.shop.customer, "roles": ["CUSTOMER_USER"] });
        house.world.post("/v1/api-tokens", token).by(&house.shop.admin).send().await.expect_problem(403, "customer_decides");
        for organization in [&house.shop.customer, &house.shop.provider] {
            assert_eq!(house.actions(organization).await, ["recoveries.start", "recoveries.end"]);
        }
    });
}

#[test]
fn any_of_its_people_refuses_it_and_it_rests() {
    simulated(|| async {
        let mut house = House::new().await;
        let id = house.start(&house.shop.admin).await.expect(201).text("/id");
        house.start(&house.shop.operator).await.expect_problem(409, "recovery_exists");
        // Those above do not refuse in its stead, nor does a machine; nor does anybody in the customer take it back.
        house.verb(&id, "refuse", &house.shop.admin).await.expect_problem(403, "not_the_customer");
        house.verb(&id, "withdraw", &house.bob.actor).await.expect_problem(403, "permission_missing");
        let refused = house.verb(&id, "refuse", &house.bob.actor).await;
        assert_eq!(refused.expect(200).text("/status"), "REFUSED");
        assert_eq!(refused.text("/closedBy"), house.bob.id);
        house.verb(&id, "refuse", &house.bob.actor).await.expect_problem(409, "recovery_over");
        house.pass(73).await;
        assert_eq!((&house.shown(&id).await["status"], house.mail(NEW).await.len()), (&json!("REFUSED"), 0));
        // Nobody is written to again for thirty days, by whomever.
        for by in [&house.shop.admin, &house.shop.operator] {
            house.start(by).await.expect_problem(409, "recovery_refused_lately");
        }
        house.pass(27 * 24).await;
        house.start(&house.shop.admin).await.expect(201);
    });
}

#[test]
fn a_customer_whose_administrator_is_there_is_left_alone() {
    simulated(|| async {
        let mut house = House::new().await;
        house.seen(&house.ada);
        let before = house.world.dump();
        let refused = house.start(&house.shop.admin).await;
        refused.expect_problem(409, "recovery_not_needed");
        assert_eq!(house.world.dump(), before);
        house.pass(72).await;
        let id = house.start(&house.shop.admin).await.expect(201).text("/id");
        // She comes by on the last day.
        house.pass(70).await;
        house.seen(&house.ada);
        house.pass(3).await;
        assert_eq!((&house.shown(&id).await["status"], house.mail(NEW).await.len()), (&json!("VOID"), 0));
        house.start(&house.shop.admin).await.expect_problem(409, "recovery_not_needed");
        house.pass(72).await;
        house.start(&house.shop.admin).await.expect_problem(409, "recovery_refused_lately");
    });
}

#[test]
fn who_may_start_one_and_may_no_more() {
    simulated(|| async {
        let mut house = House::new().await;
        let (world, shop) = (&house.world, &house.shop);
        let operations = world.actor(&shop.operator, &shop.provider, "PROVIDER_OPERATIONS_ADMINISTRATOR").await;
        let support = world.actor(&shop.operator, &shop.provider, "PROVIDER_SUPPORT_USER").await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        house.start(&support).await.expect_problem(403, "permission_missing");
        house.start(&rival).await.expect_problem(404, "organization_not_found");
        house.start(&house.bob.actor).await.expect_problem(403, "permission_missing");
        for (body, pointer) in [
            (json!({ "email": NEW }), "/reason"),
            (json!({ "reason": "", "email": NEW }), "/reason"),
            (json!({ "reason": "x", "email": "grace" }), "/email"),
            (json!({ "reason": "x", "email": NEW, "role": "x" }), "/role"),
        ] {
            let refused = world.post(&house.path(), body).by(&shop.admin).send().await;
            assert_eq!(refused.expect_problem(422, "invalid_request").at("/errors/0/pointer"), pointer);
        }
        // A customer that never had an administrator needs none; and only customers have them.
        let fresh = world.organization(&shop.admin, "CUSTOMER", "Tailspin", None).await;
        let body = json!({ "reason": "x", "email": NEW });
        let path = format!("/v1/organizations/{fresh}/recoveries");
        world.post(&path, body.clone()).by(&shop.admin).send().await.expect_problem(409, "recovery_not_needed");
        let path = format!("/v1/organizations/{}/recoveries", shop.provider);
        world.post(&path, body).by(&shop.admin).send().await.expect_problem(409, "not_a_customer");
        // Those who could name the first administrator may; who has lost that role meanwhile has started nothing.
        let id = house.start(&operations).await.expect(201).text("/id");
        let sql = "DELETE FROM bindings WHERE role = 'PROVIDER_OPERATIONS_ADMINISTRATOR'";
        world.database().execute(sql, []).unwrap();
        house.pass(73).await;
        assert_eq!((&house.shown(&id).await["status"], house.mail(NEW).await.len()), (&json!("VOID"), 0));
    });
}

#[test]
fn it_is_taken_back_and_started_anew() {
    simulated(|| async {
        let mut house = House::new().await;
        let id = house.start(&house.shop.admin).await.expect(201).text("/id");
        assert_eq!(house.verb(&id, "withdraw", &house.shop.operator).await.expect(200).text("/status"), "WITHDRAWN");
        // Ids of one millisecond are in no order.
        house.world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
        let again = house.start(&house.shop.admin).await.expect(201).text("/id");
        house.pass(73).await;
        assert_eq!(
            (&house.shown(&id).await["status"], &house.shown(&again).await["status"]),
            (&json!("WITHDRAWN"), &json!("INVITED"))
        );
        let listed = house.world.get(&house.path()).by(&house.shop.admin).send().await;
        assert_eq!((listed.at("/items/0/id"), listed.at("/items/1/id")), (json!(id), json!(again)));
        assert_eq!(house.mail(NEW).await.len(), 1);
    });
}

#[test]
fn a_crash_tells_nobody_twice_and_invites_once() {
    simulated(|| async {
        let mut house = House::new().await;
        let id = house.start(&house.shop.admin).await.expect(201).text("/id");
        for statement in ["INSERT INTO mailbox", "UPDATE recoveries"] {
            house.world.hub.faults().push(Fault::on(Target::SqlMatching(statement.into())).crash_before());
            if statement.starts_with("UPDATE") {
                house.world.hub.clock().advance(Duration::from_secs(72 * HOUR)).await;
            }
            let tick = house.world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).try_send().await;
            assert!(tick.is_err(), "{statement}");
            house.world.restart().await;
            house.pass(1).await;
            let ada = house.mail("ada@fabrikam.example").await.len();
            assert_eq!((ada, house.mail(NEW).await.len()), if statement.starts_with("UPDATE") { (0, 1) } else { (1, 0) });
        }
        assert_eq!(house.shown(&id).await["status"], "INVITED");
        assert_eq!(house.world.count("SELECT COUNT(*) FROM member_invitations WHERE email LIKE 'grace%'"), 1);
    });
}
