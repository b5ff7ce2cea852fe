//! Wall time, and whether it is to be trusted.
//!
//! Boards have no battery: they boot at their firmware's build date and are set by NTP later, by
//! years. Knows nothing of: media time.

#![expect(clippy::disallowed_methods, reason = "this file reads the clock for all others")]

use crate::{sys, units::WallTime};
use std::{
    cell::Cell,
    time::{Instant, SystemTime},
};

/// Watches the wall clock from the daemon's start on.
pub struct Clock {
    /// Wall time minus monotonic time at the start, in ms: it changes when the clock is set.
    offset_ms: i64,
    started: Instant,
    trusted: Cell<bool>,
}

impl Clock {
    pub fn start() -> Clock {
        let clock =
            Clock { offset_ms: now().0, started: Instant::now(), trusted: Cell::new(false) };
        clock.look();
        clock
    }

    pub fn now(&self) -> WallTime {
        now()
    }

    /// As of the last [`Clock::look`]: a question that costs no system call.
    pub fn is_trusted(&self) -> bool {
        self.trusted.get()
    }

    /// Asks again. The clock is trusted when the kernel says that NTP keeps it, or when it was set
    /// since the start to a time after this program was built.
    pub fn look(&self) {
        let stepped = self.stepped_ms().abs() > STEP_MIN_MS;
        self.trusted.set(sys::clock_is_synchronised() || stepped && now().0 > built().0);
    }

    /// By how much the clock was set since the start.
    pub fn stepped_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        now().0 - elapsed - self.offset_ms
    }
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// When the program was built: `SOURCE_DATE_EPOCH`, so that a build can be repeated.
fn built() -> WallTime {
    let seconds = option_env!("SOURCE_DATE_EPOCH").and_then(|text| text.parse::<i64>().ok());
    WallTime(seconds.unwrap_or(RELEASED_S).saturating_mul(1000))
}

/// NTP slews less; a step is more.
const STEP_MIN_MS: i64 = 2000;
/// 2026-11-01: no clock that is right is earlier.
const RELEASED_S: i64 = 1_793_491_200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_to_after_the_build_is_trusted() {
        let mut clock = Clock::start();
        clock.offset_ms -= 3_600_000;
        clock.look();
        assert_eq!(clock.is_trusted(), sys::clock_is_synchronised() || now() > built());
    }
}
