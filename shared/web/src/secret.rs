//! Secrets: making, recognising and sealing them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, aead::Aead};
use domain::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A new secret of 256 random bits, in text, after a prefix that says what it is to people and to scanners for leaks.
pub fn new(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(crate::hub::random::<32>()))
}

/// What is stored of a secret. Our secrets are random, so a plain hash cannot be reversed by guessing.
pub fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// SHA-256 of the parts, each preceded by its length so that no two lists of parts are taken for each other.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Whether two secrets are the same, in a time that does not depend on where they differ.
pub fn same(one: &str, other: &str) -> bool {
    // Through hashes, so that the lengths say nothing either.
    digest(&[one.as_bytes()]).ct_eq(&digest(&[other.as_bytes()])).into()
}

/// Seals a text under a key: who reads the database without the key learns its length and nothing else.
pub(crate) fn seal(key: &[u8; 32], text: &[u8]) -> Result<String> {
    let nonce = crate::hub::random::<12>();
    let sealed = cipher(key).encrypt(&Nonce::from(nonce), text).map_err(|_| Error::unavailable("sealing failed"))?;
    Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
}

/// Opens what was sealed under the same key.
pub(crate) fn open(key: &[u8; 32], sealed: &str) -> Result<Vec<u8>> {
    let fault = || Error::unavailable("a sealed text cannot be opened: was the data_key changed?");
    let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| fault())?;
    let (nonce, sealed) = bytes.split_first_chunk::<12>().ok_or_else(fault)?;
    cipher(key).decrypt(&Nonce::from(*nonce), sealed).map_err(|_| fault())
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}
