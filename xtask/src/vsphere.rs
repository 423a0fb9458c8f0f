//! The stage `vsphere`: a running hub discovers VMware's simulator of a vCenter and has an environment live and die there;
//! what came of it is looked up in the simulator.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::http::{Call, Client};
use crate::peer::Peer;
use crate::{shell, tools};

/// As long as any task may take here.
const PATIENCE: Duration = Duration::from_secs(90);

/// The simulator, which ends with its process.
struct Simulator {
    _process: Peer,
    client: Client,
}

impl Simulator {
    fn start() -> Result<Self> {
        let mut vcsim = shell::command(tools::vcsim()?);
        let (process, url) = Peer::start("the simulator", vcsim.stderr(Stdio::null()), "url")?;
        Ok(Self { _process: process, client: Client::new(&url) })
    }

    /// What there is in it.
    fn state(&self) -> Result<Value> {
        self.client.expect(&Call::get("/state"), 200)?.json()
    }

    /// Its machines as `name power processors [snapshots]`; every session but the simulator's own has ended.
    fn machines(&self) -> Result<Vec<String>> {
        let state = self.state()?;
        ensure!(state["sessions"] == 0, "a session at the vCenter was left open: {state}");
        let line = |vm: &Value| {
            let text = |field: &str| vm[field].as_str().unwrap_or_default().to_owned();
            let snapshots = vm["snapshots"].as_array().map_or(0, Vec::len);
            format!("{} {} {} {snapshots}", text("name"), text("powerState"), vm["numCpu"])
        };
        Ok(state["machines"].as_array().context("there is a list of machines")?.iter().map(line).collect())
    }
}

/// The operator at the hub.
struct Operator {
    client: Client,
    token: String,
}

impl Operator {
    fn send(&self, call: Call, status: u16) -> Result<Value> {
        self.client.expect(&call.bearer("OPERATOR", &self.token), status)?.json()
    }

    /// Asks for a task and gives it as it is when it has ended or waits for a person.
    fn task(&self, call: Call) -> Result<Value> {
        let asked = self.client.send(&call.bearer("OPERATOR", &self.token))?;
        ensure!(matches!(asked.status, 200 | 202), "a task was asked for and answered {}", asked.brief());
        let id = asked.json()?["id"].as_str().context("a task has an id")?.to_owned();
        self.watch(&id)
    }

