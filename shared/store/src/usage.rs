//! Usage: rows that are added and never changed.

use crate::{
    Db, Row, Scope, Stored, Tx, Value, params,
    usage_reports::{self, Import},
    value::{batches, numbers, start},
};
use domain::{
    Currency, Decimal, Error, Id, Instant, JsonSchema, Money, Period, Result, id,
    invoice::{Draft, LineKey, LineNumber, Used},
    usage::{Content, Faults, Keyed, Subscribed, UsageRow, check_places},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Usage as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Its id.
    pub id: Id<id::Usage>,
    /// The report it came with.
    pub usage_report_id: Id<id::UsageReport>,
    /// Its place among the report's rows, from 1.
    pub row: u32,
    /// The system the report is from.
    pub source: String,
    /// The customer that used.
    pub organization_id: Id<id::Organization>,
    /// What was used.
    pub service_id: Id<id::Service>,
    /// Under which subscription.
    pub subscription_id: Id<id::Subscription>,
    /// Which unit of stock was used.
    pub sku: String,
    /// What that is, in words.
    pub description: String,
    /// Where; empty when the use has no place.
    pub datacenter: String,
    /// When.
    pub used_at: Instant,
    /// The month it is billed for.
    pub usage_period: Period,
    /// The price of one unit, in the customer's currency.
    pub unit_price: Decimal,
    /// How much was used.
    pub usage_quantity: Decimal,
    /// How much of that a commitment covers.
    pub commit_quantity: Decimal,
    /// How much is billed.
    pub billable_quantity: Decimal,
    /// The product family, in the report's own words.
    pub product_family: String,
    /// The customer segment, in the report's own words.
    pub customer_segment: String,
    /// The unit of stock in another catalog.
    pub cross_reference_sku: String,
    /// Whether it came after its month, or after its invoice.
    pub late: bool,
    /// The void that took it out; null while none has.
    pub usage_void_id: Option<Id<id::UsageVoid>>,
    /// The invoice that has it; null while none has.
    pub invoice_id: Option<Id<id::Invoice>>,
}

/// Refuses rows whose customers or subscriptions are not within the scope, and rows that no invoice can hold.
pub async fn check(db: &Db, scope: &Scope, rows: &[UsageRow]) -> Result<()> {
    let (mut organizations, mut named) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        organizations.insert(row.organization_id);
        named.insert(row.subscription_id);
    }
    let customers: BTreeMap<_, _> = of_ids(
        db,
        scope,
        &organizations,
        |ids| {
            format!(
                "SELECT id, currency FROM organizations WHERE path >= ?1 AND path < ?2 AND kind = 'CUSTOMER' AND id IN ({ids})"
            )
        },
        |row| Ok((row.take::<Id<id::Organization>>()?, row.take::<Currency>()?)),
    )
    .await?;
    let subscriptions: BTreeMap<_, _> = of_ids(
        db,
        scope,
        &named,
        |ids| {
            format!(
                "SELECT s.id, s.organization_id, s.service_id FROM subscriptions s JOIN organizations o ON o.id = s.organization_id
                 WHERE o.path >= ?1 AND o.path < ?2 AND s.activated_at IS NOT NULL AND s.id IN ({ids})"
            )
        },
        read_subscribed,
    )
    .await?;
    check_places(rows, &customers, &subscriptions)
}

fn read_subscribed(row: &mut Row) -> Result<(Id<id::Subscription>, Subscribed)> {
    Ok((row.take()?, (row.take()?, row.take()?)))
}

/// What a statement finds for these ids within the scope; it gets the ids' parameters to put into its IN.
pub(crate) async fn of_ids<N: id::Noun, T, C: Default + Extend<T>>(
    db: &Db,
    scope: &Scope,
    ids: &BTreeSet<Id<N>>,
    statement: impl Fn(&str) -> String,
    read: impl Fn(&mut Row) -> Result<T>,
) -> Result<C> {
    let ids: Vec<Value> = ids.iter().map(Stored::to_value).collect();
    let mut found = C::default();
    for batch in batches(&ids) {
        let values = [&[scope.from(), scope.until()], batch].concat();
        found.extend(db.query_all(&statement(&numbers(3, batch.len())), values, &read).await?);
    }
    Ok(found)
}

