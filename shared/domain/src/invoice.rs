//! Invoices: how usage becomes lines, and lines a total.
//!
//! Usage that differs in nothing that an invoice shows is one line. The amount of a line is its quantity times its unit
//! price, rounded once; the total is the exact sum of the amounts. Nothing of it depends on the order in which the
//! usage is taken in.

use crate::{Currency, Decimal, Error, Id, Instant, Kind, Money, Period, Result, id, json, text_enum};
use std::{collections::BTreeMap, fmt, str::FromStr};

text_enum! {
    /// Where an invoice stands.
    pub enum InvoiceStatus {
        /// It went to the customer and never changes.
        Issued = "ISSUED",
    }
}

text_enum! {
    /// How the amounts of an invoice were rounded.
    pub enum Rounding {
        /// Each line once to the currency's minor unit, halves away from zero; the total is the sum of the lines.
        HalfUpPerLine = "HALF_UP_PER_LINE",
    }
}

/// The most lines of one invoice.
pub const LINES: u32 = 5_000;

/// What usage has in common that is one line. Lines are sorted by it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LineKey {
    /// The month it was used in.
    pub usage_period: Period,
    /// Under which subscription.
    pub subscription_id: Id<id::Subscription>,
    /// Which unit of stock.
    pub sku: String,
    /// Where.
    pub datacenter: String,
    /// The price of one unit.
    pub unit_price: Decimal,
}

/// One piece of usage on its way into a line.
#[derive(Clone, Debug)]
pub struct Used {
    /// The row.
    pub id: Id<id::Usage>,
    /// The line it belongs to.
    pub key: LineKey,
    /// What was used; a subscription is to one service.
    pub service_id: Id<id::Service>,
    /// When.
    pub used_at: Instant,
    /// The unit of stock in words.
    pub description: String,
    /// How much of it is billed.
    pub quantity: Decimal,
}

/// A line with its amount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// What all its usage has in common.
    pub key: LineKey,
    /// What was used.
    pub service_id: Id<id::Service>,
    /// The unit of stock in words, as its newest usage has it.
    pub description: String,
    /// How much of it is billed.
    pub quantity: Decimal,
    /// What that costs.
    pub amount: Money,
    /// How many rows of usage are behind it.
    pub usage_rows: u32,
}

/// An invoice while usage is taken in.
#[derive(Default)]
pub struct Draft(BTreeMap<LineKey, Sum>);

struct Sum {
    service_id: Id<id::Service>,
    /// The newest usage's; at the same instant the text that sorts last, so that the order of coming does not decide.
    description: (Instant, String),
    quantity: Decimal,
    usage_rows: u32,
    /// The row with the largest quantity, which is the first to look at when the amount cannot be right.
    largest: (Decimal, Id<id::Usage>),
}

impl Draft {
    /// Takes usage in. Each piece once: that is the caller's to see to.
    pub fn add(&mut self, used: Used) -> Result<()> {
        let lines = self.0.len();
        let key = used.key.clone();
        let sum = self.0.entry(used.key).or_insert_with(|| Sum {
            service_id: used.service_id,
            description: (used.used_at, used.description.clone()),
            quantity: Decimal::ZERO,
            usage_rows: 0,
            largest: (used.quantity, used.id),
        });
        if sum.usage_rows == 0 && lines == LINES as usize {
            return Err(Error::new(
                Kind::Invalid,
                "too_many_lines",
                format!(
                    "The invoice would have more than {LINES} lines. Issue the invoices of the months before first, each by itself; if it is one month that has so many, ask the operator."
                ),
            ));
        }
        sum.description = sum.description.clone().max((used.used_at, used.description));
        sum.usage_rows += 1;
        if used.quantity > sum.largest.0 {
            sum.largest = (used.quantity, used.id);
        }
        sum.quantity = sum.quantity.checked_add(used.quantity).ok_or_else(|| too_large(&key, sum.largest.1))?;
        Ok(())
    }

    /// Whether there is nothing to invoice.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines in order, and their total.
    pub fn finish(self, currency: Currency) -> Result<(Vec<Line>, Money)> {
        let (mut lines, mut total) = (Vec::with_capacity(self.0.len()), Money::zero(currency));
        let mut largest: Option<(i64, Id<id::Usage>)> = None;
        for (key, sum) in self.0 {
            let amount = Money::of_line(sum.quantity, key.unit_price, currency).ok_or_else(|| too_large(&key, sum.largest.1))?;
            if largest.is_none_or(|(most, _)| amount.minor_units > most) {
                largest = Some((amount.minor_units, sum.largest.1));
            }
            total = total.checked_add(amount).ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    "amount_too_large",
                    format!(
                        "The invoice's total is more than can be written in {currency}. {}",
                        look_at(largest.map_or(sum.largest.1, |(_, id)| id))
                    ),
                )
            })?;
            lines.push(Line {
                key,
                service_id: sum.service_id,
                description: sum.description.1,
                quantity: sum.quantity,
                amount,
                usage_rows: sum.usage_rows,
            });
        }
        Ok((lines, total))
    }
}

