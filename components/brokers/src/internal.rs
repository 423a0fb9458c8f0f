//! `/internal/broker-turns`: turns of the tasks on subscriptions and on service bindings.

use crate::operations::{Desired, Turn};
use domain::{
    Id, Result, id,
    service_broker::{BrokerOutcome, BrokerState, BrokerTurn, BrokerVerb, PLATFORM},
    task::Outcome,
};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{
    Db, broker_resources as resources,
    jobs::Claim,
    service_brokers::{self as brokers, BrokerPlan},
    tasks,
};
use web::{Body, Hub, Internal, Shown, json};

/// The context of a request. The old names beside it are still needed by the specification.
#[derive(Serialize)]
struct Context<'a> {
    platform: &'a str,
    organization_id: Id<id::Organization>,
    subscription_id: Id<id::Subscription>,
}

#[derive(Serialize)]
struct Maintenance<'a> {
    version: &'a str,
}

#[derive(Serialize)]
struct Previous<'a> {
    service_id: &'a str,
    plan_id: &'a str,
}

/// What is sent to make an instance or a binding, or to change an instance.
#[derive(Serialize)]
struct Request<'a> {
    service_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<&'a str>,
    context: Context<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_guid: Option<Id<id::Organization>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    space_guid: Option<Id<id::Organization>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_values: Option<Previous<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance_info: Option<Maintenance<'a>>,
}

pub async fn take(hub: Hub, _: Internal, Body(requested): Body<BrokerTurn>) -> Result<Shown<BrokerOutcome>> {
    let db = hub.db().await?;
    let identity = identity(db, &requested).await?;
    let turn = Turn {
        hub: &hub,
        claim: Claim { id: requested.job_id, fence: requested.fence },
        name: &requested.turn,
        identity: identity.as_deref(),
        organization_id: requested.organization_id,
        of_instance: requested.service_binding_id.is_none(),
        began: std::time::Instant::now(),
    };
    let outcome = match (requested.verb, requested.service_binding_id) {
        (BrokerVerb::Deprovision, _) => turn.delete(&requested.subscription_id.to_string()).await?,
        (BrokerVerb::Unbind | BrokerVerb::Bind, None) => Outcome::Failed("No service binding is named.".into()),
        (BrokerVerb::Unbind, Some(id)) => turn.delete(&id.to_string()).await?,
        (BrokerVerb::Bind, Some(id)) => bind(db, &turn, id, &requested).await?,
        (BrokerVerb::Provision | BrokerVerb::Update, _) => provision_or_update(db, &turn, &requested).await?,
    };
    Ok(Shown(outcome.into()))
}

async fn provision_or_update(db: &Db, turn: &Turn<'_>, requested: &BrokerTurn) -> Result<Outcome> {
    let Some((broker_id, offering_id, plan)) = plan(db, requested.service_id, requested.plan_code.as_deref()).await? else {
        let plan =
            requested.plan_code.as_ref().map_or_else(|| "nothing without a plan".to_owned(), |code| format!("no plan {code}"));
        return Ok(Outcome::Failed(format!("A service broker offers {plan} of the service. Import its catalog again.")));
    };
    let updates = requested.verb == BrokerVerb::Update;
    let previous = match requested.previous_plan_code.as_deref().filter(|_| updates) {
        Some(code) => self::plan(db, requested.service_id, Some(code)).await?.map(|(_, _, previous)| previous),
        None => None,
    };
    let moves = previous.as_ref().filter(|previous| previous.plan_id != plan.plan_id);
    if let Some(previous) = moves.filter(|previous| !previous.plan_updateable) {
        return Ok(Outcome::Failed(format!(
            "The broker does not let what has the plan {} come to another plan.",
            previous.plan_code
        )));
    }
    let body = json::write(&Request {
        service_id: &offering_id,
        // Named only where it changes: a broker may refuse to be told of a plan otherwise.
        plan_id: (!updates || moves.is_some()).then_some(plan.plan_id.as_str()),
        context: context(requested),
        organization_guid: (!updates).then_some(requested.organization_id),
        space_guid: (!updates).then_some(requested.organization_id),
        parameters: requested.properties.as_deref(),
        previous_values: previous.as_ref().map(|previous| Previous { service_id: &offering_id, plan_id: &previous.plan_id }),
        maintenance_info: plan.maintenance_version.as_deref().filter(|_| !updates).map(|version| Maintenance { version }),
    })?;
    let id = requested.subscription_id;
    if updates {
        return turn.update(&id.to_string(), &plan.plan_id, plan.max_polling, &body).await;
    }
    let desired = Desired {
        verb: requested.verb,
        id: id.to_string(),
        guid: id.uuid().to_string(),
        instance: None,
        broker_id,
        offering_id,
        plan_id: plan.plan_id,
        max_polling: plan.max_polling,
        body,
    };
    turn.make(&desired).await
}

async fn bind(db: &Db, turn: &Turn<'_>, id: Id<id::ServiceBinding>, requested: &BrokerTurn) -> Result<Outcome> {
    let instance = resources::find(db, &requested.subscription_id.to_string()).await?;
    let Some(instance) = instance.filter(|instance| instance.state == BrokerState::Ready) else {
        return Ok(Outcome::Failed("The broker has no instance of the service that could be bound.".into()));
    };
    let plan = plan(db, requested.service_id, requested.plan_code.as_deref()).await?;
    let body = json::write(&Request {
        service_id: &instance.offering_id,
        plan_id: Some(&instance.plan_id),
        context: context(requested),
        organization_guid: None,
        space_guid: None,
        parameters: requested.properties.as_deref(),
        previous_values: None,
        maintenance_info: None,
    })?;
    let desired = Desired {
        verb: BrokerVerb::Bind,
        id: id.to_string(),
        guid: id.uuid().to_string(),
        broker_id: instance.broker_id,
        offering_id: instance.offering_id.clone(),
        plan_id: instance.plan_id.clone(),
        max_polling: plan.and_then(|(_, _, plan)| plan.max_polling),
        instance: Some(instance),
        body,
    };
    turn.make(&desired).await
}

fn context(requested: &BrokerTurn) -> Context<'_> {
    Context { platform: PLATFORM, organization_id: requested.organization_id, subscription_id: requested.subscription_id }
}

/// The plan of this code, with its broker and the broker's id of the service.
async fn plan(
    db: &Db,
    service_id: Id<id::Service>,
    code: Option<&str>,
) -> Result<Option<(Id<id::ServiceBroker>, String, BrokerPlan)>> {
    match code {
        Some(code) => brokers::find_plan(db, service_id, code).await,
        None => Ok(None),
    }
}

/// Who requested for a task, in words for brokers; nobody, where nobody did but the hub itself.
async fn identity(db: &Db, requested: &BrokerTurn) -> Result<Option<String>> {
    let Some(principal_id) = tasks::asked_by(db, requested.task_id).await? else { return Ok(None) };
    let organization_id = requested.organization_id.to_string();
    let fields = [("principal_id", json::string(&principal_id)), ("organization_id", json::string(&organization_id))];
    Ok(Some(json::object(fields.iter().map(|(name, value)| (*name, value.as_str())))))
}
