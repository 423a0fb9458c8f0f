//! The target VSPHERE: what is found at a vCenter, what is made there, and vCenters with bad habits.

use crate::environments_data_centers_support::{PASSWORD, component, read, registered};
use crate::environments_support::{environment, product, read as read_environment};
use crate::provisioning_support::{again, run_out, steps, task};
use crate::tasks_walk::runner;
use crate::vsphere_support::{Habit, Vcenter};
use host::{Fault, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Actor, Answer, World, simulated};

const ENVIRONMENTS: &str = "/v1/environments";
const DATA_CENTERS: &str = "/v1/data-centers";

/// A vCenter, and an environment that is asked for there.
async fn scene() -> (World, Actor, Vcenter, String) {
    let world = World::new().await;
    let operator = world.bootstrap().await;
    let vcenter = Vcenter::new(&world);
    let id = registered(&world, &operator, "vc", "VSPHERE").await;
    (world, operator, vcenter, id)
}

async fn deploy(world: &World, by: &Actor, id: &str, hosts: &[&str]) -> Answer {
    let by = again(world, by).await;
    let answer = world.post(ENVIRONMENTS, environment("prod", id, hosts)).by(&by).key("deploy").send().await;
    answer.expect(202);
    answer
}

async fn change(world: &World, by: &Actor, environment: &str, products: Value) -> Answer {
    let by = again(world, by).await;
    let call = world.put(&format!("{ENVIRONMENTS}/{environment}"), json!({ "products": products }));
    let answer = call.by(&by).header("if-match", "*").send().await;
    answer.expect(202);
    run_out(world).await;
    answer
}

/// An environment with the nodes a and b, by its id.
async fn deployed(world: &World, by: &Actor, id: &str) -> String {
    let asked = deploy(world, by, id, &["a", "b"]).await;
    run_out(world).await;
    assert_eq!(task(world, by, &asked).await["status"], "SUCCESS");
    asked.text("/environmentId")
}

/// The names of the machines that there are.
fn names(vcenter: &Vcenter) -> Vec<String> {
    vcenter.machines().into_iter().map(|machine| machine.name).collect()
}

/// Nothing was done twice to any machine.
fn once(vcenter: &Vcenter) {
    let mut done = vcenter.done();
    done.sort();
    let count = done.len();
    done.dedup();
    assert_eq!(done.len(), count, "{:?}", vcenter.done());
}

#[test]
fn a_vcenter_is_seen_as_it_is_and_its_password_is_shown_to_nobody() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        let asked = world.post(&format!("{DATA_CENTERS}/{id}/discover"), json!({})).by(&operator).send().await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        let found = read(&world, &operator, &id).await;
        let groups: Vec<String> = (0..7).map(|n| format!("group {n}")).collect();
        let networks = [&groups[..], &["mgmt".to_owned()]].concat();
        assert_eq!(found.at("/inventory/networks"), json!(networks), "{}", found.json());
        assert_eq!(found.at("/inventory/datastores"), json!(["DS/1"]));
        assert_eq!(
            (found.text("/inventory/product/version"), found.at("/networks/0/gateway")),
            ("8.0.2".into(), json!("10.1.2.1"))
        );
        assert!(found.at("/discoveredAt").is_string() && found.at("/confirmedAt").is_string());
        assert_eq!(vcenter.sessions(), 0);
        assert!(vcenter.asked().iter().any(|method| method == "ContinueRetrievePropertiesEx"));
        for told in [world.dump(), found.json().to_string(), world.hub.logs().join("\n")] {
            assert!(!told.contains(PASSWORD));
        }
        let inventory =
            world.post(&format!("{DATA_CENTERS}/{id}/inventory"), json!({ "clusters": ["C9"] })).by(&operator).send().await;
        inventory.expect_problem(409, "inventory_is_discovered");
    });
}

