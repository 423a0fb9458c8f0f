//! `/openapi.json`: every component's part, made of its own route table, merged when asked for. A copy kept in a file
//! could be out of date; this cannot.

use crate::OTHERS;
use domain::{Error, Result};
use http::Method;
use web::{Document, Hub, Raw};

pub async fn show(hub: Hub) -> Result<Raw> {
    let mut whole = crate::ROUTES.document();
    for component in OTHERS {
        let answer = web::call(&hub, component, Method::GET, "/internal/openapi").await?;
        let part: Document = serde_json::from_slice(&answer.body.unwrap_or_default())
            .map_err(|error| Error::unavailable(format!("{component} answered {} instead of its document: {error}", answer.status)))?;
        whole.merge(part);
    }
    Ok(Raw(whole.whole(env!("CARGO_PKG_VERSION"))))
}
