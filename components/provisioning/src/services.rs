//! `/v1/services`

use domain::{Id, Result, id};
use store::services::{self, NewService, Service};
use web::{Body, Caller, Created, Hub, Listing, Page, PageQuery, Path, Query, Sent, Shown, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Body(new): Body<NewService>,
) -> Result<Sent<Created<Service>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let service = services::insert(tx, id, &new, hub.now()).await?;
        Ok(Created::at(format!("/v1/services/{id}"), service))
    })
    .await
}

pub async fn list(
    hub: Hub,
    _: Caller<permit::ServiceRead>,
    Query(query): Query<PageQuery<id::Service>>,
) -> Result<Listing<Service>> {
    let page = Page::new(query.limit)?;
    let found = services::list(hub.db().await?, query.cursor, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |service| service.id.to_string()))
}

pub async fn show(hub: Hub, _: Caller<permit::ServiceRead>, Path(id): Path<Id<id::Service>>) -> Result<Shown<Service>> {
    services::find(hub.db().await?, id).await.map(Shown)
}
