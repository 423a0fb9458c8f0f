//! Usage reports: reading the CSV, what makes a row itself, when a row is too old, late or billed before.
//!
//! The columns are those of the usage reports that providers get today, so that a file can be sent on as it came. Of
//! each row the hub keeps what it bills and traces by. The names and the status of the organization and the service
//! and the tag are read and bounded but not kept: the hub knows both by their ids, and a customer that was renamed
//! between two exports has not used anything else.

use crate::{Currency, Decimal, Error, FieldError, Id, Instant, Kind, Moment, Money, Period, Result, Text, id};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The header, in this order.
pub const COLUMNS: [&str; 18] = [
    "Org Id",
    "Org Name",
    "Org Status",
    "Tag",
    "Service Id",
    "Service Name",
    "Subscription Id",
    "Sku Name",
    "Sku Description",
    "Datacenter",
    "Billable Usage Timestamp",
    "Price",
    "Usage Qty",
    "Commit Qty",
    "Billable Qty",
    "Product Family",
    "Customer Segment",
    "Cross Reference Sku",
];
/// The most rows of one report.
pub const ROWS: usize = 10_000;
/// The most errors that one refusal lists.
pub const ERRORS: usize = 100;
/// How old usage may be when it comes in.
pub const OLDEST: TimeDelta = TimeDelta::days(90);
/// How far ahead of the hub's clock usage may lie: reports close a day in time zones that are ahead of UTC.
pub const NEWEST: TimeDelta = TimeDelta::days(1);
/// The most digits before the point of a number in a report. Fewer than a [`Decimal`] holds, so that a million of the
/// largest rows still add up on one invoice line.
const DIGITS: usize = 9;
/// The most that one row comes to, in minor units of the customer's currency. Nine million such rows still add up on one invoice.
pub const ROW_AMOUNT: i64 = 1_000_000_000_000;
/// The most rows of usage that one void names by their ids.
pub const VOIDED: usize = 1_000;

/// One row of a usage report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageRow {
    /// Its place among the report's rows, from 1; the header is not one of them.
    pub number: u32,
    /// The customer that used.
    pub organization_id: Id<id::Organization>,
    /// What was used.
    pub service_id: Id<id::Service>,
    /// Under which subscription.
    pub subscription_id: Id<id::Subscription>,
    /// Which unit of stock was used.
    pub sku: Text<1, 120>,
    /// Where; empty when the use has no place.
    pub datacenter: Text<0, 80>,
    /// When.
    pub used_at: Instant,
    /// What the row says of that use.
    pub content: Content,
}

/// What a row says of the use that its other columns name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    /// What the unit of stock is, in words.
    pub description: Text<0, 400>,
    /// The price of one unit, in the customer's currency.
    pub unit_price: Decimal,
    /// How much was used.
    pub usage_quantity: Decimal,
    /// How much of that a commitment covers.
    pub commit_quantity: Decimal,
    /// How much is to be billed.
    pub billable_quantity: Decimal,
    /// The product family, in the report's own words.
    pub product_family: Text<0, 80>,
    /// The customer segment, in the report's own words.
    pub customer_segment: Text<0, 80>,
    /// The unit of stock in another catalog.
    pub cross_reference_sku: Text<0, 120>,
}

impl UsageRow {
    /// The month it is billed for.
    pub fn period(&self) -> Period {
        Period::of(self.used_at)
    }

    /// What makes the row itself, whatever it says: SHA-256 over the six columns that name the use, in hexadecimal.
    /// Each is preceded by its length, so that no two rows are taken for each other.
    pub fn key(&self) -> String {
        let mut digest = Sha256::new();
        let used_at = self.used_at.timestamp_millis().to_string();
        let ids = [self.organization_id.to_string(), self.service_id.to_string(), self.subscription_id.to_string()];
        for part in ids.iter().map(String::as_str).chain([&*self.sku, &*self.datacenter, &used_at]) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        crate::text::hex(&digest.finalize())
    }
}

