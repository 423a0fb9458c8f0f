//! Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again gets the first answer.
//!
//! The answer is kept in the transaction of the change it answers, so there is no moment at which one is there without
//! the other. A request that was refused changed nothing and is not kept: sent again, it is judged again. While the
//! first request still runs, a second with its key waits for the write lock and then gets the first answer.
//!
//! Answers are kept compressed, and of each principal the newest [`crate::limits::KEPT_ANSWERS`] bytes of them. Of older ones remains for the
//! rest of the day that they were given, so that a repeated request is refused and never carried out twice.

use crate::{Answer, secret};
use domain::{Error, Kind, Result};
use store::idempotency::Answered;

/// Above so many bytes an answer is worth compressing.
const WORTH: usize = 512;
/// How well: most of the gain, at little cost.
const LEVEL: u8 = 3;
/// What precedes a compressed answer; others begin with a bracket.
const COMPRESSED: u8 = 0;
/// More than an answer will ever be, in bytes.
const ANSWER: usize = 64 << 20;
/// How many hexadecimal digits of a SHA-256 tell the keys of one principal apart.
const DIGITS: usize = 32;

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
            hash: digits(secret::hash(key)),
            fingerprint: digits(secret::hex(&secret::digest(&[
                what.method.as_bytes(),
                what.target.as_bytes(),
                what.acting.as_bytes(),
                &what.body,
            ]))),
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
        if first.answer.is_empty() {
            return Err(forgotten(&first));
        }
        let (headers, body): (Vec<(String, String)>, Option<String>) =
            serde_json::from_slice(&unpacked(secret::open(&self.seal, &first.answer)?)?)
                .map_err(|error| Error::fault(format!("a kept answer cannot be read: {error}")))?;
        let mut answer = Answer::new(first.status as u16);
        answer.headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        answer.body = body.map(String::into_bytes);
        answer.headers.push(("idempotency-replayed".into(), "true".into()));
        Ok(answer)
    }

    /// The answer as it is kept.
    pub fn keep(&self, answer: &Answer) -> Result<Answered> {
        let body =
            answer.body.as_deref().map(std::str::from_utf8).transpose().map_err(|_| Error::fault("an answer is not text"))?;
        let kept = serde_json::to_vec(&(&answer.headers, body)).map_err(|error| Error::fault(error.to_string()))?;
        Ok(Answered {
            fingerprint: self.fingerprint.clone(),
            status: u32::from(answer.status),
            answer: secret::seal(&self.seal, &packed(kept))?,
            location: answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone()),
        })
    }
}

fn digits(mut hash: String) -> String {
    hash.truncate(DIGITS);
    hash
}

/// The refusal of a request that was carried out and whose answer is not kept any more.
fn forgotten(first: &Answered) -> Error {
    let found = first.location.as_ref().map(|location| format!(" What it made or changed is found with GET {location}."));
    Error::conflict(
        "idempotency_answer_forgotten",
        format!(
            "The request with this Idempotency-Key was carried out before, with status {}, and is not carried out again. Its answer is no longer kept, for many requests with keys came after it.{} Send a new key only if the request is to be carried out once more.",
            first.status,
            found.unwrap_or_default()
        ),
    )
}

fn packed(answer: Vec<u8>) -> Vec<u8> {
    if answer.len() < WORTH {
        return answer;
    }
    let mut packed = vec![COMPRESSED];
    packed.extend(miniz_oxide::deflate::compress_to_vec(&answer, LEVEL));
    packed
}

fn unpacked(kept: Vec<u8>) -> Result<Vec<u8>> {
    match kept.split_first() {
        Some((&COMPRESSED, packed)) => miniz_oxide::inflate::decompress_to_vec_with_limit(packed, ANSWER)
            .map_err(|error| Error::unavailable(format!("a kept answer cannot be unpacked: {error}"))),
        _ => Ok(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_and_hardly_longer(text in "\\[[ -~]{0,5000}") {
            let packed = packed(text.clone().into_bytes());
            prop_assert!(packed.len() <= text.len() + 16);
            prop_assert_eq!(unpacked(packed).unwrap(), text.into_bytes());
        }
    }

    #[test]
    fn a_long_answer_takes_a_fraction() {
        let row = r#"{"id":"org_01h455vb4pex5vsknk084sn02q","status":"CREATED","warnings":[]},"#;
        let text = format!("[{}]", row.repeat(1000)).into_bytes();
        assert!(packed(text.clone()).len() * 10 < text.len());
    }
}
