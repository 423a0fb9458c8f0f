//! Guessing passwords is held back, and nobody is kept out by it: strangers, known devices, people who are signed in, and the sources
//! of all of them.

use serde_json::json;
use std::time::Duration;
use tests::{Answer, Shop, World, simulated};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery staple";

async fn staffed(world: &World) -> (Shop, String) {
    let shop = world.shop().await;
    let person = world.somebody(EMAIL, &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
    world.set_password(&shop.operator, &person, PASSWORD).await;
    (shop, person)
}

/// An attempt from this address, on a device that is known by this token or by none.
async fn attempt(world: &World, email: &str, password: &str, address: &str, device: Option<&str>) -> Answer {
    let mut body = json!({ "email": email, "password": password });
    if let Some(device) = device {
        body["deviceToken"] = json!(device);
    }
    world.post("/v1/sign-in/password", body).from_address(address).send().await
}

async fn wait(world: &World, millis: u64) {
    world.hub.clock().advance(Duration::from_millis(millis)).await;
}

/// How long it takes to get in from this address, coming back as told.
async fn seconds_to_get_in(world: &World, address: &str, device: Option<&str>) -> u64 {
    let began = world.hub.clock().now();
    loop {
        let answer = attempt(world, EMAIL, PASSWORD, address, device).await;
        if answer.status() == 201 {
            return world.hub.clock().now().duration_since(began).unwrap().as_secs();
        }
        answer.expect(429);
        wait(world, 1000 * answer.header("retry-after").parse::<u64>().unwrap()).await;
    }
}

/// A hundred passwords a minute from 50 addresses.
#[test]
fn a_stranger_keeps_the_owner_out_on_no_device() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let device = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/deviceToken");
        let mut judged = 0;
        for minute in 0..4 {
            for attempts in 0..100 {
                let address = format!("198.51.100.{}", attempts % 50);
                judged += i32::from(attempt(&world, EMAIL, "a wrong password", &address, None).await.status() == 401);
                wait(&world, 600).await;
            }
            assert!(seconds_to_get_in(&world, "192.0.2.1", Some(&device)).await <= 2);
            let new = format!("203.0.113.{minute}");
            assert!(seconds_to_get_in(&world, &new, None).await <= 30);
        }
        assert!((50..=200).contains(&judged), "{judged}");
    });
}

#[test]
fn a_known_device_is_one_of_this_account_with_this_password() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let other = world.somebody("grace@example.com", &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
        world.set_password(&shop.operator, &other, PASSWORD).await;
        let device = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/deviceToken");
        let foreign = attempt(&world, "grace@example.com", PASSWORD, "192.0.2.1", None).await.expect(201).text("/deviceToken");
        let lock = async |address: &str| {
            for _ in 0..5 {
                attempt(&world, EMAIL, "a wrong password", address, None).await.expect_problem(401, "password_wrong");
            }
        };
        lock("192.0.2.1").await;
        // Neither another account's, nor one that somebody made up, nor one that was changed.
        for token in [foreign.as_str(), "hubdt_", "x", &format!("{device}A"), &device[..device.len() - 2]] {
            attempt(&world, EMAIL, PASSWORD, "192.0.2.1", Some(token)).await.expect_problem(429, "too_many_attempts");
        }
        let again = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", Some(&device)).await;
        assert_ne!(again.expect(201).text("/deviceToken"), device);
        // It opens nothing, and a device that fails is held back itself.
        attempt(&world, EMAIL, "a wrong password", "192.0.2.1", Some(&device)).await.expect_problem(401, "password_wrong");
        world.get("/v1/me").bearer(&device).send().await.expect_problem(401, "access_token_invalid");
        for _ in 0..4 {
            attempt(&world, EMAIL, "a wrong password", "192.0.2.9", Some(&device)).await.expect_problem(401, "password_wrong");
        }
        attempt(&world, EMAIL, PASSWORD, "192.0.2.9", Some(&device)).await.expect_problem(429, "too_many_attempts");
        attempt(&world, EMAIL, PASSWORD, "192.0.2.9", Some(&again.text("/deviceToken"))).await.expect(201);
        // A new password makes strangers of all; so does half a year.
        wait(&world, 900_000).await;
        world.set_password(&shop.operator, &person, PASSWORD).await;
        let fresh = attempt(&world, EMAIL, PASSWORD, "192.0.2.2", None).await.expect(201).text("/deviceToken");
        lock("192.0.2.3").await;
        for token in [&device, &again.text("/deviceToken")] {
            attempt(&world, EMAIL, PASSWORD, "192.0.2.3", Some(token)).await.expect_problem(429, "too_many_attempts");
        }
        attempt(&world, EMAIL, PASSWORD, "192.0.2.3", Some(&fresh)).await.expect(201);
        wait(&world, 1000 * 180 * 24 * 3600).await;
        lock("192.0.2.1").await;
        attempt(&world, EMAIL, PASSWORD, "192.0.2.1", Some(&fresh)).await.expect_problem(429, "too_many_attempts");
        let dump = world.dump();
        assert!(!dump.contains(&device) && !dump.contains("192.0.2.1"));
    });
}

