//! Cloud endpoints, and the customers that they are assigned to.

use crate::{Db, Placed, Row, Scope, Tx, Value, access_levels::too_low, access_tokens::Place, params, stale, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result, Text, access_level::AccessLevel, branding::HttpsUrl,
    cloud_endpoint::CloudEndpointKind, id, service::Code,
};
use serde::{Deserialize, Serialize};

/// A cloud endpoint as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudEndpoint {
    /// Its id.
    pub id: Id<id::CloudEndpoint>,
    /// The provider whose it is.
    pub organization_id: Id<id::Organization>,
    /// Its name, unique with the provider.
    pub display_name: String,
    /// What it is.
    pub kind: CloudEndpointKind,
    /// Where it answers. Not shown in a customer, which asks for access.
    pub url: Option<HttpsUrl>,
    /// Where it stands.
    pub region: Code,
    /// What it is for.
    pub description: Option<String>,
    /// The data center component of the provider that it stands on. Not shown in a customer.
    pub data_center_id: Option<Id<id::DataCenter>>,
    /// The environment of the provider that it stands on. Not shown in a customer.
    pub environment_id: Option<Id<id::Environment>>,
    /// When it was registered.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

impl CloudEndpoint {
    /// What of it is shown and not said.
    pub const NOT_EDITED: &'static [&'static str] = &["id", "createdAt", "updatedAt"];

    /// As it is shown in a customer: without how it is reached, and without what it stands on.
    #[must_use]
    fn in_customer(self) -> Self {
        Self { url: None, data_center_id: None, environment_id: None, ..self }
    }
}

/// What is said of a cloud endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCloudEndpoint {
    /// The provider whose it is; the acting organization when left out. It stays so.
    pub organization_id: Option<Id<id::Organization>>,
    /// The name it is to be known by, unique with the provider. Customers that it is assigned to see it.
    pub display_name: Text<1, 120>,
    /// What it is.
    pub kind: CloudEndpointKind,
    /// Where it answers.
    pub url: HttpsUrl,
    /// Where it stands.
    pub region: Code,
    /// What it is for. Customers that it is assigned to see it.
    pub description: Option<Text<1, 1000>>,
    /// A data center component of the same provider that it stands on.
    pub data_center_id: Option<Id<id::DataCenter>>,
    /// An environment of the same provider that it stands on.
    pub environment_id: Option<Id<id::Environment>>,
}

/// That a customer is let at a cloud endpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// Where the customer enters; where the endpoint is, when absent.
    pub access_url: Option<HttpsUrl>,
    /// When it was assigned.
    pub created_at: Instant,
}

/// Whom a cloud endpoint is to be assigned to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAssignment {
    /// A CUSTOMER below the provider.
    pub organization_id: Id<id::Organization>,
    /// Where the customer enters, such as its own portal there; where the endpoint is, when left out.
    pub access_url: Option<HttpsUrl>,
}

const COLUMNS: &str = "e.id, e.organization_id, e.display_name, e.kind, e.url, e.region, e.description, e.data_center_id, e.environment_id, e.created_at, e.updated_at, e.version";

fn read(row: &mut Row) -> Result<CloudEndpoint> {
    Ok(CloudEndpoint {
        id: row.take()?,
        organization_id: row.take()?,
        display_name: row.take()?,
        kind: row.take()?,
        url: row.take()?,
        region: row.take()?,
        description: row.take()?,
        data_center_id: row.take()?,
        environment_id: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
    })
}

fn not_found(id: Id<id::CloudEndpoint>) -> Error {
    Error::not_found("cloud_endpoint_not_found", "cloud endpoint", id)
}

