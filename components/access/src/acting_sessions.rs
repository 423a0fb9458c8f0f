//! `/v1/acting-sessions`

use domain::{
    Error, Id, JsonSchema, OrganizationKind, Result, Text,
    acting::{ActingSessionStatus, LONGEST_MINUTES},
    id,
};
use serde::Deserialize;
use store::{
    Scope, Tx, acting_policies,
    acting_sessions::{self, ActingSession, CloseActingSession},
    jobs::{self, Job},
    organizations,
};
use web::{Body, Caller, Created, Cursor, Hub, Identity, Listing, Page, Path, Query, Record, Sent, Shown, permit};

/// An acting session to start.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewActingSession {
    /// The customer to act in.
    organization_id: Id<id::Organization>,
    /// Why. The customer sees it.
    reason: Text<1, 500>,
    /// For how many minutes, from when it is open: 1 to 480.
    #[schemars(range(min = 1, max = 480))]
    duration_minutes: u32,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ActingSessionWrite>,
    Body(new): Body<NewActingSession>,
) -> Result<Sent<Created<ActingSession>>> {
    if !(1..=LONGEST_MINUTES).contains(&new.duration_minutes) {
        return Err(Error::invalid("/durationMinutes", format!("must be from 1 to {LONGEST_MINUTES}")));
    }
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let customer = organizations::find(tx, &caller.scope(), new.organization_id).await?;
        if customer.kind != OrganizationKind::Customer {
            return Err(Error::invalid(
                "/organizationId",
                format!(
                    "is of the kind {}; only a CUSTOMER is acted in by a session, in others you act by your role",
                    customer.kind
                ),
            ));
        }
        if caller.bindings().iter().any(|binding| binding.path == customer.path) {
            return Err(Error::invalid(
                "/organizationId",
                "is a customer that you are a member of, so you need no session there",
            ));
        }
        if let Some(last) = acting_sessions::close_last(tx, caller.principal(), customer.id, hub.now()).await? {
            hub.audit("closedActingSession", &last.to_string());
        }
        let policy = acting_policies::find(tx, &customer).await?;
        let (status, expires_at) = policy.policy.started(hub.now(), new.duration_minutes)?;
        let session = ActingSession {
            id,
            organization_id: customer.id,
            principal_id: caller.principal(),
            principal_name: acting_sessions::name(tx, caller.principal()).await?,
            principal_organization_id: caller.home().id,
            reason: new.reason.to_string(),
            duration_minutes: new.duration_minutes,
            status,
            expires_at,
            created_at: hub.now(),
            started_at: (status == ActingSessionStatus::Open).then(|| hub.now()),
            ended_at: None,
            answered_by: None,
            ended_by: None,
        };
        if !acting_sessions::insert(tx, &session).await? {
            return Err(taken(acting_sessions::current(tx, &caller.scope(), caller.principal(), customer.id, hub.now()).await?));
        }
        close_at(tx, &hub, &session).await?;
        told(&hub, &session);
        hub.audit("reason", &session.reason);
        hub.audit("durationMinutes", &session.duration_minutes.to_string());
        Ok(Created::at(format!("/v1/acting-sessions/{id}"), session))
    })
    .await
}

fn taken(current: Option<ActingSession>) -> Error {
    let which = current.map_or("one".to_owned(), |current| format!("{}, which is {}", current.id, current.status));
    Error::conflict(
        "acting_session_exists",
        format!(
            "You have an acting session in this customer already: {which}. Use it, or end it with POST /v1/acting-sessions/{{actingSessionId}}/end."
        ),
    )
}

/// The audit details of a session, in the customer's audit and in that of the acting principal's organization.
fn told(hub: &Hub, session: &ActingSession) {
    hub.concerns(session.organization_id);
    hub.concerns(session.principal_organization_id);
    hub.audit("status", session.status.as_str());
    hub.audit("actingPrincipal", &session.principal_id.to_string());
}

