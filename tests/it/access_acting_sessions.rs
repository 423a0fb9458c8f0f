//! Acting for a customer: who may, why, for how long, what, and that the customer sees and ends it.

use host::Fault;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Call, Shop, World, simulated};

const SESSIONS: &str = "/v1/acting-sessions";

/// A shop, and an administrator of its customer.
struct House {
    world: World,
    shop: Shop,
    member: Actor,
}

impl House {
    async fn new() -> Self {
        let world = World::new().await;
        let shop = world.shop().await;
        let member = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        Self { world, shop, member }
    }

    fn start(&self, minutes: u32) -> Call<'_> {
        let body = json!({ "organizationId": self.shop.customer, "reason": "ticket 4711", "durationMinutes": minutes });
        self.world.post(SESSIONS, body).by(&self.shop.admin)
    }

    async fn policy(&self, policy: &str) {
        let path = format!("/v1/acting-policies/{}", self.shop.customer);
        self.world.put(&path, json!({ "policy": policy })).by(&self.member).header("if-match", "*").send().await.expect(200);
    }

    fn answer<'w>(&'w self, id: &str, verb: &str, by: &Actor) -> Call<'w> {
        self.world.post(&format!("{SESSIONS}/{id}/{verb}"), json!({})).by(by)
    }

    /// Tries to act in the customer.
    async fn act(&self) -> Answer {
        self.world.get("/v1/subscriptions").by(&self.shop.admin).acting_in(&self.shop.customer).send().await
    }

    async fn status(&self, id: &str) -> String {
        self.world.get(&format!("{SESSIONS}/{id}")).by(&self.member).send().await.expect(200).text("/status")
    }

    async fn pass(&self, minutes: u64) {
        self.world.hub.clock().advance(Duration::from_secs(60 * minutes)).await;
    }

    /// New access tokens, for theirs have ended.
    async fn sign_in(&mut self) {
        self.member = self.world.sign_in(&self.member.api_token, &self.member.organization).await;
        self.shop.admin = self.world.sign_in(&self.shop.admin.api_token, &self.shop.admin.organization).await;
    }

    /// The audit of the customer from the first entry about acting on.
    async fn audit(&self, organization: &str, filter: &str) -> Vec<Value> {
        let path = format!("/v1/audit-entries?limit=200&organizationId={organization}{filter}");
        let found = self.world.get(&path).by(&self.shop.admin).send().await;
        found.expect(200).at("/items").as_array().unwrap().clone()
    }
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[test]
fn without_a_session_nobody_from_above_acts_in_a_customer() {
    simulated(|| async {
        let house = House::new().await;
        let refused = house.act().await;
        refused.expect_problem(403, "acting_session_required");
        assert!(refused.text("/detail").contains("POST /v1/acting-sessions"));
        let customer = &house.shop.customer;
        house
            .world
            .get("/v1/me")
            .by(&house.shop.operator)
            .acting_in(customer)
            .send()
            .await
            .expect_problem(403, "acting_session_required");
        // Who stands elsewhere does not hear that there is such a customer.
        let rival = house.world.organization(&house.shop.operator, "PROVIDER", "Rival", None).await;
        let rival = house.world.actor(&house.shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        house.world.get("/v1/me").by(&rival).acting_in(customer).send().await.expect_problem(404, "organization_not_found");
        // Its own members need none, and nobody needs one elsewhere.
        house.world.get("/v1/me").by(&house.member).acting_in(customer).send().await.expect(200);
        house.world.get("/v1/me").by(&house.shop.operator).acting_in(&house.shop.provider).send().await.expect(200);
        // What a provider does for its customers from its own organization, it still does.
        let order = json!({ "organizationId": customer, "serviceId": house.shop.builtin, "quantity": "1" });
        house.world.post("/v1/subscriptions", order).by(&house.shop.admin).send().await.expect(202);
    });
}

#[test]
fn unless_it_said_otherwise_the_customer_is_asked_and_sees_who_why_when_and_what() {
    simulated(|| async {
        let house = House::new().await;
        let (world, shop) = (&house.world, &house.shop);
        let asked = house.start(60).send().await;
        asked.expect(201);
        let id = asked.text("/id");
        assert_eq!(asked.header("location"), format!("{SESSIONS}/{id}"));
        assert_eq!((asked.text("/status").as_str(), asked.text("/expiresAt").as_str()), ("PENDING", "2026-11-22T12:00:00.000Z"));
        house.act().await.expect_problem(403, "acting_session_required");
        let listed = world.get(SESSIONS).by(&house.member).send().await;
        assert_eq!(listed.at("/items"), json!([asked.json()]));
        house.pass(5).await;
        let approved = house.answer(&id, "approve", &house.member).send().await;
        approved.expect(200);
        assert_eq!(
            (approved.text("/status").as_str(), approved.text("/expiresAt").as_str()),
            ("OPEN", "2026-11-21T13:05:00.000Z")
        );
        let me = |answer: &Answer| answer.text("/principalId");
        let (admin, member) =
            (world.get("/v1/me").by(&shop.admin).send().await, world.get("/v1/me").by(&house.member).send().await);
        assert_eq!((approved.text("/principalId"), approved.text("/answeredBy")), (me(&admin), me(&member)));
        assert_eq!(
            (approved.text("/principalName").as_str(), approved.text("/reason").as_str()),
            ("PROVIDER_ADMINISTRATOR", "ticket 4711")
        );
        // On the next request it counts.
        house.act().await.expect(200);
        let order = json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "quantity": "1" });
        world.post("/v1/subscriptions", order).by(&shop.admin).acting_in(&shop.customer).send().await.expect(202);
        house.answer(&id, "end", &house.member).send().await.expect(200);
        house.act().await.expect_problem(403, "acting_session_required");
        // What was done in it bears both identities, here and at home.
        for organization in [&shop.customer, &shop.provider] {
            let inside = house.audit(organization, &format!("&actingSessionId={id}")).await;
            assert_eq!(actions(&inside), ["subscriptions.create"]);
            let entry = &inside[0];
            assert_eq!(entry["principal"], json!(me(&admin)));
            assert_eq!(entry["principalOrganizationId"], json!(shop.provider));
            assert_eq!(entry["actingOrganizationId"], json!(shop.customer));
            let about = house.audit(organization, &format!("&subjectId={id}")).await;
            assert_eq!(actions(&about), ["acting_sessions.create", "acting_sessions.approve", "acting_sessions.end"]);
            assert_eq!(about[0]["details"]["reason"]["to"], "ticket 4711");
            assert_eq!(about[2]["principal"], json!(me(&member)));
        }
        // The customer can read it itself.
        let path = format!("/v1/audit-entries?actingSessionId={id}");
        assert_eq!(world.get(&path).by(&house.member).send().await.at("/items").as_array().unwrap().len(), 1);
    });
}

