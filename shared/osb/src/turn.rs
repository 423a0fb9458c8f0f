//! Having a turn taken at a broker.

use domain::{Error, Id, Instant, Result, id, service_broker::BrokerVerb, task::Outcome};
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
pub async fn turn(hub: &Hub, asked: &Asked<'_>) -> Result<Outcome> {
    let job_id = asked.job.id.to_string();
    let way = if asked.undoes { "undo" } else { "do" };
    let texts = [
        ("verb", Some(asked.verb.as_str().to_owned())),
        // The same however often the turn is taken, and another in every other turn.
        ("turn", Some(format!("{job_id} {} {way}", asked.verb))),
        ("jobId", Some(job_id)),
        ("taskId", Some(asked.task_id.to_string())),
        ("organizationId", Some(asked.organization_id.to_string())),
        ("subscriptionId", Some(asked.subscription_id.to_string())),
        ("serviceBindingId", asked.service_binding_id.map(|id| id.to_string())),
        ("serviceId", Some(asked.service_id.to_string())),
        ("planCode", asked.plan_code.map(str::to_owned)),
        ("previousPlanCode", asked.previous_plan_code.map(str::to_owned)),
    ];
    let mut fields = vec![("fence", asked.job.fence.to_string()), ("properties", asked.properties.unwrap_or("null").to_owned())];
    fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name, json::string(&text?)))));
    let body = json::object(fields.iter().map(|(name, value)| (*name, value.as_str())));
    let answer = web::ask_written(hub, "broker-operations", "/internal/broker-turns", body.into_bytes()).await?;
    read(answer.body.as_deref().unwrap_or_default())
}

fn read(answer: &[u8]) -> Result<Outcome> {
    let fields = json::fields(answer)?;
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map_or("null", |field| field.1);
    let message = || json::text(field("message")).unwrap_or_default();
    let at = || Instant::from_timestamp_millis(field("at").parse().ok()?);
    match field("outcome") {
        r#""DONE""# => Ok(Outcome::Done),
        r#""FAILED""# => Ok(Outcome::Failed(message())),
        r#""LOOK_AGAIN""# => at().map(|at| Outcome::LookAgain(at, message())).ok_or_else(|| unreadable("no instant")),
        other => Err(unreadable(other)),
    }
}

fn unreadable(what: &str) -> Error {
    Error::unavailable(format!("broker-operations answered with {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_outcomes() {
        let at = Instant::from_timestamp_millis(5).unwrap();
        assert_eq!(read(br#"{"outcome":"DONE","at":null,"message":null}"#), Ok(Outcome::Done));
        assert_eq!(read(br#"{"outcome":"FAILED","message":"no"}"#), Ok(Outcome::Failed("no".into())));
        assert_eq!(read(br#"{"outcome":"LOOK_AGAIN","at":5,"message":"x"}"#), Ok(Outcome::LookAgain(at, "x".into())));
        assert!(read(br#"{"outcome":"LOOK_AGAIN"}"#).is_err() && read(b"{}").is_err() && read(b"garbage").is_err());
    }
}
