//! The bench's yardstick for a durable write: what `POST /v1/organizations` does to the database, done by native
//! rusqlite on a database that a hub has migrated, with the hub's durability (WAL, synchronous FULL), and nothing else.
//!
//! Usage: `native-write DATABASE SECONDS keyed|plain`; prints one line of JSON.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::{Connection, params_from_iter, types::Value};

/// The statements of one such request, in their order; a test sees to it that they are the hub's.
const STATEMENTS: &str = include_str!("native_write.sql");

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
    // As long as a hash of an entry, and as the sealed answer that the hub keeps.
    let (hash, answer) = ("0".repeat(64), "x".repeat(580));
    let statements: Vec<&str> = STATEMENTS.lines().map(|line| line.trim_end_matches(';')).collect();
    let [who, begin, answered, find, insert, hold, enter, end, answer_kept, commit] = statements[..] else {
        bail!("native_write.sql has {} statements; bind here what it takes", statements.len());
    };

    let start = Instant::now();
    let mut latencies = Vec::new();
    // Beyond what the hub or a run before has written.
    let mut sequence = i64::try_from(run)?;
    while start.elapsed() < Duration::from_secs(seconds) {
        let began = Instant::now();
        let unique = format!("{run:018}{:08}", latencies.len());
        let (id, request) = (format!("org_{unique}"), format!("req_{unique}"));
        let none = Value::Null;
        let text = |text: &str| Value::Text(text.to_owned());
        ensure!(count(&db, who, &[text(&token), now.into()])? > 0, "the access token is gone");
        count(&db, begin, &[])?;
        if keyed {
            ensure!(count(&db, answered, &[text(&principal), text(&unique), now.into()])? == 0, "the key was used before");
        }
        ensure!(count(&db, find, &[text(&parent), text(&path), text(&until)])? == 1, "the operator is gone");
        let mut values = vec![text(&parent), text("ACTIVE"), none.clone(), now.into()];
        values.extend([text(&id), text(&format!("{path}{id}.")), text("PROVIDER"), text("USD"), text("STANDARD"), none.clone()]);
        values.extend([text("Bench"), text("Bench Ltd"), none.clone(), text("US")]);
        values.resize(26, none.clone());
        values.push(text("bench"));
        ensure!(count(&db, insert, &values)? == 1, "the organization was not written");
        let ends = |sequence: i64| {
            let end = |of: &str| [text(of), sequence.into(), text(&hash), now.into()];
            [end(&parent), end(&id)].concat()
        };
        ensure!(count(&db, hold, &ends(1))? == 2, "the chains are not there");
        sequence += 1;
        let entry = |of: &str| {
            let details = r#"{"displayName":{"to":"Bench"},"kind":{"to":"PROVIDER"}}"#;
            [
                [text(&parent), none.clone(), text("organizations"), text("create")],
                [now.into(), text(details), text(of), text(&hash)],
                [text(&principal), text(&parent), text(&request), text("SUCCESS")],
                [sequence.into(), text(&id), text(&hash[..32]), text(&hash)],
            ]
            .concat()
        };
        count(&db, enter, &[entry(&parent), entry(&id)].concat())?;
        count(&db, end, &ends(1))?;
        if keyed {
            let until = now + 86_400_000;
            let (fingerprint, location) = (text(&token[..32]), text("/v1/organizations/org_01h455vb4pex5vsknk084sn02q"));
            let size = i64::try_from(answer.len())?;
            let values =
                [text(&principal), text(&unique), fingerprint, 201.into(), text(&answer), location, until.into(), size.into()];
            count(&db, answer_kept, &values)?;
        }
        count(&db, commit, &[])?;
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

/// Runs a statement to its end, reads every column of its rows, and says how many there were.
fn count(db: &Connection, sql: &str, values: &[Value]) -> Result<usize> {
    let mut statement = db.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(values))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            let _: Value = row.get(column)?;
        }
        count += 1;
    }
    Ok(count)
}
