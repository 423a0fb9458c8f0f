//! Local accounts: passwords, links to set them, attempts that are held back, and the sessions they begin.

use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, Shop, World, simulated};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery staple";

/// A shop with a person who is the provider's administrator and has a password.
async fn staffed(world: &World) -> (Shop, String) {
    let shop = world.shop().await;
    let person = world.somebody(EMAIL, &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
    world.set_password(&shop.operator, &person, PASSWORD).await;
    (shop, person)
}

async fn sign_in(world: &World) -> Answer {
    let answer = world.try_password(EMAIL, PASSWORD).await;
    answer.expect(201);
    answer
}

fn put<'w>(world: &'w World, path: &str, body: &Value) -> tests::Call<'w> {
    world.call(Method::PUT, path).json(body)
}

async fn refresh(world: &World, token: &str) -> Answer {
    world.post("/v1/access-tokens", json!({ "refreshToken": token })).send().await
}

async fn me(world: &World, answer: &Answer) -> Answer {
    world.get("/v1/me").bearer(&answer.text("/accessToken")).send().await
}

#[test]
fn a_person_signs_in_with_the_password_and_is_who_they_are() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        // However the address is written.
        let answer = world.try_password("Ada@Example.COM", PASSWORD).await;
        answer.expect(201);
        assert_eq!((answer.at("/tokenType"), answer.at("/expiresIn")), (json!("Bearer"), json!(1800)));
        assert_eq!(answer.text("/sessionExpiresAt"), "2026-12-05T12:00:00.000Z");
        let me = me(&world, &answer).await;
        assert_eq!((me.text("/principalId"), me.text("/email").as_str()), (person, EMAIL));
        assert_eq!((me.text("/organizationId"), me.at("/roles")), (shop.provider.clone(), json!(["PROVIDER_ADMINISTRATOR"])));
        let dump = world.dump();
        for secret in [PASSWORD, &answer.text("/accessToken"), &answer.text("/refreshToken")] {
            assert!(!dump.contains(secret) && !world.hub.logs().iter().any(|line| line.contains(secret)), "{secret}");
        }
        assert!(dump.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
    });
}

#[test]
fn an_unknown_address_is_answered_like_a_wrong_password() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, _) = staffed(&world).await;
        world.somebody("grace@example.com", &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
        let mut details = std::collections::BTreeSet::new();
        // A wrong password, an account without one, no account.
        for email in [EMAIL, "grace@example.com", "nobody@example.com"] {
            let refused = world.try_password(email, "wrong").await;
            refused.expect_problem(401, "password_wrong");
            details.insert(refused.text("/detail"));
        }
        assert_eq!(details.len(), 1);
        for body in [
            json!({ "email": EMAIL }),
            json!({ "email": EMAIL, "password": "" }),
            json!({ "email": EMAIL, "password": "x".repeat(129) }),
            json!({ "email": "ada", "password": "x" }),
        ] {
            world.post("/v1/sign-in/password", body).send().await.expect_problem(422, "invalid_request");
        }
    });
}

#[test]
fn attempts_are_held_back_for_longer_each_time_known_or_not() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let mut seen = Vec::new();
        for email in [EMAIL, "nobody@example.com"] {
            let mut waits = Vec::new();
            for _ in 0..5 {
                world.try_password(email, "wrong").await.expect_problem(401, "password_wrong");
            }
            for _ in 0..12 {
                let held = world.try_password(email, "wrong").await;
                held.expect_problem(429, "too_many_attempts");
                let wait: u64 = held.header("retry-after").parse().unwrap();
                waits.push(wait);
                if wait > 1 {
                    world.hub.clock().advance(Duration::from_secs(wait - 1)).await;
                    world.try_password(email, "wrong").await.expect_problem(429, "too_many_attempts");
                }
                world.hub.clock().advance(Duration::from_secs(1)).await;
                world.try_password(email, "wrong").await.expect_problem(401, "password_wrong");
            }
            assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
            seen.push(waits);
        }
        assert_eq!(seen[0], seen[1]);
        // Nor is the right password judged meanwhile; afterwards it is, and all is forgotten.
        world.try_password(EMAIL, "wrong").await.expect_problem(401, "password_wrong");
        world.try_password(EMAIL, PASSWORD).await.expect_problem(429, "too_many_attempts");
        world.hub.clock().advance(Duration::from_secs(900)).await;
        sign_in(&world).await;
        for _ in 0..5 {
            world.try_password(EMAIL, "wrong").await.expect_problem(401, "password_wrong");
        }
    });
}

