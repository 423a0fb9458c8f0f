//! Access levels: the provider says up to what a customer uses its services, the customer's administrator the same of its people,
//! and the lower of the two holds, wherever subscriptions and what belongs to them are read or changed.

use crate::{
    provisioning_service_brokers_support::Stall,
    provisioning_support::{subscribe, task},
};
use domain::{access_level::AccessLevel, role::Permissions};
use http::Method;
use serde_json::{Value, json};
use tests::{Actor, Answer, Person, Shop, World, simulated};

/// A customer that has two services, with people in it.
struct Ground {
    world: World,
    shop: Shop,
    admin: Person,
    user: Person,
    /// Its subscription to the one service.
    builtin: String,
    /// To the other.
    manual: String,
}

impl Ground {
    async fn new() -> Self {
        let world = World::new().await;
        let shop = world.shop().await;
        let admin = world.member(&shop.admin, &shop.customer, "admin@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await;
        // Ids of one instant are in no order.
        world.hub.clock().advance(std::time::Duration::from_millis(5)).await;
        let user = world.member(&admin.actor, &shop.customer, "user@fabrikam.example", &["CUSTOMER_USER"]).await;
        let builtin = subscribe(&world, &shop, &shop.builtin).send().await.expect(202).text("/subscriptionId");
        world.hub.clock().advance(std::time::Duration::from_millis(5)).await;
        let manual = subscribe(&world, &shop, &shop.manual).send().await.expect(202).text("/subscriptionId");
        world.settle().await;
        Self { world, shop, admin, user, builtin, manual }
    }

    async fn say_of_customer(&self, said: Value) -> Answer {
        let path = format!("/v1/access-levels/{}", self.shop.customer);
        self.world.put(&path, said).by(&self.shop.admin).header("if-match", "*").send().await
    }

    async fn say_of(&self, person: &Person, said: Value) -> Answer {
        let path = format!("/v1/access-levels/{}/people/{}", self.shop.customer, person.id);
        self.world.put(&path, said).by(&self.admin.actor).header("if-match", "*").send().await
    }

    async fn seen(&self, by: &Actor) -> Vec<String> {
        let listed = self.world.get("/v1/subscriptions").by(by).send().await.expect(200).at("/items");
        listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn ask(&self, by: &Actor, method: &str, path: &str, body: Value) -> Answer {
        let method: Method = method.parse().unwrap();
        let call = self.world.call(method.clone(), path).by(by).header("if-match", "*");
        if method == Method::GET { call.send().await } else { call.json(&body).send().await }
    }
}

#[test]
fn where_nothing_is_said_roles_decide_and_the_levels_say_so() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, customer) = (&ground.world, &ground.shop.customer);
        let own = world.get(&format!("/v1/access-levels/{customer}")).by(&ground.user.actor).send().await;
        assert_eq!((own.expect(200).header("etag"), own.at("/level"), own.at("/updatedAt")), ("\"0\"", Value::Null, Value::Null));
        assert_eq!(own.at("/effective"), json!({ "level": "USE", "services": [] }));
        for (person, level) in [(&ground.admin, "USE"), (&ground.user, "VIEW")] {
            let mine = world.get("/v1/me/access-levels").by(&person.actor).send().await;
            assert_eq!(mine.expect(200).json(), json!({ "organizationId": customer, "level": level, "services": [] }));
            let path = format!("/v1/access-levels/{customer}/people/{}", person.id);
            let shown = world.get(&path).by(&ground.admin.actor).send().await;
            assert_eq!(shown.expect(200).at("/effective/level"), level);
            assert_eq!(ground.seen(&person.actor).await, [ground.builtin.clone(), ground.manual.clone()]);
        }
        let provider = world.get("/v1/me/access-levels").by(&ground.shop.admin).send().await;
        assert_eq!(provider.expect(200).at("/level"), "MANAGE");
        let listed = world.get(&format!("/v1/access-levels/{customer}/people")).by(&ground.admin.actor).send().await;
        assert_eq!(listed.expect(200).at("/items"), json!([]));
        let change = ground
            .ask(&ground.admin.actor, "PATCH", &format!("/v1/subscriptions/{}", ground.builtin), json!({ "quantity": "2" }))
            .await;
        change.expect_problem(403, "permission_missing");
    });
}

