//! `/v1/cloud-endpoints/{cloudEndpointId}/assignments`

use crate::cloud_endpoints::in_customer;
use domain::{Error, Id, Result, cloud_endpoint::check_customer, id};
use store::{
    cloud_endpoints::{self, Assignment, CloudEndpoint, NewAssignment},
    organizations,
};
use web::{Body, Caller, Created, Hub, Listing, NoContent, Page, PageQuery, Path, Paths, Query, Sent, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::CloudEndpointWrite>,
    Path(id): Path<Id<id::CloudEndpoint>>,
    Body(new): Body<NewAssignment>,
) -> Result<Sent<Created<Assignment>>> {
    hub.write(&caller, async |tx| {
        let endpoint = cloud_endpoints::find(tx, &caller.scope(), id).await?;
        let customer = organizations::find_place_in_use(tx, &caller.scope(), new.organization_id).await?;
        check_customer(customer.kind)?;
        if !customer.path.line().any(|above| above == endpoint.organization_id) {
            return Err(Error::invalid(
                "/organizationId",
                "is no customer of the provider whose the cloud endpoint is; assign it one of that customer's own provider",
            ));
        }
        let value = cloud_endpoints::assign(tx, id, &new, hub.now()).await?;
        tell(&hub, &endpoint, customer.id);
        hub.audit("customerId", &customer.id.to_string());
        Ok(Created::at(format!("/v1/cloud-endpoints/{id}/assignments"), value))
    })
    .await
}

/// Tells the audit of the provider and that of the one customer.
fn tell(hub: &Hub, endpoint: &CloudEndpoint, customer: Id<id::Organization>) {
    hub.concerns(endpoint.organization_id);
    hub.concerns(customer);
    hub.audit_subject(endpoint.id.to_string());
    hub.audit("displayName", &endpoint.display_name);
}

/// Lists a cloud endpoint's assignments: in a customer, its own alone.
pub async fn list(
    hub: Hub,
    caller: Caller<permit::CloudEndpointRead>,
    Path(id): Path<Id<id::CloudEndpoint>>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Assignment>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    let only = if in_customer(&caller) {
        cloud_endpoints::find_assigned(db, &caller.scope(), id).await?;
        Some(caller.acting().id)
    } else {
        cloud_endpoints::find(db, &caller.scope(), id).await?;
        None
    };
    let found = cloud_endpoints::assignments(db, id, only, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |assignment| assignment.organization_id.to_string()).await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::CloudEndpointWrite>,
    Paths(id, customer): Paths<Id<id::CloudEndpoint>, Id<id::Organization>>,
) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        let endpoint = cloud_endpoints::find(tx, &caller.scope(), id).await?;
        cloud_endpoints::unassign(tx, id, customer).await?;
        tell(&hub, &endpoint, customer);
        Ok(NoContent)
    })
    .await
}
