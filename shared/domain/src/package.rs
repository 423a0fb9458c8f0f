//! Package repositories: where they may be, what their index says, and what a look at a file amounts to.
//!
//! A repository is a folder behind HTTP. At its top is `index.json`, which lists every file with its size and SHA-256:
//!
//! ```json
//! {"formatVersion":1,"products":[{"code":"VCD","displayName":"Cloud Director","versions":[
//!   {"version":"10.5.1","files":[{"path":"vcd/10.5.1/appliance.ova","size":1234,"sha256":"…64 digits…"}]}]}]}
//! ```
//!
//! Fields that are not known here are passed over, so that an index can say more to others.

use crate::{Error, JsonSchema, Result, Text, json, text_enum};
use json_schema::is_hostname;
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeSet, fmt, net::Ipv6Addr, str::FromStr};

/// The name of the index, below the base URL.
pub const INDEX: &str = "index.json";
/// The largest index that is read, in bytes.
pub const MAX_INDEX: usize = 4 * 1024 * 1024;
/// The most files that an index may list.
pub const MAX_FILES: usize = 10_000;
/// The largest file: 1 TiB, in bytes.
pub const MAX_SIZE: u64 = 1 << 40;

text_enum! {
    /// Where reading an index, or verifying the files, stands.
    pub enum PackageWorkStatus {
        /// It was not asked for yet.
        NotStarted = "NOT_STARTED",
        /// It is under way.
        InProgress = "IN_PROGRESS",
        /// All is as it should be.
        Success = "SUCCESS",
        /// It is not; the message says why.
        Error = "ERROR",
    }
}

text_enum! {
    /// What is known of a package file.
    pub enum PackageFileStatus {
        /// It was not looked at since the index changed.
        Unverified = "UNVERIFIED",
        /// It is there as the index says.
        Verified = "VERIFIED",
        /// It is not there.
        Missing = "MISSING",
        /// It is there and longer or shorter than the index says.
        WrongSize = "WRONG_SIZE",
        /// It is there, of the right length, and is something else.
        WrongHash = "WRONG_HASH",
        /// The repository did not let it be read, however often it was asked.
        Unreadable = "UNREADABLE",
    }
}

/// Where a repository is: `https://host[:port][/path]`, or plain `http` on this machine's own loopback. Neither a
/// password nor a query belongs to it, and the hub's own inside cannot be named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The most characters.
    pub const MAX: usize = 500;

    /// The URL of a file below it.
    pub fn file(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("not the URL of a package repository: {why}; write https://host/path"));
        if text.len() > Self::MAX {
            return wrong("it is longer than 500 characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return wrong("it has no scheme") };
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
        // An authority in small letters has one spelling, so a repository cannot be registered twice.
        if authority.contains('@') || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return wrong("its host is to be written in small letters, without a name or password before it");
        }
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (address, port.strip_prefix(':')),
            Some(_) => return wrong("its host is no IPv6 address"),
            None => match authority.split_once(':') {
                Some((host, port)) if is_hostname(host) => (host, Some(port)),
                None if is_hostname(authority) => (authority, None),
                _ => return wrong("its host is no name of the Internet"),
            },
        };
        if port.is_some_and(|port| {
            port.starts_with('0') || !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().is_err()
        }) {
            return wrong("its port is none");
        }
        if host.ends_with(".spin.internal") || matches!(host, "self" | "self.alt") {
            return wrong("its host is the hub itself");
        }
        let loopback =
            host == "localhost" || host == "::1" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
        match scheme {
            "https" => {}
            "http" if loopback => {}
            "http" => return wrong("plain http is only for this machine (localhost, 127.0.0.1)"),
            _ => return wrong("its scheme is not https"),
        }
        if path.is_some_and(|path| !is_path(path)) {
            return wrong("its path has a slash at the end, a part such as .., a query, or characters that need an escape");
        }
        Ok(Self(text.to_owned()))
    }
}

