//! Sellers, orders, invitations, and the subscriptions they become. Its routes come with seller invitations; today it has its health.

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("invitations")
}

web::serve!(routes);
