//! The stage `audit`: licenses, sources and duplicate versions of what ships, and RustSec's advisories against it.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Result;

use crate::{shell, tools};

/// Runs cargo-deny. The reason, where the advisories could not be had.
pub fn run() -> Result<Option<String>> {
    let program = tools::cargo_deny()?;
    let fix = "see xtask/deny.toml: take another crate or version, or write there why this one is right";
    shell::run(&mut deny(&program, &["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]), fix)?;
    // The database is a Git repository, which no package registry carries.
    if shell::capture(&mut deny(&program, &["fetch", "db"])).is_err() {
        return Ok(Some("advisories: RustSec's database cannot be reached; bans, licenses and sources passed".to_owned()));
    }
    shell::run(&mut deny(&program, &["check", "advisories"]), "update the crate that the advisory names")?;
    Ok(None)
}

fn deny(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = shell::command(program);
    command.args(["--color", "never", "--config", "xtask/deny.toml"]).args(arguments).current_dir(shell::root());
    command
}
