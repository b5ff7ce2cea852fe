//! JPEG pictures: an encoder's files, split as in RFC 2435, come out unchanged.

use super::*;
use crate::limits::SNAPSHOT_BYTES_MAX;
use proptest::prelude::*;

/// 160x120 in 4:2:0 at quality 75, with the tables of Annex K.
const QUALITY_75: &[u8] = include_bytes!("../../../ci/clips/quality75.jpg");
/// 160x120 in 4:2:2 at quality 30.
const QUALITY_30: &[u8] = include_bytes!("../../../ci/clips/quality30.jpg");

/// For the first segment with that marker, the offsets of its content and of the bytes after it.
fn segment(jpeg: &[u8], marker: u8) -> (&[u8], &[u8]) {
    let mut rest = &jpeg[2..];
    loop {
        let length = 2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if rest[1] == marker {
            return (&rest[4..length], &rest[length..]);
        }
        rest = &rest[length..];
    }
}

fn scan(jpeg: &[u8]) -> &[u8] {
    let (_, scan) = segment(jpeg, 0xda);
    scan.strip_suffix(&[0xff, 0xd9]).unwrap()
}

fn tables(jpeg: &[u8]) -> Vec<u8> {
    let (luma, rest) = segment(jpeg, 0xdb);
    let behind = [&[0, 0], rest].concat();
    [&luma[1..], &segment(&behind, 0xdb).0[1..]].concat()
}

/// The payloads of one picture: `head` follows each main header, `first` only the first one.
fn payloads(kind: u8, q: u8, head: &[u8], first: &[u8], scan: &[u8], step: usize) -> Vec<Vec<u8>> {
    let pieces = scan.chunks(step).enumerate();
    pieces
        .map(|(index, piece)| {
            let [_, high, middle, low] = u32::try_from(index * step).unwrap().to_be_bytes();
            let main = [0, high, middle, low, kind, q, 20, 15];
            [&main[..], head, if index == 0 { first } else { &[] }, piece].concat()
        })
        .collect()
}

fn packet(payload: &[u8], marker: bool, timestamp: u32) -> Packet<'_> {
    Packet {
        marker,
        payload_type: 26,
        sequence_number: 0,
        timestamp: RtpTime(timestamp),
        ssrc: 1,
        payload,
    }
}

/// The result of payloads, the last of which has the marker.
fn pictures(depacketizer: &mut JpegDepacketizer, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut pictures = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let packet = packet(payload, index + 1 == payloads.len(), 7);
        let picture = depacketizer.handle_packet(&packet, Lost(0)).unwrap();
        pictures.extend(picture.map(<[u8]>::to_vec));
    }
    pictures
}

#[test]
fn a_picture_is_restored_byte_for_byte_if_q_names_its_tables() {
    for (jpeg, kind, q) in [(QUALITY_75, 1, 75), (QUALITY_30, 0, 30)] {
        for step in [1, 7, 500, 1388, 100_000] {
            let payloads = payloads(kind, q, &[], &[], scan(jpeg), step);
            let pictures = pictures(&mut JpegDepacketizer::default(), &payloads);
            assert!(pictures == [jpeg], "{q} {step}");
        }
    }
}

#[test]
fn tables_in_band_are_kept_for_pictures_that_refer_to_them() {
    let (tables, scan) = (tables(QUALITY_30), scan(QUALITY_30));
    let in_band = [&[0, 0, 0, 128], &tables[..]].concat();
    let mut depacketizer = JpegDepacketizer::default();
    let sent = payloads(0, 200, &[], &in_band, scan, 1000);
    let referring = payloads(0, 200, &[], &[0, 0, 0, 0], scan, 1000);
    assert!(pictures(&mut depacketizer, &sent) == [QUALITY_30]);
    assert!(pictures(&mut depacketizer, &referring) == [QUALITY_30]);
    for q in [201, 255] {
        let other = payloads(0, q, &[], &[0, 0, 0, 0], scan, 1000);
        let error = depacketizer.handle_packet(&packet(&other[0], true, 1), Lost(0)).unwrap_err();
        assert_eq!(error, JpegError::NoTables, "{q}");
    }
}

