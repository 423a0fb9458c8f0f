//! What the tests of data center components share.

use crate::provisioning_support::again;
use serde_json::{Value, json};
use tests::{Actor, Answer, World};

/// The password of every component that is registered here.
pub const PASSWORD: &str = "Pa55-of-the-tests!";

/// A component to be registered.
pub fn component(name: &str, target: &str) -> Value {
    json!({
        "componentName": name, "componentType": "VCENTER", "version": "8.0.2", "fqdn": format!("{name}.example.com"),
        "username": "administrator@vsphere.local", "password": PASSWORD, "target": target, "tags": ["berlin"],
        "networks": [{
            "portGroupName": "mgmt", "subnet": "10.1.2.0", "subnetMask": "255.255.255.0", "gateway": "10.1.2.1",
            "domainName": "example.com", "dns": ["10.1.2.2"], "ntp": ["ntp.example.com"], "searchPath": ["example.com"]
        }]
    })
}

/// A component that was registered, by its id.
pub async fn registered(world: &World, by: &Actor, name: &str, target: &str) -> String {
    let by = again(world, by).await;
    let asked = world.post("/v1/data-centers", component(name, target)).by(&by).send().await;
    asked.expect(202);
    world.settle().await;
    if target == "MANUAL" {
        contacted(world, &by, &asked).await;
    }
    let id = asked.text("/dataCenterId");
    let found = read(world, &by, &id).await;
    assert_eq!(found.text("/status"), "REGISTERED", "{}", found.json());
    id
}

/// A person says that they saw what the task of this answer is about.
pub async fn contacted(world: &World, by: &Actor, asked: &Answer) {
    let by = again(world, by).await;
    let path = format!("/v1/tasks/{}/steps/CONTACT/complete", asked.text("/id"));
    world.post(&path, json!({ "message": "seen" })).by(&by).send().await.expect(200);
    world.settle().await;
}

/// A component as it is now.
pub async fn read(world: &World, by: &Actor, id: &str) -> Answer {
    let by = again(world, by).await;
    world.get(&format!("/v1/data-centers/{id}")).by(&by).send().await
}

/// A provider of its own, with its administrator.
pub async fn provider(world: &World, operator: &Actor, name: &str) -> Actor {
    let id = world.organization(operator, "PROVIDER", name, None).await;
    world.actor(operator, &id, "PROVIDER_ADMINISTRATOR").await
}

/// An environment that uses a component, as far as the component is concerned.
pub fn used_by(world: &World, organization: &str, component: &str) -> &'static str {
    let id = "env_01h455vb4pex5vsknk084sn02q";
    let database = world.database();
    database
        .execute(
            "INSERT INTO environments (id, organization_id, code, name, status, products, task_id, version, created_at, updated_at)
             VALUES (?1, ?2, 'prod', 'prod', 'ACTIVE', '[]', 'task', 1, 0, 0)",
            [id, organization],
        )
        .unwrap();
    database.execute("INSERT INTO environment_data_centers VALUES (?1, ?2)", [id, component]).unwrap();
    id
}
