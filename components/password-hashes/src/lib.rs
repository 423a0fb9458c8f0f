//! Argon2id password hashes, computed apart from the requests that wait for them.
//!
//! A hash takes 19 MiB, which a guest never gives back, so the host ends an instance that computed one. Computed beside the
//! sign-ins, every instance with a waiting sign-in would take that memory in turn; here only the hashes under way hold it.

mod argon2id;
mod password_hashes;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("password-hashes")
        .post("/internal/password-hashes", "password_hashes.create", password_hashes::create, "Hash a password")
        .post(
            "/internal/password-hashes/find",
            "password_hashes.find",
            password_hashes::find,
            "Find the hash of a password among hashes",
        )
}

web::serve!(routes);