fn look_at(largest: Id<id::Usage>) -> String {
    format!("Nothing was issued. Void the rows that are wrong with POST /v1/usage-voids; look at the largest first: {largest}.")
}

fn too_large(key: &LineKey, largest: Id<id::Usage>) -> Error {
    Error::new(
        Kind::Invalid,
        "amount_too_large",
        format!(
            "The line of {} in {} under {} at {} comes to more than can be written. {}",
            key.sku,
            key.usage_period,
            key.subscription_id,
            key.unit_price,
            look_at(largest)
        ),
    )
}

/// Refuses a month that is not over at `now`: usage of it is still to come.
pub fn check_over(period: Period, now: Instant) -> Result<()> {
    if period.end() <= now {
        return Ok(());
    }
    Err(Error::invalid("/period", format!("{period} is not over; it can be invoiced from {} on", period.end().date_naive())))
}

/// The number of a provider's `sequence`-th invoice of a year. Numbers have no gaps: an auditor asks for the missing one.
pub fn number(year: i32, sequence: i64) -> String {
    format!("INV-{year:04}-{sequence:06}")
}

/// The number of a line on its invoice, from 1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LineNumber(u32);

impl LineNumber {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for LineNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|number| (1..=LINES).contains(number) && !text.starts_with(['0', '+']))
            .map(Self)
            .ok_or_else(|| format!("not the number of a line: expected a whole number from 1 to {LINES}"))
    }
}

impl fmt::Display for LineNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl json::Shown for LineNumber {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "integer", "minimum": 1, "maximum": LINES, "description": "The number of a line on its invoice." })
    }
}