/// Adds a report's rows that are not there yet and gives these back. Refused when one that is there says something else.
pub(crate) async fn insert<'a>(tx: &Tx<'_>, new: &Import<'a>, late: impl Fn(&UsageRow) -> bool) -> Result<Vec<&'a UsageRow>> {
    const EACH: usize = 19;
    let (mut accepted, mut known) = (Vec::new(), Vec::new());
    let void = voided(tx, new).await?;
    let distinct: Vec<&Keyed<'_>> = new.distinct.iter().filter(|(key, _)| !void.contains(key.as_str())).collect();
    for batch in batches(&distinct) {
        let tuples: Vec<String> =
            (0..batch.len()).map(|index| format!("(?1, ?2, {})", numbers(3 + index * EACH, EACH))).collect();
        let mut values = params![new.id, new.source];
        for (key, row) in batch.iter().copied() {
            let content = &row.content;
            values.extend(params![
                new.first_usage_id.nth(row.number),
                row.number,
                key,
                row.organization_id,
                row.service_id,
                row.subscription_id,
                row.sku,
                content.description,
                row.datacenter,
                row.used_at,
                row.period(),
                content.unit_price,
                content.usage_quantity,
                content.commit_quantity,
                content.billable_quantity,
                content.product_family,
                content.customer_segment,
                content.cross_reference_sku,
                u32::from(late(row))
            ]);
        }
        let inserted: Vec<u32> = tx
            .query_all(
                &format!(
                    "INSERT INTO usage_rows (report_id, source, id, report_row, row_key, organization_id, service_id, subscription_id, sku,
                         description, datacenter, used_at, period, unit_price, usage_quantity, commit_quantity, billable_quantity,
                         product_family, customer_segment, cross_reference_sku, late)
                     VALUES {} ON CONFLICT (source, row_key) DO NOTHING RETURNING report_row",
                    tuples.join(", ")
                ),
                values,
                |row| row.take(),
            )
            .await?;
        for keyed in batch {
            if inserted.contains(&keyed.1.number) {
                accepted.push(keyed.1);
            } else {
                known.push(*keyed);
            }
        }
    }
    check_same(tx, new.source, &known).await?;
    Ok(accepted)
}

/// The keys of a report's rows that say what was voided before. Such a row stays void: to send a report again adds nothing.
async fn voided<'a>(tx: &Tx<'_>, new: &Import<'a>) -> Result<BTreeSet<&'a str>> {
    let any = "SELECT row_key FROM voided_usage WHERE source = ?1 LIMIT 1";
    if tx.query_opt(any, params![new.source], |row| row.take::<String>()).await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let mut void = BTreeSet::new();
    for batch in batches(new.distinct) {
        let mut values = params![new.source];
        values.extend(batch.iter().map(|(key, _)| key.to_value()));
        let sql = format!(
            "SELECT v.row_key, u.description, u.unit_price, u.usage_quantity, u.commit_quantity, u.billable_quantity,
                 u.product_family, u.customer_segment, u.cross_reference_sku
             FROM voided_usage v JOIN usage_rows u ON u.id = v.usage_id WHERE v.source = ?1 AND v.row_key IN ({})",
            numbers(2, batch.len())
        );
        let there: Vec<(String, Content)> = tx.query_all(&sql, values, |row| Ok((row.take()?, read_content(row)?))).await?;
        for (key, row) in batch {
            if there.iter().any(|(there, content)| there == key && row.content.differences(content).is_empty()) {
                void.insert(key.as_str());
            }
        }
    }
    Ok(void)
}

/// Refuses rows that differ from what is there.
async fn check_same(tx: &Tx<'_>, source: &str, known: &[&Keyed<'_>]) -> Result<()> {
    let mut faults = Faults::default();
    for batch in batches(known) {
        let mut values = params![source];
        values.extend(batch.iter().map(|(key, _)| key.to_value()));
        let sql = format!(
            "SELECT row_key, description, unit_price, usage_quantity, commit_quantity, billable_quantity, product_family,
                 customer_segment, cross_reference_sku
             FROM usage_rows WHERE source = ?1 AND row_key IN ({})",
            numbers(2, batch.len())
        );
        let there: Vec<(String, Content)> = tx.query_all(&sql, values, |row| Ok((row.take()?, read_content(row)?))).await?;
        for (key, row) in batch {
            let (_, there) = there
                .iter()
                .find(|(there, _)| there == key)
                .ok_or_else(|| Error::fault("usage was neither added nor there already"))?;
            for column in row.content.differences(there) {
                faults.add(
                    row.number,
                    Some(column),
                    "differs from what was imported before for the same use; send the row as it was, or void what is there first (POST /v1/usage-voids) and then send this one",
                );
            }
        }
    }
    faults.into_result()
}

