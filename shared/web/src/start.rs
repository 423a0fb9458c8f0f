//! What must be right before a component works: its variables, the schema, and the key that the database was sealed with.
//!
//! It is looked at once an instance, wherever the first request leads, because nothing on Spin starts the hub as a whole; the
//! embedded host asks for it at its start (`/internal/start`), and stops when it is refused.

use crate::{Hub, clock, hub::variable, route::Local, secret};
use domain::{Error, Instant, Result, setting};
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Db, hub::HubRow, migrations};

/// Whether this instance has found everything right. It stays so while the instance lives.
static STARTED: AtomicBool = AtomicBool::new(false);

/// What is sealed to know the key again.
const KNOWN_TEXT: &[u8] = b"provider-hub";
/// As what it is sealed.
const PURPOSE: &str = "key check";

/// A connection for a request that is `awaited` or for a job, which began at `wall` by the machine's clock. Boxed, because it would
/// otherwise be compiled into every handler that asks for one.
pub(crate) fn open(awaited: bool, wall: Instant) -> Local<Result<Db>> {
    Box::pin(async move {
        let db = Db::open(awaited).await?;
        let started = STARTED.load(Ordering::Relaxed);
        if !started {
            begin(&db, false, wall).await?;
            STARTED.store(true, Ordering::Relaxed);
        }
        if clock::is_stale(wall) {
            clock::know(store::hub::find(&db).await?.clock, wall);
        }
        Ok(db)
    })
}

/// Looks whether the hub can start. With `accept_key` another `data_key` takes the place of the one that the database was
/// sealed with: what that one has sealed is lost.
pub async fn start(hub: &Hub, accept_key: bool) -> Result<()> {
    let db = Db::open(true).await?;
    begin(&db, accept_key, hub.wall()).await?;
    hub.db().await.map(drop)
}

async fn begin(db: &Db, accept_key: bool, wall: Instant) -> Result<()> {
    let (data_key, internal_secret) = (variable("data_key").await?, variable("internal_secret").await?);
    setting::check_data_key(&data_key).and_then(|()| setting::check_internal_secret(&internal_secret)).map_err(Error::fault)?;
    migrations::migrate(db).await?;
    let row = store::hub::find(db).await?;
    clock::know(row.clock, wall);
    check_key(db, row, &data_key, accept_key).await
}

async fn check_key(db: &Db, row: HubRow, data_key: &str, accept_key: bool) -> Result<()> {
    let key = secret::key(data_key, PURPOSE, &[]);
    let opens = match &row.key_check {
        Some(sealed) => secret::open(&key, sealed).is_ok(),
        None => opens_any(db, data_key).await?,
    };
    if !opens && !accept_key {
        return Err(Error::unavailable(
            "data_key is not the one that this database was sealed with: start with that one, which belongs to the backup of the \
             database. If it is lost, start once with `--accept data-key`, and then set every stored secret again",
        ));
    }
    if opens && row.key_check.is_some() {
        return Ok(());
    }
    let sealed = secret::seal(&key, KNOWN_TEXT)?;
    db.in_transaction(async |tx| store::hub::keep_key_check(tx, &sealed).await).await
}

/// Whether the key opens what was sealed before there was a text to know it by; also when nothing was.
async fn opens_any(db: &Db, data_key: &str) -> Result<bool> {
    let samples = store::hub::samples(db).await?;
    let opens = |sample: &store::hub::Sample| {
        let key = secret::key(data_key, &sample.purpose, &[&sample.owner]);
        secret::open(&key, &sample.sealed).is_ok()
    };
    Ok(samples.is_empty() || samples.iter().any(opens))
}
