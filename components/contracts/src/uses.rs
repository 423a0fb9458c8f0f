//! What is used on contracts, as far as their parties are to be told of it.

use domain::{Error, Id, Period, Result, id};
use std::collections::BTreeMap;
use store::{
    Scope, Tx, contracts,
    jobs::{self, Job},
    usage,
};
use web::{Hub, Record};

/// How many rows of usage are read at once.
const PAGE: u32 = 2_000;

/// Adds up the use that has become known, and has the parties of a contract told when it crosses what they agreed: in the audit of
/// both. Rows of customers who pay in another currency than their contract's are left out, for the hub has no rates.
pub async fn add_up(hub: Hub, job: Job) -> Result<()> {
    let malformed = || Error::malformed("job_payload", "The job's payload is not two ids of usage.");
    let (first, last) = job.payload.split_once(' ').ok_or_else(malformed)?;
    let (first, last): (Id<id::Usage>, Id<id::Usage>) =
        (first.parse().map_err(|_| malformed())?, last.parse().map_err(|_| malformed())?);
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let (mut sums, mut after) = (BTreeMap::<(Id<id::Contract>, Period), i64>::new(), first);
            loop {
                let page = usage::on_contracts(tx, &scope, after, last, PAGE).await?;
                for row in &page {
                    after = row.id;
                    let sum = sums.entry((row.contract_id, row.period)).or_default();
                    *sum = sum.saturating_add(row.amount.map_or(i64::MAX, |amount| amount.minor_units));
                }
                if page.len() < PAGE as usize {
                    break;
                }
            }
            for ((contract, period), sum) in sums {
                add(tx, &hub, &scope, &job, (contract, period), sum).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}

/// Takes voided usage out of the sums again. Nobody is told: to use less crosses nothing.
pub async fn take_out(hub: Hub, job: Job) -> Result<()> {
    let malformed = |_| Error::malformed("job_payload", "The job's payload is not the id of a usage void.");
    let void: Id<id::UsageVoid> = job.payload.parse().map_err(malformed)?;
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let (mut sums, mut after) = (BTreeMap::<(Id<id::Contract>, Period), i64>::new(), None);
            loop {
                let page = usage::voided_on_contracts(tx, &scope, void, after, PAGE).await?;
                for row in &page {
                    after = Some(row.id);
                    let sum = sums.entry((row.contract_id, row.period)).or_default();
                    *sum = sum.saturating_add(row.amount.map_or(i64::MAX, |amount| amount.minor_units));
                }
                if page.len() < PAGE as usize {
                    break;
                }
            }
            for ((contract, period), sum) in sums {
                if contracts::find(tx, &scope, contract).await?.terms.are_watched() {
                    contracts::add_use(tx, contract, period, -sum).await?;
                }
            }
            jobs::finish(tx, &job).await
        })
        .await
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