impl Content {
    /// Whether what is billed is an amount that invoices have room for.
    pub fn fits_an_invoice(&self, currency: Currency) -> bool {
        Money::of_line(self.billable_quantity, self.unit_price, currency).is_some_and(|amount| amount.minor_units <= ROW_AMOUNT)
    }

    /// The columns in which the two differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let same = [
            ("Sku Description", self.description == other.description),
            ("Price", self.unit_price == other.unit_price),
            ("Usage Qty", self.usage_quantity == other.usage_quantity),
            ("Commit Qty", self.commit_quantity == other.commit_quantity),
            ("Billable Qty", self.billable_quantity == other.billable_quantity),
            ("Product Family", self.product_family == other.product_family),
            ("Customer Segment", self.customer_segment == other.customer_segment),
            ("Cross Reference Sku", self.cross_reference_sku == other.cross_reference_sku),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(column, _)| column).collect()
    }
}

/// What is wrong with a report, up to a bound, each with the place where it is.
#[derive(Default)]
pub struct Faults {
    fields: Vec<FieldError>,
    found: usize,
}

impl Faults {
    /// Notes a fault of a whole row, or of one of its columns.
    pub fn add(&mut self, number: u32, column: Option<&str>, detail: impl Into<String>) {
        let column = column.map(|column| format!("/{column}")).unwrap_or_default();
        self.note(format!("/rows/{number}{column}"), detail.into());
    }

    fn note(&mut self, pointer: String, detail: String) {
        self.found += 1;
        if self.found <= ERRORS {
            self.fields.push(FieldError { pointer, detail });
        }
    }

    /// Refuses if there are any.
    pub fn into_result(self) -> Result<()> {
        if self.fields.is_empty() {
            return Ok(());
        }
        let mut error = Error::invalid_fields(self.fields);
        if self.found > ERRORS {
            error.public = format!(
                "More than {ERRORS} fields are against the rules; errors has the first {ERRORS}. Nothing was imported. Correct the file and send it again."
            );
        }
        Err(error)
    }
}

