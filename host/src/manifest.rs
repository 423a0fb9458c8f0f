//! `spin.toml`, version 2: what is said in it, checked before anything runs.
//!
//! A key that this host does not know stops the start: a misspelt permission that is silently dropped would only be
//! noticed in production. Keys that Spin knows and this host does not serve are refused by name, for the same reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::lifecycle;

/// A parsed manifest, with every path made absolute.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) application: Application,
    pub(crate) variables: BTreeMap<String, Variable>,
    pub(crate) triggers: Vec<HttpTrigger>,
    pub(crate) components: BTreeMap<String, Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    spin_manifest_version: toml::Value,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    trigger: Triggers,
    #[serde(default)]
    component: BTreeMap<String, Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
    #[serde(default, rename = "targets")]
    _targets: Option<toml::Value>,
    #[serde(default, rename = "trigger")]
    trigger_globals: toml::Table,
    #[serde(default)]
    pub(crate) tool: Tools,
}

/// Settings for tools. Those of others are theirs to check.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Tools {
    /// What this host is told.
    #[serde(default)]
    pub(crate) hub: lifecycle::Routes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    required: bool,
    pub(crate) default: Option<String>,
    #[serde(default, rename = "secret")]
    _secret: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    #[serde(default)]
    http: Vec<HttpTrigger>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpTrigger {
    #[serde(default, rename = "id")]
    _id: String,
    component: Option<toml::Value>,
    pub(crate) static_response: Option<StaticResponse>,
    route: toml::Value,
    executor: Option<Executor>,
    components: Option<toml::Value>,
    dependencies: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Executor {
    #[serde(rename = "type")]
    kind: String,
}

/// An answer that the host gives by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticResponse {
    pub(crate) status_code: Option<u16>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    source: toml::Value,
    /// `source`, absolute.
    #[serde(skip)]
    pub(crate) wasm: PathBuf,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) key_value_stores: Vec<String>,
    #[serde(default)]
    pub(crate) sqlite_databases: Vec<String>,
    #[serde(default, rename = "targets")]
    _targets: Option<toml::Value>,
    #[serde(default, rename = "build")]
    _build: Option<Build>,
    #[serde(default, rename = "tool")]
    _tool: toml::Table,
    #[serde(default, rename = "profile")]
    _profile: toml::Table,
    files: Option<toml::Value>,
    exclude_files: Option<toml::Value>,
    ai_models: Option<toml::Value>,
    dependencies: Option<toml::Value>,
    dependencies_inherit_configuration: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    #[serde(rename = "command")]
    _command: toml::Value,
    #[serde(rename = "workdir")]
    _workdir: Option<String>,
    #[serde(default, rename = "watch")]
    _watch: Vec<String>,
}

/// Where a trigger listens.
#[derive(Debug, PartialEq)]
pub(crate) enum Route {
    /// A public pattern.
    Public(String),
    /// Reachable by service chaining only.
    Private,
}

impl Manifest {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the manifest {}", path.display()))?;
        let dir = path.parent().filter(|p| !p.as_os_str().is_empty());
        let dir = std::path::absolute(dir.unwrap_or(Path::new(".")))?;
        Self::parse(&text, &dir).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, dir: &Path) -> Result<Self> {
        let file: File = parse_toml(text)?;
        ensure!(
            file.spin_manifest_version.as_integer() == Some(2) || file.spin_manifest_version.as_str() == Some("2"),
            "spin_manifest_version must be 2"
        );
        ensure!(
            file.application.trigger_globals.is_empty(),
            "[application.trigger] holds settings of other triggers; this host serves http only, remove it"
        );
        for name in file.variables.keys() {
            check_variable_name(name).map_err(|why| anyhow!("[variables] {name}: {why}"))?;
        }
        for (name, variable) in &file.variables {
            ensure!(
                variable.required != variable.default.is_some(),
                "[variables] {name}: set exactly one of `required = true` and `default = \"…\"`"
            );
        }
        let mut components = file.component;
        for (id, component) in &mut components {
            component.check(id, dir).with_context(|| format!("[component.{id}]"))?;
        }
        for trigger in &file.trigger.http {
            trigger.check(&components).context("[[trigger.http]]")?;
        }
        Ok(Self { application: file.application, variables: file.variables, triggers: file.trigger.http, components })
    }
}

impl Component {
    fn check(&mut self, id: &str, dir: &Path) -> Result<()> {
        check_kebab(id)?;
        for (key, value) in [
            ("files", &self.files),
            ("exclude_files", &self.exclude_files),
            ("ai_models", &self.ai_models),
            ("dependencies", &self.dependencies),
            ("dependencies_inherit_configuration", &self.dependencies_inherit_configuration),
        ] {
            ensure!(value.is_none(), "`{key}` is not served by this host; remove it, or run the application on Spin");
        }
        let Some(source) = self.source.as_str() else {
            bail!("`source` must be the path of a .wasm file; sources from a url or a registry are not served");
        };
        self.wasm = dir.join(source);
        for name in self.variables.keys() {
            check_variable_name(name).map_err(|why| anyhow!("variables.{name}: {why}"))?;
        }
        Ok(())
    }
}

