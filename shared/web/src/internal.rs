//! The routes between the hub's own parts, and how one component asks another.

use crate::{
    Answer, FromRequest, Hub, Incoming, Shown,
    hub::variable,
    identity::bearer,
    jobs::Round,
    limits,
    outbound::{self, NoAnswer, Outgoing},
    problem,
    route::LocalIn,
    secret,
};
use domain::{Error, JsonSchema, Kind, Result, setting};
use serde::Serialize;

/// Proof that the request came from a part of the hub or from its scheduler: it held the internal secret.
pub struct Internal;

impl FromRequest for Internal {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        let internal_secret = variable("internal_secret").await?;
        // One that can be guessed opens nothing.
        setting::check_internal_secret(&internal_secret)
            .map_err(|why| Error::new(Kind::Unavailable, "internal_secret_unfit", why + "."))?;
        if secret::same(&bearer(incoming)?, &internal_secret) {
            hub.trust();
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

/// Runs a batch of the component's due jobs; none, where the component has no jobs. With `?job=` it runs that one, for whoever would
/// rather wait for it.
pub(crate) async fn run_jobs(hub: Hub, _: Internal) -> Result<Shown<Round>> {
    match hub.routes().round() {
        Some(round) => round(&hub).await.map(Shown),
        None => Ok(Shown(Round { ran: 0 })),
    }
}

/// Asks another component, over the private route that only the hub's own parts can reach. The trace goes along; the
/// caller's identity does not, for what one component does for another it does as the hub.
pub async fn call(hub: &Hub, component: &str, method: http::Method, path: &str) -> Result<Answer> {
    send(hub, component, method, path, Vec::new()).await
}

/// Asks another component something that takes a JSON body, with a POST. Its refusal is an error here as it was there.
pub async fn ask(hub: &Hub, component: &str, path: &str, body: &impl Serialize) -> Result<Answer> {
    let body = serde_json::to_vec(body).map_err(|error| Error::unavailable(format!("{component}{path}: {error}")))?;
    let answer = send(hub, component, http::Method::POST, path, body).await?;
    match answer.status {
        200..=299 => Ok(answer),
        422 => Err(problem::read(answer.body.as_deref().unwrap_or_default())),
        status => Err(Error::unavailable(format!("{component}{path} answered {status}"))),
    }
}

/// Sends another component a JSON body with a POST, and gives its answer as it is, refusals too.
pub async fn tell(hub: &Hub, component: &str, path: &str, body: Vec<u8>) -> Result<Answer> {
    send(hub, component, http::Method::POST, path, body).await
}

/// Boxed, because it would otherwise be compiled into every handler that asks.
fn send<'a>(hub: &'a Hub, component: &'a str, method: http::Method, path: &'a str, body: Vec<u8>) -> LocalIn<'a, Result<Answer>> {
    Box::pin(async move {
        let fault = |error: NoAnswer| Error::unavailable(format!("{component}{path}: {error:?}"));
        let request = Outgoing {
            method,
            url: &format!("http://{component}.spin.internal{path}"),
            headers: vec![
                ("authorization", format!("Bearer {}", variable("internal_secret").await?)),
                ("traceparent", hub.traceparent()),
                ("content-type", "application/json".to_owned()),
            ],
            body,
        };
        let answered = outbound::send(request).await.map_err(fault)?;
        let mut answer = Answer::new(answered.status());
        let (limit, mut body) = (4 * limits::BODY as u64, Vec::new());
        if answered.read(limit, |piece| body.extend_from_slice(piece)).await.map_err(fault)? > limit {
            return Err(Error::unavailable(format!("{component}{path} answered with more than {limit} bytes")));
        }
        answer.body = Some(body);
        Ok(answer)
    })
}