#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for LineNumber {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LineNumber".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        json::schema::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{self, UsageRow, tests::any_rows};
    use proptest::prelude::*;

    fn used(row: &UsageRow) -> Used {
        Used {
            id: Id::from_uuid(uuid::Uuid::from_u128(row.number.into())),
            key: LineKey {
                usage_period: row.period(),
                subscription_id: row.subscription_id,
                sku: row.sku.to_string(),
                datacenter: row.datacenter.to_string(),
                unit_price: row.content.unit_price,
            },
            service_id: row.service_id,
            used_at: row.used_at,
            description: row.content.description.to_string(),
            quantity: row.content.billable_quantity,
        }
    }

    fn invoice<'a>(rows: impl IntoIterator<Item = &'a UsageRow>, currency: &str) -> Result<(Vec<Line>, Money)> {
        let mut draft = Draft::default();
        for row in rows {
            draft.add(used(row))?;
        }
        draft.finish(currency.parse().unwrap())
    }

    fn of(quantity: &str, price: &str) -> Used {
        let mut used = used(&one_row());
        (used.quantity, used.key.unit_price) = (quantity.parse().unwrap(), price.parse().unwrap());
        used
    }

    fn one_row() -> UsageRow {
        use proptest::{strategy::ValueTree, test_runner::TestRunner};
        usage::tests::any_row().new_tree(&mut TestRunner::deterministic()).unwrap().current()
    }

    #[test]
    fn a_draft_is_empty_until_usage_is_added() {
        let mut draft = Draft::default();
        assert!(draft.is_empty());
        draft.add(of("1", "1")).unwrap();
        assert!(!draft.is_empty());
    }

    #[test]
    fn a_line_is_rounded_once_and_not_row_by_row() {
        // Row by row, each would round to nothing.
        let mut draft = Draft::default();
        for _ in 0..3 {
            draft.add(of("1", "0.00167")).unwrap();
        }
        let (lines, total) = draft.finish("USD".parse().unwrap()).unwrap();
        assert_eq!((lines.len(), lines[0].usage_rows, total.minor_units), (1, 3, 1));
    }

    #[test]
    fn prices_that_are_equal_are_one_line_however_they_are_written() {
        let mut draft = Draft::default();
        for (quantity, price) in [("1", "0.0450"), ("1.50", "0.045"), ("0", "0.046"), ("2", "0")] {
            draft.add(of(quantity, price)).unwrap();
        }
        let (lines, total) = draft.finish("USD".parse().unwrap()).unwrap();
        let shown: Vec<_> = lines
            .iter()
            .map(|line| (line.key.unit_price.to_string(), line.quantity.to_string(), line.amount.minor_units))
            .collect();
        // Lines that cost nothing stay: they show what was used.
        let expected = [("0", "2", 0), ("0.045", "2.5", 11), ("0.046", "0", 0)]
            .map(|(price, quantity, cents)| (price.into(), quantity.into(), cents));
        assert_eq!(shown, expected);
        assert_eq!(total.minor_units, 11);
    }

    #[test]
    fn amounts_beyond_what_can_be_written_are_refused() {
        let mut draft = Draft::default();
        let largest = Id::from_uuid(uuid::Uuid::from_u128(7));
        draft.add(of("1", "999999999")).unwrap();
        draft.add(Used { id: largest, ..of("999999999", "999999999") }).unwrap();
        draft.add(of("2", "999999999")).unwrap();
        let refused = draft.finish("USD".parse().unwrap()).unwrap_err();
        assert_eq!(refused.code, "amount_too_large");
        assert!(refused.public.contains(&largest.to_string()), "{}", refused.public);
        let mut draft = Draft::default();
        for price in ["90000000", "90000001"] {
            draft.add(of("999999999", price)).unwrap();
        }
        assert_eq!(draft.finish("USD".parse().unwrap()).unwrap_err().code, "amount_too_large");
    }

    #[test]
    fn lines_are_bounded() {
        let mut draft = Draft::default();
        for sku in 0..LINES {
            let mut used = of("1", "1");
            used.key.sku = sku.to_string();
            draft.add(used.clone()).unwrap();
            draft.add(used).unwrap();
        }
        let mut used = of("1", "1");
        used.key.sku = "one more".into();
        assert_eq!(draft.add(used).unwrap_err().code, "too_many_lines");
    }

    #[test]
    fn a_month_is_invoiced_when_it_is_over() {
        let october: Period = "2026-10".parse().unwrap();
        assert!(check_over(october, october.end()).is_ok());
        assert!(check_over(october, october.end() - chrono::TimeDelta::milliseconds(1)).is_err());
    }

    #[test]
    fn numbers_sort_as_they_were_given() {
        assert_eq!(number(2026, 1), "INV-2026-000001");
        assert_eq!(number(2026, 1_234_567), "INV-2026-1234567");
    }

    #[test]
    fn a_line_number_has_one_spelling() {
        assert_eq!("17".parse::<LineNumber>().unwrap().get(), 17);
        for text in ["0", "", "-1", "+1", "01", "5001", "1.0", "x"] {
            assert!(text.parse::<LineNumber>().is_err(), "{text}");
        }
    }

    /// Rows of which each stands for one use.
    fn distinct(rows: &[UsageRow]) -> Vec<&UsageRow> {
        let mut firsts = BTreeMap::new();
        for row in rows {
            firsts.entry(row.key()).or_insert(row);
        }
        firsts.into_values().collect()
    }

    /// A decimal as a whole number of its smallest parts, by its text and nothing else.
    fn parts(decimal: Decimal) -> i128 {
        let text = decimal.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        format!("{whole}{fraction:0<8}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn the_order_of_rows_changes_nothing(rows in any_rows(), currency in "USD|JPY|KWD", seed: u64) {
            let mut shuffled = rows.clone();
            shuffled.sort_by_key(|row| (u64::from(row.number).wrapping_mul(seed | 1), row.number));
            prop_assert_eq!(invoice(&rows, &currency), invoice(&shuffled, &currency));
        }

        #[test]
        fn repeated_rows_change_nothing(rows in any_rows(), times in 1usize..4) {
            let once = distinct(&rows);
            let repeated: Vec<UsageRow> = once.iter().map(|row| (*row).clone()).cycle().take(once.len() * times).collect();
            let kept = usage::distinct(&repeated).unwrap();
            prop_assert_eq!(invoice(kept.into_iter().map(|(_, row)| row), "EUR"), invoice(once, "EUR"));
        }

        /// Against the same rules in integers: parts of 10^-16 of a currency's unit, divided once a line.
        #[test]
        fn lines_and_total_agree_with_integer_arithmetic(rows in any_rows(), currency in "USD|JPY|KWD") {
            let minor = match currency.as_str() { "USD" => 100, "JPY" => 1, _ => 1000 };
            let mut sums: BTreeMap<LineKey, (i128, u32)> = BTreeMap::new();
            for row in &rows {
                let (quantity, count) = sums.entry(used(row).key).or_default();
                *quantity += parts(row.content.billable_quantity);
                *count += 1;
            }
            let unit = 10i128.pow(16) / minor;
            let expected: Vec<(LineKey, i128, u32)> = sums
                .into_iter()
                .map(|(key, (quantity, count))| {
                    let product = quantity * parts(key.unit_price);
                    (key, (product + unit / 2) / unit, count)
                })
                .collect();
            let total: i128 = expected.iter().map(|(_, amount, _)| amount).sum();
            match invoice(&rows, &currency) {
                Ok((lines, said)) => {
                    let lines: Vec<_> = lines.into_iter().map(|line| (line.key, i128::from(line.amount.minor_units), line.usage_rows)).collect();
                    prop_assert_eq!(lines, expected);
                    prop_assert_eq!(i128::from(said.minor_units), total);
                }
                Err(error) => {
                    prop_assert_eq!(error.code, "amount_too_large");
                    prop_assert!(total > i128::from(i64::MAX), "{}", total);
                }
            }
        }
    }
}
