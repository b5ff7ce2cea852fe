//! One datagram or interleaved block, read a second time by the offsets of RFC 3550 §5.1.

use crate::source::Source;
use smolnvr::{rtp::Packet, units::RtpTime};

pub fn rtp_packet(data: &[u8]) {
    match (Packet::parse(data), by_offsets(data)) {
        (Ok(packet), Some(expected)) => assert_eq!(packet, expected),
        (Err(error), None) => assert!(!error.to_string().is_empty()),
        (parsed, expected) => panic!("{parsed:?}, but {expected:?}"),
    }
    built(Source::new(data));
}

fn by_offsets(data: &[u8]) -> Option<Packet<'_>> {
    let number = |at: usize, count: usize| {
        let bytes = data.get(at..at + count)?;
        Some(bytes.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)))
    };
    let first = *data.first()?;
    let mut begin = 12 + 4 * usize::from(first % 16);
    if first / 16 % 2 == 1 {
        begin += 4 + 4 * number(begin + 2, 2)? as usize;
    }
    let mut end = data.len();
    if first / 32 % 2 == 1 && end > begin {
        // A count that cannot be right is none.
        let padding = usize::from(data[end - 1]);
        end -= if padding <= end - begin { padding } else { 0 };
    }
    (first / 64 == 2).then_some(())?;
    Some(Packet {
        marker: number(1, 1)? >= 128,
        payload_type: (number(1, 1)? % 128) as u8,
        sequence_number: number(2, 2)? as u16,
        timestamp: RtpTime(number(4, 4)?),
        ssrc: number(8, 4)?,
        payload: data.get(begin..end)?,
    })
}

/// A packet with all that may stand in one, and every beginning of it.
fn built(mut source: Source<'_>) {
    let (contributors, has_extension, padding) =
        (source.u8() & 15, source.flag(), source.u8() & 31);
    let packet = Packet {
        marker: source.flag(),
        payload_type: source.u8() & 127,
        sequence_number: source.u16(),
        timestamp: RtpTime(source.u32()),
        ssrc: source.u32(),
        payload: &[],
    };
    let extension = source.bytes(8).len() / 4;
    let payload = source.bytes(64);
    let packet = Packet { payload, ..packet };
    let flags = u8::from(padding > 0) << 5 | u8::from(has_extension) << 4;
    let mut bytes = vec![0x80 | flags | contributors];
    bytes.push(u8::from(packet.marker) << 7 | packet.payload_type);
    bytes.extend(packet.sequence_number.to_be_bytes());
    bytes.extend(packet.timestamp.0.to_be_bytes());
    bytes.extend(packet.ssrc.to_be_bytes());
    bytes.resize(bytes.len() + 4 * usize::from(contributors), 0xcc);
    if has_extension {
        bytes.extend([0xbe, 0xde, 0, extension as u8]);
        bytes.resize(bytes.len() + 4 * extension, 0xee);
    }
    let headers = bytes.len();
    bytes.extend(payload);
    bytes.resize(bytes.len() + usize::from(padding), padding);
    assert_eq!(Packet::parse(&bytes), Ok(packet));
    for end in 0..headers {
        assert!(Packet::parse(&bytes[..end]).is_err(), "cut at {end} of {headers}");
    }
}
