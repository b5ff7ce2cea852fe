//! The watchdog on bytes: whether what a camera sends becomes durable, and whose fault it is if not.
//!
//! A connection can look well for hours while nothing of it reaches the card. Knows nothing of:
//! cameras, cards, how anything is mended.

use std::time::{Duration, Instant};

/// Watches one camera's way to the card.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// Since when frames come of which none became durable.
    waiting: Option<Instant>,
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
        if way == Way::Shut {
            self.waiting = None;
            return Verdict::Wait;
        }
        let waited = now.saturating_duration_since(*self.waiting.get_or_insert(now));
        match way {
            _ if waited <= patience => Verdict::Wait,
            // Another run would end at the same card.
            Way::AtCard => Verdict::BlameCard(waited),
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
            |second| watchdog.frames(Way::AtCard, PATIENCE, start + Duration::from_secs(second));
        assert_eq!(at(0), Verdict::Wait);
        assert_eq!(at(12), Verdict::BlameCard(Duration::from_secs(12)));
        assert_eq!(at(30), Verdict::BlameCard(Duration::from_secs(30)));
    }
}
