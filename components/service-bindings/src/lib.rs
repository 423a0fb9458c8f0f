//! Service bindings: ways into the services that customers have, each with credentials of its own, which a service broker
//! makes and deletes.

mod service_bindings;
mod steps;

use domain::Result;
use store::{
    jobs::{self, Job},
    service_bindings::ForgetServiceBinding,
};
use tasks::AdvanceTask;
use web::{Hub, Routes};

/// The route table.
pub fn routes() -> Routes {
    Routes::new("service-bindings")
        .post("/v1/service-bindings", "service_bindings.create", service_bindings::create, "Make a service binding")
        .get("/v1/service-bindings", "service_bindings.list", service_bindings::list, "List service bindings")
        .get("/v1/service-bindings/{serviceBindingId}", "service_bindings.show", service_bindings::show, "Read a service binding")
        .get(
            "/v1/service-bindings/{serviceBindingId}/credentials",
            "service_bindings.show_credentials",
            service_bindings::show_credentials,
            "Read the credentials of a service binding",
        )
        .delete(
            "/v1/service-bindings/{serviceBindingId}",
            "service_bindings.remove",
            service_bindings::remove,
            "Delete a service binding",
        )
        .job(|hub, job, _: AdvanceTask| tasks::advance(hub, job, &steps::Steps))
        .job(forget)
}

/// Removes a service binding whose service instance is gone, as the component `broker-operations` has it.
async fn forget(hub: Hub, job: Job, ForgetServiceBinding { service_binding_id }: ForgetServiceBinding) -> Result<()> {
    let db = hub.db().await?;
    db.in_transaction(async |tx| {
        jobs::finish(tx, &job).await?;
        store::service_bindings::delete(tx, service_binding_id).await
    })
    .await
}

web::serve!(routes);
