//! `/openapi.json`: the whole hub's, made of the route tables natively and checked in. The test `openapi` fails when it
//! is not what the tables say.

use domain::{Error, Result};
use std::sync::OnceLock;
use web::{Hub, Written};

/// More than the document will ever be, in bytes.
const BOUND: usize = 8 << 20;

pub async fn show(_: Hub) -> Result<Written> {
    // Unpacked once an instance: it is nobody's data, and anybody can ask for it as often as they like.
    static DOCUMENT: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(document) = DOCUMENT.get() {
        return Ok(Written(document.into()));
    }
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.deflate"));
    let document = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, BOUND);
    let document = document.map_err(|error| Error::unavailable(format!("the packed document cannot be read: {error}")))?;
    Ok(Written(DOCUMENT.get_or_init(|| document).as_slice().into()))
}
