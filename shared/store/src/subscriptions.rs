//! Subscriptions: services that customers have.

use crate::{
    Db, Row, Scope, Stored, Tx, access_levels, job_payload, params, stale,
    value::{numbers, start},
};
use domain::{
    Decimal, Error, Id, Instant, JsonSchema, Result, Text,
    access_level::AccessLevel,
    id,
    service::{Code, ServiceRequest},
    subscription::SubscriptionStatus,
    term::RenewalPreference,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

job_payload! {
    /// Moves the subscriptions of a contract to the one that follows it.
    CarryOver {
        /// The contract.
        from: Id<id::Contract>,
        /// The one that follows it.
        to: Id<id::Contract>
    } queue "provisioning" kind "subscription.carry-over"
}

/// A service that a customer has, or is to get.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its id.
    pub id: Id<id::Subscription>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// The provider that provisions it and answers for the customer.
    pub provider_id: Id<id::Organization>,
    /// What the customer has.
    pub service_id: Id<id::Service>,
    /// The commit contract that it runs on.
    pub contract_id: Id<id::Contract>,
    /// Which of the service's plans, where it has some.
    pub plan_code: Option<Code>,
    /// Where, where the service has regions.
    pub region: Option<Code>,
    /// In which version, where the service has some.
    #[serde(rename = "version")]
    pub service_version: Option<Code>,
    /// How much of it.
    pub quantity: Decimal,
    /// For how many months, where the plan has terms.
    pub term_months: Option<u32>,
    /// What else was asked, as the service's schema has it.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub properties: Option<Box<RawValue>>,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// The task that works on it, or did so last.
    pub task_id: Id<id::Task>,
    /// When it was asked for.
    pub created_at: Instant,
    /// Since when the customer has it; absent until then.
    pub activated_at: Option<Instant>,
    /// Since when it is withheld; absent while it is not.
    pub suspended_at: Option<Instant>,
    /// Since when the customer has it no more; absent until then.
    pub terminated_at: Option<Instant>,
    /// Why it was suspended or terminated, as whoever asked for that said.
    pub reason: Option<String>,
    /// Until when it is to be charged for although it was terminated before: to the end of its term, where it was ended too late
    /// to be ended without charge.
    pub charged_until: Option<Instant>,
    /// Counts whatever changes of it; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
    /// Where it stood when its task began, and stands again when that is undone.
    #[serde(skip)]
    pub status_before: Option<SubscriptionStatus>,
    /// The end of the last term that it was renewed after.
    #[serde(skip)]
    pub renewed_after: Option<Instant>,
    /// What is to become of it when its first term ends, as was said when it was asked for.
    #[serde(skip)]
    pub renewal_preference: Option<RenewalPreference>,
}

impl Subscription {
    /// What the customer has of the service.
    pub fn holding(&self) -> Holding {
        Holding {
            plan_code: self.plan_code.clone(),
            quantity: self.quantity,
            properties: self.properties.clone(),
            renews: None,
            contract_id: None,
        }
    }

    /// Whether it is only moved to another contract: the customer has the same afterwards.
    pub fn is_only_moved(&self, to: Option<&Holding>) -> bool {
        to.is_some_and(|to| to.contract_id.is_some() && *to == self.holding())
    }

    /// The request of its service that makes of it what the customer is to have.
    pub fn service_request(&self, to: &Holding) -> ServiceRequest {
        ServiceRequest {
            plan_code: to.plan_code.clone(),
            region: self.region.clone(),
            version: self.service_version.clone(),
            quantity: to.quantity,
            term_months: to.renews.map(|renews| renews.1).or(self.term_months),
            properties: to.properties.clone(),
        }
    }

    /// Where it stood when its task began.
    pub fn before(&self) -> SubscriptionStatus {
        self.status_before.unwrap_or(self.status)
    }
}