#[test]
fn who_is_signed_in_changes_the_password_while_strangers_try_it() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let token = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/accessToken");
        for _ in 0..6 {
            attempt(&world, EMAIL, "a wrong password", "192.0.2.1", None).await;
        }
        let change = |current: &str| {
            let body = json!({ "currentPassword": current, "newPassword": "another long password" });
            world.put("/v1/sign-in/password", body).bearer(&token).from_address("192.0.2.1").send()
        };
        change(PASSWORD).await.expect(204);
        // Who has somebody's access token does not get to guess the password with it.
        for _ in 0..5 {
            change("guessed").await.expect_problem(401, "password_wrong");
        }
        change("another long password").await.expect_problem(429, "too_many_attempts");
    });
}

#[test]
fn one_source_has_an_allowance_at_all_accounts_together() {
    simulated(|| async {
        let world = World::new().await;
        staffed(&world).await;
        let device = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/deviceToken");
        for number in 0..100 {
            let email = format!("person{number}@example.com");
            attempt(&world, &email, "a wrong password", "192.0.2.1", None).await.expect_problem(401, "password_wrong");
        }
        let held = attempt(&world, "somebody@example.com", "a wrong password", "192.0.2.1", None).await;
        held.expect_problem(429, "too_many_attempts");
        assert_eq!(held.header("retry-after"), "6");
        // Others go on, from elsewhere and on devices that are known.
        attempt(&world, EMAIL, PASSWORD, "192.0.2.1", Some(&device)).await.expect(201);
        attempt(&world, EMAIL, PASSWORD, "192.0.2.2", None).await.expect(201);
        // Of IPv6 a site has a network.
        for number in 0..5 {
            attempt(&world, EMAIL, "a wrong password", &format!("2001:db8:1:2::{number}"), None).await.expect(401);
        }
        attempt(&world, EMAIL, PASSWORD, "2001:db8:1:2::9", None).await.expect_problem(429, "too_many_attempts");
        attempt(&world, EMAIL, PASSWORD, "2001:db8:1:3::9", None).await.expect(201);
    });
}

/// Five wrong passwords by somebody whom these headers say to be, and whether a sixth is judged.
async fn sixth(world: &World, email: &str, forwarded: &[(&str, &str)], last: &[(&str, &str)]) -> u16 {
    let send = |headers: &[(&str, &str)]| {
        let call = world.post("/v1/sign-in/password", json!({ "email": email, "password": "a wrong password" }));
        headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send()
    };
    for _ in 0..5 {
        send(forwarded).await.expect(401);
    }
    send(last).await.status()
}

