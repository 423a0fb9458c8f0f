//! The first administrator of a customer, named when it is created and invited in the same transaction.

use host::{Fault, Target};
use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

const EMAIL: &str = "ada@fabrikam.example";

fn customer(email: &str) -> Value {
    json!({
        "kind": "CUSTOMER", "displayName": "Adatum", "companyName": "Adatum Ltd.", "country": "US", "currency": "USD",
        "adminUserEmail": email,
    })
}

async fn create(world: &World, by: &Actor, body: Value) -> Answer {
    world.post("/v1/organizations", body).by(by).send().await
}

async fn invitations(world: &World, by: &Actor, organization: &str) -> Value {
    let list = world.get(&format!("/v1/member-invitations?organizationId={organization}")).by(by).send().await;
    list.expect(200).at("/items")
}

async fn members(world: &World, by: &Actor, organization: &str) -> Value {
    let list = world.get(&format!("/v1/members?organizationId={organization}")).by(by).send().await;
    list.expect(200).at("/items")
}

#[test]
fn whom_the_hub_does_not_know_is_invited_and_runs_the_customer() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let mut body = customer(EMAIL);
        body["adminUserName"] = json!("Ada");
        let made = create(&world, &shop.admin, body).await;
        let id = made.expect(201).text("/id");
        let list = invitations(&world, &shop.admin, &id).await;
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(
            (&list[0]["email"], &list[0]["status"], &list[0]["displayName"]),
            (&json!(EMAIL), &json!("PENDING"), &json!("Ada"))
        );
        assert_eq!(list[0]["grants"]["roles"], json!(["CUSTOMER_ADMINISTRATOR"]));
        // Who named them sees no secret, not by sending it again either: it goes to the mailbox.
        let invitation = list[0]["id"].as_str().unwrap();
        let first = world.mailed(invitation);
        let resend = format!("/v1/member-invitations/{invitation}/resend");
        for by in [&shop.admin, &shop.operator] {
            let again = world.post(&resend, json!({})).by(by).send().await;
            assert!(!again.expect(200).json().to_string().contains("hubmi_"));
        }
        let secret = world.mailed(invitation);
        let old = world.post("/v1/member-invitations/accept", json!({ "secret": first })).send().await;
        old.expect_problem(404, "invitation_secret_unknown");
        let accepted = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
        assert_eq!(accepted.expect(200).at("/member/roles"), json!(["CUSTOMER_ADMINISTRATOR"]));
        assert_eq!(accepted.text("/member/organizationId"), id);
        // The customer's audit says who named whom.
        let admin = world.person(&accepted.text("/member/personId"), &id).actor;
        let entries = world.get("/v1/audit-entries?action=members.add").by(&admin).send().await;
        assert_eq!(entries.expect(200).at("/items/0/details/adminUserEmail/to"), EMAIL);
        let me = world.get("/v1/me").by(&shop.admin).send().await.text("/principalId");
        assert_eq!(entries.at("/items/0/details/namedBy/to"), json!(me));
    });
}

#[test]
fn whom_the_hub_knows_is_asked_like_everybody_else() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let known = world.member(&shop.operator, &shop.customer, EMAIL, &["CUSTOMER_USER"]).await;
        let id = create(&world, &shop.admin, customer("ADA@Fabrikam.example")).await.expect(201).text("/id");
        assert_eq!(members(&world, &shop.admin, &id).await, json!([]));
        let list = invitations(&world, &shop.admin, &id).await;
        assert_eq!((&list[0]["email"], &list[0]["status"]), (&json!(EMAIL), &json!("PENDING")));
        assert!(!list.to_string().contains(&known.id));
        let secret = world.mailed(list[0]["id"].as_str().unwrap());
        let accepted = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
        assert_eq!(accepted.expect(200).text("/member/personId"), known.id);
        let list = members(&world, &shop.admin, &id).await;
        assert_eq!((&list[0]["personId"], &list[0]["roles"]), (&json!(known.id), &json!(["CUSTOMER_ADMINISTRATOR"])));
    });
}

#[test]
fn the_first_administrator_is_invited_as_soon_as_the_customer_is_there() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        world.member(&shop.operator, &shop.customer, EMAIL, &["CUSTOMER_USER"]).await;
        // No job has run and none waits, whether the hub knows the address or not.
        for email in [EMAIL, "new@fabrikam.example"] {
            let id = create(&world, &shop.admin, customer(email)).await.expect(201).text("/id");
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
            let list = invitations(&world, &shop.admin, &id).await;
            assert_eq!((&list[0]["email"], &list[0]["status"]), (&json!(email), &json!("PENDING")));
            let secret = world.mailed(list[0]["id"].as_str().unwrap());
            let accepted = world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
            assert_eq!(accepted.expect(200).at("/member/roles"), json!(["CUSTOMER_ADMINISTRATOR"]));
            assert_eq!(accepted.text("/member/organizationId"), id);
        }
    });
}

