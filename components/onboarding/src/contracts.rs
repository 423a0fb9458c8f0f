//! `/v1/contracts`

use domain::{
    Date, Error, Id, Instant, JsonSchema, Kind, OrganizationKind, Permission, Result, Text,
    contract::{ContractEvent, ContractStatus, Frame, check_issuer, scheduled, status_at, termination},
    id, mail,
    onboarding_invitation::LIFETIME,
};
use serde::Deserialize;
use store::{
    Scope, Tx,
    access_tokens::Place,
    contracts::{self, AdvanceContract, Change, Contract, Filter, NewContract, due},
    jobs::{self, Job},
    mailbox, onboarding_invitations, organizations, services,
    subscriptions::CarryOver,
};
use web::{
    Body, Caller, Created, Cursor, Edited, Hub, Identity, IfMatch, Letter, Listing, Mailbox, Merge, Page, Path, Query, Record,
    Sent, permit, secret,
};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Body(new): Body<NewContract>,
) -> Result<Sent<Created<Contract>>> {
    check_issuer(caller.acting().kind)?;
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let contract = drawn_up(tx, &caller, id, caller.acting(), &new, hub.now()).await?;
        contracts::insert(tx, &contract).await?;
        hub.concerns(contract.owner_id());
        hub.audit("serviceId", &contract.service_id.to_string());
        hub.audit("contractType", contract.contract_type.as_str());
        Ok(Created { location: format!("/v1/contracts/{id}"), version: Some(contract.version), value: contract })
    })
    .await
}

/// A contract of this issuer as it is said to be, if nothing is against the rules.
async fn drawn_up(
    tx: &Tx<'_>,
    caller: &Identity,
    id: Id<id::Contract>,
    issuer: &Place,
    new: &NewContract,
    now: Instant,
) -> Result<Contract> {
    let provider_id = match (new.provider_id, &new.provider) {
        (Some(id), None) => {
            let provider = organizations::find_in_use(tx, &Scope::below(issuer.path.clone()), id).await?;
            if provider.kind != OrganizationKind::Provider {
                return Err(Error::invalid(
                    "/providerId",
                    format!("is of the kind {}; a commit contract is made with a PROVIDER", provider.kind),
                ));
            }
            Some(id)
        }
        (None, Some(provider)) => contracts::prospective_provider(tx, issuer.id, provider, new.currency, now).await?,
        _ => {
            let text = "name the provider either by providerId or, while it has no organization, by provider";
            return Err(Error::invalid("/providerId", text));
        }
    };
    let service = services::find(tx, new.service_id).await?;
    service.check_seen(caller.permissions().has(Permission::ServiceWrite))?;
    let frame = Frame {
        contract_type: new.contract_type,
        family: service.product_family,
        effective_date: new.effective_date,
        currency: new.currency,
    };
    Ok(Contract {
        id,
        issuer_id: issuer.id,
        provider_id,
        provider: new.provider.clone().filter(|_| provider_id.is_none()),
        service_id: new.service_id,
        contract_type: new.contract_type,
        status: if new.draft == Some(true) { ContractStatus::Draft } else { ContractStatus::PendingApproval },
        effective_date: new.effective_date,
        currency: new.currency,
        reference: new.reference.clone().map(String::from),
        is_default: false,
        renews_id: None,
        termination_date: None,
        reason: None,
        terms: new.terms().checked(frame)?,
        created_at: now,
        updated_at: now,
        version: 1,
    })
}

/// Which contracts to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those of this provider.
    provider_id: Option<Id<id::Organization>>,
    /// Only those for this service.
    service_id: Option<Id<id::Service>>,
    /// Only those that stand there.
    status: Option<ContractStatus>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::ContractRead>, Query(query): Query<ListQuery>) -> Result<Listing<Contract>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    // A provider's own are found by its id, however many others there are.
    let own = (caller.acting().kind == OrganizationKind::Provider).then_some(caller.acting().id);
    let filter = Filter { provider_id: query.provider_id.or(own), service_id: query.service_id, status: query.status };
    let found = contracts::list(hub.db().await?, &caller.scope(), &filter, page.place(2)?, page.rows()).await?;
    Listing::placed(&page, found).await
}

pub async fn show(hub: Hub, caller: Caller<permit::ContractRead>, Path(id): Path<Id<id::Contract>>) -> Result<Edited<Contract>> {
    contracts::find(hub.db().await?, &caller.scope(), id).await.map(edited)
}

fn edited(contract: Contract) -> Edited<Contract> {
    Edited { version: contract.version, value: contract }
}

