//! A vCenter in the test's hand, with whatever habits it is to have.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tests::World;

/// What it does when it is asked for something, beside doing it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Habit {
    /// Does nothing and never answers.
    Hangs,
    /// Does it and never answers.
    Loses,
    /// Does nothing and answers what nobody can read.
    Garbles,
    /// Does nothing and answers this status, and when to come back.
    Answers(u16),
    /// Has forgotten the session.
    Expires,
    /// Refuses for this reason.
    Refuses(&'static str),
    /// Refuses the n-th time, and no other.
    RefusesOnce(u32),
    /// Takes the order, and its task fails.
    Fails,
    /// Does it only when so many machines were looked for.
    Late(u32),
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    pub name: String,
    pub uuid: String,
    pub mark: String,
    /// The task that it was deployed for.
    pub task: String,
    pub on: bool,
    pub cpu: i64,
    pub memory: i64,
    pub snapshots: Vec<String>,
}

/// A vCenter.
#[derive(Clone, Default)]
pub struct Vcenter(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    machines: BTreeMap<String, Machine>,
    /// How often each of its tasks is still found running, and whether it fails in the end.
    tasks: BTreeMap<String, (u32, bool)>,
    /// How often every task is found running first.
    slow: u32,
    sessions: Vec<String>,
    /// Per method: what it does, and how often.
    habits: BTreeMap<String, (Habit, u32)>,
    /// What was done, and to which machine.
    done: Vec<String>,
    asked: Vec<String>,
    /// Machines that come to be after so many looks.
    late: Vec<(u32, Machine)>,
    count: u32,
}

fn within<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let at = [format!("<{tag}>"), format!("<{tag} ")].iter().filter_map(|open| text.find(open.as_str())).min()?;
    let rest = &text[at..];
    let rest = &rest[rest.find('>')? + 1..];
    Some(&rest[..rest.find(&format!("</{tag}>"))?])
}

fn soap(status: u16, body: &str) -> Response<Bytes> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    Response::builder().status(status).header("content-type", "text/xml").body(text.into()).unwrap()
}

fn fault(kind: &str) -> Response<Bytes> {
    soap(
        500,
        &format!(
            "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{kind} &amp; so on</faultstring><detail><{kind}Fault xmlns=\"urn:vim25\" xsi:type=\"{kind}\"/></detail></soapenv:Fault>"
        ),
    )
}

fn rest(value: Value) -> Response<Bytes> {
    Response::builder().status(200).body(json!({ "value": value }).to_string().into()).unwrap()
}

/// Properties, each as the element that it is.
type Properties = Vec<(&'static str, String)>;

/// What it has besides machines: kind, id, and properties.
fn things() -> Vec<(&'static str, String, Properties)> {
    let name = |name: &str| ("name", format!("<val xsi:type=\"xsd:string\">{name}</val>"));
    let to = |property: &'static str, kind: &str, id: &str| {
        (property, format!("<val type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{id}</val>"))
    };
    let mut all = vec![
        ("Datacenter", "datacenter-1".to_owned(), vec![name("DC"), to("vmFolder", "Folder", "group-v1")]),
        ("ClusterComputeResource", "domain-c1".to_owned(), vec![name("C1"), to("resourcePool", "ResourcePool", "resgroup-1")]),
        ("ResourcePool", "resgroup-1".to_owned(), vec![name("Resources"), to("owner", "ClusterComputeResource", "domain-c1")]),
        ("Datastore", "datastore-1".to_owned(), vec![name("DS%2f1")]),
        ("Network", "network-1".to_owned(), vec![name("mgmt")]),
    ];
    all.extend((0..7).map(|n| ("DistributedVirtualPortgroup", format!("dvportgroup-{n}"), vec![name(&format!("group {n}"))])));
    all
}

/// So many objects are on a page, whatever was asked for.
const PAGE: usize = 4;

impl Vcenter {
    /// One that the world's hub can reach as `vc.example.com`.
    pub fn new(world: &World) -> Self {
        let vcenter = Self::default();
        vcenter.attach(world);
        vcenter
    }

    /// Is there for this hub too: one that was started again.
    pub fn attach(&self, world: &World) {
        let peer = self.clone();
        world.hub.outbound("vc.example.com", move |request| {
            let peer = peer.clone();
            async move { peer.answer(&request).await }
        });
    }

    /// Does this the next `times` that it is asked for `method`.
    pub fn habit(&self, method: &str, habit: Habit, times: u32) {
        self.0.lock().unwrap().habits.insert(method.to_owned(), (habit, times));
    }

    /// Every task of it is found running so often first.
    pub fn slow(&self, looks: u32) {
        self.0.lock().unwrap().slow = looks;
    }

