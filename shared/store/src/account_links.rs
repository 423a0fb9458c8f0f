//! Links by which a person sets the password of a local account: each good once, and only the newest of a person.

use crate::{Db, Tx, params};
use domain::{Id, Instant, Result, id};

/// Makes a link with the secret of this hash, and ends the person's earlier ones.
pub async fn insert(tx: &Tx<'_>, hash: &str, person: Id<id::Person>, now: Instant, expires_at: Instant) -> Result<()> {
    tx.exec("DELETE FROM account_links WHERE person_id = ?1", params![person]).await?;
    tx.exec(
        "INSERT INTO account_links (hash, person_id, expires_at, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![hash, person, expires_at, now],
    )
    .await
}

/// Uses up the link with this hash: whose it was, if it was still good. Of two who use one at once, one gets it.
pub async fn take(tx: &Tx<'_>, hash: &str, now: Instant) -> Result<Option<Id<id::Person>>> {
    tx.query_opt("DELETE FROM account_links WHERE hash = ?1 AND expires_at > ?2 RETURNING person_id", params![hash, now], |row| {
        row.take()
    })
    .await
}

/// Whose link has this hash, while it is good.
pub async fn find(db: &Db, hash: &str, now: Instant) -> Result<Option<Id<id::Person>>> {
    db.query_opt("SELECT person_id FROM account_links WHERE hash = ?1 AND expires_at > ?2", params![hash, now], |row| row.take())
        .await
}
