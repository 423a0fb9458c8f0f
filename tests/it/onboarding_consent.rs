//! Whose secret opens what: an account made with a secret that others saw, the owner of its mail address, and memberships that
//! nobody has who did not accept them.

use crate::federation_support::{self as federation, Idp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{Actor, Answer, Person, Shop, World, simulated};

const CEO: &str = "ceo@operator.example";
const PASSWORD: &str = "correct horse battery";
const ATTACKERS: &str = "attackers own password";

/// A shop whose customer has an administrator who accepted by mail.
async fn ground() -> (World, Shop, Person) {
    let world = World::new().await;
    let shop = world.shop().await;
    let admin = world.member(&shop.admin, &shop.customer, "mallory@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
    (world, shop, admin)
}

async fn invite(world: &World, by: &Actor, organization: &str, role: &str, email: &str) -> Answer {
    let body = json!({ "organizationId": organization, "roles": [role], "people": [{ "email": email }] });
    let invited = world.post("/v1/members", body).by(by).send().await;
    assert_eq!(invited.expect(207).at("/failed"), json!([]));
    invited
}

async fn accept(world: &World, secret: &str) -> Answer {
    world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await
}

async fn redeem(world: &World, link: &str, password: &str) -> Answer {
    world.put("/v1/account-links", json!({ "accountLink": link, "password": password })).send().await
}

/// Invites an address to the caller's own organization, accepts with the secret that the inviter sees, and sets a password. Gives
/// the invitation and the person.
async fn take(world: &World, by: &Actor, organization: &str, role: &str, email: &str) -> (String, String) {
    let invited = invite(world, by, organization, role, email).await;
    let accepted = accept(world, &invited.text("/succeeded/invited/0/secret")).await;
    redeem(world, &accepted.expect(200).text("/accountLink/secret"), ATTACKERS).await.expect(204);
    (invited.text("/succeeded/invited/0/id"), accepted.text("/member/personId"))
}

async fn signed_in(world: &World, email: &str, password: &str) -> Answer {
    let session = world.try_password(email, password).await;
    session.expect(201);
    session
}

/// The organizations in which the holder of this access token has roles.
async fn organizations(world: &World, token: &str) -> BTreeSet<String> {
    let me = world.get("/v1/me").bearer(token).send().await;
    let organizations = me.expect(200).at("/organizations");
    organizations.as_array().unwrap().iter().map(|one| one["organizationId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_account_that_a_customer_made_with_an_address_never_opens_the_operator() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let operator = &shop.operator.organization;
        take(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", CEO).await;
        let attacker = signed_in(&world, CEO, ATTACKERS).await;
        // The operator makes the address its administrator: first by mail alone, then with a secret that it sees.
        let first = invite(&world, &shop.operator, operator, "OPERATOR_ADMINISTRATOR", CEO).await;
        assert_eq!(first.at("/succeeded/invited/0/secret"), Value::Null);
        let closed = async |token: &str| {
            assert_eq!(organizations(&world, token).await, BTreeSet::from([shop.customer.clone()]));
            let there = world.get("/v1/me").bearer(token).acting_in(operator).send().await;
            there.expect_problem(404, "organization_not_found");
            world.get("/v1/jobs").bearer(token).send().await.expect_problem(403, "permission_missing");
            // Nor can the account answer for the owner of the address.
            let own = world.get("/v1/me/invitations").bearer(token).send().await;
            own.expect_problem(403, "address_unconfirmed");
            let path = format!("/v1/me/invitations/{}/accept", first.text("/succeeded/invited/0/id"));
            world.post(&path, json!({})).bearer(token).send().await.expect_problem(403, "address_unconfirmed");
        };
        closed(&attacker.text("/accessToken")).await;
        let secret = world.mailed(&first.text("/succeeded/invited/0/id"));
        let accepted = accept(&world, &secret).await;
        assert_eq!(accepted.expect(200).at("/member/roles"), json!(["OPERATOR_ADMINISTRATOR"]));
        // What the customer had set up has ended, session and all, and its administrator sees another account than the owner's.
        world.try_password(CEO, ATTACKERS).await.expect_problem(401, "password_wrong");
        world.get("/v1/me").bearer(&attacker.text("/accessToken")).send().await.expect_problem(401, "access_token_invalid");
        let refreshed = world.post("/v1/access-tokens", json!({ "refreshToken": attacker.text("/refreshToken") })).send().await;
        refreshed.expect_problem(401, "refresh_token_invalid");
        redeem(&world, &accepted.text("/accountLink/secret"), PASSWORD).await.expect(204);
        let owner = signed_in(&world, CEO, PASSWORD).await.text("/accessToken");
        assert_eq!(organizations(&world, &owner).await, BTreeSet::from([operator.clone()]));
        // The customer may give its own account a password again: that opens the customer and nothing else.
        let members = world.get("/v1/members").by(&admin.actor).send().await.at("/items");
        let theirs = members.as_array().unwrap().iter().find(|member| member["email"] == CEO).unwrap().clone();
        assert_ne!(theirs["personId"], accepted.at("/member/personId"));
        let reset =
            world.post("/v1/sign-in/password-reset", json!({ "personId": theirs["personId"] })).by(&admin.actor).send().await;
        redeem(&world, &reset.expect(201).text("/accountLink"), ATTACKERS).await.expect(204);
        let again = signed_in(&world, CEO, ATTACKERS).await;
        closed(&again.text("/accessToken")).await;
        // The owner's password and session are as they were.
        world.get("/v1/jobs").bearer(&owner).send().await.expect(200);
        signed_in(&world, CEO, PASSWORD).await;
    });
}

#[test]
fn accounts_that_two_organizations_made_with_one_address_open_one_each() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let theirs = world.member(&shop.operator, &rival, "r@rival.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let (_, one) = take(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", CEO).await;
        let invited = invite(&world, &theirs.actor, &rival, "PROVIDER_DEVELOPER", CEO).await;
        let accepted = accept(&world, &invited.text("/succeeded/invited/0/secret")).await;
        assert_ne!(accepted.expect(200).text("/member/personId"), one);
        redeem(&world, &accepted.text("/accountLink/secret"), PASSWORD).await.expect(204);
        for (password, organization) in [(ATTACKERS, &shop.customer), (PASSWORD, &rival)] {
            let session = signed_in(&world, CEO, password).await;
            assert_eq!(organizations(&world, &session.text("/accessToken")).await, BTreeSet::from([organization.clone()]));
        }
        // Who changes the password of the one leaves the other's alone.
        let token = signed_in(&world, CEO, PASSWORD).await.text("/accessToken");
        let change = |current: &str| json!({ "currentPassword": current, "newPassword": "a third password" });
        let wrong = world.put("/v1/sign-in/password", change(ATTACKERS)).bearer(&token).send().await;
        wrong.expect_problem(401, "password_wrong");
        world.put("/v1/sign-in/password", change(PASSWORD)).bearer(&token).send().await.expect(204);
        signed_in(&world, CEO, ATTACKERS).await;
        world.try_password(CEO, PASSWORD).await.expect_problem(401, "password_wrong");
    });
}

