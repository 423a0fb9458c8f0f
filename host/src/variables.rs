//! Application variables: where a value comes from, and the templates by which components see them.
//!
//! Order, as in Spin: a value given explicitly, then the environment (`SPIN_VARIABLE_NAME`), then `.env` in the current
//! directory, then the manifest's default. Everything is resolved once, before the first request, so that a missing
//! secret stops the start and not a customer.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::manifest::{Manifest, Variable, check_variable_name};

/// Before a variable's name in the environment.
const PREFIX: &str = "SPIN_VARIABLE_";

/// The values of all application variables.
pub(crate) struct Variables {
    values: BTreeMap<String, String>,
    /// What who runs the hub should know.
    pub(crate) warnings: Vec<String>,
}

/// Where values come from beside the manifest.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) explicit: BTreeMap<String, String>,
    /// The process's environment and `.env`; a simulated hub must not depend on them.
    pub(crate) environment: bool,
}

impl Variables {
    pub(crate) fn resolve(declared: &BTreeMap<String, Variable>, sources: &Sources) -> Result<Self> {
        for name in sources.explicit.keys() {
            ensure!(
                declared.contains_key(name),
                "variable {name:?} is given, but [variables] in the manifest does not declare it"
            );
        }
        let dotenv = match sources.environment {
            true => read_dotenv(Path::new(".env"))?,
            false => BTreeMap::new(),
        };
        let mut values = BTreeMap::new();
        for (name, variable) in declared {
            let key = format!("{PREFIX}{}", name.to_ascii_uppercase());
            let from_environment = match sources.environment {
                true => environment(&key)?,
                false => None,
            };
            let value = sources
                .explicit
                .get(name)
                .cloned()
                .or(from_environment)
                .or_else(|| dotenv.get(&key).cloned())
                .or_else(|| variable.default.clone());
            let Some(value) = value else {
                bail!("variable {name:?} is required and has no value; pass --variable {name}=… or set {key}");
            };
            values.insert(name.clone(), value);
        }
        Ok(Self { warnings: unknown(declared, sources, &dotenv), values })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Fills in `{{ name }}`.
    pub(crate) fn expand(&self, template: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once("{{") {
            out.push_str(literal);
            let Some((name, tail)) = tail.split_once("}}") else {
                bail!("unmatched '{{{{' in template {template:?}");
            };
            let name = name.trim();
            let Some(value) = self.get(name) else {
                bail!("unknown variable {name:?} in template {template:?}");
            };
            out.push_str(value);
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// What each component may read, under the component's own names.
    pub(crate) fn of_component(&self, manifest: &Manifest, id: &str) -> Result<BTreeMap<String, String>> {
        manifest.components[id]
            .variables
            .iter()
            .map(|(name, template)| {
                let value = self.expand(template).with_context(|| format!("[component.{id}.variables] {name}"))?;
                Ok((name.clone(), value))
            })
            .collect()
    }
}

/// The error kinds of `spin:variables`, without its types.
#[derive(Debug, PartialEq)]
pub(crate) enum Missing {
    InvalidName(String),
    Undefined(String),
}

/// Reads a component's variable, with Spin's errors.
pub(crate) fn read(component: &str, variables: &BTreeMap<String, String>, name: &str) -> Result<String, Missing> {
    if let Err(reason) = check_variable_name(name) {
        return Err(Missing::InvalidName(format!("{name:?}: {reason}")));
    }
    variables.get(name).cloned().ok_or_else(|| Missing::Undefined(format!("no variable for {component:?}.{name:?}")))
}

/// Reads `k=v`, where `@file` stands for a file's content.
///
/// # Errors
/// When the text is not of this form, or the file cannot be read.
pub fn parse_assignment(text: &str) -> Result<(String, String)> {
    let Some((name, value)) = text.split_once('=') else {
        bail!("--variable {text:?}: write name=value or name=@file");
    };
    let value = match value.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("--variable {name}: cannot read {path}"))?,
        None => value.to_owned(),
    };
    Ok((name.to_owned(), value))
}

/// A variable of the process's environment.
fn environment(key: &str) -> Result<Option<String>> {
    match std::env::var(key) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{key} in the environment is not UTF-8: write it in UTF-8"),
    }
}

/// Warnings of variables in the environment that no application variable has: a mistyped one is silently left out otherwise.
fn unknown(declared: &BTreeMap<String, Variable>, sources: &Sources, dotenv: &BTreeMap<String, String>) -> Vec<String> {
    if !sources.environment {
        return Vec::new();
    }
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).chain(dotenv.keys().cloned());
    let unknown = names.filter(|name| {
        name.strip_prefix(PREFIX).is_some_and(|name| !declared.keys().any(|known| known.to_ascii_uppercase() == name))
    });
    unknown.map(|name| format!("{name} is set, but [variables] in the manifest has no such variable: is it mistyped?")).collect()
}

fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {} in the current folder", path.display())),
    };
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((key, value)) = line.split_once('=') else {
            bail!("{}:{}: write NAME=value", path.display(), index + 1);
        };
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(value);
        values.insert(key.trim().to_owned(), unquoted.to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let values = [("host".to_owned(), "db".to_owned()), ("port".to_owned(), "1".to_owned())];
        Variables { values: values.into(), warnings: Vec::new() }
    }

    #[test]
    fn templates_expand() {
        let variables = variables();
        assert_eq!(variables.expand("a {{ host }}:{{port}}!").unwrap(), "a db:1!");
        assert_eq!(variables.expand("plain").unwrap(), "plain");
        assert!(variables.expand("{{ other }}").is_err());
        assert!(variables.expand("{{ host").is_err());
    }

    #[test]
    fn a_component_reads_only_its_own() {
        let own = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(read("c", &own, "a").as_deref(), Ok("1"));
        assert!(matches!(read("c", &own, "b"), Err(Missing::Undefined(_))));
        assert!(matches!(read("c", &own, "A"), Err(Missing::InvalidName(_))));
    }
}