async fn close_at(tx: &Tx<'_>, hub: &Hub, session: &ActingSession) -> Result<()> {
    let close = CloseActingSession { acting_session_id: session.id };
    hub.enqueue_at(tx, session.organization_id, &close, session.expires_at).await
}

/// Which sessions to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those in this customer.
    organization_id: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ActingSessionRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<ActingSession>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    // A customer has nothing below it, so its own sessions are all that there are.
    let own = (caller.acting().kind == OrganizationKind::Customer).then_some(caller.acting().id);
    let customer = query.organization_id.or(own);
    let found = acting_sessions::list(hub.db().await?, &caller.scope(), customer, page.place(2)?, hub.now(), page.rows()).await?;
    Listing::placed(&page, found).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::ActingSessionRead>,
    Path(id): Path<Id<id::ActingSession>>,
) -> Result<Shown<ActingSession>> {
    acting_sessions::find(hub.db().await?, &caller.scope(), id, hub.now()).await.map(Shown)
}

pub async fn approve(
    hub: Hub,
    caller: Caller<permit::ActingSessionWrite>,
    Path(id): Path<Id<id::ActingSession>>,
) -> Result<Sent<Shown<ActingSession>>> {
    hub.write(&caller, async |tx| {
        let mut session = requested(tx, &hub, &caller, id).await?;
        session.expires_at = session.status.approved(hub.now(), session.duration_minutes)?;
        session.status = ActingSessionStatus::Open;
        session.started_at = Some(hub.now());
        close_at(tx, &hub, &session).await?;
        write(tx, &hub, session).await
    })
    .await
}

pub async fn refuse(
    hub: Hub,
    caller: Caller<permit::ActingSessionWrite>,
    Path(id): Path<Id<id::ActingSession>>,
) -> Result<Sent<Shown<ActingSession>>> {
    hub.write(&caller, async |tx| {
        let mut session = requested(tx, &hub, &caller, id).await?;
        session.status = ActingSessionStatus::Refused;
        session.ended_at = Some(hub.now());
        write(tx, &hub, session).await
    })
    .await
}

/// Ends a session. Both sides may: all who see the session and may write such.
pub async fn end(
    hub: Hub,
    caller: Caller<permit::ActingSessionWrite>,
    Path(id): Path<Id<id::ActingSession>>,
) -> Result<Sent<Shown<ActingSession>>> {
    hub.write(&caller, async |tx| {
        let mut session = acting_sessions::find(tx, &caller.scope(), id, hub.now()).await?;
        session.status.ended()?;
        session.status = ActingSessionStatus::Ended;
        (session.ended_at, session.ended_by) = (Some(hub.now()), Some(caller.principal()));
        write(tx, &hub, session).await
    })
    .await
}

/// The requested session that this caller answers, with the caller as the author of the answer.
async fn requested(tx: &Tx<'_>, hub: &Hub, caller: &Identity, id: Id<id::ActingSession>) -> Result<ActingSession> {
    let mut session = acting_sessions::find(tx, &caller.scope(), id, hub.now()).await?;
    caller.check_acts_in(session.organization_id)?;
    session.status.answered()?;
    session.answered_by = Some(caller.principal());
    Ok(session)
}

async fn write(tx: &Tx<'_>, hub: &Hub, session: ActingSession) -> Result<Shown<ActingSession>> {
    acting_sessions::update(tx, &session).await?;
    told(hub, &session);
    Ok(Shown(session))
}

/// Writes down that a session is over, if it is. Run twice it does nothing the second time.
pub async fn close(hub: Hub, job: Job, CloseActingSession { acting_session_id: id }: CloseActingSession) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            if let Some(session) = acting_sessions::close(tx, &scope, id, hub.now()).await? {
                told(&hub, &session);
                let what = Record::of_job(job.id, session.organization_id, "acting_sessions.close", id.to_string());
                hub.record(tx, what).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}