#[test]
fn of_many_attempts_at_once_five_are_judged() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let answers = futures::future::join_all((0..16).map(|_| world.try_password(EMAIL, "wrong"))).await;
        let judged = answers.iter().filter(|answer| answer.status() == 401).count();
        assert_eq!((judged, answers.iter().filter(|answer| answer.status() == 429).count()), (5, 11));
    });
}

/// The guesses are few, and a hub that dies while it judges one does not forget it.
#[test]
fn an_attempt_is_counted_also_when_the_hub_dies_over_it() {
    simulated(|| async {
        // As many turns that nobody leaves before their lease ends.
        let mut world = World::with_variables(&[("password_hashes", "8")]).await;
        staffed(&world).await;
        for _ in 0..5 {
            world.hub.faults().push(
                host::Fault::on(host::Target::SqlMatching("DELETE FROM hash_slots WHERE ticket".into())).nth(1).crash_before(),
            );
            let body = json!({ "email": EMAIL, "password": "wrong" });
            assert!(world.post("/v1/sign-in/password", body).try_send().await.is_err());
            world.restart().await;
        }
        world.try_password(EMAIL, PASSWORD).await.expect_problem(429, "too_many_attempts");
    });
}

#[test]
fn sixteen_at_once_all_get_in() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let emails: Vec<String> = (0..16).map(|number| format!("person{number}@example.com")).collect();
        for email in &emails {
            let person = world.somebody(email, &[("CUSTOMER_USER", &shop.customer)]);
            world.set_password(&shop.admin, &person, PASSWORD).await;
        }
        let answers = futures::future::join_all(emails.iter().map(|email| world.try_password(email, PASSWORD))).await;
        for answer in answers {
            answer.expect(201);
        }
    });
}

#[test]
fn a_password_has_a_length_and_is_not_the_address() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let link = world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&shop.operator).send().await;
        assert_eq!(link.expect(201).at("/accountLink"), Value::Null);
        let link = world.mailed(&person);
        for wrong in ["eleven char", &"x".repeat(129), EMAIL, "ADA@EXAMPLE.COM"] {
            let refused = put(&world, "/v1/account-links", &json!({ "accountLink": link, "password": wrong })).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/password", "{wrong}");
            assert!(!refused.json().to_string().contains(wrong), "a password is not said again");
        }
        // What was refused did not use up the link.
        let body = json!({ "accountLink": link, "password": "  päßwörter dürfen alles  " });
        put(&world, "/v1/account-links", &body).send().await.expect(204);
        world.try_password(EMAIL, "  päßwörter dürfen alles  ").await.expect(201);
    });
}

#[test]
fn a_link_is_good_once_and_only_the_newest() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let make = async || {
            world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&shop.operator).send().await.expect(201);
            world.mailed(&person)
        };
        let redeem = async |link: &str, password: &str| {
            put(&world, "/v1/account-links", &json!({ "accountLink": link, "password": password })).send().await
        };
        let (first, second) = (make().await, make().await);
        redeem(&first, "another password").await.expect_problem(401, "account_link_invalid");
        // Of two at once, one sets its password.
        let (one, other) =
            futures::future::join(redeem(&second, "password number one"), redeem(&second, "password number two")).await;
        let mut statuses = [one.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 401]);
        redeem(&second, "password number three").await.expect_problem(401, "account_link_invalid");
        world.try_password(EMAIL, PASSWORD).await.expect_problem(401, "password_wrong");
        let winner = if one.status() == 204 { "password number one" } else { "password number two" };
        world.try_password(EMAIL, winner).await.expect(201);
        let third = make().await;
        world.hub.clock().advance(Duration::from_secs(24 * 3600)).await;
        redeem(&third, "another password").await.expect_problem(401, "account_link_invalid");
        for link in ["", "x", "hubal_"] {
            let refused = redeem(link, "another password").await;
            assert!([401, 422].contains(&refused.status()), "{}", refused.json());
        }
    });
}

