//! `/v1/tasks`: those of every component. What is said of a task here goes on in the component whose task it is.

use crate::again;
use domain::{
    Error, Id, JsonSchema, Result, Text, id,
    task::{Outcome, StepName, Subject, TaskStatus, TaskType},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Scope,
    tasks::{self, Filter, Task},
};
use web::{Accepted, Body, Caller, Cursor, Hub, Identity, Listing, Page, Path, Paths, Query, Sent, Shown, permit};

/// Which tasks to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those that stand there.
    status: Option<TaskStatus>,
    /// Only those of this type.
    #[serde(rename = "type")]
    task_type: Option<TaskType>,
    /// Only those that work on this subscription.
    subscription_id: Option<Id<id::Subscription>>,
    /// Only those that work on this environment.
    environment_id: Option<Id<id::Environment>>,
    /// Only those that work on this data center component.
    data_center_id: Option<Id<id::DataCenter>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

impl ListQuery {
    /// `None` when nothing can fit: a task works on one thing.
    fn filter(&self) -> Option<Filter> {
        let subjects = [
            self.subscription_id.map(Subject::Subscription),
            self.environment_id.map(Subject::Environment),
            self.data_center_id.map(Subject::DataCenter),
        ];
        let mut subjects = subjects.into_iter().flatten();
        let subject = subjects.next();
        let several = subjects.next().is_some();
        (!several).then_some(Filter { status: self.status, task_type: self.task_type, subject })
    }
}

/// The tasks whose subjects the caller sees.
fn seen(caller: &Identity) -> Scope {
    caller.scope_of_tasks(TaskType::needed_to_read)
}

/// The tasks whose subjects the caller may change.
fn changed(caller: &Identity) -> Scope {
    caller.scope_of_tasks(TaskType::needed_to_write)
}

pub async fn list(hub: Hub, caller: Caller<permit::SubscriptionRead>, Query(query): Query<ListQuery>) -> Result<Listing<Task>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = match query.filter() {
        Some(filter) => tasks::list(hub.db().await?, &seen(&caller), &filter, page.after()?, page.rows()).await?,
        None => Vec::new(),
    };
    Listing::new(&page, found, |task| task.id.to_string()).await
}

pub async fn show(hub: Hub, caller: Caller<permit::SubscriptionRead>, Path(id): Path<Id<id::Task>>) -> Result<Shown<Task>> {
    tasks::find(hub.db().await?, &seen(&caller), id).await.map(Shown)
}

/// What a task was asked for.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRequest {
    /// The body of the request that made the task, with `********` where a secret stood.
    #[schemars(with = "serde_json::Value")]
    request: Box<RawValue>,
}

pub async fn request(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Task>>,
) -> Result<Shown<TaskRequest>> {
    let body = tasks::request(hub.db().await?, &seen(&caller), id).await?;
    // As it was written: to read it would bring all of JSON, floating point included, into the component.
    let request = RawValue::from_string(body).map_err(|error| Error::unavailable(format!("a request of a task: {error}")))?;
    Ok(Shown(TaskRequest { request }))
}

/// What a person can say of a whole task.
enum Word {
    Cancel,
    Restart,
    Resume,
}

pub async fn cancel(hub: Hub, caller: Caller<permit::TaskWrite>, Path(id): Path<Id<id::Task>>) -> Result<Sent<Accepted<Task>>> {
    say(&hub, &caller, id, Word::Cancel).await
}

pub async fn restart(hub: Hub, caller: Caller<permit::TaskWrite>, Path(id): Path<Id<id::Task>>) -> Result<Sent<Accepted<Task>>> {
    say(&hub, &caller, id, Word::Restart).await
}

pub async fn resume(hub: Hub, caller: Caller<permit::TaskWrite>, Path(id): Path<Id<id::Task>>) -> Result<Sent<Accepted<Task>>> {
    say(&hub, &caller, id, Word::Resume).await
}

async fn say(hub: &Hub, caller: &Identity, id: Id<id::Task>, word: Word) -> Result<Sent<Accepted<Task>>> {
    let scope = changed(caller);
    hub.write(caller, async |tx| {
        let value = match word {
            Word::Cancel => ::tasks::cancel(tx, hub, &scope, id).await?,
            Word::Restart => ::tasks::restart(tx, hub, &scope, id).await?,
            Word::Resume => ::tasks::resume(tx, hub, &scope, id).await?,
        };
        if !matches!(word, Word::Cancel) {
            again::check(tx, hub, caller, &value).await?;
        }
        Ok(Accepted { location: ::tasks::location(id), ended: value.ended_at.is_some(), value })
    })
    .await
}

/// What is said of a step that a person has done.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Completion {
    /// What was done.
    message: Option<Text<1, 500>>,
}

pub async fn complete(
    hub: Hub,
    caller: Caller<permit::TaskWrite>,
    Paths(id, step): Paths<Id<id::Task>, StepName>,
    Body(completion): Body<Completion>,
) -> Result<Sent<Shown<Task>>> {
    answer(&hub, &caller, id, step, &Outcome::Done, completion.message.map(String::from)).await
}

/// What is said of a step that a person cannot do.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// Why it cannot be done.
    message: Text<1, 500>,
}

pub async fn fail(
    hub: Hub,
    caller: Caller<permit::TaskWrite>,
    Paths(id, step): Paths<Id<id::Task>, StepName>,
    Body(failure): Body<Failure>,
) -> Result<Sent<Shown<Task>>> {
    answer(&hub, &caller, id, step, &Outcome::Failed(failure.message.into()), None).await
}

async fn answer(
    hub: &Hub,
    caller: &Identity,
    id: Id<id::Task>,
    step: StepName,
    outcome: &Outcome,
    note: Option<String>,
) -> Result<Sent<Shown<Task>>> {
    let scope = changed(caller);
    hub.write(caller, async |tx| ::tasks::answer(tx, hub, &scope, id, step, outcome, note.clone()).await.map(Shown)).await
}
