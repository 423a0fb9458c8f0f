//! API tokens and apps: the credentials of machines, the roles they were given, and who owns them.
//!
//! Both are the same but for how their secret is presented, so each function takes either; the id says which table it is in.

use crate::{Db, Placed, Row, Scope, Tx, access_tokens, bindings, customers_word::Word, params};
use domain::{
    Error, Id, Instant, OrganizationPath, PrincipalId, Result, Role, id,
    role::{Authority, Binding},
};

/// A credential as it is shown: never its secret, which nobody has but its holder.
#[derive(Clone, Debug, serde::Serialize, domain::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// Its id: of an API token, `tok_…`; of an app, `app_…`, which is its client id.
    pub id: PrincipalId,
    /// The organization it belongs to, and acts in unless told otherwise.
    pub organization_id: Id<id::Organization>,
    /// What it is called.
    pub name: String,
    /// The roles it has in its organization, in the order of their names.
    pub roles: Vec<Role>,
    /// Who issued it: a person, an API token or an app. It never permits more than its owner may. Absent for what
    /// bootstrapping gave.
    pub owner_id: Option<PrincipalId>,
    /// What its owner is called.
    pub owner_name: Option<String>,
    /// When it ends by itself; never, when absent.
    pub expires_at: Option<Instant>,
    /// When it was last exchanged for an access token.
    pub last_used_at: Option<Instant>,
    /// When it was issued.
    pub created_at: Instant,
}

/// A table of credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// API tokens.
    ApiToken,
    /// Apps.
    App,
}

impl Kind {
    /// Which kind a principal is, if it is a credential.
    pub fn of(principal: PrincipalId) -> Option<Self> {
        match principal {
            PrincipalId::ApiToken(_) => Some(Self::ApiToken),
            PrincipalId::App(_) => Some(Self::App),
            PrincipalId::Person(_) => None,
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::ApiToken => "api_tokens",
            Self::App => "apps",
        }
    }
}

fn not_found(id: PrincipalId) -> Error {
    match id {
        PrincipalId::App(_) => Error::not_found("app_not_found", "app", id),
        _ => Error::not_found("api_token_not_found", "API token", id),
    }
}

fn table(id: PrincipalId) -> Result<&'static str> {
    Kind::of(id).map(Kind::table).ok_or_else(|| not_found(id))
}

const COLUMNS: &str = "c.id, c.organization_id, c.name,
    (SELECT string_agg(b.role, ' ' ORDER BY b.role) FROM bindings b WHERE b.principal_id = c.id),
    c.owner_id, COALESCE(p.display_name, t.name, a.name), c.expires_at, c.last_used_at, c.created_at";

/// What each statement below reads from.
fn from(table: &str) -> String {
    format!(
        "{table} c JOIN organizations o ON o.id = c.organization_id LEFT JOIN people p ON p.id = c.owner_id
         LEFT JOIN api_tokens t ON t.id = c.owner_id LEFT JOIN apps a ON a.id = c.owner_id"
    )
}

fn read(row: &mut Row) -> Result<Credential> {
    Ok(Credential {
        id: row.take()?,
        organization_id: row.take()?,
        name: row.take()?,
        roles: roles(row.take()?)?,
        owner_id: row.take()?,
        owner_name: row.take()?,
        expires_at: row.take()?,
        last_used_at: row.take()?,
        created_at: row.take()?,
    })
}

/// Roles as one text, with spaces between them; `None` where there are none.
pub(crate) fn roles(text: Option<String>) -> Result<Vec<Role>> {
    let words = text.as_deref().unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|error| Error::fault(format!("a binding's role is {error}")))).collect()
}

/// Issues a credential of the organization that whoever issues it has a say in, and binds its roles there.
pub async fn insert(tx: &Tx<'_>, credential: &Credential, hash: &str, word: &Word) -> Result<()> {
    tx.exec(
        &format!(
            "INSERT INTO {} (id, organization_id, name, hash, owner_id, expires_at, created_at, organization_path)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT o.path FROM organizations o WHERE o.id = ?2))",
            table(credential.id)?
        ),
        params![
            credential.id,
            word.organization(),
            credential.name,
            hash,
            credential.owner_id,
            credential.expires_at,
            credential.created_at
        ],
    )
    .await?;
    bindings::insert(tx, credential.id, &credential.roles, word).await
}

