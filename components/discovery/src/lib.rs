//! Partner accounts and the import of what they run. Its routes come with discovery; today it has its health.

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("discovery")
}

web::serve!(routes);
