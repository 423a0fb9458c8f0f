//! The driver `osb`: a service broker does it. The component `broker-operations` knows how far it is.

use super::{Call, Driver};
use domain::{Result, service_broker::BrokerVerb, task::Outcome};
use osb::Asked;
use serde_json::value::RawValue;
use store::subscriptions::Holding;

pub struct Osb;

impl Driver for Osb {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        turn(call, BrokerVerb::Provision, None).await
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        turn(call, BrokerVerb::Deprovision, None).await
    }

    async fn restore(&self, _: &Call<'_>) -> Result<Outcome> {
        Ok(refused("What a service broker has begun to delete cannot be brought back. Terminate the subscription again."))
    }

    async fn change(&self, call: &Call<'_>, from: &Holding, to: &Holding) -> Result<Outcome> {
        turn(call, BrokerVerb::Update, Some((from, to))).await
    }

    async fn suspend(&self, _: &Call<'_>) -> Result<Outcome> {
        Ok(refused("Service brokers have no way to withhold a service. Change its plan, or terminate it."))
    }

    async fn resume(&self, _: &Call<'_>) -> Result<Outcome> {
        Ok(refused("Service brokers have no way to withhold a service, so there is none to give again."))
    }
}

fn refused(why: &str) -> Outcome {
    Outcome::Failed(why.to_owned())
}

async fn turn(call: &Call<'_>, verb: BrokerVerb, change: Option<(&Holding, &Holding)>) -> Result<Outcome> {
    let subscription = call.subscription;
    let (plan_code, properties) = match change {
        Some((_, to)) => (&to.plan_code, &to.properties),
        None => (&subscription.plan_code, &subscription.properties),
    };
    let asked = Asked {
        verb,
        undoes: call.undoes,
        job: call.job,
        task_id: call.task_id,
        organization_id: subscription.organization_id,
        subscription_id: subscription.id,
        service_binding_id: None,
        service_id: subscription.service_id,
        plan_code: plan_code.as_deref(),
        previous_plan_code: change.and_then(|(from, _)| from.plan_code.as_deref()),
        properties: properties.as_deref().map(RawValue::get),
    };
    osb::turn(call.hub, &asked).await
}
