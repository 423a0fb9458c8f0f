//! Service brokers: what they answer, by version 2.17 of the Open Service Broker API, and what the hub makes of it.
//!
//! The hub is the specification's platform. What is below is its table of "orphan mitigation" and the sentences around it:
//! when a request has done its work, when it is under way, when it is sent again, and when it has failed in a way that may
//! have left something at the broker, which the hub then deletes until the broker says that it is gone.

use crate::{Id, Instant, JsonSchema, id, task::Outcome, text_enum};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the API that the hub speaks.
pub const API_VERSION: &str = "2.17";
/// What the hub calls itself to brokers.
pub const PLATFORM: &str = "provider-hub";
/// For how long the hub waits for an operation that is under way at a broker, in seconds, where the plan says nothing shorter.
pub const MAX_POLLING: u32 = 24 * 60 * 60;
/// For how long what may have been left at a broker is deleted again and again, in seconds, before that is given up and a person has
/// to see to it.
pub const MITIGATION: u32 = 3 * 24 * 60 * 60;
/// How long after a request that got no answer "it is not there" is believed, in seconds: until then the request may still
/// take effect.
pub const SETTLING: i64 = 60;
/// For how long a broker that did not answer is not asked again, in seconds, whatever it is about: one that hangs must not
/// take up the time of the others.
pub const LEFT_ALONE: i64 = 30;
/// The longest wait between two looks, in seconds, where the broker does not say how long to wait.
const LONGEST_WAIT: u32 = 60;
/// The longest wait that a broker can ask for, in seconds.
const LONGEST_ASKED_WAIT: u32 = 3600;
/// The most characters of what a broker calls an operation.
const OPERATION: usize = 10_000;
/// The most characters of a broker's words that are shown.
const WORDS: usize = 500;

text_enum! {
    /// What a broker is asked to do.
    pub enum BrokerVerb {
        /// Make a service instance.
        Provision = "PROVISION",
        /// Change a service instance.
        Update = "UPDATE",
        /// Delete a service instance.
        Deprovision = "DEPROVISION",
        /// Make a service binding.
        Bind = "BIND",
        /// Delete a service binding.
        Unbind = "UNBIND",
    }
}

impl BrokerVerb {
    /// Whether it makes something.
    pub fn makes(self) -> bool {
        matches!(self, Self::Provision | Self::Bind)
    }

    /// Whether it deletes something.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Deprovision | Self::Unbind)
    }
}

text_enum! {
    /// Where a service instance or a service binding stands at its broker, as far as the hub knows.
    pub enum BrokerState {
        /// It is being made.
        Making = "MAKING",
        /// It is there.
        Ready = "READY",
        /// It is there and being changed.
        Updating = "UPDATING",
        /// It is being deleted.
        Deleting = "DELETING",
        /// It failed to be made, and is deleted until the broker says that it is gone.
        Mitigating = "MITIGATING",
        /// It is not there.
        Gone = "GONE",
    }
}

text_enum! {
    /// Where a service binding stands.
    pub enum ServiceBindingStatus {
        /// Its task is at work.
        Binding = "BINDING",
        /// It can be used.
        Active = "ACTIVE",
        /// It is being deleted.
        Unbinding = "UNBINDING",
        /// It could not be made, and nothing of it is left.
        Failed = "FAILED",
    }
}

/// A turn of a task at a service broker, as the component whose task it is hands it on.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerTurn {
    /// The operation.
    pub verb: BrokerVerb,
    /// The name of the turn: the same however often the turn is taken, and another in every other turn.
    pub turn: String,
    /// The job of the task.
    pub job_id: Id<id::Job>,
    /// The number of the claim on it.
    pub fence: i64,
    /// The task.
    pub task_id: Id<id::Task>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// The subscription whose service instance it is about.
    pub subscription_id: Id<id::Subscription>,
    /// The service binding, where it is about one.
    pub service_binding_id: Option<Id<id::ServiceBinding>>,
    /// The service.
    pub service_id: Id<id::Service>,
    /// The plan afterwards.
    pub plan_code: Option<String>,
    /// The plan before; of an update only.
    pub previous_plan_code: Option<String>,
    /// The parameters for the broker.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub properties: Option<Box<RawValue>>,
}

/// The outcome of a turn at a service broker.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BrokerOutcome {
    /// It is done.
    Done,
    /// It is under way.
    LookAgain {
        /// When the turn is taken again.
        at: Instant,
        /// How far it is.
        message: String,
    },
    /// It failed, and nothing of it remains.
    Failed {
        /// Why.
        message: String,
    },
}

impl From<Outcome> for BrokerOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::LookAgain(at, message) => Self::LookAgain { at, message },
            // Brokers give no other outcomes.
            other => Self::Failed { message: other.message().unwrap_or_default().to_owned() },
        }
    }
}

