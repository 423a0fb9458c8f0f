//! Tasks and their steps.

use crate::{Db, Row, Scope, Tx, Value, params, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result, id,
    task::{MOST_WAITING, StepStatus, Subject, TaskStatus, TaskType, checkpoint, status},
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
    /// How far it is.
    pub progress: Progress,
    /// Whose task it is.
    pub organization_id: Id<id::Organization>,
    /// The subscription it works on, if it is one that it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub subscription_id: Option<Id<id::Subscription>>,
    /// The environment it works on, if it is one that it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub environment_id: Option<Id<id::Environment>>,
    /// The data center component it works on, if it is one that it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub data_center_id: Option<Id<id::DataCenter>>,
    /// Counts how often it was begun: 1, and one more with each restart.
    pub attempt: u32,
    /// The version of the list of steps that it was written with.
    pub definition_version: u32,
    /// Whether it stays where it is when a step fails or it is cancelled, rather than being undone.
    pub disable_rollback: bool,
    /// The tasks that must end before this one begins: those on the same subject that were asked for before it.
    pub preceding_tasks: Vec<Id<id::Task>>,
    /// Its steps, in the order in which they are done.
    pub steps: Vec<Step>,
    /// The step at which it can go on after it ended before its goal and was not undone.
    pub checkpoint: Option<String>,
    /// What went wrong, if anything did.
    pub message: Option<String>,
    /// When somebody asked for it to be cancelled, if anybody did.
    pub cancel_requested_at: Option<Instant>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// When it ended; absent until then.
    pub ended_at: Option<Instant>,
    /// The component that runs it.
    #[serde(skip)]
    pub queue: String,
    /// What it works on.
    #[serde(skip)]
    pub subject: Option<Subject>,
    /// The job that takes its next turn; none while it waits for a person or for another task, and when it has ended.
    #[serde(skip)]
    pub job_id: Option<Id<id::Job>>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// How many steps are done. It falls while a task is undone.
    pub done: u32,
    /// How many steps there are.
    pub total: u32,
    /// The one in hundredths of the other, rounded down.
    pub percent: u32,
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

    /// Whether it is undone when it cannot reach its goal.
    pub fn rollback(&self) -> bool {
        !self.disable_rollback
    }

    /// Whether it waits for other tasks: it has no job, and it is not that a person has to do something.
    pub fn is_queued(&self) -> bool {
        self.job_id.is_none() && self.ended_at.is_none() && self.status != TaskStatus::Manual
    }

    /// Writes what follows from the steps: status, progress and checkpoint.
    pub fn follow(&mut self) {
        let statuses = self.statuses();
        self.status = status(&statuses, self.rollback());
        let at = checkpoint(&statuses, self.rollback());
        self.checkpoint = at.and_then(|at| self.steps.get(at)).map(|step| step.name.clone());
        let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
        let done = count(statuses.iter().filter(|&&status| status == StepStatus::Success).count());
        let total = count(statuses.len());
        self.progress = Progress { done, total, percent: (100 * done).checked_div(total).unwrap_or(100) };
    }
}

/// A task to be written.
pub struct NewTask<'a> {
    /// Its id.
    pub id: Id<id::Task>,
    /// What it is for.
    pub task_type: TaskType,
    /// Whose task it is.
    pub organization_id: Id<id::Organization>,
    /// What it works on; nothing that is kept, for a question about something that is not.
    pub subject: Option<Subject>,
    /// Whether it stays where it is when a step fails.
    pub disable_rollback: bool,
    /// What was asked for, as JSON, with a mask where a secret stood.
    pub request: &'a str,
    /// The job that takes its first turn, written in the same transaction.
    pub job_id: Id<id::Job>,
    /// The present instant.
    pub now: Instant,
}

const TASK: &str = "t.id, t.task_type, t.status, t.organization_id, t.subject, t.attempt, t.definition_version, t.disable_rollback, t.message, t.cancel_requested_at, t.created_at, t.updated_at, t.ended_at, t.queue, t.job_id";
const STEP: &str = "s.name, s.status, s.attempts, s.message, s.updated_at";
/// A task belongs to whom it is done for, so whoever is above sees it.
const FROM: &str = "tasks t JOIN organizations o ON o.id = t.organization_id";

type Ids = (Option<Id<id::Subscription>>, Option<Id<id::Environment>>, Option<Id<id::DataCenter>>);

/// The id of the subject, in the place of its kind.
fn ids(subject: Option<Subject>) -> Ids {
    match subject {
        Some(Subject::Subscription(id)) => (Some(id), None, None),
        Some(Subject::Environment(id)) => (None, Some(id), None),
        Some(Subject::DataCenter(id)) => (None, None, Some(id)),
        None => (None, None, None),
    }
}

