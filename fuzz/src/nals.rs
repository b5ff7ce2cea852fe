//! Video as cameras send it: parameter sets, units of NAL units, their packets; and a sink that
//! holds a depacketizer to its contract.

use crate::source::Source;
use smolnvr::{
    codec::{Codec, NalKind},
    rtp::{AccessUnit, Depacketizer, DropCause, Lost, Packet, Sink},
    units::RtpTime,
};

/// x264, 1080p, High; x265, 1080p, Main 10.
pub fn parameter_sets(codec: Codec) -> Vec<Vec<u8>> {
    let nals: &[&str] = match codec {
        Codec::H264 => &["67640028acd940780227e5c044000003000400000300c83c60c658", "68ef8fcb"],
        Codec::H265 => &[
            "40010c02ffff02200000030090000003000003007800009598acc048",
            "4201020220000003009000000300000300780000a003c08010e4d965662b349272bc39a020000003002000000303cc1392cdc001e848003d0970007a12000f4244",
            "4401c172b46240",
        ],
    };
    nals.iter().map(|hex| bytes(hex)).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("is a digit") as u8;
    hex.as_bytes().chunks(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect()
}

/// The output, checked call by call.
#[derive(Default)]
pub struct Checked {
    nal: Option<Vec<u8>>,
    nals: Vec<Vec<u8>>,
    pub units: Vec<(RtpTime, Vec<Vec<u8>>)>,
    pub lost: u64,
    /// All that ever came, in bytes, but for parameter sets, which come again.
    pub bytes: usize,
    codec: Option<Codec>,
}

impl Sink for Checked {
    fn nal_begin(&mut self) {
        assert!(self.nal.replace(Vec::new()).is_none(), "a NAL unit in a NAL unit");
    }

    fn nal_append(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "nothing was appended");
        self.bytes += bytes.len();
        self.nal.as_mut().expect("a NAL unit is open").extend(bytes);
    }

    fn nal_end(&mut self) {
        let nal = self.nal.take().expect("a NAL unit is open");
        assert!(!nal.is_empty() && nal[0] & 0x80 == 0, "{:?}", nal.first());
        assert!(!nal.windows(3).any(|three| three == [0, 0, 1]), "a start code in a NAL unit");
        assert_ne!(nal.last(), Some(&0), "zeros behind a NAL unit");
        if self.codec.is_some_and(|codec| codec.classify(&nal) == NalKind::ParameterSet) {
            self.bytes -= nal.len();
        }
        self.nals.push(nal);
    }

    fn access_unit_end(&mut self, unit: AccessUnit) {
        assert!(self.nal.is_none() && !self.nals.is_empty());
        assert!(unit.parameter_sets.nals().count() > 0);
        self.units.push((unit.timestamp, std::mem::take(&mut self.nals)));
    }

    fn access_unit_drop(&mut self, cause: DropCause) {
        assert!(self.nal.is_none(), "dropped with an open NAL unit");
        if let DropCause::Loss { packets } = cause {
            assert!(packets > 0);
            self.lost += u64::from(packets);
        }
        self.nals.clear();
    }
}

/// Any payloads at all, with any marks and losses.
pub fn hostile(codec: Codec, source: &mut Source<'_>) {
    let sets = if source.flag() { parameter_sets(codec) } else { Vec::new() };
    let mut depacketizer = Depacketizer::new(codec, &sets);
    let mut sink = Checked { codec: Some(codec), ..Checked::default() };
    let (mut time, mut fed, mut lost) = (source.u32(), 0, 0);
    while !source.is_empty() {
        let choice = source.u8();
        time = time.wrapping_add(match choice & 3 {
            0 | 1 => 0,
            2 => 3600,
            _ => source.u32(),
        });
        let missing = if choice & 0x1c == 0x1c { 1 + u32::from(source.u8()) } else { 0 };
        lost += u64::from(missing);
        let payload = source.piece();
        fed += payload.len();
        let packet = packet(choice & 0x80 != 0, time, payload);
        depacketizer.handle_packet(&packet, Lost(missing), &mut sink);
        // Only the header of a fragmented NAL unit is made here, of the bytes before it.
        assert!(sink.bytes <= fed, "{} bytes of {fed}", sink.bytes);
        assert_eq!(sink.lost, lost);
        if choice & 0x63 == 0x63 {
            end(&mut depacketizer, &mut sink);
        }
    }
    end(&mut depacketizer, &mut sink);
}

