//! `/internal/tick`: the one door for schedulers.

use domain::{Error, JsonSchema, Result};
use http::Method;
use serde::Serialize;
use std::collections::BTreeMap;
use store::{access_tokens, idempotency, jobs};
use web::{
    Hub, Internal, LocalIn, Shown,
    jobs::{PATIENCE, Round, first_done},
};

/// How often one tick asks a component at the most, also where the clock stands still.
const ROUNDS: usize = 5;
/// How soon to come back when a component did not answer.
const RETRY_MS: i64 = 1000;
/// How many expired rows of a kind are removed at once, and how often in one tick.
const PRUNE: u32 = 500;
const BATCHES: u32 = 20;

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
    if let Some(jump) = hub.observe_clock().await? {
        hub.warn("the clock jumped", &Error::unavailable(crate::life::told(jump)));
    }
    let (mut ran, mut unanswered) = (0, false);
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    let mut under_way: Vec<(String, LocalIn<'_, Result<Round>>)> = Vec::new();
    loop {
        let now = web::now();
        // Components are asked at once: the slow ones keep no others waiting. What falls due meanwhile is found when one is done.
        let queues = if now - hub.now() < PATIENCE { jobs::due(db, now).await? } else { Vec::new() };
        for queue in queues {
            let times = asked.entry(queue.clone()).or_default();
            if *times < ROUNDS && under_way.iter().all(|(other, _)| *other != queue) {
                *times += 1;
                under_way.push((queue.clone(), Box::pin(ask(&hub, queue))));
            }
        }
        let Some((queue, answer)) = first_done(&mut under_way).await else { break };
        match answer {
            Ok(Round { ran: 0 }) => asked.insert(queue, ROUNDS),
            Ok(round) => {
                ran += round.ran;
                continue;
            }
            Err(error) => {
                hub.warn("a component did not answer its tick", &error);
                unanswered = true;
                asked.insert(queue, ROUNDS)
            }
        };
    }
    prune(&hub).await?;
    if let Err(error) = db.checkpoint().await {
        hub.warn("the write-ahead log was not checkpointed", &error);
    }
    let waiting = jobs::next_due(db).await?.map(|due| (due - web::now()).num_milliseconds().max(0));
    let next_tick_in_ms = if unanswered { waiting.map(|waiting| waiting.max(RETRY_MS)) } else { waiting };
    Ok(Shown(Ticked { ran, next_tick_in_ms }))
}

/// A component that does not answer must not keep the others waiting: its jobs stay due. The call itself is in the
/// component's own log.
async fn ask(hub: &Hub, queue: String) -> Result<Round> {
    let answer = web::call(hub, &queue, Method::POST, "/internal/jobs/run").await?;
    let body = answer.body.unwrap_or_default();
    serde_json::from_slice(&body)
        .map_err(|error| Error::unavailable(format!("{queue} answered {} to a tick: {error}", answer.status)))
}

/// Forgets what has expired. It was refused already; this only keeps the tables small. In batches, so that writers get in between.
async fn prune(hub: &Hub) -> Result<()> {
    let db = hub.db().await?;
    let now = hub.now();
    for _ in 0..BATCHES {
        if !access_tokens::any_expired(db, now).await? && !idempotency::any_expired(db, now).await? {
            break;
        }
        db.in_transaction(async |tx| {
            access_tokens::prune(tx, now, PRUNE).await?;
            idempotency::prune(tx, now, PRUNE).await
        })
        .await?;
    }
    Ok(())
}
