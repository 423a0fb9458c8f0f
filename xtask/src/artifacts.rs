//! What must be built before a hub can run: every component, and the host.

use std::fs;
use std::path::PathBuf;

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

/// Where a component's `.wasm` lies once built.
pub fn wasm(name: &str) -> PathBuf {
    // Cargo names the file as Rust names the crate.
    shell::target().join(format!("wasm32-wasip2/wasm/{}.wasm", name.replace('-', "_")))
}

/// The host's binary.
pub fn hub() -> PathBuf {
    shell::target().join("release/hub")
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

/// Builds the host in release.
pub fn build_host() -> Result<()> {
    shell::step("host", || {
        shell::run(
            shell::cargo().args(["build", "--release", "--package", "host", "--bin", "hub"]),
            "see the compiler's messages above",
        )
    })
}
