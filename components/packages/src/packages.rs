//! The jobs of package repositories: reading an index, and comparing the files with it.

use crate::peer::{self, Wrong};
use domain::{
    Error, Id, Result, id,
    job::{is_tried_again, wait_after},
    package::{INDEX, IndexedFile, MAX_INDEX, PIECE, PackageFileStatus, PackageWorkStatus, Piece, read_index, read_piece},
    text::hex,
};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};
use std::time::{Duration, Instant};
use store::{
    Tx,
    jobs::{self, Job},
    package_repositories::{self as repositories, PackageFile, PackageRepository, RefreshRepository, VerifyRepository},
};
use web::{Hub, Record, outbound::Answered};

/// How long one run of a verification goes on before it lets others have their turn.
const RUN: Duration = Duration::from_secs(1);
/// How many pieces one run looks at, at the most.
const PIECES: u32 = 64;
/// How often in a row a file is tried before it is called unreadable.
const ATTEMPTS: u32 = 4;
/// How many unreadable files in a row it takes to call the repository that.
const UNREADABLE: u32 = 3;

/// The repository that a job is about, while the work that `stands` for it is still under way.
async fn repository(
    hub: &Hub,
    id: Id<id::PackageRepository>,
    stands: impl Fn(&PackageRepository) -> PackageWorkStatus,
) -> Result<Option<PackageRepository>> {
    let found = repositories::look_up(hub.db().await?, id).await?;
    Ok(found.filter(|repository| stands(repository) == PackageWorkStatus::InProgress))
}

/// Nothing is left to do for a job, whoever saw to that.
async fn finish(hub: &Hub, job: &Job) -> Result<()> {
    hub.db().await?.in_transaction(async |tx| jobs::finish(tx, job).await).await
}

/// Reads an index and puts its files in the place of those before. While it cannot be read these stay.
pub async fn refresh(hub: Hub, job: Job, payload: RefreshRepository) -> Result<()> {
    let Some(repository) = repository(&hub, payload.package_repository_id, |repository| repository.refresh_status).await? else {
        return finish(&hub, &job).await;
    };
    let (id, now, attempt) = (repository.id, hub.now(), job.attempts + 1);
    let why = match index(&repository).await {
        Ok(files) => return replace(&hub, &job, &repository, &files).await,
        Err(Wrong::Settled(why)) => why,
        Err(Wrong::Fault(why)) => {
            let error = Error::unavailable(&why);
            if is_tried_again(attempt, &error) {
                let message = format!("Attempt {attempt} failed: {why} There will be another.");
                hub.db()
                    .await?
                    .in_transaction(async |tx| {
                        jobs::hold(tx, &job).await?;
                        repositories::set_refresh(tx, id, PackageWorkStatus::InProgress, Some(&message), now).await
                    })
                    .await?;
                return Err(error);
            }
            format!("Gave up after {attempt} attempts. {why}")
        }
    };
    hub.db()
        .await?
        .in_transaction(async |tx| {
            jobs::finish(tx, &job).await?;
            recorded(tx, &hub, &job, "package_repositories.end_refresh", (id, PackageWorkStatus::Error)).await?;
            repositories::set_refresh(tx, id, PackageWorkStatus::Error, Some(&why), now).await
        })
        .await
}

/// Tells the audit, of whoever asked for the work, what came of it.
async fn recorded(
    tx: &Tx<'_>,
    hub: &Hub,
    job: &Job,
    action: &str,
    (id, status): (Id<id::PackageRepository>, PackageWorkStatus),
) -> Result<()> {
    hub.audit_change("status", Some(PackageWorkStatus::InProgress.as_str()), Some(status.as_str()));
    let what = Record::of_job(job.id, job.organization_id, action, id.to_string());
    hub.record(tx, what).await
}