impl From<BrokerOutcome> for Outcome {
    fn from(outcome: BrokerOutcome) -> Self {
        match outcome {
            BrokerOutcome::Done => Self::Done,
            BrokerOutcome::LookAgain { at, message } => Self::LookAgain(at, message),
            BrokerOutcome::Failed { message } => Self::Failed(message),
        }
    }
}

/// The catalog of a service broker, or why it could not be read.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BrokerCatalog {
    /// The broker's answer: JSON.
    Catalog(#[schemars(with = "serde_json::Map<String, serde_json::Value>")] Box<RawValue>),
    /// Why there is none.
    Refusal(String),
}

/// What came of a request to a broker.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// No answer in time, or not the whole of one.
    Nothing,
    /// The broker was not reached, so it knows nothing of the request.
    Unreached,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body.
        body: &'a [u8],
        /// After how many seconds to come back, if it says so.
        retry_after: Option<u32>,
    },
}

/// What an answer with which a broker succeeds may say.
#[derive(Debug, Default, Deserialize)]
pub struct Said {
    /// What the broker calls an operation that is under way.
    pub operation: Option<String>,
    /// Where the service instance can be looked after by a person.
    pub dashboard_url: Option<String>,
    /// How to get into the service, by a service binding.
    pub credentials: Option<Box<RawValue>>,
    /// Where logs are to be sent.
    pub syslog_drain_url: Option<String>,
    /// Where requests are to be sent.
    pub route_service_url: Option<String>,
    /// What is to be mounted.
    pub volume_mounts: Option<Box<RawValue>>,
    /// Where the service answers.
    pub endpoints: Option<Box<RawValue>>,
}

/// What an answer with which a broker refuses may say.
#[derive(Default, Deserialize)]
struct Refused {
    error: Option<String>,
    description: Option<String>,
}

/// How far an operation is.
#[derive(Deserialize)]
struct LastOperation {
    state: String,
    description: Option<String>,
}

/// What it means.
#[derive(Debug)]
pub enum Verdict {
    /// It is done.
    Done(Said),
    /// It is under way; the broker says how far when it is asked.
    Pending(Said, String),
    /// It had no effect and can be sent again, after so many seconds if the broker says so.
    Repeat(Option<u32>, String),
    /// It was refused, and nothing has come of it.
    Failed(String),
    /// It failed, and may have left something behind.
    Orphan(String),
    /// Nobody knows whether it took effect. It can be sent again.
    Unknown(String),
}

/// What the answer to a request means. `doubt`: the same request was sent before, and nobody knows what came of that.
pub fn judge(verb: BrokerVerb, doubt: bool, heard: Heard<'_>) -> Verdict {
    use BrokerVerb::Update;
    let (status, body, retry_after) = match heard {
        Heard::Nothing if verb.makes() => return Verdict::Orphan("The broker did not answer in time.".into()),
        Heard::Nothing => return Verdict::Unknown("The broker did not answer in time.".into()),
        Heard::Unreached => return Verdict::Repeat(None, "The broker cannot be reached.".into()),
        Heard::Answer { status, body, retry_after } => (status, body, retry_after),
    };
    let said = said(body);
    let malformed = || format!("The broker answered {status} with a body that the specification does not allow.");
    match (status, said) {
        (200 | 201, Some(said)) => Verdict::Done(said),
        (202, Some(said)) => Verdict::Pending(said, "The broker has begun.".into()),
        // It says that there was nothing to be made, in words that cannot be read.
        (200, None) if verb.makes() && !doubt => Verdict::Failed(malformed()),
        (200..=299, _) if verb.makes() => Verdict::Orphan(malformed()),
        (200..=202, None) if verb.deletes() => Verdict::Unknown(malformed()),
        (200..=299, _) if verb.deletes() => Verdict::Orphan(malformed()),
        (200..=299, _) => Verdict::Failed(malformed()),
        (410, _) if verb.deletes() => Verdict::Done(Said::default()),
        (408 | 429, _) => Verdict::Repeat(retry_after, refusal(status, body)),
        (422, _) if is_concurrent(body) => Verdict::Repeat(retry_after, refusal(status, body)),
        (500..=599, _) if verb != Update => Verdict::Orphan(refusal(status, body)),
        _ if verb.makes() && doubt => Verdict::Orphan(refusal(status, body)),
        _ => Verdict::Failed(refusal(status, body)),
    }
}

