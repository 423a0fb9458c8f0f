//! Usage for the bench by the hundred thousand, made of the one row that a hub's database has.
//!
//! Usage: `usage-fill DATABASE CUSTOMER SUBSCRIPTION ROWS LATER PERIOD`: so many rows of that row's month, and so many of the
//! later period.

use anyhow::{Context as _, Result, bail};
use rusqlite::Connection;

const FILL: &str = include_str!("usage_fill.sql");

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, customer, subscription, rows, later, period] = &arguments[..] else { bail!("six arguments are needed") };
    let number = |text: &str| text.parse::<i64>().with_context(|| format!("{text:?} is no number"));
    let db = Connection::open(file)?;
    db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000")?;
    db.execute(FILL, (customer, subscription, number(rows)?, number(later)?, period))?;
    Ok(())
}
