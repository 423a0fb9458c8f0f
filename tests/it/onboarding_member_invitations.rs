//! Member invitations: seven days, secrets shown once, accepted once, and resting on whoever sent them.

use host::{Fault, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Person, Shop, World, simulated};

const DAY: u64 = 24 * 3600;

async fn ground() -> (World, Shop, Person) {
    let world = World::new().await;
    let shop = world.shop().await;
    let admin = world.member(&shop.operator, &shop.provider, "admin@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
    (world, shop, admin)
}

/// Invites somebody: the invitation's id and its secret.
async fn invite(world: &World, by: &Actor, roles: Value, email: &str) -> (String, String) {
    let answer = world.post("/v1/members", json!({ "roles": roles, "people": [{ "email": email }] })).by(by).send().await;
    assert_eq!(answer.expect(207).at("/failed"), json!([]));
    (answer.text("/succeeded/invited/0/id"), answer.text("/succeeded/invited/0/secret"))
}

async fn accept(world: &World, secret: &str) -> Answer {
    world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await
}

async fn resend(world: &World, by: &Actor, id: &str) -> Answer {
    world.post(&format!("/v1/member-invitations/{id}/resend"), json!({})).by(by).send().await
}

async fn status(world: &World, by: &Actor, id: &str) -> String {
    world.get(&format!("/v1/member-invitations/{id}")).by(by).send().await.expect(200).text("/status")
}

#[test]
fn an_invitation_makes_a_member_who_can_set_a_password() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let body = json!({
            "roles": ["PROVIDER_SUPPORT_USER"], "people": [{ "email": "New@Contoso.example", "displayName": "Nora New" }],
        });
        let invited = world.post("/v1/members", body).by(&admin.actor).send().await;
        let (id, secret) = (invited.text("/succeeded/invited/0/id"), invited.text("/succeeded/invited/0/secret"));
        assert_eq!(invited.text("/succeeded/invited/0/expiresAt"), "2026-11-28T12:00:00.000Z");
        assert_eq!(invited.text("/succeeded/invited/0/invitedBy"), admin.id);
        assert_eq!(status(&world, &admin.actor, &id).await, "PENDING");
        let accepted = accept(&world, &secret).await;
        accepted.expect(200);
        assert_eq!(
            (accepted.text("/member/email").as_str(), accepted.text("/member/displayName").as_str()),
            ("new@contoso.example", "Nora New")
        );
        assert_eq!(
            (accepted.at("/member/roles"), accepted.text("/member/organizationId")),
            (json!(["PROVIDER_SUPPORT_USER"]), shop.provider.clone())
        );
        let link = accepted.text("/accountLink/secret");
        assert_eq!(accepted.text("/accountLink/expiresAt"), "2026-11-22T12:00:00.000Z");
        let kept = format!("SELECT COUNT(*) FROM account_links WHERE hash = '{}'", web::secret::hash(&link));
        assert_eq!(world.count(&kept), 1);
        assert_eq!(status(&world, &admin.actor, &id).await, "ACCEPTED");
        // Once.
        accept(&world, &secret).await.expect_problem(409, "invitation_accepted");
        let path = format!("/v1/member-invitations/{id}");
        world.delete(&path).by(&admin.actor).send().await.expect_problem(409, "invitation_closed");
        resend(&world, &admin.actor, &id).await.expect_problem(409, "invitation_closed");
        // Neither secret can be read anywhere.
        let dump = world.dump();
        for secret in [&secret, &link] {
            assert!(!dump.contains(secret.as_str()) && !world.hub.logs().iter().any(|line| line.contains(secret.as_str())));
        }
    });
}

#[test]
fn an_invitation_lives_seven_days_and_can_be_sent_again() {
    simulated(|| async {
        let (world, _, admin) = ground().await;
        let (id, secret) = invite(&world, &admin.actor, json!(["PROVIDER_SUPPORT_USER"]), "new@contoso.example").await;
        let twice = json!({ "roles": ["PROVIDER_SUPPORT_USER"], "people": [{ "email": "new@contoso.example" }] });
        let twice = world.post("/v1/members", twice).by(&admin.actor).send().await;
        assert_eq!(twice.expect(207).text("/failed/0/code"), "invitation_pending");
        world.hub.clock().advance(Duration::from_secs(7 * DAY)).await;
        let admin = world.person(&admin.id, &admin.actor.organization);
        accept(&world, &secret).await.expect_problem(409, "invitation_expired");
        assert_eq!(status(&world, &admin.actor, &id).await, "EXPIRED");
        let list = |status: &str| world.get(&format!("/v1/member-invitations?status={status}")).by(&admin.actor).send();
        assert_eq!(list("EXPIRED").await.text("/items/0/id"), id);
        assert_eq!(list("PENDING").await.expect(200).at("/items"), json!([]));
        let again = resend(&world, &admin.actor, &id).await;
        assert_eq!(
            (again.expect(200).text("/status").as_str(), again.text("/expiresAt").as_str()),
            ("PENDING", "2026-12-05T12:00:00.000Z")
        );
        assert!(!list("PENDING").await.json().to_string().contains("hubmi_"));
        // The secret before is worth nothing.
        accept(&world, &secret).await.expect_problem(404, "invitation_secret_unknown");
        world.hub.clock().advance(Duration::from_secs(7 * DAY - 1)).await;
        accept(&world, &again.text("/secret")).await.expect(200);
    });
}

