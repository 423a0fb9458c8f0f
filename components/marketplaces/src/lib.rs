//! Webhooks from Microsoft, AWS, Google and any Standard Webhooks sender. Its routes come with marketplaces; today it has its health.

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("marketplaces")
}

web::serve!(routes);
