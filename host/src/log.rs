//! What the host says, as JSON lines on stderr, and what guests print, passed on unchanged.
//!
//! Writers only append to a buffer; one thread empties it. So a log line costs no system call on a request's path, many
//! lines go out in one write when it is busy, and at once when it is idle.

use std::collections::VecDeque;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::clock::Clock;

/// How many lines a captured log keeps.
const CAPTURED_LINES: usize = 20_000;
/// A writer that is this far ahead of the terminal or pipe waits for it.
const PIPE_BYTES: usize = 4 << 20;

/// For how long a line may wait for others to be written with.
const GATHER: Duration = Duration::from_millis(5);

/// A hub's log.
#[derive(Clone)]
pub(crate) struct Log {
    sink: Arc<Sink>,
    clock: Clock,
}

enum Sink {
    Process,
    Captured(Mutex<VecDeque<String>>),
}

/// Which of its two streams a guest writes to.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Log {
    /// Writes to the process's stdout and stderr.
    pub(crate) fn to_process(clock: Clock) -> Self {
        Self { sink: Arc::new(Sink::Process), clock }
    }

    /// Keeps the lines for a test to read.
    pub(crate) fn captured(clock: Clock) -> Self {
        Self { sink: Arc::new(Sink::Captured(Mutex::default())), clock }
    }

    pub(crate) fn warn(&self, message: &str, fields: &[(&str, &str)]) {
        self.event("warn", message, fields);
    }

    pub(crate) fn error(&self, message: &str, fields: &[(&str, &str)]) {
        self.event("error", message, fields);
    }

    fn event(&self, level: &str, message: &str, fields: &[(&str, &str)]) {
        let mut line = json!({ "ts": timestamp(self.clock.now()), "level": level, "msg": message });
        for (name, value) in fields {
            line[*name] = Value::from(*value);
        }
        self.line(Stream::Err, line.to_string().as_bytes());
    }

    /// Passes on one line, given without its newline.
    fn line(&self, stream: Stream, line: &[u8]) {
        match &*self.sink {
            Sink::Process => pipe(stream).push(line),
            Sink::Captured(lines) => {
                let mut lines = lock(lines);
                if lines.len() == CAPTURED_LINES {
                    lines.pop_front();
                }
                lines.push_back(String::from_utf8_lossy(line).into_owned());
            }
        }
    }

    /// The captured lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        match &*self.sink {
            Sink::Process => Vec::new(),
            Sink::Captured(lines) => lock(lines).iter().cloned().collect(),
        }
    }

    /// A stream for one guest instance.
    pub(crate) fn guest(&self, stream: Stream) -> GuestStream {
        GuestStream(Arc::new(Partial { log: self.clone(), stream, text: Mutex::default() }))
    }
}

/// Waits until everything written so far has left the process.
pub fn flush() {
    for stream in [Stream::Out, Stream::Err] {
        pipe(stream).flush();
    }
}

/// Prints a line to the process's stdout.
pub fn print(line: &str) {
    pipe(Stream::Out).push(line.as_bytes());
}

/// RFC 3339, UTC, milliseconds.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// One of the process's streams, emptied by a thread of its own.
struct Pipe {
    stream: Stream,
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Default)]
struct PipeState {
    waiting: Vec<u8>,
    writing: bool,
}

fn pipe(stream: Stream) -> &'static Pipe {
    static OUT: OnceLock<&Pipe> = OnceLock::new();
    static ERR: OnceLock<&Pipe> = OnceLock::new();
    let cell = match stream {
        Stream::Out => &OUT,
        Stream::Err => &ERR,
    };
    cell.get_or_init(|| {
        let pipe: &Pipe = Box::leak(Box::new(Pipe { stream, state: Mutex::default(), changed: Condvar::new() }));
        // Without a thread the lines would pile up unseen; there is nothing better to do than to stop.
        std::thread::Builder::new().name("log".to_owned()).spawn(move || pipe.run()).expect("the log needs a thread");
        pipe
    })
}

impl Pipe {
    fn push(&self, line: &[u8]) {
        let mut state = lock(&self.state);
        while state.waiting.len() > PIPE_BYTES {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        state.waiting.push(b'\n');
        drop(state);
        if was_empty {
            self.changed.notify_all();
        }
    }

    fn run(&self) {
        let mut state = lock(&self.state);
        loop {
            while state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            // Lines gather for a moment: waking this thread for each of them costs the requests a tenth of their time.
            drop(state);
            std::thread::sleep(GATHER);
            state = lock(&self.state);
            let bytes = std::mem::take(&mut state.waiting);
            state.writing = true;
            drop(state);
            // A reader that went away must not take the hub with it.
            _ = match self.stream {
                Stream::Out => std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush()),
                Stream::Err => std::io::stderr().write_all(&bytes),
            };
            state = lock(&self.state);
            state.writing = false;
            self.changed.notify_all();
        }
    }

    fn flush(&self) {
        let mut state = lock(&self.state);
        while state.writing || !state.waiting.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A guest's stdout or stderr, cut into lines.
#[derive(Clone)]
pub(crate) struct GuestStream(Arc<Partial>);

struct Partial {
    log: Log,
    stream: Stream,
    /// The begun line.
    text: Mutex<Vec<u8>>,
}

impl Partial {
    fn write(&self, bytes: &[u8]) {
        let mut text = lock(&self.text);
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            text.extend_from_slice(&rest[..end]);
            self.log.line(self.stream, &text);
            text.clear();
            rest = &rest[end + 1..];
        }
        text.extend_from_slice(rest);
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let text = std::mem::take(&mut *lock(&self.text));
        if !text.is_empty() {
            self.log.line(self.stream, &text);
        }
    }
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    // The default would start a task per stream and copy every write through it.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59.000Z");
    }

    #[test]
    fn guests_lines_arrive_whole() {
        let log = Log::captured(Clock::real());
        let stream = log.guest(Stream::Out);
        stream.0.write(b"one\ntw");
        stream.0.write(b"o\nthr");
        assert_eq!(log.lines(), ["one", "two"]);
        drop(stream);
        assert_eq!(log.lines(), ["one", "two", "thr"]);
    }
}
