//! Turning `.wasm` into code that runs: the engine's settings, and the cache of compiled components.
//!
//! Compiling is the slow part of a start, so its result is kept in files named after everything it depends on: the
//! component's SHA-256, and a hash of the wasmtime version and settings. A file that is damaged or foreign is compiled
//! again. Within a process, hubs share the engine and everything loaded into it.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use xxhash_rust::xxh3::Xxh3Default;

use crate::bindings::Imports;
use crate::guest::{Guest, SpinHost};
use crate::sqlite;

/// How often guests that compute are interrupted to let others run.
pub(crate) const EPOCH: Duration = Duration::from_millis(5);

/// What an instance may use of memory.
const MEMORY_BYTES: usize = 512 << 20;

/// How many compiled components the cache keeps; the oldest go first. A hub has about thirty.
const CACHED_FILES: usize = 256;

/// A component, ready to be instantiated.
pub(crate) type Pre = ServicePre<Guest>;

/// Loads components, as many at once as there are cores; compiled code comes from and goes to `cache`.
pub(crate) fn load(wasm: &[&Path], cache: Option<&Path>) -> Result<Vec<Pre>> {
    let (engine, linker) = shared()?;
    let (next, loaded) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(wasm.len())));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = wasm.get(next.fetch_add(1, Relaxed)) {
                    let one = load_one(engine, linker, path, cache).map(|pre| (*path, pre));
                    loaded.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    let loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
    let loaded: HashMap<&Path, Pre> = loaded.into_iter().collect::<Result<_>>()?;
    wasm.iter().map(|path| loaded.get(path).cloned().ok_or_else(|| anyhow!("{} was not loaded", path.display()))).collect()
}

/// Starts the interruption of guests that compute, once for the process.
pub(crate) fn start_epochs() -> Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    let (engine, _) = shared()?;
    STARTED.get_or_init(|| {
        // A process that cannot start a thread is about to end; guests then only lose their interruption.
        _ = std::thread::Builder::new().name("epochs".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(EPOCH);
                engine.increment_epoch();
            }
        });
    });
    Ok(())
}

fn shared() -> Result<&'static (Engine, Linker<Guest>)> {
    static SHARED: OnceLock<(Engine, Linker<Guest>)> = OnceLock::new();
    if let Some(shared) = SHARED.get() {
        return Ok(shared);
    }
    let engine = Engine::new(&config()).map_err(|error| anyhow!("{error:#}"))?;
    let linker = link(&engine).map_err(|error| anyhow!("{error:#}"))?;
    Ok(SHARED.get_or_init(|| (engine, linker)))
}

fn config() -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // Address space, not memory: slots cost nothing until they are used. A hub runs at most a few hundred requests at
    // once, each in the worst case in an instance of its own; a component is made of up to four core modules.
    pool.total_component_instances(1000)
        .total_core_instances(4000)
        .total_memories(1000)
        .total_tables(4000)
        .total_stacks(1000)
        .max_memories_per_component(4)
        .max_tables_per_component(20)
        .max_memory_size(MEMORY_BYTES)
        .max_unused_warm_slots(64)
        // An instance serves many requests, so what its slot's next one finds mapped is worth little.
        .linear_memory_keep_resident(16 << 10)
        .table_keep_resident(4 << 10);
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        // Tables for debuggers, by which nothing here unwinds: registering them would read them all, of every component.
        .native_unwind_info(false)
        .generate_address_map(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn link(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Imports::add_to_linker::<_, SpinHost>(&mut linker, |guest| guest)?;
    sqlite::link(&mut linker)?;
    Ok(linker)
}

fn load_one(engine: &Engine, linker: &Linker<Guest>, wasm: &Path, cache: Option<&Path>) -> Result<Pre> {
    type Key = (PathBuf, SystemTime, u64);
    type Slot = Arc<Mutex<Option<Pre>>>;
    static LOADED: OnceLock<Mutex<HashMap<Key, Slot>>> = OnceLock::new();
    let missing = || format!("cannot read {}; build it with `cargo xtask up`", wasm.display());
    let metadata = fs::metadata(wasm).with_context(missing)?;
    let key = (wasm.to_owned(), metadata.modified()?, metadata.len());
    let slots = LOADED.get_or_init(Mutex::default);
    let slot = slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
    // Held while loading: of many hubs that start at once, one compiles and the others wait for it.
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pre) = &*slot {
        return Ok(pre.clone());
    }
    let bytes = fs::read(wasm).with_context(missing)?;
    let component = compile(engine, &bytes, cache).with_context(|| format!("cannot load {}", wasm.display()))?;
    let pre = linker
        .instantiate_pre(&component)
        .map_err(|error| anyhow!("{} imports what this host does not serve: {error:#}", wasm.display()))?;
    let pre =
        ServicePre::new(pre).map_err(|error| anyhow!("{} does not export wasi:http/handler@0.3.0: {error:#}", wasm.display()))?;
    *slot = Some(pre.clone());
    Ok(pre)
}

