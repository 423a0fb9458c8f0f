//! Certificates of products: whether a chain and a key can be installed, when they end, and the warnings of it. It alone reads
//! X.509. Installing one is a change of its environment.

mod certificate;
mod certificates;
mod der;
mod key;
pub mod pair;
mod pem;
mod warnings;

use domain::{Error, Result, certificate::NOTE};
use store::jobs::Job;
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("certificates")
        .get("/v1/certificates", certificates::list, "List the certificates of products, those that end first first")
        .post("/internal/certificates/check", certificates::check, "Check a chain and a key, for other components")
        .jobs(run)
}

/// Runs one job, for the scheduler.
async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        kind if kind == NOTE.1 => warnings::note(hub, job).await,
        warnings::WARN => warnings::warn(hub, job).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

web::serve!(routes);
