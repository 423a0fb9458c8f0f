//! What is at service brokers, and how it comes there and goes. Tasks ask for it turn by turn, over a private route; it alone
//! speaks to brokers of service instances and service bindings.

mod operations;
mod turns;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("broker-operations").post("/internal/broker-turns", "turns.take", turns::take, "Take a turn at a service broker")
}

web::serve!(routes);
