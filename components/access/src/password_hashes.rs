//! Password hashes from the component `password-hashes`. Wait for a turn (`turns`) before asking for one.

use domain::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use web::Hub;

/// The component, and its route.
const COMPONENT: &str = "password-hashes";

#[derive(Serialize)]
struct PasswordAndHashes<'a> {
    password: &'a str,
    hashes: &'a [&'a str],
}

/// The hash of a new password, with the salt that the hashes of its mail address share.
pub async fn hash(hub: &Hub, password: &str, hashes: &[&str]) -> Result<String> {
    #[derive(Deserialize)]
    struct PasswordHash {
        hash: String,
    }
    let PasswordHash { hash } = ask(hub, "/internal/password-hashes", password, hashes).await?;
    Ok(hash)
}

/// The index of the first of these hashes that is this password's. Without any, it takes as long to find none.
pub async fn find(hub: &Hub, password: &str, hashes: &[&str]) -> Result<Option<usize>> {
    #[derive(Deserialize)]
    struct FoundHash {
        index: Option<usize>,
    }
    let FoundHash { index } = ask(hub, "/internal/password-hashes/find", password, hashes).await?;
    Ok(index)
}

async fn ask<T: DeserializeOwned>(hub: &Hub, path: &str, password: &str, hashes: &[&str]) -> Result<T> {
    let answer = web::ask(hub, COMPONENT, path, &PasswordAndHashes { password, hashes }).await?;
    serde_json::from_slice(&answer.body.unwrap_or_default())
        .map_err(|error| Error::unavailable(format!("{COMPONENT}{path}: {error}")))
}
