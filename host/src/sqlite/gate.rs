//! The gate of a database: the connection that writes holds it.
//!
//! SQLite has one writer at a time anyway. Waiting here blocks no thread, while waiting in SQLite's busy handler would block the
//! very thread on which the holder goes on.
//!
//! Writers queue in the order of arrival. A writer that comes while the gate is open enters past the queue: a guest that runs
//! can begin, write and commit in one go, while one that waits must first be woken and scheduled, and meanwhile nobody would
//! write. The first of the queue is passed over [`PASSES`] times at most, then the gate is its own; so with N before it a
//! writer waits for N x (PASSES + 1) transactions at most. That is counted, not timed, so that a simulated hub does the same
//! each time. A wait that ends (5 s, as in Spin) gives its place up. There is one queue, without priorities.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// How often the first of the queue may be passed over.
const PASSES: u32 = 8;

#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    held: bool,
    /// In the order of arrival.
    waiting: VecDeque<Waiter>,
    next: u64,
    /// How often the first of them was passed over.
    passes: u32,
}

struct Waiter {
    number: u64,
    waker: Option<Waker>,
}

/// The right to write, until it is dropped.
pub(super) struct Held(Gate);

/// A place among those who wait, until it is dropped.
struct Place<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Gate {
    pub(super) fn try_enter(&self) -> Option<Held> {
        let mut state = self.lock();
        if state.held || (!state.waiting.is_empty() && state.passes >= PASSES) {
            return None;
        }
        state.held = true;
        if !state.waiting.is_empty() {
            state.passes += 1;
        }
        Some(Held(self.clone()))
    }

    pub(super) async fn enter(&self) -> Held {
        let place = {
            let mut state = self.lock();
            let number = state.next;
            state.next += 1;
            state.waiting.push_back(Waiter { number, waker: None });
            Place { gate: self, number }
        };
        poll_fn(|context| {
            let mut state = self.lock();
            if !state.held && state.waiting.front().is_some_and(|first| first.number == place.number) {
                state.held = true;
                state.waiting.pop_front();
                state.passes = 0;
                return Poll::Ready(());
            }
            if let Some(waiter) = state.waiting.iter_mut().find(|waiter| waiter.number == place.number) {
                waiter.waker = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        Held(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is to be woken now that the gate is open.
    fn first(&mut self) -> Option<Waker> {
        match self.held {
            true => None,
            false => self.waiting.front_mut().and_then(|first| first.waker.take()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.held = false;
        let first = state.first();
        drop(state);
        first.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let before = state.waiting.len();
        state.waiting.retain(|waiter| waiter.number != self.number);
        // Whoever left may have been the one that was woken.
        let first = if state.waiting.len() < before { state.first() } else { None };
        drop(state);
        first.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt as _, poll};
    use std::pin::pin;

    #[tokio::test]
    async fn who_waits_goes_in_by_turns_and_who_leaves_lets_the_next_in() {
        let gate = Gate::default();
        let held = gate.try_enter().unwrap();
        let (mut one, mut two, mut three) = (Box::pin(gate.enter()), Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!(poll!(&mut one).is_pending() && poll!(&mut two).is_pending() && poll!(&mut three).is_pending());
        assert!(gate.try_enter().is_none());
        drop(held);
        assert!(poll!(&mut two).is_pending());
        drop(one);
        let held = two.now_or_never().unwrap();
        assert!(poll!(&mut three).is_pending());
        drop(held);
        assert!(three.now_or_never().is_some());
        assert!(gate.try_enter().is_some());
    }

    #[tokio::test]
    async fn nobody_is_passed_over_for_ever() {
        let gate = Gate::default();
        let held = gate.try_enter().unwrap();
        let mut waiting = pin!(gate.enter());
        assert!(poll!(&mut waiting).is_pending());
        drop(held);
        let passes = std::iter::from_fn(|| gate.try_enter().map(drop)).count();
        assert_eq!(passes, PASSES as usize);
        assert!(poll!(&mut waiting).is_ready());
    }
}
