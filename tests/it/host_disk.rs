//! A disk that power can be cut from: what SQLite has written to it and not yet synced is gone then, or part of it is there.
//!
//! It is a VFS of SQLite in front of the system's own, and for the folders that a test names it keeps beside the real files what
//! a disk would hold of them: contents by file, as of the last sync, and the folder's entries, as of the last sync of the
//! folder. A file that was removed and made anew is another file, as on a real disk.
#![expect(unsafe_code, reason = "a VFS is a table of C functions, and rusqlite has no safe form of it")]

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, MutexGuard, Once};

use rusqlite::ffi;

/// The disks of all tests of this process, by folder.
static DISKS: Mutex<BTreeMap<PathBuf, Disk>> = Mutex::new(BTreeMap::new());
static VFS: Once = Once::new();

/// What a disk holds of one folder.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The folder as programs see it.
    entries: BTreeMap<PathBuf, File>,
    /// The folder as the disk has it.
    synced: BTreeMap<PathBuf, File>,
    failing_syncs: u32,
    syncs: u32,
}

type File = Arc<Mutex<Content>>;

#[derive(Clone, Default)]
struct Content {
    synced: Vec<u8>,
    /// In their order, what was done since.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Disk {
    /// Puts a disk below this folder, before anything opens a database in it.
    pub fn below(folder: &Path) -> Self {
        VFS.call_once(register);
        let disk = Self::default();
        lock(&DISKS).insert(folder.canonicalize().unwrap(), disk.clone());
        disk
    }