#[test]
fn what_is_not_as_described_is_not_registered() {
    simulated(|| async {
        let (world, operator, _, id) = scene().await;
        let mut wrong = component("vc", "VSPHERE");
        wrong["componentName"] = json!("other");
        let validate = format!("{DATA_CENTERS}?action=VALIDATE");
        for (pointer, value, word) in [
            ("/password", json!("wr0ng-password"), "does not let"),
            ("/version", json!("7.0"), "8.0.2"),
            ("/networks/0/portGroupName", json!("nowhere"), "nowhere"),
            ("/fqdn", json!("vc.example.net"), "vcenter_hosts"),
        ] {
            let mut wrong = wrong.clone();
            *wrong.pointer_mut(pointer).unwrap() = value;
            let asked = world.post(&validate, wrong).by(&operator).send().await;
            run_out(&world).await;
            let ended = task(&world, &operator, &asked).await;
            assert!(ended["status"] == "ERROR" && ended["message"].as_str().unwrap().contains(word), "{ended}");
        }
        let mut nsx = wrong.clone();
        nsx["componentType"] = json!("NSXT");
        let refused = world.post(DATA_CENTERS, nsx).by(&again(&world, &operator).await).send().await;
        assert_eq!(refused.expect(422).text("/errors/0/pointer"), "/target");
        // What is said anew is what is tried.
        let by = again(&world, &operator).await;
        let call = world.patch(&format!("{DATA_CENTERS}/{id}"), json!({ "password": "wr0ng-password" }));
        let asked = call.by(&by).header("if-match", "*").send().await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "ERROR");
        let asked =
            world.post(&format!("{DATA_CENTERS}/{id}/validate"), json!({})).by(&again(&world, &operator).await).send().await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
    });
}

#[test]
fn machines_become_what_is_said_and_those_of_others_stay() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        vcenter.slow(2);
        vcenter.put("vm-other", "other");
        let environment = deployed(&world, &operator, &id).await;
        assert_eq!(names(&vcenter), ["other", "vm-a", "vm-b"]);
        for machine in &vcenter.machines()[1..] {
            assert!(machine.on && machine.cpu == 2 && machine.mark.starts_with(&environment), "{machine:?}");
        }
        once(&vcenter);
        let mut products = json!([product(&id, "10.5", &["a", "b"])]);
        products[0]["nodes"][0]["powerState"] = json!("OFF");
        products[0]["nodes"][1]["cpuNum"] = json!(8);
        products[0]["nodes"][1]["vmName"] = json!("renamed");
        let asked = change(&world, &operator, &environment, products).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        let there: Vec<_> = vcenter.machines().into_iter().map(|machine| (machine.name, machine.on, machine.cpu)).collect();
        assert_eq!(there, [("other".into(), true, 1), ("renamed".into(), true, 8), ("vm-a".into(), false, 2)]);
        let call = world.delete(&format!("{ENVIRONMENTS}/{environment}")).by(&again(&world, &operator).await);
        call.header("if-match", "*").send().await.expect(202);
        run_out(&world).await;
        assert_eq!(names(&vcenter), ["other"]);
        assert_eq!((vcenter.sessions(), world.count("SELECT COUNT(*) FROM environments")), (0, 0));
    });
}

#[test]
fn an_upgrade_is_a_persons_and_goes_back_to_its_snapshots() {
    for (word, status) in [("fail", "ERROR"), ("complete", "SUCCESS")] {
        simulated(|| async {
            let (world, operator, vcenter, id) = scene().await;
            vcenter.slow(1);
            let environment = deployed(&world, &operator, &id).await;
            let asked = change(&world, &operator, &environment, json!([product(&id, "10.6", &["a", "b"])])).await;
            let waiting = task(&world, &operator, &asked).await;
            assert_eq!((&waiting["status"], steps(&waiting)[3]), (&json!("MANUAL"), "MANUAL"), "{waiting}");
            assert!(vcenter.machines().iter().all(|machine| machine.snapshots.len() == 1));
            let path = format!("/v1/tasks/{}/steps/VERIFY/{word}", asked.text("/id"));
            world.post(&path, json!({ "message": "so it is" })).by(&again(&world, &operator).await).send().await.expect(200);
            run_out(&world).await;
            assert_eq!(task(&world, &operator, &asked).await["status"], status);
            assert!(vcenter.machines().iter().all(|machine| machine.snapshots.is_empty() && machine.on));
            let reverted = vcenter.done().iter().filter(|what| what.starts_with("RevertToSnapshot")).count();
            assert_eq!(reverted, if word == "fail" { 2 } else { 0 });
            once(&vcenter);
            let found = read_environment(&world, &operator, &environment).await;
            assert_eq!(found.text("/products/0/version"), if word == "fail" { "10.5" } else { "10.6" });
        });
    }
}

