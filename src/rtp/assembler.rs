//! Assembles access units: bytes of NAL units in, whole units into the sink.
//!
//! Serves both H.264 and H.265; h264.rs and h265.rs know the payload formats. `fragments` handles
//! NAL units that span several packets. Spec: RFC 6184 §5.1 and RFC 7798 §4.1 (marker bit, time
//! stamp), H.264 §7.4.1.2, H.265 §7.4.2.4.

mod fragments;

pub(super) use fragments::{FRAGMENT_END, FRAGMENT_START};

use std::sync::Arc;

use super::{
    AccessUnit, DropCause, Sink,
    making::{HEAD_BYTES, Marker, Nal, NalTarget, Unit, UnitState},
    pictures::{Pictures, Relation},
    start_codes::{find_start_code, without_zeros},
};
use crate::{
    codec::{Codec, Collector, NalKind, ParameterSets, RandomAccess, Slice, Unreadable},
    limits::PARAMETER_SET_BYTES_MAX,
    units::RtpTime,
};

#[derive(Debug)]
pub(super) struct Assembler {
    codec: Codec,
    collector: Collector,
    marker: Marker,
    /// Packets are missing or the run has just begun, so a picture's first slice must come next.
    after_gap: bool,
    /// The time stamp of the packet being handled.
    time: RtpTime,
    /// Another source continues where the last one ended, and may film something else.
    in_doubt: bool,
    pictures: Pictures,
    unit: Unit,
    nal: Nal,
    /// Consecutive fragmented NAL units that had their start bit, and their end bit.
    started: u8,
    ended: u8,
    /// Consecutive access units without a start code in a payload.
    clean: u32,
    /// The parameter set being assembled.
    parameter_set: Vec<u8>,
}

impl Assembler {
    pub(super) fn new(codec: Codec, sets: impl Iterator<Item: AsRef<[u8]>>) -> Assembler {
        let mut assembler = Assembler {
            codec,
            collector: Collector::new(codec),
            marker: Marker::Unproven,
            after_gap: true,
            time: RtpTime(0),
            in_doubt: false,
            pictures: Pictures::default(),
            unit: Unit::default(),
            nal: Nal::default(),
            started: 0,
            ended: 0,
            clean: 0,
            parameter_set: Vec::new(),
        };
        sets.for_each(|set| assembler.collector.offer(set.as_ref()));
        assembler
    }

    pub(super) fn parameter_sets(&mut self) -> Option<Arc<ParameterSets>> {
        self.collector.current()
    }

    /// Returns true if the first bytes of a NAL unit show that it belongs to this track.
    pub(super) fn recognizes(&self, nal: &[u8]) -> bool {
        match self.codec.classify(nal) {
            _ if nal.first().is_none_or(|byte| byte & FORBIDDEN_BIT != 0) => false,
            NalKind::ParameterSet => self.codec.reads_sequence(nal),
            NalKind::Slice(slice) if slice.access == RandomAccess::Idr => {
                self.collector.slice_header(&slice, nal).is_ok_and(|header| header.is_first())
            }
            _ => false,
        }
    }

    /// Reports missing packets: the open unit may lack its end, and the next one its beginning.
    pub(super) fn lose(&mut self, packets: u32, sink: &mut dyn Sink) {
        let is_whole = self.marker == Marker::Unproven && self.is_complete();
        self.abandon_nal(sink);
        if is_whole {
            self.end_unit(sink);
        }
        sink.access_unit_drop(DropCause::Loss { packets });
        self.collector.lose();
        if self.unit.slice.is_some() {
            self.unit.state = UnitState::Dropped;
        } else {
            self.unit = Unit::default();
        }
        self.after_gap = true;
    }

    /// Reports that another source follows: the pictures that its first one refers to may be
    /// missing.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// Sets the time stamp of what follows.
    ///
    /// Quirk: a time stamp of its own for each slice, NAL unit or packet (pion/rtp#280). The slices
    /// show where a picture ends, and the time stamp of its first slice counts.
    pub(super) fn set_time(&mut self, timestamp: RtpTime) {
        self.time = timestamp;
    }

    /// Reports that the packet just handled has its marker bit set.
    ///
    /// Quirk: marker bit on SPS, PPS or SEI. It does not end a unit that has no slice yet.
    pub(super) fn mark(&mut self, sink: &mut dyn Sink) {
        if self.nal.target == NalTarget::Head {
            self.classify(sink);
        }
        if self.unit.slice.is_none() {
            return;
        }
        self.unit.marked = true;
        self.nal.marked = true;
        if self.marker == Marker::EndsAccessUnits && self.is_complete() {
            self.end_unit(sink);
        }
    }

