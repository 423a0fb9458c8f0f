//! `cargo xtask up`: from a clean clone to a hub that serves, in one command.

use std::fs::{self, OpenOptions, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::hub::{self, Launch};
use crate::secrets::{self, Secrets};
use crate::tour::Tour;
use crate::{artifacts, demo, shell};

/// What the command line asked for.
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Whether to play the demo story.
    pub demo: bool,
    /// Whether a new database is wanted although the folder has its secrets.
    pub new: bool,
}

/// Builds, starts, bootstraps, and stays until asked to stop.
pub fn up(options: &Options) -> Result<()> {
    // What can go wrong at once is asked first, before minutes of building.
    if options.listen.port() != 0
        && let Err(error) = TcpListener::bind(options.listen)
    {
        bail!("{} cannot be listened on ({error}): stop what uses it, or pass --listen with another port", options.listen);
    }
    // Its owner's alone: it holds the tenants' data and the hub's secrets.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&options.data)
        .with_context(|| format!("{} cannot be made: pass --data with a folder of yours", options.data.display()))?;
    let data = options.data.canonicalize()?;
    check_free(&data)?;
    let new = is_new(&data, options.new)?;

    artifacts::build_components()?;
    artifacts::build_host()?;
    let secrets = Secrets::ensure(&data)?;
    // From here on a signal waits: the operator's token exists only in one answer, so it is printed before
    // anything ends.
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let mut hub = Launch {
        manifest: shell::root().join("spin.toml"),
        listen: &options.listen.to_string(),
        data: &data,
        secrets: &secrets,
        log: options.demo.then(|| data.join("hub.log")),
        ticks: true,
        new,
        environment: Vec::new(),
    }
    .start()?;
    let token = greet(&hub, &secrets, &data)?;
    let stopping = forward(signals, hub.pid());
    if options.demo
        && let Err(error) = tour(&hub, token, &data)
    {
        if stopping.load(Ordering::SeqCst) {
            hub.wait()?;
            return Ok(());
        }
        return Err(error);
    }
    let status = hub.wait()?;
    if stopping.load(Ordering::SeqCst) && status.success() {
        return Ok(());
    }
    bail!("the hub ended by itself ({status}): {}", hub.last_words())
}

/// Bootstraps, says where it listens and what to do next; the operator's token if this was the first start.
fn greet(hub: &hub::Hub, secrets: &Secrets, data: &Path) -> Result<Option<String>> {
    let client = hub.client();
    let token = hub::bootstrap(&client, secrets)?;
    let base = client.base();
    println!("\nProvider Hub listens on {base} (data in {}; Ctrl-C stops it)", data.display());
    if let Some(token) = &token {
        println!(
            "\nThe operator's API token, shown this once and stored only as a hash\n\
             (until it is first used, each start puts a new one in its place):\n\n    export HUB_API_TOKEN={token}\n\n\
             Next, exchange it for an access token of 30 minutes, and ask who you are:\n\n    \
             export HUB_ACCESS_TOKEN=$(curl -s {base}/v1/access-tokens -H 'Content-Type: application/json' \\\n      \
             -d '{{\"apiToken\":\"'$HUB_API_TOKEN'\"}}' | sed 's/.*\"accessToken\":\"\\([^\"]*\\)\".*/\\1/')\n    \
             curl -s {base}/v1/me -H \"Authorization: Bearer $HUB_ACCESS_TOKEN\"\n"
        );
    } else {
        println!("Already bootstrapped: use the operator's API token that the first start showed.");
    }
    Ok(token)
}

/// Plays the demo, and leaves the hub to whoever wants to look around.
fn tour(hub: &hub::Hub, token: Option<String>, data: &Path) -> Result<()> {
    let client = hub.client();
    let token = demo_token(token, data)?;
    println!("The hub's log goes to {} while the demo talks.", data.join("hub.log").display());
    let mut tour = Tour::printed(client.base(), data);
    demo::play(&client, &token, &mut tour)?;
    println!("\nThe hub goes on serving on {}; Ctrl-C stops it.", client.base());
    Ok(())
}

/// The operator's API token for the demo: from this bootstrap, from the environment, or from an earlier run.
fn demo_token(fresh: Option<String>, data: &Path) -> Result<String> {
    let file = data.join("demo-token");
    if let Some(token) = fresh.or_else(|| std::env::var("HUB_API_TOKEN").ok()) {
        secrets::write_private(&file, &format!("{token}\n"))?;
        println!("The demo keeps this token in {} (mode 0600) for its next run; delete it at will.", file.display());
        return Ok(token);
    }
    match fs::read_to_string(&file) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(_) => bail!(
            "{} was bootstrapped without --demo: set HUB_API_TOKEN to the operator's API token, or pass another --data",
            data.display()
        ),
    }
}

/// One hub a data folder. The hub itself holds the lock; here it is only asked for, before minutes of building.
fn check_free(data: &Path) -> Result<()> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(data.join("sqlite_db.db-lock"));
    let file = file.with_context(|| format!("{} cannot be written: pass --data with a folder of yours", data.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            bail!("another hub uses {}: stop it, or pass another --data", data.display())
        }
        Err(TryLockError::Error(error)) => Err(error).context("the data folder cannot be locked"),
    }
}

/// Whether the folder's hub is to be a new one. Of secrets and database, one without the other is a loss and no first start.
fn is_new(data: &Path, wanted: bool) -> Result<bool> {
    let (secrets, database) = (Secrets::exist(data), data.join("sqlite_db.db"));
    let data = data.display();
    match (secrets, fs::metadata(&database).is_ok_and(|database| database.len() > 0)) {
        (_, true) if wanted => bail!("{data} has a database already: leave --new out, or pass another --data"),
        (true, true) => Ok(false),
        (false, false) => Ok(true),
        (true, false) if wanted => Ok(true),
        (true, false) => bail!(
            "{data} has secrets.env and no database: put sqlite_db.db back, restore a backup with `hub restore`, or pass --new for a \
             new hub"
        ),
        (false, true) => {
            bail!("{data} has a database and no secrets.env, which opens what it seals: put it back from its backup")
        }
    }
}

/// Hands SIGINT, SIGTERM and SIGHUP on to the hub as a request to drain; the flag says that one came.
fn forward(mut signals: Signals, pid: u32) -> Arc<AtomicBool> {
    let stopping = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopping);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            flag.store(true, Ordering::SeqCst);
            hub::terminate(pid);
        }
    });
    stopping
}
