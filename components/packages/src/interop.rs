//! `/v1/interop`

use domain::{
    Error, Result,
    interop::{InteropRequest, InteropResult, InteropTable},
};
use store::interop;
use web::{Body, Caller, Edited, Hub, IfMatch, Sent, Shown, permit};

pub async fn show(hub: Hub, _: Caller<permit::ServiceRead>) -> Result<Edited<InteropTable>> {
    let (value, version) = current(&hub).await?;
    Ok(Edited { value, version })
}

/// An empty table, of no edits, before the first.
async fn current(hub: &Hub) -> Result<(InteropTable, i64)> {
    let Some((content, version)) = interop::find(hub.db().await?).await? else { return Ok((InteropTable::default(), 0)) };
    let table = serde_json::from_slice(content.as_bytes())
        .map_err(|error| Error::unavailable(format!("the interop table cannot be read: {error}")))?;
    Ok((table, version))
}

pub async fn replace(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    condition: IfMatch,
    Body(table): Body<InteropTable>,
) -> Result<Sent<Edited<InteropTable>>> {
    table.check()?;
    let content = serde_json::to_string(&table)
        .map_err(|error| Error::unavailable(format!("the interop table cannot be written: {error}")))?;
    hub.write(&caller, async |tx| {
        let version = interop::replace(tx, condition.version, &content, hub.now()).await?;
        Ok(Edited { value: table.clone(), version })
    })
    .await
}

pub async fn check(
    hub: Hub,
    _: Caller<permit::ServiceRead>,
    Body(request): Body<InteropRequest>,
) -> Result<Shown<InteropResult>> {
    current(&hub).await?.0.judge(&request).map(Shown)
}
