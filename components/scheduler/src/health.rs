//! `/health`

use crate::OTHERS;
use domain::{Error, JsonSchema, Result};
use http::Method;
use serde::Serialize;
use web::{Hub, Shown};

/// The hub as a whole is up: every component and the database answered.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// Always `UP`: when something is not, the answer is 503.
    status: &'static str,
    /// The components asked.
    components: Vec<&'static str>,
}

pub async fn show(hub: Hub) -> Result<Shown<Health>> {
    hub.db().await?;
    let mut components = vec![hub.component()];
    for component in OTHERS {
        let answer = web::call(&hub, component, Method::GET, &format!("/health/{component}")).await?;
        if answer.status != 200 {
            return Err(Error::unavailable(format!("{component} answered {} to its health check", answer.status)));
        }
        components.push(component);
    }
    Ok(Shown(Health { status: "UP", components }))
}
