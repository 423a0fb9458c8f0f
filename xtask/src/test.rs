//! `cargo xtask test`: everything that decides whether a change is good, in stages.

use std::fs::{self, File};
use std::io::{IsTerminal as _, stdout};
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::ground::{Ground, Ticker};
use crate::http::Call;
use crate::postgres::Postgres;
use crate::tour::Tour;
use crate::{artifacts, demo, shell, spin, tools};

/// The operations by which a token can end itself, when it finds its own id, as schemathesis names them.
const ENDING: [&str; 2] = ["DELETE /v1/api-tokens/{apiTokenId}", "POST /v1/api-tokens/{apiTokenId}/regenerate"];
/// The one by which it does so in any case.
const SIGN_OUT: &str = "DELETE /v1/access-tokens/current";
/// The one that asks an identity provider, and a made-up one is not there: a 503 is right then. The stage `oidc` has a real one.
const ASKS_OUTSIDE: &str = "POST /v1/sign-in/oidc";
/// Proptest's own name for it.
const SEED: &str = "PROPTEST_RNG_SEED";
const ALONE: &str = "examples,coverage,fuzzing";
/// Before the reason why a stage had nothing to do.
const SKIPPED: &str = "skipped: ";

/// What a stage that nobody watches may print when it fails. Its end has the reason: cargo, libtest and schemathesis all say last
/// what failed. A whole run's output fits on two screens then, wherever it is read.
const TAIL: usize = 8_000;
/// How much of one of its lines.
const LINE: usize = 400;
/// How much is shown of the last line of a stage that is under way.
const WIDTH: usize = 120;

/// A stage that did its work, or had a reason not to.
enum Outcome {
    Passed,
    Skipped(String),
}

/// A part of the tests that can be run by its name.
struct Stage {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Outcome>,
}

impl Stage {
    fn perform(&self) -> Result<Outcome> {
        artifacts::use_tests_host();
        (self.run)()
    }
}

/// In this order: what fails fast comes first, what needs builds comes after them.
const STAGES: [Stage; 15] = [
    Stage { name: "fmt", what: "rustfmt finds nothing to change", run: fmt },
    Stage { name: "audit", what: "licenses, sources and versions of what ships, and advisories against it", run: audit },
    Stage { name: "clippy", what: "clippy finds nothing in the whole workspace", run: clippy },
    Stage { name: "wasm", what: "components, test guests and the host build", run: wasm },
    Stage { name: "unit", what: "unit and property tests", run: unit },
    Stage { name: "it", what: "integration tests: the components through the host", run: it },
    Stage { name: "attack", what: "attacks on a running hub, within bounds of memory and time", run: attack },
    Stage { name: "postgres", what: "a real PostgreSQL takes the schema and every statement", run: postgres },
    Stage { name: "openapi", what: "the API's description is valid and lints", run: openapi },
    Stage { name: "schemathesis", what: "generated requests find no contradiction to it", run: schemathesis },
    Stage { name: "oidc", what: "people sign in at a real OpenID provider", run: oidc },
    Stage { name: "brokers", what: "a customer gets a service from a real service broker", run: brokers },
    Stage { name: "vsphere", what: "environments live and die at VMware's simulator of a vCenter", run: vsphere },
    Stage { name: "demo", what: "the demo story, checked to the cent", run: demo_story },
    Stage { name: "spin", what: "the same story on Spin >= 4.1, when it is on PATH", run: spin_story },
];

/// The stages, for `--help`.
pub fn help() -> String {
    STAGES.iter().map(|stage| format!("  {:<13} {}\n", stage.name, stage.what)).collect()
}

