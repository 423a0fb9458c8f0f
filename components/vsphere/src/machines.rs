//! Makes machines what they are to be, by what there is: it looks at each, does the next thing that is not as it should be,
//! and looks again. So whatever was done before, by whomever, is not done twice.
//!
//! A machine is the hub's by the UUID of its instance, which follows from the environment and the node: a copy that somebody
//! makes of it gets another. It gets that UUID right after it was deployed; until then it goes by a name that nobody else
//! would give, so that one whose deployment was never answered is found too.

use crate::{
    peer::Wrong,
    turns::{Stop, Turn},
    vcenter::{Object, Ref, TaskState, Vcenter},
    xml::{Element, escape, tag},
};
use domain::{
    Error, Id,
    data_center::Target,
    form::{read, written},
    id,
    task::{Outcome, StepName, TaskType, Way},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};
use store::{
    data_centers, environments, jobs,
    plans::{self, Plan},
};

/// How long one turn goes on before others have theirs.
const TURN: Duration = Duration::from_secs(12);
/// How long a task of the vCenter's is left alone before it is looked at again, in seconds.
const LOOK: u32 = 5;
/// How long a deployment that was not answered is waited for before it is asked for again, in milliseconds.
const UNANSWERED: i64 = 120_000;
/// How often it is asked for.
const DEPLOYMENTS: i64 = 3;
/// How long after it was asked for a machine may still appear that is to be taken back, in milliseconds.
const LATE: i64 = 600_000;
/// How often in a row a machine may be found in the midst of something.
const TRIES: i64 = 60;
/// The option of a machine that says which node it is.
const MARK: &str = "providerhub.node";
/// The option of a machine that says for which task it was deployed.
const DEPLOYED_BY: &str = "providerhub.task";
/// What of a node cannot be changed where it is.
const FIXED: [&str; 7] =
    ["datacenterName", "clusterName", "resourcePool", "datastoreName", "deploymentOption", "nics", "gateway"];

/// A node, and what is to become of it.
struct Goal<'a> {
    data_center: Id<id::DataCenter>,
    product: &'a Value,
    node: &'a Value,
    /// Whether it is to be there.
    present: bool,
    /// Whether its product is brought to another version.
    upgraded: bool,
    /// Whether its machine is replaced.
    replaced: bool,
    /// Whether there was no such node before.
    new: bool,
    uuid: String,
    /// What it is called until it is known to be there.
    provisional: String,
    /// What a machine that was replaced is called until it is taken away.
    retired: String,
    mark: String,
}

/// What came of a look at a machine.
enum Next {
    /// It is what it is to be.
    Right,
    /// Something was done; it is to be looked at again.
    Acted,
    /// Something goes on, which takes so many seconds.
    Wait(u32, String),
}

/// A machine that is the hub's.
struct Machine {
    object: Object,
    /// Whether it still goes by its provisional name.
    provisional: bool,
}

impl Machine {
    fn number(&self, name: &str) -> i64 {
        self.object.text(name).parse().unwrap_or_default()
    }

    fn is_on(&self) -> bool {
        self.object.text("runtime.powerState") == "poweredOn"
    }

    /// Its snapshot of this name.
    fn snapshot(&self, name: &str) -> Option<Ref> {
        fn find(tree: &Element, list: &str, name: &str) -> Option<Ref> {
            tree.all(list).find_map(|snapshot| match snapshot.text_of("name") == name {
                true => snapshot.child("snapshot").map(|this| Ref::new("VirtualMachineSnapshot", this.text.trim())),
                false => find(snapshot, "childSnapshotList", name),
            })
        }
        find(self.object.get("snapshot")?, "rootSnapshotList", name)
    }
}

/// A UUID that follows from a text.
fn uuid(text: &str) -> String {
    let digest = Sha256::digest(text);
    let mut hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // Version 8, of the variant of RFC 9562: one whose bits mean something to whoever made it.
    hex.replace_range(12..13, "8");
    hex.replace_range(16..17, "8");
    for at in [20, 16, 12, 8] {
        hex.insert(at, '-');
    }
    hex
}

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn nodes(products: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let products = products.as_array().map(Vec::as_slice).unwrap_or_default();
    products.iter().flat_map(|product| items(product, "nodes").iter().map(move |node| (product, node)))
}

fn said<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The node that this one is, among others.
fn same<'a>(products: &'a Value, product: &Value, node: &Value) -> Option<(&'a Value, &'a Value)> {
    nodes(products).find(|(other, one)| one["hostName"] == node["hostName"] && other["dataCenterId"] == product["dataCenterId"])
}

/// A vCenter that a turn is signed in at.
struct There {
    id: Id<id::DataCenter>,
    vcenter: Vcenter,
    /// Its data centers, with their folders of machines.
    places: Vec<Object>,
    /// What machines are put on in the data center that was looked at last: it stays what it is for as long as a turn goes on.
    grounds: RefCell<Option<(Ref, Rc<Vec<Object>>)>>,
}

/// A turn at machines.
struct Work<'t, 'a> {
    turn: &'t mut Turn<'a>,
    plan: Plan,
    before: Value,
    after: Value,
    there: Option<There>,
    began: Instant,
}

