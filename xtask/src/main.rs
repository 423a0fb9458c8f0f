//! The only commands anyone needs: `cargo xtask up`, `cargo xtask test`, `cargo xtask bench`.

mod apt;
mod artifacts;
mod audit;
mod bench;
mod brokers;
mod calendar;
mod demo;
mod ground;
mod http;
mod hub;
mod ledger;
mod load;
mod oidc;
mod peer;
mod postgres;
mod provisioning_load;
mod secrets;
mod shell;
mod sign_in_load;
mod spin;
mod test;
mod toolchain;
mod tools;
mod tour;
mod up;
mod usage;
mod usage_load;
mod vsphere;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

const HELP: &str = "\
cargo xtask <command>

  up     build everything, start the hub, print where it listens and the operator's token
  test   run everything that decides whether a change is good
  bench  measure the hub against its floor

`cargo xtask <command> --help` says more.
";

const UP_HELP: &str = "\
cargo xtask up [--listen 127.0.0.1:3000] [--data .hub] [--new] [--demo]

Builds the components and the host (installing what is missing), creates and migrates the
database, serves in the foreground and drains on Ctrl-C.

  --listen ADDRESS  where to serve; port 0 picks a free one
  --data DIR        database, secrets.env and, with --demo, the demo's token and the hub's log
  --new             make a new database although the folder has secrets.env; the first start needs no saying so
  --demo            play the demo story through the public API as a tour, and check its invoices to the cent

HUB_WASM_TOOLCHAIN=rustup|debian forces a way of compiling the components.
";

const TEST_HELP: &str = "\
cargo xtask test [STAGE...]

Runs these stages, or all in this order. Their output is shown at a terminal; elsewhere it goes to
target/stages, and the end of it is shown for a stage that failed.

";

const BENCH_HELP: &str = "\
cargo xtask bench [--quick] [--json target/bench.json]

Measures the hub against a component that returns a constant, durable writes against native SQLite, start, sizes and
memory, and Spin beside it when a spin >= 4.1 is on PATH. Prints a table of ratios and writes it as JSON.

  --quick      shorter and fewer rounds: for a look, not for the record
  --json FILE  where the JSON goes
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, on one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn dispatch() -> Result<()> {
    let mut arguments = lexopt::Parser::from_env();
    match arguments.next()? {
        Some(Value(command)) => match command.to_string_lossy().as_ref() {
            "up" => up_command(arguments),
            "bench" => bench_command(arguments),
            "test" => test_command(arguments),
            // What `test` starts for each stage when nobody watches: not for people.
            "stage" => test::stage(&arguments.value()?.to_string_lossy()),
            other => bail!("unknown command `{other}`: use up, test or bench"),
        },
        Some(Long("help") | Short('h')) => {
            print!("{HELP}");
            Ok(())
        }
        Some(argument) => Err(argument.unexpected().into()),
        None => bail!("say what to do: up, test or bench (--help says more)"),
    }
}

fn up_command(mut arguments: lexopt::Parser) -> Result<()> {
    let mut options =
        up::Options { listen: SocketAddr::from(([127, 0, 0, 1], 3000)), data: PathBuf::from(".hub"), demo: false, new: false };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("listen") => options.listen = arguments.value()?.parse()?,
            Long("data") => options.data = arguments.value()?.into(),
            Long("demo") => options.demo = true,
            Long("new") => options.new = true,
            Long("help") | Short('h') => {
                print!("{UP_HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    up::up(&options)
}

fn test_command(mut arguments: lexopt::Parser) -> Result<()> {
    let mut stages = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(stage) => stages.push(stage.to_string_lossy().into_owned()),
            Long("help") | Short('h') => {
                print!("{TEST_HELP}{}", test::help());
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    test::test(&stages)
}

fn bench_command(mut arguments: lexopt::Parser) -> Result<()> {
    let mut options = bench::Options { quick: false, json: shell::target().join("bench.json") };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("quick") => options.quick = true,
            Long("json") => options.json = arguments.value()?.into(),
            Long("help") | Short('h') => {
                print!("{BENCH_HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    bench::bench(&options)
}