/// What a deployment asks a vCenter for.
const METHODS: [&str; 13] = [
    "RetrieveServiceContent",
    "Login",
    "CreateContainerView",
    "RetrievePropertiesEx",
    "ContinueRetrievePropertiesEx",
    "FindByUuid",
    "FindChild",
    "begin",
    "find",
    "filter",
    "deploy",
    "ReconfigVM_Task",
    "PowerOnVM_Task",
];

#[test]
fn whatever_a_vcenter_does_once_the_environment_is_deployed_and_nothing_is_done_twice() {
    for method in METHODS {
        for habit in [
            Habit::Hangs,
            Habit::Loses,
            Habit::Garbles,
            Habit::Answers(429),
            Habit::Answers(503),
            Habit::Answers(502),
            Habit::Expires,
        ] {
            simulated(|| async {
                let (world, operator, vcenter, id) = scene().await;
                vcenter.habit(method, habit, 1);
                let asked = deploy(&world, &operator, &id, &["a", "b"]).await;
                run_out(&world).await;
                let ended = task(&world, &operator, &asked).await;
                assert_eq!(ended["status"], "SUCCESS", "{method} {habit:?}: {ended}");
                assert_eq!(names(&vcenter), ["vm-a", "vm-b"], "{method} {habit:?}");
                once(&vcenter);
                assert!(vcenter.asked().contains(&method.to_owned()), "{method} was not asked for");
            });
        }
    }
}

#[test]
fn what_never_works_is_undone_and_leaves_no_machine() {
    for (method, habit) in [
        ("find", Habit::Garbles),
        ("deploy", Habit::Refuses("There is no space left.")),
        ("deploy", Habit::Hangs),
        ("ReconfigVM_Task", Habit::Refuses("NoPermission")),
        ("ReconfigVM_Task", Habit::Fails),
        ("PowerOnVM_Task", Habit::Fails),
        ("PowerOnVM_Task", Habit::Answers(503)),
        ("PowerOnVM_Task", Habit::Hangs),
    ] {
        simulated(|| async {
            let (world, operator, vcenter, id) = scene().await;
            vcenter.put("vm-other", "other");
            vcenter.habit(method, habit, 1000);
            let asked = deploy(&world, &operator, &id, &["a", "b"]).await;
            run_out(&world).await;
            let ended = task(&world, &operator, &asked).await;
            // What is only looked for is missed before anything is touched.
            let at = usize::from(method != "find");
            assert_eq!((&ended["status"], steps(&ended)[at]), (&json!("ERROR"), "ERROR"), "{method} {habit:?}: {ended}");
            assert_eq!(names(&vcenter), ["other"], "{method} {habit:?}");
            let found = read_environment(&world, &operator, &asked.text("/environmentId")).await;
            assert_eq!(found.text("/status"), "FAILED");
        });
    }
}

#[test]
fn a_machine_that_appears_after_its_deployment_was_given_up_is_taken_back() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        vcenter.habit("deploy", Habit::Late(12), 1);
        let asked = deploy(&world, &operator, &id, &["a"]).await;
        world.settle().await;
        let path = format!("/v1/tasks/{}/cancel", asked.text("/id"));
        world.post(&path, json!({})).by(&operator).send().await.expect(202);
        for _ in 0..60 {
            world.settle().await;
            world.hub.clock().advance(Duration::from_secs(16)).await;
        }
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "CANCELLED");
        assert_eq!(vcenter.machines(), []);
        assert!(vcenter.done().iter().any(|what| what.starts_with("Destroy")), "{:?}", vcenter.done());
    });
}

