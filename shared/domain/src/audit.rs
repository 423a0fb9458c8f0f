//! The audit: what was done, by whom, and how it is made plain that nothing was changed afterwards.
//!
//! Each organization has one chain of entries, numbered from 1. An entry's hash is SHA-256 over the entry itself as JSON in
//! the canonical form of RFC 8785 (members sorted, no white space), without its member `hash`; the hash of the entry before
//! it is one of the members. So whoever keeps an entry's hash can tell whether anything up to that entry was changed, with
//! any JSON library that sorts members.

use crate::{
    Id, PrincipalId,
    id::{self, Noun},
    json,
    text::hex,
    text_enum,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// What stands where the hash of the entry before would, in a chain's first entry.
pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The longest value in an entry's details, in characters; what is longer is cut off and ends with `…`.
const VALUE: usize = 200;
/// The most details of an entry; what is more is left out.
const DETAILS: usize = 40;

text_enum! {
    /// Whether what was asked for was done.
    pub enum AuditResult {
        /// It was.
        Success = "SUCCESS",
        /// It was refused, and nothing was changed.
        Failure = "FAILURE",
    }
}

/// Who did something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditPrincipal {
    /// A person, an API token or an app.
    Principal(PrincipalId),
    /// The hub, in one of its jobs.
    Job(Id<id::Job>),
    /// The hub, before anybody was there.
    System,
}

impl From<PrincipalId> for AuditPrincipal {
    fn from(id: PrincipalId) -> Self {
        Self::Principal(id)
    }
}

const SYSTEM: &str = "system";

impl fmt::Display for AuditPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(id) => id.fmt(f),
            Self::Job(id) => id.fmt(f),
            Self::System => f.write_str(SYSTEM),
        }
    }
}

impl FromStr for AuditPrincipal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == SYSTEM {
            return Ok(Self::System);
        }
        match text.split('_').next() {
            Some(id::Job::PREFIX) => text.parse().map(Self::Job).map_err(|error: id::NotAnId| error.to_string()),
            _ => text.parse().map(Self::Principal),
        }
    }
}

impl json::Shown for AuditPrincipal {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string",
            "pattern": "^((per|tok|app|job)_[0-7][0-9a-hjkmnp-tv-z]{25}|system)$",
            "description": "The id of a person, an API token, an app or a job of the hub; or `system`, the hub itself.",
        })
    }
}
json::as_text!(AuditPrincipal);

/// One thing that an entry tells beside who did what to which: a value, or a change from one to another. Of a secret it is
/// only told that it changed: both are absent.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, crate::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditDetail {
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What an entry tells beside who did what to which: details in the order of their names, each name once. (A list and no map,
/// because every component carries the code for it.)
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditDetails(Vec<(String, AuditDetail)>);

impl AuditDetails {
    /// Adds a detail, or puts it in the place of the one of its name, within the bounds of what an entry holds.
    pub fn add(&mut self, name: &str, from: Option<&str>, to: Option<&str>) {
        let detail = AuditDetail { from: from.map(bounded), to: to.map(bounded) };
        match self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            Ok(place) => self.0[place].1 = detail,
            Err(place) if self.0.len() < DETAILS => self.0.insert(place, (name.to_owned(), detail)),
            Err(_) => {}
        }
    }
}

impl AuditDetails {
    /// The details as canonical JSON.
    pub fn canonical(&self) -> String {
        let mut json = String::from("{");
        for (name, detail) in &self.0 {
            if json.len() > 1 {
                json.push(',');
            }
            push_text(&mut json, name);
            json.push_str(":{");
            if let Some(from) = &detail.from {
                json.push_str("\"from\":");
                push_text(&mut json, from);
            }
            if let Some(to) = &detail.to {
                json.push_str(if detail.from.is_some() { ",\"to\":" } else { "\"to\":" });
                push_text(&mut json, to);
            }
            json.push('}');
        }
        json.push('}');
        json
    }
}

impl Serialize for AuditDetails {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, detail)| (name, detail)))
    }
}

impl<'de> Deserialize<'de> for AuditDetails {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(from).map(|details| Self(details.into_iter().collect()))
    }
}

#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for AuditDetails {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuditDetails".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        BTreeMap::<String, AuditDetail>::json_schema(generator)
    }
}

fn bounded(value: &str) -> String {
    match value.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Whether a text has the form of an id, of whatever kind.
pub fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, suffix)| {
        (2..=4).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
            && suffix.len() == 26
            && suffix.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    })
}

/// Whether a value of a path may be told: an id, a name in capitals or a number. Anything else could be a secret.
pub fn tells_no_secret(value: &str) -> bool {
    let is_name = value.len() <= 40
        && !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_name || is_id(value)
}

