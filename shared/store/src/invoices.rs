//! Invoices. Once issued they never change.

use crate::{
    Db, Row, Scope, Tx,
    organizations::OrganizationHead,
    params,
    usage::of_ids,
    value::{batches, numbers, start},
};
use chrono::Datelike;
use domain::{
    Currency, Decimal, Error, Id, Instant, JsonSchema, Money, Period, Result, id,
    invoice::{Draft, InvoiceStatus, Line, LineNumber, Rounding, number},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An invoice without its lines.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceHead {
    /// Its id.
    pub id: Id<id::Invoice>,
    /// Its number. A provider's numbers of a year have no gaps.
    pub number: String,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// The customer, who is to pay.
    pub organization_id: Id<id::Organization>,
    /// The provider, who is to be paid.
    pub provider_id: Id<id::Organization>,
    /// The month it is for. It also has what came late of earlier months, on lines that say which.
    pub period: Period,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// How its amounts were rounded.
    pub rounding: Rounding,
    /// What is to be paid: the sum of the lines' amounts.
    pub total: Money,
    /// When it was issued.
    pub issued_at: Instant,
}

/// An invoice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    #[serde(flatten)]
    head: InvoiceHead,
    /// Its lines, sorted by month, subscription, unit of stock, datacenter and unit price.
    lines: Vec<InvoiceLine>,
}

/// A line of an invoice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceLine {
    /// Its number on the invoice, from 1.
    line: u32,
    /// The month of the usage.
    usage_period: Period,
    /// The subscription that was used.
    subscription_id: Id<id::Subscription>,
    /// What was used.
    service_id: Id<id::Service>,
    /// The name it was known by when the invoice was issued.
    service_name: String,
    /// Which unit of stock was used.
    sku: String,
    /// What that is, in words.
    description: String,
    /// Where; empty when the use has no place.
    datacenter: String,
    /// How much of it is billed.
    quantity: Decimal,
    /// The price of one unit.
    unit_price: Decimal,
    /// Quantity times unit price, rounded once.
    amount: Money,
    /// How many rows of usage are behind it.
    usage_rows: u32,
}

/// What is said of an invoice that is to be issued.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvoice {
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// The month to invoice. It must be over.
    pub period: Period,
}

const COLUMNS: &str =
    "i.id, i.number, i.status, i.organization_id, i.provider_id, i.period, i.currency, i.rounding, i.total, i.issued_at";
/// An invoice belongs to its customer, so whoever is above the customer sees it, the provider included.
const FROM: &str = "invoices i JOIN organizations o ON o.id = i.organization_id";

fn read(row: &mut Row) -> Result<InvoiceHead> {
    let (id, number, status, organization_id) = (row.take()?, row.take()?, row.take()?, row.take()?);
    let (provider_id, period, currency, rounding) = (row.take()?, row.take()?, row.take()?, row.take()?);
    let total = Money { minor_units: row.take()?, currency };
    Ok(InvoiceHead {
        id,
        number,
        status,
        organization_id,
        provider_id,
        period,
        currency,
        rounding,
        total,
        issued_at: row.take()?,
    })
}

/// Issues an invoice to a customer, found by the caller, for the usage that [`crate::usage::not_invoiced`] drafted in
/// this transaction: gives it the provider's next number, writes its lines and marks their usage as invoiced.
pub async fn issue(
    tx: &Tx<'_>,
    scope: &Scope,
    id: Id<id::Invoice>,
    customer: &OrganizationHead,
    period: Period,
    draft: Draft,
    now: Instant,
) -> Result<Invoice> {
    let (lines, total) = draft.finish(customer.currency)?;
    let provider_id = customer.parent_id.ok_or_else(|| Error::fault("a customer without a provider"))?;
    let head = InvoiceHead {
        id,
        number: next_number(tx, provider_id, now).await?,
        status: InvoiceStatus::Issued,
        organization_id: customer.id,
        provider_id,
        period,
        currency: customer.currency,
        rounding: Rounding::HalfUpPerLine,
        total,
        issued_at: now,
    };
    tx.exec(
        "INSERT INTO invoices (id, number, status, organization_id, provider_id, period, currency, rounding, total, issued_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            head.id,
            head.number,
            head.status,
            head.organization_id,
            head.provider_id,
            head.period,
            head.currency,
            head.rounding,
            head.total.minor_units,
            head.issued_at
        ],
    )
    .await?;
    insert_lines(tx, id, &lines).await?;
    claim(tx, &head).await?;
    // As it was written, so that it reads the same now and ever after.
    find(tx, scope, id).await
}

