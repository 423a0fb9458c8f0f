//! The usage reports of the demo: templates in `tests/data` whose placeholders are filled with the
//! ids of this run and the months before this one.

use std::fs;

use anyhow::{Context as _, Result};

use crate::calendar::Month;
use crate::shell;

/// A month of usage of three customers, with late rows of the month before and rows sent twice.
pub const MONTH: &str = "usage-2026-10.csv";
/// Five rows that arrive after the invoices.
pub const LATE: &str = "usage-late-2026-10.csv";

/// The line of names that every report begins with.
pub fn header() -> Result<String> {
    let file = shell::root().join("tests/data").join(MONTH);
    let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim_end().to_owned() + "\n")
}

/// Fills a template: `{month}` and `{before}` by the months, everything else by `values`. Rows of days
/// that the month does not have are left out.
pub fn report(name: &str, month: Month, values: &[(&str, &str)]) -> Result<String> {
    let file = shell::root().join("tests/data").join(name);
    let template = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut text: String = template.split_inclusive('\n').filter(|row| exists(row, month)).collect();
    text = text.replace("{month}", &month.to_string()).replace("{before}", &month.before().to_string());
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    Ok(text)
}

/// Whether the row's day is one that the month has.
fn exists(row: &str, month: Month) -> bool {
    let day = row.split_once("{month}-").and_then(|(_, rest)| rest.get(..2)?.parse::<u32>().ok());
    day.is_none_or(|day| day <= month.days())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger;

    #[test]
    fn the_templates_fit_the_real_calendar() {
        let month = Month::current().before();
        let values = [
            ("us", "org_us"),
            ("de", "org_de"),
            ("jp", "org_jp"),
            ("compute", "svc_c"),
            ("link", "svc_l"),
            ("us-compute", "sub_us"),
            ("de-compute", "sub_de"),
            ("jp-compute", "sub_jp"),
            ("de-link", "sub_link"),
        ];
        for name in [MONTH, LATE] {
            let text = report(name, month, &values).unwrap();
            assert!(!text.contains('{'), "{name} has a placeholder that nothing fills");
            assert!(ledger::count(&text).unwrap() >= 5);
        }
        let text = report(MONTH, month, &values).unwrap();
        assert!(ledger::repeats(&text).unwrap() >= 6 && text.contains("\r\n"));
        // The line that ends in exactly half a cent: 7 x 10.455 = 73.185.
        let lines = ledger::lines(&text, "org_us").unwrap();
        let (_, half) = lines.iter().find(|(key, _)| key.sku == "EC-LICENSE").unwrap();
        assert_eq!(half.cents, 7319);
    }
}