/// Reads a report. All of it is refused when anything of it is wrong, and the refusal names every fault up to a bound.
pub fn parse(bytes: &[u8]) -> Result<Vec<UsageRow>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("byte {} of it is not UTF-8. Save it as UTF-8", error.valid_up_to() + 1)))?;
    // The reader takes the end of the file for the end of a quoted field, so a file that was cut off there would pass.
    if text.bytes().filter(|&byte| byte == b'"').count() % 2 == 1 {
        return Err(malformed(
            "it has a quotation mark without its pair. Either it was cut off, or a field with a quotation mark in it is not itself between quotation marks with the inner one doubled; correct that",
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut read =
        |record: &mut csv::StringRecord| reader.read_record(record).map_err(|error| malformed(format!("{error}. Correct that")));
    if !read(&mut record)? {
        return Err(Error::invalid("/header", format!("is missing; the first line must be {}", COLUMNS.join(","))));
    }
    check_header(&record)?;
    let (mut rows, mut faults, mut number) = (Vec::new(), Faults::default(), 0);
    while read(&mut record)? && faults.found <= ERRORS {
        number += 1;
        if number as usize > ROWS {
            return Err(Error::invalid("/rows", format!("are more than {ROWS}, the most of one report; send them in several")));
        }
        rows.extend(Fields { number, record: &record, faults: &mut faults }.row());
    }
    faults.into_result()?;
    if rows.is_empty() {
        return Err(Error::invalid("/rows", "are missing; after the header there must be one at least"));
    }
    Ok(rows)
}

fn malformed(why: impl fmt::Display) -> Error {
    // Not of the kind Malformed: any text is text, so what is wrong with this one is its content.
    Error::new(Kind::Invalid, "malformed_csv", format!("The body is not CSV that can be read: {why} and send it again."))
}

fn check_header(record: &csv::StringRecord) -> Result<()> {
    if record.iter().eq(COLUMNS) {
        return Ok(());
    }
    let mut faults = Faults::default();
    for column in COLUMNS.into_iter().filter(|&column| record.iter().all(|given| given != column)) {
        faults.note(format!("/header/{column}"), "is missing".into());
    }
    for column in record.iter().filter(|column| !COLUMNS.contains(column)) {
        // What was sent is shown back, but not at any length: it may be a file of another kind.
        let shown: String = column.chars().take(40).collect();
        let pointer = format!("/header/{}", shown.replace('~', "~0").replace('/', "~1"));
        faults.note(pointer, "is not a column of a usage report; leave it out".into());
    }
    faults.into_result()?;
    Err(Error::invalid(
        "/header",
        format!("has a column twice, or its columns in another order; it must be {}", COLUMNS.join(",")),
    ))
}

/// The fields of one row while it is read.
struct Fields<'a> {
    number: u32,
    record: &'a csv::StringRecord,
    faults: &'a mut Faults,
}

impl Fields<'_> {
    /// The row; `None` when something of it is wrong, which is then noted. Every field is read before it is used, so
    /// that all that is wrong is noted.
    fn row(&mut self) -> Option<UsageRow> {
        if self.record.len() != COLUMNS.len() {
            let detail = format!("has {} fields; {} are expected", self.record.len(), COLUMNS.len());
            self.faults.add(self.number, None, detail);
            return None;
        }
        let before = self.faults.found;
        let organization_id = self.field(0);
        let _: (Option<Text<0, 200>>, Option<Text<0, 40>>, Option<Text<0, 80>>) = (self.field(1), self.field(2), self.field(3));
        let service_id = self.field(4);
        let _: Option<Text<0, 200>> = self.field(5);
        let subscription_id = self.field(6);
        let (sku, description, datacenter) = (self.field(7), self.field(8), self.field(9));
        let used_at: Option<Timestamp> = self.field(10);
        let (unit_price, usage_quantity) = (self.decimal(11), self.decimal(12));
        let (commit_quantity, billable_quantity) = (self.decimal(13), self.decimal(14));
        let (product_family, customer_segment, cross_reference_sku) = (self.field(15), self.field(16), self.field(17));
        if self.faults.found > before {
            return None;
        }
        Some(UsageRow {
            number: self.number,
            organization_id: organization_id?,
            service_id: service_id?,
            subscription_id: subscription_id?,
            sku: sku?,
            datacenter: datacenter?,
            used_at: used_at?.0,
            content: Content {
                description: description?,
                unit_price: unit_price?,
                usage_quantity: usage_quantity?,
                commit_quantity: commit_quantity?,
                billable_quantity: billable_quantity?,
                product_family: product_family?,
                customer_segment: customer_segment?,
                cross_reference_sku: cross_reference_sku?,
            },
        })
    }

    fn field<T: FromStr<Err: fmt::Display>>(&mut self, index: usize) -> Option<T> {
        match self.record.get(index).unwrap_or_default().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let detail = error.to_string();
                let is = if detail.starts_with("not ") { "is " } else { "" };
                self.faults.add(self.number, Some(COLUMNS[index]), format!("{is}{detail}"));
                None
            }
        }
    }

    /// A number that is not negative.
    fn decimal(&mut self, index: usize) -> Option<Decimal> {
        let number: Decimal = self.field(index)?;
        let digits = self.record.get(index).and_then(|text| text.split('.').next()).map_or(0, str::len);
        if number.is_negative() {
            self.faults.add(
                self.number,
                Some(COLUMNS[index]),
                "is negative; a usage report says what was used, so write 0 or more",
            );
        } else if digits > DIGITS {
            let detail = format!("has {digits} digits before the point; {DIGITS} are allowed");
            self.faults.add(self.number, Some(COLUMNS[index]), detail);
        }
        Some(number)
    }
}

/// An instant as reports write it.
struct Timestamp(Instant);

