//! Asking an identity provider something, with an end to how long and how much.

use domain::{Error, Kind, Result};
use http_body_util::BodyExt;
use spin_sdk::http::FullBody;
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

/// How long an identity provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LIMIT: usize = 256 * 1024;

/// It did not answer, or not what it must: nobody can sign in there just now. What is told the caller says nothing of the
/// network; the log does.
pub fn fault(internal: impl Into<String>) -> Error {
    Error::new(
        Kind::Unavailable,
        "identity_provider_unavailable",
        "The identity provider does not answer as it should, so nobody can sign in with it just now. Begin again in a moment; if it stays so, tell your administrator.",
    )
    .with_internal(internal)
}

/// Status and body of the answer to a GET, or to a POST of a form, of which the header is the Authorization.
pub async fn ask(url: &str, form: Option<(String, Option<String>)>) -> Result<(u16, Vec<u8>)> {
    let mut request = http::Request::builder().uri(url).header("accept", "application/json");
    let body = match form {
        None => String::new(),
        Some((form, authorization)) => {
            request = request.method("POST").header("content-type", "application/x-www-form-urlencoded");
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            form
        }
    };
    let request = request.body(FullBody::new(bytes::Bytes::from(body))).map_err(|error| fault(format!("{url}: {error}")))?;
    let mut exchange = pin!(async {
        let response = spin_sdk::http::send(request).await.map_err(|error| fault(format!("{url}: {error:?}")))?;
        let status = response.status().as_u16();
        let body = http_body_util::Limited::new(response.into_body(), LIMIT);
        let body = body.collect().await.map_err(|error| fault(format!("{url}: {error:?}")))?;
        Ok((status, body.to_bytes().to_vec()))
    });
    let mut timeout = pin!(spin_sdk::time::sleep(TIMEOUT));
    poll_fn(|context| match exchange.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(answer),
        Poll::Pending => timeout.as_mut().poll(context).map(|()| Err(fault(format!("{url}: no answer within {TIMEOUT:?}")))),
    })
    .await
}