#[test]
fn a_link_is_seen_only_in_the_persons_own_organization_and_mailed_otherwise() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        let rival_admin = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let customer_admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let billing = world.actor(&shop.admin, &shop.provider, "PROVIDER_BILLING_USER").await;
        let both = world.somebody("both@example.com", &[("CUSTOMER_USER", &shop.customer), ("PROVIDER_ADMINISTRATOR", &rival)]);
        let above = world.somebody("above@example.com", &[("OPERATOR_ADMINISTRATOR", &shop.operator.organization)]);
        let alone = world.somebody("alone@example.com", &[]);
        let local = world.somebody("local@example.com", &[("PROVIDER_BILLING_USER", &shop.provider)]);
        let before = world.dump();
        let make = async |by: &Actor, person: &str| {
            world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(by).send().await
        };
        let unknown = "per_01h455vb4pex5vsknk084sn02q";
        let said = make(&rival_admin, unknown).await;
        said.expect_problem(404, "person_not_found");
        // Who is somewhere else is answered like who is nowhere.
        for (by, person) in [(&rival_admin, &person), (&customer_admin, &person), (&shop.admin, &above), (&shop.operator, &alone)]
        {
            let refused = make(by, person).await;
            refused.expect_problem(404, "person_not_found");
            assert_eq!(refused.text("/detail").replace(person, unknown), said.text("/detail"));
        }
        make(&billing, &person).await.expect_problem(403, "permission_missing");
        assert_eq!(world.dump(), before);
        // With a link one could sign in as the person. Where the person has roles that are not the caller's own organization's, it
        // goes to their mailbox alone: roles elsewhere keep nobody from a new password.
        let mailed = |answer: &tests::Answer, person: &str| {
            assert_eq!(answer.expect(201).at("/accountLink"), Value::Null);
            world.mailed(person)
        };
        mailed(&make(&shop.admin, &both).await, &both);
        let there = world.post("/v1/sign-in/password-reset", json!({ "personId": both })).by(&shop.operator).acting_in(&rival);
        mailed(&there.send().await, &both);
        mailed(&make(&shop.operator, &person).await, &person);
        let first = mailed(&make(&rival_admin, &both).await, &both);
        let newest = mailed(&make(&shop.operator, &both).await, &both);
        assert_ne!(first, newest);
        // In the person's only organization the administrator sees one too, until the person has confirmed the address.
        let seen = make(&shop.admin, &local).await.expect(201).text("/accountLink");
        let link = world.mailed(&local);
        assert_ne!(seen, link);
        let redeem =
            |link: &str| put(&world, "/v1/account-links", &json!({ "accountLink": link, "password": "another password" })).send();
        redeem(&link).await.expect(204);
        redeem(&seen).await.expect_problem(401, "account_link_invalid");
        mailed(&make(&shop.admin, &local).await, &local);
        // Acting further down, the person is out of reach.
        let elsewhere = world.organization(&shop.operator, "DISTRIBUTOR", "Northwind", None).await;
        let down =
            world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&shop.operator).acting_in(&elsewhere);
        down.send().await.expect_problem(404, "person_not_found");
    });
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let (mine, other) = (sign_in(&world).await, sign_in(&world).await);
        let change = |current: &str, new: &str| {
            let body = json!({ "currentPassword": current, "newPassword": new });
            put(&world, "/v1/sign-in/password", &body).bearer(&mine.text("/accessToken"))
        };
        change("wrong", "another password").send().await.expect_problem(401, "password_wrong");
        let refused = change(PASSWORD, EMAIL).send().await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/newPassword");
        me(&world, &other).await.expect(200);
        change(PASSWORD, "another password").key("change").send().await.expect(204);
        let again = change(PASSWORD, "another password").key("change").send().await;
        assert_eq!(again.expect(204).header("idempotency-replayed"), "true");
        me(&world, &mine).await.expect(200);
        me(&world, &other).await.expect_problem(401, "access_token_invalid");
        refresh(&world, &other.text("/refreshToken")).await.expect_problem(401, "refresh_token_invalid");
        world.try_password(EMAIL, PASSWORD).await.expect_problem(401, "password_wrong");
        world.try_password(EMAIL, "another password").await.expect(201);
        // A link ends all of them.
        world.set_password(&shop.operator, &person, PASSWORD).await;
        me(&world, &mine).await.expect_problem(401, "access_token_invalid");
        refresh(&world, &mine.text("/refreshToken")).await.expect_problem(401, "refresh_token_invalid");
        let machine = json!({ "currentPassword": PASSWORD, "newPassword": "another password" });
        put(&world, "/v1/sign-in/password", &machine).by(&shop.admin).send().await.expect_problem(403, "not_a_person");
    });
}

