//! Roles in services, and which of them members have. The roles are the catalog's and the same for everybody, so they
//! are read without a scope; who has them belongs to an organization.

use crate::{
    Db, Row, Stored, Tx,
    customers_word::Word,
    params,
    value::{batches, numbers, start},
};
use domain::{Error, Id, Instant, JsonSchema, Kind, Result, Text, id};
use serde::{Deserialize, Serialize};

/// A role in a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRole {
    /// Its id.
    pub id: Id<id::ServiceRole>,
    /// The service it is a role in.
    pub service_id: Id<id::Service>,
    /// What the service calls it, unique in the service.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Whether new members of an organization that has the service get it.
    pub default: bool,
    /// Whether whoever acts in a customer for its provider has it there.
    pub provider_default_in_tenant: bool,
    /// When it was added.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// What is said of a role in a service that is to be added.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewServiceRole {
    /// The service.
    pub service_id: Id<id::Service>,
    /// What the service calls it, unique in the service: `log-intelligence:user`.
    pub name: Text<1, 120>,
    /// What people are to call it.
    pub display_name: Text<1, 120>,
    /// Whether new members of an organization that has the service get it; not, when left out.
    #[serde(default)]
    pub default: bool,
    /// Whether whoever acts in a customer for its provider has it there; not, when left out.
    #[serde(default)]
    pub provider_default_in_tenant: bool,
}

/// What is to be changed about a role in a service; what is left out stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRolePatch {
    /// What people are to call it.
    pub display_name: Option<Text<1, 120>>,
    /// Whether new members get it. Those there are keep what they have.
    pub default: Option<bool>,
    /// Whether whoever acts in a customer for its provider has it there.
    pub provider_default_in_tenant: Option<bool>,
}

const COLUMNS: &str =
    "id, service_id, name, display_name, is_default, provider_default_in_tenant, created_at, updated_at, version";

fn read(row: &mut Row) -> Result<ServiceRole> {
    Ok(ServiceRole {
        id: row.take()?,
        service_id: row.take()?,
        name: row.take()?,
        display_name: row.take()?,
        default: row.take::<i64>()? == 1,
        provider_default_in_tenant: row.take::<i64>()? == 1,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
    })
}

/// Adds a role to a service, which the caller has found.
pub async fn insert(tx: &Tx<'_>, id: Id<id::ServiceRole>, new: &NewServiceRole, now: Instant) -> Result<ServiceRole> {
    tx.query_opt(
        &format!(
            "INSERT INTO service_roles (id, service_id, name, display_name, is_default, provider_default_in_tenant, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        ),
        params![id, new.service_id, new.name, new.display_name, u32::from(new.default), u32::from(new.provider_default_in_tenant), now],
        read,
    )
    .await?
    .ok_or_else(|| {
        Error::conflict(
            "service_role_name_taken",
            format!("The service has a role {} already. Edit it, or choose another name.", new.name),
        )
    })
}

/// One role in a service.
pub async fn find(db: &Db, id: Id<id::ServiceRole>) -> Result<ServiceRole> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM service_roles r WHERE r.id = ?1"), params![id], read)
        .await?
        .ok_or_else(|| not_found(id))
}

/// Those of these roles that there are.
pub async fn known(db: &Db, ids: &[Id<id::ServiceRole>]) -> Result<Vec<Id<id::ServiceRole>>> {
    let mut found = Vec::new();
    for batch in batches(ids) {
        let sql = format!("SELECT id FROM service_roles WHERE id IN ({})", numbers(1, batch.len()));
        found.append(&mut db.query_all(&sql, batch.iter().map(Stored::to_value).collect(), |row| row.take()).await?);
    }
    Ok(found)
}

/// The services that these roles are of.
pub async fn services(db: &Db, ids: &[Id<id::ServiceRole>]) -> Result<Vec<Id<id::Service>>> {
    let mut found = Vec::new();
    for batch in batches(ids) {
        let sql = format!("SELECT service_id FROM service_roles WHERE id IN ({})", numbers(1, batch.len()));
        found.append(&mut db.query_all(&sql, batch.iter().map(Stored::to_value).collect(), |row| row.take()).await?);
    }
    Ok(found)
}

/// There is no such role.
pub fn not_found(id: Id<id::ServiceRole>) -> Error {
    Error::new(
        Kind::NotFound,
        "service_role_not_found",
        format!("No service has a role {id}. GET /v1/service-roles lists what there is."),
    )
}

/// A page of the roles in services, oldest first.
pub async fn list(
    db: &Db,
    service: Option<Id<id::Service>>,
    after: Option<Id<id::ServiceRole>>,
    limit: u32,
) -> Result<Vec<ServiceRole>> {
    // Two statements and not one with a filter that may be absent, so that each is one range of an index.
    let (place, values) = match service {
        Some(service) => ("r.id > ?1 AND r.service_id = ?3", params![start(after), limit, service]),
        None => ("r.id > ?1", params![start(after), limit]),
    };
    db.query_all(&format!("SELECT {COLUMNS} FROM service_roles r WHERE {place} ORDER BY r.id LIMIT ?2"), values, read).await
}