    /// A machine that somebody else has made.
    pub fn put(&self, id: &str, name: &str) {
        let machine = Machine { name: name.to_owned(), on: true, cpu: 1, ..Machine::default() };
        self.0.lock().unwrap().machines.insert(id.to_owned(), machine);
    }

    /// Takes a machine away.
    pub fn take(&self, name: &str) {
        self.0.lock().unwrap().machines.retain(|_, machine| machine.name != name);
    }

    /// Its machines by name.
    pub fn machines(&self) -> Vec<Machine> {
        let mut all: Vec<Machine> = self.0.lock().unwrap().machines.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The vCenter's own id of the machine of this name.
    pub fn id_of(&self, name: &str) -> String {
        let state = self.0.lock().unwrap();
        state.machines.iter().find(|(_, machine)| machine.name == name).expect("such a machine").0.clone()
    }

    /// What was done, each thing with the machine that it was done to.
    pub fn done(&self) -> Vec<String> {
        self.0.lock().unwrap().done.clone()
    }

    /// What it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    /// How many sessions were not ended.
    pub fn sessions(&self) -> usize {
        self.0.lock().unwrap().sessions.len()
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let path = request.uri().path_and_query().unwrap().to_string();
        let method = match path.as_str() {
            "/sdk" => {
                let rest = body.split("<soapenv:Body><").nth(1).expect("an envelope");
                rest.split([' ', '>']).next().unwrap().to_owned()
            }
            _ => match path.split("~action=").nth(1) {
                Some(action) => action.to_owned(),
                None if request.method() == "DELETE" => "end".to_owned(),
                None => "begin".to_owned(),
            },
        };
        let habit = {
            let mut state = self.0.lock().unwrap();
            state.asked.push(method.clone());
            match state.habits.get_mut(&method) {
                Some((Habit::RefusesOnce(nth), _)) => {
                    *nth = nth.wrapping_sub(1);
                    (*nth == 0).then_some(Habit::Refuses("NoPermission"))
                }
                Some((habit, times)) if *times > 0 => {
                    *times -= 1;
                    Some(*habit)
                }
                _ => None,
            }
        };
        match habit {
            Some(Habit::Hangs) => std::future::pending().await,
            Some(Habit::Garbles) => return Response::builder().status(200).body("<html><p>Welcome</html>".into()).unwrap(),
            Some(Habit::Answers(status)) => {
                return Response::builder().status(status).header("retry-after", "7").body(Bytes::new()).unwrap();
            }
            Some(Habit::Expires) => self.0.lock().unwrap().sessions.clear(),
            Some(Habit::Refuses(kind)) if path == "/sdk" => return fault(kind),
            Some(Habit::Refuses(kind)) => {
                let error =
                    json!({ "errors": [{ "category": "SERVER", "error": { "messages": [{ "default_message": kind }] } }] });
                return rest(json!({ "succeeded": false, "error": error }));
            }
            _ => {}
        }
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let answer = match path.as_str() {
            "/sdk" => self.0.lock().unwrap().soap(&method, &body, &header("cookie"), habit),
            _ => self.0.lock().unwrap().rest(&method, &path, &body, &header("vmware-api-session-id"), habit),
        };
        match habit {
            Some(Habit::Loses | Habit::Late(_)) => std::future::pending().await,
            _ => answer,
        }
    }
}

impl State {
    fn session(&mut self) -> String {
        self.count += 1;
        let id = format!("session-{}", self.count);
        self.sessions.push(id.clone());
        id
    }

    fn object(&self, kind: &str, id: &str, properties: &[(&str, String)]) -> String {
        let sets: String =
            properties.iter().map(|(name, value)| format!("<propSet><name>{name}</name>{value}</propSet>")).collect();
        format!("<objects><obj type=\"{kind}\">{id}</obj>{sets}</objects>")
    }

    fn page(&self, view: &str, from: usize, response: &str) -> Response<Bytes> {
        let kinds: Vec<&str> = view.trim_start_matches("view-").split('.').collect();
        let is = |kind: &str| kinds.contains(&kind) || (kinds.contains(&"Network") && kind == "DistributedVirtualPortgroup");
        let all: Vec<_> = things().into_iter().filter(|(kind, ..)| is(kind)).collect();
        let token = if all.len() > from + PAGE { format!("<token>{view}+{}</token>", from + PAGE) } else { String::new() };
        let page: String =
            all[from..].iter().take(PAGE).map(|(kind, id, properties)| self.object(kind, id, properties)).collect();
        soap(200, &format!("<{response} xmlns=\"urn:vim25\"><returnval>{token}{page}</returnval></{response}>"))
    }

