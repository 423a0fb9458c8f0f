//! The interop table.

use serde_json::{Value, json};
use tests::{World, simulated};

fn table() -> Value {
    let step = |from: &str, to: &str| json!({ "code": "VCD", "from": from, "to": to });
    json!({
        "compatibilities": [
            { "product": { "code": "VCD", "version": "10.4" }, "worksWith": "NSXT", "versions": ["3.2", "4.0"] },
            { "product": { "code": "VCD", "version": "10.5" }, "worksWith": "NSXT", "versions": ["4.0", "4.1"] },
        ],
        "upgrades": [step("10.3", "10.4"), step("10.4", "10.5")],
    })
}

#[test]
fn the_table_is_replaced_as_one_and_asked_by_everybody() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let put = |etag: &'static str, body: Value| {
            world.call(http::Method::PUT, "/v1/interop").json(&body).by(&shop.operator).header("if-match", etag).send()
        };
        let empty = world.get("/v1/interop").by(&shop.admin).send().await;
        assert_eq!((empty.expect(200).json(), empty.header("etag")), (json!({ "compatibilities": [], "upgrades": [] }), "\"0\""));
        let first = put("\"0\"", table()).await;
        assert_eq!((first.expect(200).json(), first.header("etag")), (table(), "\"1\""));
        put("\"0\"", table()).await.expect_problem(412, "stale");
        world
            .call(http::Method::PUT, "/v1/interop")
            .json(&table())
            .by(&shop.operator)
            .send()
            .await
            .expect_problem(428, "if_match_required");
        let stranger =
            world.call(http::Method::PUT, "/v1/interop").json(&table()).by(&shop.admin).header("if-match", "*").send().await;
        stranger.expect_problem(403, "permission_missing");
        let itself = json!({ "compatibilities": [], "upgrades": [{ "code": "VCD", "from": "1", "to": "1" }] });
        put("*", itself).await.expect_problem(422, "invalid_request");
        let read = world.get("/v1/interop").by(&shop.admin).send().await;
        assert_eq!((read.json(), read.header("etag")), (table(), "\"1\""));
    });
}

#[test]
fn a_check_says_all_that_stands_against_it() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let put = world.call(http::Method::PUT, "/v1/interop").json(&table()).by(&shop.operator).header("if-match", "*");
        put.send().await.expect(200);
        let check = |body: Value| world.post("/v1/interop/check", body).by(&shop.admin).send();
        let product = |code: &str, version: &str| json!({ "code": code, "version": version });
        let upgrade = |from: &str, to: &str| json!({ "code": "VCD", "from": from, "to": to });

        let fine =
            check(json!({ "products": [product("NSXT", "4.0"), product("VCD", "10.4")], "upgrade": upgrade("10.4", "10.5") }))
                .await;
        assert_eq!(fine.expect(200).json(), json!({ "ok": true, "conflicts": [], "upgradePath": ["10.4", "10.5"] }));
        let wrong =
            check(json!({ "products": [product("NSXT", "3.2"), product("VCD", "10.4")], "upgrade": upgrade("10.4", "10.5") }))
                .await;
        assert_eq!((wrong.expect(200).at("/ok"), wrong.at("/conflicts/0/kind")), (json!(false), json!("INCOMPATIBLE")));
        assert_eq!(wrong.at("/conflicts/0/products"), json!([product("VCD", "10.5"), product("NSXT", "3.2")]));
        let steps = check(json!({ "products": [], "upgrade": upgrade("10.3", "10.5") })).await;
        assert_eq!(steps.at("/upgradePath"), json!(["10.3", "10.4", "10.5"]));
        let back = check(json!({ "products": [], "upgrade": upgrade("10.5", "10.3") })).await;
        assert_eq!(
            (back.at("/ok"), back.at("/upgradePath"), back.at("/conflicts/0/kind")),
            (json!(false), Value::Null, json!("UPGRADE_NOT_ALLOWED"))
        );
        let other = check(json!({ "products": [product("VCD", "10.5")], "upgrade": upgrade("10.4", "10.5") })).await;
        other.expect_problem(422, "invalid_request");
        assert_eq!(other.text("/errors/0/pointer"), "/upgrade/from");
        check(json!({ "products": vec![product("a", "1"); 51] })).await.expect_problem(422, "invalid_request");
    });
}