#[test]
fn a_service_that_somebody_is_not_to_use_is_not_there_for_them() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, user) = (&ground.world, &ground.user.actor);
        let of_task = |answer: &Answer| {
            answer.at("/items").as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let tasks = of_task(world.get("/v1/tasks").by(user).send().await.expect(200));
        assert_eq!(tasks.len(), 2);
        // As if its plan had terms.
        let renewal = "INSERT INTO renewals (subscription_id, organization_id, months, anchor_at, months_done, starts_at, ends_at, renewal_preference, version, created_at, updated_at)
            VALUES (?1, ?2, 12, 1795262400000, 12, 1795262400000, 1826798400000, 'AUTO', 1, 0, 0)";
        world.database().execute(renewal, [&ground.builtin, &ground.shop.customer]).unwrap();
        let paths = [
            format!("/v1/subscriptions/{}", ground.builtin),
            format!("/v1/subscriptions/{}/renewal", ground.builtin),
            format!("/v1/tasks/{}", tasks[0]),
            format!("/v1/tasks/{}/request", tasks[0]),
        ];
        for path in &paths {
            world.get(path).by(user).send().await.expect(200);
        }
        ground
            .say_of(&ground.user, json!({ "services": [{ "serviceId": ground.shop.builtin, "level": "NONE" }] }))
            .await
            .expect(200);
        assert_eq!(ground.seen(user).await, std::slice::from_ref(&ground.manual));
        assert_eq!(of_task(world.get("/v1/tasks").by(user).send().await.expect(200)), std::slice::from_ref(&tasks[1]));
        assert_eq!(world.get("/v1/renewals").by(user).send().await.expect(200).at("/items"), json!([]));
        for path in &paths {
            // Word for word as what does not exist.
            let other = ["sub_01h455vb4pex5vsknk084sn02q", "task_01h455vb4pex5vsknk084sn02q"];
            let missing = path.replace(&ground.builtin, other[0]).replace(&tasks[0], other[1]);
            let (hidden, missing) = (world.get(path).by(user).send().await, world.get(&missing).by(user).send().await);
            assert_eq!((hidden.status(), hidden.text("/code")), (404, missing.text("/code")), "{path}");
            let plain = |answer: &Answer| {
                let detail = answer.text("/detail");
                [&ground.builtin, &tasks[0], other[0], other[1]].iter().fold(detail, |detail, id| detail.replace(*id, "it"))
            };
            assert_eq!(plain(&hidden), plain(&missing));
        }
        // Others are not touched by it, nor is the provider, wherever it acts.
        assert_eq!(ground.seen(&ground.admin.actor).await.len(), 2);
        world.let_in(&ground.admin.actor, &ground.shop.customer, &ground.shop.admin).await;
        let inside = world.get("/v1/subscriptions").by(&ground.shop.admin).acting_in(&ground.shop.customer).send().await;
        assert_eq!(inside.expect(200).at("/items").as_array().unwrap().len(), 2);
        // The provider takes it from all of them, and gives it back.
        ground.say_of_customer(json!({ "level": "NONE" })).await.expect(200);
        assert!(ground.seen(&ground.admin.actor).await.is_empty() && ground.seen(user).await.is_empty());
        let inside = world.get("/v1/subscriptions").by(&ground.shop.admin).acting_in(&ground.shop.customer).send().await;
        assert_eq!(inside.expect(200).at("/items").as_array().unwrap().len(), 2);
        assert_eq!(ground.seen(&ground.shop.admin).await.len(), 2);
        ground.say_of_customer(json!({})).await.expect(200);
        assert_eq!(ground.seen(user).await, std::slice::from_ref(&ground.manual));
    });
}