async fn index(repository: &PackageRepository) -> Result<Vec<IndexedFile>, Wrong> {
    let url = repository.base_url.file(INDEX);
    let (status, length, bytes) = peer::get(&url, None, async |answered: Answered| {
        let (status, mut bytes) = (answered.status(), Vec::new());
        if status != 200 {
            return Ok((status, 0, bytes));
        }
        let length = answered.read(MAX_INDEX as u64, |piece| bytes.extend_from_slice(piece)).await?;
        Ok((status, length, bytes))
    })
    .await?;
    if status != 200 {
        return Err(peer::refusal(status));
    }
    if length > MAX_INDEX as u64 {
        return Err(Wrong::Settled(format!("{INDEX} is longer than {MAX_INDEX} bytes; split the repository.")));
    }
    read_index(&bytes).map_err(Wrong::Settled)
}

async fn replace(hub: &Hub, job: &Job, repository: &PackageRepository, files: &[IndexedFile]) -> Result<()> {
    let (id, first, now) = (repository.id, hub.id(), hub.now());
    let db = hub.db().await?;
    db.in_transaction(async |tx| {
        jobs::finish(tx, job).await?;
        repositories::replace_files(tx, id, first, files).await?;
        if repositories::next_unverified(tx, id).await?.is_some() {
            // What was found of the files before says nothing about those that are new.
            repositories::set_verification(tx, id, PackageWorkStatus::NotStarted, None, now).await?;
        }
        recorded(tx, hub, job, "package_repositories.end_refresh", (id, PackageWorkStatus::Success)).await?;
        repositories::set_refresh(tx, id, PackageWorkStatus::Success, None, now).await
    })
    .await
}

/// Looks at a repository's files piece by piece, each kept as soon as it is known, until there are no more of them or its
/// turn is over. Whoever goes on with it, after a crash too, begins at the piece that was not kept.
pub async fn verify(hub: Hub, job: Job, payload: VerifyRepository) -> Result<()> {
    let Some(repository) = repository(&hub, payload.package_repository_id, |repository| repository.verification_status).await?
    else {
        return finish(&hub, &job).await;
    };
    let (db, began) = (hub.db().await?, Instant::now());
    let mut pieces = 0;
    loop {
        let Some(mut file) = repositories::next_unverified(db, repository.id).await? else {
            return conclude(&hub, &job, &repository, None).await;
        };
        let looked = look(&repository, &mut file).await;
        pieces += 1;
        let now = hub.now() + chrono_of(began.elapsed());
        let wait = match looked {
            Ok(()) => {
                file.failures = 0;
                Duration::ZERO
            }
            Err(Wrong::Settled(why)) => return conclude(&hub, &job, &repository, Some(&why)).await,
            Err(Wrong::Fault(why)) => {
                file.failures += 1;
                if file.failures >= ATTEMPTS {
                    let why = format!("Gave up after {ATTEMPTS} attempts. {why}");
                    (file.status, file.message) = (PackageFileStatus::Unreadable, Some(why));
                    Duration::ZERO
                } else {
                    let jitter = hub.id::<id::Job>().uuid().as_u128() as u64;
                    wait_after(file.failures, jitter).to_std().unwrap_or_default()
                }
            }
        };
        file.checked_at = Some(now);
        let goes_on = wait.is_zero() && pieces < PIECES && began.elapsed() < RUN;
        db.in_transaction(async |tx| {
            jobs::hold(tx, &job).await?;
            repositories::update_file(tx, &file).await?;
            if goes_on { Ok(()) } else { jobs::again(tx, &job, now + chrono_of(wait)).await }
        })
        .await?;
        let unreadable = file.status == PackageFileStatus::Unreadable;
        if unreadable && repositories::is_unreadable(db, repository.id, UNREADABLE).await? {
            let why = file.message.as_deref().unwrap_or_default();
            let why = format!("{UNREADABLE} files in a row could not be read, so the rest was not tried. {why}");
            return conclude(&hub, &job, &repository, Some(&why)).await;
        }
        if !goes_on {
            return Ok(());
        }
    }
}

