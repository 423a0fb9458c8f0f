//! PEM (RFC 7468): base64 between two lines that say what it is. What stands between blocks is not looked at.

use base64::{Engine, engine::general_purpose::STANDARD};

/// A block.
#[derive(Debug)]
pub struct Block<'a> {
    /// What it says that it is, for example `CERTIFICATE`.
    pub label: &'a str,
    /// What is in it; nothing, where that is not base64.
    pub der: Option<Vec<u8>>,
    /// Whether it has headers: those of keys that are encrypted in OpenSSL's old way.
    pub has_headers: bool,
}

/// The blocks of a text; nothing, where one has no end.
pub fn blocks(text: &str) -> Option<Vec<Block<'_>>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, begun) = begun.split_once("-----")?;
        let (body, after) = begun.split_once("-----END ")?;
        rest = after.strip_prefix(label)?.strip_prefix("-----")?;
        let has_headers = body.contains(':');
        let lean: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        found.push(Block { label, der: if has_headers { None } else { STANDARD.decode(lean).ok() }, has_headers });
    }
    Some(found)
}

/// A block, written.
pub fn written(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        // Base64 is ASCII.
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text + "-----END " + label + "-----\n"
}