#[test]
fn a_machine_that_appears_late_is_found_and_not_made_again() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        vcenter.habit("deploy", Habit::Late(5), 1);
        let asked = deploy(&world, &operator, &id, &["a"]).await;
        for _ in 0..12 {
            world.settle().await;
            world.hub.clock().advance(Duration::from_secs(11)).await;
        }
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        assert_eq!(names(&vcenter), ["vm-a"]);
        once(&vcenter);
    });
}

#[test]
fn a_name_that_somebody_else_has_is_not_taken() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        vcenter.put("vm-other", "vm-a");
        let asked = deploy(&world, &operator, &id, &["a"]).await;
        run_out(&world).await;
        let ended = task(&world, &operator, &asked).await;
        assert!(ended["status"] == "ERROR" && ended["message"].as_str().unwrap().contains("vm-a"), "{ended}");
        assert_eq!((names(&vcenter), vcenter.done()), (vec!["vm-a".to_owned()], vec![]));
        // It can be taken over, and is then the hub's.
        let by = again(&world, &operator).await;
        let body = environment("theirs", &id, &["a"]);
        let asked = world.post(&format!("{ENVIRONMENTS}?action=IMPORT"), body).by(&by).send().await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        assert!(vcenter.machines()[0].mark.starts_with(&asked.text("/environmentId")));
        let call = world.delete(&format!("{ENVIRONMENTS}/{}", asked.text("/environmentId"))).by(&again(&world, &operator).await);
        call.header("if-match", "*").send().await.expect(202);
        run_out(&world).await;
        assert_eq!(vcenter.machines(), []);
    });
}

/// What is done at a vCenter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Errand {
    Deploy,
    Change,
    Redeploy,
    Upgrade,
    Delete,
    Import,
    Discover,
}

impl Errand {
    /// A world in which it can be asked for, and the environment that it is about.
    async fn scene(self) -> (World, Actor, Vcenter, String, String) {
        let (world, operator, vcenter, id) = scene().await;
        let environment = match self {
            Self::Deploy | Self::Discover => String::new(),
            Self::Import => {
                vcenter.put("vm-theirs", "vm-a");
                String::new()
            }
            Self::Change => deployed(&world, &operator, &id).await,
            Self::Redeploy | Self::Upgrade | Self::Delete => {
                let asked = deploy(&world, &operator, &id, &["a"]).await;
                run_out(&world).await;
                asked.text("/environmentId")
            }
        };
        (world, operator, vcenter, id, environment)
    }

    async fn ask(self, world: &World, by: &Actor, id: &str, environment_id: &str, query: &str) -> Answer {
        let by = again(world, by).await;
        let path = format!("{ENVIRONMENTS}/{environment_id}");
        let call = match self {
            Self::Deploy => world.post(ENVIRONMENTS, environment("prod", id, &["a"])),
            Self::Import => world.post(&format!("{ENVIRONMENTS}?action=IMPORT"), environment("prod", id, &["a"])),
            Self::Change => {
                let mut products = json!([product(id, "10.5", &["a", "c"])]);
                (products[0]["nodes"][0]["cpuNum"], products[0]["nodes"][1]["powerState"]) = (json!(8), json!("OFF"));
                world.put(&path, json!({ "products": products }))
            }
            Self::Redeploy => world.post(&format!("{path}/nodes/a/redeploy{query}"), json!({})),
            Self::Upgrade => world.put(&format!("{path}{query}"), json!({ "products": [product(id, "10.6", &["a"])] })),
            Self::Delete => world.delete(&path),
            Self::Discover => world.post(&format!("{DATA_CENTERS}/{id}/discover"), json!({})),
        };
        let answer = call.by(&by).key("errand").header("if-match", "*").send().await;
        answer.expect(202);
        answer
    }

    /// A person's part, if there is one.
    async fn person(self, world: &World, by: &Actor, asked: &Answer) {
        if self == Self::Upgrade {
            let path = format!("/v1/tasks/{}/steps/VERIFY/complete", asked.text("/id"));
            world.post(&path, json!({})).by(&again(world, by).await).send().await.expect(200);
            run_out(world).await;
        }
    }