#[test]
fn an_expired_invitation_makes_way_for_another() {
    simulated(|| async {
        let (world, _, admin) = ground().await;
        let (first, _) = invite(&world, &admin.actor, json!(["PROVIDER_SUPPORT_USER"]), "new@contoso.example").await;
        world.hub.clock().advance(Duration::from_secs(7 * DAY)).await;
        let admin = world.person(&admin.id, &admin.actor.organization);
        let (_, secret) = invite(&world, &admin.actor, json!(["PROVIDER_DEVELOPER"]), "new@contoso.example").await;
        resend(&world, &admin.actor, &first).await.expect_problem(409, "invitation_pending");
        assert_eq!(accept(&world, &secret).await.expect(200).at("/member/roles"), json!(["PROVIDER_DEVELOPER"]));
    });
}

#[test]
fn an_invitation_that_was_taken_back_is_worth_nothing() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let (id, secret) = invite(&world, &admin.actor, json!(["PROVIDER_ADMINISTRATOR"]), "new@contoso.example").await;
        let path = format!("/v1/member-invitations/{id}");
        // Not by somebody who could not have sent it, and not by others at all.
        let operations =
            world.member(&admin.actor, &shop.provider, "ops@contoso.example", &["PROVIDER_OPERATIONS_ADMINISTRATOR"]).await;
        world.delete(&path).by(&operations.actor).send().await.expect_problem(403, "role_above_own");
        resend(&world, &operations.actor, &id).await.expect_problem(403, "role_above_own");
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        for answer in [
            world.get(&path).by(&rival).send().await,
            world.delete(&path).by(&rival).send().await,
            resend(&world, &rival, &id).await,
        ] {
            answer.expect_problem(404, "member_invitation_not_found");
        }
        world.delete(&path).by(&admin.actor).send().await.expect(204);
        accept(&world, &secret).await.expect_problem(409, "invitation_revoked");
        assert_eq!(status(&world, &admin.actor, &id).await, "REVOKED");
        accept(&world, "hubmi_guessed").await.expect_problem(404, "invitation_secret_unknown");
        assert_eq!(world.count("SELECT COUNT(*) FROM people WHERE email LIKE 'new@contoso.example%'"), 0);
        assert_eq!(world.count(&format!("SELECT COUNT(*) FROM mailbox WHERE subject_id = '{id}'")), 0);
    });
}

#[test]
fn of_two_acceptances_at_once_one_wins() {
    simulated(|| async {
        let (world, _, admin) = ground().await;
        let (_, secret) = invite(&world, &admin.actor, json!(["PROVIDER_SUPPORT_USER"]), "new@contoso.example").await;
        let answers = futures::future::join_all((0..4).map(|_| accept(&world, &secret))).await;
        let mut statuses: Vec<_> = answers.iter().map(Answer::status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409]);
        assert_eq!(world.count("SELECT COUNT(*) FROM account_links"), 2);
    });
}

#[test]
fn an_invitation_rests_on_whoever_sent_it_last() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let second = world.member(&admin.actor, &shop.provider, "two@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let (id, secret) = invite(&world, &second.actor, json!(["PROVIDER_BILLING_USER"]), "new@contoso.example").await;
        // The inviter may still invite, but no longer to this.
        let demoted = json!({ "personIds": [second.id], "addRoles": ["PROVIDER_OPERATIONS_ADMINISTRATOR"], "removeRoles": ["PROVIDER_ADMINISTRATOR"] });
        world.patch("/v1/members", demoted).by(&admin.actor).send().await.expect(207);
        accept(&world, &secret).await.expect_problem(403, "invitation_void");
        // Nor, removed, to anything.
        let (_, small) = invite(&world, &second.actor, json!(["PROVIDER_SUPPORT_USER"]), "small@contoso.example").await;
        let path = format!("/v1/members/{}", second.id);
        world.delete(&path).by(&admin.actor).send().await.expect(204);
        accept(&world, &small).await.expect_problem(403, "invitation_void");
        // Sent again by somebody who may, it is good.
        let again = resend(&world, &admin.actor, &id).await;
        assert_eq!(again.expect(200).text("/invitedBy"), admin.id);
        accept(&world, &again.text("/secret")).await.expect(200);

        // A token that was revoked, and one that has ended, have no say either.
        for revoked in [true, false] {
            let mut body = json!({ "name": "inviter", "organizationId": shop.provider, "roles": ["PROVIDER_ADMINISTRATOR"] });
            if !revoked {
                body["expiresAt"] = json!("2026-11-21T12:10:00Z");
            }
            let token = world.post("/v1/api-tokens", body).by(&shop.operator).send().await;
            let inviter = world.sign_in(&token.expect(201).text("/apiToken"), &shop.provider).await;
            let email = format!("by-token-{revoked}@contoso.example");
            let (_, secret) = invite(&world, &inviter, json!(["PROVIDER_SUPPORT_USER"]), &email).await;
            if revoked {
                let path = format!("/v1/api-tokens/{}", token.text("/id"));
                world.delete(&path).by(&shop.operator).send().await.expect(204);
            } else {
                world.hub.clock().advance(Duration::from_secs(600)).await;
            }
            accept(&world, &secret).await.expect_problem(403, "invitation_void");
        }
        // And nobody who cannot sign in.
        let (_, secret) = invite(&world, &admin.actor, json!(["PROVIDER_SUPPORT_USER"]), "last@contoso.example").await;
        world.database().execute("UPDATE people SET status = 'DISABLED' WHERE id = ?1", [&admin.id]).unwrap();
        accept(&world, &secret).await.expect_problem(403, "invitation_void");
    });
}

