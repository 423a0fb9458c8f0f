//! Private keys: in PKCS#8 (RFC 5958), PKCS#1 (RFC 8017) or SEC 1 (RFC 5915), and PKCS#8 under a password.

use super::{
    certificate::{PublicKey, oid},
    der::{Reader, element, tag},
    pem::{self, Block},
};
use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use hmac::Hmac;
use pbkdf2::pbkdf2;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// A private key, in PKCS#8 and under no password.
pub struct PrivateKey(Vec<u8>);

/// Why a private key is not taken.
#[derive(Debug, Eq, PartialEq)]
pub enum Refusal {
    /// For what it is.
    Key(&'static str),
    /// For its password.
    Password(&'static str),
}

/// The most rounds of PBKDF2 that are gone for a password: OpenSSL's own are 2,048.
const ROUNDS: u32 = 200_000;

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// The first bytes of HMAC with a hash, and those of AES; the last byte says which.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];

const NO_KEY: Refusal = Refusal::Key("has no private key that can be read; give one, in PEM");
const OTHER_CIPHER: Refusal = Refusal::Key(
    "is encrypted in a way that is not taken; write it anew with AES and PBKDF2: openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem",
);

impl PrivateKey {
    /// Reads the one private key of a text in PEM.
    pub fn read(text: &str, password: Option<&str>) -> Result<Self, Refusal> {
        let blocks = pem::blocks(text).ok_or(NO_KEY)?;
        // What `openssl ecparam -genkey` writes before a key, which says it again.
        let mut keys = blocks.into_iter().filter(|block| block.label != "EC PARAMETERS");
        let (key, more) = (keys.next().ok_or(NO_KEY)?, keys.next());
        if more.is_some() {
            return Err(Refusal::Key("has more than the private key; give that alone"));
        }
        let Block { label, der, has_headers } = key;
        if has_headers {
            return Err(Refusal::Key(
                "is encrypted in OpenSSL's old way, which protects little; write it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem",
            ));
        }
        let der = der.ok_or(NO_KEY)?;
        let is_encrypted = label == "ENCRYPTED PRIVATE KEY";
        let pkcs8 = match (label, password) {
            ("ENCRYPTED PRIVATE KEY", Some(password)) => decrypted(&der, password.as_bytes())?,
            ("ENCRYPTED PRIVATE KEY", None) => return Err(Refusal::Password("is missing; the private key is encrypted")),
            ("PRIVATE KEY", _) => der,
            ("RSA PRIVATE KEY", _) => wrapped(&[element(tag::OID, oid::RSA), vec![5, 0]], &der),
            ("EC PRIVATE KEY", _) => {
                let curve = curve(&der).ok_or(NO_KEY)?;
                wrapped(&[element(tag::OID, oid::EC), element(tag::OID, curve)], &der)
            }
            _ => return Err(NO_KEY),
        };
        if !is_encrypted && password.is_some() {
            return Err(Refusal::Password("is for a private key that is encrypted, and this one is not; leave it out"));
        }
        match PrivateKey(pkcs8) {
            key if key.parts().is_some() => Ok(key),
            _ if is_encrypted => Err(Refusal::Password("is not that of the private key")),
            _ => Err(NO_KEY),
        }
    }

    /// In PEM, under no password.
    pub fn to_pem(&self) -> String {
        pem::written("PRIVATE KEY", &self.0)
    }

    /// The kind of the key, its curve if it has one, and what it is in its own form.
    fn parts(&self) -> Option<(&[u8], &[u8], &[u8])> {
        let mut outer = Reader(&self.0);
        let mut parts = outer.sequence()?;
        outer.end()?;
        parts.number()?;
        let (kind, mut parameters) = parts.algorithm()?;
        let curve = parameters.content(tag::OID).unwrap_or_default();
        Some((kind, curve, parts.content(tag::OCTET_STRING)?))
    }

    /// Whether it is the other half of a public key, and whole in itself.
    pub fn is_of(&self, public: &PublicKey<'_>) -> Result<(), &'static str> {
        const BROKEN: &str = "is damaged: its numbers do not belong together";
        let (kind, curve, inner) = self.parts().ok_or(BROKEN)?;
        let is = match (kind, curve, public) {
            (oid::RSA, _, PublicKey::Rsa(public)) => {
                let numbers = rsa_numbers(inner).ok_or(BROKEN)?;
                let is = numbers[0] == public.n && numbers[1] == public.e;
                if is && !belong_together(&numbers) {
                    return Err(BROKEN);
                }
                is
            }
            (oid::EC, oid::P256, PublicKey::P256(point)) => {
                let key = p256::ecdsa::SigningKey::from_slice(&scalar::<32>(inner).ok_or(BROKEN)?).map_err(|_| BROKEN)?;
                p256::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok_and(|point| *key.verifying_key() == point)
            }
            (oid::EC, oid::P384, PublicKey::P384(point)) => {
                let key = p384::ecdsa::SigningKey::from_slice(&scalar::<48>(inner).ok_or(BROKEN)?).map_err(|_| BROKEN)?;
                p384::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok_and(|point| *key.verifying_key() == point)
            }
            (oid::ED25519, _, PublicKey::Ed25519(public)) => {
                let seed = Reader(inner).content(tag::OCTET_STRING).and_then(|seed| seed.try_into().ok()).ok_or(BROKEN)?;
                let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new(seed));
                *pair.pk == **public
            }
            _ => false,
        };
        if is { Ok(()) } else { Err("is not that of the certificate; give the key that the certificate was asked for with") }
    }
}

/// PKCS#8 of a key in its own form.
fn wrapped(algorithm: &[Vec<u8>], inner: &[u8]) -> Vec<u8> {
    let parts = [element(tag::INTEGER, &[0]), element(tag::SEQUENCE, &algorithm.concat()), element(tag::OCTET_STRING, inner)];
    element(tag::SEQUENCE, &parts.concat())
}

/// The curve that a key in SEC 1 names.
fn curve(sec1: &[u8]) -> Option<&[u8]> {
    let mut parts = Reader(sec1).sequence()?;
    parts.number()?;
    parts.content(tag::OCTET_STRING)?;
    Reader(parts.content(0xa0)?).content(tag::OID)
}

/// The number of a key in SEC 1.
fn scalar<const N: usize>(sec1: &[u8]) -> Option<[u8; N]> {
    let mut parts = Reader(sec1).sequence()?;
    parts.number()?;
    parts.content(tag::OCTET_STRING)?.try_into().ok()
}

/// The numbers of a key in PKCS#1: n, e, d, p, q, and what d and the inverse of q come to modulo p and q.
fn rsa_numbers(pkcs1: &[u8]) -> Option<[&[u8]; 8]> {
    let mut parts = Reader(pkcs1).sequence()?;
    parts.number()?;
    let mut numbers = [&[][..]; 8];
    for number in &mut numbers {
        *number = parts.number()?;
    }
    parts.end()?;
    Some(numbers)
}

/// Whether n is p times q, and d, by itself and by its remainders, undoes e.
fn belong_together(numbers: &[&[u8]; 8]) -> bool {
    let [n, e, d, p, q, dp, dq, inverse] = numbers.map(limbs);
    let one = vec![1];
    if [&p, &q].into_iter().any(|prime| prime.first().is_none_or(|low| low & 1 == 0) || *prime == one) {
        return false;
    }
    let less_one = |prime: &[u32]| {
        let mut less = prime.to_vec();
        less[0] -= 1;
        less
    };
    let (p1, q1) = (less_one(&p), less_one(&q));
    let undoes = |d: &[u32], of: &[u32]| remainder(&product(&e, d), of) == one;
    product(&p, &q) == n
        && undoes(&d, &p1)
        && undoes(&d, &q1)
        && undoes(&dp, &p1)
        && undoes(&dq, &q1)
        && remainder(&product(&inverse, &q), &p) == one
}

/// The least significant first, without zeros at the end.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte))).collect()
}

fn trimmed(mut number: Vec<u32>) -> Vec<u32> {
    while number.last() == Some(&0) {
        number.pop();
    }
    number
}

fn product(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut sum = vec![0u32; a.len() + b.len()];
    for (place, &digit) in b.iter().enumerate() {
        let mut carry = 0u64;
        for (at, sum) in sum[place..].iter_mut().enumerate() {
            let total = u64::from(*sum) + a.get(at).map_or(0, |a| u64::from(*a) * u64::from(digit)) + carry;
            (*sum, carry) = (total as u32, total >> 32);
        }
    }
    trimmed(sum)
}

/// What remains of a number that is divided by another, which is not zero: bit by bit, which is fast enough for once.
fn remainder(number: &[u32], by: &[u32]) -> Vec<u32> {
    let by = trimmed(by.to_vec());
    let mut rest = vec![0u32; by.len() + 1];
    for bit in (0..32 * number.len()).rev() {
        let mut carry = number[bit / 32] >> (bit % 32) & 1;
        for limb in &mut rest {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
        }
        let by = |at: usize| by.get(at).copied().unwrap_or_default();
        let is_less = (0..rest.len()).rev().find(|&at| rest[at] != by(at)).is_some_and(|at| rest[at] < by(at));
        if !is_less {
            let mut borrow = 0;
            for (at, limb) in rest.iter_mut().enumerate() {
                let difference = i64::from(*limb) - i64::from(by(at)) - borrow;
                (*limb, borrow) = (difference as u32, i64::from(difference < 0));
            }
        }
    }
    trimmed(rest)
}

/// What is in an EncryptedPrivateKeyInfo. With a wrong password it may be anything.
fn decrypted(der: &[u8], password: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut parts = Reader(der).sequence().ok_or(NO_KEY)?;
    let (scheme, mut parameters) = parts.algorithm().ok_or(NO_KEY)?;
    let data = parts.content(tag::OCTET_STRING).ok_or(NO_KEY)?;
    let mut parameters = parameters.sequence().filter(|_| scheme == PBES2).ok_or(OTHER_CIPHER)?;
    let (kdf, mut kdf_parameters) = parameters.algorithm().ok_or(OTHER_CIPHER)?;
    let (cipher, mut iv) = parameters.algorithm().ok_or(OTHER_CIPHER)?;
    let iv = iv.content(tag::OCTET_STRING).filter(|iv| iv.len() == 16).ok_or(OTHER_CIPHER)?;
    let size = match cipher.split_last() {
        Some((2, AES)) => 16,
        Some((22, AES)) => 24,
        Some((42, AES)) => 32,
        _ => return Err(OTHER_CIPHER),
    };
    let mut kdf_parameters = kdf_parameters.sequence().filter(|_| kdf == PBKDF2).ok_or(OTHER_CIPHER)?;
    let salt = kdf_parameters.content(tag::OCTET_STRING).ok_or(OTHER_CIPHER)?;
    let rounds = kdf_parameters.number().ok_or(OTHER_CIPHER)?;
    let rounds = rounds.iter().take(5).fold(0u64, |rounds, byte| rounds << 8 | u64::from(*byte));
    let Some(rounds) = u32::try_from(rounds).ok().filter(|rounds| (1..=ROUNDS).contains(rounds)) else {
        return Err(Refusal::Key(
            "takes more rounds for its password than the hub goes, which is 200,000; write it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem",
        ));
    };
    kdf_parameters.take(tag::INTEGER);
    // With SHA-1, where nothing is said (RFC 8018, A.2).
    let hash = kdf_parameters.algorithm().map_or(Some(7), |(prf, _)| match prf.split_last() {
        Some((last, HMAC)) => Some(*last),
        _ => None,
    });
    let mut key = [0; 32];
    let key = &mut key[..size];
    let derived = match hash {
        Some(7) => pbkdf2::<Hmac<Sha1>>(password, salt, rounds, key),
        Some(9) => pbkdf2::<Hmac<Sha256>>(password, salt, rounds, key),
        Some(10) => pbkdf2::<Hmac<Sha384>>(password, salt, rounds, key),
        Some(11) => pbkdf2::<Hmac<Sha512>>(password, salt, rounds, key),
        _ => return Err(OTHER_CIPHER),
    };
    derived.map_err(|_| OTHER_CIPHER)?;
    let plain = match size {
        16 => cbc::Decryptor::<Aes128>::new_from_slices(key, iv)
            .ok()
            .and_then(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(data).ok()),
        24 => cbc::Decryptor::<Aes192>::new_from_slices(key, iv)
            .ok()
            .and_then(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(data).ok()),
        _ => cbc::Decryptor::<Aes256>::new_from_slices(key, iv)
            .ok()
            .and_then(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(data).ok()),
    };
    plain.ok_or(Refusal::Password("is not that of the private key"))
}
