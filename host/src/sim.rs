//! The runtime on which a simulated hub is deterministic: one thread, and time that moves only when all else waits.

/// Runs a test on paused time.
///
/// # Panics
/// When the runtime cannot be built.
pub fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a current-thread runtime")
        .block_on(test)
}