/// Who has an account with somebody's address could otherwise guess at the owner's password for ever, and sign in to their own in
/// between.
#[test]
fn a_right_password_of_an_account_that_others_made_forgives_no_wrong_ones() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        take(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", CEO).await;
        for _ in 0..5 {
            world.try_password(CEO, "a guess").await.expect_problem(401, "password_wrong");
            if world.try_password(CEO, ATTACKERS).await.status() == 429 {
                break;
            }
        }
        world.try_password(CEO, "a guess").await.expect_problem(429, "too_many_attempts");
    });
}

#[test]
fn the_owner_takes_over_what_was_accepted_in_their_name() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        // With the secret in the mail of the same invitation: the account stays and becomes the owner's.
        let (invitation, person) = take(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", CEO).await;
        let attacker = signed_in(&world, CEO, ATTACKERS).await;
        let accepted = accept(&world, &world.mailed(&invitation)).await;
        assert_eq!(accepted.expect(200).text("/member/personId"), person);
        assert_eq!(accepted.at("/member/addressConfirmed"), json!(true));
        world.try_password(CEO, ATTACKERS).await.expect_problem(401, "password_wrong");
        world.get("/v1/me").bearer(&attacker.text("/accessToken")).send().await.expect_problem(401, "access_token_invalid");
        redeem(&world, &accepted.text("/accountLink/secret"), PASSWORD).await.expect(204);
        let owner = signed_in(&world, CEO, PASSWORD).await.text("/accessToken");
        // What others make of the address elsewhere is listed, and theirs to take or to leave.
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let theirs = world.member(&shop.operator, &rival, "r@rival.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let third = world.organization(&shop.operator, "PROVIDER", "Third", None).await;
        let thirds = world.member(&shop.operator, &third, "t@third.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let (first, account) = take(&world, &theirs.actor, &rival, "PROVIDER_DEVELOPER", CEO).await;
        let (second, _) = take(&world, &thirds.actor, &third, "PROVIDER_DEVELOPER", CEO).await;
        let body = json!({ "name": "x", "organizationId": rival, "roles": ["PROVIDER_DEVELOPER"] });
        // Two accounts have one password: the organization tells them apart.
        let of = |organization: &str| {
            let body = json!({ "email": CEO, "password": ATTACKERS, "organizationId": organization });
            world.post("/v1/sign-in/password", body).send()
        };
        for organization in [&third, &rival] {
            let token = of(organization).await.expect(201).text("/accessToken");
            assert_eq!(organizations(&world, &token).await, BTreeSet::from([organization.clone()]));
        }
        let there = of(&rival).await.text("/accessToken");
        let token = world.post("/v1/api-tokens", body).bearer(&there).send().await;
        let list = async || world.get("/v1/me/invitations").bearer(&owner).send().await.expect(200).at("/items");
        let listed: BTreeSet<_> = list()
            .await
            .as_array()
            .unwrap()
            .iter()
            .map(|one| [&one["id"], &one["organizationName"], &one["acceptedByOthers"]].map(ToString::to_string))
            .collect();
        let expected = [(&first, "Rival"), (&second, "Third")].map(|(id, name)| [json!(id), json!(name), json!(true)]);
        assert_eq!(listed, expected.map(|one| one.map(|value| value.to_string())).into());
        let answer =
            |id: &str, what: &str| world.post(&format!("/v1/me/invitations/{id}/{what}"), json!({})).bearer(&owner).send();
        let taken = answer(&first, "accept").await;
        assert_eq!((taken.expect(200).text("/personId"), taken.at("/roles")), (person.clone(), json!(["PROVIDER_DEVELOPER"])));
        answer(&second, "decline").await.expect(204);
        assert_eq!(list().await, json!([]));
        assert_eq!(organizations(&world, &owner).await, BTreeSet::from([shop.customer.clone(), rival.clone()]));
        // The account is no more; what it issued has the owner now.
        world.get("/v1/me").bearer(&there).send().await.expect_problem(401, "access_token_invalid");
        world.try_password(CEO, ATTACKERS).await.expect_problem(401, "password_wrong");
        let shown = world.get(&format!("/v1/api-tokens/{}", token.expect(201).text("/id"))).by(&theirs.actor).send().await;
        assert_eq!(shown.expect(200).text("/ownerId"), person);
        for (organization, admin) in [(&rival, &theirs), (&third, &thirds)] {
            let members = world.get(&format!("/v1/members?organizationId={organization}")).by(&admin.actor).send().await;
            let ids: Vec<_> = members.at("/items").as_array().unwrap().iter().map(|one| one["personId"].clone()).collect();
            assert!(!ids.contains(&json!(account)), "{ids:?}");
            assert_eq!(ids.contains(&json!(person)), organization == &rival);
        }
    });
}

