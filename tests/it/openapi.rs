//! `docs/openapi.json`, which the hub serves, is what the route tables say.

use serde_json::Value;
use std::path::Path;
use web::{Routes, openapi::Document};

/// Every component's table.
pub fn tables() -> Vec<Routes> {
    vec![
        onboarding::routes(),
        access::routes(),
        password_hashes::routes(),
        federation::routes(),
        packages::routes(),
        brokers::routes(),
        provisioning::routes(),
        vsphere::routes(),
        environments::routes(),
        billing::routes(),
        scheduler::routes(),
    ]
}

pub fn document() -> Value {
    let mut document = Document::default();
    for table in tables() {
        table.document(&mut document);
    }
    document.whole("0.1.0")
}

/// With `UPDATE_OPENAPI=1` this writes the file instead of comparing it.
#[test]
fn the_checked_in_document_is_what_the_route_tables_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let made = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap();
    assert!(
        checked_in == made,
        "docs/openapi.json is out of date: run UPDATE_OPENAPI=1 cargo test -p tests openapi and commit it"
    );
}

#[test]
fn every_public_route_is_in_the_document_once_and_named_once() {
    let document = document();
    let mut names = std::collections::BTreeSet::new();
    for table in tables() {
        for (method, path) in table.all().filter(|(_, path)| !path.starts_with("/internal/")) {
            let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} is missing"));
            assert!(names.insert(name.to_owned()), "{name} is the name of two operations");
            assert!(operation["responses"]["503"].is_object(), "{method} {path}");
        }
    }
    assert!(names.len() > 20, "{names:?}");
}

/// What `spin.toml` routes to a component is what that component has, so nothing is unreachable.
#[test]
fn the_manifest_routes_every_path_to_the_component_that_has_it() {
    let manifest = std::fs::read_to_string(tests::manifest()).unwrap();
    let routes: Vec<(String, String)> = manifest
        .split("[[trigger.http]]")
        .skip(1)
        .map(|trigger| {
            let value = |key: &str| {
                let line = trigger.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in {trigger}"));
                line.split('"').nth(1).unwrap().to_owned()
            };
            (value("route"), value("component"))
        })
        .collect();
    for table in tables() {
        for (_, path) in table.all() {
            // A `{name}` of the table is a `:name` of the manifest.
            let path = path.replace('{', ":").replace('}', "");
            let (_, component) = routes
                .iter()
                .filter(|(route, _)| match route.strip_suffix("/...") {
                    Some(prefix) => path == prefix || path.starts_with(&format!("{prefix}/")),
                    None => path == *route,
                })
                // What ends where the path ends goes before what goes on.
                .max_by_key(|(route, _)| (!route.ends_with("/..."), route.len()))
                .unwrap_or_else(|| panic!("spin.toml has no route for {path}"));
            // What one component asks another has no public route: the scheduler, which has all others, knows nothing of it.
            let is_private = path.starts_with("/internal/") && path != "/internal/bootstrap" && table.component() != "scheduler";
            assert_eq!(component, if is_private { "scheduler" } else { table.component() }, "{path}");
        }
    }
}