#[test]
fn who_manages_a_service_changes_it_and_nothing_else() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, user) = (&ground.world, &ground.user.actor);
        let path = format!("/v1/subscriptions/{}", ground.builtin);
        let more = json!({ "quantity": "7" });
        // It is the provider's to give.
        let refused = ground.say_of(&ground.user, json!({ "level": "MANAGE" })).await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(refused.text("/errors/0/pointer"), "/level");
        let managing = json!({ "services": [{ "serviceId": ground.shop.builtin, "level": "MANAGE" }] });
        ground.say_of_customer(managing.clone()).await.expect(200);
        // Given to the customer it is nobody's yet.
        ground.ask(user, "PATCH", &path, more.clone()).await.expect_problem(403, "permission_missing");
        let said = ground.say_of(&ground.user, managing.clone()).await;
        assert_eq!(said.expect(200).at("/effective"), json!({ "level": "VIEW", "services": managing["services"] }));
        ground.ask(user, "PATCH", &path, more.clone()).await.expect(202);
        world.settle().await;
        let now = world.get(&path).by(user).send().await;
        assert_eq!((now.text("/quantity"), now.text("/status")), ("7".into(), "ACTIVE".into()));
        for (what, status) in [("suspend", "SUSPENDED"), ("resume", "ACTIVE")] {
            let asked = ground.ask(user, "POST", &format!("{path}/{what}"), json!({})).await;
            asked.expect(202);
            world.settle().await;
            assert_eq!(task(world, &ground.shop.admin, &asked).await["status"], "SUCCESS");
            assert_eq!(world.get(&path).by(user).send().await.text("/status"), status);
        }
        // Of the other service they only see what the customer has.
        let other = format!("/v1/subscriptions/{}", ground.manual);
        world.get(&other).by(user).send().await.expect(200);
        for (method, path, body) in [
            ("PATCH", other.clone(), more.clone()),
            ("POST", format!("{other}/suspend"), json!({})),
            ("POST", format!("{other}/terminate"), json!({})),
        ] {
            ground.ask(user, method, &path, body).await.expect_problem(403, "access_level_too_low");
        }
        // Nor do they get the customer anything new, or say anything of its tasks.
        let order = json!({ "organizationId": ground.shop.customer, "serviceId": ground.shop.builtin, "quantity": "1" });
        ground.ask(user, "POST", "/v1/subscriptions", order).await.expect_problem(403, "permission_missing");
        let tasks = world.get("/v1/tasks").by(user).send().await.text("/items/0/id");
        ground.ask(user, "POST", &format!("/v1/tasks/{tasks}/cancel"), json!({})).await.expect_problem(403, "permission_missing");
        // The administrator did not say it of themselves.
        ground
            .ask(&ground.admin.actor, "PATCH", &path, json!({ "quantity": "8" }))
            .await
            .expect_problem(403, "permission_missing");
        // What the customer loses its people do, with the next request.
        ground.say_of_customer(json!({ "level": "USE" })).await.expect(200);
        ground.ask(user, "PATCH", &path, json!({ "quantity": "8" })).await.expect_problem(403, "access_level_too_low");
        ground.say_of_customer(managing).await.expect(200);
        ground.ask(user, "POST", &format!("{path}/terminate"), json!({})).await.expect(202);
        world.settle().await;
        assert_eq!(world.get(&path).by(user).send().await.text("/status"), "TERMINATED");
    });
}

/// Who manages a service by a level asks as one by a role does, and is asked about again when it is begun.
#[test]
fn what_is_asked_by_a_level_is_approved_and_begun_by_that_level() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, user, admin) = (&ground.world, &ground.user.actor, &ground.admin.actor);
        let path = format!("/v1/subscriptions/{}", ground.builtin);
        let managing = json!({ "services": [{ "serviceId": ground.shop.builtin, "level": "MANAGE" }] });
        ground.say_of_customer(managing.clone()).await.expect(200);
        ground.say_of(&ground.user, managing.clone()).await.expect(200);
        let policy = format!("/v1/approval-policies/{}", ground.shop.customer);
        let rules = json!({ "rules": [{ "action": "CHANGE" }] });
        world.put(&policy, rules).by(admin).header("if-match", "*").send().await.expect(200);
        let asked = async |quantity: &str| {
            let asked = ground.ask(user, "PATCH", &path, json!({ "quantity": quantity })).await;
            assert_eq!(asked.expect(202).text("/status"), "PENDING");
            format!("/v1/approvals/{}", asked.text("/id"))
        };
        let decided = async |by: &Actor, approval: &str, word: &str| {
            world.post(&format!("{approval}/{word}"), json!({})).by(by).send().await.expect(200);
            world.settle().await;
            world.get(approval).by(admin).send().await
        };
        assert_eq!(decided(admin, &asked("7").await, "approve").await.text("/status"), "BEGUN");
        assert_eq!(world.get(&path).by(user).send().await.text("/quantity"), "7");
        // They take back what they asked for.
        assert_eq!(decided(user, &asked("8").await, "withdraw").await.text("/status"), "WITHDRAWN");
        // Who sees nothing of the service sees nothing that is asked of it, and takes nothing back.
        let approval = asked("9").await;
        ground
            .say_of(&ground.user, json!({ "services": [{ "serviceId": ground.shop.builtin, "level": "NONE" }] }))
            .await
            .expect(200);
        world.get(&approval).by(user).send().await.expect_problem(404, "approval_not_found");
        assert_eq!(world.get("/v1/approvals").by(user).send().await.expect(200).at("/items"), json!([]));
        ground.say_of(&ground.user, json!({ "level": "VIEW" })).await.expect(200);
        world.get(&approval).by(user).send().await.expect(200);
        world.post(&format!("{approval}/withdraw"), json!({})).by(user).send().await.expect_problem(403, "permission_missing");
        // Nor is it begun for them any more.
        let failed = decided(admin, &approval, "approve").await;
        assert_eq!(failed.text("/status"), "FAILED");
        assert!(failed.text("/message").contains("may not ask for it any more"), "{}", failed.json());
        assert_eq!(world.get(&path).by(admin).send().await.text("/quantity"), "7");
    });
}

