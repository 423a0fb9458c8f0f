//! `/v1/environments`. Every change is a plan that a task carries out: at once, or, as a dry run, when somebody says so.

use crate::plans::{self, Planned};
use domain::{
    Error, Id, JsonSchema, OrganizationKind, Result,
    environment::{Change, Description, PlanStatus, changes, check_products, code_of, kind_of},
    form::{Form, Shape, read, written},
    id,
    task::TaskType,
    text_enum,
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use store::{
    Scope, Tx,
    environments::{self, Environment},
    organizations,
    plans::Plan,
};
use web::{Caller, Edited, Filled, Hub, IfMatch, Listing, Page, Path, Prefer, Query, permit};

text_enum! {
    /// What is to be done with a description of an environment.
    pub enum CreateAction {
        /// Deploy it.
        Deploy = "DEPLOY",
        /// Take it over as it is: it was deployed before.
        Import = "IMPORT",
        /// See whether it could be deployed, and keep nothing but the task and its plan.
        Validate = "VALIDATE",
    }
}

/// What to do with what is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateQuery {
    /// DEPLOY when left out.
    action: Option<CreateAction>,
    /// Whether to make a plan only, and answer with it.
    #[serde(default)]
    dry_run: bool,
    /// Whether the task stays where it is when a step fails, so that it can be resumed there, rather than being undone.
    #[serde(default)]
    disable_rollback: bool,
}

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
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    prefer: Prefer,
    Query(query): Query<CreateQuery>,
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
        None | Some(CreateAction::Deploy) => TaskType::EnvironmentDeploy,
        Some(CreateAction::Import) => TaskType::EnvironmentImport,
        Some(CreateAction::Validate) => TaskType::EnvironmentValidate,
    };
    let draft = Draft {
        to: Wanted::new(&hub, hub.id(), new.value, &Description::SHAPE).await?,
        task_type: Some(task_type),
        name: Some(name),
        disable_rollback: query.disable_rollback,
        of: Of::New { owner, code },
    };
    plans::planned(&hub, &caller, &draft, query.dry_run, prefer).await
}

/// Products as they are to be.
pub(crate) struct Wanted {
    pub(crate) id: Id<id::Environment>,
    pub(crate) products: Value,
    pub(crate) secrets: Option<String>,
    /// What was sent, masked.
    pub(crate) request: String,
}

impl Wanted {
    async fn new(hub: &Hub, id: Id<id::Environment>, mut body: Value, shape: &Shape) -> Result<Self> {
        let mut secrets = Map::new();
        for (place, text) in shape.mask(&mut body) {
            secrets.insert(place, text.into());
        }
        let secrets = match secrets.is_empty() {
            true => None,
            false => Some(hub.seal(&id.to_string(), &written(&Value::Object(secrets))).await?),
        };
        let request = written(&body);
        Ok(Self { id, products: body["products"].take(), secrets, request })
    }
}

/// A change, before it is known what it comes to.
pub(crate) struct Draft {
    pub(crate) to: Wanted,
    /// What kind of change it is; by what it changes, when left out.
    task_type: Option<TaskType>,
    name: Option<String>,
    pub(crate) disable_rollback: bool,
    of: Of,
}

/// What is changed.
enum Of {
    /// An environment that is not there yet.
    New { owner: Id<id::Organization>, code: String },
    /// One that is there, at this version.
    Present { version: Option<i64> },
}

impl Draft {
    /// The plan of it, if the change can be made.
    pub(crate) async fn make(&self, tx: &Tx<'_>, hub: &Hub, scope: &Scope) -> Result<Plan> {
        environments::check_components(tx, scope, &self.to.products).await?;
        match &self.of {
            Of::New { owner, code } => {
                let owner = organizations::find_place_in_use(tx, scope, *owner).await?;
                if owner.kind == OrganizationKind::Customer {
                    return Err(Error::invalid(
                        "/organizationId",
                        "is a CUSTOMER; environments belong to who runs them, so name its provider",
                    ));
                }
                environments::check_code(tx, owner.id, code).await?;
                self.plan(hub, owner.id, code, 0, "null")
            }
            Of::Present { version } => {
                let found = environments::find(tx, scope, self.to.id).await?;
                environments::check_version(&found, *version)?;
                let mut plan = self.plan(hub, found.organization_id, &found.code, found.version, found.products.get())?;
                if self.name.is_none() {
                    plan.name = found.name;
                }
                Ok(plan)
            }
        }
    }

    /// The plan of it, seen from the products that there are, as JSON.
    fn plan(&self, hub: &Hub, organization_id: Id<id::Organization>, code: &str, seen: i64, before: &str) -> Result<Plan> {
        let fault = |error: serde_json::Error| Error::unavailable(format!("the products of an environment: {error}"));
        let before = read(before.as_bytes()).map_err(fault)?;
        let changes = changes(&before, &self.to.products);
        Ok(Plan {
            id: hub.id(),
            organization_id,
            environment_id: self.to.id,
            task_type: self.task_type.unwrap_or_else(|| kind_of(&changes)),
            status: PlanStatus::Planned,
            seen_version: seen,
            code: code.to_owned(),
            name: self.name.clone().unwrap_or_else(|| code.to_owned()),
            changes: RawValue::from_string(written(&Value::Array(changes))).map_err(fault)?,
            task_id: None,
            created_at: hub.now(),
            approved_at: None,
            products: written(&self.to.products),
            secrets: self.to.secrets.clone(),
        })
    }
}

/// Which environments to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this organization.
    organization_id: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Id<id::Environment>>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Environment>> {
    let page = Page::new(query.limit)?;
    let found = environments::list(hub.db().await?, &caller.scope(), query.organization_id, query.cursor, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |environment| environment.id.to_string()))
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
    Query(query): Query<ChangeQuery>,
    change: Filled<Change>,
) -> Result<Planned> {
    check_products(&change.value)?;
    let name = change.value["name"].as_str().map(str::to_owned);
    let draft = Draft {
        to: Wanted::new(&hub, id, change.value, &Change::SHAPE).await?,
        task_type: None,
        name,
        disable_rollback: query.disable_rollback,
        of: Of::Present { version: condition.version },
    };
    plans::planned(&hub, &caller, &draft, query.dry_run, Prefer { wait: None }).await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Path(id): Path<Id<id::Environment>>,
    condition: IfMatch,
    Query(query): Query<ChangeQuery>,
) -> Result<Planned> {
    let to = Wanted { id, products: Value::Array(Vec::new()), secrets: None, request: "{}".to_owned() };
    let draft = Draft {
        to,
        task_type: Some(TaskType::EnvironmentDelete),
        name: None,
        disable_rollback: query.disable_rollback,
        of: Of::Present { version: condition.version },
    };
    plans::planned(&hub, &caller, &draft, query.dry_run, Prefer { wait: None }).await
}
