//! `/v1/plans`: what changes of environments come to, before they are made.

use crate::change::{TaskOptions, begin};
use domain::{Error, Id, JsonSchema, Result, environment::PlanStatus, id};
use serde::Deserialize;
use store::{
    Scope, Tx, environments,
    plans::{self, Plan},
    tasks::Task,
};
use web::{Accepted, Caller, Cursor, Hub, Listing, Page, Path, Prefer, Query, Sent, Shown, permit};

/// Which plans to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this environment.
    environment_id: Option<Id<id::Environment>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::EnvironmentRead>, Query(query): Query<ListQuery>) -> Result<Listing<Plan>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = plans::list(hub.db().await?, &caller.scope(), query.environment_id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |plan| plan.id.to_string()).await
}

pub async fn show(hub: Hub, caller: Caller<permit::EnvironmentRead>, Path(id): Path<Id<id::Plan>>) -> Result<Shown<Plan>> {
    plans::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}

pub async fn approve(hub: Hub, caller: Caller<permit::PlanApprove>, Path(id): Path<Id<id::Plan>>) -> Result<Sent<Shown<Plan>>> {
    hub.write(&caller, async |tx| {
        let mut plan = plans::find(tx, &caller.scope(), id).await?;
        if plan.status != PlanStatus::Planned {
            return Err(Error::conflict(
                "plan_not_planned",
                format!("The plan {id} is {}; only one that is PLANNED can be approved.", plan.status),
            ));
        }
        check_up_to_date(tx, &caller.scope(), &plan).await?;
        hub.concerns(plan.organization_id);
        hub.audit("environmentId", &plan.environment_id.to_string());
        (plan.status, plan.approved_at) = (PlanStatus::Approved, Some(hub.now()));
        plans::update(tx, &plan).await?;
        Ok(Shown(plan))
    })
    .await
}

/// How to go about a plan.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyQuery {
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

pub async fn apply(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Path(id): Path<Id<id::Plan>>,
    prefer: Prefer,
    Query(query): Query<ApplyQuery>,
) -> Result<Sent<Accepted<Task>>> {
    let scope = caller.scope();
    let sent = hub
        .write(&caller, async |tx| {
            let plan = plans::find(tx, &scope, id).await?;
            if plan.status != PlanStatus::Approved {
                return Err(Error::conflict(
                    "plan_not_approved",
                    format!(
                        "The plan {id} is {}; only one that is APPROVED can be applied. Approve it: POST /v1/plans/{id}/approve.",
                        plan.status
                    ),
                ));
            }
            check_up_to_date(tx, &scope, &plan).await?;
            environments::check_components(tx, &scope, &plan.products()?).await?;
            let request = format!("{{\"planId\":\"{id}\"}}");
            let ApplyQuery { disable_rollback, ignore_validation, disable_backup } = query;
            begin(tx, &hub, plan, &request, TaskOptions { disable_rollback, ignore_validation, disable_backup }).await
        })
        .await?;
    ::tasks::waited(&hub, &caller, sent, prefer).await
}

/// Refuses a plan that was made for another state of the world than there is.
async fn check_up_to_date(tx: &Tx<'_>, scope: &Scope, plan: &Plan) -> Result<()> {
    let present = match plan.seen_version {
        0 => environments::check_code(tx, plan.organization_id, &plan.code).await.is_ok().then_some(0),
        _ => environments::find(tx, scope, plan.environment_id).await.ok().map(|found| found.version),
    };
    if present == Some(plan.seen_version) {
        return Ok(());
    }
    Err(Error::conflict(
        "plan_outdated",
        format!(
            "The environment {} has changed since the plan {} was made. Ask for the change as a dry run again, and look at the new plan.",
            plan.environment_id, plan.id
        ),
    ))
}
