//! Frames in, RTP packets out, each after its interleaved header (RFC 2326 §10.12), which is left
//! out over UDP.
//!
//! Spec: RFC 3550 §5.1, §6.4.1; RFC 6184 §5.6, §5.8 (H.264); RFC 7798 §4.4.1, §4.4.3 (H.265); RFC
//! 3640 §3.3.6 (AAC); RFC 3551 §4.5.14 (G.711); RFC 7587 §4.2 (Opus).

use crate::{
    codec::{AudioCodec, AudioFormat, Codec},
    limits,
    units::WallTime,
};

/// Makes and numbers the packets of one track.
#[derive(Debug)]
pub struct Packetizer {
    /// The channel of the interleaved header; RTCP uses the next one.
    pub channel: u8,
    payload_type: u8,
    pub ssrc: u32,
    pub sequence: u16,
    /// The time stamp of the track's time 0.
    pub base: u32,
    packets: u32,
    octets: u32,
}

impl Packetizer {
    /// `seed` determines the SSRC, the first sequence number and the first time stamp, which must
    /// be random.
    pub fn new(channel: u8, payload_type: u8, seed: u64) -> Packetizer {
        let [a, b, c, d, e, f, g, h] = seed.to_be_bytes();
        Packetizer {
            channel,
            payload_type,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            // In the lower half: some clients cannot cope with an early wrap.
            sequence: u16::from_be_bytes([e & 0x7f, f]),
            base: u32::from_be_bytes([0, f, g, h]),
            packets: 0,
            octets: 0,
        }
    }

    /// The time stamp of a time of the track, in ticks of its clock.
    pub fn timestamp(&self, time: i64) -> u32 {
        // It wraps by design (RFC 3550 §5.1).
        self.base.wrapping_add(time.cast_unsigned() as u32)
    }

