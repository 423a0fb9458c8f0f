//! Every type of task through the same misfortunes: each statement fails, the hub dies at each, each step is run twice,
//! and a runner wakes up after another took its task over.

use crate::environments_certificates_support::certificate;
use crate::environments_data_centers_support::{component, registered};
use crate::environments_support::{deployed, environment, product};
use crate::provisioning_support::{again, run_out, subscribe, task};
use host::{Fault, Kind, RequestError, Target};
use http::{Method, Request};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, INTERNAL_SECRET, World, simulated};

/// A type of task: how it is asked for, and what there is when it is done and when it is not.
pub struct Story {
    /// What the task works on.
    pub subject: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    /// What is sent, to or about the data center component with this id.
    body: fn(&str) -> Value,
    /// How many rows there are of a statement's, when it is done.
    done: &'static [(&'static str, i64)],
    /// The same, when it was undone.
    undone: &'static [(&'static str, i64)],
}

const STATUS: &str = "SELECT COUNT(*) FROM data_centers WHERE status = 'REGISTERED'";
const ALL: &str = "SELECT COUNT(*) FROM data_centers";

/// `{id}` in a path is a component that is registered, `{env}` an environment that is deployed to it, `{sub}` a subscription
/// that is active, and suspended where it is to be resumed.
pub const STORIES: &[Story] = &[
    Story {
        subject: "data-centers",
        method: "POST",
        path: "/v1/data-centers",
        body: |_| component("new", "BUILTIN"),
        done: &[(STATUS, 2), (ALL, 2)],
        undone: &[(STATUS, 1), ("SELECT COUNT(*) FROM data_centers WHERE status = 'FAILED'", 1)],
    },
    Story {
        subject: "data-centers",
        method: "POST",
        path: "/v1/data-centers/{id}/validate",
        body: |_| json!({}),
        done: &[(STATUS, 1)],
        undone: &[(STATUS, 1)],
    },
    Story {
        subject: "data-centers",
        method: "PATCH",
        path: "/v1/data-centers/{id}",
        body: |_| json!({ "fqdn": "moved.example.com", "password": "0ther-one" }),
        done: &[(STATUS, 1), ("SELECT COUNT(*) FROM data_centers WHERE version = 2 AND fqdn = 'moved.example.com'", 1)],
        undone: &[(STATUS, 1), ("SELECT COUNT(*) FROM data_centers WHERE version = 1 AND fqdn = 'old.example.com'", 1)],
    },
    Story {
        subject: "data-centers",
        method: "POST",
        path: "/v1/data-centers/{id}/discover",
        body: |_| json!({}),
        done: &[(STATUS, 1)],
        undone: &[(STATUS, 1)],
    },
    Story {
        subject: "data-centers",
        method: "DELETE",
        path: "/v1/data-centers/{id}",
        body: |_| json!({}),
        done: &[(ALL, 0)],
        undone: &[(STATUS, 1), (ALL, 1)],
    },
    Story {
        subject: "environments",
        method: "POST",
        path: "/v1/environments",
        body: |id| environment("new", id, &["c"]),
        done: &[(ACTIVE, 1), (MACHINES, 1), (LINKS, 1)],
        undone: &[(ACTIVE, 0), ("SELECT COUNT(*) FROM environments WHERE status = 'FAILED'", 1), (MACHINES, 0), (LINKS, 0)],
    },
    Story {
        subject: "environments",
        method: "POST",
        path: "/v1/environments?action=IMPORT",
        body: |id| environment("new", id, &["c"]),
        done: &[(ACTIVE, 1), (MACHINES, 1), (LINKS, 1)],
        undone: &[(ACTIVE, 0), ("SELECT COUNT(*) FROM environments WHERE status = 'FAILED'", 1), (MACHINES, 0), (LINKS, 0)],
    },
    Story {
        subject: "environments",
        method: "PUT",
        path: "/v1/environments/{env}",
        body: |id| json!({ "products": [product(id, "10.5", &["a", "b", "c"])] }),
        done: &[(ACTIVE, 1), (MACHINES, 3), (LINKS, 1)],
        undone: &[(ACTIVE, 1), (MACHINES, 2), (LINKS, 1), ("SELECT COUNT(*) FROM environments WHERE version = 2", 1)],
    },
    Story {
        subject: "environments",
        method: "PUT",
        path: "/v1/environments/{env}/products/vcd/certificate",
        body: |_| certificate("server"),
        done: &[(ACTIVE, 1), (MACHINES, 2), (INSTALLED, 2), (LINKS, 1), (CERTIFICATES, 1), (WARNINGS, 1)],
        undone: &[
            (ACTIVE, 1),
            (MACHINES, 2),
            (INSTALLED, 0),
            (CERTIFICATES, 0),
            (WARNINGS, 0),
            ("SELECT COUNT(*) FROM environments WHERE version = 2", 1),
        ],
    },
    Story {
        subject: "environments",
        method: "POST",
        path: "/v1/environments/{env}/nodes/a/redeploy",
        body: |_| json!({}),
        done: &[(ACTIVE, 1), (MACHINES, 2), (REPLACED, 1), (ASIDE, 0), (EDITED, 1), (LINKS, 1)],
        undone: &[(ACTIVE, 1), (MACHINES, 2), (REPLACED, 0), (ASIDE, 0), (EDITED, 0), (LINKS, 1)],
    },
    Story {
        subject: "environments",
        method: "PUT",
        path: "/v1/environments/{env}?ignoreValidation=true",
        body: |id| json!({ "products": [product(id, "10.6", &["a", "b"])] }),
        done: &[(ACTIVE, 1), (MACHINES, 2), (EDITED, 1), (LINKS, 1)],
        undone: &[(ACTIVE, 1), (MACHINES, 2), (EDITED, 0), (LINKS, 1)],
    },
    Story {
        subject: "environments",
        method: "DELETE",
        path: "/v1/environments/{env}",
        body: |_| json!({}),
        done: &[("SELECT COUNT(*) FROM environments", 0), (MACHINES, 0), (LINKS, 0)],
        undone: &[(ACTIVE, 1), (MACHINES, 2), (LINKS, 1)],
    },
    Story {
        subject: "provisioning",
        method: "PATCH",
        path: "/v1/subscriptions/{sub}",
        body: |_| json!({ "quantity": "20" }),
        done: &[
            (HAD, 1),
            (ENTITLED, 1),
            ("SELECT COUNT(*) FROM subscriptions s JOIN entitlements e ON e.quantity = s.quantity WHERE s.quantity = '20'", 1),
        ],
        undone: &[
            (HAD, 1),
            (ENTITLED, 1),
            ("SELECT COUNT(*) FROM subscriptions s JOIN entitlements e ON e.quantity = s.quantity WHERE s.quantity = '10'", 1),
        ],
    },
    Story {
        subject: "provisioning",
        method: "POST",
        path: "/v1/subscriptions/{sub}/suspend",
        body: |_| json!({ "reason": "unpaid" }),
        done: &[(WITHHELD, 1), (ENTITLED, 0), ("SELECT COUNT(*) FROM entitlements", 1)],
        undone: &[(HAD, 1), (ENTITLED, 1)],
    },
    Story {
        subject: "provisioning",
        method: "POST",
        path: "/v1/subscriptions/{sub}/resume",
        body: |_| json!({}),
        done: &[(HAD, 1), (ENTITLED, 1), ("SELECT COUNT(*) FROM subscriptions WHERE suspended_at IS NOT NULL", 0)],
        undone: &[(WITHHELD, 1), (ENTITLED, 0), ("SELECT COUNT(*) FROM entitlements", 1)],
    },
    Story {
        subject: "provisioning",
        method: "POST",
        path: "/v1/subscriptions/{sub}/renew",
        body: |_| json!({}),
        done: &[
            (HAD, 1),
            (ENTITLED, 1),
            ("SELECT COUNT(*) FROM renewals WHERE months_done = 2 AND months = 1 AND version = 2", 1),
            ("SELECT COUNT(*) FROM subscriptions s JOIN renewals r ON r.starts_at = s.renewed_after", 1),
            (
                "SELECT COUNT(*) FROM jobs WHERE kind = 'renewal.look' AND payload LIKE '%' || (SELECT ends_at FROM renewals) || '}'",
                1,
            ),
        ],
        undone: &[
            (HAD, 1),
            (ENTITLED, 1),
            ("SELECT COUNT(*) FROM renewals WHERE months_done = 1 AND version = 1", 1),
            ("SELECT COUNT(*) FROM subscriptions WHERE renewed_after IS NULL", 1),
        ],
    },
    Story {
        subject: "provisioning",
        method: "POST",
        path: "/v1/subscriptions/{sub}/terminate",
        body: |_| json!({}),
        done: &[
            ("SELECT COUNT(*) FROM subscriptions WHERE status = 'TERMINATED' AND terminated_at IS NOT NULL", 1),
            ("SELECT COUNT(*) FROM entitlements", 0),
        ],
        undone: &[(HAD, 1), (ENTITLED, 1)],
    },
];

