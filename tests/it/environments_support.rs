//! What the tests of environments share.

use crate::provisioning_support::again;
use serde_json::{Value, json};
use tests::{Actor, Answer, World};

/// The password of every node that is deployed here.
pub const PASSWORD: &str = "N0de-of-the-tests";

/// A product with a node for each host.
pub fn product(data_center: &str, version: &str, hosts: &[&str]) -> Value {
    let nodes: Vec<Value> = hosts
        .iter()
        .map(|host| json!({ "hostName": host, "vmName": format!("vm-{host}"), "rootPassword": PASSWORD, "cpuNum": 2 }))
        .collect();
    json!({
        "productType": "VCD", "productId": "vcd", "version": version, "dataCenterId": data_center,
        "adminPassword": PASSWORD, "license": "AAAA-BBBB", "nodes": nodes, "properties": { "systemName": "vcd", "dbPassword": PASSWORD }
    })
}

/// An environment of one product.
pub fn environment(name: &str, data_center: &str, hosts: &[&str]) -> Value {
    json!({ "name": name, "products": [product(data_center, "10.5", hosts)] })
}

/// An environment that was deployed, by its id.
pub async fn deployed(world: &World, by: &Actor, name: &str, data_center: &str) -> String {
    let by = again(world, by).await;
    let asked = world.post("/v1/environments", environment(name, data_center, &["a", "b"])).by(&by).send().await;
    asked.expect(202);
    world.settle().await;
    let id = asked.text("/environmentId");
    assert_eq!(read(world, &by, &id).await.text("/status"), "ACTIVE");
    id
}

/// An environment as it is now.
pub async fn read(world: &World, by: &Actor, id: &str) -> Answer {
    let by = again(world, by).await;
    world.get(&format!("/v1/environments/{id}")).by(&by).send().await
}
