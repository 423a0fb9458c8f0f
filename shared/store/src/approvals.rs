//! Approvals: what was asked for a customer and waits for its word, and what became of that.

use crate::{Db, Placed, Row, Scope, Tx, job_payload, params, value::start_of};
use domain::{
    Decimal, Error, Id, Instant, JsonSchema, PrincipalId, Result,
    access_level::AccessLevel,
    approval::{ApprovalAction, ApprovalStatus as Status},
    id,
};
use serde::Serialize;
use serde_json::value::RawValue;

job_payload! {
    /// Records that an approval has lapsed. It had lapsed before: its time is compared wherever it is used.
    LapseApproval {
        /// The approval.
        approval_id: Id<id::Approval>
    } queue "provisioning" kind "approval.lapse"
}

job_payload! {
    /// Begins what was approved.
    BeginApproved {
        /// The approval.
        approval_id: Id<id::Approval>
    } queue "provisioning" kind "approval.begin"
}

/// A request that needs the customer's approval.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Its id.
    pub id: Id<id::Approval>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// What is asked for.
    pub action: ApprovalAction,
    /// The subscription it is to be done to; of a PROVISION, the one that came of it.
    pub subscription_id: Option<Id<id::Subscription>>,
    /// The service.
    pub service_id: Id<id::Service>,
    /// How much the customer is to have afterwards, where that is said.
    pub quantity: Option<Decimal>,
    /// What was sent.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub request: Box<RawValue>,
    /// Where it stands.
    pub status: Status,
    /// Who asked.
    pub asked_by: PrincipalId,
    /// What that one was called when it asked.
    pub asked_by_name: String,
    /// In which organization it acted.
    pub asked_in: Id<id::Organization>,
    /// In which acting session, where it was in one.
    pub acting_session_id: Option<Id<id::ActingSession>>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it lapses, or would have.
    pub lapses_at: Instant,
    /// Who approved, rejected or withdrew it.
    pub decided_by: Option<PrincipalId>,
    /// When.
    pub decided_at: Option<Instant>,
    /// Why, as that one said.
    pub reason: Option<String>,
    /// The task that it was begun by.
    pub task_id: Option<Id<id::Task>>,
    /// Why it could not be begun.
    pub message: Option<String>,
    /// The state that it was asked of.
    #[serde(skip)]
    pub if_version: Option<i64>,
    /// Whether its task stays where it is when a step fails.
    #[serde(skip)]
    pub disable_rollback: bool,
    /// The job that writes down that it lapsed.
    #[serde(skip)]
    pub lapse_job_id: Id<id::Job>,
}

/// `?1` is always the present instant: what is due to lapse has lapsed, whether or not the job that writes it has come round.
const COLUMNS: &str = "a.id, a.organization_id, a.action, a.subscription_id, a.service_id, a.quantity, a.request,
    CASE WHEN a.status = 'PENDING' AND a.lapses_at <= ?1 THEN 'LAPSED' ELSE a.status END, a.asked_by, a.asked_by_name, a.asked_in,
    a.acting_session_id, a.created_at, a.lapses_at, a.decided_by, a.decided_at, a.reason, a.task_id, a.message, a.if_version,
    a.disable_rollback, a.lapse_job_id";
/// An approval is the customer's, so the customer and whoever is above it see it.
const FROM: &str = "approvals a JOIN organizations o ON o.id = a.organization_id";

fn read(row: &mut Row) -> Result<Approval> {
    Ok(Approval {
        id: row.take()?,
        organization_id: row.take()?,
        action: row.take()?,
        subscription_id: row.take()?,
        service_id: row.take()?,
        quantity: row.take()?,
        request: RawValue::from_string(row.take()?).map_err(|error| Error::fault(error.to_string()))?,
        status: row.take()?,
        asked_by: row.take()?,
        asked_by_name: row.take()?,
        asked_in: row.take()?,
        acting_session_id: row.take()?,
        created_at: row.take()?,
        lapses_at: row.take()?,
        decided_by: row.take()?,
        decided_at: row.take()?,
        reason: row.take()?,
        task_id: row.take()?,
        message: row.take()?,
        if_version: row.take()?,
        disable_rollback: row.take::<i64>()? == 1,
        lapse_job_id: row.take()?,
    })
}

