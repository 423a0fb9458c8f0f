//! `/v1/environments`. Every change is a plan that a task carries out: at once, or, as a dry run, when somebody says so.

use crate::{
    certificates::{self, Present},
    plans::{self, Planned},
};
use domain::{
    Error, Id, JsonSchema, Kind, OrganizationKind, Result,
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
use web::{
    Caller, Edited, Filled, FromRequest, Hub, IfMatch, Incoming, Listing, OrganizationPageQuery, Page, Path, Prefer, Query,
    permit,
};

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

/// How to go about a change.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeQuery {
    /// Whether to make a plan only, and answer with it.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Whether the task stays where it is when a step fails, so that it can be resumed there, rather than being undone.
    #[serde(default)]
    pub(crate) disable_rollback: bool,
    /// Whether the task goes on where its validation finds faults; its steps then say what was found.
    #[serde(default)]
    pub(crate) ignore_validation: bool,
    /// Whether an upgrade keeps nothing to go back to.
    #[serde(default)]
    pub(crate) disable_backup: bool,
}

impl ChangeQuery {
    pub(crate) fn how(&self) -> How {
        let Self { disable_rollback, ignore_validation, disable_backup, .. } = *self;
        How { disable_rollback, ignore_validation, disable_backup }
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
        None | Some(CreateAction::Deploy) => TaskType::EnvironmentDeploy,
        Some(CreateAction::Import) => TaskType::EnvironmentImport,
        Some(CreateAction::Validate) => TaskType::EnvironmentValidate,
    };
    if query.ignore_validation && task_type == TaskType::EnvironmentValidate {
        return Err(Error::malformed(
            "bad_query",
            "ignoreValidation is for what goes on after its validation; action=VALIDATE does nothing else.".to_owned(),
        ));
    }
    let CreateQuery { disable_rollback, ignore_validation, disable_backup, .. } = query;
    let how = How { disable_rollback, ignore_validation, disable_backup };
    let existing = match query.replace_existing {
        true => environments::find_by_code(hub.db().await?, &caller.scope(), owner, &code).await?,
        false => None,
    };
    let draft = match existing {
        None => {
            let to = Wanted::new(&hub, hub.id(), new.value, &Description::SHAPE, None).await?;
            Draft::of(to, Some(task_type), Some(name), how, Of::New { owner, code })
        }
        Some(id) => {
            let present = Present::find(&hub, &caller.scope(), id).await?;
            let mut to = Wanted::new(&hub, id, new.value, &Description::SHAPE, Some(&present)).await?;
            if condition.is_none() {
                to.refused = Some(IfMatch::required());
            }
            let of = Of::Present { version: present.version(condition.and_then(|condition| condition.version)) };
            // To deploy over what there is, is to change it.
            let task_type = Some(task_type).filter(|task_type| *task_type != TaskType::EnvironmentDeploy);
            Draft::of(to, task_type, Some(name), how, of)
        }
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
    /// Why it is not taken. Found out before the transaction, and said inside it, where a request that is repeated gets its first
    /// answer.
    refused: Option<Error>,
}

impl Wanted {
    async fn new(hub: &Hub, id: Id<id::Environment>, mut body: Value, shape: &Shape, present: Option<&Present>) -> Result<Self> {
        let mut secrets = Map::new();
        let refused = refusal(certificates::take(hub, &mut body["products"], present, &mut secrets).await)?;
        for (place, text) in shape.mask(&mut body) {
            secrets.insert(place, text.into());
        }
        let request = written(&body);
        Ok(Self { id, products: body["products"].take(), secrets: sealed(hub, id, secrets).await?, request, refused })
    }

    /// What an environment is, with its secrets as they are kept.
    pub(crate) fn unchanged(id: Id<id::Environment>, products: Value, secrets: Option<String>, request: String) -> Self {
        Self { id, products, secrets, request, refused: None }
    }

