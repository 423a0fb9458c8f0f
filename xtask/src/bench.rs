//! `cargo xtask bench`: the hub against its floor, in one run on one machine.
//!
//! Machines are noisy and ours are shared: one and the same second may bring twice what another does. So every figure that
//! matters is a ratio of two that were measured right after each other, and the median of many such ratios.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::ground::{self, Ground, Ticker};
use crate::http::{Call, object};
use crate::hub::{Hub, Launch};
use crate::load::{self, Load, Sample};
use crate::provisioning_load::{self, Crowd, Tasks};
use crate::secrets::Secrets;
use crate::sign_in_load::{self, People};
use crate::usage_load::{self, UsageLoad};
use crate::{artifacts, calendar, shell, spin};

/// What the command line asked for.
pub struct Options {
    /// Shorter and fewer rounds: for a look, not for the record.
    pub quick: bool,
    /// Where the JSON goes.
    pub json: PathBuf,
}

/// How much is measured.
struct Effort {
    rounds: usize,
    seconds: u32,
    starts: usize,
}

/// One line of the table.
struct Row {
    name: String,
    /// What was measured, as people read it.
    ours: String,
    /// What it is held against, if anything.
    against: String,
    /// The figure that the target speaks of.
    figure: f64,
    /// How the figure is printed: `x` for a ratio.
    unit: &'static str,
    /// The bound; at least or at most.
    target: Option<Target>,
}

enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// The connections of the main rows.
const MANY: u32 = 32;
/// How many people sign in at once.
const SIGN_INS: usize = 50;
/// The health of the component that has `/v1/roles`: it opens the database too, and looks nobody up.
const ONBOARDING_HEALTH: &str = "/health/onboarding";

/// Measures everything, prints the table, writes the JSON.
pub fn bench(options: &Options) -> Result<()> {
    load::ensure()?;
    artifacts::build_components()?;
    artifacts::build_guests()?;
    artifacts::build_host()?;
    let native = build_native()?;
    let effort =
        if options.quick { Effort { rounds: 3, seconds: 2, starts: 5 } } else { Effort { rounds: 5, seconds: 4, starts: 15 } };

    let ours = shell::step("the hub", || measure(&effort, &native, &Kind::Hub))?;
    let theirs = match spin::find() {
        // What is wrong there is no reason to lose what was measured here.
        Ok(spin) => shell::step("Spin, the same rows", || measure(&effort, &native, &Kind::Spin(spin))),
        Err(why) => Err(anyhow::anyhow!(why)),
    };
    let theirs = theirs.map_err(|why| println!("Spin's rows are left out: {why:#}")).ok();
    let rows = ours.rows();
    let theirs = theirs.map(|theirs| theirs.rows());
    print(&rows, theirs.as_deref());
    let text = serde_json::to_string_pretty(&json!({
        "date": calendar::date(),
        "quick": options.quick,
        "cores": std::thread::available_parallelism()?.get(),
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "spin": theirs.map(|rows| rows.iter().map(Row::json).collect::<Vec<_>>()),
    }))?;
    fs::write(&options.json, text + "\n").with_context(|| format!("{} cannot be written", options.json.display()))?;
    println!("\nAs JSON: {}", options.json.display());
    Ok(())
}

/// Which host runs the components.
enum Kind {
    Hub,
    Spin(PathBuf),
}

impl Kind {
    fn ground(&self, name: &str) -> Result<Ground> {
        match self {
            Self::Hub => Ground::start(name),
            Self::Spin(spin) => Ground::start_spin(&format!("{name}-spin"), spin),
        }
    }

    /// The host with the floor only: the same process kind, no database, no schedules.
    fn floor(&self) -> Result<Hub> {
        let name = match self {
            Self::Hub => "bench-floor",
            Self::Spin(_) => "bench-floor-spin",
        };
        let folder = ground::folder(name)?;
        let secrets = Secrets::ensure(&folder)?;
        self.launch(&shell::root().join("tests/floor/spin.toml"), &folder, &secrets, false)
    }

    fn launch(&self, manifest: &Path, folder: &Path, secrets: &Secrets, ticks: bool) -> Result<Hub> {
        let listen = format!("127.0.0.1:{}", ground::free_port()?);
        let launch = Launch {
            manifest: manifest.to_owned(),
            listen: &listen,
            data: folder,
            secrets,
            log: Some(folder.join("hub.log")),
            ticks,
            new: false,
            environment: Vec::new(),
        };
        match self {
            Self::Hub => launch.start(),
            Self::Spin(spin) => launch.start_spin(spin),
        }
    }

