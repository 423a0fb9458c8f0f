//! X.509 certificates (RFC 5280), as far as it matters what they say: for whom, until when, and who signed it.

use super::der::{Reader, tag};
use chrono::NaiveDate;
use domain::Instant;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa_verify::{Hash, Key, verifies};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The sizes of RSA moduli that are taken, in bytes: 2048 to 8192 bits.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The object identifiers that are met here, as they are written in DER.
pub mod oid {
    pub const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    pub const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    pub const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    /// With SHA-1; and the first of a family whose last byte says which hash it is with.
    const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
    const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];

    /// How something is signed; or why such a signature is not taken.
    pub fn signature(oid: &[u8]) -> Result<super::Algorithm, &'static str> {
        use super::{Algorithm, Hash};
        match (oid, oid.split_last()) {
            (ED25519, _) => Ok(Algorithm::Ed25519),
            (RSA_SHA1 | ECDSA_SHA1, _) => Err("SHA-1, which anybody may forge"),
            (RSA_PSS, _) => Err("RSASSA-PSS, which the products do not take"),
            (_, Some((last, family))) => match (family == &RSA_SHA1[..8], family == ECDSA, last) {
                (true, _, 11) => Ok(Algorithm::Rsa(Hash::Sha256)),
                (true, _, 12) => Ok(Algorithm::Rsa(Hash::Sha384)),
                (true, _, 13) => Ok(Algorithm::Rsa(Hash::Sha512)),
                (_, true, 2) => Ok(Algorithm::Ecdsa(Hash::Sha256)),
                (_, true, 3) => Ok(Algorithm::Ecdsa(Hash::Sha384)),
                (_, true, 4) => Ok(Algorithm::Ecdsa(Hash::Sha512)),
                _ => Err("an algorithm that is not known here"),
            },
            _ => Err("an algorithm that is not known here"),
        }
    }
}

/// How something is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5.
    Rsa(Hash),
    /// ECDSA.
    Ecdsa(Hash),
    /// Ed25519.
    Ed25519,
}

/// A public key.
#[derive(Clone, Copy, Debug)]
pub enum PublicKey<'a> {
    /// RSA.
    Rsa(Key<'a>),
    /// A point of the curve P-256.
    P256(&'a [u8]),
    /// A point of the curve P-384.
    P384(&'a [u8]),
    /// Ed25519.
    Ed25519(&'a [u8; 32]),
}

impl<'a> PublicKey<'a> {
    /// The key of a SubjectPublicKeyInfo; nothing, where it is of a kind that is not taken.
    fn read(mut info: Reader<'a>) -> Option<Self> {
        let (kind, mut parameters) = info.algorithm()?;
        let bits = info.bits()?;
        match kind {
            oid::RSA => {
                let mut numbers = Reader(bits).sequence()?;
                Some(Self::Rsa(Key { n: numbers.number()?, e: numbers.number()? }))
            }
            oid::EC => match parameters.content(tag::OID)? {
                oid::P256 => Some(Self::P256(bits)),
                oid::P384 => Some(Self::P384(bits)),
                _ => None,
            },
            oid::ED25519 => bits.try_into().ok().map(Self::Ed25519),
            _ => None,
        }
    }

    /// What it is called: RSA with the number of bits, or the curve.
    pub fn name(&self) -> String {
        match self {
            Self::Rsa(key) => format!("RSA-{}", 8 * key.n.len()),
            Self::P256(_) => "EC P-256".to_owned(),
            Self::P384(_) => "EC P-384".to_owned(),
            Self::Ed25519(_) => "Ed25519".to_owned(),
        }
    }

    /// Whether it is an RSA key of a size that is not taken.
    pub fn is_out_of_bounds(&self) -> bool {
        matches!(self, Self::Rsa(key) if !RSA_SIZES.contains(&key.n.len()))
    }

    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::Rsa(key), Algorithm::Rsa(hash)) => verifies(*key, RSA_SIZES, hash, &digest(hash, message), signature),
            (Self::P256(point), Algorithm::Ecdsa(hash)) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok();
                let halves = halves::<32>(signature);
                let signature = halves.and_then(|(r, s)| p256::ecdsa::Signature::from_scalars(r, s).ok());
                matches!((key, signature), (Some(key), Some(signature)) if key.verify_prehash(&digest(hash, message), &signature).is_ok())
            }
            (Self::P384(point), Algorithm::Ecdsa(hash)) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok();
                let halves = halves::<48>(signature);
                let signature = halves.and_then(|(r, s)| p384::ecdsa::Signature::from_scalars(r, s).ok());
                // A shorter hash is what stands after zeros.
                let digest = digest(hash, message);
                let mut padded = vec![0; 48usize.saturating_sub(digest.len())];
                padded.extend_from_slice(&digest);
                matches!((key, signature), (Some(key), Some(signature)) if key.verify_prehash(&padded, &signature).is_ok())
            }
            (Self::Ed25519(key), Algorithm::Ed25519) => {
                let signature = ed25519_compact::Signature::from_slice(signature);
                signature.is_ok_and(|signature| ed25519_compact::PublicKey::new(**key).verify(message, &signature).is_ok())
            }
            _ => false,
        }
    }
}

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

