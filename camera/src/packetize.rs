//! Packets: access units in, RTP packets in sequence order out.
//!
//! Spec: RFC 3550 §5.1 (header, sender report), RFC 6184 (H.264: single NAL unit, STAP-A, FU-A),
//! RFC 7798 (H.265: single NAL unit, AP, FU); jpeg.rs handles JPEG. Knows nothing of: transports,
//! clocks, faults.

use crate::clip::Codec;
use crate::jpeg;
use crate::quirks::{Quirk, Quirks};

/// Whether small NAL units share a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Aggregation {
    /// Neighbours that fit into one packet share it: STAP-A, AP.
    #[default]
    Small,
    /// Each NAL unit has a packet of its own, as with most cameras.
    Never,
}

/// One RTP packet as it goes on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    pub bytes: Vec<u8>,
}

/// Cuts access units into packets and numbers the packets.
#[derive(Clone, Debug)]
pub struct Packetizer {
    pub codec: Codec,
    pub aggregation: Aggregation,
    pub ssrc: u32,
    /// The next packet's sequence number.
    pub sequence: u16,
    pub quirks: Quirks,
}

impl Packetizer {
    /// The packets of one access unit; the last one has the marker bit.
    pub fn packets<'a>(
        &mut self,
        nals: impl IntoIterator<Item = &'a [u8]>,
        timestamp: u32,
    ) -> Vec<Packet> {
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        let mut group: Vec<&[u8]> = Vec::new();
        let mut group_bytes = AGGREGATE_HEADER_BYTES;
        for nal in nals {
            let bytes = 2 + nal.len();
            let fits =
                self.aggregation == Aggregation::Small && group_bytes + bytes <= PAYLOAD_BYTES_MAX;
            if !fits {
                self.flush(&mut group, &mut payloads);
                group_bytes = AGGREGATE_HEADER_BYTES;
            }
            group.push(nal);
            group_bytes += bytes;
        }
        self.flush(&mut group, &mut payloads);
        self.quirks.payloads(self.codec, &mut payloads);
        let count = payloads.len();
        let numbered = payloads.into_iter().enumerate();
        let early = self.quirks.has(Quirk::EarlyMarkers);
        numbered
            .map(|(index, payload)| {
                let marker = index + 1 == count || early && !shows_picture(self.codec, &payload);
                self.packet(&payload, timestamp, marker)
            })
            .collect()
    }

    fn flush(&self, group: &mut Vec<&[u8]>, payloads: &mut Vec<Vec<u8>>) {
        match group.as_slice() {
            [] => {}
            pictures if self.codec == Codec::Jpeg => {
                payloads
                    .extend(pictures.iter().flat_map(|it| jpeg::payloads(it, PAYLOAD_BYTES_MAX)));
            }
            [nal] if nal.len() <= PAYLOAD_BYTES_MAX => payloads.push(nal.to_vec()),
            [nal] => fragments(self.codec, nal, payloads),
            several => payloads.push(aggregate(self.codec, several)),
        }
        group.clear();
    }

    fn packet(&mut self, payload: &[u8], timestamp: u32, marker: bool) -> Packet {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        let is_other = self.quirks.has(Quirk::OtherPayloadType);
        let payload_type = if is_other { OTHER_PAYLOAD_TYPE } else { PAYLOAD_TYPE };
        bytes.extend_from_slice(&[0x80, u8::from(marker) << 7 | payload_type]);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.ssrc.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        Packet { bytes }
    }
}

/// Whether a packet carries a part of a picture, and not just additional information.
pub fn has_picture(codec: Codec, packet: &Packet) -> bool {
    packet.bytes.get(HEADER_BYTES..).is_some_and(|payload| shows_picture(codec, payload))
}

fn shows_picture(codec: Codec, payload: &[u8]) -> bool {
    let inner = codec.header_bytes();
    let is_vcl = |kind: u8| match codec {
        Codec::H264 => matches!(kind, 1..=5),
        Codec::H265 => kind < 32,
        Codec::Jpeg => true,
    };
    match codec.nal_type(payload) {
        FU_A if codec == Codec::H264 => payload.get(inner).is_some_and(|it| is_vcl(it & 0x1f)),
        FU if codec == Codec::H265 => payload.get(inner).is_some_and(|it| is_vcl(it & 0x3f)),
        kind if kind == STAP_A && codec == Codec::H264 || kind == AP && codec == Codec::H265 => {
            let mut rest = payload.get(inner..).unwrap_or_default();
            let mut found = false;
            while let [high, low, nals @ ..] = rest {
                found |= is_vcl(codec.nal_type(nals));
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = nals.get(length..).unwrap_or_default();
            }
            found
        }
        kind => is_vcl(kind),
    }
}

