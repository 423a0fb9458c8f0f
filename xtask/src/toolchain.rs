//! The compiler of the components: rustup's wasm32-wasip2 where it can be had, else Debian's own
//! rustc with a standard library built from the source package that matches it.
//!
//! Both ways leave `target/wasm32-wasip2/wasm/<name>.wasm`, which is where `spin.toml` looks.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{apt, shell};

const TARGET: &str = "wasm32-wasip2";
const COMPONENT_LD: &str = "0.5.31";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// How long rustup may try: behind a firewall it can hang instead of failing.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(180);

/// One of the two ways to a `.wasm`; everything after this choice is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The installed toolchain has the target.
    Rustup,
    /// Debian's rustc, `-Zbuild-std`, and `wasm-component-ld` from the crate registry.
    Debian,
}

impl Toolchain {
    /// Chooses a way and installs what it lacks. `HUB_WASM_TOOLCHAIN=rustup|debian` forces one.
    pub fn ensure() -> Result<Self> {
        match std::env::var("HUB_WASM_TOOLCHAIN").as_deref() {
            Ok("debian") => Self::debian(),
            Ok("rustup") if has_target() => Ok(Self::Rustup),
            Ok("rustup") => rustup_add().map(|()| Self::Rustup),
            Ok(other) if !other.is_empty() => {
                bail!("HUB_WASM_TOOLCHAIN is `{other}`: set it to rustup or debian, or unset it")
            }
            _ if has_target() => Ok(Self::Rustup),
            _ => match rustup_add() {
                Ok(()) => Ok(Self::Rustup),
                Err(error) => {
                    eprintln!("    {error:#}; trying Debian's compiler instead");
                    Self::debian()
                }
            },
        }
    }

    /// Builds these packages as components, into `target/wasm32-wasip2/wasm/`.
    pub fn build(self, packages: &[String]) -> Result<()> {
        let mut cargo = self.cargo("build");
        cargo.args(["--profile", "wasm"]);
        for package in packages {
            cargo.args(["--package", package]);
        }
        shell::run(&mut cargo, "see the compiler's messages above")?;
        if self == Self::Debian {
            for package in packages {
                publish(package)?;
            }
        }
        Ok(())
    }

    /// The cargo invocation that compiles for the components' target.
    fn cargo(self, verb: &str) -> Command {
        let mut cargo = shell::cargo();
        cargo.args([verb, "--target", TARGET]);
        if self == Self::Debian {
            // A folder of its own: one target directory under two compilers would rebuild at every change of mind.
            cargo
                .args(["-Zbuild-std=std,panic_abort", "--target-dir"])
                .arg(debian_target())
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_WASIP2_LINKER", component_ld())
                .env(
                    "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
                    "-Clink-self-contained=no -L/usr/lib/wasm32-wasi -Clink-arg=--wasm-ld-path=/usr/bin/wasm-ld-22",
                );
        }
        cargo
    }

    fn debian() -> Result<Self> {
        apt::ensure(&["rustc-web", "rust-web-src", "lld-22", "wasi-libc"], "building components without rustup's wasm32-wasip2")?;
        if !component_ld().is_file() {
            shell::step("cargo install wasm-component-ld", || {
                let mut install = shell::cargo();
                install.args(["install", "wasm-component-ld", "--locked", "--version", COMPONENT_LD, "--root"]);
                install.arg(component_ld_root());
                shell::run(&mut install, "the crate registry must be reachable once to install it")
            })?;
        }
        Ok(Self::Debian)
    }
}

/// Asks the compiler itself, so that toolchains without rustup count too.
fn has_target() -> bool {
    shell::capture(shell::command("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .ok()
        .and_then(|libdir| fs::read_dir(libdir.trim()).ok())
        .is_some_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
        })
}

fn rustup_add() -> Result<()> {
    if !shell::on_path("rustup") {
        bail!("there is no rustup to fetch {TARGET}");
    }
    shell::step(&format!("rustup target add {TARGET}"), || {
        let mut child = shell::command("rustup")
            .args(["target", "add", TARGET])
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .spawn()
            .context("rustup cannot be started")?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                if status.success() && has_target() {
                    return Ok(());
                }
                bail!("rustup cannot fetch {TARGET} here");
            }
            if start.elapsed() > RUSTUP_PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("rustup could not fetch {TARGET} within {} s", RUSTUP_PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

fn debian_target() -> PathBuf {
    shell::target().join("debian")
}

fn component_ld_root() -> PathBuf {
    shell::target().join("tools").join(format!("wasm-component-ld-{COMPONENT_LD}"))
}

fn component_ld() -> PathBuf {
    component_ld_root().join("bin/wasm-component-ld")
}

/// Copies one component to where `spin.toml` expects it, unless the same bytes already lie there.
fn publish(package: &str) -> Result<()> {
    let name = format!("{TARGET}/wasm/{package}.wasm");
    let (from, to) = (debian_target().join(&name), shell::target().join(&name));
    let bytes = fs::read(&from).with_context(|| format!("{} was not built", from.display()))?;
    if fs::read(&to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().expect("a file in a folder"))?;
    fs::write(&to, bytes).with_context(|| format!("{} cannot be written", to.display()))
}
