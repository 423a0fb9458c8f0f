//! Whether a chain of certificates and a private key can be installed together, and what is known of them then.

use super::{
    certificate::{Certificate, is_for, is_same_name, name},
    key::{PrivateKey, Refusal},
    pem,
};
use domain::{FieldError, Instant};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The most certificates of a chain.
const LONGEST: usize = 10;
/// The largest chain and the largest key, in bytes.
const LARGEST: (usize, usize) = (64 * 1024, 16 * 1024);
/// The most names of a certificate that are looked at.
const NAMES: usize = 200;

/// A chain of certificates and its private key, as they are sent.
pub struct Pair<'a> {
    /// The certificate, and whoever signed it after it, in PEM.
    pub certificate: &'a str,
    /// The private key, in PEM.
    pub private_key: &'a str,
    /// The password of the private key, if it has one.
    pub key_password: Option<&'a str>,
}

/// A pair that can be installed, with what is known of it.
#[derive(Clone, Debug)]
pub struct InstallablePair {
    /// What is known of the certificate.
    pub facts: domain::certificate::Certificate,
    /// The chain in PEM, and nothing else.
    pub certificate: String,
    /// The key in PKCS#8 in PEM, under no password.
    pub private_key: String,
}

/// What is found out about a pair before it is known for which hosts it has to be.
#[derive(Default)]
pub struct Examination {
    chain_faults: Vec<FieldError>,
    key_faults: Vec<FieldError>,
    /// The names that the certificate is for.
    names: Vec<String>,
    pair: Option<InstallablePair>,
}

impl Examination {
    /// The pair, if it can be installed where these hosts are; every fault is named with its field.
    pub fn for_hosts(&self, hosts: &[String]) -> Result<&InstallablePair, Vec<FieldError>> {
        let mut faults = self.chain_faults.clone();
        // A chain that cannot be read, or is for nobody, has that as its fault.
        let hosts = hosts.iter().filter(|host| !self.names.is_empty() && !is_for(&self.names, host));
        faults.extend(hosts.map(|host| FieldError {
            pointer: "/certificate".to_owned(),
            detail: format!("is not for {host}, where the product is reached; it is for {}", some(&self.names)),
        }));
        faults.extend_from_slice(&self.key_faults);
        match &self.pair {
            Some(pair) if faults.is_empty() => Ok(pair),
            _ => Err(faults),
        }
    }
}

/// Examines a pair.
pub fn examine(pair: &Pair<'_>, now: Instant) -> Examination {
    let mut examination = Examination::default();
    let faults = &mut examination.chain_faults;
    let mut fault = |detail: String| faults.push(FieldError { pointer: "/certificate".to_owned(), detail });
    if pair.certificate.len() > LARGEST.0 || pair.private_key.len() > LARGEST.1 {
        fault(format!("is too large; the chain may have {} bytes and the key {}", LARGEST.0, LARGEST.1));
        return examination;
    }
    let blocks: Vec<Vec<u8>> = match blocks(pair.certificate) {
        Ok(blocks) => blocks,
        Err(wrong) => {
            fault(wrong);
            return examination;
        }
    };
    let read: Option<Vec<Certificate<'_>>> = blocks.iter().map(|der| Certificate::read(der)).collect();
    let Some(chain) = read.filter(|chain| !chain.is_empty()) else {
        let place = blocks.iter().position(|der| Certificate::read(der).is_none()).unwrap_or_default();
        fault(format!("has no X.509 certificate that can be read as its {}", nth(place)));
        return examination;
    };
    for (place, certificate) in chain.iter().enumerate() {
        for wrong in look(place, certificate, chain.get(place + 1), now) {
            fault(wrong);
        }
    }
    let leaf = &chain[0];
    if !leaf.serves {
        fault("may not be shown by servers; ask for one with the extended key usage serverAuth".into());
    }
    if leaf.names.is_empty() {
        fault("has no subject alternative names, and by its subject alone it is taken by nobody".into());
    }
    let mut key_fault = |pointer: &str, detail: &str| {
        examination.key_faults.push(FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() });
        None
    };
    let key = match (PrivateKey::read(pair.private_key, pair.key_password), &leaf.key) {
        (Ok(key), Some(public)) if !public.is_out_of_bounds() => match key.is_of(public) {
            Ok(()) => Some((key, public)),
            Err(wrong) => key_fault("/privateKey", wrong),
        },
        (Ok(_), _) => None,
        (Err(Refusal::Key(wrong)), _) => key_fault("/privateKey", wrong),
        (Err(Refusal::Password(wrong)), _) => key_fault("/keyPassword", wrong),
    };
    examination.names = leaf.names.clone();
    examination.pair = key.map(|(key, public)| InstallablePair {
        facts: domain::certificate::Certificate {
            thumbprint: bytes(&Sha256::digest(leaf.der)),
            thumbprint_sha1: bytes(&Sha1::digest(leaf.der)),
            subject: name(leaf.subject),
            issuer: name(leaf.issuer),
            serial_number: bytes(leaf.serial),
            key_type: public.name(),
            names: leaf.names.iter().take(NAMES).cloned().collect(),
            valid_from: chain.iter().map(|certificate| certificate.from).max().unwrap_or(leaf.from),
            valid_to: chain.iter().map(|certificate| certificate.to).min().unwrap_or(leaf.to),
        },
        certificate: chain.iter().map(|certificate| pem::written("CERTIFICATE", certificate.der)).collect(),
        private_key: key.to_pem(),
    });
    examination
}

