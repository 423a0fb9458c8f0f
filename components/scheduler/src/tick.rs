//! `/internal/tick`: the one door for schedulers.

use domain::{JsonSchema, Result};
use http::Method;
use serde::Serialize;
use store::{access_tokens, idempotency, jobs};
use web::{Hub, Internal, Shown, jobs::Round};

/// How often one tick asks the components again while they still have due work. More waits for the next tick, so that
/// a tick stays short.
const ROUNDS: u32 = 20;
/// How soon to come back when a component did not answer.
const RETRY_MS: i64 = 1000;
/// How many expired rows of a kind one tick removes.
const PRUNE: u32 = 500;

/// What came of a tick.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ticked {
    /// How many jobs were run.
    ran: u32,
    /// In how many milliseconds the next work falls due; absent when there is none.
    next_tick_in_ms: Option<i64>,
}

pub async fn run(hub: Hub, _: Internal) -> Result<Shown<Ticked>> {
    let db = hub.db().await?;
    let mut ran = 0;
    let mut unanswered: Vec<String> = Vec::new();
    for _ in 0..ROUNDS {
        let mut ran_now = 0;
        for queue in jobs::due(db, hub.now()).await? {
            if unanswered.contains(&queue) {
                continue;
            }
            match ask(&hub, &queue).await {
                Ok(round) => ran_now += round.ran,
                Err(error) => {
                    hub.warn("a component did not answer its tick", &error);
                    unanswered.push(queue);
                }
            }
        }
        if ran_now == 0 {
            break;
        }
        ran += ran_now;
    }
    prune(&hub).await?;
    if let Err(error) = db.checkpoint().await {
        hub.warn("the write-ahead log was not checkpointed", &error);
    }
    let waiting = jobs::next_due(db).await?.map(|due| (due - hub.now()).num_milliseconds().max(0));
    let next_tick_in_ms = if unanswered.is_empty() { waiting } else { waiting.map(|waiting| waiting.max(RETRY_MS)) };
    Ok(Shown(Ticked { ran, next_tick_in_ms }))
}

/// A component that does not answer must not keep the others waiting: its jobs stay due. The call itself is in the
/// component's own log.
async fn ask(hub: &Hub, queue: &str) -> Result<Round> {
    let answer = web::call(hub, queue, Method::POST, "/internal/jobs/run").await?;
    let body = answer.body.unwrap_or_default();
    serde_json::from_slice(&body)
        .map_err(|error| domain::Error::unavailable(format!("{queue} answered {} to a tick: {error}", answer.status)))
}

/// Forgets what has expired. It was refused already; this only keeps the tables small.
async fn prune(hub: &Hub) -> Result<()> {
    let db = hub.db().await?;
    let now = hub.now();
    if access_tokens::any_expired(db, now).await? || idempotency::any_expired(db, now).await? {
        db.in_transaction(async |tx| {
            access_tokens::prune(tx, now, PRUNE).await?;
            idempotency::prune(tx, now, PRUNE).await
        })
        .await?;
    }
    Ok(())
}