fn read_content(row: &mut Row) -> Result<Content> {
    Ok(Content {
        description: row.take()?,
        unit_price: row.take()?,
        usage_quantity: row.take()?,
        commit_quantity: row.take()?,
        billable_quantity: row.take()?,
        product_family: row.take()?,
        customer_segment: row.take()?,
        cross_reference_sku: row.take()?,
    })
}

/// A row of usage as far as the contract that it was on is concerned.
pub struct OnContract {
    /// The row.
    pub id: Id<id::Usage>,
    /// The contract of its subscription; of a month before that came into force, the one that it follows.
    pub contract_id: Id<id::Contract>,
    /// The month it is billed for.
    pub period: Period,
    /// What it comes to, in the contract's currency; nothing that an amount could hold, when absent.
    pub amount: Option<Money>,
}

/// A page of the usage within the scope that this void took out, of customers who pay in their contract's currency.
pub async fn voided_on_contracts(
    tx: &Tx<'_>,
    scope: &Scope,
    void: Id<id::UsageVoid>,
    after: Option<Id<id::Usage>>,
    limit: u32,
) -> Result<Vec<OnContract>> {
    tx.query_all(
        "SELECT u.id, s.contract_id, u.period, u.billable_quantity, u.unit_price, c.currency FROM voided_usage v
         JOIN usage_rows u ON u.id = v.usage_id
         JOIN subscriptions s ON s.id = u.subscription_id JOIN contracts c ON c.id = s.contract_id
         JOIN organizations o ON o.id = u.organization_id AND o.currency = c.currency
         WHERE v.void_id = ?1 AND v.usage_id > ?2 AND o.path >= ?4 AND o.path < ?5 ORDER BY v.usage_id LIMIT ?3",
        scope.after(params![void, start(after), limit]),
        read_on_contract,
    )
    .await
}

fn read_on_contract(row: &mut Row) -> Result<OnContract> {
    let (id, contract_id, period) = (row.take()?, row.take()?, row.take()?);
    Ok(OnContract { id, contract_id, period, amount: Money::of_line(row.take()?, row.take()?, row.take()?) })
}

/// A page of the usage within the scope with ids after `after` and up to `last`, of customers who pay in their contract's currency.
pub async fn on_contracts(
    tx: &Tx<'_>,
    scope: &Scope,
    after: Id<id::Usage>,
    last: Id<id::Usage>,
    limit: u32,
) -> Result<Vec<OnContract>> {
    tx.query_all(
        "SELECT u.id, c.id, u.period, u.billable_quantity, u.unit_price, c.currency FROM usage_rows u
         JOIN subscriptions s ON s.id = u.subscription_id JOIN contracts l ON l.id = s.contract_id
         JOIN contracts c ON c.id = CASE WHEN substr(l.effective_date, 1, 7) > u.period THEN COALESCE(l.renews_id, l.id) ELSE l.id END
         JOIN organizations o ON o.id = u.organization_id AND o.currency = c.currency
         WHERE u.id > ?1 AND u.id <= ?2 AND o.path >= ?4 AND o.path < ?5 ORDER BY u.id LIMIT ?3",
        scope.after(params![after, last, limit]),
        read_on_contract,
    )
    .await
}

/// Usage of a customer that is on no invoice and is not void: all of it up to the end of the period, as the lines of the next one.
pub async fn not_invoiced(tx: &Tx<'_>, scope: &Scope, organization_id: Id<id::Organization>, until: Period) -> Result<Draft> {
    /// How many rows are read at once; only the lines they add to are kept.
    const PAGE: u32 = 2_000;
    let (mut draft, mut after) = (Draft::default(), (String::new(), String::new()));
    loop {
        let values = scope.after(params![organization_id, until, after.0, after.1, PAGE]);
        let page: Vec<Used> = tx
            .query_all(
                "SELECT u.id, u.period, u.subscription_id, u.sku, u.datacenter, u.unit_price, u.service_id, u.used_at, u.description,
                     u.billable_quantity
                 FROM usage_rows u JOIN organizations o ON o.id = u.organization_id
                 WHERE u.organization_id = ?1 AND u.period <= ?2 AND (u.period, u.id) > (?3, ?4) AND o.path >= ?6 AND o.path < ?7
                 AND NOT EXISTS (SELECT 1 FROM invoice_usage i WHERE i.usage_id = u.id)
                 AND NOT EXISTS (SELECT 1 FROM voided_usage v WHERE v.usage_id = u.id) ORDER BY u.period, u.id LIMIT ?5",
                values,
                read_used,
            )
            .await?;
        let full = page.len() == PAGE as usize;
        for used in page {
            after = (used.key.usage_period.to_string(), used.id.to_string());
            draft.add(used)?;
        }
        if !full {
            return Ok(draft);
        }
    }
}

