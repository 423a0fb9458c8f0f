//! The least that a component can do: the floor under every figure of the bench.

use spin_sdk::http::Request;
use spin_sdk::http_service;

#[http_service]
async fn handle(_: Request) -> &'static str {
    "ok"
}