const HAD: &str = "SELECT COUNT(*) FROM subscriptions WHERE status = 'ACTIVE'";
const WITHHELD: &str = "SELECT COUNT(*) FROM subscriptions WHERE status = 'SUSPENDED' AND suspended_at IS NOT NULL";
const ENTITLED: &str = "SELECT COUNT(*) FROM entitlements WHERE suspended = 0";

const ACTIVE: &str = "SELECT COUNT(*) FROM environments WHERE status = 'ACTIVE'";
const MACHINES: &str = "SELECT COUNT(*) FROM machines";
const INSTALLED: &str = "SELECT COUNT(*) FROM machines WHERE certificate IS NOT NULL";
const CERTIFICATES: &str = "SELECT COUNT(*) FROM certificates";
const WARNINGS: &str = "SELECT COUNT(*) FROM jobs WHERE kind = 'certificate.warn'";
const REPLACED: &str = "SELECT COUNT(*) FROM machines WHERE host_name = 'a' AND deployed_by LIKE 'task_%'";
const ASIDE: &str = "SELECT COUNT(*) FROM machines WHERE replaces IS NOT NULL";
const EDITED: &str = "SELECT COUNT(*) FROM environments WHERE version = 3";
const LINKS: &str = "SELECT COUNT(*) FROM environment_data_centers";

