//! What there is at a vCenter, and whether it is what it is said to be.

use crate::{peer::Wrong, vcenter::Vcenter};
use serde_json::{Map, Value};

/// What is listed of a vCenter: its name in the inventory, and the vCenter's own.
const KINDS: [(&str, &str); 7] = [
    ("datacenters", "Datacenter"),
    ("clusters", "ClusterComputeResource"),
    ("hosts", "HostSystem"),
    ("resourcePools", "ResourcePool"),
    ("datastores", "Datastore"),
    ("storageClusters", "StoragePod"),
    ("networks", "Network"),
];

/// What there is at a vCenter, by name, each name once and in order; and what it runs.
pub async fn find(vcenter: &Vcenter) -> Result<Value, Wrong> {
    let kinds = KINDS.map(|(_, kind)| (kind, &["name"][..]));
    let found = vcenter.below(&vcenter.root(), &kinds).await?;
    let mut inventory = Map::new();
    for (list, kind) in KINDS {
        // Port groups of distributed switches, and networks of NSX, are networks of a kind of their own.
        let is =
            |this: &str| this == kind || (kind == "Network" && matches!(this, "DistributedVirtualPortgroup" | "OpaqueNetwork"));
        let mut names: Vec<String> = found.iter().filter(|object| is(&object.this.kind)).map(|object| object.name()).collect();
        names.sort_unstable();
        names.dedup();
        inventory.insert(list.to_owned(), names.into());
    }
    let mut product = Map::new();
    for (name, about) in [
        ("name", "name"),
        ("version", "version"),
        ("build", "build"),
        ("apiVersion", "apiVersion"),
        ("instanceId", "instanceUuid"),
    ] {
        product.insert(name.to_owned(), vcenter.about(about).into());
    }
    inventory.insert("product".to_owned(), product.into());
    Ok(inventory.into())
}

/// What of a description does not agree with what there is. `networks` are the port groups that it describes.
pub fn differs(found: &Value, version: Option<&str>, networks: &Value) -> Option<String> {
    let runs = found["product"]["version"].as_str().unwrap_or_default();
    if let Some(version) = version.filter(|version| !runs.starts_with(version)) {
        return Some(format!("It runs version {runs} and not {version}. Say which version it runs, or leave it out."));
    }
    let names = networks.as_array().into_iter().flatten().filter_map(|network| network["portGroupName"].as_str());
    let there = found["networks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let missing: Vec<&str> = names.filter(|name| !there.iter().any(|known| known == name)).collect();
    (!missing.is_empty())
        .then(|| format!("It has no port group with the name {}. See its inventory for those that it has.", missing.join(", ")))
}