/// What a customer has of a service, or is to have: what can be changed.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Which of the service's plans, where it has some.
    pub plan_code: Option<Code>,
    /// How much.
    pub quantity: Decimal,
    /// What else, as the service's schema has it.
    pub properties: Option<Box<RawValue>>,
    /// The end of the term after which it is so, and the months of the next, where a renewal makes it so.
    pub renews: Option<(Instant, u32)>,
    /// The commit contract that it is moved to; it stays on its own when absent.
    pub contract_id: Option<Id<id::Contract>>,
}

/// Whether the customer has the same of the service, on whichever contract and for whichever term.
impl PartialEq for Holding {
    fn eq(&self, other: &Self) -> bool {
        let text = |holding: &Self| holding.properties.as_ref().map(|properties| properties.get().to_owned());
        self.plan_code == other.plan_code && self.quantity == other.quantity && text(self) == text(other)
    }
}

/// What is to be changed of what a customer has; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionPatch {
    /// Which of the service's plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_code: Option<Code>,
    /// How much of it; above zero and within the plan's bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    /// What else it is to be like, in the place of all that was said before.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<RawValue>>,
    /// The commit contract that it is to run on: one in force of its provider for the service. It is said of a change alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<Id<id::Contract>>,
    /// For how many months it is to be renewed. It is said of a renewal alone: the present term stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_months: Option<u32>,
    /// What is to become of it when its term ends. It is said of a renewal alone, and needed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_preference: Option<RenewalPreference>,
}

/// What is said of a service that is to be provisioned to a customer.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSubscription {
    /// Who is to get it: a CUSTOMER.
    pub organization_id: Id<id::Organization>,
    /// What the customer is to get.
    pub service_id: Id<id::Service>,
    /// The commit contract to run on; needed when the provider has several active ones for the service.
    pub contract_id: Option<Id<id::Contract>>,
    /// Which of the service's plans; needed when it has some.
    pub plan_code: Option<Code>,
    /// Where; needed when the service has regions.
    pub region: Option<Code>,
    /// In which version; needed when the service has some.
    pub version: Option<Code>,
    /// How much of it; above zero and within the plan's bounds.
    pub quantity: Decimal,
    /// For how many months; needed when the plan has terms.
    pub term_months: Option<u32>,
    /// What is to become of it when its term ends, where it has terms; AUTO when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_preference: Option<RenewalPreference>,
    /// What else it is to be like: an object that the service's schema takes, of at most 64 KiB. Whoever sees the
    /// subscription sees them, so they are no place for secrets.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub properties: Option<Box<RawValue>>,
}

impl NewSubscription {
    /// The request of its service.
    pub fn service_request(&self) -> ServiceRequest {
        ServiceRequest {
            plan_code: self.plan_code.clone(),
            region: self.region.clone(),
            version: self.version.clone(),
            quantity: self.quantity,
            term_months: self.term_months,
            properties: self.properties.clone(),
        }
    }
}

/// A renewal before the end of a term.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FurtherTerm {
    /// For how many months; as many as the present term has when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_months: Option<u32>,
}

/// The reason of a suspension or a termination.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusReason {
    /// Why; the subscription shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<1, 500>>,
    /// Whether it is terminated although its term can no longer be ended without charge, and so is charged to the end of the term. It
    /// makes no other difference.
    #[serde(default)]
    pub early: bool,
}

const COLUMNS: &str = "s.id, s.organization_id, s.provider_id, s.service_id, s.contract_id, s.plan_code, s.region, s.service_version, s.quantity, s.term_months, s.properties, s.status, s.task_id, s.created_at, s.activated_at, s.suspended_at, s.terminated_at, s.reason, s.charged_until, s.version, s.status_before, s.renewed_after, s.renewal_preference";
/// A subscription belongs to its customer, so whoever is above the customer sees it.
const FROM: &str = "subscriptions s JOIN organizations o ON o.id = s.organization_id";

