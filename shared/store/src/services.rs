//! The catalog. It is the operator's and the same for everybody, so it is read without a scope.

use crate::{Db, Row, Tx, params, stale, subscriptions, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result, Text, id,
    service::{Driver, Offer, ProductFamily, ServiceKind, ServiceRequest, ServiceStatus, TermRules},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A service or product of the catalog.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its id.
    pub id: Id<id::Service>,
    /// Its short name, unique in the catalog, for people and files; a product's type.
    pub code: String,
    /// Whether customers subscribe to it or environments are made of it.
    pub kind: ServiceKind,
    /// The name it is known by.
    pub display_name: String,
    /// What it is.
    pub description: Option<String>,
    /// Which commit contracts are made for it.
    pub product_family: ProductFamily,
    /// What carries it out.
    pub driver: Driver,
    /// Where it stands in the catalog.
    pub status: ServiceStatus,
    /// What it offers, as it was written; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Offer>")]
    pub offer: Option<Box<RawValue>>,
    /// When it was added.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// What is said of a service that is to be added.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewService {
    /// Its short name, unique in the catalog; a product's type.
    pub code: Text<1, 60>,
    /// SERVICE when left out.
    pub kind: Option<ServiceKind>,
    /// The name it is to be known by.
    pub display_name: Text<1, 120>,
    /// What it is.
    pub description: Option<Text<1, 2000>>,
    /// Which commit contracts are made for it.
    pub product_family: ProductFamily,
    /// What carries it out.
    pub driver: Driver,
    /// DRAFT or PUBLISHED; PUBLISHED when left out.
    pub status: Option<ServiceStatus>,
    /// What it is to offer; nothing to choose from when left out.
    #[serde(default)]
    pub offer: Offer,
}

/// What is to be changed about a service; what is left out stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePatch {
    /// The name it is to be known by.
    pub display_name: Option<Text<1, 120>>,
    /// What it is.
    pub description: Option<Text<1, 2000>>,
    /// What it is to offer, in the place of the whole offer before. A plan that is in use stays.
    pub offer: Option<Offer>,
}

/// Which services to list.
#[derive(Clone, Copy, Debug)]
pub struct ServiceFilter<'a> {
    /// Only the one with this code.
    pub code: Option<&'a Text<1, 60>>,
    /// Only those of this kind.
    pub kind: Option<ServiceKind>,
    /// Only those that stand there.
    pub status: Option<ServiceStatus>,
    /// Only those of this product family.
    pub product_family: Option<ProductFamily>,
    /// Only those carried out by this driver.
    pub driver: Option<Driver>,
    /// Also those that are being written.
    pub drafts: bool,
}

const COLUMNS: &str =
    "id, code, kind, display_name, description, product_family, driver, status, offer, created_at, updated_at, version";
/// The same without the offer, which may be long.
const BRIEF: &str =
    "id, code, kind, display_name, description, product_family, driver, status, NULL, created_at, updated_at, version";

// `inline`, as the writing of an offer, so that it is compiled in the component, which is built for size.
#[inline]
fn read(row: &mut Row) -> Result<Service> {
    Ok(Service {
        id: row.take()?,
        code: row.take()?,
        kind: row.take()?,
        display_name: row.take()?,
        description: row.take()?,
        product_family: row.take()?,
        driver: row.take()?,
        status: row.take()?,
        offer: row.take::<Option<String>>()?.map(RawValue::from_string).transpose().map_err(unreadable)?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
    })
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::fault(format!("an offer cannot be read: {error}"))
}

#[inline]
fn written(offer: &Offer) -> Result<String> {
    serde_json::to_string(offer).map_err(|error| Error::fault(format!("an offer cannot be written: {error}")))
}

/// Adds a service, whose offer was found to be right.
pub async fn insert(tx: &Tx<'_>, id: Id<id::Service>, new: &NewService, now: Instant) -> Result<Service> {
    tx.query_opt(
        &format!(
            "INSERT INTO services (id, code, kind, display_name, description, product_family, driver, status, offer, version,
                 created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?10) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        ),
        params![
            id,
            new.code,
            new.kind.unwrap_or(ServiceKind::Service),
            new.display_name,
            new.description,
            new.product_family,
            new.driver,
            new.status.unwrap_or(ServiceStatus::Published),
            written(&new.offer)?,
            now
        ],
        read,
    )
    .await?
    .ok_or_else(|| {
        Error::conflict(
            "service_code_taken",
            format!("There is a service with the code {} already. Use it, or choose another code.", new.code),
        )
    })
}

fn not_found(id: Id<id::Service>) -> Error {
    Error::new(
        domain::Kind::NotFound,
        "service_not_found",
        format!("There is no service {id} in the catalog. GET /v1/services lists what there is."),
    )
}

/// One service, wherever it stands, without its offer.
pub async fn find(db: &Db, id: Id<id::Service>) -> Result<Service> {
    db.query_opt(&format!("SELECT {BRIEF} FROM services WHERE id = ?1"), params![id], read).await?.ok_or_else(|| not_found(id))
}

/// Whether there is such a service.
pub async fn exists(db: &Db, id: Id<id::Service>) -> Result<bool> {
    let found: Option<String> = db.query_opt("SELECT id FROM services WHERE id = ?1", params![id], |row| row.take()).await?;
    Ok(found.is_some())
}

