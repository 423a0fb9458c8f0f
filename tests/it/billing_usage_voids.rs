//! Usage voids: what is wrong and on no invoice yet is taken out, with a reason, and can be reported anew.

use crate::billing_support::{Ground, Other, Row, line, lines, pointers};
use host::{Fault, Target};
use serde_json::{Value, json};
use tests::{Answer, Call, simulated};

async fn void(ground: &Ground, body: Value) -> Answer {
    ground.world.post("/v1/usage-voids", body).by(&ground.shop.admin).send().await
}

/// The usage that came with a report.
async fn rows(ground: &Ground, report: &Answer) -> Vec<Value> {
    let path = format!("{}/rows", report.header("location"));
    let rows = ground.world.get(&path).by(&ground.shop.admin).send().await;
    rows.expect(200).at("/items").as_array().unwrap().clone()
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[test]
fn a_row_that_no_invoice_can_hold_is_refused_at_intake() {
    simulated(|| async {
        let ground = Ground::new().await;
        let before = ground.world.dump();
        let good = ground.row("2026-10-01", "VCPU", "1", "1");
        for (price, quantity) in [("999999999", "999999999"), ("100000", "100000.001")] {
            let wrong = ground.row("2026-10-02", "VCPU", price, quantity);
            let refused = ground.report(&[good.clone(), wrong]).send().await;
            assert_eq!(pointers(refused.expect_problem(422, "invalid_request")), ["/rows/2/Billable Qty"], "{price}");
            assert!(refused.text("/detail").contains("1000000000000 minor units of USD"), "{}", refused.text("/detail"));
        }
        assert_eq!(ground.world.dump(), before);
        // The most that is taken can be invoiced.
        ground.import(&[good, ground.row("2026-10-02", "BIG", "100000", "100000")]).await;
        let invoice = ground.invoice("2026-10").send().await;
        assert_eq!(invoice.expect(201).at("/total/minorUnits"), 1_000_000_000_100_i64);
    });
}

#[test]
fn what_was_stored_before_is_named_by_the_invoice_and_voided() {
    simulated(|| async {
        let ground = Ground::new().await;
        let report =
            ground.import(&[ground.row("2026-10-01", "VCPU", "1", "1"), ground.row("2026-10-02", "VCPU", "2", "2")]).await;
        // As an earlier hub took it in.
        let database = ground.world.database();
        let stored = "UPDATE usage_rows SET unit_price = '999999999', billable_quantity = '999999999' WHERE report_row = 2";
        assert_eq!(database.execute(stored, []).unwrap(), 1);
        let listed = rows(&ground, &report).await;
        let refused = ground.invoice("2026-10").send().await;
        refused.expect_problem(422, "amount_too_large");
        let wrong = listed[1]["id"].as_str().unwrap();
        assert!(refused.text("/detail").contains(wrong), "{}", refused.text("/detail"));
        let voided = void(&ground, json!({ "usageIds": [wrong], "reason": "Wrong meter" })).await;
        let id = voided.expect(201).text("/id");
        assert_eq!(
            voided.json(),
            json!({ "id": id, "organizationId": ground.shop.provider, "reason": "Wrong meter", "rows": 1, "createdAt": voided.text("/createdAt") })
        );
        let admin = &ground.shop.admin;
        assert_eq!(ground.world.get(voided.header("location")).by(admin).send().await.expect(200).json(), voided.json());
        assert_eq!(ground.world.get("/v1/usage-voids").by(admin).send().await.at("/items"), json!([voided.json()]));
        let invoice = ground.invoice("2026-10").send().await;
        assert_eq!(lines(&invoice.expect(201).json()), [line("2026-10", "VCPU", "1", "1", 100, 1)]);
        let listed = rows(&ground, &report).await;
        assert_eq!(
            [&listed[0]["invoiceId"], &listed[0]["usageVoidId"], &listed[1]["invoiceId"], &listed[1]["usageVoidId"]],
            [&json!(invoice.text("/id")), &Value::Null, &Value::Null, &json!(id)]
        );
    });
}

#[test]
fn the_use_that_was_voided_is_reported_anew() {
    simulated(|| async {
        let ground = Ground::new().await;
        let row = |quantity: &str| ground.row("2026-10-01", "VCPU", "1", quantity);
        let other = ground.row("2026-10-02", "VCPU", "1", "1");
        let wrong = [row("1000"), other.clone()];
        let first = ground.import(&wrong).await;
        // The refusal of the corrected row says how it can be sent.
        let refused = ground.report(&[row("10")]).send().await;
        assert!(
            refused.expect_problem(422, "invalid_request").at("/errors/0/detail").as_str().unwrap().contains("/v1/usage-voids")
        );
        let listed = rows(&ground, &first).await;
        void(&ground, json!({ "usageIds": [listed[0]["id"]], "reason": "Metered a hundredfold" })).await.expect(201);
        // Sent again as it was it stays void.
        let again = ground.import(&wrong).await;
        assert_eq!([again.at("/accepted"), again.at("/duplicates")], [json!(0), json!(2)]);
        assert_eq!(rows(&ground, &again).await, Vec::<Value>::new());
        let corrected = ground.import(&[row("10"), other.clone()]).await;
        assert_eq!([corrected.at("/accepted"), corrected.at("/duplicates")], [json!(1), json!(1)]);
        // Both files once more, in either order: nothing is added.
        for rows in [&wrong[..], &[row("10"), other.clone()]] {
            let again = ground.report(rows).send().await;
            match rows[0].quantity.as_str() {
                "10" => assert_eq!(again.expect(201).at("/accepted"), 0),
                _ => assert_eq!(again.expect(201).at("/duplicates"), 2),
            }
        }
        // And the corrected row can be wrong, too.
        let second = rows(&ground, &corrected).await;
        void(&ground, json!({ "usageIds": ids(&second), "reason": "Still wrong" })).await.expect(201);
        assert_eq!(ground.import(&[row("11")]).await.at("/accepted"), 1);
        for known in ["1000", "10", "11"] {
            assert_eq!(ground.import(&[row(known)]).await.at("/accepted"), 0, "{known}");
        }
        let invoice = ground.invoice("2026-10").send().await;
        assert_eq!(lines(&invoice.expect(201).json()), [line("2026-10", "VCPU", "12", "1", 1200, 2)]);
    });
}

#[test]
fn a_whole_report_is_voided_as_far_as_it_is_not_yet() {
    simulated(|| async {
        let ground = Ground::new().await;
        let many: Vec<Row> = (0..700).map(|n| ground.row("2026-10-01", &format!("SKU-{n}"), "1", "1")).collect();
        let first = ground.import(&many[..600]).await;
        let second = ground.import(&many).await;
        let listed = rows(&ground, &second).await;
        assert_eq!((listed.len(), &listed[0]["sku"]), (50, &json!("SKU-600")));
        void(&ground, json!({ "usageIds": ids(&listed[..3]), "reason": "x" })).await.expect(201);
        let whole = void(&ground, json!({ "usageReportId": second.text("/id"), "reason": "The wrong file" })).await;
        assert_eq!(whole.expect(201).at("/rows"), 97);
        let again = void(&ground, json!({ "usageReportId": second.text("/id"), "reason": "x" })).await;
        again.expect_problem(409, "nothing_to_void");
        let invoice = ground.invoice("2026-10").send().await;
        assert_eq!(invoice.expect(201).at("/total/minorUnits"), 60_000);
        // What is invoiced is not voided, nor is the rest of the report then.
        let late = void(&ground, json!({ "usageReportId": first.text("/id"), "reason": "x" })).await;
        late.expect_problem(409, "usage_invoiced");
        assert!(late.text("/detail").contains(&invoice.text("/id")), "{}", late.text("/detail"));
    });
}

#[test]
fn bad_voids_change_nothing() {
    simulated(|| async {
        let ground = Ground::new().await;
        let report =
            ground.import(&[ground.row("2026-10-01", "VCPU", "1", "1"), ground.row("2026-10-02", "VCPU", "1", "1")]).await;
        let listed = rows(&ground, &report).await;
        let (one, two) = (listed[0]["id"].clone(), listed[1]["id"].clone());
        void(&ground, json!({ "usageIds": [one], "reason": "x" })).await.expect(201);
        ground.world.settle().await;
        let before = ground.world.dump();
        let unknown = "use_01h455vb4pex5vsknk084sn02q";
        for (body, expected) in [
            (json!({ "usageIds": [], "reason": "x" }), vec!["/usageIds"]),
            (json!({ "reason": "x" }), vec!["/usageIds"]),
            (json!({ "usageIds": [two], "usageReportId": report.text("/id"), "reason": "x" }), vec!["/usageIds"]),
            (json!({ "usageIds": [two, one, two, unknown], "reason": "x" }), vec!["/usageIds/1", "/usageIds/2", "/usageIds/3"]),
            (json!({ "usageIds": vec![unknown; 1001], "reason": "x" }), vec!["/usageIds"]),
            (json!({ "usageReportId": "usr_01h455vb4pex5vsknk084sn02q", "reason": "x" }), vec!["/usageReportId"]),
            (json!({ "usageIds": [two] }), vec!["/reason"]),
            (json!({ "usageIds": [two], "reason": "" }), vec!["/reason"]),
            (json!({ "usageIds": [two], "reason": "x".repeat(401) }), vec!["/reason"]),
        ] {
            let refused = void(&ground, body.clone()).await;
            assert_eq!(pointers(refused.expect_problem(422, "invalid_request")), expected, "{body}");
        }
        assert_eq!(ground.world.dump(), before);
    });
}

#[test]
fn another_tenants_usage_is_as_unknown_as_invented() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let Other { admin: other, .. } = ground.other_provider().await;
        let report = ground.import(&[ground.row("2026-10-01", "VCPU", "1", "1")]).await;
        let id = rows(&ground, &report).await[0]["id"].as_str().unwrap().to_owned();
        let refusal = async |body: Value, id: &str| {
            let refused = world.post("/v1/usage-voids", body).by(&other).send().await;
            refused.expect_problem(422, "invalid_request");
            refused.at("/errors").to_string().replace(id, "ID")
        };
        let invented = "use_01h455vb4pex5vsknk084sn02q";
        assert_eq!(
            refusal(json!({ "usageIds": [id], "reason": "x" }), &id).await,
            refusal(json!({ "usageIds": [invented], "reason": "x" }), invented).await
        );
        let (theirs, invented) = (report.text("/id"), "usr_01h455vb4pex5vsknk084sn02q");
        assert_eq!(
            refusal(json!({ "usageReportId": theirs, "reason": "x" }), &theirs).await,
            refusal(json!({ "usageReportId": invented, "reason": "x" }), invented).await
        );
        let path = format!("{}/rows", report.header("location"));
        world.get(&path).by(&other).send().await.expect_problem(404, "usage_report_not_found");
        // The customer reads in its own audit that its usage was voided, and why; it voids none itself.
        let customer = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let body = json!({ "usageIds": [id], "reason": "Metered twice" });
        world.post("/v1/usage-voids", body.clone()).by(&customer).send().await.expect_problem(403, "permission_missing");
        let voided = void(&ground, body).await.expect(201).text("/id");
        world.get(&format!("/v1/usage-voids/{voided}")).by(&other).send().await.expect_problem(404, "usage_void_not_found");
        let audit = world.get("/v1/audit-entries?action=usage_voids.create").by(&customer).send().await;
        assert_eq!(audit.expect(200).at("/items/0/details/reason/to"), "Metered twice");
    });
}

