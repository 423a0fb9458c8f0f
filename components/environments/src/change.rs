//! Changes of environments: in one transaction a request becomes a plan, and unless it is a dry run the plan becomes a task.

use crate::{
    given_certificate::{Before, GivenCertificate},
    stored_environment::StoredEnvironment,
};
use domain::{
    Error, Id, Instant, JsonSchema, OrganizationKind, Result,
    environment::{PlanStatus, changes, kind_of, redeployment},
    form::{Shape, written},
    id,
    task::{Subject, TaskType},
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use store::{
    Scope, Tx, environments, organizations,
    plans::{self, Plan},
    tasks::{NewTask, Task},
};
use web::{Accepted, Created, Either, Hub, Identity, IfMatch, Prefer, Sent};

/// How to go about a change.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeQuery {
    /// Whether to make a plan only, and answer with it.
    #[serde(default)]
    dry_run: bool,
    /// Whether the task stays where it is when a step fails, so that it can be resumed there, rather than being undone.
    #[serde(default)]
    disable_rollback: bool,
    /// Whether the task goes on where its validation finds faults; its steps then say what was found.
    #[serde(default)]
    ignore_validation: bool,
    /// Whether an upgrade keeps nothing to go back to.
    #[serde(default)]
    disable_backup: bool,
}

impl ChangeQuery {
    /// The options of the task; none, for a dry run.
    pub(crate) fn task(&self) -> Option<TaskOptions> {
        let Self { disable_rollback, ignore_validation, disable_backup, .. } = *self;
        (!self.dry_run).then_some(TaskOptions { disable_rollback, ignore_validation, disable_backup })
    }
}

/// The options of a task that carries out a plan.
#[derive(Clone, Copy)]
pub(crate) struct TaskOptions {
    pub(crate) disable_rollback: bool,
    pub(crate) ignore_validation: bool,
    pub(crate) disable_backup: bool,
}

/// The answer to a change: a plan, when it was a dry run, else the task.
pub type Planned = Sent<Either<Created<Plan>, Accepted<Task>>>;

/// A requested change of an environment.
pub(crate) struct EnvironmentChange {
    pub(crate) subject: ChangeSubject,
    pub(crate) desired: DesiredState,
    /// The type of its task; it follows from the changes, when left out.
    pub(crate) task_type: Option<TaskType>,
    /// The environment's name; it stays, when left out.
    pub(crate) name: Option<String>,
}

/// The environment that is changed.
pub(crate) enum ChangeSubject {
    /// A new one.
    New { id: Id<id::Environment>, owner: Id<id::Organization>, code: String },
    /// The one that has this code, if `condition` names its version; a new one, if none has it.
    ByCode { id: Id<id::Environment>, owner: Id<id::Organization>, code: String, condition: Option<IfMatch> },
    /// A stored one, at this version if one is named.
    Stored { id: Id<id::Environment>, version: Option<i64> },
}

/// The desired state of an environment.
pub(crate) enum DesiredState {
    /// These products.
    Products(DesiredProducts),
    /// What it is, with this certificate for one product.
    Certificate { product_id: String, certificate: GivenCertificate },
    /// What it is, with another machine for one node.
    Redeployed { host_name: String },
    /// No products, for it is deleted.
    Deleted,
}

/// The products of a request's body.
pub(crate) struct DesiredProducts {
    /// The body, with masks where its secrets were, and without certificates.
    body: Value,
    /// The secrets, by their JSON pointers.
    secrets: Map<String, Value>,
    /// The certificate of each product.
    certificates: Vec<GivenCertificate>,
}

impl DesiredProducts {
    /// Takes secrets and certificates out of a request's body.
    pub(crate) fn new(mut body: Value, shape: &Shape, now: Instant) -> Self {
        let mut certificates = Vec::new();
        for product in body["products"].as_array_mut().into_iter().flatten() {
            // Null stays null, and what is missing stays missing.
            let certificate = product.get_mut("certificate").map(Value::take).unwrap_or_default();
            certificates.push(GivenCertificate::read(&certificate, now));
        }
        let secrets = shape.mask(&mut body).into_iter().map(|(pointer, secret)| (pointer, secret.into())).collect();
        Self { body, secrets, certificates }
    }

    /// The body with what is known of the certificates, and the secrets.
    fn with_certificates(&self, before: Option<&Before<'_>>) -> Result<(Value, Map<String, Value>)> {
        let (mut body, mut secrets) = (self.body.clone(), self.secrets.clone());
        let products = body["products"].as_array_mut().into_iter().flatten();
        for (at, (product, certificate)) in products.zip(&self.certificates).enumerate() {
            certificate.install(product, at, &format!("/products/{at}/certificate"), before, &mut secrets)?;
        }
        Ok((body, secrets))
    }

