//! Debian packages, installed only when something needs them and they are missing.

use anyhow::{Result, bail};

use crate::shell;

/// Makes sure that these packages are installed; `why` is what a person is told when they cannot be.
pub fn ensure(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !shell::on_path("apt-get") {
        bail!("{why} needs {list}: install them with your system's package manager");
    }
    shell::step(&format!("apt-get install {list}"), || {
        let fix = format!("{why} needs {list}: install them as root with apt-get");
        // The lists on a fresh machine are empty or old, so a first refusal is answered by an update.
        if shell::run(&mut install(&missing), &fix).is_err() {
            shell::run(apt().arg("update"), &fix)?;
            shell::run(&mut install(&missing), &fix)?;
        }
        Ok(())
    })
}

fn installed(package: &str) -> bool {
    shell::capture(shell::command("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
        .is_ok_and(|status| status.trim() == "installed")
}

fn install(packages: &[&str]) -> std::process::Command {
    let mut command = apt();
    command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    command
}

fn apt() -> std::process::Command {
    let mut command = if rustix::process::geteuid().is_root() {
        shell::command("apt-get")
    } else {
        let mut sudo = shell::command("sudo");
        sudo.args(["-n", "apt-get"]);
        sudo
    };
    // A mirror that does not answer at once is asked again, as pip, npm and cargo do by themselves.
    command.args(["-qq", "-o", "Acquire::Retries=3"]).env("DEBIAN_FRONTEND", "noninteractive");
    // Its chatter belongs on stderr: stdout is for answers.
    command.stdout(std::io::stderr());
    command
}
