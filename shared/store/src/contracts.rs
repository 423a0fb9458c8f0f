//! Commit contracts.

use crate::{Db, Row, Scope, Tx, params, value::start};
use domain::{
    Currency, Date, Error, Id, Instant, JsonSchema, OrganizationPath, Result, Text,
    contract::{self, ContractStatus, ContractType},
    id,
};
use serde::{Deserialize, Serialize};

/// A commit contract: it lets a provider provision a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// Its id.
    pub id: Id<id::Contract>,
    /// Who offers it: a distributor, or the operator.
    pub issuer_id: Id<id::Organization>,
    /// Who may provision on it.
    pub provider_id: Id<id::Organization>,
    /// What may be provisioned on it.
    pub service_id: Id<id::Service>,
    /// How it is paid.
    pub contract_type: ContractType,
    /// Where it stands.
    pub status: ContractStatus,
    /// The first day (UTC) on which it is in force.
    pub effective_date: Date,
    /// The currency it is charged in.
    pub currency: Currency,
    /// The parties' own reference.
    pub reference: Option<String>,
    /// When it was drawn up.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What is said of a contract that is to be drawn up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewContract {
    /// Who is to provision on it: a provider below the acting organization.
    pub provider_id: Id<id::Organization>,
    /// What is to be provisioned on it.
    pub service_id: Id<id::Service>,
    /// How it is to be paid.
    pub contract_type: ContractType,
    /// The first day (UTC) on which it is to be in force; of the years 2000 to 2999.
    pub effective_date: Date,
    /// The currency it is to be charged in.
    pub currency: Currency,
    /// The parties' own reference.
    pub reference: Option<Text<1, 80>>,
}

const COLUMNS: &str = "c.id, c.issuer_id, c.provider_id, c.service_id, c.contract_type, c.status, c.effective_date, c.currency, c.reference, c.created_at, c.updated_at";
/// A contract belongs to its provider, so whoever is above the provider sees it, its issuer included.
const FROM: &str = "contracts c JOIN organizations o ON o.id = c.provider_id";

fn read(row: &mut Row) -> Result<Contract> {
    Ok(Contract {
        id: row.take()?,
        issuer_id: row.take()?,
        provider_id: row.take()?,
        service_id: row.take()?,
        contract_type: row.take()?,
        status: row.take()?,
        effective_date: row.take()?,
        currency: row.take()?,
        reference: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

/// Draws a contract up; the provider and the service were found by the caller.
pub async fn insert(
    tx: &Tx<'_>,
    id: Id<id::Contract>,
    issuer: Id<id::Organization>,
    new: &NewContract,
    now: Instant,
) -> Result<Contract> {
    let status = ContractStatus::PendingApproval;
    tx.exec(
        "INSERT INTO contracts (id, issuer_id, provider_id, service_id, contract_type, status, effective_date, currency, reference, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?10)",
        params![id, issuer, new.provider_id, new.service_id, new.contract_type, status, new.effective_date, new.currency, new.reference, now],
    )
    .await?;
    Ok(Contract {
        id,
        issuer_id: issuer,
        provider_id: new.provider_id,
        service_id: new.service_id,
        contract_type: new.contract_type,
        status,
        effective_date: new.effective_date,
        currency: new.currency,
        reference: new.reference.clone().map(String::from),
        created_at: now,
        updated_at: now,
    })
}

/// One contract within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Contract>) -> Result<Contract> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE c.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("contract_not_found", "contract", id))
}

/// A page of the contracts within the scope, oldest first.
pub async fn list(db: &Db, scope: &Scope, after: Option<Id<id::Contract>>, limit: u32) -> Result<Vec<Contract>> {
    let values = scope.after(params![start(after), limit]);
    db.query_all(
        &format!("SELECT {COLUMNS} FROM {FROM} WHERE o.path >= ?3 AND o.path < ?4 AND c.id > ?1 ORDER BY c.id LIMIT ?2"),
        values,
        read,
    )
    .await
}

/// Moves a contract, as read in this transaction, to another status.
pub async fn set_status(tx: &Tx<'_>, contract: Contract, status: ContractStatus, now: Instant) -> Result<Contract> {
    tx.exec(
        "UPDATE contracts SET status = ?2, version = version + 1, updated_at = ?3 WHERE id = ?1",
        params![contract.id, status, now],
    )
    .await?;
    Ok(Contract { status, updated_at: now, ..contract })
}

/// May the provider of this customer provision this service now, and on which contract? Whatever provisions asks here.
/// `customer` is where the customer stands; its provider is the organization right above it.
pub async fn provisionable(
    db: &Db,
    customer: &OrganizationPath,
    provider_id: Id<id::Organization>,
    service_id: Id<id::Service>,
    named: Option<Id<id::Contract>>,
) -> Result<Contract> {
    let active = db
        .query_all(
            &format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE c.provider_id = ?1 AND c.service_id = ?2 AND c.status = 'ACTIVE'
                 AND substr(?3, 1, length(o.path)) = o.path
                 ORDER BY CASE WHEN c.id = ?4 THEN 0 ELSE 1 END, c.id LIMIT 100"
            ),
            // The named one first, so that it is found among however many.
            params![provider_id, service_id, customer, named],
            read,
        )
        .await?;
    contract::choose(&active, |contract| contract.id, named).cloned()
}
