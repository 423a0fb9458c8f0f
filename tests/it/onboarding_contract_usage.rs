//! What is used on a contract, and that its parties are told when it crosses what they agreed.

use crate::billing_support::{Ground, csv, subscription};
use serde_json::{Value, json};
use tests::simulated;

/// What the parties were told: the alert, the month and the sum.
async fn told(ground: &Ground, organization: &str) -> Vec<(String, String, String)> {
    let path = format!("/v1/audit-entries?organizationId={organization}&action=contracts.alert");
    let entries = ground.world.get(&path).by(&ground.shop.operator).send().await.expect(200).at("/items");
    let detail = |entry: &Value, name: &str| entry["details"][name]["to"].as_str().unwrap().to_owned();
    let entries = entries.as_array().unwrap().clone();
    entries
        .iter()
        .map(|entry| (detail(entry, "alert"), detail(entry, "period"), detail(entry, "usedInPeriodMinorUnits")))
        .collect()
}

fn entry(alert: &str, period: &str, sum: &str) -> (String, String, String) {
    (alert.into(), period.into(), sum.into())
}

#[test]
fn use_above_the_threshold_of_a_month_is_told_once_a_month_to_both() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        // The threshold is 1,000.00.
        let import = async |day: &str, quantity: &str| {
            ground.import(&[ground.row(day, "VCPU", "1.00", quantity)]).await;
            world.settle().await;
        };
        import("2026-10-01", "1000").await;
        import("2026-09-30", "999").await;
        assert_eq!(told(&ground, &shop.provider).await, []);
        // The same report again adds nothing.
        import("2026-10-01", "1000").await;
        assert_eq!(told(&ground, &shop.provider).await, []);
        import("2026-10-02", "0.01").await;
        import("2026-10-03", "5000").await;
        let october = entry("THRESHOLD_EXCEEDED", "2026-10", "100001");
        assert_eq!(told(&ground, &shop.provider).await, std::slice::from_ref(&october));
        // Another month has its own; a late row of an earlier one counts there.
        import("2026-09-29", "1.01").await;
        let both = [october, entry("THRESHOLD_EXCEEDED", "2026-09", "100001")];
        assert_eq!(told(&ground, &shop.provider).await, both);
        let operator = world.get("/v1/me").by(&shop.operator).send().await.text("/organizationId");
        assert_eq!(told(&ground, &operator).await, both);
    });
}

#[test]
fn a_prepayment_that_runs_low_is_told_once() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let usd = |minor_units: i64| json!({ "minorUnits": minor_units, "currency": "USD" });
        let body = json!({
            "providerId": shop.provider, "serviceId": shop.builtin, "contractType": "PREPAY", "effectiveDate": "2026-09-01",
            "currency": "USD", "term": 1, "discount": "0", "spf": "1", "minCommits": [usd(0)], "threshold": usd(99_999_999),
            "prepayment": usd(100_000), "triggerPoint": usd(20_000),
        });
        let mut body = body;
        (body["term"], body["minCommits"]) = (json!(12), json!(vec![usd(0); 12]));
        let contract = world.post("/v1/contracts", body).by(&shop.operator).send().await.expect(201).text("/id");
        world.post(&format!("/v1/contracts/{contract}/approve"), json!({})).by(&shop.operator).send().await.expect(200);
        let asked =
            json!({ "organizationId": shop.customer, "serviceId": shop.builtin, "contractId": contract, "quantity": "1" });
        let asked = world.post("/v1/subscriptions", asked).by(&shop.admin).send().await;
        world.settle().await;
        let mut row = ground.row("2026-10-01", "VCPU", "1.00", "800");
        row.subscription = asked.expect(202).text("/subscriptionId");
        let import = async |day: &str, quantity: &str| {
            let row = crate::billing_support::Row { day: day.into(), quantity: quantity.into(), ..row.clone() };
            ground.import(&[row]).await;
            world.settle().await;
        };
        // Of several months together.
        import("2026-09-30", "400").await;
        import("2026-10-01", "400").await;
        assert_eq!(told(&ground, &shop.provider).await, []);
        import("2026-11-01", "0.01").await;
        import("2026-11-02", "700").await;
        assert_eq!(told(&ground, &shop.provider).await, [entry("PREPAYMENT_LOW", "2026-11", "1")]);
    });
}

#[test]
fn a_crash_counts_nothing_twice_and_another_currency_is_left_out() {
    simulated(|| async {
        let mut ground = Ground::new().await;
        // Customers pay in their own currency, which need not be the contract's.
        let body = json!({
            "kind": "CUSTOMER", "displayName": "Euro", "companyName": "Euro GmbH", "country": "DE", "currency": "EUR",
        });
        let euro = ground.world.post("/v1/organizations", body).by(&ground.shop.admin).send().await.expect(201).text("/id");
        let theirs = subscription(&ground.world, &ground.shop.admin, &euro, &ground.shop.builtin).await;
        let mut row = ground.row("2026-10-01", "VCPU", "1.00", "9999");
        (row.organization, row.subscription) = (euro, theirs);
        ground.import(&[row, ground.row("2026-10-01", "VCPU", "1.00", "600")]).await;
        for _ in 0..3 {
            ground.world.restart().await;
            ground.world.settle().await;
        }
        assert_eq!(ground.world.count("SELECT SUM(minor_units) FROM contract_uses"), 60_000);
        assert_eq!(told(&ground, &ground.shop.provider).await, []);
        // At each of its statements.
        let rows = csv(&[ground.row("2026-10-02", "VCPU", "1.00", "300")]);
        let call = ground.world.call(http::Method::POST, "/v1/usage-reports").body("text/csv", rows);
        call.by(&ground.shop.admin).send().await.expect(201);
        for nth in 1..=8 {
            let fault = host::Fault::on(host::Target::SqlMatching("contract".into())).nth(nth).fail("disk I/O error");
            ground.world.hub.faults().push(fault);
        }
        for _ in 0..40 {
            ground.world.settle().await;
            ground.world.hub.clock().advance(std::time::Duration::from_secs(600)).await;
        }
        assert_eq!(ground.world.count("SELECT SUM(minor_units) FROM contract_uses"), 90_000);
    });
}
