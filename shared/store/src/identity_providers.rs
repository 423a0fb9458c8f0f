//! Identity providers: the OpenID providers that the hub trusts, and what it has heard from them lately.

use crate::{Db, Row, Scope, Tx, customers_word, params, sessions, value::start};
use domain::{Error, Id, Instant, JsonSchema, Kind, OrganizationPath, PrincipalId, Result, id, oidc::pause_after};
use serde::Serialize;

/// An identity provider as it is shown: never its client secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// Its id.
    pub id: Id<id::IdentityProvider>,
    /// The organization it serves: people sign in with it who have a role there or below, and their sessions open no more.
    pub organization_id: Id<id::Organization>,
    /// What people know it by.
    pub name: String,
    /// Its issuer identifier; its metadata is below it (OpenID Connect Discovery).
    pub issuer: String,
    /// The hub's id there.
    pub client_id: String,
    /// Whether the hub has a client secret there.
    pub has_client_secret: bool,
    /// What it is asked for; `openid` and `email` are always among them.
    pub scopes: Vec<String>,
    /// The domains of mail addresses that it may vouch for; all, when empty.
    pub email_domains: Vec<String>,
    /// Whether addresses in these domains count as verified where the provider does not say, as with Microsoft Entra ID.
    pub assume_email_verified: bool,
    /// Whether it waits for the customer that it serves to trust it: it was added or edited from above, and vouches for nobody yet.
    pub awaits_customer: bool,
    /// When it was added.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// An identity provider as signing in needs it.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Its id.
    pub id: Id<id::IdentityProvider>,
    /// Where the organization stands that it serves.
    pub path: OrganizationPath,
    /// Its issuer identifier.
    pub issuer: String,
    /// The hub's id there.
    pub client_id: String,
    /// The hub's secret there, sealed.
    pub client_secret: Option<String>,
    /// What it is asked for, separated by spaces.
    pub scopes: String,
    /// The domains it may vouch for, separated by spaces.
    pub email_domains: String,
    /// Whether addresses in these domains count as verified where it does not say.
    pub assumes_email_verified: bool,
    /// How many times in a row it did not answer as it should, and until when it is left alone for that.
    pub failures: i64,
    /// Absent where it answered the last time.
    pub paused_until: Option<Instant>,
    /// What it says of itself, as it was kept, if that is still believed.
    pub metadata: Option<String>,
    /// Its keys, as they were kept, if they are still believed.
    pub keys: Option<String>,
}

/// What is edited of an identity provider; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// What people know it by.
    pub name: Option<String>,
    /// The hub's id there.
    pub client_id: Option<String>,
    /// The hub's secret there, sealed.
    pub client_secret: Option<String>,
    /// Separated by spaces.
    pub scopes: Option<String>,
    /// Separated by spaces.
    pub email_domains: Option<String>,
    /// Whether addresses in these domains count as verified where the provider does not say.
    pub assume_email_verified: Option<bool>,
}

const COLUMNS: &str =
    "i.id, i.organization_id, i.name, i.issuer, i.client_id, CASE WHEN i.client_secret IS NULL THEN 0 ELSE 1 END,
    i.scopes, i.email_domains, i.assume_email_verified, i.awaits_customer, i.created_at, i.updated_at, i.version";

fn words(text: String) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn read(row: &mut Row) -> Result<IdentityProvider> {
    Ok(IdentityProvider {
        id: row.take()?,
        organization_id: row.take()?,
        name: row.take()?,
        issuer: row.take()?,
        client_id: row.take()?,
        has_client_secret: row.take::<i64>()? != 0,
        scopes: words(row.take()?),
        email_domains: words(row.take()?),
        assume_email_verified: row.take::<i64>()? != 0,
        awaits_customer: row.take::<i64>()? != 0,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
    })
}

fn not_found(id: Id<id::IdentityProvider>) -> Error {
    Error::not_found("identity_provider_not_found", "identity provider", id)
}

/// Adds an identity provider for an organization that the caller has found within its scope; `client_secret` is sealed. In a customer
/// that gives for itself it waits for that, which it tells.
pub async fn insert(tx: &Tx<'_>, provider: &IdentityProvider, client_secret: Option<&str>, by: PrincipalId) -> Result<bool> {
    let awaits = customers_word::awaits(tx, by, provider.organization_id).await?;
    tx.exec(
        "INSERT INTO identity_providers (id, organization_id, name, issuer, client_id, client_secret, scopes, email_domains,
             metadata_expires_at, keys_fetched_at, keys_expire_at, version, created_at, updated_at, assume_email_verified,
             awaits_customer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0, 1, ?9, ?9, ?10, ?11)",
        params![
            provider.id,
            provider.organization_id,
            provider.name,
            provider.issuer,
            provider.client_id,
            client_secret,
            provider.scopes.join(" "),
            provider.email_domains.join(" "),
            provider.created_at,
            i64::from(provider.assume_email_verified),
            i64::from(awaits)
        ],
    )
    .await?;
    Ok(awaits)
}