impl json::Shown for BaseUrl {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string", "maxLength": Self::MAX, "pattern": "^https?://[^/?#@\\s]+(/[A-Za-z0-9._~+-]+)*$",
            "examples": ["https://packages.example.com/vcd"],
        })
    }
}
json::as_text!(BaseUrl);

/// Whether a text is a relative path of plain segments: nothing that would lead out of the repository, and nothing that
/// two programs could read in two ways.
fn is_path(text: &str) -> bool {
    text.split('/').all(|part| {
        !part.is_empty()
            && part.bytes().any(|byte| byte != b'.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~+-".contains(&byte))
    })
}

/// A file's place below the base URL, for example `vcd/10.5.1/appliance.ova`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FilePath(String);

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FilePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 400 || !is_path(text) {
            return Err("not a relative path of at most 400 characters; its parts are letters, digits and . _ ~ + -");
        }
        Ok(Self(text.to_owned()))
    }
}

impl json::Shown for FilePath {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "maxLength": 400, "pattern": "^[A-Za-z0-9._~+-]+(/[A-Za-z0-9._~+-]+)*$" })
    }
}
json::as_text!(FilePath);

/// A SHA-256 as 64 hexadecimal digits; it is kept in small letters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sha256(String);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sha256 {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("not a SHA-256 of 64 hexadecimal digits");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl json::Shown for Sha256 {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}
json::as_text!(Sha256);

/// What a repository's `index.json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    format_version: u32,
    products: Vec<Product>,
}

#[derive(Debug, Deserialize)]
struct Product {
    code: Text<1, 60>,
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: Text<1, 60>,
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    path: FilePath,
    #[serde(deserialize_with = "size")]
    size: u64,
    sha256: Sha256,
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(from)?;
    if size > MAX_SIZE {
        return Err(serde::de::Error::custom(format_args!("a size of {size} is above {MAX_SIZE}")));
    }
    Ok(size)
}

/// A file of an index, with what it is of.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub struct IndexedFile {
    /// The product's code.
    pub product_code: Text<1, 60>,
    /// The product's version.
    pub version: Text<1, 60>,
    /// Where it is.
    pub path: FilePath,
    /// How long it is, in bytes.
    pub size: u64,
    /// What it is.
    pub sha256: Sha256,
}

/// The files that an index lists, in its order; the reason for people when it is none that can be used.
pub fn read_index(bytes: &[u8]) -> Result<Vec<IndexedFile>, String> {
    let index: Index = serde_json::from_slice(bytes).map_err(|error| format!("{INDEX} is not an index: {error}."))?;
    if index.format_version != 1 {
        return Err(format!("{INDEX} has the formatVersion {}; this hub reads 1.", index.format_version));
    }
    let mut files = Vec::new();
    let (mut products, mut versions, mut paths) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for product in index.products {
        if !products.insert(product.code.clone()) {
            return Err(format!("{INDEX} has the product {} twice.", product.code));
        }
        for version in product.versions {
            if !versions.insert((product.code.clone(), version.version.clone())) {
                return Err(format!("{INDEX} has the version {} of {} twice.", version.version, product.code));
            }
            for File { path, size, sha256 } in version.files {
                if !paths.insert(path.clone()) {
                    return Err(format!("{INDEX} has the file {path} twice."));
                }
                let (product_code, version) = (product.code.clone(), version.version.clone());
                files.push(IndexedFile { product_code, version, path, size, sha256 });
                if files.len() > MAX_FILES {
                    return Err(format!("{INDEX} lists more than {MAX_FILES} files; split the repository."));
                }
            }
        }
    }
    Ok(files)
}

/// How long the next piece of a file is, in bytes.
pub const PIECE: u64 = 4 * 1024 * 1024;

/// What a repository's answer to a request for a piece of a file means, before its body is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// The body holds this many bytes from the offset asked for.
    Bytes(u64),
    /// The file is settled already.
    Settled(PackageFileStatus, String),
    /// The repository is not well; worth asking again.
    Fault(String),
}

