//! Where a request comes from.

use crate::{FromRequest, Hub, Incoming, variable};
use domain::{
    Error, Result,
    source::{Source, TrustedProxies},
};
use std::net::SocketAddr;

/// The source of the request. Only for components that have the variable `trusted_proxies`.
pub struct RequestSource(pub Source);

impl FromRequest for RequestSource {
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        let trusted: TrustedProxies = variable("trusted_proxies")
            .await?
            .parse()
            .map_err(|error| Error::unavailable(format!("variable trusted_proxies: {error}")))?;
        // The host's own is the last one: Spin adds it to what a client sent under this name.
        let peer = incoming.headers.texts("spin-client-addr").last();
        let peer = peer.and_then(|peer| peer.parse::<SocketAddr>().ok()).map(|peer| peer.ip());
        let [forwarded, x_forwarded_for] = ["forwarded", "x-forwarded-for"].map(|name| {
            // Several headers of one name are one list (RFC 9110, 5.3).
            let all: Vec<String> = incoming.headers.texts(name).collect();
            (!all.is_empty()).then(|| all.join(","))
        });
        Ok(Self(Source::of(peer, forwarded.as_deref(), x_forwarded_for.as_deref(), &trusted)))
    }
}

#[cfg(not(target_family = "wasm"))]
impl crate::Describe for RequestSource {
    fn describe(operation: &mut crate::openapi::Operation<'_>) {
        operation.problem(429, "There were too many attempts, or too many are under way; Retry-After says when to try again.");
    }
}