/// Has an identity provider of a customer, which it was found in, vouch for its people or not. One that is not trusted has vouched for
/// nobody: the sessions end that it vouched for.
pub async fn trust(tx: &Tx<'_>, id: Id<id::IdentityProvider>, trusted: bool, now: Instant) -> Result<()> {
    if !trusted {
        sessions::end_vouched_for(tx, id).await?;
    }
    tx.exec(
        "UPDATE identity_providers SET awaits_customer = ?2, version = version + 1, updated_at = ?3 WHERE id = ?1",
        params![id, i64::from(!trusted), now],
    )
    .await
}

/// A page of the identity providers within the scope, oldest first.
pub async fn list(db: &Db, scope: &Scope, after: Option<Id<id::IdentityProvider>>, limit: u32) -> Result<Vec<IdentityProvider>> {
    let values = scope.after(params![start(after), limit]);
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM identity_providers i JOIN organizations o ON o.id = i.organization_id
             WHERE o.path >= ?3 AND o.path < ?4 AND i.id > ?1 ORDER BY i.id LIMIT ?2"
        ),
        values,
        read,
    )
    .await
}

/// An identity provider within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::IdentityProvider>) -> Result<IdentityProvider> {
    let values = scope.after(params![id]);
    db.query_opt(
        &format!(
            "SELECT {COLUMNS} FROM identity_providers i JOIN organizations o ON o.id = i.organization_id
             WHERE i.id = ?1 AND o.path >= ?2 AND o.path < ?3"
        ),
        values,
        read,
    )
    .await?
    .ok_or_else(|| not_found(id))
}

/// Edits an identity provider within the scope that is at `version`, or at any. An edit by which it vouches for fewer people ends the
/// sessions that it vouched for: whoever it still vouches for signs in again.
pub async fn update(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::IdentityProvider>,
    version: Option<i64>,
    patch: &Patch,
    by: PrincipalId,
    now: Instant,
) -> Result<IdentityProvider> {
    let current = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(Error::new(
            Kind::Stale,
            "stale",
            "The identity provider was edited since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match.",
        ));
    }
    tx.exec(
        "UPDATE identity_providers SET name = COALESCE(?2, name), client_id = COALESCE(?3, client_id),
             client_secret = COALESCE(?4, client_secret), scopes = COALESCE(?5, scopes),
             email_domains = COALESCE(?6, email_domains), assume_email_verified = COALESCE(?8, assume_email_verified),
             failures = 0, paused_until = 0, version = version + 1, updated_at = ?7 WHERE id = ?1",
        params![
            id,
            patch.name,
            patch.client_id,
            patch.client_secret,
            patch.scopes,
            patch.email_domains,
            now,
            patch.assume_email_verified.map(i64::from)
        ],
    )
    .await?;
    if customers_word::awaits(tx, by, current.organization_id).await? {
        sessions::end_vouched_for(tx, id).await?;
        tx.exec("UPDATE identity_providers SET awaits_customer = 1 WHERE id = ?1", params![id]).await?;
    }
    let edited = find(tx, scope, id).await?;
    if vouches_for_less(&current, &edited) {
        sessions::end_vouched_for(tx, id).await?;
    }
    Ok(edited)
}

/// Whether there may be sessions of people for whom it vouched before the edit and would not after it.
fn vouches_for_less(before: &IdentityProvider, after: &IdentityProvider) -> bool {
    let (old, new) = (&before.email_domains, &after.email_domains);
    let fewer_domains = !new.is_empty() && (old.is_empty() || !old.iter().all(|domain| new.contains(domain)));
    fewer_domains || (before.assume_email_verified && !after.assume_email_verified) || before.client_id != after.client_id
}

