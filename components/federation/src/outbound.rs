//! Asking an identity provider something, with an end to how long and how much.

use domain::{Error, Kind, Result};
use http::Method;
use std::time::Duration;
use web::outbound::{self, NoAnswer, Outgoing};

/// How long an identity provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LIMIT: u64 = 256 * 1024;

/// The stable code of a [`fault`].
pub const UNAVAILABLE: &str = "identity_provider_unavailable";

/// It did not answer, or not what it must: nobody can sign in there just now. What is told the caller says nothing of the
/// network; the log does.
pub fn fault(internal: impl Into<String>) -> Error {
    Error::new(
        Kind::Unavailable,
        UNAVAILABLE,
        "The identity provider does not answer as it should, so nobody can sign in with it just now. Begin again in a moment; if it stays so, tell your administrator.",
    )
    .with_internal(internal)
}

/// Status and body of the answer to a GET, or to a POST of a form, of which the header is the Authorization.
pub async fn ask(url: &str, form: Option<(String, Option<String>)>) -> Result<(u16, Vec<u8>)> {
    let mut headers = vec![("accept", "application/json".to_owned())];
    let (method, body) = match form {
        None => (Method::GET, Vec::new()),
        Some((form, authorization)) => {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
            headers.extend(authorization.map(|authorization| ("authorization", authorization)));
            (Method::POST, form.into_bytes())
        }
    };
    let asked = async {
        let answered = outbound::send(Outgoing { method, url, headers, body }).await?;
        let (status, mut body) = (answered.status(), Vec::new());
        let length = answered.read(LIMIT, |piece| body.extend_from_slice(piece)).await?;
        Ok((status, body, length))
    };
    let (status, body, length) = outbound::within(TIMEOUT, asked).await.map_err(|error| match error {
        NoAnswer::TimeOut => fault(format!("{url}: no answer within {TIMEOUT:?}")),
        error => fault(format!("{url}: {error:?}")),
    })?;
    if length > LIMIT {
        return Err(fault(format!("{url}: more than {LIMIT} bytes")));
    }
    Ok((status, body))
}
