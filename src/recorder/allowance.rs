//! The allowance: how many files a camera may cause, whatever it sends.
//!
//! Each segment uses one of the short ones up; a segment that becomes long gives it back. This
//! keeps a camera that restarts all the time, or keeps changing its parameter sets, from filling a
//! folder with tiny files and so deleting older recordings. So does a camera that sends minutes of
//! tiny frames within a second: where small segments were full too often, the next one continues.

use super::{OpenSegment, Recorder};
use crate::{limits, media::Ring};
use std::time::{Duration, Instant};

pub(super) struct Allowance {
    /// Short segments: without one, none is opened.
    short: Bucket,
    /// Small segments that are full: without one, they go on.
    small: Bucket,
    /// Frames not recorded because no short segment was left.
    frames: u64,
    /// Whether that was told.
    is_told: bool,
}

/// So many at once, and one more per interval.
struct Bucket {
    left: u32,
    max: u32,
    interval: Duration,
    /// When it was last refilled.
    filled: Option<Instant>,
}

impl Allowance {
    pub fn new() -> Allowance {
        Allowance {
            short: Bucket::new(limits::SHORT_SEGMENTS_AT_ONCE_MAX, limits::SHORT_SEGMENT_INTERVAL),
            small: Bucket::new(limits::SMALL_SEGMENTS_AT_ONCE_MAX, limits::SMALL_SEGMENT_INTERVAL),
            frames: 0,
            is_told: false,
        }
    }

    pub fn fill(&mut self, now: Instant) {
        self.short.fill(now);
        self.small.fill(now);
    }

    /// Takes one for a new segment; returns false if none is left.
    pub fn take(&mut self) -> bool {
        self.short.take()
    }

    /// Returns true if a segment may end because it is full.
    pub fn lets_end(&self, segment: &OpenSegment) -> bool {
        self.small.left > 0 || segment.bytes >= limits::SMALL_SEGMENT_BYTES
    }

    /// Takes note that a segment ended.
    pub fn ended(&mut self, segment: &OpenSegment) {
        if segment.bytes < limits::SMALL_SEGMENT_BYTES {
            self.small.take();
        }
    }
}

impl Bucket {
    fn new(max: u32, interval: Duration) -> Bucket {
        Bucket { left: max, max, interval, filled: None }
    }

    fn fill(&mut self, now: Instant) {
        let filled = self.filled.get_or_insert(now);
        let span = now.saturating_duration_since(*filled);
        let due = u32::try_from(span.as_millis() / self.interval.as_millis()).unwrap_or(u32::MAX);
        if due > 0 {
            // To the moment: what is rounded off each time would add up to a longer interval.
            *filled = if due < self.max { *filled + self.interval * due } else { now };
            self.give_back(due);
        }
    }

    fn take(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    fn give_back(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.max);
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
            self.allowance.short.give_back(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;
    use std::time::Duration;

    fn take(allowance: &mut Allowance, now: Instant) -> bool {
        allowance.fill(now);
        allowance.take()
    }

    #[test]
    fn thirty_a_minute_are_allowed_at_most_and_any_number_of_long_ones() {
        let (mut allowance, start) = (Allowance::new(), runtime::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        let taken: Vec<u64> =
            (0..600_000).step_by(10).filter(|it| take(&mut allowance, at(*it))).collect();
        assert_eq!(taken.partition_point(|millis| *millis < 1000), 15);
        for (index, first) in taken.iter().enumerate() {
            let minute = taken[index..].iter().take_while(|it| *it - first < 60_000);
            assert!(minute.count() <= 30);
        }
        assert!(taken.len() > 150);
        let mut allowance = Allowance::new();
        for second in 0..1000 {
            assert!(take(&mut allowance, at(second * 2000)));
            allowance.short.give_back(1);
        }
    }
}
