//! Access tokens, and who stands behind one. This is the one indexed read that every authenticated request makes.

use crate::{Db, Tx, params};
use domain::{
    Error, Id, Instant, OrganizationKind, OrganizationPath, PrincipalId, Result, Role, id, organization::OrganizationStatus,
};

/// An organization as far as deciding about a caller needs it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its id.
    pub id: Id<id::Organization>,
    /// Where it stands.
    pub path: OrganizationPath,
    /// What it is.
    pub kind: OrganizationKind,
    /// Whether it can be acted in.
    pub status: OrganizationStatus,
}

/// Whoever presented an access token.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The person, API token or app behind the access token.
    pub id: PrincipalId,
    /// The organization it belongs to.
    pub home: Place,
    /// Its roles, each with the organization it is bound in.
    pub bindings: Vec<(Role, OrganizationPath)>,
}

/// Whose access token has this hash, at `now`. `None` when it is unknown, ended or revoked, or has no role left anywhere.
///
/// The values come as one text, a word each: a column costs the guest two allocations, its value's and its name's, and
/// every request passes here.
pub async fn find(db: &Db, hash: &str, now: Instant) -> Result<Option<Principal>> {
    let rows: Vec<String> = db
        .query_all(
            "SELECT a.principal_id || ' ' || o.kind || ' ' || o.status || ' ' || o.path || ' ' || b.role || ' ' || p.path AS found
             FROM access_tokens a
             JOIN organizations o ON o.id = a.organization_id
             JOIN bindings b ON b.principal_id = a.principal_id
             JOIN organizations p ON p.id = b.organization_id
             WHERE a.hash = ?1 AND a.expires_at > ?2",
            params![hash, now],
            |row| row.take(),
        )
        .await?;
    let mut principal: Option<Principal> = None;
    for row in rows {
        let (found, binding) = read(&row).ok_or_else(|| Error::unavailable("an access token's principal cannot be read"))?;
        principal.get_or_insert(found).bindings.push(binding);
    }
    Ok(principal)
}

fn read(row: &str) -> Option<(Principal, (Role, OrganizationPath))> {
    let mut words = row.split(' ');
    let mut word = || words.next();
    let id = word()?.parse().ok()?;
    let (kind, status, path) = (word()?.parse().ok()?, word()?.parse().ok()?, OrganizationPath::stored(word()?.to_owned()));
    let home = Place { id: path.id()?, path, kind, status };
    let binding = (word()?.parse().ok()?, OrganizationPath::stored(word()?.to_owned()));
    Some((Principal { id, home, bindings: Vec::new() }, binding))
}

/// Ends the access tokens of a principal, whose rights have changed or ended: it must get a new one for what is left.
pub async fn revoke(tx: &Tx<'_>, principal: PrincipalId) -> Result<()> {
    tx.exec("DELETE FROM access_tokens WHERE principal_id = ?1", params![principal]).await
}

/// An organization that a caller names as the one to act in. The caller's bindings decide whether it may.
pub async fn place(db: &Db, id: Id<id::Organization>) -> Result<Option<Place>> {
    db.query_opt("SELECT id, path, kind, status FROM organizations WHERE id = ?1", params![id], |row| {
        Ok(Place { id: row.take()?, path: row.take()?, kind: row.take()?, status: row.take()? })
    })
    .await
}

/// Exchanges the API token with this hash for an access token with the other, which ends at `expires_at`, or with the API
/// token if that ends sooner. Gives the instant at which it ends; `None` when there is no such API token.
pub async fn exchange(
    tx: &Tx<'_>,
    api_token_hash: &str,
    access_token_hash: &str,
    now: Instant,
    expires_at: Instant,
) -> Result<Option<Instant>> {
    let token: Option<(Id<id::ApiToken>, Id<id::Organization>, Option<Instant>)> = tx
        .query_opt(
            "UPDATE api_tokens SET last_used_at = ?2 WHERE hash = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
             RETURNING id, organization_id, expires_at",
            params![api_token_hash, now],
            |row| Ok((row.take()?, row.take()?, row.take()?)),
        )
        .await?;
    let Some((token, home, end)) = token else { return Ok(None) };
    let expires_at = end.map_or(expires_at, |end| end.min(expires_at));
    insert(tx, access_token_hash, PrincipalId::ApiToken(token), home, expires_at).await?;
    Ok(Some(expires_at))
}

/// Keeps an access token of a principal, at home in an organization, until `expires_at`.
pub async fn insert(
    tx: &Tx<'_>,
    hash: &str,
    principal: PrincipalId,
    home: Id<id::Organization>,
    expires_at: Instant,
) -> Result<()> {
    tx.exec(
        "INSERT INTO access_tokens (hash, principal_id, organization_id, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![hash, principal, home, expires_at],
    )
    .await
}

/// Forgets access tokens that ended before `now`, at most `limit` of them. They were worth nothing any more.
pub async fn prune(tx: &Tx<'_>, now: Instant, limit: u32) -> Result<()> {
    tx.exec(
        "DELETE FROM access_tokens WHERE hash IN (SELECT hash FROM access_tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![now, limit],
    )
    .await
}

/// Whether there is anything to forget: a read, so that a tick without work takes no lock.
pub async fn any_expired(db: &Db, now: Instant) -> Result<bool> {
    let first: Option<i64> = db
        .query_opt(
            "SELECT expires_at FROM access_tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1",
            params![now],
            |row| row.take(),
        )
        .await?;
    Ok(first.is_some())
}
