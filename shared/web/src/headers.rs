//! The headers of a request, as they came.

/// Names and values. A request has a dozen of them and a handler asks for two or three, so they are looked through and
/// not sorted into a map, which would be more work for every request than all the looking.
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    pub(crate) fn new(headers: Vec<(String, Vec<u8>)>) -> Self {
        Self(headers)
    }

    /// The first header of this name, which is given in lower case, as it came.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first header of this name as text; empty when it is no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(text)
    }

    /// Every header of this name as text.
    pub fn texts<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        self.all(name).map(text)
    }

    fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}

/// Visible ASCII, which is all that a header should have (RFC 9110, 5.5): what else came is taken for nothing.
fn text(value: &[u8]) -> &str {
    match value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        true => std::str::from_utf8(value).unwrap_or_default(),
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_however_it_is_written() {
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let headers = Headers::new(vec![header("Prefer", b"a"), header("x", b"\xff"), header("prefer", b"b"), header("y", b"")]);
        assert_eq!(
            (headers.text("prefer"), headers.text("x"), headers.text("y"), headers.text("z")),
            (Some("a"), Some(""), Some(""), None)
        );
        assert_eq!(headers.texts("prefer").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(headers.get("x"), Some(&b"\xff"[..]));
    }
}
