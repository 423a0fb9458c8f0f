//! `/v1/access-tokens`

use chrono::TimeDelta;
use domain::{Error, Instant, JsonSchema, Kind, Result, Text};
use serde::{Deserialize, Serialize};
use store::access_tokens;
use web::{Body, Hub, Reply, secret};

/// For how long an access token is good, unless its API token ends sooner.
const LIFETIME: TimeDelta = TimeDelta::minutes(30);

/// The credential to exchange.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exchange {
    /// An API token: `hubpt_…`.
    api_token: Text<1, 200>,
}

/// An access token, good for requests until it expires or its API token is revoked.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// For how many seconds it is good.
    expires_in: i64,
    /// Until when it is good.
    expires_at: Instant,
}

/// 201 without a place to read it again: the token is shown once.
pub struct Issued(AccessToken);

impl Reply for Issued {
    fn into_answer(self) -> Result<web::Answer> {
        web::Answer::json(201, &self.0)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for Issued {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<AccessToken>(201, "The access token; it is shown this once.");
        operation.problem(401, "The API token is unknown, has ended or was revoked.");
    }
}

/// Takes no Idempotency-Key: nobody is known yet whose key it could be, and a second access token does no harm.
pub async fn create(hub: Hub, Body(exchange): Body<Exchange>) -> Result<Issued> {
    let access_token = secret::new("hubat_");
    let expires_at = hub.now() + LIFETIME;
    let (given, issued) = (secret::hash(&exchange.api_token), secret::hash(&access_token));
    let ends = hub
        .db()
        .await?
        .in_transaction(async |tx| access_tokens::exchange(tx, &given, &issued, hub.now(), expires_at).await)
        .await?;
    let expires_at = ends.ok_or_else(|| {
        Error::new(
            Kind::Unauthenticated,
            "api_token_invalid",
            "The API token is unknown, has ended or was revoked. Ask an administrator of your organization for a new one.",
        )
    })?;
    let expires_in = (expires_at - hub.now()).num_seconds();
    Ok(Issued(AccessToken { access_token, token_type: "Bearer", expires_in, expires_at }))
}