pub async fn amend(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: IfMatch,
    patch: Merge<NewContract>,
) -> Result<Sent<Edited<Contract>>> {
    hub.write(&caller, async |tx| {
        let current = contracts::find_to_edit(tx, &caller.scope(), id, condition.version).await?;
        let issuer = issuer(tx, &caller, &current).await?;
        if current.status != ContractStatus::Draft {
            return Err(Error::conflict(
                "contract_not_draft",
                format!(
                    "The contract is {}; only a DRAFT can be amended. Take it back with redraft, before it is approved.",
                    current.status
                ),
            ));
        }
        let new = patch.onto(&current, &not_edited(&current))?;
        if new.draft.is_some() {
            return Err(Error::invalid("/draft", "is said only when a contract is drawn up; send the draft with submit"));
        }
        let amended = Contract {
            status: current.status,
            renews_id: current.renews_id,
            created_at: current.created_at,
            version: current.version + 1,
            ..drawn_up(tx, &caller, id, &issuer, &new, hub.now()).await?
        };
        check_renewal(tx, &caller, &amended).await?;
        contracts::amend(tx, &amended).await?;
        Ok(edited(amended))
    })
    .await
}

/// What of a contract is shown and not said: the end, too, where it follows from the term.
fn not_edited(contract: &Contract) -> Vec<&'static str> {
    let mut names = Contract::NOT_EDITED.to_vec();
    if contract.terms.term.is_some() {
        names.push("endDate");
    }
    names
}

/// The issuer of a contract, if the caller acts in it or above it: others who see the contract may not change it.
async fn issuer(tx: &Tx<'_>, caller: &Identity, contract: &Contract) -> Result<Place> {
    let issuer = organizations::head(tx, &caller.scope(), contract.issuer_id).await.map_err(|error| match error.kind {
        Kind::NotFound => Error::new(
            Kind::Forbidden,
            "not_the_issuer",
            "The contract was offered by an organization above the one you act in, and only that one can change it. Ask it to.",
        ),
        _ => error,
    })?;
    Ok(Place { id: issuer.id, path: issuer.path, kind: issuer.kind, status: issuer.status })
}

