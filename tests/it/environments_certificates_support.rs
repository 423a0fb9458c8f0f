//! What the tests of certificates share: what `tests/data/certificates/make.sh` has made.

use serde_json::{Value, json};

/// A file of the tests' certificates, without its ending.
pub fn pem(name: &str) -> String {
    let path = format!("{}/data/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A chain: these, one after the other.
pub fn chain(names: &[&str]) -> String {
    names.iter().map(|name| pem(name)).collect()
}

/// A certificate for a server with its chain and key, as it is sent.
pub fn certificate(name: &str) -> Value {
    json!({ "certificate": chain(&[name, "issuing", "root"]), "privateKey": pem(&format!("{name}.key")) })
}
