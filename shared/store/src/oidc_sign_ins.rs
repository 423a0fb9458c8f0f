//! Sign-ins under way at an identity provider.

use crate::{Tx, params};
use domain::{Id, Instant, Result, id};

/// The most that are kept: anybody can begin one. Beyond it those that would end first end first.
const KEPT: i64 = 50_000;

/// Begins one, known by the hash of its state, and forgets a few that were never finished.
pub async fn insert(
    tx: &Tx<'_>,
    hash: &str,
    provider: Id<id::IdentityProvider>,
    sealed: &str,
    now: Instant,
    expires_at: Instant,
) -> Result<()> {
    tx.exec(
        "DELETE FROM oidc_sign_ins WHERE hash IN (SELECT hash FROM oidc_sign_ins WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 20)",
        params![now],
    )
    .await?;
    tx.exec(
        "DELETE FROM oidc_sign_ins WHERE expires_at < (SELECT expires_at FROM oidc_sign_ins ORDER BY expires_at DESC LIMIT 1 OFFSET ?1)",
        params![KEPT],
    )
    .await?;
    tx.exec(
        "INSERT INTO oidc_sign_ins (hash, identity_provider_id, sealed, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![hash, provider, sealed, expires_at],
    )
    .await
}

/// Ends the one with this state: where it was begun, and what was sealed then. Of two who come with one state, one gets it.
pub async fn take(tx: &Tx<'_>, hash: &str, now: Instant) -> Result<Option<(Id<id::IdentityProvider>, String)>> {
    tx.query_opt(
        "DELETE FROM oidc_sign_ins WHERE hash = ?1 AND expires_at > ?2 RETURNING identity_provider_id, sealed",
        params![hash, now],
        |row| Ok((row.take()?, row.take()?)),
    )
    .await
}
