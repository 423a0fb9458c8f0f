//! Load for the bench: wrk, told by a script what to send and made to answer in JSON.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{apt, shell};

/// What one run of wrk saw.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Answers per second.
    pub per_second: f64,
    /// The median latency in milliseconds.
    pub p50: f64,
    /// The 99th percentile in milliseconds.
    pub p99: f64,
}

/// What wrk is to send.
pub struct Load<'a> {
    /// Names the script's file.
    pub name: &'a str,
    /// Where to.
    pub url: String,
    /// The access token, when one is needed.
    pub token: Option<&'a str>,
    /// `None` for GET; else a POST of a body in which `%s` is replaced by text that never repeats.
    pub body: Option<&'a str>,
    /// Whether each POST carries an `Idempotency-Key` of its own.
    pub keyed: bool,
    /// The share of requests that may fail; they do not count as served.
    pub tolerated: f64,
}

/// Makes sure that there is a wrk.
pub fn ensure() -> Result<()> {
    if shell::on_path("wrk") { Ok(()) } else { apt::ensure(&["wrk"], "the bench") }
}

impl Load<'_> {
    /// Sends for so long over so many connections. `round` makes this run's bodies differ from all others.
    pub fn run(&self, folder: &Path, connections: u32, seconds: u32, round: &str) -> Result<Sample> {
        let script = self.script(folder, connections, round)?;
        let mut wrk = shell::command("wrk");
        // Never more threads than the machine has cores: the hub under test shares them.
        wrk.args(["--threads", if connections == 1 { "1" } else { "2" }]);
        wrk.args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")]);
        wrk.arg("--script").arg(script).arg(&self.url);
        let output = shell::capture(&mut wrk)?;
        let line = output.lines().find(|line| line.starts_with('{')).context("wrk printed no summary")?;
        let summary: Value = serde_json::from_str(line)?;
        let number = |name: &str| summary[name].as_f64().with_context(|| format!("wrk's summary has no {name}"));
        let (requests, errors) = (number("requests")?, number("errors")?);
        if errors > self.tolerated * requests {
            bail!("{}: {} of {} requests failed: {line}", self.name, summary["errors"], summary["requests"]);
        }
        Ok(Sample {
            per_second: (requests - errors) / (number("microseconds")? / 1e6),
            p50: number("p50")? / 1e3,
            p99: number("p99")? / 1e3,
        })
    }

    fn script(&self, folder: &Path, connections: u32, round: &str) -> Result<PathBuf> {
        let mut lua = String::new();
        if let Some(token) = self.token {
            lua += &format!("wrk.headers['Authorization'] = 'Bearer {token}'\n");
        }
        if let Some(body) = self.body {
            lua += &format!(
                "local threads = 0\n\
                 function setup(thread) thread:set('id', threads); threads = threads + 1 end\n\
                 local sent = 0\n\
                 local headers = {{}}\n\
                 function init() for name, value in pairs(wrk.headers) do headers[name] = value end\n\
                   headers['Content-Type'] = 'application/json' end\n\
                 function request()\n  sent = sent + 1\n\
                   local unique = '{name}-{round}-{connections}-' .. id .. '-' .. sent\n  {key}\n\
                   return wrk.format('POST', nil, headers, ([[{body}]]):format(unique))\nend\n",
                name = self.name,
                key = if self.keyed { "headers['Idempotency-Key'] = unique" } else { "" },
            );
        }
        lua += "function done(summary, latency, requests)\n\
                  local errors = summary.errors\n\
                  io.write(string.format('{\"requests\":%d,\"microseconds\":%d,\"errors\":%d,\"p50\":%f,\"p99\":%f}\\n',\n\
                    summary.requests, summary.duration,\n\
                    errors.connect + errors.read + errors.write + errors.status + errors.timeout,\n\
                    latency:percentile(50), latency:percentile(99)))\nend\n";
        let file = folder.join(format!("{}.lua", self.name));
        fs::write(&file, lua)?;
        Ok(file)
    }
}

/// The middle one of several runs, by throughput for throughput and by latency for latencies.
pub fn median(samples: &[Sample]) -> Sample {
    let by = |pick: fn(&Sample) -> f64| middle(samples.iter().map(pick).collect());
    Sample { per_second: by(|s| s.per_second), p50: by(|s| s.p50), p99: by(|s| s.p99) }
}

/// The middle value.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_robust() {
        let sample = |per_second, p99| Sample { per_second, p50: 1.0, p99 };
        let middle = median(&[sample(1.0, 9.0), sample(100.0, 1.0), sample(50.0, 2.0)]);
        assert_eq!((middle.per_second, middle.p99), (50.0, 2.0));
    }
}
