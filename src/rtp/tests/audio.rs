//! Payloads as cameras and servers send them, including faulty ones.

use super::*;
use proptest::prelude::*;

/// Frames (time, ticks, bytes), and the causes of drops.
#[derive(Default)]
struct Heard {
    frames: Vec<(u32, u32, Vec<u8>)>,
    drops: Vec<DropCause>,
}

impl AudioSink for Heard {
    fn audio_frame(&mut self, frame: AudioUnit<'_>) {
        self.frames.push((frame.timestamp.0, frame.ticks, frame.bytes.to_vec()));
    }

    fn audio_drop(&mut self, cause: DropCause) {
        self.drops.push(cause);
    }
}

fn packet(payload: &[u8], timestamp: u32, marker: bool) -> Packet<'_> {
    let timestamp = RtpTime(timestamp);
    Packet { marker, payload_type: 97, sequence_number: 0, timestamp, ssrc: 1, payload }
}

fn heard(depacketizer: &mut AudioDepacketizer, packets: &[(&[u8], u32, bool)]) -> Heard {
    let mut heard = Heard::default();
    for (payload, timestamp, marker) in packets {
        depacketizer.handle_packet(&packet(payload, *timestamp, *marker), Lost(0), &mut heard);
    }
    heard
}

fn hbr() -> AudioDepacketizer {
    AudioDepacketizer::new("mpeg4-generic", 16_000, 1, HBR).unwrap()
}

const HBR: &str = "streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; \
                   indexdeltalength=3; config=1408";

#[test]
fn one_access_unit_per_packet() {
    let heard = heard(&mut hbr(), &[(b"\0\x10\0\x18abc", 5, true), (b"\0\x10\0\x08d", 1029, true)]);
    assert_eq!(heard.frames, [(5, 1024, b"abc".to_vec()), (1029, 1024, b"d".to_vec())]);
    assert!(heard.drops.is_empty());
}

#[test]
fn several_access_units_in_a_packet_follow_each_other() {
    let heard = heard(&mut hbr(), &[(b"\0\x20\0\x18\0\x10abcde", u32::MAX, true)]);
    assert_eq!(heard.frames, [(u32::MAX, 1024, b"abc".to_vec()), (1023, 1024, b"de".to_vec())]);
}

#[test]
fn low_bit_rate_mode_has_short_headers() {
    let parameters = "mode=AAC-lbr; config=1408; sizeLength=6; indexLength=2; indexDeltaLength=2";
    for parameters in [parameters, "mode=AAC-lbr; config=1408"] {
        let mut lbr = AudioDepacketizer::new("MPEG4-GENERIC", 16_000, 1, parameters).unwrap();
        let heard = heard(&mut lbr, &[(b"\0\x10\x08\x04abc", 0, true)]);
        assert_eq!(heard.frames, [(0, 1024, b"ab".to_vec()), (1024, 1024, b"c".to_vec())]);
    }
}

#[test]
fn headers_with_sizes_only_are_recognized_by_their_length() {
    let parameters = "streamtype=3;profile-level-id=14;mode=AAC-hbr;config=1190;sizeLength=13";
    let mut aac = AudioDepacketizer::new("mpeg4-generic", 48_000, 2, parameters).unwrap();
    let heard = heard(&mut aac, &[(&[0, 13, 0, 3 << 3, 1, 2, 3], 0, true)]);
    assert_eq!((heard.frames, heard.drops.len()), (vec![(0, 1024, vec![1, 2, 3])], 0));
}