    /// What starts this host, as a command without waiting.
    fn command(&self, folder: &Path, secrets: &Secrets, listen: &str) -> std::process::Command {
        let mut command = match self {
            Self::Hub => {
                let mut command = shell::command(artifacts::hub());
                command.arg("--cache-dir").arg(shell::target().join("hub-cache"));
                command.args(["--tick", "/internal/tick", "--tick-variable", "internal_secret"]);
                if !folder.join("sqlite_db.db").exists() {
                    command.arg("--new");
                }
                command
            }
            Self::Spin(spin) => {
                let mut command = shell::command(spin);
                command.arg("up");
                command
            }
        };
        command.args(["--from", "spin.toml", "--listen", listen, "--state-dir"]).arg(folder);
        command.envs(secrets.environment());
        command
    }
}

/// What was measured of one host.
struct Measured {
    /// Against the floor.
    read: [Pair; 2],
    /// Against native rusqlite.
    write: [Pair; 2],
    keyed: Pair,
    /// Who am I: the identity lookup and nothing else; against a request of the same component that looks nobody up.
    identity: Pair,
    /// What a sync of the disk takes, in milliseconds.
    sync: f64,
    /// While many sign in, against the same without them; and how many did, a second.
    beside_sign_ins: Pair,
    sign_ins: f64,
    tasks: Tasks,
    usage: UsageLoad,
    crowd: Crowd,
    start: f64,
    rss: f64,
}

fn measure(effort: &Effort, native: &Path, kind: &Kind) -> Result<Measured> {
    // The first hub of all compiles what it runs; those that are measured find it compiled.
    let yardstick = native_database()?;
    let ground = kind.ground("bench")?;
    let floor = kind.floor()?;
    let folder = &ground.folder;
    let token = ground.sign_in()?;
    let organization = organization(&ground, &token)?;
    let body = new_provider();
    // Its writes wait for each other's lock five seconds and are then refused: a few of some hundred are.
    let tolerated = if matches!(kind, Kind::Spin(_)) { 0.05 } else { 0.0 };
    let write = |keyed| Load {
        name: if keyed { "write-keyed" } else { "write" },
        url: format!("{}/v1/organizations", ground.hub.base),
        token: Some(&token),
        body: Some(&body),
        keyed,
        tolerated,
    };
    let read = reads(&ground, &token, &organization, tolerated);
    let identified = Load { name: "identified", url: format!("{}/v1/roles", ground.hub.base), ..read };
    let unidentified = Load { name: "unidentified", url: format!("{}{ONBOARDING_HEALTH}", ground.hub.base), token: None, ..read };
    let bare = Load { name: "floor", url: format!("{}/", floor.base), token: None, ..read };

    shell::step("a person who signs in", || sign_in_load::prepare(&ground, &token, &organization))?;
    let me = Load { name: "me", url: format!("{}/v1/me", ground.hub.base), ..read };

    let mut samples: [Vec<Sample>; 13] = Default::default();
    let mut syncs = Vec::new();
    let mut sign_ins = Vec::new();
    for round in 0..effort.rounds {
        shell::step(&format!("round {} of {}", round + 1, effort.rounds), || {
            let name = round.to_string();
            let seconds = effort.seconds;
            samples[0].push(bare.run(folder, 1, seconds, &name)?);
            samples[1].push(read.run(folder, 1, seconds, &name)?);
            for _ in 0..seconds {
                samples[2].push(bare.run(folder, MANY, 1, &name)?);
                samples[3].push(read.run(folder, MANY, 1, &name)?);
            }
            syncs.push(sync_time(folder)?);
            samples[4].push(run_native(native, &yardstick, seconds, false)?);
            samples[5].push(write(false).run(folder, MANY, seconds, &name)?);
            samples[6].push(write(false).run(folder, 1, seconds, &name)?);
            samples[7].push(run_native(native, &yardstick, seconds, true)?);
            samples[8].push(write(true).run(folder, MANY, seconds, &name)?);
            samples[9].push(unidentified.run(folder, MANY, seconds, &name)?);
            samples[10].push(identified.run(folder, MANY, seconds, &name)?);
            samples[11].push(me.run(folder, 1, seconds, &name)?);
            let people = People::start(&ground.hub.base, SIGN_INS);
            samples[12].push(me.run(folder, 1, seconds, &name)?);
            sign_ins.push(people.signed_in() as f64 / f64::from(seconds));
            Ok(())
        })?;
    }
    let ticker = matches!(kind, Kind::Spin(_)).then(|| Ticker::start(&ground.hub.base, &ground.secrets));
    let tasks = shell::step("tasks", || provisioning_load::measure(&ground, &token, MANY, effort.seconds, tolerated))?;
    drop(ticker);
    let rss = resident(ground.hub.pid())?;
    drop(floor);
    ground.stop()?;
    let usage = shell::step("usage and invoices on a million rows", || {
        let outside = matches!(kind, Kind::Spin(_));
        let fill = native.with_file_name("usage-fill");
        let manifest = shell::root().join("spin.toml");
        usage_load::measure(kind.ground("bench-usage")?, &fill, outside, |folder, secrets| {
            kind.launch(&manifest, folder, secrets, true)
        })
    })?;
    let crowd = shell::step("tasks that are not alone", || crowd(effort, kind, tolerated))?;
    let start = shell::step("starts", || start(effort, kind))?;
    let pair = |ours: usize, against: usize| Pair::of(&samples[ours], &samples[against]);
    Ok(Measured {
        read: [pair(1, 0), pair(3, 2)],
        write: [pair(6, 4), pair(5, 4)],
        keyed: pair(8, 7),
        identity: pair(10, 9),
        sync: load::middle(syncs),
        beside_sign_ins: pair(12, 11),
        sign_ins: load::middle(sign_ins),
        tasks,
        usage,
        crowd,
        start,
        rss,
    })
}

