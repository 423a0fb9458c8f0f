//! The audit: what was done, by whom, and how it is made plain that nothing was changed afterwards.
//!
//! Each organization has one chain of entries, numbered from 1. An entry's hash is SHA-256 over the entry itself as JSON in
//! the canonical form of RFC 8785 (members sorted, no white space), without its member `hash`; the hash of the entry before
//! it is one of the members. So whoever keeps an entry's hash can tell whether anything up to that entry was changed, with
//! any JSON library that sorts members.

use crate::{
    Id, Instant, PrincipalId,
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

/// An entry of an organization's chain, without its own hash. Its fields are in the order of their names in JSON, and there
/// are no fractions among its values: so its JSON is the canonical one.
#[derive(Clone, Debug, Serialize, crate::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The organization acted in; none where nobody acted anywhere.
    pub acting_organization_id: Option<Id<id::Organization>>,
    /// The session in which the principal acted in a customer that it is no member of.
    pub acting_session_id: Option<Id<id::ActingSession>>,
    /// What was done: the operationId of the route with a dot, `organizations.create`; or a name of the same form for what the hub
    /// does by itself.
    pub action: String,
    /// When the request came that did it. Within a chain this never goes back.
    pub at: Instant,
    /// What changed, by name; what did not change but belongs to it has only `to`.
    pub details: AuditDetails,
    /// Whose chain this is.
    pub organization_id: Id<id::Organization>,
    /// The hash of the entry before this one; 64 zeros in the first.
    pub previous_hash: String,
    /// Who did it.
    pub principal: AuditPrincipal,
    /// The organization that the principal belongs to.
    pub principal_organization_id: Option<Id<id::Organization>>,
    /// The request that did it, as in its answer's `Hub-Request-Id` and in the log; of a job, its run.
    pub request_id: Id<id::Request>,
    /// Whether it was done.
    pub result: AuditResult,
    /// The number of the entry in its chain, from 1 without gaps.
    pub sequence: i64,
    /// What it was done to: the id of it, which says of what kind it is.
    pub subject_id: Option<String>,
    /// The trace that the request was part of (W3C Trace Context).
    pub trace_id: String,
}

impl AuditEntry {
    /// The text that is hashed.
    pub fn canonical(&self) -> String {
        // It cannot fail: nothing in it has a form that JSON lacks.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of the canonical text, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.canonical()))
    }
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
    /// Takes the next entry that is there: its number and, if it could be read, itself and its hash. `Err` when the chain is
    /// broken there.
    pub fn step(&mut self, sequence: i64, found: Option<(&AuditEntry, &str)>) -> Result<(), AuditBreak> {
        let expected = self.sequence + 1;
        let broken = |fault| Err(AuditBreak { sequence: expected, fault });
        if sequence != expected {
            return broken(AuditFault::Missing);
        }
        match found {
            Some((entry, hash)) if entry.hash() == hash => {
                if entry.previous_hash != self.hash {
                    return broken(AuditFault::Link);
                }
                (self.sequence, self.hash) = (sequence, hash.to_owned());
                Ok(())
            }
            _ => broken(AuditFault::Content),
        }
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

    fn entry(sequence: i64, previous_hash: &str, text: &str) -> AuditEntry {
        let mut details = AuditDetails::default();
        details.add("displayName", Some(text), Some("Größe \"1\"\n"));
        details.add("apiToken", None, None);
        AuditEntry {
            acting_organization_id: Some(Id::from_uuid(uuid::Uuid::from_u128(2))),
            acting_session_id: None,
            action: "organizations.edit".into(),
            at: Instant::from_timestamp_millis(1_795_262_400_000 + sequence).unwrap(),
            details,
            organization_id: Id::from_uuid(uuid::Uuid::from_u128(1)),
            previous_hash: previous_hash.into(),
            principal: AuditPrincipal::Job(Id::from_uuid(uuid::Uuid::from_u128(3))),
            principal_organization_id: None,
            request_id: Id::from_uuid(uuid::Uuid::from_u128(4)),
            result: AuditResult::Success,
            sequence,
            subject_id: Some("org_00000000000000000000000001".into()),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        }
    }

    /// `length` entries, each with its hash.
    fn chain(length: i64) -> Vec<(AuditEntry, String)> {
        let mut previous = NO_HASH.to_owned();
        (1..=length)
            .map(|sequence| {
                let entry = entry(sequence, &previous, "a");
                previous = entry.hash();
                (entry, previous.clone())
            })
            .collect()
    }

    fn walk(chain: &[(AuditEntry, String)], end: &(AuditEntry, String)) -> Result<(), AuditBreak> {
        let mut walk = AuditWalk { sequence: 0, hash: NO_HASH.into() };
        for (entry, hash) in chain {
            walk.step(entry.sequence, Some((entry, hash)))?;
        }
        walk.end(end.0.sequence, &end.1)
    }

    #[test]
    fn the_hash_is_what_anybody_can_compute() {
        let canonical = entry(1, NO_HASH, "A").canonical();
        assert_eq!(
            canonical,
            r#"{"actingOrganizationId":"org_00000000000000000000000002","actingSessionId":null,"action":"organizations.edit","at":"2026-11-21T12:00:00.001Z","details":{"apiToken":{},"displayName":{"from":"A","to":"Größe \"1\"\n"}},"organizationId":"org_00000000000000000000000001","previousHash":"0000000000000000000000000000000000000000000000000000000000000000","principal":"job_00000000000000000000000003","principalOrganizationId":null,"requestId":"req_00000000000000000000000004","result":"SUCCESS","sequence":1,"subjectId":"org_00000000000000000000000001","traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}"#
        );
        assert_eq!(entry(1, NO_HASH, "A").hash(), hex(&Sha256::digest(canonical)));
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
        edited[4].0.result = AuditResult::Failure;
        assert_eq!(walk(&edited, &end), broken(5, Content));
        edited[4].1 = edited[4].0.hash();
        assert_eq!(walk(&edited, &end), broken(6, Link));
        for next in 5..9 {
            edited[next].0.previous_hash = edited[next - 1].1.clone();
            edited[next].1 = edited[next].0.hash();
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
                0 => changed[at].0.action.push('x'),
                1 => changed[at].0.sequence += 1,
                2 => changed[at].0.previous_hash = "x".into(),
                _ => changed[at].1 = NO_HASH.into(),
            }
            let found = walk(&changed, whole.last().unwrap());
            prop_assert_eq!(found.map_err(|broken| broken.sequence), Err(at as i64 + 1));
        }
    }
}
