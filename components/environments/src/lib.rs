//! Data center components, the environments that are deployed to them, and the tasks that do it.

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("environments")
}

web::serve!(routes);