    fn keeps_certificates(&self) -> bool {
        self.certificates.iter().any(|certificate| matches!(certificate, GivenCertificate::Kept { .. }))
    }
}

/// The environment that a change is made from.
struct Base {
    id: Id<id::Environment>,
    organization_id: Id<id::Organization>,
    code: String,
    /// None, where the environment is new.
    stored: Option<StoredEnvironment>,
}

/// What a change makes of an environment.
struct Goal {
    products: Value,
    /// The secrets, sealed for the environment's id.
    secrets: Option<String>,
    /// The request as its task shows it, masked.
    request: String,
    /// The changes, where they do not follow from the products.
    changes: Option<Vec<Value>>,
}

impl EnvironmentChange {
    /// Makes the plan of a change, and with `options` the task that carries it out.
    pub(crate) async fn submit(
        &self,
        hub: &Hub,
        caller: &Identity,
        options: Option<TaskOptions>,
        prefer: Prefer,
    ) -> Result<Planned> {
        let Some(options) = options else {
            let sent = hub.write(caller, async |tx| {
                let (plan, _) = self.plan(tx, hub, &caller.scope()).await?;
                plans::insert(tx, &plan).await?;
                hub.concerns(plan.organization_id);
                hub.audit("environmentId", &plan.environment_id.to_string());
                Ok(Created::at(format!("/v1/plans/{}", plan.id), plan))
            });
            return sent.await.map(Sent::one);
        };
        let sent = hub
            .write(caller, async |tx| {
                let (plan, request) = self.plan(tx, hub, &caller.scope()).await?;
                plans::insert(tx, &plan).await?;
                begin(tx, hub, plan, &request, options).await
            })
            .await?;
        ::tasks::waited(hub, caller, sent, prefer).await.map(Sent::other)
    }

    /// The plan of the change if it can be made, and the request as its task shows it.
    async fn plan(&self, tx: &Tx<'_>, hub: &Hub, scope: &Scope) -> Result<(Plan, String)> {
        let base = self.base(tx, scope).await?;
        let goal = self.goal(hub, &base).await?;
        environments::check_components(tx, scope, &goal.products).await?;
        let stored = base.stored.as_ref();
        let before = stored.map_or(&Value::Null, |stored| &stored.products);
        let changes = goal.changes.unwrap_or_else(|| changes(before, &goal.products));
        // To deploy over what there is, is to change it.
        let task_type = self.task_type.filter(|task_type| stored.is_none() || *task_type != TaskType::EnvironmentDeploy);
        let name = self.name.as_ref().or(stored.map(|stored| &stored.environment.name)).unwrap_or(&base.code);
        let plan = Plan {
            id: hub.id(),
            organization_id: base.organization_id,
            environment_id: base.id,
            task_type: task_type.unwrap_or_else(|| kind_of(&changes)),
            status: PlanStatus::Planned,
            seen_version: stored.map_or(0, |stored| stored.environment.version),
            name: name.clone(),
            code: base.code,
            changes: RawValue::from_string(written(&Value::Array(changes)))
                .map_err(|error| Error::fault(format!("the changes of an environment: {error}")))?,
            task_id: None,
            created_at: hub.now(),
            approved_at: None,
            ignore_validation: false,
            disable_backup: false,
            products: written(&goal.products),
            secrets: goal.secrets,
        };
        Ok((plan, goal.request))
    }

    /// Finds the environment, or a place for a new one.
    async fn base(&self, tx: &Tx<'_>, scope: &Scope) -> Result<Base> {
        let stored = match &self.subject {
            ChangeSubject::New { .. } => None,
            ChangeSubject::ByCode { owner, code, condition, .. } => {
                match (environments::find_by_code(tx, scope, *owner, code).await?, condition) {
                    (Some(_), None) => return Err(IfMatch::required()),
                    (Some(id), Some(condition)) => Some((id, condition.version)),
                    (None, _) => None,
                }
            }
            ChangeSubject::Stored { id, version } => Some((*id, *version)),
        };
        if let Some((id, version)) = stored {
            let stored = StoredEnvironment::find(tx, scope, id).await?;
            environments::check_version(&stored.environment, version)?;
            let (organization_id, code) = (stored.environment.organization_id, stored.environment.code.clone());
            return Ok(Base { id, organization_id, code, stored: Some(stored) });
        }
        let (ChangeSubject::New { id, owner, code } | ChangeSubject::ByCode { id, owner, code, .. }) = &self.subject else {
            return Err(Error::fault("a stored environment is not new"));
        };
        let owner = organizations::find_place_in_use(tx, scope, *owner).await?;
        if owner.kind == OrganizationKind::Customer {
            return Err(Error::invalid(
                "/organizationId",
                "is a CUSTOMER; environments belong to who runs them, so name its provider",
            ));
        }
        environments::check_code(tx, owner.id, code).await?;
        Ok(Base { id: *id, organization_id: owner.id, code: code.clone(), stored: None })
    }