/// Reads the head of an answer to a GET of the bytes from `offset` on, at most [`PIECE`] of them, of a file that should
/// have `size`. `content_range` is that header's text, `length` the declared length.
pub fn read_piece(status: u16, content_range: Option<&str>, length: Option<u64>, offset: u64, size: u64) -> Piece {
    let wanted = PIECE.min(size - offset);
    let wrong_size =
        |there: u64| Piece::Settled(PackageFileStatus::WrongSize, format!("It has {there} bytes where the index says {size}."));
    match status {
        206 => match content_range.and_then(range) {
            Some((_, _, Some(total))) if total != size => wrong_size(total),
            Some((first, last, _)) if first == offset && last + 1 - first == wanted => Piece::Bytes(wanted),
            _ => Piece::Fault(format!(
                "It was asked for the bytes from {offset} to {} and answered with others.",
                (offset + wanted).saturating_sub(1)
            )),
        },
        200 => match length {
            Some(there) if there != size => wrong_size(there),
            _ if offset == 0 && size <= PIECE => Piece::Bytes(size),
            _ => Piece::Settled(
                PackageFileStatus::Unreadable,
                format!("The repository does not serve parts of files (Range), which those above {PIECE} bytes need."),
            ),
        },
        // There is nothing at the offset: it is shorter than that.
        416 => Piece::Settled(
            PackageFileStatus::WrongSize,
            format!("It ends before byte {offset}, where the index says {size} bytes."),
        ),
        404 | 410 => Piece::Settled(PackageFileStatus::Missing, format!("The repository answers {status}: it is not there.")),
        408 | 425 | 429 | 500..=599 => Piece::Fault(format!("The repository answers {status}.")),
        300..=399 => Piece::Settled(
            PackageFileStatus::Unreadable,
            format!("The repository answers {status}, which leads elsewhere and is not followed."),
        ),
        _ => Piece::Settled(PackageFileStatus::Unreadable, format!("The repository answers {status}.")),
    }
}

/// `bytes 0-7/100`: first, last, and the whole length unless it is `*`.
fn range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    (first <= last && last < u64::MAX).then_some((first, last, total))
}

