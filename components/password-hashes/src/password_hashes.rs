//! `/internal/password-hashes`: hashes for `sign-in`, which waits for a turn before it asks.

use crate::argon2id;
use domain::{JsonSchema, Result};
use serde::{Deserialize, Serialize};
use web::{Body, Hub, Internal, Shown};

/// A password, and the hashes of all accounts with its mail address.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordAndHashes {
    /// The password, in the form in which it is hashed.
    password: String,
    /// Hashes in the PHC string format.
    hashes: Vec<String>,
}

/// The hash of a password.
#[derive(Serialize, JsonSchema)]
pub struct PasswordHash {
    /// In the PHC string format.
    hash: String,
}

/// Hashes a password with the salt of the given hashes, or with a new one.
pub async fn create(_: Hub, _: Internal, Body(given): Body<PasswordAndHashes>) -> Result<Shown<PasswordHash>> {
    argon2id::hash(&given.password, &given.hashes).map(|hash| Shown(PasswordHash { hash }))
}

/// Which of the given hashes is the password's.
#[derive(Serialize, JsonSchema)]
pub struct FoundHash {
    /// Its index; `null` if it is none of them.
    index: Option<usize>,
}

/// Finds the hash of a password. It takes as long without any hash.
pub async fn find(_: Hub, _: Internal, Body(given): Body<PasswordAndHashes>) -> Result<Shown<FoundHash>> {
    argon2id::find(&given.password, &given.hashes).map(|index| Shown(FoundHash { index }))
}
