//! `/v1/environments/{environmentId}/nodes/{hostName}`: redeploying one node. Every other change of nodes is a change of their
//! environment.

use crate::change::{ChangeQuery, ChangeSubject, DesiredState, EnvironmentChange, Planned};
use domain::{Id, Result, Text, id, task::TaskType};
use web::{Caller, Hub, IfMatch, Paths, Prefer, Query, permit};

pub async fn redeploy(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Paths(id, host_name): Paths<Id<id::Environment>, Text<1, 253>>,
    condition: IfMatch,
    prefer: Prefer,
    Query(query): Query<ChangeQuery>,
) -> Result<Planned> {
    let change = EnvironmentChange {
        subject: ChangeSubject::Stored { id, version: condition.version },
        desired: DesiredState::Redeployed { host_name: host_name.to_string() },
        task_type: Some(TaskType::NodeRedeploy),
        name: None,
    };
    change.submit(&hub, &caller, query.task(), prefer).await
}
