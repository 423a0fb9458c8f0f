//! The hub's time while the machine's clock is wrong.
//!
//! Ids, due times and ends of tokens come from the clock, and what was written stays. So the hub's time does not go back with
//! the clock: it goes on from the highest instant that was written, by three quarters of a second a second until the clock has
//! caught up, and is never more than [`AHEAD`] ahead of the clock.

use crate::Instant;
use chrono::TimeDelta;

/// How far ahead of the clock the hub's time may be.
pub const AHEAD: TimeDelta = TimeDelta::hours(24);
/// A clock that is set back by no more than this is waited for; clocks are adjusted all the time.
const TOLERANCE: TimeDelta = TimeDelta::seconds(5);
/// By how much more than what is known to be written the hub's time is put ahead: what was written last may not be known.
const MARGIN: TimeDelta = TimeDelta::seconds(2);
/// A pause this long is no running hub: the clock was put right meanwhile, or the hub was off.
const PAUSE: TimeDelta = TimeDelta::hours(1);

/// What is known of the hub's time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clock {
    /// The highest instant that was written.
    pub highest: Instant,
    /// Where the hub's time left the clock's, while it has not caught up.
    pub anchor: Option<Anchor>,
}

/// One instant by two clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Anchor {
    /// By the machine's clock.
    pub wall: Instant,
    /// By the hub's time.
    pub hub: Instant,
}

/// A clock that moved by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Jump {
    /// Behind what was written, by this much: the hub's time goes on.
    Back(TimeDelta),
    /// Behind what was written by more than the hub's time may be ahead: what was written is in the future.
    FarBack(TimeDelta),
    /// Ahead of what was written, by more than a day: the clock jumped, or the hub was off.
    Ahead(TimeDelta),
}

impl Clock {
    /// The hub's time when the machine's clock says `wall`.
    pub fn now(&self, wall: Instant) -> Instant {
        self.running(wall).max(self.highest).min(wall + AHEAD)
    }

    /// What is to be known from now on, and the jump that the clock has made since.
    pub fn observe(&self, wall: Instant) -> (Self, Option<Jump>) {
        let running = self.running(wall);
        let behind = self.highest - running;
        if behind > TOLERANCE {
            let hub = (self.highest + MARGIN).min(wall + AHEAD);
            let jump = if self.highest > wall + AHEAD { Jump::FarBack(self.highest - wall) } else { Jump::Back(behind) };
            return (Self { highest: hub, anchor: Some(Anchor { wall, hub }) }, Some(jump));
        }
        let pause = running - self.highest;
        let jump = (pause > AHEAD && self.highest > Instant::default()).then_some(Jump::Ahead(pause));
        let hub = if self.anchor.is_some() && pause > PAUSE { wall.max(self.highest) } else { running.max(self.highest) };
        // The anchor stays where it is, so that every reading lies on one line.
        let anchor = match self.anchor {
            Some(_) if hub <= wall => None,
            Some(_) if pause > PAUSE => Some(Anchor { wall, hub }),
            kept => kept,
        };
        (Self { highest: hub, anchor }, jump)
    }

    /// The hub's time without regard to what was written.
    fn running(&self, wall: Instant) -> Instant {
        let Some(Anchor { wall: since, hub }) = self.anchor else { return wall };
        let passed = (wall - since).max(TimeDelta::zero());
        wall.max(hub + passed - passed / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_timestamp_millis(1_800_000_000_000 + seconds * 1000).unwrap()
    }

    const DAY: i64 = 86_400;

    #[test]
    fn a_clock_set_back_by_a_day_stops_nothing() {
        let clock = Clock { highest: at(0), anchor: None };
        assert_eq!(clock.now(at(7)), at(7));
        let (clock, jump) = clock.observe(at(-DAY + 60));
        assert_eq!(jump, Some(Jump::Back(TimeDelta::seconds(DAY - 60))));
        assert_eq!(clock.now(at(-DAY + 60)), at(2));
        assert_eq!(clock.now(at(-DAY + 60 + 40)), at(32), "it goes on");
        assert_eq!(clock.observe(at(-DAY + 100)).1, None, "and is told once");
        // Four days later the clock has caught up.
        let mut clock = clock;
        for hour in 0..100 {
            clock = clock.observe(at(-DAY + 60 + hour * 3500)).0;
        }
        assert_eq!((clock.anchor, clock.now(at(5 * DAY))), (None, at(5 * DAY)));
    }

    #[test]
    fn a_clock_put_right_again_is_followed() {
        let (clock, _) = Clock { highest: at(0), anchor: None }.observe(at(-DAY + 60));
        let (clock, _) = clock.observe(at(0) + TimeDelta::minutes(70));
        assert_eq!(clock, Clock { highest: at(4200), anchor: None });
    }

    #[test]
    fn the_hubs_time_is_at_most_a_day_ahead() {
        let clock = Clock { highest: at(40 * DAY), anchor: None };
        assert_eq!(clock.now(at(0)), at(DAY));
        let (clock, jump) = clock.observe(at(0));
        assert_eq!(jump, Some(Jump::FarBack(TimeDelta::days(40))));
        assert_eq!((clock.now(at(0)), clock.now(at(4 * DAY))), (at(DAY), at(4 * DAY)));
        assert_eq!(clock.observe(at(1)).1, None);
    }

    #[test]
    fn a_jump_ahead_is_told_and_small_steps_are_not() {
        let clock = Clock { highest: at(0), anchor: None };
        assert_eq!(clock.observe(at(2 * DAY)).1, Some(Jump::Ahead(TimeDelta::days(2))));
        assert_eq!(clock.observe(at(-4)), (clock, None));
        assert_eq!(Clock { highest: Instant::default(), anchor: None }.observe(at(0)).1, None, "a new hub has not jumped");
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_far_ahead(steps in prop::collection::vec(-2 * DAY..2 * DAY, 1..40)) {
            let mut wall = at(0);
            let mut clock = Clock { highest: wall, anchor: None };
            for step in steps {
                let before = clock.highest;
                wall = wall + TimeDelta::seconds(step);
                let now = clock.now(wall);
                prop_assert!(now <= wall + AHEAD && now >= wall);
                clock = clock.observe(wall).0;
                let after = clock.now(wall);
                prop_assert!(after <= wall + AHEAD && after >= wall);
                prop_assert!(after >= before.min(wall + AHEAD));
            }
        }
    }
}
