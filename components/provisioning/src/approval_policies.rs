//! `/v1/approval-policies`

use domain::{
    Error, Id, JsonSchema, List, Permission, Result,
    approval::{ApprovalRule, LAPSE_DAYS, MOST_RULES, check_policy},
    id,
};
use serde::Deserialize;
use store::{
    Db, Scope,
    approval_policies::{self, ApprovalPolicy},
    customers_word::Word,
    organizations, services,
};
use web::{Body, Caller, Edited, Hub, IfMatch, OfCustomer, Path, Sent, permit};

pub async fn show(
    hub: Hub,
    caller: Caller<permit::SubscriptionRead>,
    Path(id): Path<Id<id::Organization>>,
) -> Result<OfCustomer<Edited<ApprovalPolicy>>> {
    let db = hub.db().await?;
    check_customer(db, &caller.scope(), id).await?;
    let policy = approval_policies::find(db, id).await?;
    Ok(OfCustomer(Edited { version: policy.version, value: policy }))
}

/// What is to hold.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApprovalPolicy {
    /// What is to need an approval, at most 50 rules: whatever one of them holds for. Without any, nothing does.
    rules: List<ApprovalRule, MOST_RULES>,
    /// For how many days an approval is to wait for its answer, 1 to 90; 7 when left out.
    #[schemars(range(min = 1, max = 90))]
    lapse_days: Option<u32>,
}

/// Sets the policy. It holds for orders from then on.
pub async fn replace(
    hub: Hub,
    caller: Caller<permit::SubscriptionApprove>,
    Path(id): Path<Id<id::Organization>>,
    condition: IfMatch,
    Body(new): Body<NewApprovalPolicy>,
) -> Result<Sent<Edited<ApprovalPolicy>>> {
    let (rules, lapse_days) = (new.rules.as_slice(), new.lapse_days.unwrap_or(LAPSE_DAYS));
    check_policy(rules, lapse_days)?;
    let text = serde_json::to_string(rules).map_err(|error| Error::fault(error.to_string()))?;
    hub.write(&caller, async |tx| {
        check_customer(tx, &caller.scope(), id).await?;
        caller.check_acts_in(id)?;
        let word = Word::of(tx, caller.principal(), id).await?;
        for (number, rule) in rules.iter().enumerate() {
            if let Some(service_id) = rule.service_id {
                let found = services::find(tx, service_id).await;
                let seen = found.and_then(|service| service.check_seen(caller.permissions().has(Permission::ServiceWrite)));
                seen.map_err(|error| match error.kind {
                    domain::Kind::NotFound => Error::invalid(format!("/rules/{number}/serviceId"), error.public),
                    _ => error,
                })?;
            }
        }
        let before = approval_policies::find(tx, id).await?;
        let policy = approval_policies::replace(tx, &word, condition.version, &text, lapse_days, hub.now()).await?;
        let written = serde_json::to_string(&before.rules).map_err(|error| Error::fault(error.to_string()))?;
        hub.audit_change("rules", Some(&written), Some(&text));
        hub.audit_change("lapseDays", Some(&before.lapse_days.to_string()), Some(&lapse_days.to_string()));
        Ok(Edited { version: policy.version, value: policy })
    })
    .await
}

/// Only customers have such a policy.
async fn check_customer(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<()> {
    organizations::find(db, scope, id).await?.kind.check_customer(id, "a policy on what needs its approval")
}
