//! What the hub's variables must be, so that a weak or mistyped one stops the start and not a customer.

/// How many characters `internal_secret` has at the least.
const SECRET: usize = 32;
/// How many hexadecimal digits `data_key` has: 256 bits.
const KEY: usize = 64;

/// Whether this can be `internal_secret`, which opens the hub's own routes. The reason never holds any of it.
pub fn check_internal_secret(secret: &str) -> Result<(), String> {
    if let Some(why) = strange(secret) {
        return Err(format!("internal_secret {why}"));
    }
    match secret.len() {
        length if length < SECRET => Err(format!(
            "internal_secret has {length} characters and must have at least {SECRET}: make one with `openssl rand -hex 32`"
        )),
        _ => Ok(()),
    }
}

/// Whether this can be `data_key`, which seals what the database must not show. The reason never holds any of it.
pub fn check_data_key(key: &str) -> Result<(), String> {
    if let Some(why) = strange(key) {
        return Err(format!("data_key {why}"));
    }
    let digits = key.bytes().filter(u8::is_ascii_hexdigit).count();
    if key.len() == KEY && digits == KEY {
        return Ok(());
    }
    Err(format!(
        "data_key must be {KEY} hexadecimal digits and has {} characters, {digits} of them hexadecimal digits: for a new hub make \
         one with `openssl rand -hex 32`, for an old one take the key that belongs to its database",
        key.chars().count()
    ))
}

/// What a value has that is no part of it: mostly the line break of the file it was read from.
fn strange(value: &str) -> Option<&'static str> {
    if value.ends_with(['\n', '\r']) {
        Some("ends with a line break: write it without one (`printf` instead of `echo`)")
    } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("has a space or another character that cannot be sent in a header: use letters and digits")
    } else {
        None
    }
}

/// How many password hashes the hub computes at once: the variable `password_hashes`.
pub fn password_hashes(text: &str) -> Result<i64, String> {
    let number = text.trim().parse().ok().filter(|number| (1..=64).contains(number));
    number.ok_or_else(|| format!("password_hashes is {text:?}: write a number from 1 to 64, no more than there are cores"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_mistyped_ones_are_refused_without_being_shown() {
        let key = "0123456789abcdefABCDEF0123456789".repeat(2);
        assert_eq!((check_data_key(&key), check_internal_secret(&key)), (Ok(()), Ok(())));
        for wrong in ["", "abc", "changeme", &key[1..], &format!("{key}0"), &format!("{key}\n"), &key.replace('0', "g"), "é"] {
            let why = check_data_key(wrong).unwrap_err();
            assert!(why.starts_with("data_key ") && (wrong.len() < 3 || !why.contains(wrong.trim())), "{why}");
        }
        for wrong in ["", "sesame", &key[..31], &format!("{key}\r\n"), &"ü".repeat(40), &"a b".repeat(20)] {
            let why = check_internal_secret(wrong).unwrap_err();
            assert!(why.starts_with("internal_secret ") && (wrong.len() < 3 || !why.contains(wrong.trim())), "{why}");
        }
    }
}
