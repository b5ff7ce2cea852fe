//! The allowance: how many short segments a camera may cause, whatever it sends.
//!
//! Each segment uses one up; a segment that becomes long gives it back. This keeps a camera that
//! restarts all the time, or keeps changing its parameter sets, from filling a folder with tiny
//! files and so deleting older recordings.

use super::Recorder;
use crate::{limits, media::Ring};
use std::time::Instant;

pub(super) struct Allowance {
    left: u32,
    /// When it was last refilled.
    filled: Option<Instant>,
    /// Frames not recorded because the allowance was used up.
    frames: u64,
    /// Whether that was told.
    is_told: bool,
}

impl Allowance {
    pub fn new() -> Allowance {
        Allowance {
            left: limits::SHORT_SEGMENTS_AT_ONCE_MAX,
            filled: None,
            frames: 0,
            is_told: false,
        }
    }

    /// Takes one for a new segment; returns false if none is left.
    pub fn take(&mut self, now: Instant) -> bool {
        let filled = self.filled.get_or_insert(now);
        let span = now.saturating_duration_since(*filled);
        let due = span.as_millis() / limits::SHORT_SEGMENT_INTERVAL.as_millis();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > 0 {
            *filled = now;
            self.give_back(due);
        }
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }

    fn give_back(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(limits::SHORT_SEGMENTS_AT_ONCE_MAX);
    }
}

impl Recorder {
    /// Frames lost because the camera caused too many short segments.
    pub fn too_short(&self) -> u64 {
        self.allowance.frames
    }

    /// Drops the frames of a segment beyond the allowance.
    pub(super) fn leave_out(&mut self, ring: &Ring) {
        if !std::mem::replace(&mut self.allowance.is_told, true) {
            self.news = Some("restarts its stream every 2 s or less: most frames are not recorded");
        }
        let before = self.ledger.lost();
        self.lose_until(ring, self.next());
        self.allowance.frames += self.ledger.lost() - before;
    }

    /// Gives back what the open segment used, once.
    pub(super) fn excuse(&mut self) {
        if let Some(segment) = self.segment.as_mut().filter(|it| it.is_open && !it.is_long) {
            segment.is_long = true;
            self.allowance.is_told = false;
            self.allowance.give_back(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;
    use std::time::Duration;

    #[test]
    fn thirty_a_minute_are_allowed_at_most_and_any_number_of_long_ones() {
        let (mut allowance, start) = (Allowance::new(), runtime::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        let taken: Vec<u64> =
            (0..600_000).step_by(10).filter(|it| allowance.take(at(*it))).collect();
        assert_eq!(taken.partition_point(|millis| *millis < 1000), 15);
        for (index, first) in taken.iter().enumerate() {
            let minute = taken[index..].iter().take_while(|it| *it - first < 60_000);
            assert!(minute.count() <= 30);
        }
        assert!(taken.len() > 150);
        let mut allowance = Allowance::new();
        for second in 0..1000 {
            assert!(allowance.take(at(second * 2000)));
            allowance.give_back(1);
        }
    }
}
