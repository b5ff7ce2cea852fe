//! Puts access units together: bytes of NAL units in, whole units into the sink.
//!
//! The same for H.264 and H.265; what a payload looks like is h264.rs's and h265.rs's.
//! Spec: RFC 6184 §5.1 and RFC 7798 §4.1 (marker bit, time stamp), H.264 §7.4.1.2, H.265 §7.4.2.4.

use std::sync::Arc;

use super::{AccessUnit, DropCause, Sink};
use crate::{
    bits::Bytes,
    codec::{Codec, Collector, NalKind, ParameterSets, Place, RandomAccess, Slice},
    limits::PARAMETER_SET_BYTES_MAX,
    units::RtpTime,
};

#[derive(Debug)]
pub(super) struct Assembler {
    codec: Codec,
    collector: Collector,
    marker: Marker,
    /// Packets are missing, or the run begins: a picture's first slice must come next.
    after_gap: bool,
    /// Time of the access unit that went out last.
    ended: Option<RtpTime>,
    unit: Unit,
    nal: Nal,
    /// The parameter set in the making.
    parameter_set: Vec<u8>,
}

/// What the camera's marker bits are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Marker {
    Unproven,
    EndsAccessUnits,
    /// Quirk: a marker bit on every slice. The next slice or time stamp tells where a unit ends.
    EndsSlices,
}

/// The access unit in the making.
#[derive(Debug, Default)]
struct Unit {
    timestamp: Option<RtpTime>,
    state: State,
    /// Its first slice.
    slice: Option<Slice>,
    parameter_sets: Option<Arc<ParameterSets>>,
    recovery_point: bool,
    reference: bool,
    /// Its marker bit was seen, but is not trusted.
    marked: bool,
}

impl Unit {
    /// Two pictures of it, each with a marker bit, may be the fields of one frame.
    fn may_have_fields(&self) -> bool {
        self.parameter_sets.as_ref().is_some_and(|sets| sets.picture().fields)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// Nothing is in the sink.
    #[default]
    Empty,
    Begun,
    /// The sink knows; the rest of the unit is passed over.
    Dropped,
}

/// The NAL unit in the making.
#[derive(Debug)]
struct Nal {
    target: Target,
    /// Zeros at its end so far, held back: a start code may begin with them.
    zeros: usize,
    head: [u8; HEAD_BYTES],
    head_len: usize,
}

/// Where its bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    /// There is none.
    Closed,
    /// Into `head`, until it can be classified.
    Head,
    Sink,
    ParameterSet,
    Nowhere,
}

impl Assembler {
    pub(super) fn new(codec: Codec, collector: Collector) -> Assembler {
        Assembler {
            codec,
            collector,
            marker: Marker::Unproven,
            after_gap: true,
            ended: None,
            unit: Unit::default(),
            nal: Nal { target: Target::Closed, zeros: 0, head: [0; HEAD_BYTES], head_len: 0 },
            parameter_set: Vec::new(),
        }
    }

    pub(super) fn parameter_sets(&mut self) -> Option<Arc<ParameterSets>> {
        self.collector.current()
    }

    /// Packets are missing before what comes next: the unit in the making may lack its end, and the
    /// next one its beginning.
    pub(super) fn lose(&mut self, packets: u32, sink: &mut dyn Sink) {
        let is_whole = self.unit.marked && self.nal.target == Target::Closed;
        self.abandon_nal(sink);
        if is_whole && self.marker == Marker::Unproven {
            self.end_unit(sink);
        }
        sink.access_unit_drop(DropCause::Loss { packets });
        if self.unit.slice.is_some() {
            self.unit.state = State::Dropped;
        } else {
            self.unit = Unit { timestamp: self.unit.timestamp, ..Unit::default() };
        }
        self.after_gap = true;
    }