/// On a database of its own, with a hub that does nothing until its queue is full.
fn crowd(effort: &Effort, kind: &Kind, tolerated: f64) -> Result<Crowd> {
    let ground = match kind {
        Kind::Hub => Ground::start_idle("bench-crowd")?,
        Kind::Spin(spin) => Ground::start_spin("bench-crowd-spin", spin)?,
    };
    let token = ground.sign_in()?;
    let other = provisioning_load::fill(&ground, &token, MANY, tolerated)?;
    let (ground, _ticker) = match kind {
        Kind::Hub => (ground.ticked()?, None),
        Kind::Spin(_) => {
            let ticker = Ticker::start(&ground.hub.base, &ground.secrets);
            (ground, Some(ticker))
        }
    };
    let organization = organization(&ground, &token)?;
    let body = new_provider();
    let read = reads(&ground, &token, &organization, tolerated);
    let write = Load { name: "write", url: format!("{}/v1/organizations", ground.hub.base), body: Some(&body), ..read };
    provisioning_load::crowd(&ground, &token, other, [MANY, effort.seconds], [&read, &write])
}

/// The organization of a token.
fn organization(ground: &Ground, token: &str) -> Result<String> {
    let me = ground.hub.client().expect(&Call::get("/v1/me").bearer("OPERATOR", token), 200)?.json()?;
    Ok(me["organizationId"].as_str().context("/v1/me has no organizationId")?.to_owned())
}

/// What is sent to make a provider of a name of its own.
fn new_provider() -> String {
    object(&[("kind", "PROVIDER"), ("displayName", "%s"), ("companyName", "Bench Ltd"), ("country", "US"), ("currency", "USD")])
}

/// Authenticated reads of one row.
fn reads<'a>(ground: &Ground, token: &'a str, organization: &str, tolerated: f64) -> Load<'a> {
    let url = format!("{}/v1/organizations/{organization}", ground.hub.base);
    Load { name: "read", url, token: Some(token), body: None, keyed: false, tolerated }
}

/// The median of what was measured, of what it is held against, and of the ratios of each two that were measured together.
struct Pair {
    ours: Sample,
    against: Sample,
    ratio: Sample,
}

impl Pair {
    fn of(ours: &[Sample], against: &[Sample]) -> Self {
        let ratio = |(ours, against): (&Sample, &Sample)| Sample {
            per_second: ours.per_second / against.per_second,
            p50: ours.p50 / against.p50,
            p99: ours.p99 / against.p99,
        };
        let ratios: Vec<_> = ours.iter().zip(against).map(ratio).collect();
        Self { ours: load::median(ours), against: load::median(against), ratio: load::median(&ratios) }
    }
}