fn end(depacketizer: &mut Depacketizer, sink: &mut Checked) {
    depacketizer.end(sink);
    assert!(sink.nal.is_none() && sink.nals.is_empty(), "something is left behind the run");
}

/// Which time stamps a camera gives to the packets of a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamps {
    One,
    /// Quirk: one for each NAL unit.
    EachNal,
    /// Quirk: one for each packet.
    EachPacket,
    /// Quirk: one for two units.
    OneForTwo,
}

/// Which packets of a unit it gives a marker bit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    Last,
    /// Quirk: the last one of each NAL unit.
    EachNal,
    /// Quirk.
    None,
}

/// Units that are packed as the RFCs say, or as cameras do, come out whole or, where a packet is
/// missing, not at all.
pub fn packed(codec: Codec, source: &mut Source<'_>) {
    let mut depacketizer = Depacketizer::new(codec, &parameter_sets(codec));
    let mut sink = Checked::default();
    let stamps = source.one(&[Stamps::One, Stamps::EachNal, Stamps::EachPacket, Stamps::OneForTwo]);
    let marks = source.one(&[Marks::Last, Marks::EachNal, Marks::None]);
    let (mut expected, mut missing, mut fed) = (Vec::new(), 0, 0);
    let (begin, mut nth_unit) = (source.u32(), 0u32);
    while !source.is_empty() && fed < 300 {
        let nth = if stamps == Stamps::OneForTwo { nth_unit / 2 } else { nth_unit };
        let mut time = begin.wrapping_add(nth.wrapping_mul(3600));
        // Marks on each slice show where the first unit has two of them.
        let least = if nth_unit == 0 && marks == Marks::EachNal { 2 } else { 1 };
        let unit = unit(codec, least, stamps, source);
        let payloads = pack(codec, &unit, marks, source);
        // Only the marker bit says that the unit before a gap is whole, and only the time that what
        // follows is of another. Without what stands before its slices, a picture is whole.
        let hurt = match source.u8() {
            mark if mark < 0xe0 || marks != Marks::Last || stamps == Stamps::OneForTwo => None,
            _ if is_prefix(codec, &unit[0]) => Some(payloads.len() - 1),
            _ => Some(source.below(payloads.len())),
        };
        expected.push((RtpTime(time), unit));
        for (nth, (payload, ends_nal)) in payloads.iter().enumerate() {
            fed += 1;
            let is_last = nth + 1 == payloads.len();
            let marker = match marks {
                Marks::Last => is_last,
                Marks::EachNal => *ends_nal,
                Marks::None => false,
            };
            let packet = packet(marker, time, payload);
            if hurt == Some(nth) {
                missing += 1;
            } else {
                depacketizer.handle_packet(&packet, Lost(std::mem::take(&mut missing)), &mut sink);
            }
            let steps = match stamps {
                Stamps::EachNal => *ends_nal,
                Stamps::EachPacket => true,
                Stamps::One | Stamps::OneForTwo => false,
            };
            time = time.wrapping_add(u32::from(steps));
        }
        if hurt.is_some() {
            expected.pop();
        }
        nth_unit += 1;
    }
    end(&mut depacketizer, &mut sink);
    if marks == Marks::None {
        expected.pop(); // Nothing says that it is whole.
    }
    assert_eq!(sink.units, expected);
}

