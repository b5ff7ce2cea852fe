//! The segment being recorded: what its frames share, how long it is, and where it ends.

use super::Recorder;
use crate::{
    codec::ParameterSets,
    limits,
    media::{Frame, Ring},
    units::Ticks,
};
use std::sync::Arc;

/// The segment being recorded.
pub(super) struct OpenSegment {
    pub run: u32,
    pub parameter_sets: Arc<ParameterSets>,
    pub decode_start: Ticks,
    pub presentation_start: Ticks,
    pub is_open: bool,
    /// It is long enough not to count against the allowance.
    pub is_long: bool,
    pub fragments: u32,
    pub bytes: u64,
}

impl OpenSegment {
    /// Starts a segment with this key frame.
    pub fn new(key: &Frame) -> OpenSegment {
        OpenSegment {
            run: key.run,
            parameter_sets: Arc::clone(&key.parameter_sets),
            decode_start: key.decode,
            presentation_start: key.presentation,
            is_open: false,
            is_long: false,
            fragments: 0,
            bytes: 0,
        }
    }
}

impl Recorder {
    /// Returns true if the segment would exceed the largest file with this many more bytes.
    pub(super) fn is_too_long(&self, bytes: usize) -> bool {
        let audio = if self.audio.has_track() { limits::AUDIO_FRAGMENT_BYTES_MAX } else { 0 };
        let bytes = (self.draft.bytes + bytes + audio) as u64 + SEGMENT_BYTES_BESIDE;
        self.segment.as_ref().is_some_and(|it| it.bytes + bytes > self.segment_bytes_max)
    }

    /// Returns true if a new segment starts with this frame.
    pub(super) fn must_cut(&self, ring: &Ring, segment: &OpenSegment, frame: &Frame) -> bool {
        frame.is_key()
            && (frame.run != segment.run
                || !Arc::ptr_eq(&frame.parameter_sets, &segment.parameter_sets)
                || frame.presentation - segment.presentation_start >= self.segment_length
                    && self.allowance.lets_end(segment)
                || segment.bytes > self.segment_bytes_max - self.segment_bytes_max / 16
                || segment.is_open && self.audio.is_out_of_place(ring, frame.presentation))
    }
}

/// Bytes in a segment besides its frames: its head, and a fragment's header.
const SEGMENT_BYTES_BESIDE: u64 = 16 * 1024;
