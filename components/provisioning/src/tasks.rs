//! `/v1/tasks`

use crate::engine;
use domain::{
    Id, JsonSchema, Result, Text, id,
    task::{Outcome, StepName, TaskStatus},
};
use serde::Deserialize;
use store::tasks::{self, Task};
use web::{Body, Caller, Hub, Listing, Page, Path, Paths, Query, Sent, Shown, permit};

/// Which tasks to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those that stand there.
    status: Option<TaskStatus>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Id<id::Task>>,
}

pub async fn list(hub: Hub, caller: Caller<permit::SubscriptionRead>, Query(query): Query<ListQuery>) -> Result<Listing<Task>> {
    let page = Page::new(query.limit)?;
    let found = tasks::list(hub.db().await?, &caller.scope(), query.status, query.cursor, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |task| task.id.to_string()))
}

pub async fn show(hub: Hub, caller: Caller<permit::SubscriptionRead>, Path(id): Path<Id<id::Task>>) -> Result<Shown<Task>> {
    tasks::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
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
    let note = completion.message.map(String::from);
    engine::answered(&hub, &caller, id, step, &Outcome::Done, note).await
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
    engine::answered(&hub, &caller, id, step, &Outcome::Failed(failure.message.into()), None).await
}
