//! `/v1/data-centers`: what is known of the vCenters, NSX managers and the like that environments are deployed to.

use domain::{
    Error, Id, JsonSchema, OrganizationKind, Result,
    data_center::{DataCenterType, Edit, Inventory, Registration, Target, check_networks, check_target},
    form::{Form, Shape, written},
    id,
    task::{Outcome, StepName, StepStatus, Subject, TaskType},
    text_enum,
};
use serde::Deserialize;
use serde_json::Value;
use store::{
    Scope, Tx,
    data_centers::{self, DataCenter, KeptPassword},
    organizations, stored_passwords,
    tasks::{self, NewTask, Task},
};
use web::{Accepted, Caller, Cursor, Edited, Filled, Hub, Identity, IfMatch, Listing, Page, Path, Prefer, Query, Sent, permit};

text_enum! {
    /// What to do with the description of a data center component.
    pub enum DataCenterCreateAction {
        /// Register it.
        Register = "REGISTER",
        /// See whether it is right, and keep nothing but the task.
        Validate = "VALIDATE",
    }
}

/// What to do with the description of a data center component.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateQuery {
    /// REGISTER when left out.
    action: Option<DataCenterCreateAction>,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    prefer: Prefer,
    Query(query): Query<CreateQuery>,
    new: Filled<Registration>,
) -> Result<Sent<Accepted<Task>>> {
    check_networks(&new.value)?;
    let id = hub.id();
    let registers = query.action.is_none_or(|action| action == DataCenterCreateAction::Register);
    let task_type = if registers { TaskType::DatacenterRegister } else { TaskType::DatacenterValidate };
    let owner = match new.value["organizationId"].as_str() {
        Some(text) => text.parse().map_err(|error: id::NotAnId| Error::invalid("/organizationId", error.to_string()))?,
        None => caller.acting().id,
    };
    let said = |field: &str| new.value[field].as_str().unwrap_or_default();
    if let (Ok(component_type), Ok(target)) = (said("componentType").parse(), said("target").parse()) {
        check_target(component_type, target)?;
    }
    let requested = RequestedTask::new(&hub, task_type, registers.then_some(id), new.value, &Registration::SHAPE).await?;
    let sent = hub
        .write(&caller, async |tx| {
            let owner = organizations::find_place_in_use(tx, &caller.scope(), owner).await?;
            if owner.kind == OrganizationKind::Customer {
                return Err(Error::invalid(
                    "/organizationId",
                    "is a CUSTOMER; data center components belong to who runs them, so name its provider",
                ));
            }
            hub.concerns(owner.id);
            if let Some(reference) = requested.reference(None) {
                stored_passwords::check_reference(tx, owner.id, reference).await?;
            }
            if registers {
                hub.audit_subject(id.to_string());
            }
            if let Some(password) = requested.password.as_ref().filter(|_| registers) {
                data_centers::insert(tx, id, owner.id, &requested.body, password, requested.id, hub.now()).await?;
            }
            requested.begin(tx, &hub, owner.id, registers.then_some(id), None).await
        })
        .await?;
    ::tasks::waited(&hub, &caller, sent, prefer).await
}

/// A requested task, before it is written.
struct RequestedTask {
    id: Id<id::Task>,
    job_id: Id<id::Job>,
    task_type: TaskType,
    /// What was sent, with a mask where the password stood.
    body: Value,
    /// The password, as it is kept for the component.
    password: Option<KeptPassword>,
    seen_version: Option<i64>,
}

impl RequestedTask {
    /// `stored`: the component, unless the request only validates one.
    async fn new(
        hub: &Hub,
        task_type: TaskType,
        stored: Option<Id<id::DataCenter>>,
        mut body: Value,
        shape: &Shape,
    ) -> Result<Self> {
        let id = hub.id::<id::Task>();
        let owner = stored.map_or_else(|| id.to_string(), |stored| stored.to_string());
        let password = match shape.mask(&mut body).pop() {
            Some((_, password)) => Some(KeptPassword::Sealed(hub.seal(&owner, &password).await?)),
            None => body["password"].as_str().map(|reference| KeptPassword::Reference(reference.to_owned())),
        };
        Ok(Self { id, job_id: hub.id(), task_type, body, password, seen_version: None })
    }

    /// A task without a body.
    async fn plain(hub: &Hub, task_type: TaskType, id: Id<id::DataCenter>, seen_version: Option<i64>) -> Result<Self> {
        let requested = Self::new(hub, task_type, Some(id), Value::Object(Default::default()), &Shape::Object(&[], &[])).await?;
        Ok(Self { seen_version, ..requested })
    }

    /// The reference of the stored password that the hub signs in with, if the request names one. `present`: the stored target, which
    /// holds unless the request names another. What only people reach may refer to a password that they keep elsewhere.
    fn reference(&self, present: Option<Target>) -> Option<&str> {
        let target = self.body["target"].as_str().and_then(|target| target.parse().ok()).or(present);
        match &self.password {
            Some(KeptPassword::Reference(reference)) if target == Some(Target::Vsphere) => Some(reference),
            _ => None,
        }
    }

    async fn begin(
        &self,
        tx: &Tx<'_>,
        hub: &Hub,
        organization_id: Id<id::Organization>,
        subject: Option<Id<id::DataCenter>>,
        found_version: Option<i64>,
    ) -> Result<Accepted<Task>> {
        let task = NewTask {
            id: self.id,
            task_type: self.task_type,
            organization_id,
            subject: subject.map(Subject::DataCenter),
            disable_rollback: false,
            request: &written(&self.body),
            job_id: self.job_id,
            now: hub.now(),
        };
        let value = ::tasks::begin(tx, hub, &task).await?;
        // What is registered is written already.
        let edits = self.task_type != TaskType::DatacenterRegister;
        let (body, password) = if edits { (&self.body, self.password.as_ref()) } else { (&Value::Null, None) };
        data_centers::insert_edit(tx, self.id, self.seen_version, found_version, body, password).await?;
        Ok(Accepted { value, location: ::tasks::location(self.id), ended: false })
    }

