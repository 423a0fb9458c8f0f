//! Whether a customer lets others act in it.

use crate::{Db, Row, Tx, customers_word::Word, organizations::Organization, params, set_anew};
use domain::{
    Error, Id, Instant, JsonSchema, Result,
    acting::{ActingPolicy as Policy, DEFAULT_POLICY},
    id,
};
use serde::Serialize;

/// A customer's policy on acting in it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActingPolicy {
    /// The customer.
    pub organization_id: Id<id::Organization>,
    /// What holds.
    pub policy: Policy,
    /// When it was set; never, while the default holds.
    pub updated_at: Option<Instant>,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

fn read(row: &mut Row) -> Result<ActingPolicy> {
    Ok(ActingPolicy { organization_id: row.take()?, policy: row.take()?, updated_at: row.take()?, version: row.take()? })
}

/// The policy of a customer that was found within the caller's scope.
pub async fn find(db: &Db, customer: &Organization) -> Result<ActingPolicy> {
    let sql = "SELECT organization_id, policy, updated_at, version FROM acting_policies WHERE organization_id = ?1";
    let set = db.query_opt(sql, params![customer.id], read).await?;
    Ok(set.unwrap_or(ActingPolicy { organization_id: customer.id, policy: DEFAULT_POLICY, updated_at: None, version: 0 }))
}

/// Sets the policy of the customer that the caller has a say in, if what is there is still `version`; anything else is stale.
pub async fn replace(
    tx: &Tx<'_>,
    customer: &Organization,
    word: &Word,
    version: Option<i64>,
    policy: Policy,
    now: Instant,
) -> Result<ActingPolicy> {
    let current = find(tx, customer).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(set_anew());
    }
    tx.query_opt(
        "INSERT INTO acting_policies (organization_id, policy, version, updated_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (organization_id) DO UPDATE SET policy = excluded.policy, version = acting_policies.version + 1,
             updated_at = excluded.updated_at
         RETURNING organization_id, policy, updated_at, version",
        params![word.organization(), policy, now],
        read,
    )
    .await?
    .ok_or_else(|| Error::fault("a policy was not written"))
}
