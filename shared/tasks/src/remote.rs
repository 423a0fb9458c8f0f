//! Turns that one component takes for another: the one whose task it is asks, the one that reaches what is to be changed
//! answers, each in the words below.

use crate::{AdvanceTask, Work};
use domain::{
    Error, Id, Instant, Result,
    form::{read, written},
    id,
    task::{Outcome, StepName, Turn, Way},
};
use serde_json::{Map, Value};
use store::{
    Db,
    jobs::{self, Job},
};

/// Where a component that takes turns for others is asked.
const PATH: &str = "/internal/turns";

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// Has another component take a turn, and gives what it has found beside the outcome; null when it was nothing.
pub async fn ask(work: &Work<'_>, component: &str, step: StepName, turn: Turn) -> Result<(Outcome, Value)> {
    let mut body = Map::new();
    for (name, value) in [
        ("jobId", work.job.id.to_string()),
        ("fence", work.job.fence.to_string()),
        ("step", step.to_string()),
        ("way", if turn.way == Way::Do { "DO" } else { "UNDO" }.to_owned()),
    ] {
        body.insert(name.to_owned(), value.into());
    }
    let answer = web::tell(work.hub, component, PATH, written(&Value::Object(body)).into_bytes()).await?;
    if answer.status != 200 {
        return Err(fault(component, &answer.status.to_string()));
    }
    let mut said = read(answer.body.as_deref().unwrap_or_default()).map_err(|error| fault(component, &error.to_string()))?;
    let message = text(&said, "message");
    let outcome = match said["outcome"].as_str() {
        Some("DONE") => Outcome::Done,
        Some("NOTED") => Outcome::Noted(message),
        Some("WAIT_FOR_PERSON") => Outcome::WaitForPerson(message),
        Some("FAILED") => Outcome::Failed(message),
        Some("GAVE_UP") => Outcome::GaveUp(message),
        Some("LOOK_AGAIN") => {
            let at = said["at"].as_i64().and_then(Instant::from_timestamp_millis);
            Outcome::LookAgain(at.ok_or_else(|| fault(component, "no instant"))?, message)
        }
        _ => return Err(fault(component, "no outcome")),
    };
    Ok((outcome, said["found"].take()))
}

fn fault(component: &str, what: &str) -> Error {
    Error::unavailable(format!("{component}{PATH} answered {what}"))
}

/// How a turn went that was taken for another component, as it is answered.
pub fn taken(outcome: &Outcome, found: Value) -> Value {
    let mut said = Map::new();
    let word = match outcome {
        Outcome::Done => "DONE",
        Outcome::Noted(_) => "NOTED",
        Outcome::WaitForPerson(_) => "WAIT_FOR_PERSON",
        Outcome::Failed(_) => "FAILED",
        Outcome::GaveUp(_) => "GAVE_UP",
        Outcome::LookAgain(..) => "LOOK_AGAIN",
    };
    said.insert("outcome".into(), word.into());
    said.insert("message".into(), outcome.message().unwrap_or_default().into());
    if let Outcome::LookAgain(at, _) = outcome {
        said.insert("at".into(), at.timestamp_millis().into());
    }
    said.insert("found".into(), found);
    Value::Object(said)
}

/// A turn that another component has taken here.
pub struct RemoteTurn {
    /// The claim of its runner.
    pub job: Job,
    /// The task.
    pub task_id: Id<id::Task>,
    /// Which step.
    pub step: StepName,
    /// Which half of it.
    pub way: Way,
}

impl RemoteTurn {
    /// Reads a request for a turn. Refused when its runner has lost its claim.
    pub async fn read(db: &Db, body: &Value) -> Result<Self> {
        let malformed = |what: &str| Error::malformed("turn", format!("The turn has no right {what}: {}.", written(&body[what])));
        let id = text(body, "jobId").parse().map_err(|_| malformed("jobId"))?;
        let fence = text(body, "fence").parse().map_err(|_| malformed("fence"))?;
        let step = text(body, "step").parse().map_err(|_| malformed("step"))?;
        let job = jobs::held(db, id, fence).await?.ok_or_else(jobs::taken_over)?;
        let AdvanceTask { task_id } = job.read()?;
        let way = if body["way"] == "UNDO" { Way::Undo } else { Way::Do };
        Ok(Self { job, task_id, step, way })
    }
}