impl Measured {
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (index, connections) in [1, MANY].into_iter().enumerate() {
            let Pair { ours: read, against: floor, ratio } = &self.read[index];
            let name = format!("authenticated read, {connections} conn");
            let bounds =
                if connections == MANY { (Some(Target::AtLeast(0.45)), Some(Target::AtMost(4.0))) } else { (None, None) };
            rows.push(Row {
                name: format!("{name}: throughput"),
                ours: format!("{:.0}/s", read.per_second),
                against: format!("floor {:.0}/s", floor.per_second),
                figure: ratio.per_second,
                unit: "x",
                target: bounds.0,
            });
            rows.push(latency(&format!("{name}: p50"), [read.p50, floor.p50, ratio.p50], None));
            rows.push(latency(&format!("{name}: p99"), [read.p99, floor.p99, ratio.p99], bounds.1));
        }
        let writes = [
            (format!("durable write, {MANY} conn"), &self.write[1], true),
            ("durable write, 1 conn".to_owned(), &self.write[0], false),
            (format!("durable write with key, {MANY} conn"), &self.keyed, true),
        ];
        for (name, Pair { ours, against: native, ratio }, bound) in writes {
            rows.push(Row {
                name: format!("{name}: throughput"),
                ours: format!("{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", ours.per_second, ours.p50, ours.p99),
                against: format!("rusqlite {:.0}/s, sync {:.2} ms", native.per_second, self.sync),
                figure: ratio.per_second,
                unit: "x",
                target: bound.then_some(Target::AtLeast(0.4)),
            });
        }
        // Under full load a request costs what is left of the machine for it: the inverse of the throughput.
        let Pair { ours: identified, against: unidentified, ratio } = &self.identity;
        rows.push(Row {
            name: format!("identity lookup, {MANY} conn: its share of a request"),
            ours: format!("/v1/roles {:.0}/s", identified.per_second),
            against: format!("health {:.0}/s", unidentified.per_second),
            figure: 100.0 * (1.0 - ratio.per_second),
            unit: "%",
            target: None,
        });
        let Pair { ours, against, ratio } = &self.beside_sign_ins;
        rows.push(Row {
            name: format!("authenticated read beside {SIGN_INS} sign-ins: p99"),
            ours: format!("{:.2} ms, {:.0} sign-ins/s", ours.p99, self.sign_ins),
            against: format!("without {:.2} ms", against.p99),
            figure: ratio.p99,
            unit: "x",
            target: Some(Target::AtMost(4.0)),
        });
        rows.push(absolute("tasks of 3 steps through builtin, asked for by 32 conn", self.tasks.per_second, "/s", None));
        rows.push(absolute("request to the end of the first step, idle: p50", self.tasks.first_step, "ms", None));
        let usage = &self.usage;
        rows.push(absolute("full usage report on a million rows: p50", usage.report, "ms", None));
        rows.push(absolute("eight of them at once, until the last", usage.reports_at_once, "ms", None));
        rows.push(absolute("invoice of 300,000 rows on a million", usage.invoice, "ms", None));
        rows.push(absolute("eight of 20,000 rows at once, until the last", usage.invoices_at_once, "ms", None));
        let Crowd { behind, queue, rates: [idle, reading, writing] } = self.crowd;
        rows.push(Row {
            name: "another tenant's task, to its end".to_owned(),
            ours: format!("{behind:.0} ms"),
            against: format!("behind {queue}"),
            figure: behind,
            unit: "ms",
            target: Some(Target::AtMost(1000.0)),
        });
        for (beside, rate, target) in [("readers", reading, Some(Target::AtLeast(0.5))), ("writers", writing, None)] {
            rows.push(Row {
                name: format!("tasks of 3 steps, beside {MANY} {beside}"),
                ours: format!("{rate:.0}/s"),
                against: format!("idle {idle:.0}/s"),
                figure: rate / idle,
                unit: "x",
                target,
            });
        }
        rows.push(absolute("process start to first 200 of /health", self.start, "ms", Some(Target::AtMost(100.0))));
        rows.push(absolute("RSS after the load", self.rss, "MB", Some(Target::AtMost(100.0))));
        rows
    }
}

fn latency(name: &str, [ours, floor, ratio]: [f64; 3], target: Option<Target>) -> Row {
    Row {
        name: name.to_owned(),
        ours: format!("{ours:.2} ms"),
        against: format!("floor {floor:.2} ms"),
        figure: ratio,
        unit: "x",
        target,
    }
}

fn absolute(name: &str, figure: f64, unit: &'static str, target: Option<Target>) -> Row {
    Row { name: name.to_owned(), ours: format!("{figure:.0} {unit}"), against: String::new(), figure, unit, target }
}

impl Row {
    fn verdict(&self) -> (&'static str, String) {
        let (met, text) = match &self.target {
            None => return ("", String::new()),
            Some(Target::AtLeast(bound)) => (self.figure >= *bound, format!(">= {bound} {}", self.unit)),
            Some(Target::AtMost(bound)) => (self.figure <= *bound, format!("<= {bound} {}", self.unit)),
        };
        (if met { "met" } else { "MISSED" }, text)
    }

