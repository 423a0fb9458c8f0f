//! Having a turn taken at a broker.

use domain::{Error, Id, Instant, Result, id, service_broker::BrokerVerb, task::Outcome};
use std::pin::Pin;
use store::jobs::Job;
use web::{Hub, json};

/// What is to be done at a broker, for a turn of a task.
pub struct Asked<'a> {
    /// What is to be done.
    pub verb: BrokerVerb,
    /// Whether it undoes what the task did.
    pub undoes: bool,
    /// The claim under which it is asked.
    pub job: &'a Job,
    /// The task.
    pub task_id: Id<id::Task>,
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// Whose service instance it is about.
    pub subscription_id: Id<id::Subscription>,
    /// The service binding, where it is about one.
    pub service_binding_id: Option<Id<id::ServiceBinding>>,
    /// Of which service.
    pub service_id: Id<id::Service>,
    /// The plan that it is to have.
    pub plan_code: Option<&'a str>,
    /// The plan that it has; of an update only.
    pub previous_plan_code: Option<&'a str>,
    /// What the broker is to be told: a JSON object.
    pub properties: Option<&'a str>,
}

/// Has a turn taken. By hand and not by types that say how they are written and read, which every driver would carry.
pub fn turn<'a>(hub: &'a Hub, asked: &'a Asked<'a>) -> Boxed<'a> {
    Box::pin(take(hub, asked))
}

/// Something that is awaited and is compiled once, wherever it is awaited.
pub type Boxed<'a> = Pin<Box<dyn Future<Output = Result<Outcome>> + 'a>>;

async fn take(hub: &Hub, asked: &Asked<'_>) -> Result<Outcome> {
    let text = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), json::string);
    // Ids need no escapes. The turn is the same however often it is taken, and another in every other turn.
    let body = format!(
        r#"{{"verb":"{verb}","turn":"{job_id} {verb} {way}","jobId":"{job_id}","fence":{},"taskId":"{}","organizationId":"{}","subscriptionId":"{}","serviceBindingId":{},"serviceId":"{}","planCode":{},"previousPlanCode":{},"properties":{}}}"#,
        asked.job.fence,
        asked.task_id,
        asked.organization_id,
        asked.subscription_id,
        text(asked.service_binding_id.map(|id| id.to_string()).as_deref()),
        asked.service_id,
        text(asked.plan_code),
        text(asked.previous_plan_code),
        asked.properties.unwrap_or("null"),
        verb = asked.verb.as_str(),
        job_id = asked.job.id,
        way = if asked.undoes { "undo" } else { "do" },
    );
    let answer = web::ask_written(hub, "broker-operations", "/internal/broker-turns", body.into_bytes()).await?;
    let answered: String = web::read_json(answer.body.as_deref().unwrap_or_default())?;
    read(&answered).ok_or_else(|| Error::unavailable("broker-operations answered with something else"))
}

/// The outcome in words, as `broker-operations` answers: in one text, which is quickly read.
pub fn written(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "DONE".to_owned(),
        Outcome::LookAgain(at, text) => format!("LOOK_AGAIN {} {text}", at.timestamp_millis()),
        other => format!("FAILED {}", other.message().unwrap_or_default()),
    }
}

fn read(text: &str) -> Option<Outcome> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "DONE" => Some(Outcome::Done),
        "FAILED" => Some(Outcome::Failed(rest.to_owned())),
        "LOOK_AGAIN" => {
            let (at, text) = rest.split_once(' ')?;
            Some(Outcome::LookAgain(Instant::from_timestamp_millis(at.parse().ok()?)?, text.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_as_they_are_written() {
        let at = Instant::from_timestamp_millis(5).unwrap();
        for outcome in [Outcome::Done, Outcome::Failed("no, not so".into()), Outcome::LookAgain(at, "half way".into())] {
            assert_eq!(read(&written(&outcome)), Some(outcome));
        }
        for wrong in ["", "LOOK_AGAIN", "LOOK_AGAIN x y", "LOOK_AGAIN 5", "OTHER"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
