//! `spin:key-value` on a SQLite file of its own, in the layout that Spin uses.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use wasmtime::Result;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use crate::bindings::spin::key_value::key_value::{self, Error};
use crate::env::{Env, Failure};
use crate::faults::Kind;
use crate::guest::{Guest, SpinHost};

/// Stores that an instance may hold open at once; Spin's number.
const STORES: usize = 256;

/// What a value may take on its way to a guest; Spin's bound.
const VALUE_BYTES: usize = 128 << 20;

/// The file behind one or more store labels.
pub(crate) struct StoreFile {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    connection: Option<Connection>,
    closed: bool,
}

/// A store as a guest holds it.
#[derive(Clone)]
pub struct Store {
    label: Arc<str>,
    file: Arc<StoreFile>,
}

impl StoreFile {
    pub(crate) fn new(path: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = &path {
            crate::files::make_parent(path).context("for a key-value store")?;
        }
        Ok(Self { path, inner: Mutex::default() })
    }

    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.connection = None;
    }

    fn disconnect(&self) {
        self.lock().connection = None;
    }

    fn with<R>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, Error> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Other("the store is closed".to_owned()));
        }
        let connection = match &mut inner.connection {
            Some(connection) => connection,
            empty => empty.insert(self.connect().map_err(other)?),
        };
        run(connection).map_err(other)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = match &self.path {
            Some(path) => {
                // For its owner alone. Where that fails, SQLite says why.
                _ = crate::files::make(path);
                Connection::open(path)?
            }
            None => Connection::open_in_memory()?,
        };
        // Ours alone, unlike the databases of guests; SQLite keeps `synchronous` at FULL, so an answer survives power loss.
        connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()))?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS spin_key_value (
                store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))",
        )?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn other(error: rusqlite::Error) -> Error {
    Error::Other(error.to_string())
}

impl Store {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let value: Option<Vec<u8>> = self.file.with(|c| {
            c.prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")?
                .query_row([&self.label, key], |row| row.get(0))
                .optional()
        })?;
        match value {
            Some(value) if value.len() > VALUE_BYTES => {
                Err(Error::Other(format!("query result exceeds limit of {VALUE_BYTES} bytes")))
            }
            value => Ok(value),
        }
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.file.with(|c| {
            c.prepare_cached(
                "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (store, key) DO UPDATE SET value = ?3",
            )?
            .execute(params![&*self.label, key, value])
            .map(drop)
        })
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        self.file.with(|c| {
            c.prepare_cached("DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2")?.execute([&self.label, key]).map(drop)
        })
    }

    fn keys(&self) -> Result<Vec<String>, Error> {
        self.file.with(|c| {
            c.prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?
                .query_map([&self.label], |row| row.get(0))?
                .collect()
        })
    }
}

/// Runs one operation, past the gate of faults.
async fn operate<T: 'static, R>(
    accessor: &Accessor<T, SpinHost>,
    resource: &Resource<Store>,
    operation: &str,
    key: &str,
    run: impl FnOnce(&Store) -> Result<R, Error>,
) -> Result<Result<R, Error>> {
    let (store, env, component) = accessor.with(|mut access| {
        let guest = access.get();
        guest.computing.pause();
        let store = guest.table.get(resource)?.clone();
        Ok::<_, wasmtime::Error>((store, guest.env.clone(), guest.component.clone()))
    })?;
    let env: &Env = &env;
    let entered = env.enter(&component.id, Kind::KeyValue, "", || format!("{operation} {key}")).await;
    let result = match &entered.failure {
        None => run(&store),
        Some(Failure::Error(text)) => Err(Error::Other(text.clone())),
        Some(Failure::ConnectionDropped) => {
            store.file.disconnect();
            Err(Error::Other("disk I/O error".to_owned()))
        }
    };
    env.leave(&entered).await;
    Ok(result)
}

impl<T: 'static> key_value::HostStoreWithStore<T> for SpinHost {
    async fn open(accessor: &Accessor<T, Self>, label: String) -> Result<Result<Resource<Store>, Error>> {
        accessor.with(|mut access| {
            let guest = access.get();
            if !guest.component.stores.contains(&label) {
                return Ok(Err(Error::AccessDenied));
            }
            let Some(file) = guest.env.stores.get(&label) else {
                return Ok(Err(Error::NoSuchStore));
            };
            if guest.stores == STORES {
                return Ok(Err(Error::StoreTableFull));
            }
            let store = Store { label: label.into(), file: file.clone() };
            let resource = guest.table.push(store)?;
            guest.stores += 1;
            Ok(Ok(resource))
        })
    }

    async fn get(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<Result<Option<Vec<u8>>, Error>> {
        operate(accessor, &store, "get", &key, |store| store.get(&key)).await
    }

    async fn set(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String, value: Vec<u8>) -> Result<Result<(), Error>> {
        operate(accessor, &store, "set", &key, |store| store.set(&key, &value)).await
    }

    async fn delete(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<Result<(), Error>> {
        operate(accessor, &store, "delete", &key, |store| store.delete(&key)).await
    }

    async fn exists(accessor: &Accessor<T, Self>, store: Resource<Store>, key: String) -> Result<Result<bool, Error>> {
        operate(accessor, &store, "exists", &key, |store| Ok(store.get(&key)?.is_some())).await
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let (keys, result) = match operate(accessor, &store, "get-keys", "", Store::keys).await? {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        accessor.with(|mut access| {
            let result = std::future::ready(wasmtime::error::Ok(result));
            Ok((StreamReader::new(&mut access, keys)?, FutureReader::new(&mut access, result)?))
        })
    }
}

impl key_value::HostStore for Guest {
    fn drop(&mut self, store: Resource<Store>) -> Result<()> {
        self.table.delete(store)?;
        self.stores -= 1;
        Ok(())
    }
}

impl key_value::Host for Guest {}
