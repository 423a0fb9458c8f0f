//! The SQL is in the dialect that SQLite and PostgreSQL share: a real PostgreSQL takes every migration and every statement
//! that the hub was seen to send.

use crate::{
    federation_support::{Idp, sign_in, trust},
    main_job::Caller,
    packages_repositories::{BASE, Repository},
    provisioning_service_brokers_support::{Stall, run_out},
    provisioning_support::again,
    web_cursors::after,
};
use http::Method;
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};
use store::migrations::MIGRATIONS;
use tests::{Actor, World, simulated};

/// What is done to a subscription after it was provisioned, and the end of a term.
async fn life(world: &World, admin: &str, caller: &Caller) {
    let path = format!("/v1/subscriptions/{}", caller.text("order 1", "/subscriptionId"));
    let send = |method: &str, path: String, body: serde_json::Value| {
        let call = world.call(method.parse().unwrap(), &path).json(&body).bearer(admin);
        call.header("if-match", "*").header("prefer", "wait=5").send()
    };
    send("PATCH", path.clone(), json!({ "quantity": "6" })).await.expect(200);
    send("POST", format!("{path}/suspend"), json!({})).await.expect(200);
    send("POST", format!("{path}/resume"), json!({})).await.expect(200);
    // As if its plan had terms.
    let renewal = "INSERT INTO renewals (subscription_id, organization_id, months, anchor_at, months_done, starts_at, ends_at, renewal_preference, version, created_at, updated_at)
        SELECT id, organization_id, 1, created_at, 1, created_at, created_at + 2592000000, 'AUTO', 1, 0, 0 FROM subscriptions WHERE id = ?1";
    world.database().execute(renewal, [caller.text("order 1", "/subscriptionId")]).unwrap();
    send("PUT", format!("{path}/renewal"), json!({ "renewalPreference": "CANCEL" })).await.expect(200);
    for query in ["", "?termEndsBefore=2030-01-01T00:00:00Z", &format!("?organizationId={}", caller.text("customer", "/id"))] {
        world.get(&format!("/v1/renewals{query}")).bearer(admin).send().await.expect(200);
    }
}

/// Everything the hub says to its database, once each, while it does its main job and whatever else its routes offer.
fn statements() -> BTreeSet<String> {
    simulated(|| async {
        let world = World::new().await;
        let mut caller = Caller::default();
        caller.play(&world).await.unwrap();
        let (operator, admin) = (caller.token("operator"), caller.token("admin"));
        let mut paths: Vec<String> = [
            "organizations",
            "api-tokens",
            "contracts",
            "onboarding-invitations",
            "services",
            "subscriptions",
            "tasks",
            "usage-reports",
            "invoices",
            "jobs",
        ]
        .map(|list| format!("/v1/{list}?limit=1"))
        .into();
        for list in ["organizations", "services", "contracts", "subscriptions", "tasks", "invoices"] {
            let first = world.get(&format!("/v1/{list}?limit=1")).bearer(&operator).send().await.text("/items/0/id");
            paths.push(format!("/v1/{list}/{first}"));
            if list == "invoices" {
                paths.push(format!("/v1/{list}/{first}/lines/1/usage"));
            }
        }
        for path in paths {
            world.get(&path).bearer(&operator).send().await.expect(200);
        }
        environments(&world, &operator, &caller).await;
        life(&world, &admin, &caller).await;
        let customer = caller.text("customer", "/id");
        let edit = json!({ "tag": "x" });
        world
            .patch(&format!("/v1/organizations/{customer}"), edit)
            .bearer(&admin)
            .header("if-match", "*")
            .send()
            .await
            .expect(200);
        act(&world, &admin, &customer).await;
        approvals(&world, &admin, &customer, &caller).await;
        members(&world, &operator, &caller).await;
        organizations(&world, &operator, &admin, &caller).await;
        contracts(&world, &operator, &caller).await;
        catalog(&world, &operator, &caller).await;
        // A job that keeps failing, is parked and replayed.
        let order = json!({ "organizationId": customer, "serviceId": caller.text("manual", "/id"), "quantity": "1" });
        let task = world.post("/v1/subscriptions", order).bearer(&admin).send().await.text("/id");
        world.settle().await;
        let fail = json!({ "message": "no" });
        world.post(&format!("/v1/tasks/{task}/steps/PROVISION/fail"), fail).bearer(&admin).send().await.expect(200);
        world.hub.faults().push(host::Fault::on(host::Target::SqlMatching("UPDATE tasks".into())).fail("disk I/O error"));
        world.post("/internal/tick", json!({})).bearer(tests::INTERNAL_SECRET).send().await;
        world.hub.faults().clear();
        world.call(Method::POST, "/v1/jobs/job_01h455vb4pex5vsknk084sn02q/replay").bearer(&operator).send().await.expect(409);
        world.hub.clock().advance(std::time::Duration::from_secs(25 * 3600)).await;
        world.settle().await;
        let token = world.sign_in(&caller.text("bootstrap", "/apiToken"), "").await;
        people_and_machines_come_and_go(&world, &token, &customer).await;
        let id = caller.text("token", "/id");
        world.delete(&format!("/v1/api-tokens/{id}")).by(&token).send().await.expect(204);
        said(&world)
    })
}