#[test]
fn a_session_goes_on_with_refresh_tokens_each_good_once() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let first = sign_in(&world).await;
        world.hub.clock().advance(Duration::from_secs(1800)).await;
        me(&world, &first).await.expect_problem(401, "access_token_invalid");
        let second = refresh(&world, &first.text("/refreshToken")).await;
        second.expect(201);
        me(&world, &second).await.expect(200);
        assert_eq!(second.at("/sessionExpiresAt"), first.at("/sessionExpiresAt"));
        let third = refresh(&world, &second.text("/refreshToken")).await;
        third.expect(201);
        // Another session is another matter.
        let other = sign_in(&world).await;
        // Somebody else has it too: neither goes on.
        world.hub.clock().advance(Duration::from_secs(10)).await;
        refresh(&world, &second.text("/refreshToken")).await.expect_problem(401, "refresh_token_reused");
        for token in [&second, &third] {
            me(&world, token).await.expect_problem(401, "access_token_invalid");
        }
        refresh(&world, &third.text("/refreshToken")).await.expect_problem(401, "refresh_token_invalid");
        me(&world, &other).await.expect(200);
    });
}

#[test]
fn two_pages_that_refresh_at_once_get_the_same_answer() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let token = sign_in(&world).await.text("/refreshToken");
        let (one, other) = futures::future::join(refresh(&world, &token), refresh(&world, &token)).await;
        assert_eq!(one.expect(201).json(), other.expect(201).json());
        world.hub.clock().advance(Duration::from_secs(9)).await;
        let late = refresh(&world, &token).await;
        assert_eq!(late.expect(201).json(), one.json());
        assert!(!world.dump().contains(&one.text("/accessToken")));
        me(&world, &late).await.expect(200);
        // Both go on with the same next one; what came before it is nothing any more.
        let next = refresh(&world, &one.text("/refreshToken")).await;
        assert_eq!(refresh(&world, &one.text("/refreshToken")).await.json(), next.expect(201).json());
        refresh(&world, &token).await.expect_problem(401, "refresh_token_reused");
        me(&world, &next).await.expect_problem(401, "access_token_invalid");
        refresh(&world, &next.text("/refreshToken")).await.expect_problem(401, "refresh_token_invalid");
        assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
    });
}

#[test]
fn a_refresh_token_used_again_after_ten_seconds_ends_the_session() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let token = sign_in(&world).await.text("/refreshToken");
        refresh(&world, &token).await.expect(201);
        world.hub.clock().advance(Duration::from_secs(10)).await;
        refresh(&world, &token).await.expect_problem(401, "refresh_token_reused");
        assert_eq!(world.count("SELECT COUNT(*) FROM sessions"), 0);
    });
}

#[test]
fn a_session_ends_after_a_fortnight_or_by_signing_out() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let (one, other) = (sign_in(&world).await, sign_in(&world).await);
        let again = refresh(&world, &one.text("/refreshToken")).await;
        world.delete("/v1/access-tokens/current").bearer(&again.text("/accessToken")).send().await.expect(204);
        for token in [&one, &again] {
            me(&world, token).await.expect_problem(401, "access_token_invalid");
        }
        refresh(&world, &again.text("/refreshToken")).await.expect_problem(401, "refresh_token_invalid");
        me(&world, &other).await.expect(200);
        // The last access token ends with the session.
        world.hub.clock().advance(Duration::from_secs(14 * 24 * 3600 - 60)).await;
        let last = refresh(&world, &other.text("/refreshToken")).await;
        assert_eq!((last.expect(201).at("/expiresIn"), last.at("/expiresAt")), (json!(60), last.at("/sessionExpiresAt")));
        world.hub.clock().advance(Duration::from_secs(60)).await;
        refresh(&world, &last.text("/refreshToken")).await.expect_problem(401, "refresh_token_invalid");
    });
}