    /// Gives what comes next its time; another time than before ends the unit in the making.
    pub(super) fn set_time(&mut self, timestamp: RtpTime, sink: &mut dyn Sink) {
        if self.unit.timestamp == Some(timestamp) {
            return;
        }
        if self.nal.target != Target::Closed {
            if self.unit.marked {
                self.nal_end(sink); // Quirk: no end bit on the last fragment.
            } else {
                self.abandon_nal(sink);
                self.drop_unit(DropCause::Malformed, sink);
            }
        }
        if self.unit.marked && self.marker == Marker::Unproven {
            self.marker = Marker::EndsAccessUnits;
        }
        if self.unit.slice.is_some() || self.unit.state == State::Dropped {
            self.end_unit(sink);
        }
        self.unit.timestamp = Some(timestamp);
    }

    /// The packet that was just handled has its marker bit set.
    ///
    /// Quirk: marker bit on SPS, PPS or SEI. A unit without a slice does not end.
    pub(super) fn mark(&mut self, sink: &mut dyn Sink) {
        if self.unit.slice.is_none() {
            return;
        }
        let trusted = self.marker == Marker::EndsAccessUnits && !self.unit.may_have_fields();
        if trusted && self.nal.target == Target::Closed {
            self.end_unit(sink);
        } else {
            self.unit.marked = true;
        }
    }

    /// What was appended to the unit in the making is void, and the rest of it will not come.
    pub(super) fn drop_unit(&mut self, cause: DropCause, sink: &mut dyn Sink) {
        if self.unit.state == State::Dropped {
            return;
        }
        if self.nal.target == Target::Sink {
            sink.nal_end();
            self.nal.target = Target::Nowhere;
        }
        self.unit.state = State::Dropped;
        sink.access_unit_drop(cause);
    }

    /// The run ends.
    pub(super) fn end(&mut self, sink: &mut dyn Sink) {
        let is_complete = self.unit.marked && self.nal.target == Target::Closed;
        self.abandon_nal(sink);
        if is_complete {
            self.end_unit(sink);
        } else if self.unit.state == State::Begun {
            self.drop_unit(DropCause::Incomplete, sink);
        }
        self.unit = Unit::default();
        self.ended = None;
        self.after_gap = true;
        self.marker = Marker::Unproven;
    }

    /// One whole NAL unit with its header.
    pub(super) fn nal(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        self.nal_begin(sink);
        self.nal_append(bytes, sink);
        self.nal_end(sink);
    }

    /// A fragment of a NAL unit: its start and end bits where RFC 6184 §5.8 and RFC 7798 §4.4.3 have
    /// them, the header of the whole, and bytes that may be none.
    ///
    /// Quirk: FU type that changes mid-unit. The first fragment's counts.
    pub(super) fn fragment(&mut self, bits: u8, header: &[u8], bytes: &[u8], sink: &mut dyn Sink) {
        if bits & FRAGMENT_START != 0 {
            self.nal_begin(sink);
            self.nal_append(header, sink);
        } else if self.nal.target == Target::Closed {
            let cause = if self.after_gap { DropCause::Incomplete } else { DropCause::Malformed };
            return self.drop_unit(cause, sink);
        }
        self.nal_append(bytes, sink);
        if bits & FRAGMENT_END != 0 {
            self.nal_end(sink);
        }
    }

    /// Begins a NAL unit. Quirk: no end bit on the last fragment; what is open ends here.
    pub(super) fn nal_begin(&mut self, sink: &mut dyn Sink) {
        self.nal_end(sink);
        self.nal.target = Target::Head;
        self.nal.head_len = 0;
        self.nal.zeros = 0;
    }

    /// Quirk: Annex B start codes inside an RTP payload. No NAL unit contains `00 00 01` (H.264
    /// §7.4.1), so wherever it stands, also across two fragments, the next NAL unit begins.
    pub(super) fn nal_append(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        let mut rest = bytes;
        let leading = rest.iter().take_while(|byte| **byte == 0).count();
        match rest.get(leading..) {
            Some([1, behind @ ..]) if self.nal.zeros.saturating_add(leading) >= 2 => {
                self.nal_begin(sink);
                rest = behind;
            }
            Some([_, ..]) => self.release_zeros(sink),
            _ => {}
        }
        while let Some(position) = find_start_code(rest) {
            let (before, behind) = rest.split_at_checked(position).unwrap_or((rest, &[]));
            self.emit(without_zeros(before), sink);
            self.nal_begin(sink);
            rest = behind.get(3..).unwrap_or(&[]);
        }
        let kept = without_zeros(rest);
        self.emit(kept, sink);
        self.nal.zeros = self.nal.zeros.saturating_add(rest.len() - kept.len());
    }

