//! People: the account of the owner of a mail address, and beside it accounts that an organization vouches for.
//!
//! A vouched account was made with a secret that somebody of the organization saw. It belongs to that organization alone and never
//! gets a role elsewhere, so that nobody comes to a role by an account that somebody of another organization can open.

use crate::{Db, Row, Tx, params};
use domain::{
    Error, Id, Instant, JsonSchema, Kind, OrganizationPath, Result, Text, id,
    person::{Email, PersonStatus},
};
use serde::Serialize;

/// A person as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Its id.
    pub id: Id<id::Person>,
    /// The mail address, in lower case.
    pub email: Email,
    /// The name the person goes by.
    pub display_name: String,
    /// Whether the person can sign in.
    pub status: PersonStatus,
    /// Where the person acts unless told otherwise.
    pub default_organization_id: Option<Id<id::Organization>>,
    /// When the person became known to the hub.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
    /// The organization that vouches for the account; none, for the account of the address's owner.
    #[serde(skip)]
    pub vouched_by: Option<Id<id::Organization>>,
    /// When the address's owner confirmed that the account is theirs.
    #[serde(skip)]
    pub confirmed_at: Option<Instant>,
}

const COLUMNS: &str = "id, COALESCE(address, email), display_name, status, default_organization_id, created_at, updated_at, version, vouched_by, confirmed_at";

fn read(row: &mut Row) -> Result<Person> {
    Ok(Person {
        id: row.take()?,
        email: row.take()?,
        display_name: row.take()?,
        status: row.take()?,
        default_organization_id: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
        vouched_by: row.take()?,
        confirmed_at: row.take()?,
    })
}

/// The person with this id. A person belongs to no tenant: what may be shown of one is for the caller to decide.
pub async fn find(db: &Db, id: Id<id::Person>) -> Result<Person> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM people WHERE id = ?1"), params![id], read)
        .await?
        .ok_or_else(|| Error::not_found("person_not_found", "person", id))
}

/// The account of the owner of this address, if there is one.
pub async fn find_by_email(db: &Db, email: &Email) -> Result<Option<Person>> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM people WHERE email = ?1"), params![email], read).await
}

/// What an account that an organization vouches for has in place of the address, which is the owner's.
fn vouched_key(email: &Email, by: Id<id::Organization>) -> String {
    format!("{email} {by}")
}

/// The account with this address that an organization vouches for, if there is one.
pub async fn find_vouched(db: &Db, email: &Email, by: Id<id::Organization>) -> Result<Option<Person>> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM people WHERE email = ?1"), params![vouched_key(email, by)], read).await
}

/// The member of an organization with this address: the owner's account, or the one that the organization vouches for.
pub async fn find_member(db: &Db, email: &Email, organization: Id<id::Organization>) -> Result<Option<Person>> {
    db.query_opt(
        &format!(
            "SELECT {COLUMNS} FROM people p WHERE email IN (?1, ?2) AND EXISTS (SELECT 1 FROM bindings b
                 WHERE b.principal_id = p.id AND b.organization_id = ?3 AND b.bound_by IS NULL)
             ORDER BY COALESCE(vouched_by, '') LIMIT 1"
        ),
        params![email, vouched_key(email, organization), organization],
        read,
    )
    .await
}

/// The oldest account with this address that an organization vouches for, of those at this path and below.
pub async fn find_vouched_within(db: &Db, email: &Email, path: &OrganizationPath) -> Result<Option<Person>> {
    db.query_opt(
        &format!(
            "SELECT {COLUMNS} FROM people WHERE address = ?1 AND status = 'ACTIVE'
             AND vouched_by IN (SELECT id FROM organizations WHERE path >= ?2 AND path < ?3) ORDER BY id LIMIT 1"
        ),
        params![email, path.as_str(), path.range_end()],
        read,
    )
    .await
}

/// An account to be made, unless there is one already.
pub struct NewAccount<'a> {
    /// Its id.
    pub id: Id<id::Person>,
    /// The mail address.
    pub email: &'a Email,
    /// The name the person goes by.
    pub display_name: &'a Text<1, 120>,
    /// The organization they become a member of.
    pub home: Id<id::Organization>,
    /// Now.
    pub now: Instant,
}

/// The account of an address's owner, who confirms it with this; made if there was none.
pub(crate) async fn find_or_insert_confirmed(tx: &Tx<'_>, new: &NewAccount<'_>) -> Result<Person> {
    insert(tx, new, new.email.to_string(), None).await?;
    find_by_email(tx, new.email).await?.ok_or_else(vanished)
}

/// The account that the organization vouches for; made if there was none.
pub async fn find_or_insert_vouched(tx: &Tx<'_>, new: &NewAccount<'_>) -> Result<Person> {
    insert(tx, new, vouched_key(new.email, new.home), Some(new.home)).await?;
    find_vouched(tx, new.email, new.home).await?.ok_or_else(vanished)
}

fn vanished() -> Error {
    Error::fault("a person vanished inside a transaction")
}

async fn insert(tx: &Tx<'_>, new: &NewAccount<'_>, key: String, vouched_by: Option<Id<id::Organization>>) -> Result<()> {
    let address = vouched_by.is_some().then_some(new.email);
    let confirmed_at = vouched_by.is_none().then_some(new.now);
    tx.exec(
        "INSERT INTO people (id, email, display_name, status, default_organization_id, version, created_at, updated_at, vouched_by, address, confirmed_at)
         VALUES (?1, ?2, ?3, 'ACTIVE', ?4, 1, ?5, ?5, ?6, ?7, ?8) ON CONFLICT (email) DO NOTHING",
        params![new.id, key, new.display_name, new.home, new.now, vouched_by, address, confirmed_at],
    )
    .await
}

/// Sets where a person acts unless told otherwise, if the person is at `version` or that is not asked for. The caller has
/// found that the person may act there.
pub async fn set_default_organization(
    tx: &Tx<'_>,
    person: Id<id::Person>,
    version: Option<i64>,
    organization: Id<id::Organization>,
    now: Instant,
) -> Result<()> {
    let edited: Option<i64> = tx
        .query_opt(
            "UPDATE people SET default_organization_id = ?3, version = version + 1, updated_at = ?4
             WHERE id = ?1 AND (version = ?2 OR ?2 IS NULL) RETURNING version",
            params![person, version, organization, now],
            |row| row.take(),
        )
        .await?;
    edited.map(drop).ok_or_else(|| {
        Error::new(
            Kind::Stale,
            "stale",
            "This was edited since you read it. Read it again, apply your change and send it with the new ETag.",
        )
    })
}
