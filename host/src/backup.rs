//! Backups of a database that is in use, and the way back.
//!
//! A backup is the database as it was at one instant: a read transaction holds that while the pages are copied in small steps,
//! so that writers go on beside it and a busy hub does not make it begin anew. It counts as one only when the copy was opened,
//! is whole, and has every table and row that was there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rusqlite::backup::{self, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::files::{beside, is_database};

/// The pages that are copied at once: half a megabyte.
const PAGES: std::ffi::c_int = 128;
/// The steps after which the copy is brought to the disk, so that the writers' syncs never wait for much of it.
const STEPS_A_SYNC: u32 = 8;
/// The longest pause after a step. A step is followed by a pause as long as itself, for those who work beside it.
const PAUSE: Duration = Duration::from_millis(20);
/// The steps of SQLite's machine after which a check pauses.
const CHECKED: std::ffi::c_int = 50_000;
/// How long a lock of another is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The file's size in bytes.
    pub bytes: u64,
    /// How many tables there are.
    pub tables: usize,
    /// How many rows they have together.
    pub rows: u64,
}

/// What a database consists of: its schema, and how many rows each table has.
#[derive(PartialEq, Eq)]
struct Content {
    schema: Vec<String>,
    rows: BTreeMap<String, u64>,
}

/// Copies a database that may be in use to a new file.
///
/// # Errors
/// When there is something at `to`, when the database cannot be read, and when the copy is not the same.
pub fn back_up(database: &Path, to: &Path) -> Result<Copied> {
    ensure!(!to.exists(), "{} is there already: name another file, or remove it", to.display());
    let draft = beside(to, ".part");
    let copied = copy_and_check(database, &draft).with_context(|| format!("no backup was made of {}", database.display()));
    let copied = copied.inspect_err(|_| {
        // What is not a backup must not be taken for one.
        for suffix in ["", "-wal", "-shm", "-journal"] {
            _ = fs::remove_file(beside(&draft, suffix));
        }
    })?;
    fs::rename(&draft, to).with_context(|| format!("cannot write {}", to.display()))?;
    sync_dir(to)?;
    Ok(copied)
}

fn copy_and_check(database: &Path, draft: &Path) -> Result<Copied> {
    let source = open(database)?;
    // From here on the connection sees one state of the database, whoever writes.
    source.execute_batch("BEGIN")?;
    let content = Content::of(&source)?;
    ensure!(content.total() > 0, "the database is empty: there is nothing to back up");
    make_private(draft)?;
    copy(&source, draft)?;
    drop(source);
    let copy = check(draft)?;
    ensure!(Content::of(&copy)? == content, "the copy has not the rows of the database");
    // One file that needs no other beside it.
    finish(copy, draft)?;
    Ok(Copied { bytes: fs::metadata(draft)?.len(), tables: content.rows.len(), rows: content.total() })
}

fn copy(source: &Connection, draft: &Path) -> Result<()> {
    let mut target = open(draft)?;
    // Who would lose the copy's last pages has no copy: it is brought to the disk below, and is nobody's before.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let file = File::open(draft)?;
    let backup = backup::Backup::new(source, &mut target)?;
    let mut steps = 0u32;
    let mut busy_since = None;
    loop {
        let start = Instant::now();
        match backup.step(PAGES)? {
            StepResult::Done => break,
            StepResult::More => busy_since = None,
            _ if busy_since.get_or_insert(start).elapsed() > BUSY => bail!("the database stayed locked"),
            _ => std::thread::sleep(PAUSE),
        }
        steps += 1;
        if steps.is_multiple_of(STEPS_A_SYNC) {
            file.sync_data()?;
        }
        std::thread::sleep(start.elapsed().min(PAUSE));
    }
    drop(backup);
    target.close().map_err(|(_, error)| error)?;
    file.sync_all()?;
    Ok(())
}

/// Opens a copy and looks whether it is a whole database with something in it.
///
/// # Errors
/// What is wrong with it. An empty file passes SQLite's own check, and not this one.
fn check(file: &Path) -> Result<Connection> {
    let mut connection = open(file)?;
    connection.progress_handler(
        CHECKED,
        Some(|| {
            std::thread::sleep(Duration::from_millis(1));
            false
        }),
    )?;
    let verdict = match connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)) {
        Ok(verdict) => verdict,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            bail!("{} is not a database", file.display())
        }
        Err(error) => error.to_string(),
    };
    ensure!(verdict == "ok", "{} is damaged: {verdict}", file.display());
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let lost: Option<String> = statement.query([])?.next()?.map(|row| row.get(0)).transpose()?;
    drop(statement);
    if let Some(table) = lost {
        bail!("{} is damaged: rows of {table} refer to rows that are not there", file.display());
    }
    let content = Content::of(&connection)?;
    ensure!(content.total() > 0, "{} is an empty database", file.display());
    connection.progress_handler(0, None::<fn() -> bool>)?;
    Ok(connection)
}

