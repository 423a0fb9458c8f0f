//! What customers want to be asked about before it is begun.

use crate::{Db, Row, Tx, customers_word::Word, params, set_anew};
use domain::{
    Error, Id, Instant, JsonSchema, Result,
    approval::{ApprovalRule, LAPSE_DAYS},
    id,
};
use serde::Serialize;

/// A customer's policy on approvals.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPolicy {
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// What needs an approval: whatever one of these holds for. Without any, nothing does.
    pub rules: Vec<ApprovalRule>,
    /// For how many days an approval waits for its answer before it lapses.
    pub lapse_days: u32,
    /// When it was set; never, while the default holds.
    pub updated_at: Option<Instant>,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

fn read(row: &mut Row) -> Result<ApprovalPolicy> {
    let (organization_id, rules) = (row.take()?, row.take::<String>()?);
    let rules = serde_json::from_str(&rules)
        .map_err(|error| Error::fault(format!("the approval policy of {organization_id} cannot be read: {error}")))?;
    Ok(ApprovalPolicy { organization_id, rules, lapse_days: row.take()?, updated_at: row.take()?, version: row.take()? })
}

/// The policy of a customer that was found within the caller's scope.
pub async fn find(db: &Db, customer: Id<id::Organization>) -> Result<ApprovalPolicy> {
    let sql = "SELECT organization_id, rules, lapse_days, updated_at, version FROM approval_policies WHERE organization_id = ?1";
    let none =
        ApprovalPolicy { organization_id: customer, rules: Vec::new(), lapse_days: LAPSE_DAYS, updated_at: None, version: 0 };
    Ok(db.query_opt(sql, params![customer], read).await?.unwrap_or(none))
}

/// Sets the policy of the customer that the caller has a say in, if what is there is still at `version`; anything else is stale. What
/// is pending stays so.
pub async fn replace(
    tx: &Tx<'_>,
    word: &Word,
    version: Option<i64>,
    rules: &str,
    lapse_days: u32,
    now: Instant,
) -> Result<ApprovalPolicy> {
    let customer = word.organization();
    let current = find(tx, customer).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(set_anew());
    }
    tx.query_opt(
        "INSERT INTO approval_policies (organization_id, rules, lapse_days, version, updated_at) VALUES (?1, ?2, ?3, 1, ?4)
         ON CONFLICT (organization_id) DO UPDATE SET rules = excluded.rules, lapse_days = excluded.lapse_days,
             version = approval_policies.version + 1, updated_at = excluded.updated_at
         RETURNING organization_id, rules, lapse_days, updated_at, version",
        params![customer, rules, lapse_days, now],
        read,
    )
    .await?
    .ok_or_else(|| Error::fault("a policy was not written"))
}
