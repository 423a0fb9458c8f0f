//! Access tokens, and who stands behind one. This is the one indexed read that every authenticated request makes.

use crate::{Db, Row, Tx, params};
use domain::{
    Error, Id, Instant, OrganizationKind, OrganizationPath, PrincipalId, Result, id, organization::OrganizationStatus,
    role::Binding,
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
    /// Its roles, each with the organization it is bound in, as far as the session opens it.
    pub bindings: Vec<Binding>,
    /// What the session opens, if not all: this organization and those below.
    pub reach: Option<OrganizationPath>,
}

/// Whose access token has this hash, at `now`. `None` when it is unknown, ended or revoked, or has no role left anywhere.
///
/// The values come as one text, a word each: a column costs the guest two allocations, its value's and its name's, and
/// every request passes here.
pub async fn find(db: &Db, hash: &str, now: Instant) -> Result<Option<Principal>> {
    let rows: Vec<String> = db
        .query_all(
            "SELECT format('%s %s %s %s %s %s %s %s %s', a.principal_id, o.kind, o.status, o.path, b.role, p.path, COALESCE(b.bound_by, '-'),
                 CASE WHEN p.self_administered = 1 AND (b.from_above = 1 OR b.bound_by IS NOT NULL) THEN 1 ELSE 0 END, COALESCE(a.reach, '')) AS found
             FROM access_tokens a
             JOIN organizations o ON o.id = a.organization_id
             JOIN bindings b ON b.principal_id = a.principal_id
             JOIN organizations p ON p.id = b.organization_id
             WHERE a.hash = ?1 AND a.expires_at > ?2
               AND (a.reach IS NULL OR (p.path >= a.reach AND p.path < substr(a.reach, 1, length(a.reach) - 1) || '/'
                   AND (p.self_administered = 0 OR p.path = a.reach OR a.reach NOT LIKE '%.%.')))",
            params![hash, now],
            |row| row.take(),
        )
        .await?;
    let mut principal: Option<Principal> = None;
    for row in rows {
        let (found, binding) = read(&row).ok_or_else(|| Error::fault("an access token's principal cannot be read"))?;
        principal.get_or_insert(found).bindings.push(binding);
    }
    Ok(principal)
}

fn read(row: &str) -> Option<(Principal, Binding)> {
    let mut words = row.split(' ');
    let mut word = || words.next();
    let id = word()?.parse().ok()?;
    let (kind, status, path) = (word()?.parse().ok()?, word()?.parse().ok()?, OrganizationPath::stored(word()?.to_owned()));
    let home = Place { id: path.id()?, path, kind, status };
    let role = word()?.parse().ok()?;
    let path = OrganizationPath::stored(word()?.to_owned());
    let binding = Binding { role, path, bound: word()? != "-", overruled: word()? == "1" };
    let reach = word()?;
    let reach = (!reach.is_empty()).then(|| OrganizationPath::stored(reach.to_owned()));
    Some((Principal { id, home, bindings: Vec::new(), reach }, binding))
}

/// Ends the access tokens with which a principal is at home in an organization that it belongs to no longer. Others stay:
/// what they permit is read with every request.
pub async fn revoke_at(tx: &Tx<'_>, principal: PrincipalId, home: Id<id::Organization>) -> Result<()> {
    tx.exec("DELETE FROM access_tokens WHERE principal_id = ?1 AND organization_id = ?2", params![principal, home]).await
}

/// Ends the access tokens of a principal, whose rights have changed or ended: it must get a new one for what is left.
pub async fn revoke(tx: &Tx<'_>, principal: PrincipalId) -> Result<()> {
    tx.exec("DELETE FROM access_tokens WHERE principal_id = ?1", params![principal]).await
}

/// An organization as far as deciding about a caller needs it. Nobody's scope is asked: the caller's bindings decide.
pub async fn place(db: &Db, id: Id<id::Organization>) -> Result<Option<Place>> {
    db.query_opt("SELECT id, path, kind, status FROM organizations WHERE id = ?1", params![id], read_place).await
}

/// A customer's answer to whoever comes from above.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Admittance {
    /// The caller's acting session there that is open.
    pub session: Option<Id<id::ActingSession>>,
    /// Whether the customer lets nobody act in it.
    pub refused: bool,
}