    /// Ends the NAL unit, if one is open.
    ///
    /// Quirk: zeros behind a NAL unit (ffmpeg 4.4 sends H.265 so). Its last byte is none (H.264
    /// §7.4.1): those held back are left out.
    pub(super) fn nal_end(&mut self, sink: &mut dyn Sink) {
        if self.nal.target == Target::Closed {
            return;
        }
        self.nal.zeros = 0;
        if self.nal.target == Target::Head {
            self.classify(sink);
        }
        match self.nal.target {
            Target::Sink => sink.nal_end(),
            Target::ParameterSet => self.collector.offer(&self.parameter_set),
            Target::Closed | Target::Head | Target::Nowhere => {}
        }
        self.nal.target = Target::Closed;
    }

    /// What is open can not be finished.
    fn abandon_nal(&mut self, sink: &mut dyn Sink) {
        if self.nal.target == Target::Sink {
            sink.nal_end();
        }
        self.nal.target = Target::Closed;
    }

    /// The zeros held back were no start code.
    fn release_zeros(&mut self, sink: &mut dyn Sink) {
        while self.nal.zeros > 0 {
            let count = self.nal.zeros.min(ZEROS.len());
            self.nal.zeros -= count;
            self.emit(ZEROS.get(..count).unwrap_or(&ZEROS), sink);
        }
    }

    /// Bytes that are surely of this NAL unit.
    fn emit(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        let mut bytes = bytes;
        if self.nal.target == Target::Head {
            let room = self.nal.head.get_mut(self.nal.head_len..).unwrap_or(&mut []);
            let count = room.len().min(bytes.len());
            let (into_head, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            room.iter_mut().zip(into_head).for_each(|(to, from)| *to = *from);
            self.nal.head_len += count;
            bytes = rest;
            if self.nal.head_len >= HEAD_BYTES_MIN {
                self.classify(sink);
            }
        }
        if bytes.is_empty() {
            return;
        }
        match self.nal.target {
            Target::Sink => sink.nal_append(bytes),
            Target::ParameterSet => {
                // one byte more than a set may have, so that it is seen to be too long
                let room = (PARAMETER_SET_BYTES_MAX + 1).saturating_sub(self.parameter_set.len());
                self.parameter_set.extend(bytes.iter().take(room));
            }
            Target::Closed | Target::Head | Target::Nowhere => {}
        }
    }

    /// Decides from its first bytes where a NAL unit goes.
    fn classify(&mut self, sink: &mut dyn Sink) {
        let Nal { head, head_len, .. } = self.nal;
        let head = head.get(..head_len).unwrap_or(&head);
        self.nal.target = Target::Nowhere;
        if head.first().is_some_and(|byte| byte & FORBIDDEN_BIT != 0) {
            return self.drop_unit(DropCause::Malformed, sink);
        }
        let kind = self.codec.classify(head);
        self.end_marked_unit_before(kind, sink);
        match kind {
            NalKind::Void => return,
            NalKind::ParameterSet => {
                self.parameter_set.clear();
                self.parameter_set.extend_from_slice(head);
                self.nal.target = Target::ParameterSet;
                return;
            }
            NalKind::Slice(slice) => self.add_slice(slice, sink),
            NalKind::RecoveryPoint => self.unit.recovery_point = true,
            NalKind::Prefix | NalKind::Suffix => {}
        }
        if self.unit.state != State::Dropped {
            self.unit.state = State::Begun;
            self.nal.target = Target::Sink;
            sink.nal_begin();
            sink.nal_append(head);
        }
    }

    /// A unit whose marker bit is not trusted goes on with further slices, second fields and what
    /// stands behind slices, and ends before everything else.
    fn end_marked_unit_before(&mut self, kind: NalKind, sink: &mut dyn Sink) {
        if !self.unit.marked {
            return;
        }
        let fields = self.unit.may_have_fields();
        match kind {
            NalKind::Void | NalKind::Suffix => {}
            NalKind::Slice(slice) if slice.place == Place::Further || fields => {
                self.marker = Marker::EndsSlices;
            }
            _ => self.end_unit(sink),
        }
    }

    fn add_slice(&mut self, slice: Slice, sink: &mut dyn Sink) {
        self.unit.reference |= slice.reference;
        if self.unit.slice.is_some() {
            return;
        }
        let access = match slice.access {
            RandomAccess::None if self.unit.recovery_point => RandomAccess::RecoveryPoint,
            access => access,
        };
        self.unit.slice = Some(slice);
        if slice.place == Place::First {
            self.after_gap = false;
        } else if self.after_gap {
            self.drop_unit(DropCause::Incomplete, sink);
        } else if self.ended == self.unit.timestamp {
            // The picture went out at the marker bit of an earlier slice.
            self.marker = Marker::EndsSlices;
            self.drop_unit(DropCause::Malformed, sink);
        }
        if self.unit.state == State::Dropped {
            return;
        }
        let (sets, access) = self.collector.begin_picture(slice.picture_set, access);
        self.unit.slice = Some(Slice { access, ..slice });
        self.unit.parameter_sets = sets;
        if self.unit.parameter_sets.is_none() {
            return self.drop_unit(DropCause::NoParameterSets, sink);
        }
        self.collector.sets_in_sample(access, |set| {
            sink.nal_begin();
            sink.nal_append(set);
            sink.nal_end();
        });
    }

    /// Hands the unit out, unless it was dropped, and begins the next one at the same time.
    fn end_unit(&mut self, sink: &mut dyn Sink) {
        let next = Unit { timestamp: self.unit.timestamp, ..Unit::default() };
        let unit = std::mem::replace(&mut self.unit, next);
        self.ended = unit.timestamp;
        if let (State::Begun, Some(timestamp), Some(slice), Some(parameter_sets)) =
            (unit.state, unit.timestamp, unit.slice, unit.parameter_sets)
        {
            sink.access_unit_end(AccessUnit {
                timestamp,
                access: slice.access,
                leading: slice.leading,
                reference: unit.reference,
                parameter_sets,
            });
        }
    }
}

/// NAL units of a byte string that may have start codes between them (Annex B), or none.
pub(super) fn split_at_start_codes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(position) = find_start_code(bytes) else { return rest.take() };
        rest = bytes.get(position + 3..);
        bytes.get(..position)
    })
}