impl HttpTrigger {
    /// The component that this trigger runs, if it is not a static response.
    pub(crate) fn component(&self) -> Option<&str> {
        self.component.as_ref()?.as_str()
    }

    pub(crate) fn route(&self) -> Result<Route> {
        match &self.route {
            toml::Value::String(route) => Ok(Route::Public(route.clone())),
            toml::Value::Table(table) if table.len() == 1 && table.get("private") == Some(&toml::Value::Boolean(true)) => {
                Ok(Route::Private)
            }
            other => bail!("`route` must be a pattern like \"/shop/...\" or {{ private = true }}, not {other}"),
        }
    }

    fn check(&self, components: &BTreeMap<String, Component>) -> Result<()> {
        self.route()?;
        for (key, value) in [("components", &self.components), ("dependencies", &self.dependencies)] {
            ensure!(value.is_none(), "`{key}` is not served by this host; remove it, or run the application on Spin");
        }
        if let Some(executor) = &self.executor {
            ensure!(
                matches!(executor.kind.as_str(), "http" | "spin"),
                "executor.type {:?} is not served by this host; use {{ type = \"http\" }}",
                executor.kind
            );
        }
        match (&self.component, &self.static_response) {
            (Some(component), None) => {
                let Some(id) = component.as_str() else {
                    bail!("`component` must be the id of a [component.<id>] table; inline components are not served");
                };
                ensure!(components.contains_key(id), "`component = \"{id}\"`, but there is no [component.{id}]");
                Ok(())
            }
            (None, Some(_)) => Ok(()),
            _ => bail!("set exactly one of `component` and `static_response`"),
        }
    }
}

/// Reads TOML into a type that denies unknown fields; the error is one line that names the key and its line.
pub(crate) fn parse_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', "; ").replace("unknown field", "unknown key");
        match line {
            Some(line) => anyhow::anyhow!("line {line}: {message}"),
            None => anyhow::anyhow!("{message}"),
        }
    })
}

/// Spin's rule for ids: words of letters and digits, joined by `-`, each starting with a letter and of one case.
fn check_kebab(id: &str) -> Result<()> {
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_alphabetic())
            && w.chars().all(|c| c.is_ascii_alphanumeric())
            && !(w.contains(|c: char| c.is_ascii_lowercase()) && w.contains(|c: char| c.is_ascii_uppercase()))
    };
    ensure!(
        id.split('-').all(word),
        "{id:?} is not a component id; write words of letters and digits joined by `-`, like \"price-book\""
    );
    Ok(())
}

/// Spin's rule for the names of variables.
pub(crate) fn check_variable_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("must not be empty")
    } else if name.contains(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')) {
        Err("may contain only lower-case letters, numbers, and underscores")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err("must start with a lowercase ASCII letter")
    } else if name.ends_with('_') {
        Err("must end with a lowercase ASCII letter or digit")
    } else if name.contains("__") {
        Err("must not contain multiple consecutive underscores")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
spin_manifest_version = 2
[application]
name = "x"
[variables]
secret = { required = true, secret = true }
[[trigger.http]]
route = "/a/..."
component = "a"
[[trigger.http]]
route = { private = true }
component = "a"
[component.a]
source = "a.wasm"
build = { command = "cargo build" }
variables = { s = "{{ secret }}" }
"#;

    fn error(text: &str) -> String {
        format!("{:#}", Manifest::parse(text, Path::new("/")).unwrap_err())
    }

    #[test]
    fn reads_what_spin_reads() {
        let manifest = Manifest::parse(GOOD, Path::new("/dir")).unwrap();
        assert_eq!(manifest.components["a"].wasm, Path::new("/dir/a.wasm"));
        assert_eq!(manifest.triggers[1].route().unwrap(), Route::Private);
    }

    #[test]
    fn refuses_unknown_keys_with_the_line() {
        let text = GOOD.replace("source =", "allowed_hosts = []\nsource =");
        let error = error(&text);
        assert!(error.contains("line 14: unknown key `allowed_hosts`"), "{error}");
        assert!(error.contains("allowed_outbound_hosts"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn refuses_what_it_does_not_serve() {
        let cases = [
            ("source = \"a.wasm\"", "source = { url = \"x\", digest = \"y\" }", "path of a .wasm"),
            ("source =", "files = [\"a\"]\nsource =", "`files` is not served"),
            ("component = \"a\"", "component = \"b\"", "no [component.b]"),
            ("manifest_version = 2", "manifest_version = 1", "must be 2"),
            ("[component.a]", "[component.a_b]", "not a component id"),
            ("required = true,", "", "exactly one of"),
            ("{ private = true }", "{ private = false }", "route"),
        ];
        for (from, to, expected) in cases {
            let error = error(&GOOD.replacen(from, to, 1));
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
