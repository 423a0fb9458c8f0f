//! Certificates of products: whether a chain and a key can be installed, when they end, and the warnings of it. It alone reads
//! X.509. Installing one is a change of its environment.

mod certificate;
mod certificates;
mod der;
mod key;
pub mod pair;
mod pem;
mod warnings;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("certificates")
        .get(
            "/v1/certificates",
            "certificates.list",
            certificates::list,
            "List the certificates of products, those that end first first",
        )
        .post(
            "/internal/certificates/check",
            "certificates.check",
            certificates::check,
            "Check a chain and a key, for other components",
        )
        .job(warnings::note)
        .job(warnings::warn)
}

web::serve!(routes);
