//! Provisioning: the catalog, what customers have of it, and everything by which they come to it and keep it. Orders and
//! approvals, terms and renewals, service brokers (the records), service bindings and cloud endpoints; the steps of the tasks on
//! subscriptions, and the drivers that take them. It reaches no outside host: the component `brokers` does.

mod approval_policies;
mod approvals;
mod carry_over;
mod cloud_endpoint_assignments;
mod cloud_endpoints;
mod drivers;
mod orders;
mod renewals;
mod service_bindings;
mod service_broker_imports;
mod service_brokers;
mod services;
mod steps;
mod subscriptions;
mod terms;

use tasks::AdvanceTask;
use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    let routes = Routes::new("provisioning");
    let routes = cloud_endpoint_routes(service_broker_routes(approval_routes(subscription_routes(service_routes(routes)))));
    routes
        .job(|hub, job, _: AdvanceTask| tasks::advance(hub, job, &steps::Steps))
        .job(approvals::lapse)
        .job(orders::begin_approved)
        .job(orders::look_at_term)
        .job(carry_over::carry_over)
        .job(service_bindings::forget)
}

fn service_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/services", "services.create", services::create, "Create a service or product in the catalog")
        .get("/v1/services", "services.list", services::list, "List the catalog")
        .get("/v1/services/{serviceId}", "services.show", services::show, "Show a service and its offer")
        .patch("/v1/services/{serviceId}", "services.edit", services::edit, "Edit a service")
        .post("/v1/services/{serviceId}/publish", "services.publish", services::publish, "Publish a service")
        .post("/v1/services/{serviceId}/deprecate", "services.deprecate", services::deprecate, "Deprecate a service")
        .post("/v1/services/{serviceId}/retire", "services.retire", services::retire, "Retire a service that nobody has")
        .post(
            "/v1/services/{serviceId}/validate",
            "services.validate",
            services::validate,
            "Validate a request against a service's offer",
        )
}

fn subscription_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/subscriptions", "subscriptions.create", subscriptions::create, "Provision a service to a customer")
        .get("/v1/subscriptions", "subscriptions.list", subscriptions::list, "List subscriptions")
        .get("/v1/subscriptions/{subscriptionId}", "subscriptions.show", subscriptions::show, "Show a subscription")
        .patch("/v1/subscriptions/{subscriptionId}", "subscriptions.change", subscriptions::change, "Change a subscription")
        .post(
            "/v1/subscriptions/{subscriptionId}/suspend",
            "subscriptions.suspend",
            subscriptions::suspend,
            "Suspend a subscription",
        )
        .post("/v1/subscriptions/{subscriptionId}/resume", "subscriptions.resume", subscriptions::resume, "Resume a subscription")
        .post(
            "/v1/subscriptions/{subscriptionId}/renew",
            "subscriptions.renew",
            subscriptions::renew,
            "Renew a subscription before its term ends",
        )
        .post(
            "/v1/subscriptions/{subscriptionId}/terminate",
            "subscriptions.terminate",
            subscriptions::terminate,
            "Terminate a subscription",
        )
        .get("/v1/renewals", "renewals.list", renewals::list, "List the terms and renewal preferences of subscriptions")
        .get("/v1/subscriptions/{subscriptionId}/renewal", "renewals.show", renewals::show, "Show a subscription's term")
        .put("/v1/subscriptions/{subscriptionId}/renewal", "renewals.put", renewals::put, "Set the renewal preference")
}

fn approval_routes(routes: Routes) -> Routes {
    routes
        .get(
            "/v1/approval-policies/{organizationId}",
            "approval_policies.show",
            approval_policies::show,
            "Show a customer's approval policy",
        )
        .put(
            "/v1/approval-policies/{organizationId}",
            "approval_policies.replace",
            approval_policies::replace,
            "Set a customer's approval policy",
        )
        .get("/v1/approvals", "approvals.list", approvals::list, "List approvals")
        .get("/v1/approvals/{approvalId}", "approvals.show", approvals::show, "Show an approval")
        .post(
            "/v1/approvals/{approvalId}/approve",
            "approvals.approve",
            approvals::approve,
            "Approve a request and begin its task",
        )
        .post("/v1/approvals/{approvalId}/reject", "approvals.reject", approvals::reject, "Reject a request")
        .post("/v1/approvals/{approvalId}/withdraw", "approvals.withdraw", approvals::withdraw, "Withdraw a request")
}

fn service_broker_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/service-brokers", "service_brokers.create", service_brokers::create, "Register a service broker")
        .get("/v1/service-brokers", "service_brokers.list", service_brokers::list, "List service brokers")
        .get("/v1/service-brokers/{serviceBrokerId}", "service_brokers.show", service_brokers::show, "Show a service broker")
        .patch("/v1/service-brokers/{serviceBrokerId}", "service_brokers.edit", service_brokers::edit, "Edit a service broker")
        .delete(
            "/v1/service-brokers/{serviceBrokerId}",
            "service_brokers.remove",
            service_brokers::remove,
            "Remove a service broker",
        )
        .post(
            "/v1/service-brokers/{serviceBrokerId}/import",
            "imports.import",
            service_broker_imports::import,
            "Import a service broker's offers into the catalog",
        )
        .post("/v1/service-bindings", "service_bindings.create", service_bindings::create, "Create a service binding")
        .get("/v1/service-bindings", "service_bindings.list", service_bindings::list, "List service bindings")
        .get("/v1/service-bindings/{serviceBindingId}", "service_bindings.show", service_bindings::show, "Show a service binding")
        .get(
            "/v1/service-bindings/{serviceBindingId}/credentials",
            "service_bindings.show_credentials",
            service_bindings::show_credentials,
            "Show the credentials of a service binding",
        )
        .delete(
            "/v1/service-bindings/{serviceBindingId}",
            "service_bindings.remove",
            service_bindings::remove,
            "Delete a service binding",
        )
}

fn cloud_endpoint_routes(routes: Routes) -> Routes {
    routes
        .post("/v1/cloud-endpoints", "cloud_endpoints.create", cloud_endpoints::create, "Register a cloud endpoint")
        .get("/v1/cloud-endpoints", "cloud_endpoints.list", cloud_endpoints::list, "List cloud endpoints")
        .get("/v1/cloud-endpoints/{cloudEndpointId}", "cloud_endpoints.show", cloud_endpoints::show, "Show a cloud endpoint")
        .patch("/v1/cloud-endpoints/{cloudEndpointId}", "cloud_endpoints.edit", cloud_endpoints::edit, "Edit a cloud endpoint")
        .delete(
            "/v1/cloud-endpoints/{cloudEndpointId}",
            "cloud_endpoints.remove",
            cloud_endpoints::remove,
            "Remove a cloud endpoint",
        )
        .get(
            "/v1/cloud-endpoints/{cloudEndpointId}/access",
            "cloud_endpoints.access",
            cloud_endpoints::access,
            "Show the address of a cloud endpoint",
        )
        .post(
            "/v1/cloud-endpoints/{cloudEndpointId}/assignments",
            "assignments.create",
            cloud_endpoint_assignments::create,
            "Assign a cloud endpoint to a customer",
        )
        .get(
            "/v1/cloud-endpoints/{cloudEndpointId}/assignments",
            "assignments.list",
            cloud_endpoint_assignments::list,
            "List the customers of a cloud endpoint",
        )
        .delete(
            "/v1/cloud-endpoints/{cloudEndpointId}/assignments/{customerId}",
            "assignments.remove",
            cloud_endpoint_assignments::remove,
            "Unassign a cloud endpoint from a customer",
        )
}

web::serve!(routes);