impl FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // With a space in the middle and no zone at the end it is the other spelling, which is in UTC.
        let whole = match text.split_once(' ') {
            Some((day, time)) if text.len() == 19 => format!("{day}T{time}Z"),
            _ => text.to_owned(),
        };
        whole.parse().map(|moment: Moment| Self(moment.instant()))
    }
}

/// Refuses rows that are too old at `now`, or that are not yet.
pub fn check_age(rows: &[UsageRow], now: Instant) -> Result<()> {
    let mut faults = Faults::default();
    for row in rows {
        let fault = if row.used_at < now - OLDEST {
            format!("is more than {} days ago; usage that old is no longer billed", OLDEST.num_days())
        } else if row.used_at > now + NEWEST {
            "is in the future; report usage when it has happened".to_owned()
        } else {
            continue;
        };
        faults.add(row.number, Some("Billable Usage Timestamp"), fault);
    }
    faults.into_result()
}

/// A subscription, as far as usage is concerned: whose it is, and of what.
pub type Subscribed = (Id<id::Organization>, Id<id::Service>);

/// Refuses rows of customers or subscriptions that are not among those the caller can act for, and rows that no invoice of the
/// customer can hold. What is elsewhere is refused in the same words as what is nowhere.
pub fn check_places(
    rows: &[UsageRow],
    customers: &BTreeMap<Id<id::Organization>, Currency>,
    subscriptions: &BTreeMap<Id<id::Subscription>, Subscribed>,
) -> Result<()> {
    let mut faults = Faults::default();
    for row in rows {
        let Some(currency) = customers.get(&row.organization_id) else {
            let detail = format!("there is no customer {} in the organizations you can act in", row.organization_id);
            faults.add(row.number, Some("Org Id"), detail);
            continue;
        };
        if subscriptions.get(&row.subscription_id) != Some(&(row.organization_id, row.service_id)) {
            let detail = format!(
                "there is no subscription {} of {} to {} that was ever active; GET /v1/subscriptions lists what there is",
                row.subscription_id, row.organization_id, row.service_id
            );
            faults.add(row.number, Some("Subscription Id"), detail);
        } else if !row.content.fits_an_invoice(*currency) {
            let detail = format!(
                "times Price comes to more than {ROW_AMOUNT} minor units of {currency}, the most of one row; correct the quantity or the price"
            );
            faults.add(row.number, Some("Billable Qty"), detail);
        }
    }
    faults.into_result()
}

/// A row and what makes it itself: its [`UsageRow::key`].
pub type Keyed<'a> = (String, &'a UsageRow);

/// The report's rows without repetitions, in order. A row that comes twice and says different things is refused.
pub fn distinct(rows: &[UsageRow]) -> Result<Vec<Keyed<'_>>> {
    let (mut distinct, mut faults) = (Vec::with_capacity(rows.len()), Faults::default());
    let mut firsts = BTreeMap::<String, &UsageRow>::new();
    for row in rows {
        let key = row.key();
        let Some(first) = firsts.get(&key) else {
            firsts.insert(key.clone(), row);
            distinct.push((key, row));
            continue;
        };
        for column in row.content.differences(&first.content) {
            faults.add(
                row.number,
                Some(column),
                format!(
                    "differs from row {}, which is of the same use; one of them is to go, or their timestamps to differ",
                    first.number
                ),
            );
        }
    }
    faults.into_result().map(|()| distinct)
}