    fn figure(&self) -> String {
        match self.unit {
            "x" => format!("{:.2}", self.figure),
            "%" => format!("{:.0} %", self.figure),
            _ => String::new(),
        }
    }

    fn json(&self) -> Value {
        let (verdict, target) = self.verdict();
        json!({
            "name": self.name, "measured": self.ours, "against": self.against, "figure": self.figure,
            "unit": self.unit, "target": target, "verdict": verdict,
        })
    }
}

fn print(rows: &[Row], spin: Option<&[Row]>) {
    println!(
        "\n{:<47} {:<36} {:<18} {:>6}  {:<10} {:<7} {}",
        "",
        "measured",
        "against",
        "ratio",
        "target",
        "",
        if spin.is_some() { "Spin, same run" } else { "" }
    );
    for row in rows {
        let (verdict, target) = row.verdict();
        let beside = spin
            .and_then(|rows| rows.iter().find(|other| other.name == row.name))
            .map(|other| format!("{} {}", other.ours, other.figure()))
            .unwrap_or_default();
        println!("{:<47} {:<36} {:<18} {:>6}  {target:<10} {verdict:<7} {beside}", row.name, row.ours, row.against, row.figure());
    }
}

/// A database that a hub of its own has migrated, with one access token in it, for native writes.
fn native_database() -> Result<PathBuf> {
    let ground = Ground::start("bench-native")?;
    ground.sign_in()?;
    let folder = ground.folder.clone();
    ground.stop()?;
    let database = folder.join("sqlite_db.db");
    if !database.is_file() {
        bail!("a hub left no {}", database.display());
    }
    Ok(database)
}

fn build_native() -> Result<PathBuf> {
    shell::step("native yardstick", || {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--release", "--package", "xtask", "--features", "bench"]);
        cargo.args(["--bin", "native-write", "--bin", "usage-fill"]);
        shell::run(&mut cargo, "see the compiler's messages above")
    })?;
    Ok(shell::target().join("release/native-write"))
}

/// What a sync of a few pages that are written in place takes, the median in milliseconds: no durable write is quicker.
fn sync_time(folder: &Path) -> Result<f64> {
    const PAGES: usize = 16;
    let mut file = fs::File::create(folder.join("sync"))?;
    let bytes = vec![0; PAGES * 4096];
    file.write_all(&bytes)?;
    file.sync_all()?;
    let mut times = Vec::new();
    for _ in 0..100 {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&bytes)?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(load::middle(times))
}

fn run_native(program: &Path, database: &Path, seconds: u32, keyed: bool) -> Result<Sample> {
    let mut command = shell::command(program);
    command.arg(database).arg(seconds.to_string()).arg(if keyed { "keyed" } else { "plain" });
    let answer: Value = serde_json::from_str(&shell::capture(&mut command)?)?;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("native-write printed no {name}"));
    Ok(Sample { per_second: number("perSecond")?, p50: number("p50")?, p99: number("p99")? })
}

/// From the process's birth to its first 200 of /health, which asks every component; the median in milliseconds.
fn start(effort: &Effort, kind: &Kind) -> Result<f64> {
    let folder = ground::folder("bench-start")?;
    let secrets = Secrets::ensure(&folder)?;
    let mut times = Vec::new();
    // The first start fills the cache and migrates the database; it does not count.
    for number in 0..=effort.starts {
        let listen = format!("127.0.0.1:{}", ground::free_port()?);
        let mut command = kind.command(&folder, &secrets, &listen);
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let outcome = first_answer(&listen, began);
        crate::hub::terminate(child.id());
        child.wait()?;
        let elapsed = outcome?;
        if number > 0 {
            times.push(elapsed.as_secs_f64() * 1e3);
        }
    }
    Ok(load::middle(times))
}

fn first_answer(listen: &str, began: Instant) -> Result<Duration> {
    while began.elapsed() < Duration::from_secs(30) {
        if let Ok(mut stream) = TcpStream::connect(listen) {
            let request = format!("GET /health HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
            let mut answer = [0; 12];
            if stream.write_all(request.as_bytes()).is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && &answer == b"HTTP/1.1 200"
            {
                return Ok(began.elapsed());
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    bail!("no 200 of /health within 30 s")
}

/// The resident memory of a process and all below it, in megabytes.
fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
        .context("the hub is gone")?;
    let mut sum = kilobytes / 1e3;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            sum += resident(child.parse()?)?;
        }
    }
    Ok(sum)
}
