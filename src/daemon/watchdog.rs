//! The watchdog on bytes: whether what a camera sends becomes durable, and whose fault it is if not.
//!
//! A connection can look well for hours while nothing of it reaches the card. Knows nothing of:
//! cameras, cards, how anything is mended.

use std::time::{Duration, Instant};

/// Watches one camera's way to the card.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// For how long frames have come of which none became durable, and when they came last.
    waiting: Option<(Duration, Instant)>,
    /// It was the card's fault: once it answers, it has all the time again.
    card_blamed: bool,
}

/// How things stand when frames come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Nothing is to become durable, or there is a reason that is said elsewhere.
    Shut,
    Open,
    /// The card thread has something of this camera, and has not answered.
    AtCard,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Wait,
    /// Say that the card does not answer for so long.
    BlameCard(Duration),
    /// Begin the run anew: it brought nothing for so long.
    Reconnect(Duration),
}

impl Watchdog {
    /// Frames came.
    pub fn frames(&mut self, way: Way, patience: Duration, now: Instant) -> Verdict {
        if way == Way::Shut || way == Way::Open && std::mem::take(&mut self.card_blamed) {
            self.waiting = None;
        }
        if way == Way::Shut {
            return Verdict::Wait;
        }
        let (mut waited, last) = self.waiting.unwrap_or((Duration::ZERO, now));
        // A span in which no frame came does not count, nor one in which the machine slept.
        waited += now.saturating_duration_since(last).min(GAP_MAX);
        self.waiting = Some((waited, now));
        match way {
            _ if waited <= patience => Verdict::Wait,
            // Another run would end at the same card.
            Way::AtCard => {
                self.card_blamed = true;
                Verdict::BlameCard(waited)
            }
            Way::Open | Way::Shut => {
                self.waiting = None;
                Verdict::Reconnect(waited)
            }
        }
    }

    /// Some of them became durable.
    pub fn durable(&mut self) {
        self.waiting = None;
    }

    /// None come for now.
    pub fn run_ended(&mut self) {
        self.waiting = None;
    }
}

/// Frames come at least so often, where they come.
const GAP_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// What is said of frames every second, of which some become durable.
    fn run(seconds: u64, way: impl Fn(u64) -> Way, durable: impl Fn(u64) -> bool) -> Vec<u64> {
        let (mut watchdog, start) = (Watchdog::default(), runtime::now());
        let mut barks = Vec::new();
        for second in 0..seconds {
            let verdict =
                watchdog.frames(way(second), PATIENCE, start + Duration::from_secs(second));
            if verdict != Verdict::Wait {
                barks.push(second);
            }
            if durable(second) {
                watchdog.durable();
            }
        }
        barks
    }

    #[test]
    fn what_becomes_durable_every_ten_seconds_is_well() {
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
                0..=10 => Verdict::Wait,
                _ => Verdict::BlameCard(Duration::from_secs(second)),
            };
            assert_eq!(at(second, Way::AtCard), expected);
        }
        // It answers, and has as long again to make something durable.
        for second in 40..51 {
            assert_eq!(at(second, Way::Open), Verdict::Wait, "{second}");
        }
        assert_eq!(at(51, Way::Open), Verdict::Reconnect(Duration::from_secs(11)));
    }

    #[test]
    fn a_span_in_which_no_frame_came_does_not_count() {
        let start = runtime::now();
        let mut watchdog = Watchdog::default();
        for (second, expected) in [
            (0, Verdict::Wait),
            (3600, Verdict::Wait),
            (3601, Verdict::Wait),
            (7200, Verdict::Wait),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(watchdog.frames(Way::Open, PATIENCE, now), expected, "{second}");
        }
    }
}
