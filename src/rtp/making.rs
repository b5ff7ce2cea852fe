//! What an access unit and a NAL unit are while they are put together.

use std::sync::Arc;

use crate::{
    codec::{ParameterSets, Slice},
    units::RtpTime,
};

/// What the camera's marker bits are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Marker {
    Unproven,
    EndsAccessUnits,
    /// Quirk: a marker bit on every slice. What comes next tells where a unit ends.
    EndsSlices,
}

/// The access unit in the making.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// Of its first slice, or of the first NAL unit before that.
    pub timestamp: Option<RtpTime>,
    pub state: State,
    /// Its first slice.
    pub slice: Option<Slice>,
    pub parameter_sets: Option<Arc<ParameterSets>>,
    pub recovery_point: bool,
    pub reference: bool,
    /// Its marker bit was seen, but is not trusted.
    pub marked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum State {
    /// Nothing is in the sink.
    #[default]
    Empty,
    Begun,
    /// The sink knows; the rest of the unit is passed over.
    Dropped,
}

/// The NAL unit in the making.
#[derive(Debug)]
pub(super) struct Nal {
    pub target: Target,
    /// Time stamps of its first and its last piece, and whether that had the marker bit.
    pub begun: RtpTime,
    pub time: RtpTime,
    pub marked: bool,
    /// It is closed, and its end came.
    pub is_whole: bool,
    /// Zeros at its end so far, held back: a start code may begin with them.
    pub zeros: usize,
    pub head: [u8; HEAD_BYTES],
    pub head_len: usize,
}

/// Where its bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// There is none.
    Closed,
    /// Into `head`, until it can be classified.
    Head,
    Sink,
    ParameterSet,
    Nowhere,
}

impl Default for Nal {
    fn default() -> Nal {
        Nal {
            target: Target::Closed,
            begun: RtpTime(0),
            time: RtpTime(0),
            marked: false,
            is_whole: false,
            zeros: 0,
            head: [0; HEAD_BYTES],
            head_len: 0,
        }
    }
}

/// What a NAL unit begins with, header and all, as far as it is looked at.
pub(super) fn begin(header: &[u8], bytes: &[u8]) -> Vec<u8> {
    header.iter().chain(bytes).take(HEAD_BYTES).copied().collect()
}

/// Enough of a NAL unit for its kind, its slice header and a recovery point among its SEI messages.
pub(super) const HEAD_BYTES: usize = 64;
