//! Service brokers and what they offer. They are the operator's, as the catalog is, so they are read without a scope.

use crate::{Db, Row, Tx, params, stale, value::start};
use domain::{Error, Id, Instant, JsonSchema, Kind, Result, Text, id, package::BaseUrl};
use serde::Serialize;

/// A service broker as it is shown: never its secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceBroker {
    /// Its id.
    pub id: Id<id::ServiceBroker>,
    /// The name it is known by.
    pub display_name: String,
    /// Where its API is: `/v2/catalog` is below it.
    pub base_url: BaseUrl,
    /// The hub's name there; absent where a bearer token is sent.
    pub username: Option<String>,
    /// When its catalog was last imported; absent until then.
    pub imported_at: Option<Instant>,
    /// When it was registered.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// The password or the token, sealed.
    #[serde(skip)]
    pub secret: String,
    /// Until when it is not asked, for it did not answer.
    #[serde(skip)]
    pub left_alone_until: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// What is edited of a service broker; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// The name it is known by.
    pub display_name: Option<Text<1, 120>>,
    /// Where its API is.
    pub base_url: Option<BaseUrl>,
    /// The hub's name there, or none; and the secret, sealed.
    pub credentials: Option<(Option<String>, String)>,
}

const COLUMNS: &str =
    "id, display_name, base_url, username, imported_at, created_at, updated_at, secret, left_alone_until, version";

fn read(row: &mut Row) -> Result<ServiceBroker> {
    Ok(ServiceBroker {
        id: row.take()?,
        display_name: row.take()?,
        base_url: row.take()?,
        username: row.take()?,
        imported_at: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        secret: row.take()?,
        left_alone_until: row.take()?,
        version: row.take()?,
    })
}

fn taken(base_url: &BaseUrl) -> Error {
    Error::conflict(
        "service_broker_taken",
        format!("There is a service broker with the URL {base_url} already. Edit that one, or correct the URL."),
    )
}

/// Registers a service broker.
pub async fn insert(tx: &Tx<'_>, new: &ServiceBroker) -> Result<()> {
    let inserted: Option<String> = tx
        .query_opt(
            "INSERT INTO service_brokers (id, display_name, base_url, username, secret, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6) ON CONFLICT DO NOTHING RETURNING id",
            params![new.id, new.display_name, new.base_url, new.username, new.secret, new.created_at],
            |row| row.take(),
        )
        .await?;
    inserted.map(drop).ok_or_else(|| taken(&new.base_url))
}

/// One service broker.
pub async fn find(db: &Db, id: Id<id::ServiceBroker>) -> Result<ServiceBroker> {
    let sql = format!("SELECT {COLUMNS} FROM service_brokers WHERE id = ?1");
    db.query_opt(&sql, params![id], read).await?.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            "service_broker_not_found",
            format!("There is no service broker {id}. GET /v1/service-brokers lists what there is."),
        )
    })
}

/// A page of the service brokers, oldest first.
pub async fn list(db: &Db, after: Option<Id<id::ServiceBroker>>, limit: u32) -> Result<Vec<ServiceBroker>> {
    let sql = format!("SELECT {COLUMNS} FROM service_brokers WHERE id > ?1 ORDER BY id LIMIT ?2");
    db.query_all(&sql, params![start(after), limit], read).await
}

/// Edits a service broker that is at `version`, or at any.
pub async fn update(
    tx: &Tx<'_>,
    id: Id<id::ServiceBroker>,
    version: Option<i64>,
    patch: &Patch,
    now: Instant,
) -> Result<ServiceBroker> {
    let mut broker = find(tx, id).await?;
    if version.is_some_and(|version| version != broker.version) {
        return Err(stale("service broker"));
    }
    if let Some(base_url) = &patch.base_url {
        let sql = "SELECT id FROM service_brokers WHERE base_url = ?1 AND id <> ?2";
        let other: Option<String> = tx.query_opt(sql, params![*base_url, id], |row| row.take()).await?;
        if other.is_some() {
            return Err(taken(base_url));
        }
        broker.base_url = base_url.clone();
    }
    if let Some(name) = &patch.display_name {
        broker.display_name = name.to_string();
    }
    if let Some((username, secret)) = &patch.credentials {
        (broker.username, broker.secret) = (username.clone(), secret.clone());
    }
    (broker.version, broker.updated_at) = (broker.version + 1, now);
    tx.exec(
        "UPDATE service_brokers SET display_name = ?2, base_url = ?3, username = ?4, secret = ?5, version = ?6, updated_at = ?7,
             left_alone_until = 0 WHERE id = ?1",
        params![id, broker.display_name, broker.base_url, broker.username, broker.secret, broker.version, now],
    )
    .await?;
    Ok(broker)
}

/// Takes a service broker off the register whose services are all retired.
pub async fn delete(tx: &Tx<'_>, id: Id<id::ServiceBroker>) -> Result<()> {
    find(tx, id).await?;
    let sql = "SELECT s.code FROM broker_offerings b JOIN services s ON s.id = b.service_id
         WHERE b.broker_id = ?1 AND s.status <> 'RETIRED' ORDER BY s.id LIMIT 1";
    let used: Option<String> = tx.query_opt(sql, params![id], |row| row.take()).await?;
    if let Some(code) = used {
        return Err(Error::conflict(
            "service_broker_in_use",
            format!(
                "Services of the catalog are the broker's, {code} among them. Retire those first: POST /v1/services/{{serviceId}}/retire."
            ),
        ));
    }
    tx.exec(
        "DELETE FROM broker_plans WHERE service_id IN (SELECT service_id FROM broker_offerings WHERE broker_id = ?1)",
        params![id],
    )
    .await?;
    tx.exec("DELETE FROM broker_offerings WHERE broker_id = ?1", params![id]).await?;
    tx.exec("DELETE FROM service_brokers WHERE id = ?1", params![id]).await
}