/// Edits a role in a service that is still at `version`; anything else is stale.
pub async fn update(
    tx: &Tx<'_>,
    id: Id<id::ServiceRole>,
    version: Option<i64>,
    patch: &ServiceRolePatch,
    now: Instant,
) -> Result<ServiceRole> {
    let current = find(tx, id).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(Error::new(
            Kind::Stale,
            "stale",
            "The role was edited since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match.",
        ));
    }
    tx.query_opt(
        &format!(
            "UPDATE service_roles SET display_name = COALESCE(?2, display_name), is_default = COALESCE(?3, is_default),
                 provider_default_in_tenant = COALESCE(?4, provider_default_in_tenant), version = version + 1, updated_at = ?5
             WHERE id = ?1 RETURNING {COLUMNS}"
        ),
        params![id, patch.display_name, patch.default.map(u32::from), patch.provider_default_in_tenant.map(u32::from), now],
        read,
    )
    .await?
    .ok_or_else(|| Error::fault("a service role vanished inside a transaction"))
}

/// Removes a role that nobody has from a service.
pub async fn delete(tx: &Tx<'_>, id: Id<id::ServiceRole>) -> Result<()> {
    find(tx, id).await?;
    let holder: Option<String> = tx
        .query_opt("SELECT person_id FROM member_service_roles WHERE service_role_id = ?1 LIMIT 1", params![id], |row| row.take())
        .await?;
    if holder.is_some() {
        return Err(Error::conflict(
            "service_role_in_use",
            "Members have this role in the service. Take it from them first, or keep it and edit it so that nobody gets it by default.",
        ));
    }
    tx.exec("DELETE FROM service_roles WHERE id = ?1", params![id]).await
}

/// The services that an organization has: a customer by its subscriptions, a provider by its contracts.
const HAD: &str =
    "(EXISTS (SELECT 1 FROM subscriptions s WHERE s.organization_id = ?1 AND s.service_id = r.service_id AND s.status = 'ACTIVE')
     OR EXISTS (SELECT 1 FROM contracts c WHERE c.provider_id = ?1 AND c.service_id = r.service_id AND c.status = 'ACTIVE'))";

/// The most roles in services that a member gets without asking.
const DEFAULTS: u32 = 200;

/// The roles that a new member of an organization gets in the services it has.
pub async fn defaults(db: &Db, organization: Id<id::Organization>) -> Result<Vec<ServiceRole>> {
    db.query_all(
        &format!("SELECT {COLUMNS} FROM service_roles r WHERE r.is_default = 1 AND {HAD} ORDER BY r.id LIMIT ?2"),
        params![organization, DEFAULTS],
        read,
    )
    .await
}

/// The roles that whoever acts in a customer for its provider has in the customer's services.
pub async fn of_provider_in_tenant(db: &Db, customer: Id<id::Organization>) -> Result<Vec<ServiceRole>> {
    db.query_all(
        &format!("SELECT {COLUMNS} FROM service_roles r WHERE r.provider_default_in_tenant = 1 AND {HAD} ORDER BY r.id LIMIT ?2"),
        params![customer, DEFAULTS],
        read,
    )
    .await
}

/// The roles that a member was given in services, at most as many as one can be given.
pub async fn of_member(db: &Db, organization: Id<id::Organization>, person: Id<id::Person>) -> Result<Vec<ServiceRole>> {
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM member_service_roles m JOIN service_roles r ON r.id = m.service_role_id
             WHERE m.organization_id = ?1 AND m.person_id = ?2 ORDER BY m.service_role_id LIMIT 1000"
        ),
        params![organization, person],
        read,
    )
    .await
}

/// Gives a member of the organization that the giver has a say in roles in services. What they have already stays.
pub async fn give(tx: &Tx<'_>, word: &Word, person: Id<id::Person>, roles: &[Id<id::ServiceRole>]) -> Result<()> {
    for role in roles {
        tx.exec(
            "INSERT INTO member_service_roles (organization_id, person_id, service_role_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![word.organization(), person, role],
        )
        .await?;
    }
    Ok(())
}

/// Takes roles in services from a member of the organization that the caller has a say in.
pub async fn take(tx: &Tx<'_>, word: &Word, person: Id<id::Person>, roles: &[Id<id::ServiceRole>]) -> Result<()> {
    for role in roles {
        tx.exec(
            "DELETE FROM member_service_roles WHERE organization_id = ?1 AND person_id = ?2 AND service_role_id = ?3",
            params![word.organization(), person, role],
        )
        .await?;
    }
    Ok(())
}

/// Takes all roles in services from whoever is a member no longer.
pub async fn take_all(tx: &Tx<'_>, organization: Id<id::Organization>, person: Id<id::Person>) -> Result<()> {
    tx.exec("DELETE FROM member_service_roles WHERE organization_id = ?1 AND person_id = ?2", params![organization, person]).await
}