/// Takes a turn, and signs out wherever it signed in.
pub async fn go(turn: &mut Turn<'_>) -> Result<Outcome, Stop> {
    let db = turn.hub.db().await?;
    let plan = plans::of_task(db, &turn.scope, turn.task.id).await?;
    let unread = |error: serde_json::Error| Error::fault(format!("the products of a plan: {error}"));
    let after = read(plan.products.as_bytes()).map_err(unread)?;
    let before = match turn.task.environment_id {
        Some(id) => read(environments::find(db, &turn.scope, id).await?.products.get().as_bytes()).map_err(unread)?,
        None => Value::Null,
    };
    let mut work = Work { turn, plan, before, after, there: None, began: Instant::now() };
    let came = work.go().await;
    if let Some(there) = work.there.take() {
        // Who did not answer is not asked once more.
        if !matches!(came, Err(Stop::There(Wrong::Broken(_)))) {
            there.vcenter.sign_out().await;
        }
    }
    came
}

impl Work<'_, '_> {
    fn way(&self) -> Way {
        self.turn.asked.way
    }

    fn now(&self) -> i64 {
        self.turn.hub.now().timestamp_millis()
    }

    async fn go(&mut self) -> Result<Outcome, Stop> {
        let (before, after) = (std::mem::take(&mut self.before), std::mem::take(&mut self.after));
        if (self.turn.asked.step, self.way()) == (StepName::Apply, Way::Do)
            && let Some(why) = fixed(&before, &after)
        {
            return Ok(Outcome::Failed(why));
        }
        let goals = self.goals(&before, &after).await?;
        if self.turn.asked.step == StepName::Check {
            return self.validate(&goals).await;
        }
        let way = if self.way() == Way::Do { "DO" } else { "UNDO" };
        let place = format!("{way} {}", self.turn.asked.step);
        // Where the turn before stopped, if it was one of this kind.
        let (mut at, mut found) = match self.turn.memo.text("place") == Some(&place) {
            true => (
                self.turn.memo.number("at").and_then(|at| usize::try_from(at).ok()).unwrap_or_default(),
                self.turn.memo.text("found").unwrap_or_default().to_owned(),
            ),
            false => (0, String::new()),
        };
        let ignores = self.plan.ignore_validation && (self.turn.asked.step, self.way()) == (StepName::Verify, Way::Do);
        while let Some(goal) = goals.get(at) {
            let next = match self.pending(goal).await? {
                Next::Acted => match self.look(goal).await {
                    Err(Stop::There(Wrong::Settled(why))) if ignores => {
                        found = joined(&found, &why);
                        Next::Right
                    }
                    looked => looked?,
                },
                other => other,
            };
            let stopped = match next {
                Next::Right => {
                    at += 1;
                    None
                }
                Next::Acted => {
                    (self.began.elapsed() > TURN).then(|| (0, "Machines are being made what they are to be.".to_owned()))
                }
                Next::Wait(seconds, what) => Some((seconds, what)),
            };
            if let Some((seconds, what)) = stopped {
                let entries = [("place", place.into()), ("at", at.into()), ("found", found.into()), ("busy", Value::Null)];
                self.turn.memo.set(&entries).await?;
                return Ok(self.turn.later(seconds, &what));
            }
        }
        let upgraded = goals.iter().filter(|goal| goal.upgraded).map(|goal| said(goal.node, "vmName")).collect::<Vec<_>>();
        if self.turn.asked.step == StepName::Verify && !upgraded.is_empty() {
            let (kept, back) = match self.plan.disable_backup {
                false => ("Snapshots of them were taken.", ", and the machines go back to their snapshots"),
                true => ("No snapshots of them were taken.", ", and what was changed in them stays changed"),
            };
            let found = if found.is_empty() { found } else { format!(" Ignored so far: {found}") };
            return Ok(Outcome::WaitForPerson(format!(
                "Bring the products in {} to their new versions as the plan {id} says (GET /v1/plans/{id} shows it), then say so: POST /v1/tasks/{task}/steps/VERIFY/complete, or /fail if it cannot be done{back}. {kept}{found}",
                upgraded.join(", "),
                id = self.plan.id,
                task = self.turn.task.id
            )));
        }
        Ok(if found.is_empty() { Outcome::Done } else { ignored(&found) })
    }