/// A page of the credentials of a kind within the scope that were not revoked, in the order of the tree and those of one
/// organization oldest first; `after` is the place of the last one seen.
pub async fn list(db: &Db, scope: &Scope, kind: Kind, after: &[String], limit: u32) -> Result<Vec<Placed<Credential>>> {
    let mut values = params![limit];
    let page = scope.page("c", after, &mut values);
    db.query_all(
        &format!(
            "SELECT {COLUMNS}, c.organization_path, c.id FROM {} WHERE c.revoked_at IS NULL AND {page}
             ORDER BY c.organization_path, c.id LIMIT ?1",
            from(kind.table())
        ),
        values,
        |row| Placed::read(row, read, 2),
    )
    .await
}

/// A credential within the scope that was not revoked.
pub async fn find(db: &Db, scope: &Scope, id: PrincipalId) -> Result<Credential> {
    let values = scope.after(params![id]);
    db.query_opt(
        &format!(
            "SELECT {COLUMNS} FROM {} WHERE c.id = ?1 AND c.revoked_at IS NULL AND o.path >= ?2 AND o.path < ?3",
            from(table(id)?)
        ),
        values,
        read,
    )
    .await?
    .ok_or_else(|| not_found(id))
}

/// A credential's own name and end, for itself.
pub async fn name_and_end(db: &Db, id: PrincipalId) -> Result<Option<(String, Option<Instant>)>> {
    let Some(kind) = Kind::of(id) else { return Ok(None) };
    db.query_opt(&format!("SELECT name, expires_at FROM {} WHERE id = ?1", kind.table()), params![id], |row| {
        Ok((row.take()?, row.take()?))
    })
    .await
}

/// Gives a credential of the organization that the caller has a say in another secret and, if it is to change, another owner.
/// All that the old secret gave ends at once: whoever else had it may have made something that would outlive it. Gives how many
/// credentials that are, beside the access tokens. A customer's own person who does this makes it the customer's.
pub async fn regenerate(
    tx: &Tx<'_>,
    id: PrincipalId,
    hash: &str,
    owner: Option<PrincipalId>,
    word: &Word,
    now: Instant,
) -> Result<usize> {
    let sql = format!("UPDATE {} SET hash = ?2, owner_id = ?3 WHERE id = ?1 AND organization_id = ?4", table(id)?);
    tx.exec(&sql, params![id, hash, owner, word.organization()]).await?;
    if matches!(owner, Some(PrincipalId::Person(_))) && !word.is_from_above() {
        tx.exec("UPDATE bindings SET from_above = 0 WHERE principal_id = ?1", params![id]).await?;
    }
    access_tokens::revoke(tx, id).await?;
    // What it has invited to is closed: its secrets were shown to whoever held the old one.
    tx.exec(
        "UPDATE member_invitations SET status = 'REVOKED', closed_at = ?2 WHERE invited_by = ?1 AND status = 'PENDING'",
        params![id, now],
    )
    .await?;
    let mut owners = vec![id];
    let mut revoked = 0;
    while let Some(owner) = owners.pop() {
        for table in [Kind::ApiToken.table(), Kind::App.table()] {
            let sql = format!(
                "UPDATE {table} SET revoked_at = ?3 WHERE owner_id = ?1 AND id <> ?2 AND revoked_at IS NULL RETURNING id"
            );
            let owned: Vec<PrincipalId> = tx.query_all(&sql, params![owner, id, now], |row| row.take()).await?;
            for id in &owned {
                tx.exec("DELETE FROM bindings WHERE principal_id = ?1", params![id]).await?;
                access_tokens::revoke(tx, *id).await?;
            }
            revoked += owned.len();
            owners.extend(owned);
        }
    }
    Ok(revoked)
}

/// Revokes a credential within the scope, its access tokens, and what it owns: that permits nothing any more. Gives the
/// organization it belonged to.
pub async fn revoke(tx: &Tx<'_>, scope: &Scope, id: PrincipalId, now: Instant) -> Result<Id<id::Organization>> {
    let values = scope.after(params![id, now]);
    let home: Option<Id<id::Organization>> = tx
        .query_opt(
            &format!(
                "UPDATE {} SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL
                 AND organization_id IN (SELECT id FROM organizations WHERE path >= ?3 AND path < ?4) RETURNING organization_id",
                table(id)?
            ),
            values,
            |row| row.take(),
        )
        .await?;
    let home = home.ok_or_else(|| not_found(id))?;
    tx.exec("DELETE FROM bindings WHERE principal_id = ?1", params![id]).await?;
    access_tokens::revoke(tx, id).await?;
    narrow_owned(tx, id, now).await?;
    Ok(home)
}