    /// Lets so many of the next syncs fail.
    pub fn fail_syncs(&self, count: u32) {
        lock(&self.0).failing_syncs = count;
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u32 {
        lock(&self.0).syncs
    }

    /// Writes into another folder what is there after the power was cut at this instant. Of what was not synced, `luck` says of
    /// each change whether it got onto the disk all the same.
    pub fn cut_power(&self, into: &Path, mut luck: impl FnMut() -> bool) {
        let state = lock(&self.0);
        let mut names: Vec<&PathBuf> = state.entries.keys().chain(state.synced.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (now, then) = (state.entries.get(name), state.synced.get(name));
            let same = matches!((now, then), (Some(now), Some(then)) if Arc::ptr_eq(now, then));
            let file = if same || !luck() { then } else { now };
            if let Some(file) = file {
                let mut content = lock(file).clone();
                content.pending.retain(|_| luck());
                content.sync();
                std::fs::write(into.join(name.file_name().unwrap()), content.synced).unwrap();
            }
        }
    }
}

impl Content {
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write(at, bytes) => {
                    let end = at + bytes.len();
                    if self.synced.len() < end {
                        self.synced.resize(end, 0);
                    }
                    self.synced[at..end].copy_from_slice(&bytes);
                }
                Change::Truncate(size) => self.synced.truncate(size),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The disk of a path, if it has one.
fn disk_of(path: &Path) -> Option<Disk> {
    lock(&DISKS).get(path.parent()?).cloned()
}

/// Our part of an open file; the system's own follows it in the same memory.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    watched: *mut Watched,
}

struct Watched {
    disk: Disk,
    file: File,
    /// Whether its first sync is one of the folder too: so the system's VFS does for journals.
    syncs_folder: bool,
}

const OWN: usize = size_of::<Handle>();

/// The system's own VFS, which ours has in `pAppData`.
unsafe fn system(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: the callers hand over our VFS, which lives as long as the process.
    unsafe { (*vfs).pAppData.cast() }
}

unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` makes SQLite give us memory for both.
    unsafe { file.cast::<u8>().add(OWN).cast() }
}

unsafe fn methods(file: *mut ffi::sqlite3_file) -> &'static ffi::sqlite3_io_methods {
    // SAFETY: the system's file is open for as long as ours is, and its table of methods is static.
    unsafe { &*(*inner(file)).pMethods }
}

unsafe fn watched<'f>(file: *mut ffi::sqlite3_file) -> &'f mut Watched {
    // SAFETY: SQLite uses a file from one thread at a time, between our `open` and `close`.
    unsafe { &mut *(*file.cast::<Handle>()).watched }
}

unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: SQLite's names are null or end in a zero byte.
    (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes())))
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as SQLite calls it; what is passed on is what came, and `file` has room for ours and the system's.
    unsafe {
        let system = system(vfs);
        let Some(open) = (*system).xOpen else { return ffi::SQLITE_CANTOPEN };
        let Some((path, disk)) = path_of(name).and_then(|path| Some((path.clone(), disk_of(&path)?))) else {
            return open(system, name, file, flags, out);
        };
        (*file).pMethods = null();
        let answer = open(system, name, inner(file), flags, out);
        if answer != ffi::SQLITE_OK {
            return answer;
        }
        let mut state = lock(&disk.0);
        let entry = state.entries.get(&path).cloned().unwrap_or_else(|| {
            // What was there before the disk was put below is on it.
            let synced = std::fs::read(&path).unwrap_or_default();
            let old = !synced.is_empty();
            let file = File::new(Mutex::new(Content { synced, pending: Vec::new() }));
            state.entries.insert(path.clone(), file.clone());
            if old {
                state.synced.insert(path, file.clone());
            }
            file
        });
        drop(state);
        let journals = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
        let syncs_folder = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & journals != 0;
        (*file.cast::<Handle>()).watched = Box::into_raw(Box::new(Watched { disk, file: entry, syncs_folder }));
        (*file).pMethods = &raw const METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let system = system(vfs);
        let answer = (*system).xDelete.map_or(ffi::SQLITE_IOERR_DELETE, |delete| delete(system, name, sync_folder));
        if let (ffi::SQLITE_OK, Some(path)) = (answer, path_of(name))
            && let Some(disk) = disk_of(&path)
        {
            let mut state = lock(&disk.0);
            state.entries.remove(&path);
            if sync_folder != 0 {
                state.synced = state.entries.clone();
            }
        }
        answer
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the last call for this file; `open` made the box.
    unsafe {
        let answer = methods(file).xClose.map_or(ffi::SQLITE_IOERR, |close| close(inner(file)));
        drop(Box::from_raw((*file.cast::<Handle>()).watched));
        answer
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, bytes: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `bytes` are `count`, as SQLite says.
    unsafe {
        let answer = methods(file).xWrite.map_or(ffi::SQLITE_IOERR_WRITE, |write| write(inner(file), bytes, count, at));
        if answer == ffi::SQLITE_OK {
            let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize).to_vec();
            lock(&watched(file).file).pending.push(Change::Write(at as usize, bytes));
        }
        answer
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let answer = methods(file).xTruncate.map_or(ffi::SQLITE_IOERR_TRUNCATE, |truncate| truncate(inner(file), size));
        if answer == ffi::SQLITE_OK {
            lock(&watched(file).file).pending.push(Change::Truncate(size as usize));
        }
        answer
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: as SQLite calls it. The real file is not synced: its power is not cut.
    let watched = unsafe { watched(file) };
    let mut state = lock(&watched.disk.0);
    state.syncs += 1;
    if state.failing_syncs > 0 {
        state.failing_syncs -= 1;
        // The system may have dropped what it could not write, and says so once only.
        lock(&watched.file).pending.clear();
        return ffi::SQLITE_IOERR_FSYNC;
    }
    lock(&watched.file).sync();
    if std::mem::take(&mut watched.syncs_folder) {
        state.synced = state.entries.clone();
    }
    ffi::SQLITE_OK
}

/// Methods that only go on to the system's own.
macro_rules! forward {
    ($($name:ident = $method:ident($($argument:ident: $kind:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $kind)*) -> c_int {
            // SAFETY: as SQLite calls it.
            unsafe { methods(file).$method.map_or(ffi::SQLITE_IOERR, |method| method(inner(file) $(, $argument)*)) }
        }
    )*};
}

forward! {
    read = xRead(bytes: *mut c_void, count: c_int, at: i64);
    file_size = xFileSize(size: *mut i64);
    lock_file = xLock(level: c_int);
    unlock_file = xUnlock(level: c_int);
    check_reserved = xCheckReservedLock(out: *mut c_int);
    control = xFileControl(operation: c_int, argument: *mut c_void);
    sector_size = xSectorSize();
    characteristics = xDeviceCharacteristics();
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
    shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int);
    shm_unmap = xShmUnmap(delete: c_int);
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as SQLite calls it.
    unsafe {
        if let Some(barrier) = methods(file).xShmBarrier {
            barrier(inner(file));
        }
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without memory mapping, whose writes nobody would see.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Puts our VFS in front of the system's, for whatever this process opens from now on.
fn register() {
    // SAFETY: SQLite's own VFS is static; ours is a copy of it with two functions in place of its own, and is never freed. The
    // functions that stay get our VFS where they expect the system's, of which they use `pAppData` only where `xOpen` is: so
    // the few that matter are asked by way of it.
    unsafe {
        let system = ffi::sqlite3_vfs_find(null());
        assert!(!system.is_null());
        let ours = Box::leak(Box::new(*system));
        ours.zName = c"disk".as_ptr();
        ours.pNext = null_mut();
        ours.pAppData = system.cast();
        ours.szOsFile += OWN as c_int;
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(ours, 1), ffi::SQLITE_OK);
    }
}
