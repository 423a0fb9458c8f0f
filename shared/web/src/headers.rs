//! The headers of a request, as they came.

use domain::{Error, Result};
use spin_sdk::wasip3::http::types::Fields;

/// Names and values, which stay with the host: a request has a dozen of them, those that the host adds for others included, and
/// is asked for two or three. To have them all brought over costs more than to ask for those.
pub struct Headers(Fields);

impl Headers {
    pub(crate) fn new(headers: Fields) -> Self {
        Self(headers)
    }

    /// The first header of this name, in whichever case it came.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).into_iter().next()
    }

    /// Refuses a header that is there twice, for a part of the way here may have read one of them and the hub the other.
    pub fn check_single(&self, name: &str) -> Result<()> {
        if self.0.get(name).len() > 1 {
            return Err(Error::malformed(
                "repeated_header",
                format!("The header {name} is there more than once. Send it once, with one value."),
            ));
        }
        Ok(())
    }

    /// The first header of this name as text; empty when it is no text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(text)
    }

    /// Every header of this name as text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = String> {
        self.0.get(name).into_iter().map(text)
    }
}

/// Visible ASCII, which is all that a header should have (RFC 9110, 5.5): what else came is taken for nothing.
fn text(value: Vec<u8>) -> String {
    match value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        true => String::from_utf8(value).unwrap_or_default(),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_should_have_is_taken_for_nothing() {
        for (value, said) in [(&b"a \tb~"[..], "a \tb~"), (b"\xff", ""), (b"a\nb", ""), ("\u{e9}".as_bytes(), ""), (b"", "")] {
            assert_eq!(text(value.to_vec()), said);
        }
    }
}