/// The provider's next number in the year of `now`. Given back when the transaction is rolled back.
async fn next_number(tx: &Tx<'_>, provider_id: Id<id::Organization>, now: Instant) -> Result<String> {
    let sequence: Option<i64> = tx
        .query_opt(
            "INSERT INTO invoice_numbers (provider_id, year, last) VALUES (?1, ?2, 1)
             ON CONFLICT (provider_id, year) DO UPDATE SET last = invoice_numbers.last + 1 RETURNING last",
            params![provider_id, i64::from(now.year())],
            |row| row.take(),
        )
        .await?;
    sequence.map(|sequence| number(now.year(), sequence)).ok_or_else(|| Error::fault("no invoice number came back"))
}

async fn insert_lines(tx: &Tx<'_>, id: Id<id::Invoice>, lines: &[Line]) -> Result<()> {
    const EACH: usize = 11;
    let mut number = 0u32;
    for batch in batches(lines) {
        let (mut tuples, mut values) = (Vec::new(), params![id]);
        for (line, first) in batch.iter().zip((2..).step_by(EACH)) {
            number += 1;
            let service_name = format!("(SELECT display_name FROM services WHERE id = ?{first})");
            tuples.push(format!("(?1, {service_name}, {})", numbers(first, EACH)));
            values.extend(params![
                line.service_id,
                number,
                line.key.usage_period,
                line.key.subscription_id,
                line.key.sku,
                line.key.datacenter,
                line.key.unit_price,
                line.description,
                line.quantity,
                line.amount.minor_units,
                line.usage_rows
            ]);
        }
        let sql = format!(
            "INSERT INTO invoice_lines (invoice_id, service_name, service_id, line, usage_period, subscription_id, sku, datacenter,
                 unit_price, description, quantity, amount, usage_rows)
             VALUES {}",
            tuples.join(", ")
        );
        tx.exec(&sql, values).await?;
    }
    Ok(())
}

/// Marks the usage behind the lines as invoiced, and holds what was marked against what was counted: an invoice whose
/// lines are not exactly the usage marked for it is not issued.
async fn claim(tx: &Tx<'_>, head: &InvoiceHead) -> Result<()> {
    tx.exec(
        "INSERT INTO invoice_usage (usage_id, invoice_id, line)
         SELECT u.id, l.invoice_id, l.line FROM usage_rows u
         JOIN invoice_lines l ON l.invoice_id = ?1 AND l.usage_period = u.period AND l.subscription_id = u.subscription_id
             AND l.sku = u.sku AND l.datacenter = u.datacenter AND l.unit_price = u.unit_price
         WHERE u.organization_id = ?2 AND u.period <= ?3
         AND NOT EXISTS (SELECT 1 FROM invoice_usage i WHERE i.usage_id = u.id)
         AND NOT EXISTS (SELECT 1 FROM voided_usage v WHERE v.usage_id = u.id)",
        params![head.id, head.organization_id, head.period],
    )
    .await?;
    let differing: Option<i64> = tx
        .query_opt(
            "SELECT COUNT(*) FROM invoice_lines l WHERE l.invoice_id = ?1
             AND l.usage_rows <> (SELECT COUNT(*) FROM invoice_usage i WHERE i.invoice_id = l.invoice_id AND i.line = l.line)",
            params![head.id],
            |row| row.take(),
        )
        .await?;
    match differing {
        Some(0) => Ok(()),
        _ => Err(Error::fault(format!("the usage marked for {} is not what its lines were made of", head.number))),
    }
}

