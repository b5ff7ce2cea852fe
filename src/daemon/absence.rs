//! Why a camera is not recorded: the cause that lasted longest since its last segment.
//!
//! A gap may have several causes: a power cut, and then a camera that takes a minute to start. The
//! one that lasted longest goes into the next segment. Knows nothing of: cameras, cards.

use super::Station;
use crate::{camera::State, mp4::identity::Cause};
use std::time::{Duration, Instant};

/// The causes since the last segment was opened.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// The present cause, and when its time was last counted.
    present: Option<(Cause, Instant)>,
    /// How long each has lasted, by number.
    spent: [Duration; Cause::ALL.len()],
}

impl Absence {
    /// No smolnvr was running until now, for an unknown time.
    pub fn was_off(&mut self) {
        self.add(Cause::Off, OFF_SPAN);
    }

    /// Records the present cause; `None` while a segment is open.
    pub fn note(&mut self, cause: Option<Cause>, now: Instant) {
        if let Some((before, since)) = self.present {
            self.add(before, now.saturating_duration_since(since));
        }
        self.present = cause.map(|cause| (cause, now));
    }

    /// A segment was opened.
    pub fn recorded(&mut self) {
        *self = Absence::default();
    }

    /// Why nothing was recorded up to now; `Unknown` if almost no time has passed.
    pub fn cause(&self) -> Cause {
        let spent = Cause::ALL.into_iter().zip(self.spent);
        let longest = spent.max_by_key(|(_, spent)| *spent).filter(|(_, spent)| *spent >= SPAN_MIN);
        longest.map_or(Cause::Unknown, |(cause, _)| cause)
    }

    fn add(&mut self, cause: Cause, span: Duration) {
        if let Some(spent) = self.spent.get_mut(cause as usize) {
            *spent += span;
        }
    }
}

impl Station {
    /// Records why it is not being recorded now.
    pub(super) fn note_absence(&self, now: Instant) {
        let cause = if self.segment().is_some() {
            None
        } else if self.waits_for_event() {
            Some(Cause::NoEvent)
        } else if !self.is_wanted() {
            Some(Cause::Stopped)
        } else if !self.card_accepts() && self.camera.state() == State::Live {
            Some(Cause::Card)
        } else {
            Some(Cause::Camera)
        };
        self.absence.borrow_mut().note(cause, now);
    }

    /// Returns why it is not being recorded now.
    pub fn why_not_recorded(&self, now: Instant) -> Cause {
        self.note_absence(now);
        self.absence.borrow().cause()
    }
}

/// A start takes less; if it takes longer, the camera or the card is the cause.
const OFF_SPAN: Duration = Duration::from_secs(60);
/// Between two segments nothing is open for a moment.
const SPAN_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;

    /// The cause reported after these, each for so many seconds.
    fn cause(was_off: bool, causes: &[(Option<Cause>, u64)]) -> Cause {
        let (mut absence, mut now) = (Absence::default(), runtime::now());
        if was_off {
            absence.was_off();
        }
        for &(cause, seconds) in causes {
            // It is looked at often.
            for _ in 0..=seconds * 4 {
                absence.note(cause, now);
                now += Duration::from_millis(250);
            }
        }
        absence.note(None, now);
        absence.cause()
    }

    #[test]
    fn the_cause_that_lasted_longest_is_told() {
        let (camera, card) = (Some(Cause::Camera), Some(Cause::Card));
        assert_eq!(cause(false, &[(camera, 3), (card, 20), (camera, 4)]), Cause::Card);
        assert_eq!(
            cause(false, &[(camera, 30), (card, 20), (Some(Cause::Stopped), 2)]),
            Cause::Camera
        );
    }

    #[test]
    fn after_a_start_nothing_ran_before_unless_something_is_waited_for_longer_than_a_start_takes() {
        assert_eq!(cause(true, &[(Some(Cause::Camera), 20)]), Cause::Off);
        assert_eq!(cause(true, &[(Some(Cause::Camera), 90)]), Cause::Camera);
        assert_eq!(cause(true, &[(Some(Cause::Stopped), 3600)]), Cause::Stopped);
    }

    #[test]
    fn between_two_segments_there_is_no_cause() {
        assert_eq!(
            cause(false, &[(None, 60), (Some(Cause::Camera), 0), (None, 60)]),
            Cause::Unknown
        );
        let (mut absence, now) = (Absence::default(), runtime::now());
        absence.note(Some(Cause::Stopped), now);
        absence.note(None, now + OFF_SPAN);
        absence.recorded();
        assert_eq!(absence.cause(), Cause::Unknown, "the next gap has a cause of its own");
    }
}
