//! `/v1/usage-reports`

use domain::{Id, JsonSchema, Result, Text, id, usage::*};
use serde::Deserialize;
use store::{
    contracts::AddUse,
    usage::{self, Usage},
    usage_reports::{self, Import, UsageReport},
};
use web::{Bytes, Caller, Created, Csv, Hub, Listing, Page, PageQuery, Path, Query, Sent, Shown, permit};

/// What the source of a report is called when it is not said.
const SOURCE: &str = "usage-report";

/// Where a report is from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateQuery {
    /// Which system the report is from; `usage-report` when left out. One use is counted once for each source.
    source: Option<Text<1, 60>>,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::UsageWrite>,
    Query(query): Query<CreateQuery>,
    Bytes { bytes, .. }: Bytes<Csv>,
) -> Result<Sent<Created<UsageReport>>> {
    let rows = parse(&bytes)?;
    let distinct = distinct(&rows)?;
    let (id, first_usage_id) = (hub.id(), hub.id::<id::Usage>());
    hub.write(&caller, async |tx| {
        check_age(&rows, hub.now())?;
        usage::check(tx, &caller.scope(), &rows).await?;
        let new = Import {
            id,
            organization_id: caller.acting().id,
            source: query.source.as_deref().unwrap_or(SOURCE),
            rows: &rows,
            distinct: &distinct,
            first_usage_id,
            now: hub.now(),
        };
        let report = usage_reports::import(tx, &caller.scope(), &new).await?;
        // Contracts say when their parties are to be told of use. What comes of it is theirs to see to.
        let used = AddUse { first: first_usage_id.nth(0), last: first_usage_id.nth(u32::MAX) };
        hub.enqueue(tx, caller.acting().id, &used).await?;
        Ok(Created::at(format!("/v1/usage-reports/{id}"), report))
    })
    .await
}

pub async fn list(hub: Hub, caller: Caller<permit::UsageRead>, Query(query): Query<PageQuery>) -> Result<Listing<UsageReport>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = usage_reports::list(hub.db().await?, &caller.scope(), page.after()?, page.rows()).await?;
    Listing::new(&page, found, |report| report.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::UsageRead>,
    Path(id): Path<Id<id::UsageReport>>,
) -> Result<Shown<UsageReport>> {
    usage_reports::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}

pub async fn rows(
    hub: Hub,
    caller: Caller<permit::UsageRead>,
    Path(id): Path<Id<id::UsageReport>>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Usage>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let (db, scope) = (hub.db().await?, caller.scope());
    usage_reports::find(db, &scope, id).await?;
    let found = usage::of_report(db, &scope, id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |usage| usage.id.to_string()).await
}