/// Refuses what an endpoint of this provider cannot stand on: what is another's is answered as what is not there.
async fn check_ground(tx: &Tx<'_>, owner: Id<id::Organization>, new: &NewCloudEndpoint) -> Result<()> {
    if let Some(id) = new.data_center_id {
        let sql = "SELECT id FROM data_centers WHERE id = ?1 AND organization_id = ?2 AND status <> 'REMOVING'";
        check_there(tx, sql, params![id, owner], "/dataCenterId", "data center component").await?;
    }
    if let Some(id) = new.environment_id {
        let sql = "SELECT id FROM environments WHERE id = ?1 AND organization_id = ?2";
        check_there(tx, sql, params![id, owner], "/environmentId", "environment").await?;
    }
    Ok(())
}

async fn check_there(tx: &Tx<'_>, sql: &str, values: Vec<Value>, pointer: &str, noun: &str) -> Result<()> {
    let found: Option<String> = tx.query_opt(sql, values, |row| row.take()).await?;
    found.map(drop).ok_or_else(|| {
        Error::invalid(pointer, format!("is no {noun} of the provider whose the cloud endpoint is; name one of its own"))
    })
}

/// Refuses a name that another endpoint of the provider has.
async fn check_name(tx: &Tx<'_>, owner: Id<id::Organization>, name: &str, own: Option<Id<id::CloudEndpoint>>) -> Result<()> {
    let sql = "SELECT id FROM cloud_endpoints WHERE organization_id = ?1 AND display_name = ?2";
    let other: Option<Id<id::CloudEndpoint>> = tx.query_opt(sql, params![owner, name], |row| row.take()).await?;
    match other.filter(|other| Some(*other) != own) {
        None => Ok(()),
        Some(other) => Err(Error::conflict(
            "cloud_endpoint_name_taken",
            format!("The provider has a cloud endpoint {name} already: {other}. Edit that one, or choose another name."),
        )),
    }
}

/// Registers a cloud endpoint of a provider, which was found in this transaction.
pub async fn insert(
    tx: &Tx<'_>,
    id: Id<id::CloudEndpoint>,
    owner: &Place,
    new: &NewCloudEndpoint,
    now: Instant,
) -> Result<CloudEndpoint> {
    check_name(tx, owner.id, &new.display_name, None).await?;
    check_ground(tx, owner.id, new).await?;
    tx.exec(
        "INSERT INTO cloud_endpoints (id, organization_id, organization_path, display_name, kind, url, region, description,
             data_center_id, environment_id, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?11)",
        params![
            id,
            owner.id,
            owner.path,
            new.display_name,
            new.kind,
            new.url,
            new.region,
            new.description,
            new.data_center_id,
            new.environment_id,
            now
        ],
    )
    .await?;
    of_provider(tx, id).await
}

/// An endpoint that was found before.
async fn of_provider(tx: &Tx<'_>, id: Id<id::CloudEndpoint>) -> Result<CloudEndpoint> {
    let sql = format!("SELECT {COLUMNS} FROM cloud_endpoints e WHERE e.id = ?1");
    tx.query_opt(&sql, params![id], read).await?.ok_or_else(|| not_found(id))
}

/// One cloud endpoint of a provider within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::CloudEndpoint>) -> Result<CloudEndpoint> {
    let sql = format!(
        "SELECT {COLUMNS} FROM cloud_endpoints e WHERE e.id = ?1 AND e.organization_path >= ?2 AND e.organization_path < ?3"
    );
    db.query_opt(&sql, scope.after(params![id]), read).await?.ok_or_else(|| not_found(id))
}

/// The cloud endpoint of a provider within the scope that is still at `version`; anything else is stale.
pub async fn find_to_edit(tx: &Tx<'_>, scope: &Scope, id: Id<id::CloudEndpoint>, version: Option<i64>) -> Result<CloudEndpoint> {
    let found = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != found.version) {
        return Err(stale("cloud endpoint"));
    }
    Ok(found)
}

/// Which cloud endpoints to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this provider.
    pub organization_id: Option<Id<id::Organization>>,
    /// Only those of this kind.
    pub kind: Option<CloudEndpointKind>,
    /// Only those that are assigned to this customer.
    pub assigned_to: Option<Id<id::Organization>>,
}