#[test]
fn a_crash_at_any_point_of_a_void_leaves_all_of_it_or_nothing() {
    simulated(|| async {
        let mut ground = Ground::new().await;
        let report = async |ground: &Ground, k: usize| {
            let rows: Vec<Row> = (0..70).map(|n| ground.row("2026-10-01", &format!("SKU-{k}-{n}"), "1", "1")).collect();
            json!({ "usageReportId": ground.import(&rows).await.text("/id"), "reason": "x" })
        };
        fn call<'a>(ground: &'a Ground, body: &Value, k: usize) -> Call<'a> {
            ground.world.post("/v1/usage-voids", body.clone()).by(&ground.shop.admin).key(&k.to_string())
        }
        let body = report(&ground, 0).await;
        let before = ground.world.hub.host_calls().len();
        call(&ground, &body, 0).send().await.expect(201);
        let calls = ground.world.hub.host_calls().len() - before;
        let mut voided = 70;
        for k in 2..2 * calls + 2 {
            let body = report(&ground, k).await;
            let fault = Fault::on(Target::Any).nth((k / 2) as u64);
            ground.world.hub.faults().push(if k % 2 == 0 { fault.crash_before() } else { fault.crash_after() });
            _ = call(&ground, &body, k).try_send().await;
            ground.world.restart().await;
            call(&ground, &body, k).send().await.expect(201);
            voided += 70;
            assert_eq!(ground.world.count("SELECT COUNT(*) FROM voided_usage"), voided, "{k}");
        }
        ground.world.settle().await;
        assert_eq!(ground.world.count("SELECT COUNT(*) FROM usage_rows WHERE row_key LIKE 'void %'"), voided);
        ground.invoice("2026-10").send().await.expect_problem(409, "nothing_to_invoice");
    });
}