/// Everything that an answer says, less what is drawn anew.
fn shape(answer: &Answer) -> Value {
    fn blank(value: &mut Value) {
        match value {
            Value::Object(object) => object.iter_mut().for_each(|(name, value)| match name.as_str() {
                "displayName" => *value = json!("a name"),
                _ => blank(value),
            }),
            Value::Array(values) => values.iter_mut().for_each(blank),
            Value::String(text) => {
                let drawn = ["hubmi_", "hubal_", "minv_", "per_"].into_iter().find(|prefix| text.starts_with(prefix));
                let drawn = drawn.or(text.contains('@').then_some("an address"));
                *text = drawn.unwrap_or(text).to_owned();
            }
            _ => {}
        }
    }
    let mut shape = answer.json();
    blank(&mut shape);
    json!([answer.status(), shape])
}

#[test]
fn whether_the_hub_knows_an_address_is_told_nobody() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let known = world.member(&shop.operator, &shop.provider, "known@example.com", &["PROVIDER_BILLING_USER"]).await;
        world.set_password(&shop.operator, &known.id, PASSWORD).await;
        let gone = world.member(&shop.operator, &shop.provider, "gone@example.com", &["PROVIDER_BILLING_USER"]).await;
        world.database().execute("UPDATE people SET status = 'DISABLED' WHERE id = ?1", [&gone.id]).unwrap();
        let known = world.person(&known.id, &shop.provider);
        let before = world.get("/v1/me").by(&known.actor).send().await.expect(200).json();
        let mut seen: Vec<BTreeSet<String>> = Vec::new();
        for email in ["known@example.com", "gone@example.com", "nobody@example.com"] {
            let mut step = 0;
            let mut note = |answer: &Answer| {
                if seen.len() == step {
                    seen.push(BTreeSet::new());
                }
                let shape = shape(answer).to_string();
                assert!(!shape.contains(&known.id) && !shape.contains(&gone.id), "{shape}");
                seen[step].insert(shape);
                step += 1;
            };
            let invited = invite(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", email).await;
            note(&invited);
            let id = invited.text("/succeeded/invited/0/id");
            let path = format!("/v1/member-invitations/{id}");
            note(&world.get(&path).by(&admin.actor).send().await);
            let resent = world.post(&format!("{path}/resend"), json!({})).by(&admin.actor).send().await;
            note(&resent);
            let accepted = accept(&world, &resent.text("/secret")).await;
            note(&accepted);
            note(&redeem(&world, &accepted.text("/accountLink/secret"), ATTACKERS).await);
            let session = signed_in(&world, email, ATTACKERS).await.text("/accessToken");
            let person = accepted.text("/member/personId");
            assert!(person != known.id && person != gone.id);
            let me = world.get("/v1/me").bearer(&session).send().await;
            assert_eq!(organizations(&world, &session).await, BTreeSet::from([shop.customer.clone()]));
            assert_eq!(me.text("/email"), email);
            let member = format!("/v1/members/{person}");
            note(&world.get(&member).by(&admin.actor).send().await);
            note(&world.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(&admin.actor).send().await);
            note(&world.delete(&member).by(&admin.actor).send().await);
        }
        for (step, shapes) in seen.iter().enumerate() {
            assert_eq!(shapes.len(), 1, "step {step}: {shapes:#?}");
        }
        // And nothing of it has touched whom the hub knew.
        assert_eq!(world.get("/v1/me").by(&known.actor).send().await.json(), before);
        signed_in(&world, "known@example.com", PASSWORD).await;
    });
}

