//! Invoices: right to the cent, once, without gaps, for whom they are and nobody else.

use crate::billing_support::{Ground, Other, Row, csv, line, lines, pointers, subscription};
use host::{Fault, Target};
use serde_json::json;
use std::time::Duration;
use tests::{World, simulated};

#[test]
fn an_invoice_is_right_to_the_cent() {
    simulated(|| async {
        let ground = Ground::new().await;
        let rows = [
            // Half a cent goes up, and is rounded once for the line: 3 x 0.005 = 0.015, not three times 0.01.
            ground.row("2026-10-01", "HALF", "0.005", "1"),
            ground.row("2026-10-02", "HALF", "0.0050", "1.0"),
            ground.row("2026-10-03", "HALF", "0.005", "1"),
            // Another price is another line.
            ground.row("2026-10-04", "HALF", "0.004", "1"),
            ground.row("2026-10-01", "VCPU", "0.0450", "730.5"),
            // What cost nothing is shown.
            ground.row("2026-10-01", "FREE", "0", "12"),
            // Late, and a month of its own.
            ground.row("2026-09-30", "VCPU", "0.0450", "0.1"),
            // Not yet.
            ground.row("2026-11-01", "VCPU", "0.0450", "1000"),
        ];
        ground.import(&rows).await;
        let issued = ground.invoice("2026-10").send().await;
        issued.expect(201);
        let invoice = issued.json();
        let expected = [
            line("2026-09", "VCPU", "0.1", "0.045", 0, 1),
            line("2026-10", "FREE", "12", "0", 0, 1),
            line("2026-10", "HALF", "1", "0.004", 0, 1),
            line("2026-10", "HALF", "3", "0.005", 2, 3),
            line("2026-10", "VCPU", "730.5", "0.045", 3287, 1),
        ];
        assert_eq!(lines(&invoice), expected);
        assert_eq!(invoice["total"], json!({ "minorUnits": 3289, "currency": "USD" }));
        for (name, value) in [
            ("number", "INV-2026-000001"),
            ("status", "ISSUED"),
            ("rounding", "HALF_UP_PER_LINE"),
            ("currency", "USD"),
            ("period", "2026-10"),
            ("organizationId", &ground.shop.customer),
            ("providerId", &ground.shop.provider),
        ] {
            assert_eq!(invoice[name], value, "{name}");
        }
        let first = &invoice["lines"][0];
        assert_eq!(
            (&first["line"], &first["serviceName"], &first["datacenter"]),
            (&json!(1), &json!("Service builtin"), &json!("eu-1"))
        );
        assert_eq!((&first["description"], &first["subscriptionId"]), (&json!("Unit \"VCPU\""), &json!(ground.subscription)));

        // The same when read, in the list without its lines, and there is nothing left.
        let admin = &ground.shop.admin;
        assert_eq!(ground.world.get(issued.header("location")).by(admin).send().await.expect(200).json(), invoice);
        let listed = ground.world.get("/v1/invoices?period=2026-10").by(admin).send().await.at("/items/0");
        assert_eq!((&listed["id"], &listed["total"], listed.get("lines")), (&invoice["id"], &invoice["total"], None));
        ground.invoice("2026-10").send().await.expect_problem(409, "nothing_to_invoice");
        assert_eq!(ground.world.get("/v1/invoices?period=2026-09").by(admin).send().await.at("/items"), json!([]));
    });
}

