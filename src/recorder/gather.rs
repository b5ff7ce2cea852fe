//! Frames of the ring → the open fragment, up to where it ends.
//!
//! Knows nothing of: the card, commands.

use super::{OpenSegment, Recorder};
use crate::{
    media::{Frame, Ring},
    mp4::fragment::Sample,
    units::Ticks,
};

/// Why no further frame belongs to the open fragment.
pub(super) enum Gathered {
    Nothing,
    Fragment,
    /// The run or the recording ended.
    End,
    TooLong,
}

impl Recorder {
    /// Adds frames to the open fragment until it is full; a key frame may start a segment.
    pub(super) fn gather(&mut self, ring: &Ring) -> Gathered {
        // A fragment must stay in the ring while the next frame arrives.
        self.draft.fit(ring);
        loop {
            if self.draft.is_full() {
                return Gathered::Fragment; // since an earlier poll that found no buffer
            }
            let number = self.next();
            let wanted = self.end().is_none_or(|end| number < end);
            let Some((frame, bytes)) = ring.get(number).filter(|_| wanted) else {
                return match self.is_end(number) {
                    false => Gathered::Nothing,
                    true if self.draft.is_empty() => Gathered::End,
                    true => Gathered::Fragment,
                };
            };
            if !self.draft.is_empty() {
                if frame.is_key() || !self.draft.has_room_for(bytes.len()) {
                    return Gathered::Fragment;
                }
            } else if self.segment.as_ref().is_none_or(|it| self.must_cut(ring, it, frame)) {
                if !frame.is_key() {
                    self.lose_until(ring, number);
                    continue;
                }
                if let Some(ended) = self.segment.replace(OpenSegment::new(frame)) {
                    self.allowance.ended(&ended);
                }
                self.audio.begin(ring, frame.run, frame.presentation);
            } else if self.needs_key && !frame.is_key() {
                self.lose_until(ring, number);
                continue;
            }
            if self.is_too_long(bytes.len()) {
                return match self.draft.is_empty() {
                    true => Gathered::TooLong,
                    false => Gathered::Fragment,
                };
            }
            let Some(duration) = self.duration(ring, number, frame) else {
                return Gathered::Nothing;
            };
            self.add(frame, bytes.len(), duration);
        }
    }

    /// Returns the time from this frame's decode time to the next one's; for a run's last frame,
    /// the duration of the frame before.
    fn duration(&self, ring: &Ring, number: u64, frame: &Frame) -> Option<Ticks> {
        let neighbour = |number| ring.get(number).map(|(other, _)| other);
        match neighbour(number + 1) {
            Some(next) if next.run == frame.run => return Some(next.decode - frame.decode),
            None if !self.is_end(number + 1) => return None,
            _ => {}
        }
        let before = number.checked_sub(1).and_then(neighbour);
        let before = before.filter(|before| before.run == frame.run);
        let duration = before.map(|before| frame.decode - before.decode);
        // More is a gap, not a frame's duration.
        Some(duration.filter(|it| *it <= LAST_DURATION_MAX).unwrap_or(self.last_duration))
    }

    fn add(&mut self, frame: &Frame, bytes: usize, duration: Ticks) {
        let Some(segment) = &self.segment else { return };
        self.needs_key = false;
        let presentation = frame.presentation - segment.presentation_start;
        let decode = frame.decode - segment.decode_start;
        // Frames are shorter than the ring, and offsets shorter than minutes (Timeline). A pause of
        // more than 13 hours is covered by the next fragment's decode time.
        let sample = Sample {
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            duration: u32::try_from(duration.0).unwrap_or(u32::MAX),
            composition_offset: i32::try_from((presentation - decode).0).unwrap_or(0),
        };
        self.draft.push(sample, bytes, duration);
        if duration <= LAST_DURATION_MAX {
            self.last_duration = duration;
        }
    }
}

/// A frame cannot last longer (the session would have ended): frames are missing.
const LAST_DURATION_MAX: Ticks = Ticks::from_seconds(40);
