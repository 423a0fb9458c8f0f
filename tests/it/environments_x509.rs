//! Which chains and keys can be installed together, natively: every kind of a wrong pair.

use crate::environments_certificates_support::{chain, pem};
use environments::x509::pair::{InstallablePair, Pair, examine};
use proptest::prelude::*;
use tests::start_of_tests;

fn now() -> domain::Instant {
    let since = start_of_tests().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    domain::Instant::from_timestamp_millis(since.as_millis() as i64).unwrap()
}

fn ask(
    certificate: String,
    private_key: String,
    key_password: Option<&str>,
    hosts: &[&str],
) -> Result<InstallablePair, Vec<String>> {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let pair = Pair { certificate: &certificate, private_key: &private_key, key_password };
    examine(&pair, now())
        .for_hosts(&hosts)
        .cloned()
        .map_err(|faults| faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect())
}

fn pair(chain_of: &[&str], key: &str) -> Result<InstallablePair, Vec<String>> {
    ask(chain(chain_of), pem(key), None, &[])
}

#[track_caller]
fn refused(asked: Result<InstallablePair, Vec<String>>, pointer: &str, words: &str) {
    let faults = asked.err().unwrap_or_else(|| panic!("it is taken; it should be refused for: {words}"));
    assert!(faults.iter().any(|fault| fault.starts_with(pointer) && fault.contains(words)), "{faults:?} should say {words}");
}

