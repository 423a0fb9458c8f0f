//! `/v1/contracts`

use domain::{
    Error, Id, OrganizationKind, Permission, Result,
    contract::{ContractStatus, check_issuer},
    id,
};
use store::{
    Scope,
    contracts::{self, Contract, NewContract},
    jobs::{self, Job, NewJob},
    organizations, services,
};
use web::{Body, Caller, Created, Hub, Listing, Page, PageQuery, Path, Query, Sent, Shown, permit};

/// The job that puts an approved contract in force on its effective date.
pub const ACTIVATE: &str = "contract.activate";

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Body(new): Body<NewContract>,
) -> Result<Sent<Created<Contract>>> {
    check_issuer(caller.acting().kind)?;
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let provider = organizations::find(tx, &caller.scope(), new.provider_id).await?;
        if provider.kind != OrganizationKind::Provider {
            return Err(Error::invalid(
                "/providerId",
                format!("is of the kind {}; a commit contract is made with a PROVIDER", provider.kind),
            ));
        }
        let drafts = caller.permissions().has(Permission::ServiceWrite);
        services::find(tx, new.service_id).await?.check_seen(drafts)?;
        let contract = contracts::insert(tx, id, caller.acting().id, &new, hub.now()).await?;
        Ok(Created::at(format!("/v1/contracts/{id}"), contract))
    })
    .await
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ContractRead>,
    Query(query): Query<PageQuery<id::Contract>>,
) -> Result<Listing<Contract>> {
    let page = Page::new(query.limit)?;
    let found = contracts::list(hub.db().await?, &caller.scope(), query.cursor, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |contract| contract.id.to_string()))
}

pub async fn show(hub: Hub, caller: Caller<permit::ContractRead>, Path(id): Path<Id<id::Contract>>) -> Result<Shown<Contract>> {
    contracts::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}

pub async fn approve(
    hub: Hub,
    caller: Caller<permit::ContractApprove>,
    Path(id): Path<Id<id::Contract>>,
) -> Result<Sent<Shown<Contract>>> {
    let job = hub.id();
    hub.write(&caller, async |tx| {
        let contract = contracts::find(tx, &caller.scope(), id).await?;
        let status = contract.status.approved(contract.effective_date, hub.now())?;
        if status == ContractStatus::PendingEffectiveDate {
            let activation = NewJob {
                id: job,
                queue: hub.component(),
                kind: ACTIVATE,
                organization_id: contract.provider_id,
                payload: id.to_string(),
                due_at: contract.effective_date.start(),
                trace: Some(&hub.traceparent()),
                now: hub.now(),
            };
            jobs::enqueue(tx, activation).await?;
        }
        contracts::set_status(tx, contract, status, hub.now()).await.map(Shown)
    })
    .await
}

/// Puts a contract in force. Run twice it does nothing the second time.
pub async fn activate(hub: Hub, job: Job) -> Result<()> {
    let id = job.payload.parse().map_err(|error| Error::malformed("job_payload", format!("The job's payload is {error}.")))?;
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let contract = contracts::find(tx, &scope, id).await?;
            if let Some(status) = contract.status.activated() {
                contracts::set_status(tx, contract, status, hub.now()).await?;
            }
            jobs::finish(tx, &job).await
        })
        .await
}
