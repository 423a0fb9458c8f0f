//! `/openapi.json`: the whole hub's, made of the route tables natively and checked in. The test `openapi` fails when it
//! is not what the tables say.

use domain::{Error, Result};
use web::{Hub, Written};

/// More than the document will ever be, in bytes.
const BOUND: usize = 8 << 20;

pub async fn show(_: Hub) -> Result<Written> {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.deflate"));
    let document = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, BOUND);
    document.map(Written).map_err(|error| Error::unavailable(format!("the packed document cannot be read: {error}")))
}