/// One service with its offer. To those who do not see `drafts`, one that is being written is not there.
pub async fn find_detail(db: &Db, id: Id<id::Service>, drafts: bool) -> Result<Service> {
    let found = db.query_opt(&format!("SELECT {COLUMNS} FROM services WHERE id = ?1"), params![id], read).await?;
    let found = found.ok_or_else(|| not_found(id))?;
    found.check_seen(drafts)?;
    Ok(found)
}

/// Refuses a request that does not fit what a service offers, naming every place that does not. Gives the term rules of the plan.
pub async fn check_request(db: &Db, id: Id<id::Service>, drafts: bool, request: &ServiceRequest) -> Result<TermRules> {
    let offer = find_detail(db, id, drafts).await?.read_offer()?;
    offer.validate(request)?;
    Ok(offer.term_rules(request.plan_code.as_ref()))
}

impl Service {
    /// Its offer, of one that was found with it.
    pub fn read_offer(&self) -> Result<Offer> {
        let text = self.offer.as_deref().map_or("{}", RawValue::get);
        serde_json::from_str(text).map_err(|error| Error::fault(format!("the offer of {} cannot be read: {error}", self.id)))
    }

    /// To those who do not see `drafts`, one that is being written is not there.
    pub fn check_seen(&self, drafts: bool) -> Result<()> {
        if drafts || self.status != ServiceStatus::Draft { Ok(()) } else { Err(not_found(self.id)) }
    }

    /// Refuses where customers cannot ask for it.
    pub fn check_published(&self, drafts: bool) -> Result<()> {
        self.check_seen(drafts)?;
        if self.kind == ServiceKind::Product {
            return Err(Error::invalid("/serviceId", "is a PRODUCT, which environments are made of; choose a SERVICE"));
        }
        match self.status {
            ServiceStatus::Published => Ok(()),
            status => Err(Error::conflict(
                "service_not_published",
                format!(
                    "The service {} is {status}; only what is PUBLISHED can be asked for. Choose another service.",
                    self.code
                ),
            )),
        }
    }
}

/// A page of the catalog, oldest first.
pub async fn list(db: &Db, filter: ServiceFilter<'_>, after: Option<Id<id::Service>>, limit: u32) -> Result<Vec<Service>> {
    let hidden = if filter.drafts { "" } else { ServiceStatus::Draft.as_str() };
    db.query_all(
        &format!(
            "SELECT {BRIEF} FROM services WHERE id > ?1 AND status <> ?2 AND (code = ?3 OR ?3 IS NULL) AND (kind = ?4 OR ?4 IS NULL)
             AND (status = ?5 OR ?5 IS NULL) AND (product_family = ?6 OR ?6 IS NULL) AND (driver = ?7 OR ?7 IS NULL)
             ORDER BY id LIMIT ?8"
        ),
        params![start(after), hidden, filter.code, filter.kind, filter.status, filter.product_family, filter.driver, limit],
        read,
    )
    .await
}

/// The service to be edited, when it is still at `version`; anything else is stale.
pub async fn find_to_edit(tx: &Tx<'_>, id: Id<id::Service>, version: Option<i64>) -> Result<Service> {
    let current = find_detail(tx, id, true).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(stale("service"));
    }
    if current.status == ServiceStatus::Retired {
        return Err(Error::conflict(
            "service_status",
            "The service is RETIRED, and stays as it is. Add another service instead.",
        ));
    }
    Ok(current)
}

/// Refuses to take a plan out that somebody has.
pub async fn check_unused(tx: &Tx<'_>, id: Id<id::Service>, plan_code: &str) -> Result<()> {
    if !subscriptions::any_in_use(tx, id, Some(plan_code)).await? {
        return Ok(());
    }
    Err(Error::conflict(
        "plan_in_use",
        format!(
            "The plan {plan_code} is in use, so it cannot be taken out. GET /v1/subscriptions shows by whom; keep the plan, or end those first."
        ),
    ))
}

/// Edits a service that was found to be one that may be edited so.
pub async fn update(tx: &Tx<'_>, id: Id<id::Service>, patch: &ServicePatch, now: Instant) -> Result<Service> {
    let offer = patch.offer.as_ref().map(written).transpose()?;
    tx.query_opt(
        &format!(
            "UPDATE services SET display_name = COALESCE(?2, display_name), description = COALESCE(?3, description),
                 offer = COALESCE(?4, offer), version = version + 1, updated_at = ?5
             WHERE id = ?1 RETURNING {COLUMNS}"
        ),
        params![id, patch.display_name, patch.description, offer, now],
        read,
    )
    .await?
    .ok_or_else(|| Error::fault("a service vanished inside a transaction"))
}

/// Moves a service to where it may go from where it stands. One that somebody has is not retired.
pub async fn set_status(tx: &Tx<'_>, id: Id<id::Service>, next: ServiceStatus, now: Instant) -> Result<Service> {
    find(tx, id).await?.status.check(next)?;
    if next == ServiceStatus::Retired && subscriptions::any_in_use(tx, id, None).await? {
        return Err(Error::conflict(
            "service_in_use",
            "There are subscriptions to the service, so it cannot be retired. GET /v1/subscriptions shows them; end those first.",
        ));
    }
    tx.query_opt(
        &format!("UPDATE services SET status = ?2, version = version + 1, updated_at = ?3 WHERE id = ?1 RETURNING {COLUMNS}"),
        params![id, next, now],
        read,
    )
    .await?
    .ok_or_else(|| Error::fault("a service vanished inside a transaction"))
}
