//! Time as guests see it. A simulated hub's time is tokio's paused clock plus an offset that the test holds.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A hub's clock. Cloning gives another handle on the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Real,
    Simulated {
        /// The instant at which the hub started, in tokio's time.
        start: tokio::time::Instant,
        /// The wall clock at `start`, in nanoseconds since 1970.
        wall: AtomicI64,
    },
}

impl Clock {
    pub(crate) fn real() -> Self {
        Self(Arc::new(Kind::Real))
    }

    pub(crate) fn simulated(start: SystemTime) -> Self {
        Self(Arc::new(Kind::Simulated { start: tokio::time::Instant::now(), wall: AtomicI64::new(nanos(start)) }))
    }

    /// The wall clock.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }

    /// Moves a simulated hub's time forward, firing every timer on the way.
    ///
    /// # Panics
    /// When the clock is real.
    pub async fn advance(&self, by: Duration) {
        assert!(self.is_simulated(), "only a simulated hub's clock can be moved");
        tokio::time::advance(by).await;
    }

    /// Sets a simulated hub's wall clock. Forward moves all timers along; backward turns back the wall clock alone, as
    /// an operator's correction would.
    ///
    /// # Panics
    /// When the clock is real.
    pub async fn set(&self, to: SystemTime) {
        match to.duration_since(self.now()) {
            Ok(ahead) => self.advance(ahead).await,
            Err(behind) => match &*self.0 {
                Kind::Real => panic!("only a simulated hub's clock can be moved"),
                Kind::Simulated { wall, .. } => {
                    let back = i64::try_from(behind.duration().as_nanos()).unwrap_or(i64::MAX);
                    wall.fetch_sub(back, Relaxed);
                }
            },
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        matches!(*self.0, Kind::Simulated { .. })
    }

    fn since_epoch(&self) -> Duration {
        match &*self.0 {
            Kind::Real => UNIX_EPOCH.elapsed().unwrap_or_default(),
            Kind::Simulated { start, wall } => {
                let base = u64::try_from(wall.load(Relaxed)).unwrap_or_default();
                Duration::from_nanos(base) + start.elapsed()
            }
        }
    }
}

fn nanos(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.since_epoch()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        static PROCESS_START: OnceLock<std::time::Instant> = OnceLock::new();
        let elapsed = match &*self.0 {
            Kind::Real => PROCESS_START.get_or_init(std::time::Instant::now).elapsed(),
            Kind::Simulated { start, .. } => start.elapsed(),
        };
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}
