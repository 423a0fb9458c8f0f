//! Where databases and stores lie: `runtime-config.toml` and `--state-dir`, as in Spin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::key_value::StoreFile;
use crate::manifest::{Manifest, parse_toml};
use crate::sqlite::Database;

const DATABASE_FILE: &str = "sqlite_db.db";
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
}

impl Storage {
    /// Opens what is configured. `state_dir` empty means: in memory, gone with the hub.
    pub(crate) fn open(manifest: &Manifest, config: Option<&Path>, state_dir: Option<&Path>, default_dir: &Path) -> Result<Self> {
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
        let default_path = |name| match state_dir.as_os_str().is_empty() {
            true => None,
            false => Some(state_dir.join(name)),
        };
        let mut databases = BTreeMap::new();
        for (label, place) in &file.sqlite_database {
            let path = place.resolve(&base).with_context(|| format!("[sqlite_database.{label}]"))?;
            databases.insert(label.clone(), Arc::new(Database::new(path)?));
        }
        if !databases.contains_key("default") {
            databases.insert("default".to_owned(), Arc::new(Database::new(default_path(DATABASE_FILE))?));
        }
        let mut stores = BTreeMap::new();
        for (label, place) in &file.key_value_store {
            let path = place.resolve(&base).with_context(|| format!("[key_value_store.{label}]"))?;
            stores.insert(label.clone(), Arc::new(StoreFile::new(path)?));
        }
        if !stores.contains_key("default") {
            stores.insert("default".to_owned(), Arc::new(StoreFile::new(default_path(STORE_FILE))?));
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
        Ok(Self { databases, stores })
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
