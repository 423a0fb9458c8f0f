//! Hashing passwords with Argon2id (RFC 9106), in the PHC string format.
//!
//! A hash takes 19 MiB while it is computed, which the instance then keeps for the next. It is computed in one piece, without
//! waiting for anything; who computes waits for a turn first (`hashing`), so that few instances hold those 19 MiB.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use domain::{Error, Result};
use web::random;

/// OWASP's choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// In bytes.
const HASH: usize = 32;
/// In bytes.
pub const SALT: usize = 16;

fn compute(password: &str, salt: &[u8], (memory, passes, lanes): (u32, u32, u32)) -> Option<[u8; HASH]> {
    let parameters = Params::new(memory, passes, lanes, Some(HASH)).ok()?;
    let mut hash = [0; HASH];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon2.hash_password_into(password.as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}

/// A new salt.
pub fn new_salt() -> [u8; SALT] {
    random()
}

/// The salt of a hash, if it is one of the hashes that are made now.
pub fn salt_of(hash: &str) -> Option<[u8; SALT]> {
    let (salt, _, parameters) = parse(hash)?;
    (parameters == (MEMORY_KIB, PASSES, LANES)).then(|| salt.try_into().ok()).flatten()
}

/// The hash of a new password. Accounts with one mail address share the salt, so that comparing a password with all of them takes
/// as long as with one.
pub fn hash(password: &str, salt: &[u8; SALT]) -> Result<String> {
    let hash = compute(password, salt, (MEMORY_KIB, PASSES, LANES))
        .ok_or_else(|| Error::unavailable("a password cannot be hashed: is there no memory?"))?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

/// The first of these hashes that is this password's. Without any, it takes as long to find none: who guesses addresses learns
/// nothing from the time.
pub fn find(password: &str, hashes: &[&str]) -> Result<Option<usize>> {
    let mut computed: Vec<(Vec<u8>, Parameters, [u8; HASH])> = Vec::new();
    let mut found = None;
    for (index, hash) in hashes.iter().enumerate() {
        let (salt, expected, parameters) =
            parse(hash).ok_or_else(|| Error::fault("a stored password hash is not in the PHC string format"))?;
        if !computed.iter().any(|(known, with, _)| *known == salt && *with == parameters) {
            let one = compute(password, &salt, parameters)
                .ok_or_else(|| Error::fault("a stored password hash cannot be compared with"))?;
            computed.push((salt.clone(), parameters, one));
        }
        let of_this = computed.iter().find(|(known, with, _)| *known == salt && *with == parameters);
        // In a time that does not depend on where they differ.
        let same = of_this.is_some_and(|(_, _, one)| one.iter().zip(&expected).fold(0, |all, (a, b)| all | (a ^ b)) == 0);
        found = found.or(same.then_some(index));
    }
    if computed.is_empty() {
        std::hint::black_box(compute(password, &[0; SALT], (MEMORY_KIB, PASSES, LANES)));
    }
    Ok(found)
}

/// Memory in KiB, passes and lanes.
type Parameters = (u32, u32, u32);
/// Salt, hash and parameters.
type Stored = (Vec<u8>, [u8; HASH], Parameters);

fn parse(text: &str) -> Option<Stored> {
    let [parameters, salt, hash] = *text.strip_prefix("$argon2id$v=19$")?.split('$').collect::<Vec<_>>().as_slice() else {
        return None;
    };
    let mut numbers = parameters.split(',').zip(["m=", "t=", "p="]).map(|(text, name)| text.strip_prefix(name)?.parse().ok());
    let parameters = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some((STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?.try_into().ok()?, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_among_hashes_of_one_salt_and_of_others() {
        let (salt, other) = ([1; SALT], [2; SALT]);
        let hashes =
            [hash("one password", &salt).unwrap(), hash("two passwords", &salt).unwrap(), hash("three", &other).unwrap()];
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        for (index, password) in ["one password", "two passwords", "three"].into_iter().enumerate() {
            assert_eq!(find(password, &hashes).unwrap(), Some(index));
        }
        assert_eq!((find("four", &hashes).unwrap(), find("four", &[]).unwrap()), (None, None));
        assert_eq!((salt_of(hashes[1]), salt_of(hashes[2])), (Some(salt), Some(other)));
        assert!(find("x", &["$argon2i$v=19$m=1,t=1,p=1$a$b"]).is_err());
    }

    /// The reference implementation's: `echo -n "correct horse" | argon2 somesalt12345678 -id -k 19456 -t 2 -p 1 -l 32`.
    #[test]
    fn only_the_format_that_was_written_is_read() {
        let text = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(parse(text).unwrap().2, (19_456, 2, 1));
        for wrong in ["", "$argon2i$v=19$m=1,t=1,p=1$a$b", "$argon2id$v=19$m=1,t=1$YQ$YQ", &text[..text.len() - 4]] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
