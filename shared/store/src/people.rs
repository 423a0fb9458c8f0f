//! People: one a mail address, whatever organizations they are members of.

use crate::{Db, Row, Tx, params};
use domain::{
    Error, Id, Instant, JsonSchema, Kind, Result, Text, id,
    person::{Email, PersonStatus},
};
use serde::Serialize;

/// A person as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Its id.
    pub id: Id<id::Person>,
    /// The mail address, in lower case: what tells one person from another.
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
}

const COLUMNS: &str = "id, email, display_name, status, default_organization_id, created_at, updated_at, version";

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
    })
}

/// The person with this id. A person belongs to no tenant: what may be shown of one is for the caller to decide.
pub async fn find(db: &Db, id: Id<id::Person>) -> Result<Person> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM people WHERE id = ?1"), params![id], read)
        .await?
        .ok_or_else(|| Error::not_found("person_not_found", "person", id))
}

/// The person with this address, if the hub knows one.
pub async fn find_by_email(db: &Db, email: &Email) -> Result<Option<Person>> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM people WHERE email = ?1"), params![email], read).await
}

/// The person with this address, made with `id` and `display_name` if the hub did not know one.
pub async fn find_or_insert(
    tx: &Tx<'_>,
    id: Id<id::Person>,
    email: &Email,
    display_name: &Text<1, 120>,
    home: Id<id::Organization>,
    now: Instant,
) -> Result<Person> {
    let made = tx
        .query_opt(
            &format!(
                "INSERT INTO people (id, email, display_name, status, default_organization_id, version, created_at, updated_at)
                 VALUES (?1, ?2, ?3, 'ACTIVE', ?4, 1, ?5, ?5) ON CONFLICT (email) DO NOTHING RETURNING {COLUMNS}"
            ),
            params![id, email, display_name, home, now],
            read,
        )
        .await?;
    match made {
        Some(person) => Ok(person),
        None => find_by_email(tx, email).await?.ok_or_else(|| Error::unavailable("a person vanished inside a transaction")),
    }
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
