//! The hub's mailbox: mails that carry a secret to the owner of a mail address, sealed, until the secret ends.

use crate::{
    Db, Row, Scope, Tx, Value, params,
    value::{batches, rows_of_numbers, start},
};
use domain::{Error, Id, Instant, Result, id, person::Email};

/// A mail as it is stored.
pub struct StoredMail {
    /// Its id.
    pub id: Id<id::Mail>,
    /// The mail address it is for.
    pub to: Email,
    /// The organization in whose name it is written.
    pub organization_id: Id<id::Organization>,
    /// Subject and text, sealed.
    pub sealed: String,
    /// When it was written.
    pub created_at: Instant,
    /// When the secret in it ends.
    pub expires_at: Instant,
}

/// Puts a mail into the mailbox, in place of an earlier one about the same thing, and forgets a few whose secrets have ended.
pub async fn insert(tx: &Tx<'_>, subject_id: &str, mail: &StoredMail) -> Result<()> {
    forget_some(tx, mail.created_at).await?;
    tx.exec("DELETE FROM mailbox WHERE subject_id = ?1", params![subject_id]).await?;
    tx.exec(&insertion(1), row(subject_id, mail)).await
}

/// Puts mails about different things into the mailbox, of which none has a mail yet, with few statements.
pub async fn insert_all(tx: &Tx<'_>, mails: &[(String, StoredMail)]) -> Result<()> {
    let Some((_, first)) = mails.first() else { return Ok(()) };
    forget_some(tx, first.created_at).await?;
    for batch in batches(mails) {
        let values = batch.iter().flat_map(|(subject_id, mail)| row(subject_id, mail));
        tx.exec(&insertion(batch.len()), values.collect()).await?;
    }
    Ok(())
}

async fn forget_some(tx: &Tx<'_>, now: Instant) -> Result<()> {
    tx.exec(
        "DELETE FROM mailbox WHERE id IN (SELECT id FROM mailbox WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 20)",
        params![now],
    )
    .await
}

/// How many columns a mail has.
const WIDTH: usize = 7;

fn insertion(count: usize) -> String {
    format!(
        "INSERT INTO mailbox (id, subject_id, recipient, organization_id, sealed, created_at, expires_at) VALUES {}",
        rows_of_numbers(1, WIDTH, count)
    )
}

fn row(subject_id: &str, mail: &StoredMail) -> Vec<Value> {
    params![mail.id, subject_id, mail.to, mail.organization_id, mail.sealed, mail.created_at, mail.expires_at]
}

/// Takes a mail back whose secret was used or ended.
pub async fn delete(tx: &Tx<'_>, subject_id: &str) -> Result<()> {
    tx.exec("DELETE FROM mailbox WHERE subject_id = ?1", params![subject_id]).await
}

fn read(row: &mut Row) -> Result<StoredMail> {
    Ok(StoredMail {
        id: row.take()?,
        to: row.take()?,
        organization_id: row.take()?,
        sealed: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
    })
}

/// A page of the mails in the names of organizations within the scope whose secrets have not ended, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    to: Option<&Email>,
    after: Option<Id<id::Mail>>,
    now: Instant,
    limit: u32,
) -> Result<Vec<StoredMail>> {
    let mut values = scope.after(params![start(after), limit, now]);
    let mut to_whom = "";
    if let Some(to) = to {
        to_whom = " AND m.recipient = ?6";
        values.extend(params![to]);
    }
    db.query_all(
        &format!(
            "SELECT m.id, m.recipient, m.organization_id, m.sealed, m.created_at, m.expires_at
             FROM mailbox m JOIN organizations o ON o.id = m.organization_id
             WHERE m.id > ?1 AND m.expires_at > ?3 AND o.path >= ?4 AND o.path < ?5{to_whom} ORDER BY m.id LIMIT ?2"
        ),
        values,
        read,
    )
    .await
}

/// The name of the organization in whose name a mail is written. Nobody's scope is asked: the caller has found it.
pub async fn name(db: &Db, organization: Id<id::Organization>) -> Result<String> {
    db.query_opt("SELECT display_name FROM organizations WHERE id = ?1", params![organization], |row| row.take())
        .await?
        .ok_or_else(|| Error::not_found("organization_not_found", "organization", organization))
}
