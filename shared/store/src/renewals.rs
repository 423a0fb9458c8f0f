//! Renewals: the terms of subscriptions, and what becomes of them at their end. A subscription has one from the day on which
//! it became active, if its plan has terms.

use crate::{Db, Row, Scope, Tx, job_payload, params, stale, subscriptions::Subscription, value::start};
use domain::{
    Error, Id, Instant, JsonSchema, Result, id,
    service::TermRules,
    term::{Agreed, RenewalPreference, Window, days_left, too_late},
};
use serde::Serialize;
use serde_json::value::RawValue;

job_payload! {
    /// Looks at a term on the days of its notices, and at its end, when the subscription is renewed or terminated.
    LookAtTerm {
        /// The subscription.
        subscription_id: Id<id::Subscription>,
        /// The end of the term, in milliseconds since 1970.
        term_ends_at: i64
    } queue "provisioning" kind "renewal.look"
}

/// The term of a subscription, with the days on which something about it can be done for the last time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The subscription.
    pub subscription_id: Id<id::Subscription>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// How many calendar months the term has.
    pub term_months: u32,
    /// When it began.
    pub term_starts_at: Instant,
    /// When it ends: so many months later at the same time of day, or on the last day of a shorter month.
    pub term_ends_at: Instant,
    /// How many days are left until then; begun ones count.
    pub days_left: i64,
    /// What becomes of the subscription then.
    pub renewal_preference: RenewalPreference,
    /// When it is renewed by itself; absent where it is not.
    pub renews_at: Option<Instant>,
    /// What is to change then: a `planCode`, a `quantity`, `properties`, `termMonths`.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub change: Option<Box<RawValue>>,
    /// Until when preference and change can be said.
    pub changeable_until: Instant,
    /// Until when the term can be ended without charge; absent where it can be at any time.
    pub cancellable_until: Option<Instant>,
    /// How many days are left until then.
    pub cancellable_days_left: Option<i64>,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Counts its edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
    /// What it all follows from.
    #[serde(skip)]
    pub agreed: Agreed,
}

const COLUMNS: &str = "r.subscription_id, r.organization_id, r.months, r.anchor_at, r.months_done, r.cancellation_days, r.notice_days, r.renewal_preference, r.renewal_change, r.updated_at, r.version";
/// A renewal is its customer's, as the subscription is.
const FROM: &str = "renewals r JOIN organizations o ON o.id = r.organization_id";

fn read(row: &mut Row, now: Instant) -> Result<Renewal> {
    let (subscription_id, organization_id) = (row.take()?, row.take()?);
    let agreed = Agreed {
        months: row.take()?,
        anchor_at: row.take()?,
        months_done: row.take()?,
        cancellation_days: row.take()?,
        notice_days: row.take()?,
    };
    let (renewal_preference, change) = (row.take()?, row.take::<Option<String>>()?);
    let (term_starts_at, term_ends_at) = bounds(&agreed)?;
    let cancellable_until = agreed.cancellable_until();
    Ok(Renewal {
        subscription_id,
        organization_id,
        term_months: agreed.months,
        term_starts_at,
        term_ends_at,
        days_left: days_left(term_ends_at, now),
        renewal_preference,
        renews_at: (renewal_preference == RenewalPreference::Auto).then_some(term_ends_at),
        change: change.map(RawValue::from_string).transpose().map_err(|error| Error::fault(error.to_string()))?,
        changeable_until: agreed.changeable_until().unwrap_or(term_ends_at),
        cancellable_until,
        cancellable_days_left: cancellable_until.map(|until| days_left(until, now)),
        updated_at: row.take()?,
        version: row.take()?,
        agreed,
    })
}

/// When a term begins and ends.
fn bounds(agreed: &Agreed) -> Result<(Instant, Instant)> {
    agreed.starts_at().zip(agreed.ends_at()).ok_or_else(too_late)
}

/// Writes the first term of a subscription, as it was found. Done again it changes nothing, and gives `false`.
pub async fn insert(tx: &Tx<'_>, subscription: &Subscription, rules: TermRules, now: Instant) -> Result<bool> {
    let (Some(months), Some(anchor_at)) = (subscription.term_months, subscription.activated_at) else { return Ok(false) };
    let TermRules { cancellation_days, notice_days } = rules;
    let agreed = Agreed { months, anchor_at, months_done: months, cancellation_days, notice_days };
    let (starts_at, ends_at) = bounds(&agreed)?;
    let written: Option<Id<id::Subscription>> = tx
        .query_opt(
            "INSERT INTO renewals (subscription_id, organization_id, months, anchor_at, months_done, starts_at, ends_at, cancellable_until,
                 cancellation_days, notice_days, renewal_preference, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?3, ?5, ?6, ?7, ?8, ?9, ?11, 1, ?10, ?10) ON CONFLICT DO NOTHING RETURNING subscription_id",
            params![
                subscription.id,
                subscription.organization_id,
                months,
                anchor_at,
                starts_at,
                ends_at,
                agreed.cancellable_until(),
                cancellation_days,
                notice_days,
                now,
                subscription.renewal_preference.unwrap_or(RenewalPreference::Auto)
            ],
            |row| row.take(),
        )
        .await?;
    Ok(written.is_some())
}