#[test]
fn one_table_serves_all_components_and_16_bit_tables_are_declared() {
    let scan = scan(QUALITY_75);
    let one = [&[0, 0, 0, 64][..], &[9; 64]].concat();
    let jpeg = pictures(&mut JpegDepacketizer::default(), &payloads(1, 255, &[], &one, scan, 9999));
    assert_eq!(segment(&jpeg[0], 0xdb).0, [&[0][..], &[9; 64]].concat());
    assert_eq!(segment(&jpeg[0], 0xc0).0[6..], [1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
    let wide = [&[0, 0b10, 0, 192][..], &[9; 192]].concat();
    let jpeg =
        pictures(&mut JpegDepacketizer::default(), &payloads(1, 255, &[], &wide, scan, 9999));
    assert_eq!(segment(&jpeg[0], 0xc1).0[6..], [1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    let (_, behind_luma) = segment(&jpeg[0], 0xdb);
    assert_eq!(behind_luma[..5], [0xff, 0xdb, 0, 131, 0x11]);
}

#[test]
fn restart_markers_get_their_interval() {
    let payloads = payloads(65, 75, &[0, 40, 0xff, 0xff], &[], scan(QUALITY_75), 600);
    let jpeg = pictures(&mut JpegDepacketizer::default(), &payloads).remove(0);
    assert_eq!(segment(&jpeg, 0xdd).0, [0, 40]);
    assert_eq!(scan(&jpeg), scan(QUALITY_75));
}

#[test]
fn an_end_marker_that_was_sent_is_not_repeated() {
    let whole = [scan(QUALITY_75), &[0xff, 0xd9]].concat();
    let payloads = payloads(1, 75, &[], &[], &whole, 1000);
    assert!(pictures(&mut JpegDepacketizer::default(), &payloads) == [QUALITY_75]);
}

#[test]
fn a_picture_with_a_loss_is_dropped_and_the_next_one_is_not() {
    let payloads = payloads(1, 75, &[], &[], scan(QUALITY_75), 600);
    for missing in 0..payloads.len() {
        let mut depacketizer = JpegDepacketizer::default();
        let mut lost = 0;
        for (index, payload) in payloads.iter().enumerate() {
            if index == missing {
                lost = 1;
                continue;
            }
            let packet = packet(payload, index + 1 == payloads.len(), 7);
            let picture = depacketizer.handle_packet(&packet, Lost(std::mem::take(&mut lost)));
            assert_eq!(picture, Ok(None), "{missing}");
        }
        assert!(pictures(&mut depacketizer, &payloads) == [QUALITY_75], "{missing}");
    }
}

#[test]
fn the_rest_of_another_picture_is_not_appended() {
    let payloads = payloads(1, 75, &[], &[], scan(QUALITY_75), 600);
    let mut depacketizer = JpegDepacketizer::default();
    assert_eq!(depacketizer.handle_packet(&packet(&payloads[0], false, 7), Lost(0)), Ok(None));
    for payload in &payloads[1..] {
        assert_eq!(depacketizer.handle_packet(&packet(payload, true, 8), Lost(0)), Ok(None));
    }
}

#[test]
fn kinds_of_jpeg_that_rfc_2435_leaves_open_are_named() {
    let data = [1, 2, 3];
    for (payload, error) in [
        (payloads(2, 75, &[], &[], &data, 9), JpegError::Type(2)),
        (payloads(66, 75, &[0; 4], &[], &data, 9), JpegError::Type(66)),
        (payloads(128, 75, &[], &[], &data, 9), JpegError::Type(128)),
        (payloads(1, 0, &[], &[], &data, 9), JpegError::Q(0)),
        (payloads(1, 100, &[], &[], &data, 9), JpegError::Q(100)),
        (payloads(1, 255, &[], &[0, 0, 0, 63], &[0; 70], 99), JpegError::Malformed),
        (vec![vec![0, 0, 0, 0, 1, 75, 0, 15, 1]], JpegError::NoSize),
        (vec![vec![0, 0, 0, 0, 1, 75, 20, 15]], JpegError::Malformed),
    ] {
        let mut depacketizer = JpegDepacketizer::default();
        let result = depacketizer.handle_packet(&packet(&payload[0], true, 1), Lost(0));
        assert_eq!(result, Err(error));
    }
}

#[test]
fn a_picture_that_never_ends_is_given_up() {
    let scan = vec![0; SNAPSHOT_BYTES_MAX];
    let mut depacketizer = JpegDepacketizer::default();
    let results = payloads(1, 75, &[], &[], &scan, 60_000);
    let results = results
        .iter()
        .map(|payload| depacketizer.handle_packet(&packet(payload, false, 1), Lost(0)).map(drop));
    assert_eq!(results.last(), Some(Err(JpegError::TooLong)));
}

#[test]
fn every_truncation_of_a_first_payload_is_an_error_or_a_shorter_picture() {
    let in_band = [&[0, 0, 0, 128], &tables(QUALITY_75)[..]].concat();
    let payload = &payloads(65, 255, &[0, 4, 0, 0], &in_band, scan(QUALITY_75), 100)[0];
    let headers = 8 + 4 + in_band.len();
    for len in 0..payload.len() {
        let mut depacketizer = JpegDepacketizer::default();
        let result = depacketizer.handle_packet(&packet(&payload[..len], true, 1), Lost(0));
        assert_eq!(result.is_ok_and(|picture| picture.is_some()), len > headers, "{len}");
    }
}

proptest! {
    #[test]
    fn arbitrary_payloads_neither_panic_nor_grow(
        parts in prop::collection::vec(
            (
                prop::collection::vec(any::<u8>(), 0..300),
                prop_oneof![Just(0u32), 0..2000u32],
                prop_oneof![Just(1u8), Just(65), any::<u8>()],
                prop_oneof![Just(75u8), Just(255), any::<u8>()],
                any::<bool>(),
                0..2u32,
            ),
            0..60,
        ),
    ) {
        let mut depacketizer = JpegDepacketizer::default();
        for (rest, offset, kind, q, marker, lost) in parts {
            let [_, high, middle, low] = offset.to_be_bytes();
            let payload = [&[0, high, middle, low, kind, q, 4, 4], &rest[..]].concat();
            let packet = packet(&payload, marker, 1);
            if let Ok(Some(picture)) = depacketizer.handle_packet(&packet, Lost(lost)) {
                prop_assert!(picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]));
                prop_assert!(picture.len() <= SNAPSHOT_BYTES_MAX);
            }
        }
    }
}