#[test]
fn strangers_bind_nobody_and_break_nobodys_sign_in() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let idp = Idp::new(&world);
        let provider = federation::trust(&world, &shop.operator, &shop.provider, json!({})).await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let theirs = world.member(&shop.operator, &rival, "r@rival.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let ada = world.member(&shop.operator, &shop.provider, federation::EMAIL, &["PROVIDER_BILLING_USER"]).await;
        let sign_in = || federation::sign_in(&world, &idp, &provider, json!({}));
        sign_in().await.expect(201);
        // Invited and accepted by others in her name: nothing of that is hers.
        take(&world, &theirs.actor, &rival, "PROVIDER_DEVELOPER", federation::EMAIL).await;
        take(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", federation::EMAIL).await;
        let session = sign_in().await.expect(201).text("/accessToken");
        assert_eq!(organizations(&world, &session).await, BTreeSet::from([shop.provider.clone()]));
        // Accepted by herself: her sign-in at home and a new password there go on as before, and the session opens her home alone.
        let own = world.get("/v1/me/invitations").by(&ada.actor).send().await;
        for item in own.expect(200).at("/items").as_array().unwrap() {
            let path = format!("/v1/me/invitations/{}/accept", item["id"].as_str().unwrap());
            world.post(&path, json!({})).by(&ada.actor).send().await.expect(200);
        }
        let session = sign_in().await.expect(201).text("/accessToken");
        // What the identity provider serves is the provider with the customer below it.
        assert_eq!(organizations(&world, &session).await, BTreeSet::from([shop.provider.clone(), shop.customer.clone()]));
        world.get("/v1/me").bearer(&session).acting_in(&rival).send().await.expect_problem(404, "organization_not_found");
        world.set_password(&shop.operator, &ada.id, PASSWORD).await;
        let all = signed_in(&world, federation::EMAIL, PASSWORD).await.text("/accessToken");
        assert_eq!(organizations(&world, &all).await.len(), 3);
        // Nor does the stranger see a link to set her password, or keep her in.
        let reset = json!({ "personId": ada.id });
        let reset = world.post("/v1/sign-in/password-reset", reset).by(&theirs.actor).send().await;
        assert_eq!(reset.expect(201).at("/accountLink"), Value::Null);
        signed_in(&world, federation::EMAIL, PASSWORD).await;
        let leave = |organization: &str| world.delete(&format!("/v1/me/memberships/{organization}")).bearer(&all).send();
        leave(&rival).await.expect(204);
        leave(&rival).await.expect_problem(404, "membership_not_found");
        let members = world.get("/v1/members").by(&theirs.actor).send().await;
        assert!(!members.expect(200).json().to_string().contains(&ada.id));
        assert_eq!(organizations(&world, &all).await.len(), 2);
    });
}