/// The renewal of one subscription within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Subscription>, now: Instant) -> Result<Renewal> {
    let mut values = scope.after(params![id]);
    let seen = scope.sees("r.organization_id", "r.subscription_id", &mut values);
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE r.subscription_id = ?1 AND o.path >= ?2 AND o.path < ?3{seen}");
    db.query_opt(&sql, values, |row| read(row, now)).await?.ok_or_else(|| {
        Error::new(
            domain::Kind::NotFound,
            "renewal_not_found",
            format!(
                "There is no term of a subscription {id} in the organizations you can act in: the subscription is not there, was never active, or its plan has no terms. GET /v1/subscriptions shows those that there are."
            ),
        )
    })
}

/// The renewal within the scope that is still at `version`; anything else is stale.
pub async fn find_to_edit(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::Subscription>,
    version: Option<i64>,
    now: Instant,
) -> Result<Renewal> {
    let found = find(tx, scope, id, now).await?;
    if version.is_some_and(|version| version != found.version) {
        return Err(stale("renewal"));
    }
    Ok(found)
}

/// The term of a subscription, which was found within its scope, as far as it matters when it is ended before its time; none where
/// it can be ended at any time.
pub async fn window(db: &Db, id: Id<id::Subscription>) -> Result<Option<Window>> {
    let sql =
        "SELECT starts_at, cancellable_until, ends_at FROM renewals WHERE subscription_id = ?1 AND cancellable_until IS NOT NULL";
    let read = |row: &mut Row| Ok(Window { starts_at: row.take()?, cancellable_until: row.take()?, ends_at: row.take()? });
    db.query_opt(sql, params![id], read).await
}

/// A page of the renewals within the scope, by subscription: of all, of one customer, or of those whose term ends before an
/// instant. Those of subscriptions that have ended are left out.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization_id: Option<Id<id::Organization>>,
    ends_before: Option<Instant>,
    after: Option<Id<id::Subscription>>,
    limit: u32,
    now: Instant,
) -> Result<Vec<Renewal>> {
    // One filter is a plain comparison: only of such a one an index is used.
    let exact = match (organization_id, ends_before) {
        (Some(_), _) => "r.organization_id = ?1",
        (None, Some(_)) => "r.ends_at < ?2",
        (None, None) => "1 = 1",
    };
    let mut values = scope.after(params![organization_id, ends_before, start(after), limit]);
    let seen = scope.sees("r.organization_id", "r.subscription_id", &mut values);
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} JOIN subscriptions s ON s.id = r.subscription_id
         WHERE {exact} AND o.path >= ?5 AND o.path < ?6 AND (r.organization_id = ?1 OR ?1 IS NULL) AND (r.ends_at < ?2 OR ?2 IS NULL)
         AND s.status <> 'TERMINATED' AND r.subscription_id > ?3{seen} ORDER BY r.subscription_id LIMIT ?4"
    );
    db.query_all(&sql, values, |row| read(row, now)).await
}

/// Writes what is to become of a subscription, whose renewal was found in this transaction.
pub async fn update(
    tx: &Tx<'_>,
    id: Id<id::Subscription>,
    preference: RenewalPreference,
    change: Option<&str>,
    now: Instant,
) -> Result<()> {
    tx.exec(
        "UPDATE renewals SET renewal_preference = ?2, renewal_change = ?3, version = version + 1, updated_at = ?4 WHERE subscription_id = ?1",
        params![id, preference, change, now],
    )
    .await
}

/// Writes the next term of a subscription, whose renewal was found in this transaction.
pub async fn advance(tx: &Tx<'_>, id: Id<id::Subscription>, agreed: &Agreed, now: Instant) -> Result<()> {
    let (starts_at, ends_at) = bounds(agreed)?;
    tx.exec(
        "UPDATE renewals SET months = ?2, months_done = ?3, starts_at = ?4, ends_at = ?5, cancellable_until = ?6, cancellation_days = ?7,
             notice_days = ?8, renewal_change = NULL, version = version + 1, updated_at = ?9 WHERE subscription_id = ?1",
        params![
            id,
            agreed.months,
            agreed.months_done,
            starts_at,
            ends_at,
            agreed.cancellable_until(),
            agreed.cancellation_days,
            agreed.notice_days,
            now
        ],
    )
    .await
}