/// What the answer to the question how far an operation is means. What is no answer to it is as if it was still under way.
pub fn judge_last_operation(verb: BrokerVerb, heard: Heard<'_>) -> (Verdict, Option<u32>) {
    let pending = |text: String, wait| (Verdict::Pending(Said::default(), text), wait);
    let (status, body, retry_after) = match heard {
        Heard::Nothing => return pending("The broker did not answer in time.".into(), None),
        Heard::Unreached => return pending("The broker cannot be reached.".into(), None),
        Heard::Answer { status, body, retry_after } => (status, body, retry_after),
    };
    if status == 410 && verb.deletes() {
        return (Verdict::Done(Said::default()), None);
    }
    let last = (status == 200).then(|| serde_json::from_slice::<LastOperation>(body).ok()).flatten();
    let Some(last) = last else { return pending(refusal(status, body), retry_after) };
    let words = last.description.map(|words| shortened(&words));
    match last.state.as_str() {
        "succeeded" => (Verdict::Done(Said::default()), None),
        "failed" => {
            let why = words.map_or("The broker says that it failed.".to_owned(), |words| format!("The broker says: {words}"));
            (if verb == BrokerVerb::Update { Verdict::Failed(why) } else { Verdict::Orphan(why) }, retry_after)
        }
        "in progress" => {
            pending(words.map_or("It is under way.".into(), |words| format!("The broker says: {words}")), retry_after)
        }
        _ => pending("The broker answered with a state that the specification does not have.".into(), retry_after),
    }
}

/// The body of a success; none when it is malformed.
pub fn said(body: &[u8]) -> Option<Said> {
    // A sequence would pass for the struct, too.
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let said: Said = is_object.then(|| serde_json::from_slice(body).ok()).flatten()?;
    let is_right = said.operation.as_ref().is_none_or(|operation| operation.chars().count() <= OPERATION);
    is_right.then_some(said)
}

fn refused(body: &[u8]) -> Refused {
    serde_json::from_slice(body).unwrap_or_default()
}

fn is_concurrent(body: &[u8]) -> bool {
    refused(body).error.as_deref() == Some("ConcurrencyError")
}

/// A refusal in words, with those of the broker.
fn refusal(status: u16, body: &[u8]) -> String {
    let Refused { error, description } = refused(body);
    let way = match (status, error.as_deref()) {
        (401 | 403, _) => " Edit the broker's credentials.",
        (412, _) => " It does not take version 2.17 of the Open Service Broker API.",
        (300..=399, _) => " That leads elsewhere and is not followed; register the URL that it leads to.",
        (422, Some("MaintenanceInfoConflict")) => " Its catalog has changed: import it again, then ask again.",
        _ => "",
    };
    let error = error.map(|error| format!(" ({})", shortened(&error))).unwrap_or_default();
    let words = description.map(|words| format!(": {}", shortened(&words))).unwrap_or_default();
    format!("The broker answered {status}{error}{words}.{way}")
}

/// A broker's words, as many as are shown, on one line.
fn shortened(words: &str) -> String {
    let line: String = words.chars().take(WORDS).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.trim().trim_end_matches('.').to_owned()
}

