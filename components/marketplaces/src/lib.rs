//! Webhooks from Microsoft, AWS, Google and any Standard Webhooks sender. Its routes come with marketplaces; today it has its health.

use spin_sdk::{
    http::{IntoResponse, Request},
    http_service,
};
use std::sync::LazyLock;
use web::Routes;

static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new("marketplaces"));

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    web::serve(&ROUTES, request).await
}
