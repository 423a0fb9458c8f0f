//! Gets customers what they are to have of the catalogue: the steps of the tasks on subscriptions, and the drivers that take
//! them; and begins what was approved and what a term's end brings. What somebody sends is the business of `subscriptions`; the two
//! are parted because one component has no room for both.

mod approvals;
mod carry_over;
mod drivers;
mod steps;
mod term_over;

use tasks::AdvanceTask;
use web::Routes;

/// The route table: none but what every component has.
pub fn routes() -> Routes {
    Routes::new("provisioning")
        .job(|hub, job, _: AdvanceTask| tasks::advance(hub, job, &steps::Steps))
        .job(approvals::begin)
        .job(carry_over::carry_over)
        .job(term_over::term_over)
}

web::serve!(routes);