/// What there is to say about members, invitations and roles in services.
async fn members(world: &World, operator: &str, caller: &Caller) {
    let (provider, customer) = (caller.text("provider", "/id"), caller.text("customer", "/id"));
    let operator = tests::Actor { access_token: operator.into(), api_token: String::new(), organization: String::new() };
    let role = json!({ "serviceId": caller.text("builtin", "/id"), "name": "x", "displayName": "X", "default": true });
    let role = world.post("/v1/service-roles", role).by(&operator).send().await.expect(201).text("/id");
    let edit = json!({ "displayName": "Y" });
    let path = format!("/v1/service-roles/{role}");
    world.patch(&path, edit).by(&operator).header("if-match", "*").send().await.expect(200);
    let admin = world.member(&operator, &provider, "a@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
    let account = world.member(&admin.actor, &provider, "b@contoso.example", &["PROVIDER_ACCOUNT_ADMINISTRATOR"]).await;
    for change in [
        json!({ "personIds": [account.id], "addBoundOrganizationIds": [customer] }),
        json!({ "personIds": [account.id], "removeBoundOrganizationIds": [customer], "addRoles": ["PROVIDER_SUPPORT_USER"] }),
        json!({ "personIds": [account.id], "removeRoles": ["PROVIDER_ACCOUNT_ADMINISTRATOR"] }),
    ] {
        assert_eq!(world.patch("/v1/members", change).by(&admin.actor).send().await.expect(207).at("/failed"), json!([]));
    }
    for change in [
        json!({ "personIds": [account.id], "addServiceRoleIds": [role] }),
        json!({ "personIds": [account.id], "removeServiceRoleIds": [role] }),
    ] {
        world.patch("/v1/members/service-roles", change).by(&admin.actor).send().await.expect(207);
    }
    let invite = json!({ "roles": ["PROVIDER_SUPPORT_USER"], "people": [{ "email": "c@contoso.example" }] });
    let invited = world.post("/v1/members", invite).by(&admin.actor).send().await.text("/succeeded/invited/0/id");
    let path = format!("/v1/member-invitations/{invited}");
    world.post(&format!("{path}/resend"), json!({})).by(&admin.actor).send().await.expect(200);
    world.delete(&path).by(&admin.actor).send().await.expect(204);
    let list = format!("/v1/service-roles?serviceId={}", caller.text("builtin", "/id"));
    for path in [&path, "/v1/members", &format!("/v1/members/{}", account.id), "/v1/member-invitations?status=EXPIRED", &list] {
        world.get(path).by(&admin.actor).send().await.expect(200);
    }
    world.get("/v1/me/service-roles").by(&admin.actor).send().await.expect(200);
    // With the secret that the inviter sees, then with those in the mails; taken over, declined and left.
    let accept = |secret: String| world.post("/v1/member-invitations/accept", json!({ "secret": secret })).send();
    let inside = world.actor(&operator, &customer, "CUSTOMER_ADMINISTRATOR").await;
    for (email, verb) in [("d@contoso.example", ""), ("b@contoso.example", "accept"), ("a@contoso.example", "decline")] {
        let invite = json!({ "roles": ["CUSTOMER_USER"], "people": [{ "email": email }] });
        let invited = world.post("/v1/members", invite).by(&inside).send().await;
        let id = invited.text("/succeeded/invited/0/id");
        let seen = accept(invited.text("/succeeded/invited/0/secret")).await;
        let link = json!({ "accountLink": seen.expect(200).text("/accountLink/secret"), "password": "correct horse battery" });
        world.put("/v1/account-links", link).send().await.expect(204);
        world.try_password(email, "correct horse battery").await.expect(201);
        if verb.is_empty() {
            accept(world.mailed(&id)).await.expect(200);
            continue;
        }
        let owner = if verb == "accept" { &account } else { &admin };
        world.get("/v1/me/invitations").by(&owner.actor).send().await.expect(200);
        let answered = world.post(&format!("/v1/me/invitations/{id}/{verb}"), json!({})).by(&owner.actor).send().await;
        assert!(answered.status() < 300, "{}", answered.json());
    }
    world.delete(&format!("/v1/me/memberships/{customer}")).by(&account.actor).send().await.expect(204);
    world.get("/v1/mailbox").by(&operator).send().await.expect(200);
    world.get("/v1/mailbox?to=a@contoso.example").by(&operator).send().await.expect(200);
    world.delete(&format!("/v1/members/{}", account.id)).by(&admin.actor).send().await.expect(204);
    let unused = json!({ "serviceId": caller.text("builtin", "/id"), "name": "unused", "displayName": "U" });
    let unused = world.post("/v1/service-roles", unused).by(&operator).send().await.expect(201).text("/id");
    world.delete(&format!("/v1/service-roles/{unused}")).by(&operator).send().await.expect(204);
}

/// Acting for a customer from its beginning to each of its ends, and the audit of it by every filter.
async fn act(world: &World, admin: &str, customer: &str) {
    let issued = world
        .post("/v1/api-tokens", json!({ "name": "c", "organizationId": customer, "roles": ["CUSTOMER_ADMINISTRATOR"] }))
        .bearer(admin)
        .send()
        .await;
    let member = world.sign_in(&issued.expect(201).text("/apiToken"), customer).await;
    let policy = format!("/v1/acting-policies/{customer}");
    let ask = async || {
        let body = json!({ "organizationId": customer, "reason": "a test", "durationMinutes": 60 });
        world.post("/v1/acting-sessions", body).bearer(admin).send().await.expect(201).text("/id")
    };
    let answer = async |id: &str, verb: &str| {
        world.post(&format!("/v1/acting-sessions/{id}/{verb}"), json!({})).by(&member).send().await.expect(200);
    };
    answer(&ask().await, "refuse").await;
    let id = ask().await;
    answer(&id, "approve").await;
    world.get("/v1/me").bearer(admin).acting_in(customer).send().await.expect(200);
    answer(&id, "end").await;
    for path in ["/v1/acting-sessions".to_owned(), format!("/v1/acting-sessions/{id}"), policy.clone()] {
        world.get(&path).by(&member).send().await.expect(200);
    }
    ask().await;
    world.put(&policy, json!({ "policy": "REFUSE" })).by(&member).header("if-match", "*").send().await.expect(200);
    world.put(&policy, json!({ "policy": "ASK" })).by(&member).header("if-match", "*").send().await.expect(200);
    ask().await;
    for query in [
        "",
        "?action=acting_sessions.create",
        "?principal=system",
        "?subjectId=x",
        &format!("?actingSessionId={id}"),
        "?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z",
        "/export",
        "/verification",
    ] {
        world.get(&format!("/v1/audit-entries{query}")).by(&member).send().await.expect(200);
    }
}

/// A customer that is asked, to each of the ends that can come: the last one lapses on the next day.
async fn approvals(world: &World, admin: &str, customer: &str, caller: &Caller) {
    let issued = json!({ "name": "c", "organizationId": customer, "roles": ["CUSTOMER_ADMINISTRATOR"] });
    let issued = world.post("/v1/api-tokens", issued).bearer(admin).send().await;
    let member = world.sign_in(&issued.expect(201).text("/apiToken"), customer).await;
    let policy = format!("/v1/approval-policies/{customer}");
    let rules = json!({ "rules": [{ "action": "CHANGE", "serviceId": caller.text("builtin", "/id") }], "lapseDays": 1 });
    world.put(&policy, rules).by(&member).header("if-match", "*").send().await.expect(200);
    world.get(&policy).by(&member).send().await.expect(200);
    let path = format!("/v1/subscriptions/{}", caller.text("order 1", "/subscriptionId"));
    let ask = async |quantity: &str| {
        let call = world.patch(&path, json!({ "quantity": quantity })).bearer(admin).header("if-match", "*");
        call.send().await.expect(202).text("/id")
    };
    for (word, by) in [("reject", &*member.access_token), ("withdraw", admin), ("approve", &*member.access_token)] {
        let approval = format!("/v1/approvals/{}", ask("7").await);
        world.get(&approval).by(&member).send().await.expect(200);
        world.post(&format!("{approval}/{word}"), json!({ "reason": "x" })).bearer(by).send().await.expect(200);
        world.settle().await;
    }
    world.post(&format!("{path}/renew"), json!({})).bearer(admin).header("if-match", "*").send().await.expect(422);
    let last = ask("8").await;
    for query in ["", "?status=PENDING", "?status=LAPSED", "?status=BEGUN", &format!("?organizationId={customer}")] {
        world.get(&format!("/v1/approvals{query}")).bearer(admin).send().await.expect(200);
    }
    let next = after("/v1/approvals", &caller.text("provider", "/id"), &["x", &last]);
    world.get(&next).bearer(admin).send().await.expect(200);
}

/// What tasks, data center components, environments and plans offer.
async fn environments(world: &World, operator: &str, caller: &Caller) {
    for (component, environment) in [("a", "one"), ("b", "two")] {
        let vc = crate::environments_data_centers_support::component(component, "BUILTIN");
        let sent = world.post("/v1/data-centers", vc).bearer(operator).header("prefer", "wait=5").send().await;
        let vc = sent.expect(200).text("/dataCenterId");
        let body = crate::environments_support::environment(environment, &vc, &["x"]);
        for action in ["VALIDATE", "DEPLOY&dryRun=true", "DEPLOY"] {
            let path = format!("/v1/environments?action={action}");
            world.post(&path, body.clone()).bearer(operator).send().await;
        }
        world.settle().await;
        for (method, path) in [
            ("POST", format!("/v1/data-centers/{vc}/validate")),
            ("POST", format!("/v1/data-centers/{vc}/discover")),
            ("PATCH", format!("/v1/data-centers/{vc}")),
            ("POST", format!("/v1/data-centers/{vc}/inventory")),
        ] {
            let call = world.call(method.parse().unwrap(), &path).json(&json!({})).bearer(operator).header("if-match", "*");
            assert!(call.send().await.status() < 300, "{method} {path}");
        }
    }
    world.settle().await;
    let query = format!("organizationId={}", caller.text("bootstrap", "/organization/id"));
    for list in [
        "environments",
        "data-centers",
        "plans",
        "tasks?type=UPGRADE",
        "certificates?expiresBefore=2030-01-01T00:00:00Z",
        "data-centers?componentType=NSXT",
    ] {
        world.get(&format!("/v1/{list}")).bearer(operator).send().await.expect(200);
    }
    for list in ["environments", "data-centers"] {
        world.get(&format!("/v1/{list}?{query}")).bearer(operator).send().await.expect(200);
    }
    let environment = world.get("/v1/environments").bearer(operator).send().await;
    // Redeployed, and brought back in the midst of it.
    let redeploy = format!("/v1/environments/{}/nodes/x/redeploy", environment.text("/items/1/id"));
    for cancelled in [false, true] {
        let asked = world.post(&redeploy, json!({})).bearer(operator).header("if-match", "*").send().await;
        if cancelled {
            for _ in 0..2 {
                crate::tasks_walk::turn(world, "environments").await;
            }
            let cancel = format!("/v1/tasks/{}/cancel", asked.expect(202).text("/id"));
            world.post(&cancel, json!({})).bearer(operator).send().await.expect(202);
        }
        world.settle().await;
    }
    stored_passwords(world, operator, &query).await;
    let gone = format!("/v1/environments/{}", environment.text("/items/0/id"));
    let plans = world.get(&format!("/v1/plans?environmentId={}", environment.text("/items/0/id"))).bearer(operator).send().await;
    world.get(&format!("/v1/plans/{}", plans.text("/items/0/id"))).bearer(operator).send().await.expect(200);
    let asked = world.delete(&gone).bearer(operator).header("if-match", "*").send().await.expect(202).text("/id");
    world.get(&format!("/v1/tasks/{asked}/request")).bearer(operator).send().await.expect(200);
    world.post(&format!("/v1/tasks/{asked}/cancel"), json!({})).bearer(operator).send().await.expect(202);
    world.settle().await;
    world.post(&format!("/v1/tasks/{asked}/restart"), json!({})).bearer(operator).send().await.expect(202);
    world.settle().await;
    let vc = environment.text("/items/0/products/0/dataCenterId");
    world.delete(&format!("/v1/data-centers/{vc}")).bearer(operator).send().await.expect(202);
    world.settle().await;
}

/// What there is to say about stored passwords.
async fn stored_passwords(world: &World, operator: &str, query: &str) {
    let _vcenter = crate::vsphere_support::Vcenter::new(world);
    let body = json!({ "alias": "vc", "password": crate::environments_data_centers_support::PASSWORD });
    let stored = world.post("/v1/stored-passwords", body).bearer(operator).send().await;
    let path = format!("/v1/stored-passwords/{}", stored.expect(201).text("/id"));
    let edit = world.patch(&path, json!({ "alias": "vcenter" })).bearer(operator).header("if-match", "*");
    edit.send().await.expect(200);
    for path in [&path, "/v1/stored-passwords", &format!("/v1/stored-passwords?{query}")] {
        world.get(path).bearer(operator).send().await.expect(200);
    }
    let mut vc = crate::environments_data_centers_support::component("vc", "VSPHERE");
    vc["password"] = stored.at("/reference");
    let asked = world.post("/v1/data-centers?action=VALIDATE", vc).bearer(operator).header("prefer", "wait=5");
    assert_eq!(asked.send().await.expect(200).text("/status"), "SUCCESS");
    world.delete(&path).bearer(operator).send().await.expect(204);
}

/// What organizations offer: every filter and cursor of their lists, in bulk, branded, disabled, enabled and removed.
async fn organizations(world: &World, operator: &str, admin: &str, caller: &Caller) {
    let (provider, customer) = (caller.text("provider", "/id"), caller.text("customer", "/id"));
    let at = |query: &str, place: &[&str]| after(&format!("/v1/organizations?{query}"), &provider, place);
    for target in [
        at("", &[&customer]),
        at(&format!("parentId={provider}&kind=CUSTOMER&country=US&tag=x"), &[&customer]),
        at(&format!("parentId={provider}"), &[&customer]),
        at("name=f&createdAfter=2026-01-01T00:00:00Z", &["f", &customer]),
        "/v1/organizations?status=ACTIVE".into(),
        "/v1/organizations?status=DISABLED".into(),
        "/v1/organizations?status=REMOVED".into(),
    ] {
        world.get(&target).bearer(admin).send().await.expect(200);
    }
    let csv = "displayName,companyName,country,currency\nA,A,US,USD\n";
    let imported = world.call(Method::POST, "/v1/organizations/import").bearer(admin).body("text/csv", csv).send().await;
    let imported = format!("/v1/organizations/{}", imported.expect(207).text("/items/0/id"));
    let branding =
        world.call(Method::PUT, &format!("{imported}/branding")).json(&json!({})).bearer(admin).header("if-match", "*");
    branding.send().await.expect(200);
    for (path, what) in [(&imported, "disable"), (&imported, "enable"), (&format!("/v1/organizations/{provider}"), "disable")] {
        world.post(&format!("{path}/{what}"), json!({})).bearer(operator).send().await.expect(200);
    }
    world.post(&format!("/v1/organizations/{provider}/enable"), json!({})).bearer(operator).send().await.expect(200);
    let additional = json!({
        "kind": "PROVIDER", "providerType": "ADDITIONAL", "mainProviderId": provider, "displayName": "T", "companyName": "T", "country": "US",
        "currency": "USD"
    });
    world.post("/v1/organizations", additional).bearer(admin).send().await.expect(201);
    world.delete(&imported).bearer(admin).send().await.expect(204);
}

/// What contracts offer: amended, moved on by hand and by their days, made the default, renewed, and with a provider that is
/// invited.
async fn contracts(world: &World, operator: &str, caller: &Caller) {
    let (provider, service) = (caller.text("provider", "/id"), caller.text("manual", "/id"));
    let body = json!({
        "providerId": provider, "serviceId": service, "contractType": "PAY_GO", "effectiveDate": "2026-10-01", "endDate": "2027-01-01",
        "currency": "USD", "draft": true, "threshold": { "minorUnits": 1, "currency": "USD" }
    });
    let post = async |path: &str, body| world.post(path, body).bearer(operator).send().await;
    let path = format!("/v1/contracts/{}", post("/v1/contracts", body.clone()).await.expect(201).text("/id"));
    world.patch(&path, json!({ "reference": "x" })).bearer(operator).header("if-match", "*").send().await.expect(200);
    for what in ["submit", "approve", "default", "renew"] {
        assert!(post(&format!("{path}/{what}"), json!({})).await.status() < 300, "{what}");
    }
    world.get(&format!("/v1/contracts?providerId={provider}&status=ACTIVE")).bearer(operator).send().await.expect(200);
    let mut waiting = body;
    waiting["draft"] = json!(false);
    waiting["providerId"] = json!(null);
    waiting["provider"] = json!({ "email": "a@b.example", "displayName": "P", "companyName": "P", "country": "US" });
    let path = format!("/v1/contracts/{}/approve", post("/v1/contracts", waiting).await.expect(201).text("/id"));
    post(&path, json!({})).await.expect(200);
    let listed = world.get("/v1/onboarding-invitations").bearer(operator).send().await;
    let invitation = format!("/v1/onboarding-invitations/{}", listed.expect(200).text("/items/0/id"));
    post(&format!("{invitation}/revoke"), json!({})).await.expect(200);
    post(&format!("{invitation}/resend"), json!({})).await.expect(200);
    let secret = world.mailed(&listed.text("/items/0/id"));
    let acceptance = json!({ "secret": secret, "name": "Ada" });
    world.post("/v1/onboarding-invitations/accept", acceptance).send().await.expect(201);
}

/// What the catalog and the package repositories offer: edited, asked for by plan, ended, refreshed, verified and removed.
async fn catalog(world: &World, operator: &str, caller: &Caller) {
    let post = async |path: &str, body| world.post(path, body).bearer(operator).send().await;
    let (provider, customer) = (caller.text("provider", "/id"), caller.text("customer", "/id"));
    let plan = json!({ "code": "flat", "displayName": "Flat", "billingUnit": "site" });
    let offer = json!({ "plans": [plan, { "code": "other", "displayName": "Other", "billingUnit": "site" }] });
    let body = json!({ "code": "planned", "displayName": "P", "productFamily": "MSP", "driver": "BUILTIN", "offer": offer });
    let service = post("/v1/services", body).await.expect(201).text("/id");
    let path = format!("/v1/services/{service}");
    let operator_too = Actor { access_token: operator.into(), api_token: String::new(), organization: String::new() };
    world.contract(&operator_too, &provider, &service).await;
    let order = json!({ "organizationId": customer, "serviceId": service, "planCode": "flat", "quantity": "1" });
    let admin = caller.token("admin");
    assert_eq!(world.post("/v1/subscriptions", order).bearer(&admin).send().await.status(), 202);
    world.settle().await;
    let edit = json!({ "displayName": "Q", "offer": { "plans": [plan] } });
    world.patch(&path, edit).bearer(operator).header("if-match", "*").send().await.expect(200);
    post(&format!("{path}/validate"), json!({ "planCode": "flat", "quantity": "1" })).await.expect(200);
    post(&format!("{path}/deprecate"), json!({})).await.expect(200);
    post(&format!("{path}/retire"), json!({})).await.expect(409);
    let filtered = "/v1/services?code=planned&kind=SERVICE&status=DEPRECATED&productFamily=MSP&driver=BUILTIN";
    let home = world.get("/v1/me").bearer(operator).send().await.text("/actingOrganizationId");
    world.get(&after(filtered, &home, &[&service])).bearer(operator).send().await.expect(200);

    let peer = Repository::new(world);
    peer.fill(&[("a", b"a"), ("b", b"b")]);
    let repository = post("/v1/package-repositories", json!({ "displayName": "P", "baseUrl": BASE })).await;
    let path = repository.expect(201).header("location").to_owned();
    world.settle().await;
    for work in ["refresh", "verify"] {
        post(&format!("{path}/{work}"), json!({})).await.expect(202);
        world.settle().await;
    }
    for path in
        ["/v1/package-repositories?limit=1", &format!("{path}/files?productCode=VCD&version=10.5&status=VERIFIED&limit=1")]
    {
        world.get(path).bearer(operator).send().await.expect(200);
    }
    world.delete(&path).bearer(operator).send().await.expect(204);

    let table = json!({ "compatibilities": [], "upgrades": [{ "code": "VCD", "from": "1", "to": "2" }] });
    for _ in 0..2 {
        world.put("/v1/interop", table.clone()).bearer(operator).header("if-match", "*").send().await.expect(200);
    }
    post("/v1/interop/check", json!({ "products": [] })).await.expect(200);
}

/// What the hub has said to its database, once each.
fn said(world: &World) -> BTreeSet<String> {
    let calls = world.hub.host_calls();
    calls.into_iter().filter(|call| call.kind == host::Kind::Sql).map(|call| call.detail).collect()
}

/// What service brokers make the hub say: what they offer, an instance and bindings from their beginnings to their ends, and one that
/// is cleaned up after. And what the customer's own people make it say of it, whose access levels count.
fn brokers() -> BTreeSet<String> {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let shop = &stall.shop;
        let send = async |by: &Actor, method: &str, path: &str, body: serde_json::Value| {
            let call = world.call(method.parse().unwrap(), path).by(by).header("if-match", "*");
            if method == "GET" { call.send().await } else { call.json(&body).send().await }
        };
        let customers = format!("/v1/access-levels/{}", shop.customer);
        let all = json!({ "level": "MANAGE", "services": [{ "serviceId": stall.service, "level": "MANAGE" }] });
        send(&shop.admin, "PUT", &customers, all.clone()).await.expect(200);
        let admin = world.member(&shop.admin, &shop.customer, "a@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        send(&admin.actor, "PUT", &format!("{customers}/people/{}", admin.id), all).await.expect(200);
        let issue = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
        let token = send(&admin.actor, "POST", "/v1/api-tokens", issue).await.expect(201).text("/apiToken");
        let token = world.sign_in(&token, &shop.customer).await;
        for path in [customers.clone(), format!("{customers}/people"), "/v1/me/access-levels".into(), "/v1/subscriptions".into()]
        {
            send(&admin.actor, "GET", &path, json!({})).await.expect(200);
        }
        send(&token, "GET", "/v1/me/access-levels", json!({})).await.expect(200);

        let endpoint = json!({ "displayName": "one", "kind": "VCD", "url": "https://one.example", "region": "x" });
        let endpoint = send(&shop.admin, "POST", "/v1/cloud-endpoints", endpoint).await.expect(201).header("location").to_owned();
        let ground = "dtc_01h455vb4pex5vsknk084sn02q";
        let stands = json!({ "dataCenterId": ground, "environmentId": "env_01h455vb4pex5vsknk084sn02q" });
        send(&shop.admin, "PATCH", &endpoint, stands).await.expect(422);
        send(&shop.admin, "PATCH", &endpoint, json!({ "region": "y" })).await.expect(200);
        let to = json!({ "organizationId": shop.customer });
        send(&shop.admin, "POST", &format!("{endpoint}/assignments"), to).await.expect(201);
        for path in
            ["/v1/cloud-endpoints".into(), endpoint.clone(), format!("{endpoint}/access"), format!("{endpoint}/assignments")]
        {
            for by in [&shop.admin, &admin.actor, &token] {
                send(by, "GET", &path, json!({})).await.expect(200);
            }
        }
        send(&shop.admin, "DELETE", &format!("{endpoint}/assignments/{}", shop.customer), json!({})).await.expect(204);
        send(&shop.admin, "DELETE", &endpoint, json!({})).await.expect(204);

        // What the broker fails at is deleted there.
        stall.broker.asynchronous(1);
        stall.broker.fails();
        let lost = stall.subscribe(&world).await.unwrap();
        lost.expect(202);
        run_out(&world).await;
        let order = json!({
            "organizationId": shop.customer, "serviceId": stall.service, "planCode": "small", "quantity": "1", "properties": { "size": 3 }
        });
        let had = send(&shop.admin, "POST", "/v1/subscriptions", order).await.expect(202).text("/subscriptionId");
        run_out(&world).await;
        // As if its plan had terms.
        let renewal = "INSERT INTO renewals (subscription_id, organization_id, months, anchor_at, months_done, starts_at, ends_at, renewal_preference, version, created_at, updated_at)
            VALUES (?1, ?2, 12, 1795262400000, 12, 1795262400000, 1826798400000, 'AUTO', 1, 0, 0)";
        world.database().execute(renewal, [&had, &shop.customer]).unwrap();
        let path = format!("/v1/subscriptions/{had}");
        for path in [format!("{path}/renewal"), "/v1/renewals".into(), "/v1/tasks".into(), path.clone()] {
            send(&admin.actor, "GET", &path, json!({})).await.expect(200);
        }
        let task = send(&admin.actor, "GET", &path, json!({})).await.text("/taskId");
        for path in [format!("/v1/tasks/{task}"), format!("/v1/tasks/{task}/request")] {
            send(&admin.actor, "GET", &path, json!({})).await.expect(200);
        }
        send(&admin.actor, "PUT", &format!("{path}/renewal"), json!({ "renewalPreference": "CANCEL" })).await.expect(200);
        for name in ["one", "two"] {
            let new = json!({ "subscriptionId": had, "name": name, "parameters": { "secret": "x" } });
            send(&admin.actor, "POST", "/v1/service-bindings", new).await.expect(202);
            run_out(&world).await;
        }
        let listed = send(&admin.actor, "GET", "/v1/service-bindings", json!({})).await;
        let binding = format!("/v1/service-bindings/{}", listed.expect(200).text("/items/0/id"));
        send(&admin.actor, "GET", &format!("{binding}/credentials"), json!({})).await.expect(200);
        send(&admin.actor, "DELETE", &binding, json!({})).await.expect(202);
        run_out(&world).await;
        send(&admin.actor, "PATCH", &path, json!({ "properties": { "size": 4 } })).await.expect(202);
        run_out(&world).await;
        send(&admin.actor, "POST", &format!("{path}/terminate"), json!({})).await.expect(202);
        run_out(&world).await;
        assert!(stall.broker.instances().is_empty() && stall.broker.bindings() == 0);

        let retire = format!("/v1/services/{}", stall.service);
        let operator = again(&world, &shop.operator).await;
        send(&operator, "GET", "/v1/service-brokers", json!({})).await.expect(200);
        send(&operator, "PATCH", &stall.path, json!({ "displayName": "B" })).await.expect(200);
        let moved = json!({ "baseUrl": "https://broker.example/other", "bearerToken": "x" });
        send(&operator, "PATCH", &stall.path, moved).await.expect(200);
        send(&operator, "DELETE", &stall.path, json!({})).await.expect(409);
        for what in ["deprecate", "retire"] {
            send(&operator, "POST", &format!("{retire}/{what}"), json!({})).await.expect(200);
        }
        send(&operator, "DELETE", &stall.path, json!({})).await.expect(204);
        said(&world)
    })
}

