//! The bench holds a durable write against native rusqlite doing the same: these are the statements of it.

use serde_json::json;
use tests::{World, simulated};

const KEPT: &str = include_str!("../../xtask/src/bin/native_write.sql");

#[test]
fn the_benchs_yardstick_says_what_the_hub_says() {
    let said = simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let new = json!({
            "kind": "PROVIDER", "displayName": "Bench", "companyName": "Bench Ltd", "country": "US", "currency": "USD"
        });
        // The first one of an instance looks whether the schema is up to date.
        world.post("/v1/organizations", new.clone()).by(&operator).send().await.expect(201);
        let before = world.hub.host_calls().len();
        world.post("/v1/organizations", new).by(&operator).key("k").send().await.expect(201);
        let calls = world.hub.host_calls().split_off(before);
        let statements = calls.into_iter().filter(|call| call.kind == host::Kind::Sql).map(|call| call.detail);
        statements.map(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" ") + ";\n").collect::<String>()
    });
    if std::env::var_os("UPDATE_YARDSTICK").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/src/bin/native_write.sql"), &said).unwrap();
        return;
    }
    assert_eq!(said, KEPT, "write it anew with UPDATE_YARDSTICK=1, and bind in native_write.rs what it takes");
}
