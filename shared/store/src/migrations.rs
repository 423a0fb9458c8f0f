//! The schema, as numbered steps that are applied once and in order.
//!
//! Whichever component is asked first brings the database up to date, under the write lock, so the hub needs no
//! separate step to install: not with the embedded host, not on Spin.

use crate::{Db, params};
use domain::{Error, Result};

/// One numbered step. Its statements are in the dialect that SQLite and PostgreSQL share.
pub struct Migration {
    /// From 1, without gaps.
    pub number: i64,
    /// Says what it is about; so is its file called.
    pub name: &'static str,
    /// What its file says.
    sql: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal,)*) => {
        &[$(Migration { number: $number, name: $name, sql: include_str!(concat!("../migrations/", $name, ".sql")) },)*]
    };
}

/// All steps in order. A step that was released is never edited; a change is a new step.
pub const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_kit",
    2 "0002_contracts",
    3 "0003_provisioning",
    4 "0004_billing",
    5 "0005_people",
    6 "0006_members",
    7 "0007_audit",
    8 "0008_organizations_contracts",
    9 "0009_sign_in",
    10 "0010_catalogue",
    11 "0011_environments",
    12 "0012_subscription_life",
    13 "0013_sign_in_ends",
    14 "0014_lists",
    15 "0015_contract_uses",
    16 "0016_renewals",
    17 "0017_service_brokers",
    18 "0018_vsphere",
    19 "0019_certificates",
    20 "0020_approvals",
    21 "0021_cloud_endpoints",
    22 "0022_redeployments",
    23 "0023_consent",
    24 "0024_usage_voids",
    25 "0025_job_turns",
    26 "0026_kept_answers",
    27 "0027_health_checks",
    28 "0028_judged_again",
    29 "0029_customers_word",
    30 "0030_sign_in_attempts",
    31 "0031_hub",
    32 "0032_house",
    33 "0033_environments",
    34 "0034_provisioning",
    35 "0035_onboarding_and_access",
};

const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL)";

impl Migration {
    /// The step's statements, one by one: the database takes no more than one at a time. Without the comments and the alignment of
    /// the file, for the database keeps the words of what it creates. A comment has its lines to itself.
    pub fn statements(&self) -> Vec<String> {
        let lines = self.sql.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect::<String>();
        words.split(";\n").filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
    }
}

/// The number that a database which is up to date has reached.
pub fn latest() -> i64 {
    MIGRATIONS.len() as i64
}

/// Brings the database up to date. When it already is, this is two small reads. Refused when the database was
/// migrated by a newer hub than this one, since this one would not know what the columns mean.
pub async fn migrate(db: &Db) -> Result<()> {
    db.prepare_file().await?;
    let reached = reached(db).await;
    if let Ok(Some(number)) = reached {
        return check(number);
    }
    db.exec(VERSION_TABLE, vec![]).await?;
    db.in_transaction(async |tx| {
        // Asked again under the lock: another component may have been quicker.
        let reached = last(tx).await?;
        check(reached.max(latest()))?;
        for migration in MIGRATIONS.iter().filter(|migration| migration.number > reached) {
            for statement in migration.statements() {
                tx.exec(&statement, vec![]).await?;
            }
            tx.exec("INSERT INTO schema_migrations (number, name) VALUES (?1, ?2)", params![migration.number, migration.name])
                .await?;
        }
        Ok(())
    })
    .await
}

/// The latest step applied, when it is at least ours; `None` or an error (there is no table yet) when there is work.
async fn reached(db: &Db) -> Result<Option<i64>> {
    Ok(Some(last(db).await?).filter(|&number| number >= latest()))
}

async fn last(db: &Db) -> Result<i64> {
    db.query_opt("SELECT COALESCE(MAX(number), 0) FROM schema_migrations", vec![], |row| row.take())
        .await
        .map(Option::unwrap_or_default)
}

fn check(number: i64) -> Result<()> {
    if number > latest() {
        return Err(Error::unavailable(format!(
            "the database is at schema step {number}, this hub knows {}: run a hub that is at least as new as the database",
            latest()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps_and_named_by_their_number() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number, index as i64 + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)));
        }
    }

    #[test]
    fn a_step_has_statements_without_comments() {
        for migration in MIGRATIONS {
            let statements = migration.statements();
            assert!(!statements.is_empty(), "{}", migration.name);
            for statement in statements {
                assert!(!statement.contains("--") && !statement.contains("  ") && !statement.ends_with(';'), "{statement}");
            }
        }
    }
}