#[test]
fn a_fragmented_access_unit_comes_whole_or_not_at_all() {
    let parts: [(&[u8], u32, bool); 2] =
        [(b"\0\x10\0\x28abc", 7, false), (b"\0\x10\0\x28de", 7, true)];
    let mut depacketizer = hbr();
    assert_eq!(heard(&mut depacketizer, &parts).frames, [(7, 1024, b"abcde".to_vec())]);
    // The middle one of three is lost.
    let mut heard = Heard::default();
    let whole = b"\0\x10\0\x30ab";
    depacketizer.handle_packet(&packet(whole, 9, false), Lost(0), &mut heard);
    depacketizer.handle_packet(&packet(whole, 9, true), Lost(1), &mut heard);
    depacketizer.handle_packet(&packet(b"\0\x10\0\x08x", 10, true), Lost(0), &mut heard);
    assert_eq!(heard.frames, [(10, 1024, b"x".to_vec())]);
    assert_eq!(heard.drops, [DropCause::Loss { packets: 1 }]);
}

#[test]
fn interleaved_access_units_are_refused() {
    let heard = heard(&mut hbr(), &[(b"\0\x20\0\x08\0\x09ab", 0, true)]);
    assert_eq!((heard.frames.len(), heard.drops), (1, vec![DropCause::Malformed]));
}

#[test]
fn an_adts_header_is_removed() {
    let adts = [0xff, 0xf1, 0x60, 0x40, 0x01, 0x3f, 0xfc, 0xaa, 0xbb];
    let payload = [&[0, 0x10, 0, 9 << 3][..], &adts].concat();
    let heard = heard(&mut hbr(), &[(&payload, 0, true)]);
    assert_eq!(heard.frames, [(0, 1024, vec![0xaa, 0xbb])]);
}

#[test]
fn latm_with_its_configuration_in_the_sdp() {
    // As GStreamer and live555 write it: LC, 16 kHz, mono.
    let parameters = "cpresent=0;config=400028103fc0";
    let mut depacketizer = AudioDepacketizer::new("MP4A-LATM", 16_000, 1, parameters).unwrap();
    assert_eq!(depacketizer.format().unwrap().configuration(), [0x14, 0x08]);
    let long = [&[255, 45][..], &[7; 300]].concat();
    let (first, rest) = long.split_at(100);
    let heard = heard(
        &mut depacketizer,
        &[
            (b"\x03abc", 0, true),
            (first, 1024, false),
            (rest, 1024, true),
            (b"\x05abc", 2048, true),
        ],
    );
    assert_eq!(heard.frames, [(0, 1024, b"abc".to_vec()), (1024, 1024, vec![7; 300])]);
    assert_eq!(heard.drops, [DropCause::Malformed]);
}

#[test]
fn a_latm_element_is_not_repeated_with_the_next_one_of_the_same_time() {
    let parameters = "cpresent=0; config=400028103fc0";
    let mut latm = AudioDepacketizer::new("MP4A-LATM", 16_000, 1, parameters).unwrap();
    let heard = heard(&mut latm, &[(b"\x03a", 7, false), (b"bc", 7, true), (b"\x01d", 7, true)]);
    assert_eq!(heard.frames, [(7, 1024, b"abc".to_vec()), (7, 1024, b"d".to_vec())]);
}

#[test]
fn latm_configuration_of_gstreamer_ends_early_and_has_an_extension() {
    let parameters = "cpresent=0;config=40002810adca00";
    let depacketizer = AudioDepacketizer::new("MP4A-LATM", 16_000, 1, parameters).unwrap();
    let format = depacketizer.format().unwrap();
    assert_eq!(format.configuration(), [0x14, 0x08, 0x56, 0xe5, 0x00]);
    assert_eq!((format.name(), format.channels()), ("AAC", 1));
}

