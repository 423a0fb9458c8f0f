//! The command `hub`: serves the application of a `spin.toml`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use host::{Builder, Hub, NewDatabase, log};
use lexopt::Parser;
use lexopt::ValueExt as _;
use lexopt::prelude::{Long, Short, Value};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
hub [OPTIONS]                 serves the application of a spin.toml, without Spin
hub backup FILE [OPTIONS]     copies the database to a new file, also while a hub runs on it, and checks the copy
hub restore FILE [OPTIONS]    puts a backup in place of the database, once the hub has started on a copy of it

  --from FILE                               the manifest [spin.toml]
  --listen ADDRESS                          where to listen; port 0 takes any [127.0.0.1:3000]
  --state-dir DIR                           databases and stores [.spin beside the manifest]; \"\" keeps them in memory
  --new                                     the database is new; without this one that is not there stops the start
  --accept WORD                             starts although the application would refuse: it names the word
  --runtime-config-file FILE                Spin's runtime configuration
  --variable NAME=VALUE | NAME=@FILE        sets an application variable; may be repeated
  --cache-dir DIR                           compiled components
  --tick PATH --tick-variable NAME          POST PATH whenever something is due, with the variable's value as bearer token
  --request-timeout SECONDS                 [60]
  --cpu-timeout SECONDS                     how long a component may compute without waiting [10]
  --drain-timeout SECONDS                   how long requests may finish after SIGTERM [10]
  --body-limit BYTES                        [4194304]
  --body-timeout SECONDS                    how long a client may take to send a body [30]
  --write-timeout SECONDS                   how long a client may take nothing of its answer [30]
  --max-connections N                       at once; one address may have half of them [1024]
  --max-instance-reuse-count N              requests per instance [128]
  --max-instance-concurrent-reuse-count N   of them at once [16]
  --workers N                               threads [one per core]
";

/// The longest time that can be set, in seconds: a day.
const LONGEST: f64 = 86_400.0;
/// The most threads that can be set.
const WORKERS: usize = 1024;

/// What the command line asks for.
struct Options {
    action: Action,
    builder: Builder,
    listen: String,
    workers: Option<usize>,
}

enum Action {
    Serve,
    Backup(PathBuf),
    Restore(PathBuf),
}

fn main() -> ExitCode {
    let result = run();
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hub: {}", format!("{error:#}").replace('\n', "; "));
            ExitCode::FAILURE
        }
    };
    log::flush();
    code
}

