//! `/v1/jobs`

use domain::{Error, Id, JsonSchema, Result, id, job::JobState};
use serde::Deserialize;
use store::jobs::{self, JobView};
use web::{Caller, Cursor, Hub, Listing, Page, Path, Query, Sent, Shown, permit};

/// Which jobs to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those that stand there.
    state: Option<JobState>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::JobRead>, Query(query): Query<ListQuery>) -> Result<Listing<JobView>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = jobs::list(hub.db().await?, query.state, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |job| job.id.to_string()).await
}

pub async fn replay(hub: Hub, caller: Caller<permit::JobWrite>, Path(id): Path<Id<id::Job>>) -> Result<Sent<Shown<JobView>>> {
    hub.write(&caller, async |tx| {
        let job = jobs::replay(tx, id, hub.now()).await?;
        job.map(Shown).ok_or_else(|| {
            Error::conflict(
                "job_not_parked",
                format!("There is no parked job {id}. GET /v1/jobs?state=PARKED lists those there are."),
            )
        })
    })
    .await
}