#[test]
fn only_those_name_one_who_could_make_one_and_of_customers_only() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        // Not above the level of whoever creates the customer, with the exception for the first.
        let operations = world.somebody("ops@contoso.example", &[("PROVIDER_OPERATIONS_ADMINISTRATOR", &shop.provider)]);
        let operations = world.person(&operations, &shop.provider).actor;
        create(&world, &operations, customer(EMAIL)).await.expect(201);
        create(&world, &operations, customer("ops@contoso.example")).await.expect_problem(403, "role_above_own");
        let distributor = world.organization(&shop.operator, "DISTRIBUTOR", "Northwind", None).await;
        let by = world.actor(&shop.operator, &distributor, "DISTRIBUTOR_ADMINISTRATOR").await;
        let below = world.organization(&by, "PROVIDER", "Below", None).await;
        let mut body = customer(EMAIL);
        body["parentId"] = json!(below);
        create(&world, &by, body.clone()).await.expect_problem(403, "role_above_own");
        body["adminUserEmail"] = Value::Null;
        create(&world, &by, body).await.expect(201);

        let mut body = customer(EMAIL);
        body["kind"] = json!("PROVIDER");
        let refused = create(&world, &shop.operator, body).await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/adminUserEmail");
        let mut body = customer("nobody");
        body["adminUserName"] = json!("Ada");
        create(&world, &shop.admin, body.clone()).await.expect_problem(422, "invalid_request");
        body.as_object_mut().unwrap().remove("adminUserEmail");
        let refused = create(&world, &shop.admin, body).await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/adminUserName");

        let edit = world.patch(&format!("/v1/organizations/{}", shop.customer), json!({ "adminUserEmail": EMAIL }));
        let refused = edit.by(&shop.admin).header("if-match", "*").send().await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), "/adminUserEmail");
        // What was refused has invited nobody.
        let invited = "SELECT COUNT(*) FROM member_invitations WHERE email IN ('ada@fabrikam.example', 'ops@contoso.example')";
        assert_eq!(world.count(invited), 1);
    });
}

/// The job that an older version of the hub left for a customer's first administrator.
fn job_of_before(world: &World, customer: &str, by: &str) {
    let database = world.database();
    let payload = json!({ "email": EMAIL, "displayName": "Ada", "by": by }).to_string();
    let id = format!("job_{}", &customer[4..]);
    let job = "INSERT INTO jobs (id, queue, kind, organization_id, payload, state, due_at, attempts, fence, created_at)
         VALUES (?1, 'onboarding', 'member.first-administrator', ?2, ?3, 'READY', 1, 0, 0, 1)";
    database.execute(job, [&id, customer, &payload]).unwrap();
    database.execute("INSERT INTO job_turns (queue, organization_id, turn) VALUES ('onboarding', ?1, 1)", [customer]).unwrap();
}

#[test]
fn a_job_of_an_older_version_invites_the_first_administrator_or_tells_the_audit() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let admin = world.somebody("grace@contoso.example", &[("PROVIDER_ADMINISTRATOR", &shop.provider)]);
        let mut body = customer(EMAIL);
        body.as_object_mut().unwrap().remove("adminUserEmail");
        let (invited, refused) = (
            create(&world, &shop.admin, body.clone()).await.expect(201).text("/id"),
            create(&world, &shop.admin, body).await.expect(201).text("/id"),
        );
        job_of_before(&world, &invited, &admin);
        world.settle().await;
        let list = invitations(&world, &shop.operator, &invited).await;
        assert_eq!((&list[0]["email"], &list[0]["invitedBy"]), (&json!(EMAIL), &json!(admin)));
        assert!(world.mailed(list[0]["id"].as_str().unwrap()).starts_with("hubmi_"));

        job_of_before(&world, &refused, &admin);
        world.database().execute("DELETE FROM bindings WHERE principal_id = ?1", [&admin]).unwrap();
        world.settle().await;
        assert_eq!(invitations(&world, &shop.operator, &refused).await, json!([]));
        let entries = async |id: &str| {
            let list = world.get(&format!("/v1/audit-entries?organizationId={id}&action=members.add")).by(&shop.operator);
            list.send().await.expect(200).at("/items/0")
        };
        assert_eq!(entries(&invited).await["result"], "SUCCESS");
        let failure = entries(&refused).await;
        assert_eq!((&failure["result"], &failure["details"]["refusal"]["to"]), (&json!("FAILURE"), &json!("role_above_own")));
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0);
    });
}