/// One runner: has a component run what is due, until nothing is.
pub async fn runner(world: &World, component: &str) {
    run_jobs(world, component, "").await;
}

/// One runner that takes each due job of a component once, and leaves what follows from it.
pub async fn turn(world: &World, component: &str) {
    let now = world.hub.clock().now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let due: Vec<String> = {
        let database = world.database();
        let sql = "SELECT id FROM jobs WHERE queue = ?1 AND state <> 'PARKED' AND due_at <= ?2 ORDER BY due_at, id";
        let mut statement = database.prepare(sql).unwrap();
        let ids = statement.query_map((component, i64::try_from(now).unwrap()), |row| row.get(0)).unwrap();
        ids.map(Result::unwrap).collect()
    };
    for id in due {
        run_jobs(world, component, &format!("?job={id}")).await;
    }
}

async fn run_jobs(world: &World, component: &str, query: &str) {
    let request =
        Request::post(format!("/internal/jobs/run{query}")).header("authorization", format!("Bearer {INTERNAL_SECRET}"));
    world.hub.call_component(component, request.body(Default::default()).unwrap()).await.unwrap();
}

/// A world in which the story can be told, by the operator, of a component.
pub async fn scene(story: &Story) -> (World, Actor, Ids) {
    let world = World::new().await;
    if story.subject == "provisioning" {
        let shop = world.shop().await;
        if story.path.ends_with("/renew") {
            let path = crate::provisioning_renewals::subscribed(&world, &shop, "month", 1).await;
            let subscription = path.rsplit('/').next().unwrap().to_owned();
            return (world, shop.operator, Ids { subscription, ..Ids::default() });
        }
        let asked = subscribe(&world, &shop, &shop.builtin).header("prefer", "wait=5").send().await;
        let subscription = asked.expect(200).text("/subscriptionId");
        if story.path.ends_with("/resume") {
            let suspend = format!("/v1/subscriptions/{subscription}/suspend");
            let suspend = world.post(&suspend, json!({})).by(&shop.admin).header("if-match", "\"2\"").header("prefer", "wait=5");
            suspend.send().await.expect(200);
        }
        return (world, shop.operator, Ids { subscription, ..Ids::default() });
    }
    let operator = world.bootstrap().await;
    let component = registered(&world, &operator, "old", "BUILTIN").await;
    let environment = match story.path.contains("{env}") {
        true => deployed(&world, &operator, "old", &component).await,
        false => String::new(),
    };
    (world, operator, Ids { component, environment, ..Ids::default() })
}

/// What there is when a story begins.
#[derive(Default)]
pub struct Ids {
    pub component: String,
    environment: String,
    subscription: String,
}

impl Story {
    async fn ask(&self, world: &World, by: &Actor, ids: &Ids) -> Result<Answer, RequestError> {
        self.ask_with(world, by, ids, "").await
    }