/// Makes somebody order for the customer: its administrator gives the role where the provider has said that the customer manages what it
/// has, and the provider gives it to nobody there. Of the customer nothing is said afterwards.
async fn operations(world: &World, shop: &Shop, admin: &Actor) -> Person {
    let invite = |by: &Actor| {
        let people = json!([{ "email": "ops@fabrikam.example" }]);
        let body = json!({ "organizationId": shop.customer, "roles": ["CUSTOMER_OPERATIONS_ADMINISTRATOR"], "people": people });
        world.post("/v1/members", body).by(by).send()
    };
    invite(&shop.admin).await.expect_problem(403, "customer_decides");
    invite(admin).await.expect_problem(403, "role_above_own");
    let say = async |said: Value| {
        let path = format!("/v1/access-levels/{}", shop.customer);
        world.put(&path, said).by(&shop.admin).header("if-match", "*").send().await.expect(200);
    };
    say(json!({ "level": "USE" })).await;
    invite(admin).await.expect_problem(403, "role_above_own");
    say(json!({ "level": "MANAGE" })).await;
    let person = world.member(admin, &shop.customer, "ops@fabrikam.example", &["CUSTOMER_OPERATIONS_ADMINISTRATOR"]).await;
    say(json!({})).await;
    person
}

/// A role that the provider granted is lowered only by what is said.
#[test]
fn a_role_that_manages_is_lowered_only_by_what_is_said() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let operator = operations(world, shop, &ground.admin.actor).await;
        let path = format!("/v1/subscriptions/{}", ground.builtin);
        let change = async |quantity: &str| {
            let changed = ground.ask(&operator.actor, "PATCH", &path, json!({ "quantity": quantity })).await;
            world.settle().await;
            changed
        };
        change("7").await.expect(202);
        let own = world.get("/v1/me/access-levels").by(&operator.actor).send().await;
        assert_eq!(own.expect(200).at("/level"), "MANAGE");
        ground.say_of_customer(json!({ "level": "USE" })).await.expect(200);
        change("8").await.expect_problem(403, "access_level_too_low");
        ground.say_of_customer(json!({ "level": "MANAGE" })).await.expect(200);
        change("8").await.expect(202);
        ground.say_of(&operator, json!({ "level": "VIEW" })).await.expect(200);
        change("9").await.expect_problem(403, "access_level_too_low");
        ground.say_of(&operator, json!({})).await.expect(200);
        change("9").await.expect(202);
        assert_eq!(world.get(&path).by(&operator.actor).send().await.text("/quantity"), "9");
    });
}

