//! Customers in bulk: in, row by row or all together, and out again as they were.

use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

async fn import(world: &World, by: &Actor, query: &str, media_type: &str, body: impl Into<bytes::Bytes>) -> Answer {
    let path = format!("/v1/organizations/import{query}");
    world.call(http::Method::POST, &path).by(by).body(media_type, body).send().await
}

fn statuses(answer: &Answer) -> Vec<u64> {
    answer.at("/items").as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect()
}

const ROWS: &str = "displayName,companyName,country,state,currency,tag,alternateContact.name,alternateContact.email\r\n\
    \"Fabrikam, Inc.\",Fabrikam,US,Georgia,USD,'=1+2,Ada,ada@example.com\r\n\
    ,Nameless,US,,USD,,,\r\n\
    Adatum,Adatum,XX,,USD,,,\r\n\
    Tailspin,Tailspin,DE,Bayern,EUR,,,\r\n";

#[test]
fn every_row_has_its_own_result() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let done = import(&world, &shop.admin, "", CSV, ROWS).await;
        done.expect(207);
        assert_eq!(statuses(&done), [201, 422, 422, 201]);
        assert_eq!((done.at("/succeeded"), done.at("/failed")), (json!(2), json!(2)));
        assert_eq!((done.at("/items/1/id"), done.at("/items/0/problem")), (Value::Null, Value::Null));
        assert_eq!(done.at("/items/1/problem/errors/0/pointer"), "/displayName");
        assert_eq!((done.at("/items/2/row"), done.at("/items/2/problem/errors/0/pointer")), (json!(3), json!("/country")));
        let made = world.get(&format!("/v1/organizations/{}", done.text("/items/0/id"))).by(&shop.admin).send().await;
        assert_eq!(
            (made.text("/displayName").as_str(), made.text("/state").as_str(), made.text("/tag").as_str()),
            ("Fabrikam, Inc.", "GA", "=1+2")
        );
        assert_eq!(
            (made.text("/alternateContact/email").as_str(), made.text("/parentId")),
            ("ada@example.com", shop.provider.clone())
        );

        let lines = "{\"displayName\":\"A\",\"companyName\":\"A\",\"country\":\"US\",\"currency\":\"USD\"}\n\n{\"displayName\":\"B\"\n[]\n\
            {\"kind\":\"PROVIDER\",\"displayName\":\"C\",\"companyName\":\"C\",\"country\":\"US\",\"currency\":\"USD\"}\n\
            {\"displayName\":\"D\",\"companyName\":\"D\",\"country\":\"US\",\"currency\":\"USD\",\"color\":\"red\"}\n";
        let done = import(&world, &shop.operator, &format!("?parentId={}", shop.provider), NDJSON, lines).await;
        assert_eq!(statuses(done.expect(207)), [201, 422, 422, 422, 422]);
        assert_eq!(done.at("/items/1/problem/code"), "malformed_json");
        assert_eq!(done.at("/items/3/problem/errors/0/pointer"), "/kind");
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations WHERE kind = 'CUSTOMER'"), 4);
    });
}

#[test]
fn all_or_nothing_writes_all_or_nothing() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let before = world.dump();
        let refused = import(&world, &shop.admin, "?atomic=true", CSV, ROWS).await;
        refused.expect_problem(422, "invalid_request");
        let errors = refused.at("/errors");
        let pointers: Vec<_> = errors.as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["/2/displayName", "/3/country"]);
        assert_eq!(world.dump(), before);
        let right = ROWS
            .lines()
            .enumerate()
            .filter(|(line, _)| ![2, 3].contains(line))
            .map(|(_, line)| format!("{line}\r\n"))
            .collect::<String>();
        assert_eq!(statuses(import(&world, &shop.admin, "?atomic=true", CSV, right).await.expect(207)), [201, 201]);

        // A fault in the middle leaves nothing either.
        let before = world.dump();
        world
            .hub
            .faults()
            .push(host::Fault::on(host::Target::SqlMatching("INSERT INTO organizations".into())).nth(2).fail("disk I/O error"));
        let many = many(300);
        import(&world, &shop.admin, "", CSV, many.clone()).await.expect(503);
        assert_eq!(world.dump(), before);
        world.hub.faults().clear();
        assert_eq!(import(&world, &shop.admin, "", CSV, many).await.expect(207).at("/succeeded"), 300);
    });
}

fn many(count: usize) -> String {
    let rows = (0..count).map(|number| format!("Customer {number:04},C{number},US,USD\n")).collect::<String>();
    format!("displayName,companyName,country,currency\n{rows}")
}