/// A task with one of its steps.
fn read(row: &mut Row) -> Result<Task> {
    let (id, task_type, status, organization_id) = (row.take()?, row.take()?, row.take()?, row.take()?);
    // A task of a later hub may work on what this one has no noun for.
    let subject = row.take::<Option<String>>()?.and_then(|text| text.parse().ok());
    let (subscription_id, environment_id, data_center_id) = ids(subject);
    Ok(Task {
        id,
        task_type,
        status,
        progress: Progress::default(),
        organization_id,
        subscription_id,
        environment_id,
        data_center_id,
        attempt: row.take()?,
        definition_version: row.take()?,
        disable_rollback: row.take::<i64>()? != 0,
        preceding_tasks: Vec::new(),
        checkpoint: None,
        message: row.take()?,
        cancel_requested_at: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        ended_at: row.take()?,
        queue: row.take()?,
        subject,
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

/// The tasks of a page, each with all its steps: one statement, however many there are, and one more when some of them
/// wait for others.
async fn with_steps(db: &Db, page: &str, values: Vec<Value>) -> Result<Vec<Task>> {
    let rows = db
        .query_all(
            &format!("SELECT {TASK}, {STEP} FROM ({page}) t JOIN task_steps s ON s.task_id = t.id ORDER BY t.id, s.position"),
            values.clone(),
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
    if tasks.iter().any(Task::is_queued) {
        let sql = format!(
            "SELECT p.task_id, p.preceding_id FROM ({page}) t JOIN task_predecessors p ON p.task_id = t.id ORDER BY p.preceding_id"
        );
        let pairs = db.query_all(&sql, values, |row| Ok((row.take::<Id<id::Task>>()?, row.take()?))).await?;
        for (id, preceding) in pairs {
            tasks.iter_mut().filter(|task| task.id == id).for_each(|task| task.preceding_tasks.push(preceding));
        }
    }
    tasks.iter_mut().for_each(Task::follow);
    Ok(tasks)
}

/// Writes a task and its steps, none of which was begun, and what it waits for. Whom it is done for was found by the
/// caller. It has a job at once only if it waits for nothing. Refused when too many wait already.
pub async fn insert(tx: &Tx<'_>, queue: &str, asked_by: Option<String>, new: &NewTask<'_>) -> Result<Task> {
    let preceding_tasks = unended(tx, new.subject).await?;
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
    let (subscription_id, environment_id, data_center_id) = ids(new.subject);
    let mut task = Task {
        id: new.id,
        task_type: new.task_type.to_string(),
        status: TaskStatus::NotStarted,
        progress: Progress::default(),
        organization_id: new.organization_id,
        subscription_id,
        environment_id,
        data_center_id,
        attempt: 1,
        definition_version: new.task_type.version(),
        disable_rollback: new.disable_rollback,
        job_id: preceding_tasks.is_empty().then_some(new.job_id),
        preceding_tasks,
        steps,
        checkpoint: None,
        message: None,
        cancel_requested_at: None,
        created_at: new.now,
        updated_at: new.now,
        ended_at: None,
        queue: queue.to_owned(),
        subject: new.subject,
    };
    task.follow();
    tx.exec(
        "INSERT INTO tasks (id, task_type, status, organization_id, subject, subscription_id, definition_version, disable_rollback, queue, job_id, created_at, updated_at, asked_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)",
        params![
            task.id,
            task.task_type,
            task.status,
            task.organization_id,
            task.subject.map(|subject| subject.to_string()),
            task.subscription_id,
            task.definition_version,
            i64::from(task.disable_rollback),
            task.queue,
            task.job_id,
            task.created_at,
            asked_by
        ],
    )
    .await?;
    for (position, step) in task.steps.iter().enumerate() {
        tx.exec(
            "INSERT INTO task_steps (task_id, position, name, status, attempts, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![task.id, position as i64, step.name, step.status, step.attempts, step.updated_at],
        )
        .await?;
    }
    tx.exec("INSERT INTO task_requests (task_id, body) VALUES (?1, ?2)", params![task.id, new.request]).await?;
    precede(tx, &task).await?;
    Ok(task)
}

/// Locks a subject's row until the transaction ends, where the database has locks of rows: of two tasks that are asked for
/// at once, or of one that is asked for while another ends, the second then sees what the first has done. It changes nothing,
/// and there may be no such row (any more).
async fn lock(tx: &Tx<'_>, subject: Subject) -> Result<()> {
    let table = match subject {
        Subject::Subscription(_) => "subscriptions",
        Subject::Environment(_) => "environments",
        Subject::DataCenter(_) => "data_centers",
    };
    tx.exec(&format!("UPDATE {table} SET task_id = task_id WHERE id = ?1"), params![subject.to_string()]).await
}

/// The tasks on a subject that have not ended, as nobody else can change them before the transaction ends. Refused when they
/// are too many for another to wait for them.
pub async fn unended(tx: &Tx<'_>, subject: Option<Subject>) -> Result<Vec<Id<id::Task>>> {
    if let Some(subject) = subject {
        lock(tx, subject).await?;
    }
    let Some(subject) = subject.map(|subject| subject.to_string()) else { return Ok(Vec::new()) };
    let sql = "SELECT id FROM tasks WHERE subject = ?1 AND ended_at IS NULL ORDER BY id LIMIT ?2";
    let found: Vec<Id<id::Task>> = tx.query_all(sql, params![subject, MOST_WAITING as i64 + 1], |row| row.take()).await?;
    if found.len() > MOST_WAITING {
        return Err(Error::conflict(
            "too_many_tasks",
            format!(
                "{subject} has more than {MOST_WAITING} tasks that have not ended, so no other can wait for them. Wait for some to end, or cancel them."
            ),
        ));
    }
    Ok(found)
}

/// Who asked for a task: the principal's id; none where nobody did, but the hub itself.
pub async fn asked_by(db: &Db, id: Id<id::Task>) -> Result<Option<String>> {
    let sql = "SELECT asked_by FROM tasks WHERE id = ?1";
    Ok(db.query_opt(sql, params![id], |row| row.take::<Option<String>>()).await?.flatten())
}

/// Writes what a task waits for.
pub async fn precede(tx: &Tx<'_>, task: &Task) -> Result<()> {
    for preceding in &task.preceding_tasks {
        let sql = "INSERT INTO task_predecessors (task_id, preceding_id) VALUES (?1, ?2)";
        tx.exec(sql, params![task.id, *preceding]).await?;
    }
    Ok(())
}

/// Forgets what a task waits for.
pub async fn unqueue(tx: &Tx<'_>, id: Id<id::Task>) -> Result<()> {
    tx.exec("DELETE FROM task_predecessors WHERE task_id = ?1", params![id]).await
}

/// A task that has ended keeps no other waiting: gives those that waited for it and now wait for nothing. They have no job yet.
pub async fn release(tx: &Tx<'_>, ended: Id<id::Task>, subject: Option<Subject>) -> Result<Vec<Released>> {
    if let Some(subject) = subject {
        lock(tx, subject).await?;
    }
    let sql = "DELETE FROM task_predecessors WHERE preceding_id = ?1 RETURNING task_id";
    let waiting: Vec<Id<id::Task>> = tx.query_all(sql, params![ended], |row| row.take()).await?;
    let mut released = Vec::new();
    for id in waiting {
        let sql =
            "SELECT t.id, t.queue, t.organization_id FROM tasks t WHERE t.id = ?1 AND t.ended_at IS NULL AND t.job_id IS NULL
             AND NOT EXISTS (SELECT 1 FROM task_predecessors p WHERE p.task_id = t.id)";
        let read = |row: &mut Row| Ok(Released { id: row.take()?, queue: row.take()?, organization_id: row.take()? });
        released.extend(tx.query_opt(sql, params![id], read).await?);
    }
    Ok(released)
}

/// A task that waits for nothing any more.
pub struct Released {
    /// Its id.
    pub id: Id<id::Task>,
    /// The component that runs it.
    pub queue: String,
    /// Whose task it is.
    pub organization_id: Id<id::Organization>,
}

/// Gives a task that waited the job that begins it.
pub async fn set_job(tx: &Tx<'_>, id: Id<id::Task>, job_id: Id<id::Job>) -> Result<()> {
    tx.exec("UPDATE tasks SET job_id = ?2 WHERE id = ?1", params![id, job_id]).await
}

/// The condition on tasks that the caller sees their subjects.
fn seen(scope: &Scope, values: &mut Vec<Value>) -> String {
    let subjects = scope.tasks(values);
    match scope.sees("t.organization_id", "t.subscription_id", values) {
        none if none.is_empty() => subjects,
        seen => format!("{subjects} AND (t.subscription_id IS NULL OR (1 = 1{seen}))"),
    }
}

/// One task within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Task>) -> Result<Task> {
    let mut values = scope.after(params![id]);
    let seen = seen(scope, &mut values);
    with_steps(db, &format!("SELECT t.* FROM {FROM} WHERE t.id = ?1 AND o.path >= ?2 AND o.path < ?3{seen}"), values)
        .await?
        .pop()
        .ok_or_else(|| Error::not_found("task_not_found", "task", id))
}

/// What a task within the scope was asked for: the body of the request as JSON, with a mask where a secret stood; null where
/// that was not kept yet when the task was made.
pub async fn request(db: &Db, scope: &Scope, id: Id<id::Task>) -> Result<String> {
    let mut values = scope.after(params![id]);
    let seen = seen(scope, &mut values);
    let sql = format!(
        "SELECT COALESCE(r.body, 'null') FROM {FROM} LEFT JOIN task_requests r ON r.task_id = t.id WHERE t.id = ?1 AND o.path >= ?2 AND o.path < ?3{seen}"
    );
    db.query_opt(&sql, values, |row| row.take()).await?.ok_or_else(|| Error::not_found("task_not_found", "task", id))
}

/// Which tasks a list is to show.
#[derive(Default)]
pub struct Filter {
    /// Only those that stand there.
    pub status: Option<TaskStatus>,
    /// Only those of this type.
    pub task_type: Option<TaskType>,
    /// Only those that work on this.
    pub subject: Option<Subject>,
}

/// A page of the tasks within the scope, oldest first.
pub async fn list(db: &Db, scope: &Scope, filter: &Filter, after: Option<Id<id::Task>>, limit: u32) -> Result<Vec<Task>> {
    let task_type = filter.task_type.map(|task_type| task_type.as_str());
    let subject = filter.subject.map(|subject| subject.to_string());
    // One filter is a plain equation, the one that leaves the fewest: only of such a one an index is used.
    let exact = match filter {
        Filter { subject: Some(_), .. } => "t.subject = ?3",
        Filter { status: Some(_), .. } => "t.status = ?1",
        Filter { task_type: Some(_), .. } => "t.task_type = ?2",
        _ => "1 = 1",
    };
    let mut values = scope.after(params![filter.status, task_type, subject, start(after), limit]);
    let seen = seen(scope, &mut values);
    let page = format!(
        "SELECT t.* FROM {FROM}
         WHERE {exact} AND o.path >= ?6 AND o.path < ?7 AND (t.status = ?1 OR ?1 IS NULL) AND (t.task_type = ?2 OR ?2 IS NULL)
         AND (t.subject = ?3 OR ?3 IS NULL) AND t.id > ?4{seen} ORDER BY t.id LIMIT ?5"
    );
    with_steps(db, &page, values).await
}

/// The task within the scope that waits for a person, on a subject and of a type: at most one task on a subject does.
pub async fn waiting(db: &Db, scope: &Scope, subject: Subject, task_type: TaskType) -> Result<Option<Task>> {
    let values = scope.after(params![subject.to_string(), task_type]);
    let page = format!(
        "SELECT t.* FROM {FROM} WHERE t.subject = ?1 AND t.task_type = ?2 AND t.ended_at IS NULL AND t.status = 'MANUAL' AND o.path >= ?3 AND o.path < ?4"
    );
    Ok(with_steps(db, &page, values).await?.pop())
}

/// Writes down that somebody wants a task cancelled, and when; a runner that is at it sees it after its present turn. With
/// `None`, that nobody does any more. Apart from [`update`], so that a runner does not overwrite what it has not seen.
pub async fn set_cancel_requested(tx: &Tx<'_>, id: Id<id::Task>, at: Option<Instant>) -> Result<()> {
    tx.exec("UPDATE tasks SET cancel_requested_at = ?2 WHERE id = ?1", params![id, at]).await
}

/// When somebody asked for a task to be cancelled, if anybody did.
pub async fn cancel_requested(tx: &Tx<'_>, id: Id<id::Task>) -> Result<Option<Instant>> {
    let sql = "SELECT cancel_requested_at FROM tasks WHERE id = ?1";
    Ok(tx.query_opt(sql, params![id], |row| row.take::<Option<Instant>>()).await?.flatten())
}

/// Writes what has changed of a task within the scope. Whoever calls this has made sure that nobody else changed it
/// since `before` was read: by reading it in the same transaction, or by the fence of the task's job.
pub async fn update(tx: &Tx<'_>, scope: &Scope, before: &Task, after: &Task) -> Result<()> {
    let values = scope.after(params![
        after.id,
        after.status,
        after.message,
        after.job_id,
        after.updated_at,
        after.ended_at,
        after.attempt
    ]);
    let written: Option<Id<id::Task>> = tx
        .query_opt(
            "UPDATE tasks SET status = ?2, message = ?3, job_id = ?4, updated_at = ?5, ended_at = ?6, attempt = ?7
             WHERE id = ?1 AND organization_id IN (SELECT id FROM organizations WHERE path >= ?8 AND path < ?9) RETURNING id",
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
