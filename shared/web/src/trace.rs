//! Request ids, W3C Trace Context, and the JSON lines of the log.

use crate::{
    Headers,
    hub::{random, wall_clock},
};
use domain::{Id, Instant, id};
use serde::ser::{SerializeMap, Serializer};
use std::io::Write;

/// Where a request belongs: its own id, and the trace it is part of.
#[derive(Clone)]
pub(crate) struct Trace {
    pub request_id: Id<id::Request>,
    /// 32 hexadecimal digits.
    trace_id: String,
    /// 16 hexadecimal digits: this request's own span.
    span_id: String,
    flags: String,
    /// Whether the caller sent a trace of its own, and so wants to hear of it.
    pub asked: bool,
}

impl Trace {
    /// The caller's trace if it sent one, else a new one.
    pub fn of(headers: &Headers, now: Instant) -> Self {
        match headers.text("traceparent") {
            Some(header) => Self { asked: true, ..Self::continued(header, now) },
            None => Self::begun(now),
        }
    }

    /// The trace of a `traceparent`; a new one when it is not of the form of version 00 or later.
    pub fn continued(header: &str, now: Instant) -> Self {
        let mut trace = Self::begun(now);
        let parts: Vec<&str> = header.split('-').collect();
        let hex = |text: &str, length| {
            text.len() == length
                && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                && text.bytes().any(|byte| byte != b'0')
        };
        if let [version, trace_id, parent, flags, rest @ ..] = parts.as_slice()
            && version.len() == 2
            && *version != "ff"
            && (*version != "00" || rest.is_empty())
            && hex(trace_id, 32)
            && hex(parent, 16)
            && flags.len() == 2
            && flags.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            trace.trace_id = (*trace_id).to_owned();
            trace.flags = (*flags).to_owned();
        }
        trace
    }

    fn begun(now: Instant) -> Self {
        let bytes = random::<34>();
        let mut id = [0; 10];
        id.copy_from_slice(&bytes[24..]);
        Self {
            request_id: Id::new(now, id),
            trace_id: crate::secret::hex(&bytes[..16]),
            span_id: crate::secret::hex(&bytes[16..24]),
            flags: "00".into(),
            asked: false,
        }
    }

    pub fn to_header(&self) -> String {
        format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags)
    }

    /// Writes one line to the log.
    pub fn log(&self, line: &Line<'_>) {
        let now = wall_clock();
        let ts = now.to_string();
        let request_id = self.request_id.to_string();
        let texts = [
            ("ts", Some(ts.as_str())),
            ("level", Some(line.level)),
            ("msg", Some(line.msg)),
            ("component", Some(line.component)),
            ("method", line.method),
            ("path", line.path),
            ("code", line.code),
            ("principal", line.principal),
            ("organization", line.organization),
            ("job", line.job),
            ("error", line.error),
            ("requestId", Some(request_id.as_str())),
            ("traceId", Some(self.trace_id.as_str())),
        ];
        let mut json = Vec::with_capacity(512);
        let written = write(&mut serde_json::Serializer::new(&mut json), &texts, line, now);
        json.push(b'\n');
        // One write a line, so that lines of concurrent requests do not mix. There is nobody to tell when it fails.
        let _ = written.map(|()| std::io::stdout().write_all(&json));
    }
}

/// Field by field in a loop: every request passes here, and a derived `Serialize` is several times the work.
fn write<W: std::io::Write>(
    to: &mut serde_json::Serializer<W>,
    texts: &[(&str, Option<&str>)],
    line: &Line<'_>,
    now: Instant,
) -> Result<(), serde_json::Error> {
    let mut map = to.serialize_map(None)?;
    for (name, text) in texts {
        if let Some(text) = text {
            map.serialize_entry(name, text)?;
        }
    }
    if let Some(status) = line.status {
        map.serialize_entry("status", &status)?;
    }
    map.serialize_entry("durationMs", &(now - line.since).num_milliseconds())?;
    map.end()
}

/// What a log line says.
pub(crate) struct Line<'a> {
    pub level: &'a str,
    pub msg: &'a str,
    pub component: &'a str,
    pub method: Option<&'a str>,
    pub path: Option<&'a str>,
    pub status: Option<u16>,
    pub code: Option<&'a str>,
    pub principal: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub job: Option<&'a str>,
    pub error: Option<&'a str>,
    /// When what it tells of began.
    pub since: Instant,
}

impl<'a> Line<'a> {
    /// A line that says no more than what every line says.
    pub fn new(level: &'a str, msg: &'a str, component: &'a str, since: Instant) -> Self {
        Self {
            level,
            msg,
            component,
            method: None,
            path: None,
            status: None,
            code: None,
            principal: None,
            organization: None,
            job: None,
            error: None,
            since,
        }
    }
}
