//! Speaks to vCenters for the components that deploy to them. It alone reaches them, and answers nobody but the hub's own
//! parts: it takes turns of their tasks, and what there is at a vCenter tells it how far each has come.

mod inventory;
mod machines;
mod memo;
mod peer;
mod turns;
mod vcenter;
mod xml;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("vsphere").post("/internal/turns", "turns.take", turns::take, "Take a turn at a vCenter for another component")
}

web::serve!(routes);