/// How many bindings are looked at in one statement.
const NARROWED: u32 = 256;

/// Takes from the credentials that a principal owns whatever it may not do itself any more, and likewise from what they own.
/// To be called in the transaction in which the principal lost a role, after it was taken. A credential that loses a role
/// needs a new access token; one that has lost its last is revoked.
pub async fn narrow_owned(tx: &Tx<'_>, principal: PrincipalId, now: Instant) -> Result<()> {
    let mut owners = vec![principal];
    // It comes to an end even where two own each other: who is put on the list has lost a role, and nobody gains any.
    while let Some(owner) = owners.pop() {
        let held = bindings::of(tx, owner, now).await?;
        for table in [Kind::ApiToken.table(), Kind::App.table()] {
            narrow(tx, table, owner, &held, now, &mut owners).await?;
        }
    }
    Ok(())
}

async fn narrow(
    tx: &Tx<'_>,
    table: &str,
    owner: PrincipalId,
    held: &[Binding],
    now: Instant,
    narrowed: &mut Vec<PrincipalId>,
) -> Result<()> {
    // A credential has each of its roles once, in its home: id and role are the key of the page.
    let sql = format!(
        "SELECT c.id, b.role, o.path FROM {table} c JOIN bindings b ON b.principal_id = c.id
         JOIN organizations o ON o.id = b.organization_id
         WHERE c.owner_id = ?1 AND c.revoked_at IS NULL AND c.id >= ?2 AND (c.id > ?2 OR b.role > ?3)
         ORDER BY c.id, b.role LIMIT ?4"
    );
    let revoke = format!(
        "UPDATE {table} SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM bindings b WHERE b.principal_id = ?1)"
    );
    let mut last = (String::new(), String::new());
    loop {
        let page: Vec<(PrincipalId, Role, OrganizationPath)> = tx
            .query_all(&sql, params![owner, last.0, last.1, NARROWED], |row| Ok((row.take()?, row.take()?, row.take()?)))
            .await?;
        for (id, role, path) in &page {
            if Authority::of(held, path).covers(*role) {
                continue;
            }
            tx.exec("DELETE FROM bindings WHERE principal_id = ?1 AND role = ?2", params![id, role]).await?;
            tx.exec(&revoke, params![id, now]).await?;
            access_tokens::revoke(tx, *id).await?;
            if narrowed.last() != Some(id) {
                narrowed.push(*id);
            }
        }
        match page.last() {
            Some((id, role, _)) if page.len() == NARROWED as usize => last = (id.to_string(), role.to_string()),
            _ => return Ok(()),
        }
    }
}

/// Revokes all credentials of an organization, which is removed with whatever was bound in it.
pub(crate) async fn revoke_all(tx: &Tx<'_>, organization: Id<id::Organization>, now: Instant) -> Result<()> {
    for table in [Kind::ApiToken.table(), Kind::App.table()] {
        let sql = format!("UPDATE {table} SET revoked_at = ?2 WHERE organization_id = ?1 AND revoked_at IS NULL");
        tx.exec(&sql, params![organization, now]).await?;
    }
    Ok(())
}

/// Whether the operator has an API token that was used and is still good. Only bootstrapping asks, before anybody is there
/// who could have a scope.
pub async fn any_in_use(tx: &Tx<'_>, operator: Id<id::Organization>, now: Instant) -> Result<bool> {
    let found: Option<Id<id::ApiToken>> = tx
        .query_opt(
            "SELECT id FROM api_tokens WHERE organization_id = ?1 AND revoked_at IS NULL AND last_used_at IS NOT NULL
             AND (expires_at IS NULL OR expires_at > ?2) ORDER BY id LIMIT 1",
            params![operator, now],
            |row| row.take(),
        )
        .await?;
    Ok(found.is_some())
}

/// Revokes the operator's API tokens that were never used: nobody may have them. Only bootstrapping does this.
pub async fn revoke_unused(tx: &Tx<'_>, operator: Id<id::Organization>, now: Instant) -> Result<()> {
    tx.exec(
        "UPDATE api_tokens SET revoked_at = ?2 WHERE organization_id = ?1 AND revoked_at IS NULL AND last_used_at IS NULL",
        params![operator, now],
    )
    .await
}