/// Writes what is asked for; its customer and its subscription were found by the caller. Refused while another one on the
/// subscription waits. One that has lapsed, and whose job has not come round yet, would stand in the way: that is written down, and
/// which one it was.
pub async fn insert(tx: &Tx<'_>, new: &Approval) -> Result<Option<Id<id::Approval>>> {
    let mut lapsed: Option<Id<id::Approval>> = None;
    if let Some(subscription_id) = new.subscription_id {
        let sql = "UPDATE approvals SET status = 'LAPSED' WHERE subscription_id = ?1 AND status = 'PENDING' AND lapses_at <= ?2 RETURNING id";
        lapsed = tx.query_opt(sql, params![subscription_id, new.created_at], |row| row.take()).await?;
        let sql = "SELECT id FROM approvals WHERE subscription_id = ?1 AND status IN ('PENDING', 'APPROVED')";
        let waiting: Option<Id<id::Approval>> = tx.query_opt(sql, params![subscription_id], |row| row.take()).await?;
        if let Some(waiting) = waiting {
            return Err(Error::conflict(
                "approval_pending",
                format!(
                    "The approval {waiting} of something else on the subscription is still open. Wait for it, or withdraw it (POST /v1/approvals/{waiting}/withdraw), and ask again."
                ),
            ));
        }
    }
    tx.exec(
        "INSERT INTO approvals (id, organization_id, organization_path, action, subscription_id, service_id, quantity, request, status,
             asked_by, asked_by_name, asked_in, acting_session_id, created_at, lapses_at, if_version, disable_rollback, lapse_job_id)
         VALUES (?1, ?2, (SELECT o.path FROM organizations o WHERE o.id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
             ?16, ?17)",
        params![
            new.id,
            new.organization_id,
            new.action,
            new.subscription_id,
            new.service_id,
            new.quantity,
            new.request.get(),
            new.status,
            new.asked_by,
            new.asked_by_name,
            new.asked_in,
            new.acting_session_id,
            new.created_at,
            new.lapses_at,
            new.if_version,
            u32::from(new.disable_rollback),
            new.lapse_job_id
        ],
    )
    .await?;
    Ok(lapsed)
}

/// One approval within the scope, as it stands at `now`.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Approval>, now: Instant) -> Result<Approval> {
    let mut values = scope.after(params![now, id]);
    let seen = scope.level(AccessLevel::View, "a.organization_id", "a.service_id", &mut values);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE a.id = ?2 AND o.path >= ?3 AND o.path < ?4{seen}");
    db.query_opt(&sql, values, read).await?.ok_or_else(|| Error::not_found("approval_not_found", "approval", id))
}

/// A page of the approvals within the scope, as they stand at `now`, in the order of the tree and those of one customer oldest
/// first: of all, of one customer, or that stand there.
pub async fn list(
    db: &Db,
    scope: &Scope,
    customer: Option<Id<id::Organization>>,
    status: Option<Status>,
    after: &[String],
    now: Instant,
    limit: u32,
) -> Result<Vec<Placed<Approval>>> {
    let placed = |row: &mut Row| Placed::read(row, read, 2);
    // What is shown as lapsed may still be written as pending, so that the two are found by more than what is written.
    let standing = match status {
        Some(Status::Pending) => "a.status = ?3 AND a.lapses_at > ?1",
        Some(Status::Lapsed) => "(a.status = ?3 OR (a.status = 'PENDING' AND a.lapses_at <= ?1))",
        Some(_) => "a.status = ?3",
        None => "(a.status = ?3 OR ?3 IS NULL)",
    };
    // Each has its own statement, so that its index is used.
    if let Some(customer) = customer {
        let mut values = scope.after(params![now, limit, status, customer, start_of(after)]);
        let seen = scope.level(AccessLevel::View, "a.organization_id", "a.service_id", &mut values);
        let sql = format!(
            "SELECT {COLUMNS}, a.organization_path, a.id FROM {FROM} WHERE a.organization_id = ?4 AND {standing} AND a.id > ?5
             AND o.path >= ?6 AND o.path < ?7{seen} ORDER BY a.id LIMIT ?2"
        );
        return db.query_all(&sql, values, placed).await;
    }
    let mut values = params![now, limit, status];
    let page = scope.page("a", after, &mut values);
    let seen = scope.level(AccessLevel::View, "a.organization_id", "a.service_id", &mut values);
    let sql = format!(
        "SELECT {COLUMNS}, a.organization_path, a.id FROM {FROM} WHERE {standing} AND {page}{seen}
         ORDER BY a.organization_path, a.id LIMIT ?2"
    );
    db.query_all(&sql, values, placed).await
}

