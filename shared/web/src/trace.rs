//! Request ids, W3C Trace Context, and the JSON lines of the log.

use crate::{
    Headers,
    hub::{distinct, wall_clock},
};
use domain::{Id, Instant, id};

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
            Some(header) => Self { asked: true, ..Self::continued(&header, now) },
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
        let bytes = distinct::<24>();
        let (trace_id, span_id) = bytes.split_at(16);
        let mut id = [0; 10];
        // The request's own bits may be those of a trace that begins with it.
        id.copy_from_slice(&trace_id[..10]);
        Self {
            request_id: Id::new(now, id),
            trace_id: crate::secret::hex(trace_id),
            span_id: crate::secret::hex(span_id),
            flags: "00".into(),
            asked: false,
        }
    }

    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    pub fn to_header(&self) -> String {
        format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags)
    }

    /// Writes one line to the log.
    pub fn log(&self, line: &Line<'_>) {
        let now = wall_clock();
        let (ts, request_id) = (now.to_string(), self.request_id.to_string());
        let mut json = Vec::with_capacity(512);
        json.push(b'{');
        // What we write ourselves needs no escapes.
        for (name, text) in [
            ("ts", Some(ts.as_str())),
            ("level", Some(line.level)),
            ("msg", Some(line.msg)),
            ("component", Some(line.component)),
            ("method", line.method),
            ("code", line.code),
            ("principal", line.principal),
            ("organization", line.organization),
            ("requestId", Some(request_id.as_str())),
            ("traceId", Some(self.trace_id.as_str())),
        ] {
            if let Some(text) = text {
                member(&mut json, name);
                json.push(b'"');
                json.extend_from_slice(text.as_bytes());
                json.push(b'"');
            }
        }
        for (name, text) in [("path", line.path), ("job", line.job), ("error", line.error)] {
            if let Some(text) = text {
                member(&mut json, name);
                // A text that is no JSON string does not exist.
                let _ = serde_json::to_writer(&mut json, text);
            }
        }
        for (name, number) in
            [("status", line.status.map(i64::from)), ("durationMs", Some((now - line.since).num_milliseconds()))]
        {
            if let Some(number) = number {
                member(&mut json, name);
                let _ = serde_json::to_writer(&mut json, &number);
            }
        }
        json.extend_from_slice(b"}\n");
        print(&json);
    }
}

/// Begins a member of a JSON object.
fn member(json: &mut Vec<u8>, name: &str) {
    if json.len() > 1 {
        json.push(b',');
    }
    json.push(b'"');
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
}

/// One write a line, so that lines of concurrent requests do not mix. There is nobody to tell when it fails.
///
/// Not through `std`, whose way there (a lock, a buffer, a file descriptor) makes several host calls of one.
#[cfg(target_family = "wasm")]
fn print(line: &[u8]) {
    use wasip2::cli::stdout::{OutputStream, get_stdout};
    thread_local! {
        static STDOUT: OutputStream = get_stdout();
    }
    // What `wasi:io/streams` takes at once.
    for piece in line.chunks(4096) {
        let _ = STDOUT.with(|stdout| stdout.blocking_write_and_flush(piece));
    }
}
#[cfg(not(target_family = "wasm"))]
fn print(line: &[u8]) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), line);
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