/// Refuses work on a repository while other work is under way there.
pub fn check_idle(refresh: PackageWorkStatus, verification: PackageWorkStatus) -> Result<()> {
    let busy = [(refresh, "its index is being read"), (verification, "its files are being verified")];
    match busy.iter().find(|(status, _)| *status == PackageWorkStatus::InProgress) {
        None => Ok(()),
        Some((_, what)) => Err(Error::conflict(
            "package_repository_busy",
            format!("The package repository is at work: {what}. Ask again when that has ended."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_base_url_leads_nowhere_else() {
        for good in [
            "https://packages.example.com",
            "https://packages.example.com:8443/vcd/10.x",
            "https://10.0.0.7/a",
            "https://[2001:db8::1]:8443/a",
            "http://localhost:8080",
            "http://127.0.0.1:8080/a",
            "http://[::1]:80",
        ] {
            assert_eq!(good.parse::<BaseUrl>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "packages.example.com",
            "ftp://packages.example.com",
            "http://packages.example.com",
            "http://127.0.0.1.example.com",
            "https://",
            "https:///a",
            "https://user:secret@packages.example.com",
            "https://packages.example.com/",
            "https://packages.example.com/a/../b",
            "https://packages.example.com/a//b",
            "https://packages.example.com/a?b=c",
            "https://packages.example.com/a#b",
            "https://packages.example.com/%2e%2e",
            "https://packages.example.com:0",
            "https://packages.example.com:",
            "https://packages.example.com:99999",
            "https://packages.example.com:80x",
            "https://Packages.example.com",
            "https://a b",
            "https://[::1",
            "https://[x]",
            "https://billing.spin.internal",
            "http://billing.spin.internal",
            "https://self",
            "http://self.alt",
        ] {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_stays_in_the_repository() {
        for good in ["a", "vcd/10.5.1/appliance-1_2.ova", "a/..b/c..", "...a"] {
            assert!(good.parse::<FilePath>().is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a b", "a?b", "a%2fb", "https://a", "ä"] {
            assert!(bad.parse::<FilePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_index_is_read_whole_or_not_at_all() {
        let sha = "A".repeat(64);
        let file = |path: &str| format!(r#"{{"path":"{path}","size":3,"sha256":"{sha}","note":"passed over"}}"#);
        let index = |files: &str| {
            format!(
                r#"{{"formatVersion":1,"generatedBy":"x","products":[{{"code":"VCD","versions":[{{"version":"10.5","files":[{files}]}}]}}]}}"#
            )
        };
        let read = read_index(index(&[file("a"), file("b")].join(",")).as_bytes()).unwrap();
        assert_eq!(read.iter().map(|file| file.path.to_string()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read[0].sha256.to_string(), "a".repeat(64));
        for (bad, why) in [
            (index(&[file("a"), file("a")].join(",")), "file a twice"),
            (index(&file("../a")), "relative path"),
            (index(&file("a").replace("3", "-3")), "invalid value"),
            (index(&file("a").replace("3,", "1099511627777,")), "above"),
            (index(&file("a").replace("AAAA", "XXXX")), "SHA-256"),
            (index("").replace("\"formatVersion\":1", "\"formatVersion\":2"), "reads 1"),
            (index("").replace("\"VCD\"", "\"\""), "characters"),
            ("[]".into(), "not an index"),
            ("<html>".into(), "not an index"),
        ] {
            let error = read_index(bad.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let many: Vec<String> = (0..=MAX_FILES).map(|number| file(&format!("f{number}"))).collect();
        assert!(read_index(index(&many.join(",")).as_bytes()).unwrap_err().contains("more than 10000 files"));
    }

    #[test]
    fn an_answer_is_taken_for_what_it_says() {
        use PackageFileStatus::*;
        let size = 3 * PIECE;
        let settled = |piece| match piece {
            Piece::Settled(status, _) => Some(status),
            _ => None,
        };
        let piece = |status, range: &str| read_piece(status, Some(range), None, PIECE, size);
        assert_eq!(piece(206, &format!("bytes {PIECE}-{}/{size}", 2 * PIECE - 1)), Piece::Bytes(PIECE));
        assert_eq!(piece(206, &format!("bytes {PIECE}-{}/*", 2 * PIECE - 1)), Piece::Bytes(PIECE));
        assert_eq!(settled(piece(206, &format!("bytes {PIECE}-{}/7", 2 * PIECE - 1))), Some(WrongSize));
        for range in ["", "bytes 0-7/*", "bytes 7-0/*", "bytes */7", "bytes 0-18446744073709551615/*", "lines 0-7/8"] {
            assert!(matches!(piece(206, range), Piece::Fault(_)), "{range}");
        }
        assert_eq!(read_piece(200, None, Some(5), 0, 5), Piece::Bytes(5));
        assert_eq!(read_piece(200, None, None, 0, 5), Piece::Bytes(5));
        assert_eq!(settled(read_piece(200, None, Some(6), 0, 5)), Some(WrongSize));
        assert_eq!(settled(read_piece(200, None, None, 0, size)), Some(Unreadable));
        for (status, expected) in [(404, Missing), (410, Missing), (416, WrongSize), (302, Unreadable), (403, Unreadable)] {
            assert_eq!(settled(piece(status, "")), Some(expected), "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert!(matches!(piece(status, ""), Piece::Fault(_)), "{status}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_repository_says_no_more_than_a_piece_is_taken(
            status in prop_oneof![Just(200u16), Just(206)], range in "bytes [0-9]{1,20}-[0-9]{1,20}/([0-9]{1,20}|\\*)",
            length: Option<u64>, size in 0u64..MAX_SIZE, at in 0u64..MAX_SIZE,
        ) {
            let offset = at.min(size);
            if let Piece::Bytes(bytes) = read_piece(status, Some(&range), length, offset, size) {
                prop_assert!(bytes <= PIECE && offset + bytes <= size);
            }
        }
    }
}