    /// Asks for it with more in the query.
    pub async fn ask_with(&self, world: &World, by: &Actor, ids: &Ids, query: &str) -> Result<Answer, RequestError> {
        let method: Method = self.method.parse().unwrap();
        let mut path =
            self.path.replace("{id}", &ids.component).replace("{env}", &ids.environment).replace("{sub}", &ids.subscription);
        if !query.is_empty() {
            path = format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' });
        }
        let version = match self.path {
            path if path.ends_with("/resume") => "\"4\"",
            _ if ids.environment.is_empty() && ids.subscription.is_empty() => "\"1\"",
            _ => "\"2\"",
        };
        let mut call = world.call(method, &path).by(by).key("one");
        // What is made anew has no state that could be named.
        if self.path.contains('{') {
            call = call.header("if-match", version);
        }
        call.json(&(self.body)(&ids.component)).try_send().await
    }

    fn check(&self, world: &World, expected: &[(&str, i64)]) {
        for (sql, count) in expected {
            assert_eq!(world.count(sql), *count, "{} {}: {sql}", self.method, self.path);
        }
        let jobs = "SELECT COUNT(*) FROM jobs WHERE kind NOT IN ('certificate.warn', 'renewal.look')";
        assert_eq!(world.count(jobs), 0, "{} {}", self.method, self.path);
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 0, "{} {}", self.method, self.path);
    }

    /// The component that carries the task out.
    pub fn runner(&self) -> &'static str {
        if self.subject == "data-centers" { "environments" } else { self.subject }
    }

    /// How many steps the task has.
    async fn steps(&self, world: &World, by: &Actor, answer: &Answer) -> usize {
        task(world, by, answer).await["steps"].as_array().unwrap().len()
    }
}

#[test]
fn every_type_of_task_comes_to_its_end() {
    for story in STORIES {
        simulated(|| async {
            let (world, operator, id) = scene(story).await;
            let asked = story.ask(&world, &operator, &id).await.unwrap();
            asked.expect(202);
            world.settle().await;
            let ended = task(&world, &operator, &asked).await;
            assert_eq!(ended["status"], "SUCCESS", "{ended}");
            assert!(ended["steps"].as_array().unwrap().iter().all(|step| step["attempts"] == 1), "{ended}");
            story.check(&world, story.done);
        });
    }
}

#[test]
fn whichever_step_keeps_failing_what_was_done_is_undone() {
    for story in STORIES {
        for nth in 0..10 {
            let more = simulated(|| async {
                let (world, operator, id) = scene(story).await;
                let asked = story.ask(&world, &operator, &id).await.unwrap();
                let steps = story.steps(&world, &operator, &asked).await;
                for _ in 0..nth {
                    turn(&world, story.runner()).await;
                }
                if nth >= steps {
                    return false;
                }
                // From the step's turn on, whatever is read for it fails, as often as it is tried.
                let step = task(&world, &operator, &asked).await["steps"][nth]["name"].as_str().unwrap().to_owned();
                for n in 1..=10 {
                    let text = breaking(&step, story);
                    world.hub.faults().push(Fault::on(Target::SqlMatching(text.into())).nth(n).fail("disk I/O error"));
                }
                run_out(&world).await;
                world.hub.faults().clear();
                run_out(&world).await;
                let ended = task(&world, &operator, &asked).await;
                assert_eq!(ended["status"], "ERROR", "{} at {step}: {ended}", story.path);
                assert!(ended["message"].as_str().unwrap().contains("10 attempts"), "{ended}");
                let left: Vec<_> = ended["steps"].as_array().unwrap().iter().filter(|step| step["status"] == "SUCCESS").collect();
                assert!(left.is_empty(), "{ended}");
                story.check(&world, story.undone);
                true
            });
            if !more {
                assert!(nth > 1, "{} has {nth} steps", story.path);
                break;
            }
        }
    }
}

/// A statement that a step makes and those before it, at that point, do not.
pub fn breaking(step: &str, story: &Story) -> &'static str {
    match (step, story.subject) {
        ("CHECK", "provisioning") => "FROM subscriptions s JOIN",
        // It is renewed as it is, so that nothing is changed at the driver.
        ("CHANGE", _) if story.path.ends_with("/renew") => "FROM subscription_changes",
        ("CHANGE", _) => "UPDATE entitlements SET quantity",
        ("SUSPEND" | "RESUME", _) => "UPDATE entitlements SET suspended",
        ("DEPROVISION", _) => "DELETE FROM entitlements",
        ("RECORD", "provisioning") => "UPDATE subscriptions SET status",
        ("CHECK" | "BACKUP" | "VERIFY", "environments") => "FROM plans p JOIN",
        ("APPLY", _) if story.path.ends_with("/redeploy") => "UPDATE machines SET replaces",
        ("APPLY", _) => "DELETE FROM machines",
        ("RECORD" | "REMOVE", "environments") => "environment_data_centers",
        ("CHECK", _) => "FROM data_centers d JOIN",
        ("CONTACT", _) => "FROM data_center_edits x LEFT JOIN",
        ("RECORD" | "REMOVE", _) => "data_centers",
        (other, _) => panic!("the test does not know how {other} fails: add it here"),
    }
}

