//! Tasks and their steps.

use crate::{Db, Row, Scope, Tx, Value, params, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result, id,
    task::{StepStatus, TaskStatus, TaskType},
};
use serde::Serialize;

/// A long-running piece of work.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its id.
    pub id: Id<id::Task>,
    /// What it is for, for example SUBSCRIPTION_PROVISION. A text, because a task may have been written by a hub that
    /// knows other types than this one.
    #[serde(rename = "type")]
    pub task_type: String,
    /// Where it stands; it follows from the steps.
    pub status: TaskStatus,
    /// Whose task it is.
    pub organization_id: Id<id::Organization>,
    /// The subscription it works on, if it is one that it works on.
    pub subscription_id: Option<Id<id::Subscription>>,
    /// Its steps, in the order in which they are done.
    pub steps: Vec<Step>,
    /// What went wrong, if anything did.
    pub message: Option<String>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// When it ended; absent until then.
    pub ended_at: Option<Instant>,
    /// The job that takes its next turn; none while it waits for a person and when it has ended.
    #[serde(skip)]
    pub job_id: Option<Id<id::Job>>,
}

/// A step of a task.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its name, for example PROVISION; one task has no two steps of the same name.
    pub name: String,
    /// Where it stands.
    pub status: StepStatus,
    /// How many turns were taken at it, those that failed and those at undoing it included.
    pub attempts: u32,
    /// What is to be done, was done, or went wrong.
    pub message: Option<String>,
    /// When it last changed.
    pub updated_at: Instant,
}

impl Task {
    /// Where the steps stand: what the rules decide by.
    pub fn statuses(&self) -> Vec<StepStatus> {
        self.steps.iter().map(|step| step.status).collect()
    }
}

/// A task to be written.
pub struct NewTask {
    /// Its id.
    pub id: Id<id::Task>,
    /// What it is for.
    pub task_type: TaskType,
    /// Whose task it is.
    pub organization_id: Id<id::Organization>,
    /// The subscription it works on.
    pub subscription_id: Option<Id<id::Subscription>>,
    /// The job that takes its first turn, written in the same transaction.
    pub job_id: Id<id::Job>,
    /// The present instant.
    pub now: Instant,
}

const TASK: &str = "t.id, t.task_type, t.status, t.organization_id, t.subscription_id, t.message, t.created_at, t.updated_at, t.ended_at, t.job_id";
const STEP: &str = "s.name, s.status, s.attempts, s.message, s.updated_at";
/// A task belongs to whom it is done for, so whoever is above sees it.
const FROM: &str = "tasks t JOIN organizations o ON o.id = t.organization_id";

/// A task with one of its steps.
fn read(row: &mut Row) -> Result<Task> {
    Ok(Task {
        id: row.take()?,
        task_type: row.take()?,
        status: row.take()?,
        organization_id: row.take()?,
        subscription_id: row.take()?,
        message: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        ended_at: row.take()?,
        job_id: row.take()?,
        steps: vec![Step {
            name: row.take()?,
            status: row.take()?,
            attempts: row.take()?,
            message: row.take()?,
            updated_at: row.take()?,
        }],
    })
}

/// The tasks of a page, each with all its steps: one statement, however many there are.
async fn with_steps(db: &Db, page: &str, values: Vec<Value>) -> Result<Vec<Task>> {
    let rows = db
        .query_all(
            &format!("SELECT {TASK}, {STEP} FROM ({page}) t JOIN task_steps s ON s.task_id = t.id ORDER BY t.id, s.position"),
            values,
            read,
        )
        .await?;
    let mut tasks: Vec<Task> = Vec::new();
    for row in rows {
        match tasks.last_mut() {
            Some(task) if task.id == row.id => task.steps.extend(row.steps),
            _ => tasks.push(row),
        }
    }
    Ok(tasks)
}

/// Writes a task and its steps, none of which was begun. Whom it is done for was found by the caller.
pub async fn insert(tx: &Tx<'_>, new: &NewTask) -> Result<Task> {
    let steps: Vec<Step> = new
        .task_type
        .steps()
        .iter()
        .map(|name| Step {
            name: name.to_string(),
            status: StepStatus::NotStarted,
            attempts: 0,
            message: None,
            updated_at: new.now,
        })
        .collect();
    let task = Task {
        id: new.id,
        task_type: new.task_type.to_string(),
        status: TaskStatus::NotStarted,
        organization_id: new.organization_id,
        subscription_id: new.subscription_id,
        steps,
        message: None,
        created_at: new.now,
        updated_at: new.now,
        ended_at: None,
        job_id: Some(new.job_id),
    };
    tx.exec(
        "INSERT INTO tasks (id, task_type, status, organization_id, subscription_id, job_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        params![task.id, task.task_type, task.status, task.organization_id, task.subscription_id, task.job_id, task.created_at],
    )
    .await?;
    for (position, step) in task.steps.iter().enumerate() {
        tx.exec(
            "INSERT INTO task_steps (task_id, position, name, status, attempts, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![task.id, position as i64, step.name, step.status, step.attempts, step.updated_at],
        )
        .await?;
    }
    Ok(task)
}

/// One task within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Task>) -> Result<Task> {
    let values = scope.after(params![id]);
    with_steps(db, &format!("SELECT t.* FROM {FROM} WHERE t.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values)
        .await?
        .pop()
        .ok_or_else(|| Error::not_found("task_not_found", "task", id))
}

/// A page of the tasks within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    status: Option<TaskStatus>,
    after: Option<Id<id::Task>>,
    limit: u32,
) -> Result<Vec<Task>> {
    let values = scope.after(params![status, start(after), limit]);
    let page = format!(
        "SELECT t.* FROM {FROM}
         WHERE o.path >= ?4 AND o.path < ?5 AND (t.status = ?1 OR ?1 IS NULL) AND t.id > ?2 ORDER BY t.id LIMIT ?3"
    );
    with_steps(db, &page, values).await
}

/// Writes what has changed of a task within the scope. Whoever calls this has made sure that nobody else changed it
/// since `before` was read: by reading it in the same transaction, or by the fence of the task's job.
pub async fn update(tx: &Tx<'_>, scope: &Scope, before: &Task, after: &Task) -> Result<()> {
    let values = scope.after(params![after.id, after.status, after.message, after.job_id, after.updated_at, after.ended_at]);
    let written: Option<Id<id::Task>> = tx
        .query_opt(
            "UPDATE tasks SET status = ?2, message = ?3, job_id = ?4, updated_at = ?5, ended_at = ?6 WHERE id = ?1
             AND organization_id IN (SELECT id FROM organizations WHERE path >= ?7 AND path < ?8) RETURNING id",
            values,
            |row| row.take(),
        )
        .await?;
    written.ok_or_else(|| Error::not_found("task_not_found", "task", after.id))?;
    for (position, (old, new)) in before.steps.iter().zip(&after.steps).enumerate() {
        if old != new {
            tx.exec(
                "UPDATE task_steps SET status = ?3, attempts = ?4, message = ?5, updated_at = ?6 WHERE task_id = ?1 AND position = ?2",
                params![after.id, position as i64, new.status, new.attempts, new.message, new.updated_at],
            )
            .await?;
        }
    }
    Ok(())
}
