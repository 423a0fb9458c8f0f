//! The driver `osb`: a service broker does it. The component `brokers` knows how far it is.
//!
//! All that a driver can do is one question here, so it is one function: as a [`Driver`](super::Driver) it would be compiled
//! six times.

use super::{BrokerCall, Call, take_broker_turn};
use domain::{
    Result,
    service_broker::BrokerVerb,
    task::{Outcome, StepName, Way},
};
use store::subscriptions::Holding;

/// Takes a step, or undoes it; what it makes of what the customer has, where it changes that, is `to`.
pub async fn take(way: Way, call: &Call<'_>, to: Option<&Holding>) -> Result<Outcome> {
    let subscription = call.subscription;
    let verb = match (call.step, way) {
        (StepName::Provision, Way::Do) => BrokerVerb::Provision,
        (StepName::Provision, Way::Undo) | (StepName::Deprovision, Way::Do) => BrokerVerb::Deprovision,
        (StepName::Change, _) => BrokerVerb::Update,
        _ => {
            let why = if call.step == StepName::Deprovision {
                "What a service broker has begun to delete cannot be brought back. Terminate the subscription again."
            } else {
                "Service brokers have no way to withhold a service, and so none to give it again. Change its plan, or terminate it."
            };
            return Ok(Outcome::Failed(why.to_owned()));
        }
    };
    let had = (subscription.plan_code.as_deref(), &subscription.properties);
    let to = to.map_or(had, |to| (to.plan_code.as_deref(), &to.properties));
    let (from, to) = if verb == BrokerVerb::Update && way == Way::Undo { (to, had) } else { (had, to) };
    let broker_call = BrokerCall {
        verb,
        undoes: call.undoes,
        job: call.job,
        task_id: call.task_id,
        organization_id: subscription.organization_id,
        subscription_id: subscription.id,
        service_binding_id: None,
        service_id: subscription.service_id,
        plan_code: if verb == BrokerVerb::Update { to.0 } else { had.0 },
        previous_plan_code: (verb == BrokerVerb::Update).then_some(from.0).flatten(),
        properties: if verb == BrokerVerb::Update { to.1 } else { had.1 }.clone(),
    };
    take_broker_turn(call.hub, &broker_call).await
}