    /// What the change makes of the environment.
    async fn goal(&self, hub: &Hub, base: &Base) -> Result<Goal> {
        let missing = || Error::fault("an environment that is not stored cannot be changed");
        match &self.desired {
            DesiredState::Products(desired) => {
                let (body, secrets) = match base.stored.as_ref().filter(|_| desired.keeps_certificates()) {
                    Some(stored) => {
                        let secrets = stored.secrets(hub).await?;
                        desired.with_certificates(Some(&Before { products: &stored.products, secrets: &secrets }))?
                    }
                    None => desired.with_certificates(None)?,
                };
                let (request, secrets) = (written(&body), sealed(hub, base.id, secrets).await?);
                Ok(Goal { products: body["products"].clone(), secrets, request, changes: None })
            }
            DesiredState::Certificate { product_id, certificate } => {
                let stored = base.stored.as_ref().ok_or_else(missing)?;
                let at = stored.position(product_id)?;
                let (mut products, mut secrets) = (stored.products.clone(), stored.secrets(hub).await?);
                certificate.install(&mut products[at], at, "", None, &mut secrets)?;
                let mut request = Map::new();
                request.insert("productId".to_owned(), products[at]["productId"].clone());
                request.insert("certificate".to_owned(), products[at]["certificate"].clone());
                let secrets = sealed(hub, base.id, secrets).await?;
                Ok(Goal { products, secrets, request: written(&Value::Object(request)), changes: None })
            }
            DesiredState::Redeployed { host_name } => {
                let stored = base.stored.as_ref().ok_or_else(missing)?;
                let change = redeployment(&stored.products, host_name)
                    .ok_or_else(|| Error::not_found("node_not_found", "node of this environment", host_name))?;
                let mut request = Map::new();
                request.insert("hostName".to_owned(), host_name.as_str().into());
                Ok(Goal {
                    products: stored.products.clone(),
                    secrets: stored.sealed.clone(),
                    request: written(&Value::Object(request)),
                    changes: Some(vec![change]),
                })
            }
            DesiredState::Deleted => {
                Ok(Goal { products: Value::Array(Vec::new()), secrets: None, request: "{}".to_owned(), changes: None })
            }
        }
    }
}

async fn sealed(hub: &Hub, id: Id<id::Environment>, secrets: Map<String, Value>) -> Result<Option<String>> {
    match secrets.is_empty() {
        true => Ok(None),
        false => hub.seal(&id.to_string(), &written(&Value::Object(secrets))).await.map(Some),
    }
}

/// Writes the task that carries out a plan.
pub(crate) async fn begin(tx: &Tx<'_>, hub: &Hub, mut plan: Plan, request: &str, options: TaskOptions) -> Result<Accepted<Task>> {
    let (id, environment_id) = (hub.id(), plan.environment_id);
    let kept = plan.task_type != TaskType::EnvironmentValidate || plan.seen_version > 0;
    if kept && plan.seen_version == 0 {
        environments::insert(tx, &plan, id, hub.now()).await?;
    }
    if kept {
        hub.audit_subject(environment_id.to_string());
        environments::set_task(tx, environment_id, id).await?;
        environments::link(tx, environment_id, &plan.products()?).await?;
    }
    hub.concerns(plan.organization_id);
    hub.audit("planId", &plan.id.to_string());
    (plan.status, plan.task_id) = (PlanStatus::Applied, Some(id));
    (plan.ignore_validation, plan.disable_backup) = (options.ignore_validation, options.disable_backup);
    plans::update(tx, &plan).await?;
    let task = NewTask {
        id,
        task_type: plan.task_type,
        organization_id: plan.organization_id,
        subject: kept.then_some(Subject::Environment(environment_id)),
        disable_rollback: options.disable_rollback,
        request,
        job_id: hub.id(),
        now: hub.now(),
    };
    let value = ::tasks::begin(tx, hub, &task).await?;
    Ok(Accepted { value, location: ::tasks::location(id), ended: false })
}
