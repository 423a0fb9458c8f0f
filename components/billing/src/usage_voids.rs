//! `/v1/usage-voids`

use domain::{Id, Result, id};
use store::{
    contracts::TakeUseOut,
    usage_voids::{self, NewUsageVoid, UsageVoid},
};
use web::{Body, Caller, Created, Hub, Listing, Page, PageQuery, Path, Query, Sent, Shown, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::UsageWrite>,
    Body(new): Body<NewUsageVoid>,
) -> Result<Sent<Created<UsageVoid>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let place = (id, caller.acting().id);
        let (void, customers) = usage_voids::create(tx, &caller.scope(), place, &new, hub.now()).await?;
        hub.audit("reason", &void.reason);
        hub.audit("rows", &void.rows.to_string());
        customers.into_iter().for_each(|customer| hub.concerns(customer));
        // What the rows added to the use of contracts is taken out again.
        hub.enqueue(tx, caller.acting().id, &TakeUseOut { usage_void_id: id }).await?;
        Ok(Created::at(format!("/v1/usage-voids/{id}"), void))
    })
    .await
}

pub async fn list(hub: Hub, caller: Caller<permit::UsageRead>, Query(query): Query<PageQuery>) -> Result<Listing<UsageVoid>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = usage_voids::list(hub.db().await?, &caller.scope(), page.after()?, page.rows()).await?;
    Listing::new(&page, found, |void| void.id.to_string()).await
}

pub async fn show(hub: Hub, caller: Caller<permit::UsageRead>, Path(id): Path<Id<id::UsageVoid>>) -> Result<Shown<UsageVoid>> {
    usage_voids::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}