    fn watch(&self, id: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let task = self.send(Call::get(format!("/v1/tasks/{id}")), 200)?;
            if task["endedAt"].is_string() || task["status"] == "MANUAL" {
                return Ok(task);
            }
            if began.elapsed() > PATIENCE {
                bail!("a task does not end: {task}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn succeeds(&self, call: Call) -> Result<Value> {
        let what = format!("{} {}", call.method, call.path);
        let task = self.task(call)?;
        ensure!(task["status"] == "SUCCESS", "{what}: {task}");
        println!("    {what}: SUCCESS");
        Ok(task)
    }

    fn fails(&self, call: Call, saying: &str) -> Result<Value> {
        let what = format!("{} {}", call.method, call.path);
        let task = self.task(call)?;
        let message = task["message"].as_str().unwrap_or_default();
        ensure!(task["status"] == "ERROR" && message.contains(saying), "{what}: {task}");
        println!("    {what}: ERROR, {message}");
        Ok(task)
    }
}

fn component(password: &str) -> Value {
    json!({
        "componentName": "vc", "componentType": "VCENTER", "version": "6.5", "fqdn": "127.0.0.1",
        "username": "administrator@vsphere.local", "password": password, "target": "VSPHERE",
        "networks": [{ "portGroupName": "DC0_DVPG0", "useDhcp": true }]
    })
}

fn node(host: &str, processors: u32, power: &str) -> Value {
    json!({
        "hostName": host, "vmName": format!("vcd-{host}"), "rootPassword": "N0de-of-the-tests", "powerState": power, "cpuNum": processors,
        "datacenterName": "DC1", "clusterName": "DC1_C1", "resourcePool": "DC1_C1_RP1", "datastoreName": "LocalDS_1",
        "nics": [{ "networkName": "DC1_DVPG1" }]
    })
}

fn products(data_center: &str, version: &str, nodes: &[Value]) -> Value {
    json!([{
        "productType": "VCD", "productId": "vcd", "version": version, "dataCenterId": data_center, "adminPassword": "Adm1n-of-the-tests",
        "nodes": nodes
    }])
}

fn post(path: &str, body: &Value) -> Call {
    Call::post(path).json(body.to_string())
}

fn put(path: &str, products: &Value) -> Call {
    let call = Call { method: "PUT", path: path.to_owned(), ..Call::default() };
    call.json(json!({ "products": products }).to_string()).header("if-match", "*")
}

/// Runs the stage.
pub fn run() -> Result<()> {
    let simulator = Simulator::start()?;
    let hosts = ("SPIN_VARIABLE_VCENTER_HOSTS", simulator.client.base().to_owned());
    let ground = Ground::start_with("vsphere", vec![hosts])?;
    let operator = Operator { client: ground.hub.client(), token: ground.sign_in()? };
    let others = simulator.state()?["others"].clone();

    let validate = "/v1/data-centers?action=VALIDATE";
    operator.fails(post(validate, &component("wr0ng-password")), "does not let")?;
    let mut other = component("Pa55-of-the-tests!");
    other["networks"][0]["portGroupName"] = "nowhere".into();
    operator.fails(post(validate, &other), "nowhere")?;
    operator.succeeds(post(validate, &component("Pa55-of-the-tests!")))?;
    let registered = operator.succeeds(post("/v1/data-centers", &component("Pa55-of-the-tests!")))?;
    let id = registered["dataCenterId"].as_str().context("a component was registered")?.to_owned();
    let path = format!("/v1/data-centers/{id}");
    operator.succeeds(post(&format!("{path}/validate"), &json!({})))?;
    operator.succeeds(post(&format!("{path}/discover"), &json!({})))?;
    let found = operator.send(Call::get(&path), 200)?;
    let inventory = &found["inventory"];
    for (list, name) in [
        ("datacenters", "DC1"),
        ("clusters", "DC1_C1"),
        ("resourcePools", "DC1_C1_RP1"),
        ("datastores", "LocalDS_1"),
        ("networks", "DC1_DVPG1"),
        ("networks", "VM Network"),
    ] {
        ensure!(
            inventory[list].as_array().is_some_and(|names| names.iter().any(|known| known == name)),
            "no {name} in {inventory}"
        );
    }
    ensure!(inventory["product"]["version"] == "6.5.0" && found["discoveredAt"].is_string(), "{found}");
    ensure!(found["networks"][0]["useDhcp"] == true, "what people said of networks is gone: {found}");

    let deploy = |name: &str, version: &str, nodes: &[Value]| json!({ "name": name, "products": products(&id, version, nodes) });
    let two = [node("a", 2, "ON"), node("b", 2, "ON")];
    operator.fails(post("/v1/environments?action=VALIDATE", &deploy("prod", "9.9", &two)), "VCD-9.9")?;
    operator.succeeds(post("/v1/environments?action=VALIDATE", &deploy("prod", "10.5", &two)))?;
    ensure!(simulator.machines()?.is_empty(), "a question made machines");
    let deployed = operator.succeeds(post("/v1/environments", &deploy("prod", "10.5", &two)))?;
    let environment = deployed["environmentId"].as_str().context("an environment was deployed")?.to_owned();
    let path = format!("/v1/environments/{environment}");
    let expect = |machines: &[&str]| -> Result<()> {
        let there = simulator.machines()?;
        ensure!(there == machines, "the vCenter has {there:?} and not {machines:?}");
        ensure!(simulator.state()?["others"] == others, "machines that are not the hub's came or went");
        Ok(())
    };
    expect(&["vcd-a poweredOn 2 0", "vcd-b poweredOn 2 0"])?;
    let state = simulator.state()?;
    let vm = &state["machines"][0];
    ensure!(
        vm["mark"] == format!("{environment}/a") && vm["annotation"].as_str().is_some_and(|note| note.contains(&environment)),
        "{vm}"
    );

    // Another machine, with the identity of the one before.
    operator.succeeds(post(&format!("{path}/nodes/a/redeploy"), &json!({})).header("if-match", "*"))?;
    expect(&["vcd-a poweredOn 2 0", "vcd-b poweredOn 2 0"])?;
    let redeployed = &simulator.state()?["machines"][0];
    ensure!(redeployed["id"] != vm["id"], "the machine was not replaced: {redeployed}");
    ensure!(
        redeployed["instanceUuid"] == vm["instanceUuid"] && redeployed["mark"] == vm["mark"],
        "the new machine is not the node: {redeployed} after {vm}"
    );

    operator.succeeds(put(&path, &products(&id, "10.5", &[node("a", 2, "OFF"), node("b", 2, "ON")])))?;
    expect(&["vcd-a poweredOff 2 0", "vcd-b poweredOn 2 0"])?;
    operator.succeeds(put(&path, &products(&id, "10.5", &[node("a", 2, "ON"), node("b", 4, "ON"), node("c", 1, "OFF")])))?;
    expect(&["vcd-a poweredOn 2 0", "vcd-b poweredOn 4 0", "vcd-c poweredOff 1 0"])?;
    let mut moved = node("a", 2, "ON");
    moved["clusterName"] = "DC1_C0".into();
    operator.fails(put(&path, &products(&id, "10.5", &[moved, node("b", 4, "ON"), node("c", 1, "OFF")])), "clusterName")?;
    operator.succeeds(put(&path, &products(&id, "10.5", &two)))?;
    expect(&["vcd-a poweredOn 2 0", "vcd-b poweredOn 2 0"])?;

    // A person upgrades the products, with snapshots to go back to: first in vain.
    for (word, status) in [("fail", "ERROR"), ("complete", "SUCCESS")] {
        let waiting = operator.task(put(&path, &products(&id, "10.6", &two)))?;
        ensure!(waiting["status"] == "MANUAL", "{waiting}");
        expect(&["vcd-a poweredOn 2 1", "vcd-b poweredOn 2 1"])?;
        let task = waiting["id"].as_str().context("a task has an id")?;
        let say = post(&format!("/v1/tasks/{task}/steps/VERIFY/{word}"), &json!({ "message": "as it is" }));
        operator.send(say, 200)?;
        let ended = operator.watch(task)?;
        ensure!(ended["status"] == status, "{ended}");
        expect(&["vcd-a poweredOn 2 0", "vcd-b poweredOn 2 0"])?;
    }

    // What is there under a name is not the hub's to take, but it can be taken over.
    let mut theirs = node("x", 1, "ON");
    (theirs["vmName"], theirs["datacenterName"]) = ("DC0_H0_VM0".into(), "DC0".into());
    for field in ["clusterName", "resourcePool", "nics", "cpuNum"] {
        theirs[field] = Value::Null;
    }
    operator.fails(post("/v1/environments", &deploy("theirs", "10.5", &[theirs.clone()])), "DC0_H0_VM0")?;
    let imported = operator.succeeds(post("/v1/environments?action=IMPORT", &deploy("ours", "10.5", &[theirs])))?;
    ensure!(simulator.machines()?.len() == 3, "the machine was not taken over");
    let imported = imported["environmentId"].as_str().context("an environment was taken over")?.to_owned();
    let delete = |path: String| Call { method: "DELETE", path, ..Call::default() }.header("if-match", "*");
    operator.succeeds(delete(format!("/v1/environments/{imported}")))?;
    operator.succeeds(delete(path))?;
    ensure!(simulator.machines()?.is_empty(), "machines were left: {}", simulator.state()?);
    ground.stop()
}
