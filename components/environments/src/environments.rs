//! `/v1/environments`. Every change is a plan that a task carries out: at once or, after a dry run, when the plan is applied.

use crate::change::{ChangeQuery, ChangeSubject, DesiredProducts, DesiredState, EnvironmentChange, Planned, TaskOptions};
use domain::{
    Error, Id, JsonSchema, Result,
    environment::{Change, Description, check_products, code_of},
    form::Form,
    id,
    task::TaskType,
    text_enum,
};
use serde::Deserialize;
use store::environments::{self, Environment};
use web::{
    Caller, Edited, Filled, FromRequest, Hub, IfMatch, Incoming, Listing, OrganizationPageQuery, Page, Path, Prefer, Query,
    permit,
};

text_enum! {
    /// What to do with the description of an environment.
    pub enum EnvironmentCreateAction {
        /// Deploy it.
        Deploy = "DEPLOY",
        /// Take it over as it is: it was deployed before.
        Import = "IMPORT",
        /// See whether it could be deployed, and keep nothing but the task and its plan.
        Validate = "VALIDATE",
    }
}

/// What to do with the description of an environment.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateQuery {
    /// DEPLOY when left out.
    action: Option<EnvironmentCreateAction>,
    /// Whether to make a plan only, and answer with it.
    #[serde(default)]
    dry_run: bool,
    /// Whether the task stays where it is when a step fails, so that it can be resumed there, rather than being undone.
    #[serde(default)]
    disable_rollback: bool,
    /// Whether the task goes on where its validation finds faults; its steps then say what was found. Not with VALIDATE.
    #[serde(default)]
    ignore_validation: bool,
    /// Whether an upgrade, where this comes to one, keeps nothing to go back to.
    #[serde(default)]
    disable_backup: bool,
    /// Whether an environment that has the code already becomes what is described. It is then named by its ETag, as If-Match.
    #[serde(default)]
    replace_existing: bool,
}

impl CreateQuery {
    /// The options of the task; none, for a dry run.
    fn task(&self) -> Option<TaskOptions> {
        let Self { disable_rollback, ignore_validation, disable_backup, .. } = *self;
        (!self.dry_run).then_some(TaskOptions { disable_rollback, ignore_validation, disable_backup })
    }
}

/// `If-Match` of a creation that may replace an environment: needed in that case alone.
pub struct ReplaceCondition(Option<IfMatch>);

impl FromRequest for ReplaceCondition {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        Option::from_request(hub, incoming).await.map(Self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for ReplaceCondition {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.if_match();
    }
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    prefer: Prefer,
    Query(query): Query<CreateQuery>,
    ReplaceCondition(condition): ReplaceCondition,
    new: Filled<Description>,
) -> Result<Planned> {
    check_products(&new.value)?;
    let owner = match new.value["organizationId"].as_str() {
        Some(text) => text.parse().map_err(|error: id::NotAnId| Error::invalid("/organizationId", error.to_string()))?,
        None => caller.acting().id,
    };
    let name = new.value["name"].as_str().unwrap_or_default().to_owned();
    let code = new.value["code"].as_str().map_or_else(|| code_of(&name), |code| Ok(code.to_owned()))?;
    let task_type = match query.action {
        None | Some(EnvironmentCreateAction::Deploy) => TaskType::EnvironmentDeploy,
        Some(EnvironmentCreateAction::Import) => TaskType::EnvironmentImport,
        Some(EnvironmentCreateAction::Validate) => TaskType::EnvironmentValidate,
    };
    if query.ignore_validation && task_type == TaskType::EnvironmentValidate {
        return Err(Error::malformed(
            "bad_query",
            "ignoreValidation is for what goes on after its validation; action=VALIDATE does nothing else.".to_owned(),
        ));
    }
    let id = hub.id();
    let subject = match query.replace_existing {
        true => ChangeSubject::ByCode { id, owner, code, condition },
        false => ChangeSubject::New { id, owner, code },
    };
    let desired = DesiredState::Products(DesiredProducts::new(new.value, &Description::SHAPE, hub.now()));
    let change = EnvironmentChange { subject, desired, task_type: Some(task_type), name: Some(name) };
    change.submit(&hub, &caller, query.task(), prefer).await
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Query(query): Query<OrganizationPageQuery>,
) -> Result<Listing<Environment>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = environments::list(hub.db().await?, &caller.scope(), query.organization_id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |environment| environment.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Path(id): Path<Id<id::Environment>>,
) -> Result<Edited<Environment>> {
    let value = environments::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: value.version, value })
}

pub async fn replace(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Path(id): Path<Id<id::Environment>>,
    condition: IfMatch,
    prefer: Prefer,
    Query(query): Query<ChangeQuery>,
    change: Filled<Change>,
) -> Result<Planned> {
    check_products(&change.value)?;
    let name = change.value["name"].as_str().map(str::to_owned);
    let subject = ChangeSubject::Stored { id, version: condition.version };
    let desired = DesiredState::Products(DesiredProducts::new(change.value, &Change::SHAPE, hub.now()));
    let change = EnvironmentChange { subject, desired, task_type: None, name };
    change.submit(&hub, &caller, query.task(), prefer).await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Path(id): Path<Id<id::Environment>>,
    condition: IfMatch,
    prefer: Prefer,
    Query(query): Query<ChangeQuery>,
) -> Result<Planned> {
    let subject = ChangeSubject::Stored { id, version: condition.version };
    let task_type = Some(TaskType::EnvironmentDelete);
    let change = EnvironmentChange { subject, desired: DesiredState::Deleted, task_type, name: None };
    change.submit(&hub, &caller, query.task(), prefer).await
}