/// Removes an identity provider within the scope, the sign-ins under way there, and the sessions that it vouched for: it may be
/// removed because it cannot be relied on. Gives the organization it served.
pub async fn delete(tx: &Tx<'_>, scope: &Scope, id: Id<id::IdentityProvider>) -> Result<Id<id::Organization>> {
    let organization = find(tx, scope, id).await?.organization_id;
    tx.exec("DELETE FROM oidc_sign_ins WHERE identity_provider_id = ?1", params![id]).await?;
    sessions::end_vouched_for(tx, id).await?;
    tx.exec("DELETE FROM identity_providers WHERE id = ?1", params![id]).await?;
    Ok(organization)
}

/// Removes the identity providers that serve an organization, which is removed itself.
pub(crate) async fn delete_all(tx: &Tx<'_>, organization: Id<id::Organization>) -> Result<()> {
    let ids: Vec<Id<id::IdentityProvider>> = tx
        .query_all("SELECT id FROM identity_providers WHERE organization_id = ?1", params![organization], |row| row.take())
        .await?;
    for id in ids {
        tx.exec("DELETE FROM oidc_sign_ins WHERE identity_provider_id = ?1", params![id]).await?;
        sessions::end_vouched_for(tx, id).await?;
    }
    tx.exec("DELETE FROM identity_providers WHERE organization_id = ?1", params![organization]).await
}

/// An identity provider for somebody who signs in and is not known yet: whoever has its id may.
pub async fn trusted(db: &Db, id: Id<id::IdentityProvider>, now: Instant) -> Result<Trusted> {
    db.query_opt(
        "SELECT i.id, o.path, i.issuer, i.client_id, i.client_secret, i.scopes, i.email_domains, i.assume_email_verified,
             i.failures, CASE WHEN i.failures > 0 THEN i.paused_until END,
             CASE WHEN i.metadata_expires_at > ?2 THEN i.metadata END, CASE WHEN i.keys_expire_at > ?2 THEN i.keys END
         FROM identity_providers i JOIN organizations o ON o.id = i.organization_id WHERE i.id = ?1 AND i.awaits_customer = 0",
        params![id, now],
        |row| {
            Ok(Trusted {
                id: row.take()?,
                path: row.take()?,
                issuer: row.take()?,
                client_id: row.take()?,
                client_secret: row.take()?,
                scopes: row.take()?,
                email_domains: row.take()?,
                assumes_email_verified: row.take::<i64>()? != 0,
                failures: row.take()?,
                paused_until: row.take()?,
                metadata: row.take()?,
                keys: row.take()?,
            })
        },
    )
    .await?
    .ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            "identity_provider_not_found",
            format!("There is no identity provider {id}. Ask an administrator of your organization how to sign in."),
        )
    })
}

/// Notes whether it failed when it was asked, and leaves it alone for a while if it did.
pub async fn note_answer(tx: &Tx<'_>, id: Id<id::IdentityProvider>, failed: bool, now: Instant) -> Result<()> {
    let sql = "SELECT failures FROM identity_providers WHERE id = ?1";
    let failures: Option<i64> = tx.query_opt(sql, params![id], |row| row.take()).await?;
    let failures = if failed { failures.unwrap_or_default() + 1 } else { 0 };
    let until = if failed { now + pause_after(failures) } else { now };
    tx.exec("UPDATE identity_providers SET failures = ?2, paused_until = ?3 WHERE id = ?1", params![id, failures, until]).await
}

/// Keeps what an identity provider says of itself.
pub async fn keep_metadata(tx: &Tx<'_>, id: Id<id::IdentityProvider>, metadata: &str, expires_at: Instant) -> Result<()> {
    tx.exec(
        "UPDATE identity_providers SET metadata = ?2, metadata_expires_at = ?3 WHERE id = ?1",
        params![id, metadata, expires_at],
    )
    .await
}

/// Whether its keys may be fetched now: `true` for one of all who ask between `since` and `now`.
pub async fn may_fetch_keys(tx: &Tx<'_>, id: Id<id::IdentityProvider>, since: Instant, now: Instant) -> Result<bool> {
    let claimed: Option<i64> = tx
        .query_opt(
            "UPDATE identity_providers SET keys_fetched_at = ?3 WHERE id = ?1 AND keys_fetched_at <= ?2 RETURNING version",
            params![id, since, now],
            |row| row.take(),
        )
        .await?;
    Ok(claimed.is_some())
}

/// Keeps its keys.
pub async fn keep_keys(tx: &Tx<'_>, id: Id<id::IdentityProvider>, keys: &str, expire_at: Instant) -> Result<()> {
    tx.exec("UPDATE identity_providers SET keys = ?2, keys_expire_at = ?3 WHERE id = ?1", params![id, keys, expire_at]).await
}