/// Says that a service broker is not to be asked for a while.
pub async fn leave_alone(tx: &Tx<'_>, id: Id<id::ServiceBroker>, until: Instant) -> Result<()> {
    tx.exec("UPDATE service_brokers SET left_alone_until = ?2 WHERE id = ?1", params![id, until]).await
}

/// Says that a service broker's catalog was imported.
pub async fn set_imported(tx: &Tx<'_>, id: Id<id::ServiceBroker>, now: Instant) -> Result<()> {
    tx.exec("UPDATE service_brokers SET imported_at = ?2 WHERE id = ?1", params![id, now]).await
}

/// The service of the catalog that stands for one of a broker's: the one it was, or from now on this one.
pub async fn offering(
    tx: &Tx<'_>,
    broker_id: Id<id::ServiceBroker>,
    offering_id: &str,
    new: Id<id::Service>,
) -> Result<Id<id::Service>> {
    tx.exec(
        "INSERT INTO broker_offerings (service_id, broker_id, offering_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![new, broker_id, offering_id],
    )
    .await?;
    let sql = "SELECT service_id FROM broker_offerings WHERE broker_id = ?1 AND offering_id = ?2";
    tx.query_opt(sql, params![broker_id, offering_id], |row| row.take())
        .await?
        .ok_or_else(|| Error::fault("an offering vanished inside a transaction"))
}

/// The services of the catalog that are a broker's, by the broker's ids.
pub async fn offerings(db: &Db, broker_id: Id<id::ServiceBroker>) -> Result<Vec<(String, Id<id::Service>)>> {
    let sql = "SELECT offering_id, service_id FROM broker_offerings WHERE broker_id = ?1 ORDER BY service_id";
    db.query_all(sql, params![broker_id], |row| Ok((row.take()?, row.take()?))).await
}

/// Forgets that a service of the catalog was a broker's: it never came into the catalog.
pub async fn forget_offering(tx: &Tx<'_>, service_id: Id<id::Service>) -> Result<()> {
    let sql = "DELETE FROM broker_offerings WHERE service_id = ?1 AND NOT EXISTS (SELECT 1 FROM services s WHERE s.id = ?1)";
    tx.exec(sql, params![service_id]).await
}

/// A plan that a broker offers.
#[derive(Clone, Debug)]
pub struct BrokerPlan {
    /// What it is called in the catalog.
    pub plan_code: String,
    /// The broker's id of it.
    pub plan_id: String,
    /// As it was written into the catalog, as JSON.
    pub plan: String,
    /// Whether service bindings can be made of it.
    pub bindable: bool,
    /// Whether an instance of it can come to another plan.
    pub plan_updateable: bool,
    /// For how many seconds an operation may be under way, if the broker says so.
    pub max_polling: Option<u32>,
    /// The version of what it is made of, if the broker says so.
    pub maintenance_version: Option<String>,
}

const PLAN: &str = "p.plan_code, p.plan_id, p.plan, p.bindable, p.plan_updateable, p.max_polling, p.maintenance_version";

fn read_plan(row: &mut Row) -> Result<BrokerPlan> {
    Ok(BrokerPlan {
        plan_code: row.take()?,
        plan_id: row.take()?,
        plan: row.take()?,
        bindable: row.take::<i64>()? != 0,
        plan_updateable: row.take::<i64>()? != 0,
        max_polling: row.take()?,
        maintenance_version: row.take()?,
    })
}

/// The plans of a service that is a broker's.
pub async fn plans(db: &Db, service_id: Id<id::Service>) -> Result<Vec<BrokerPlan>> {
    let sql = format!("SELECT {PLAN} FROM broker_plans p WHERE p.service_id = ?1 ORDER BY p.plan_code");
    db.query_all(&sql, params![service_id], read_plan).await
}

/// Writes the plans of a service, in the place of those before.
pub async fn replace_plans(tx: &Tx<'_>, service_id: Id<id::Service>, plans: &[BrokerPlan]) -> Result<()> {
    tx.exec("DELETE FROM broker_plans WHERE service_id = ?1", params![service_id]).await?;
    for plan in plans {
        tx.exec(
            "INSERT INTO broker_plans (service_id, plan_code, plan_id, plan, bindable, plan_updateable, max_polling,
                 maintenance_version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                service_id,
                plan.plan_code,
                plan.plan_id,
                plan.plan,
                i64::from(plan.bindable),
                i64::from(plan.plan_updateable),
                plan.max_polling,
                plan.maintenance_version
            ],
        )
        .await?;
    }
    Ok(())
}

/// A plan of a service, with the broker that offers it and the broker's id of the service.
pub async fn find_plan(
    db: &Db,
    service_id: Id<id::Service>,
    plan_code: &str,
) -> Result<Option<(Id<id::ServiceBroker>, String, BrokerPlan)>> {
    let sql = format!(
        "SELECT o.broker_id, o.offering_id, {PLAN} FROM broker_plans p JOIN broker_offerings o ON o.service_id = p.service_id
         WHERE p.service_id = ?1 AND p.plan_code = ?2"
    );
    db.query_opt(&sql, params![service_id, plan_code], |row| Ok((row.take()?, row.take()?, read_plan(row)?))).await
}