/// How many seconds to wait before the next request or look, after so many of them: what the broker says, or twice as long
/// each time up to a minute.
pub fn wait(tries: u32, asked: Option<u32>) -> u32 {
    match asked {
        Some(seconds) => seconds.clamp(1, LONGEST_ASKED_WAIT),
        None => 1u32.checked_shl(tries.saturating_sub(1).min(30)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_as_they_are_written() {
        let at = Instant::from_timestamp_millis(5).unwrap();
        for outcome in [Outcome::Done, Outcome::Failed("no, not so".into()), Outcome::LookAgain(at, "half way".into())] {
            let written = serde_json::to_string(&BrokerOutcome::from(outcome.clone())).unwrap();
            assert_eq!(Outcome::from(serde_json::from_str::<BrokerOutcome>(&written).unwrap()), outcome);
        }
        for wrong in ["{}", r#"{"outcome":"LOOK_AGAIN"}"#, r#"{"outcome":"FAILED"}"#, r#"{"outcome":"OTHER"}"#] {
            assert!(serde_json::from_str::<BrokerOutcome>(wrong).is_err(), "{wrong}");
        }
    }
    use proptest::prelude::*;

    fn answer(status: u16, body: &str) -> Heard<'_> {
        Heard::Answer { status, body: body.as_bytes(), retry_after: None }
    }

    fn name(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Done(_) => "done",
            Verdict::Pending(..) => "pending",
            Verdict::Repeat(..) => "repeat",
            Verdict::Failed(_) => "failed",
            Verdict::Orphan(_) => "orphan",
            Verdict::Unknown(_) => "unknown",
        }
    }

    /// The specification's table, row by row; the verbs in the order of [`BrokerVerb::ALL`].
    #[test]
    fn orphans_are_mitigated_as_the_table_says() {
        for (status, body, verdicts) in [
            (200, "{}", ["done", "done", "done", "done", "done"]),
            (200, "garbage", ["failed", "failed", "unknown", "failed", "unknown"]),
            (200, "[]", ["failed", "failed", "unknown", "failed", "unknown"]),
            (201, "{}", ["done", "done", "done", "done", "done"]),
            (201, "garbage", ["orphan", "failed", "unknown", "orphan", "unknown"]),
            (201, r#"{"operation":1}"#, ["orphan", "failed", "unknown", "orphan", "unknown"]),
            (202, "{}", ["pending", "pending", "pending", "pending", "pending"]),
            (202, "", ["orphan", "failed", "unknown", "orphan", "unknown"]),
            (204, "", ["orphan", "failed", "orphan", "orphan", "orphan"]),
            (301, "", ["failed", "failed", "failed", "failed", "failed"]),
            (400, "{}", ["failed", "failed", "failed", "failed", "failed"]),
            (408, "", ["repeat", "repeat", "repeat", "repeat", "repeat"]),
            (409, "{}", ["failed", "failed", "failed", "failed", "failed"]),
            (410, "{}", ["failed", "failed", "done", "failed", "done"]),
            (422, r#"{"error":"AsyncRequired"}"#, ["failed", "failed", "failed", "failed", "failed"]),
            (422, r#"{"error":"ConcurrencyError"}"#, ["repeat", "repeat", "repeat", "repeat", "repeat"]),
            (429, "", ["repeat", "repeat", "repeat", "repeat", "repeat"]),
            (500, "", ["orphan", "failed", "orphan", "orphan", "orphan"]),
            (503, "{}", ["orphan", "failed", "orphan", "orphan", "orphan"]),
        ] {
            for (&verb, expected) in BrokerVerb::ALL.iter().zip(verdicts) {
                assert_eq!(name(&judge(verb, false, answer(status, body))), expected, "{verb} {status} {body}");
            }
        }
        for &verb in BrokerVerb::ALL {
            assert_eq!(name(&judge(verb, false, Heard::Nothing)), if verb.makes() { "orphan" } else { "unknown" });
            assert_eq!(name(&judge(verb, false, Heard::Unreached)), "repeat");
        }
    }

    #[test]
    fn what_was_sent_before_is_not_taken_for_refused() {
        for verb in [BrokerVerb::Provision, BrokerVerb::Bind] {
            for (status, body) in [(400, "{}"), (409, "{}"), (200, "garbage")] {
                assert_eq!(name(&judge(verb, true, answer(status, body))), "orphan");
            }
        }
        assert_eq!(name(&judge(BrokerVerb::Update, true, answer(400, "{}"))), "failed");
    }

    #[test]
    fn polling_ends_by_a_state_only() {
        for (body, verdicts) in [
            (r#"{"state":"in progress"}"#, ["pending"; 5]),
            (r#"{"state":"succeeded","description":"x"}"#, ["done"; 5]),
            (r#"{"state":"failed"}"#, ["orphan", "failed", "orphan", "orphan", "orphan"]),
            (r#"{"state":"other"}"#, ["pending"; 5]),
            ("garbage", ["pending"; 5]),
        ] {
            for (&verb, expected) in BrokerVerb::ALL.iter().zip(verdicts) {
                assert_eq!(name(&judge_last_operation(verb, answer(200, body)).0), expected, "{verb} {body}");
            }
        }
        for status in [400, 404, 410, 429, 500] {
            for &verb in BrokerVerb::ALL {
                let expected = if status == 410 && verb.deletes() { "done" } else { "pending" };
                assert_eq!(name(&judge_last_operation(verb, answer(status, "{}")).0), expected, "{verb} {status}");
            }
        }
    }

    #[test]
    fn waits_grow_and_what_the_broker_asks_is_done() {
        assert_eq!([1, 2, 3, 6, 7, 40].map(|tries| wait(tries, None)), [1, 2, 4, 32, 60, 60]);
        assert_eq!([0, 17, 100_000].map(|asked| wait(9, Some(asked))), [1, 17, 3600]);
    }

    proptest! {
        /// Whatever a broker says, something that may be there is never forgotten: a request that makes something is only ever
        /// called refused by an answer that the specification calls a refusal.
        #[test]
        fn nothing_that_may_be_there_is_forgotten(status in 100u16..600, body in ".{0,40}", doubt: bool) {
            let verdict = judge(BrokerVerb::Provision, doubt, answer(status, &body));
            if let Verdict::Failed(_) = verdict {
                prop_assert!(!doubt && (status == 200 || !(200..300).contains(&status)) && status < 500);
            }
            let _ = judge_last_operation(BrokerVerb::Bind, answer(status, &body));
        }

        #[test]
        fn words_are_short_and_on_one_line(words in "\\PC{0,20}[\u{0}-\u{20}]{0,600}x{0,600}") {
            let short = shortened(&words);
            prop_assert!(short.chars().count() <= WORDS && !short.chars().any(char::is_control));
        }
    }
}