/// A page of the cloud endpoints of providers within the scope, in the order of the tree and those of one provider oldest first.
pub async fn list(db: &Db, scope: &Scope, filter: &Filter, after: &[String], limit: u32) -> Result<Vec<Placed<CloudEndpoint>>> {
    let mut values = params![filter.organization_id, filter.kind, filter.assigned_to, limit];
    let page = scope.page("e", after, &mut values);
    let sql = format!(
        "SELECT {COLUMNS}, e.organization_path, e.id FROM cloud_endpoints e
         WHERE (e.organization_id = ?1 OR ?1 IS NULL) AND (e.kind = ?2 OR ?2 IS NULL)
         AND (EXISTS (SELECT 1 FROM cloud_endpoint_assignments a WHERE a.cloud_endpoint_id = e.id AND a.organization_id = ?3) OR ?3 IS NULL)
         AND {page} ORDER BY e.organization_path, e.id LIMIT ?4"
    );
    db.query_all(&sql, values, |row| Placed::read(row, read, 2)).await
}

const ASSIGNED: &str = "cloud_endpoint_assignments a JOIN cloud_endpoints e ON e.id = a.cloud_endpoint_id";

/// The condition that the caller's access level for what is no single service lets them see it.
fn seen(scope: &Scope, values: &mut Vec<Value>) -> String {
    scope.level(AccessLevel::View, "a.organization_id", "''", values)
}

/// A page of the cloud endpoints that are assigned to the customer that the scope is, oldest first.
pub async fn list_assigned(
    db: &Db,
    scope: &Scope,
    filter: &Filter,
    after: Option<Id<id::CloudEndpoint>>,
    limit: u32,
) -> Result<Vec<CloudEndpoint>> {
    let mut values = params![scope.path().id(), filter.kind, filter.organization_id, start(after), limit];
    let seen = seen(scope, &mut values);
    let sql = format!(
        "SELECT {COLUMNS} FROM {ASSIGNED} WHERE a.organization_id = ?1 AND (e.kind = ?2 OR ?2 IS NULL)
         AND (e.organization_id = ?3 OR ?3 IS NULL) AND a.cloud_endpoint_id > ?4{seen} ORDER BY a.cloud_endpoint_id LIMIT ?5"
    );
    db.query_all(&sql, values, |row| read(row).map(CloudEndpoint::in_customer)).await
}

/// One cloud endpoint that is assigned to the customer that the scope is.
pub async fn find_assigned(db: &Db, scope: &Scope, id: Id<id::CloudEndpoint>) -> Result<CloudEndpoint> {
    let mut values = params![scope.path().id(), id];
    let seen = seen(scope, &mut values);
    let sql = format!("SELECT {COLUMNS} FROM {ASSIGNED} WHERE a.organization_id = ?1 AND a.cloud_endpoint_id = ?2{seen}");
    let found = db.query_opt(&sql, values, read).await?;
    found.map(CloudEndpoint::in_customer).ok_or_else(|| not_found(id))
}

/// Where the customer that the scope is enters a cloud endpoint that is assigned to it. Refused where the caller sees it, and their
/// access level is too low to enter it.
pub async fn access(db: &Db, scope: &Scope, id: Id<id::CloudEndpoint>) -> Result<HttpsUrl> {
    find_assigned(db, scope, id).await?;
    let mut values = params![scope.path().id(), id];
    let entered = scope.level(AccessLevel::Use, "a.organization_id", "''", &mut values);
    let sql = format!(
        "SELECT COALESCE(a.access_url, e.url) FROM {ASSIGNED} WHERE a.organization_id = ?1 AND a.cloud_endpoint_id = ?2{entered}"
    );
    db.query_opt(&sql, values, |row| row.take()).await?.ok_or_else(|| too_low(AccessLevel::Use))
}