#[test]
fn the_last_administrator_does_not_leave_and_others_do() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let leave = |by: &Actor, organization: &str| world.delete(&format!("/v1/me/memberships/{organization}")).by(by).send();
        leave(&admin.actor, &shop.customer).await.expect_problem(409, "last_administrator");
        leave(&shop.admin, &shop.provider).await.expect_problem(403, "not_a_person");
        leave(&admin.actor, &shop.provider).await.expect_problem(404, "membership_not_found");
        let second = world.member(&admin.actor, &shop.customer, "two@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        leave(&admin.actor, &shop.customer).await.expect(204);
        world.get("/v1/me").by(&admin.actor).send().await.expect_problem(401, "access_token_invalid");
        leave(&second.actor, &shop.customer).await.expect_problem(409, "last_administrator");
    });
}

#[test]
fn nobody_names_a_second_address_of_their_own_the_first_administrator() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let operations =
            world.member(&shop.operator, &shop.provider, "ops@contoso.example", &["PROVIDER_OPERATIONS_ADMINISTRATOR"]).await;
        // Not from above, and not by a token of the customer itself: nobody sees the secret of its first administrator.
        let token = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        for (by, email) in [(&operations.actor, "second@contoso.example"), (&token, "third@contoso.example")] {
            let invited = invite(&world, by, &shop.customer, "CUSTOMER_ADMINISTRATOR", email).await;
            assert_eq!(invited.at("/succeeded/invited/0/secret"), Value::Null);
            let resend = format!("/v1/member-invitations/{}/resend", invited.text("/succeeded/invited/0/id"));
            let again = world.post(&resend, json!({})).by(by).send().await;
            assert_eq!(again.expect(200).at("/secret"), Value::Null);
        }
        // Nor by making a user whose secret they saw the administrator.
        let (_, user) = take(&world, &token, &shop.customer, "CUSTOMER_USER", "fourth@contoso.example").await;
        for by in [&token, &operations.actor] {
            let promote = json!({ "organizationId": shop.customer, "personIds": [user], "addRoles": ["CUSTOMER_ADMINISTRATOR"] });
            let promoted = world.patch("/v1/members", promote).by(by).send().await;
            assert_eq!(promoted.expect(207).text("/failed/0/code"), "address_unconfirmed");
            let body = json!({
                "organizationId": shop.customer, "roles": ["CUSTOMER_ADMINISTRATOR"], "people": [{ "email": "fourth@contoso.example" }],
            });
            let added = world.post("/v1/members", body).by(by).send().await;
            assert_eq!(added.expect(207).text("/failed/0/code"), "address_unconfirmed");
        }
        // The owner of the address confirms it by the link in the mail, and then is somebody whom one can appoint.
        let reset = world.post("/v1/sign-in/password-reset", json!({ "personId": user })).by(&token).send().await;
        redeem(&world, &reset.expect(201).text("/accountLink"), ATTACKERS).await.expect(204);
        world.post("/v1/sign-in/password-reset", json!({ "personId": user })).by(&token).send().await.expect(201);
        redeem(&world, &world.mailed(&user), PASSWORD).await.expect(204);
        world.try_password("fourth@contoso.example", ATTACKERS).await.expect_problem(401, "password_wrong");
        let promote = json!({ "organizationId": shop.customer, "personIds": [user], "addRoles": ["CUSTOMER_ADMINISTRATOR"] });
        let promoted = world.patch("/v1/members", promote).by(&operations.actor).send().await;
        assert_eq!(promoted.expect(207).at("/failed"), json!([]));
    });
}