fn read_used(row: &mut Row) -> Result<Used> {
    let id = row.take()?;
    let key = LineKey {
        usage_period: row.take()?,
        subscription_id: row.take()?,
        sku: row.take()?,
        datacenter: row.take()?,
        unit_price: row.take()?,
    };
    Ok(Used { id, key, service_id: row.take()?, used_at: row.take()?, description: row.take()?, quantity: row.take()? })
}

/// A page of the usage behind a line of an invoice within the scope, in the order it came in.
pub async fn of_line(
    db: &Db,
    scope: &Scope,
    invoice_id: Id<id::Invoice>,
    line: LineNumber,
    after: Option<Id<id::Usage>>,
    limit: u32,
) -> Result<Vec<Usage>> {
    let values = scope.after(params![invoice_id, line.get(), start(after), limit]);
    let sql = format!(
        "SELECT {COLUMNS} FROM invoice_usage i JOIN usage_rows u ON u.id = i.usage_id JOIN organizations o ON o.id = u.organization_id
         LEFT JOIN voided_usage v ON v.usage_id = u.id
         WHERE i.invoice_id = ?1 AND i.line = ?2 AND i.usage_id > ?3 AND o.path >= ?5 AND o.path < ?6
         ORDER BY i.usage_id LIMIT ?4"
    );
    db.query_all(&sql, values, read).await
}

/// A page of the usage that came with a report, of customers within the scope, in the order of its rows. A row that was there before
/// is of the report that brought it first.
pub async fn of_report(
    db: &Db,
    scope: &Scope,
    report_id: Id<id::UsageReport>,
    after: Option<Id<id::Usage>>,
    limit: u32,
) -> Result<Vec<Usage>> {
    let Some((first, last)) = usage_reports::series(db, report_id).await? else { return Ok(Vec::new()) };
    let values = scope.after(params![report_id, after.map_or(first, |after| after.max(first)), last, limit]);
    let sql = format!(
        "SELECT {COLUMNS} FROM usage_rows u JOIN organizations o ON o.id = u.organization_id
         LEFT JOIN voided_usage v ON v.usage_id = u.id LEFT JOIN invoice_usage i ON i.usage_id = u.id
         WHERE u.report_id = ?1 AND u.id > ?2 AND u.id <= ?3 AND o.path >= ?5 AND o.path < ?6 ORDER BY u.id LIMIT ?4"
    );
    db.query_all(&sql, values, read).await
}

/// Of the rows `u`, their voids `v` and their lines `i`.
const COLUMNS: &str =
    "u.id, u.report_id, u.report_row, u.source, u.organization_id, u.service_id, u.subscription_id, u.sku, u.datacenter,
     u.used_at, u.period, u.late, u.description, u.unit_price, u.usage_quantity, u.commit_quantity, u.billable_quantity,
     u.product_family, u.customer_segment, u.cross_reference_sku, v.void_id, i.invoice_id";

fn read(row: &mut Row) -> Result<Usage> {
    Ok(Usage {
        id: row.take()?,
        usage_report_id: row.take()?,
        row: row.take()?,
        source: row.take()?,
        organization_id: row.take()?,
        service_id: row.take()?,
        subscription_id: row.take()?,
        sku: row.take()?,
        datacenter: row.take()?,
        used_at: row.take()?,
        usage_period: row.take()?,
        late: row.take::<u32>()? == 1,
        description: row.take()?,
        unit_price: row.take()?,
        usage_quantity: row.take()?,
        commit_quantity: row.take()?,
        billable_quantity: row.take()?,
        product_family: row.take()?,
        customer_segment: row.take()?,
        cross_reference_sku: row.take()?,
        usage_void_id: row.take()?,
        invoice_id: row.take()?,
    })
}
