//! The command `hub` as a child process: its memory, and how fast it answers `/health` while it is attacked.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use tests::{DATA_KEY, INTERNAL_SECRET, manifest};

/// Resident memory that the hub may reach under attack, in bytes.
pub const RSS: u64 = 250 << 20;
/// 99 of 100 answers of `/health` must come within this.
pub const HEALTH_P99: Duration = Duration::from_millis(200);
/// The pause between two samples.
const PAUSE: Duration = Duration::from_millis(20);
/// A client that waits longer than this for an answer counts it as never given.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A hub on an empty directory. Dropping it kills it.
pub struct HubProcess {
    child: std::process::Child,
    /// Where it listens.
    pub address: SocketAddr,
    dir: tempfile::TempDir,
}

impl HubProcess {
    /// Starts the hub that `cargo xtask test` built, with further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let exe = std::env::current_exe().expect("the path of this test");
        let hub: PathBuf = exe.parent().and_then(|deps| deps.parent()).expect("target/debug").join("hub");
        assert!(hub.exists(), "build it first: cargo xtask test wasm");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let log = fs::File::create(dir.path().join("hub.log")).expect("a log");
        let mut child = Command::new(hub)
            .arg("--from")
            .arg(manifest())
            .args(["--listen", "127.0.0.1:0", "--tick", "/internal/tick", "--tick-variable", "internal_secret", "--state-dir"])
            .arg(dir.path())
            .arg("--new")
            .args(arguments)
            .env("SPIN_VARIABLE_INTERNAL_SECRET", INTERNAL_SECRET)
            .env("SPIN_VARIABLE_DATA_KEY", DATA_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the hub starts");
        let mut out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        // Before it listens it may have something to say of its configuration.
        let address = loop {
            let mut line = String::new();
            let read = out.read_line(&mut line).expect("the hub's output");
            assert!(read > 0, "{}", fs::read_to_string(dir.path().join("hub.log")).unwrap_or_default());
            let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = said["listening"].as_str().and_then(|url| url.strip_prefix("http://")) {
                break address.to_owned();
            }
        };
        let address = address.parse().expect("an address");
        // Its log lines are read and dropped: a full pipe would stop it.
        spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let hub = Self { child, address, dir };
        // The first request migrates, and the components' first instances are made.
        let answer = hub.ask("GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        hub
    }

    /// A connection of which every read ends after [`PATIENCE`].
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    }

    /// A connection from this address of the loopback network.
    pub fn connect_from(&self, address: [u8; 4]) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind((address, 0).into())?;
            socket.connect(self.address).await?.into_std()
        });
        stream.expect("a connection")
    }

    /// Sends bytes on a connection of their own and gives all that comes back until the hub closes it, or is silent for too long.
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // A hub that has answered already may refuse the rest.
        let _ = stream.write_all(bytes.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The hub's data.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The resident memory at this instant, in bytes.
    pub fn rss(&self) -> u64 {
        rss(self.child.id())
    }

    /// What the hub said on stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("hub.log")).unwrap_or_default()
    }

    /// Watches the hub from now on.
    pub fn watch(&self) -> Watch {
        let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(self.rss())));
        let (pid, address) = (self.child.id(), self.address);
        let memory = {
            let (stop, peak) = (stop.clone(), peak.clone());
            spawn(move || {
                while !stop.load(Relaxed) {
                    peak.fetch_max(rss(pid), Relaxed);
                    sleep(Duration::from_millis(5));
                }
            })
        };
        let health = {
            let stop = stop.clone();
            spawn(move || {
                let mut took = Vec::new();
                while !stop.load(Relaxed) {
                    took.push(health(address));
                    sleep(PAUSE);
                }
                took
            })
        };
        Watch { stop, peak, memory, health }
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `/health` on a new connection, as a probe does; an answer that never comes took [`PATIENCE`].
fn health(address: SocketAddr) -> Duration {
    let start = Instant::now();
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    match asked() {
        Ok(true) => start.elapsed(),
        _ => PATIENCE,
    }
}

/// The resident memory of a process, in bytes.
fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// What is measured while an attack goes on.
pub struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    memory: JoinHandle<()>,
    health: JoinHandle<Vec<Duration>>,
}

impl Watch {
    /// Ends the measurement, prints it, and fails the test when a bound was passed.
    #[track_caller]
    pub fn check(self, attack: &str) {
        self.stop.store(true, Relaxed);
        let mut took = self.health.join().expect("the samples of /health");
        self.memory.join().expect("the samples of memory");
        took.sort();
        assert!(took.len() >= 20, "{attack}: only {} samples of /health", took.len());
        let p99 = took[(took.len() * 99).div_ceil(100) - 1];
        let peak = self.peak.load(Relaxed);
        println!("{attack}: {} MiB at most, /health p99 {p99:?} of {}", peak >> 20, took.len());
        assert!(peak < RSS, "{attack}: {} MiB of memory", peak >> 20);
        assert!(p99 < HEALTH_P99, "{attack}: p99 of /health {p99:?} of {}", took.len());
    }
}
