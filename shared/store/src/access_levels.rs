//! Access levels: what was said of them, and what of it holds for whoever asks.

use crate::{
    Db, Levels, Row, Scope, Stored, Tx, Value,
    customers_word::Word,
    db::Boxed,
    params, stale,
    value::{numbers, start},
};
use domain::{Error, Id, Instant, JsonSchema, List, PrincipalId, Result, access_level::AccessLevel, id};
use serde::{Deserialize, Serialize};

/// The level for one service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceLevel {
    /// The service.
    pub service_id: Id<id::Service>,
    /// The level for it.
    pub level: AccessLevel,
}

/// What is to be said of a customer, or of a person in it, in the place of all that was said before.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccessLevels {
    /// The level for all services of which nothing else is said.
    pub level: Option<AccessLevel>,
    /// Levels for single services, each named once.
    #[serde(default)]
    pub services: List<ServiceLevel, 200>,
}

/// What was said of a customer, or of a person in it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLevels {
    /// The level for all services of which nothing else is said; absent where that was not said.
    pub level: Option<AccessLevel>,
    /// Levels for single services.
    pub services: Vec<ServiceLevel>,
    /// When it was last said; absent while nothing is.
    pub updated_at: Option<Instant>,
    /// Counts how often it was said; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

impl AccessLevels {
    /// What was said for a service, or for those of which nothing else is said.
    pub fn of(&self, service: Option<Id<id::Service>>) -> Option<AccessLevel> {
        let own = self.services.iter().find(|one| Some(one.service_id) == service);
        own.map(|one| one.level).or(self.level)
    }

    /// Lowers whatever is said above a level to that.
    pub fn lower_to(&mut self, most: AccessLevel) {
        self.level = self.level.map(|level| level.min(most));
        self.services.iter_mut().for_each(|one| one.level = one.level.min(most));
    }
}

/// A person of whom something was said.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonLevel {
    /// Who.
    pub person_id: Id<id::Person>,
    /// The level for all services of which nothing else is said; absent where that was not said.
    pub level: Option<AccessLevel>,
    /// For how many single services there is another.
    pub services: u32,
    /// When it was last said.
    pub updated_at: Instant,
}

/// What stands in the place of a person where the customer itself is meant.
fn who(person: Option<Id<id::Person>>) -> String {
    person.map(|person| person.to_string()).unwrap_or_default()
}

/// What was said of a customer that was found before, or of a person in it.
pub async fn find(db: &Db, customer: Id<id::Organization>, person: Option<Id<id::Person>>) -> Result<AccessLevels> {
    let sql = "SELECT service_id, level, version, updated_at FROM access_levels
         WHERE organization_id = ?1 AND person_id = ?2 ORDER BY service_id LIMIT 201";
    let read = |row: &mut Row| Ok((row.take::<String>()?, row.take::<Option<AccessLevel>>()?, row.take::<i64>()?, row.take()?));
    let mut found = AccessLevels::default();
    for (service, level, version, updated_at) in db.query_all(sql, params![customer, who(person)], read).await? {
        match (service.parse(), level) {
            (Ok(service_id), Some(level)) => found.services.push(ServiceLevel { service_id, level }),
            _ => (found.level, found.version, found.updated_at) = (level, version, Some(updated_at)),
        }
    }
    Ok(found)
}

/// Refuses services that there are not, and one that is named twice.
async fn check_services(tx: &Tx<'_>, said: &[ServiceLevel]) -> Result<()> {
    if said.is_empty() {
        return Ok(());
    }
    let ids: Vec<Value> = said.iter().map(|one| one.service_id.to_value()).collect();
    let sql = format!("SELECT id FROM services WHERE status <> 'DRAFT' AND id IN ({})", numbers(1, ids.len()));
    let known: Vec<Id<id::Service>> = tx.query_all(&sql, ids, |row| row.take()).await?;
    for (index, one) in said.iter().enumerate() {
        let twice = said[..index].iter().any(|before| before.service_id == one.service_id);
        let detail = match (twice, known.contains(&one.service_id)) {
            (true, _) => "is named before; name each service once",
            (_, false) => "is no service of the catalog. GET /v1/services lists what there is",
            _ => continue,
        };
        return Err(Error::invalid(format!("/services/{index}/serviceId"), detail));
    }
    Ok(())
}

/// Says it of a customer that was found in this transaction, or of a member of it by somebody who has a say in it, if what was said is
/// still `version`; anything else is stale.
pub async fn put(
    tx: &Tx<'_>,
    customer: Id<id::Organization>,
    person: Option<(Id<id::Person>, &Word)>,
    version: Option<i64>,
    said: &NewAccessLevels,
    now: Instant,
) -> Result<()> {
    let (customer, person) = person.map_or((customer, None), |(person, word)| (word.organization(), Some(person)));
    let current = find(tx, customer, person).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(stale("access level"));
    }
    check_services(tx, &said.services).await?;
    let who = who(person);
    tx.exec("DELETE FROM access_levels WHERE organization_id = ?1 AND person_id = ?2", params![customer, who]).await?;
    let all = [(Value::Text(String::new()), said.level)];
    let single = said.services.iter().map(|one| (one.service_id.to_value(), Some(one.level)));
    for (service, level) in all.into_iter().chain(single) {
        tx.exec(
            "INSERT INTO access_levels (organization_id, person_id, service_id, level, version, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![customer, who, service, level, current.version + 1, now],
        )
        .await?;
    }
    Ok(())
}