    fn soap(&mut self, method: &str, body: &str, cookie: &str, habit: Option<Habit>) -> Response<Bytes> {
        let response = format!("{method}Response");
        let say = |value: &str| soap(200, &format!("<{response} xmlns=\"urn:vim25\">{value}</{response}>"));
        let known = self.sessions.iter().any(|id| cookie.contains(id.as_str()));
        match method {
            "RetrieveServiceContent" => {
                return say(
                    "<returnval><rootFolder type=\"Folder\">group-d1</rootFolder><propertyCollector type=\"PropertyCollector\">propertyCollector</propertyCollector><viewManager type=\"ViewManager\">ViewManager</viewManager><about><name>vCenter</name><version>8.0.2</version><build>1</build><apiType>VirtualCenter</apiType><apiVersion>8.0.2.0</apiVersion><instanceUuid>u</instanceUuid></about><sessionManager type=\"SessionManager\">SessionManager</sessionManager><searchIndex type=\"SearchIndex\">SearchIndex</searchIndex></returnval>",
                );
            }
            "Login" => {
                if within(body, "password") != Some("Pa55-of-the-tests!") {
                    return fault("InvalidLogin");
                }
                let id = self.session();
                let mut answer = say("<returnval><key>k</key></returnval>");
                let cookie = format!("vmware_soap_session=\"{id}\"; Path=/; HttpOnly");
                answer.headers_mut().insert("set-cookie", cookie.parse().unwrap());
                return answer;
            }
            _ if !known => return fault("NotAuthenticated"),
            "Logout" => {
                self.sessions.retain(|id| !cookie.contains(id.as_str()));
                return say("");
            }
            _ => {}
        }
        let this = within(body, "_this").unwrap_or_default().to_owned();
        match method {
            "CreateContainerView" => {
                let kinds: Vec<&str> = body.split("<type>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
                say(&format!("<returnval type=\"ContainerView\">view-{}</returnval>", kinds.join(".")))
            }
            "DestroyView" => say(""),
            "ContinueRetrievePropertiesEx" => {
                let (view, from) = within(body, "token").unwrap().split_once('+').unwrap();
                self.page(view, from.parse().unwrap(), &response)
            }
            "RetrievePropertiesEx" => {
                let id = within(body, "obj").unwrap().to_owned();
                if id.starts_with("view-") {
                    return self.page(&id, 0, &response);
                }
                let found = if let Some((left, fails)) = self.tasks.get_mut(&id) {
                    let state = match (*left, *fails) {
                        (1.., _) => "running",
                        (0, false) => "success",
                        (0, true) => "error",
                    };
                    *left = left.saturating_sub(1);
                    let mut properties = vec![("info.state", format!("<val xsi:type=\"TaskInfoState\">{state}</val>"))];
                    if state == "error" {
                        let error = "<val xsi:type=\"LocalizedMethodFault\"><fault xsi:type=\"InsufficientResourcesFault\"/><localizedMessage>There is no memory left.</localizedMessage></val>";
                        properties.push(("info.error", error.to_owned()));
                    }
                    self.object("Task", &id, &properties)
                } else if let Some(machine) = self.machines.get(&id) {
                    let power = if machine.on { "poweredOn" } else { "poweredOff" };
                    let text = |value: &str| format!("<val>{value}</val>");
                    let mut properties = vec![
                        ("name", text(&machine.name)),
                        ("config.hardware.numCPU", text(&machine.cpu.to_string())),
                        ("config.hardware.memoryMB", text(&machine.memory.to_string())),
                        ("runtime.powerState", text(power)),
                        (
                            "config.extraConfig",
                            format!(
                                "<val><OptionValue xsi:type=\"OptionValue\"><key>providerhub.node</key><value>{}</value></OptionValue><OptionValue xsi:type=\"OptionValue\"><key>providerhub.task</key><value>{}</value></OptionValue></val>",
                                machine.mark, machine.task
                            ),
                        ),
                        ("config.instanceUuid", text(&machine.uuid)),
                    ];
                    if !machine.snapshots.is_empty() {
                        let list: String = machine
                            .snapshots
                            .iter()
                            .map(|name| format!("<rootSnapshotList><snapshot type=\"VirtualMachineSnapshot\">{id}/{name}</snapshot><name>{name}</name></rootSnapshotList>"))
                            .collect();
                        properties.push(("snapshot", format!("<val>{list}</val>")));
                    }
                    self.object("VirtualMachine", &id, &properties)
                } else {
                    return fault("ManagedObjectNotFound");
                };
                say(&format!("<returnval>{found}</returnval>"))
            }
            "FindByUuid" => {
                self.appear();
                let uuid = within(body, "uuid").unwrap();
                let found = self.machines.iter().find(|(_, machine)| machine.uuid == uuid);
                say(&found.map_or_else(String::new, |(id, _)| format!("<returnval type=\"VirtualMachine\">{id}</returnval>")))
            }
            "FindChild" => {
                let name = within(body, "name").unwrap();
                let found = self.machines.iter().find(|(_, machine)| machine.name == name);
                say(&found.map_or_else(String::new, |(id, _)| format!("<returnval type=\"VirtualMachine\">{id}</returnval>")))
            }
            _ => self.change(method, &this, body, habit, &response),
        }
    }

    /// Lets machines come to be whose time has come.
    fn appear(&mut self) {
        for (left, _) in &mut self.late {
            *left = left.saturating_sub(1);
        }
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(left, _)| *left == 0);
        self.late = later;
        for (_, machine) in now {
            self.count += 1;
            self.machines.insert(format!("vm-{}", self.count), machine);
        }
    }