/// The two numbers of an ECDSA signature.
fn halves<const N: usize>(signature: &[u8]) -> Option<([u8; N], [u8; N])> {
    let mut numbers = Reader(signature).sequence()?;
    let mut half = || {
        let number = numbers.number()?;
        let mut half = [0; N];
        half[N.checked_sub(number.len())?..].copy_from_slice(number);
        Some(half)
    };
    Some((half()?, half()?))
}

/// A certificate.
#[derive(Debug)]
pub struct Certificate<'a> {
    /// The whole of it.
    pub der: &'a [u8],
    /// Its serial number, big-endian.
    pub serial: &'a [u8],
    /// Who signed it.
    pub issuer: &'a [u8],
    /// Whom it is for.
    pub subject: &'a [u8],
    /// From when it is valid.
    pub from: Instant,
    /// Until when it is valid.
    pub to: Instant,
    /// The key that it is about; none where that is of a kind that is not taken.
    pub key: Option<PublicKey<'a>>,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// Whether a server may show it.
    pub serves: bool,
    /// How it is signed, or why that is not taken.
    pub algorithm: Result<Algorithm, &'static str>,
    signed: &'a [u8],
    signature: &'a [u8],
}

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const SERVER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

impl<'a> Certificate<'a> {
    /// Reads a certificate; nothing, where it is none.
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let mut parts = outer.sequence()?;
        outer.end()?;
        let signed = parts.take(tag::SEQUENCE)?;
        let signed_with = parts.take(tag::SEQUENCE)?;
        let signature = parts.bits()?;
        parts.end()?;
        let mut fields = Reader(signed.content);
        // The version, which may be missing.
        fields.take(0xa0);
        let serial = fields.content(tag::INTEGER)?;
        // The algorithm again, as it is signed.
        if fields.take(tag::SEQUENCE)?.whole != signed_with.whole {
            return None;
        }
        let (algorithm, _) = Reader(signed_with.whole).algorithm()?;
        let issuer = fields.take(tag::SEQUENCE)?.whole;
        let mut validity = fields.sequence()?;
        let subject = {
            let (from, to) = (time(&mut validity)?, time(&mut validity)?);
            (fields.take(tag::SEQUENCE)?.whole, from, to)
        };
        let key = PublicKey::read(fields.sequence()?);
        let mut certificate = Self {
            der,
            serial,
            issuer,
            subject: subject.0,
            from: subject.1,
            to: subject.2,
            key,
            names: Vec::new(),
            is_ca: false,
            serves: true,
            algorithm: oid::signature(algorithm),
            signed: signed.whole,
            signature,
        };
        // Unique identifiers, which nobody has.
        fields.take(0x81);
        fields.take(0x82);
        if let Some(extensions) = fields.content(0xa3) {
            certificate.extend(Reader(extensions).sequence()?)?;
        }
        fields.end()?;
        Some(certificate)
    }

    fn extend(&mut self, mut extensions: Reader<'a>) -> Option<()> {
        let mut may_sign = true;
        while !extensions.0.is_empty() {
            let mut extension = extensions.sequence()?;
            let name = extension.content(tag::OID)?;
            extension.take(tag::BOOLEAN);
            let mut value = Reader(extension.content(tag::OCTET_STRING)?);
            match name {
                BASIC_CONSTRAINTS => {
                    self.is_ca = value.sequence()?.content(tag::BOOLEAN).is_some_and(|is| is != [0]);
                }
                // keyCertSign is the sixth bit.
                KEY_USAGE => may_sign = value.content(tag::BIT_STRING)?.get(1)? & 0x04 != 0,
                EXTENDED_KEY_USAGE => {
                    let mut usages = value.sequence()?;
                    self.serves = false;
                    while let Some(usage) = usages.content(tag::OID) {
                        self.serves |= usage == SERVER || usage == ANY_USAGE;
                    }
                }
                ALTERNATIVE_NAMES => {
                    let mut names = value.sequence()?;
                    while let Some(name) = names.next() {
                        self.names.extend(alternative_name(name.tag, name.content));
                    }
                }
                _ => {}
            }
        }
        self.is_ca &= may_sign;
        Some(())
    }

    /// Whether another certificate's key signed this one.
    pub fn is_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        let Ok(algorithm) = self.algorithm else { return false };
        issuer.key.is_some_and(|key| key.verifies(algorithm, self.signed, self.signature))
    }
}

