//! The ring: one allocation with a camera's newest frames.
//!
//! The writer appends NAL units to the open frame and commits it. Readers ask by frame number,
//! which counts from 0 and is never reused. New frames replace old ones; for a reader that was too
//! slow [`Ring::get`] returns `None`, and it continues at a key frame.
//! Knows nothing of: packets, the meaning of times.

use super::{
    AudioRing, Frame, Origin,
    store::{Store, TooLarge},
};
use crate::limits;
use std::{collections::VecDeque, ops::Range};

/// A camera's newest frames.
///
/// *Shape*: a frame is contiguous, with a 32-bit big-endian length before each of its NAL units.
/// *Cost*: no allocation after `new` but for the list of frames, until it is as long as ever, and
/// where the ring grows; a frame is moved once when it reaches the end of the buffer.
pub struct Ring {
    store: Store,
    /// One for each item of the store, oldest first.
    frames: VecDeque<Frame>,
    /// Memory used by the parameter sets of all frames.
    sets_bytes: usize,
    /// Length of the open NAL unit in the open frame.
    nal_length: Option<usize>,
    /// The sound beside the frames, if it is wanted.
    pub audio: Option<AudioRing>,
    /// When the newest run took place.
    pub origin: Origin,
}

impl Ring {
    pub fn new(capacity: usize) -> Ring {
        Ring {
            store: Store::new(capacity, limits::RING_FRAMES_MAX),
            // A list of the largest size would be touched throughout, however few frames there are.
            frames: VecDeque::new(),
            sets_bytes: 0,
            nal_length: None,
            audio: None,
            origin: Origin::default(),
        }
    }

    /// A ring that reserves part of its space for sound.
    pub fn with_audio(capacity: usize) -> Ring {
        let part = (capacity / limits::AUDIO_RING_PART).min(limits::AUDIO_RING_BYTES_MAX);
        Ring { audio: Some(AudioRing::new(part)), ..Ring::new(capacity - part) }
    }

    /// Lets the ring grow for a frame that does not fit, by at most `spare()` bytes. Its contents
    /// are kept.
    pub fn may_grow(&mut self, spare: fn() -> usize) {
        self.store.may_grow(spare);
    }

    /// The numbers of the frames stored.
    pub fn numbers(&self) -> Range<u64> {
        self.store.numbers()
    }

    pub fn get(&self, number: u64) -> Option<(&Frame, &[u8])> {
        let position = self.store.position(number)?;
        Some((self.frames.get(position)?, self.store.get(position)?))
    }

    /// The first key frame with this number or a later one.
    pub fn key_from(&self, number: u64) -> Option<u64> {
        let Range { start, end } = self.numbers();
        (number.max(start)..end).find(|&number| self.is_key(number))
    }

    /// The last key frame with this number or an earlier one.
    pub fn key_until(&self, number: u64) -> Option<u64> {
        let Range { start, end } = self.numbers();
        let end = end.min(number.saturating_add(1));
        (start..end).rev().find(|&number| self.is_key(number))
    }

    /// The longest frame that fits: half the ring, so that a reader always has a frame to continue
    /// with.
    pub fn frame_bytes_max(&self) -> usize {
        self.store.item_bytes_max()
    }

    /// Starts a NAL unit in the open frame.
    pub fn nal_begin(&mut self) {
        debug_assert!(self.nal_length.is_none(), "nal_begin without nal_end");
        self.push(&[0; 4]);
        self.nal_length = Some(0);
    }

    pub fn nal_append(&mut self, bytes: &[u8]) {
        self.push(bytes);
        if let Some(length) = &mut self.nal_length {
            *length += bytes.len();
        }
    }

    pub fn nal_end(&mut self) {
        let Some(nal_length) = self.nal_length.take() else { return };
        // It fits: a frame is shorter than the ring, and buffer_kb is far below 4 GiB.
        let prefix = u32::try_from(nal_length).unwrap_or(u32::MAX).to_be_bytes();
        self.store.overwrite(nal_length + 4, &prefix);
    }

    /// Returns true while the open frame is empty.
    pub fn is_vacant(&self) -> bool {
        self.store.is_vacant()
    }

