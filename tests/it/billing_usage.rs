//! Usage reports: what is taken in, what counts twice, what is refused, and that a refusal or a crash leaves nothing.

use crate::billing_support::{Ground, HEADER, Other, Row, csv, pointers};
use host::{Fault, Target};
use serde_json::json;
use tests::simulated;

const ROWS: &str = "SELECT COUNT(*) FROM usage_rows";

#[test]
fn a_report_is_imported_and_counted() {
    simulated(|| async {
        let ground = Ground::new().await;
        let row = |day, quantity| ground.row(day, "VCPU", "0.0450", quantity);
        // Two days, one of them twice and once more in another spelling of its numbers, and a day of the month before.
        let again = Row { price: "0.045".into(), quantity: "2.0".into(), ..row("2026-10-02", "2") };
        let rows = [row("2026-10-01", "1.5"), row("2026-10-02", "2"), row("2026-10-02", "2"), again, row("2026-09-30", "7")];
        let imported = ground.import(&rows).await;
        let expected = json!({
            "id": imported.text("/id"), "organizationId": ground.shop.provider, "source": "usage-report", "rows": 5, "accepted": 3,
            "duplicates": 2, "late": 1, "periods": ["2026-09", "2026-10"], "createdAt": imported.text("/createdAt"),
        });
        assert_eq!(imported.json(), expected);
        assert_eq!(imported.header("location"), format!("/v1/usage-reports/{}", imported.text("/id")));
        assert_eq!(ground.world.count(ROWS), 3);
        let admin = &ground.shop.admin;
        assert_eq!(ground.world.get(imported.header("location")).by(admin).send().await.expect(200).json(), expected);
        assert_eq!(ground.world.get("/v1/usage-reports").by(admin).send().await.expect(200).at("/items/0"), expected);
    });
}

#[test]
fn a_report_that_comes_again_adds_nothing() {
    simulated(|| async {
        let ground = Ground::new().await;
        let rows = [ground.row("2026-09-30", "VCPU", "1", "1"), ground.row("2026-10-01", "VCPU", "1", "1")];
        ground.import(&rows).await;
        let again = ground.import(&rows).await;
        assert_eq!([again.at("/accepted"), again.at("/duplicates"), again.at("/late")], [json!(0), json!(2), json!(0)]);
        // What describes the organization may have changed since: it is not the use.
        let renamed = csv(&rows).replace("Fabrikam, Inc.", "Fabrikam Ltd.");
        let call = |path, body: &str| {
            ground.world.call(http::Method::POST, path).body("text/csv", body.to_owned()).by(&ground.shop.admin)
        };
        assert_eq!(call("/v1/usage-reports", &renamed).send().await.expect(201).at("/accepted"), 0);
        assert_eq!(ground.world.count(ROWS), 2);
        // Another source counts for itself.
        assert_eq!(call("/v1/usage-reports?source=metering", &renamed).send().await.expect(201).at("/accepted"), 2);
    });
}

#[test]
fn a_key_sent_again_gets_the_first_answer() {
    simulated(|| async {
        let ground = Ground::new().await;
        let rows = [ground.row("2026-10-01", "VCPU", "1", "1")];
        let first = ground.report(&rows).key("one").send().await;
        let again = ground.report(&rows).key("one").send().await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(first.expect(201).json(), again.expect(201).json());
        assert_eq!(ground.world.count("SELECT COUNT(*) FROM usage_reports"), 1);
    });
}

#[test]
fn a_row_that_contradicts_an_earlier_one_refuses_the_report() {
    simulated(|| async {
        let ground = Ground::new().await;
        let row = |day, price, quantity| ground.row(day, "VCPU", price, quantity);
        ground.import(&[row("2026-10-01", "1", "1"), row("2026-10-02", "1", "1")]).await;
        let before = ground.world.dump();
        let refused =
            ground.report(&[row("2026-10-03", "1", "1"), row("2026-10-02", "1", "2"), row("2026-10-01", "3", "1")]).send().await;
        refused.expect_problem(422, "invalid_request");
        assert_eq!(pointers(&refused), ["/rows/2/Usage Qty", "/rows/2/Billable Qty", "/rows/3/Price"]);
        let refused = ground.report(&[row("2026-10-04", "1", "1"), row("2026-10-04", "1.01", "1")]).send().await;
        assert_eq!(pointers(refused.expect_problem(422, "invalid_request")), ["/rows/2/Price"]);
        assert_eq!(ground.world.dump(), before);
    });
}