#[test]
fn the_mailbox_is_the_operators_sealed_and_bounded() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        let mails = async |by: &Actor, query: &str| {
            let answer = world.get(&format!("/v1/mailbox{query}")).by(by).send().await;
            answer.expect(200).at("/items").as_array().unwrap().clone()
        };
        assert_eq!(mails(&shop.operator, "").await, Vec::<Value>::new());
        let invited = invite(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", "a@example.com").await;
        let seen = invited.text("/succeeded/invited/0/secret");
        invite(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", "b@example.com").await;
        assert_eq!(mails(&shop.operator, "").await.len(), 2);
        assert_eq!(mails(&shop.operator, "?limit=1").await.len(), 1);
        let mail = mails(&shop.operator, "?to=A@example.com").await.remove(0);
        let secret = world.mailed(&invited.text("/succeeded/invited/0/id"));
        assert_ne!(secret, seen);
        assert!(mail["text"].as_str().unwrap().contains(&secret) && !mail["text"].as_str().unwrap().contains(&seen));
        assert_eq!((&mail["to"], &mail["subject"]), (&json!("a@example.com"), &json!("Invitation to Fabrikam")));
        assert_eq!((&mail["time"], &mail["expiresAt"]), (&json!("2026-11-21T12:00:00.000Z"), &json!("2026-11-28T12:00:00.000Z")));
        assert!(!world.dump().contains(&secret) && !world.hub.logs().iter().any(|line| line.contains(&secret)));
        for role in ["PROVIDER_ADMINISTRATOR", "PROVIDER_SUPPORT_USER"] {
            let by = world.actor(&shop.operator, &shop.provider, role).await;
            world.get("/v1/mailbox").by(&by).send().await.expect_problem(403, "permission_missing");
        }
        let reader = world.actor(&shop.operator, &shop.operator.organization, "OPERATOR_USER").await;
        for by in [&reader, &admin.actor] {
            world.get("/v1/mailbox").by(by).send().await.expect_problem(403, "permission_missing");
        }
        // A newer mail takes the place of the one before; one whose secret is used is gone.
        let resend = format!("/v1/member-invitations/{}/resend", invited.text("/succeeded/invited/0/id"));
        world.post(&resend, json!({})).by(&admin.actor).send().await.expect(200);
        assert_eq!(mails(&shop.operator, "?to=a@example.com").await.len(), 1);
        accept(&world, &secret).await.expect_problem(404, "invitation_secret_unknown");
        let newest = world.mailed(&invited.text("/succeeded/invited/0/id"));
        accept(&world, &newest).await.expect(200);
        assert_eq!(mails(&shop.operator, "?to=a@example.com").await.len(), 0);
        // So is one whose secret has ended.
        world.hub.clock().advance(std::time::Duration::from_secs(7 * 24 * 3600)).await;
        let operator = world.sign_in(&shop.operator.api_token, &shop.operator.organization).await;
        assert_eq!(mails(&operator, "").await.len(), 0);
        let admin = world.person(&admin.id, &shop.customer);
        invite(&world, &admin.actor, &shop.customer, "CUSTOMER_USER", "c@example.com").await;
        assert_eq!(world.count("SELECT COUNT(*) FROM mailbox"), 1);
    });
}

