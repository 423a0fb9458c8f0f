//! Secrets: making, recognizing and sealing them.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, aead::Aead};
pub(crate) use domain::text::hex;
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

/// The text inside base64 with padding, as HTTP Basic has it.
pub fn base64_text(encoded: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// Base64 with padding, as HTTP Basic has it.
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Whether two secrets are the same, in a time that does not depend on where they differ.
pub fn same(one: &str, other: &str) -> bool {
    // Through hashes, so that the lengths say nothing either.
    digest(&[one.as_bytes()]).ct_eq(&digest(&[other.as_bytes()])).into()
}

/// The key that seals what `purpose` names, of the thing that `of` tells from others of its kind.
pub fn key(data_key: &str, purpose: &str, of: &[&str]) -> [u8; 32] {
    let parts = [purpose, data_key].into_iter().chain(of.iter().copied());
    digest(&parts.map(str::as_bytes).collect::<Vec<_>>())
}

/// Seals a text under a key: who reads the database without the key learns its length and nothing else.
pub fn seal(key: &[u8; 32], text: &[u8]) -> Result<String> {
    let nonce = crate::hub::random::<12>();
    let sealed = cipher(key).encrypt(&Nonce::from(nonce), text).map_err(|_| Error::unavailable("sealing failed"))?;
    Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
}

/// Opens what was sealed under the same key.
pub fn open(key: &[u8; 32], sealed: &str) -> Result<Vec<u8>> {
    let fault = || Error::unavailable("a sealed text cannot be opened: was the data_key changed?");
    let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| fault())?;
    let (nonce, sealed) = bytes.split_first_chunk::<12>().ok_or_else(fault)?;
    cipher(key).decrypt(&Nonce::from(*nonce), sealed).map_err(|_| fault())
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}