#[test]
fn a_trusted_proxy_says_who_it_is() {
    simulated(|| async {
        let world = World::with_variables(&[("trusted_proxies", "127.0.0.0/8, 10.0.0.0/8")]).await;
        world.bootstrap().await;
        let xff = |value: &'static str| [("x-forwarded-for", value)];
        // The same client is held back, whatever it claims itself; another one is not.
        assert_eq!(sixth(&world, "a@example.com", &xff("198.51.100.1"), &xff("6.6.6.6, 198.51.100.1, 10.0.0.7")).await, 429);
        assert_eq!(sixth(&world, "b@example.com", &xff("198.51.100.1"), &xff("198.51.100.2")).await, 401);
        let forwarded = [("forwarded", "for=198.51.100.3;proto=https")];
        assert_eq!(sixth(&world, "c@example.com", &forwarded, &forwarded).await, 429);
        // Who sends both headers shares what is the proxy's own.
        let (one, other) = (
            [("x-forwarded-for", "198.51.100.4"), ("forwarded", "for=1.1.1.1")],
            [("x-forwarded-for", "198.51.100.5"), ("forwarded", "for=2.2.2.2")],
        );
        assert_eq!(sixth(&world, "d@example.com", &one, &other).await, 429);
        // A host's own header cannot be brought along.
        let forged = [("spin-client-addr", "6.6.6.6:1"), ("x-forwarded-for", "198.51.100.6")];
        assert_eq!(sixth(&world, "e@example.com", &xff("198.51.100.6"), &forged).await, 429);
    });
}

#[test]
fn behind_a_proxy_that_nobody_named_sources_do_not_count() {
    simulated(|| async {
        let world = World::new().await;
        world.bootstrap().await;
        let proxied = [("x-forwarded-for", "198.51.100.1")];
        assert_eq!(sixth(&world, "a@example.com", &proxied, &proxied).await, 401);
        // A client from elsewhere cannot have it so.
        let call = || {
            let body = json!({ "email": "b@example.com", "password": "a wrong password" });
            world.post("/v1/sign-in/password", body).header("x-forwarded-for", "198.51.100.1").from_address("203.0.113.5").send()
        };
        for _ in 0..5 {
            call().await.expect(401);
        }
        call().await.expect_problem(429, "too_many_attempts");
    });
}

fn fill_slots(world: &World, places: i64, millis: i64) {
    let now = world.hub.clock().now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    for ticket in 1..=places {
        let sql = "INSERT INTO hash_slots (ticket, holder, expires_at) VALUES (?1, 'others', ?2)";
        world.database().execute(sql, (ticket, now + millis)).unwrap();
    }
}

