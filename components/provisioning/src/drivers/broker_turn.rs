//! Turns of tasks at service brokers, which the component `brokers` takes.

use ::tasks::Boxed;
use domain::{
    Id, id,
    service_broker::{BrokerOutcome, BrokerTurn, BrokerVerb},
    task::Outcome,
};
use serde_json::value::RawValue;
use store::jobs::Job;
use web::Hub;

/// What is to be done at a broker, for a turn of a task.
pub struct BrokerCall<'a> {
    /// The operation.
    pub verb: BrokerVerb,
    /// Whether it undoes what the task did.
    pub undoes: bool,
    /// The claim of the task's runner.
    pub job: &'a Job,
    /// The task.
    pub task_id: Id<id::Task>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// The subscription whose service instance it is about.
    pub subscription_id: Id<id::Subscription>,
    /// The service binding, where it is about one.
    pub service_binding_id: Option<Id<id::ServiceBinding>>,
    /// The service.
    pub service_id: Id<id::Service>,
    /// The plan afterwards.
    pub plan_code: Option<&'a str>,
    /// The plan before; of an update only.
    pub previous_plan_code: Option<&'a str>,
    /// The parameters for the broker: a JSON object.
    pub properties: Option<Box<RawValue>>,
}

/// Has a turn taken.
pub fn take_broker_turn<'a>(hub: &'a Hub, call: &'a BrokerCall<'a>) -> Boxed<'a, Outcome> {
    Box::pin(async move {
        let (job_id, way) = (call.job.id, if call.undoes { "undo" } else { "do" });
        let turn = BrokerTurn {
            verb: call.verb,
            turn: format!("{job_id} {} {way}", call.verb.as_str()),
            job_id,
            fence: call.job.fence,
            task_id: call.task_id,
            organization_id: call.organization_id,
            subscription_id: call.subscription_id,
            service_binding_id: call.service_binding_id,
            service_id: call.service_id,
            plan_code: call.plan_code.map(str::to_owned),
            previous_plan_code: call.previous_plan_code.map(str::to_owned),
            properties: call.properties.clone(),
        };
        let answer = web::ask(hub, "brokers", "/internal/broker-turns", &turn).await?;
        let outcome: BrokerOutcome = web::read_json(answer.body.as_deref().unwrap_or_default())?;
        Ok(outcome.into())
    })
}
