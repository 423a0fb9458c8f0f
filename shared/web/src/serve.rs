//! From a request to its answer.

use crate::{Answer, Hub, Incoming, Routes, limits, problem};
use domain::{Error, Kind, Result};
use http::Method;
use spin_sdk::http::{FullBody, Request};

/// What a component's `#[http_service]` returns.
pub type Response = http::Response<FullBody<bytes::Bytes>>;

/// Makes a crate a component that serves this route table. The table is built once an instance: it holds no data of any
/// request.
#[macro_export]
macro_rules! serve {
    ($routes:path) => {
        #[cfg(target_family = "wasm")]
        #[spin_sdk::http_service]
        async fn handle(request: spin_sdk::http::Request) -> impl spin_sdk::http::IntoResponse {
            static ROUTES: std::sync::LazyLock<$crate::Routes> = std::sync::LazyLock::new($routes);
            $crate::serve(&ROUTES, request).await
        }
    };
}

/// Serves one request with a component's table. Whatever happens, there is an answer, and one line in the log.
pub async fn serve(routes: &'static Routes, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let hub = Hub::new(routes, &parts, body);
    let head = parts.method == Method::HEAD;
    let outcome = answer(&hub, Incoming { parts, path: Vec::new() }).await;
    let (mut answer, code, internal) = match outcome {
        Ok(answer) => (answer, None, None),
        Err(error) => {
            let mut answer = problem::answer(&hub, &error);
            if answer.status == 405 {
                answer.header("allow", routes.allow(hub.path()));
            }
            (answer, Some(error.code), error.internal)
        }
    };
    answer.header("hub-request-id", hub.trace().request_id.to_string());
    if hub.trace().asked {
        answer.header("traceparent", hub.traceparent());
    }
    // Answers are for their caller alone.
    answer.header("cache-control", "no-store");
    hub.log(&answer, code, internal.as_deref());
    if head {
        answer.body = None;
    }
    response(answer)
}

async fn answer(hub: &Hub, incoming: Incoming) -> Result<Answer> {
    if hub.target().len() > limits::TARGET {
        return Err(Error::new(
            Kind::Malformed,
            "target_too_long",
            format!("The path and query are longer than {} bytes. Use fewer or shorter parameters.", limits::TARGET),
        ));
    }
    hub.routes().dispatch(hub.clone(), incoming).await
}

fn response(answer: Answer) -> Response {
    let mut builder = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name.as_ref(), value.as_str());
    }
    builder.body(FullBody::new(bytes::Bytes::from(answer.body.unwrap_or_default()))).unwrap_or_else(|_| {
        // Only a header value with a control character gets here, and none of ours has one.
        let mut bare = http::Response::new(FullBody::new(bytes::Bytes::new()));
        *bare.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        bare
    })
}
