//! `/v1/certificates`: which certificates there are, and the question whether one can be installed.

use crate::pair::{self, Checked, Question};
use domain::{Error, Id, Instant, JsonSchema, Result, id};
use serde::Deserialize;
use store::certificates::{self, Certificate, Filter};
use web::{Body, Caller, Hub, Internal, Listing, Page, Query, Shown, permit};

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
    #[schemars(regex(pattern = r"^[0-9]{1,14}_crt_[0-7][0-9a-hjkmnp-tv-z]{25}$"))]
    cursor: Option<String>,
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::EnvironmentRead>,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Certificate>> {
    let page = Page::new(query.limit)?;
    let filter = Filter {
        organization_id: query.organization_id,
        environment_id: query.environment_id,
        expires_before: query.expires_before,
    };
    let after = query.cursor.as_deref().map(place).transpose()?;
    let found = certificates::list(hub.db().await?, &caller.scope(), &filter, after, page.rows()).await?;
    let cursor = |last: &Certificate| format!("{}_{}", last.valid_to.timestamp_millis(), last.id);
    Ok(Listing::new(&page, found, hub.target(), cursor))
}

/// Where a page begins, from a cursor.
fn place(cursor: &str) -> Result<(Instant, Id<id::Certificate>)> {
    let place = cursor
        .split_once('_')
        .and_then(|(millis, id)| Some((Instant::from_timestamp_millis(millis.parse().ok()?)?, id.parse().ok()?)));
    place.ok_or_else(|| Error::malformed("bad_query", "cursor is the nextCursor of the page before; this is none.".to_owned()))
}

/// For components that install certificates.
pub async fn check(hub: Hub, _: Internal, Body(question): Body<Question>) -> Result<Shown<Checked>> {
    pair::check(&question, hub.now()).map(Shown).map_err(Error::invalid_fields)
}
