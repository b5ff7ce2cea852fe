//! Payloads of a track's packets in, access units out, in decoding order.
//!
//! Keeps no payload but a NAL unit's first bytes and small parameter sets.
//! Spec: RFC 6184, RFC 7798. Knows nothing of: media time, key frame policy, memory for frames.

use std::sync::Arc;

use super::{
    Lost, Packet,
    assembler::Assembler,
    h264, h265,
    start_codes::{next_size, split_at_start_codes},
};
use crate::{
    bits::Bytes,
    codec::{Codec, Leading, ParameterSets, RandomAccess},
    units::RtpTime,
};

/// What a depacketizer writes into: the access unit in the making.
///
/// NAL units come as `nal_begin`, `nal_append` (their bytes with the header, in pieces, never an
/// empty one), `nal_end`, always in this order and always closed before the access unit's end or
/// drop.
pub trait Sink {
    fn nal_begin(&mut self);
    fn nal_append(&mut self, bytes: &[u8]);
    fn nal_end(&mut self);
    /// Everything appended since the last end or drop is one access unit.
    fn access_unit_end(&mut self, unit: AccessUnit);
    /// What was appended since then is void. Called also where nothing was appended but packets
    /// were lost: what follows may refer to pictures that are missing.
    fn access_unit_drop(&mut self, cause: DropCause);
}

/// What is known of an access unit beside its NAL units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    pub timestamp: RtpTime,
    pub access: RandomAccess,
    pub leading: Leading,
    /// Other pictures may be predicted from it.
    pub reference: bool,
    /// Those in force at its first slice.
    pub parameter_sets: Arc<ParameterSets>,
}

/// Why an access unit does not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropCause {
    /// The network's, or the camera's: it numbered packets that did not come.
    Loss { packets: u32 },
    /// Its beginning lies before the run or in a loss, or its end behind the run.
    Incomplete,
    /// The camera's: a payload that breaks RFC 6184 or RFC 7798.
    Malformed,
    /// The camera sends NAL units out of decoding order (H.264 packetization mode 2, H.265
    /// `sprop-max-don-diff`), which is not supported.
    Interleaved,
    /// Neither SDP nor stream brought a complete set so far.
    NoParameterSets,
}

/// Turns the payloads of one track into access units.
///
/// An access unit ends at its marker bit, or where the slices of the next one begin. The first one of a
/// run is held back until the next packet has shown that the camera's marker bits can be trusted.
/// Cost: no allocation but for new parameter sets.
#[derive(Debug)]
pub struct Depacketizer {
    format: Format,
    assembler: Assembler,
    codec: Codec,
}

impl Depacketizer {
    /// `sdp_parameter_sets`: NAL units with their headers (`sprop-parameter-sets`, `sprop-vps`, …).
    pub fn new(codec: Codec, sdp_parameter_sets: &[Vec<u8>]) -> Depacketizer {
        let sets = sdp_parameter_sets.iter().flat_map(|set| split_at_start_codes(set));
        let format = match codec {
            Codec::H264 => Format::H264(h264::Format::default()),
            Codec::H265 => Format::H265(h265::Format::default()),
        };
        Depacketizer { format, assembler: Assembler::new(codec, sets), codec }
    }

    /// For H.265 tracks with `sprop-max-don-diff` above 0: payloads carry decoding order numbers
    /// (RFC 7798 §4.4).
    #[must_use]
    pub fn with_decoding_order_numbers(mut self) -> Depacketizer {
        if let Format::H265(format) = &mut self.format {
            *format = h265::Format::with_decoding_order_numbers();
        }
        self
    }

    /// The other codec, if a payload holds a sequence parameter set of that: the camera sends another
    /// one than it announced. *Cost*: a look at the first byte.
    pub fn contradicted_by(&self, payload: &[u8]) -> Option<Codec> {
        let aggregate = match self.codec {
            Codec::H264 => h265::behind_header(payload),
            Codec::H265 => h264::behind_header(payload),
        };
        match aggregate {
            Some(nals) => nals_of(nals).find_map(|nal| self.codec.contradicted_by(nal)),
            None => self.codec.contradicted_by(payload),
        }
    }

    /// Whether a payload is plainly one of this track: it holds a sequence parameter set, or begins a key
    /// frame whose sets are known.
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

    /// Takes the next packet in order, `lost` packets after the one before.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, lost: Lost, sink: &mut impl Sink) {
        let assembler = &mut self.assembler;
        if lost.0 > 0 {
            assembler.lose(lost.0, sink);
        }
        assembler.set_time(packet.timestamp);
        match &mut self.format {
            Format::H264(format) => {
                format.handle_payload(packet.payload, packet.timestamp, assembler, sink);
            }
            Format::H265(format) => format.handle_payload(packet.payload, assembler, sink),
        }
        if packet.marker {
            assembler.mark(sink);
        }
    }

    /// Ends the run: the access unit in the making goes out if it is known to be complete. A new run
    /// may follow; the parameter sets stay.
    pub fn end(&mut self, sink: &mut impl Sink) {
        self.assembler.end(sink);
    }

    /// The parameter sets in force, once they are complete.
    pub fn parameter_sets(&mut self) -> Option<Arc<ParameterSets>> {
        self.assembler.parameter_sets()
    }
}

/// The NAL units of an aggregate, from what lies behind its header.
fn nals_of(aggregate: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Bytes(aggregate);
    std::iter::from_fn(move || next_size(&mut rest).and_then(|size| rest.take(size)))
}

#[derive(Debug)]
enum Format {
    H264(h264::Format),
    H265(h265::Format),
}
