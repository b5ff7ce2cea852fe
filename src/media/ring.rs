//! The ring: one fixed allocation that holds the newest frames of a camera.
//!
//! The writer appends NAL units to the frame in the making and commits it; readers ask by frame
//! number, which counts from 0 and never comes back. Old frames make way for new ones; a reader
//! that still wanted them finds that [`Ring::get`] answers `None` and goes on at a key frame.
//! Knows nothing of: packets, times' meaning, who reads.

use super::Frame;
use crate::limits;
use std::{collections::VecDeque, ops::Range};

/// *Shape*: a frame is contiguous: a 32-bit big-endian length before each of its NAL units.
/// *Cost*: no allocation after `new`; a frame is moved once when it reaches the end of the room.
pub struct Ring {
    bytes: Box<[u8]>,
    /// Oldest first; the front has number `first`.
    frames: VecDeque<Entry>,
    first: u64,
    /// The frame in the making: where it begins, its length, and the length of its open NAL unit.
    start: usize,
    length: usize,
    nal_length: Option<usize>,
    overflowed: bool,
}

struct Entry {
    start: usize,
    length: usize,
    frame: Frame,
}

/// The frame was larger than the ring can hold; it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Ring {
    pub fn new(capacity: usize) -> Ring {
        Ring {
            bytes: vec![0; capacity].into_boxed_slice(),
            frames: VecDeque::with_capacity(limits::RING_FRAMES_MAX),
            first: 0,
            start: 0,
            length: 0,
            nal_length: None,
            overflowed: false,
        }
    }

    /// Numbers of the frames that are here.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.first + self.frames.len() as u64
    }

    pub fn get(&self, number: u64) -> Option<(&Frame, &[u8])> {
        let entry = self.frames.get(self.position(number)?)?;
        Some((&entry.frame, &self.bytes[entry.start..entry.start + entry.length]))
    }

    /// The first key frame with `number` or a later one.
    pub fn key_from(&self, number: u64) -> Option<u64> {
        let mut numbers = number.max(self.first)..self.numbers().end;
        numbers.find(|&number| self.is_key(number))
    }

    /// The last key frame with `number` or an earlier one.
    pub fn key_until(&self, number: u64) -> Option<u64> {
        let end = self.numbers().end.min(number.saturating_add(1));
        (self.first..end).rev().find(|&number| self.is_key(number))
    }

    /// The longest frame that fits: half the ring, so that a reader always has a frame to go on with.
    pub fn frame_bytes_max(&self) -> usize {
        self.bytes.len() / 2
    }

    /// Begins a NAL unit of the frame in the making.
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
        if self.overflowed {
            return;
        }
        // Fits: a frame is shorter than the ring, and buffer_kb is bounded far below 4 GiB.
        let prefix = u32::try_from(nal_length).unwrap_or(u32::MAX).to_be_bytes();
        let at = self.start + self.length - nal_length - 4;
        self.bytes[at..at + 4].copy_from_slice(&prefix);
    }

    /// True while nothing was appended to the frame in the making.
    pub fn is_vacant(&self) -> bool {
        self.length == 0 && !self.overflowed
    }

    /// Ends the frame in the making; answers its number.
    pub fn commit(&mut self, frame: Frame) -> Result<u64, TooLarge> {
        if self.overflowed {
            self.rollback();
            return Err(TooLarge);
        }
        if self.frames.len() == limits::RING_FRAMES_MAX {
            self.evict();
        }
        self.frames.push_back(Entry { start: self.start, length: self.length, frame });
        self.start += self.length;
        self.length = 0;
        Ok(self.numbers().end - 1)
    }

    /// Throws the frame in the making away.
    pub fn rollback(&mut self) {
        self.length = 0;
        self.nal_length = None;
        self.overflowed = false;
    }

    fn is_key(&self, number: u64) -> bool {
        self.position(number).is_some_and(|at| self.frames[at].frame.is_key())
    }

    fn position(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.overflowed || self.length + bytes.len() > self.frame_bytes_max() {
            self.overflowed = true;
            return;
        }
        if self.start + self.length + bytes.len() > self.bytes.len() {
            self.wrap();
        }
        let end = self.start + self.length;
        self.make_room(end..end + bytes.len());
        self.bytes[end..end + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Moves the frame in the making to the front of the room.
    fn wrap(&mut self) {
        // What lies behind it is older than everything before it: it goes first.
        while self.frames.front().is_some_and(|oldest| oldest.start >= self.start) {
            self.evict();
        }
        self.make_room(0..self.length);
        self.bytes.copy_within(self.start..self.start + self.length, 0);
        self.start = 0;
    }

    fn make_room(&mut self, room: Range<usize>) {
        while self.frames.front().is_some_and(|oldest| {
            oldest.start < room.end && room.start < oldest.start + oldest.length
        }) {
            self.evict();
        }
    }

    fn evict(&mut self) {
        self.frames.pop_front();
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameKind, tests::parameter_sets};
    use crate::units::Ticks;

    fn frame(kind: FrameKind) -> Frame {
        Frame {
            presentation: Ticks(0),
            decode: Ticks(0),
            kind,
            run: 0,
            epoch: 0,
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
    fn the_list_of_frames_is_bounded_too() {
        let mut ring = Ring::new(1 << 20);
        for _ in 0..limits::RING_FRAMES_MAX + 10 {
            write(&mut ring, &[b"x"], FrameKind::Delta).unwrap();
        }
        assert_eq!(ring.numbers(), 10..limits::RING_FRAMES_MAX as u64 + 10);
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
        fn what_is_listed_is_what_was_written(
            capacity in 16usize..400,
            sizes in proptest::collection::vec((0usize..120, proptest::bool::ANY), 1..200),
        ) {
            let mut ring = Ring::new(capacity);
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
                    proptest::prop_assert!(size + 4 > capacity / 2);
                }
                proptest::prop_assert_eq!(ring.numbers().end, written.len() as u64);
                for number in ring.numbers() {
                    proptest::prop_assert_eq!(ring.get(number).unwrap().1, &written[number as usize][..]);
                }
            }
        }
    }
}