/// How many statements the hub makes from the request until the task has ended.
async fn statements(story: &Story) -> u64 {
    let (world, operator, id) = scene(story).await;
    let before = world.hub.host_calls().len();
    story.ask(&world, &operator, &id).await.unwrap().expect(202);
    world.settle().await;
    story.check(&world, story.done);
    world.hub.host_calls()[before..].iter().filter(|call| call.kind == Kind::Sql).count() as u64
}

// Wherever the hub dies, nothing is lost and nothing is done twice. A test for each subject and side of a statement, so that they
// share the cores.

#[test]
fn data_centers_when_the_hub_dies_before_a_statement() {
    die_everywhere("data-centers", false);
}

#[test]
fn data_centers_when_the_hub_dies_after_a_statement() {
    die_everywhere("data-centers", true);
}

#[test]
fn environments_when_the_hub_dies_before_a_statement() {
    die_everywhere("environments", false);
}

#[test]
fn environments_when_the_hub_dies_after_a_statement() {
    die_everywhere("environments", true);
}

#[test]
fn subscriptions_when_the_hub_dies_before_a_statement() {
    die_everywhere("provisioning", false);
}

#[test]
fn subscriptions_when_the_hub_dies_after_a_statement() {
    die_everywhere("provisioning", true);
}

fn die_everywhere(subject: &str, after: bool) {
    for story in STORIES.iter().filter(|story| story.subject == subject) {
        let total = simulated(|| statements(story));
        assert!(total > 30, "{total}");
        for nth in 1..=total {
            simulated(|| async {
                let (mut world, operator, id) = scene(story).await;
                let tasks = world.count("SELECT COUNT(*) FROM tasks");
                let fault = Fault::on(Target::Sql).nth(nth);
                world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                if story.ask(&world, &operator, &id).await.is_ok() {
                    let _ = world.hub.tick().await;
                }
                world.restart().await;
                // The caller repeats what it has no answer to. The lease of a runner that died ends after a minute.
                story.ask(&world, &operator, &id).await.unwrap().expect(202);
                world.hub.clock().advance(Duration::from_secs(61)).await;
                run_out(&world).await;
                story.check(&world, story.done);
                assert_eq!(world.count("SELECT COUNT(*) FROM tasks"), tasks + 1);
            });
        }
    }
}

#[test]
fn a_runner_that_wakes_up_after_its_lease_changes_nothing() {
    for story in STORIES {
        let mut overtaken = 0;
        for nth in 1..=30 {
            overtaken += simulated(|| async {
                let (mut world, operator, id) = scene(story).await;
                crate::provisioning_tasks::patient(&mut world).await;
                let asked = story.ask(&world, &operator, &id).await.unwrap();
                // One of the first runner's statements takes 90 seconds; after 61 the second runner takes the job over, and
                // so does whatever it was at once more.
                world.hub.faults().push(Fault::on(Target::Sql).nth(nth).delay(Duration::from_secs(90)));
                let run = async || {
                    for _ in 0..4 {
                        runner(&world, story.runner()).await;
                    }
                };
                let second = async {
                    tokio::time::sleep(Duration::from_secs(61)).await;
                    run().await;
                };
                futures::join!(run(), second);
                run_out(&world).await;
                story.check(&world, story.done);
                let ended = task(&world, &again(&world, &operator).await, &asked).await;
                assert!(ended["steps"].as_array().unwrap().iter().all(|step| step["attempts"] == 1), "at {nth}: {ended}");
                usize::from(world.hub.logs().iter().any(|line| line.contains("job_fenced")))
            });
        }
        assert!(overtaken >= 2, "{}: only {overtaken} of the delays let a second runner in", story.path);
    }
}

#[test]
fn a_task_of_a_later_definition_is_parked_whatever_its_type() {
    for story in STORIES {
        simulated(|| async {
            let (world, operator, id) = scene(story).await;
            let asked = story.ask(&world, &operator, &id).await.unwrap();
            world.database().execute("UPDATE tasks SET definition_version = 9 WHERE ended_at IS NULL", []).unwrap();
            world.settle().await;
            let shown = task(&world, &operator, &asked).await;
            let told = shown["steps"][0]["message"].as_str().unwrap();
            assert!(told.contains("version 9") && told.contains("CHECK"), "{told}");
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs WHERE state = 'PARKED'"), 1);
        });
    }
}