/// Runs the named stages, or all, to the end even when one fails, and says how each went. At a terminal their output is to be seen;
/// elsewhere each has a file for it, and shown are a line a minute and what a failed one said last.
pub fn test(names: &[String]) -> Result<()> {
    for name in names {
        find(name)?;
    }
    let chosen = STAGES.iter().filter(|stage| names.is_empty() || names.iter().any(|name| name == stage.name));
    let watched = stdout().is_terminal();
    // Now, for cargo may put the same program anew in its place before the last stage.
    let program = std::env::current_exe()?;
    let start = Instant::now();
    let mut rows: Vec<(&str, String, Duration)> = Vec::new();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for stage in chosen {
        println!("\n=== {}: {}", stage.name, stage.what);
        let began = Instant::now();
        let verdict = match if watched { stage.perform() } else { apart(stage, &program) } {
            Ok(Outcome::Passed) => {
                passed += 1;
                "passed".to_owned()
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                println!("    {SKIPPED}{why}");
                format!("{SKIPPED}{why}")
            }
            Err(error) => {
                failed += 1;
                println!("    {}", crate::one_line(&error));
                format!("FAILED: {}", crate::one_line(&error))
            }
        };
        println!("    {}: {}", stage.name, shell::seconds(began.elapsed()));
        rows.push((stage.name, verdict, began.elapsed()));
    }
    println!("\n{:<13} {:>12}  result", "stage", "time");
    for (name, verdict, elapsed) in &rows {
        println!("{name:<13} {:>12}  {verdict}", shell::seconds(*elapsed));
    }
    println!("{:<13} {:>12}\n", "together", shell::seconds(start.elapsed()));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        let names: Vec<&str> = rows.iter().filter(|row| row.1.starts_with("FAILED")).map(|row| row.0).collect();
        bail!("{} failed: fix it, then `cargo xtask test {}`", names.join(", "), names.join(" "));
    }
    Ok(())
}

/// Runs one stage and says on the last line how it went: what [`apart`] starts.
pub fn stage(name: &str) -> Result<()> {
    if let Outcome::Skipped(why) = find(name)?.perform()? {
        println!("{SKIPPED}{why}");
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Stage> {
    let known = || STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
    STAGES.iter().find(|stage| stage.name == name).with_context(|| format!("unknown stage `{name}`: use {}", known()))
}

/// Runs the stage as a process of its own, whose output, with that of all that it starts, goes into a file.
fn apart(stage: &Stage, program: &Path) -> Result<Outcome> {
    let name = format!("target/stages/{}.log", stage.name);
    let file = shell::root().join(&name);
    fs::create_dir_all(shell::target().join("stages"))?;
    let output = File::create(&file)?;
    let mut child = shell::command(program)
        .args(["stage", stage.name])
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()?;
    let said = || fs::read(&file).map(|said| String::from_utf8_lossy(&said).into_owned());
    let began = Instant::now();
    let mut told = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let minutes = began.elapsed().as_secs() / 60;
        if minutes > told {
            told = minutes;
            let now: String = shell::last_line(&said()?).unwrap_or_default().chars().take(WIDTH).collect();
            println!("    {minutes} min: {now}");
        }
        sleep(Duration::from_millis(50));
    };
    let said = said()?;
    let last = shell::last_line(&said).unwrap_or_default();
    if status.success() {
        return Ok(last.strip_prefix(SKIPPED).map_or(Outcome::Passed, |why| Outcome::Skipped(why.to_owned())));
    }
    println!("{}", end(&said));
    let why = last.strip_prefix("error: ").map_or_else(|| format!("it ended by {status}"), str::to_owned);
    bail!("{why} (all of it: {name})");
}

/// The last lines of a text, up to [`TAIL`] bytes of them, each shortened to [`LINE`] bytes: a request that failed can be one line
/// of many thousands.
fn end(text: &str) -> String {
    let mut lines = Vec::new();
    let mut size = 0;
    for line in text.lines().rev() {
        let short = &line[..line.floor_char_boundary(LINE)];
        size += short.len() + 1;
        if size > TAIL {
            break;
        }
        lines.push(if short.len() < line.len() { format!("{short}…") } else { line.to_owned() });
    }
    lines.reverse();
    lines.join("\n")
}

fn fmt() -> Result<Outcome> {
    cargo(&["fmt", "--all", "--check"], "run `cargo fmt --all`")
}

fn audit() -> Result<Outcome> {
    Ok(crate::audit::run()?.map_or(Outcome::Passed, Outcome::Skipped))
}

fn clippy() -> Result<Outcome> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--features", "xtask/bench", "--", "-D", "warnings"];
    cargo(&arguments, "see clippy's messages above")
}

