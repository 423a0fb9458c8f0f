//! The hub's time in this instance: the machine's clock, corrected by what the store knows (`domain::clock`).

use crate::hub::wall_clock;
use chrono::TimeDelta;
use domain::{Instant, clock::Clock};
use std::cell::Cell;

/// For how long what the store knew is used without asking again.
const FRESH: TimeDelta = TimeDelta::seconds(1);

thread_local! {
    /// What the store knew, and the machine's clock then. It is the hub's and no tenant's.
    static KNOWN: Cell<Option<(Clock, Instant)>> = const { Cell::new(None) };
}

/// The present instant of the hub's time, to the millisecond.
pub fn now() -> Instant {
    at(wall_clock())
}

/// The hub's time when the machine's clock says `wall`.
pub(crate) fn at(wall: Instant) -> Instant {
    KNOWN.get().map_or(wall, |(clock, _)| clock.now(wall))
}

/// Whether the store is to be asked again: a clock that was set back is noticed by it.
pub(crate) fn is_stale(wall: Instant) -> bool {
    KNOWN.get().is_none_or(|(_, asked)| (wall - asked).abs() > FRESH)
}

/// Takes over what the store knows.
pub(crate) fn know(clock: Clock, wall: Instant) {
    KNOWN.set(Some((clock, wall)));
}