#[test]
fn who_has_no_role_any_more_or_is_disabled_does_not_get_in() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let session = sign_in(&world).await;
        world.database().execute("UPDATE people SET status = 'DISABLED'", []).unwrap();
        world.try_password(EMAIL, PASSWORD).await.expect_problem(401, "password_wrong");
        refresh(&world, &session.text("/refreshToken")).await.expect_problem(403, "no_membership");
        world.database().execute("UPDATE people SET status = 'ACTIVE'", []).unwrap();
        // A refusal changed nothing: the refresh token is still the newest.
        let session = refresh(&world, &session.text("/refreshToken")).await;
        session.expect(201);
        world.database().execute("DELETE FROM bindings WHERE principal_id = ?1", [&person]).unwrap();
        world.try_password(EMAIL, PASSWORD).await.expect_problem(403, "no_membership");
        me(&world, &session).await.expect_problem(401, "access_token_invalid");
        refresh(&world, &session.text("/refreshToken")).await.expect_problem(403, "no_membership");
        drop(shop);
    });
}

#[test]
fn a_person_chooses_where_to_act_and_sees_where_they_can() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        let roles = [
            ("PROVIDER_BILLING_USER", shop.provider.as_str()),
            ("PROVIDER_ADMINISTRATOR", &shop.provider),
            ("PROVIDER_BILLING_USER", &rival),
        ];
        let person = world.somebody(EMAIL, &roles);
        world.set_password(&shop.operator, &person, PASSWORD).await;
        let token = sign_in(&world).await.text("/accessToken");
        let me = async |target: &str| world.get(target).bearer(&token).send().await;
        let first = me("/v1/me").await;
        let mut homes = [shop.provider.clone(), rival.clone()];
        homes.sort();
        assert_eq!((first.text("/organizationId"), first.header("etag")), (homes[0].clone(), "\"1\""));
        let organizations = first.at("/organizations");
        assert_eq!(organizations.as_array().unwrap().len(), 2);
        let contoso = organizations.as_array().unwrap().iter().find(|one| one["organizationId"] == json!(shop.provider)).unwrap();
        assert_eq!(contoso["roles"], json!(["PROVIDER_ADMINISTRATOR", "PROVIDER_BILLING_USER"]));
        assert_eq!((contoso["kind"].as_str(), contoso["displayName"].as_str()), (Some("PROVIDER"), Some("Contoso Cloud")));
        // Page by page.
        let page = me("/v1/me?limit=1").await;
        let next = page.text("/nextCursor");
        let last = me(&format!("/v1/me?limit=1&cursor={next}")).await;
        assert_eq!(
            (page.at("/organizations/0"), last.at("/organizations/0")),
            (organizations[0].clone(), organizations[1].clone())
        );
        assert_eq!(last.at("/nextCursor"), Value::Null);
        // The roles are those that hold where one acts.
        let acting = world.get("/v1/me").bearer(&token).acting_in(&rival).send().await;
        assert_eq!((acting.at("/actingOrganizationId"), acting.at("/roles")), (json!(rival), json!(["PROVIDER_BILLING_USER"])));
        let below = world.get("/v1/me").bearer(&token).acting_in(&shop.customer).send().await;
        below.expect_problem(403, "acting_session_required");

        let choose = |organization: &str| world.patch("/v1/me", json!({ "defaultOrganizationId": organization })).bearer(&token);
        choose(&rival).send().await.expect_problem(428, "if_match_required");
        choose(&rival).header("if-match", "\"7\"").send().await.expect_problem(412, "stale");
        for unreachable in [shop.operator.organization.as_str(), "org_01h455vb4pex5vsknk084sn02q"] {
            choose(unreachable).header("if-match", "*").send().await.expect_problem(404, "organization_not_found");
        }
        let other = homes.iter().find(|home| **home != homes[0]).unwrap();
        let chosen = choose(other).header("if-match", "\"1\"").send().await;
        assert_eq!((chosen.expect(200).text("/organizationId"), chosen.header("etag")), (other.clone(), "\"2\""));
        // At once, and for the next session.
        assert_eq!(me("/v1/me").await.text("/actingOrganizationId"), *other);
        let next = sign_in(&world).await;
        assert_eq!(super::access_password::me(&world, &next).await.text("/organizationId"), *other);
        // A default that no role reaches any more is passed over.
        world
            .database()
            .execute("DELETE FROM bindings WHERE principal_id = ?1 AND organization_id = ?2", [&person, other])
            .unwrap();
        let next = sign_in(&world).await;
        assert_eq!(super::access_password::me(&world, &next).await.text("/organizationId"), homes[0]);

        let machine =
            world.patch("/v1/me", json!({ "defaultOrganizationId": shop.provider })).by(&shop.admin).header("if-match", "*");
        machine.send().await.expect_problem(403, "not_a_person");
    });
}