/// Whether one of a certificate's names is a host: a name in the DNS, or an address.
pub fn is_for(names: &[String], host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    names.iter().any(|name| match (address, name.strip_prefix("*.")) {
        (Some(address), _) => name.parse() == Ok(address),
        (None, None) => name.eq_ignore_ascii_case(host),
        // A star stands for one label.
        (None, Some(domain)) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
    })
}

/// A name that somebody could ask for: in the DNS, or an address.
fn alternative_name(tag: u8, content: &[u8]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._*".contains(byte);
    match (tag, content.len()) {
        (0x82, 1..=253) if content.iter().all(is_name) => String::from_utf8(content.to_vec()).ok(),
        (0x87, 4) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?).to_string()),
        (0x87, 16) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?).to_string()),
        _ => None,
    }
}

/// The instant that is next: `YYMMDDHHMMSSZ`, or with four digits of the year.
fn time(reader: &mut Reader<'_>) -> Option<Instant> {
    let element = reader.next()?;
    let text = element.content.strip_suffix(b"Z")?;
    let mut digits = text.iter().map(|byte| byte.is_ascii_digit().then(|| u32::from(byte - b'0')));
    let mut two = || Some(10 * digits.next()?? + digits.next()??);
    let year = match (element.tag, text.len()) {
        // RFC 5280, 4.1.2.5.1.
        (tag::UTC_TIME, 12) => two().map(|year| if year < 50 { 2000 + year } else { 1900 + year })?,
        (tag::GENERALIZED_TIME, 14) => 100 * two()? + two()?,
        _ => return None,
    };
    let date = NaiveDate::from_ymd_opt(year as i32, two()?, two()?)?;
    Some(date.and_hms_opt(two()?, two()?, two()?)?.and_utc().into())
}

/// A name (RFC 4514): its parts, the last one first, as it is customary. At most 500 characters are shown.
pub fn name(der: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut sets = Reader(der).sequence().unwrap_or(Reader(&[]));
    while let Some(set) = sets.content(tag::SET) {
        let mut pairs = Reader(set);
        while let Some(mut pair) = pairs.sequence() {
            if let (Some(kind), Some(value)) = (pair.content(tag::OID), pair.next()) {
                parts.push(format!("{}={}", attribute(kind), text(value.tag, value.content)));
            }
        }
    }
    parts.reverse();
    parts.join(",").chars().take(500).collect()
}

/// Whether two names are of one: the kind of string that a text is written as does not count (RFC 5280, 7.1).
pub fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    one == other || name(one) == name(other)
}

fn attribute(kind: &[u8]) -> &'static str {
    match kind {
        [0x55, 0x04, 3] => "CN",
        [0x55, 0x04, 5] => "SERIALNUMBER",
        [0x55, 0x04, 6] => "C",
        [0x55, 0x04, 7] => "L",
        [0x55, 0x04, 8] => "ST",
        [0x55, 0x04, 10] => "O",
        [0x55, 0x04, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        _ => "?",
    }
}

/// A text, with a backslash before what would be taken for the end of it, and without what is not to be printed.
fn text(tag: u8, content: &[u8]) -> String {
    let plain = match tag {
        tag::BMP_STRING => {
            let units: Vec<u16> =
                content.chunks(2).map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte))).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(content).into_owned(),
    };
    let mut text = String::new();
    for character in plain.chars().filter(|character| !character.is_control()) {
        if ",+\"\\<>;=".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
