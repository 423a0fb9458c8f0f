//! The passwords of local accounts.

use crate::{Db, Row, Tx, params};
use domain::{Id, Instant, Result, id, person::Email};

/// An account that can sign in with a mail address.
#[derive(Clone, Debug)]
pub struct Account {
    /// The person.
    pub person: Id<id::Person>,
    /// The hash of their password, if they have one.
    pub hash: Option<String>,
    /// When the password was set.
    pub changed_at: Option<Instant>,
    /// The organization that vouches for the account; none, for the account of the address's owner.
    pub vouched_by: Option<Id<id::Organization>>,
}

/// The most accounts with one mail address that a password is compared with.
pub const ACCOUNTS: u32 = 50;

/// The accounts with this mail address that can sign in: the owner's, then those that organizations vouch for.
pub async fn accounts(db: &Db, email: &Email) -> Result<Vec<Account>> {
    let read =
        |row: &mut Row| Ok(Account { person: row.take()?, hash: row.take()?, changed_at: row.take()?, vouched_by: row.take()? });
    db.query_all(
        "SELECT id, hash, changed_at, vouched_by FROM (
             SELECT p.id, w.hash, w.changed_at, p.vouched_by FROM people p LEFT JOIN passwords w ON w.person_id = p.id
             WHERE p.email = ?1 AND p.status = 'ACTIVE'
             UNION ALL
             SELECT p.id, w.hash, w.changed_at, p.vouched_by FROM people p JOIN passwords w ON w.person_id = p.id
             WHERE p.address = ?1 AND p.status = 'ACTIVE') a
         ORDER BY COALESCE(vouched_by, ''), id LIMIT ?2",
        params![email, ACCOUNTS],
        read,
    )
    .await
}

/// Keeps another hash of the same password, in the place of `old`.
pub async fn renew_hash(tx: &Tx<'_>, person: Id<id::Person>, old: &str, hash: &str) -> Result<()> {
    tx.exec("UPDATE passwords SET hash = ?3 WHERE person_id = ?1 AND hash = ?2", params![person, old, hash]).await
}

/// Gives a person a password, by its hash, in place of the one they may have.
pub async fn set(tx: &Tx<'_>, person: Id<id::Person>, hash: &str, now: Instant) -> Result<()> {
    tx.exec(
        "INSERT INTO passwords (person_id, hash, changed_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (person_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        params![person, hash, now],
    )
    .await
}