#[test]
fn the_acting_role_is_limited_whatever_the_principal_may_at_home() {
    simulated(|| async {
        let house = House::new().await;
        let (world, shop) = (&house.world, &house.shop);
        for actor in [&shop.admin, &shop.operator] {
            world.let_act(actor, &shop.customer).await;
            let me = world.get("/v1/me").by(actor).acting_in(&shop.customer).send().await;
            let wanted = json!([
                "ORGANIZATION_READ",
                "SERVICE_READ",
                "SUBSCRIPTION_READ",
                "SUBSCRIPTION_WRITE",
                "TASK_WRITE",
                "CLOUD_ENDPOINT_READ",
                "CLOUD_ENDPOINT_ACCESS",
                "USAGE_READ",
                "INVOICE_READ"
            ]);
            assert_eq!(me.expect(200).at("/permissions"), wanted);
            let token = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_ADMINISTRATOR"] });
            let issue = world.post("/v1/api-tokens", token).by(actor).acting_in(&shop.customer).send().await;
            issue.expect_problem(403, "permission_missing");
            let policy = format!("/v1/acting-policies/{}", shop.customer);
            let set =
                world.put(&policy, json!({ "policy": "ALLOW" })).by(actor).acting_in(&shop.customer).header("if-match", "*");
            set.send().await.expect_problem(403, "permission_missing");
            let edit = world.patch(&format!("/v1/organizations/{}", shop.customer), json!({ "tag": "x" })).by(actor);
            edit.acting_in(&shop.customer).header("if-match", "*").send().await.expect_problem(403, "permission_missing");
            world
                .get("/v1/audit-entries")
                .by(actor)
                .acting_in(&shop.customer)
                .send()
                .await
                .expect_problem(403, "permission_missing");
        }
        // Who may not act at all cannot start.
        let billing = world.actor(&shop.admin, &shop.provider, "PROVIDER_BILLING_USER").await;
        let body = json!({ "organizationId": shop.customer, "reason": "x", "durationMinutes": 1 });
        world.post(SESSIONS, body).by(&billing).send().await.expect_problem(403, "permission_missing");
        // A session is that of one principal, in one customer.
        let colleague = world.actor(&shop.admin, &shop.provider, "PROVIDER_ADMINISTRATOR").await;
        let other = world.organization(&shop.admin, "CUSTOMER", "Wingtip", None).await;
        world.get("/v1/me").by(&colleague).acting_in(&shop.customer).send().await.expect_problem(403, "acting_session_required");
        world.get("/v1/me").by(&shop.admin).acting_in(&other).send().await.expect_problem(403, "acting_session_required");
    });
}