/// The content of a sender report, without the CNAME (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub ssrc: u32,
    /// Seconds since 1900 in the upper half, fractions in the lower.
    pub ntp: u64,
    pub timestamp: u32,
    pub packets: u32,
    /// Bytes of payload sent.
    pub bytes: u32,
}

impl Report {
    /// A compound packet: SR and SDES with a CNAME.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = vec![0x80, 200, 0, 6];
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&self.ntp.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.packets.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&[0x81, 202, 0, 4]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(b"\x01\x06camera\0\0\0\0"); // CNAME, end, padding
        out
    }
}

/// RTCP BYE (RFC 3550 §6.6).
pub fn bye(ssrc: u32) -> Vec<u8> {
    let mut out = vec![0x80, 201, 0, 1]; // an empty receiver report opens the compound
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[0x81, 203, 0, 1]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out
}

/// FU-A (RFC 6184 §5.8) or FU (RFC 7798 §4.4.3).
fn fragments(codec: Codec, nal: &[u8], payloads: &mut Vec<Vec<u8>>) {
    let kind = codec.nal_type(nal);
    let (header, body): (Vec<u8>, &[u8]) = match (codec, nal) {
        (Codec::H264, [first, body @ ..]) => (vec![first & 0xe0 | FU_A], body),
        (Codec::H265, [first, second, body @ ..]) => (vec![first & 0x81 | FU << 1, *second], body),
        _ => return,
    };
    let pieces = body.chunks(PAYLOAD_BYTES_MAX - header.len() - 1);
    let last = pieces.len() - 1;
    for (index, piece) in pieces.enumerate() {
        let mut payload = header.clone();
        payload.push(u8::from(index == 0) << 7 | u8::from(index == last) << 6 | kind);
        payload.extend_from_slice(piece);
        payloads.push(payload);
    }
}

/// STAP-A (RFC 6184 §5.7.1) or AP (RFC 7798 §4.4.2) of whole NAL units.
fn aggregate(codec: Codec, nals: &[&[u8]]) -> Vec<u8> {
    let mut payload = match codec {
        Codec::H264 => {
            let forbidden = nals.iter().fold(0, |bits, nal| bits | nal[0] & 0x80);
            let ref_idc = nals.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
            vec![forbidden | ref_idc | STAP_A]
        }
        Codec::H265 => {
            let header =
                |nal: &[u8]| u16::from_be_bytes([nal[0], nal.get(1).copied().unwrap_or(1)]);
            let forbidden = nals.iter().fold(0, |bits, nal| bits | header(nal) & 0x8000);
            let layer = nals.iter().map(|nal| header(nal) & 0x01f8).min().unwrap_or(0);
            let temporal = nals.iter().map(|nal| header(nal) & 0x0007).min().unwrap_or(1);
            (forbidden | u16::from(AP) << 9 | layer | temporal).to_be_bytes().to_vec()
        }
        Codec::Jpeg => Vec::new(), // pictures are never aggregated
    };
    for nal in nals {
        payload.extend_from_slice(&(nal.len() as u16).to_be_bytes()); // under PAYLOAD_BYTES_MAX
        payload.extend_from_slice(nal);
    }
    payload
}

/// The payload type of every stream: the first dynamic one (RFC 3551 §6).
pub const PAYLOAD_TYPE: u8 = 96;
/// The payload type with [`Quirk::OtherPayloadType`].
const OTHER_PAYLOAD_TYPE: u8 = 35;
/// A whole RTP packet, header included.
pub const PACKET_BYTES_MAX: usize = 1400;
pub const HEADER_BYTES: usize = 12;
const PAYLOAD_BYTES_MAX: usize = PACKET_BYTES_MAX - HEADER_BYTES;
/// The longer of the two: H.265's.
const AGGREGATE_HEADER_BYTES: usize = 2;

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const AP: u8 = 48;
const FU: u8 = 49;

