//! The catalogue. It is the operator's and the same for everybody, so it is read without a scope.

use crate::{Db, Row, Tx, params, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result, Text, id,
    service::{Driver, ProductFamily},
};
use serde::{Deserialize, Serialize};

/// A service of the catalogue.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its id.
    pub id: Id<id::Service>,
    /// Its short name, unique in the catalogue, for people and files.
    pub code: String,
    /// The name it is known by.
    pub display_name: String,
    /// What it is.
    pub description: Option<String>,
    /// Which commit contracts are made for it.
    pub product_family: ProductFamily,
    /// What carries it out.
    pub driver: Driver,
    /// When it was added.
    pub created_at: Instant,
}

/// What is said of a service that is to be added.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewService {
    /// Its short name, unique in the catalogue.
    pub code: Text<1, 60>,
    /// The name it is to be known by.
    pub display_name: Text<1, 120>,
    /// What it is.
    pub description: Option<Text<1, 2000>>,
    /// Which commit contracts are made for it.
    pub product_family: ProductFamily,
    /// What carries it out.
    pub driver: Driver,
}

const COLUMNS: &str = "id, code, display_name, description, product_family, driver, created_at";

fn read(row: &mut Row) -> Result<Service> {
    Ok(Service {
        id: row.take()?,
        code: row.take()?,
        display_name: row.take()?,
        description: row.take()?,
        product_family: row.take()?,
        driver: row.take()?,
        created_at: row.take()?,
    })
}

/// Adds a service.
pub async fn insert(tx: &Tx<'_>, id: Id<id::Service>, new: &NewService, now: Instant) -> Result<Service> {
    tx.query_opt(
        &format!(
            "INSERT INTO services (id, code, display_name, description, product_family, driver, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        ),
        params![id, new.code, new.display_name, new.description, new.product_family, new.driver, now],
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

/// One service.
pub async fn find(db: &Db, id: Id<id::Service>) -> Result<Service> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM services WHERE id = ?1"), params![id], read).await?.ok_or_else(|| {
        Error::new(
            domain::Kind::NotFound,
            "service_not_found",
            format!("There is no service {id} in the catalogue. GET /v1/services lists what there is."),
        )
    })
}

/// A page of the catalogue, oldest first.
pub async fn list(db: &Db, after: Option<Id<id::Service>>, limit: u32) -> Result<Vec<Service>> {
    db.query_all(
        &format!("SELECT {COLUMNS} FROM services WHERE id > ?1 ORDER BY id LIMIT ?2"),
        params![start(after), limit],
        read,
    )
    .await
}
