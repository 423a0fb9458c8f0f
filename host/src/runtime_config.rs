//! Where databases and stores lie: `runtime-config.toml` and `--state-dir`, as in Spin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::files::{self, NewDatabase};
use crate::key_value::StoreFile;
use crate::manifest::{Manifest, parse_toml};
use crate::sqlite::Database;

/// The name of the database in the state directory, as Spin has it.
pub(crate) const DATABASE_FILE: &str = "sqlite_db.db";
const STORE_FILE: &str = "sqlite_key_value.db";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    state_dir: Option<PathBuf>,
    #[serde(default)]
    sqlite_database: BTreeMap<String, Place>,
    #[serde(default)]
    key_value_store: BTreeMap<String, Place>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(rename = "type")]
    kind: String,
    path: Option<PathBuf>,
}

/// The databases and stores of a hub, by label.
pub(crate) struct Storage {
    pub(crate) databases: BTreeMap<String, Arc<Database>>,
    pub(crate) stores: BTreeMap<String, Arc<StoreFile>>,
    /// What keeps other hubs away from the databases, until it is dropped.
    pub(crate) locks: Vec<std::fs::File>,
    /// What who runs the hub should know.
    pub(crate) warnings: Vec<String>,
}

/// Where everything lies.
pub(crate) struct Places {
    file: File,
    /// The folder of the runtime configuration.
    base: PathBuf,
    state_dir: PathBuf,
}

impl Places {
    /// Reads what is configured. `state_dir` empty means: in memory, gone with the hub.
    pub(crate) fn read(config: Option<&Path>, state_dir: Option<&Path>, default_dir: &Path) -> Result<Self> {
        let (file, base) = match config {
            None => (File::default(), PathBuf::new()),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read --runtime-config-file {}", path.display()))?;
                let file = parse_toml(&text).with_context(|| path.display().to_string())?;
                (file, path.parent().unwrap_or(Path::new("")).to_owned())
            }
        };
        let state_dir = match (state_dir, &file.state_dir) {
            (Some(dir), _) => dir.to_owned(),
            (None, Some(dir)) => base.join(dir),
            (None, None) => default_dir.to_owned(),
        };
        Ok(Self { file, base, state_dir })
    }

    /// The file of the database with the label `default`; `None` in memory.
    pub(crate) fn default_database(&self) -> Result<Option<PathBuf>> {
        match self.file.sqlite_database.get("default") {
            Some(place) => place.resolve(&self.base).context("[sqlite_database.default]"),
            None => Ok(self.default_path(DATABASE_FILE)),
        }
    }

    fn default_path(&self, name: &str) -> Option<PathBuf> {
        (!self.state_dir.as_os_str().is_empty()).then(|| self.state_dir.join(name))
    }
}

impl Storage {
    /// Takes the databases for this process and opens what is configured.
    pub(crate) fn open(manifest: &Manifest, places: &Places, new: NewDatabase) -> Result<Self> {
        let Places { file, base, .. } = places;
        let mut paths = BTreeMap::from([("default".to_owned(), places.default_database()?)]);
        for (label, place) in &file.sqlite_database {
            paths.insert(label.clone(), place.resolve(base).with_context(|| format!("[sqlite_database.{label}]"))?);
        }
        let (mut databases, mut locks, mut warnings) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (label, path) in paths {
            // One that nobody opens need not be there.
            let used = manifest.components.values().any(|component| component.sqlite_databases.contains(&label));
            if let (Some(path), true) = (&path, used) {
                locks.push(files::lock(path)?);
                warnings.extend(files::prepare(path, new)?);
            }
            databases.insert(label, Arc::new(Database::new(path)?));
        }
        let mut stores = BTreeMap::new();
        for (label, place) in &file.key_value_store {
            let path = place.resolve(base).with_context(|| format!("[key_value_store.{label}]"))?;
            stores.insert(label.clone(), Arc::new(StoreFile::new(path)?));
        }
        if !stores.contains_key("default") {
            stores.insert("default".to_owned(), Arc::new(StoreFile::new(places.default_path(STORE_FILE))?));
        }
        for (id, component) in &manifest.components {
            for label in &component.sqlite_databases {
                if !databases.contains_key(label) {
                    bail!(
                        "[component.{id}] uses the database {label:?}; configure [sqlite_database.{label}] in the runtime config file"
                    );
                }
            }
            for label in &component.key_value_stores {
                if !stores.contains_key(label) {
                    bail!(
                        "[component.{id}] uses the store {label:?}; configure [key_value_store.{label}] in the runtime config file"
                    );
                }
            }
        }
        Ok(Self { databases, stores, locks, warnings })
    }
}

impl Place {
    fn resolve(&self, base: &Path) -> Result<Option<PathBuf>> {
        match self.kind.as_str() {
            "spin" => Ok(self.path.as_ref().map(|path| base.join(path))),
            kind => bail!("type {kind:?} is not served by this host; use \"spin\""),
        }
    }
}
