//! What must be built before a hub can run: every component, and the host.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context as _, Result};

use crate::shell;
use crate::toolchain::Toolchain;

/// The names of the hub's components: one a folder under `components/`.
pub fn components() -> Result<Vec<String>> {
    let folder = shell::root().join("components");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether the host is wanted as the tests build it.
static FOR_TESTS: AtomicBool = AtomicBool::new(false);

/// From now on the host is the one that the tests are built with: in release it would be compiled once more, with all of the
/// compiler for components that it contains, which takes longer than all stages that would use it.
pub fn use_tests_host() {
    FOR_TESTS.store(true, Relaxed);
}

/// The host's binary.
pub fn hub() -> PathBuf {
    shell::target().join(if FOR_TESTS.load(Relaxed) { "debug/hub" } else { "release/hub" })
}

/// Builds every component of the hub.
pub fn build_components() -> Result<()> {
    let toolchain = Toolchain::ensure()?;
    let names = components()?;
    shell::step(&format!("components ({})", names.len()), || toolchain.build(&names))
}

/// Builds the guests that tests and bench use. Apart from the components, so that a feature which one
/// of them asks of a shared crate never changes the bytes of the other.
pub fn build_guests() -> Result<()> {
    let toolchain = Toolchain::ensure()?;
    shell::step("test guests", || toolchain.build(&["floor".into(), "probe".into()]))
}

/// Builds the host, in release unless it is for tests.
pub fn build_host() -> Result<()> {
    let arguments: &[&str] = match FOR_TESTS.load(Relaxed) {
        // With the tests of the whole workspace: alone it would want other features of the dependencies, the compiler for components
        // among them, and all of them would be built once more.
        true => &["build", "--workspace", "--tests", "--bin", "hub"],
        false => &["build", "--release", "--package", "host", "--bin", "hub"],
    };
    shell::step("host", || shell::run(shell::cargo().args(arguments), "see the compiler's messages above"))
}
