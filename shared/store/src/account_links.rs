//! Links by which a person sets the password of a local account: each good once, and only the newest that an
//! administrator had made.

use crate::{Db, Tx, params};
use domain::{Id, Instant, Result, id};

/// Ends the person's links.
pub async fn end(tx: &Tx<'_>, person: Id<id::Person>) -> Result<()> {
    tx.exec("DELETE FROM account_links WHERE person_id = ?1", params![person]).await
}

/// Makes a link with the secret of this hash. `confirms` says that only the owner of the mail address has the secret.
pub async fn insert(
    tx: &Tx<'_>,
    hash: &str,
    person: Id<id::Person>,
    confirms: bool,
    now: Instant,
    expires_at: Instant,
) -> Result<()> {
    tx.exec(
        "INSERT INTO account_links (hash, person_id, expires_at, created_at, confirms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![hash, person, expires_at, now, i64::from(confirms)],
    )
    .await
}

/// Uses up the link with this hash, and ends the person's others: whose it was, if it was still good, and whether it confirms that
/// they own the mail address. Of two who use one at once, one gets it.
pub async fn take(tx: &Tx<'_>, hash: &str, now: Instant) -> Result<Option<(Id<id::Person>, bool)>> {
    let taken: Option<(Id<id::Person>, i64)> = tx
        .query_opt(
            "DELETE FROM account_links WHERE hash = ?1 AND expires_at > ?2 RETURNING person_id, confirms",
            params![hash, now],
            |row| Ok((row.take()?, row.take()?)),
        )
        .await?;
    let Some((person, confirms)) = taken else { return Ok(None) };
    end(tx, person).await?;
    Ok(Some((person, confirms == 1)))
}

/// Whose link has this hash, while it is good.
pub async fn find(db: &Db, hash: &str, now: Instant) -> Result<Option<Id<id::Person>>> {
    db.query_opt("SELECT person_id FROM account_links WHERE hash = ?1 AND expires_at > ?2", params![hash, now], |row| row.take())
        .await
}
