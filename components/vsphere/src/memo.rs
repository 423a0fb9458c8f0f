//! What a turn leaves for the next one at the same task: kept, so that it outlives this component, but never needed to know
//! what there is. A memo that is lost costs another look.

use domain::{
    Result,
    form::{read, written},
};
use serde_json::{Map, Value};
use store::{jobs, vsphere};
use tasks::RemoteTurn;
use web::Hub;

/// The memo of a task, while a turn is taken.
pub struct Memo<'a> {
    hub: &'a Hub,
    turn: &'a RemoteTurn,
    said: Value,
}

impl<'a> Memo<'a> {
    /// As the last turn left it.
    pub async fn read(hub: &'a Hub, turn: &'a RemoteTurn) -> Result<Self> {
        let text = vsphere::memo(hub.db().await?, turn.task_id).await?.unwrap_or_default();
        Ok(Self { hub, turn, said: read(text.as_bytes()).unwrap_or_default() })
    }

    /// A number of it.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.said[name].as_i64()
    }

    /// A text of it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.said[name].as_str()
    }

    /// Changes it, and writes it down. Null takes an entry out. Refused when the runner for whom the turn is taken has lost
    /// its claim: so whatever is announced here before it is done is done by one runner at a time.
    pub async fn set(&mut self, entries: &[(&str, Value)]) -> Result<()> {
        if !self.said.is_object() {
            self.said = Value::Object(Map::new());
        }
        for (name, value) in entries {
            self.said[*name] = value.clone();
        }
        let text = written(&self.said);
        let db = self.hub.db().await?;
        db.in_transaction(async |tx| {
            jobs::hold(tx, &self.turn.job).await?;
            vsphere::set_memo(tx, self.turn.task_id, &text).await
        })
        .await
    }
}