#[test]
fn latm_with_its_configuration_in_the_stream() {
    let mut depacketizer = AudioDepacketizer::new("MP4A-LATM", 16_000, 1, "").unwrap();
    assert!(depacketizer.format().is_none());
    let config = "0_0_1_000000_0000_000_00010_1000_0001_0_0_0_000_11111111_0_0";
    let element = |head: &str, payload: &str| {
        let digits: Vec<u8> =
            [head, payload].concat().bytes().filter(|it| *it != b'_').map(|it| it - b'0').collect();
        let byte =
            |bits: &[u8]| bits.iter().enumerate().fold(0, |byte, (n, bit)| byte | bit << (7 - n));
        digits.chunks(8).map(byte).collect::<Vec<u8>>()
    };
    let payload = "00000010_01100001_01100010"; // two bytes: ab
    let (same, full) = (element("1", payload), element(config, payload));
    let packets: [(&[u8], u32, bool); 4] =
        [(&same, 0, true), (&full, 1024, true), (&same, 2048, true), (&full, 3072, true)];
    let mut result = Heard::default();
    let mut formats = Vec::new();
    for (payload, timestamp, marker) in packets {
        depacketizer.handle_packet(&packet(payload, timestamp, marker), Lost(0), &mut result);
        formats.extend(depacketizer.format().cloned());
    }
    assert_eq!(result.frames.iter().map(|it| it.0).collect::<Vec<_>>(), [1024, 2048, 3072]);
    assert!(result.frames.iter().all(|frame| frame.2 == b"ab") && result.drops.is_empty());
    assert!(formats.iter().all(|format| Arc::ptr_eq(format, &formats[0])));
}

#[test]
fn opus_and_g711_have_one_frame_per_packet() {
    let mut opus = AudioDepacketizer::new("opus", 48_000, 2, "sprop-stereo=0").unwrap();
    assert_eq!(heard(&mut opus, &[(&[0x08, 1], 3, false)]).frames, [(3, 960, vec![8, 1])]);
    let mut pcma = AudioDepacketizer::new("PCMA", 8000, 1, "").unwrap();
    assert_eq!(heard(&mut pcma, &[(&[1; 160], 3, false)]).frames, [(3, 160, vec![1; 160])]);
}

#[test]
fn formats_that_cannot_be_recorded_are_refused() {
    for (encoding, clock_rate, parameters) in [
        ("G726-32", 8000, ""),
        ("MPA", 90_000, ""),
        ("opus", 8000, ""),
        ("MPEG4-GENERIC", 16_000, "mode=AAC-hbr"),
        ("MPEG4-GENERIC", 16_000, "mode=AAC-hbr; config=14"),
        ("MPEG4-GENERIC", 16_000, "mode=AAC-hbr; config=1408x"),
        ("MPEG4-GENERIC", 16_000, "config=1408; CTSDeltaLength=4"),
        ("MPEG4-GENERIC", 16_000, "config=1408; sizeLength=40"),
        ("MP4A-LATM", 16_000, "cpresent=0"),
        ("MP4A-LATM", 16_000, "cpresent=0; config=ffff"),
    ] {
        let made = AudioDepacketizer::new(encoding, clock_rate, 1, parameters);
        assert!(made.is_none(), "{encoding} {parameters}");
    }
}

fn all() -> [AudioDepacketizer; 5] {
    [
        ("MPEG4-GENERIC", HBR),
        ("MP4A-LATM", "cpresent=0;config=400028103fc0"),
        ("MP4A-LATM", ""),
        ("PCMU", ""),
        ("MPEG4-GENERIC", "config=1408; sizeLength=0; indexLength=0; indexDeltaLength=0"),
    ]
    .map(|(encoding, parameters)| AudioDepacketizer::new(encoding, 16_000, 1, parameters).unwrap())
}

proptest! {
    #[test]
    fn any_bytes_are_frames_or_drops_within_the_bounds(
        packets in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..600), 0u32..4, any::<bool>(), 0u32..2),
            0..40,
        ),
    ) {
        for mut depacketizer in all() {
            let mut heard = Heard::default();
            for (payload, timestamp, marker, lost) in &packets {
                let packet = packet(payload, *timestamp, *marker);
                depacketizer.handle_packet(&packet, Lost(*lost), &mut heard);
            }
            for (_, ticks, bytes) in &heard.frames {
                prop_assert!(*ticks > 0 && !bytes.is_empty() && bytes.len() <= AUDIO_FRAME_BYTES_MAX);
            }
            let gathered = depacketizer.gathered.bytes.len();
            prop_assert!(gathered <= AUDIO_FRAME_BYTES_MAX + 1, "{}", gathered);
        }
    }
}