/// Whether a row of this month comes late: other rows of its report are of a later month, or the customer has an
/// invoice for the month (or a later one) already.
pub fn is_late(period: Period, newest: Period, invoiced: Option<Period>) -> bool {
    period < newest || invoiced.is_some_and(|invoiced| period <= invoiced)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use uuid::Uuid;

    /// Any row that a report can hold. Ids, units of stock and days are few, so that rows meet.
    pub(crate) fn any_row() -> impl Strategy<Value = UsageRow> {
        let words = "[^\\s\\p{Cc}]([^\\p{Cc}]{0,12}[^\\s\\p{Cc}])?";
        let decimal = || {
            // Mostly of a size that is used; at times as large as can be.
            prop_oneof![9 => 0u64..10_000_000_000, 1 => 0u64..100_000_000_000_000_000]
                .prop_map(|n| format!("{}.{:08}", n / 100_000_000, n % 100_000_000).parse::<Decimal>().unwrap())
        };
        (
            (0u128..2, 0u128..2, 0u128..3, "[AB]", "[,\"ü]?", 0i64..4),
            (words, decimal(), decimal(), decimal(), decimal(), "[\"']{0,3}", "(, ,)?", "(株式会社)?"),
        )
            .prop_map(|(place, says)| UsageRow {
                number: 1,
                organization_id: Id::from_uuid(Uuid::from_u128(place.0)),
                service_id: Id::from_uuid(Uuid::from_u128(place.1)),
                subscription_id: Id::from_uuid(Uuid::from_u128(place.2)),
                sku: place.3.parse().unwrap(),
                datacenter: place.4.parse().unwrap(),
                used_at: Instant::from_timestamp_millis(1_790_000_000_000 + place.5 * 1_300_000_000).unwrap(),
                content: Content {
                    description: says.0.parse().unwrap(),
                    unit_price: says.1,
                    usage_quantity: says.2,
                    commit_quantity: says.3,
                    billable_quantity: says.4,
                    product_family: says.5.parse().unwrap(),
                    customer_segment: says.6.parse().unwrap(),
                    cross_reference_sku: says.7.parse().unwrap(),
                },
            })
    }

    /// The rows, numbered as a report numbers them.
    pub(crate) fn any_rows() -> impl Strategy<Value = Vec<UsageRow>> {
        vec(any_row(), 1..20).prop_map(|mut rows| {
            for (row, number) in rows.iter_mut().zip(1..) {
                row.number = number;
            }
            rows
        })
    }

    fn fields(row: &UsageRow) -> [String; 18] {
        let content = &row.content;
        [
            row.organization_id.to_string(),
            "Fabrikam, \"Inc.\"".into(),
            "ACTIVE".into(),
            String::new(),
            row.service_id.to_string(),
            "Compute".into(),
            row.subscription_id.to_string(),
            row.sku.to_string(),
            content.description.to_string(),
            row.datacenter.to_string(),
            row.used_at.to_rfc3339(),
            content.unit_price.to_string(),
            content.usage_quantity.to_string(),
            content.commit_quantity.to_string(),
            content.billable_quantity.to_string(),
            content.product_family.to_string(),
            content.customer_segment.to_string(),
            content.cross_reference_sku.to_string(),
        ]
    }

    fn write(rows: &[UsageRow], terminator: csv::Terminator) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        writer.write_record(COLUMNS).unwrap();
        for row in rows {
            writer.write_record(fields(row)).unwrap();
        }
        writer.into_inner().unwrap()
    }

    /// A report of one row, with some of its columns replaced.
    fn report(replaced: &[(&str, &str)]) -> String {
        let id = |noun: &str| format!("{noun}_01h455vb4pex5vsknk084sn02q");
        let mut fields: Vec<String> = [
            &id("org"),
            "Fabrikam",
            "ACTIVE",
            "",
            &id("svc"),
            "Compute",
            &id("sub"),
            "VCPU",
            "vCPU hour",
            "eu-1",
            "2026-10-01T00:00:00Z",
            "0.0450",
            "2",
            "0.5",
            "1.5",
            "SOV",
            "COMMERCIAL",
            "XR-1",
        ]
        .map(str::to_owned)
        .into();
        for (column, value) in replaced {
            fields[COLUMNS.iter().position(|known| known == column).unwrap()] = (*value).to_owned();
        }
        format!("{}\n{}\n", COLUMNS.join(","), fields.join(","))
    }

    fn pointers(error: Error) -> Vec<String> {
        error.fields.into_iter().map(|field| field.pointer).collect()
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        for (column, wrong) in [
            ("Org Id", "svc_01h455vb4pex5vsknk084sn02q"),
            ("Org Name", " Fabrikam"),
            ("Org Status", "\ta"),
            ("Tag", "a\u{7}"),
            ("Service Id", ""),
            ("Subscription Id", "7"),
            ("Sku Name", ""),
            ("Datacenter", "a "),
            ("Price", "-0.01"),
            ("Price", "1e3"),
            ("Price", "1000000000"),
            ("Usage Qty", ""),
            ("Commit Qty", "NaN"),
            ("Billable Qty", "0.123456789"),
            ("Billable Usage Timestamp", "yesterday"),
            ("Billable Usage Timestamp", "2026-10-01"),
            ("Billable Usage Timestamp", "2026-10-1 00:00:00"),
            ("Billable Usage Timestamp", "2026-10-01T00:00:00.0001Z"),
            ("Billable Usage Timestamp", "2026-12-31T23:59:60Z"),
            ("Billable Usage Timestamp", "2026-02-30T00:00:00Z"),
        ] {
            let refusal = parse(report(&[(column, wrong)]).as_bytes()).unwrap_err();
            assert_eq!(refusal.kind, Kind::Invalid);
            assert_eq!(pointers(refusal), [format!("/rows/1/{column}")], "{wrong}");
        }
        let two = parse(report(&[("Price", "x"), ("Org Id", "y")]).as_bytes()).unwrap_err();
        assert_eq!(pointers(two), ["/rows/1/Org Id", "/rows/1/Price"]);
        let short = parse(format!("{}a,b\n", report(&[])).as_bytes()).unwrap_err();
        assert_eq!(pointers(short), ["/rows/2"]);
    }

    #[test]
    fn a_timestamp_has_two_spellings() {
        let at = |text: &str| parse(report(&[("Billable Usage Timestamp", text)]).as_bytes()).unwrap()[0].used_at.to_rfc3339();
        for text in ["2026-10-01T00:00:00Z", "2026-10-01 00:00:00", "2026-10-01T02:00:00+02:00", "2026-09-30T22:00:00.000-02:00"]
        {
            assert_eq!(at(text), "2026-10-01T00:00:00+00:00", "{text}");
        }
    }

    #[test]
    fn the_header_is_the_18_columns() {
        let with = |header: &str| pointers(parse(report(&[]).replacen(&COLUMNS.join(","), header, 1).as_bytes()).unwrap_err());
        assert_eq!(with(&COLUMNS[1..].join(",")), ["/header/Org Id"]);
        assert_eq!(with(&COLUMNS.join(",").replace("Price", "Cost/Unit")), ["/header/Price", "/header/Cost~1Unit"]);
        assert_eq!(with(&format!("{},Org Id", COLUMNS.join(","))), ["/header"]);
        assert_eq!(with(&COLUMNS.join(",").replace("Org Id,Org Name", "Org Name,Org Id")), ["/header"]);
        assert_eq!(pointers(parse(b"").unwrap_err()), ["/header"]);
        assert_eq!(pointers(parse(COLUMNS.join(",").as_bytes()).unwrap_err()), ["/rows"]);
    }

    #[test]
    fn what_is_no_csv_is_malformed() {
        let cut = report(&[("Cross Reference Sku", "\"XR")]);
        let latin = [report(&[]).as_bytes(), b"\xfc"].concat();
        for body in [cut.as_bytes(), &latin] {
            assert_eq!(parse(body).unwrap_err().code, "malformed_csv");
        }
    }

    #[test]
    fn a_refusal_is_bounded_and_so_is_a_report() {
        let of_rows = |replaced: &[(&str, &str)], count: usize| {
            let report = report(replaced);
            let (header, row) = report.split_once('\n').unwrap();
            format!("{header}\n{}", row.repeat(count))
        };
        let refusal = parse(of_rows(&[("Price", "x"), ("Usage Qty", "y")], 80).as_bytes()).unwrap_err();
        assert_eq!(refusal.fields.len(), ERRORS);
        assert!(refusal.public.contains("first 100"), "{}", refusal.public);
        assert_eq!(parse(of_rows(&[], ROWS).as_bytes()).unwrap().len(), ROWS);
        assert_eq!(pointers(parse(of_rows(&[], ROWS + 1).as_bytes()).unwrap_err()), ["/rows"]);
    }

    #[test]
    fn usage_is_taken_for_ninety_days_and_not_ahead_of_time() {
        let now: Instant = "2026-11-10T12:00:00Z".parse().unwrap();
        let check = |used_at: Instant| {
            check_age(&parse(report(&[("Billable Usage Timestamp", &used_at.to_rfc3339())]).as_bytes()).unwrap(), now).is_ok()
        };
        let tick = TimeDelta::milliseconds(1);
        assert!(check(now - OLDEST) && !check(now - OLDEST - tick));
        assert!(check(now + NEWEST) && !check(now + NEWEST + tick));
    }

    #[test]
    fn a_row_is_late_after_its_month_or_its_invoice() {
        let [september, october]: [Period; 2] = ["2026-09", "2026-10"].map(|month| month.parse().unwrap());
        assert!(is_late(september, october, None) && !is_late(october, october, None));
        assert!(is_late(october, october, Some(october)) && !is_late(october, october, Some(september)));
    }

    #[test]
    fn rows_are_only_of_the_callers_customers_and_their_subscriptions() {
        let rows = parse(report(&[]).as_bytes()).unwrap();
        let (row, other) = (&rows[0], Id::from_uuid(Uuid::from_u128(1)));
        let customers = BTreeMap::from([(row.organization_id, "USD".parse().unwrap())]);
        let check = |customers: &BTreeMap<_, _>, subscribed| {
            check_places(&rows, customers, &BTreeMap::from([(row.subscription_id, subscribed)])).map_err(pointers)
        };
        assert_eq!(check(&customers, (row.organization_id, row.service_id)), Ok(()));
        assert_eq!(check(&BTreeMap::new(), (row.organization_id, row.service_id)), Err(vec!["/rows/1/Org Id".into()]));
        assert_eq!(check(&customers, (other, row.service_id)), Err(vec!["/rows/1/Subscription Id".into()]));
        assert_eq!(
            check(&customers, (row.organization_id, Id::from_uuid(Uuid::nil()))),
            Err(vec!["/rows/1/Subscription Id".into()])
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in any_rows(), crlf: bool, bom: bool) {
            let mut bytes = write(&rows, if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') });
            if bom {
                bytes.splice(0..0, *b"\xef\xbb\xbf");
            }
            prop_assert_eq!(parse(&bytes).unwrap(), rows);
        }

        #[test]
        fn no_input_makes_it_panic(bytes in vec(any::<u8>(), 0..300), text in "(\\PC|[,\"\n]){0,300}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
            let _ = parse(format!("{}\n{text}", COLUMNS.join(",")).as_bytes());
        }

        #[test]
        fn rows_that_repeat_count_once(rows in any_rows()) {
            // The first of each use stands for all of its kind; what is left has no contradictions.
            let mut firsts = BTreeMap::new();
            let same: Vec<UsageRow> =
                rows.into_iter().map(|row| UsageRow { content: firsts.entry(row.key()).or_insert(row.content.clone()).clone(), ..row }).collect();
            let twice = [same.clone(), same.clone()].concat();
            let once = distinct(&same).unwrap();
            prop_assert_eq!(once.len(), firsts.len());
            prop_assert_eq!(distinct(&twice).unwrap(), once);
        }

        #[test]
        fn rows_that_contradict_each_other_are_refused(row in any_row()) {
            let mut other = UsageRow { number: 2, ..row.clone() };
            other.content.product_family = format!("{}x", row.content.product_family).parse().unwrap();
            prop_assert_eq!(pointers(distinct(&[row, other]).unwrap_err()), ["/rows/2/Product Family"]);
        }
    }
}
