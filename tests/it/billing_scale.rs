//! Usage and invoices at full size, on a database that holds much already.

use crate::billing_support::{Ground, HEADER, Row, csv, subscription};
use serde_json::Value;
use tests::simulated;

/// What a body may have.
const BODY: usize = 1 << 20;

impl Ground {
    /// As many rows as a report may have: a month of units of stock that begin with this.
    fn full(&self, prefix: &str) -> Vec<Row> {
        let row = |number: usize| {
            let (unit, day) = (number / 31, number % 31 + 1);
            self.row(&format!("2026-10-{day:02}"), &format!("{prefix}-{unit:03}"), "0.01", "1")
        };
        let each = csv(&[row(0)]).len() - HEADER.len() - 2;
        let rows: Vec<Row> = (0..(BODY - HEADER.len() - 2) / each).map(row).collect();
        assert!(rows.len() >= 3_400 && csv(&rows).len() > BODY - each, "{} rows", rows.len());
        rows
    }
}

/// How many rows of usage are behind an invoice's lines.
fn behind(invoice: &Value) -> u64 {
    let rows = |line: &Value| line["usageRows"].as_u64().unwrap_or_default();
    invoice["lines"].as_array().into_iter().flatten().map(rows).sum()
}

#[test]
fn full_reports_follow_each_other_and_are_invoiced() {
    simulated(|| async {
        let ground = Ground::new().await;
        let mut stored = 0;
        for number in 0..7 {
            let rows = ground.full(&format!("R{number}"));
            assert_eq!(ground.import(&rows).await.at("/accepted"), rows.len());
            stored += rows.len();
        }
        assert!(stored > 24_000);
        let rows: Vec<Row> = (0..192).map(|number| ground.row("2026-10-02", &format!("S-{number}"), "0.01", "1")).collect();
        assert_eq!(ground.import(&rows).await.at("/accepted"), 192);
        let again = ground.full("R3");
        assert_eq!(ground.import(&again).await.at("/duplicates"), again.len());
    });
}

/// Makes usage of the customer out of the only row that there is.
const FILL: &str = include_str!("../../xtask/src/bin/usage_fill.sql");

/// One customer has 300,000 rows that are not invoiced, eight others the rest of a million, of which November is not over.
#[test]
fn a_million_rows_stop_neither_reports_nor_invoices() {
    simulated(|| async {
        let mut ground = Ground::new().await;
        ground.import(&[ground.row("2026-10-01", "FIRST", "0.01", "1")]).await;
        let mut customers = Vec::new();
        for number in 0..8 {
            let shop = &ground.shop;
            let customer = ground.world.organization(&shop.admin, "CUSTOMER", &format!("Customer {number}"), None).await;
            let subscription = subscription(&ground.world, &shop.admin, &customer, &shop.builtin).await;
            customers.push((customer, subscription));
        }
        ground.world.hub.kill();
        let database = ground.world.database();
        database.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000").unwrap();
        let fill = |customer: &str, subscription: &str, october: u32, november: u32| {
            database.execute(FILL, (customer, subscription, october, november, "2026-11")).unwrap();
        };
        fill(&ground.shop.customer, &ground.subscription, 299_999, 0);
        for (customer, subscription) in &customers {
            fill(customer, subscription, 20_000, 67_500);
        }
        drop(database);
        ground.world.restart().await;
        assert_eq!(ground.world.count("SELECT COUNT(*) FROM usage_rows"), 1_000_000);

        // One at a time.
        let rows = ground.full("ONE");
        assert_eq!(ground.import(&rows).await.at("/accepted"), rows.len());
        let invoice = ground.invoice("2026-10").send().await;
        assert_eq!(behind(&invoice.expect(201).json()), 300_000 + rows.len() as u64);

        // Eight at once.
        let reports: Vec<_> = (0..8).map(|number| ground.full(&format!("T{number}"))).collect();
        let answers = futures::future::join_all(reports.iter().map(|rows| ground.report(rows).send())).await;
        for (answer, rows) in answers.iter().zip(&reports) {
            assert_eq!(answer.expect(201).at("/accepted"), rows.len());
        }
        let invoice = |customer: &str| {
            let body = serde_json::json!({ "organizationId": customer, "period": "2026-10" });
            ground.world.post("/v1/invoices", body).by(&ground.shop.admin).send()
        };
        let answers = futures::future::join_all(customers.iter().map(|(customer, _)| invoice(customer))).await;
        for answer in answers {
            assert_eq!(behind(&answer.expect(201).json()), 20_000);
        }
    });
}
