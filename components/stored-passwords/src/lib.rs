//! Passwords that are stored apart from what is reached with them. Others refer to one, and get it when they need it: so one
//! that is replaced reaches all of them. (What people sign in with is the business of `sign-in`.)

mod stored_passwords;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("stored-passwords")
        .post("/v1/stored-passwords", "stored_passwords.create", stored_passwords::create, "Store a password")
        .get("/v1/stored-passwords", "stored_passwords.list", stored_passwords::list, "List stored passwords")
        .get(
            "/v1/stored-passwords/{storedPasswordId}",
            "stored_passwords.show",
            stored_passwords::show,
            "Read what is known of a stored password",
        )
        .patch(
            "/v1/stored-passwords/{storedPasswordId}",
            "stored_passwords.edit",
            stored_passwords::edit,
            "Replace or edit a stored password",
        )
        .delete(
            "/v1/stored-passwords/{storedPasswordId}",
            "stored_passwords.remove",
            stored_passwords::remove,
            "Delete a stored password that nothing uses",
        )
}

web::serve!(routes);
