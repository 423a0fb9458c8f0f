//! Carries out what is to become of environments: the steps of their tasks. What is asked for is the business of `environments`,
//! which writes the tasks; the two are parted because one component has no room for both.

mod steps;

use tasks::AdvanceTask;
use web::Routes;

/// The route table: none but what every component has.
pub fn routes() -> Routes {
    Routes::new("deployments").job(|hub, job, _: AdvanceTask| tasks::advance(hub, job, &steps::Steps))
}

web::serve!(routes);
