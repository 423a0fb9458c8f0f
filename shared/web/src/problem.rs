//! Refusals and faults as RFC 9457 problems. This is the only place that turns a kind of error into a status.

use crate::{Answer, Hub};
use domain::{Error, FieldError, JsonSchema, Kind};
use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success (RFC 9457, `application/problem+json`).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// Names the kind of problem; made of its code.
    pub r#type: String,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, and what to do.
    pub detail: String,
    /// Stable and machine-readable.
    pub code: &'static str,
    /// The request, for support.
    pub request_id: String,
    /// Which fields are at fault, when it is the content that is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub errors: Vec<ProblemField>,
}

/// One field at fault.
#[derive(Deserialize, Serialize, JsonSchema)]
pub(crate) struct ProblemField {
    /// A JSON Pointer (RFC 6901) to it.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// The refusal of a request's content that another component answered with.
pub(crate) fn read(body: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        errors: Vec<ProblemField>,
    }
    match serde_json::from_slice::<Fields>(body) {
        Ok(Fields { errors }) if !errors.is_empty() => Error::invalid_fields(
            errors.into_iter().map(|ProblemField { pointer, detail }| FieldError { pointer, detail }).collect(),
        ),
        _ => Error::unavailable("a component refused a request and did not say where"),
    }
}

pub(crate) fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Malformed => 400,
        Kind::Unauthenticated => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::Conflict => 409,
        Kind::Stale => 412,
        Kind::Invalid => 422,
        Kind::ConditionRequired => 428,
        Kind::TooMany => 429,
        Kind::Unavailable => 503,
    }
}

/// What the caller is told. Who runs the hub is told the reason of a fault as well: the caller with the internal secret.
fn detail(hub: &Hub, error: &Error) -> String {
    match &error.internal {
        Some(internal) if hub.is_trusted() => internal.clone(),
        _ => error.public.clone(),
    }
}

/// The answer for an error.
pub(crate) fn answer(hub: &Hub, error: &Error) -> Answer {
    // These refusals belong to HTTP and not to any rule, so they have no kind of their own.
    let status = match error.code {
        "method_not_allowed" => 405,
        "body_too_large" => 413,
        "target_too_long" => 414,
        "unsupported_media_type" | "unsupported_content_encoding" => 415,
        _ => status(error.kind),
    };
    let problem = Problem {
        r#type: format!("urn:provider-hub:problem:{}", error.code),
        title: http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error"),
        status,
        detail: detail(hub, error),
        code: error.code,
        request_id: hub.trace().request_id.to_string(),
        errors: error
            .fields
            .iter()
            .map(|field| ProblemField { pointer: field.pointer.clone(), detail: field.detail.clone() })
            .collect(),
    };
    let mut answer = Answer::new(status);
    answer.body = serde_json::to_vec(&problem).ok();
    answer.header("content-type", "application/problem+json");
    match status {
        401 => answer.header("www-authenticate", "Bearer"),
        // RFC 9110, 15.5.16.
        415 if error.code == "unsupported_content_encoding" => answer.header("accept-encoding", "identity"),
        503 if error.retry_after.is_none() && error.passes() => answer.header("retry-after", "1"),
        _ => {}
    }
    if let Some(seconds) = error.retry_after {
        answer.header("retry-after", seconds.to_string());
    }
    answer
}