/// The value of a member of an entry.
pub enum Member<'a> {
    /// `null`.
    Null,
    /// A whole number.
    Number(i64),
    /// A text.
    Text(&'a str),
    /// What is canonical JSON already.
    Json(&'a str),
}

/// The canonical JSON of an entry: the text that is hashed. The members are given in the order of their names, which have nothing to
/// escape.
pub fn canonical(members: &[(&str, Member<'_>)]) -> String {
    let mut json = String::with_capacity(1024);
    for (index, (name, member)) in members.iter().enumerate() {
        json.push_str(if index == 0 { "{\"" } else { ",\"" });
        json.push_str(name);
        json.push_str("\":");
        match member {
            Member::Null => json.push_str("null"),
            Member::Number(number) => json.push_str(&number.to_string()),
            Member::Text(text) => push_text(&mut json, text),
            Member::Json(text) => json.push_str(text),
        }
    }
    json.push('}');
    json
}

/// serde_json escapes no more than it has to, and as RFC 8785 has it. Nearly every text has nothing to escape, and then it goes in as
/// it is.
fn push_text(json: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// SHA-256 of an entry's canonical JSON, in hexadecimal.
pub fn hash(canonical: &str) -> String {
    hex(&Sha256::digest(canonical))
}

text_enum! {
    /// What is wrong with a chain at its first broken entry.
    pub enum AuditFault {
        /// The entry that should stand here is missing.
        Missing = "MISSING",
        /// The entry is not what it was when its hash was made.
        Content = "CONTENT",
        /// The entry does not go on from the one before it.
        Link = "LINK",
        /// The chain ends elsewhere than where its last entry was written: entries were cut off or added at its end.
        End = "END",
    }
}

/// The first broken entry of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, crate::JsonSchema)]
pub struct AuditBreak {
    /// The number of the entry.
    pub sequence: i64,
    /// What is wrong with it.
    pub fault: AuditFault,
}

/// Where a walk along a chain has come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditWalk {
    /// The last entry that was found to be right; 0 before the first.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
}

impl AuditWalk {
    /// Takes the next entry that is there: its number, the hash that it gives for the one before and the one that it gives for
    /// itself, and its canonical JSON. `Err` when the chain is broken there.
    pub fn step(&mut self, sequence: i64, previous_hash: &str, own_hash: &str, canonical: &str) -> Result<(), AuditBreak> {
        let expected = self.sequence + 1;
        let broken = |fault| Err(AuditBreak { sequence: expected, fault });
        if sequence != expected {
            return broken(AuditFault::Missing);
        }
        if hash(canonical) != own_hash {
            return broken(AuditFault::Content);
        }
        if previous_hash != self.hash {
            return broken(AuditFault::Link);
        }
        (self.sequence, self.hash) = (sequence, own_hash.to_owned());
        Ok(())
    }

    /// Compares the end of the walk with where the chain's last entry was written.
    pub fn end(&self, sequence: i64, hash: &str) -> Result<(), AuditBreak> {
        let broken = |sequence| Err(AuditBreak { sequence, fault: AuditFault::End });
        match self.sequence.cmp(&sequence) {
            std::cmp::Ordering::Less => broken(self.sequence + 1),
            std::cmp::Ordering::Greater => broken(sequence + 1),
            std::cmp::Ordering::Equal if self.hash != hash => broken(sequence),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone)]
    struct Entry {
        sequence: i64,
        previous_hash: String,
        action: String,
        text: String,
        hash: String,
    }

    impl Entry {
        fn canonical(&self) -> String {
            let mut details = AuditDetails::default();
            details.add("displayName", Some(&self.text), Some("Größe \"1\"\n"));
            details.add("apiToken", None, None);
            details.add("tag", None, Some(""));
            canonical(&[
                ("action", Member::Text(&self.action)),
                ("details", Member::Json(&details.canonical())),
                ("previousHash", Member::Text(&self.previous_hash)),
                ("sequence", Member::Number(self.sequence)),
                ("subjectId", Member::Null),
            ])
        }
        fn sealed(mut self) -> Self {
            self.hash = hash(&self.canonical());
            self
        }
    }

    fn entry(sequence: i64, previous_hash: &str, text: &str) -> Entry {
        let (action, hash) = ("organizations.edit".into(), String::new());
        Entry { sequence, previous_hash: previous_hash.into(), action, text: text.into(), hash }.sealed()
    }

    fn chain(length: i64) -> Vec<Entry> {
        let mut previous = NO_HASH.to_owned();
        (1..=length)
            .map(|sequence| {
                let entry = entry(sequence, &previous, "a");
                previous = entry.hash.clone();
                entry
            })
            .collect()
    }

    fn walk(chain: &[Entry], end: &Entry) -> Result<(), AuditBreak> {
        let mut walk = AuditWalk { sequence: 0, hash: NO_HASH.into() };
        for entry in chain {
            walk.step(entry.sequence, &entry.previous_hash, &entry.hash, &entry.canonical())?;
        }
        walk.end(end.sequence, &end.hash)
    }

    #[test]
    fn the_hash_is_what_anybody_can_compute() {
        let entry = entry(1, NO_HASH, "A");
        assert_eq!(
            entry.canonical(),
            r#"{"action":"organizations.edit","details":{"apiToken":{},"displayName":{"from":"A","to":"Größe \"1\"\n"},"tag":{"to":""}},"previousHash":"0000000000000000000000000000000000000000000000000000000000000000","sequence":1,"subjectId":null}"#
        );
        // What sha256sum says of it.
        assert_eq!(entry.hash, "5ab7dc07dcd0439c43c34bcae939156211200997c1833970e12099a9734a3ca0");
    }

    #[test]
    fn a_walk_names_the_first_broken_entry() {
        use AuditFault::*;
        let whole = chain(9);
        let end = whole.last().unwrap().clone();
        assert_eq!(walk(&whole, &end), Ok(()));
        let broken = |sequence, fault| Err(AuditBreak { sequence, fault });
        // A middle entry is gone; the first is; the last is.
        let without = |gone: usize| [&whole[..gone], &whole[gone + 1..]].concat();
        assert_eq!(walk(&without(3), &end), broken(4, Missing));
        assert_eq!(walk(&without(0), &end), broken(1, Missing));
        assert_eq!(walk(&without(8), &end), broken(9, End));
        // Something in it was edited; and its hash was made anew, as far as the next entry or as far as the end.
        let mut edited = whole.clone();
        edited[4].text = "b".into();
        assert_eq!(walk(&edited, &end), broken(5, Content));
        edited[4] = edited[4].clone().sealed();
        assert_eq!(walk(&edited, &end), broken(6, Link));
        for next in 5..9 {
            edited[next].previous_hash = edited[next - 1].hash.clone();
            edited[next] = edited[next].clone().sealed();
        }
        assert_eq!(walk(&edited, &end), broken(9, End));
        // One more at the end.
        assert_eq!(walk(&chain(10), &end), broken(10, End));
    }

    #[test]
    fn details_have_bounds() {
        let mut details = AuditDetails::default();
        for number in 0..100 {
            details.add(&format!("n{number}"), None, Some(&"ä".repeat(1000)));
        }
        assert_eq!(details.0.len(), DETAILS);
        assert!(details.0.iter().all(|(_, detail)| detail.to.as_ref().unwrap().chars().count() == VALUE + 1));
        details.add("n0", None, Some("again"));
        assert_eq!(details.0[0].1.to.as_deref(), Some("again"));
    }

    #[test]
    fn only_ids_names_and_numbers_of_a_path_are_told() {
        for told in ["org_01h455vb4pex5vsknk084sn02q", "PROVISION", "UNDO_MANUAL", "1"] {
            assert!(tells_no_secret(told), "{told}");
        }
        for kept in
            ["", "hubpt_uRAh", "hubin_01h455vb4pex5vsknk084sn02q", "secret", "org_01H455vb4pex5vsknk084sn02q", &"A".repeat(41)]
        {
            assert!(!tells_no_secret(kept), "{kept}");
        }
    }

    proptest! {
        /// RFC 8785: members sorted, and texts escaped as little as may be. `serde_json::Value` sorts its members.
        #[test]
        fn the_json_of_an_entry_is_canonical(text in "\\PC{0,20}[\\x00-\\x1f\\x7f\"\\\\]{0,4}") {
            let canonical = entry(7, NO_HASH, &text).canonical();
            let value: serde_json::Value = serde_json::from_str(&canonical).unwrap();
            prop_assert_eq!(value.to_string(), canonical);
        }

        #[test]
        fn every_principal_survives_its_text(bits: u128, kind in 0..5) {
            let uuid = uuid::Uuid::from_u128(bits);
            let principal = match kind {
                0 => AuditPrincipal::Principal(PrincipalId::Person(Id::from_uuid(uuid))),
                1 => AuditPrincipal::Principal(PrincipalId::ApiToken(Id::from_uuid(uuid))),
                2 => AuditPrincipal::Principal(PrincipalId::App(Id::from_uuid(uuid))),
                3 => AuditPrincipal::Job(Id::from_uuid(uuid)),
                _ => AuditPrincipal::System,
            };
            prop_assert_eq!(principal.to_string().parse(), Ok(principal));
        }

        #[test]
        fn no_change_of_one_entry_passes(length in 1i64..12, at in 0usize..12, field in 0..4) {
            let whole = chain(length);
            let mut changed = whole.clone();
            let at = at % changed.len();
            match field {
                0 => changed[at].action.push('x'),
                1 => changed[at].sequence += 1,
                2 => changed[at].previous_hash = "x".into(),
                _ => changed[at].hash = NO_HASH.into(),
            }
            let found = walk(&changed, whole.last().unwrap());
            prop_assert_eq!(found.map_err(|broken| broken.sequence), Err(at as i64 + 1));
        }
    }
}
