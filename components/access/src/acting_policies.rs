//! `/v1/acting-policies`

use domain::{Id, JsonSchema, Result, acting::ActingPolicy as Policy, id};
use serde::Deserialize;
use store::{
    Db, Scope,
    acting_policies::{self, ActingPolicy},
    acting_sessions,
    customers_word::Word,
    organizations::{self, Organization},
};
use web::{Body, Caller, Edited, Hub, IfMatch, OfCustomer, Path, Sent, permit};

pub async fn show(
    hub: Hub,
    caller: Caller<permit::ActingSessionRead>,
    Path(id): Path<Id<id::Organization>>,
) -> Result<OfCustomer<Edited<ActingPolicy>>> {
    let db = hub.db().await?;
    let policy = acting_policies::find(db, &customer(db, &caller.scope(), id).await?).await?;
    Ok(OfCustomer(Edited { version: policy.version, value: policy }))
}

/// The policy to set.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewActingPolicy {
    /// ALLOW: others may act in the customer when they give a reason. ASK: when an administrator of the customer approves. REFUSE: nobody
    /// may, and open sessions end at once.
    policy: Policy,
}

pub async fn replace(
    hub: Hub,
    caller: Caller<permit::ActingSessionWrite>,
    Path(id): Path<Id<id::Organization>>,
    condition: IfMatch,
    Body(new): Body<NewActingPolicy>,
) -> Result<Sent<Edited<ActingPolicy>>> {
    hub.write(&caller, async |tx| {
        let customer = customer(tx, &caller.scope(), id).await?;
        caller.check_acts_in(id)?;
        let word = Word::of(tx, caller.principal(), id).await?;
        let before = acting_policies::find(tx, &customer).await?;
        let policy = acting_policies::replace(tx, &customer, &word, condition.version, new.policy, hub.now()).await?;
        hub.audit_change("policy", Some(before.policy.as_str()), Some(policy.policy.as_str()));
        if new.policy == Policy::Refuse {
            let ended = acting_sessions::end_all(tx, id, caller.principal(), hub.now()).await?;
            hub.audit("actingSessionsEnded", &ended.to_string());
        }
        Ok(Edited { version: policy.version, value: policy })
    })
    .await
}

/// The customer whose policy it is. Other organizations have none.
async fn customer(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<Organization> {
    let found = organizations::find(db, scope, id).await?;
    found.kind.check_customer(id, "a policy on who may act in it")?;
    Ok(found)
}
