//! `/v1/services`

use domain::{Id, JsonSchema, Result, id};
use serde::Deserialize;
use store::services::{self, NewService, Service};
use web::{Body, Caller, Created, Hub, Listing, Page, Path, Query, Sent, Shown, permit};

pub async fn create(hub: Hub, caller: Caller<permit::ServiceWrite>, Body(new): Body<NewService>) -> Result<Sent<Created<Service>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let service = services::insert(tx, id, &new, hub.now()).await?;
        Ok(Created::at(format!("/v1/services/{id}"), service))
    })
    .await
}

/// Which services to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<String>,
}

pub async fn list(hub: Hub, _: Caller<permit::ServiceRead>, Query(query): Query<ListQuery>) -> Result<Listing<Service>> {
    let page = Page::new(query.limit, query.cursor)?;
    let found = services::list(hub.db().await?, page.after()?, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |service| service.id.to_string()))
}

pub async fn show(hub: Hub, _: Caller<permit::ServiceRead>, Path(id): Path<Id<id::Service>>) -> Result<Shown<Service>> {
    services::find(hub.db().await?, id).await.map(Shown)
}
