//! `/v1/access-levels` and `/v1/me/access-levels`

use domain::{
    Error, Id, Instant, JsonSchema, Kind, PrincipalId, Result,
    access_level::{AccessLevel, OF_CUSTOMERS},
    id,
    role::Permissions,
};
use serde::Serialize;
use store::{
    Db, Scope,
    access_levels::{self, AccessLevels, NewAccessLevels, PersonLevel, ServiceLevel},
    bindings,
    customers_word::Word,
    members,
};
use web::{Body, Caller, Edited, Hub, IfMatch, Listing, OfCustomer, Page, PageQuery, Path, Paths, Query, Sent, Shown, permit};

/// The access levels that hold.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The level for all services that are not named.
    level: AccessLevel,
    /// The levels for those of which something was said.
    services: Vec<ServiceLevel>,
}

impl Effective {
    /// Of what was said of a customer and of a person in it, whose roles permit so much. Without a person, of the customer.
    fn of(customer: &AccessLevels, person: &AccessLevels, permitted: AccessLevel) -> Self {
        let level = |service| AccessLevel::effective(customer.of(service), person.of(service), permitted);
        let named = customer.services.iter().chain(&person.services).map(|one| one.service_id);
        let named = named.collect::<std::collections::BTreeSet<_>>();
        let services = named.into_iter().map(|service_id| ServiceLevel { service_id, level: level(Some(service_id)) });
        Self { level: level(None), services: services.collect() }
    }
}

/// The access levels of a customer, or of a person in it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLevelsView {
    /// The customer.
    organization_id: Id<id::Organization>,
    /// Who in it; absent where it is the customer's own.
    person_id: Option<Id<id::Person>>,
    /// The level that was said for all services of which nothing else is said; absent where it was not.
    level: Option<AccessLevel>,
    /// The levels that were said for single services.
    services: Vec<ServiceLevel>,
    /// What holds.
    effective: Effective,
    /// When it was last said; absent while nothing is.
    updated_at: Option<Instant>,
}