/// Closes a database so that its file is all of it, and brings that to the disk.
fn finish(connection: Connection, file: &Path) -> Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    ensure!(mode == "delete", "{} is in use", file.display());
    connection.close().map_err(|(_, error)| error)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        ensure!(!beside(file, suffix).exists(), "{}{suffix} is left over", file.display());
    }
    File::open(file)?.sync_all()?;
    Ok(())
}

/// A backup that was copied beside the database, to be looked at before it takes that one's place.
pub(crate) struct Staged {
    dir: PathBuf,
    database: PathBuf,
}

impl Staged {
    /// Copies a backup (with its `-wal`, if it is a plain copy of both) and checks it.
    pub(crate) fn copy(backup: &Path, database: &Path, name: &str) -> Result<Self> {
        ensure!(backup.is_file(), "there is no file {}", backup.display());
        let dir = beside(database, ".restoring");
        let staged = Self { database: dir.join(name), dir };
        staged.clear()?;
        fs::create_dir(&staged.dir).with_context(|| format!("cannot make {}", staged.dir.display()))?;
        make_private(&staged.database)?;
        fs::copy(backup, &staged.database).with_context(|| format!("cannot copy {}", backup.display()))?;
        let wal = beside(backup, "-wal");
        if wal.exists() {
            fs::copy(&wal, beside(&staged.database, "-wal"))?;
        }
        make_readable_by_owner_alone(&staged.database)?;
        check(&staged.database).with_context(|| format!("{} is no backup to restore", backup.display()))?;
        Ok(staged)
    }

    /// The folder that a hub can be started on.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts it in the place of the database, which is kept aside under the name that this gives.
    pub(crate) fn put_in_place(self, database: &Path, aside: &Path) -> Result<Option<PathBuf>> {
        finish(check(&self.database)?, &self.database)?;
        let kept = put_aside(database, aside)?;
        fs::rename(&self.database, database).with_context(|| format!("cannot write {}", database.display()))?;
        sync_dir(database)?;
        Ok(kept)
    }

    fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.dir.display()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        _ = self.clear();
    }
}

/// Keeps the database under another name as well; its own stays until the new one takes it.
fn put_aside(database: &Path, aside: &Path) -> Result<Option<PathBuf>> {
    let wal = beside(database, "-wal");
    if !database.exists() && !wal.exists() {
        return Ok(None);
    }
    ensure!(!aside.exists(), "{} is there already: remove it, or wait a second", aside.display());
    // What is in its log is brought home first, so that one file is all of it.
    // Only of a database: beside anything else SQLite takes the log for none of its own and removes it.
    let closed = match is_database(database) {
        true => open(database).and_then(|old| finish(old, database)),
        false => Err(anyhow!("{} is not a database", database.display())),
    };
    if closed.is_err() {
        if let Err(error) = &closed
            && let Some(rusqlite::Error::SqliteFailure(code, _)) = error.downcast_ref()
            && code.code == rusqlite::ErrorCode::DatabaseBusy
        {
            bail!("another program has {} open: stop it first", database.display());
        }
        // It is damaged: it is kept as it is, with what lies beside it.
        for suffix in ["-wal", "-shm", "-journal"] {
            let file = beside(database, suffix);
            if file.exists() {
                fs::rename(&file, beside(aside, suffix))?;
            }
        }
    }
    if database.exists() && fs::hard_link(database, aside).is_err() {
        // A file system without links.
        fs::rename(database, aside)?;
    }
    sync_dir(database)?;
    Ok(Some(aside.to_owned()))
}

impl Content {
    fn of(connection: &Connection) -> Result<Self> {
        let texts =
            |sql: &str| -> rusqlite::Result<Vec<String>> { connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect() };
        let schema = texts("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")?;
        let tables = texts(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'",
        )?;
        let count = |table: String| -> Result<(String, u64)> {
            let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
            let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            Ok((table, u64::try_from(rows)?))
        };
        Ok(Self { schema, rows: tables.into_iter().map(count).collect::<Result<_>>()? })
    }

    fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

fn open(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).with_context(|| format!("cannot open {}", file.display()))?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn make_private(file: &Path) -> Result<()> {
    _ = fs::remove_file(file);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map(drop).with_context(|| format!("cannot write {}: is the folder there, and yours?", file.display()))
}

/// `fs::copy` gives the copy the permissions of what it copies.
fn make_readable_by_owner_alone(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for file in [file.to_owned(), beside(file, "-wal")] {
        if file.exists() {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// Brings the names in a file's folder to the disk.
fn sync_dir(file: &Path) -> Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| format!("cannot sync the folder {}", dir.display()))
}