#[test]
fn the_customer_decides_by_its_policy_and_nobody_decides_for_it() {
    simulated(|| async {
        let house = House::new().await;
        let (world, shop) = (&house.world, &house.shop);
        let path = format!("/v1/acting-policies/{}", shop.customer);
        let shown = world.get(&path).by(&shop.admin).send().await;
        assert_eq!(shown.expect(200).json(), json!({ "organizationId": shop.customer, "policy": "ASK", "updatedAt": null }));
        assert_eq!(shown.header("etag"), "\"0\"");
        for actor in [&shop.admin, &shop.operator] {
            let set = world.put(&path, json!({ "policy": "ALLOW" })).by(actor).header("if-match", "*").send().await;
            set.expect_problem(403, "not_the_customer");
        }
        world
            .get(&format!("/v1/acting-policies/{}", shop.provider))
            .by(&shop.admin)
            .send()
            .await
            .expect_problem(409, "not_a_customer");
        let set = |policy: &str, version: &str| {
            world.put(&path, json!({ "policy": policy })).by(&house.member).header("if-match", version).send()
        };
        assert_eq!(set("ALLOW", "\"0\"").await.expect(200).header("etag"), "\"1\"");
        set("ASK", "\"0\"").await.expect_problem(412, "stale");
        world.put(&path, json!({ "policy": "ASK" })).by(&house.member).send().await.expect_problem(428, "if_match_required");
        set("SOMETIMES", "*").await.expect_problem(422, "invalid_request");
        // Allowed, it is open at once; and out at once when the customer changes its mind.
        let open = house.start(480).send().await;
        assert_eq!(
            (open.expect(201).text("/status").as_str(), open.text("/expiresAt").as_str()),
            ("OPEN", "2026-11-21T20:00:00.000Z")
        );
        house.act().await.expect(200);
        house.policy("REFUSE").await;
        house.act().await.expect_problem(403, "acting_session_required");
        assert_eq!(house.status(&open.text("/id")).await, "ENDED");
        house.start(1).send().await.expect_problem(403, "acting_refused");
        let told = house.audit(&shop.customer, &format!("&subjectId={}", shop.customer)).await;
        let last = &told.last().unwrap();
        assert_eq!(last["action"], "acting_policies.replace");
        assert_eq!(
            last["details"],
            json!({ "actingSessionsEnded": { "to": "1" }, "policy": { "from": "ALLOW", "to": "REFUSE" } })
        );
    });
}

#[test]
fn only_the_customer_answers_and_only_once() {
    simulated(|| async {
        let house = House::new().await;
        let (shop, member) = (&house.shop, &house.member);
        let id = house.start(60).send().await.expect(201).text("/id");
        for verb in ["approve", "refuse"] {
            for actor in [&shop.admin, &shop.operator] {
                house.answer(&id, verb, actor).send().await.expect_problem(403, "not_the_customer");
            }
        }
        house.answer(&id, "refuse", member).send().await.expect(200);
        assert_eq!(house.status(&id).await, "REFUSED");
        for verb in ["approve", "refuse"] {
            house.answer(&id, verb, member).send().await.expect_problem(409, "acting_session_not_pending");
        }
        house.answer(&id, "end", member).send().await.expect_problem(409, "acting_session_over");
        house.act().await.expect_problem(403, "acting_session_required");
        // Whoever asked may take it back.
        let id = house.start(60).send().await.expect(201).text("/id");
        house.answer(&id, "end", &shop.admin).send().await.expect(200);
        house.answer(&id, "approve", member).send().await.expect_problem(409, "acting_session_not_pending");
        assert_eq!(house.status(&id).await, "ENDED");
    });
}