    /// The machines that there are in the end, with their processors and whether they are on.
    fn machines(self) -> Vec<(&'static str, i64, bool)> {
        match self {
            Self::Deploy | Self::Redeploy | Self::Upgrade => vec![("vm-a", 2, true)],
            Self::Import => vec![("vm-a", 1, true)],
            Self::Change => vec![("vm-a", 8, true), ("vm-c", 2, false)],
            Self::Delete | Self::Discover => vec![],
        }
    }

    fn check(self, vcenter: &Vcenter, done: usize, what: &str) {
        let there: Vec<_> = vcenter.machines().into_iter().map(|machine| (machine.name, machine.cpu, machine.on)).collect();
        let expected: Vec<_> = self.machines().into_iter().map(|(name, cpu, on)| (name.to_owned(), cpu, on)).collect();
        assert_eq!(there, expected, "{self:?} {what}");
        assert!(vcenter.machines().iter().all(|machine| machine.snapshots.is_empty() && !machine.mark.is_empty()), "{what}");
        let mut since = vcenter.done().split_off(done);
        since.sort();
        let count = since.len();
        since.dedup();
        assert_eq!(since.len(), count, "{self:?} {what}: {:?}", vcenter.done());
    }
}

/// How many requests an errand sends.
async fn requests(errand: Errand) -> u64 {
    let (world, operator, vcenter, id, environment) = errand.scene().await;
    let (before, done) = (vcenter.asked().len(), vcenter.done().len());
    let asked = errand.ask(&world, &operator, &id, &environment, "").await;
    run_out(&world).await;
    errand.person(&world, &operator, &asked).await;
    let ended = task(&world, &operator, &asked).await;
    assert_eq!(ended["status"], "SUCCESS", "{errand:?}: {ended}");
    errand.check(&vcenter, done, "undisturbed");
    (vcenter.asked().len() - before) as u64
}

/// Wherever the hub dies, what was asked for is there in the end, and nothing was done twice.
fn die_everywhere(errand: Errand) {
    let total = simulated(|| requests(errand));
    assert!(total >= 8, "{total}");
    for nth in 1..=total {
        for after in [false, true] {
            simulated(|| async {
                let (mut world, operator, vcenter, id, environment) = errand.scene().await;
                let done = vcenter.done().len();
                let fault = Fault::on(Target::Outbound("vc.example.com".into())).nth(nth);
                world.hub.faults().push(if after { fault.crash_after() } else { fault.crash_before() });
                let asked = errand.ask(&world, &operator, &id, &environment, "").await;
                let _ = world.hub.tick().await;
                world.restart().await;
                vcenter.attach(&world);
                world.hub.clock().advance(Duration::from_secs(61)).await;
                for _ in 0..20 {
                    world.settle().await;
                    world.hub.clock().advance(Duration::from_secs(11)).await;
                }
                run_out(&world).await;
                errand.person(&world, &operator, &asked).await;
                let ended = task(&world, &operator, &asked).await;
                let what = format!("at {nth}, {after}");
                assert_eq!(ended["status"], "SUCCESS", "{errand:?} {what}: {ended}");
                errand.check(&vcenter, done, &what);
            });
        }
    }
}

// A test for each, so that they share the cores.

#[test]
fn wherever_the_hub_dies_there_is_one_machine_in_the_end() {
    die_everywhere(Errand::Deploy);
}

#[test]
fn wherever_the_hub_dies_machines_are_changed_once() {
    die_everywhere(Errand::Change);
}

#[test]
fn wherever_the_hub_dies_a_machine_is_replaced_once() {
    die_everywhere(Errand::Redeploy);
}

#[test]
fn wherever_the_hub_dies_an_upgrade_is_kept_once_and_let_go() {
    die_everywhere(Errand::Upgrade);
}

#[test]
fn wherever_the_hub_dies_machines_are_deleted() {
    die_everywhere(Errand::Delete);
}

#[test]
fn wherever_the_hub_dies_machines_are_taken_over() {
    die_everywhere(Errand::Import);
}

#[test]
fn wherever_the_hub_dies_a_vcenter_is_discovered() {
    die_everywhere(Errand::Discover);
}