/// Up to four slices, each a key picture's, perhaps with something before and behind them, without
/// anything that looks like a start code.
fn unit(codec: Codec, least: usize, stamps: Stamps, source: &mut Source<'_>) -> Vec<Vec<u8>> {
    let mut nals = Vec::new();
    let choice = source.u8();
    let has_more = |bit: u8| choice >> bit & 1 == 1 && stamps == Stamps::One;
    if has_more(6) {
        let header: &[u8] = if codec == Codec::H264 { &[0x06] } else { &[0x4e, 0x01] };
        nals.push([header, &plain(source.piece()), &[0x80]].concat());
    }
    for nth in 0..least + usize::from(choice) % (5 - least) {
        // Those of H.264 are of macroblock 0 and 1, both of the same picture; those of H.265 each
        // of the block behind the last.
        let address = (nth as u8) << 4 | 0x0f;
        let header: &[u8] = match (codec, nth) {
            (Codec::H264, 0) => &[0x65, 0x88, 0x84, 0x04],
            (Codec::H264, _) => &[0x65, 0x42, 0x21, 0x02],
            (Codec::H265, 0) => &[0x26, 0x01, 0xaf],
            (Codec::H265, _) => &[0x26, 0x01, 0x20, address],
        };
        nals.push([header, &plain(source.piece())].concat());
    }
    if has_more(7) {
        let header: &[u8] = if codec == Codec::H264 { &[0x74] } else { &[0x50, 0x01] };
        nals.push([header, &plain(source.piece()), &[0x80]].concat());
    }
    nals
}

/// Zeros may come, but never two in a row, nor last.
fn plain(content: &[u8]) -> Vec<u8> {
    let is_bad = |at: usize| at % 2 == 1 || at + 1 == content.len();
    let plain = content.iter().enumerate();
    plain.map(|(at, byte)| if *byte == 0 && is_bad(at) { 0x80 } else { *byte }).collect()
}

/// An SEI message stands before the slices.
fn is_prefix(codec: Codec, nal: &[u8]) -> bool {
    matches!((codec, nal), (Codec::H264, [0x06, ..]) | (Codec::H265, [0x4e, ..]))
}

/// Single NAL units, fragments, or all in one aggregate, perhaps with zeros behind it; and whether
/// a NAL unit ends there.
fn pack(
    codec: Codec,
    unit: &[Vec<u8>],
    marks: Marks,
    source: &mut Source<'_>,
) -> Vec<(Vec<u8>, bool)> {
    let header_bytes = codec.nal_header_bytes();
    let choice = source.u8();
    // The reserved bit of an FU header is to be ignored (RFC 6184 §5.8).
    let reserved = choice >> 7 << 5;
    let size = usize::from(choice) % 64;
    if size == 0 && marks != Marks::EachNal {
        let mut payload = if codec == Codec::H264 { vec![0x78] } else { vec![0x60, 0x01] };
        for nal in unit {
            payload.extend((nal.len() as u16).to_be_bytes());
            payload.extend(nal);
        }
        payload.resize(payload.len() + source.below(4), 0);
        return vec![(payload, true)];
    }
    let size = size.max(1);
    let mut payloads = Vec::new();
    for nal in unit {
        let body = &nal[header_bytes..];
        if body.len() <= size {
            payloads.push((nal.clone(), true));
            continue;
        }
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        for (nth, piece) in pieces.iter().enumerate() {
            let start = u8::from(nth == 0) << 7;
            let marks = start | u8::from(nth + 1 == pieces.len()) << 6;
            let head = match codec {
                Codec::H264 => vec![nal[0] & 0xe0 | 28, marks | reserved | nal[0] & 0x1f],
                Codec::H265 => vec![nal[0] & 0x81 | 49 << 1, nal[1], marks | nal[0] >> 1 & 0x3f],
            };
            payloads.push(([&head, *piece].concat(), nth + 1 == pieces.len()));
        }
    }
    payloads
}

fn packet(marker: bool, time: u32, payload: &[u8]) -> Packet<'_> {
    let (payload_type, sequence_number, ssrc) = (96, 0, 1);
    Packet { marker, payload_type, sequence_number, timestamp: RtpTime(time), ssrc, payload }
}