#[test]
fn an_import_is_bounded_repeatable_and_into_one_provider() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let keyed = async || {
            let call = world.call(http::Method::POST, "/v1/organizations/import").by(&shop.admin).key("one");
            call.body(CSV, many(1000)).send().await
        };
        let seen = world.hub.host_calls().len();
        let first = keyed().await;
        assert_eq!(first.expect(207).at("/succeeded"), 1000);
        let inserts =
            world.hub.host_calls()[seen..].iter().filter(|call| call.detail.contains("INSERT INTO organizations")).count();
        assert!(inserts < 20, "{inserts} statements");
        let again = keyed().await;
        assert_eq!((again.header("idempotency-replayed"), again.0.body()), ("true", first.0.body()));
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations WHERE kind = 'CUSTOMER'"), 1001);

        let before = world.dump();
        import(&world, &shop.admin, "", CSV, many(1001)).await.expect_problem(422, "invalid_request");
        import(&world, &shop.admin, "", NDJSON, "{}\n".repeat(1001)).await.expect_problem(422, "invalid_request");
        import(&world, &shop.admin, "", CSV, "displayName,color\nA,red\n").await.expect_problem(422, "malformed_csv");
        import(&world, &shop.admin, "", CSV, "displayName\nA,B\n").await.expect_problem(422, "malformed_csv");
        import(&world, &shop.admin, "", "application/json", "{}").await.expect_problem(415, "unsupported_media_type");
        let operator = import(&world, &shop.operator, "", CSV, many(1)).await;
        operator.expect_problem(422, "invalid_request");
        assert_eq!(operator.at("/errors/0/pointer"), "/parentId");
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let into_other = format!("?parentId={}", shop.provider);
        import(&world, &rival, &into_other, CSV, many(1)).await.expect_problem(404, "organization_not_found");
        assert_eq!(world.count("SELECT COUNT(*) FROM organizations WHERE kind = 'CUSTOMER'"), 1001);
        assert!(before.len() > 1000);
    });
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let odd = ["=HYPERLINK(\"x\")", "+49 1", "-1", "@SUM", "'quoted", "'", "a,b \"c\"", "日本"];
        for name in odd {
            let body = json!({
                "kind": "CUSTOMER", "displayName": name, "companyName": name, "country": "JP", "state": "Tokyo", "currency": "JPY",
                "tag": name, "tenantType": "INTERNAL", "alternateContact": { "name": name, "email": "a@b.example" }
            });
            world.post("/v1/organizations", body).by(&shop.admin).send().await.expect(201);
        }
        for (format, media_type) in [("csv", CSV), ("ndjson", NDJSON)] {
            let other = world.organization(&shop.operator, "PROVIDER", "Other", None).await;
            let mut next = Some(format!("/v1/organizations/export?format={format}&limit=4&parentId={}", shop.provider));
            let mut pages = 0;
            while let Some(path) = next {
                let page = world.get(&path).by(&shop.operator).send().await;
                assert_eq!(page.expect(200).header("content-type"), media_type);
                if format == "csv" {
                    let text = String::from_utf8(page.0.body().to_vec()).unwrap();
                    // No cell begins a formula.
                    for line in text.lines().skip(1) {
                        assert!(
                            !line.contains(",=") && !line.contains(",+") && !line.contains(",-") && !line.contains(",@"),
                            "{line}"
                        );
                        assert!(!line.contains(",\"="), "{line}");
                    }
                }
                pages += 1;
                let into =
                    import(&world, &shop.operator, &format!("?atomic=true&parentId={other}"), media_type, page.0.body().clone())
                        .await;
                into.expect(207);
                next = page
                    .header("link")
                    .strip_prefix('<')
                    .and_then(|link| link.strip_suffix(">; rel=\"next\""))
                    .map(str::to_owned);
            }
            assert_eq!(pages, 3);
            let list = async |parent: &str| {
                let listed = world.get(&format!("/v1/organizations?parentId={parent}")).by(&shop.operator).send().await;
                let mut items = listed.at("/items").as_array().unwrap().clone();
                for item in &mut items {
                    for own in ["id", "parentId", "createdAt", "updatedAt"] {
                        item.as_object_mut().unwrap().remove(own);
                    }
                }
                // Of one millisecond, in no order.
                items.sort_by_key(|item| item["displayName"].to_string());
                items
            };
            assert_eq!(list(&other).await, list(&shop.provider).await, "{format}");
        }
    });
}

#[test]
fn an_export_is_of_ones_own_customers_and_bounded() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let rival = world.organization(&shop.operator, "PROVIDER", "Rival", None).await;
        let rival = world.actor(&shop.operator, &rival, "PROVIDER_ADMINISTRATOR").await;
        let path = format!("/v1/organizations/export?format=ndjson&parentId={}", shop.provider);
        assert_eq!(world.get(&path).by(&rival).send().await.expect(200).0.body().len(), 0);
        let own = world.get("/v1/organizations/export?format=ndjson").by(&shop.admin).send().await;
        assert_eq!((own.expect(200).text("/id"), own.at("/kind")), (shop.customer.clone(), json!("CUSTOMER")));
        let csv = world.get("/v1/organizations/export").by(&shop.admin).send().await;
        assert!(String::from_utf8_lossy(csv.expect(200).0.body()).starts_with("id,displayName,companyName,"));
        assert_eq!(csv.header("content-disposition"), "attachment; filename=\"customers.csv\"");
        for query in ["limit=0", "limit=1001", "format=xls", "color=red"] {
            let path = format!("/v1/organizations/export?{query}");
            world.get(&path).by(&shop.admin).send().await.expect_problem(400, "bad_query");
        }
    });
}
