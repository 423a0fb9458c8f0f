//! `/v1/environments/{environmentId}/nodes/{hostName}`: what is done to one node. Whatever else becomes of nodes is said of their
//! environment, by what they are to be.

use crate::{
    certificates::begin,
    environments::{ChangeQuery, Draft, Of, Wanted},
    plans::{self, Planned},
};
use domain::{
    Error, Id, Result, Text,
    environment::redeployment,
    form::{read, written},
    id,
    task::TaskType,
};
use serde_json::{Map, Value};
use store::environments;
use web::{Caller, Hub, IfMatch, Paths, Prefer, Query, permit};

pub async fn redeploy(
    hub: Hub,
    caller: Caller<permit::EnvironmentWrite>,
    Paths(id, host_name): Paths<Id<id::Environment>, Text<1, 253>>,
    condition: IfMatch,
    prefer: Prefer,
    Query(query): Query<ChangeQuery>,
) -> Result<Planned> {
    let (environment, secrets) = environments::find_with_secrets(hub.db().await?, &caller.scope(), id).await?;
    let products = read(environment.products.get().as_bytes());
    let products = products.map_err(|error| Error::fault(format!("the products of an environment: {error}")))?;
    let change = redeployment(&products, &host_name);
    let change = change.ok_or_else(|| Error::not_found("node_not_found", "node of this environment", &*host_name))?;
    let mut request = Map::new();
    request.insert("hostName".to_owned(), Value::String(host_name.to_string()));
    let to = Wanted::unchanged(id, products, secrets, written(&Value::Object(request)));
    let of = Of::Present { version: begin(environment.version, condition.version) };
    let mut draft = Draft::of(to, Some(TaskType::NodeRedeploy), None, query.how(), of);
    draft.changes = Some(change);
    plans::planned(&hub, &caller, &draft, query.dry_run, prefer).await
}
