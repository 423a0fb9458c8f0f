//! Whether a hub still lives. A killed hub's guests are parked at their next host call and then dropped.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Life {
    over: AtomicBool,
    ended: Notify,
}

impl Life {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, SeqCst);
        self.ended.notify_waiters();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        let ended = self.ended.notified();
        // Registered before the look at the flag, so an end in between is not missed.
        let mut ended = std::pin::pin!(ended);
        ended.as_mut().enable();
        if !self.is_over() {
            ended.await;
        }
    }
}
