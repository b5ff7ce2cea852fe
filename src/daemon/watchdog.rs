//! The watchdog on bytes: whether a camera's frames become durable, and whose fault it is if not.
//!
//! A connection can look healthy for hours while none of its frames reach the card.
//! Knows nothing of: cameras, cards, recovery.

use std::time::{Duration, Instant};

/// Watches one camera's path to the card.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// How long frames have arrived without becoming durable, and when the last one did.
    waiting: Option<(Duration, Instant)>,
    /// The card was blamed: once it answers, the full time starts again.
    card_blamed: bool,
}

/// The state of the path when frames arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Nothing is expected to become durable, or another report gives the reason.
    Shut,
    Open,
    /// The card thread has fragments of this camera and has not answered.
    AtCard,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WatchdogVerdict {
    Wait,
    /// Report that the card has not answered for this long.
    BlameCard(Duration),
    /// Restart the run: none of its frames became durable for this long.
    Reconnect(Duration),
}

impl Watchdog {
    /// Judges new frames.
    pub fn frames(&mut self, way: Way, patience: Duration, now: Instant) -> WatchdogVerdict {
        if way == Way::Shut || way == Way::Open && std::mem::take(&mut self.card_blamed) {
            self.waiting = None;
        }
        if way == Way::Shut {
            return WatchdogVerdict::Wait;
        }
        let (mut waited, last) = self.waiting.unwrap_or((Duration::ZERO, now));
        // Pauses of the camera, and suspension of the machine, do not count.
        waited += now.saturating_duration_since(last).min(GAP_MAX);
        self.waiting = Some((waited, now));
        match way {
            _ if waited <= patience => WatchdogVerdict::Wait,
            // A new run would wait for the same card.
            Way::AtCard => {
                self.card_blamed = true;
                WatchdogVerdict::BlameCard(waited)
            }
            Way::Open | Way::Shut => {
                self.waiting = None;
                WatchdogVerdict::Reconnect(waited)
            }
        }
    }

    /// Reports that frames became durable.
    pub fn durable(&mut self) {
        self.waiting = None;
    }

    /// Reports that no frames come for now.
    pub fn run_ended(&mut self) {
        self.waiting = None;
    }
}

/// Longest gap between frames that counts in full.
const GAP_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// The verdicts on frames that arrive every second, of which some become durable.
    fn run(seconds: u64, way: impl Fn(u64) -> Way, durable: impl Fn(u64) -> bool) -> Vec<u64> {
        let (mut watchdog, start) = (Watchdog::default(), runtime::now());
        let mut barks = Vec::new();
        for second in 0..seconds {
            let verdict =
                watchdog.frames(way(second), PATIENCE, start + Duration::from_secs(second));
            if verdict != WatchdogVerdict::Wait {
                barks.push(second);
            }
            if durable(second) {
                watchdog.durable();
            }
        }
        barks
    }

    #[test]
    fn frames_that_become_durable_every_ten_seconds_are_fine() {
        assert_eq!(run(1000, |_| Way::Open, |second| second % 10 == 9), Vec::<u64>::new());
    }

    #[test]
    fn a_run_of_which_nothing_becomes_durable_is_begun_anew_again_and_again() {
        assert_eq!(run(30, |_| Way::Open, |_| false), [11, 23]);
    }

    #[test]
    fn nothing_is_expected_while_there_is_a_reason() {
        assert_eq!(run(100, |_| Way::Shut, |_| false), Vec::<u64>::new());
        let way = |second| if second < 50 { Way::Shut } else { Way::Open };
        assert_eq!(run(65, way, |_| false), [61], "counted from when it was over");
    }

    #[test]
    fn a_card_that_does_not_answer_is_blamed_for_as_long_as_that_lasts() {
        let start = runtime::now();
        let mut watchdog = Watchdog::default();
        let mut at =
            |second, way| watchdog.frames(way, PATIENCE, start + Duration::from_secs(second));
        for second in 0..40 {
            let expected = match second {
                0..=10 => WatchdogVerdict::Wait,
                _ => WatchdogVerdict::BlameCard(Duration::from_secs(second)),
            };
            assert_eq!(at(second, Way::AtCard), expected);
        }
        // It answers, and gets the full time again to make something durable.
        for second in 40..51 {
            assert_eq!(at(second, Way::Open), WatchdogVerdict::Wait, "{second}");
        }
        assert_eq!(at(51, Way::Open), WatchdogVerdict::Reconnect(Duration::from_secs(11)));
    }

    #[test]
    fn a_span_in_which_no_frame_came_does_not_count() {
        let start = runtime::now();
        let mut watchdog = Watchdog::default();
        for (second, expected) in [
            (0, WatchdogVerdict::Wait),
            (3600, WatchdogVerdict::Wait),
            (3601, WatchdogVerdict::Wait),
            (7200, WatchdogVerdict::Wait),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(watchdog.frames(Way::Open, PATIENCE, now), expected, "{second}");
        }
    }
}