fn read(row: &mut Row) -> Result<Subscription> {
    Ok(Subscription {
        id: row.take()?,
        organization_id: row.take()?,
        provider_id: row.take()?,
        service_id: row.take()?,
        contract_id: row.take()?,
        plan_code: row.take()?,
        region: row.take()?,
        service_version: row.take()?,
        quantity: row.take()?,
        term_months: row.take()?,
        properties: properties(row.take()?)?,
        status: row.take()?,
        task_id: row.take()?,
        created_at: row.take()?,
        activated_at: row.take()?,
        suspended_at: row.take()?,
        terminated_at: row.take()?,
        reason: row.take()?,
        charged_until: row.take()?,
        version: row.take()?,
        status_before: row.take()?,
        renewed_after: row.take()?,
        renewal_preference: row.take()?,
    })
}

/// Not looked into here: it was validated against the service's offer before it was written.
fn properties(text: Option<String>) -> Result<Option<Box<RawValue>>> {
    let read = text.map(RawValue::from_string).transpose();
    read.map_err(|error| Error::fault(format!("a subscription's properties cannot be read: {error}")))
}

/// Writes a subscription; its customer, service and contract were found by the caller.
pub async fn insert(tx: &Tx<'_>, new: &Subscription) -> Result<()> {
    tx.exec(
        "INSERT INTO subscriptions (id, organization_id, provider_id, service_id, contract_id, plan_code, region,
             service_version, quantity, term_months, properties, status, task_id, created_at, activated_at, renewal_preference)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            new.id,
            new.organization_id,
            new.provider_id,
            new.service_id,
            new.contract_id,
            new.plan_code,
            new.region,
            new.service_version,
            new.quantity,
            new.term_months,
            new.properties.as_ref().map(|properties| properties.get()),
            new.status,
            new.task_id,
            new.created_at,
            new.activated_at,
            new.renewal_preference
        ],
    )
    .await
}

/// One subscription within the scope. Refused where the caller sees it, and their access level is too low for the request.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Subscription>) -> Result<Subscription> {
    let mut values = scope.after(params![id]);
    let seen = scope.level(AccessLevel::View, "s.organization_id", "s.service_id", &mut values);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE s.id = ?1 AND o.path >= ?2 AND o.path < ?3{seen}");
    let found = db.query_opt(&sql, values, read).await?;
    let found = found.ok_or_else(|| Error::not_found("subscription_not_found", "subscription", id))?;
    access_levels::check(db, scope, id).await?;
    Ok(found)
}

/// A page of the subscriptions within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization_id: Option<Id<id::Organization>>,
    status: Option<SubscriptionStatus>,
    after: Option<Id<id::Subscription>>,
    limit: u32,
) -> Result<Vec<Subscription>> {
    let mut values = scope.after(params![organization_id, status, start(after), limit]);
    let seen = scope.level(AccessLevel::View, "s.organization_id", "s.service_id", &mut values);
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM {FROM}
             WHERE o.path >= ?5 AND o.path < ?6 AND (s.organization_id = ?1 OR ?1 IS NULL) AND (s.status = ?2 OR ?2 IS NULL)
             AND s.id > ?3{seen} ORDER BY s.id LIMIT ?4"
        ),
        values,
        read,
    )
    .await
}

/// One subscription within the scope that is still at `version`; anything else is stale.
pub async fn find_to_edit(tx: &Tx<'_>, scope: &Scope, id: Id<id::Subscription>, version: Option<i64>) -> Result<Subscription> {
    let found = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != found.version) {
        return Err(stale("subscription"));
    }
    Ok(found)
}

