//! Terms of subscriptions: when they end, what is to become of the subscription then, and seeing to it on the day.

mod renewals;

use domain::{Error, Result};
use store::{jobs::Job, renewals as rows};
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("renewals")
        .get("/v1/renewals", renewals::list, "List the terms of subscriptions and what is to be when they end")
        .get("/v1/subscriptions/{subscriptionId}/renewal", renewals::show, "Read a subscription's term")
        .put("/v1/subscriptions/{subscriptionId}/renewal", renewals::put, "Say what is to be when the term ends")
        .jobs(run)
}

async fn run(hub: Hub, job: Job) -> Result<()> {
    match job.kind.as_str() {
        rows::BEGIN => renewals::begin(hub, job).await,
        rows::LOOK => renewals::look(hub, job).await,
        rows::RENEWED => renewals::renewed(hub, job).await,
        other => Err(Error::conflict("job_kind_unknown", format!("This hub has no job of the kind {other}."))),
    }
}

web::serve!(routes);