/// Writes where an approval, as read in this transaction, stands now, and what there is to say of that.
pub async fn update(tx: &Tx<'_>, after: &Approval) -> Result<()> {
    tx.exec(
        "UPDATE approvals SET status = ?2, decided_by = ?3, decided_at = ?4, reason = ?5, task_id = ?6, subscription_id = ?7, message = ?8
         WHERE id = ?1",
        params![
            after.id,
            after.status,
            after.decided_by,
            after.decided_at,
            after.reason,
            after.task_id,
            after.subscription_id,
            after.message
        ],
    )
    .await
}

/// Writes down that an approval has lapsed, if it has and that is not written yet.
pub async fn lapse(tx: &Tx<'_>, scope: &Scope, id: Id<id::Approval>, now: Instant) -> Result<Option<Approval>> {
    let approval = find(tx, scope, id, now).await?;
    let lapsed: Option<Id<id::Approval>> = tx
        .query_opt(
            "UPDATE approvals SET status = 'LAPSED' WHERE id = ?1 AND status = 'PENDING' AND lapses_at <= ?2 RETURNING id",
            params![id, now],
            |row| row.take(),
        )
        .await?;
    Ok(lapsed.map(|_| approval))
}

/// When a customer approved what a task does; never, where it was not asked.
pub async fn approved_at(db: &Db, organization_id: Id<id::Organization>, task_id: Id<id::Task>) -> Result<Option<Instant>> {
    let sql = "SELECT decided_at FROM approvals WHERE organization_id = ?1 AND task_id = ?2 AND status = 'BEGUN'";
    Ok(db.query_opt(sql, params![organization_id, task_id], |row| row.take::<Option<Instant>>()).await?.flatten())
}

/// What a customer has rejected at an instant or later: something to be done to the subscription, or the same thing of the service where
/// there was no subscription yet.
pub async fn rejected_since(
    db: &Db,
    organization_id: Id<id::Organization>,
    since: Instant,
    subscription_id: Id<id::Subscription>,
    service_id: Id<id::Service>,
    action: ApprovalAction,
) -> Result<Option<Id<id::Approval>>> {
    let sql = "SELECT id FROM approvals WHERE organization_id = ?1 AND status = 'REJECTED' AND decided_at >= ?2
             AND (subscription_id = ?3 OR (subscription_id IS NULL AND service_id = ?4 AND action = ?5)) ORDER BY id LIMIT 1";
    db.query_opt(sql, params![organization_id, since, subscription_id, service_id, action], |row| row.take()).await
}

/// Whether the organization in which something was asked for may still have anything done.
pub async fn is_asker_in_use(db: &Db, asked_in: Id<id::Organization>) -> Result<bool> {
    let sql = "SELECT id FROM organizations WHERE id = ?1 AND status = 'ACTIVE' AND removed_at IS NULL";
    let found: Option<Id<id::Organization>> = db.query_opt(sql, params![asked_in], |row| row.take()).await?;
    Ok(found.is_some())
}