    /// Reports that the last payload is unreadable. The unit with its time stamp is dropped, since
    /// its rest will not come.
    pub(super) fn refuse(&mut self, cause: DropCause, sink: &mut dyn Sink) {
        if self.nal.target == NalTarget::Closed {
            self.leave_unit(self.time, sink);
        }
        self.drop_unit(cause, sink);
    }

    fn drop_unit(&mut self, cause: DropCause, sink: &mut dyn Sink) {
        if self.unit.state == UnitState::Dropped {
            return;
        }
        if self.nal.target == NalTarget::Sink {
            sink.nal_end();
            self.nal.target = NalTarget::Nowhere;
        }
        self.unit.timestamp.get_or_insert(self.time);
        self.unit.state = UnitState::Dropped;
        sink.access_unit_drop(cause);
    }

    /// Ends the run.
    pub(super) fn end(&mut self, sink: &mut dyn Sink) {
        let is_complete = self.nal.target == NalTarget::Closed && self.unit.marked;
        self.abandon_nal(sink);
        if is_complete {
            self.end_unit(sink);
        } else if self.unit.state == UnitState::Begun {
            self.drop_unit(DropCause::Incomplete, sink);
        }
        self.unit = Unit::default();
        self.collector.lose();
        self.pictures.end();
        self.after_gap = true;
        self.marker = Marker::Unproven;
        self.clean = 0;
    }

    /// Takes one whole NAL unit with its header.
    pub(super) fn nal(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        self.miss_end(sink);
        self.nal_begin(sink);
        self.nal_append(bytes, sink);
        self.nal_end(sink);
    }

    /// Begins a NAL unit. Quirk: no end bit on the last fragment. The open NAL unit ends here,
    /// unless it broke off at another time stamp.
    pub(super) fn nal_begin(&mut self, sink: &mut dyn Sink) {
        let breaks_off = self.nal.time != self.time && !self.nal.marked;
        if self.nal.target != NalTarget::Closed && breaks_off {
            self.abandon_nal(sink);
            self.drop_unit(DropCause::Malformed, sink);
        }
        self.nal_end(sink);
        self.nal.target = NalTarget::Head;
        self.nal.begun = self.time;
        self.nal.time = self.time;
        self.nal.marked = false;
        self.nal.head_len = 0;
        self.nal.zeros = 0;
    }

    /// Quirk: Annex B start codes inside an RTP payload. No NAL unit contains `00 00 01` (H.264
    /// §7.4.1), so the next NAL unit begins wherever one stands, even across two fragments.
    pub(super) fn nal_append(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        let mut rest = bytes;
        let leading = rest.iter().take_while(|byte| **byte == 0).count();
        match rest.get(leading..) {
            Some([1, behind @ ..]) if self.nal.zeros.saturating_add(leading) >= 2 => {
                self.clean = 0;
                self.nal_begin(sink);
                rest = behind;
            }
            Some([_, ..]) => self.release_zeros(sink),
            _ => {}
        }
        while let Some(position) = find_start_code(self.suspect(rest)) {
            self.clean = 0;
            let (before, behind) = rest.split_at_checked(position).unwrap_or((rest, &[]));
            self.emit(without_zeros(before), sink);
            self.nal_begin(sink);
            rest = behind.get(3..).unwrap_or(&[]);
        }
        let kept = without_zeros(rest);
        self.emit(kept, sink);
        self.nal.zeros = self.nal.zeros.saturating_add(rest.len() - kept.len());
    }

