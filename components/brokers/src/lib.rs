//! The client of service brokers (Open Service Broker API 2.17), and the wall around it: no other component reaches them. It
//! answers private routes only: it reads the catalogs of brokers, and takes turns of the tasks on service instances and service
//! bindings.

mod catalogs;
mod client;
mod internal;
mod operations;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("brokers").post("/internal/broker-turns", "turns.take", internal::take, "Take a turn at a service broker").post(
        "/internal/broker-catalogs/{serviceBrokerId}",
        "broker_catalogs.show",
        catalogs::show,
        "Read the catalog of a service broker",
    )
}

web::serve!(routes);
