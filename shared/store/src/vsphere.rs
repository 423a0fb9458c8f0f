//! What turns at vCenters leave for the next ones. Whose tasks they are was decided by the runner's claim.

use crate::{Db, Tx, params};
use domain::{Id, Result, id};

/// The memo of a task, if it has one.
pub async fn memo(db: &Db, task_id: Id<id::Task>) -> Result<Option<String>> {
    db.query_opt("SELECT memo FROM vsphere_memos WHERE task_id = ?1", params![task_id], |row| row.take()).await
}

/// Writes the memo of a task.
pub async fn set_memo(tx: &Tx<'_>, task_id: Id<id::Task>, memo: &str) -> Result<()> {
    let sql =
        "INSERT INTO vsphere_memos (task_id, memo) VALUES (?1, ?2) ON CONFLICT (task_id) DO UPDATE SET memo = excluded.memo";
    tx.exec(sql, params![task_id, memo]).await
}
