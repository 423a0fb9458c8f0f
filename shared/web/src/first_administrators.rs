//! Who is to run an organization that is only just made.

use crate::{Hub, Identity, route::LocalIn};
use domain::{
    Id, OrganizationPath, PrincipalId, Result, Role, id,
    member::{FirstAdministrator, check_first_administrator},
    person::Email,
};
use store::{
    Tx,
    jobs::{self, NewJob},
    organizations::NewOrganization,
    people,
};

/// Has the first administrators made, or invited, of those of these customers for which one is named: by a job each, of the
/// component that has members. Refused when the caller could not make them that. The customers stand below `parent`.
pub fn name_first_administrators<'a>(
    hub: &'a Hub,
    tx: &'a Tx<'_>,
    caller: &'a Identity,
    parent: &'a OrganizationPath,
    customers: &'a [(Id<id::Organization>, &'a NewOrganization)],
) -> LocalIn<'a, Result<()>> {
    Box::pin(async move {
        let named = |(id, new): &(Id<id::Organization>, &'a NewOrganization)| Some((*id, new.admin_user_email.as_ref()?, *new));
        let named: Vec<(_, &Email, _)> = customers.iter().filter_map(named).collect();
        let Some((some, ..)) = named.first() else { return Ok(()) };
        let authority = caller.authority_in(&parent.child(*some));
        check_first_administrator(&authority, false)?;
        if let PrincipalId::Person(person) = caller.principal()
            && !authority.covers(Role::CustomerAdministrator)
        {
            let own = people::find(tx, person).await?.email;
            check_first_administrator(&authority, named.iter().any(|(_, email, _)| **email == own))?;
        }
        let (first, trace) = (hub.id::<id::Job>(), hub.traceparent());
        let mut jobs = Vec::with_capacity(named.len());
        for ((organization_id, email, new), number) in named.into_iter().zip(0..) {
            let who =
                FirstAdministrator { email: email.clone(), display_name: new.admin_user_name.clone(), by: caller.principal() };
            let new = NewJob::of(first.nth(number), organization_id, &who, hub.now())?;
            jobs.push(NewJob { trace: Some(&trace), ..new });
        }
        jobs::enqueue_all(tx, &jobs).await
    })
}
