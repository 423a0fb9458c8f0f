//! The bench's yardstick for a durable write: what `POST /v1/organizations` does to the database, done by native
//! rusqlite on a database that a hub has migrated, with the hub's durability (WAL, synchronous FULL), and nothing else.
//!
//! Usage: `native-write DATABASE SECONDS keyed|plain`; prints one line of JSON.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The statements of `shared/store`: `access_tokens::find`, `idempotency::{find, insert}`, `organizations::{find, insert}`.
const PRINCIPAL: &str =
    "SELECT a.principal_id || ' ' || o.kind || ' ' || o.status || ' ' || o.path || ' ' || b.role || ' ' || p.path AS found
    FROM access_tokens a
    JOIN organizations o ON o.id = a.organization_id
    JOIN bindings b ON b.principal_id = a.principal_id
    JOIN organizations p ON p.id = b.organization_id
    WHERE a.hash = ?1 AND a.expires_at > ?2";
const ANSWERED: &str =
    "SELECT fingerprint, status, answer FROM idempotency_keys WHERE principal_id = ?1 AND key_hash = ?2 AND expires_at > ?3";
const FIND: &str = "SELECT id, parent_id, kind, status, display_name, company_name, country, state, city, zip, address_line1,
    domain, tag, currency, created_at, updated_at, version, path
    FROM organizations WHERE id = ?1 AND path >= ?2 AND path < ?3";
const INSERT: &str = "INSERT INTO organizations (id, parent_id, path, kind, status, display_name, company_name, country, state,
        city, zip, address_line1, domain, tag, currency, version, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, 'ACTIVE', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 1, ?15, ?15)
    ON CONFLICT DO NOTHING RETURNING id, parent_id, kind, status, display_name, company_name, country, state, city, zip,
        address_line1, domain, tag, currency, created_at, updated_at, version, path";
const ANSWER: &str = "INSERT INTO idempotency_keys (principal_id, key_hash, fingerprint, status, answer, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (principal_id, key_hash) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status,
        answer = excluded.answer, expires_at = excluded.expires_at";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("which database?")?;
    let seconds: u64 = arguments.next().context("how many seconds?")?.parse()?;
    let keyed = arguments.next().as_deref() == Some("keyed");

    let db = Connection::open(file)?;
    db.busy_timeout(Duration::from_secs(5))?;
    let mode: String = db.query_row("PRAGMA journal_mode = wal", [], |row| row.get(0))?;
    ensure!(mode == "wal", "the journal mode is {mode}");
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = 1;")?;
    let (token, principal, parent, path): (String, String, String, String) = db.query_row(
        "SELECT a.hash, a.principal_id, o.id, o.path FROM access_tokens a
         JOIN organizations o ON o.id = a.organization_id WHERE o.kind = 'OPERATOR' LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let until = format!("{}/", path.trim_end_matches('.'));
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    // As long as the sealed answer that the hub keeps.
    let answer = "x".repeat(900);

    let start = Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed() < Duration::from_secs(seconds) {
        let began = Instant::now();
        let unique = format!("{run:018}{:08}", latencies.len());
        let found = db.prepare_cached(PRINCIPAL)?.query_map(params![token, now], |row| row.get::<_, String>(0))?.count();
        ensure!(found > 0, "the access token is gone");
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        if keyed {
            let answered: Option<String> =
                db.prepare_cached(ANSWERED)?.query_row(params![principal, unique, now], |row| row.get(0)).optional()?;
            ensure!(answered.is_none(), "the key was used before");
        }
        let _: String = db.prepare_cached(FIND)?.query_row(params![parent, path, until], |row| row.get(0))?;
        let id = format!("org_{unique}");
        let none: Option<String> = None;
        let written: String = db.prepare_cached(INSERT)?.query_row(
            params![
                id,
                parent,
                format!("{path}{id}."),
                "PROVIDER",
                "Bench",
                "Bench Ltd",
                "US",
                none,
                none,
                none,
                none,
                none,
                none,
                "USD",
                now
            ],
            |row| row.get(0),
        )?;
        ensure!(written == id, "another row was written");
        if keyed {
            db.prepare_cached(ANSWER)?.execute(params![principal, unique, token, 201, answer, now + 86_400_000])?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        latencies.push(began.elapsed());
    }
    let elapsed = start.elapsed().as_secs_f64();
    latencies.sort();
    let at = |part: usize| latencies.get(latencies.len() * part / 100).map_or(0.0, |d| d.as_secs_f64() * 1e3);
    #[expect(clippy::cast_precision_loss, reason = "a count of transactions is far below 2^52")]
    let per_second = latencies.len() as f64 / elapsed;
    println!("{{\"perSecond\":{per_second:.1},\"p50\":{:.4},\"p99\":{:.4}}}", at(50), at(99));
    Ok(())
}
