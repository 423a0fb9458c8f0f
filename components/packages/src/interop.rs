//! `/v1/interop`

use domain::{
    Error, Result,
    interop::{InteropRequest, InteropResult, InteropTable},
};
use store::interop;
use web::{Body, Caller, Edited, Hub, IfMatch, Sent, Shown, permit};

pub async fn show(hub: Hub, _: Caller<permit::ServiceRead>) -> Result<Edited<InteropTable>> {
    let (value, version) = interop::find(hub.db().await?).await?;
    Ok(Edited { value, version })
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
    interop::find(hub.db().await?).await?.0.judge(&request).map(Shown)
}
