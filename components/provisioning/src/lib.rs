//! Gets customers what they are to have of the catalogue: the steps of the tasks on subscriptions, and the drivers that take
//! them; and begins what was approved and what a term's end brings. What somebody sends is the business of `subscriptions`; the two
//! are parted because one component has no room for both.

mod approvals;
mod carry_over;
mod drivers;
mod steps;
mod term_over;

use domain::{Error, Result};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table: none but what every component has.
pub fn routes() -> Routes {
    Routes::new("provisioning").jobs(run)
}

/// Runs one job, for the scheduler, and for `subscriptions` when somebody would rather wait.
async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        engine::ADVANCE => engine::advance(hub, job, &steps::Steps).await,
        store::approvals::BEGIN => approvals::begin(hub, job).await,
        domain::contract::CARRY_OVER => carry_over::carry_over(hub, job).await,
        store::renewals::TERM_OVER => term_over::term_over(hub, job).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

web::serve!(routes);