/// The certificates of a text in PEM.
fn blocks(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let none =
        || "has no certificate; give it in PEM, from -----BEGIN CERTIFICATE----- on, and who signed it after it".to_owned();
    let blocks = pem::blocks(text).ok_or_else(none)?;
    if blocks.is_empty() {
        return Err(none());
    }
    if blocks.len() > LONGEST {
        return Err(format!("has {} certificates; at most {LONGEST} are allowed", blocks.len()));
    }
    let mut found = Vec::new();
    for (place, block) in blocks.into_iter().enumerate() {
        match (block.label, block.der) {
            ("CERTIFICATE" | "X509 CERTIFICATE", Some(der)) => found.push(der),
            ("CERTIFICATE" | "X509 CERTIFICATE", None) => return Err(format!("is not in base64 in its {}", nth(place))),
            // The label may be part of a key.
            _ => return Err(format!("has something else than a certificate as its {}", nth(place))),
        }
    }
    Ok(found)
}

fn nth(place: usize) -> String {
    format!("certificate {}", place + 1)
}

/// What is wrong with a certificate at its place in the chain.
fn look(place: usize, certificate: &Certificate<'_>, issuer: Option<&Certificate<'_>>, now: Instant) -> Vec<String> {
    let nth = nth(place);
    let mut wrong = Vec::new();
    match &certificate.key {
        None => wrong.push(format!("has a key as its {nth} that is not taken; take RSA, EC P-256 or P-384, or Ed25519")),
        Some(key) if key.is_out_of_bounds() => {
            wrong.push(format!("has the key {} as its {nth}; of RSA, 2048 to 8192 bits are taken", key.name()));
        }
        Some(_) => {}
    }
    if certificate.to <= now {
        wrong.push(format!("ended at {} by its {nth}; ask for a new one", certificate.to));
    }
    if certificate.from > now {
        wrong.push(format!("is valid only from {} by its {nth}; install it then", certificate.from));
    }
    if place > 0 && !certificate.is_ca {
        wrong.push(format!("has {nth}, which may not sign others; after each stands who signed it"));
    }
    let is_own = is_same_name(certificate.issuer, certificate.subject);
    let by = match issuer {
        Some(issuer) if !is_same_name(issuer.subject, certificate.issuer) => {
            wrong.push(format!(
                "is out of order: after {nth} stands {}, but who signed it is {}",
                name(issuer.subject),
                name(certificate.issuer)
            ));
            return wrong;
        }
        Some(issuer) => issuer,
        // A root's own signature is nobody's business; but one that stands alone vouches for itself.
        None if is_own && place == 0 => certificate,
        None => return wrong,
    };
    if let Err(algorithm) = certificate.algorithm {
        wrong.push(format!(
            "is signed with {algorithm} in its {nth}; take one signed with SHA-256, SHA-384 or SHA-512, or Ed25519"
        ));
    } else if by.key.is_some_and(|key| !key.is_out_of_bounds()) && !certificate.is_signed_by(by) {
        wrong.push(format!("has {nth} with a signature that is not of the key of {}", name(by.subject)));
    }
    wrong
}

/// A few of the names.
fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = if names.len() > shown.len() { " and others" } else { "" };
    shown.join(", ") + more
}

/// In hexadecimal, with colons between.
fn bytes(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