    /// Commits the open frame; returns its number.
    pub fn commit(&mut self, frame: Frame) -> Result<u64, TooLarge> {
        let count = self.store.commit()?;
        self.forget_but(count - 1);
        if self.frames.back().is_none_or(|last| !last.has_sets_of(&frame)) {
            self.sets_bytes += frame.parameter_sets.bytes();
        }
        self.frames.push_back(frame);
        while self.sets_bytes > limits::RING_PARAMETER_SETS_BYTES_MAX && self.frames.len() > 1 {
            self.store.evict();
            self.forget_but(self.frames.len() - 1);
        }
        Ok(self.numbers().end - 1)
    }

    /// Discards the open frame.
    pub fn rollback(&mut self) {
        self.store.rollback();
        self.nal_length = None;
    }

    fn is_key(&self, number: u64) -> bool {
        let position = self.store.position(number);
        position.and_then(|at| self.frames.get(at)).is_some_and(Frame::is_key)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.store.push(bytes);
        let Range { start, end } = self.numbers();
        self.forget_but((end - start) as usize);
    }

    /// Keeps the `count` newest frames, which is what the store has.
    fn forget_but(&mut self, count: usize) {
        while self.frames.len() > count {
            let Some(oldest) = self.frames.pop_front() else { return };
            if self.frames.front().is_none_or(|next| !next.has_sets_of(&oldest)) {
                self.sets_bytes -= oldest.parameter_sets.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ParameterSets;
    use crate::media::{FrameKind, tests::parameter_sets};
    use crate::units::Ticks;
    use std::sync::Arc;

    fn frame(kind: FrameKind) -> Frame {
        Frame {
            presentation: Ticks(0),
            decode: Ticks(0),
            kind,
            run: 0,
            parameter_sets: parameter_sets(),
        }
    }

    fn write(ring: &mut Ring, nals: &[&[u8]], kind: FrameKind) -> Result<u64, TooLarge> {
        for nal in nals {
            ring.nal_begin();
            for piece in nal.chunks(7) {
                ring.nal_append(piece);
            }
            ring.nal_end();
        }
        ring.commit(frame(kind))
    }

    #[test]
    fn nal_units_come_back_behind_their_lengths() {
        let mut ring = Ring::new(100);
        write(&mut ring, &[b"abc", b"defghijkl"], FrameKind::Key).unwrap();
        assert_eq!(ring.get(0).unwrap().1, b"\0\0\0\x03abc\0\0\0\x09defghijkl");
        assert!(ring.get(1).is_none());
    }

    #[test]
    fn a_rolled_back_frame_leaves_no_trace() {
        let mut ring = Ring::new(100);
        ring.nal_begin();
        ring.nal_append(b"half");
        ring.rollback();
        write(&mut ring, &[b"whole"], FrameKind::Key).unwrap();
        assert_eq!(ring.numbers(), 0..1);
        assert_eq!(ring.get(0).unwrap().1, b"\0\0\0\x05whole");
    }

    #[test]
    fn a_frame_larger_than_half_the_ring_is_refused_and_the_next_one_fits() {
        let mut ring = Ring::new(100);
        write(&mut ring, &[b"old"], FrameKind::Key).unwrap();
        assert_eq!(write(&mut ring, &[&[1; 47]], FrameKind::Key), Err(TooLarge));
        assert_eq!(write(&mut ring, &[&[1; 46]], FrameKind::Delta), Ok(1));
    }

    #[test]
    fn a_frame_that_does_not_fit_makes_the_ring_grow_and_the_others_stay() {
        let mut ring = Ring::new(100);
        ring.may_grow(|| 400);
        // The last frame precedes the one before it in the buffer.
        for byte in 1..=3 {
            write(&mut ring, &[&[byte; 30]], FrameKind::Delta).unwrap();
        }
        let nals: [&[u8]; 2] = [&[4; 10], &[5; 150]];
        assert_eq!(write(&mut ring, &nals, FrameKind::Key), Ok(3));
        assert_eq!((ring.numbers(), ring.frame_bytes_max()), (2..4, 200));
        assert_eq!(ring.get(2).unwrap().1, [&[0, 0, 0, 30][..], &[3; 30]].concat());
        let large = [&[0, 0, 0, 10][..], nals[0], &[0, 0, 0, 150], nals[1]].concat();
        assert_eq!(ring.get(3).unwrap().1, large);
        assert_eq!(write(&mut ring, &[&[6; 197]], FrameKind::Key), Err(TooLarge), "no memory");
        assert_eq!(write(&mut ring, &[&[7; 196]], FrameKind::Key), Ok(4));
    }

    #[test]
    fn the_list_of_frames_is_bounded_too() {
        let mut ring = Ring::new(1 << 20);
        for _ in 0..limits::RING_FRAMES_MAX + 10 {
            write(&mut ring, &[b"x"], FrameKind::Delta).unwrap();
        }
        assert_eq!(ring.numbers(), 10..limits::RING_FRAMES_MAX as u64 + 10);
    }

    #[test]
    fn parameter_sets_that_change_with_every_key_frame_stay_within_their_bound() {
        let mut ring = Ring::new(1 << 20);
        let mut write = |count: usize, sets: &mut dyn FnMut() -> Arc<ParameterSets>| {
            for _ in 0..count {
                ring.nal_begin();
                ring.nal_end();
                ring.commit(Frame { parameter_sets: sets(), ..frame(FrameKind::Key) }).unwrap();
            }
            let mut of_frames: Vec<_> =
                ring.frames.iter().map(|it| Arc::clone(&it.parameter_sets)).collect();
            of_frames.dedup_by(|one, other| Arc::ptr_eq(one, other));
            let sum: usize = of_frames.iter().map(|sets| sets.bytes()).sum();
            assert_eq!(ring.sets_bytes, sum);
            assert!(sum <= limits::RING_PARAMETER_SETS_BYTES_MAX);
            ring.numbers()
        };
        let usual = parameter_sets();
        assert_eq!(write(1000, &mut || Arc::clone(&usual)), 0..1000);
        let numbers = write(1000, &mut || Arc::new(ParameterSets::clone(&usual)));
        assert_eq!(numbers.end, 2000, "each is stored");
        assert!(numbers.start > 1000 && numbers.count() > 100, "the oldest make way");
        let newest = 2000 + limits::RING_FRAMES_MAX as u64;
        let numbers = write(limits::RING_FRAMES_MAX, &mut || Arc::clone(&usual));
        assert_eq!(numbers, 2000..newest, "and no room is lost by them");
    }

    #[test]
    fn key_frames_are_found_in_both_directions() {
        let mut ring = Ring::new(1000);
        for number in 0..10 {
            let kind = if number % 4 == 1 { FrameKind::Key } else { FrameKind::Delta };
            write(&mut ring, &[b"x"], kind).unwrap();
        }
        assert_eq!(
            [ring.key_from(0), ring.key_from(2), ring.key_from(10)],
            [Some(1), Some(5), None]
        );
        assert_eq!(
            [ring.key_until(0), ring.key_until(5), ring.key_until(99)],
            [None, Some(5), Some(9)]
        );
    }

    proptest::proptest! {
        #[test]
        fn the_list_agrees_with_what_was_written(
            capacity in 16usize..400,
            grows: bool,
            sizes in proptest::collection::vec((0usize..120, proptest::bool::ANY), 1..200),
        ) {
            let mut ring = Ring::new(capacity);
            if grows {
                ring.may_grow(|| 200);
            }
            let mut written: Vec<Vec<u8>> = Vec::new();
            for (index, (size, kept)) in sizes.into_iter().enumerate() {
                let nal = vec![index as u8; size];
                if !kept {
                    ring.nal_begin();
                    ring.nal_append(&nal);
                    ring.nal_end();
                    ring.rollback();
                } else if write(&mut ring, &[&nal], FrameKind::Delta).is_ok() {
                    let mut whole = (size as u32).to_be_bytes().to_vec();
                    whole.extend(&nal);
                    written.push(whole);
                } else {
                    proptest::prop_assert!(size + 4 > ring.frame_bytes_max());
                }
                proptest::prop_assert_eq!(ring.numbers().end, written.len() as u64);
                for number in ring.numbers() {
                    proptest::prop_assert_eq!(ring.get(number).unwrap().1, &written[number as usize][..]);
                }
            }
        }
    }
}