/// Edits a cloud endpoint, as read in this transaction.
pub async fn update(tx: &Tx<'_>, current: &CloudEndpoint, said: &NewCloudEndpoint, now: Instant) -> Result<CloudEndpoint> {
    check_name(tx, current.organization_id, &said.display_name, Some(current.id)).await?;
    check_ground(tx, current.organization_id, said).await?;
    tx.exec(
        "UPDATE cloud_endpoints SET display_name = ?2, kind = ?3, url = ?4, region = ?5, description = ?6, data_center_id = ?7,
             environment_id = ?8, version = version + 1, updated_at = ?9 WHERE id = ?1",
        params![
            current.id,
            said.display_name,
            said.kind,
            said.url,
            said.region,
            said.description,
            said.data_center_id,
            said.environment_id,
            now
        ],
    )
    .await?;
    of_provider(tx, current.id).await
}

/// Assigns a cloud endpoint to a customer, both of which were found in this transaction.
pub async fn assign(tx: &Tx<'_>, id: Id<id::CloudEndpoint>, new: &NewAssignment, now: Instant) -> Result<Assignment> {
    let written: Option<Assignment> = tx
        .query_opt(
            "INSERT INTO cloud_endpoint_assignments (cloud_endpoint_id, organization_id, access_url, created_at)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING RETURNING organization_id, access_url, created_at",
            params![id, new.organization_id, new.access_url, now],
            read_assignment,
        )
        .await?;
    written.ok_or_else(|| {
        Error::conflict(
            "cloud_endpoint_assigned",
            format!(
                "The cloud endpoint {id} is assigned to {} already. To have the customer enter elsewhere, take the assignment away first.",
                new.organization_id
            ),
        )
    })
}

fn read_assignment(row: &mut Row) -> Result<Assignment> {
    Ok(Assignment { organization_id: row.take()?, access_url: row.take()?, created_at: row.take()? })
}

/// A page of the customers that a cloud endpoint, which was found within its scope, is assigned to, oldest first; or `only` one.
pub async fn assignments(
    db: &Db,
    id: Id<id::CloudEndpoint>,
    only: Option<Id<id::Organization>>,
    after: Option<Id<id::Organization>>,
    limit: u32,
) -> Result<Vec<Assignment>> {
    let sql = "SELECT organization_id, access_url, created_at FROM cloud_endpoint_assignments
         WHERE cloud_endpoint_id = ?1 AND (organization_id = ?2 OR ?2 IS NULL) AND organization_id > ?3 ORDER BY organization_id LIMIT ?4";
    db.query_all(sql, params![id, only, start(after), limit], read_assignment).await
}

/// Takes a cloud endpoint, which was found within its scope, away from a customer.
pub async fn unassign(tx: &Tx<'_>, id: Id<id::CloudEndpoint>, customer: Id<id::Organization>) -> Result<()> {
    let sql =
        "DELETE FROM cloud_endpoint_assignments WHERE cloud_endpoint_id = ?1 AND organization_id = ?2 RETURNING organization_id";
    let deleted: Option<String> = tx.query_opt(sql, params![id, customer], |row| row.take()).await?;
    deleted.map(drop).ok_or_else(|| {
        Error::new(
            domain::Kind::NotFound,
            "assignment_not_found",
            format!(
                "The cloud endpoint {id} is not assigned to {customer}. GET /v1/cloud-endpoints/{id}/assignments lists whom it is assigned to."
            ),
        )
    })
}

/// Removes a cloud endpoint, which was found within its scope, with what is left of its assignments.
pub async fn delete(tx: &Tx<'_>, id: Id<id::CloudEndpoint>) -> Result<()> {
    tx.exec("DELETE FROM cloud_endpoint_assignments WHERE cloud_endpoint_id = ?1", params![id]).await?;
    tx.exec("DELETE FROM cloud_endpoints WHERE id = ?1", params![id]).await
}

/// Takes all cloud endpoints away from a customer, which is removed.
pub(crate) async fn unassign_all(tx: &Tx<'_>, customer: Id<id::Organization>) -> Result<()> {
    tx.exec("DELETE FROM cloud_endpoint_assignments WHERE organization_id = ?1", params![customer]).await
}