#[test]
fn an_account_from_before_confirmation_keeps_its_password_until_its_owner_confirms() {
    simulated(|| async {
        let (world, shop, admin) = ground().await;
        // As the hub had them: a password of which nobody knows who set it.
        let old = world.somebody(CEO, &[("CUSTOMER_USER", &shop.customer)]);
        let reset = world.post("/v1/sign-in/password-reset", json!({ "personId": old })).by(&admin.actor).send().await;
        redeem(&world, &reset.expect(201).text("/accountLink"), ATTACKERS).await.expect(204);
        let session = signed_in(&world, CEO, ATTACKERS).await.text("/accessToken");
        let invited = invite(&world, &shop.operator, &shop.operator.organization, "OPERATOR_ADMINISTRATOR", CEO).await;
        world.get("/v1/me/invitations").bearer(&session).send().await.expect_problem(403, "address_unconfirmed");
        assert_eq!(organizations(&world, &session).await, BTreeSet::from([shop.customer.clone()]));
        // The owner confirms: what was set before ends, the membership stays.
        let accepted = accept(&world, &world.mailed(&invited.text("/succeeded/invited/0/id"))).await;
        assert_eq!(accepted.expect(200).text("/member/personId"), old);
        world.get("/v1/me").bearer(&session).send().await.expect_problem(401, "access_token_invalid");
        world.try_password(CEO, ATTACKERS).await.expect_problem(401, "password_wrong");
        redeem(&world, &accepted.text("/accountLink/secret"), PASSWORD).await.expect(204);
        let owner = signed_in(&world, CEO, PASSWORD).await.text("/accessToken");
        let both = BTreeSet::from([shop.customer.clone(), shop.operator.organization.clone()]);
        assert_eq!(organizations(&world, &owner).await, both);
        // Its old administrator sees no link any more.
        let reset = world.post("/v1/sign-in/password-reset", json!({ "personId": old })).by(&admin.actor).send().await;
        assert_eq!(reset.expect(201).at("/accountLink"), Value::Null);
    });
}

#[test]
fn an_identity_provider_that_may_speak_for_the_domain_confirms_the_address() {
    simulated(|| async {
        let (world, shop, _) = ground().await;
        let admin = world.member(&shop.operator, &shop.provider, "admin@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let (_, person) = take(&world, &admin.actor, &shop.provider, "PROVIDER_BILLING_USER", federation::EMAIL).await;
        let attacker = signed_in(&world, federation::EMAIL, ATTACKERS).await.text("/accessToken");
        let idp = Idp::new(&world);
        // One that may speak for all domains, and so for none in particular, lets the account in and confirms nothing.
        let any = federation::trust(&world, &shop.operator, &shop.provider, json!({})).await;
        federation::sign_in(&world, &idp, &any, json!({})).await.expect(201);
        signed_in(&world, federation::EMAIL, ATTACKERS).await;
        let confirmed =
            || world.count(&format!("SELECT COUNT(*) FROM people WHERE id = '{person}' AND confirmed_at IS NOT NULL"));
        assert_eq!(confirmed(), 0);
        world.database().execute("DELETE FROM person_identities", []).unwrap();
        let named = json!({ "emailDomains": ["example.com"] });
        let named = federation::trust(&world, &shop.operator, &shop.provider, named).await;
        let session = federation::sign_in(&world, &idp, &named, json!({})).await.expect(201).text("/accessToken");
        assert_eq!(confirmed(), 1);
        world.try_password(federation::EMAIL, ATTACKERS).await.expect_problem(401, "password_wrong");
        world.get("/v1/me").bearer(&attacker).send().await.expect_problem(401, "access_token_invalid");
        world.get("/v1/me/invitations").bearer(&session).send().await.expect(200);
    });
}

#[test]
fn an_account_that_others_can_open_founds_no_additional_provider() {
    simulated(|| async {
        let (world, shop, _) = ground().await;
        let admin = world.member(&shop.operator, &shop.provider, "admin@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        take(&world, &admin.actor, &shop.provider, "PROVIDER_ADMINISTRATOR", CEO).await;
        let token = signed_in(&world, CEO, ATTACKERS).await.text("/accessToken");
        let body = json!({
            "kind": "PROVIDER", "displayName": "Second", "companyName": "Second", "country": "US", "currency": "USD",
            "providerType": "ADDITIONAL", "mainProviderId": shop.provider,
        });
        let refused = world.post("/v1/organizations", body.clone()).bearer(&token).send().await;
        refused.expect_problem(403, "address_unconfirmed");
        world.post("/v1/organizations", body).by(&admin.actor).send().await.expect(201);
    });
}