#[test]
fn the_first_administrator_is_whoever_accepts_first() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let distributor = world.organization(&operator, "DISTRIBUTOR", "Northwind", None).await;
        let admin = world.member(&operator, &distributor, "d@northwind.example", &["DISTRIBUTOR_ADMINISTRATOR"]).await;
        let provider = world.organization(&admin.actor, "PROVIDER", "Contoso", None).await;
        let people = json!([{ "email": "p@contoso.example" }, { "email": "q@contoso.example" }]);
        let body = json!({ "organizationId": provider, "roles": ["PROVIDER_ADMINISTRATOR"], "people": people });
        let invited = world.post("/v1/members", body).by(&admin.actor).send().await;
        assert_eq!(invited.expect(207).at("/succeeded/invited/0/secret"), Value::Null);
        let mailed = |number: usize| world.mailed(&invited.text(&format!("/succeeded/invited/{number}/id")));
        let (first, second) = (mailed(0), mailed(1));
        accept(&world, &first).await.expect(200);
        accept(&world, &second).await.expect_problem(403, "invitation_void");
    });
}

/// What is said of a fault: of one of COMMIT alone nobody knows whether it was done.
pub fn code_of(statement: &str) -> &'static str {
    if statement == "COMMIT" { "outcome_unknown" } else { "temporarily_unavailable" }
}

#[test]
fn an_acceptance_that_breaks_off_can_be_repeated() {
    simulated(|| async {
        let (mut world, shop, admin) = ground().await;
        let (_, secret) = invite(&world, &admin.actor, json!(["PROVIDER_SUPPORT_USER"]), "new@contoso.example").await;
        let before = world.dump();
        for statement in
            ["INSERT INTO people", "INSERT INTO bindings", "UPDATE member_invitations", "INSERT INTO account_links", "COMMIT"]
        {
            world.hub.faults().push(Fault::on(Target::SqlMatching(statement.into())).fail("disk I/O error"));
            accept(&world, &secret).await.expect_problem(503, code_of(statement));
            world.hub.faults().clear();
            assert_eq!(world.dump(), before, "{statement}");
        }
        world.hub.faults().push(Fault::on(Target::SqlMatching("INSERT INTO account_links".into())).crash_after());
        let body = json!({ "secret": secret });
        assert!(world.post("/v1/member-invitations/accept", body).try_send().await.is_err());
        world.restart().await;
        assert_eq!(world.dump(), before);
        accept(&world, &secret).await.expect(200);
        world.database().execute("UPDATE organizations SET status = 'DISABLED' WHERE id = ?1", [&shop.customer]).unwrap();
    });
}

#[test]
fn nobody_joins_an_organization_that_is_disabled() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let (_, secret) = invite(&world, &admin.actor, json!(["PROVIDER_SUPPORT_USER"]), "new@contoso.example").await;
        world.database().execute("UPDATE organizations SET status = 'DISABLED' WHERE id = ?1", [&shop.provider]).unwrap();
        accept(&world, &secret).await.expect_problem(403, "organization_disabled");
    });
}

#[test]
fn invitations_are_listed_page_by_page() {
    simulated(|| async {
        let (world, _, admin) = ground().await;
        let people: Vec<_> = (0..5).map(|n| json!({ "email": format!("p{n}@contoso.example") })).collect();
        let body = json!({ "roles": ["PROVIDER_SUPPORT_USER"], "people": people });
        world.post("/v1/members", body).by(&admin.actor).send().await.expect(207);
        let first = world.get("/v1/member-invitations?limit=3&status=PENDING").by(&admin.actor).send().await;
        assert_eq!(first.expect(200).at("/items").as_array().unwrap().len(), 3);
        let next = format!("/v1/member-invitations?limit=3&status=PENDING&cursor={}", first.text("/nextCursor"));
        let second = world.get(&next).by(&admin.actor).send().await;
        assert_eq!((second.at("/items").as_array().unwrap().len(), second.at("/nextCursor")), (2, Value::Null));
        let support =
            world.member(&admin.actor, &admin.actor.organization, "s@contoso.example", &["PROVIDER_SUPPORT_USER"]).await;
        world.get("/v1/member-invitations").by(&support.actor).send().await.expect_problem(403, "permission_missing");
    });
}
