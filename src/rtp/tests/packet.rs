use proptest::prelude::*;

use crate::{
    rtp::{Error, Packet, Parser},
    units::RtpTime,
};

/// Version 2, padding, extension, one CSRC, marker, type 96.
const FULL: [u8; 29] = [
    0xb1, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xaa, 0xbb, 0xcc, 0xdd, // header
    1, 2, 3, 4, // CSRC
    0xbe, 0xde, 0, 1, 9, 9, 9, 9, // extension of one word
    0x65, 0x88, // payload
    0, 0, 3, // padding
];

#[test]
fn every_part_of_a_packet_is_parsed() {
    let expected = Packet {
        marker: true,
        payload_type: 96,
        sequence_number: 0x1234,
        timestamp: RtpTime(9),
        ssrc: 0xaabb_ccdd,
        payload: &[0x65, 0x88],
    };
    assert_eq!(Packet::parse(&FULL), Ok(expected));
}

#[test]
fn every_truncation_of_the_header_is_an_error() {
    for length in 0..24 {
        let error = Packet::parse(&FULL[..length]);
        let in_header = Err(Error::Truncated { bytes: length });
        assert_eq!(error, in_header, "{length}");
    }
}

#[test]
fn an_empty_payload_is_a_packet() {
    let mut bytes = FULL;
    bytes[0] = 0x80;
    assert_eq!(Packet::parse(&bytes[..12]).map(|packet| packet.payload), Ok(&[][..]));
}

#[test]
fn a_padding_count_of_0_or_beyond_the_payload_is_ignored() {
    let mut bytes = FULL;
    for padding in [0, 6, 255] {
        bytes[28] = padding;
        let payload = Packet::parse(&bytes).map(|packet| packet.payload);
        assert_eq!(payload, Ok(&[0x65, 0x88, 0, 0, padding][..]));
    }
    bytes[28] = 5;
    assert_eq!(Packet::parse(&bytes).map(|packet| packet.payload), Ok(&[][..]));
    assert_eq!(Packet::parse(&bytes[..24]).map(|packet| packet.payload), Ok(&[][..]));
}

#[test]
fn an_extension_bit_without_an_extension_is_ignored() {
    let header = [0x90, 96, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1];
    let mut parser = Parser::default();
    // The third would be an extension of no words.
    for payload in [&[0x67, 77, 0x40, 0x1e, 9], &[0x7c, 0x85, 0xb8, 0, 4], &[0x41, 0x9a, 0, 0, 7]] {
        let bytes = [&header[..], payload].concat();
        assert_eq!(parser.parse(&bytes).map(|packet| packet.payload), Ok(&payload[..]));
    }
    // Real ones are believed again after a packet that was cut short.
    let mut parser = Parser::default();
    assert!(parser.parse(&FULL[..21]).is_ok());
    let parsed = (0..9).map(|_| parser.parse(&FULL).unwrap().payload.len()).collect::<Vec<_>>();
    assert_eq!(parsed.last(), Some(&2), "{parsed:?}");
    assert_eq!(parser.parse(&FULL[..15]), Err(Error::Truncated { bytes: 15 }));
}

#[test]
fn another_version_is_an_error_of_its_own() {
    let error = Packet::parse(&[0x40; 12]).unwrap_err();
    assert_eq!(error.to_string(), "rtp version 1 is not 2");
    let error = Packet::parse(&[0x80; 7]).unwrap_err();
    assert_eq!(error.to_string(), "rtp packet of 7 bytes ends in its header");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.payload.len() <= bytes.len() - 12);
        }
    }
}
