//! Drivers: what carries a service out. A driver only translates, between the hub's words and those of what it drives.
//! When it is called, how often, and what follows from its answer is the engine's business.

mod builtin;
mod manual;
mod osb;

use domain::{
    Id, Result, id,
    service::Driver as Name,
    task::{Outcome, Way},
};
use store::{Scope, jobs::Job, services::Service, subscriptions::Subscription};
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
    /// Who gets how much.
    pub subscription: &'a Subscription,
    /// Of what.
    pub service: &'a Service,
}

/// What every driver can do. Both may be called again after a crash, without anybody knowing how far the call before
/// came, and both must then come to the same end. An error is a fault and worth another attempt; a refusal is an
/// [`Outcome::Failed`], and leaves nothing behind.
trait Driver {
    /// Gets the customer the service.
    async fn provision(&self, call: &Call<'_>) -> Result<Outcome>;
    /// Takes the service away again. Finding nothing to take away is a success.
    async fn deprovision(&self, call: &Call<'_>) -> Result<Outcome>;
}

/// Has the service's driver go this way.
pub async fn go(way: Way, call: &Call<'_>) -> Result<Outcome> {
    match call.service.driver {
        Name::Manual => through(&manual::Manual, way, call).await,
        Name::Builtin => through(&builtin::Builtin, way, call).await,
        Name::Osb => through(&osb::Osb, way, call).await,
    }
}

async fn through(driver: &impl Driver, way: Way, call: &Call<'_>) -> Result<Outcome> {
    match way {
        Way::Do => driver.provision(call).await,
        Way::Undo => driver.deprovision(call).await,
    }
}
