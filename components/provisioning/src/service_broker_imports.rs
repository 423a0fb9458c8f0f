//! `/v1/service-brokers/{serviceBrokerId}/import`: what a broker offers becomes services of the catalog.
//!
//! The broker's ids alone say which service is the same as before, as its specification has it. The broker is asked before the
//! transaction, by the component `brokers`; in it, all services are written, and one that the catalog refuses is reported and
//! does not keep the others out.

use crate::services;
use domain::{
    Error, Id, JsonSchema, Kind, List, Result, Text,
    audit::AuditResult,
    id,
    service::{self, Driver, Offer, ProductFamily, ServiceStatus},
    service_broker::BrokerCatalog,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{
    Tx,
    service_brokers::{self as brokers, BrokerPlan},
    services::NewService,
    subscriptions,
};
use web::{Body, Caller, Hub, Identity, Path, Record, Sent, Shown, json, permit};

/// The most services of a broker.
const SERVICES: usize = 200;
/// The most plans of a service.
const PLANS: usize = 50;
/// The schema of a plan of which the broker says nothing, or nothing that the catalog could check: the broker checks it.
const ANYTHING: &str = r#"{"type":"object"}"#;

/// How a broker's services come into the catalog.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewImport {
    /// Where services begin that are new: DRAFT or PUBLISHED; DRAFT when left out. Those that are there stay where they are.
    status: Option<ServiceStatus>,
    /// Which commit contracts are made for those that are new.
    product_family: ProductFamily,
}

/// What came of an import.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The services that are in the catalog as the broker offers them.
    services: Vec<ImportedService>,
    /// The services that the catalog did not take.
    refused: Vec<RefusedService>,
    /// The services that were imported before and are not offered any more. Nothing was done to them: deprecate and retire them.
    missing: Vec<Id<id::Service>>,
}

/// A service that was imported.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedService {
    /// Its id in the catalog.
    service_id: Id<id::Service>,
    /// The broker's id of it.
    offering_id: String,
    /// The broker's name of it.
    name: String,
    /// The codes of its plans.
    plan_codes: Vec<String>,
    /// The codes of plans that are not offered any more and were taken out.
    removed_plan_codes: Vec<String>,
    /// The codes of plans that are not offered any more and stay, for somebody has them.
    kept_plan_codes: Vec<String>,
    /// What could not be brought over as it is.
    warnings: Vec<String>,
}

/// A service that the catalog did not take.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedService {
    /// The broker's id of it.
    offering_id: String,
    /// The broker's name of it.
    name: String,
    /// Why, and what to do.
    reason: String,
}

#[derive(Deserialize)]
struct Catalog {
    services: Vec<Offering>,
}

#[derive(Deserialize)]
struct Offering {
    id: String,
    name: String,
    description: Option<String>,
    #[serde(default)]
    bindable: bool,
    #[serde(default)]
    plan_updateable: bool,
    metadata: Option<Metadata>,
    plans: Vec<Plan>,
}

#[derive(Deserialize)]
struct Plan {
    id: String,
    name: String,
    description: Option<String>,
    bindable: Option<bool>,
    plan_updateable: Option<bool>,
    metadata: Option<Metadata>,
    schemas: Option<Schemas>,
    maximum_polling_duration: Option<u32>,
    maintenance_info: Option<MaintenanceInfo>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "displayName")]
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct MaintenanceInfo {
    version: String,
}

#[derive(Deserialize)]
struct Schemas {
    service_instance: Option<InstanceSchemas>,
}

#[derive(Deserialize)]
struct InstanceSchemas {
    create: Option<Input>,
}

#[derive(Deserialize)]
struct Input {
    parameters: Option<Box<RawValue>>,
}

pub async fn import(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::ServiceBroker>>,
    Body(new): Body<NewImport>,
) -> Result<Sent<Shown<Import>>> {
    if !matches!(new.status, None | Some(ServiceStatus::Draft | ServiceStatus::Published)) {
        return Err(Error::invalid("/status", "is not where a service begins; write DRAFT or PUBLISHED"));
    }
    // Sent again, it must neither read the broker anew nor put its services over what was edited since.
    if let Some(first) = hub.replayed(&caller).await? {
        return Ok(first);
    }
    let catalog = catalog(&hub, id).await?;
    hub.write(&caller, async |tx| {
        let (mut services, mut refused) = (Vec::new(), Vec::new());
        for offering in &catalog.services {
            match import_one(tx, &hub, &caller, id, offering, &new).await {
                Ok(service) => services.push(service),
                Err(error) if error.kind == Kind::Invalid => refused.push(RefusedService {
                    offering_id: offering.id.clone(),
                    name: offering.name.clone(),
                    reason: reason(&error),
                }),
                Err(error) => return Err(error),
            }
        }
        let mut missing = Vec::new();
        for (offering_id, service_id) in brokers::offerings(tx, id).await? {
            brokers::forget_offering(tx, service_id).await?;
            if !catalog.services.iter().any(|offering| offering.id == offering_id) {
                missing.push(service_id);
            }
        }
        brokers::set_imported(tx, id, hub.now()).await?;
        hub.audit("services", &services.len().to_string());
        Ok(Shown(Import { services, refused, missing }))
    })
    .await
}