fn wasm() -> Result<Outcome> {
    artifacts::build_components()?;
    artifacts::build_guests()?;
    artifacts::build_host()?;
    Ok(Outcome::Passed)
}

fn unit() -> Result<Outcome> {
    // The whole workspace, here and below, so that every stage wants the same features of the dependencies and finds them built.
    cargo(&["test", "--workspace", "--lib", "--bins"], "see the failing test above")
}

fn it() -> Result<Outcome> {
    artifacts::build_components()?;
    artifacts::build_guests()?;
    // Some tests of the host start it as a process.
    artifacts::build_host()?;
    cargo(&["test", "--workspace", "--test", "it"], "see the failing test above")
}

fn attack() -> Result<Outcome> {
    artifacts::build_components()?;
    artifacts::build_host()?;
    let test = ["test", "--workspace", "--test", "attack", "--"];
    // What is measured on a hub as a process has the machine for itself; the stories go on at once.
    cargo(
        &[&test[..], &["--test-threads=1", "--show-output", "sockets::", "backup::"]].concat(),
        "see the failing attack above",
    )?;
    cargo(&[&test[..], &["--skip", "sockets::", "--skip", "backup::"]].concat(), "see the failing attack above")
}

fn postgres() -> Result<Outcome> {
    artifacts::build_components()?;
    let server = Postgres::start()?;
    let mut test = shell::cargo();
    test.args(["test", "--workspace", "--test", "it", "--", "--ignored", "--show-output", "store_dialect"])
        .env("PSQL", server.psql());
    shell::run(&mut test, "write the statement it names in the dialect that SQLite and PostgreSQL share")?;
    Ok(Outcome::Passed)
}

fn openapi() -> Result<Outcome> {
    let (validator, redocly) = (tools::python("openapi-spec-validator")?, tools::redocly()?);
    let ground = Ground::start("openapi")?;
    let answer = ground.hub.client().expect(&Call::get("/openapi.json"), 200)?;
    let file = ground.folder.join("openapi.json");
    fs::write(&file, &answer.text)?;
    let valid = shell::run(shell::command(validator).arg(&file), "the API's description is not valid OpenAPI");
    let mut lint = shell::command(redocly);
    lint.args(["lint", "--config", "xtask/redocly.yaml"]).arg(&file);
    lint.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    let lints = shell::run(&mut lint, "change what the linter names above in the code that describes the route");
    ground.stop()?;
    valid?;
    lints?;
    Ok(Outcome::Passed)
}

fn schemathesis() -> Result<Outcome> {
    let program = tools::python("schemathesis")?;
    let ground = Ground::start("schemathesis")?;
    let token = ground.sign_in()?;
    let file = ground.folder.join("openapi.json");
    fs::write(&file, &ground.hub.client().expect(&Call::get("/openapi.json"), 200)?.text)?;
    // Everything but what could end the run's own token, after which every answer would be 401 and prove nothing; then those
    // operations alone, where no list of tokens is read that would lead to the own one.
    let without =
        ["--exclude-name", ENDING[0], "--exclude-name", ENDING[1], "--exclude-name", SIGN_OUT, "--exclude-name", ASKS_OUTSIDE];
    // Without the stateful phase: it infers ten thousand links between our operations, and comes to no story of them in any time.
    fuzz(&program, &ground, &token, &[&without[..], &["--max-time", "90", "--phases", ALONE]].concat())?;
    for operation in ENDING {
        fuzz(&program, &ground, &token, &["--include-name", operation, "--max-time", "10", "--phases", ALONE])?;
    }
    ground.hub.client().expect(&Call::get("/v1/me").bearer("OPERATOR", &token), 200)?;
    fuzz(&program, &ground, &token, &["--include-name", SIGN_OUT, "--max-time", "10", "--phases", ALONE])?;
    ground.stop()?;
    Ok(Outcome::Passed)
}

