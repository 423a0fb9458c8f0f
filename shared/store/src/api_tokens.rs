//! API tokens and the roles they were given: the identities of machines.

use crate::{Db, Row, Scope, Tx, access_tokens, params, value::start};
use domain::{Error, Id, Instant, PrincipalId, Result, Role, id};

/// An API token as it is shown: never its secret, which nobody has but its holder.
#[derive(Clone, Debug, serde::Serialize, domain::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its id.
    pub id: Id<id::ApiToken>,
    /// The organization it belongs to, and acts in unless told otherwise.
    pub organization_id: Id<id::Organization>,
    /// What its owner calls it.
    pub name: String,
    /// The role it has in its organization.
    pub role: Role,
    /// When it ends by itself; never, when absent.
    pub expires_at: Option<Instant>,
    /// When it was last exchanged for an access token.
    pub last_used_at: Option<Instant>,
    /// When it was issued.
    pub created_at: Instant,
}

const COLUMNS: &str = "t.id, t.organization_id, t.name, b.role, t.expires_at, t.last_used_at, t.created_at";
const FROM: &str = "api_tokens t JOIN bindings b ON b.principal_id = t.id AND b.organization_id = t.organization_id JOIN organizations o ON o.id = t.organization_id";

fn read(row: &mut Row) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.take()?,
        organization_id: row.take()?,
        name: row.take()?,
        role: row.take()?,
        expires_at: row.take()?,
        last_used_at: row.take()?,
        created_at: row.take()?,
    })
}

/// Issues a token and binds its role in its home organization, which the caller has found within its scope.
pub async fn insert(tx: &Tx<'_>, token: &ApiToken, hash: &str) -> Result<()> {
    tx.exec(
        "INSERT INTO api_tokens (id, organization_id, name, hash, expires_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![token.id, token.organization_id, token.name, hash, token.expires_at, token.created_at],
    )
    .await?;
    tx.exec(
        "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, ?2, ?3)",
        params![token.id, token.role, token.organization_id],
    )
    .await
}

/// A page of the tokens within the scope that were not revoked, oldest first.
pub async fn list(db: &Db, scope: &Scope, after: Option<Id<id::ApiToken>>, limit: u32) -> Result<Vec<ApiToken>> {
    let values = scope.after(params![start(after), limit]);
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM {FROM} WHERE t.revoked_at IS NULL AND o.path >= ?3 AND o.path < ?4 AND t.id > ?1
             ORDER BY t.id LIMIT ?2"
        ),
        values,
        read,
    )
    .await
}

/// Revokes a token within the scope, and its access tokens with it.
pub async fn revoke(tx: &Tx<'_>, scope: &Scope, id: Id<id::ApiToken>, now: Instant) -> Result<()> {
    let values = scope.after(params![id, now]);
    let revoked: Option<Id<id::ApiToken>> = tx
        .query_opt(
            "UPDATE api_tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL
             AND organization_id IN (SELECT id FROM organizations WHERE path >= ?3 AND path < ?4) RETURNING id",
            values,
            |row| row.take(),
        )
        .await?;
    let revoked = revoked.ok_or_else(|| Error::not_found("api_token_not_found", "API token", id))?;
    access_tokens::revoke(tx, PrincipalId::ApiToken(revoked)).await
}

/// Whether the operator has a token that was used and is still good. Only bootstrapping asks, before anybody is there who
/// could have a scope.
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

/// Revokes the operator's tokens that were never used: nobody may have them. Only bootstrapping does this.
pub async fn revoke_unused(tx: &Tx<'_>, operator: Id<id::Organization>, now: Instant) -> Result<()> {
    tx.exec(
        "UPDATE api_tokens SET revoked_at = ?2 WHERE organization_id = ?1 AND revoked_at IS NULL AND last_used_at IS NULL",
        params![operator, now],
    )
    .await
}