    /// Sees, before anything is touched, whether it can be done; all that stands against it is said at once.
    async fn validate(&mut self, goals: &[Goal<'_>]) -> Result<Outcome, Stop> {
        let mut found = String::new();
        for goal in goals.iter().filter(|goal| goal.new || goal.replaced || goal.upgraded) {
            self.connect(goal).await?;
            match self.can(goal).await {
                Err(Stop::There(Wrong::Settled(why))) => found = joined(&found, &why),
                seen => drop(seen?),
            }
        }
        Ok(match (found.is_empty(), self.plan.ignore_validation) {
            (true, _) => Outcome::Done,
            (false, true) => ignored(&found),
            (false, false) => Outcome::Failed(found),
        })
    }

    /// Sees whether that can be done about a node that is to be done.
    async fn can(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        if goal.new || goal.replaced {
            return self.could(goal).await;
        }
        match self.find(goal).await? {
            Some(_) => Ok(Next::Right),
            None => Err(Wrong::Settled(format!("{} is not there to be upgraded.", said(goal.node, "vmName"))).into()),
        }
    }

    /// What is to become of each node. What is taken away goes last, and first on the way back: so nothing is lost before what
    /// takes its place is there.
    async fn goals<'g>(&self, before: &'g Value, after: &'g Value) -> Result<Vec<Goal<'g>>, Stop> {
        let undo = self.way() == Way::Undo;
        let replaced = self.plan.replaced()?;
        let (wanted, unwanted) = if undo { (before, after) } else { (after, before) };
        let verify = self.turn.asked.step != StepName::Apply;
        let here = nodes(if verify { after } else { wanted }).map(|(product, node)| (product, node, true));
        let gone = nodes(unwanted).filter(|(product, node)| !verify && same(wanted, product, node).is_none());
        let mut all: Vec<(&Value, &Value, bool)> = here.chain(gone.map(|(product, node)| (product, node, false))).collect();
        if undo {
            all.sort_by_key(|(_, _, present)| *present);
        }
        let mut goals = Vec::new();
        for (product, node, present) in all {
            let Ok(data_center) = said(product, "dataCenterId").parse() else { continue };
            let db = self.turn.hub.db().await?;
            if data_centers::find_use(db, &self.turn.scope, data_center).await?.2 != Target::Vsphere {
                continue;
            }
            let mark = format!("{}/{}", self.plan.environment_id, said(node, "hostName"));
            let uuid = uuid(&mark);
            let other = same(before, product, node).zip(same(after, product, node));
            goals.push(Goal {
                data_center,
                product,
                node,
                present,
                replaced: replaced.iter().any(|host| node["hostName"] == *host),
                new: same(before, product, node).is_none(),
                upgraded: other.is_some_and(|((old, _), (new, _))| old["version"] != new["version"]),
                provisional: format!("{}.{}", self.plan.environment_id, &uuid[..8]),
                retired: format!("{}.{}.replaced", self.plan.environment_id, &uuid[..8]),
                uuid,
                mark,
            });
        }
        Ok(goals)
    }

    /// The vCenter of a goal.
    async fn connect(&mut self, goal: &Goal<'_>) -> Result<(), Stop> {
        if self.there.as_ref().is_some_and(|there| there.id == goal.data_center) {
            return Ok(());
        }
        if let Some(there) = self.there.take() {
            there.vcenter.sign_out().await;
        }
        let db = self.turn.hub.db().await?;
        let access = data_centers::access(db, &self.turn.scope, goal.data_center).await?;
        let sign_in = self.turn.sign_in(&access, &goal.data_center.to_string()).await?;
        let vcenter = Vcenter::sign_in(sign_in).await?;
        let places = vcenter.below(&vcenter.root(), &[("Datacenter", &["name", "vmFolder"])]).await;
        let there = self.there.insert(There { id: goal.data_center, vcenter, places: Vec::new(), grounds: RefCell::default() });
        there.places = places?;
        there.places.sort_by_key(Object::name);
        Ok(())
    }

    fn there(&self) -> Result<&There, Stop> {
        self.there.as_ref().ok_or_else(|| Error::unavailable("a turn is signed in nowhere").into())
    }

    /// The vCenter's data center of a node, and its folder of machines.
    fn place(&self, goal: &Goal<'_>) -> Result<(Ref, Ref), Stop> {
        let name = said(goal.node, "datacenterName");
        let place = self.there()?.places.iter().find(|place| name.is_empty() || place.name() == name);
        let missing =
            || Wrong::Settled(format!("The vCenter has no data center {name:?}, where {} is to be.", said(goal.node, "vmName")));
        let place = place.ok_or_else(missing)?;
        Ok((place.this.clone(), place.reference("vmFolder").ok_or_else(missing)?))
    }

    /// Sees how the task of the vCenter's stands that the turn before began, if it did.
    async fn pending(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        self.connect(goal).await?;
        let Some(id) = self.turn.memo.text("task").map(str::to_owned) else { return Ok(Next::Acted) };
        let state = self.there()?.vcenter.task(&Ref::new("Task", &id)).await?;
        if matches!(state, TaskState::Running) {
            let what = self.turn.memo.text("what").unwrap_or_default().to_owned();
            return Ok(Next::Wait(LOOK, what));
        }
        let same = self.turn.memo.text("of") == Some(&goal.mark);
        self.turn.memo.set(&[("task", Value::Null)]).await?;
        match state {
            TaskState::Failed(wrong) if same => self.midst(wrong).await,
            _ => Ok(Next::Acted),
        }
    }

    /// A machine in the midst of something is looked at again; any other refusal is one.
    async fn midst(&mut self, wrong: Wrong) -> Result<Next, Stop> {
        let tries = self.turn.memo.number("tries").unwrap_or_default() + 1;
        if tries > TRIES
            || !wrong.is(&["TaskInProgress", "InvalidPowerState", "InvalidState", "ConcurrentAccess", "ManagedObjectNotFound"])
        {
            return Err(wrong.into());
        }
        self.turn.memo.set(&[("tries", tries.into())]).await?;
        Ok(Next::Wait(LOOK, "The vCenter is in the midst of something else with the machine.".to_owned()))
    }

    /// Does something to a machine.
    async fn act(&mut self, goal: &Goal<'_>, method: &str, this: &Ref, body: &str, what: &str) -> Result<Next, Stop> {
        // A runner that was overtaken must not bring back what was undone meanwhile.
        if !jobs::holds(self.turn.hub.db().await?, &self.turn.asked.job).await? {
            return Err(jobs::taken_over().into());
        }
        let vcenter = &self.there()?.vcenter;
        let begun = match vcenter.start(method, this, body).await {
            Ok(task) => vcenter.task(&task).await.map(|state| (task, state)),
            Err(wrong) => Err(wrong),
        };
        match begun {
            Ok((_, TaskState::Done)) => Ok(Next::Acted),
            Ok((task, TaskState::Running)) => {
                let what = format!("{} is being {what}.", said(goal.node, "vmName"));
                let entries = [("task", task.id.into()), ("of", goal.mark.as_str().into()), ("what", what.as_str().into())];
                self.turn.memo.set(&entries).await?;
                Ok(Next::Wait(LOOK, what))
            }
            Ok((_, TaskState::Failed(wrong))) | Err(wrong @ Wrong::Refused { .. }) if !wrong.is(&["NotAuthenticated"]) => {
                self.midst(wrong).await
            }
            Ok((_, TaskState::Failed(wrong))) | Err(wrong) => Err(wrong.into()),
        }
    }

    /// The machine of a node, if there is one.
    async fn find(&self, goal: &Goal<'_>) -> Result<Option<Machine>, Stop> {
        if let Some(this) = self.there()?.vcenter.machine(&goal.uuid).await? {
            return self.seen(&this, false).await;
        }
        match self.called(goal, &goal.provisional).await? {
            Some(this) => self.seen(&this, true).await,
            None => self.taken_over(goal).await,
        }
    }

    /// The machine that stands for a node, if one does: not one that is still to be the node's.
    async fn current(&self, goal: &Goal<'_>) -> Result<Option<Machine>, Stop> {
        match self.there()?.vcenter.machine(&goal.uuid).await? {
            Some(this) => self.seen(&this, false).await,
            None => self.taken_over(goal).await,
        }
    }

    /// The machine of a node that was taken over: it keeps its UUID, and has only the mark.
    async fn taken_over(&self, goal: &Goal<'_>) -> Result<Option<Machine>, Stop> {
        match self.called(goal, said(goal.node, "vmName")).await? {
            Some(this) if self.option(&this, MARK).await? == goal.mark => self.seen(&this, false).await,
            _ => Ok(None),
        }
    }

    /// The machine of this name, beside which a node's machine is or would be.
    async fn called(&self, goal: &Goal<'_>, name: &str) -> Result<Option<Ref>, Stop> {
        let (_, folder) = self.place(goal)?;
        Ok(self.there()?.vcenter.child(&folder, name).await?.filter(|this| this.kind == "VirtualMachine"))
    }

    async fn seen(&self, this: &Ref, provisional: bool) -> Result<Option<Machine>, Stop> {
        let properties = [
            "name",
            "config.hardware.numCPU",
            "config.hardware.memoryMB",
            "config.instanceUuid",
            "runtime.powerState",
            "snapshot",
        ];
        Ok(self.there()?.vcenter.look(this, &properties).await?.map(|object| Machine { object, provisional }))
    }

    /// What a machine has as this option; empty when it does not have it.
    async fn option(&self, this: &Ref, key: &str) -> Result<String, Stop> {
        let Some(object) = self.there()?.vcenter.look(this, &["config.extraConfig"]).await? else { return Ok(String::new()) };
        let options = object.get("config.extraConfig").map(|list| list.children.as_slice()).unwrap_or_default();
        let found = options.iter().find(|option| option.text_of("key") == key);
        Ok(found.map_or_else(String::new, |option| option.text_of("value").to_owned()))
    }

    /// Whether a machine was deployed for this task.
    async fn is_of_task(&self, machine: &Machine) -> Result<bool, Stop> {
        Ok(self.option(&machine.object.this, DEPLOYED_BY).await? == self.turn.task.id.to_string())
    }

    /// The next thing that is to be done about a node.
    async fn look(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        match (self.turn.asked.step, self.plan.task_type) {
            (StepName::Verify, TaskType::EnvironmentValidate) => self.could(goal).await,
            (StepName::Verify, TaskType::EnvironmentImport) => self.take_over(goal).await,
            (StepName::Verify, _) => self.see(goal).await,
            (StepName::Record, _) => self.tidy(goal).await,
            (StepName::Backup, _) if self.way() == Way::Do => self.keep(goal).await,
            (StepName::Backup, _) => self.let_go(goal).await,
            _ if goal.replaced && self.way() == Way::Do => self.replace(goal).await,
            _ if goal.replaced => self.give_back(goal).await,
            _ if goal.present => self.make(goal).await,
            _ => self.destroy(goal).await,
        }
    }

    /// The name of the snapshots that this task takes.
    fn snapshot_name(&self) -> String {
        format!("Provider Hub {}", self.turn.task.id)
    }

    /// Makes a machine what it is to be.
    async fn make(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let Some(machine) = self.find(goal).await? else { return self.deploy(goal).await };
        let this = machine.object.this.clone();
        if machine.provisional {
            self.free(goal).await?;
            return self.act(goal, "ReconfigVM_Task", &this, &self.identity(goal), "given its name").await;
        }
        if self.turn.memo.text("deploying").is_some_and(|of| of == goal.mark) {
            self.turn.memo.set(&[("deploying", Value::Null)]).await?;
        }
        match (self.way(), machine.snapshot(&self.snapshot_name())) {
            (Way::Do, None) if goal.upgraded && self.keeps_itself() => return self.snap(goal, &this).await,
            (Way::Undo, Some(snapshot)) => return self.revert(goal, &snapshot).await,
            _ => {}
        }
        let vm_name = said(goal.node, "vmName");
        let renamed = machine.object.name() != vm_name;
        let (cpu, memory) = sizes(goal.node, &machine);
        if renamed || cpu.is_some() || memory.is_some() {
            if (cpu.is_some() || memory.is_some()) && machine.is_on() {
                return self.act(goal, "PowerOffVM_Task", &this, "", "powered off").await;
            }
            if renamed {
                self.free(goal).await?;
            }
            let mut spec = String::new();
            if renamed {
                spec += &tag("name", vm_name);
            }
            spec += &size_of("numCPUs", cpu);
            spec += &size_of("memoryMB", memory);
            return self.act(goal, "ReconfigVM_Task", &this, &format!("<spec>{spec}</spec>"), "changed").await;
        }
        match (goal.node["powerState"] == "OFF", machine.is_on()) {
            (true, true) => self.act(goal, "PowerOffVM_Task", &this, "", "powered off").await,
            (false, false) => self.act(goal, "PowerOnVM_Task", &this, "", "powered on").await,
            _ => {
                self.turn.memo.set(&[("tries", Value::Null)]).await?;
                Ok(Next::Right)
            }
        }
    }

    /// Whether this step has to take the snapshots of an upgrade: no step before it did.
    fn keeps_itself(&self) -> bool {
        !self.plan.disable_backup && !self.turn.task.steps.iter().any(|step| step.name == StepName::Backup.as_str())
    }

    async fn snap(&mut self, goal: &Goal<'_>, this: &Ref) -> Result<Next, Stop> {
        let body = tag("name", &self.snapshot_name())
            + &tag("description", "Before an upgrade")
            + "<memory>false</memory><quiesce>false</quiesce>";
        self.act(goal, "CreateSnapshot_Task", this, &body, "kept in a snapshot").await
    }

    /// Keeps a machine that is upgraded as it is.
    async fn keep(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let Some(machine) = self.find(goal).await?.filter(|_| goal.upgraded) else { return Ok(Next::Right) };
        match machine.snapshot(&self.snapshot_name()) {
            Some(_) => Ok(Next::Right),
            None => self.snap(goal, &machine.object.this).await,
        }
    }

    /// Puts a new machine in the place of a node's. The new one is there before the old one makes way; and that is kept under
    /// another name until there is no way back.
    async fn replace(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let Some(machine) = self.current(goal).await? else { return self.make(goal).await };
        if self.is_of_task(&machine).await? {
            return self.make(goal).await;
        }
        if let Some(left) = self.called(goal, &goal.retired).await? {
            // An earlier task that was not undone has left it.
            return self.discard(goal, &left).await;
        }
        if self.called(goal, &goal.provisional).await?.is_none() {
            return self.deploy(goal).await;
        }
        let this = machine.object.this.clone();
        if machine.is_on() {
            return self.act(goal, "PowerOffVM_Task", &this, "", "powered off").await;
        }
        let mut spec = tag("name", &goal.retired);
        if machine.object.text("config.instanceUuid") == goal.uuid {
            spec += &tag("instanceUuid", &uuid(&goal.retired));
        }
        self.act(goal, "ReconfigVM_Task", &this, &format!("<spec>{spec}</spec>"), "put aside").await
    }

    /// Gives a node the machine back that was replaced.
    async fn give_back(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        if let Some(new) = self.called(goal, &goal.provisional).await? {
            return self.discard(goal, &new).await;
        }
        let retired = self.called(goal, &goal.retired).await?;
        match (retired, self.current(goal).await?) {
            (Some(_), Some(new)) if self.is_of_task(&new).await? => return self.discard(goal, &new.object.this).await,
            (Some(old), None) => {
                let mut spec = tag("name", said(goal.node, "vmName"));
                let aside = self.seen(&old, false).await?;
                if aside.is_some_and(|aside| aside.object.text("config.instanceUuid") == uuid(&goal.retired)) {
                    spec += &tag("instanceUuid", &goal.uuid);
                }
                return self.act(goal, "ReconfigVM_Task", &old, &format!("<spec>{spec}</spec>"), "given its name back").await;
            }
            // It is as it was, but for having been switched off.
            (_, Some(old)) if !old.is_on() && goal.node["powerState"] != "OFF" => {
                return self.act(goal, "PowerOnVM_Task", &old.object.this, "", "powered on").await;
            }
            (_, Some(_)) => {}
            // There was none before.
            (None, None) => {}
        }
        Ok(self.late(goal).unwrap_or(Next::Right))
    }

    /// Takes a machine away that is the hub's and no node's.
    async fn discard(&mut self, goal: &Goal<'_>, this: &Ref) -> Result<Next, Stop> {
        let Some(machine) = self.seen(this, false).await? else { return Ok(Next::Acted) };
        if machine.is_on() {
            return self.act(goal, "PowerOffVM_Task", this, "", "powered off").await;
        }
        let next = self.act(goal, "Destroy_Task", this, "", "destroyed").await?;
        if self.turn.memo.text("deploying").is_some_and(|of| of == goal.mark) {
            self.turn.memo.set(&[("deploying", Value::Null)]).await?;
        }
        Ok(next)
    }

    /// Waits for a machine whose deployment was never answered.
    fn late(&self, goal: &Goal<'_>) -> Option<Next> {
        let announced = self.turn.memo.text("deploying").is_some_and(|of| of == goal.mark);
        let waits = announced && self.now() - self.turn.memo.number("sent").unwrap_or_default() < LATE;
        waits.then(|| {
            let vm_name = said(goal.node, "vmName");
            let what = format!("{vm_name} was to be deployed, which was never answered: it is waited for, to be taken back.");
            Next::Wait(3 * LOOK, what)
        })
    }

    /// Takes a machine back to its snapshot, and then the snapshot away.
    async fn revert(&mut self, goal: &Goal<'_>, snapshot: &Ref) -> Result<Next, Stop> {
        if self.turn.memo.text("reverted") == Some(&goal.mark) {
            let next = self
                .act(goal, "RemoveSnapshot_Task", snapshot, "<removeChildren>false</removeChildren>", "freed of its snapshot")
                .await?;
            self.turn.memo.set(&[("reverted", Value::Null)]).await?;
            return Ok(next);
        }
        let next = self.act(goal, "RevertToSnapshot_Task", snapshot, "", "taken back to its snapshot").await?;
        self.turn.memo.set(&[("reverted", goal.mark.as_str().into())]).await?;
        Ok(next)
    }

    /// Refuses a name that another machine has.
    async fn free(&self, goal: &Goal<'_>) -> Result<(), Stop> {
        let (_, folder) = self.place(goal)?;
        match self.there()?.vcenter.child(&folder, said(goal.node, "vmName")).await? {
            None => Ok(()),
            Some(_) => Err(taken(goal)),
        }
    }

    /// What makes a machine that was just deployed the node.
    fn identity(&self, goal: &Goal<'_>) -> String {
        let note = format!(
            "Deployed by Provider Hub: the node {} of the environment {} ({}).",
            said(goal.node, "hostName"),
            self.plan.code,
            self.plan.environment_id
        );
        let mut spec = tag("name", said(goal.node, "vmName"));
        // In the order of the schema.
        spec += &tag("instanceUuid", &goal.uuid);
        spec += &tag("annotation", &note);
        spec += &size_of("numCPUs", goal.node["cpuNum"].as_i64());
        spec += &size_of("memoryMB", goal.node["ramMemory"].as_i64());
        format!("<spec>{spec}{}{}</spec>", option(MARK, &goal.mark), option(DEPLOYED_BY, &self.turn.task.id.to_string()))
    }

    /// What a node can be put on: what there is of clusters, pools, datastores and networks in its data center, by name.
    async fn grounds(&self, goal: &Goal<'_>) -> Result<Rc<Vec<Object>>, Stop> {
        let (place, _) = self.place(goal)?;
        let known = self.there()?.grounds.borrow().as_ref().filter(|(of, _)| *of == place).map(|(_, known)| known.clone());
        if let Some(known) = known {
            return Ok(known);
        }
        let kinds: [(&str, &[&str]); 4] = [
            ("ClusterComputeResource", &["name", "resourcePool"]),
            ("ResourcePool", &["name", "owner"]),
            ("Datastore", &["name"]),
            ("Network", &["name"]),
        ];
        let mut found = self.there()?.vcenter.below(&place, &kinds).await?;
        found.sort_by_key(Object::name);
        let found = Rc::new(found);
        *self.there()?.grounds.borrow_mut() = Some((place, found.clone()));
        Ok(found)
    }

    /// Where a node is to be deployed: the resource pool and the datastore, if one is named.
    async fn target(&self, goal: &Goal<'_>) -> Result<(Ref, Option<Ref>, Rc<Vec<Object>>), Stop> {
        let there = self.grounds(goal).await?;
        let named = |kind: &str, name: &str| {
            there.iter().filter(|one| one.this.kind == kind).find(|one| name.is_empty() || one.name() == name)
        };
        let missing = |what: &str, field: &str| {
            let (name, vm) = (said(goal.node, field), said(goal.node, "vmName"));
            Wrong::Settled(format!("The vCenter has no {what} {name:?}, where {vm} is to be. Discover it to see what it has."))
        };
        let cluster =
            named("ClusterComputeResource", said(goal.node, "clusterName")).ok_or_else(|| missing("cluster", "clusterName"))?;
        let pool = match said(goal.node, "resourcePool") {
            "" => cluster.reference("resourcePool"),
            name => there
                .iter()
                .find(|one| {
                    one.this.kind == "ResourcePool"
                        && one.name() == name
                        && one.reference("owner").is_some_and(|owner| owner.id == cluster.this.id)
                })
                .map(|one| one.this.clone()),
        };
        let pool = pool.ok_or_else(|| missing("resource pool", "resourcePool"))?;
        let datastore = match said(goal.node, "datastoreName") {
            "" => None,
            name => Some(named("Datastore", name).ok_or_else(|| missing("datastore", "datastoreName"))?.this.clone()),
        };
        for nic in items(goal.node, "nics") {
            let name = said(nic, "networkName");
            if network(&there, name).is_none() {
                return Err(Wrong::Settled(format!(
                    "The vCenter has no network {name:?}, where {} is to be.",
                    said(goal.node, "vmName")
                ))
                .into());
            }
        }
        Ok((pool, datastore, there))
    }

    /// The item of the content libraries that a node is made of.
    async fn item(&self, goal: &Goal<'_>) -> Result<String, Stop> {
        let name = format!("{}-{}", said(goal.product, "productType"), said(goal.product, "version"));
        let item = self.there()?.vcenter.library_item(&name).await?;
        item.ok_or_else(|| {
            Wrong::Settled(format!("No content library of the vCenter has an OVF item with the name {name}. Add it.")).into()
        })
    }

    /// Has a machine deployed. That it is about to be is written down first: whoever comes after knows that it may appear.
    async fn deploy(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let vm_name = said(goal.node, "vmName");
        let again = self.turn.memo.text("deploying").is_some_and(|of| of == goal.mark);
        let (sent, times) = match again {
            true => (self.turn.memo.number("sent").unwrap_or_default(), self.turn.memo.number("times").unwrap_or_default()),
            false => (0, 0),
        };
        if times > 0 && self.now() - sent < UNANSWERED {
            return Ok(Next::Wait(2 * LOOK, format!("{vm_name} is being deployed; the vCenter has not said how that went.")));
        }
        if times >= DEPLOYMENTS {
            return Err(
                Wrong::Settled(format!("{vm_name} was to be deployed {times} times, and the vCenter never answered.")).into()
            );
        }
        if !goal.replaced {
            self.free(goal).await?;
        }
        let (pool, datastore, there) = self.target(goal).await?;
        let item = self.item(goal).await?;
        let (_, folder) = self.place(goal)?;
        let target = json!({ "resource_pool_id": pool.id, "folder_id": folder.id });
        let asked_for = self.there()?.vcenter.library_item_networks(&item, &target).await?;
        let mut spec = json!({
            "name": goal.provisional,
            "annotation": format!("Being deployed by Provider Hub as {}", goal.mark),
            "accept_all_EULA": true,
        });
        if let Some(datastore) = datastore {
            spec["default_datastore_id"] = datastore.id.into();
        }
        match said(&goal.product["properties"], "diskMode") {
            "" => {}
            mode => spec["storage_provisioning"] = mode.into(),
        }
        let nics = items(goal.node, "nics");
        let mappings = asked_for.iter().enumerate().filter_map(|(at, key)| {
            let nic = nics.get(at).or(nics.last())?;
            Some(json!({ "key": key, "value": network(&there, said(nic, "networkName"))?.id }))
        });
        spec["network_mappings"] = mappings.collect();
        if let Some(option) = goal.node["deploymentOption"].as_str().or(goal.product["properties"]["deploymentOption"].as_str()) {
            spec["additional_parameters"] = json!([{
                "@class": "com.vmware.vcenter.ovf.deployment_option_params", "type": "DeploymentOptionParams", "selected_key": option
            }]);
        }
        let token = uuid(&format!("{}/{}/{}", self.turn.task.id, self.turn.task.attempt, goal.mark));
        let body = json!({ "client_token": token, "target": target, "deployment_spec": spec });
        let entries = [("deploying", goal.mark.as_str().into()), ("sent", self.now().into()), ("times", (times + 1).into())];
        self.turn.memo.set(&entries).await?;
        match self.there()?.vcenter.deploy(&item, &body).await {
            Ok(_) => Ok(Next::Acted),
            Err(Wrong::Broken(_)) => {
                Ok(Next::Wait(2 * LOOK, format!("{vm_name} is being deployed; the vCenter has not said how that went.")))
            }
            Err(wrong) => {
                // It may refuse because it is at it already.
                if times > 0 && self.called(goal, &goal.provisional).await?.is_some() {
                    return Ok(Next::Acted);
                }
                self.turn.memo.set(&[("deploying", Value::Null)]).await?;
                Err(wrong.into())
            }
        }
    }

    /// Takes a machine away.
    async fn destroy(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let Some(machine) = self.find(goal).await? else {
            if let Some(next) = self.late(goal) {
                return Ok(next);
            }
            return match self.called(goal, &goal.retired).await? {
                Some(left) => self.discard(goal, &left).await,
                None => Ok(Next::Right),
            };
        };
        self.discard(goal, &machine.object.this).await
    }

    /// Sees whether a machine is what it is to be.
    async fn see(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let vm_name = said(goal.node, "vmName");
        let wrong = |what: &str| Err(Stop::There(Wrong::Settled(format!("{vm_name} {what}."))));
        let Some(machine) = self.find(goal).await? else { return wrong("is not there") };
        let (cpu, memory) = sizes(goal.node, &machine);
        if machine.provisional || machine.object.name() != vm_name {
            return wrong("has another name");
        }
        if cpu.is_some() || memory.is_some() {
            return wrong("has another size");
        }
        if machine.is_on() == (goal.node["powerState"] == "OFF") {
            return wrong(if machine.is_on() { "is on" } else { "is off" });
        }
        // A deployment that was asked for twice, and was answered late.
        if let Some(stray) = self.called(goal, &goal.provisional).await? {
            return self.act(goal, "Destroy_Task", &stray, "", "freed of its double").await;
        }
        if goal.replaced {
            return if self.is_of_task(&machine).await? { Ok(Next::Right) } else { wrong("is still the machine that was there") };
        }
        // A redeployment that was not undone may have left one.
        match self.called(goal, &goal.retired).await? {
            Some(left) => self.discard(goal, &left).await,
            None => Ok(Next::Right),
        }
    }

    /// Takes away what was only kept to go back to.
    async fn tidy(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        if !goal.replaced {
            return self.let_go(goal).await;
        }
        let Some(old) = self.called(goal, &goal.retired).await? else { return Ok(Next::Right) };
        // Whatever was ignored on the way here: the last machine of a node is not taken away.
        match self.current(goal).await? {
            Some(new) if self.is_of_task(&new).await? => self.discard(goal, &old).await,
            _ => {
                let text = format!("{} is not there, so {} stays.", said(goal.node, "vmName"), goal.retired);
                Err(Wrong::Settled(text).into())
            }
        }
    }

    /// Takes the snapshot of a machine away.
    async fn let_go(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let snapshot = self.find(goal).await?.and_then(|machine| machine.snapshot(&self.snapshot_name()));
        let Some(snapshot) = snapshot.filter(|_| goal.upgraded) else { return Ok(Next::Right) };
        self.act(goal, "RemoveSnapshot_Task", &snapshot, "<removeChildren>false</removeChildren>", "freed of its snapshot").await
    }

    /// Sees whether a node could be deployed.
    async fn could(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let (_, folder) = self.place(goal)?;
        if let Some(this) = self.there()?.vcenter.child(&folder, said(goal.node, "vmName")).await?
            && (this.kind != "VirtualMachine" || self.option(&this, MARK).await? != goal.mark)
        {
            return Err(taken(goal));
        }
        self.target(goal).await?;
        self.item(goal).await?;
        Ok(Next::Right)
    }

    /// Takes a machine over that was deployed before, or, on the way back, lets go of it. It keeps its UUID, which others
    /// may know it by.
    async fn take_over(&mut self, goal: &Goal<'_>) -> Result<Next, Stop> {
        let (_, folder) = self.place(goal)?;
        let vm_name = said(goal.node, "vmName");
        let found = self.there()?.vcenter.child(&folder, vm_name).await?.filter(|this| this.kind == "VirtualMachine");
        let Some(this) = found else {
            if self.way() == Way::Undo {
                return Ok(Next::Right);
            }
            return Err(Wrong::Settled(format!("The vCenter has no machine {vm_name} in its folder of machines.")).into());
        };
        let mark = self.option(&this, MARK).await?;
        let (is, to) = match self.way() {
            Way::Do => (mark == goal.mark, goal.mark.as_str()),
            Way::Undo => (mark != goal.mark, ""),
        };
        if is {
            return Ok(Next::Right);
        }
        if !mark.is_empty() && mark != goal.mark {
            return Err(Wrong::Settled(format!("{vm_name} is the node {mark} of another environment.")).into());
        }
        self.act(goal, "ReconfigVM_Task", &this, &format!("<spec>{}</spec>", option(MARK, to)), "taken over").await
    }
}

/// The refusal of a name that somebody else's machine has.
fn taken(goal: &Goal<'_>) -> Stop {
    let name = said(goal.node, "vmName");
    let text = format!("The vCenter has something else with the name {name}. Give the node another vmName, or take that away.");
    Wrong::Settled(text).into()
}

/// What is asked for that cannot be changed where it is.
fn fixed(before: &Value, after: &Value) -> Option<String> {
    nodes(after).find_map(|(product, node)| {
        let (_, old) = same(before, product, node)?;
        let field = FIXED.into_iter().find(|field| old[*field] != node[*field])?;
        Some(format!(
            "{field} of {} is to be {} and was {}, which is not changed where it is. Delete the node and add it anew.",
            said(node, "hostName"),
            written(&node[field]),
            written(&old[field])
        ))
    })
}

/// The sizes that a machine is to have and has not: processors, and memory in MB.
fn sizes(node: &Value, machine: &Machine) -> (Option<i64>, Option<i64>) {
    let other = |field: &str, property: &str| node[field].as_i64().filter(|size| *size != machine.number(property));
    (other("cpuNum", "config.hardware.numCPU"), other("ramMemory", "config.hardware.memoryMB"))
}

fn size_of(name: &str, size: Option<i64>) -> String {
    size.map_or_else(String::new, |size| tag(name, &size.to_string()))
}

/// An option of a machine.
fn option(key: &str, value: &str) -> String {
    format!(
        "<extraConfig xsi:type=\"OptionValue\"><key>{key}</key><value xsi:type=\"xsd:string\">{}</value></extraConfig>",
        escape(value)
    )
}

/// The most bytes of what is said of faults.
const FAULTS: usize = 4000;

/// What is found, with one more thing, if that is not too much.
fn joined(found: &str, why: &str) -> String {
    match found {
        "" => why.to_owned(),
        found if found.ends_with('…') => found.to_owned(),
        found if found.len() + why.len() > FAULTS => format!("{found} …"),
        found => format!("{found} {why}"),
    }
}

/// What is said of faults that a validation has found, where it was said that they are to be ignored.
fn ignored(found: &str) -> Outcome {
    Outcome::Noted(format!("Ignored, as was asked for (ignoreValidation): {found}"))
}

fn network(there: &[Object], name: &str) -> Option<Ref> {
    let is = |kind: &str| matches!(kind, "Network" | "DistributedVirtualPortgroup" | "OpaqueNetwork");
    there.iter().find(|one| is(&one.this.kind) && one.name() == name).map(|one| one.this.clone())
}