#[test]
fn credentials_and_bindings_take_the_level_for_them() {
    simulated(|| async {
        let world = World::new().await;
        let stall = Stall::new(&world).await;
        let (shop, service) = (&stall.shop, stall.service.clone());
        let admin = world.member(&shop.admin, &shop.customer, "admin@fabrikam.example", &["CUSTOMER_ADMINISTRATOR"]).await.actor;
        let user = world.member(&admin, &shop.customer, "user@fabrikam.example", &["CUSTOMER_USER"]).await;
        let operations = operations(&world, shop, &admin).await.actor;
        let subscription = stall.subscribed(&world).await;
        stall.bind(&world, &subscription, "app").await.expect(202);
        world.settle().await;
        let bindings = world.get("/v1/service-bindings").by(&user.actor).send().await;
        let path = format!("/v1/service-bindings/{}", bindings.expect(200).text("/items/0/id"));
        let credentials = format!("{path}/credentials");
        let say = async |who: &str, by: &Actor, level: &str| {
            let path = format!("/v1/access-levels/{}{who}", shop.customer);
            let said = json!({ "services": [{ "serviceId": service, "level": level }] });
            world.put(&path, said).by(by).header("if-match", "*").send().await.expect(200);
        };
        let people = format!("/people/{}", user.id);
        // Who manages it by a role uses it too, as the levels say of them.
        for (by, level) in [(&admin, "USE"), (&operations, "MANAGE")] {
            assert_eq!(world.get("/v1/me/access-levels").by(by).send().await.expect(200).at("/level"), level);
            world.get(&credentials).by(by).send().await.expect(200);
        }
        world.get(&credentials).by(&user.actor).send().await.expect_problem(403, "permission_missing");
        say(&people, &admin, "USE").await;
        assert!(world.get(&credentials).by(&user.actor).send().await.expect(200).at("/credentials").is_object());
        world.delete(&path).by(&user.actor).send().await.expect_problem(403, "permission_missing");
        say("", &shop.admin, "VIEW").await;
        for by in [&admin, &operations, &user.actor] {
            world.get(&credentials).by(by).send().await.expect_problem(403, "access_level_too_low");
            world.get(&path).by(by).send().await.expect(200);
        }
        say("", &shop.admin, "NONE").await;
        for path in [&path, &credentials] {
            world.get(path).by(&admin).send().await.expect_problem(404, "service_binding_not_found");
        }
        assert_eq!(world.get("/v1/service-bindings").by(&admin).send().await.expect(200).at("/items"), json!([]));
        say("", &shop.admin, "MANAGE").await;
        let new = json!({ "subscriptionId": subscription, "name": "other" });
        world.post("/v1/service-bindings", new.clone()).by(&user.actor).send().await.expect_problem(403, "permission_missing");
        say(&people, &admin, "MANAGE").await;
        world.post("/v1/service-bindings", new).by(&user.actor).header("prefer", "wait=5").send().await.expect(200);
        assert_eq!(stall.broker.bindings(), 2);
        world.delete(&path).by(&user.actor).header("prefer", "wait=5").send().await.expect(200);
        assert_eq!(stall.broker.bindings(), 1);
    });
}

#[test]
fn cloud_endpoints_take_the_level_for_all_services() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, user) = (&ground.world, &ground.user.actor);
        let new = json!({ "displayName": "one", "kind": "VCD", "url": "https://one.example", "region": "x" });
        let path =
            world.post("/v1/cloud-endpoints", new).by(&ground.shop.admin).send().await.expect(201).header("location").to_owned();
        let assign = json!({ "organizationId": ground.shop.customer });
        world.post(&format!("{path}/assignments"), assign).by(&ground.shop.admin).send().await.expect(201);
        let access = format!("{path}/access");
        world.get(&access).by(user).send().await.expect(200);
        ground.say_of(&ground.user, json!({ "level": "VIEW" })).await.expect(200);
        world.get(&path).by(user).send().await.expect(200);
        world.get(&access).by(user).send().await.expect_problem(403, "access_level_too_low");
        ground.say_of(&ground.user, json!({ "level": "NONE" })).await.expect(200);
        for path in [&path, &access, &format!("{path}/assignments")] {
            world.get(path).by(user).send().await.expect_problem(404, "cloud_endpoint_not_found");
        }
        assert_eq!(world.get("/v1/cloud-endpoints").by(user).send().await.expect(200).at("/items"), json!([]));
        // What is said of a service is said of that alone.
        ground
            .say_of(&ground.user, json!({ "services": [{ "serviceId": ground.shop.builtin, "level": "NONE" }] }))
            .await
            .expect(200);
        world.get(&access).by(user).send().await.expect(200);
        ground.say_of_customer(json!({ "level": "VIEW" })).await.expect(200);
        world.get(&access).by(&ground.admin.actor).send().await.expect_problem(403, "access_level_too_low");
    });
}

