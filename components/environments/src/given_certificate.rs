//! Certificates in a requested change: examined before the transaction, for that takes time, and installed inside it.
//!
//! What is known of a certificate stands in its product; the chain and the key stand among the secrets of the environment.

use crate::x509::pair::{Examination, Pair, examine};
use domain::{Error, FieldError, Instant, Result, environment::hosts};
use serde_json::{Map, Value};

/// The JSON pointer of a certificate's chain among the secrets of an environment.
pub(crate) fn chain_pointer(at: usize) -> String {
    format!("/products/{at}/certificate/certificate")
}

fn key_pointer(at: usize) -> String {
    format!("/products/{at}/certificate/privateKey")
}

/// The products of an environment before a change, and its secrets by their JSON pointers.
pub(crate) struct Before<'a> {
    pub(crate) products: &'a Value,
    pub(crate) secrets: &'a Map<String, Value>,
}

impl Before<'_> {
    /// Where the product stands that has this id and this certificate.
    fn position(&self, product_id: &Value, thumbprint: &str) -> Option<usize> {
        let is = |product: &Value| product["productId"] == *product_id && product["certificate"]["thumbprint"] == thumbprint;
        self.products.as_array()?.iter().position(is)
    }
}

/// The certificate of a product in a requested change.
pub(crate) enum GivenCertificate {
    /// The product has none.
    None,
    /// The one that the product has already.
    Kept {
        /// Its SHA-256.
        thumbprint: String,
    },
    /// Another one, of which this field is missing.
    Incomplete(&'static str),
    /// Another one.
    New(Box<Examination>),
}

impl GivenCertificate {
    /// Reads a certificate of a request's body.
    pub(crate) fn read(certificate: &Value, now: Instant) -> Self {
        let text = |field: &str| certificate[field].as_str();
        match (text("certificate"), text("privateKey"), text("thumbprint")) {
            _ if certificate.is_null() => Self::None,
            (None, None, Some(thumbprint)) => Self::Kept { thumbprint: thumbprint.to_owned() },
            (None, ..) => Self::Incomplete("/certificate"),
            (_, None, _) => Self::Incomplete("/privateKey"),
            (Some(certificate), Some(private_key), _) => {
                let pair = Pair { certificate, private_key, key_password: text("keyPassword") };
                Self::New(Box::new(examine(&pair, now)))
            }
        }
    }

    /// Puts into a product, and among the secrets, what it has by this certificate. `pointer`: where the request has it.
    pub(crate) fn install(
        &self,
        product: &mut Value,
        at: usize,
        pointer: &str,
        before: Option<&Before<'_>>,
        secrets: &mut Map<String, Value>,
    ) -> Result<()> {
        let refusal = |field: &str, detail: &str| {
            Error::invalid_fields(vec![FieldError { pointer: format!("{pointer}{field}"), detail: detail.to_owned() }])
        };
        match self {
            Self::None => Ok(()),
            Self::Incomplete(field) => Err(refusal(field, "is missing; a certificate is installed with its key")),
            Self::Kept { thumbprint } => {
                let found = before.and_then(|before| Some((before, before.position(&product["productId"], thumbprint)?)));
                let (before, was_at) = found.ok_or_else(|| {
                    refusal("/thumbprint", "is not that of the certificate that the product has; send certificate and privateKey")
                })?;
                for (pointer, was) in [(chain_pointer(at), chain_pointer(was_at)), (key_pointer(at), key_pointer(was_at))] {
                    secrets.insert(pointer, before.secrets.get(&was).cloned().unwrap_or_default());
                }
                product["certificate"] = before.products[was_at]["certificate"].clone();
                Ok(())
            }
            Self::New(examination) => {
                let pair = examination.for_hosts(&hosts(product)).map_err(|mut faults| {
                    faults.iter_mut().for_each(|fault| fault.pointer.insert_str(0, pointer));
                    Error::invalid_fields(faults)
                })?;
                secrets.insert(chain_pointer(at), pair.certificate.as_str().into());
                secrets.insert(key_pointer(at), pair.private_key.as_str().into());
                product["certificate"] = serde_json::to_value(&pair.facts)
                    .map_err(|error| Error::fault(format!("what is known of a certificate: {error}")))?;
                Ok(())
            }
        }
    }
}