#[test]
fn bad_reports_leave_nothing() {
    simulated(|| async {
        let ground = Ground::new().await;
        let good = ground.row("2026-10-01", "VCPU", "1", "1");
        let before = ground.world.dump();
        let with = |change: fn(&mut Row)| {
            let mut bad = Row { day: "2026-10-02".into(), ..good.clone() };
            change(&mut bad);
            ground.report(&[good.clone(), bad])
        };
        for (call, pointer) in [
            (with(|row| row.organization = "acme".into()), "/rows/2/Org Id"),
            (with(|row| row.service = "org_01h455vb4pex5vsknk084sn02q".into()), "/rows/2/Service Id"),
            (with(|row| row.subscription = "sub_01h455vb4pex5vsknk084sn02q".into()), "/rows/2/Subscription Id"),
            (with(|row| row.price = "-1".into()), "/rows/2/Price"),
            (with(|row| row.day = "2026-08-23".into()), "/rows/2/Billable Usage Timestamp"),
            (with(|row| row.day = "2026-11-23".into()), "/rows/2/Billable Usage Timestamp"),
        ] {
            assert_eq!(pointers(call.send().await.expect_problem(422, "invalid_request")), [pointer]);
        }
        let raw = |content_type: &str, body: Vec<u8>| {
            ground.world.call(http::Method::POST, "/v1/usage-reports").body(content_type, body).by(&ground.shop.admin)
        };
        let whole = csv(std::slice::from_ref(&good));
        let two = [good.clone(), Row { day: "2026-10-02".into(), ..good.clone() }];
        for (call, status, code) in [
            (raw("application/json", whole.clone().into()), 415, "unsupported_media_type"),
            (raw("text/csv; charset=latin1", whole.clone().into()), 415, "unsupported_media_type"),
            (raw("text/csv", [whole.as_bytes(), b"\xff"].concat()), 422, "malformed_csv"),
            (raw("text/csv", whole.replace("Fabrikam, Inc.\"", "Fabrikam, Inc.").into()), 422, "malformed_csv"),
            (raw("text/csv", vec![]), 422, "invalid_request"),
            (raw("text/csv", HEADER.into()), 422, "invalid_request"),
            (raw("text/csv", csv(&two).replace("Org Id", "Organization").into()), 422, "invalid_request"),
            (raw("text/csv", vec![b'a'; 1024 * 1024 + 1]), 413, "body_too_large"),
            (raw("text/csv", vec![b','; 1024 * 1024]), 422, "invalid_request"),
            (raw("text/csv", whole.repeat(2).into()), 422, "invalid_request"),
        ] {
            call.send().await.expect_problem(status, code);
        }
        assert_eq!(ground.world.dump(), before);
    });
}

#[test]
fn another_tenants_ids_are_as_unknown_as_invented_ones() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let Other { admin: other_admin, customer: other_customer, subscription: theirs } = ground.other_provider().await;
        let ours = ground.row("2026-10-01", "VCPU", "1", "1");
        let invented = |id: &str| format!("{}_01h455vb4pex5vsknk084sn02q", id.split('_').next().unwrap());
        let refusal = async |row: Row, id: &str| {
            let answer = ground.report(&[row]).send().await;
            answer.expect_problem(422, "invalid_request");
            answer.at("/errors").to_string().replace(id, "ID")
        };
        let of = async |id: &str| refusal(Row { organization: id.into(), ..ours.clone() }, id).await;
        assert_eq!(of(&other_customer).await, of(&invented(&other_customer)).await);
        let under = async |id: &str| refusal(Row { subscription: id.into(), ..ours.clone() }, id).await;
        assert_eq!(under(&theirs).await, under(&invented(&theirs)).await);
        // Nor is the provider itself a customer.
        let own = Row { organization: shop.provider.clone(), ..ours.clone() };
        assert_eq!(pointers(ground.report(&[own]).send().await.expect(422)), ["/rows/1/Org Id"]);
        // Customers do not report their own usage.
        let customer_admin = world.actor(&shop.admin, &shop.customer, "CUSTOMER_ADMINISTRATOR").await;
        let body = csv(std::slice::from_ref(&ours));
        let call = world.call(http::Method::POST, "/v1/usage-reports").body("text/csv", body).by(&customer_admin);
        call.send().await.expect_problem(403, "permission_missing");
        assert_eq!(world.count(ROWS), 0);

        let imported = ground.import(&[ours]).await;
        let path = imported.header("location");
        world.get(path).by(&other_admin).send().await.expect_problem(404, "usage_report_not_found");
        world.get(path).by(&customer_admin).send().await.expect_problem(404, "usage_report_not_found");
        assert_eq!(world.get("/v1/usage-reports").by(&other_admin).send().await.at("/items"), json!([]));
        world.get(path).by(&shop.operator).send().await.expect(200);
    });
}