/// A refusal in one sentence.
fn reason(error: &Error) -> String {
    let fields: Vec<_> = error.fields.iter().take(5).map(|field| format!("{}: {}", field.pointer, field.detail)).collect();
    if fields.is_empty() { error.public.clone() } else { fields.join("; ") }
}

/// What a broker offers, as the component `brokers` reads it there.
async fn catalog(hub: &Hub, id: Id<id::ServiceBroker>) -> Result<Catalog> {
    // Whether there is such a broker is for the caller to know, who may see them all.
    brokers::find(hub.db().await?, id).await?;
    let answer = web::ask(hub, "brokers", &format!("/internal/broker-catalogs/{id}"), &()).await?;
    let unreadable = |why: &str| {
        Error::conflict("service_broker_catalog", format!("The catalog of the service broker could not be read: {why}"))
    };
    let catalog = match web::read_json(answer.body.as_deref().unwrap_or_default())? {
        BrokerCatalog::Catalog(catalog) => catalog,
        BrokerCatalog::Refusal(why) => return Err(unreadable(&why)),
    };
    match serde_json::from_str::<Catalog>(catalog.get()) {
        Ok(catalog) if catalog.services.len() > SERVICES => Err(unreadable(&format!("it has more than {SERVICES} services."))),
        Ok(catalog) => Ok(catalog),
        Err(error) => Err(unreadable(&format!("it is not what the specification says ({error})."))),
    }
}

/// The plans of a service that was imported before, and what becomes of each.
struct PlanBefore {
    plan: BrokerPlan,
    /// Whether the broker still offers it.
    is_offered: bool,
    /// Whether it stays although the broker does not, for a customer has it.
    is_kept: bool,
}

async fn plans_before(tx: &Tx<'_>, service_id: Id<id::Service>, offering: &Offering) -> Result<Vec<PlanBefore>> {
    let mut before = Vec::new();
    for plan in brokers::plans(tx, service_id).await? {
        let is_offered = offering.plans.iter().any(|offered| offered.id == plan.plan_id);
        let is_kept = !is_offered && subscriptions::any_in_use(tx, service_id, Some(&plan.plan_code)).await?;
        before.push(PlanBefore { plan, is_offered, is_kept });
    }
    Ok(before)
}

async fn import_one(
    tx: &Tx<'_>,
    hub: &Hub,
    caller: &Identity,
    broker_id: Id<id::ServiceBroker>,
    offering: &Offering,
    new: &NewImport,
) -> Result<ImportedService> {
    if offering.id.is_empty() || offering.id.len() > 200 {
        return Err(Error::invalid("/id", "is empty or longer than 200 bytes"));
    }
    let code =
        offering.name.parse::<Text<1, 60>>().map_err(|error| Error::invalid("/name", format!("{error}; it is the code")))?;
    let service_id = brokers::offering(tx, broker_id, &offering.id, hub.id()).await?;
    let before = plans_before(tx, service_id, offering).await?;
    let mut warnings = Vec::new();
    let mut plans: Vec<BrokerPlan> = before.iter().filter(|before| before.is_kept).map(|before| before.plan.clone()).collect();
    for offered in offering.plans.iter() {
        let known = before.iter().find(|before| before.plan.plan_id == offered.id).map(|before| before.plan.plan_code.clone());
        match plan(offering, offered, known, &plans) {
            Ok(plan) => plans.push(plan),
            Err(why) => warnings.push(format!("The plan {} is left out: {why}.", short(&offered.name, 60))),
        }
    }
    let codes = |which: fn(&PlanBefore) -> bool| {
        before.iter().filter(|before| which(before)).map(|before| before.plan.plan_code.clone()).collect()
    };
    let (removed, kept) = (codes(|before| !before.is_offered && !before.is_kept), codes(|before| before.is_kept));
    let display_name = offering.metadata.as_ref().and_then(|metadata| metadata.display_name.as_deref()).unwrap_or(&offering.name);
    let display_name = short(display_name, 120);
    let description = offering.description.as_deref().map(|text| short(text, 2000)).filter(|text| !text.is_empty());
    let written = plans.iter().map(|plan| web::read_json::<service::Plan>(plan.plan.as_bytes())).collect::<Result<Vec<_>>>()?;
    let schema = schema(offering)?;
    let mut service = NewService {
        display_name: if display_name.is_empty() { code.to_string() } else { display_name }.parse().map_err(refused)?,
        code,
        kind: None,
        description: description.map(|text| text.parse()).transpose().map_err(refused)?,
        product_family: new.product_family,
        driver: Driver::Osb,
        status: Some(new.status.unwrap_or(ServiceStatus::Draft)),
        offer: Offer { plans: List::new(written).map_err(refused)?, properties_schema: Some(raw(&schema)?), ..Offer::default() },
    };
    let put = match services::put_imported(tx, hub, service_id, &service).await {
        Err(error)
            if schema != ANYTHING && error.fields.iter().any(|field| field.pointer.starts_with("/offer/propertiesSchema")) =>
        {
            warnings.push(format!(
                "The schema of the parameters is left to the broker to check, for the catalog cannot: {}.",
                reason(&error)
            ));
            service.offer.properties_schema = Some(raw(ANYTHING)?);
            services::put_imported(tx, hub, service_id, &service).await
        }
        put => put,
    };
    let action = put?;
    brokers::replace_plans(tx, service_id, &plans).await?;
    hub.concerns(caller.home().id);
    let record = Record {
        organization_id: caller.acting().id,
        action,
        principal: caller.principal().into(),
        subject_id: Some(service_id.to_string()),
        result: AuditResult::Success,
    };
    hub.record(tx, record).await?;
    Ok(ImportedService {
        service_id,
        offering_id: offering.id.clone(),
        name: offering.name.clone(),
        plan_codes: plans.iter().map(|plan| plan.plan_code.clone()).collect(),
        removed_plan_codes: removed,
        kept_plan_codes: kept,
        warnings,
    })
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::invalid("", error.to_string())
}