#[test]
fn a_crash_anywhere_leaves_the_customer_with_its_invitation_or_neither() {
    for after in [false, true] {
        for nth in 1.. {
            let crashed = simulated(|| async {
                let mut world = World::with_seed(nth).await;
                let shop = world.shop().await;
                let send = async |world: &World| {
                    let call = world.post("/v1/organizations", customer(EMAIL)).by(&shop.admin).key("once");
                    call.try_send().await
                };
                let fault = Fault::on(Target::Any).nth(nth);
                world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                let first = send(&world).await;
                let crashed = first.is_err();
                world.hub.faults().clear();
                if crashed {
                    world.restart().await;
                }
                let customers = "SELECT COUNT(*) FROM organizations WHERE display_name = 'Adatum'";
                let counted = |world: &World| {
                    let mails = "SELECT COUNT(*) FROM mailbox WHERE recipient = 'ada@fabrikam.example'";
                    let invited = "SELECT COUNT(*) FROM member_invitations WHERE email = 'ada@fabrikam.example'";
                    [customers, invited, mails].map(|sql| world.count(sql))
                };
                let there = counted(&world);
                assert!(there == [0; 3] || there == [1; 3], "{there:?} after a crash at call {nth}");
                // Sent again with its key, it is the first answer and no other invitation.
                let id = send(&world).await.unwrap().expect(201).text("/id");
                assert_eq!(counted(&world), [1; 3]);
                assert_eq!(invitations(&world, &shop.admin, &id).await.as_array().unwrap().len(), 1);
                crashed
            });
            if !crashed {
                assert!(nth > 5, "only {nth} calls");
                break;
            }
        }
    }
}

#[test]
fn rows_of_an_import_name_theirs() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let mut rows = "displayName,companyName,country,currency,adminUserEmail,adminUserName\r\n".to_owned();
        for row in 0..70 {
            rows +=
                &format!("C{row},C,US,USD,{},\r\n", if row == 3 { "wrong".to_owned() } else { format!("a{row}@example.com") });
        }
        rows += "Without,C,US,USD,,\r\nNamed,C,US,USD,b@example.com,Bea\r\n";
        let import = |by: Actor, body: String| {
            let call = world.call(http::Method::POST, "/v1/organizations/import").by(&by).body("text/csv", body);
            call.send()
        };
        let done = import(shop.admin.clone(), rows).await;
        assert_eq!((done.expect(207).at("/succeeded"), done.at("/failed")), (json!(71), json!(1)));
        assert_eq!(done.at("/items/3/problem/errors/0/pointer"), "/adminUserEmail");
        assert_eq!(world.count("SELECT COUNT(*) FROM member_invitations WHERE status = 'PENDING'"), 70);
        let id = done.text("/items/71/id");
        let list = invitations(&world, &shop.admin, &id).await;
        assert_eq!((&list[0]["email"], &list[0]["displayName"]), (&json!("b@example.com"), &json!("Bea")));
        assert!(world.mailed(list[0]["id"].as_str().unwrap()).starts_with("hubmi_"));
        // Each customer's audit says whom the caller named there, and its chain holds.
        for (row, email) in [(0, "a0@example.com"), (69, "a69@example.com"), (71, "b@example.com")] {
            let customer = done.text(&format!("/items/{row}/id"));
            let list = world.get(&format!("/v1/audit-entries?organizationId={customer}&action=members.add")).by(&shop.admin);
            let list = list.send().await;
            assert_eq!(list.expect(200).at("/items/0/details/adminUserEmail/to"), email);
            assert_eq!(list.at("/items").as_array().unwrap().len(), 1);
        }
        crate::access_audit_entries::verify_all(&world, &shop.operator.access_token).await;
        // What is exported says nothing of it, and comes in again.
        let export = world.get("/v1/organizations/export").by(&shop.admin).send().await;
        let text = String::from_utf8(export.expect(200).0.body().to_vec()).unwrap();
        assert!(!text.contains("adminUser"));
        let user = world.actor(&shop.operator, &shop.provider, "PROVIDER_ADMINISTRATOR").await;
        assert_eq!(import(user, text).await.expect(207).at("/failed"), json!(0));
    });
}
