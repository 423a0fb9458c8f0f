//! What the hub knows of an identity provider: its addresses and its keys. Both are kept in the database, where all instances
//! find them, until they are too old to be believed.

use crate::{
    id_token::Jwks,
    outbound::{UNAVAILABLE, ask, fault},
};
use chrono::TimeDelta;
use domain::{Error, Instant, Result, oidc::Url};
use serde::{Deserialize, Serialize};
use store::identity_providers::{self, Trusted};
use web::Hub;

/// For how long metadata and keys are believed.
const BELIEVED: TimeDelta = TimeDelta::hours(1);
/// How long to wait at least before keys are fetched again, whatever keys tokens name: else whoever makes up names has the hub
/// ask for keys as often as they like.
const REFETCH: TimeDelta = TimeDelta::seconds(60);

/// What an identity provider says of itself (OpenID Connect Discovery, 3), as far as it is looked at.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Metadata {
    issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: Url,
    /// Where codes are exchanged.
    pub token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether it says in its answers by way of the browser which one it is (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Whether the hub's secret goes into the form and not into the header, which is the default.
    pub fn wants_secret_in_form(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let has = |method: &str| methods.iter().any(|known| known == method);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

/// What comes of asking an identity provider something. One that fails is left alone for a while, so that nobody waits for what the
/// one before has waited for in vain.
pub async fn asked<T>(hub: &Hub, provider: &Trusted, outcome: Result<T>) -> Result<T> {
    let failed = outcome.as_ref().is_err_and(|error| error.code == UNAVAILABLE);
    let refused = outcome.is_err() && !failed;
    if failed || (provider.failures > 0 && !refused) {
        let db = hub.db().await?;
        db.in_transaction(async |tx| identity_providers::note_answer(tx, provider.id, failed, hub.present()).await).await?;
    }
    outcome
}

/// Refuses a provider that failed a moment ago.
pub fn check_answers(provider: &Trusted, now: Instant) -> Result<()> {
    match provider.paused_until {
        Some(until) if until > now => {
            let seconds = u32::try_from((until - now).num_seconds() + 1).unwrap_or(u32::MAX);
            Err(Error { retry_after: Some(seconds), ..fault("it failed a moment ago and is left alone") })
        }
        _ => Ok(()),
    }
}

/// Its metadata: as kept, or fetched now.
pub async fn metadata(hub: &Hub, provider: &Trusted) -> Result<Metadata> {
    if let Some(kept) = &provider.metadata {
        return serde_json::from_str(kept).map_err(|error| fault(format!("kept metadata: {error}")));
    }
    let fetched = fetched_metadata(hub, provider).await;
    asked(hub, provider, fetched).await
}

async fn fetched_metadata(hub: &Hub, provider: &Trusted) -> Result<Metadata> {
    let url = format!("{}/.well-known/openid-configuration", provider.issuer.trim_end_matches('/'));
    let (status, body) = ask(&url, None).await?;
    let metadata: Metadata = match status {
        200 => serde_json::from_slice(&body).map_err(|error| fault(format!("{url}: {error}")))?,
        other => return Err(fault(format!("{url}: {other}"))),
    };
    if metadata.issuer != provider.issuer {
        return Err(fault(format!("{url} is about the issuer {:?}", metadata.issuer)));
    }
    let kept = serde_json::to_string(&metadata).map_err(|error| fault(error.to_string()))?;
    let until = hub.now() + BELIEVED;
    hub.db().await?.in_transaction(async |tx| identity_providers::keep_metadata(tx, provider.id, &kept, until).await).await?;
    Ok(metadata)
}

/// Its keys, as they are kept.
pub fn kept_keys(provider: &Trusted) -> Option<Jwks> {
    provider.keys.as_ref().and_then(|kept| Jwks::read(kept.as_bytes()))
}

/// Its keys, fetched now. `None` when there are some that were fetched a moment ago, and need not be again.
pub async fn fetched_keys(hub: &Hub, provider: &Trusted, metadata: &Metadata) -> Result<Option<Jwks>> {
    let db = hub.db().await?;
    // Where none are believed, they are asked for in any case: the last attempt may have failed.
    let since = if provider.keys.is_some() { hub.now() - REFETCH } else { hub.now() };
    if !db.in_transaction(async |tx| identity_providers::may_fetch_keys(tx, provider.id, since, hub.now()).await).await? {
        return Ok(None);
    }
    let url = metadata.jwks_uri.as_str();
    let shown = ask(url, None).await.and_then(|(status, body)| match status {
        200 => Jwks::read(&body).ok_or_else(|| fault(format!("{url}: no set of keys"))),
        other => Err(fault(format!("{url}: {other}"))),
    });
    let keys = asked(hub, provider, shown).await?;
    let kept = serde_json::to_string(&keys).map_err(|error| fault(error.to_string()))?;
    let until = hub.now() + BELIEVED;
    db.in_transaction(async |tx| identity_providers::keep_keys(tx, provider.id, &kept, until).await).await?;
    Ok(Some(keys))
}