#[test]
fn a_request_lapses_after_a_day_and_a_session_ends_by_itself() {
    simulated(|| async {
        let mut house = House::new().await;
        let lapsed = house.start(60).send().await.expect(201).text("/id");
        house.pass(24 * 60).await;
        house.sign_in().await;
        // No tick has come round yet: it is over all the same.
        assert_eq!(house.status(&lapsed).await, "LAPSED");
        house.answer(&lapsed, "approve", &house.member).send().await.expect_problem(409, "acting_session_not_pending");
        // And it does not stand in the way of the next.
        let id = house.start(10).send().await.expect(201).text("/id");
        house.answer(&id, "approve", &house.member).send().await.expect(200);
        house.pass(9).await;
        house.act().await.expect(200);
        house.pass(1).await;
        house.act().await.expect_problem(403, "acting_session_required");
        assert_eq!(house.status(&id).await, "EXPIRED");
        // The jobs write it down, each once, whatever else has become of it.
        house.world.settle().await;
        let stored = |id: &str| -> String {
            let sql = "SELECT status FROM acting_sessions WHERE id = ?1";
            house.world.database().query_row(sql, [id], |row| row.get(0)).unwrap()
        };
        assert_eq!((stored(&lapsed).as_str(), stored(&id).as_str()), ("LAPSED", "EXPIRED"));
        house.pass(25 * 60).await;
        house.world.settle().await;
        assert_eq!(house.world.count("SELECT COUNT(*) FROM jobs"), 0);
        house.sign_in().await;
        for organization in [&house.shop.customer, &house.shop.provider] {
            let about = house.audit(organization, &format!("&subjectId={id}")).await;
            assert_eq!(actions(&about), ["acting_sessions.create", "acting_sessions.approve", "acting_sessions.close"]);
            assert!(about[2]["principal"].as_str().unwrap().starts_with("job_"));
            assert_eq!(about[2]["details"]["status"]["to"], "EXPIRED");
            assert_eq!(about[0]["details"]["closedActingSession"]["to"], json!(lapsed));
        }
    });
}

