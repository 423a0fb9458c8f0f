//! The interop table: which versions work together and which upgrades are allowed. It is the operator's and the same for
//! everybody, so it is read without a scope.

use crate::{Db, Tx, params};
use domain::{Error, Instant, Result, interop::InteropTable};

/// The table and the number of its edits; an empty one, of no edits, before the first.
pub async fn find(db: &Db) -> Result<(InteropTable, i64)> {
    let sql = "SELECT content, version FROM interop_tables WHERE id = 1";
    let found = db.query_opt(sql, vec![], |row| Ok((row.take::<String>()?, row.take()?))).await?;
    let Some((content, version)) = found else { return Ok((InteropTable::default(), 0)) };
    let table = serde_json::from_slice(content.as_bytes())
        .map_err(|error| Error::fault(format!("the interop table cannot be read: {error}")))?;
    Ok((table, version))
}

/// Puts a table in the place of the one that is still at `version`; anything else is stale. Gives the number of its edits.
pub async fn replace(tx: &Tx<'_>, version: Option<i64>, content: &str, now: Instant) -> Result<i64> {
    let current: i64 =
        tx.query_opt("SELECT version FROM interop_tables WHERE id = 1", vec![], |row| row.take()).await?.unwrap_or(0);
    if version.is_some_and(|version| version != current) {
        return Err(Error::new(
            domain::Kind::Stale,
            "stale",
            "The interop table was edited since you read it. Read it again, apply your change to what you find and send its new ETag as If-Match.",
        ));
    }
    tx.exec(
        "INSERT INTO interop_tables (id, content, version, updated_at) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET content = excluded.content, version = excluded.version, updated_at = excluded.updated_at",
        params![content, current + 1, now],
    )
    .await?;
    Ok(current + 1)
}
