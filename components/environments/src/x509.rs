//! X.509 certificates and private keys: whether a chain and a key can be installed together. Nothing else in the hub reads X.509.

mod certificate;
mod der;
mod key;
pub mod pair;
mod pem;