fn compile(engine: &Engine, wasm: &[u8], cache: Option<&Path>) -> Result<Component> {
    let Some(cache) = cache else {
        return Component::new(engine, wasm).map_err(|error| anyhow!("{error:#}"));
    };
    let mut settings = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut settings);
    let prefix = format!("{}-{:016x}-", hex(&Sha256::digest(wasm)), settings.finish());
    if let Some(component) = from_cache(engine, cache, &prefix) {
        return Ok(component);
    }
    let code = engine.precompile_component(wasm).map_err(|error| anyhow!("{error:#}"))?;
    store(cache, &prefix, &code).with_context(|| {
        format!("cannot write the cache of compiled components in {}; choose another place with --cache-dir", cache.display())
    })?;
    from_cache(engine, cache, &prefix)
        .with_context(|| format!("a component just compiled into {} cannot be read back", cache.display()))
}

/// The cached code with this prefix, if its checksum says that it is whole.
fn from_cache(engine: &Engine, cache: &Path, prefix: &str) -> Option<Component> {
    for entry in fs::read_dir(cache).ok()?.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else {
            continue;
        };
        let path = entry.path();
        let expected = rest.strip_suffix(".cwasm").and_then(|sum| u64::from_str_radix(sum, 16).ok());
        if expected.is_some() && expected == fs::File::open(&path).and_then(checksum).ok() {
            #[expect(unsafe_code, reason = "the checksum in the name says that this is what an engine like ours wrote")]
            // SAFETY: the file is whole (checked above), was written by `store`, and is never changed in place.
            let component = unsafe { Component::deserialize_file(engine, &path) };
            if let Ok(component) = component {
                return Some(component);
            }
        }
        _ = fs::remove_file(&path);
    }
    None
}

/// Writes beside and renames: nobody ever sees half a file, and who has the old one mapped keeps it.
fn store(cache: &Path, prefix: &str, code: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(cache)?;
    let name = format!("{prefix}{:016x}.cwasm", checksum(code)?);
    let temporary = cache.join(format!(".{}-{name}", std::process::id()));
    fs::write(&temporary, code)?;
    fs::rename(temporary, cache.join(name))?;
    prune(cache)
}

/// Every edit of a component leaves its old code behind; only so much of it is kept.
fn prune(cache: &Path) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(cache)?.flatten() {
        if let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) {
            files.push((modified, entry.path()));
        }
    }
    files.sort();
    let old = files.len().saturating_sub(CACHED_FILES);
    for (_, path) in &files[..old] {
        _ = fs::remove_file(path);
    }
    Ok(())
}

/// Finds damage, not malice: whoever can write here can also replace the hub. So it may be quick, which a start needs.
fn checksum(mut bytes: impl Read) -> std::io::Result<u64> {
    let (mut sum, mut buffer) = (Xxh3Default::new(), vec![0; 128 << 10]);
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(sum.digest()),
            count => sum.update(&buffer[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
