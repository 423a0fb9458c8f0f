//! The files of a database before SQLite opens them: whose they are, whether they are there, and that no other hub has them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Whether a database may be new. One that vanished would else be taken for a new one, and its tenants with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NewDatabase {
    /// One that is not there is made.
    #[default]
    Allowed,
    /// It must be there.
    Refused,
    /// It must not be there.
    Required,
}

/// The file beside a database of this name: `sqlite_db.db` has `sqlite_db.db-wal`.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    name.into()
}

/// Makes the directory of a file, for its owner alone.
pub(crate) fn make_parent(file: &Path) -> Result<()> {
    let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| {
        format!(
            "cannot make the folder {}: make it yourself for the user that runs the hub, or name another with --state-dir",
            dir.display()
        )
    })
}

/// Takes a database for this process until the file is dropped.
///
/// # Errors
/// When another has it, and when the folder cannot be written.
pub(crate) fn lock(database: &Path) -> Result<File> {
    make_parent(database)?;
    let file = beside(database, "-lock");
    let dir = database.parent().unwrap_or(Path::new("")).display();
    let lock =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file).with_context(|| {
            format!(
                "cannot write in the folder {dir}: let the user that runs the hub write there, or name another with --state-dir"
            )
        })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another hub uses {}: stop it, or name another folder with --state-dir", database.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", file.display())),
    }
}

/// Looks at a database's file and makes it, for its owner alone, where it may be new. Gives a warning when others can read it.
pub(crate) fn prepare(database: &Path, new: NewDatabase) -> Result<Option<String>> {
    let shown = database.display();
    let file = match OpenOptions::new().read(true).write(true).open(database) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {shown}: let the user that runs the hub read and write it"));
        }
    };
    // An empty file is what a copy leaves that was cut off at once.
    let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?;
    if length == 0 {
        make_new(database, new)?;
        return Ok(None);
    }
    ensure!(
        new != NewDatabase::Required,
        "there is a database already, {shown}: start without --new, or name another folder with --state-dir"
    );
    ensure!(
        is_database(database),
        "{shown} is not a database: put the right file there, or restore a backup with `hub restore FILE`"
    );
    let mode = fs::metadata(database)?.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then(|| format!("others may read {shown} (mode {mode:o}): chmod 600 it and what lies beside it")))
}

fn make_new(database: &Path, new: NewDatabase) -> Result<()> {
    let shown = database.display();
    let wal = beside(database, "-wal");
    ensure!(
        !fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0),
        "{} lies there without its database: put {} back beside it, or restore a backup with `hub restore FILE`",
        wal.display(),
        shown
    );
    ensure!(
        new != NewDatabase::Refused,
        "there is no database {shown}: for a new hub start once with --new; else put it back, restore a backup with `hub restore \
         FILE`, or name its folder with --state-dir"
    );
    make(database).with_context(|| format!("cannot make {shown}: let the user that runs the hub write there"))
}

/// Makes an empty file for its owner alone, which SQLite takes for a new database, where there is none.
pub(crate) fn make(file: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// What tells a file from others that have had its name: its device and its number there.
pub(crate) type Identity = (u64, u64);

/// Whether a file begins as those of SQLite do.
pub(crate) fn is_database(file: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *MAGIC
}

/// Which file has this name now.
pub(crate) fn identity(file: &Path) -> Option<Identity> {
    fs::metadata(file).ok().map(|data| (data.dev(), data.ino()))
}
