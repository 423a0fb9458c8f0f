//! Package repositories and their files. They are the operator's and the same for everybody, so they are read without a
//! scope.

use crate::{
    Db, Row, Tx, job_payload, params,
    value::{batches, numbers, start},
};
use domain::{
    Error, Id, Instant, JsonSchema, Result, Text, id,
    package::{BaseUrl, FilePath, IndexedFile, PackageFileStatus, PackageWorkStatus, Sha256},
};
use serde::{Deserialize, Serialize};

job_payload! {
    /// Reads a repository's index.
    RefreshRepository {
        /// The repository.
        package_repository_id: Id<id::PackageRepository>
    } queue "packages" kind "packages.refresh"
}

job_payload! {
    /// Compares a repository's files with its index.
    VerifyRepository {
        /// The repository.
        package_repository_id: Id<id::PackageRepository>
    } queue "packages" kind "packages.verify"
}

/// A package repository.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageRepository {
    /// Its id.
    pub id: Id<id::PackageRepository>,
    /// The name it is known by.
    pub display_name: String,
    /// Where it is.
    pub base_url: BaseUrl,
    /// Where reading its index stands.
    pub refresh_status: PackageWorkStatus,
    /// What was wrong with that.
    pub refresh_message: Option<String>,
    /// When its index was last read.
    pub refreshed_at: Option<Instant>,
    /// Where verifying its files stands.
    pub verification_status: PackageWorkStatus,
    /// What was wrong with that.
    pub verification_message: Option<String>,
    /// When verifying last ended.
    pub verified_at: Option<Instant>,
    /// When it was registered.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What is said of a package repository that is to be registered.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPackageRepository {
    /// The name it is to be known by.
    pub display_name: Text<1, 120>,
    /// Where it is. The hub can reach what its variable `package_repository` allows.
    pub base_url: BaseUrl,
}

/// A file of a package repository, and what is known of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageFile {
    /// Its id.
    pub id: Id<id::PackageFile>,
    /// What it is of.
    pub product_code: String,
    /// In which version.
    pub version: String,
    /// Where it is, below the repository's base URL.
    pub path: FilePath,
    /// How long the index says it is, in bytes.
    pub size: i64,
    /// What the index says it is.
    pub sha256: Sha256,
    /// What is known of it.
    pub status: PackageFileStatus,
    /// What is wrong with it.
    pub message: Option<String>,
    /// When it was last looked at.
    pub checked_at: Option<Instant>,
    /// How many bytes of it verification has read.
    #[serde(skip)]
    pub bytes_read: i64,
    /// SHA-256's state after these.
    #[serde(skip)]
    pub hash_state: Option<String>,
    /// Failures in a row at reading it.
    #[serde(skip)]
    pub failures: u32,
}

const COLUMNS: &str = "id, display_name, base_url, refresh_status, refresh_message, refreshed_at, verification_status,
    verification_message, verified_at, created_at, updated_at";
const FILE_COLUMNS: &str =
    "id, product_code, version, path, size, sha256, status, message, checked_at, bytes_read, hash_state, failures";

