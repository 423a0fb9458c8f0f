//! `/v1/services`

use domain::{
    Error, Id, JsonSchema, Kind, Permission, Result, Text, id,
    service::{Driver, ProductFamily, ServiceKind, ServiceRequest, ServiceStatus},
};
use serde::{Deserialize, Serialize};
use store::{
    Tx,
    services::{self, NewService, Service, ServiceFilter, ServicePatch},
};
use web::{Body, Caller, Created, Cursor, Edited, Hub, Identity, IfMatch, Listing, Page, Path, Query, Sent, Shown, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Body(new): Body<NewService>,
) -> Result<Sent<Created<Service>>> {
    if !matches!(new.status, None | Some(ServiceStatus::Draft | ServiceStatus::Published)) {
        return Err(Error::invalid("/status", "is not where a service begins; write DRAFT or PUBLISHED"));
    }
    if new.driver == Driver::Osb {
        return Err(Error::invalid("/driver", "is for services of service brokers; import them: POST /v1/service-brokers"));
    }
    new.offer.check("/offer")?;
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let service = services::insert(tx, id, &new, hub.now()).await?;
        Ok(Created { location: format!("/v1/services/{id}"), version: Some(service.version), value: service })
    })
    .await
}

/// Which services to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only the one with this code.
    code: Option<Text<1, 60>>,
    /// Only those of this kind.
    kind: Option<ServiceKind>,
    /// Only those that stand there.
    status: Option<ServiceStatus>,
    /// Only those of this product family.
    product_family: Option<ProductFamily>,
    /// Only those carried out by this driver.
    driver: Option<Driver>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::ServiceRead>, Query(query): Query<ListQuery>) -> Result<Listing<Service>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let filter = ServiceFilter {
        code: query.code.as_ref(),
        kind: query.kind,
        status: query.status,
        product_family: query.product_family,
        driver: query.driver,
        drafts: sees_drafts(&caller),
    };
    let found = services::list(hub.db().await?, filter, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |service| service.id.to_string()).await
}

/// What is being written is for those who write.
fn sees_drafts(caller: &Identity) -> bool {
    caller.permissions().has(Permission::ServiceWrite)
}

pub async fn show(hub: Hub, caller: Caller<permit::ServiceRead>, Path(id): Path<Id<id::Service>>) -> Result<Edited<Service>> {
    services::find_detail(hub.db().await?, id, sees_drafts(&caller)).await.map(edited)
}

fn edited(service: Service) -> Edited<Service> {
    Edited { version: service.version, value: service }
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::Service>>,
    condition: IfMatch,
    Body(patch): Body<ServicePatch>,
) -> Result<Sent<Edited<Service>>> {
    if let Some(offer) = &patch.offer {
        offer.check("/offer")?;
    }
    hub.write(&caller, async |tx| change(tx, &hub, id, condition.version, &patch).await.map(edited)).await
}

async fn change(tx: &Tx<'_>, hub: &Hub, id: Id<id::Service>, version: Option<i64>, patch: &ServicePatch) -> Result<Service> {
    let current = services::find_to_edit(tx, id, version).await?;
    if let Some(offer) = &patch.offer {
        for plan in current.read_offer()?.plans_lost(offer) {
            services::check_unused(tx, id, plan).await?;
        }
    }
    services::update(tx, id, patch, hub.now()).await
}

/// Adds a service that was imported, or edits it where it is there already: it keeps its status then. Every refusal names its
/// place in the service. Gives the action, as the audit names it.
pub async fn put_imported(tx: &Tx<'_>, hub: &Hub, id: Id<id::Service>, new: &NewService) -> Result<&'static str> {
    new.offer.check("/offer")?;
    let is_there = services::exists(tx, id).await?;
    let put = match is_there {
        true => {
            let patch = ServicePatch {
                display_name: Some(new.display_name.clone()),
                description: new.description.clone(),
                offer: Some(new.offer.clone()),
            };
            change(tx, hub, id, None, &patch).await
        }
        false => services::insert(tx, id, new, hub.now()).await,
    };
    match put {
        Ok(_) => Ok(if is_there { "services.edit" } else { "services.create" }),
        Err(error) if error.kind == Kind::Conflict => Err(Error::invalid("/code", error.public)),
        Err(error) => Err(error),
    }
}

pub async fn publish(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::Service>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Service>>> {
    moved(hub, &caller, id, IfMatch::named(condition), ServiceStatus::Published).await
}

pub async fn deprecate(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::Service>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Service>>> {
    moved(hub, &caller, id, IfMatch::named(condition), ServiceStatus::Deprecated).await
}

pub async fn retire(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::Service>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Service>>> {
    moved(hub, &caller, id, IfMatch::named(condition), ServiceStatus::Retired).await
}

async fn moved(
    hub: Hub,
    caller: &Identity,
    id: Id<id::Service>,
    version: Option<i64>,
    next: ServiceStatus,
) -> Result<Sent<Edited<Service>>> {
    hub.write(caller, async |tx| {
        services::find_to_edit(tx, id, version).await?;
        services::set_status(tx, id, next, hub.now()).await.map(edited)
    })
    .await
}

/// The validation of a request that fits.
#[derive(Serialize, JsonSchema)]
pub struct Validation {
    /// Always true: a request that does not fit is 422, with an error for each place that does not.
    valid: bool,
}

pub async fn validate(
    hub: Hub,
    caller: Caller<permit::ServiceRead>,
    Path(id): Path<Id<id::Service>>,
    Body(request): Body<ServiceRequest>,
) -> Result<Shown<Validation>> {
    services::check_request(hub.db().await?, id, sees_drafts(&caller), &request).await?;
    Ok(Shown(Validation { valid: true }))
}