fn run() -> Result<()> {
    let Some(options) = parse(std::env::args_os())? else {
        print!("{HELP}");
        return Ok(());
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = threads("requests", options.workers.unwrap_or(cores))?;
    match options.action {
        Action::Serve => {
            // Half as many: beside a crowd of clients, the system's scheduler gives what is due a third of the machine.
            let jobs = threads("jobs", cores.div_ceil(2))?;
            let served = runtime.block_on(serve(options, jobs.handle().clone()));
            jobs.shutdown_background();
            served
        }
        Action::Backup(file) => back_up(&options.builder, &file),
        Action::Restore(file) => runtime.block_on(restore(options.builder, &file)),
    }
}

/// Threads that run guests.
fn threads(name: &str, number: usize) -> Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // In units of task runs, of which one can take an epoch when a guest computes: then sockets and new requests must not wait for
    // the default of 61.
    runtime.worker_threads(number).thread_name(name).event_interval(8).global_queue_interval(8);
    runtime.enable_all().build().context("cannot start threads: try fewer with --workers")
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>> {
    let mut arguments = Parser::from_iter(arguments);
    let mut from = PathBuf::from("spin.toml");
    let mut listen = "127.0.0.1:3000".to_owned();
    let mut workers = None;
    let mut tick = None;
    let mut tick_variable = None;
    let mut reuse = (128, 16);
    let mut new_database = NewDatabase::Refused;
    let mut words: Vec<PathBuf> = Vec::new();
    // The manifest comes last, as every other option is set on a builder that needs it first.
    let mut steps: Vec<Box<dyn FnOnce(Builder) -> Builder>> = Vec::new();
    while let Some(argument) = arguments.next()? {
        let Long(name) = argument else {
            return match argument {
                Short('h') => Ok(None),
                Value(word) => {
                    words.push(word.into());
                    continue;
                }
                other => Err(other.unexpected().into()),
            };
        };
        let name = name.to_owned();
        let mut text = || -> Result<String> { Ok(arguments.value()?.string()?) };
        match name.as_str() {
            "help" => return Ok(None),
            "from" => from = text()?.into(),
            "listen" => listen = text()?,
            "workers" => workers = Some(bounded(&name, &text()?, WORKERS)?),
            "new" => new_database = NewDatabase::Required,
            "accept" => {
                let word = text()?;
                steps.push(Box::new(move |b| b.accept(&word)));
            }
            "tick" => tick = Some(text()?),
            "tick-variable" => tick_variable = Some(text()?),
            "max-instance-reuse-count" => reuse.0 = bounded(&name, &text()?, usize::MAX)?,
            "max-instance-concurrent-reuse-count" => reuse.1 = bounded(&name, &text()?, usize::MAX)?,
            "state-dir" => {
                let dir = text()?;
                steps.push(Box::new(|b| b.data_dir(dir)));
            }
            "runtime-config-file" => {
                let file = text()?;
                steps.push(Box::new(|b| b.runtime_config(file)));
            }
            "cache-dir" => {
                let dir = text()?;
                steps.push(Box::new(|b| b.cache_dir(dir)));
            }
            "variable" => {
                let (name, value) = host::parse_assignment(&text()?)?;
                steps.push(Box::new(move |b| b.variable(&name, &value)));
            }
            "request-timeout" => {
                let timeout = some_seconds(&name, &text()?)?;
                steps.push(Box::new(move |b| b.request_timeout(timeout)));
            }
            "cpu-timeout" => {
                let timeout = some_seconds(&name, &text()?)?;
                steps.push(Box::new(move |b| b.cpu_timeout(timeout)));
            }
            "drain-timeout" => {
                let timeout = seconds(&name, &text()?)?;
                steps.push(Box::new(move |b| b.drain_timeout(timeout)));
            }
            "body-timeout" => {
                let timeout = seconds(&name, &text()?)?;
                steps.push(Box::new(move |b| b.body_timeout(timeout)));
            }
            "write-timeout" => {
                let timeout = seconds(&name, &text()?)?;
                steps.push(Box::new(move |b| b.write_timeout(timeout)));
            }
            "max-connections" => {
                let connections = number(&name, &text()?)?;
                steps.push(Box::new(move |b| b.connections(connections)));
            }
            "body-limit" => {
                let bytes = bounded(&name, &text()?, usize::MAX)? as u64;
                steps.push(Box::new(move |b| b.body_limit(bytes)));
            }
            _ => return Err(anyhow!("unknown option --{name}; `hub --help` lists them")),
        }
    }
    let action = match &words[..] {
        [] => Action::Serve,
        [verb, file] if verb.as_os_str() == "backup" => Action::Backup(file.clone()),
        [verb, file] if verb.as_os_str() == "restore" => Action::Restore(file.clone()),
        _ => return Err(anyhow!("write `hub`, `hub backup FILE` or `hub restore FILE`, and options; `hub --help` lists them")),
    };
    let mut builder = Hub::builder(from).log_to_process().instance_reuse(reuse.0, reuse.1);
    builder = builder.lifecycle(true).new_database(new_database);
    for step in steps {
        builder = step(builder);
    }
    builder = match (tick, tick_variable) {
        (None, None) => builder,
        (Some(path), Some(variable)) => builder.tick(&path, &variable).auto_tick(true),
        _ => return Err(anyhow!("--tick and --tick-variable go together")),
    };
    Ok(Some(Options { action, builder, listen, workers }))
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| anyhow!("--{name} {text:?}: write a whole number"))
}

fn seconds(name: &str, text: &str) -> Result<Duration> {
    let seconds: f64 = number(name, text).map_err(|_| anyhow!("--{name} {text:?}: write a number of seconds"))?;
    if !(0.0..=LONGEST).contains(&seconds) {
        return Err(anyhow!("--{name} {text:?}: write a number of seconds from 0 to {LONGEST}"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A time in which something has to be done: none at all would do nothing.
fn some_seconds(name: &str, text: &str) -> Result<Duration> {
    let time = seconds(name, text)?;
    if time < Duration::from_millis(1) {
        return Err(anyhow!("--{name} {text:?}: nothing can be done in no time; write a number of seconds, such as 60"));
    }
    Ok(time)
}

/// A number of which there must be at least one.
fn bounded(name: &str, text: &str, most: usize) -> Result<usize> {
    let number = number(name, text)?;
    if number == 0 || number > most {
        let bound = if most == usize::MAX { String::new() } else { format!(" and at most {most}") };
        return Err(anyhow!("--{name} {text:?}: write at least 1{bound}, or leave the option out"));
    }
    Ok(number)
}

fn back_up(builder: &Builder, file: &Path) -> Result<()> {
    // Those who are served come first. Where that is refused, the pauses between the steps remain.
    _ = rustix::process::nice(10);
    let start = Instant::now();
    let copied = builder.back_up(file)?;
    let seconds = start.elapsed().as_secs_f64();
    log::print(
        &json!({ "backup": file, "bytes": copied.bytes, "tables": copied.tables, "rows": copied.rows, "seconds": seconds })
            .to_string(),
    );
    Ok(())
}

async fn restore(builder: Builder, file: &Path) -> Result<()> {
    let kept = builder.restore(file).await?;
    log::print(&json!({ "restored": file, "before": kept }).to_string());
    Ok(())
}

async fn serve(options: Options, jobs: Handle) -> Result<()> {
    let listen = &options.listen;
    // First of all, so that a port in use is reported before anything is touched.
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
    let address = listener.local_addr()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hub = options.builder.job_threads(jobs).start().await?;
    log::print(&json!({ "listening": format!("http://{address}") }).to_string());
    let serving = hub.serve(listener);
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        hub.stop().await;
    };
    let (served, ()) = tokio::join!(serving, stopped);
    served
}
