//! A hub to test against: built if need be, on an empty data folder, on a free port.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::http::{Call, Client, object};
use crate::hub::{self, Hub, Launch};
use crate::secrets::Secrets;
use crate::{artifacts, shell};

/// A bootstrapped hub on a data folder of its own.
pub struct Ground {
    /// The process.
    pub hub: Hub,
    /// What its environment holds.
    pub secrets: Secrets,
    /// The operator's API token.
    pub operator: String,
    /// The database, the log, and whatever a stage leaves for a look afterwards.
    pub folder: PathBuf,
}

impl Ground {
    /// Starts the embedded host; `name` names the folder below `target/ground`, which is emptied first.
    pub fn start(name: &str) -> Result<Self> {
        Self::start_with(name, Vec::new())
    }

    /// As [`Ground::start`], with more in the environment.
    pub fn start_with(name: &str, environment: Vec<(&'static str, String)>) -> Result<Self> {
        artifacts::build_components()?;
        artifacts::build_host()?;
        Self::with(name, |launch| Launch { environment, ..launch }.start())
    }

    /// As [`Ground::start`], with a hub that does nothing by itself, until [`Ground::ticked`].
    pub fn start_idle(name: &str) -> Result<Self> {
        artifacts::build_components()?;
        artifacts::build_host()?;
        Self::with(name, |launch| Launch { ticks: false, ..launch }.start())
    }

    /// The same hub, started again where it was, with its own timer.
    pub fn ticked(self) -> Result<Self> {
        let Self { hub, secrets, operator, folder } = self;
        let listen = hub.base.trim_start_matches("http://").to_owned();
        hub.stop()?;
        let launch = Launch {
            manifest: shell::root().join("spin.toml"),
            listen: &listen,
            data: &folder,
            secrets: &secrets,
            log: Some(folder.join("hub.log")),
            ticks: true,
            new: false,
            environment: Vec::new(),
        };
        Ok(Self { hub: launch.start()?, secrets, operator, folder })
    }

    /// Starts the same application on Spin.
    pub fn start_spin(name: &str, spin: &Path) -> Result<Self> {
        artifacts::build_components()?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        Self::with(name, |launch| Launch { listen: &listen, ..launch }.start_spin(spin))
    }

    fn with(name: &str, start: impl FnOnce(Launch<'_>) -> Result<Hub>) -> Result<Self> {
        let folder = folder(name)?;
        let secrets = Secrets::ensure(&folder)?;
        let hub = start(Launch {
            manifest: shell::root().join("spin.toml"),
            listen: "127.0.0.1:0",
            data: &folder,
            secrets: &secrets,
            log: Some(folder.join("hub.log")),
            ticks: true,
            new: true,
            environment: Vec::new(),
        })?;
        let operator = hub::bootstrap(&hub.client(), &secrets)?.context("an empty hub was bootstrapped already")?;
        Ok(Self { hub, secrets, operator, folder })
    }

    /// An access token of the operator's.
    pub fn sign_in(&self) -> Result<String> {
        let call = Call::post("/v1/access-tokens").json(object(&[("apiToken", &self.operator)]));
        let answer = self.hub.client().expect(&call, 201)?.json()?;
        Ok(answer["accessToken"].as_str().context("the answer has no accessToken")?.to_owned())
    }

    /// Drains the hub.
    pub fn stop(self) -> Result<()> {
        self.hub.stop()
    }
}

/// An empty folder below `target/ground`.
pub fn folder(name: &str) -> Result<PathBuf> {
    let folder = shell::target().join("ground").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that nobody uses at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Ticks a hub on Spin, which has no schedules of its own, until dropped.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Once every half second.
    pub fn start(base: &str, secrets: &Secrets) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let client = Client::new(base);
        let tick = Call::post("/internal/tick").bearer("INTERNAL_SECRET", &secrets.internal_secret);
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::SeqCst) {
                // A tick that fails shows in the hub's log; the next one comes anyway.
                let _ = client.send(&tick);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
