//! The driver `osb`: a service broker does it. The component `broker-operations` knows how far it is.

use super::{Call, Driver};
use domain::{Result, service_broker::BrokerVerb, task::Outcome};
use osb::Asked;
use serde_json::value::RawValue;

pub struct Osb;

impl Driver for Osb {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        turn(call, BrokerVerb::Provision, false).await
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        turn(call, BrokerVerb::Deprovision, true).await
    }
}

async fn turn(call: &Call<'_>, verb: BrokerVerb, undoes: bool) -> Result<Outcome> {
    let subscription = call.subscription;
    let asked = Asked {
        verb,
        undoes,
        job: call.job,
        task_id: call.task_id,
        organization_id: subscription.organization_id,
        subscription_id: subscription.id,
        service_binding_id: None,
        service_id: subscription.service_id,
        plan_code: subscription.plan_code.as_deref(),
        previous_plan_code: None,
        properties: subscription.properties.as_deref().map(RawValue::get),
    };
    osb::turn(call.hub, &asked).await
}
