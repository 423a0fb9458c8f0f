//! A hub as a child process: started, waited for, bootstrapped, drained.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::artifacts;
use crate::http::{Call, Client, object};
use crate::secrets::Secrets;
use crate::shell;

/// Longer than the host needs to drain, so that a kill is the exception.
const DRAIN: Duration = Duration::from_secs(20);
/// The first start on a machine compiles every component.
const READY: Duration = Duration::from_secs(120);

/// How one hub is to be started.
pub struct Launch<'a> {
    /// The manifest.
    pub manifest: PathBuf,
    /// `127.0.0.1:3000`; port 0 lets the system choose.
    pub listen: &'a str,
    /// Where the database lies.
    pub data: &'a Path,
    /// Handed over by environment.
    pub secrets: &'a Secrets,
    /// Where stdout and stderr go; `None` shows them.
    pub log: Option<PathBuf>,
    /// Whether the application has the hub's schedules (the test guests have not).
    pub ticks: bool,
    /// Whether the database is to be new; else it must be there.
    pub new: bool,
    /// What else the environment holds.
    pub environment: Vec<(&'static str, String)>,
}

/// A running hub. Dropping it drains it.
pub struct Hub {
    child: Child,
    /// Scheme and authority of where it listens.
    pub base: String,
    log: Option<PathBuf>,
}

impl Launch<'_> {
    /// Starts the embedded host and waits until it listens.
    pub fn start(self) -> Result<Hub> {
        let mut command = shell::command(artifacts::hub());
        command.arg("--from").arg(&self.manifest).args(["--listen", self.listen]);
        command.arg("--state-dir").arg(self.data);
        command.arg("--cache-dir").arg(shell::target().join("hub-cache"));
        if self.ticks {
            command.args(["--tick", "/internal/tick", "--tick-variable", "internal_secret"]);
        }
        if self.new {
            command.arg("--new");
        }
        self.spawn(command, |line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(value.get("listening")?.as_str()?.to_owned())
        })
    }

    /// Starts the same application on Spin instead.
    pub fn start_spin(self, spin: &Path) -> Result<Hub> {
        let mut command = shell::command(spin);
        command.arg("up").arg("--from").arg(&self.manifest).args(["--listen", self.listen]);
        command.arg("--state-dir").arg(self.data);
        let base = format!("http://{}", self.listen);
        self.spawn(command, move |line| line.contains("Available Routes").then(|| base.clone()))
    }

    fn spawn(self, mut command: Command, ready: impl Fn(&str) -> Option<String> + Send + 'static) -> Result<Hub> {
        command.envs(self.secrets.environment()).envs(self.environment.iter().cloned()).stdin(Stdio::null());
        // A group of its own: Ctrl-C at a terminal reaches only this program, which then asks the hub to drain.
        command.process_group(0);
        match &self.log {
            Some(log) => {
                let file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
                command.stdout(file.try_clone()?).stderr(file);
            }
            None => {
                command.stdout(Stdio::piped());
            }
        }
        let mut child = command.spawn().context("the hub cannot be started: run `cargo xtask up` to build it")?;
        let announced = match &self.log {
            Some(log) => follow_file(log.clone(), ready),
            None => follow_pipe(child.stdout.take().expect("stdout is piped"), ready),
        };
        let mut hub = Hub { child, base: String::new(), log: self.log };
        let start = Instant::now();
        loop {
            match announced.recv_timeout(Duration::from_millis(50)) {
                Ok(base) => {
                    hub.base = base;
                    return Ok(hub);
                }
                Err(_) if start.elapsed() > READY => {
                    bail!("the hub did not listen within {} s: {}", READY.as_secs(), hub.last_words())
                }
                Err(_) => {
                    if let Some(status) = hub.child.try_wait()? {
                        bail!("the hub did not start ({status}): {}", hub.last_words());
                    }
                }
            }
        }
    }
}

/// Looks at a growing log until a line is the announcement. So a hub under load writes to a file and nobody reads along.
fn follow_file(log: PathBuf, ready: impl Fn(&str) -> Option<String> + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed() < READY {
            let text = fs::read_to_string(&log).unwrap_or_default();
            // The last line may be only half there.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(base) = whole.lines().find_map(&ready) {
                let _ = sender.send(base);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    receiver
}

/// Reads the hub's stdout until a line is the announcement, then hands everything on to this program's own.
fn follow_pipe(stdout: ChildStdout, ready: impl Fn(&str) -> Option<String> + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if let Some(base) = ready(line.trim_end()) {
                let _ = sender.send(base);
                break;
            }
            print!("{line}");
            line.clear();
        }
        let _ = io::copy(&mut reader, &mut io::stdout());
    });
    receiver
}

impl Hub {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client for this hub.
    pub fn client(&self) -> Client {
        Client::new(&self.base)
    }

    /// Asks it to finish what is in flight and end.
    pub fn terminate(&self) {
        terminate(self.child.id());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Drains it and insists on a clean end.
    pub fn stop(mut self) -> Result<()> {
        self.terminate();
        match self.reap()? {
            status if status.success() => Ok(()),
            status => Err(anyhow!("the hub did not drain cleanly ({status}): {}", self.last_words())),
        }
    }

    /// The end of its log, for an error message.
    pub fn last_words(&self) -> String {
        let Some(log) = &self.log else { return "see its messages above".into() };
        let text = fs::read_to_string(log).unwrap_or_default();
        match shell::last_line(&text) {
            Some(line) => format!("{line} ({})", log.display()),
            None => format!("nothing in {}", log.display()),
        }
    }

    fn reap(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > DRAIN {
                self.child.kill()?;
                return Ok(self.child.wait()?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.reap();
        }
    }
}

/// Sends SIGTERM to a process that this program started.
pub fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Makes the operator's organization and its first API token; `None` when an earlier start has done so.
pub fn bootstrap(client: &Client, secrets: &Secrets) -> Result<Option<String>> {
    let call = Call::post("/internal/bootstrap")
        .bearer("INTERNAL_SECRET", &secrets.internal_secret)
        .json(object(&[("displayName", "Operator")]));
    let answer = client.send(&call)?;
    match answer.status {
        201 => {
            let token = answer.json()?.get("apiToken").and_then(|token| token.as_str().map(str::to_owned));
            Ok(Some(token.context("the bootstrap answer has no apiToken")?))
        }
        409 => Ok(None),
        401 => bail!("the hub refuses the secret in secrets.env: restore the file that belongs to this data folder"),
        _ => bail!("the hub cannot be bootstrapped: {}", answer.brief()),
    }
}
