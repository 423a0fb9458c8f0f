//! Request ids, W3C Trace Context, and the JSON lines of the log.

use crate::hub::{random, wall_clock};
use domain::{Id, id};
use serde::Serialize;

/// Where a request belongs: its own id, and the trace it is part of.
#[derive(Clone)]
pub(crate) struct Trace {
    pub request_id: Id<id::Request>,
    /// 32 hexadecimal digits.
    trace_id: String,
    /// 16 hexadecimal digits: this request's own span.
    span_id: String,
    flags: String,
}

impl Trace {
    /// The caller's trace if it sent one, else a new one.
    pub fn of(headers: &http::HeaderMap) -> Self {
        match headers.get("traceparent").and_then(|header| header.to_str().ok()) {
            Some(header) => Self::continued(header),
            None => Self::begun(),
        }
    }

    /// The trace of a `traceparent`; a new one when it is not of the form of version 00 or later.
    pub fn continued(header: &str) -> Self {
        let mut trace = Self::begun();
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

    fn begun() -> Self {
        let bytes = random::<34>();
        let mut id = [0; 10];
        id.copy_from_slice(&bytes[24..]);
        Self {
            request_id: Id::new(wall_clock(), id),
            trace_id: crate::secret::hex(&bytes[..16]),
            span_id: crate::secret::hex(&bytes[16..24]),
            flags: "00".into(),
        }
    }

    pub fn to_header(&self) -> String {
        format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags)
    }

    /// Writes one line to the log.
    pub fn log(&self, line: &Line<'_>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Whole<'a> {
            ts: String,
            #[serde(flatten)]
            line: &'a Line<'a>,
            request_id: Id<id::Request>,
            trace_id: &'a str,
        }
        let ts = wall_clock().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let whole = Whole { ts, line, request_id: self.request_id, trace_id: &self.trace_id };
        // One write a line, so that lines of concurrent requests do not mix.
        println!("{}", serde_json::to_string(&whole).unwrap_or_default());
    }
}

/// What a log line says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line<'a> {
    pub level: &'a str,
    pub msg: &'a str,
    pub component: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    pub duration_ms: i64,
}