/// An organization that a caller names as the one to act in, and how it stands there at `now`. The caller's bindings decide whether it
/// may act there.
pub async fn place_to_act(
    db: &Db,
    id: Id<id::Organization>,
    principal: PrincipalId,
    now: Instant,
) -> Result<Option<(Place, Admittance)>> {
    db.query_opt(
        // The first condition on the status is that of the index, for SQLite does not conclude it from the second.
        "SELECT o.id, o.path, o.kind, o.status, s.id, CASE WHEN p.policy = 'REFUSE' THEN 1 ELSE 0 END FROM organizations o
         LEFT JOIN acting_policies p ON p.organization_id = o.id
         LEFT JOIN acting_sessions s ON s.principal_id = ?2 AND s.organization_id = o.id
             AND s.status IN ('PENDING', 'OPEN') AND s.status = 'OPEN' AND s.expires_at > ?3
         WHERE o.id = ?1",
        params![id, principal, now],
        |row| Ok((read_place(row)?, Admittance { session: row.take()?, refused: row.take::<i64>()? != 0 })),
    )
    .await
}

pub(crate) fn read_place(row: &mut Row) -> Result<Place> {
    Ok(Place { id: row.take()?, path: row.take()?, kind: row.take()?, status: row.take()? })
}

/// Exchanges the API token with this hash, or the app with this id and secret's hash, for an access token with the other,
/// which ends at `expires_at`, or with the credential if that ends sooner. Gives the instant at which it ends; `None` when
/// there is no such credential.
pub async fn exchange(
    tx: &Tx<'_>,
    app: Option<Id<id::App>>,
    secret_hash: &str,
    access_token_hash: &str,
    now: Instant,
    expires_at: Instant,
) -> Result<Option<Instant>> {
    let (sql, values) = match app {
        None => (
            "UPDATE api_tokens SET last_used_at = ?2 WHERE hash = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
             RETURNING id, organization_id, expires_at",
            params![secret_hash, now],
        ),
        Some(app) => (
            "UPDATE apps SET last_used_at = ?2 WHERE id = ?3 AND hash = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
             RETURNING id, organization_id, expires_at",
            params![secret_hash, now, app],
        ),
    };
    let found: Option<(PrincipalId, Id<id::Organization>, Option<Instant>)> =
        tx.query_opt(sql, values, |row| Ok((row.take()?, row.take()?, row.take()?))).await?;
    let Some((principal, home, end)) = found else { return Ok(None) };
    let expires_at = end.map_or(expires_at, |end| end.min(expires_at));
    insert(tx, access_token_hash, principal, home, None, now, expires_at).await?;
    Ok(Some(expires_at))
}

/// Keeps an access token of a principal, at home in an organization, until `expires_at`; of a person who signed in, with
/// the hash of the session, beyond whose reach it opens nothing; and they are noted as seen at `now`.
pub async fn insert(
    tx: &Tx<'_>,
    hash: &str,
    principal: PrincipalId,
    home: Id<id::Organization>,
    session_hash: Option<&str>,
    now: Instant,
    expires_at: Instant,
) -> Result<()> {
    if session_hash.is_some() {
        tx.exec("UPDATE people SET seen_at = ?2 WHERE id = ?1", params![principal, now]).await?;
    }
    tx.exec(
        "INSERT INTO access_tokens (hash, principal_id, organization_id, session_hash, expires_at, reach)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT s.reach FROM sessions s WHERE s.hash = ?4))",
        params![hash, principal, home, session_hash, expires_at],
    )
    .await
}

/// Ends this one access token, and gives the hash of the session it was of.
pub async fn end(tx: &Tx<'_>, hash: &str) -> Result<Option<String>> {
    let session: Option<Option<String>> =
        tx.query_opt("DELETE FROM access_tokens WHERE hash = ?1 RETURNING session_hash", params![hash], |row| row.take()).await?;
    Ok(session.flatten())
}

/// The hash of the session that this access token is of.
pub async fn session(db: &Db, hash: &str) -> Result<Option<String>> {
    let session: Option<Option<String>> =
        db.query_opt("SELECT session_hash FROM access_tokens WHERE hash = ?1", params![hash], |row| row.take()).await?;
    Ok(session.flatten())
}

/// Has the access tokens of a principal act in another organization from now on, unless told otherwise.
pub async fn set_home(tx: &Tx<'_>, principal: PrincipalId, home: Id<id::Organization>) -> Result<()> {
    tx.exec("UPDATE access_tokens SET organization_id = ?2 WHERE principal_id = ?1", params![principal, home]).await
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