/// One run of schemathesis with every check it has and a fixed seed.
fn fuzz(program: &Path, ground: &Ground, token: &str, selection: &[&str]) -> Result<()> {
    // It looks for hooks by their whole path alone.
    let hooks = shell::root().join("xtask/schemathesis_hooks.py");
    let settings = fs::read_to_string(shell::root().join("xtask/schemathesis.toml"))?;
    let config = ground.folder.join("schemathesis.toml");
    fs::write(&config, format!("hooks = {:?}\n\n{settings}", hooks.display().to_string()))?;
    let mut run = shell::command(program);
    run.arg("--config-file").arg(&config).arg("run").arg(ground.folder.join("openapi.json"));
    run.args(["--url", &ground.hub.base, "--header", &format!("Authorization: Bearer {token}")]);
    run.args(["--checks", "all", "--seed", "1", "--request-timeout", "20", "--generation-database", "none", "--warnings", "off"])
        .args(selection);
    if shell::ci() {
        run.arg("--no-color");
    }
    shell::run(&mut run, "each finding above has the curl that repeats it")
}

fn oidc() -> Result<Outcome> {
    crate::oidc::run()?;
    Ok(Outcome::Passed)
}

fn brokers() -> Result<Outcome> {
    crate::brokers::run()?;
    Ok(Outcome::Passed)
}

fn vsphere() -> Result<Outcome> {
    crate::vsphere::run()?;
    Ok(Outcome::Passed)
}

fn demo_story() -> Result<Outcome> {
    let ground = Ground::start("demo")?;
    let client = ground.hub.client();
    demo::play(&client, &ground.operator, &mut Tour::brief(client.base()))?;
    println!("    and once more, as a replay:");
    demo::play(&client, &ground.operator, &mut Tour::brief(client.base()))?;
    ground.stop()?;
    Ok(Outcome::Passed)
}

fn spin_story() -> Result<Outcome> {
    let spin = match spin::find() {
        Ok(spin) => spin,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let ground = Ground::start_spin("spin", &spin)?;
    let client = ground.hub.client();
    // Spin is not asked to end cleanly: how it ends is not ours to test.
    let _ticker = Ticker::start(client.base(), &ground.secrets);
    demo::play(&client, &ground.operator, &mut Tour::brief(client.base()))?;
    Ok(Outcome::Passed)
}

fn cargo(arguments: &[&str], fix: &str) -> Result<Outcome> {
    shell::run(shell::cargo().args(arguments).env(SEED, seed()?), fix)?;
    Ok(Outcome::Passed)
}

/// From what the properties' cases are made: what is committed decides, so that one tree has one result on every machine, and
/// each change is tried with other cases than the one before it.
fn seed() -> Result<String> {
    if let Ok(given) = std::env::var(SEED) {
        return Ok(given);
    }
    let tree = shell::capture(shell::command("git").args(["rev-parse", "HEAD^{tree}"]))?;
    let start = tree.get(..15).and_then(|start| u64::from_str_radix(start, 16).ok());
    Ok(start.context("git names no tree: commit first")?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stage_said_last_is_whole_lines() {
        assert_eq!(end("one\ntwo\n"), "one\ntwo");
        let long = format!("first\n{}\nlast\n", "ü".repeat(TAIL));
        assert_eq!(end(&long), format!("first\n{}…\nlast", "ü".repeat(LINE / 2)));
        let many = "a line of many\n".repeat(TAIL);
        assert!(end(&many).len() < TAIL);
        assert!(end(&many).starts_with("a line"));
    }
}
