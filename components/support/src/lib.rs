//! Tickets and notifications. Its routes come with support; today it has its health.

use spin_sdk::{
    http::{IntoResponse, Request},
    http_service,
};
use std::sync::LazyLock;
use web::Routes;

static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new("support"));

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    web::serve(&ROUTES, request).await
}