pub async fn submit(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Contract>>> {
    decide(&hub, &caller, id, IfMatch::named(condition), Some(ContractEvent::Submit), ContractTermination::default()).await
}

pub async fn redraft(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Contract>>> {
    decide(&hub, &caller, id, IfMatch::named(condition), Some(ContractEvent::Redraft), ContractTermination::default()).await
}

pub async fn approve(
    hub: Hub,
    caller: Caller<permit::ContractApprove>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Contract>>> {
    decide(&hub, &caller, id, IfMatch::named(condition), Some(ContractEvent::Approve), ContractTermination::default()).await
}

/// The reason for a decision about a contract.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContractDecision {
    /// The reason; the contract shows it.
    reason: Option<Text<1, 500>>,
}

pub async fn reject(
    hub: Hub,
    caller: Caller<permit::ContractApprove>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
    Body(decision): Body<ContractDecision>,
) -> Result<Sent<Edited<Contract>>> {
    decide(
        &hub,
        &caller,
        id,
        IfMatch::named(condition),
        Some(ContractEvent::Reject),
        ContractTermination { reason: decision.reason, on: None },
    )
    .await
}

/// The day on which a contract is terminated, and the reason.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContractTermination {
    /// The first day (UTC) on which it is no longer in force; at once, when left out.
    on: Option<Date>,
    /// The reason; the contract shows it.
    reason: Option<Text<1, 500>>,
}

pub async fn terminate(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
    Body(termination): Body<ContractTermination>,
) -> Result<Sent<Edited<Contract>>> {
    decide(&hub, &caller, id, IfMatch::named(condition), None, termination).await
}

pub async fn cancel_termination(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Contract>>> {
    decide(&hub, &caller, id, IfMatch::named(condition), Some(ContractEvent::CancelTermination), ContractTermination::default())
        .await
}

pub async fn deactivate(
    hub: Hub,
    caller: Caller<permit::ContractApprove>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
    Body(decision): Body<ContractDecision>,
) -> Result<Sent<Edited<Contract>>> {
    decide(
        &hub,
        &caller,
        id,
        IfMatch::named(condition),
        Some(ContractEvent::Deactivate),
        ContractTermination { reason: decision.reason, on: None },
    )
    .await
}

pub async fn reactivate(
    hub: Hub,
    caller: Caller<permit::ContractApprove>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Contract>>> {
    decide(&hub, &caller, id, IfMatch::named(condition), Some(ContractEvent::Reactivate), ContractTermination::default()).await
}

/// Does to a contract what its issuer or the operator decides; without an event, a termination.
async fn decide(
    hub: &Hub,
    caller: &Identity,
    id: Id<id::Contract>,
    version: Option<i64>,
    event: Option<ContractEvent>,
    said: ContractTermination,
) -> Result<Sent<Edited<Contract>>> {
    let post = Mailbox::open().await?;
    hub.write(caller, async |tx| {
        let mut contract = contracts::find_to_edit(tx, &caller.scope(), id, version).await?;
        issuer(tx, caller, &contract).await?;
        // Which state of it was decided about.
        hub.audit("version", &contract.version.to_string());
        // First what the dates did to it, if their job is late: nobody decides about a contract that is over.
        if let Some(event) = due(&contract, hub.now()) {
            contract = move_on(tx, (hub, &post), contract, event, &ContractTermination::default()).await?;
        }
        let event = match event {
            Some(event) => event,
            None => termination(contract.status, &contract.dates(), said.on, hub.now())?,
        };
        move_on(tx, (hub, &post), contract, event, &said).await.map(edited)
    })
    .await
}

/// Moves a contract, as read in this transaction, on by an event and then as far as its dates have come. The job that looks
/// at the next of them is written with it, so a contract that waits for a day always has one that is due then.
async fn move_on(
    tx: &Tx<'_>,
    (hub, post): (&Hub, &Mailbox),
    mut contract: Contract,
    event: ContractEvent,
    said: &ContractTermination,
) -> Result<Contract> {
    use ContractEvent as Event;
    let (now, today) = (hub.now(), Date::of(hub.now()));
    let (mut next, mut reason) = (Some(event), said.reason.clone().map(String::from));
    while let Some(event) = next {
        let change = Change {
            status: contract.status.on(event)?,
            termination_date: match event {
                Event::ScheduleTermination => said.on,
                Event::Terminate => contract.termination_date.filter(|day| Some(*day) <= today).or(today),
                Event::CancelTermination => None,
                _ => contract.termination_date,
            },
            reason: match event {
                Event::Submit | Event::Redraft | Event::Approve | Event::CancelTermination | Event::Reactivate => None,
                _ => reason.take().or_else(|| contract.reason.clone()),
            },
        };
        let before = contract.status;
        contract = contracts::set_status(tx, contract, change, now).await?;
        // A contract is both its parties' thing, so a change of it stands in the audit of both.
        hub.concerns(contract.issuer_id);
        hub.concerns(contract.owner_id());
        hub.audit_change("status", Some(before.as_str()), Some(contract.status.as_str()));
        if event == Event::TakeEffect {
            contract = took_effect(tx, (hub, post), contract).await?;
        }
        next = due(&contract, now);
    }
    if let Some((day, _)) = scheduled(contract.status, &contract.dates()) {
        let advance = AdvanceContract { contract_id: contract.id };
        hub.enqueue_at(tx, contract.owner_id(), &advance, day.start()).await?;
    }
    Ok(contract)
}

/// What else happens when a contract comes into force: a provider without an organization is invited, once; what was the default
/// before it is not any more; and the subscriptions of the one that it follows go over to it.
async fn took_effect(tx: &Tx<'_>, (hub, post): (&Hub, &Mailbox), contract: Contract) -> Result<Contract> {
    if let Some(provider) = &contract.provider {
        // The secret goes to the provider's mailbox and to nobody else.
        let (id, secret, until) = (hub.id(), secret::new("hubin_"), hub.now() + LIFETIME);
        if onboarding_invitations::insert(tx, id, &contract, provider, &secret::hash(&secret), hub.now(), until).await? {
            let issuer = mailbox::name(tx, contract.issuer_id).await?;
            let letter = Letter {
                about: id.to_string(),
                from: contract.issuer_id,
                to: &provider.email,
                text: mail::onboarding_invitation(&issuer, &provider.display_name, &secret, until),
                expires_at: until,
            };
            post.post(hub, tx, letter).await?;
        }
    }
    if let Some(before) = contract.renews_id {
        hub.enqueue(tx, contract.owner_id(), &CarryOver { from: before, to: contract.id }).await?;
    }
    match contract.renews_id {
        Some(before) if contracts::is_default(tx, before).await? => contracts::set_default(tx, contract, hub.now()).await,
        _ => Ok(contract),
    }
}

/// Does what its dates do to a contract. Run twice, or on a day that does not count any more, it does nothing.
pub async fn advance(hub: Hub, job: Job, AdvanceContract { contract_id: id }: AdvanceContract) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    let post = Mailbox::open().await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            // The contract that follows goes first: it takes the default over while there is one.
            if let Some(renewal) = contracts::find_renewal(tx, id).await? {
                advanced(tx, (&hub, &post), renewal, &job).await?;
            }
            advanced(tx, (&hub, &post), contracts::find(tx, &scope, id).await?, &job).await?;
            jobs::finish(tx, &job).await
        })
        .await
}

