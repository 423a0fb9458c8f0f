//! `/internal/start` and `/internal/stop`: what is looked at before the hub serves, and what is given back when it ends.

use domain::{Error, JsonSchema, Result, clock::Jump, setting, source::TrustedProxies};
use serde::{Deserialize, Serialize};
use store::jobs;
use web::{Body, Hub, Internal, Shown, variable};

/// What who starts the hub accepts, although the hub would refuse it.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Acceptance {
    /// A data_key under which nothing opens that was sealed so far.
    DataKey,
    /// The machine's clock as it is, behind what was written.
    Clock,
}

/// How the hub is started.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// What is accepted.
    #[serde(default)]
    accept: Vec<Acceptance>,
}

/// The hub can work.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// What who runs the hub should know.
    warnings: Vec<String>,
}

pub async fn start(hub: Hub, _: Internal, Body(start): Body<Start>) -> Result<Shown<Started>> {
    web::start(&hub, start.accept.contains(&Acceptance::DataKey)).await?;
    let db = hub.db().await?;
    db.in_transaction(async |tx| {
        if start.accept.contains(&Acceptance::Clock) {
            store::hub::reset_clock(tx, hub.wall()).await?;
        }
        store::hub::begin(tx).await
    })
    .await?;
    let jump = hub.observe_clock().await?;
    let mut warnings: Vec<String> = jump.into_iter().map(told).collect();
    warnings.extend(sign_in_warning().await?);
    Ok(Shown(Started { warnings }))
}

/// Refuses variables of signing in that are wrong, and says what does not hold without them.
async fn sign_in_warning() -> Result<Option<String>> {
    setting::password_hashes(&variable("password_hashes").await?).map_err(Error::unavailable)?;
    let proxies = variable("trusted_proxies").await?.parse::<TrustedProxies>();
    let proxies = proxies.map_err(|why| Error::unavailable(format!("trusted_proxies: {why}")))?;
    Ok(proxies.is_empty().then(|| {
        "trusted_proxies names no proxy: a client is told from another by the peer's address, and behind a proxy wrong passwords are not \
         counted by source. If a proxy stands in front of the hub, name it"
            .to_owned()
    }))
}

/// How the hub is stopped.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// Whether the jobs that run are given back as well: their runners are about to end.
    #[serde(rename = "final", default)]
    is_final: bool,
}

/// What was left.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// How many claimed jobs were given back: they are due at once.
    given_back: u32,
}

pub async fn stop(hub: Hub, _: Internal, Body(stop): Body<Stop>) -> Result<Shown<Stopped>> {
    let db = hub.db().await?;
    let stopped = db
        .in_transaction(async |tx| {
            store::hub::stop(tx, hub.now()).await?;
            if stop.is_final { jobs::give_back(tx, hub.now()).await } else { Ok(0) }
        })
        .await;
    match stopped {
        Ok(given_back) => Ok(Shown(Stopped { given_back })),
        Err(error) => {
            let (claimed, due) = jobs::left(db, hub.now()).await?;
            let why = error.internal.unwrap_or(error.public);
            Err(Error::unavailable(format!(
                "{claimed} claimed jobs could not be given back ({why}): another start takes them up within 60 s; {due} more are due"
            )))
        }
    }
}

/// A jump of the clock in a sentence that says what follows from it.
pub fn told(jump: Jump) -> String {
    match jump {
        Jump::Back(by) => format!(
            "the clock is {} s behind what the hub wrote: the hub's time goes on from there and lets the clock catch up. If the clock is right now, nothing is to be done",
            by.num_seconds()
        ),
        Jump::FarBack(by) => format!(
            "the clock is {} h behind what the hub wrote: the hub's time is 24 h ahead of the clock, and tokens from the future have ended. If the clock is right now, start once with `--accept clock`",
            by.num_hours()
        ),
        Jump::Ahead(by) => format!(
            "the clock is {} h ahead of what the hub wrote last: if the hub was not off for so long, stop it and set the clock",
            by.num_hours()
        ),
    }
}