/// One invoice within the scope, with its lines.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Invoice>) -> Result<Invoice> {
    let values = scope.after(params![id]);
    let head = db
        .query_opt(&format!("SELECT {COLUMNS} FROM {FROM} WHERE i.id = ?1 AND o.path >= ?2 AND o.path < ?3"), values, read)
        .await?
        .ok_or_else(|| Error::not_found("invoice_not_found", "invoice", id))?;
    let currency = head.currency;
    let lines = db
        .query_all(
            "SELECT line, usage_period, subscription_id, service_id, service_name, sku, description, datacenter, quantity, unit_price,
                 amount, usage_rows
             FROM invoice_lines WHERE invoice_id = ?1 ORDER BY line",
            params![head.id],
            |row| {
                Ok(InvoiceLine {
                    line: row.take()?,
                    usage_period: row.take()?,
                    subscription_id: row.take()?,
                    service_id: row.take()?,
                    service_name: row.take()?,
                    sku: row.take()?,
                    description: row.take()?,
                    datacenter: row.take()?,
                    quantity: row.take()?,
                    unit_price: row.take()?,
                    amount: Money { minor_units: row.take()?, currency },
                    usage_rows: row.take()?,
                })
            },
        )
        .await?;
    Ok(Invoice { head, lines })
}

/// Refuses a line that is not on an invoice within the scope.
pub async fn check_line(db: &Db, scope: &Scope, id: Id<id::Invoice>, line: LineNumber) -> Result<()> {
    let values = scope.after(params![id, line.get()]);
    let sql = format!(
        "SELECT l.line FROM {FROM} LEFT JOIN invoice_lines l ON l.invoice_id = i.id AND l.line = ?2
         WHERE i.id = ?1 AND o.path >= ?3 AND o.path < ?4"
    );
    let found: Option<Option<u32>> = db.query_opt(&sql, values, |row| row.take()).await?;
    let found = found.ok_or_else(|| Error::not_found("invoice_not_found", "invoice", id))?;
    found.map(drop).ok_or_else(|| {
        Error::new(
            domain::Kind::NotFound,
            "invoice_line_not_found",
            format!("The invoice {id} has no line {line}. GET /v1/invoices/{id} shows the lines that it has."),
        )
    })
}

/// A page of the invoices within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization_id: Option<Id<id::Organization>>,
    period: Option<Period>,
    after: Option<Id<id::Invoice>>,
    limit: u32,
) -> Result<Vec<InvoiceHead>> {
    let values = scope.after(params![organization_id, period, start(after), limit]);
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM {FROM}
             WHERE o.path >= ?5 AND o.path < ?6 AND (i.organization_id = ?1 OR ?1 IS NULL) AND (i.period = ?2 OR ?2 IS NULL)
             AND i.id > ?3 ORDER BY i.id LIMIT ?4"
        ),
        values,
        read,
    )
    .await
}

/// Up to which month each of these customers within the scope was invoiced; those that never were are left out.
pub async fn last_periods(
    db: &Db,
    scope: &Scope,
    customers: &BTreeSet<Id<id::Organization>>,
) -> Result<BTreeMap<Id<id::Organization>, Period>> {
    of_ids(
        db,
        scope,
        customers,
        |ids| {
            format!(
                "SELECT i.organization_id, MAX(i.period) FROM {FROM} WHERE o.path >= ?1 AND o.path < ?2 AND i.organization_id IN ({ids})
                 GROUP BY i.organization_id"
            )
        },
        |row| Ok((row.take::<Id<id::Organization>>()?, row.take::<Period>()?)),
    )
    .await
}
