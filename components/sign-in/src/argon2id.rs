//! Hashing passwords with Argon2id (RFC 9106), in the PHC string format.
//!
//! A hash takes 19 MiB while it is computed. It is computed in one piece, without waiting for anything, and an instance runs
//! one piece at a time: however many sign in at once, each instance holds those 19 MiB once, and keeps them for the next.

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
const SALT: usize = 16;

fn compute(password: &str, salt: &[u8], (memory, passes, lanes): (u32, u32, u32)) -> Option<[u8; HASH]> {
    let parameters = Params::new(memory, passes, lanes, Some(HASH)).ok()?;
    let mut hash = [0; HASH];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon2.hash_password_into(password.as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}

/// The hash of a new password.
pub fn hash(password: &str) -> Result<String> {
    let salt: [u8; SALT] = random();
    let hash = compute(password, &salt, (MEMORY_KIB, PASSES, LANES))
        .ok_or_else(|| Error::unavailable("a password cannot be hashed: is there no memory?"))?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

/// Whether this is the password with that hash. Without a hash, it is not, and finding out takes as long: whoever guesses
/// addresses learns nothing from the time.
pub fn is(password: &str, hash: Option<&str>) -> Result<bool> {
    let Some(hash) = hash else {
        std::hint::black_box(compute(password, &[0; SALT], (MEMORY_KIB, PASSES, LANES)));
        return Ok(false);
    };
    let (salt, expected, parameters) =
        parse(hash).ok_or_else(|| Error::unavailable("a stored password hash is not in the PHC string format"))?;
    let computed = compute(password, &salt, parameters)
        .ok_or_else(|| Error::unavailable("a stored password hash cannot be compared with"))?;
    // In a time that does not depend on where they differ.
    Ok(computed.iter().zip(&expected).fold(0, |differing, (one, other)| differing | (one ^ other)) == 0)
}

/// Salt, hash and parameters.
type Stored = (Vec<u8>, [u8; HASH], (u32, u32, u32));

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
