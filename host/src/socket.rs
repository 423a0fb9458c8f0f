//! A client's socket: it counts what moves, does not wait for ever for a client that does not read, and is closed so that the last
//! answer is read.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::app::App;
use crate::door::Visit;

/// What the kernel keeps of an answer for a client that does not read; it doubles this for what it needs itself.
const SEND_BUFFER: usize = 128 << 10;
/// How long a closed connection is read on, and how much: a client that is still sending would otherwise find it reset, and
/// never see the answer that says why.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 16 << 20;

/// The stream, which is read and written by hyper and looked at while a request waits, by one task at a time.
#[derive(Clone)]
pub(crate) struct Stream(Arc<Mutex<TcpStream>>);

pub(crate) struct Socket {
    stream: Stream,
    app: Arc<App>,
    visit: Arc<Visit>,
    /// Set while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    /// Whether something came after which nothing went out.
    pub(crate) unanswered: bool,
    ended: bool,
}

impl Stream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // An answer in two writes would otherwise wait for the client's delayed acknowledgement of the first.
        _ = stream.set_nodelay(true);
        _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        Self(Arc::new(Mutex::new(stream)))
    }

    fn with<T>(&self, work: impl FnOnce(Pin<&mut TcpStream>) -> T) -> T {
        work(Pin::new(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Waits until the client has closed its side with nothing left to be read: whom the hub keeps waiting is then most likely
    /// gone.
    pub(crate) async fn closed(&self) {
        let mut buffer = [0];
        let peek = |context: &mut Context<'_>| self.with(|stream| stream.poll_peek(context, &mut ReadBuf::new(&mut buffer)));
        if poll_fn(peek).await.is_ok_and(|bytes| bytes > 0) {
            std::future::pending().await
        }
    }
}

impl Socket {
    pub(crate) fn new(stream: Stream, app: Arc<App>, visit: Arc<Visit>) -> Self {
        Self { stream, app, visit, stalled: None, lingering: None, unanswered: false, ended: false }
    }

    fn written(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(wrote) = wrote {
            self.visit.moved(wrote.as_ref().copied().unwrap_or_default());
            (self.unanswered, self.stalled) = (false, None);
            return Poll::Ready(wrote);
        }
        let patience = self.app.env.limits.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.stream.with(|stream| stream.poll_read(context, buffer)))?;
        let bytes = buffer.filled().len() - before;
        self.visit.moved(bytes);
        self.unanswered |= bytes > 0;
        self.ended |= bytes == 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = self.stream.with(|stream| stream.poll_write(context, bytes));
        self.written(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = self.stream.with(|stream| stream.poll_write_vectored(context, bytes));
        self.written(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *self;
        if socket.lingering.is_none() {
            ready!(socket.stream.with(|stream| stream.poll_shutdown(context)))?;
        }
        // A hub that stops has no time for it.
        if socket.ended || socket.app.stopping.is_over() {
            return Poll::Ready(Ok(()));
        }
        let (mut until, mut left) = socket.lingering.take().unwrap_or_else(|| (Box::pin(sleep(LINGER)), LINGER_BYTES));
        let mut buffer = [0; 8 << 10];
        while left > 0 {
            let mut read = ReadBuf::new(&mut buffer);
            match socket.stream.with(|stream| stream.poll_read(context, &mut read)) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => left = left.saturating_sub(read.filled().len()),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let over = until.as_mut().poll(context);
                    socket.lingering = Some((until, left));
                    return over.map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
