//! The open fragment: which frames are in it, and whether it is full.

use crate::{limits, media::Ring, mp4::fragment::Sample, units::Ticks};

pub(super) struct FragmentDraft {
    pub samples: Vec<Sample>,
    /// Total of the samples.
    pub bytes: usize,
    bytes_max: usize,
    pub span: Ticks,
}

impl FragmentDraft {
    pub fn new() -> FragmentDraft {
        FragmentDraft {
            samples: Vec::with_capacity(limits::FRAGMENT_FRAMES_MAX),
            bytes: 0,
            bytes_max: limits::FRAGMENT_BYTES_MAX,
            span: Ticks::ZERO,
        }
    }

    /// Limits the fragment so that a small ring does not overtake it while it is filled, and sound
    /// has room in it.
    pub fn fit(&mut self, ring: &Ring) {
        let audio = if ring.audio.is_some() { limits::AUDIO_FRAGMENT_BYTES_MAX } else { 0 };
        self.bytes_max = (limits::FRAGMENT_BYTES_MAX - audio).min(ring.frame_bytes_max() / 2);
    }

    pub fn push(&mut self, sample: Sample, bytes: usize, duration: Ticks) {
        self.samples.push(sample);
        self.bytes += bytes;
        self.span += duration;
    }

    pub fn clear(&mut self) {
        self.samples.clear();
        self.bytes = 0;
        self.span = Ticks::ZERO;
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Number of frames.
    pub fn len(&self) -> u64 {
        self.samples.len() as u64
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
            || self.span.0 >= limits::FRAGMENT_TICKS_MAX
            || self.samples.len() >= limits::FRAGMENT_FRAMES_MAX
    }

    /// Returns true if another frame fits. A frame larger than any fragment is one of its own.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.samples.is_empty() || self.bytes + bytes <= self.bytes_max
    }
}