#[test]
fn a_session_has_a_customer_a_reason_and_bounds() {
    simulated(|| async {
        let house = House::new().await;
        let (world, shop) = (&house.world, &house.shop);
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival_admin = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let before = world.dump();
        let body = |customer: &str, reason: &str, minutes: Value| json!({ "organizationId": customer, "reason": reason, "durationMinutes": minutes });
        for (body, pointer) in [
            (body(&shop.customer, "", json!(1)), "/reason"),
            (body(&shop.customer, &"x".repeat(501), json!(1)), "/reason"),
            (body(&shop.customer, "x", json!(0)), "/durationMinutes"),
            (body(&shop.customer, "x", json!(481)), "/durationMinutes"),
            (body(&shop.customer, "x", json!(1.5)), "/durationMinutes"),
            (body(&shop.customer, "x", json!(null)), "/durationMinutes"),
            (body(&shop.provider, "x", json!(1)), "/organizationId"),
            (json!({ "organizationId": shop.customer, "durationMinutes": 1 }), "/reason"),
            (json!({ "organizationId": shop.customer, "reason": "x", "durationMinutes": 1, "role": "y" }), "/role"),
        ] {
            let refused = world.post(SESSIONS, body).by(&shop.admin).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        // A member needs none.
        let own = world.post(SESSIONS, body(&shop.customer, "x", json!(1))).by(&house.member).send().await;
        assert_eq!(own.expect_problem(422, "invalid_request").at("/errors/0/pointer"), "/organizationId");
        let stranger = world.post(SESSIONS, body(&shop.customer, "x", json!(1))).by(&rival_admin).send().await;
        stranger.expect_problem(404, "organization_not_found");
        assert_eq!(world.dump(), before);
        // Nor does a stranger see or touch a session.
        let id = house.start(1).send().await.expect(201).text("/id");
        let unknown = "act_01h455vb4pex5vsknk084sn02q";
        let absent = world.get(&format!("{SESSIONS}/{unknown}")).by(&rival_admin).send().await;
        let hidden = world.get(&format!("{SESSIONS}/{id}")).by(&rival_admin).send().await;
        assert_eq!(
            hidden.expect_problem(404, "acting_session_not_found").text("/detail").replace(&id, unknown),
            absent.text("/detail")
        );
        for verb in ["approve", "refuse", "end"] {
            house.answer(&id, verb, &rival_admin).send().await.expect_problem(404, "acting_session_not_found");
        }
        assert_eq!(world.get(SESSIONS).by(&rival_admin).send().await.at("/items"), json!([]));
        let path = format!("/v1/acting-policies/{}", shop.customer);
        world.get(&path).by(&rival_admin).send().await.expect_problem(404, "organization_not_found");
        let set = world.put(&path, json!({ "policy": "ALLOW" })).by(&rival_admin).header("if-match", "*").send().await;
        set.expect_problem(404, "organization_not_found");
        // Nor another customer of the same provider.
        let neighbour = world.organization(&shop.admin, "CUSTOMER", "Wingtip", None).await;
        let neighbour = world.actor(&shop.admin, &neighbour, "CUSTOMER_ADMINISTRATOR").await;
        house.answer(&id, "approve", &neighbour).send().await.expect_problem(404, "acting_session_not_found");
        let named = format!("{SESSIONS}?organizationId={}", shop.customer);
        assert_eq!(world.get(&named).by(&neighbour).send().await.at("/items"), json!([]));
    });
}

#[test]
fn of_two_starts_at_once_one_is_taken() {
    simulated(|| async {
        let house = House::new().await;
        for policy in ["ASK", "ALLOW"] {
            house.policy(policy).await;
            let answers = futures::future::join_all((0..4).map(|_| house.start(10).send())).await;
            let started: Vec<_> = answers.iter().filter(|answer| answer.status() == 201).collect();
            assert_eq!(started.len(), 1);
            for other in answers.iter().filter(|answer| answer.status() != 201) {
                other.expect_problem(409, "acting_session_exists");
                assert!(other.text("/detail").contains(&started[0].text("/id")), "{}", other.text("/detail"));
            }
            house.answer(&started[0].text("/id"), "end", &house.shop.admin).send().await.expect(200);
        }
        assert_eq!(house.world.count("SELECT COUNT(*) FROM acting_sessions"), 2);
    });
}

/// Whichever comes first is what counts, and both sides see the same.
#[test]
fn approval_and_its_opposites_at_once_come_to_one_end() {
    simulated(|| async {
        let mut house = House::new().await;
        for other in ["refuse", "end"] {
            let id = house.start(60).send().await.expect(201).text("/id");
            let by = if other == "end" { &house.shop.admin } else { &house.member };
            let (approved, other) =
                futures::future::join(house.answer(&id, "approve", &house.member).send(), house.answer(&id, other, by).send())
                    .await;
            let status = house.status(&id).await;
            let may = house.act().await.status() == 200;
            assert_eq!(may, status == "OPEN", "{} {} {status}", approved.status(), other.status());
            // An end comes after an approval as well as before; an answer comes once.
            assert!(approved.status() == 200 || other.status() == 200);
            if may {
                house.answer(&id, "end", &house.member).send().await.expect(200);
            }
        }
        // An approval that comes with the tick that would write down the lapse, a moment before and at the moment itself.
        for late in [false, true] {
            let id = house.start(60).send().await.expect(201).text("/id");
            house.world.hub.clock().advance(Duration::from_millis(24 * 3_600_000 - u64::from(!late))).await;
            house.sign_in().await;
            let (approved, ()) =
                futures::future::join(house.answer(&id, "approve", &house.member).send(), house.world.settle()).await;
            assert_eq!(approved.status(), if late { 409 } else { 200 });
            house.pass(0).await;
            house.world.settle().await;
            assert_eq!(house.status(&id).await, if late { "LAPSED" } else { "OPEN" });
            assert_eq!(house.act().await.status(), if late { 403 } else { 200 });
            if !late {
                house.answer(&id, "end", &house.member).send().await.expect(200);
            }
        }
    });
}

/// A request that acts while the session is ended is done as a whole or refused as a whole; the next is refused.
#[test]
fn the_end_takes_effect_on_the_next_request() {
    simulated(|| async {
        let house = House::new().await;
        house.policy("ALLOW").await;
        for _ in 0..4 {
            let id = house.start(60).send().await.expect(201).text("/id");
            let order = json!({ "organizationId": house.shop.customer, "serviceId": house.shop.builtin, "quantity": "1" });
            let before = house.world.count("SELECT COUNT(*) FROM subscriptions");
            let act = house.world.post("/v1/subscriptions", order).by(&house.shop.admin).acting_in(&house.shop.customer).send();
            let (acted, ended) = futures::future::join(act, house.answer(&id, "end", &house.member).send()).await;
            ended.expect(200);
            let made = house.world.count("SELECT COUNT(*) FROM subscriptions") - before;
            assert_eq!(made, i64::from(acted.status() == 202), "{}", acted.json());
            let inside = house.audit(&house.shop.customer, &format!("&actingSessionId={id}")).await;
            assert_eq!(inside.len() as i64, made);
            house.act().await.expect_problem(403, "acting_session_required");
        }
    });
}

#[test]
fn a_crash_loses_neither_the_answer_nor_the_end() {
    simulated(|| async {
        let mut house = House::new().await;
        let asked = house.start(60).key("start").send().await.expect(201).json();
        let id = asked["id"].as_str().unwrap().to_owned();
        // The approval is written, but its answer is lost.
        house.world.hub.faults().push(Fault::on(host::Target::SqlMatching("COMMIT".into())).crash_after());
        assert!(house.answer(&id, "approve", &house.member).key("approve").try_send().await.is_err());
        house.world.restart().await;
        assert_eq!(house.start(60).key("start").send().await.expect(201).json(), asked);
        let again = house.answer(&id, "approve", &house.member).key("approve").send().await;
        assert_eq!(again.expect(200).header("idempotency-replayed"), "true");
        house.act().await.expect(200);
        // The end is not written: nothing of it is.
        house.world.hub.faults().push(Fault::on(host::Target::SqlMatching("COMMIT".into())).crash_before());
        assert!(house.answer(&id, "end", &house.member).key("end").try_send().await.is_err());
        house.world.restart().await;
        house.act().await.expect(200);
        // Its own end comes all the same, though the job that writes it down dies once.
        house.pass(60).await;
        house.sign_in().await;
        house.act().await.expect_problem(403, "acting_session_required");
        house.world.hub.faults().push(Fault::on(host::Target::SqlMatching("UPDATE acting_sessions".into())).crash_after());
        let tick = house.world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).try_send().await;
        assert!(tick.is_err());
        house.world.restart().await;
        house.pass(2).await;
        house.world.settle().await;
        let about = house.audit(&house.shop.customer, &format!("&subjectId={id}")).await;
        assert_eq!(actions(&about), ["acting_sessions.create", "acting_sessions.approve", "acting_sessions.close"]);
        crate::access_audit_entries::verify_all(
            &house.world,
            &house.world.sign_in(&house.shop.operator.api_token, "").await.access_token,
        )
        .await;
    });
}

/// What a request costs in the database: who asks is one read, and where it acts one more.
#[test]
fn acting_costs_one_read_more() {
    simulated(|| async {
        let house = House::new().await;
        house.world.let_act(&house.shop.admin, &house.shop.customer).await;
        house.world.get("/v1/roles").by(&house.shop.admin).send().await.expect(200);
        let reads = async |call: Call<'_>| {
            let before = house.world.hub.host_calls().len();
            call.send().await.expect(200);
            let calls = house.world.hub.host_calls();
            calls[before..].iter().filter(|call| call.kind == host::Kind::Sql && call.detail.starts_with("SELECT")).count()
        };
        assert_eq!(reads(house.world.get("/v1/roles").by(&house.shop.admin)).await, 1);
        assert_eq!(reads(house.world.get("/v1/roles").by(&house.shop.admin).acting_in(&house.shop.customer)).await, 2);
    });
}
