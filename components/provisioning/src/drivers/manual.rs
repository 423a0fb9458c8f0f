//! The driver `manual`: a person carries the service out and says so.

use super::{Call, Driver};
use domain::{Result, task::Outcome};
use store::subscriptions::Holding;

pub struct Manual;

impl Driver for Manual {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        ask(call, "Provision", "to", "")
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        ask(call, "Take away", "from", "")
    }

    async fn restore(&self, call: &Call<'_>) -> Result<Outcome> {
        ask(call, "Bring back", "to", "")
    }

    async fn change(&self, call: &Call<'_>, _: &Holding, to: &Holding) -> Result<Outcome> {
        let plan = to.plan_code.as_ref().map_or(String::new(), |plan| format!(" of the plan {plan}"));
        let rest = if to.properties.is_some() { ", with the properties that its request names" } else { "" };
        ask(call, "Change", "of", &format!(", to {}{plan}{rest}", to.quantity))
    }

    async fn suspend(&self, call: &Call<'_>) -> Result<Outcome> {
        ask(call, "Withhold, so that nothing of it is lost,", "from", "")
    }

    async fn resume(&self, call: &Call<'_>) -> Result<Outcome> {
        ask(call, "Give again", "to", "")
    }
}

fn ask(call: &Call<'_>, what: &str, whom: &str, how: &str) -> Result<Outcome> {
    let Call { task_id, step, subscription, service, .. } = call;
    let why = if call.undoes { "The task failed or was cancelled after this was begun. " } else { "" };
    Ok(Outcome::WaitForPerson(format!(
        "{why}{what} {} of {} ({}) {whom} the customer {}{how}, then say so: POST /v1/tasks/{task_id}/steps/{step}/complete, or /fail if it cannot be done.",
        subscription.quantity, service.display_name, service.code, subscription.organization_id
    )))
}
