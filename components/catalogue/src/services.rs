//! `/v1/services`

use domain::{
    Error, Id, JsonSchema, Kind, Permission, PrincipalId, Result, Text,
    audit::AuditResult,
    id,
    service::{Driver, Offer, Plan, ProductFamily, ServiceKind, ServiceRequest, ServiceStatus, TermRules},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Tx,
    services::{self, NewService, Service, ServiceFilter, ServicePatch},
};
use web::{
    Body, Caller, Created, Cursor, Edited, Hub, Identity, IfMatch, Internal, Listing, NoContent, Page, Path, Query, Record, Sent,
    Shown, permit,
};

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
        for plan in offer_of(&current)?.plans_lost(offer) {
            services::check_unused(tx, id, plan).await?;
        }
    }
    services::update(tx, id, patch, hub.now()).await
}

/// A service that a component imports for a caller.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedService {
    /// The caller, for the audit.
    by: ImportedBy,
    /// The service as it is to be.
    service: NewService,
}

/// The caller of an import.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportedBy {
    /// The person, token or app.
    principal_id: PrincipalId,
    /// The organization acted in.
    organization_id: Id<id::Organization>,
    /// The caller's own organization.
    home_id: Id<id::Organization>,
}

/// For the component that imports services: the service with this id is to be like this, and stays where it stands if it is
/// there. Every refusal names what it is about.
pub async fn put_internally(
    hub: Hub,
    _: Internal,
    Path(id): Path<Id<id::Service>>,
    Body(ImportedService { by, service: new }): Body<ImportedService>,
) -> Result<NoContent> {
    new.offer.check("/offer")?;
    let db = hub.db().await?;
    let is_there = services::find(db, id).await.is_ok();
    let patch = ServicePatch {
        display_name: Some(new.display_name.clone()),
        description: new.description.clone(),
        offer: Some(new.offer.clone()),
    };
    let put = db.in_transaction(async |tx| {
        match is_there {
            true => change(tx, &hub, id, None, &patch).await?,
            false => services::insert(tx, id, &new, hub.now()).await?,
        };
        hub.concerns(by.home_id);
        let what = Record {
            organization_id: by.organization_id,
            action: if is_there { "services.edit" } else { "services.create" },
            principal: by.principal_id.into(),
            subject_id: Some(id.to_string()),
            result: AuditResult::Success,
        };
        hub.record(tx, what).await
    });
    match put.await {
        Ok(_) => Ok(NoContent),
        Err(error) if error.kind == Kind::Conflict => Err(Error::invalid("/code", error.public)),
        Err(error) => Err(error),
    }
}

/// The offer of a service.
fn offer_of(service: &Service) -> Result<Offer> {
    let text = service.offer.as_deref().map_or("{}", RawValue::get);
    serde_json::from_slice(text.as_bytes())
        .map_err(|error| Error::fault(format!("the offer of {} cannot be read: {error}", service.id)))
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

/// What comes of a request that fits.
#[derive(Serialize, JsonSchema)]
pub struct Validated {
    /// Always true: a request that does not fit is 422, with an error for each place that does not.
    valid: bool,
}

pub async fn validate(
    hub: Hub,
    caller: Caller<permit::ServiceRead>,
    Path(id): Path<Id<id::Service>>,
    Body(request): Body<ServiceRequest>,
) -> Result<Shown<Validated>> {
    fits(&hub, id, sees_drafts(&caller), &request).await?;
    Ok(Shown(Validated { valid: true }))
}

/// For components that are asked for services: they find out first whether who asks may see this one.
pub async fn validate_internally(
    hub: Hub,
    _: Internal,
    Path(id): Path<Id<id::Service>>,
    Body(request): Body<ServiceRequest>,
) -> Result<Shown<TermRules>> {
    fits(&hub, id, true, &request).await.map(Shown)
}

/// Refuses a request that does not fit, and gives what the plan says of terms.
async fn fits(hub: &Hub, id: Id<id::Service>, drafts: bool, request: &ServiceRequest) -> Result<TermRules> {
    let offer = offer_of(&services::find_detail(hub.db().await?, id, drafts).await?)?;
    offer.validate(request)?;
    let plan = offer.plans.iter().find(|plan| Some(&plan.code) == request.plan_code.as_ref());
    let rules = |plan: &Plan| TermRules { cancellation_days: plan.cancellation_days, notice_days: plan.notice_days };
    Ok(plan.map(rules).unwrap_or_default())
}