/// The organization within the scope, if it is a customer.
async fn customer(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<()> {
    members::place(db, scope, id).await?.kind.check_customer(id, "access levels")
}

async fn view(db: &Db, id: Id<id::Organization>, person: Option<Id<id::Person>>) -> Result<Edited<AccessLevelsView>> {
    let of_customer = access_levels::find(db, id, None).await?;
    let (said, effective) = match person {
        None => {
            let effective = Effective::of(&of_customer, &of_customer, OF_CUSTOMERS);
            (of_customer, effective)
        }
        Some(person) => {
            let roles = bindings::roles(db, PrincipalId::Person(person), id).await?;
            let said = access_levels::find(db, id, Some(person)).await?;
            let effective = Effective::of(&of_customer, &said, AccessLevel::permitted(Permissions::of(roles)));
            (said, effective)
        }
    };
    let AccessLevels { level, services, updated_at, version } = said;
    let value = AccessLevelsView { organization_id: id, person_id: person, level, services, effective, updated_at };
    Ok(Edited { version, value })
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Organization>>,
) -> Result<OfCustomer<Edited<AccessLevelsView>>> {
    let db = hub.db().await?;
    customer(db, &caller.scope(), id).await?;
    view(db, id, None).await.map(OfCustomer)
}

/// Sets a customer's access levels. Those above the customer decide on them.
pub async fn put(
    hub: Hub,
    caller: Caller<permit::SubscriptionWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: IfMatch,
    Body(said): Body<NewAccessLevels>,
) -> Result<Sent<Edited<AccessLevelsView>>> {
    hub.write(&caller, async |tx| {
        customer(tx, &caller.scope(), id).await?;
        if caller.acting().id == id {
            return Err(Error::new(
                Kind::Forbidden,
                "decided_from_above",
                "Up to what a customer uses its services is decided by its provider, and you act in the customer itself. Act in your own organization, or ask the provider.",
            ));
        }
        let before = access_levels::find(tx, id, None).await?;
        access_levels::put(tx, id, None, condition.version, &said, hub.now()).await?;
        tell(&hub, id, &before, &said);
        view(tx, id, None).await
    })
    .await
}

/// Tells the audit what was said.
fn tell(hub: &Hub, id: Id<id::Organization>, before: &AccessLevels, said: &NewAccessLevels) {
    let name = |level: Option<AccessLevel>| level.map(AccessLevel::as_str);
    let listed = |services: &[ServiceLevel]| {
        let each = services.iter().map(|one| format!("{}: {}", one.service_id, one.level));
        Some(each.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    };
    hub.concerns(id);
    hub.audit_change("level", name(before.level), name(said.level));
    hub.audit_change("services", listed(&before.services).as_deref(), listed(&said.services).as_deref());
}

pub async fn list_people(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Path(id): Path<Id<id::Organization>>,
    Query(query): Query<PageQuery>,
) -> Result<OfCustomer<Listing<PersonLevel>>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    customer(db, &caller.scope(), id).await?;
    let found = access_levels::people(db, id, page.after()?, page.rows()).await?;
    Ok(OfCustomer(Listing::new(&page, found, |one| one.person_id.to_string()).await?))
}

pub async fn show_person(
    hub: Hub,
    caller: Caller<permit::MemberRead>,
    Paths(id, person): Paths<Id<id::Organization>, Id<id::Person>>,
) -> Result<OfCustomer<Edited<AccessLevelsView>>> {
    let db = hub.db().await?;
    members::find(db, &caller.scope(), id, person).await?;
    customer(db, &caller.scope(), id).await?;
    view(db, id, Some(person)).await.map(OfCustomer)
}

/// Sets a member's access levels: never above the customer's.
pub async fn put_person(
    hub: Hub,
    caller: Caller<permit::ServiceRoleWrite>,
    Paths(id, person): Paths<Id<id::Organization>, Id<id::Person>>,
    condition: IfMatch,
    Body(said): Body<NewAccessLevels>,
) -> Result<Sent<Edited<AccessLevelsView>>> {
    hub.write(&caller, async |tx| {
        members::find(tx, &caller.scope(), id, person).await?;
        customer(tx, &caller.scope(), id).await?;
        let most = access_levels::find(tx, id, None).await?;
        if let Some(level) = said.level {
            level.check_within(most.of(None), "/level")?;
        }
        for (index, one) in said.services.iter().enumerate() {
            one.level.check_within(most.of(Some(one.service_id)), &format!("/services/{index}/level"))?;
        }
        let word = Word::of(tx, caller.principal(), id).await?;
        let before = access_levels::find(tx, id, Some(person)).await?;
        access_levels::put(tx, id, Some((person, &word)), condition.version, &said, hub.now()).await?;
        tell(&hub, id, &before, &said);
        view(tx, id, Some(person)).await
    })
    .await
}

/// The caller's own level where they act.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnAccessLevels {
    /// Where.
    organization_id: Id<id::Organization>,
    /// What holds. For those who do not belong to a customer it is what their roles permit.
    #[serde(flatten)]
    effective: Effective,
}

pub async fn own(hub: Hub, caller: Caller<permit::Anybody>) -> Result<Shown<OwnAccessLevels>> {
    let (db, organization_id) = (hub.db().await?, caller.acting().id);
    let permitted = AccessLevel::permitted(caller.permissions());
    let effective = if caller.is_customers_own() {
        let holder = access_levels::holder(db, caller.principal()).await?;
        let of_customer = access_levels::find(db, organization_id, None).await?;
        let mut said = match holder {
            Some(person) => access_levels::find(db, organization_id, Some(person)).await?,
            None => AccessLevels::default(),
        };
        if !matches!(caller.principal(), PrincipalId::Person(_)) {
            // A machine's owner gives it no more than its roles do.
            said.lower_to(permitted);
        }
        Effective::of(&of_customer, &said, permitted)
    } else {
        Effective { level: permitted, services: Vec::new() }
    };
    Ok(Shown(OwnAccessLevels { organization_id, effective }))
}
