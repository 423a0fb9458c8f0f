//! Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again gets the first answer.
//!
//! The answer is kept in the transaction of the change it answers, so there is no moment at which one is there without
//! the other. A request that was refused changed nothing and is not kept: sent again, it is judged again. While the
//! first request still runs, a second with its key waits for the write lock and then gets the first answer.

use crate::{Answer, secret};
use domain::{Error, Kind, Result};
use store::idempotency::Answered;

/// What makes two requests the same.
pub(crate) struct Fingerprint<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub acting: &'a str,
    pub body: [u8; 32],
}

/// The key of a request, ready for use.
pub(crate) struct Key {
    /// What is stored of the key.
    pub hash: String,
    fingerprint: String,
    /// Seals the answer. It needs the key itself and the hub's data key, and neither is in the database.
    seal: [u8; 32],
}

impl Key {
    pub fn new(header: &[u8], data_key: &str, what: &Fingerprint<'_>) -> Result<Self> {
        let key = std::str::from_utf8(header)
            .ok()
            .filter(|key| !key.is_empty() && key.len() <= 255 && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
            .ok_or_else(|| {
                Error::malformed(
                    "bad_idempotency_key",
                    "The Idempotency-Key must have 1 to 255 visible ASCII characters; a random UUID is a good one.",
                )
            })?;
        Ok(Self {
            hash: secret::hash(key),
            fingerprint: secret::hex(&secret::digest(&[
                what.method.as_bytes(),
                what.target.as_bytes(),
                what.acting.as_bytes(),
                &what.body,
            ])),
            seal: secret::key(data_key, "idempotency", &[key]),
        })
    }

    /// The first answer, if this is the first request sent again.
    pub fn replay(&self, first: Answered) -> Result<Answer> {
        if first.fingerprint != self.fingerprint {
            return Err(Error::new(
                Kind::Invalid,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request. Send a new key with a new request; repeat a request exactly to get its first answer again.",
            ));
        }
        let (headers, body): (Vec<(String, String)>, Option<String>) =
            serde_json::from_slice(&secret::open(&self.seal, &first.answer)?)
                .map_err(|error| Error::unavailable(format!("a kept answer cannot be read: {error}")))?;
        let mut answer = Answer::new(first.status as u16);
        answer.headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        answer.body = body.map(String::into_bytes);
        answer.headers.push(("idempotency-replayed".into(), "true".into()));
        Ok(answer)
    }

    /// The answer as it is kept.
    pub fn keep(&self, answer: &Answer) -> Result<Answered> {
        let body = answer
            .body
            .as_deref()
            .map(std::str::from_utf8)
            .transpose()
            .map_err(|_| Error::unavailable("an answer is not text"))?;
        let kept = serde_json::to_vec(&(&answer.headers, body)).map_err(|error| Error::unavailable(error.to_string()))?;
        Ok(Answered {
            fingerprint: self.fingerprint.clone(),
            status: u32::from(answer.status),
            answer: secret::seal(&self.seal, &kept)?,
        })
    }
}
