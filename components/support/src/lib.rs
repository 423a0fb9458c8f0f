//! Tickets and notifications. Its routes come with support; today it has its health.

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("support")
}

web::serve!(routes);