    /// What an environment is, but for the certificate of the product at this place.
    pub(crate) async fn with_certificate(hub: &Hub, present: Present, at: usize, certificate: Value) -> Result<Self> {
        let id = present.environment.id;
        let mut products = present.products.clone();
        products[at]["certificate"] = certificate;
        let mut secrets = Map::new();
        let refused = refusal(certificates::take(hub, &mut products, Some(&present), &mut secrets).await)?;
        let refused = refused.map(|mut error| {
            let place = format!("/products/{at}/certificate");
            for field in &mut error.fields {
                field.pointer = field.pointer.replacen(&place, "", 1);
            }
            error
        });
        let mut request = Map::new();
        request.insert("productId".to_owned(), products[at]["productId"].clone());
        request
            .insert("certificate".to_owned(), if refused.is_none() { products[at]["certificate"].clone() } else { Value::Null });
        if let Value::Object(before) = present.secrets {
            for (place, secret) in before {
                secrets.entry(place).or_insert(secret);
            }
        }
        Ok(Self { id, products, secrets: sealed(hub, id, secrets).await?, request: written(&Value::Object(request)), refused })
    }
}

async fn sealed(hub: &Hub, id: Id<id::Environment>, secrets: Map<String, Value>) -> Result<Option<String>> {
    match secrets.is_empty() {
        true => Ok(None),
        false => hub.seal(&id.to_string(), &written(&Value::Object(secrets))).await.map(Some),
    }
}

/// A refusal, to be said later; a fault is one at once.
fn refusal(done: Result<()>) -> Result<Option<Error>> {
    match done {
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        done => Ok(done.err()),
    }
}

/// A change, before it is known what it comes to.
pub(crate) struct Draft {
    pub(crate) to: Wanted,
    /// What kind of change it is; by what it changes, when left out.
    task_type: Option<TaskType>,
    name: Option<String>,
    pub(crate) how: How,
    of: Of,
    /// What it comes to, where that does not follow from the products.
    pub(crate) changes: Option<Value>,
}

/// How to go about a change.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) disable_rollback: bool,
    pub(crate) ignore_validation: bool,
    pub(crate) disable_backup: bool,
}

/// What is changed.
pub(crate) enum Of {
    /// An environment that is not there yet.
    New { owner: Id<id::Organization>, code: String },
    /// One that is there, at this version.
    Present { version: Option<i64> },
}

impl Draft {
    pub(crate) fn of(to: Wanted, task_type: Option<TaskType>, name: Option<String>, how: How, of: Of) -> Self {
        Self { to, task_type, name, how, of, changes: None }
    }

    /// The plan of it, if the change can be made.
    pub(crate) async fn make(&self, tx: &Tx<'_>, hub: &Hub, scope: &Scope) -> Result<Plan> {
        if let Some(refused) = &self.to.refused {
            return Err(refused.clone());
        }
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
        let fault = |error: serde_json::Error| Error::fault(format!("the products of an environment: {error}"));
        let before = read(before.as_bytes()).map_err(fault)?;
        let changes = match &self.changes {
            Some(change) => vec![change.clone()],
            None => changes(&before, &self.to.products),
        };
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
            ignore_validation: false,
            disable_backup: false,
            products: written(&self.to.products),
            secrets: self.to.secrets.clone(),
        })
    }
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
    let present = match certificates::keeps_any(&change.value["products"]) {
        true => Some(Present::find(&hub, &caller.scope(), id).await?),
        false => None,
    };
    let version = present.as_ref().map_or(condition.version, |present| present.version(condition.version));
    let to = Wanted::new(&hub, id, change.value, &Change::SHAPE, present.as_ref()).await?;
    let draft = Draft::of(to, None, name, query.how(), Of::Present { version });
    plans::planned(&hub, &caller, &draft, query.dry_run, prefer).await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Path(id): Path<Id<id::Environment>>,
    condition: IfMatch,
    prefer: Prefer,
    Query(query): Query<ChangeQuery>,
) -> Result<Planned> {
    let to = Wanted::unchanged(id, Value::Array(Vec::new()), None, "{}".to_owned());
    let of = Of::Present { version: condition.version };
    let draft = Draft::of(to, Some(TaskType::EnvironmentDelete), None, query.how(), of);
    plans::planned(&hub, &caller, &draft, query.dry_run, prefer).await
}
