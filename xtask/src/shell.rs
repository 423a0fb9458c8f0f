//! Running other programs: where they run, what a person sees meanwhile, and how a failure reads.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

/// The workspace's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Everything built lies below this folder.
pub fn target() -> PathBuf {
    root().join("target")
}

/// True on a CI machine: nobody watches, so nothing is colored and logs are kept short.
pub fn ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// A command that runs in the workspace's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    if ci() {
        command.env("NO_COLOR", "1").env("CARGO_TERM_COLOR", "never");
    }
    command
}

/// The cargo that started this program, in the environment that a person at a terminal would start it in: build
/// scripts (ring's is one) are run again when the variables change by which cargo describes xtask itself.
pub fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs to the end with the terminal handed through, so that the program's own progress shows.
pub fn run(command: &mut Command, fix: &str) -> Result<()> {
    let name = name(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{name} cannot be started: {fix}"))?;
    if !status.success() {
        bail!("{name} failed ({status}): {fix}");
    }
    Ok(())
}

/// Runs to the end in silence and yields what it printed; what it complained about is in the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started: is it installed?"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!("{name} failed ({}): {}", output.status, last_line(&stderr).unwrap_or_default()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last line that says something, which is where programs say why they failed.
pub fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

/// True when the program can be found on PATH.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Says what begins, does it, and says how long it took when that was long enough to notice.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = work();
    let elapsed = start.elapsed();
    if elapsed > Duration::from_secs(2) {
        eprintln!("    {name}: {}", seconds(elapsed));
    }
    result
}

/// A duration as people read it: `0.4 s`, `83 s`, `12 min 05 s`.
pub fn seconds(elapsed: Duration) -> String {
    let whole = elapsed.as_secs();
    match whole {
        0..=9 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..=119 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(first) = command.get_args().find(|argument| !argument.to_string_lossy().starts_with('-')) {
        name = format!("{name} {}", first.to_string_lossy());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(83)), "83 s");
        assert_eq!(seconds(Duration::from_secs(725)), "12 min 05 s");
    }

    #[test]
    fn a_failing_program_is_one_line() {
        let error = capture(Command::new("sh").args(["-c", "echo one >&2; echo two >&2; exit 3"]));
        let text = format!("{:#}", error.unwrap_err());
        assert_eq!(text, "sh echo one >&2; echo two >&2; exit 3 failed (exit status: 3): two");
    }
}
