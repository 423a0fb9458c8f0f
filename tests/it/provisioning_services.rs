//! The catalogue.

use serde_json::json;
use tests::{World, simulated};

#[test]
fn the_operator_adds_services_and_everybody_reads_them() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
        let body = json!({ "code": "vpc", "displayName": "Private Cloud", "description": "Hosts", "productFamily": "RENTAL", "driver": "BUILTIN" });
        let made = world.post("/v1/services", body.clone()).by(&shop.operator).send().await;
        made.expect(201);
        assert_eq!(made.header("location"), format!("/v1/services/{}", made.text("/id")));

        let read = world.get(made.header("location")).by(&shop.admin).send().await;
        assert_eq!(read.expect(200).json(), made.json());
        let listed = world.get("/v1/services?limit=2").by(&shop.admin).send().await;
        assert_eq!(listed.expect(200).at("/items").as_array().unwrap().len(), 2);
        let rest = world.get(&format!("/v1/services?limit=2&cursor={}", listed.text("/nextCursor"))).by(&shop.admin).send().await;
        assert_eq!(rest.expect(200).at("/items/0"), made.json());

        world.post("/v1/services", body.clone()).by(&shop.operator).send().await.expect_problem(409, "service_code_taken");
        world.post("/v1/services", body).by(&shop.admin).send().await.expect_problem(403, "permission_missing");
        let missing = world.get("/v1/services/svc_00000000000000000000000000").by(&shop.admin).send().await;
        missing.expect_problem(404, "service_not_found");
    });
}
