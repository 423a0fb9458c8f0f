//! The driver `manual`: a person carries the service out and says so.

use super::{Call, Driver};
use domain::{Result, task::Outcome};

pub struct Manual;

impl Driver for Manual {
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome> {
        Ok(ask("Provision", "to", call))
    }

    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome> {
        Ok(ask("The task failed after this was done. Take away", "from", call))
    }
}

fn ask(what: &str, whom: &str, call: &Call<'_>) -> Outcome {
    let Call { task_id, subscription, service, .. } = call;
    Outcome::WaitForPerson(format!(
        "{what} {} of {} ({}) {whom} the customer {}, then say so: POST /v1/tasks/{task_id}/steps/PROVISION/complete, or /fail if it cannot be done.",
        subscription.quantity, service.display_name, service.code, subscription.organization_id
    ))
}
