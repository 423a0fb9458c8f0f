//! A PostgreSQL of the test's own: a cluster in a folder, on a socket in that folder, gone when the test is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{apt, shell};

/// A running server.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
}

impl Postgres {
    /// Installs PostgreSQL if it is missing, and starts a new, empty cluster.
    pub fn start() -> Result<Self> {
        let programs = match programs() {
            Some(programs) => programs,
            None => {
                apt::ensure(&["postgresql"], "the test of the SQL dialect")?;
                programs()
                    .context("PostgreSQL is installed, but its initdb is not where Debian puts it: look in /usr/lib/postgresql")?
            }
        };
        // Not below the workspace: the user that the server runs as may not be let in there.
        let folder = std::env::temp_dir().join(format!("hub-postgres-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("remove {} and run this again", folder.display()))?;
        if rustix::process::geteuid().is_root() {
            // The server refuses to run as root; its package brings a user of its own.
            shell::run(Command::new("chown").arg("postgres").arg(&folder), "give the folder to the user postgres")?;
        }
        let server = Self { programs, folder };
        let data = server.data();
        let init = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"];
        shell::capture(server.program("initdb").arg(&data).args(init))?;
        let options = format!("-k {} -c listen_addresses= -c fsync=off", server.folder.display());
        let log = server.folder.join("log");
        // Not captured: the server would keep the pipe open.
        let mut start = server.program("pg_ctl");
        start.arg("-D").arg(&data).arg("-l").arg(log).args(["-w", "-s", "-o", &options, "start"]);
        shell::run(&mut start, "read its log")?;
        Ok(server)
    }

    /// How psql reaches it.
    pub fn psql(&self) -> String {
        format!("{} -h {} -U postgres", self.programs.join("psql").display(), self.folder.display())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program).current_dir(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        // It is thrown away with its folder, so how it ends is of no interest.
        let _ = shell::capture(self.program("pg_ctl").arg("-D").arg(&data).args(["-m", "immediate", "-s", "stop"]));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where Debian keeps the newest version's programs; other systems have them on PATH.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let has = |folder: &Path| folder.join("initdb").is_file() && folder.join("psql").is_file();
    versions.filter(|folder| has(folder)).max().or_else(|| on_path.into_iter().find(|folder| has(folder)))
}
