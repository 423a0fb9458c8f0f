//! `/v1/access-tokens`

use domain::{
    Error, Instant, JsonSchema, Kind, Result, Text,
    audit::AuditResult,
    session::{ACCESS_TOKEN_LIFETIME, refresh_token_halves},
};
use serde::Deserialize;
use store::{
    access_tokens,
    sessions::{self, Refreshed},
};
use web::{
    AccessToken, Body, Caller, Hub, Issued, NewTokens, NoContent, Presented, Proof, Sent, begin_session, note_sign_in, permit,
    secret, variable,
};

/// The credential to exchange: one of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exchange {
    /// An API token: `hubpt_…`.
    api_token: Option<Text<1, 200>>,
    /// The newest refresh token of a person who signed in: `hubrt_…`. Within ten seconds it gets the same answer again.
    refresh_token: Option<Text<1, 200>>,
}

/// Takes no Idempotency-Key: nobody is known yet whose key it could be, and a second access token does no harm.
pub async fn create(hub: Hub, Body(exchange): Body<Exchange>) -> Result<Issued> {
    match (exchange.api_token, exchange.refresh_token) {
        (Some(api_token), None) => exchange_api_token(&hub, &api_token).await,
        (None, Some(refresh_token)) => refresh(&hub, &refresh_token).await,
        _ => Err(Error::invalid("", "Give either apiToken or refreshToken, and not both.")),
    }
}

async fn exchange_api_token(hub: &Hub, api_token: &str) -> Result<Issued> {
    let access_token = secret::new("hubat_");
    let (given, issued) = (secret::hash(api_token), secret::hash(&access_token));
    let expires_at = hub.now() + ACCESS_TOKEN_LIFETIME;
    let ends = hub
        .db()
        .await?
        .in_transaction(async |tx| access_tokens::exchange(tx, None, &given, &issued, hub.now(), expires_at).await)
        .await?;
    let ends = ends.ok_or_else(|| {
        Error::new(
            Kind::Unauthenticated,
            "api_token_invalid",
            "The API token is unknown, has ended or was revoked. Ask an administrator of your organization for a new one.",
        )
    })?;
    Ok(Issued(AccessToken::new(access_token, hub.now(), ends)))
}

/// What becomes of a refresh token is kept also where the answer is a refusal, so the refusal is made after the transaction.
async fn refresh(hub: &Hub, refresh_token: &str) -> Result<Issued> {
    let invalid = |code, what: &str| {
        Error::new(Kind::Unauthenticated, code, format!("The refresh token {what}. Sign in again to get a new one."))
    };
    let unknown = || invalid("refresh_token_invalid", "is unknown, or its session has ended");
    let (shared, own) = refresh_token_halves(refresh_token).ok_or_else(unknown)?;
    let (hash, refresh_hash) = (secret::hash(shared), secret::hash(own));
    let fresh = NewTokens::new(Some(shared));
    // Who reads the database, and has the data key too, cannot open it without the token.
    let key = secret::key(&variable("data_key").await?, "refresh", &[refresh_token]);
    let outcome = hub
        .db()
        .await?
        .in_transaction(async |tx| match sessions::refresh(tx, &hash, &refresh_hash, &fresh.own_hash(), hub.now()).await? {
            Refreshed::Lapsed => Ok(Err(Refreshed::Lapsed)),
            Refreshed::Replaced(person, ends) => {
                let token = begin_session(hub, tx, person, &fresh, Proof::Refresh(ends)).await?;
                sessions::keep_answer(tx, &hash, &seal(&key, &token, hub.now())?).await?;
                Ok(Ok(token))
            }
            Refreshed::Again(kept) => open(&key, &kept).map(Ok),
            Refreshed::UsedBefore(person) => {
                // Once a session, for it ends with this.
                note_sign_in(hub, tx, person, "sessions.refresh", AuditResult::Failure).await?;
                Ok(Err(Refreshed::UsedBefore(person)))
            }
            Refreshed::Unknown => Ok(Err(Refreshed::Unknown)),
        })
        .await?;
    match outcome {
        Ok(token) => Ok(Issued(token)),
        Err(Refreshed::UsedBefore(_)) => {
            Err(invalid("refresh_token_reused", "was used before, so somebody else may have it, and its session has been ended"))
        }
        Err(_) => Err(unknown()),
    }
}

/// Seals the tokens of an answer, for the request that comes again.
fn seal(key: &[u8; 32], token: &AccessToken, now: Instant) -> Result<String> {
    let ends = token.session_expires_at.map(|at| at.timestamp_millis());
    let tokens: IssuedTokens = (
        token.access_token.clone(),
        token.refresh_token.clone(),
        now.timestamp_millis(),
        token.expires_at.timestamp_millis(),
        ends,
    );
    secret::seal(key, &serde_json::to_vec(&tokens).map_err(|error| Error::fault(error.to_string()))?)
}

/// The access token, the next refresh token; and in milliseconds the instant of their issue, the end of the access token and the end
/// of the session.
type IssuedTokens = (String, Option<String>, i64, i64, Option<i64>);

/// The answer that was sealed.
fn open(key: &[u8; 32], sealed: &str) -> Result<AccessToken> {
    let (access_token, refresh_token, now, expires_at, ends): IssuedTokens =
        serde_json::from_slice(&secret::open(key, sealed)?).map_err(|error| Error::fault(error.to_string()))?;
    let at = |millis| Instant::from_timestamp_millis(millis).unwrap_or_default();
    let token = AccessToken::new(access_token, at(now), at(expires_at));
    Ok(AccessToken { refresh_token, session_expires_at: ends.map(at), ..token })
}

/// Signs out: ends the access token that the request came with, and the session it is of.
pub async fn end(hub: Hub, caller: Caller<permit::Oneself>, Presented(hash): Presented) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        if let Some(session) = access_tokens::end(tx, &hash).await? {
            sessions::end(tx, &session).await?;
        }
        Ok(NoContent)
    })
    .await
}
