//! The segment in the making: what all its frames share, and how far it is.

use crate::{codec::ParameterSets, media::Frame, units::Ticks};
use std::sync::Arc;

/// A segment in the making.
pub(super) struct Segment {
    pub run: u32,
    pub parameter_sets: Arc<ParameterSets>,
    pub decode_start: Ticks,
    pub presentation_start: Ticks,
    pub is_open: bool,
    /// It lasts for so long that its number does not matter.
    pub is_long: bool,
    pub fragments: u32,
    pub bytes: u64,
}

impl Segment {
    /// One that begins with this key frame.
    pub fn new(key: &Frame) -> Segment {
        Segment {
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