#[test]
fn a_few_hashes_are_computed_at_once_a_few_requests_wait_and_the_others_come_back() {
    simulated(|| async {
        let world = World::with_variables(&[("password_hashes", "2")]).await;
        let (shop, person) = staffed(&world).await;
        world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&shop.operator).send().await.expect(201);
        let link = json!({ "accountLink": world.mailed(&person), "password": "another long password" });
        let token = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/accessToken");
        let change = json!({ "currentPassword": PASSWORD, "newPassword": "a third long password" });
        // Full: whatever computes a hash is refused, and counts as no attempt.
        fill_slots(&world, 34, 60_000);
        for _ in 0..6 {
            let busy = attempt(&world, EMAIL, "a wrong password", "192.0.2.2", None).await;
            busy.expect_problem(429, "sign_in_busy");
            assert_eq!(busy.header("retry-after"), "2");
        }
        world.put("/v1/account-links", link.clone()).send().await.expect_problem(429, "sign_in_busy");
        let busy = world.put("/v1/sign-in/password", change.clone()).bearer(&token).send().await;
        busy.expect_problem(429, "sign_in_busy");
        assert_eq!(world.count("SELECT COUNT(*) FROM sign_in_attempts WHERE failures > 0"), 0);
        // Others wait for their turn, two seconds at the most.
        world.database().execute("DELETE FROM hash_slots WHERE ticket > 2", []).unwrap();
        let began = world.hub.clock().now();
        attempt(&world, EMAIL, PASSWORD, "192.0.2.2", None).await.expect_problem(429, "sign_in_busy");
        let waited = world.hub.clock().now().duration_since(began).unwrap();
        assert!((Duration::from_secs(2)..Duration::from_millis(2200)).contains(&waited), "{waited:?}");
        assert_eq!(world.count("SELECT COUNT(*) FROM hash_slots"), 2);
        // Those before them are done, or their instance died: its lease ends.
        world.database().execute("DELETE FROM hash_slots", []).unwrap();
        fill_slots(&world, 2, 1_000);
        let began = world.hub.clock().now();
        let all = futures::future::join_all((0..5).map(|_| attempt(&world, EMAIL, PASSWORD, "192.0.2.2", None))).await;
        assert!(all.iter().all(|answer| answer.status() == 201));
        assert!(world.hub.clock().now().duration_since(began).unwrap() >= Duration::from_secs(1));
        world.put("/v1/sign-in/password", change).bearer(&token).send().await.expect(204);
        world.put("/v1/account-links", link).send().await.expect(204);
        assert_eq!(world.count("SELECT COUNT(*) FROM hash_slots"), 0);
    });
}

/// Whatever comes of it, no place stays taken: else those whose sign-in is refused keep everybody else out.
#[test]
fn a_refusal_leaves_its_place() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&shop.operator).send().await.expect(201);
        let link = json!({ "accountLink": world.mailed(&person), "password": "another long password" });
        let both = futures::future::join(
            world.put("/v1/account-links", link.clone()).send(),
            world.put("/v1/account-links", link).send(),
        );
        let (one, other) = both.await;
        assert_eq!(one.status().min(other.status()), 204);
        assert_eq!(one.status().max(other.status()), 401);
        attempt(&world, EMAIL, "a wrong password", "192.0.2.2", None).await.expect(401);
        world.database().execute("DELETE FROM bindings WHERE principal_id = ?1", [&person]).unwrap();
        attempt(&world, EMAIL, "another long password", "192.0.2.2", None).await.expect_problem(403, "no_membership");
        assert_eq!(world.count("SELECT COUNT(*) FROM hash_slots"), 0);
    });
}

#[test]
fn what_strangers_try_is_forgotten_after_an_hour_and_takes_no_more_room_than_it_may() {
    simulated(|| async {
        let world = World::new().await;
        world.bootstrap().await;
        for number in 0..30 {
            let (email, address) = (format!("person{number}@example.com"), format!("198.51.100.{number}"));
            attempt(&world, &email, "a wrong password", &address, None).await.expect(401);
        }
        let rows = || world.count("SELECT COUNT(*) FROM sign_in_attempts");
        assert_eq!(rows(), 90);
        wait(&world, 3_700_000).await;
        for number in 0..5 {
            attempt(&world, "one@example.com", "a wrong password", &format!("198.51.100.{number}"), None).await.expect(401);
        }
        assert!(rows() <= 11, "{}", rows());
        let filled = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60000)
            INSERT INTO sign_in_attempts (hash, failures, until, expires_at) SELECT 'made up ' || n, 1, 0, 1795262400000 + 7200000 + n FROM n";
        world.database().execute(filled, []).unwrap();
        attempt(&world, "one@example.com", "a wrong password", "198.51.100.99", None).await.expect(401);
        assert!(rows() <= 50_010, "{}", rows());
    });
}

