mod collector;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::limits::{
    PARAMETER_SET_BYTES_MAX, PARAMETER_SETS_BYTES_MAX, PARAMETER_SETS_STILL_PICTURES,
};

/// x264, 1080p, High, 4:2:0.
const HIGH: [&str; 2] = ["67640028acd940780227e5c044000003000400000300c83c60c658", "68ef8fcb"];
/// x264, 640x360 at 30000/1001, Constrained Baseline.
const BASELINE: [&str; 2] = ["6742c01ed900a02ff9701100000303e90000ea600f162e48", "68cb83cb20"];
/// x264, 720x576 interlaced, 4:2:2, 10 bits, scaling lists, NAL HRD.
const HIGH_422: [&str; 2] = [
    "677a001eb6cd940b424d820800000300080000030193130007a12000f425261807c50a6580",
    "68fba3cb3002c0",
];
/// x265, 720p, Main.
const MAIN: [&str; 3] = [
    "40010c01ffff01600000030090000003000003005d959809",
    "42010101600000030090000003000003005da00280802d165959a4932bc05a020000030002000003003210",
    "4401c172b46240",
];
/// x265, 1080p at 30/1, Main 10, two temporal layers, scaling lists, HRD.
const MAIN_10: [&str; 3] = [
    "40010c02ffff02200000030090000003000003007800009598acc048",
    "4201020220000003009000000300000300780000a003c08010e4d965662b349272bc39a020000003002000000303\
     cc1392cdc001e848003d0970007a12000f4244",
    "4401c172b46240",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn collect(codec: Codec, nals: &[&str]) -> Option<Arc<ParameterSets>> {
    let mut collector = Collector::new(codec);
    nals.iter().for_each(|nal| collector.offer(&bytes(nal)));
    collector.current()
}

fn picture(width: u32, height: u32, frame_rate: (u32, u32), reorder: u8) -> PictureFormat {
    PictureFormat {
        width,
        height,
        sample_aspect: (1, 1),
        frame_rate: Some(frame_rate),
        reorder: Some(reorder),
        fields: false,
        full_range: false,
    }
}

#[test]
fn h264_pictures_are_as_encoded() {
    let sets = collect(Codec::H264, &HIGH).unwrap();
    assert_eq!(*sets.picture(), picture(1920, 1080, (25, 1), 2));
    let sets = collect(Codec::H264, &BASELINE).unwrap();
    assert_eq!(*sets.picture(), picture(640, 360, (30_000, 1001), 0));
    let sets = collect(Codec::H264, &HIGH_422).unwrap();
    let expected =
        PictureFormat { sample_aspect: (16, 11), fields: true, ..picture(720, 576, (25, 1), 2) };
    assert_eq!(*sets.picture(), expected);
}

#[test]
fn h265_pictures_are_as_encoded() {
    let sets = collect(Codec::H265, &MAIN).unwrap();
    assert_eq!(*sets.picture(), picture(1280, 720, (25, 1), 2));
    let sets = collect(Codec::H265, &MAIN_10).unwrap();
    let expected = PictureFormat { sample_aspect: (4, 3), ..picture(1920, 1080, (30, 1), 2) };
    assert_eq!(*sets.picture(), expected);
}

/// x264 and x265, 128x96, `video_full_range_flag`.
#[test]
fn a_picture_that_uses_all_values_of_a_sample_is_known() {
    let sets = ["6764000aacd9420db016c80000030008000003019078912cb0", "68ebe3cb22c0"];
    let h264 = collect(Codec::H264, &sets).unwrap();
    let sequence =
        "42010101600000030090000003000003001ea010206165959a4932bc05b02000000300200000030321";
    let h265 = collect(Codec::H265, &[MAIN[0], sequence, MAIN[2]]).unwrap();
    for sets in [h264, h265] {
        let expected = PictureFormat { full_range: true, ..picture(128, 96, (25, 1), 2) };
        assert_eq!(*sets.picture(), expected);
    }
}

/// As written by FFmpeg 4.4 for the same streams.
#[test]
fn decoder_configurations_are_those_of_ffmpeg() {
    let avcc = |nals| collect(Codec::H264, nals).unwrap().decoder_configuration();
    let high = "01640028ffe1001b67640028acd940780227e5c044000003000400000300c83c60c65801000468ef8f\
                cbfdf8f800";
    assert_eq!(avcc(&HIGH), bytes(high));
    let high_422 = "017a001effe10025677a001eb6cd940b424d820800000300080000030193130007a12000f425261\
                    807c50a658001000768fba3cb3002c0fefafa00";
    assert_eq!(avcc(&HIGH_422), bytes(high_422));
    let baseline = "0142c01effe100186742c01ed900a02ff9701100000303e90000ea600f162e4801000568cb83cb\
                    20";
    assert_eq!(avcc(&BASELINE), bytes(baseline));

    let hvcc = |nals| collect(Codec::H265, nals).unwrap().decoder_configuration();
    let main = "0101600000009000000000005df000fcfdf8f800000f03a00001001840010c01ffff016000000300900\
                00003000003005d959809a10001002b42010101600000030090000003000003005da00280802d165959\
                a4932bc05a020000030002000003003210a2000100074401c172b46240";
    assert_eq!(hvcc(&MAIN), bytes(main));
    // except min_spatial_segmentation_idc, which it reads from the VUI
    let main_10 = "01022000000090000000000078f000fcfdfafa00001303a00001001c40010c02ffff022000000300\
                   90000003000003007800009598acc048a100010041420102022000000300900000030000030078\
                   0000a003c08010e4d965662b349272bc39a020000003002000000303cc1392cdc001e848003d097\
                   0007a12000f4244a2000100074401c172b46240";
    assert_eq!(hvcc(&MAIN_10), bytes(main_10));
}

#[test]
fn mime_types_are_those_of_rfc_6381() {
    let mime = |codec, nals| collect(codec, nals).unwrap().mime();
    assert_eq!(mime(Codec::H264, &HIGH), "avc1.640028");
    assert_eq!(mime(Codec::H264, &BASELINE), "avc1.42C01E");
    assert_eq!(mime(Codec::H265, &MAIN), "hvc1.1.6.L93.90");
    assert_eq!(mime(Codec::H265, &MAIN_10), "hvc1.2.4.L120.90");

    let mut high_tier = String::new();
    h265::mime(&[0x61, 0x60, 0, 0, 0, 0xb0, 0, 0x0c, 0, 0, 0, 93], &mut high_tier);
    assert_eq!(high_tier, "hvc1.A1.6.H93.B0.0.C");
    let mut plain = String::new();
    h265::mime(&[4, 0, 0, 0, 0x18, 0, 0, 0, 0, 0, 0, 30], &mut plain);
    assert_eq!(plain, "hvc1.4.18000000.L30");
}

/// SDPs and in-band sets as reported for these products.
#[test]
fn sets_of_real_cameras_are_read() {
    let size = |codec, nals: &[&str]| {
        collect(codec, nals).map(|sets| (sets.picture().width, sets.picture().height))
    };
    let hikvision = ["674d002a963540f0044fcb370101014000 01c2000057e401", "68ee3c80"];
    let hikvision = hikvision.map(|nal| nal.replace(' ', ""));
    assert_eq!(size(Codec::H264, &[&hikvision[0], &hikvision[1]]), Some((1920, 1080)));
    let axis = ["6742002 9e2900a00cb602dc040406907891150", "68ce3c80"];
    let axis = axis.map(|nal| nal.replace(' ', ""));
    assert_eq!(size(Codec::H264, &[&axis[0], &axis[1]]), Some((1280, 800)));
    let d1 = ["674d401e95a0280bfe59b010", "68ee3c80"];
    assert_eq!(size(Codec::H264, &d1), Some((640, 360)));
}

#[test]
fn the_same_sets_again_give_the_same_arc() {
    let mut collector = Collector::new(Codec::H265);
    MAIN.iter().for_each(|nal| collector.offer(&bytes(nal)));
    let first = collector.current().unwrap();
    MAIN.iter().for_each(|nal| collector.offer(&bytes(nal)));
    assert!(Arc::ptr_eq(&first, &collector.current().unwrap()));
}

#[test]
fn another_sequence_of_the_same_id_takes_the_place_of_the_first() {
    let mut collector = Collector::new(Codec::H264);
    HIGH.iter().for_each(|nal| collector.offer(&bytes(nal)));
    let first = collector.current().unwrap();
    BASELINE.iter().for_each(|nal| collector.offer(&bytes(nal)));
    let second = collector.current().unwrap();
    assert_eq!((first.picture().width, second.picture().width), (1920, 640));
    assert_eq!(second.nals().count(), 2);
}

#[test]
fn the_newer_of_two_sequences_is_active_and_stays_so() {
    let other = sequence_with_id(1);
    let mut collector = Collector::new(Codec::H264);
    HIGH.iter().for_each(|nal| collector.offer(&bytes(nal)));
    collector.offer(&other);
    assert_eq!(collector.current().unwrap().picture().width, 1920, "no PPS refers to it yet");
    collector.offer(&nal_of_bits(&[0x68], "010 010 11")); // PPS 1 of SPS 1
    let both = collector.current().unwrap();
    assert_eq!((both.picture().width, both.nals().count()), (32, 4));
    collector.offer(&bytes(HIGH[0]));
    assert!(Arc::ptr_eq(&both, &collector.current().unwrap()));
}

#[test]
fn nothing_is_in_force_before_the_set_is_complete() {
    assert_eq!(collect(Codec::H264, &HIGH[..1]), None);
    assert_eq!(collect(Codec::H264, &HIGH[1..]), None);
    for missing in 0..3 {
        let mut nals = MAIN.to_vec();
        nals.remove(missing);
        assert_eq!(collect(Codec::H265, &nals), None);
    }
}

#[test]
fn junk_after_the_sps() {
    for (codec, nals) in [(Codec::H264, &HIGH[..]), (Codec::H265, &MAIN[..])] {
        let mut collector = Collector::new(codec);
        nals.iter().for_each(|nal| collector.offer(&bytes(nal)));
        let clean = collector.current().unwrap();
        for junk in [&[0][..], &[0, 0, 0], &[0x12, 0x34], &[0, 0, 3, 1, 0xff], &[0x80]] {
            let sps = nals[nals.len() - 2];
            collector.offer(&[&bytes(sps), junk].concat());
            assert!(Arc::ptr_eq(&clean, &collector.current().unwrap()), "{junk:02x?}");
        }
        let mut collector = Collector::new(codec);
        nals.iter().for_each(|nal| collector.offer(&[&bytes(nal)[..], &[0, 0, 3]].concat()));
        assert_eq!(collector.current().unwrap(), clean);
    }
}

#[test]
fn sets_of_further_layers_are_ignored() {
    let mut nals: Vec<Vec<u8>> = MAIN.iter().map(|nal| bytes(nal)).collect();
    nals[1][1] |= 1 << 3;
    let mut collector = Collector::new(Codec::H265);
    nals.iter().for_each(|nal| collector.offer(nal));
    assert_eq!(collector.current(), None);
}

#[test]
fn hostile_sizes_are_refused() {
    let mut collector = Collector::new(Codec::H264);
    collector.offer(&bytes(HIGH[1]));
    // 2^32 - 2 macroblocks wide, and a cropping rectangle larger than the picture
    collector.offer(&sequence_bits("1 1 1 011 010 0 00000000000000000000000000000000 1"));
    collector.offer(&sequence_bits("1 1 1 011 010 0 010 010 1 1 1 00000100000 1 1 1 0"));
    collector.offer(&vec![0x67; PARAMETER_SET_BYTES_MAX + 1]);
    assert_eq!(collector.current(), None);
}

#[test]
fn the_set_that_changed_longest_ago_makes_way() {
    let mut collector = Collector::new(Codec::H264);
    collector.offer(&sequence_with_id(0));
    let picture = |id| {
        let nal = nal_of_bits(&[0x68], &format!("{} 1 11", code(id)));
        [&nal[..], &[1; 1000]].concat()
    };
    let count = (PARAMETER_SETS_BYTES_MAX / 1000) as u32 + 1;
    (0..count).for_each(|id| collector.offer(&picture(id)));
    collector.offer(&[&picture(0)[..], &[2]].concat());
    let mut is_known = |id| collector.begin_picture(Some(id), RandomAccess::None).0.is_some();
    assert!(is_known(0), "it changed last");
    assert!(!is_known(1));
    assert!((2..count).all(is_known));
}

#[test]
fn every_truncation_of_a_sequence_is_refused_or_keeps_its_size() {
    let all = [
        (Codec::H264, HIGH[0]),
        (Codec::H264, BASELINE[0]),
        (Codec::H264, HIGH_422[0]),
        (Codec::H265, MAIN[1]),
        (Codec::H265, MAIN_10[1]),
    ];
    for (codec, nal) in all {
        let nal = bytes(nal);
        let parse = |nal: &[u8]| match codec {
            Codec::H264 => h264::sequence(nal),
            Codec::H265 => h265::sequence(nal),
        };
        let whole = parse(&nal).unwrap();
        assert_eq!(whole.length, Some(nal.len()), "{codec:?} {nal:02x?}");
        assert_eq!(parse(&nal[..8]), None);
        for length in 0..nal.len() {
            if let Some(part) = parse(&nal[..length]) {
                let size = |sequence: &Sequence| (sequence.picture.width, sequence.picture.height);
                assert_eq!(size(&part), size(&whole));
            }
        }
    }
}

fn without_set(kind: NalKind) -> NalKind {
    match kind {
        NalKind::Slice(slice) => NalKind::Slice(Slice { picture_set: None, ..slice }),
        other => other,
    }
}

#[test]
fn h264_nal_units_are_told_apart() {
    let kind = |nal: &[u8]| without_set(Codec::H264.classify(nal));
    let slice = |place, access, reference| {
        let picture_set = None;
        NalKind::Slice(Slice { place, access, leading: Leading::None, reference, picture_set })
    };
    assert_eq!(kind(&[0x65, 0x88]), slice(SlicePosition::First, RandomAccess::Idr, true));
    assert_eq!(kind(&[0x65, 0x40]), slice(SlicePosition::Further, RandomAccess::Idr, true));
    assert_eq!(kind(&[0x41, 0x9a]), slice(SlicePosition::First, RandomAccess::None, true));
    assert_eq!(kind(&[0x01, 0x9e]), slice(SlicePosition::First, RandomAccess::None, false));
    assert_eq!(kind(&[0x03, 0x80]), slice(SlicePosition::Partition, RandomAccess::None, false));
    assert_eq!(kind(&[0x06, 6, 1, 0xc0]), NalKind::RecoveryPoint);
    assert_eq!(kind(&[0x06, 0, 2, 9, 9, 1, 1, 9, 6, 1, 0xc0]), NalKind::RecoveryPoint);
    assert_eq!(kind(&[0x06, 6, 1, 0x40]), NalKind::RecoveryPoint, "recovery_frame_cnt 1");
    let told = |nal: &[u8]| match Codec::H264.classify(nal) {
        NalKind::Slice(slice) => (slice.access, slice.picture_set),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&[0x41, 0x88, 0x84]), (RandomAccess::RecoveryPoint, Some(0)), "I slices alone");
    assert_eq!(told(&[0x41, 0x99, 0x5f]), (RandomAccess::None, Some(1)), "P");
    assert_eq!(told(&[0x41, 0xb8, 0x80]), (RandomAccess::None, Some(0)), "others are no I slices");
    // pic_parameter_set_id 255, and one more
    assert_eq!(told(&[0x65, 0x88, 0x00, 0x80, 0x00]), (RandomAccess::Idr, Some(255)));
    assert_eq!(told(&[0x65, 0x88, 0x00, 0x80, 0x80]), (RandomAccess::Idr, None));
    assert_eq!(kind(&[0x06, 5, 255, 255]), NalKind::Prefix);
    for (header, expected) in [
        (0x67, NalKind::ParameterSet),
        (0x68, NalKind::ParameterSet),
        (0x09, NalKind::Void),
        (0x0c, NalKind::Void),
        (0x0a, NalKind::Suffix),
        (0x65, NalKind::Void),
    ] {
        assert_eq!(kind(&[header]), expected, "{header:x}");
    }
    assert_eq!(kind(&[]), NalKind::Void);
}