    /// The part of a payload that is searched for a start code. To search every byte takes more
    /// instructions than all other work on it. So once a camera has sent no start code for long,
    /// only the beginning is searched, which is enough to find a camera that sends parameter sets
    /// and a picture in one payload.
    fn suspect<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes.get(..BEGINNING_BYTES) {
            Some(beginning) if self.clean >= CLEAN_MIN => beginning,
            _ => bytes,
        }
    }

    /// Ends the NAL unit, if one is open.
    ///
    /// Quirk: zeros after a NAL unit (ffmpeg 4.4 sends H.265 so). The last byte of a NAL unit is
    /// never 0 (H.264 §7.4.1), so zeros held back are dropped.
    pub(super) fn nal_end(&mut self, sink: &mut dyn Sink) {
        if self.nal.target == NalTarget::Closed {
            return;
        }
        self.nal.zeros = 0;
        if self.nal.target == NalTarget::Head {
            self.classify(sink);
        }
        match self.nal.target {
            NalTarget::Sink => sink.nal_end(),
            NalTarget::ParameterSet => {
                let set = std::mem::take(&mut self.parameter_set);
                self.collector.offer(&set);
                self.parameter_set = set;
            }
            NalTarget::Closed | NalTarget::Head | NalTarget::Nowhere => {}
        }
        self.nal.target = NalTarget::Closed;
        self.nal.is_whole = true;
    }

    /// Gives up on the open NAL unit, whose rest is missing.
    fn abandon_nal(&mut self, sink: &mut dyn Sink) {
        let is_behind_mark = self.unit.marked && self.marker != Marker::EndsSlices;
        if self.nal.target == NalTarget::Head && (is_behind_mark || self.tells_its_picture()) {
            self.classify(sink);
        }
        if self.nal.target == NalTarget::Sink {
            sink.nal_end();
        }
        self.nal.target = NalTarget::Closed;
        self.nal.is_whole = false;
    }

    /// Returns false for a slice that broke off in its header: it may belong to the open unit.
    fn tells_its_picture(&self) -> bool {
        let head = self.nal.head.get(..self.nal.head_len).unwrap_or_default();
        match self.codec.classify(head) {
            NalKind::Slice(slice) => self.collector.slice_header(&slice, head).is_ok(),
            _ => true,
        }
    }

    /// Passes on the zeros held back, which turned out not to begin a start code.
    fn release_zeros(&mut self, sink: &mut dyn Sink) {
        while self.nal.zeros > 0 {
            let count = self.nal.zeros.min(ZEROS.len());
            self.nal.zeros -= count;
            self.emit(ZEROS.get(..count).unwrap_or(&ZEROS), sink);
        }
    }

    /// Passes on bytes that certainly belong to this NAL unit.
    fn emit(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        let mut bytes = bytes;
        if self.nal.target == NalTarget::Head {
            let room = self.nal.head.get_mut(self.nal.head_len..).unwrap_or(&mut []);
            let count = room.len().min(bytes.len());
            let (into_head, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            room.iter_mut().zip(into_head).for_each(|(to, from)| *to = *from);
            self.nal.head_len += count;
            bytes = rest;
            if self.nal.head_len == HEAD_BYTES {
                self.classify(sink);
            }
        }
        if bytes.is_empty() {
            return;
        }
        match self.nal.target {
            NalTarget::Sink => sink.nal_append(bytes),
            NalTarget::ParameterSet => {
                // one byte more than a set may have, so that the collector notices it is too long
                let room = (PARAMETER_SET_BYTES_MAX + 1).saturating_sub(self.parameter_set.len());
                self.parameter_set.extend(bytes.iter().take(room));
            }
            NalTarget::Closed | NalTarget::Head | NalTarget::Nowhere => {}
        }
    }

    /// Decides from the first bytes of a NAL unit where it goes.
    fn classify(&mut self, sink: &mut dyn Sink) {
        let Nal { head, head_len, .. } = self.nal;
        let head = head.get(..head_len).unwrap_or(&head);
        self.nal.target = NalTarget::Nowhere;
        if head.first().is_some_and(|byte| byte & FORBIDDEN_BIT != 0) {
            self.leave_unit(self.nal.begun, sink);
            return self.drop_unit(DropCause::Malformed, sink);
        }
        let kind = self.codec.classify(head);
        match kind {
            NalKind::Void => return,
            NalKind::Suffix => {}
            NalKind::Slice(slice) => self.add_slice(slice, head, sink),
            NalKind::ParameterSet | NalKind::Prefix | NalKind::RecoveryPoint => {
                self.leave_unit(self.nal.begun, sink);
            }
        }
        if kind == NalKind::ParameterSet {
            self.parameter_set.clear();
            self.parameter_set.extend_from_slice(head);
            self.nal.target = NalTarget::ParameterSet;
            return;
        }
        self.unit.recovery_point |= kind == NalKind::RecoveryPoint;
        self.unit.timestamp.get_or_insert(self.nal.begun);
        if self.unit.state != UnitState::Dropped {
            self.unit.state = UnitState::Begun;
            self.nal.target = NalTarget::Sink;
            sink.nal_begin();
            sink.nal_append(head);
        }
    }

    /// Ends the open unit before a NAL unit that is no slice of it, if the marker bit has come or
    /// if that NAL unit has another time stamp.
    fn leave_unit(&mut self, time: RtpTime, sink: &mut dyn Sink) {
        let last = match self.unit.state {
            UnitState::Dropped => self.unit.timestamp,
            _ => self.unit.slice.and_then(|_| self.pictures.last()),
        };
        let is_of_other_time = last.is_some_and(|last| last != time);
        if is_of_other_time || self.unit.marked && !self.awaits_field() {
            self.end_unit(sink);
        }
    }

    fn add_slice(&mut self, slice: Slice, head: &[u8], sink: &mut dyn Sink) {
        let (sets, time) = (&self.collector, self.nal.begun);
        let relation = match self.pictures.take(slice, head, sets, time, self.after_gap) {
            Ok(Relation::SecondField) if self.unit.slice.is_none() => Relation::Begins,
            Ok(relation) => relation,
            Err(error) => return self.refuse_slice(slice, error, sink),
        };
        match relation {
            Relation::Continues if self.unit.marked => self.marker = Marker::EndsSlices,
            Relation::Continues => {}
            Relation::SecondField => self.unit.marked = false,
            _ if self.unit.slice.is_some() => self.end_unit(sink),
            _ => self.leave_unit(self.nal.begun, sink),
        }
        self.unit.reference |= slice.reference;
        if self.unit.slice.is_some() {
            if relation == Relation::SecondField && self.unit.state != UnitState::Dropped {
                self.collector.begin_picture(slice.picture_set, RandomAccess::None);
                self.write_sets(RandomAccess::None, sink);
            }
            return;
        }
        let access = match slice.access {
            RandomAccess::None if self.unit.recovery_point => RandomAccess::RecoveryPoint,
            access => access,
        };
        self.unit.slice = Some(slice);
        self.unit.timestamp = Some(self.nal.begun);
        // A gap was reported already, so nothing relies on earlier pictures.
        let in_doubt = std::mem::take(&mut self.in_doubt) && !self.after_gap;
        if relation == Relation::Begins {
            self.after_gap = false;
            if in_doubt && access == RandomAccess::None && self.pictures.is_out_of_order() {
                self.drop_unit(DropCause::Incomplete, sink);
            }
        } else if self.after_gap {
            self.drop_unit(DropCause::Incomplete, sink);
        } else {
            if relation == Relation::Continues {
                // The picture was passed on at the marker bit of an earlier slice.
                self.marker = Marker::EndsSlices;
            }
            self.drop_unit(DropCause::Malformed, sink);
        }
        if self.unit.state == UnitState::Dropped {
            self.collector.lose();
            return;
        }
        let (sets, access) = self.collector.begin_picture(slice.picture_set, access);
        self.unit.slice = Some(Slice { access, ..slice });
        self.unit.parameter_sets = sets;
        if self.unit.parameter_sets.is_none() {
            return self.drop_unit(DropCause::NoParameterSets, sink);
        }
        self.write_sets(access, sink);
    }

    /// Writes the parameter sets that the sample must contain.
    fn write_sets(&mut self, access: RandomAccess, sink: &mut dyn Sink) {
        self.collector.sets_in_sample(access, |set| {
            sink.nal_begin();
            sink.nal_append(set);
            sink.nal_end();
        });
    }

    fn refuse_slice(&mut self, slice: Slice, error: Unreadable, sink: &mut dyn Sink) {
        self.leave_unit(self.nal.begun, sink);
        self.unit.slice.get_or_insert(slice);
        let is_known = error == Unreadable::Malformed && self.collector.current().is_some();
        let cause = if is_known { DropCause::Malformed } else { DropCause::NoParameterSets };
        self.drop_unit(cause, sink);
    }

    /// Whether the open unit is the first field of a frame.
    fn awaits_field(&self) -> bool {
        self.unit.slice.is_some() && self.pictures.is_first_field()
    }

    /// Whether the marker bit of the open unit may mark its end.
    fn is_complete(&self) -> bool {
        self.unit.marked && self.nal.target == NalTarget::Closed && !self.awaits_field()
    }

    /// Passes the unit on, unless it was dropped, and begins the next one.
    fn end_unit(&mut self, sink: &mut dyn Sink) {
        let unit = std::mem::take(&mut self.unit);
        self.clean = self.clean.saturating_add(1);
        if let (UnitState::Begun, Some(timestamp), Some(slice), Some(parameter_sets)) =
            (unit.state, unit.timestamp, unit.slice, unit.parameter_sets)
        {
            if unit.marked && self.marker == Marker::Unproven {
                self.marker = Marker::EndsAccessUnits;
            }
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

const ZEROS: [u8; 16] = [0; 16];
/// `forbidden_zero_bit` (H.264 §7.4.1, H.265 §7.4.2.2): when set, it signals bit errors.
const FORBIDDEN_BIT: u8 = 0x80;
/// After this many access units without a start code in a payload, 20 s of them, …
pub(super) const CLEAN_MIN: u32 = 500;
/// … only this many bytes at the front of a payload are searched: more than an SPS has.
const BEGINNING_BYTES: usize = 64;