#[test]
fn levels_are_said_by_those_who_may_and_within_bounds() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let path = format!("/v1/access-levels/{}", shop.customer);
        let of_user = format!("{path}/people/{}", ground.user.id);
        let said = json!({ "level": "VIEW", "services": [{ "serviceId": shop.builtin, "level": "USE" }] });
        // Nobody says it of their own customer, and users not of each other.
        let put = async |path: &str, body: &Value, by: &Actor, etag: &str| {
            world.put(path, body.clone()).by(by).header("if-match", etag).send().await
        };
        put(&path, &said, &ground.admin.actor, "*").await.expect_problem(403, "permission_missing");
        world.let_in(&ground.admin.actor, &shop.customer, &shop.admin).await;
        let inside =
            world.put(&path, said.clone()).by(&shop.admin).acting_in(&shop.customer).header("if-match", "*").send().await;
        inside.expect_problem(403, "decided_from_above");
        put(&of_user, &said, &ground.user.actor, "*").await.expect_problem(403, "permission_missing");
        world.get(&of_user).by(&ground.user.actor).send().await.expect_problem(403, "permission_missing");
        world.put(&path, said.clone()).by(&shop.admin).send().await.expect_problem(428, "if_match_required");
        // Another provider's are not there.
        let theirs = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
        let other = world.actor(&shop.operator, &theirs, "PROVIDER_ADMINISTRATOR").await;
        put(&path, &said, &other, "*").await.expect_problem(404, "organization_not_found");
        put(&of_user, &said, &other, "*").await.expect_problem(404, "member_not_found");
        world.get(&path).by(&other).send().await.expect_problem(404, "organization_not_found");
        world.get(&format!("{path}/people")).by(&other).send().await.expect_problem(404, "organization_not_found");
        let own = format!("/v1/access-levels/{}", shop.provider);
        put(&own, &said, &shop.operator, "*").await.expect_problem(409, "not_a_customer");
        world.get(&own).by(&shop.admin).send().await.expect_problem(409, "not_a_customer");
        let stranger = world.somebody("stranger@example.com", &[]);
        put(&format!("{path}/people/{stranger}"), &said, &ground.admin.actor, "*").await.expect_problem(404, "member_not_found");

        let before = world.dump();
        let draft =
            json!({ "code": "draft", "displayName": "D", "productFamily": "MSP", "driver": "BUILTIN", "status": "DRAFT" });
        let draft = world.post("/v1/services", draft).by(&shop.operator).send().await.expect(201).text("/id");
        let drafted = world.dump();
        assert_ne!(before, drafted);
        for (body, pointer) in [
            (json!({ "level": "ALL" }), "/level"),
            (json!({ "bakery": 1 }), "/bakery"),
            (json!({ "services": [{ "serviceId": "svc_01h455vb4pex5vsknk084sn02q", "level": "USE" }] }), "/services/0/serviceId"),
            (json!({ "services": [{ "serviceId": draft, "level": "USE" }] }), "/services/0/serviceId"),
            (
                json!({ "services": [said["services"][0], { "serviceId": shop.builtin, "level": "VIEW" }] }),
                "/services/1/serviceId",
            ),
            (json!({ "services": [{ "serviceId": shop.builtin, "level": "MANAGE" }] }), "/services/0/level"),
        ] {
            let refused = put(&of_user, &body, &ground.admin.actor, "*").await;
            refused.expect_problem(422, "invalid_request");
            assert_eq!(refused.text("/errors/0/pointer"), pointer, "{}", refused.json());
        }
        assert_eq!(world.dump(), drafted);

        let first = world.put(&of_user, said.clone()).by(&ground.admin.actor).header("if-match", "\"0\"").key("k").send().await;
        assert_eq!((first.expect(200).header("etag"), first.at("/services")), ("\"1\"", said["services"].clone()));
        let again = world.put(&of_user, said.clone()).by(&ground.admin.actor).header("if-match", "\"0\"").key("k").send().await;
        assert_eq!((again.expect(200).json(), again.header("idempotency-replayed")), (first.json(), "true"));
        put(&of_user, &said, &ground.admin.actor, "\"0\"").await.expect_problem(412, "stale");
        put(&of_user, &json!({ "level": "NONE" }), &shop.admin, "\"1\"").await.expect_problem(403, "customer_decides");
        put(&of_user, &json!({ "level": "NONE" }), &ground.admin.actor, "\"1\"").await.expect(200);
        let shown = world.get(&of_user).by(&ground.admin.actor).send().await;
        assert_eq!((shown.at("/level"), shown.at("/services"), shown.header("etag")), (json!("NONE"), json!([]), "\"2\""));
        ground.say_of(&ground.admin, said.clone()).await.expect(200);
        let people = format!("{path}/people");
        let listed = world.get(&format!("{people}?limit=1")).by(&ground.admin.actor).send().await;
        assert_eq!(
            (listed.expect(200).text("/items/0/personId"), listed.at("/items/0/services")),
            (ground.admin.id.clone(), json!(1))
        );
        let next = world.get(&format!("{people}?cursor={}", listed.text("/nextCursor"))).by(&ground.admin.actor).send().await;
        assert_eq!((next.text("/items/0/personId"), next.text("/items/0/level")), (ground.user.id.clone(), "NONE".into()));
        let entries = world.get("/v1/audit-entries?action=access_levels.put_person").by(&ground.admin.actor).send().await;
        assert_eq!(entries.expect(200).at("/items/1/details/level"), json!({ "from": "VIEW", "to": "NONE" }));
    });
}