#[test]
fn a_redeployed_node_is_another_machine_with_the_same_identity() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        vcenter.slow(2);
        let environment = deployed(&world, &operator, &id).await;
        let (before, old, other) = (vcenter.machines(), vcenter.id_of("vm-a"), vcenter.id_of("vm-b"));
        let asked = Errand::Redeploy.ask(&world, &operator, &id, &environment, "").await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        let after = vcenter.machines();
        assert_ne!(vcenter.id_of("vm-a"), old);
        assert_eq!(vcenter.id_of("vm-b"), other);
        assert_eq!((&after[0].uuid, &after[0].mark, after[0].cpu, after[0].on), (&before[0].uuid, &before[0].mark, 2, true));
        assert_eq!((after[0].task.clone(), &after[1], after.len()), (asked.text("/id"), &before[1], 2));
        assert_eq!(vcenter.sessions(), 0);
        // The new one is there before the old one is put aside, and that goes last.
        let done = vcenter.done();
        let at = |what: &str| done.iter().rposition(|done| done.starts_with(what)).unwrap_or_else(|| panic!("{what}: {done:?}"));
        assert!(at("deploy") < at("PowerOffVM vm-a") && at("PowerOffVM vm-a") < at("ReconfigVM vm-a"));
        assert!(at("ReconfigVM vm-a") < at("PowerOnVM vm-a") && at("PowerOnVM vm-a") < at("Destroy"), "{done:?}");
    });
}

#[test]
fn a_machine_that_was_taken_over_or_is_gone_is_redeployed_too() {
    for gone in [false, true] {
        simulated(|| async {
            let (world, operator, vcenter, id, _) = Errand::Import.scene().await;
            let asked = Errand::Import.ask(&world, &operator, &id, "", "").await;
            run_out(&world).await;
            if gone {
                vcenter.take("vm-a");
            }
            let by = again(&world, &operator).await;
            let path = format!("{ENVIRONMENTS}/{}/nodes/a/redeploy", asked.text("/environmentId"));
            let asked = world.post(&path, json!({})).by(&by).header("if-match", "*").send().await;
            run_out(&world).await;
            assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
            assert_eq!(names(&vcenter), ["vm-a"]);
            assert_eq!(vcenter.machines()[0].task, asked.text("/id"));
        });
    }
}

#[test]
fn whatever_keeps_failing_in_a_redeployment_the_old_machine_is_what_runs() {
    for (imported, method, habit) in [
        (false, "find", Habit::Garbles),
        (false, "deploy", Habit::Refuses("There is no space left.")),
        (false, "deploy", Habit::Hangs),
        (false, "PowerOffVM_Task", Habit::Fails),
        (false, "ReconfigVM_Task", Habit::RefusesOnce(1)),
        (false, "ReconfigVM_Task", Habit::RefusesOnce(2)),
        (true, "ReconfigVM_Task", Habit::RefusesOnce(2)),
        (false, "PowerOnVM_Task", Habit::RefusesOnce(1)),
        (true, "PowerOnVM_Task", Habit::RefusesOnce(1)),
    ] {
        simulated(|| async {
            let errand = if imported { Errand::Import } else { Errand::Redeploy };
            let (world, operator, vcenter, id, mut environment) = errand.scene().await;
            if imported {
                environment = errand.ask(&world, &operator, &id, "", "").await.text("/environmentId");
                run_out(&world).await;
            }
            let (before, old) = (vcenter.machines(), vcenter.id_of("vm-a"));
            vcenter.habit(method, habit, 1000);
            let path = format!("{ENVIRONMENTS}/{environment}/nodes/a/redeploy");
            let by = again(&world, &operator).await;
            let asked = world.post(&path, json!({})).by(&by).header("if-match", "*").send().await;
            asked.expect(202);
            run_out(&world).await;
            let ended = task(&world, &operator, &asked).await;
            assert_eq!(ended["status"], "ERROR", "{method} {habit:?}: {ended}");
            assert_eq!((vcenter.machines(), vcenter.id_of("vm-a")), (before, old), "{method} {habit:?}: {ended}");
            let found = read_environment(&world, &operator, &environment).await;
            assert_eq!((found.text("/status"), found.header("etag")), ("ACTIVE".into(), "\"2\""));
        });
    }
}

