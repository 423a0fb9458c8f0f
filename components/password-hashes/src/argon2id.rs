//! Argon2id (RFC 9106) password hashes in the PHC string format.

use argon2::{
    ARGON2ID_IDENT, Argon2, Params,
    password_hash::{
        CustomizedPasswordHasher,
        phc::{PasswordHash, Salt},
    },
};
use domain::{Error, Result};
use web::random;

/// OWASP's choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// In bytes.
const HASH: usize = 32;
/// In bytes.
const SALT: usize = 16;

fn parameters() -> Result<Params> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH)).map_err(|error| Error::fault(format!("Argon2id: {error}")))
}

fn compute(password: &str, salt: &[u8], parameters: Params) -> Result<PasswordHash> {
    Argon2::default()
        .hash_password_with_params(password.as_bytes(), salt, parameters)
        .map_err(|error| Error::unavailable(format!("a password cannot be hashed: {error}")))
}

fn parse(text: &str) -> Result<(PasswordHash, Salt, Params)> {
    let read = || {
        let hash = PasswordHash::new(text).ok()?;
        let of_ours = hash.algorithm == ARGON2ID_IDENT && hash.version == Some(0x13) && hash.hash?.len() == HASH;
        let (salt, parameters) = (hash.salt?, Params::try_from(&hash).ok()?);
        of_ours.then_some((hash, salt, parameters))
    };
    read().ok_or_else(|| Error::fault("a stored password hash is not Argon2id in the PHC string format"))
}

/// The hash of a new password. Accounts with one mail address share the salt, so that comparing a password with all of them takes
/// as long as with one: the salt is that of the first hash with the parameters of today, or a new one.
pub fn hash(password: &str, among: &[String]) -> Result<String> {
    let parameters = parameters()?;
    let shared = among.iter().find_map(|hash| parse(hash).ok().filter(|(.., of_it)| *of_it == parameters));
    let salt = match shared {
        Some((_, salt, _)) => salt,
        None => Salt::new(&random::<SALT>()).map_err(|error| Error::fault(format!("Argon2id: {error}")))?,
    };
    compute(password, &salt, parameters).map(|hash| hash.to_string())
}

/// The first of these hashes that is this password's. Without any, it takes as long to find none: an attacker who guesses addresses
/// learns nothing from the time.
pub fn find(password: &str, hashes: &[String]) -> Result<Option<usize>> {
    let mut computed: Vec<PasswordHash> = Vec::new();
    let mut found = None;
    for (index, hash) in hashes.iter().enumerate() {
        let (hash, salt, parameters) = parse(hash)?;
        let like = |one: &&PasswordHash| one.salt == hash.salt && one.params == hash.params;
        let one = match computed.iter().find(like) {
            Some(one) => one.hash,
            None => {
                computed.push(compute(password, &salt, parameters)?);
                computed.last().and_then(|one| one.hash)
            }
        };
        // `Output` is compared in constant time.
        let same = one.is_some() && one == hash.hash;
        found = found.or(same.then_some(index));
    }
    if computed.is_empty() {
        std::hint::black_box(compute(password, &[0; SALT], parameters()?)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_among_hashes_of_one_salt_and_of_others() {
        let mut hashes = vec![hash("one password", &[]).unwrap()];
        hashes.push(hash("two passwords", &hashes).unwrap());
        hashes.push(hash("three", &[]).unwrap());
        for (index, password) in ["one password", "two passwords", "three"].into_iter().enumerate() {
            assert_eq!(find(password, &hashes).unwrap(), Some(index));
        }
        assert_eq!((find("four", &hashes).unwrap(), find("four", &[]).unwrap()), (None, None));
        let salts: Vec<_> = hashes.iter().map(|hash| parse(hash).unwrap().1).collect();
        assert!(salts[0] == salts[1] && salts[0] != salts[2]);
        assert!(find("x", &["$argon2i$v=19$m=1,t=1,p=1$a$b".to_owned()]).is_err());
    }

    #[test]
    fn hashes_are_what_the_reference_implementation_makes() {
        // `echo -n "correct horse" | argon2 somesalt12345678 -id -k 19456 -t 2 -p 1 -l 32 -e`
        let reference =
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$oVLnFW4Vdd+KZaNyuHNZYDlTeeRDSkyoACLFGAAhgLc".to_owned();
        assert_eq!(hash("correct horse", std::slice::from_ref(&reference)).unwrap(), reference);
        assert_eq!(find("correct horse", std::slice::from_ref(&reference)).unwrap(), Some(0));
        for wrong in ["", "$argon2i$v=19$m=8,t=1,p=1$a$b", "$argon2id$v=19$m=19456,t=1$YQ$YQ", &reference[..reference.len() - 4]]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
