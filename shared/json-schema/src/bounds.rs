//! Bounds on what a validator is given to do, known before it runs: a guest cannot interrupt it, and a customer writes the instance.
//!
//! They hold for any validator: a schema's size with each `$ref` expanded, the size of the pair, and the arrays whose elements are
//! compared with each other.

use crate::{Wrong, below, target};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most that the nodes of a schema, each `$ref` expanded, times the nodes of an instance may come to.
pub const MAX_PAIRS: u64 = 1_000_000;
/// The most elements of an array under `uniqueItems`, and of an `enum`.
pub const MAX_ELEMENTS: usize = 1_000;

/// The nodes of a schema with each `$ref` expanded. A `$ref` into what it stands in counts once: the instance ends such circles.
pub fn schema_nodes(schema: &Value) -> u64 {
    Expansion { root: schema, known: BTreeMap::new() }.nodes(schema)
}

/// What an instance has that is too much to be checked against a schema.
pub fn excess(schema: &Value, instance: &Value, at: &str) -> Option<Wrong> {
    let most = MAX_PAIRS / schema_nodes(schema).max(1);
    let has = nodes(instance);
    if has > most {
        let detail = format!("has {has} values; at most {most} can be checked against this schema. Leave some out");
        return Some(Wrong { pointer: at.to_owned(), detail });
    }
    if compares_elements(schema) { longest_array(instance, at) } else { None }
}

/// The nodes of a value: itself and all values in it.
pub fn nodes(value: &Value) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

struct Expansion<'a> {
    root: &'a Value,
    /// The nodes behind each `$ref`; zero while they are being counted.
    known: BTreeMap<&'a str, u64>,
}

impl<'a> Expansion<'a> {
    fn nodes(&mut self, schema: &'a Value) -> u64 {
        let inside = match schema {
            Value::Array(items) => items.iter().fold(0, |sum: u64, item| sum.saturating_add(self.nodes(item))),
            Value::Object(members) => members.iter().fold(0, |sum: u64, (name, member)| {
                let referred = if name == "$ref" { member.as_str().map_or(0, |to| self.referred(to)) } else { 0 };
                sum.saturating_add(self.nodes(member)).saturating_add(referred)
            }),
            _ => 0,
        };
        inside.saturating_add(1)
    }

    fn referred(&mut self, reference: &'a str) -> u64 {
        if let Some(known) = self.known.get(reference) {
            return *known;
        }
        self.known.insert(reference, 0);
        let count = target(self.root, reference).map_or(0, |schema| self.nodes(schema));
        self.known.insert(reference, count);
        count
    }
}

fn compares_elements(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(compares_elements),
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| (name == "uniqueItems" && *member == Value::Bool(true)) || compares_elements(member)),
        _ => false,
    }
}

/// The first array with too many elements to be compared.
fn longest_array(value: &Value, at: &str) -> Option<Wrong> {
    match value {
        Value::Array(items) if items.len() > MAX_ELEMENTS => Some(Wrong {
            pointer: at.to_owned(),
            detail: format!(
                "has {} items; at most {MAX_ELEMENTS} can be checked against a schema with uniqueItems. Leave some out",
                items.len()
            ),
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| longest_array(item, &format!("{at}/{index}"))),
        Value::Object(members) => members.iter().find_map(|(name, member)| longest_array(member, &below(at, name))),
        _ => None,
    }
}
