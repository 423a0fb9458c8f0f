//! The demo as a tour: a sentence, the curl that does it, and what the hub answered.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::http::{Answer, Call, Client};

/// Answers longer than this are cut; the curl beside them shows the rest.
const MOST_LINES: usize = 36;

/// Walks through steps and either prints each in full or only names it.
pub struct Tour {
    step: usize,
    base: String,
    /// Where files that a curl sends are kept for a person to look at; without one only sentences are printed.
    files: Option<PathBuf>,
    /// Values printed as shell variables: secrets never, ids only where it helps.
    variables: BTreeMap<String, String>,
}

impl Tour {
    /// For a person: everything is printed, and the files that are sent are kept in `files`.
    pub fn printed(base: &str, files: &Path) -> Self {
        println!("\nThe tour. To follow it in a shell of your own: export HUB={base}");
        Self { step: 0, base: base.to_owned(), files: Some(files.to_owned()), variables: BTreeMap::new() }
    }

    /// For a test: one line a step.
    pub fn brief(base: &str) -> Self {
        Self { step: 0, base: base.to_owned(), files: None, variables: BTreeMap::new() }
    }

    fn full(&self) -> bool {
        self.files.is_some()
    }

    /// From here on this value is printed as `$NAME`.
    pub fn name(&mut self, name: &str, value: &str) {
        self.variables.insert(value.to_owned(), format!("${name}"));
    }

    /// Begins a step.
    pub fn say(&mut self, sentence: &str) {
        self.step += 1;
        if self.full() {
            println!("\n{:>2}. {sentence}", self.step);
        } else {
            println!("    {:>2}. {sentence}", self.step);
        }
    }

    /// Adds a remark to the step.
    pub fn remark(&self, text: &str) {
        println!("{}{text}", if self.full() { "\n    " } else { "        " });
    }

    /// Adds one row of a table, for a person only.
    pub fn detail(&self, text: &str) {
        if self.full() {
            println!("    {text}");
        }
    }

    /// Prints the curl, sends the request, prints the answer, and insists on the status.
    pub fn call(&self, client: &Client, call: &Call, status: u16) -> Result<Answer> {
        if self.full() {
            println!("\n{}\n", indent(&self.curl(call)?));
        }
        let answer = client.send(call)?;
        if self.full() {
            let replayed = if replayed(&answer) { "  (Idempotency-Replayed: an earlier run did it)" } else { "" };
            println!("    HTTP {}{replayed}", answer.status);
            let text = self.hide(&pretty(&answer.text));
            let lines: Vec<&str> = text.lines().collect();
            println!("{}", indent(&lines[..lines.len().min(MOST_LINES)].join("\n")));
            if lines.len() > MOST_LINES {
                println!("    … {} more lines", lines.len() - MOST_LINES);
            }
        }
        if answer.status != status {
            let brief = self.hide(&answer.brief());
            bail!("step {}: {} {} answered {brief}, not {status}", self.step, call.method, self.hide(&call.path));
        }
        Ok(answer)
    }

    /// The request as a curl that a person can paste.
    fn curl(&self, call: &Call) -> Result<String> {
        let verb = match (call.method, &call.body) {
            ("GET", None) | ("POST", Some(_)) => String::new(),
            (method, _) => format!(" -X {method}"),
        };
        let mut text = format!("curl -s{verb} \"{}\"", self.hide(&format!("{}{}", self.base, call.path)));
        if let Some((variable, _)) = &call.bearer {
            text += &format!(" \\\n  -H \"Authorization: Bearer ${variable}\"");
        }
        for (name, value) in &call.headers {
            text += &format!(" \\\n  -H '{name}: {value}'");
        }
        match (&call.body, &call.file, &self.files) {
            (Some((kind, body)), Some(file), Some(folder)) => {
                let file = folder.join(file);
                fs::write(&file, body).with_context(|| format!("{} cannot be written", file.display()))?;
                text += &format!(" \\\n  -H 'Content-Type: {kind}' \\\n  --data-binary @'{}'", file.display());
            }
            (Some((kind, body)), ..) => {
                // Inside single quotes the shell would not see a variable: close them around it.
                let mut shown = body.replace('\'', r"'\''");
                for (value, name) in &self.variables {
                    shown = shown.replace(value.as_str(), &format!("'{name}'"));
                }
                text += &format!(" \\\n  -H 'Content-Type: {kind}' \\\n  -d '{shown}'");
            }
            (None, ..) => {}
        }
        Ok(text.replace(&self.base, "$HUB"))
    }

    fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in &self.variables {
            text = text.replace(value.as_str(), name);
        }
        redact(&text)
    }
}

/// True when the answer is that of an earlier request with the same `Idempotency-Key`.
pub fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Cuts every token of the hub to its first characters.
fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["hubpt_", "hubat_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, token) = rest.split_at(at);
        let end = token.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).unwrap_or(token.len());
        out += before;
        out += &token[..end.min(10)];
        out += "…";
        rest = &token[end..];
    }
    out + rest
}

/// JSON on several lines, in the order the hub wrote it; anything else unchanged.
fn pretty(text: &str) -> String {
    if serde_json::from_str::<serde_json::Value>(text).is_err() {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut depth = 0_usize;
    let (mut quoted, mut escaped) = (false, false);
    let mut characters = text.chars().filter(|c| *c != '\r').peekable();
    while let Some(character) = characters.next() {
        if quoted {
            out.push(character);
            (quoted, escaped) = match character {
                '"' if !escaped => (false, false),
                '\\' => (true, !escaped),
                _ => (true, false),
            };
            continue;
        }
        match character {
            '"' => {
                quoted = true;
                out.push('"');
            }
            '{' | '[' => {
                out.push(character);
                while characters.peek().is_some_and(|c| c.is_whitespace()) {
                    characters.next();
                }
                if let Some(close) = characters.next_if(|c| *c == '}' || *c == ']') {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other if other.is_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_order() {
        let text = pretty(r#"{"b":[1,{"x":"a, \"q\": {"}],"a":{},"c":[ ]}"#);
        assert_eq!(
            text,
            "{\n  \"b\": [\n    1,\n    {\n      \"x\": \"a, \\\"q\\\": {\"\n    }\n  ],\n  \"a\": {},\n  \"c\": []\n}"
        );
        assert_eq!(pretty("ok"), "ok");
    }

    #[test]
    fn tokens_never_show() {
        assert_eq!(redact(r#"{"a":"hubpt_abcdefgh_ij","b":"hubat_1234567"}"#), r#"{"a":"hubpt_abcd…","b":"hubat_1234…"}"#);
    }

    #[test]
    fn a_curl_can_be_pasted() {
        let mut tour = Tour::brief("http://h:1");
        tour.name("API_TOKEN", "hubpt_secret");
        let call = Call::post("/v1/access-tokens").json(r#"{"apiToken":"hubpt_secret","n":"it's"}"#);
        assert_eq!(
            tour.curl(&call).unwrap(),
            "curl -s \"$HUB/v1/access-tokens\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"apiToken\":\"'$API_TOKEN'\",\"n\":\"it'\\''s\"}'"
        );
    }
}