/// Whatever access, sign-in and federation say.
async fn people_and_machines_come_and_go(world: &World, operator: &Actor, customer: &str) {
    let body = json!({ "name": "x", "organizationId": customer, "roles": ["CUSTOMER_USER"] });
    for list in ["api-tokens", "apps"] {
        let owner = world.actor(operator, customer, "CUSTOMER_ADMINISTRATOR").await;
        let made = world.post(&format!("/v1/{list}"), body.clone()).by(&owner).send().await;
        let path = made.expect(201).header("location").to_owned();
        world.get(&format!("/v1/{list}?limit=1")).by(operator).send().await.expect(200);
        world.post(&format!("{path}/regenerate"), json!({})).by(operator).send().await.expect(200);
        let owner_id = world.get("/v1/me").by(&owner).send().await.text("/principalId");
        world.delete(&format!("/v1/api-tokens/{owner_id}")).by(operator).send().await.expect(204);
        world.get(&path).by(operator).send().await.expect(404);
    }
    let app = world.post("/v1/apps", body).by(operator).send().await;
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", app.text("/id"), app.text("/clientSecret"));
    world.call(Method::POST, "/v1/oauth/token").body("application/x-www-form-urlencoded", form).send().await.expect(200);
    let (email, password) = ("ada@example.com", "correct horse battery staple");
    let person = world.somebody(email, &[("CUSTOMER_USER", customer)]);
    world.set_password(operator, &person, password).await;
    for _ in 0..6 {
        world.try_password(email, "wrong").await;
    }
    world.hub.clock().advance(std::time::Duration::from_secs(1)).await;
    let session = world.try_password(email, password).await;
    let session = world.post("/v1/access-tokens", json!({ "refreshToken": session.text("/refreshToken") })).send().await;
    let token = session.expect(201).text("/accessToken");
    world.post("/v1/access-tokens", json!({ "refreshToken": "hubrt_a.b" })).send().await.expect(401);
    let home = json!({ "defaultOrganizationId": customer });
    world.patch("/v1/me", home).bearer(&token).header("if-match", "*").send().await.expect(200);
    let change = json!({ "currentPassword": password, "newPassword": "another password" });
    world.call(Method::PUT, "/v1/sign-in/password").json(&change).bearer(&token).send().await.expect(204);
    world.delete("/v1/access-tokens/current").bearer(&token).send().await.expect(204);
    let idp = Idp::new(world);
    let provider = trust(world, operator, customer, json!({})).await;
    sign_in(world, &idp, &provider, json!({})).await.expect(201);
    let path = format!("/v1/identity-providers/{provider}");
    world.get("/v1/identity-providers").by(operator).send().await.expect(200);
    world.patch(&path, json!({ "name": "Y" })).by(operator).header("if-match", "*").send().await.expect(200);
    world.delete(&path).by(operator).send().await.expect(204);
}

