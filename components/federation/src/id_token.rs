//! ID tokens: JSON Web Signatures (RFC 7515) in the compact form, under the keys of the issuer (RFC 7517).
//!
//! The algorithms are RS256, which every OpenID provider has, and ES256. The key decides which of them it is for, and a token
//! that names another is refused: `none`, and `HS256` under a public key, among them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::oidc::Claims;
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier};
use rsa_verify::{Hash, Key, verifies};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

/// The longest token, in characters.
const TOKEN_MAX: usize = 16 * 1024;
/// The sizes of RSA moduli that are taken, in bytes: 2048 to 4096 bits.
const RSA_SIZES: RangeInclusive<usize> = 256..=512;
/// The most keys of an issuer that are kept.
const KEYS_MAX: usize = 64;

/// A key as an issuer shows it, as far as it is looked at.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwks {
    /// The keys in an issuer's answer. What cannot be read as a key here, such as one without `kty`, is left out: it is nothing to
    /// those that can (RFC 7517, 5). Keys of other algorithms stay: a later token may name one, and is then refused by name.
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Shown<'b> {
            #[serde(borrow)]
            keys: Vec<&'b RawValue>,
        }
        let shown: Shown<'_> = serde_json::from_slice(body).ok()?;
        let keys = shown.keys.iter().filter_map(|key| serde_json::from_str(key.get()).ok()).take(KEYS_MAX);
        Some(Self { keys: keys.collect() })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// Why a token is not taken.
#[derive(Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No key of the issuer's is the one it names: there may be newer ones.
    UnknownKey,
    /// Because of this.
    Wrong(&'static str),
}

/// What a token claims, if one of these keys signed it.
pub fn claims(token: &str, jwks: &Jwks) -> Result<Claims, Refusal> {
    use Refusal::Wrong;
    if token.len() > TOKEN_MAX {
        return Err(Wrong("it is too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Wrong("it is no JSON Web Signature"))?;
    let (header, payload) = signed.split_once('.').ok_or(Wrong("it is no JSON Web Signature"))?;
    let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| Wrong("it is not in base64url"));
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Wrong("its header cannot be read"))?;
    if header.crit.is_some() {
        return Err(Wrong("it has extensions that must be understood and are not"));
    }
    let kty = match header.alg.as_str() {
        "RS256" => "RSA",
        "ES256" => "EC",
        _ => return Err(Wrong("it is not signed with RS256 or ES256")),
    };
    let is_meant = |key: &&Jwk| match &header.kid {
        Some(kid) => key.kid.as_ref() == Some(kid),
        None => key.kty == kty,
    };
    let meant = jwks.keys.iter().filter(is_meant).filter(|key| key.purpose.as_deref().is_none_or(|purpose| purpose == "sig"));
    let mut meant: Vec<&Jwk> = meant.collect();
    // Keys of several kinds may have one name (RFC 7517, 4.5).
    meant.sort_by_key(|key| key.kty != kty);
    let key = *meant.first().ok_or(Refusal::UnknownKey)?;
    if header.kid.is_none() && meant.len() > 1 {
        return Err(Wrong("it does not say which of several keys signed it"));
    }
    if key.kty != kty || key.alg.as_ref().is_some_and(|alg| *alg != header.alg) {
        return Err(Wrong("its algorithm is not that of the key"));
    }
    let signature = decode(signature)?;
    let right = if kty == "RSA" { is_rs256(key, signed, &signature) } else { is_es256(key, signed, &signature) };
    if right != Some(true) {
        return Err(Wrong("its signature is wrong"));
    }
    serde_json::from_slice(&decode(payload)?).map_err(|_| Wrong("its claims cannot be read"))
}

fn number(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_ref()?).ok()
}

fn is_rs256(key: &Jwk, signed: &str, signature: &[u8]) -> Option<bool> {
    let hash = Sha256::digest(signed.as_bytes());
    let (n, e) = (number(&key.n)?, number(&key.e)?);
    Some(verifies(Key { n: &n, e: &e }, RSA_SIZES, Hash::Sha256, &hash, signature))
}

fn is_es256(key: &Jwk, signed: &str, signature: &[u8]) -> Option<bool> {
    if key.crv.as_deref() != Some("P-256") {
        return None;
    }
    let (x, y) = (number(&key.x)?, number(&key.y)?);
    if x.len() != 32 || y.len() != 32 {
        return None;
    }
    let key = VerifyingKey::from_sec1_bytes(&[&[4], &x[..], &y].concat()).ok()?;
    Some(key.verify(signed.as_bytes(), &Signature::from_slice(signature).ok()?).is_ok())
}
