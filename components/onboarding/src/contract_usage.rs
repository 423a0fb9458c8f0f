//! What is used on contracts, as far as their parties are to be told of it.

use domain::{Id, Period, Result, id};
use std::collections::BTreeMap;
use store::{
    Scope, Tx,
    contracts::{self, AddUse, TakeUseOut},
    jobs::{self, Job},
    usage::{self, OnContract},
};
use web::{Hub, Record};

/// How many rows of usage are read at once.
const PAGE: u32 = 2_000;

/// Sums of minor units, by contract and month.
type Sums = BTreeMap<(Id<id::Contract>, Period), i64>;

/// Adds up the use that has become known, and has the parties of a contract told when it crosses what they agreed: in the audit of
/// both. Rows of customers who pay in another currency than their contract's are left out, for the hub has no rates.
pub async fn add_up(hub: Hub, job: Job, AddUse { first, last }: AddUse) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let sums = sums(async |after| usage::on_contracts(tx, &scope, after.unwrap_or(first), last, PAGE).await).await?;
            for ((contract, period), sum) in sums {
                add(tx, &hub, &scope, &job, (contract, period), sum).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// Takes voided usage out of the sums again. Nobody is told: to use less crosses nothing.
pub async fn take_out(hub: Hub, job: Job, TakeUseOut { usage_void_id }: TakeUseOut) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let sums = sums(async |after| usage::voided_on_contracts(tx, &scope, usage_void_id, after, PAGE).await).await?;
            for ((contract, period), sum) in sums {
                if contracts::find(tx, &scope, contract).await?.terms.are_watched() {
                    contracts::add_use(tx, contract, period, -sum).await?;
                }
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// The sums of usage that is read page by page: `page` gives what comes after an id, from the beginning where there is none.
async fn sums(page: impl AsyncFn(Option<Id<id::Usage>>) -> Result<Vec<OnContract>>) -> Result<Sums> {
    let (mut sums, mut after) = (Sums::new(), None);
    loop {
        let rows = page(after).await?;
        for row in &rows {
            after = Some(row.id);
            let sum = sums.entry((row.contract_id, row.period)).or_default();
            *sum = sum.saturating_add(row.amount.map_or(i64::MAX, |amount| amount.minor_units));
        }
        if rows.len() < PAGE as usize {
            return Ok(sums);
        }
    }
}

async fn add(tx: &Tx<'_>, hub: &Hub, scope: &Scope, job: &Job, (id, period): (Id<id::Contract>, Period), sum: i64) -> Result<()> {
    let contract = contracts::find(tx, scope, id).await?;
    if !contract.terms.are_watched() {
        return Ok(());
    }
    let used = contracts::add_use(tx, id, period, sum).await?;
    for alert in contract.terms.crossed(used) {
        hub.concerns(contract.issuer_id);
        hub.audit("alert", alert.as_str());
        hub.audit("period", &period.to_string());
        hub.audit("currency", &contract.currency.to_string());
        hub.audit("usedInPeriodMinorUnits", &used.month.1.to_string());
        hub.audit("usedInAllMinorUnits", &used.all.1.to_string());
        let what = Record::of_job(job.id, contract.owner_id(), "contracts.alert", id.to_string());
        hub.record(tx, what).await?;
    }
    Ok(())
}
