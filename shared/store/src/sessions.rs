//! Sessions: what a person has from signing in until signing out. A session gives access tokens, each for the newest of its
//! refresh tokens, which is replaced by doing so.

use crate::{Db, Tx, bindings, params};
use chrono::TimeDelta;
use domain::{Id, Instant, OrganizationPath, PrincipalId, Result, id, organization::OrganizationStatus};

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

/// For how long a refresh token that was replaced gets the answer that it got before: two pages of one browser find the old one at
/// the same moment.
const REPLACED: TimeDelta = TimeDelta::seconds(10);

/// What came of presenting a refresh token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refreshed {
    /// It was the newest and has been replaced: whose it is, and when the session ends.
    Replaced(Id<id::Person>, Instant),
    /// It was replaced a moment ago: the answer that was kept then with [`keep_answer`].
    Again(String),
    /// It had been used before. Two have it, so it was stolen, and the session of this person has ended for both.
    UsedBefore(Id<id::Person>),
    /// What vouched for the session would not any more, so it has ended.
    Lapsed,
    /// There is no such session, or no more.
    Unknown,
}

/// Replaces the refresh token of a session by another; of two who try at once, one finds it replaced.
pub async fn refresh(tx: &Tx<'_>, hash: &str, refresh_hash: &str, next_hash: &str, now: Instant) -> Result<Refreshed> {
    let found = tx
        .query_opt(
            "UPDATE sessions SET refresh_hash = ?3, replaced_hash = ?2, replaced_at = ?4, kept_answer = NULL
             WHERE hash = ?1 AND refresh_hash = ?2 AND expires_at > ?4 RETURNING person_id, expires_at",
            params![hash, refresh_hash, next_hash, now],
            |row| Ok(Refreshed::Replaced(row.take()?, row.take()?)),
        )
        .await?;
    if let Some(replaced) = found {
        if !is_vouched_for(tx, hash).await? {
            return end(tx, hash).await.map(|()| Refreshed::Lapsed);
        }
        return Ok(replaced);
    }
    let goes_on: Option<(Id<id::Person>, Option<String>)> = tx
        .query_opt(
            "SELECT person_id, CASE WHEN replaced_hash = ?2 AND replaced_at > ?4 THEN kept_answer END
             FROM sessions WHERE hash = ?1 AND expires_at > ?3",
            params![hash, refresh_hash, now, now - REPLACED],
            |row| Ok((row.take()?, row.take()?)),
        )
        .await?;
    match goes_on {
        None => Ok(Refreshed::Unknown),
        Some((_, Some(kept))) => Ok(Refreshed::Again(kept)),
        Some((person, None)) => end(tx, hash).await.map(|()| Refreshed::UsedBefore(person)),
    }
}

/// Whether what vouched for a session still would: its identity provider is trusted, and serves the organization that the session
/// opens. A password vouches until it is replaced, which ends the session.
async fn is_vouched_for(tx: &Tx<'_>, hash: &str) -> Result<bool> {
    let found: Option<String> = tx
        .query_opt(
            "SELECT s.hash FROM sessions s LEFT JOIN identity_providers i ON i.id = s.identity_provider_id
             LEFT JOIN organizations o ON o.id = i.organization_id
             WHERE s.hash = ?1 AND (s.identity_provider_id IS NULL OR o.path = s.reach)",
            params![hash],
            |row| row.take(),
        )
        .await?;
    Ok(found.is_some())
}

/// Keeps the answer to the refresh token that was replaced last, sealed by whoever gave it.
pub async fn keep_answer(tx: &Tx<'_>, hash: &str, sealed: &str) -> Result<()> {
    tx.exec("UPDATE sessions SET kept_answer = ?2 WHERE hash = ?1", params![hash, sealed]).await
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
/// they have one; one that is not disabled, while there is one; of those at `reach` and below, if that is given. `None` for people
/// without any such role, and for those who are disabled.
pub async fn home(
    db: &Db,
    person: Id<id::Person>,
    reach: Option<&OrganizationPath>,
    now: Instant,
) -> Result<Option<Id<id::Organization>>> {
    let held = bindings::opened(db, PrincipalId::Person(person), reach, now).await?;
    let default: Option<(OrganizationPath, OrganizationStatus)> = db
        .query_opt(
            "SELECT o.path, o.status FROM people p JOIN organizations o ON o.id = p.default_organization_id WHERE p.id = ?1",
            params![person],
            |row| Ok((row.take()?, row.take()?)),
        )
        .await?;
    let default = default.filter(|(path, _)| held.iter().any(|binding| binding.reaches(path)));
    if let Some((path, OrganizationStatus::Active)) = &default {
        return Ok(path.id());
    }
    let active: Vec<Id<id::Organization>> = db
        .query_all(
            "SELECT DISTINCT o.id FROM bindings b JOIN organizations o ON o.id = b.organization_id
             WHERE b.principal_id = ?1 AND o.status = 'ACTIVE'",
            params![person],
            |row| row.take(),
        )
        .await?;
    // The ids in paths are as old as what they name.
    let own: Vec<&OrganizationPath> = held.iter().filter(|binding| !binding.bound).map(|binding| &binding.path).collect();
    let first = own.iter().filter_map(|path| path.id()).filter(|id| active.contains(id)).min();
    let disabled = default.as_ref().map(|(path, _)| path).or(own.into_iter().min_by_key(|path| path.id()));
    Ok(first.or_else(|| disabled.and_then(OrganizationPath::id)))
}
