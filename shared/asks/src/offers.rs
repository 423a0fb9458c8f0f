//! Whether a customer can have what it is to have of a service: by what the service offers, which the catalogue knows, and by
//! the commit contract. It is asked when something is asked for, and again by the task that carries it out.

use domain::{Decimal, Error, Id, Instant, OrganizationPath, Result, id, service::Code};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{
    Db, contracts, services,
    subscriptions::{Holding, Subscription},
};
use web::Hub;

/// What is asked of a service: what the catalogue takes as a `ServiceRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked<'a> {
    /// Which of its plans.
    pub plan_code: &'a Option<Code>,
    /// Where.
    pub region: &'a Option<Code>,
    /// In which version.
    pub version: &'a Option<Code>,
    /// How much.
    pub quantity: Decimal,
    /// For how many months.
    pub term_months: Option<u32>,
    /// What else.
    pub properties: &'a Option<Box<RawValue>>,
}

impl<'a> Asked<'a> {
    /// What a customer is to have that has a subscription already.
    pub fn of(subscription: &'a Subscription, to: &'a Holding) -> Self {
        Self {
            plan_code: &to.plan_code,
            region: &subscription.region,
            version: &subscription.service_version,
            quantity: to.quantity,
            term_months: to.renews.map(|renews| renews.1).or(subscription.term_months),
            properties: &to.properties,
        }
    }
}

/// The version of the service that the request was found to fit. A service whose offer asks nothing takes every request
/// that asks nothing of it, so the catalogue, which alone knows the rules of offers, is not asked. With `published`, whether
/// the caller sees drafts, the service must be one that can be asked for; who has it already may have it changed.
pub async fn fits(hub: &Hub, service_id: Id<id::Service>, published: Option<bool>, request: &Asked<'_>) -> Result<i64> {
    let service = services::find(hub.db().await?, service_id).await?;
    if let Some(drafts) = published {
        service.check_published(drafts)?;
    }
    let asked = request.plan_code.is_some() || request.region.is_some() || request.version.is_some();
    if service.asks || asked || request.term_months.is_some() || request.properties.is_some() {
        web::ask(hub, "catalogue", &format!("/internal/services/{}/validate", service.id), request).await?;
    }
    Ok(service.version)
}

/// Refuses where the contract that a subscription runs on, or is moved to, is not in force. `customer` is where its customer stands.
pub async fn check_contract(
    db: &Db,
    customer: &OrganizationPath,
    subscription: &Subscription,
    moved_to: Option<Id<id::Contract>>,
    now: Instant,
) -> Result<()> {
    let Subscription { id, provider_id, service_id, contract_id, .. } = *subscription;
    if moved_to.is_some() {
        return contracts::allows(db, customer, provider_id, service_id, moved_to, now).await.map(drop);
    }
    let in_force = contracts::in_force(db, customer, provider_id, service_id, Some(contract_id), now).await?;
    let follows = contracts::followed_by(db, contract_id).await?;
    // It is about to go over to the one that follows its own.
    if in_force.iter().any(|(one, _)| *one == contract_id || Some(*one) == follows) {
        return Ok(());
    }
    let offered: Vec<_> = in_force.iter().take(OFFERED).map(|(one, _)| one.to_string()).collect();
    let way = match offered.is_empty() {
        true => format!(
            "No other contract of its provider for the service is in force either. When one is, move the subscription to it: PATCH /v1/subscriptions/{id} with its id as contractId."
        ),
        false => format!(
            "Move the subscription to one that is in force, which is {}: PATCH /v1/subscriptions/{id} with its id as contractId. Then ask for this again.",
            offered.join(" or ")
        ),
    };
    Err(Error::conflict(
        "no_active_contract",
        format!(
            "The commit contract {contract_id}, which the subscription runs on, is not active any more, so nothing was done. {way}"
        ),
    ))
}

/// How many contracts a refusal names.
const OFFERED: usize = 3;