#[test]
fn h265_nal_units_are_told_apart() {
    let kind = |kind: u8, byte: u8| without_set(Codec::H265.classify(&[kind << 1, 1, byte]));
    let slice = |place, access, leading, reference| {
        let picture_set = None;
        NalKind::Slice(Slice { place, access, leading, reference, picture_set })
    };
    use {Leading as L, RandomAccess as R, SlicePosition as P};
    assert_eq!(kind(19, 0x80), slice(P::First, R::Idr, L::None, true));
    assert_eq!(kind(20, 0x7f), slice(P::Further, R::Idr, L::None, true));
    assert_eq!(kind(21, 0x80), slice(P::First, R::Cra, L::None, true));
    assert_eq!(kind(16, 0x80), slice(P::First, R::Bla, L::None, true));
    assert_eq!(kind(0, 0x80), slice(P::First, R::None, L::None, false));
    assert_eq!(kind(1, 0x80), slice(P::First, R::None, L::None, true));
    assert_eq!(kind(6, 0x80), slice(P::First, R::None, L::Decodable, false));
    assert_eq!(kind(9, 0x80), slice(P::First, R::None, L::Skipped, true));
    assert_eq!([32, 33, 34].map(|it| kind(it, 1)), [NalKind::ParameterSet; 3]);
    assert_eq!([39, 41].map(|it| kind(it, 1)), [NalKind::Prefix; 2]);
    assert_eq!([36, 37, 40].map(|it| kind(it, 1)), [NalKind::Suffix; 3]);
    assert_eq!([35, 38, 48].map(|it| kind(it, 1)), [NalKind::Void; 3]);
    assert_eq!(Codec::H265.classify(&[39 << 1, 1, 6, 1, 0x80]), NalKind::RecoveryPoint);
    assert_eq!(Codec::H265.classify(&[40 << 1, 1, 6, 1, 0x80]), NalKind::Suffix);
    let picture_set = |nal: &[u8]| match Codec::H265.classify(nal) {
        NalKind::Slice(slice) => slice.picture_set,
        other => panic!("{other:?}"),
    };
    // after first_slice_segment_in_pic_flag, and no_output_of_prior_pics_flag of an IDR
    assert_eq!(picture_set(&[1 << 1, 1, 0b1100_0000]), Some(0));
    assert_eq!(picture_set(&[19 << 1, 1, 0b1001_0000]), Some(1));
    assert_eq!(Codec::H265.classify(&[19 << 1, 1]), NalKind::Void);
    assert_eq!(Codec::H265.classify(&[19 << 1, 9, 0x80]), NalKind::Suffix, "layer 1");
}

