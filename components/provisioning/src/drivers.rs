//! Drivers: what carries a service out. A driver only translates, between the hub's words and those of what it drives.
//! When it is called, how often, and what follows from its answer is the engine's business.

mod broker_turn;
mod builtin;
mod manual;
mod service_broker;

pub use broker_turn::{BrokerCall, take_broker_turn};

use domain::{
    Id, Result, id,
    service::Driver as Name,
    task::{Outcome, StepName, Way},
};
use store::{
    Scope,
    jobs::Job,
    services::Service,
    subscriptions::{Holding, Subscription},
};
use web::Hub;

/// What a driver is told.
pub struct Call<'a> {
    /// Connection, clock and trace.
    pub hub: &'a Hub,
    /// The claim under which it is called; it ends when another runner takes over.
    pub job: &'a Job,
    /// The data it may touch.
    pub scope: &'a Scope,
    /// The task: the same in every attempt, so a key by which the other side can tell a repetition.
    pub task_id: Id<id::Task>,
    /// The step, by which a person who has to take it names it.
    pub step: StepName,
    /// Whether what the step does is being undone.
    pub undoes: bool,
    /// Who gets how much; while that is changed, who has how much until then.
    pub subscription: &'a Subscription,
    /// Of what.
    pub service: &'a Service,
}

/// What every driver can do. All may be called again after a crash, without anybody knowing how far the call before
/// came, and must then come to the same end. An error is a fault and worth another attempt; a refusal is an
/// [`Outcome::Failed`], and leaves nothing behind.
trait Driver {
    /// Gets the customer the service.
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome>;
    /// Takes the service away again. Finding nothing to take away is a success.
    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome>;
    /// Brings back what was being taken away for good, or was, with all that was in it; `subscription.before()` says whether
    /// it was withheld. Fails where that cannot be.
    async fn restore(&self, call: &Call<'_>) -> Result<Outcome>;
    /// Makes what the customer has what `to` says. To undo it, this is called with the two the other way round.
    async fn change(&self, call: &Call<'_>, from: &Holding, to: &Holding) -> Result<Outcome>;
    /// Withholds the service; nothing of it is lost. Undoes `resume`.
    async fn suspend(&self, call: &Call<'_>) -> Result<Outcome>;
    /// Gives the service again. Undoes `suspend`.
    async fn resume(&self, call: &Call<'_>) -> Result<Outcome>;
}

/// Has the service's driver take this step. `to` is what it is to make of what the customer has, where the step changes that.
pub async fn go(way: Way, call: &Call<'_>, to: Option<&Holding>) -> Result<Outcome> {
    match call.service.driver {
        Name::Manual => through(&manual::Manual, way, call, to).await,
        Name::Builtin => through(&builtin::Builtin, way, call, to).await,
        Name::Osb => service_broker::take(way, call, to).await,
    }
}

async fn through(driver: &impl Driver, way: Way, call: &Call<'_>, to: Option<&Holding>) -> Result<Outcome> {
    match (call.step, way) {
        (StepName::Provision, Way::Do) => driver.provision(call).await,
        (StepName::Provision, Way::Undo) | (StepName::Deprovision, Way::Do) => driver.deprovision(call).await,
        (StepName::Deprovision, Way::Undo) => driver.restore(call).await,
        (StepName::Suspend, Way::Do) | (StepName::Resume, Way::Undo) => driver.suspend(call).await,
        (StepName::Suspend, Way::Undo) | (StepName::Resume, Way::Do) => driver.resume(call).await,
        _ => {
            let had = call.subscription.holding();
            let to = to.unwrap_or(&had);
            let (from, to) = if way == Way::Do { (&had, to) } else { (to, &had) };
            driver.change(call, from, to).await
        }
    }
}