    /// Appends an access unit: `sets`, then the NAL units in `frame`, each after its length. The
    /// last packet has the marker bit.
    pub fn write_access_unit<'a>(
        &mut self,
        codec: Codec,
        sets: impl Iterator<Item = &'a [u8]>,
        frame: &[u8],
        time: i64,
        out: &mut Vec<u8>,
    ) {
        let timestamp = self.timestamp(time);
        for set in sets {
            self.write_nal(codec, set, timestamp, false, out);
        }
        let mut nals = Nals(frame).peekable();
        while let Some(nal) = nals.next() {
            self.write_nal(codec, nal, timestamp, nals.peek().is_none(), out);
        }
    }

    fn write_nal(
        &mut self,
        codec: Codec,
        nal: &[u8],
        timestamp: u32,
        is_last: bool,
        out: &mut Vec<u8>,
    ) {
        if nal.len() <= limits::RELAY_PAYLOAD_BYTES_MAX {
            self.write_packet(is_last, timestamp, &[], nal, out);
            return;
        }
        let Some((header, payload)) = nal.split_at_checked(codec.nal_header_bytes()) else {
            return;
        };
        let (mut prefix, kind) = match (codec, header) {
            (Codec::H264, &[first]) => ([first & 0xe0 | FU_A, 0, 0], first & 0x1f),
            (Codec::H265, &[first, second]) => {
                ([first & 0x81 | FU << 1, second, 0], first >> 1 & 0x3f)
            }
            _ => return,
        };
        let length = codec.nal_header_bytes() + 1;
        let pieces = payload.chunks(limits::RELAY_PAYLOAD_BYTES_MAX - length);
        let count = pieces.len();
        for (at, piece) in pieces.enumerate() {
            let (start, end) = (u8::from(at == 0) << 7, u8::from(at + 1 == count) << 6);
            if let Some(fu_header) = prefix.get_mut(length - 1) {
                *fu_header = start | end | kind;
            }
            let prefix = prefix.get(..length).unwrap_or_default();
            self.write_packet(is_last && at + 1 == count, timestamp, prefix, piece, out);
        }
    }

    /// Appends a frame of sound; `time` is in ticks of its format's clock.
    pub fn write_audio(
        &mut self,
        format: &AudioFormat,
        frame: &[u8],
        time: i64,
        out: &mut Vec<u8>,
    ) {
        let timestamp = self.timestamp(time);
        match format.codec() {
            AudioCodec::Aac => {
                // One AU header of 16 bits: 13 bits of size, which in each fragment is the whole
                // frame's, and 3 bits of index.
                let size = u16::try_from(frame.len() << 3).unwrap_or(u16::MAX).to_be_bytes();
                let header = [0, 16, size[0], size[1]];
                let pieces = frame.chunks(limits::RELAY_PAYLOAD_BYTES_MAX - header.len());
                let count = pieces.len();
                for (at, piece) in pieces.enumerate() {
                    self.write_packet(at + 1 == count, timestamp, &header, piece, out);
                }
            }
            AudioCodec::Opus => self.write_packet(false, timestamp, &[], frame, out),
            AudioCodec::Pcmu | AudioCodec::Pcma => {
                // One byte per sample and channel.
                let channels = usize::from(format.channels());
                let bytes = limits::RELAY_PAYLOAD_BYTES_MAX / channels * channels;
                for (at, piece) in frame.chunks(bytes).enumerate() {
                    let samples = u32::try_from(at * (bytes / channels)).unwrap_or(0);
                    self.write_packet(false, timestamp.wrapping_add(samples), &[], piece, out);
                }
            }
        }
    }

    fn write_packet(
        &mut self,
        marker: bool,
        timestamp: u32,
        prefix: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let length = RTP_HEADER_BYTES + prefix.len() + payload.len();
        // A packet is far below 64 KB.
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        out.extend_from_slice(&[b'$', self.channel, length[0], length[1]]);
        out.extend_from_slice(&[0x80, u8::from(marker) << 7 | self.payload_type]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(prefix);
        out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        let octets = u32::try_from(prefix.len() + payload.len()).unwrap_or(0);
        self.octets = self.octets.wrapping_add(octets);
    }

    /// Appends a sender report, which says that at `now` the track's time is `time`, in ticks of
    /// its clock, and the SDES that a compound packet must contain (RFC 3550 §6.1).
    pub fn write_sender_report(&self, now: WallTime, time: i64, out: &mut Vec<u8>) {
        let seconds = now.0.div_euclid(1000) + SECONDS_1900_TO_1970;
        let fraction = (now.0.rem_euclid(1000) << 32) / 1000;
        let ntp = (seconds << 32 | fraction).cast_unsigned();
        out.extend_from_slice(&[b'$', self.channel + 1, 0, 28 + SDES.len() as u8 + 8]);
        out.extend_from_slice(&[0x80, 200, 0, 6]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&ntp.to_be_bytes());
        out.extend_from_slice(&self.timestamp(time).to_be_bytes());
        out.extend_from_slice(&self.packets.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
        out.extend_from_slice(&[0x81, 202, 0, 1 + SDES.len() as u8 / 4]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(SDES);
    }
}

/// NAL units, each after its 32-bit length.
struct Nals<'a>(&'a [u8]);

impl<'a> Iterator for Nals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (nal, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(nal)
    }
}