async fn advanced(tx: &Tx<'_>, (hub, post): (&Hub, &Mailbox), contract: Contract, job: &Job) -> Result<()> {
    let Some(event) = due(&contract, hub.now()) else { return Ok(()) };
    let contract = move_on(tx, (hub, post), contract, event, &ContractTermination::default()).await?;
    let what = Record::of_job(job.id, contract.owner_id(), "contracts.advance", contract.id.to_string());
    hub.record(tx, what).await
}

pub async fn make_default(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<Contract>>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        let contract = contracts::find_to_edit(tx, &caller.scope(), id, version).await?;
        issuer(tx, &caller, &contract).await?;
        let in_force = status_at(contract.status, &contract.dates(), hub.now()).is_in_force();
        if !in_force || contract.provider_id.is_none() {
            return Err(Error::conflict(
                "contract_not_in_force",
                format!(
                    "The contract is {}; the default must be in force, with a provider that has its organization.",
                    contract.status
                ),
            ));
        }
        contracts::set_default(tx, contract, hub.now()).await.map(edited)
    })
    .await
}

pub async fn renew(
    hub: Hub,
    caller: Caller<permit::ContractWrite>,
    Path(id): Path<Id<id::Contract>>,
    condition: Option<IfMatch>,
    patch: Merge<NewContract>,
) -> Result<Sent<Created<Contract>>> {
    let (renewal_id, version) = (hub.id(), IfMatch::named(condition));
    hub.write(&caller, async |tx| {
        let current = contracts::find_to_edit(tx, &caller.scope(), id, version).await?;
        let issuer = issuer(tx, &caller, &current).await?;
        let status = status_at(current.status, &current.dates(), hub.now());
        let Some(end) = current.terms.end_date.filter(|_| matches!(status, ContractStatus::Active | ContractStatus::PendingExpiration))
        else {
            return Err(Error::conflict(
                "contract_not_renewable",
                format!("The contract is {status}; one that is ACTIVE or PENDING_EXPIRATION and has an end can be renewed. Draw up a new one."),
            ));
        };
        if let Some(other) = contracts::find_renewal(tx, id).await? {
            return Err(Error::conflict(
                "contract_renewed",
                format!("The contract is followed by {} already. Amend that one, or terminate it first.", other.id),
            ));
        }
        let begins = Contract { effective_date: end, ..current };
        let mut not_edited = Contract::NOT_EDITED.to_vec();
        not_edited.push("endDate");
        let new = patch.onto(&begins, &not_edited)?;
        let renewal = Contract { renews_id: Some(id), ..drawn_up(tx, &caller, renewal_id, &issuer, &new, hub.now()).await? };
        check_follows(&renewal, &begins)?;
        contracts::insert(tx, &renewal).await?;
        let location = format!("/v1/contracts/{renewal_id}");
        Ok(Created { location, version: Some(renewal.version), value: renewal })
    })
    .await
}

/// Refuses to make of a renewal something that does not follow the contract that it renews.
async fn check_renewal(tx: &Tx<'_>, caller: &Identity, renewal: &Contract) -> Result<()> {
    let Some(before) = renewal.renews_id else { return Ok(()) };
    let before = contracts::find(tx, &caller.scope(), before).await?;
    let end = before.terms.end_date.unwrap_or(before.effective_date);
    check_follows(renewal, &Contract { effective_date: end, ..before })
}

/// Refuses a renewal that is with another provider, for another service or from another day on.
fn check_follows(renewal: &Contract, begins: &Contract) -> Result<()> {
    let same_provider = renewal.owner_id() == begins.owner_id();
    for (same, pointer) in [
        (same_provider, "/providerId"),
        (renewal.service_id == begins.service_id, "/serviceId"),
        (renewal.effective_date == begins.effective_date, "/effectiveDate"),
    ] {
        if !same {
            return Err(Error::invalid(pointer, "follows from the contract that is renewed; leave it out"));
        }
    }
    Ok(())
}
