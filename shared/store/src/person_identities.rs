//! Who the subjects of identity providers are.

use crate::{Db, Tx, params};
use domain::{Id, Instant, Result, id};

/// The person that a subject of an issuer is.
pub async fn find(db: &Db, issuer: &str, subject: &str) -> Result<Option<Id<id::Person>>> {
    db.query_opt(
        "SELECT i.person_id FROM person_identities i JOIN people p ON p.id = i.person_id
         WHERE i.issuer = ?1 AND i.subject = ?2 AND p.status = 'ACTIVE'",
        params![issuer, subject],
        |row| row.take(),
    )
    .await
}

/// Makes a subject of an issuer a person, for good. `false` when the person is another subject of that issuer already, or the
/// subject another person.
pub async fn insert(tx: &Tx<'_>, issuer: &str, subject: &str, person: Id<id::Person>, now: Instant) -> Result<bool> {
    let made: Option<Id<id::Person>> = tx
        .query_opt(
            "INSERT INTO person_identities (issuer, subject, person_id, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING RETURNING person_id",
            params![issuer, subject, person, now],
            |row| row.take(),
        )
        .await?;
    Ok(made.is_some())
}