/// A page of the people of whom something was said in a customer that was found before.
pub async fn people(
    db: &Db,
    customer: Id<id::Organization>,
    after: Option<Id<id::Person>>,
    limit: u32,
) -> Result<Vec<PersonLevel>> {
    let sql = "SELECT l.person_id, l.level, (SELECT COUNT(*) FROM access_levels s WHERE s.organization_id = l.organization_id
             AND s.person_id = l.person_id AND s.service_id > ''), l.updated_at
         FROM access_levels l WHERE l.organization_id = ?1 AND l.person_id > ?2 AND l.service_id = '' ORDER BY l.person_id LIMIT ?3";
    let read = |row: &mut Row| {
        Ok(PersonLevel { person_id: row.take()?, level: row.take()?, services: row.take()?, updated_at: row.take()? })
    };
    db.query_all(sql, params![customer, start(after), limit], read).await
}

/// Forgets what was said of a person who is a member no longer.
pub(crate) async fn forget(tx: &Tx<'_>, customer: Id<id::Organization>, person: Id<id::Person>) -> Result<()> {
    tx.exec("DELETE FROM access_levels WHERE organization_id = ?1 AND person_id = ?2", params![customer, person]).await
}

/// Forgets what was said of a customer that is removed, and of its people.
pub(crate) async fn forget_all(tx: &Tx<'_>, customer: Id<id::Organization>) -> Result<()> {
    tx.exec("DELETE FROM access_levels WHERE organization_id = ?1", params![customer]).await
}

/// How access levels narrow what a principal that belongs to a customer does there, in a request that needs this level. With
/// `permitted`, its roles do not permit it and come to so much: then the level must have been said of the person for something, or
/// it is none. Whoever asks acts there.
pub fn narrowing(
    db: &Db,
    customer: Id<id::Organization>,
    principal: PrincipalId,
    needed: AccessLevel,
    permitted: Option<AccessLevel>,
) -> Boxed<'_, Option<Levels>> {
    Box::pin(async move {
        let (mut holder, is_person) = (principal.to_string(), matches!(principal, PrincipalId::Person(_)));
        if permitted.is_some() {
            let sql = "SELECT person_id FROM access_levels WHERE organization_id = ?1 AND person_id = ?2 AND level >= ?3 LIMIT 1";
            // A machine has been given the roles that it is to have: its owner's levels narrow them and add nothing.
            if !is_person || db.texts(sql, params![customer, holder, needed]).await?.is_empty() {
                return Ok(None);
            }
        } else if !is_person {
            holder = owner(db, holder).await?;
        }
        Ok(Some(Levels { holder, permitted: permitted.unwrap_or(needed), needed }))
    })
}

/// The person whose levels hold for a machine: who owns it, or who owns that. Nobody is `-`.
fn owner(db: &Db, machine: String) -> Boxed<'_, String> {
    Box::pin(async move {
        let sql = "SELECT id FROM (WITH RECURSIVE line (id) AS (SELECT CAST(?1 AS TEXT) UNION
             SELECT COALESCE((SELECT t.owner_id FROM api_tokens t WHERE t.id = line.id), (SELECT a.owner_id FROM apps a WHERE a.id = line.id))
             FROM line WHERE line.id IS NOT NULL) SELECT id FROM line) owners WHERE id > 'per_' AND id < 'per`' LIMIT 1";
        Ok(db.texts(sql, params![machine]).await?.pop().unwrap_or_else(|| "-".to_owned()))
    })
}

/// The person whose levels hold for a principal: itself, or who owns it; nobody, where a machine's owners end in none.
pub async fn holder(db: &Db, principal: PrincipalId) -> Result<Option<Id<id::Person>>> {
    match principal {
        PrincipalId::Person(person) => Ok(Some(person)),
        machine => Ok(owner(db, machine.to_string()).await?.parse().ok()),
    }
}

/// Refuses what a caller sees and may not do, where the request needs more than to see: by the service of a subscription that was
/// found in the scope. Whoever does not belong to a customer has no level to be refused by.
pub fn check<'a>(db: &'a Db, scope: &'a Scope, subscription: Id<id::Subscription>) -> Boxed<'a, ()> {
    Box::pin(async move {
        let Some(needed) = scope.needed().filter(|needed| *needed > AccessLevel::View) else { return Ok(()) };
        let mut values = params![subscription];
        let condition = scope.level(needed, "s.organization_id", "s.service_id", &mut values);
        let sql = ["SELECT s.id FROM subscriptions s WHERE s.id = ?1", &condition].concat();
        if db.texts(&sql, values).await?.is_empty() { Err(too_low(needed)) } else { Ok(()) }
    })
}

/// The same for a service that the customer is to have: one that a caller may not manage is not ordered either.
pub fn check_service<'a>(
    db: &'a Db,
    scope: &'a Scope,
    customer: Id<id::Organization>,
    service: Id<id::Service>,
) -> Boxed<'a, ()> {
    Box::pin(async move {
        let Some(needed) = scope.needed() else { return Ok(()) };
        let mut values = params![customer, service];
        let condition = scope.level(needed, "?1", "?2", &mut values);
        let sql = ["SELECT v.id FROM services v WHERE v.id = ?2", &condition].concat();
        if db.texts(&sql, values).await?.is_empty() { Err(too_low(needed)) } else { Ok(()) }
    })
}

/// The refusal of what needs a higher level than the caller has.
pub fn too_low(needed: AccessLevel) -> Error {
    Error::new(
        domain::Kind::Forbidden,
        "access_level_too_low",
        format!(
            "This needs the access level {needed}, and yours for it is lower. GET /v1/me/access-levels shows yours; ask an administrator of your organization for more, who asks its provider where that is the most the organization has."
        ),
    )
}