/// Says what came of it: of each file, or why it was broken off.
async fn conclude(hub: &Hub, job: &Job, repository: &PackageRepository, broken_off: Option<&str>) -> Result<()> {
    let db = hub.db().await?;
    let counts = repositories::count_files(db, repository.id).await?;
    let files: i64 = counts.iter().map(|(_, count)| count).sum();
    let wrong: Vec<_> = counts.iter().filter(|(status, _)| *status != PackageFileStatus::Verified).collect();
    let message = match (broken_off, wrong.as_slice()) {
        (Some(why), _) => Some(why.to_owned()),
        (None, []) => None,
        (None, wrong) => {
            let which: Vec<String> = wrong.iter().map(|(status, count)| format!("{count} {status}")).collect();
            let sum: i64 = wrong.iter().map(|(_, count)| count).sum();
            Some(format!("{sum} of {files} files are not as the index says: {}.", which.join(", ")))
        }
    };
    let status = if message.is_none() { PackageWorkStatus::Success } else { PackageWorkStatus::Error };
    db.in_transaction(async |tx| {
        jobs::finish(tx, job).await?;
        recorded(tx, hub, job, "package_repositories.end_verification", (repository.id, status)).await?;
        repositories::set_verification(tx, repository.id, status, message.as_deref(), hub.now()).await
    })
    .await
}

/// Looks at the next piece of a file, and says in it what is known then.
async fn look(repository: &PackageRepository, file: &mut PackageFile) -> Result<(), Wrong> {
    let (offset, size) = (file.bytes_read as u64, file.size as u64);
    let mut hash = match &file.hash_state {
        Some(state) => resumed(state).ok_or_else(|| Wrong::Fault("What was kept of it cannot be read.".into()))?,
        None => Sha256::new(),
    };
    // An empty file has no bytes that could be asked for by number.
    let range = (size > 0).then(|| (offset, (offset + PIECE).min(size) - 1));
    let url = repository.base_url.file(&file.path.to_string());
    let (piece, read) = peer::get(&url, range, async |answered: Answered| {
        let length = answered.header("content-length").and_then(|length| length.parse().ok());
        let piece = read_piece(answered.status(), answered.header("content-range").as_deref(), length, offset, size);
        let Piece::Bytes(wanted) = piece else { return Ok((piece, 0)) };
        let read = answered.read(wanted, |piece| hash.update(piece)).await?;
        Ok((piece, read))
    })
    .await?;
    let piece = match piece {
        Piece::Bytes(wanted) if read < wanted => Piece::Fault(format!("Its answer ended after {read} of {wanted} bytes.")),
        Piece::Bytes(wanted) if read > wanted && size == wanted => {
            Piece::Settled(PackageFileStatus::WrongSize, format!("It is longer than the {size} bytes that the index says."))
        }
        Piece::Bytes(wanted) if read > wanted => {
            Piece::Fault(format!("It answered with more than the {wanted} bytes asked for."))
        }
        piece => piece,
    };
    match piece {
        Piece::Fault(why) => return Err(Wrong::Fault(why)),
        Piece::Settled(status, why) => (file.status, file.message) = (status, Some(why)),
        Piece::Bytes(wanted) if offset + wanted < size => {
            (file.bytes_read, file.hash_state) = ((offset + wanted) as i64, Some(hex(&hash.serialize())));
            return Ok(());
        }
        Piece::Bytes(_) => {
            let found = hex(&hash.finalize());
            (file.status, file.message) = if found == file.sha256.to_string() {
                (PackageFileStatus::Verified, None)
            } else {
                (PackageFileStatus::WrongHash, Some(format!("Its SHA-256 is {found}.")))
            };
        }
    }
    (file.bytes_read, file.hash_state) = (0, None);
    Ok(())
}

/// A hash as it was when its state was kept.
fn resumed(state: &str) -> Option<Sha256> {
    let mut bytes = SerializedState::<Sha256>::default();
    if state.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(state.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Sha256::deserialize(&bytes).ok()
}

fn chrono_of(duration: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(duration).unwrap_or_default()
}