fn read(row: &mut Row) -> Result<PackageRepository> {
    Ok(PackageRepository {
        id: row.take()?,
        display_name: row.take()?,
        base_url: row.take()?,
        refresh_status: row.take()?,
        refresh_message: row.take()?,
        refreshed_at: row.take()?,
        verification_status: row.take()?,
        verification_message: row.take()?,
        verified_at: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

fn read_file(row: &mut Row) -> Result<PackageFile> {
    Ok(PackageFile {
        id: row.take()?,
        product_code: row.take()?,
        version: row.take()?,
        path: row.take()?,
        size: row.take()?,
        sha256: row.take()?,
        status: row.take()?,
        message: row.take()?,
        checked_at: row.take()?,
        bytes_read: row.take()?,
        hash_state: row.take()?,
        failures: row.take()?,
    })
}

/// Registers a repository, whose index is about to be read.
pub async fn insert(
    tx: &Tx<'_>,
    id: Id<id::PackageRepository>,
    new: &NewPackageRepository,
    now: Instant,
) -> Result<PackageRepository> {
    tx.query_opt(
        &format!(
            "INSERT INTO package_repositories (id, display_name, base_url, refresh_status, verification_status, created_at, updated_at)
             VALUES (?1, ?2, ?3, 'IN_PROGRESS', 'NOT_STARTED', ?4, ?4) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        ),
        params![id, new.display_name, new.base_url, now],
        read,
    )
    .await?
    .ok_or_else(|| {
        Error::conflict(
            "package_repository_taken",
            format!("The package repository {} is registered already. Use it, or register another.", new.base_url),
        )
    })
}

/// One repository, if there is still one.
pub async fn look_up(db: &Db, id: Id<id::PackageRepository>) -> Result<Option<PackageRepository>> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM package_repositories WHERE id = ?1"), params![id], read).await
}

/// One repository.
pub async fn find(db: &Db, id: Id<id::PackageRepository>) -> Result<PackageRepository> {
    look_up(db, id).await?.ok_or_else(|| {
        Error::new(
            domain::Kind::NotFound,
            "package_repository_not_found",
            format!("There is no package repository {id}. GET /v1/package-repositories lists what there is."),
        )
    })
}

/// A page of the repositories, oldest first.
pub async fn list(db: &Db, after: Option<Id<id::PackageRepository>>, limit: u32) -> Result<Vec<PackageRepository>> {
    db.query_all(
        &format!("SELECT {COLUMNS} FROM package_repositories WHERE id > ?1 ORDER BY id LIMIT ?2"),
        params![start(after), limit],
        read,
    )
    .await
}

/// Takes a repository and what is known of its files off the register.
pub async fn delete(tx: &Tx<'_>, id: Id<id::PackageRepository>) -> Result<()> {
    tx.exec("DELETE FROM package_files WHERE repository_id = ?1", params![id]).await?;
    tx.exec("DELETE FROM package_repositories WHERE id = ?1", params![id]).await
}

/// Says where reading the index stands; `refreshed_at` stays where it has not just been read.
pub async fn set_refresh(
    tx: &Tx<'_>,
    id: Id<id::PackageRepository>,
    status: PackageWorkStatus,
    message: Option<&str>,
    now: Instant,
) -> Result<()> {
    let read_at = (status == PackageWorkStatus::Success).then_some(now);
    tx.exec(
        "UPDATE package_repositories SET refresh_status = ?2, refresh_message = ?3, refreshed_at = COALESCE(?4, refreshed_at),
             updated_at = ?5 WHERE id = ?1",
        params![id, status, message, read_at, now],
    )
    .await
}

/// Says where verifying the files stands.
pub async fn set_verification(
    tx: &Tx<'_>,
    id: Id<id::PackageRepository>,
    status: PackageWorkStatus,
    message: Option<&str>,
    now: Instant,
) -> Result<()> {
    let ended = matches!(status, PackageWorkStatus::Success | PackageWorkStatus::Error).then_some(now);
    tx.exec(
        "UPDATE package_repositories SET verification_status = ?2, verification_message = ?3, verified_at = COALESCE(?4, verified_at),
             updated_at = ?5 WHERE id = ?1",
        params![id, status, message, ended, now],
    )
    .await
}

/// Puts the files of an index in the place of those before. What is known of one that is the same stays known; `first` is
/// where the new ones' ids begin.
pub async fn replace_files(
    tx: &Tx<'_>,
    id: Id<id::PackageRepository>,
    first: Id<id::PackageFile>,
    files: &[IndexedFile],
) -> Result<()> {
    // Marks those that are not in the index any more: whatever the index has is marked otherwise right after.
    tx.exec("UPDATE package_files SET failures = -1 WHERE repository_id = ?1", params![id]).await?;
    let numbered: Vec<_> = (0..).zip(files).collect();
    for batch in batches(&numbered) {
        let tuples: Vec<String> = (0..batch.len()).map(|at| format!("(?1, {}, 'UNVERIFIED')", numbers(2 + 6 * at, 6))).collect();
        let mut values = params![id];
        for (number, file) in batch {
            values.extend(params![first.nth(*number), file.product_code, file.version, file.path, file.size as i64, file.sha256]);
        }
        tx.exec(
            &format!(
                "INSERT INTO package_files (repository_id, id, product_code, version, path, size, sha256, status) VALUES {}
                 ON CONFLICT (repository_id, path) DO UPDATE SET product_code = excluded.product_code, version = excluded.version,
                     status = CASE WHEN package_files.size = excluded.size AND package_files.sha256 = excluded.sha256
                         THEN package_files.status ELSE 'UNVERIFIED' END,
                     message = CASE WHEN package_files.size = excluded.size AND package_files.sha256 = excluded.sha256
                         THEN package_files.message ELSE NULL END,
                     size = excluded.size, sha256 = excluded.sha256, failures = 0, bytes_read = 0, hash_state = NULL",
                tuples.join(", ")
            ),
            values,
        )
        .await?;
    }
    tx.exec("DELETE FROM package_files WHERE repository_id = ?1 AND failures = -1", params![id]).await
}

/// Forgets what is known of the files, because they are about to be verified.
pub async fn forget_files(tx: &Tx<'_>, id: Id<id::PackageRepository>) -> Result<()> {
    tx.exec(
        "UPDATE package_files SET status = 'UNVERIFIED', message = NULL, failures = 0, bytes_read = 0, hash_state = NULL
         WHERE repository_id = ?1",
        params![id],
    )
    .await
}

/// Which files to list.
#[derive(Clone, Copy, Debug)]
pub struct FileFilter<'a> {
    /// Only those of this product.
    pub product_code: Option<&'a Text<1, 60>>,
    /// Only those of this version.
    pub version: Option<&'a Text<1, 60>>,
    /// Only those of which this is known.
    pub status: Option<PackageFileStatus>,
}

/// A page of a repository's files.
pub async fn list_files(
    db: &Db,
    id: Id<id::PackageRepository>,
    filter: FileFilter<'_>,
    after: Option<Id<id::PackageFile>>,
    limit: u32,
) -> Result<Vec<PackageFile>> {
    db.query_all(
        &format!(
            "SELECT {FILE_COLUMNS} FROM package_files WHERE repository_id = ?1 AND id > ?2 AND (product_code = ?3 OR ?3 IS NULL)
             AND (version = ?4 OR ?4 IS NULL) AND (status = ?5 OR ?5 IS NULL) ORDER BY id LIMIT ?6"
        ),
        params![id, start(after), filter.product_code, filter.version, filter.status, limit],
        read_file,
    )
    .await
}

/// The next file that verification has not settled.
pub async fn next_unverified(db: &Db, id: Id<id::PackageRepository>) -> Result<Option<PackageFile>> {
    db.query_opt(
        &format!(
            "SELECT {FILE_COLUMNS} FROM package_files WHERE repository_id = ?1 AND status = 'UNVERIFIED' ORDER BY id LIMIT 1"
        ),
        params![id],
        read_file,
    )
    .await
}

/// Writes what verification has come to know of a file.
pub async fn update_file(tx: &Tx<'_>, file: &PackageFile) -> Result<()> {
    tx.exec(
        "UPDATE package_files SET status = ?2, message = ?3, checked_at = ?4, bytes_read = ?5, hash_state = ?6, failures = ?7 WHERE id = ?1",
        params![file.id, file.status, file.message, file.checked_at, file.bytes_read, file.hash_state, file.failures],
    )
    .await
}

/// How many files there are of each status.
pub async fn count_files(db: &Db, id: Id<id::PackageRepository>) -> Result<Vec<(PackageFileStatus, i64)>> {
    db.query_all(
        "SELECT status, COUNT(*) FROM package_files WHERE repository_id = ?1 GROUP BY status ORDER BY status",
        params![id],
        |row| Ok((row.take()?, row.take()?)),
    )
    .await
}

/// Whether a repository does not answer at all: the last files that were looked at, `count` of them, could not be read.
pub async fn is_unreadable(db: &Db, id: Id<id::PackageRepository>, count: u32) -> Result<bool> {
    let last: Vec<PackageFileStatus> = db
        .query_all(
            "SELECT status FROM package_files WHERE repository_id = ?1 AND status <> 'UNVERIFIED' ORDER BY id DESC LIMIT ?2",
            params![id, count],
            |row| row.take(),
        )
        .await?;
    Ok(last.len() == count as usize && last.iter().all(|status| *status == PackageFileStatus::Unreadable))
}