/// A password that was set as the keyboard typed it, before there was one form.
#[test]
fn a_password_is_the_same_however_its_letters_were_composed() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let (composed, decomposed) = ("f\u{fc}nf M\u{f6}wen \u{fc}ber", "fu\u{308}nf Mo\u{308}wen u\u{308}ber");
        world.set_password(&shop.operator, &person, decomposed).await;
        for password in [composed, decomposed] {
            attempt(&world, EMAIL, password, "192.0.2.1", None).await.expect(201);
        }
        // As it was hashed before: the raw text.
        let old = hash_of(decomposed);
        world.database().execute("UPDATE passwords SET hash = ?1 WHERE person_id = ?2", (&old, &person)).unwrap();
        attempt(&world, EMAIL, composed, "192.0.2.1", None).await.expect_problem(401, "password_wrong");
        let device = attempt(&world, EMAIL, decomposed, "192.0.2.1", None).await.expect(201).text("/deviceToken");
        assert_eq!(world.count(&format!("SELECT COUNT(*) FROM passwords WHERE hash = '{old}'")), 0);
        for _ in 0..6 {
            attempt(&world, EMAIL, "a wrong password", "192.0.2.1", None).await;
        }
        attempt(&world, EMAIL, composed, "192.0.2.1", Some(&device)).await.expect(201);
    });
}

fn hash_of(password: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    let parameters = argon2::Params::new(19_456, 2, 1, Some(32)).unwrap();
    let mut hash = [0; 32];
    let salt = b"somesalt12345678";
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .unwrap();
    format!("$argon2id$v=19$m=19456,t=2,p=1${}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash))
}

#[test]
fn passwords_that_attackers_try_first_are_refused_wherever_one_is_set() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let token = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/accessToken");
        world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&shop.operator).send().await.expect(201);
        let link = world.mailed(&person);
        for weak in
            ["password1234", "1234567890qwerty", "ProviderHub-2026", "Contoso Cloud 1", "ada@example.com1", "abcabcabcabc"]
        {
            let body = json!({ "currentPassword": PASSWORD, "newPassword": weak });
            let refused = world.put("/v1/sign-in/password", body).bearer(&token).send().await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.at("/errors/0/pointer"), "/newPassword");
            let refused = world.put("/v1/account-links", json!({ "accountLink": link, "password": weak })).send().await;
            refused.expect_problem(422, "invalid_request");
        }
        // The link is as good as before.
        world.put("/v1/account-links", json!({ "accountLink": link, "password": "tea for two crabs" })).send().await.expect(204);
    });
}

#[test]
fn a_disabled_home_keeps_nobody_out_of_another_organization_or_in() {
    simulated(|| async {
        let world = World::new().await;
        let (shop, person) = staffed(&world).await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Adatum", None).await;
        let sql = "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, 'PROVIDER_BILLING_USER', ?2)";
        world.database().execute(sql, (&person, &rival)).unwrap();
        let chosen = "UPDATE people SET default_organization_id = ?1 WHERE id = ?2";
        world.database().execute(chosen, (&shop.provider, &person)).unwrap();
        let session = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/accessToken");
        let disable = format!("/v1/organizations/{}/disable", shop.provider);
        world.post(&disable, json!({})).by(&shop.operator).send().await.expect(200);
        let me = |token: &str| world.get("/v1/me").bearer(token);
        me(&session).send().await.expect_problem(403, "organization_disabled");
        let there = me(&session).acting_in(&rival).send().await;
        assert_eq!(there.expect(200).text("/actingOrganizationId"), rival);
        // Signing in anew leads to where something can be done.
        let next = attempt(&world, EMAIL, PASSWORD, "192.0.2.1", None).await.expect(201).text("/accessToken");
        assert_eq!(me(&next).send().await.expect(200).text("/organizationId"), rival);
        // Out of the disabled one, too.
        world.delete("/v1/access-tokens/current").bearer(&session).send().await.expect(204);
        me(&session).send().await.expect_problem(401, "access_token_invalid");
        // A machine belongs to its organization.
        me(&shop.admin.access_token).send().await.expect_problem(403, "organization_disabled");
    });
}
