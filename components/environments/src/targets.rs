//! Targets: how data center components are reached. A target only translates; when it is called, how often, and what
//! follows from its answer is the engine's business.

use domain::{
    Id, Result,
    data_center::Target as Name,
    form::written,
    id,
    task::{Outcome, StepName, TaskType, Turn},
};
use serde_json::Value;
use store::{
    data_centers::{self, Reach},
    jobs,
};
use tasks::Work;

/// A data center component that is to be reached.
pub struct Contact<'a> {
    /// The task in the hands of its runner.
    pub work: &'a Work<'a>,
    /// The turn that is taken.
    pub turn: Turn,
    /// The task that wants it.
    pub task_id: Id<id::Task>,
    /// What for.
    pub task_type: TaskType,
    /// Which one, when it is one that is kept.
    pub data_center_id: Option<Id<id::DataCenter>>,
    /// How it is reached.
    pub reach: &'a Reach,
}

/// What every target can do. It may be called again after a crash, without anybody knowing how far the call before came.
trait Target {
    /// Sees whether the component is as described; to discover it, also what it has.
    async fn contact(&self, contact: &Contact<'_>) -> Result<Outcome>;
}

/// Has the component contacted through its target.
pub async fn contact(target: Name, contact: &Contact<'_>) -> Result<Outcome> {
    match target {
        Name::Builtin => Builtin.contact(contact).await,
        Name::Manual => Manual.contact(contact).await,
        Name::Vsphere => Vsphere.contact(contact).await,
    }
}

/// Reaches nothing: what was said is taken as given, and nowhere shown as seen.
struct Builtin;

impl Target for Builtin {
    async fn contact(&self, _: &Contact<'_>) -> Result<Outcome> {
        Ok(Outcome::Done)
    }
}

/// A person looks and says what they saw.
struct Manual;

impl Target for Manual {
    async fn contact(&self, contact: &Contact<'_>) -> Result<Outcome> {
        let Contact { task_id, reach: Reach { component_name, component_type, fqdn, username, .. }, .. } = contact;
        let what = match (contact.task_type, contact.data_center_id) {
            (TaskType::DatacenterDiscover, Some(id)) => {
                format!("Find out what it has and say so: POST /v1/data-centers/{id}/inventory. If that has not changed, say")
            }
            _ => "See that it is what it is said to be, then say".to_owned(),
        };
        Ok(Outcome::WaitForPerson(format!(
            "Sign in to the {component_type} {component_name} at {fqdn} as {username}. {what} so: POST /v1/tasks/{task_id}/steps/CONTACT/complete, or /fail if it cannot be done."
        )))
    }
}

/// The component that speaks to vCenters looks.
struct Vsphere;

impl Target for Vsphere {
    async fn contact(&self, contact: &Contact<'_>) -> Result<Outcome> {
        let Contact { work, turn, .. } = contact;
        let (outcome, found) = tasks::ask(work, "vsphere", StepName::Contact, *turn).await?;
        if let (Some(id), Value::Object(_)) = (contact.data_center_id, &found) {
            let db = work.hub.db().await?;
            db.in_transaction(async |tx| {
                jobs::hold(tx, work.job).await?;
                data_centers::set_inventory(tx, id, Some(&written(&found)), None).await
            })
            .await?;
        }
        Ok(outcome)
    }
}