#[test]
fn a_machine_does_no_more_than_its_owner_and_a_member_who_goes_leaves_nothing() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let issue = json!({ "name": "x", "organizationId": shop.customer, "roles": ["CUSTOMER_ADMINISTRATOR"] });
        let token = world.post("/v1/api-tokens", issue).by(&ground.admin.actor).send().await.expect(201).text("/apiToken");
        let token = world.sign_in(&token, &shop.customer).await;
        // And one that is owned by that one.
        let issue = json!({ "name": "y", "organizationId": shop.customer, "roles": ["CUSTOMER_USER"] });
        let second = world.post("/v1/api-tokens", issue).by(&token).send().await.expect(201).text("/apiToken");
        let second = world.sign_in(&second, &shop.customer).await;
        assert_eq!((ground.seen(&token).await.len(), ground.seen(&second).await.len()), (2, 2));
        let none = json!({ "services": [{ "serviceId": shop.builtin, "level": "NONE" }] });
        ground.say_of(&ground.admin, none.clone()).await.expect(200);
        for machine in [&token, &second] {
            assert_eq!(ground.seen(machine).await, std::slice::from_ref(&ground.manual));
            let own = world.get("/v1/me/access-levels").by(machine).send().await;
            assert_eq!(own.expect(200).at("/services"), none["services"]);
        }
        // Of what its owner may, it has what its roles permit.
        ground.say_of_customer(json!({ "level": "MANAGE" })).await.expect(200);
        ground.say_of(&ground.admin, json!({ "level": "MANAGE" })).await.expect(200);
        let path = format!("/v1/subscriptions/{}", ground.builtin);
        ground.ask(&token, "PATCH", &path, json!({ "quantity": "2" })).await.expect_problem(403, "permission_missing");
        assert_eq!(world.get("/v1/me/access-levels").by(&second).send().await.at("/level"), "VIEW");
        ground.ask(&ground.admin.actor, "PATCH", &path, json!({ "quantity": "2" })).await.expect(202);

        ground.say_of(&ground.user, json!({ "level": "NONE" })).await.expect(200);
        world.delete(&format!("/v1/members/{}", ground.user.id)).by(&ground.admin.actor).send().await.expect(204);
        let left = format!("SELECT COUNT(*) FROM access_levels WHERE person_id = '{}'", ground.user.id);
        assert_eq!(world.count(&left), 0);
    });
}

#[test]
fn nothing_is_left_of_a_customer_that_is_removed() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let path = format!("/v1/access-levels/{}", shop.customer);
        world.put(&path, json!({ "level": "VIEW" })).by(&shop.admin).header("if-match", "*").send().await.expect(200);
        world.delete(&format!("/v1/organizations/{}", shop.customer)).by(&shop.admin).send().await.expect(204);
        assert_eq!(world.count("SELECT COUNT(*) FROM access_levels"), 0);
    });
}

