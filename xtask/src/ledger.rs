//! What the invoices must say, worked out from the usage file alone and in this program's own
//! arithmetic: the hub's billing is checked against it, so it shares no code with the hub.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

/// An exact decimal: `units / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    units: i128,
    scale: u32,
}

impl Exact {
    /// Nothing.
    pub const ZERO: Self = Self { units: 0, scale: 0 };

    /// Reads plain decimal notation.
    pub fn parse(text: &str) -> Result<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let units = format!("{whole}{fraction}").parse().with_context(|| format!("`{text}` is no decimal"))?;
        Ok(Self { units, scale: u32::try_from(fraction.len())? })
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        Self { units: self.at(scale) + other.at(scale), scale }
    }

    /// The product.
    pub fn times(self, other: Self) -> Self {
        Self { units: self.units * other.units, scale: self.scale + other.scale }
    }

    /// In hundredths, half away from zero: how an invoice line in cents is rounded.
    pub fn cents(self) -> i128 {
        if self.scale <= 2 {
            return self.at(2);
        }
        let divisor = 10_i128.pow(self.scale - 2);
        let half = divisor / 2 * self.units.signum();
        (self.units + half) / divisor
    }

    fn at(self, scale: u32) -> i128 {
        self.units * 10_i128.pow(scale - self.scale)
    }

    /// The same number at its shortest, for use as a key and to print.
    pub fn canonical(self) -> String {
        let Self { mut units, mut scale } = self;
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        let sign = if units < 0 { "-" } else { "" };
        let digits = format!("{:0width$}", units.unsigned_abs(), width = scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

/// What makes two usage rows share an invoice line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// The month the usage happened in, `2026-10`.
    pub usage_period: String,
    /// The subscription's id.
    pub subscription: String,
    /// The SKU's name.
    pub sku: String,
    /// Where it ran.
    pub datacenter: String,
    /// The unit price, canonical.
    pub price: String,
}

/// What one invoice line must come to.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The sum of the billable quantities.
    pub quantity: Exact,
    /// Quantity times price, rounded once.
    pub cents: i128,
    /// How many usage rows lie behind it.
    pub rows: u64,
}

/// The lines of one customer's next invoice, from the rows of a usage report. Exact repeats count once.
pub fn lines(csv: &str, organization: &str) -> Result<BTreeMap<LineKey, Line>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut sums: BTreeMap<LineKey, (Exact, Exact, u64)> = BTreeMap::new();
    let table = rows(csv)?;
    let (header, rows) = table.split_first().context("the usage file is empty")?;
    let column =
        |name: &str| header.iter().position(|cell| cell == name).with_context(|| format!("the usage file has no column {name}"));
    let (org, subscription, sku) = (column("Org Id")?, column("Subscription Id")?, column("Sku Name")?);
    let (datacenter, timestamp) = (column("Datacenter")?, column("Billable Usage Timestamp")?);
    let (price, billable) = (column("Price")?, column("Billable Qty")?);
    for row in rows {
        if row.len() != header.len() {
            bail!("a row of the usage file has {} cells, not {}", row.len(), header.len());
        }
        if row[org] != organization || !seen.insert(row) {
            continue;
        }
        let unit = Exact::parse(&row[price])?;
        let key = LineKey {
            usage_period: row[timestamp].get(..7).context("a short timestamp")?.to_owned(),
            subscription: row[subscription].clone(),
            sku: row[sku].clone(),
            datacenter: row[datacenter].clone(),
            price: unit.canonical(),
        };
        let (quantity, _, rows) = sums.entry(key).or_insert((Exact::ZERO, unit, 0));
        *quantity = quantity.plus(Exact::parse(&row[billable])?);
        *rows += 1;
    }
    Ok(sums
        .into_iter()
        .map(|(key, (quantity, unit, rows))| (key, Line { quantity, cents: quantity.times(unit).cents(), rows }))
        .collect())
}

/// How many data rows a usage file has.
pub fn count(csv: &str) -> Result<u64> {
    Ok(u64::try_from(rows(csv)?.len().saturating_sub(1))?)
}

/// How many of a usage file's rows repeat an earlier one exactly.
pub fn repeats(csv: &str) -> Result<u64> {
    let table = rows(csv)?;
    let distinct: std::collections::BTreeSet<_> = table.iter().collect();
    Ok(u64::try_from(table.len() - distinct.len())?)
}

/// RFC 4180: quotes, doubled quotes, commas and line breaks inside them, CRLF or LF.
fn rows(csv: &str) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut characters = csv.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    if quoted {
        bail!("the usage file ends inside a quoted cell");
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_away_from_zero_once() {
        let cents = |text: &str| Exact::parse(text).unwrap().cents();
        assert_eq!(cents("1.005"), 101);
        assert_eq!(cents("1.00499999"), 100);
        assert_eq!(cents("-1.005"), -101);
        assert_eq!(cents("3"), 300);
        assert_eq!(cents("0.1"), 10);
    }

    #[test]
    fn decimals_are_exact() {
        let product = Exact::parse("730.5").unwrap().times(Exact::parse("0.0450").unwrap());
        assert_eq!(product.canonical(), "32.8725");
        assert_eq!(Exact::parse("0.10").unwrap().plus(Exact::parse("0.2").unwrap()).canonical(), "0.3");
        assert_eq!(Exact::parse("-0.050").unwrap().canonical(), "-0.05");
        assert_eq!(Exact::ZERO.canonical(), "0");
    }

    #[test]
    fn reads_quotes_and_line_ends() {
        let parsed = rows("a,\"b, \"\"c\"\"\r\nd\"\r\n1,2").unwrap();
        assert_eq!(parsed, [["a", "b, \"c\"\r\nd"], ["1", "2"]]);
        assert!(rows("\"open").is_err());
    }

    #[test]
    fn repeats_count_once() {
        let csv = "Org Id,Subscription Id,Sku Name,Datacenter,Billable Usage Timestamp,Price,Billable Qty\n\
                   o,s,vm,fra,2026-10-01T00:00:00Z,0.0450,1.5\n\
                   o,s,vm,fra,2026-10-01T00:00:00Z,0.0450,1.5\n\
                   o,s,vm,fra,2026-10-02T00:00:00Z,0.045,2\n\
                   p,s,vm,fra,2026-10-02T00:00:00Z,0.045,9\n";
        let lines = lines(csv, "o").unwrap();
        let (key, line) = lines.first_key_value().unwrap();
        assert_eq!((key.price.as_str(), line.rows, line.cents), ("0.045", 2, 16));
        assert_eq!((count(csv).unwrap(), repeats(csv).unwrap()), (4, 1));
    }
}
