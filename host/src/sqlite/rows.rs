//! How rows reach the guest.
//!
//! Spin sends them through a channel of four while the statement holds the connection. Here the statement has run when
//! the first row is read, but the connection stays taken, and the result pending, for as long as Spin's would: until no
//! more than four rows are unread.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

use super::session::Turn;
use crate::bindings::spin::sqlite::sqlite::{Error, RowResult};

/// The rows that Spin's channel holds.
pub(super) const BUFFERED: usize = 4;

/// More rows than may wait unread.
pub(super) struct Rows {
    rows: VecDeque<RowResult>,
    held: Option<Held>,
}

/// What the unread rows keep from going on.
struct Held {
    _turn: Turn,
    done: oneshot::Sender<Result<(), Error>>,
    result: Result<(), Error>,
}

impl Rows {
    /// The rows, and the result that comes when few enough are left. Readers who leave early get Spin's error.
    pub(super) fn new(
        rows: Vec<RowResult>,
        turn: Turn,
        result: Result<(), Error>,
    ) -> (Self, impl Future<Output = Result<(), Error>> + Send + 'static) {
        let (done, outcome) = oneshot::channel();
        let held = Some(Held { _turn: turn, done, result });
        let outcome = async { outcome.await.unwrap_or_else(|_| Err(Error::Io("row send error".to_owned()))) };
        (Self { rows: rows.into(), held }, outcome)
    }
}

impl<D> StreamProducer<D> for Rows {
    type Item = RowResult;
    type Buffer = VecBuffer<RowResult>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        let wanted = destination.remaining(store).unwrap_or(usize::MAX).min(this.rows.len());
        let batch: Vec<_> = this.rows.drain(..wanted).collect();
        destination.set_buffer(batch.into());
        if this.rows.len() <= BUFFERED
            && let Some(held) = this.held.take()
        {
            _ = held.done.send(held.result);
        }
        Poll::Ready(Ok(match this.rows.is_empty() {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }
}