const RTP_HEADER_BYTES: usize = 12;
const FU_A: u8 = 28;
const FU: u8 = 49;
const SECONDS_1900_TO_1970: i64 = 2_208_988_800;
/// CNAME `smolnvr`, and zeros to a whole number of words (RFC 3550 §6.5).
const SDES: &[u8; 12] = b"\x01\x07smolnvr\0\0\0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{
        Packet,
        rtcp::{self, Rtcp},
    };
    use proptest::prelude::*;

    /// Interleaved packets, by channel.
    fn blocks(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
        let mut blocks = Vec::new();
        while let [b'$', channel, a, b, rest @ ..] = bytes {
            let (block, rest) = rest.split_at(usize::from(u16::from_be_bytes([*a, *b])));
            blocks.push((*channel, block));
            bytes = rest;
        }
        assert!(bytes.is_empty());
        blocks
    }

    /// Reassembles the NAL units of an access unit from its packets (RFC 6184 §5.8, RFC 7798
    /// §4.4.3).
    fn nals(codec: Codec, packets: &[Packet<'_>]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for packet in packets {
            let (header, fu_header) = packet.payload.split_at(codec.nal_header_bytes());
            let is_fragment = match codec {
                Codec::H264 => header[0] & 0x1f == FU_A,
                Codec::H265 => header[0] >> 1 & 0x3f == FU,
            };
            if !is_fragment {
                nals.push(packet.payload.to_vec());
                continue;
            }
            let (fu_header, piece) = fu_header.split_first().unwrap();
            if fu_header & 0x80 != 0 {
                nals.push(match codec {
                    Codec::H264 => vec![header[0] & 0xe0 | fu_header & 0x1f],
                    Codec::H265 => vec![header[0] & 0x81 | (fu_header & 0x3f) << 1, header[1]],
                });
            }
            nals.last_mut().unwrap().extend_from_slice(piece);
        }
        nals
    }

    proptest! {
        #[test]
        fn a_frame_comes_out_of_its_packets_as_it_went_in(
            is_h265: bool,
            bodies in proptest::collection::vec((1u8..24, 0usize..4000), 1..6),
            set_count in 0usize..3,
        ) {
            let codec = if is_h265 { Codec::H265 } else { Codec::H264 };
            let nal = |kind: u8, length: usize| {
                let mut nal = match codec {
                    Codec::H264 => vec![0x60 | kind],
                    Codec::H265 => vec![kind << 1, 1],
                };
                nal.extend((0..length).map(|at| at as u8));
                nal
            };
            let sent: Vec<Vec<u8>> = bodies.iter().map(|&(kind, length)| nal(kind, length)).collect();
            let sets = vec![nal(7, 20); set_count];
            let mut frame = Vec::new();
            for nal in &sent {
                frame.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                frame.extend_from_slice(nal);
            }
            let mut packetizer = Packetizer::new(2, 96, 0x1234_5678_9abc_def0);
            let (first, mut out) = (packetizer.sequence, Vec::new());
            packetizer.write_access_unit(codec, sets.iter().map(|it| &it[..]), &frame, 3600, &mut out);
            let blocks = blocks(&out);
            let packets: Vec<_> =
                blocks.iter().map(|(_, bytes)| Packet::parse(bytes).unwrap()).collect();
            prop_assert_eq!(nals(codec, &packets), [sets, sent].concat());
            let count = packets.len();
            for (at, (packet, (channel, bytes))) in packets.iter().zip(&blocks).enumerate() {
                prop_assert_eq!(*channel, 2);
                prop_assert_eq!(packet.marker, at + 1 == count);
                prop_assert_eq!(packet.sequence_number, first.wrapping_add(at as u16));
                prop_assert_eq!(packet.timestamp.0, packetizer.timestamp(3600));
                prop_assert!(bytes.len() <= 12 + limits::RELAY_PAYLOAD_BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_long_g711_frame_is_split_and_each_part_has_its_own_time_stamp() {
        let format = AudioFormat::g711(AudioCodec::Pcma, 8000, 1);
        let mut packetizer = Packetizer::new(0, 8, 7);
        let mut out = Vec::new();
        packetizer.write_audio(&format, &[1; 3000], 160, &mut out);
        let blocks = blocks(&out);
        let packets: Vec<_> = blocks.iter().map(|(_, it)| Packet::parse(it).unwrap()).collect();
        let mut time = packetizer.timestamp(160);
        for packet in &packets {
            assert_eq!(packet.timestamp.0, time);
            time += packet.payload.len() as u32;
        }
        assert_eq!(time - packetizer.timestamp(160), 3000);
    }

    #[test]
    fn an_aac_frame_is_preceded_by_its_size() {
        let format = AudioFormat::aac(&[0x14, 0x08], 16_000).unwrap();
        let (mut packetizer, mut out) = (Packetizer::new(0, 97, 7), Vec::new());
        packetizer.write_audio(&format, &[9; 300], 0, &mut out);
        let packet = Packet::parse(blocks(&out)[0].1).unwrap();
        assert_eq!(packet.payload[..4], [0, 16, 9, 96]); // 300 << 3
        assert!(packet.marker);
        assert_eq!(packet.payload[4..], [9; 300]);
    }

    #[test]
    fn a_sender_report_maps_a_time_stamp_to_the_wall_clock() {
        let (mut packetizer, mut out) = (Packetizer::new(0, 96, 7), Vec::new());
        packetizer.write_packet(true, 0, &[], b"abc", &mut Vec::new());
        packetizer.write_sender_report(WallTime(1_795_336_213_500), 9000, &mut out);
        let blocks = blocks(&out);
        assert_eq!(blocks[0].0, 1);
        let Some(Rtcp::SenderReport(report)) = rtcp::parse(blocks[0].1).next() else { panic!() };
        assert_eq!((report.ssrc, report.packets, report.octets), (packetizer.ssrc, 1, 3));
        assert_eq!(report.rtp_time.0, packetizer.timestamp(9000));
        assert_eq!(report.wall_time(report.rtp_time, 90_000), Some(WallTime(1_795_336_213_500)));
    }
}