    /// Writes the task of a stored component.
    async fn send(&self, hub: &Hub, caller: &Identity, id: Id<id::DataCenter>, prefer: Prefer) -> Result<Sent<Accepted<Task>>> {
        let requested = self;
        let sent = hub
            .write(caller, async |tx| {
                let found = data_centers::find(tx, &caller.scope(), id).await?;
                data_centers::check_version(&found, requested.seen_version)?;
                if let Some(Ok(target)) = requested.body["target"].as_str().map(str::parse) {
                    check_target(found.component_type, target)?;
                }
                if let Some(reference) = requested.reference(Some(found.target)) {
                    stored_passwords::check_reference(tx, found.organization_id, reference).await?;
                }
                if requested.task_type == TaskType::DatacenterDelete {
                    data_centers::check_unused(tx, id).await?;
                }
                hub.concerns(found.organization_id);
                hub.audit_subject(id.to_string());
                data_centers::set_task(tx, id, requested.id).await?;
                requested.begin(tx, hub, found.organization_id, Some(id), Some(found.edits)).await
            })
            .await?;
        ::tasks::waited(hub, caller, sent, prefer).await
    }
}

/// Which data center components to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this organization.
    organization_id: Option<Id<id::Organization>>,
    /// Only those of this type.
    component_type: Option<DataCenterType>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::DataCenterRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<DataCenter>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let ListQuery { organization_id, component_type, .. } = query;
    let scope = caller.scope();
    let found = data_centers::list(hub.db().await?, &scope, organization_id, component_type, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |data_center| data_center.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::DataCenterRead>,
    Path(id): Path<Id<id::DataCenter>>,
) -> Result<Edited<DataCenter>> {
    let value = data_centers::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: value.edits, value })
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::DataCenter>>,
    condition: IfMatch,
    prefer: Prefer,
    patch: Filled<Edit>,
) -> Result<Sent<Accepted<Task>>> {
    check_networks(&patch.value)?;
    let mut requested = RequestedTask::new(&hub, TaskType::DatacenterUpdate, Some(id), patch.value, &Edit::SHAPE).await?;
    requested.seen_version = condition.version;
    requested.send(&hub, &caller, id, prefer).await
}

pub async fn validate(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::DataCenter>>,
    condition: Option<IfMatch>,
    prefer: Prefer,
) -> Result<Sent<Accepted<Task>>> {
    RequestedTask::plain(&hub, TaskType::DatacenterValidate, id, IfMatch::named(condition))
        .await?
        .send(&hub, &caller, id, prefer)
        .await
}

pub async fn discover(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::DataCenter>>,
    condition: Option<IfMatch>,
    prefer: Prefer,
) -> Result<Sent<Accepted<Task>>> {
    RequestedTask::plain(&hub, TaskType::DatacenterDiscover, id, IfMatch::named(condition))
        .await?
        .send(&hub, &caller, id, prefer)
        .await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::DataCenter>>,
    condition: Option<IfMatch>,
    prefer: Prefer,
) -> Result<Sent<Accepted<Task>>> {
    RequestedTask::plain(&hub, TaskType::DatacenterDelete, id, IfMatch::named(condition))
        .await?
        .send(&hub, &caller, id, prefer)
        .await
}

/// What there is at a component. With the target BUILTIN it is taken as given. With MANUAL it is what a person found whom a
/// discovery asked for it, and completes the step of the task that asked. With VSPHERE the hub has seen for itself.
pub async fn upload(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::DataCenter>>,
    condition: Option<IfMatch>,
    inventory: Filled<Inventory>,
) -> Result<Sent<Edited<DataCenter>>> {
    let (scope, version) = (caller.scope(), IfMatch::named(condition));
    hub.write(&caller, async |tx| {
        let found = data_centers::find(tx, &scope, id).await?;
        data_centers::check_version(&found, version)?;
        hub.concerns(found.organization_id);
        if found.target == Target::Vsphere {
            return Err(Error::conflict(
                "inventory_is_discovered",
                format!("The hub looks for itself what the data center component {id} has. Ask it to: POST /v1/data-centers/{id}/discover."),
            ));
        }
        if found.target == Target::Manual {
            let task_id = asking(tx, &scope, id).await?;
            hub.audit("taskId", &task_id.to_string());
            ::tasks::answer(tx, &hub, &scope, task_id, StepName::Contact, &Outcome::Done, None).await?;
        }
        data_centers::set_inventory(tx, id, Some(&written(&inventory.value)), None).await?;
        let value = data_centers::find(tx, &scope, id).await?;
        Ok(Edited { version: value.edits, value })
    })
    .await
}

/// The discovery of a component that waits to be told what there is.
async fn asking(tx: &Tx<'_>, scope: &Scope, id: Id<id::DataCenter>) -> Result<Id<id::Task>> {
    let waiting = tasks::waiting(tx, scope, Subject::DataCenter(id), TaskType::DatacenterDiscover).await?;
    let asks =
        |task: &Task| task.steps.iter().any(|step| step.name == StepName::Contact.as_str() && step.status == StepStatus::Manual);
    waiting.filter(asks).map(|task| task.id).ok_or_else(|| {
        Error::conflict(
            "no_discovery_waiting",
            format!(
                "No discovery of the data center component {id} waits to be told what there is. Ask for one: POST /v1/data-centers/{id}/discover."
            ),
        )
    })
}
