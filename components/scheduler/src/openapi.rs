//! `/openapi.json`: the whole hub's, made of the route tables natively and checked in. The test `openapi` fails when it
//! is not what the tables say.

use domain::Result;
use web::{Hub, Written};

pub async fn show(_: Hub) -> Result<Written> {
    Ok(Written(include_str!(concat!(env!("OUT_DIR"), "/openapi.json"))))
}
