//! The routes between the hub's own parts, and how one component asks another.

use crate::{
    Answer, FromRequest, Hub, Incoming, Shown,
    hub::variable,
    identity::bearer,
    jobs::{self, Round},
    limits, secret,
};
use domain::{Error, JsonSchema, Kind, Result};
use http_body_util::BodyExt;
use serde::Serialize;
use spin_sdk::http::FullBody;

/// Proof that the request came from a part of the hub or from its scheduler: it held the internal secret.
pub struct Internal;

impl FromRequest for Internal {
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        if secret::same(bearer(incoming)?, &variable("internal_secret").await?) {
            return Ok(Self);
        }
        Err(Error::new(
            Kind::Unauthenticated,
            "internal_secret_wrong",
            "This route is for the hub's own parts. Send the value of the variable internal_secret as a Bearer token.",
        ))
    }
}

/// How a component feels.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// Always `UP`: a component that is not answers 503.
    status: &'static str,
    /// Which one.
    component: &'static str,
}

/// Up means: it runs, and its database answers with the schema it needs.
pub(crate) async fn health(hub: Hub) -> Result<Shown<Health>> {
    hub.db().await?;
    Ok(Shown(Health { status: "UP", component: hub.component() }))
}

/// Runs a batch of the component's due jobs; none, where the component has no jobs.
pub(crate) async fn run_jobs(hub: Hub, _: Internal) -> Result<Shown<Round>> {
    match hub.routes().run_job() {
        Some(run) => jobs::run_due(&hub, run).await.map(Shown),
        None => Ok(Shown(Round { ran: 0 })),
    }
}

/// Asks another component, over the private route that only the hub's own parts can reach. The trace goes along; the
/// caller's identity does not, for what one component does for another it does as the hub.
pub async fn call(hub: &Hub, component: &str, method: http::Method, path: &str) -> Result<Answer> {
    let fault = |what: String| Error::unavailable(format!("{component}{path}: {what}"));
    let internal_secret = variable("internal_secret").await?;
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://{component}.spin.internal{path}"))
        .header("authorization", format!("Bearer {internal_secret}"))
        .header("traceparent", hub.traceparent())
        .body(FullBody::new(bytes::Bytes::new()))
        .map_err(|error| fault(error.to_string()))?;
    let response = spin_sdk::http::send(request).await.map_err(|error| fault(format!("{error:?}")))?;
    let mut answer = Answer::new(response.status().as_u16());
    let body = http_body_util::Limited::new(response.into_body(), 4 * limits::BODY);
    answer.body = Some(body.collect().await.map_err(|error| fault(format!("{error:?}")))?.to_bytes().to_vec());
    Ok(answer)
}
