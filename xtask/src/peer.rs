//! The other side of a stage: a process that the hub speaks to, and that tells the stage in lines of JSON what it is and what it saw.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Such a process. Dropping it ends it: it reads its end from a closed pipe.
pub struct Peer {
    what: &'static str,
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it. Gives what its first line says under `field`: where it is.
    pub fn start(what: &'static str, command: &mut Command, field: &str) -> Result<(Self, String)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{what} cannot be started"))?;
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().context("stdout is piped")?));
        let mut peer = Self { what, child, to, from };
        let first = peer.line()?;
        let place = first[field].as_str().with_context(|| format!("{what} does not say where it is: {first}"))?.to_owned();
        Ok((peer, place))
    }

    /// The next line that it says.
    pub fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.what))
    }

    /// Says a line to it, and gives what it answers.
    pub fn ask(&mut self, line: impl Display) -> Result<Value> {
        writeln!(self.to.as_mut().context("stdin is piped")?, "{line}")?;
        self.line()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        sh
    }

    #[test]
    fn a_peer_says_where_it_is_answers_and_ends_when_it_is_dropped() {
        let script = r#"echo '{"url":"here"}'; while read -r line; do echo "{\"heard\":\"$line\"}"; done"#;
        let (mut peer, url) = Peer::start("the peer", &mut sh(script), "url").unwrap();
        assert_eq!(url, "here");
        assert_eq!(peer.ask("one").unwrap()["heard"], "one");
        assert_eq!(peer.ask("").unwrap()["heard"], "");
        drop(peer);
    }

    #[test]
    fn what_a_peer_says_wrong_is_in_the_error() {
        let wrong = |script: &str| Peer::start("the peer", &mut sh(script), "url").err().unwrap().to_string();
        assert_eq!(wrong("echo nothing; read -r line"), "the peer said \"nothing\\n\"");
        assert!(wrong("echo '{\"issuer\":1}'; read -r line").starts_with("the peer does not say where it is"));
    }
}
