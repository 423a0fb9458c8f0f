//! The gate of a database: whoever writes holds it, and passes it on in the order of arrival.
//!
//! SQLite has one writer at a time anyway; waiting here is fair and blocks no thread, waiting in SQLite's busy handler
//! would block the very thread on which the holder wants to go on.

use std::future::ready;
use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMutexGuard};

#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<()>>);

/// The right to write, until it is dropped.
pub(super) struct Held(Option<OwnedMutexGuard<()>>);

impl Gate {
    pub(super) fn try_enter(&self) -> Option<Held> {
        self.0.clone().try_lock_owned().ok().map(|guard| Held(Some(guard)))
    }

    pub(super) async fn enter(&self) -> Held {
        Held(Some(self.0.clone().lock_owned().await))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0 = None;
        // Tokio lets a task that was woken wait for its waker to give way, in a slot that no other thread takes from: it
        // expects the waker to have little left to do. But this one goes on with a whole answer, and until it is through
        // nobody would write. Another task takes the slot and leaves the woken one to any thread that has time.
        if let Ok(runtime) = Handle::try_current()
            && runtime.runtime_flavor() == RuntimeFlavor::MultiThread
        {
            runtime.spawn(ready(()));
        }
    }
}
