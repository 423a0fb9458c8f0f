//! Sessions: what a person has from signing in until signing out. A session gives access tokens, each for the newest of its
//! refresh tokens, which is replaced by doing so.

use crate::{Db, Tx, bindings, params};
use domain::{Id, Instant, OrganizationPath, PrincipalId, Result, id};

/// A session as it is begun.
pub struct NewSession<'a> {
    /// The hash of what its refresh tokens share.
    pub hash: &'a str,
    /// The hash of the rest of the first of them.
    pub refresh_hash: &'a str,
    /// Who signed in.
    pub person: Id<id::Person>,
    /// The identity provider that vouched for them; none, for a password.
    pub identity_provider: Option<Id<id::IdentityProvider>>,
    /// The path of the organization that the identity provider serves: the session opens that organization and those below.
    /// None, for a password: it opens all that the person's roles reach.
    pub reach: Option<&'a OrganizationPath>,
    /// When it ends by itself.
    pub expires_at: Instant,
}

/// Begins a session, and forgets a few that ended by themselves.
pub async fn insert(tx: &Tx<'_>, session: &NewSession<'_>, now: Instant) -> Result<()> {
    tx.exec(
        "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 20)",
        params![now],
    )
    .await?;
    tx.exec(
        "INSERT INTO sessions (hash, refresh_hash, person_id, identity_provider_id, expires_at, created_at, reach)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            session.hash,
            session.refresh_hash,
            session.person,
            session.identity_provider,
            session.expires_at,
            now,
            session.reach.map(OrganizationPath::as_str)
        ],
    )
    .await
}

/// What came of presenting a refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refreshed {
    /// It was the newest and has been replaced: whose it is, and when the session ends.
    Replaced(Id<id::Person>, Instant),
    /// It had been used before. Two have it, so it was stolen, and the session of this person has ended for both.
    UsedBefore(Id<id::Person>),
    /// There is no such session, or no more.
    Unknown,
}

/// Replaces the refresh token of a session by another; of two who try at once, one finds it used before.
pub async fn refresh(tx: &Tx<'_>, hash: &str, refresh_hash: &str, next_hash: &str, now: Instant) -> Result<Refreshed> {
    let found = tx
        .query_opt(
            "UPDATE sessions SET refresh_hash = ?3 WHERE hash = ?1 AND refresh_hash = ?2 AND expires_at > ?4
             RETURNING person_id, expires_at",
            params![hash, refresh_hash, next_hash, now],
            |row| Ok(Refreshed::Replaced(row.take()?, row.take()?)),
        )
        .await?;
    if let Some(replaced) = found {
        return Ok(replaced);
    }
    let goes_on: Option<Id<id::Person>> = tx
        .query_opt("SELECT person_id FROM sessions WHERE hash = ?1 AND expires_at > ?2", params![hash, now], |row| row.take())
        .await?;
    let Some(person) = goes_on else { return Ok(Refreshed::Unknown) };
    end(tx, hash).await?;
    Ok(Refreshed::UsedBefore(person))
}

/// Ends a session, if there is one, and its access tokens.
pub async fn end(tx: &Tx<'_>, hash: &str) -> Result<()> {
    let person: Option<PrincipalId> =
        tx.query_opt("DELETE FROM sessions WHERE hash = ?1 RETURNING person_id", params![hash], |row| row.take()).await?;
    let Some(person) = person else { return Ok(()) };
    tx.exec("DELETE FROM access_tokens WHERE principal_id = ?1 AND session_hash = ?2", params![person, hash]).await
}

/// Ends all sessions of a person, and their access tokens, but the one with this hash.
pub async fn end_others(tx: &Tx<'_>, person: Id<id::Person>, kept: Option<&str>) -> Result<()> {
    // No session has an empty hash.
    let kept = kept.unwrap_or_default();
    tx.exec("DELETE FROM sessions WHERE person_id = ?1 AND hash <> ?2", params![person, kept]).await?;
    tx.exec("DELETE FROM access_tokens WHERE principal_id = ?1 AND COALESCE(session_hash, '') <> ?2", params![person, kept]).await
}

/// Ends the sessions that this identity provider vouched for, and their access tokens.
pub async fn end_vouched_for(tx: &Tx<'_>, provider: Id<id::IdentityProvider>) -> Result<()> {
    // By their people, for access tokens are found by whose they are.
    tx.exec(
        "DELETE FROM access_tokens WHERE principal_id IN (SELECT person_id FROM sessions WHERE identity_provider_id = ?1)
         AND session_hash IN (SELECT hash FROM sessions WHERE identity_provider_id = ?1)",
        params![provider],
    )
    .await?;
    tx.exec("DELETE FROM sessions WHERE identity_provider_id = ?1", params![provider]).await
}

/// What a session opens: an organization and those below, or all if there is none.
pub async fn reach(db: &Db, hash: &str) -> Result<Option<OrganizationPath>> {
    let reach: Option<Option<OrganizationPath>> =
        db.query_opt("SELECT reach FROM sessions WHERE hash = ?1", params![hash], |row| row.take()).await?;
    Ok(reach.flatten())
}

/// Where a person acts unless told otherwise: the default organization while a role reaches it, else the first in which
/// they have one; of those at `reach` and below, if that is given. `None` for people without any such role, and for those who are
/// disabled.
pub async fn home(
    db: &Db,
    person: Id<id::Person>,
    reach: Option<&OrganizationPath>,
    now: Instant,
) -> Result<Option<Id<id::Organization>>> {
    let held = bindings::opened(db, PrincipalId::Person(person), reach, now).await?;
    let default: Option<OrganizationPath> = db
        .query_opt(
            "SELECT o.path FROM people p JOIN organizations o ON o.id = p.default_organization_id WHERE p.id = ?1",
            params![person],
            |row| row.take(),
        )
        .await?;
    let default = default.filter(|default| held.iter().any(|binding| binding.reaches(default)));
    // The ids in paths are as old as what they name.
    let first = held.iter().filter(|binding| !binding.bound).map(|binding| &binding.path).min_by_key(|path| path.id());
    Ok(default.as_ref().or(first).and_then(OrganizationPath::id))
}
