//! `/health`

use crate::OTHERS;
use chrono::TimeDelta;
use domain::{Error, Instant, JsonSchema, Result};
use futures::{
    StreamExt as _,
    future::{Either, select},
    stream,
};
use http::Method;
use serde::Serialize;
use spin_sdk::time::sleep;
use std::{pin::pin, time::Duration};
use store::health_checks::{self, HealthCheck};
use web::{Hub, Shown};

/// How long a check stands for all callers, and for how long one that is begun keeps others from being begun.
const STANDS: TimeDelta = TimeDelta::seconds(1);
/// How long the last check stands for callers who come while the next one is under way.
const STANDS_MEANWHILE: TimeDelta = TimeDelta::seconds(10);
/// How many components are asked at once: each may need an instance, and its memory.
const AT_ONCE: usize = 8;
/// How long a component may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a caller waits for the database's writer, which may be busy with something long, when it knows the last check.
const WRITER_PATIENCE: Duration = Duration::from_millis(100);
/// How often, and with which pause between, a caller looks for the outcome of a check that another began.
const LOOKS: u32 = 150;
const PAUSE: Duration = Duration::from_millis(20);

/// Whether the hub as a whole can do its work.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `UP` when every component answers. `DEGRADED` when some do not: the others work, so this is 200 too. When the database does
    /// not answer, or no component, the answer is 503.
    status: HealthStatus,
    /// The components that answer.
    components: Vec<String>,
    /// The components that do not; `/health/{component}` asks one of them.
    down: Vec<String>,
    /// When they were asked: once a second at most, however often this is.
    checked_at: Instant,
}

/// Whether all of the hub can do its work, or a part.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum HealthStatus {
    Up,
    Degraded,
}

pub async fn show(hub: Hub) -> Result<Shown<Health>> {
    let (db, now) = (hub.db().await?, hub.now());
    for _ in 0..LOOKS {
        let Some(last) = health_checks::find(db).await? else { break };
        let begun = recent(last.asked_at, now, STANDS);
        if recent(last.checked_at, now, if begun { STANDS_MEANWHILE } else { STANDS }) {
            return health(&hub, last);
        }
        let begin = db.in_transaction(async |tx| health_checks::begin(tx, now, now - STANDS).await);
        let begins = match recent(last.checked_at, now, STANDS_MEANWHILE) {
            _ if begun => false,
            false => begin.await?,
            true => match select(pin!(begin), pin!(sleep(WRITER_PATIENCE))).await {
                Either::Left((begins, _)) => begins?,
                // Who cannot write just now can still read: the last check stands.
                Either::Right(_) => return health(&hub, last),
            },
        };
        if begins {
            let down = check(&hub).await;
            let end = db.in_transaction(async |tx| health_checks::end(tx, now, &down).await);
            if let Either::Left((ended, _)) = select(pin!(end), pin!(sleep(WRITER_PATIENCE))).await {
                ended?;
            }
            let down = down.into_iter().map(str::to_owned).collect();
            return health(&hub, HealthCheck { asked_at: now, checked_at: now, down });
        }
        sleep(PAUSE).await;
    }
    Err(Error::unavailable("the health check that another request began did not come to an end"))
}

/// Whether an instant is close enough to another, before it or, as clocks are set back, after it.
fn recent(then: Instant, now: Instant, within: TimeDelta) -> bool {
    (now - then).abs() < within
}

/// Asks every other component, and gives those that do not answer.
async fn check(hub: &Hub) -> Vec<&'static str> {
    let asked = stream::iter(OTHERS).map(|&component| ask(hub, component)).buffered(AT_ONCE);
    asked.filter_map(async |down| down).collect().await
}

/// The component, if it is down. Why is in the log.
async fn ask(hub: &Hub, component: &'static str) -> Option<&'static str> {
    let path = format!("/health/{component}");
    let error = match select(pin!(web::call(hub, component, Method::GET, &path)), pin!(sleep(PATIENCE))).await {
        Either::Left((Ok(answer), _)) if answer.status == 200 => return None,
        Either::Left((Ok(answer), _)) => Error::unavailable(format!("{component}{path} answered {}", answer.status)),
        Either::Left((Err(error), _)) => error,
        Either::Right(_) => Error::unavailable(format!("{component}{path} did not answer within {} s", PATIENCE.as_secs())),
    };
    hub.warn("a component is down", &error);
    Some(component)
}

fn health(hub: &Hub, check: HealthCheck) -> Result<Shown<Health>> {
    let HealthCheck { checked_at, down, .. } = check;
    let answering = OTHERS.iter().copied().filter(|component| !down.iter().any(|down| down == component));
    let components: Vec<_> = std::iter::once(hub.component()).chain(answering).map(str::to_owned).collect();
    if components.len() == 1 {
        return Err(Error::unavailable("no component answers"));
    }
    let status = if down.is_empty() { HealthStatus::Up } else { HealthStatus::Degraded };
    Ok(Shown(Health { status, components, down, checked_at }))
}
