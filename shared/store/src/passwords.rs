//! The passwords of local accounts, and how often somebody tried one.

use crate::{Db, Row, Tx, params};
use chrono::TimeDelta;
use domain::{Id, Instant, Result, id, person::Email, sign_in::wait_after};

/// For how long attempts that did not succeed are remembered.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// An account that can sign in with a mail address.
#[derive(Clone, Debug)]
pub struct Account {
    /// The person.
    pub person: Id<id::Person>,
    /// The hash of their password, if they have one.
    pub hash: Option<String>,
    /// The organization that vouches for the account; none, for the account of the address's owner.
    pub vouched_by: Option<Id<id::Organization>>,
}

/// The most accounts with one mail address that a password is compared with.
pub const ACCOUNTS: u32 = 50;

/// The accounts with this mail address that can sign in: the owner's, then those that organizations vouch for.
pub async fn accounts(db: &Db, email: &Email) -> Result<Vec<Account>> {
    let read = |row: &mut Row| Ok(Account { person: row.take()?, hash: row.take()?, vouched_by: row.take()? });
    db.query_all(
        "SELECT id, hash, vouched_by FROM (
             SELECT p.id, w.hash, p.vouched_by FROM people p LEFT JOIN passwords w ON w.person_id = p.id
             WHERE p.email = ?1 AND p.status = 'ACTIVE'
             UNION ALL
             SELECT p.id, w.hash, p.vouched_by FROM people p JOIN passwords w ON w.person_id = p.id
             WHERE p.address = ?1 AND p.status = 'ACTIVE') a
         ORDER BY COALESCE(vouched_by, ''), id LIMIT ?2",
        params![email, ACCOUNTS],
        read,
    )
    .await
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

/// What comes of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// It is judged, and if it fails, so many have failed in a row.
    Judged(i64),
    /// None is judged until then.
    Locked(Instant),
}

/// Counts an attempt before it is judged, so that of many at once no more are judged than of as many one after the other. An
/// attempt that succeeds is followed by [`succeeded`].
pub async fn attempt(tx: &Tx<'_>, email_hash: &str, now: Instant) -> Result<Attempt> {
    tx.exec(
        "DELETE FROM sign_in_attempts WHERE email_hash IN
         (SELECT email_hash FROM sign_in_attempts WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 20)",
        params![now],
    )
    .await?;
    let failures: Option<i64> = tx
        .query_opt(
            "INSERT INTO sign_in_attempts (email_hash, failures, locked_until, expires_at) VALUES (?1, 1, ?2, ?3)
             ON CONFLICT (email_hash) DO UPDATE SET failures = sign_in_attempts.failures + 1, expires_at = excluded.expires_at
             WHERE sign_in_attempts.locked_until <= ?2 RETURNING failures",
            params![email_hash, now, now + REMEMBERED],
            |row| row.take(),
        )
        .await?;
    match failures {
        Some(failures) => {
            tx.exec(
                "UPDATE sign_in_attempts SET locked_until = ?2 WHERE email_hash = ?1",
                params![email_hash, now + wait_after(failures)],
            )
            .await?;
            Ok(Attempt::Judged(failures))
        }
        None => {
            let sql = "SELECT locked_until FROM sign_in_attempts WHERE email_hash = ?1";
            let until = tx.query_opt(sql, params![email_hash], |row| row.take()).await?;
            Ok(Attempt::Locked(until.unwrap_or(now)))
        }
    }
}

/// Writes the count of attempts on a mail address as it is. Of a known address a failure is noted in the audit, and this makes that
/// of an unknown one cost a transaction as well.
pub async fn touch(tx: &Tx<'_>, email_hash: &str) -> Result<()> {
    tx.exec("UPDATE sign_in_attempts SET failures = failures WHERE email_hash = ?1", params![email_hash]).await
}

/// Takes an attempt out of the count that was right for an account that an organization vouches for. It is no reason to forget the
/// others: who has such an account would have ever more guesses at the owner's password.
pub async fn uncount(tx: &Tx<'_>, email_hash: &str, now: Instant) -> Result<()> {
    tx.exec(
        "UPDATE sign_in_attempts SET failures = failures - 1, locked_until = ?2 WHERE email_hash = ?1",
        params![email_hash, now],
    )
    .await
}

/// Forgets the attempts on a mail address, whose owner has got in.
pub async fn succeeded(tx: &Tx<'_>, email_hash: &str) -> Result<()> {
    tx.exec("DELETE FROM sign_in_attempts WHERE email_hash = ?1", params![email_hash]).await
}