/// A NAL unit built from its header and the bits of its payload; spaces are for readability.
fn nal_of_bits(header: &[u8], bits: &str) -> Vec<u8> {
    let mut bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
    bits.push(1);
    bits.resize(bits.len().next_multiple_of(8), 0);
    let payload = bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit));
    header.iter().copied().chain(payload).collect()
}

/// A baseline SPS built from the bits after its level.
fn sequence_bits(bits: &str) -> Vec<u8> {
    nal_of_bits(&[0x67, 66, 0, 30], bits)
}

/// A baseline SPS of 32x32 samples.
fn sequence_with_id(id: u32) -> Vec<u8> {
    // log2_max_frame_num, order type 2, references, gaps, width, height, frames, 8x8, crop, vui
    sequence_bits(&format!("{} 1 011 010 0 010 010 1 1 0 0", code(id)))
}

/// The Exp-Golomb code of a number.
fn code(number: u32) -> String {
    let code = format!("{:b}", number + 1);
    "0".repeat(code.len() - 1) + &code
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        h265: bool,
        nals in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8),
        flips in prop::collection::vec((0usize..3, 0usize..60, any::<u8>()), 0..6),
    ) {
        let codec = if h265 { Codec::H265 } else { Codec::H264 };
        let real = if h265 { &MAIN_10[..] } else { &HIGH_422[..] };
        let mut damaged: Vec<Vec<u8>> = real.iter().map(|nal| bytes(nal)).collect();
        for (nal, byte, value) in flips {
            if let Some(byte) = damaged.get_mut(nal).and_then(|nal| nal.get_mut(byte)) {
                *byte = value;
            }
        }
        let mut collector = Collector::new(codec);
        for nal in damaged.iter().chain(&nals) {
            codec.classify(nal);
            collector.offer(nal);
            if let Some(sets) = collector.current() {
                prop_assert!(sets.picture().width <= 16_384 && sets.picture().width > 0);
                prop_assert!(sets.decoder_configuration().len() > 10);
                prop_assert!(sets.mime().len() > 8);
            }
        }
    }
}