#[test]
fn the_usage_behind_a_line_can_be_read() {
    simulated(|| async {
        let ground = Ground::new().await;
        let rows: Vec<Row> = (1..=5).map(|day| ground.row(&format!("2026-10-0{day}"), "VCPU", "1", &day.to_string())).collect();
        ground.import(&rows).await;
        let invoice = ground.invoice("2026-10").send().await.expect(201).text("/id");
        let customer = ground.world.actor(&ground.shop.admin, &ground.shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let path = format!("/v1/invoices/{invoice}/lines/1/usage");
        let (mut quantities, mut next) = (Vec::new(), format!("{path}?limit=2"));
        loop {
            let page = ground.world.get(&next).by(&customer).send().await;
            page.expect(200);
            quantities.extend(page.at("/items").as_array().unwrap().iter().map(|usage| usage["billableQuantity"].clone()));
            assert!(page.at("/items").as_array().unwrap().len() <= 2);
            assert!(quantities.len() <= 5, "the pages go in circles");
            match page.at("/nextCursor").as_str() {
                Some(cursor) => next = format!("{path}?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(quantities, ["1", "2", "3", "4", "5"]);
        let get = |path: String| ground.world.get(&path).by(&customer).send();
        get(format!("/v1/invoices/{invoice}/lines/2/usage")).await.expect_problem(404, "invoice_line_not_found");
        get(format!("/v1/invoices/{invoice}/lines/0/usage")).await.expect_problem(400, "bad_path");
        get(format!("{path}?cursor=x")).await.expect_problem(400, "cursor_unknown");
    });
}

#[test]
fn what_comes_late_is_on_the_next_invoice() {
    simulated(|| async {
        let ground = Ground::new().await;
        ground.import(&[ground.row("2026-10-01", "VCPU", "2", "1")]).await;
        let first = ground.invoice("2026-10").send().await;
        first.expect(201);
        // Both months have been invoiced up to, and so both rows are late.
        let late = [
            ground.row("2026-10-02", "VCPU", "2", "2"),
            ground.row("2026-09-02", "VCPU", "2", "3"),
            ground.row("2026-11-02", "VCPU", "2", "4"),
        ];
        assert_eq!(ground.import(&late[..1]).await.at("/late"), 1);
        assert_eq!(ground.import(&late).await.at("/late"), 1);
        let second = ground.invoice("2026-10").send().await;
        assert_eq!(
            lines(&second.expect(201).json()),
            [line("2026-09", "VCPU", "3", "2", 600, 1), line("2026-10", "VCPU", "2", "2", 400, 1)]
        );
        assert_eq!(second.text("/number"), "INV-2026-000002");
        // The first one is what it was.
        let again = ground.world.get(first.header("location")).by(&ground.shop.admin).send().await;
        assert_eq!(again.json(), first.json());
    });
}

#[test]
fn only_months_that_are_over_and_only_customers_are_invoiced() {
    simulated(|| async {
        let ground = Ground::new().await;
        ground.import(&[ground.row("2026-11-01", "VCPU", "2", "1")]).await;
        let early = ground.invoice("2026-11").send().await;
        assert_eq!(pointers(early.expect_problem(422, "invalid_request")), ["/period"]);
        ground.invoice("2026-10").send().await.expect_problem(409, "nothing_to_invoice");
        let body = json!({ "organizationId": ground.shop.provider, "period": "2026-10" });
        let provider = ground.world.post("/v1/invoices", body).by(&ground.shop.admin).send().await;
        assert_eq!(pointers(provider.expect_problem(422, "invalid_request")), ["/organizationId"]);
        for body in [json!({}), json!({ "organizationId": ground.shop.customer, "period": "2026-13" }), json!({ "period": 7 })] {
            ground.world.post("/v1/invoices", body).by(&ground.shop.admin).send().await.expect_problem(422, "invalid_request");
        }
        // When the month is over it can be.
        ground.world.hub.clock().advance(Duration::from_secs(10 * 86_400)).await;
        let admin = ground.world.sign_in(&ground.shop.admin.api_token, &ground.shop.provider).await;
        let body = json!({ "organizationId": ground.shop.customer, "period": "2026-11" });
        ground.world.post("/v1/invoices", body).by(&admin).send().await.expect(201);
    });
}

#[test]
fn invoices_are_for_their_customer_and_whoever_is_above() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        ground.import(&[ground.row("2026-10-01", "VCPU", "2", "1")]).await;
        let other = world.organization(&shop.operator, "PROVIDER", "Other Cloud", None).await;
        let other_admin = world.actor(&shop.operator, &other, "PROVIDER_ADMINISTRATOR").await;
        let neighbor = world.organization(&shop.admin, "CUSTOMER", "Neighbor", None).await;
        let neighbor_admin = world.actor(&shop.operator, &neighbor, "CUSTOMER_ADMINISTRATOR").await;
        let customer_admin = world.actor(&shop.operator, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let body = json!({ "organizationId": shop.customer, "period": "2026-10" });
        let post = |actor| world.post("/v1/invoices", body.clone()).by(actor).send();
        post(&other_admin).await.expect_problem(404, "organization_not_found");
        post(&customer_admin).await.expect_problem(403, "permission_missing");
        assert_eq!(world.count("SELECT COUNT(*) FROM invoices"), 0);

        let billing_user = world.actor(&shop.operator, &shop.provider, "PROVIDER_BILLING_USER").await;
        let issued = post(&billing_user).await;
        let path = issued.expect(201).header("location").to_owned();
        for actor in [&shop.admin, &shop.operator, &customer_admin] {
            world.get(&path).by(actor).send().await.expect(200);
            assert_eq!(world.get("/v1/invoices").by(actor).send().await.at("/items/0/id"), issued.at("/id"));
        }
        for actor in [&other_admin, &neighbor_admin] {
            world.get(&path).by(actor).send().await.expect_problem(404, "invoice_not_found");
            world.get(&format!("{path}/lines/1/usage")).by(actor).send().await.expect_problem(404, "invoice_not_found");
            let filtered = format!("/v1/invoices?organizationId={}", shop.customer);
            assert_eq!(world.get(&filtered).by(actor).send().await.at("/items"), json!([]));
        }
    });
}

#[test]
fn of_concurrent_requests_one_gets_the_usage() {
    simulated(|| async {
        let ground = Ground::new().await;
        let rows: Vec<Row> = (0..50).map(|n| ground.row("2026-10-01", &format!("SKU-{n}"), "1", "1")).collect();
        ground.import(&rows).await;
        let answers = futures::future::join_all((0..8).map(|_| ground.invoice("2026-10").send())).await;
        let issued: Vec<_> = answers.iter().filter(|answer| answer.status() == 201).collect();
        assert_eq!(issued.len(), 1);
        assert_eq!(issued[0].at("/total/minorUnits"), 5000);
        for refused in answers.iter().filter(|answer| answer.status() != 201) {
            refused.expect_problem(409, "nothing_to_invoice");
        }
        assert_eq!(ground.world.count("SELECT COUNT(*) FROM invoice_usage"), 50);
        assert_eq!(ground.world.count("SELECT last FROM invoice_numbers"), 1);
    });
}

#[test]
fn an_import_and_an_invoice_at_once_share_no_row() {
    simulated(|| async {
        let ground = Ground::new().await;
        ground.import(&[ground.row("2026-10-01", "VCPU", "1", "1")]).await;
        let late: Vec<[Row; 1]> = (2..10).map(|day| [ground.row(&format!("2026-10-{day:02}"), "VCPU", "1", "1")]).collect();
        let imports = futures::future::join_all(late.iter().map(|rows| ground.report(rows).send()));
        let invoices = futures::future::join_all((0..4).map(|_| ground.invoice("2026-10").send()));
        let (imports, mut invoices) = futures::join!(imports, invoices);
        for answer in &imports {
            answer.expect(201);
        }
        invoices.push(ground.invoice("2026-10").send().await);
        let billed: i64 = invoices.iter().filter_map(|answer| answer.at("/total/minorUnits").as_i64()).sum();
        assert_eq!(billed, 900);
        assert_eq!(ground.world.count("SELECT COUNT(*) FROM invoice_usage"), 9);
    });
}

/// How many host calls it takes to issue the invoice of a customer that is like the others.
async fn calls_of_an_invoice(ground: &Ground) -> usize {
    let before = ground.world.hub.host_calls().len();
    ground.invoice("2026-10").send().await.expect(201);
    ground.world.hub.host_calls().len() - before
}

#[test]
fn numbers_have_no_gaps_whatever_statement_fails() {
    simulated(|| async {
        let ground = Ground::new().await;
        ground.import(&[ground.row("2026-10-01", "VCPU", "1", "1")]).await;
        let calls = calls_of_an_invoice(&ground).await;
        ground.import(&[ground.row("2026-10-02", "VCPU", "1", "1")]).await;
        let before = ground.world.dump();
        for k in 1..=calls {
            ground.world.hub.faults().push(Fault::on(Target::Sql).nth(k as u64).fail("disk I/O error"));
            let answer = ground.invoice("2026-10").send().await;
            ground.world.hub.faults().clear();
            // Of a COMMIT that failed nobody knows whether it was done, so its answer does not say that nothing was.
            answer.expect_problem(503, if k == calls { "outcome_unknown" } else { "temporarily_unavailable" });
            assert_eq!(ground.world.dump(), before, "statement {k} of {calls}");
        }
        assert_eq!(ground.invoice("2026-10").send().await.expect(201).text("/number"), "INV-2026-000002");
    });
}

#[test]
fn a_crash_at_any_point_issues_an_invoice_once() {
    simulated(|| async {
        let mut ground = Ground::new().await;
        ground.import(&[ground.row("2026-10-01", "VCPU", "1", "1")]).await;
        let calls = calls_of_an_invoice(&ground).await + 2; // And those for its Idempotency-Key.
        let (mut numbers, mut replayed) = (vec!["INV-2026-000001".to_owned()], 0);
        for k in 1..=2 * calls {
            let (sku, key, call) = (format!("SKU-{k}"), k.to_string(), k.div_ceil(2));
            ground.import(&[ground.row("2026-10-01", &sku, "1", "1")]).await;
            let fault = Fault::on(Target::Any).nth(call as u64);
            ground.world.hub.faults().push(if k % 2 == 0 { fault.crash_before() } else { fault.crash_after() });
            assert!(ground.invoice("2026-10").key(&key).try_send().await.is_err(), "call {call} of {calls}");
            ground.world.restart().await;
            let invoice = ground.invoice("2026-10").key(&key).send().await;
            invoice.expect(201);
            assert_eq!(lines(&invoice.json()), [line("2026-10", &sku, "1", "1", 100, 1)], "call {call} of {calls}");
            numbers.push(invoice.text("/number"));
            replayed += usize::from(invoice.header("idempotency-replayed") == "true");
        }
        let expected: Vec<String> = (1..=2 * calls + 1).map(|number| format!("INV-2026-{number:06}")).collect();
        assert_eq!(numbers, expected);
        assert_eq!(replayed, 1, "only a crash after the COMMIT has issued the invoice already");
    });
}

#[test]
fn every_provider_counts_its_own_and_every_year_begins_anew() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let Other { customer, subscription: theirs, .. } = ground.other_provider().await;
        let ours = ground.row("2026-10-01", "VCPU", "1", "1");
        let rows = [ours.clone(), Row { organization: customer.clone(), subscription: theirs, ..ours }];
        let call = world.call(http::Method::POST, "/v1/usage-reports").body("text/csv", csv(&rows)).by(&shop.operator);
        call.send().await.expect(201);
        let theirs = world
            .post("/v1/invoices", json!({ "organizationId": customer, "period": "2026-10" }))
            .by(&shop.operator)
            .send()
            .await;
        for issued in [ground.invoice("2026-10").send().await, theirs] {
            assert_eq!(issued.expect(201).text("/number"), "INV-2026-000001");
        }
        ground.import(&[ground.row("2026-11-01", "VCPU", "1", "1")]).await;
        world.hub.clock().advance(Duration::from_secs(45 * 86_400)).await;
        let admin = world.sign_in(&shop.admin.api_token, &shop.provider).await;
        let body = json!({ "organizationId": shop.customer, "period": "2026-11" });
        let next_year = world.post("/v1/invoices", body).by(&admin).send().await;
        assert_eq!(next_year.expect(201).text("/number"), "INV-2027-000001");
    });
}