#[cfg(test)]
#[path = "../tests/reassemble/mod.rs"]
mod reassemble;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Clip;

    fn packetizer(codec: Codec, aggregation: Aggregation) -> Packetizer {
        let quirks = Quirks::default();
        Packetizer { codec, aggregation, ssrc: 0x0102_0304, sequence: 65_530, quirks }
    }

    fn reassemble(codec: Codec, packets: &[Packet]) -> Vec<Vec<u8>> {
        reassemble::nal_units(codec.header_bytes(), packets.iter().map(|packet| &packet.bytes[..]))
    }

    #[test]
    fn every_access_unit_of_every_clip_comes_back_whole() {
        let names = ["plain.h264", "slices.h264", "bframes.h265", "opengop.h265"];
        for (name, aggregation) in
            names.iter().flat_map(|name| [(name, Aggregation::Small), (name, Aggregation::Never)])
        {
            let clip = Clip::committed(name).unwrap();
            let mut packetizer = packetizer(clip.codec(), aggregation);
            for unit in clip.access_units() {
                let packets = packetizer.packets(unit.nals.iter().map(Vec::as_slice), 7);
                assert!(packets.iter().any(|packet| has_picture(clip.codec(), packet)));
                assert_eq!(reassemble(clip.codec(), &packets), unit.nals, "{name}");
            }
        }
    }

    #[test]
    fn marker_closes_the_access_unit_and_numbers_wrap() {
        let nal = [&[0x65][..], &[0xaa; 4000]].concat();
        let mut packetizer = packetizer(Codec::H264, Aggregation::Small);
        let packets =
            [&packetizer.packets([&nal[..]], 5)[..], &packetizer.packets([&nal[..]], 6)].concat();
        let markers: Vec<u8> = packets.iter().map(|packet| packet.bytes[1]).collect();
        assert_eq!(markers, [96, 96, 224, 96, 96, 224]);
        let numbers: Vec<u16> = packets
            .iter()
            .map(|packet| u16::from_be_bytes([packet.bytes[2], packet.bytes[3]]))
            .collect();
        assert_eq!(numbers, [65_530, 65_531, 65_532, 65_533, 65_534, 65_535]);
        assert_eq!(packetizer.sequence, 0);
        assert_eq!(&packets[0].bytes[4..12], [0, 0, 0, 5, 1, 2, 3, 4]);
    }

    #[test]
    fn no_packet_is_longer_than_the_limit_whatever_the_nal_unit() {
        for codec in [Codec::H264, Codec::H265] {
            for length in (1..40).chain(1370..1400).chain(2750..2800) {
                let nal = [&[0x02, 0x01][..], &vec![0xaa; length]].concat();
                let small = [0x02, 0x01, 0xbb];
                let packets = packetizer(codec, Aggregation::Small)
                    .packets([&small[..], &nal, &small, &small], 0);
                assert!(packets.iter().all(|packet| packet.bytes.len() <= PACKET_BYTES_MAX));
                let expected = [&small[..], &nal, &small, &small];
                assert_eq!(reassemble(codec, &packets), expected, "{codec:?} {length}");
            }
        }
    }

    #[test]
    fn parameter_sets_share_a_packet_unless_told_not_to() {
        let nals = [&[0x67, 1, 2][..], &[0x68, 3], &[0x06, 4]];
        let packets = packetizer(Codec::H264, Aggregation::Small).packets(nals, 0);
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].bytes[12..], [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3, 0, 2, 6, 4]);
        assert_eq!(packetizer(Codec::H264, Aggregation::Never).packets(nals, 0).len(), 3);
        assert!(!has_picture(Codec::H264, &packets[0]));
    }

    #[test]
    fn reports_are_whole_words() {
        let report = Report { ssrc: 1, ntp: 2, timestamp: 3, packets: 4, bytes: 5 };
        for mut rest in [&report.to_bytes()[..], &bye(1)] {
            while let Some(length) = rest.get(2..4) {
                assert_eq!(rest[0] >> 6, 2);
                rest = &rest[4 * (1 + usize::from(u16::from_be_bytes([length[0], length[1]])))..];
            }
            assert!(rest.is_empty());
        }
    }
}
