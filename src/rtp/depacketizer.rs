//! Payloads of a track in, access units out, in decoding order.
//!
//! Keeps no payload except a NAL unit's first bytes and small parameter sets.
//! Spec: RFC 6184, RFC 7798.
//! Knows nothing of: media time, key frame policy, memory for frames.

use std::sync::Arc;

use super::{
    Lost, Packet,
    assembler::Assembler,
    h264,
    h265::{self, OrderNumbers},
    start_codes::{next_size, split_at_start_codes},
};
use crate::{
    bits::Bytes,
    codec::{Codec, Leading, ParameterSets, RandomAccess},
    units::RtpTime,
};

/// Receives the access unit being assembled.
///
/// NAL units arrive as `nal_begin`, `nal_append` (their bytes with the header, in non-empty
/// pieces), `nal_end`, always in this order, and always complete before the access unit ends or is
/// dropped.
pub trait Sink {
    fn nal_begin(&mut self);
    fn nal_append(&mut self, bytes: &[u8]);
    fn nal_end(&mut self);
    /// Everything appended since the last end or drop forms an access unit.
    fn access_unit_end(&mut self, unit: AccessUnit);
    /// Everything appended since then is void. Also called if nothing was appended but packets were
    /// lost, because the following frames may depend on missing pictures.
    fn access_unit_drop(&mut self, cause: DropCause);
}

/// Properties of an access unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    pub timestamp: RtpTime,
    pub access: RandomAccess,
    pub leading: Leading,
    /// Other pictures may depend on it.
    pub reference: bool,
    /// The active sets at its first slice.
    pub parameter_sets: Arc<ParameterSets>,
}

/// Why an access unit is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropCause {
    /// The network's fault, or the camera's, which numbered packets that never arrived.
    Loss { packets: u32 },
    /// It starts before the run or during a loss, or ends after the run.
    Incomplete,
    /// The camera's fault: a payload violates RFC 6184 or RFC 7798.
    Malformed,
    /// Neither the SDP nor the stream has contained a complete set so far.
    NoParameterSets,
}

/// Turns the payloads of one track into access units.
///
/// An access unit ends at its marker bit, or where the slices of the next one start. The first one
/// of a run is held back until the next packet has shown whether the camera's marker bits can be
/// trusted.
/// *Cost*: allocates only for new parameter sets.
#[derive(Debug)]
pub struct Depacketizer {
    assembler: Assembler,
    codec: Codec,
    numbers: OrderNumbers,
    /// The source of the last packet.
    ssrc: Option<u32>,
}

impl Depacketizer {
    /// `sdp_parameter_sets` are NAL units with their headers (`sprop-parameter-sets`, `sprop-vps`,
    /// …).
    pub fn new(codec: Codec, sdp_parameter_sets: &[Vec<u8>]) -> Depacketizer {
        let sets = sdp_parameter_sets.iter().flat_map(|set| split_at_start_codes(set));
        let assembler = Assembler::new(codec, sets);
        Depacketizer { assembler, codec, numbers: OrderNumbers::Absent, ssrc: None }
    }

    /// The same for a track whose `fmtp` parameters may announce decoding order numbers.
    pub fn described(self, format_parameters: &str) -> Depacketizer {
        Depacketizer { numbers: OrderNumbers::new(format_parameters), ..self }
    }

    /// Returns the other codec if a payload contains a sequence parameter set of that codec, or
    /// begins a key frame of it: then the camera does not send the announced one. *Cost*: checks
    /// the first bytes.
    pub fn contradicted_by(&self, payload: &[u8]) -> Option<Codec> {
        let aggregate = match self.codec {
            Codec::H264 => h265::behind_header(payload),
            Codec::H265 => h264::behind_header(payload),
        };
        match (aggregate, self.codec, payload) {
            (Some(nals), ..) => nals_of(nals).find_map(|nal| self.codec.contradicted_by(nal)),
            // The first fragment of an IDR or CRA picture; in H.264 a data partition.
            (_, Codec::H264, [0x62, 1, 0x93..=0x95, ..]) => Some(Codec::H265),
            // The first fragment of an IDR picture, and a whole one; in H.265 these bytes would
            // name a layer that no camera has.
            (
                _,
                Codec::H265,
                [0x3c | 0x5c | 0x7c, 0x85, ..] | [0x25 | 0x45 | 0x65, 0x88 | 0xb8, ..],
            ) => Some(Codec::H264),
            _ => self.codec.contradicted_by(payload),
        }
    }

    /// Returns true if a payload clearly belongs to this track: it contains a sequence parameter
    /// set, or starts a key frame whose sets are known.
    pub fn recognizes(&self, payload: &[u8]) -> bool {
        let recognizes = |nal: &[u8]| self.assembler.recognizes(nal);
        let (aggregate, fragment) = match self.codec {
            Codec::H264 => (h264::behind_header(payload), h264::first_fragment(payload)),
            Codec::H265 => (h265::behind_header(payload), h265::first_fragment(payload)),
        };
        match aggregate {
            Some(nals) => nals_of(nals).any(recognizes),
            None => recognizes(fragment.as_deref().unwrap_or(payload)),
        }
    }

    /// Processes the next packet in order, which follows `lost` missing ones.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, lost: Lost, sink: &mut impl Sink) {
        let assembler = &mut self.assembler;
        if lost.0 > 0 {
            assembler.lose(lost.0, sink);
        }
        if self.ssrc.replace(packet.ssrc).is_some_and(|before| before != packet.ssrc) {
            assembler.doubt();
        }
        assembler.set_time(packet.timestamp);
        match self.codec {
            Codec::H264 => h264::handle_payload(packet.payload, assembler, sink),
            Codec::H265 => {
                h265::handle_payload(packet.payload, self.numbers, assembler, sink);
            }
        }
        if packet.marker {
            assembler.mark(sink);
        }
    }

    /// Ends the run: the open access unit is passed on if it is known to be complete. A new run may
    /// follow; the parameter sets are kept.
    pub fn end(&mut self, sink: &mut impl Sink) {
        self.assembler.end(sink);
    }

    /// Returns the active parameter sets, once they are complete.
    pub fn parameter_sets(&mut self) -> Option<Arc<ParameterSets>> {
        self.assembler.parameter_sets()
    }
}

/// The NAL units of an aggregate, from the bytes after its header.
fn nals_of(aggregate: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Bytes(aggregate);
    std::iter::from_fn(move || next_size(&mut rest).and_then(|size| rest.take(size)))
}