#[test]
fn a_redeployment_without_rollback_stays_and_goes_on_or_is_made_again() {
    for resumed in [true, false] {
        simulated(|| async {
            let (world, operator, vcenter, id, environment) = Errand::Redeploy.scene().await;
            let old = vcenter.id_of("vm-a");
            vcenter.habit("PowerOnVM_Task", Habit::RefusesOnce(1), 1);
            let asked = Errand::Redeploy.ask(&world, &operator, &id, &environment, "?disableRollback=true").await;
            run_out(&world).await;
            let stopped = task(&world, &operator, &asked).await;
            assert_eq!((&stopped["status"], &stopped["checkpoint"]), (&json!("ERROR"), &json!("APPLY")), "{stopped}");
            assert_eq!((vcenter.machines().len(), vcenter.machines()[1].on), (2, false));
            let by = again(&world, &operator).await;
            let again = match resumed {
                true => world.post(&format!("/v1/tasks/{}/resume", asked.text("/id")), json!({})).by(&by).send().await,
                false => {
                    let path = format!("{ENVIRONMENTS}/{environment}/nodes/a/redeploy");
                    world.post(&path, json!({})).by(&by).header("if-match", "*").send().await
                }
            };
            again.expect(202);
            run_out(&world).await;
            assert_eq!(task(&world, &operator, &again).await["status"], "SUCCESS");
            assert_eq!(names(&vcenter), ["vm-a"], "nothing of the old machine is left");
            assert!(vcenter.machines()[0].on && vcenter.id_of("vm-a") != old);
        });
    }
}

#[test]
fn the_last_machine_of_a_node_is_not_taken_away_whatever_is_ignored() {
    simulated(|| async {
        let (world, operator, vcenter, id, environment) = Errand::Redeploy.scene().await;
        let old = vcenter.id_of("vm-a");
        let asked = Errand::Redeploy.ask(&world, &operator, &id, &environment, "?ignoreValidation=true").await;
        for _ in 0..2 {
            crate::tasks_walk::turn(&world, "environments").await;
        }
        vcenter.take("vm-a");
        run_out(&world).await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!(ended["status"], "SUCCESS", "{ended}");
        let told = |step: usize| ended["steps"][step]["message"].as_str().unwrap().to_owned();
        assert!(told(2).contains("vm-a is not there") && told(3).contains("stays"), "{ended}");
        let left = &vcenter.machines()[0];
        assert_eq!(vcenter.id_of(&left.name), old, "the old machine is what is left");
        // Whoever looks once more has it made again, and then nothing is left.
        let by = again(&world, &operator).await;
        let path = format!("{ENVIRONMENTS}/{environment}/nodes/a/redeploy");
        let asked = world.post(&path, json!({})).by(&by).header("if-match", "*").send().await;
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
        assert_eq!(names(&vcenter), ["vm-a"]);
    });
}

#[test]
fn an_upgrade_that_keeps_nothing_takes_no_snapshots() {
    simulated(|| async {
        let (world, operator, vcenter, id, environment) = Errand::Upgrade.scene().await;
        let asked = Errand::Upgrade.ask(&world, &operator, &id, &environment, "?disableBackup=true").await;
        run_out(&world).await;
        let waiting = task(&world, &operator, &asked).await;
        assert_eq!(steps(&waiting)[3], "MANUAL", "{waiting}");
        let told = |step: usize| waiting["steps"][step]["message"].as_str().unwrap().to_owned();
        assert!(told(1).contains("disableBackup") && told(3).contains("No snapshots"), "{waiting}");
        assert!(!vcenter.asked().contains(&"CreateSnapshot_Task".to_owned()));
        Errand::Upgrade.person(&world, &operator, &asked).await;
        assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS");
    });
}

#[test]
fn an_upgrade_that_cannot_be_kept_leaves_no_snapshot() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        let environment = deployed(&world, &operator, &id).await;
        vcenter.habit("CreateSnapshot_Task", Habit::RefusesOnce(2), 1000);
        let asked = change(&world, &operator, &environment, json!([product(&id, "10.6", &["a", "b"])])).await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)[1]), (&json!("ERROR"), "ERROR"), "{ended}");
        assert_eq!(vcenter.done().iter().filter(|what| what.starts_with("CreateSnapshot")).count(), 1);
        assert!(vcenter.machines().iter().all(|machine| machine.snapshots.is_empty() && machine.on));
    });
}