#[test]
fn the_operator_imports_for_all_providers_at_once() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, shop) = (&ground.world, &ground.shop);
        let Other { customer, subscription: theirs, .. } = ground.other_provider().await;
        let ours = ground.row("2026-10-01", "VCPU", "1", "1");
        let rows = [ours.clone(), Row { organization: customer, subscription: theirs, ..ours }];
        let call = world.call(http::Method::POST, "/v1/usage-reports").body("text/csv", csv(&rows)).by(&shop.operator);
        assert_eq!(call.send().await.expect(201).at("/accepted"), 2);
    });
}

#[test]
fn a_large_report_takes_few_statements() {
    simulated(|| async {
        let ground = Ground::new().await;
        let rows: Vec<Row> = (0..1000).map(|n| ground.row("2026-10-01", &format!("SKU-{n}"), "0.01", "1")).collect();
        let before = ground.world.hub.host_calls().len();
        assert_eq!(ground.import(&rows).await.at("/accepted"), 1000);
        let calls = ground.world.hub.host_calls().len() - before;
        // The three of the audit among them, and what looks whether anything was voided or is kept for too long.
        assert!(calls < 30, "{calls} calls out of the component for 1,000 rows");
    });
}

#[test]
fn a_crash_at_any_point_of_an_import_leaves_all_of_it_or_nothing() {
    simulated(|| async {
        let mut ground = Ground::new().await;
        let rows = |ground: &Ground, k: usize| -> Vec<Row> {
            (0..300).map(|n| ground.row("2026-10-01", &format!("SKU-{k}-{n}"), "1", "1")).collect()
        };
        // The instance's first request also looks at the schema; those that are counted and crashed do not.
        ground.import(&rows(&ground, 0)).await;
        let before = ground.world.hub.host_calls().len();
        ground.report(&rows(&ground, 1)).key("1").send().await.expect(201);
        let calls = ground.world.hub.host_calls().len() - before;
        let mut committed = 0;
        for k in 2..2 * calls + 2 {
            let (rows, call) = (rows(&ground, k), k / 2);
            let fault = Fault::on(Target::Any).nth(call as u64);
            ground.world.hub.faults().push(if k % 2 == 0 { fault.crash_before() } else { fault.crash_after() });
            assert!(ground.report(&rows).key(&k.to_string()).try_send().await.is_err(), "call {call} of {calls}");
            ground.world.restart().await;
            let there = ground.world.count(&format!("SELECT COUNT(*) FROM usage_rows WHERE sku LIKE 'SKU-{k}-%'"));
            assert!(there == 0 || there == 300, "{there} rows after a crash at call {call} of {calls}");
            committed += there / 300;
            // Sent again with its key, it is imported once, whether it was before the crash or not.
            let again = ground.report(&rows).key(&k.to_string()).send().await;
            assert_eq!(again.expect(201).at("/accepted"), 300, "call {call} of {calls}");
        }
        assert_eq!(committed, 1, "only a crash after the COMMIT keeps what was written");
        assert_eq!(ground.world.count(ROWS), 300 * (2 * calls as i64 + 2));
    });
}