/// Writes what a task on a subscription, which was found in this transaction, makes of it: where it stands, and the columns of
/// `Subscription` that can change. The instants of what it comes to for the first time are written with it.
pub async fn update(tx: &Tx<'_>, after: &Subscription, now: Instant) -> Result<()> {
    let is = |status| after.status == status;
    let active = is(SubscriptionStatus::Active).then_some(now);
    tx.exec(
        "UPDATE subscriptions SET status = ?2, status_before = ?3, task_id = ?4, plan_code = ?5, quantity = ?6, properties = ?7,
             reason = ?8, activated_at = COALESCE(activated_at, ?9), suspended_at = ?10, terminated_at = ?11, term_months = ?12, charged_until = ?13, renewed_after = ?14,
             contract_id = ?15, version = version + 1
         WHERE id = ?1",
        params![
            after.id,
            after.status,
            after.status_before,
            after.task_id,
            after.plan_code,
            after.quantity,
            after.properties.as_ref().map(|properties| properties.get()),
            after.reason,
            active,
            after.suspended_at,
            after.terminated_at,
            after.term_months,
            after.charged_until,
            after.renewed_after,
            after.contract_id
        ],
    )
    .await
}

/// Moves subscriptions of a provider within the scope from a contract to the one that follows it, at most so many, and gives them
/// with their customers. Those that have ended stay on theirs.
pub async fn carry_over(
    tx: &Tx<'_>,
    scope: &Scope,
    from: Id<id::Contract>,
    to: Id<id::Contract>,
    limit: u32,
) -> Result<Vec<(Id<id::Subscription>, Id<id::Organization>)>> {
    tx.query_all(
        "UPDATE subscriptions SET contract_id = ?2, version = version + 1 WHERE id IN
             (SELECT s.id FROM subscriptions s JOIN organizations o ON o.id = s.organization_id WHERE s.contract_id = ?1
              AND s.status NOT IN ('FAILED', 'TERMINATED') AND o.path >= ?4 AND o.path < ?5 ORDER BY s.id LIMIT ?3)
         RETURNING id, organization_id",
        scope.after(params![from, to, limit]),
        |row| Ok((row.take()?, row.take()?)),
    )
    .await
}

/// Writes what a task is to make of what a customer has.
pub async fn insert_change(tx: &Tx<'_>, task_id: Id<id::Task>, to: &Holding) -> Result<()> {
    let properties = to.properties.as_ref().map(|properties| properties.get());
    tx.exec(
        "INSERT INTO subscription_changes (task_id, plan_code, quantity, properties, term_ends_at, term_months, contract_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            task_id,
            to.plan_code,
            to.quantity,
            properties,
            to.renews.map(|renews| renews.0),
            to.renews.map(|renews| renews.1),
            to.contract_id
        ],
    )
    .await
}

/// What a task is to make of what a customer has. Whose task it is was decided before.
pub async fn find_change(db: &Db, task_id: Id<id::Task>) -> Result<Option<Holding>> {
    let sql = "SELECT plan_code, quantity, properties, term_ends_at, term_months, contract_id FROM subscription_changes WHERE task_id = ?1";
    let read = |row: &mut Row| {
        let (plan_code, quantity, properties) = (row.take()?, row.take()?, properties(row.take()?)?);
        let renews = row.take::<Option<Instant>>()?.zip(row.take::<Option<u32>>()?);
        Ok(Holding { plan_code, quantity, properties, renews, contract_id: row.take()? })
    };
    db.query_opt(sql, params![task_id], read).await
}

/// Whether any customer has a service, or a plan of it. Without a scope, for the catalog is everybody's.
pub async fn any_in_use(tx: &Tx<'_>, service_id: Id<id::Service>, plan_code: Option<&str>) -> Result<bool> {
    let in_use: Vec<_> = SubscriptionStatus::ALL.iter().filter(|status| status.is_in_use()).collect();
    let mut values = params![service_id];
    values.extend(in_use.iter().map(|status| status.to_value()));
    let mut sql = format!("SELECT id FROM subscriptions WHERE service_id = ?1 AND status IN ({})", numbers(2, in_use.len()));
    if let Some(plan_code) = plan_code {
        values.push(plan_code.to_value());
        sql += &format!(" AND plan_code = ?{}", values.len());
    }
    sql += " LIMIT 1";
    let found: Option<Id<id::Subscription>> = tx.query_opt(&sql, values, |row| row.take()).await?;
    Ok(found.is_some())
}