/// A plan as the catalog has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPlan<'a> {
    code: &'a str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    billing_unit: &'a str,
    min_quantity: &'a str,
    max_quantity: &'a str,
    quantity_step: &'a str,
}

fn raw(text: &str) -> Result<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).map_err(|error| Error::fault(error.to_string()))
}

/// A plan as it is kept. `known`: the code that it has in the catalog already.
fn plan(offering: &Offering, offered: &Plan, known: Option<String>, others: &[BrokerPlan]) -> Result<BrokerPlan, String> {
    if others.len() >= PLANS {
        return Err(format!("the service has more than {PLANS} plans"));
    }
    if offered.id.is_empty() || offered.id.len() > 200 {
        return Err("its id is empty or longer than 200 bytes".to_owned());
    }
    let code = known.unwrap_or_else(|| offered.name.clone());
    code.parse::<Text<1, 60>>().map_err(|error| format!("its name {error}"))?;
    if others.iter().any(|other| other.plan_code == code || other.plan_id == offered.id) {
        return Err(format!("there is a plan {code} already"));
    }
    let named = offered.metadata.as_ref().and_then(|metadata| metadata.display_name.as_deref()).map(|name| short(name, 120));
    // An instance at a broker is one, so there is one of it.
    let written = WrittenPlan {
        code: &code,
        display_name: named.as_deref().filter(|name| !name.is_empty()).unwrap_or(&code),
        description: offered.description.as_deref().map(|text| short(text, 2000)).filter(|text| !text.is_empty()),
        billing_unit: "instance",
        min_quantity: "1",
        max_quantity: "1",
        quantity_step: "1",
    };
    Ok(BrokerPlan {
        plan: json::write(&written).map_err(|error| error.public)?,
        plan_code: code.clone(),
        plan_id: offered.id.clone(),
        bindable: offered.bindable.unwrap_or(offering.bindable),
        plan_updateable: offered.plan_updateable.unwrap_or(offering.plan_updateable),
        max_polling: offered.maximum_polling_duration.filter(|seconds| *seconds > 0),
        maintenance_version: offered.maintenance_info.as_ref().map(|info| info.version.clone()),
    })
}

/// The schema of a service's properties: that of its plans, or what any of theirs takes.
fn schema(offering: &Offering) -> Result<String> {
    let mut all: Vec<String> = Vec::new();
    for plan in &offering.plans {
        let given = plan.schemas.as_ref().and_then(|schemas| schemas.service_instance.as_ref());
        let given = given.and_then(|schemas| schemas.create.as_ref()).and_then(|input| input.parameters.as_deref());
        let Some(given) = given else { return Ok(ANYTHING.to_owned()) };
        let Ok(fields) = json::fields(given.get().as_bytes()) else { return Ok(ANYTHING.to_owned()) };
        // Which dialect it is in: what of it the catalog does not know, it will say.
        let kept = fields.iter().filter(|(name, _)| name != "$schema").map(|(name, value)| (name.as_str(), *value));
        let schema = json::object(kept);
        if !all.contains(&schema) {
            all.push(schema);
        }
    }
    Ok(match all.as_slice() {
        [] => ANYTHING.to_owned(),
        [one] => one.clone(),
        several => format!(r#"{{"anyOf":[{}]}}"#, several.join(",")),
    })
}

/// A broker's words on one line, and no more of them than there is room for.
fn short(text: &str, most: usize) -> String {
    let line: String = text.chars().take(most).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.trim().to_owned()
}
