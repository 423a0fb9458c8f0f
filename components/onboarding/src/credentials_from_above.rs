//! `/v1/organizations/{organizationId}/credentials-from-above`: who has a way into a customer that those above it gave.

use domain::{Id, PrincipalId, Result, Role, id, member::last_administrator};
use store::{
    bindings, customers_word,
    from_above::{self, CredentialFromAbove},
    members,
};
use web::{Caller, Hub, Listing, NoContent, OfCustomer, Page, PageQuery, Path, Paths, Query, Sent, permit};

pub async fn list(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Path(customer): Path<Id<id::Organization>>,
    Query(query): Query<PageQuery>,
) -> Result<OfCustomer<Listing<CredentialFromAbove>>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    let place = members::place(db, &caller.scope(), customer).await?;
    place.kind.check_customer(customer, "credentials from above")?;
    let found = from_above::list(db, (customer, &place.path), page.after()?, page.rows()).await?;
    Listing::new(&page, found, |credential| credential.principal_id.to_string()).await.map(OfCustomer)
}

/// For the customer's own administrators.
pub async fn end(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Paths(customer, principal): Paths<Id<id::Organization>, PrincipalId>,
) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        let place = members::place(tx, &caller.scope(), customer).await?;
        place.kind.check_customer(customer, "credentials from above")?;
        customers_word::check_speaks(tx, caller.principal(), customer).await?;
        let found = from_above::find(tx, (customer, &place.path), principal).await?;
        bindings::lock(tx, customer).await?;
        if let PrincipalId::Person(person) = principal
            && found.roles.iter().any(|role: &Role| role.is_administrator())
            && !bindings::any_administrator(tx, customer, Some(person)).await?
        {
            return Err(last_administrator());
        }
        from_above::end(tx, (customer, &place.path), principal, hub.now()).await?;
        hub.concerns(customer);
        for role in &found.roles {
            hub.audit("role", role.as_str());
        }
        Ok(NoContent)
    })
    .await
}