#[test]
fn minor_units_are_the_currencys() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        for (currency, amount) in [("JPY", 13), ("EUR", 1250), ("KWD", 12500)] {
            let body = json!({ "kind": "CUSTOMER", "displayName": currency, "companyName": currency, "country": "JP", "currency": currency });
            let customer = world.post("/v1/organizations", body).by(&shop.admin).send().await.expect(201).text("/id");
            let theirs = subscription(world, &shop.admin, &customer, &shop.builtin).await;
            let row = ground.row("2026-10-01", "VCPU", "5", "2.5");
            ground.import(&[Row { organization: customer.clone(), subscription: theirs, ..row }]).await;
            let body = json!({ "organizationId": customer, "period": "2026-10" });
            let invoice = world.post("/v1/invoices", body).by(&shop.admin).send().await;
            assert_eq!(invoice.expect(201).at("/total"), json!({ "minorUnits": amount, "currency": currency }));
        }
    });
}

#[test]
fn amounts_and_lines_beyond_bounds_are_refused_with_a_reason() {
    simulated(|| async {
        let ground = Ground::new().await;
        // As it was taken in before there was a bound.
        ground.import(&[ground.row("2026-10-01", "GOLD", "1", "1")]).await;
        let stored = "UPDATE usage_rows SET unit_price = '999999999', billable_quantity = '999999999'";
        ground.world.database().execute(stored, []).unwrap();
        ground.invoice("2026-10").send().await.expect_problem(422, "amount_too_large");
        assert_eq!(invoiced(&ground.world), 0);

        // What is of the month before can still be invoiced, and 5,000 lines are not too many.
        let rows: Vec<Row> = (0..5000).map(|n| ground.row("2026-09-30", &format!("{n}"), "0.01", "1")).collect();
        for rows in rows.chunks(2500) {
            ground.import(rows).await;
        }
        let invoice = ground.invoice("2026-09").send().await;
        assert_eq!(invoice.expect(201).at("/total/minorUnits"), 5000);
        assert_eq!(invoice.json()["lines"].as_array().unwrap().len(), 5000);

        let rows: Vec<Row> = (0..5001).map(|n| ground.row("2026-09-29", &format!("{n}"), "0.01", "1")).collect();
        for rows in rows.chunks(2501) {
            ground.import(rows).await;
        }
        ground.invoice("2026-09").send().await.expect_problem(422, "too_many_lines");
        assert_eq!(invoiced(&ground.world), 5000);
    });
}

fn invoiced(world: &World) -> i64 {
    world.count("SELECT COUNT(*) FROM invoice_usage")
}
