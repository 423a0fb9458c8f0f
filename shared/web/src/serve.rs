//! From a request to its answer.

use crate::{Answer, Headers, Hub, Incoming, Routes, limits, problem};
use domain::{Error, Kind};
use http::Method;
use spin_sdk::wasip3::{
    http::types::{ErrorCode, Fields, Request, Response},
    spawn, wit_future, wit_stream,
};

/// Makes a crate a component that serves this route table. The table is built once an instance: it holds no data of any
/// request.
///
/// The SDK's `http_service` would turn each request into the types of the `http` crate and each answer back from them,
/// which costs more than anything else the kit does; so the component exports `wasi:http/handler` itself.
#[macro_export]
macro_rules! serve {
    ($routes:ident) => {
        #[cfg(target_family = "wasm")]
        mod service {
            use spin_sdk::wasip3::{exports::http::handler::Guest, http::types};

            struct Service;
            spin_sdk::wasip3::http::service::export!(Service);

            impl Guest for Service {
                async fn handle(request: types::Request) -> Result<types::Response, types::ErrorCode> {
                    static ROUTES: std::sync::LazyLock<$crate::Routes> = std::sync::LazyLock::new(super::$routes);
                    $crate::serve(&ROUTES, request).await
                }
            }
        }
    };
}

/// Serves one request with a component's table. Whatever happens, there is an answer, and one line in the log.
pub async fn serve(routes: &'static Routes, request: Request) -> Result<Response, ErrorCode> {
    let method = Method::try_from(request.get_method()).map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let target = request.get_path_with_query().unwrap_or_else(|| "/".into());
    let headers = Headers::new(request.get_headers());
    let head = method == Method::HEAD;
    let hub = Hub::new(routes, target, method.clone(), &headers, request);
    let outcome = answer(&hub, Incoming { method, headers, path: Vec::new(), condition_read: false }).await;
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
        (answer.body, answer.pieces) = (None, None);
    }
    response(answer)
}

/// Headers that decide who asks what of whom, and so must not be there twice.
const SINGLE: [&str; 3] = ["host", "authorization", "hub-organization"];

async fn answer(hub: &Hub, incoming: Incoming) -> domain::Result<Answer> {
    let changes = (!incoming.method.is_safe()).then_some("idempotency-key");
    for name in SINGLE.into_iter().chain(changes) {
        incoming.headers.check_single(name)?;
    }
    if hub.target().len() > limits::TARGET {
        return Err(Error::new(
            Kind::Malformed,
            "target_too_long",
            format!("The path and query are longer than {} bytes. Use fewer or shorter parameters.", limits::TARGET),
        ));
    }
    // The routes of the hub's own parts ask for the connection first; others ask for the time before.
    if crate::clock::is_stale(hub.wall()) && !hub.path().starts_with("/internal/") {
        hub.db().await?;
    }
    hub.routes().dispatch(hub.clone(), incoming).await
}

fn response(answer: Answer) -> Result<Response, ErrorCode> {
    let headers: Vec<_> = answer.headers.into_iter().map(|(name, value)| (name.into_owned(), value.into_bytes())).collect();
    // Only a value with a control character is refused, and none of ours has one.
    let headers = Fields::from_list(&headers).map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))))?;
    let (mut body, reader) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(reader), no_trailers);
    // It is 200 without a call.
    if answer.status != 200 {
        response.set_status_code(answer.status).map_err(|()| ErrorCode::InternalError(Some("no such status".into())))?;
    }
    let (bytes, pieces) = (answer.body.unwrap_or_default(), answer.pieces);
    // Goes on after the answer was given: the host reads the body at its own pace.
    spawn(async move {
        // Whoever does not want the rest has gone, and there is nobody to tell.
        let mut unread = body.write_all(bytes).await;
        for piece in pieces.into_iter().flat_map(|pieces| pieces()) {
            if !unread.is_empty() {
                break;
            }
            unread = body.write_all(piece).await;
        }
        drop((body, unread));
        let _ = trailers.write(Ok(None)).await;
    });
    Ok(response)
}
