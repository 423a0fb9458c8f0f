//! `/v1/certificates`: the certificates of products, by when they end.

use domain::{Id, Instant, JsonSchema, Result, id};
use serde::Deserialize;
use store::certificates::{self, Certificate, Filter};
use web::{Caller, Cursor, Hub, Listing, Page, Query, permit};

/// Which certificates to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this organization's environments.
    organization_id: Option<Id<id::Organization>>,
    /// Only those of this environment.
    environment_id: Option<Id<id::Environment>>,
    /// Only those that end before this.
    expires_before: Option<Instant>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Certificate>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let filter = Filter {
        organization_id: query.organization_id,
        environment_id: query.environment_id,
        expires_before: query.expires_before,
    };
    // What was sealed is what was read: another shape is no place.
    let after = match page.place(2)? {
        [millis, id] => millis.parse().ok().and_then(Instant::from_timestamp_millis).zip(id.parse().ok()),
        _ => None,
    };
    let found = certificates::list(hub.db().await?, &caller.scope(), &filter, after, page.rows()).await?;
    Listing::placed(&page, found).await
}
