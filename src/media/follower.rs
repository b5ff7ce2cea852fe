//! Follower: a reader's place in a ring that does not wait for it.
//!
//! It begins at the newest key frame. A reader too slow for the stream skips to the newest key
//! frame again; skipped frames are counted.

use super::{Intake, Ring};
use crate::{limits, units::Ticks};

/// A reader's position.
#[derive(Debug, Default)]
pub struct Follower {
    /// The next frame; `None` before a key frame was found.
    next: Option<u64>,
    /// Frames were skipped: times do not continue from the frame before.
    pub has_jumped: bool,
    skipped: u64,
}

impl Follower {
    /// Returns the number of the next frame, possibly of a newer picture group; `None` while there
    /// is none. `is_live`: more frames of this run are to come.
    pub fn find(&mut self, intake: &Intake, is_live: bool) -> Option<u64> {
        let ring = &intake.ring;
        let numbers = ring.numbers();
        if !is_live && self.next.is_none_or(|next| next >= numbers.end) {
            self.next = None;
            return None;
        }
        // After a pause the newest picture group may still be one from before it.
        let newest_key = ring.key_until(numbers.end).filter(|&key| intake.is_current(key));
        let next = match self.next {
            None => newest_key?,
            Some(next) => {
                let is_lost = next < numbers.start;
                match newest_key.filter(|&key| key > next) {
                    Some(key) if is_lost || lag(ring, next) > limits::LIVE_LAG_MAX => {
                        self.skip(next, key);
                        key
                    }
                    None if is_lost => {
                        self.skip(next, numbers.start);
                        self.next = None;
                        return None;
                    }
                    _ => next,
                }
            }
        };
        self.next = Some(next);
        (next < numbers.end).then_some(next)
    }

    /// Continues with this frame.
    pub fn go_on(&mut self, next: u64) {
        self.next = Some(next);
    }

    /// Gives up the position: continues at a key frame.
    pub fn lose(&mut self) {
        self.next = None;
    }

    /// Returns true if it has a position.
    pub fn has_place(&self) -> bool {
        self.next.is_some()
    }

    /// Returns the number of frames skipped since the last call.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    fn skip(&mut self, from: u64, to: u64) {
        self.has_jumped = true;
        self.skipped += to - from;
    }
}

/// How far the newest frame is ahead; zero if it belongs to another run.
fn lag(ring: &Ring, next: u64) -> Ticks {
    let newest = ring.get(ring.numbers().end.saturating_sub(1));
    match (ring.get(next), newest) {
        (Some((next, _)), Some((newest, _))) if next.run == newest.run => {
            newest.decode - next.decode
        }
        _ => Ticks::ZERO,
    }
}