/// Run by `cargo xtask test postgres`, which installs and starts one and sets `PSQL` to how it is reached.
#[test]
#[ignore = "needs a PostgreSQL: cargo xtask test postgres"]
fn postgresql_takes_every_migration_and_every_statement() {
    let psql = std::env::var("PSQL").expect("PSQL says how to reach a PostgreSQL: run cargo xtask test postgres");
    // What concerns the file or the transaction itself is the connection's, and each kind has its own. What migrations say is said
    // whole and in order.
    let migrated: BTreeSet<String> = MIGRATIONS.iter().flat_map(|migration| migration.statements()).collect();
    let own = |sql: &str| {
        migrated.contains(sql.trim())
            || ["PRAGMA", "SELECT sqlite_version", "BEGIN", "COMMIT", "ROLLBACK", "CREATE"]
                .iter()
                .any(|word| sql.trim_start().starts_with(word))
    };
    let mut script = String::from("CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL);\n");
    for migration in MIGRATIONS {
        for statement in migration.statements() {
            script += &format!("{statement};\n");
        }
    }
    let mut count = 0;
    let mut all = statements();
    all.extend(brokers());
    for statement in all.iter().filter(|sql| !own(sql) && !sql.contains("CREATE ")) {
        count += 1;
        script += &format!("PREPARE statement_{count} AS {};\n", statement.replace('?', "$"));
    }
    assert!(count > 380, "only {count} statements were seen");
    let mut words = psql.split(' ');
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--single-transaction"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql runs");
    // It reads no further than a statement that it refuses, which is told below.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    let output = child.wait_with_output().unwrap();
    let line = |error: &str| -> Option<String> {
        let number: usize = error.split("<stdin>:").nth(1)?.split(':').next()?.parse().ok()?;
        script.lines().nth(number - 1).map(str::to_owned)
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", line(&errors).unwrap_or_default());
    println!("PostgreSQL took {} migrations and {count} statements", MIGRATIONS.len());
}

#[test]
fn many_statements_are_seen() {
    assert!(statements().len() > 100);
    let said = brokers();
    for table in ["broker_resources", "broker_plans", "service_bindings", "access_levels", "cloud_endpoint_assignments"] {
        let of = |word: &str| said.iter().any(|sql| sql.contains(table) && sql.trim_start().starts_with(word));
        assert!(of("SELECT") && (of("INSERT") || of("UPDATE")), "{table}");
    }
}
