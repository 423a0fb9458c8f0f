//! Organizations and the tree they form.

use crate::{
    Db, Row, Scope, Tx,
    access_tokens::Place,
    params,
    value::{packed, start},
};
use domain::{
    Currency, Error, Id, Instant, JsonSchema, OrganizationKind, OrganizationPath, Result, Text, country::Country, id,
    organization::OrganizationStatus,
};
use serde::{Deserialize, Serialize};

/// An organization as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// Its id.
    pub id: Id<id::Organization>,
    /// The organization above it; none for the operator.
    pub parent_id: Option<Id<id::Organization>>,
    /// What it is.
    pub kind: OrganizationKind,
    /// Whether it can be acted in.
    pub status: OrganizationStatus,
    /// The name it is known by.
    pub display_name: String,
    /// The name of the legal entity.
    pub company_name: String,
    /// ISO 3166-1 alpha-2.
    pub country: Country,
    /// State or province.
    pub state: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// Street and number.
    pub address_line1: Option<String>,
    /// Internet domain.
    pub domain: Option<String>,
    /// A free mark for the caller's own use.
    pub tag: Option<String>,
    /// The currency it is billed in.
    pub currency: Currency,
    /// When it was created.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
    /// Where it stands in the tree.
    #[serde(skip)]
    pub path: OrganizationPath,
}

/// What is said of an organization that is to be created.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOrganization {
    /// What it is: DISTRIBUTOR, RESELLER, PROVIDER or CUSTOMER, of a lower rank than its parent.
    pub kind: OrganizationKind,
    /// The organization above it; the acting one when left out.
    pub parent_id: Option<Id<id::Organization>>,
    /// The name it is to be known by.
    pub display_name: Text<1, 120>,
    /// The name of the legal entity.
    pub company_name: Text<1, 200>,
    /// ISO 3166-1 alpha-2.
    pub country: Country,
    /// State or province.
    pub state: Option<Text<1, 80>>,
    /// City.
    pub city: Option<Text<1, 80>>,
    /// Postal code.
    pub zip: Option<Text<1, 20>>,
    /// Street and number.
    pub address_line1: Option<Text<1, 200>>,
    /// Internet domain.
    pub domain: Option<Text<1, 253>>,
    /// A free mark for the caller's own use.
    pub tag: Option<Text<1, 80>>,
    /// The currency it is to be billed in.
    pub currency: Currency,
}

/// What is to be changed about an organization; what is left out stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationPatch {
    /// The name it is to be known by.
    pub display_name: Option<Text<1, 120>>,
    /// The name of the legal entity.
    pub company_name: Option<Text<1, 200>>,
    /// A free mark for the caller's own use.
    pub tag: Option<Text<1, 80>>,
}

const COLUMNS: &str = packed!(
    "id",
    "parent_id",
    "kind",
    "status",
    "display_name",
    "company_name",
    "country",
    "state",
    "city",
    "zip",
    "address_line1",
    "domain",
    "tag",
    "currency",
    "created_at",
    "updated_at",
    "version",
    "path"
);

fn read(row: &mut Row) -> Result<Organization> {
    Ok(Organization {
        id: row.take()?,
        parent_id: row.take()?,
        kind: row.take()?,
        status: row.take()?,
        display_name: row.take()?,
        company_name: row.take()?,
        country: row.take()?,
        state: row.take()?,
        city: row.take()?,
        zip: row.take()?,
        address_line1: row.take()?,
        domain: row.take()?,
        tag: row.take()?,
        currency: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
        path: row.take()?,
    })
}

/// One organization within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<Organization> {
    db.query_opt(
        &format!("SELECT {COLUMNS} FROM organizations WHERE id = ?1 AND path >= ?2 AND path < ?3"),
        vec![crate::Stored::to_value(&id), scope.from(), scope.until()],
        read,
    )
    .await?
    .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))
}

/// One organization within the scope, as far as who wants to do something for it needs it.
pub async fn find_place(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<Place> {
    let values = scope.after(crate::params![id]);
    let sql = "SELECT id, path, kind, status FROM organizations WHERE id = ?1 AND path >= ?2 AND path < ?3";
    let read = |row: &mut Row| Ok(Place { id: row.take()?, path: row.take()?, kind: row.take()?, status: row.take()? });
    db.query_opt(sql, values, read).await?.ok_or_else(|| Error::not_found("organization_not_found", "organization", id))
}

/// A page of the organizations within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    kind: Option<OrganizationKind>,
    parent_id: Option<Id<id::Organization>>,
    after: Option<Id<id::Organization>>,
    limit: u32,
) -> Result<Vec<Organization>> {
    let values = scope.after(params![kind, parent_id, start(after), limit]);
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM organizations
             WHERE path >= ?5 AND path < ?6 AND (kind = ?1 OR ?1 IS NULL) AND (parent_id = ?2 OR ?2 IS NULL) AND id > ?3
             ORDER BY id LIMIT ?4"
        ),
        values,
        read,
    )
    .await
}

/// Creates an organization below `parent`, which the caller has found within its scope.
pub async fn insert(
    tx: &Tx<'_>,
    parent: &Organization,
    id: Id<id::Organization>,
    new: &NewOrganization,
    now: Instant,
) -> Result<Organization> {
    write(tx, id, Some(parent.id), parent.path.child(id), new, now)
        .await?
        .ok_or_else(|| Error::unavailable("an organization id was taken"))
}

/// The operator, if there is one. Only bootstrapping asks, before anybody is there who could have a scope.
pub async fn find_operator(tx: &Tx<'_>) -> Result<Option<Organization>> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM organizations WHERE kind = 'OPERATOR'"), vec![], read).await
}

/// Creates the operator, the root of the tree. `None` when there is one already.
pub async fn insert_operator(
    tx: &Tx<'_>,
    id: Id<id::Organization>,
    new: &NewOrganization,
    now: Instant,
) -> Result<Option<Organization>> {
    write(tx, id, None, OrganizationPath::root(id), new, now).await
}

async fn write(
    tx: &Tx<'_>,
    id: Id<id::Organization>,
    parent_id: Option<Id<id::Organization>>,
    path: OrganizationPath,
    new: &NewOrganization,
    now: Instant,
) -> Result<Option<Organization>> {
    tx.query_opt(
        &format!(
            "INSERT INTO organizations (id, parent_id, path, kind, status, display_name, company_name, country, state, city, zip,
                 address_line1, domain, tag, currency, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, 'ACTIVE', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 1, ?15, ?15)
             ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        ),
        params![
            id,
            parent_id,
            path,
            new.kind,
            new.display_name,
            new.company_name,
            new.country,
            new.state,
            new.city,
            new.zip,
            new.address_line1,
            new.domain,
            new.tag,
            new.currency,
            now
        ],
        read,
    )
    .await
}

/// Edits an organization that is still at `version`; anything else is stale.
pub async fn update(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::Organization>,
    version: Option<i64>,
    patch: &OrganizationPatch,
    now: Instant,
) -> Result<Organization> {
    let current = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(Error::new(
            domain::Kind::Stale,
            "stale",
            "The organization was edited since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match.",
        ));
    }
    tx.query_opt(
        &format!(
            "UPDATE organizations SET display_name = COALESCE(?2, display_name), company_name = COALESCE(?3, company_name),
                 tag = COALESCE(?4, tag), version = version + 1, updated_at = ?5
             WHERE id = ?1 RETURNING {COLUMNS}"
        ),
        params![id, patch.display_name, patch.company_name, patch.tag, now],
        read,
    )
    .await?
    .ok_or_else(|| Error::unavailable("an organization vanished inside a transaction"))
}