/// Size of the next NAL unit in an aggregate (RFC 6184 §5.7.1, RFC 7798 §4.4.2).
///
/// Quirk: zeros behind the last NAL unit of an aggregate (bluenviron/gortsplib#559). A size of 0, or one
/// that is cut short, ends it.
pub(super) fn next_size(rest: &mut Bytes<'_>) -> Option<usize> {
    rest.u16().filter(|size| *size > 0).map(usize::from)
}

pub(super) fn starts_with_start_code(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 0, 1]) || bytes.starts_with(&[0, 0, 0, 1])
}

/// Position of the first `00 00 01`; looks at every third byte of what has no zeros.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut index = 2;
    while let Some(byte) = bytes.get(index) {
        match byte {
            0 => index += 1,
            1 if bytes.get(index - 2..index) == Some(&[0, 0]) => return Some(index - 2),
            _ => index += 3,
        }
    }
    None
}

fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = bytes {
        bytes = rest;
    }
    bytes
}

/// Enough of a NAL unit for its kind and a recovery point among its SEI messages.
const HEAD_BYTES: usize = 64;
/// Enough for the beginning of a slice: a header of 2 bytes, and numbers that end in the fourth byte
/// behind it. A shorter NAL unit is looked at when it ends.
const HEAD_BYTES_MIN: usize = 6;
const ZEROS: [u8; 16] = [0; 16];
/// `forbidden_zero_bit` (H.264 §7.4.1, H.265 §7.4.2.2): bit errors, says who set it.
const FORBIDDEN_BIT: u8 = 0x80;
const FRAGMENT_START: u8 = 0x80;
const FRAGMENT_END: u8 = 0x40;