    fn change(&mut self, method: &str, this: &str, body: &str, habit: Option<Habit>, response: &str) -> Response<Bytes> {
        let (id, snapshot) = this.split_once('/').map_or((this, ""), |(id, snapshot)| (id, snapshot));
        let taken = |machine: &Machine| {
            within(body, "name") == Some(&machine.name) || within(body, "instanceUuid") == Some(&machine.uuid)
        };
        if method == "ReconfigVM_Task" && self.machines.iter().any(|(other, machine)| other != id && taken(machine)) {
            return fault("DuplicateName");
        }
        let Some(machine) = self.machines.get_mut(id) else { return fault("ManagedObjectNotFound") };
        let what = format!("{} {}", method.trim_end_matches("_Task"), machine.name);
        let fails = habit == Some(Habit::Fails);
        if !fails {
            match method {
                "PowerOnVM_Task" | "PowerOffVM_Task" if machine.on == (method == "PowerOnVM_Task") => {
                    return fault("InvalidPowerState");
                }
                "PowerOnVM_Task" => machine.on = true,
                "PowerOffVM_Task" => machine.on = false,
                "Destroy_Task" if machine.on => return fault("InvalidPowerState"),
                "Destroy_Task" => drop(self.machines.remove(id)),
                "CreateSnapshot_Task" => machine.snapshots.push(within(body, "name").unwrap().to_owned()),
                "RemoveSnapshot_Task" => machine.snapshots.retain(|name| name != snapshot),
                "RevertToSnapshot_Task" => {}
                "ReconfigVM_Task" => {
                    let number = |tag: &str, was: i64| within(body, tag).map_or(was, |text| text.parse().unwrap());
                    (machine.cpu, machine.memory) = (number("numCPUs", machine.cpu), number("memoryMB", machine.memory));
                    let text = |tag: &str, was: &str| within(body, tag).unwrap_or(was).to_owned();
                    (machine.name, machine.uuid) = (text("name", &machine.name), text("instanceUuid", &machine.uuid));
                    for option in body.split("<extraConfig").skip(1) {
                        let value = within(option, "value").unwrap().to_owned();
                        match within(option, "key") {
                            Some("providerhub.node") => machine.mark = value,
                            Some("providerhub.task") => machine.task = value,
                            other => panic!("the vCenter of the tests has no option {other:?}"),
                        }
                    }
                }
                other => panic!("the vCenter of the tests has no {other}"),
            }
            self.done.push(what);
        }
        self.count += 1;
        let task = format!("task-{}", self.count);
        self.tasks.insert(task.clone(), (self.slow, fails));
        soap(200, &format!("<{response} xmlns=\"urn:vim25\"><returnval type=\"Task\">{task}</returnval></{response}>"))
    }

    fn rest(&mut self, method: &str, path: &str, body: &str, session: &str, habit: Option<Habit>) -> Response<Bytes> {
        if method == "begin" {
            return rest(self.session().into());
        }
        if !self.sessions.iter().any(|id| id == session) {
            return Response::builder().status(401).body(Bytes::new()).unwrap();
        }
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        match method {
            "end" => {
                self.sessions.retain(|id| id != session);
                rest(Value::Null)
            }
            "find" => match body["spec"]["name"].as_str() {
                Some(name @ ("VCD-10.5" | "VCD-10.6")) => rest(json!([format!("item-{name}")])),
                _ => rest(json!([])),
            },
            "filter" => rest(json!({ "name": "appliance", "networks": ["VM Network"] })),
            "deploy" => {
                assert!(path.contains("item-VCD-10.") && body["target"]["resource_pool_id"] == "resgroup-1", "{path} {body}");
                let name = body["deployment_spec"]["name"].as_str().unwrap().to_owned();
                let machine = Machine { name: name.clone(), cpu: 1, memory: 512, ..Machine::default() };
                self.done.push(format!("deploy {name}"));
                if let Some(Habit::Late(looks)) = habit {
                    self.late.push((looks, machine));
                    return rest(Value::Null);
                }
                self.count += 1;
                let id = format!("vm-{}", self.count);
                self.machines.insert(id.clone(), machine);
                rest(json!({ "succeeded": true, "resource_id": { "type": "VirtualMachine", "id": id } }))
            }
            other => panic!("the vCenter of the tests has no {other}"),
        }
    }
}