#[test]
fn what_stands_against_a_deployment_is_said_at_once_and_can_be_ignored() {
    simulated(|| async {
        let (world, operator, vcenter, id) = scene().await;
        vcenter.put("vm-other", "vm-b");
        let mut body = environment("prod", &id, &["a", "b"]);
        body["products"][0]["nodes"][0]["clusterName"] = json!("C9");
        let asked = world.post(ENVIRONMENTS, body).by(&operator).send().await;
        run_out(&world).await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!((&ended["status"], steps(&ended)[0]), (&json!("ERROR"), "ERROR"), "{ended}");
        let told = ended["message"].as_str().unwrap();
        assert!(told.contains("C9") && told.contains("vm-b"), "{told}");
        assert_eq!(vcenter.done(), [""; 0]);
        // A machine that is not there cannot be taken over; what there is is.
        let by = again(&world, &operator).await;
        let path = format!("{ENVIRONMENTS}?action=IMPORT&ignoreValidation=true");
        let asked = world.post(&path, environment("theirs", &id, &["a", "b"])).by(&by).send().await;
        run_out(&world).await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!(ended["status"], "SUCCESS", "{ended}");
        let told = ended["steps"][1]["message"].as_str().unwrap();
        assert!(told.contains("ignoreValidation") && told.contains("no machine vm-a"), "{told}");
        assert!(vcenter.machines()[0].mark.ends_with("/b"));
        // A fault that a deployment does not meet does not keep it: here, another has just given the name up.
        let by = again(&world, &operator).await;
        let works = json!({ "product": { "code": "VCD", "version": "10.4" }, "worksWith": "VCENTER", "versions": ["8.0.2"] });
        let table = json!({ "compatibilities": [works], "upgrades": [] });
        world.put("/v1/interop", table).by(&by).header("if-match", "*").send().await.expect(200);
        let path = format!("{ENVIRONMENTS}?ignoreValidation=true");
        let asked = world.post(&path, environment("more", &id, &["b"])).by(&by).send().await;
        crate::tasks_walk::turn(&world, "environments").await;
        let checked = task(&world, &operator, &asked).await;
        let told = checked["steps"][0]["message"].as_str().unwrap();
        assert!(told.contains("VCD 10.5 is not listed as working with VCENTER 8.0.2.") && told.contains("vm-b"), "{checked}");
        vcenter.take("vm-b");
        run_out(&world).await;
        let ended = task(&world, &operator, &asked).await;
        assert_eq!((&ended["status"], names(&vcenter)), (&json!("SUCCESS"), vec!["vm-b".to_owned()]), "{ended}");
        assert!(ended["steps"][0]["message"].as_str().unwrap().contains("vm-b"), "{ended}");
    });
}

#[test]
fn a_runner_that_wakes_up_after_its_lease_makes_nothing_twice() {
    let total = simulated(|| requests(Errand::Deploy));
    for nth in 1..=total {
        simulated(|| async {
            let (world, operator, vcenter, id) = scene().await;
            let asked = deploy(&world, &operator, &id, &["a"]).await;
            runner(&world, "environments").await;
            let fault = Fault::on(Target::Outbound("vc.example.com".into())).nth(nth).delay(Duration::from_secs(90));
            world.hub.faults().push(fault);
            let second = async {
                tokio::time::sleep(Duration::from_secs(61)).await;
                runner(&world, "environments").await;
            };
            futures::join!(runner(&world, "environments"), second);
            for _ in 0..20 {
                world.settle().await;
                world.hub.clock().advance(Duration::from_secs(11)).await;
            }
            run_out(&world).await;
            assert_eq!(task(&world, &operator, &asked).await["status"], "SUCCESS", "at {nth}");
            assert_eq!(names(&vcenter), ["vm-a"], "at {nth}");
            once(&vcenter);
        });
    }
}