/// The database comes to what the rule does, whatever was said.
#[test]
fn what_is_seen_is_what_the_rule_says() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, database) = (&ground.world, ground.world.database());
        let permitted = AccessLevel::permitted(Permissions::of([domain::Role::CustomerUser]));
        let all: Vec<Option<AccessLevel>> = [None].into_iter().chain(AccessLevel::ALL.iter().copied().map(Some)).collect();
        let mut cases = 0;
        for (index, choice) in
            (0..5usize.pow(4)).map(|number| [number / 125, number / 25 % 5, number / 5 % 5, number % 5]).enumerate()
        {
            // Every seventh of them, which meets each pair.
            if index % 7 != 0 {
                continue;
            }
            let [customer, customers_service, person, persons_service] = choice.map(|index| all[index]);
            database.execute("DELETE FROM access_levels", []).unwrap();
            for (who, service, level) in [
                ("", "", customer),
                ("", &*ground.shop.builtin, customers_service),
                (&*ground.user.id, "", person),
                (&*ground.user.id, &*ground.shop.builtin, persons_service),
            ] {
                if service.is_empty() || level.is_some() {
                    let sql = "INSERT INTO access_levels VALUES (?1, ?2, ?3, ?4, 1, 0)";
                    database.execute(sql, (&ground.shop.customer, who, service, level.map(|level| level as i64))).unwrap();
                }
            }
            let one = AccessLevel::effective(customers_service.or(customer), persons_service.or(person), permitted);
            let other = AccessLevel::effective(customer, person, permitted);
            let holds = [(one, &ground.builtin), (other, &ground.manual)];
            let expected: Vec<_> =
                holds.iter().filter(|(level, _)| *level >= AccessLevel::View).map(|(_, id)| (*id).clone()).collect();
            assert_eq!(ground.seen(&ground.user.actor).await, expected, "{choice:?}");
            let own = world.get("/v1/me/access-levels").by(&ground.user.actor).send().await;
            assert_eq!(own.at("/level"), json!(other), "{choice:?}");
            // What is needed for a change, and refused before anything is done for want of the body.
            for (level, id) in holds {
                let changed = ground.ask(&ground.user.actor, "PATCH", &format!("/v1/subscriptions/{id}"), json!({})).await;
                let given = [person, persons_service].contains(&Some(AccessLevel::Manage));
                let expected = match level {
                    _ if !given => "permission_missing",
                    AccessLevel::None => "subscription_not_found",
                    AccessLevel::Manage => "invalid_request",
                    _ => "access_level_too_low",
                };
                let code = changed.text("/code");
                // The other one is a manual service whose step waits: it is still being provisioned.
                let code = if code == "subscription_status" { "invalid_request".into() } else { code };
                assert_eq!(code, expected, "{choice:?} {level}");
            }
            cases += 1;
        }
        assert!(cases > 80);
    });
}

/// What cannot be seen cannot be ordered, approved or taken back.
#[test]
fn a_hidden_service_is_neither_ordered_nor_approved() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let operations = operations(world, shop, &ground.admin.actor).await;
        let order = async |service: &str| {
            let body = json!({ "organizationId": shop.customer, "serviceId": service, "quantity": "1" });
            world.post("/v1/subscriptions", body).by(&operations.actor).send().await
        };
        let policy = format!("/v1/approval-policies/{}", shop.customer);
        let put = world.put(&policy, json!({ "rules": [{ "action": "PROVISION" }] })).by(&ground.admin.actor);
        put.header("if-match", "*").send().await.expect(200);
        let asked = order(&shop.builtin).await.expect(202).text("/id");
        let hide = |level: &str| json!({ "services": [{ "serviceId": shop.builtin, "level": level }] });
        for level in ["NONE", "VIEW", "USE"] {
            ground.say_of(&operations, hide(level)).await.expect(200);
            let before = world.dump();
            order(&shop.builtin).await.expect_problem(403, "access_level_too_low");
            let withdraw = world.post(&format!("/v1/approvals/{asked}/withdraw"), json!({})).by(&operations.actor).send().await;
            match level {
                "NONE" => withdraw.expect_problem(404, "approval_not_found"),
                _ => withdraw.expect_problem(403, "access_level_too_low"),
            };
            assert_eq!(world.dump(), before, "{level}");
            order(&shop.manual).await.expect(202);
        }
        // An administrator who does not see the service does not approve what is asked of it; nor is it begun for who may not ask.
        ground.say_of(&ground.admin, hide("NONE")).await.expect(200);
        for word in ["approve", "reject"] {
            let said = world.post(&format!("/v1/approvals/{asked}/{word}"), json!({ "reason": "x" })).by(&ground.admin.actor);
            said.send().await.expect_problem(404, "approval_not_found");
        }
        ground.say_of(&ground.admin, json!({})).await.expect(200);
        world.post(&format!("/v1/approvals/{asked}/approve"), json!({})).by(&ground.admin.actor).send().await.expect(200);
        world.settle().await;
        let ended = world.get(&format!("/v1/approvals/{asked}")).by(&ground.admin.actor).send().await;
        assert_eq!(ended.text("/status"), "FAILED", "{}", ended.json());
    });
}