#[test]
fn what_a_person_owns_is_theirs_and_regenerating_makes_it_so() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let token = sign_in(&world).await.text("/accessToken");
        let body = json!({ "name": "x", "organizationId": shop.provider, "roles": ["PROVIDER_BILLING_USER"] });
        let mine = world.post("/v1/api-tokens", body.clone()).bearer(&token).send().await;
        assert_eq!((mine.expect(201).text("/ownerId"), mine.text("/ownerName").as_str()), (person.clone(), "Somebody"));
        let machines = world.post("/v1/api-tokens", body).by(&shop.admin).send().await;
        assert_ne!(machines.text("/ownerId"), person);
        // Who has seen the secret answers for it.
        let again = world.post(&format!("{}/regenerate", machines.header("location")), json!({})).bearer(&token).send().await;
        assert_eq!(again.expect(200).text("/ownerId"), person);
    });
}

/// What the audit of an organization has of one kind.
async fn entries(world: &World, by: &Actor, organization: &str, action: &str) -> Vec<Value> {
    let path = format!("/v1/audit-entries?organizationId={organization}&action={action}");
    world.get(&path).by(by).send().await.expect(200).at("/items").as_array().unwrap().clone()
}

#[test]
fn wrong_passwords_are_in_the_audit_and_do_not_fill_it() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let rows = |world: &World| world.count("SELECT COUNT(*) FROM audit_entries");
        let before = rows(&world);
        // Attempts on an address that nobody has, and on one of somebody who is a member of nothing, are nobody's.
        world.somebody("nowhere@example.com", &[]);
        for email in ["nobody@example.com", "nowhere@example.com"] {
            for _ in 0..6 {
                world.try_password(email, "wrong").await;
            }
        }
        assert_eq!(rows(&world), before);
        for _ in 0..40 {
            world.try_password(EMAIL, "wrong password").await;
        }
        // The first and the fifth; what is held back is not judged and not noted.
        let noted = entries(&world, &shop.operator, &shop.provider, "passwords.check").await;
        let told = |entry: &Value| entry["details"]["failures"]["to"].as_str().unwrap().to_owned();
        assert_eq!(noted.iter().map(told).collect::<Vec<_>>(), ["1", "5"]);
        assert_eq!(
            (&noted[0]["result"], &noted[0]["principal"], &noted[0]["subjectId"]),
            (&json!("FAILURE"), &json!(person), &json!(person))
        );
        assert_eq!(rows(&world), before + 2);
        for _ in 0..2000 {
            world.hub.clock().advance(Duration::from_secs(43)).await;
            world.try_password(EMAIL, "wrong password").await;
        }
        let day = rows(&world) - before;
        assert!((4..120).contains(&day), "{day} entries a day");
        assert!(!world.dump().contains("wrong password"));
    });
}

#[test]
fn links_used_and_refresh_tokens_used_twice_are_in_the_audit() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let used = entries(&world, &shop.operator, &shop.provider, "account_links.redeem").await;
        assert_eq!((used.len(), &used[0]["subjectId"], &used[0]["result"]), (1, &json!(person), &json!("SUCCESS")));
        let session = sign_in(&world).await.text("/refreshToken");
        refresh(&world, &session).await.expect(201);
        world.hub.clock().advance(Duration::from_secs(10)).await;
        for _ in 0..3 {
            refresh(&world, &session).await.expect(401);
        }
        let reused = entries(&world, &shop.operator, &shop.provider, "sessions.refresh").await;
        assert_eq!((reused.len(), &reused[0]["principal"], &reused[0]["result"]), (1, &json!(person), &json!("FAILURE")));
    });
}

#[test]
fn a_wrong_present_password_is_noted_like_any_other() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, _) = staffed(&world).await;
        let session = sign_in(&world).await.text("/accessToken");
        let body = json!({ "currentPassword": "guessed", "newPassword": "another long password" });
        put(&world, "/v1/sign-in/password", &body).bearer(&session).send().await.expect_problem(401, "password_wrong");
        assert_eq!(entries(&world, &shop.operator, &shop.provider, "passwords.check").await.len(), 1);
    });
}
