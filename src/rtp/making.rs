//! The state of an access unit and of a NAL unit while they are assembled.

use std::sync::Arc;

use crate::{
    codec::{ParameterSets, Slice},
    units::RtpTime,
};

/// What the camera's marker bits mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Marker {
    Unproven,
    EndsAccessUnits,
    /// Quirk: a marker bit on every slice. Where a unit ends shows only when the next one begins.
    EndsSlices,
}

/// The access unit being assembled.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// The time stamp of its first slice or, until that comes, of its first NAL unit.
    pub timestamp: Option<RtpTime>,
    pub state: UnitState,
    /// Its first slice.
    pub slice: Option<Slice>,
    pub parameter_sets: Option<Arc<ParameterSets>>,
    pub recovery_point: bool,
    pub reference: bool,
    /// Its marker bit has come, but does not end it by itself.
    pub marked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum UnitState {
    /// Nothing is in the sink.
    #[default]
    Empty,
    Begun,
    /// The sink was told; the rest of the unit is skipped.
    Dropped,
}

/// The NAL unit being assembled.
#[derive(Debug)]
pub(super) struct Nal {
    pub target: NalTarget,
    /// Time stamps of its first and its last piece, and whether the last one had the marker bit.
    pub begun: RtpTime,
    pub time: RtpTime,
    pub marked: bool,
    /// It is closed and complete.
    pub is_whole: bool,
    /// Zeros at its current end, held back because a start code may begin with them.
    pub zeros: usize,
    pub head: [u8; HEAD_BYTES],
    pub head_len: usize,
}

/// Where the NAL unit's bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NalTarget {
    /// No NAL unit is open.
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
            target: NalTarget::Closed,
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

/// The first [`HEAD_BYTES`] of a NAL unit, header included.
pub(super) fn begin(header: &[u8], bytes: &[u8]) -> Vec<u8> {
    header.iter().chain(bytes).take(HEAD_BYTES).copied().collect()
}

/// Enough of a NAL unit to read its kind, its slice header, and a recovery point among SEI
/// messages.
pub(super) const HEAD_BYTES: usize = 64;