#[test]
fn keys_of_every_kind_are_taken_with_what_is_known_of_their_certificates() {
    for (names, key, kind) in [
        (&["server", "issuing", "root"][..], "server.key", "EC P-256"),
        (&["server", "issuing"], "server.sec1", "EC P-256"),
        (&["p384", "issuing", "root"], "p384.key", "EC P-384"),
        (&["rsa", "rsa_root"], "rsa.key", "RSA-2048"),
        (&["rsa", "rsa_root"], "rsa.pkcs1", "RSA-2048"),
        (&["rsa8192"], "rsa8192.key", "RSA-8192"),
        (&["ed25519", "ed_root"], "ed25519.key", "Ed25519"),
        (&["self"], "self.key", "RSA-2048"),
        (&["server"], "server.key", "EC P-256"),
    ] {
        let checked = pair(names, key).unwrap_or_else(|faults| panic!("{names:?}: {faults:?}"));
        assert_eq!(checked.facts.key_type, kind);
        assert!(checked.private_key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(checked.certificate.matches("BEGIN CERTIFICATE").count(), names.len());
        // What comes out goes in again, and comes to the same.
        let again = ask(checked.certificate.clone(), checked.private_key.clone(), None, &[]).unwrap();
        assert_eq!((again.facts, again.private_key), (checked.facts, checked.private_key));
    }
}

/// The facts are what OpenSSL says they are.
#[test]
fn what_is_known_of_a_certificate_is_what_another_implementation_says() {
    let facts = pair(&["server", "issuing", "root"], "server.key").unwrap().facts;
    let openssl = |arguments: &[&str]| {
        let path = format!("{}/data/certificates/server.pem", env!("CARGO_MANIFEST_DIR"));
        let output = std::process::Command::new("openssl").args(["x509", "-noout", "-in", &path]).args(arguments).output();
        String::from_utf8(output.expect("openssl").stdout).unwrap().trim().to_owned()
    };
    assert!(openssl(&["-fingerprint", "-sha256"]).ends_with(&facts.thumbprint), "{}", facts.thumbprint);
    assert!(openssl(&["-fingerprint", "-sha1"]).ends_with(&facts.thumbprint_sha1));
    assert_eq!(openssl(&["-subject", "-nameopt", "RFC2253"]), format!("subject={}", facts.subject));
    assert_eq!(openssl(&["-issuer", "-nameopt", "RFC2253"]), format!("issuer={}", facts.issuer));
    assert_eq!(openssl(&["-serial"]), format!("serial={}", facts.serial_number.replace(':', "")));
    assert_eq!(facts.names, ["vcd.example.com", "*.cells.example.com", "10.1.2.3"]);
    assert_eq!(
        (facts.valid_from.to_string(), facts.valid_to.to_string()),
        ("2026-01-01T00:00:00.000Z".into(), "2028-11-21T12:00:00.000Z".into())
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_whatever_it_is() {
    for key in ["renewed.key", "p384.key", "rsa.key", "ed25519.key", "p521.key"] {
        refused(pair(&["server", "issuing"], key), "/privateKey", "is not that of the certificate");
    }
    for key in ["self.key", "rsa8192.key", "server.key"] {
        refused(pair(&["rsa", "rsa_root"], key), "/privateKey", "is not that of the certificate");
    }
    refused(pair(&["ed25519", "ed_root"], "ed_root.key"), "/privateKey", "is not that of the certificate");
    refused(pair(&["server", "issuing"], "server"), "/privateKey", "has no private key");
    refused(ask(pem("server"), chain(&["server.key", "rsa.key"]), None, &[]), "/privateKey", "more than the private key");
    refused(ask(pem("server"), "garbage".into(), None, &[]), "/privateKey", "has no private key");
    refused(ask(pem("server.key"), pem("server.key"), None, &[]), "/certificate", "something else than a certificate");
}

#[test]
fn an_encrypted_key_needs_its_password() {
    let secret = Some("correct horse");
    let with = |name: &str, key: &str, password| ask(pem(name), pem(key), password, &[]);
    for (name, key) in [("server", "server.pbes2"), ("rsa", "rsa.pbes2")] {
        let checked = with(name, key, secret).unwrap();
        assert_eq!(checked.private_key, with(name, &format!("{name}.key"), None).unwrap().private_key);
        refused(with(name, key, None), "/keyPassword", "is missing");
        refused(with(name, key, Some("wrong horse")), "/keyPassword", "is not that of the private key");
    }
    refused(with("server", "server.key", secret), "/keyPassword", "leave it out");
    for key in ["server.scrypt", "server.des3"] {
        refused(with("server", key, secret), "/privateKey", "openssl pkcs8 -topk8");
    }
    refused(with("server", "server.slow", secret), "/privateKey", "more rounds");
    refused(with("rsa", "rsa.legacy", secret), "/privateKey", "old way");
}

#[test]
fn a_chain_is_in_order_and_each_is_signed_by_the_next() {
    let key = "server.key";
    refused(pair(&["server", "root", "issuing"], key), "/certificate", "out of order: after certificate 1 stands");
    refused(pair(&["issuing", "server", "root"], key), "/certificate", "out of order");
    refused(pair(&["server", "rsa_root"], key), "/certificate", "out of order");
    // Of the same name as the root, and with another key.
    refused(
        pair(&["server", "issuing", "other"], key),
        "/certificate",
        "certificate 2 with a signature that is not of the key of",
    );
    refused(pair(&["under", "server", "issuing"], "under.key"), "/certificate", "certificate 2, which may not sign others");
    refused(pair(&["server"; 11], key), "/certificate", "at most 10");
    // A bit of the signature, and a bit of what is signed.
    let der = block(&pem("self"));
    for place in [der.len() - 1, der.len() - 100, 200] {
        let mut other = der.clone();
        other[place] ^= 1;
        let faults = ask(written(&other), pem("self.key"), None, &[]).unwrap_err();
        assert!(faults.iter().any(|fault| fault.starts_with("/certificate")), "at {place}: {faults:?}");
    }
}

#[test]
fn certificates_that_nobody_would_take_are_refused() {
    for (names, key, words) in [
        (&["expired", "issuing"][..], "expired.key", "ended at 2026-11-21T11:59:59.000Z by its certificate 1"),
        (&["early", "issuing"], "early.key", "is valid only from 2026-11-21T12:00:01.000Z"),
        (&["nameless", "issuing"], "nameless.key", "no subject alternative names"),
        (&["client", "issuing"], "client.key", "serverAuth"),
        (&["sha1", "rsa_root"], "sha1.key", "SHA-1"),
        (&["pss", "rsa_root"], "pss.key", "RSASSA-PSS"),
        (&["weak", "issuing"], "weak.key", "RSA-1024"),
        (&["p521", "issuing"], "p521.key", "not taken"),
    ] {
        refused(pair(names, key), "/certificate", words);
    }
    let long = "x".repeat(64 * 1024 + 1);
    refused(ask(long, pem("server.key"), None, &[]), "/certificate", "too large");
    refused(ask(pem("server"), "x".repeat(16 * 1024 + 1), None, &[]), "/certificate", "too large");
    for garbage in ["", "garbage", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"] {
        assert!(ask(garbage.into(), pem("server.key"), None, &[]).is_err(), "{garbage}");
    }
}

#[test]
fn it_is_for_the_hosts_at_which_the_product_is_reached() {
    let at = |hosts: &[&str]| ask(pem("server"), pem("server.key"), None, hosts);
    at(&["vcd.example.com", "VCD.example.com", "one.cells.example.com", "10.1.2.3"]).unwrap();
    for host in ["example.com", "cells.example.com", "a.b.cells.example.com", "10.1.2.4", "vcd.example.com.evil.com", "::1"] {
        refused(at(&[host]), "/certificate", &format!("is not for {host}"));
    }
}

fn block(pem: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn written(der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn key_written(der: &[u8], label: &str) -> String {
    written(der).replace("CERTIFICATE", label)
}

/// The tag of the issuer's text changed: it is still a certificate that names itself, and its own key does not say so.
#[test]
fn a_name_in_another_kind_of_string_is_the_same_name() {
    let mut der = block(&pem("self"));
    assert_eq!(der[87], 0x0c);
    der[87] = 0x13;
    refused(ask(written(&der), pem("self.key"), None, &[]), "/certificate", "a signature that is not of the key of");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes in the place of a certificate or a key, the answer is an answer; and what was changed anywhere is not
    /// taken for what it was.
    #[test]
    fn no_damage_makes_a_check_panic_or_succeed(place in 0usize..2000, bit in 0u8..8, cut: bool, which in 0usize..4) {
        let (name, key, label) =
            [("self", "self.key", "PRIVATE KEY"), ("rsa8192", "rsa8192.key", "PRIVATE KEY"), ("self", "rsa.pkcs1", "RSA PRIVATE KEY"),
             ("server", "server.sec1", "EC PRIVATE KEY")][which];
        let damaged = |mut der: Vec<u8>| {
            let place = place % der.len();
            if cut { der.truncate(place) } else { der[place] ^= 1 << bit }
            der
        };
        let certificate = ask(written(&damaged(block(&pem(name)))), pem(key), None, &[]);
        // One that stands alone and that another signed, or seems to have, has a signature that nobody can look at.
        prop_assert!(certificate.is_err() || certificate.is_ok_and(|checked| checked.facts.issuer != checked.facts.subject));
        let damaged = ask(pem(name), key_written(&damaged(block(&pem(key))), label), None, &[]);
        if let Ok(checked) = damaged {
            // What is beside a key's numbers is not looked at: the version, attributes, the public half said again.
            prop_assert_eq!(checked.facts, pair(&[name], key).unwrap().facts);
        }
    }

    #[test]
    fn no_text_makes_a_check_panic(certificate in "\\PC{0,300}", label in "[A-Z ]{0,12}", bytes: Vec<u8>) {
        let _ = ask(certificate, key_written(&bytes, &label), Some("x"), &[]);
        let _ = ask(written(&bytes), key_written(&bytes, "ENCRYPTED PRIVATE KEY"), Some("x"), &[]);
    }
}
