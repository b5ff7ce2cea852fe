mod fragments;
mod quirks;

use super::*;
use std::sync::Arc;

/// x264, 1080p.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03,
    0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xef, 0x8f, 0xcb];
/// x264, 640x360.
const OTHER_SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x03, 0xe9,
    0x00, 0x00, 0xea, 0x60, 0x0f, 0x16, 0x2e, 0x48,
];
/// x264, interlaced.
const INTERLACED_SPS: &[u8] = &[
    0x67, 0x7a, 0x00, 0x1e, 0xb6, 0xcd, 0x94, 0x0b, 0x42, 0x4d, 0x82, 0x08, 0x00, 0x00, 0x03, 0x00,
    0x08, 0x00, 0x00, 0x03, 0x01, 0x93, 0x13, 0x00, 0x07, 0xa1, 0x20, 0x00, 0xf4, 0x25, 0x26, 0x18,
    0x07, 0xc5, 0x0a, 0x65, 0x80,
];
const SEI: &[u8] = &[0x06, 0x05, 0x02, 0x11, 0x22, 0x80];
const RECOVERY_POINT: &[u8] = &[0x06, 0x06, 0x01, 0xc4, 0x80];
const DELIMITER: &[u8] = &[0x09, 0xf0];
const START_CODE: &[u8] = &[0, 0, 0, 1];

/// The first slice of an IDR picture.
fn idr() -> Vec<u8> {
    filled(&[0x65, 0x88, 0x84, 0x04], 30)
}

/// A further slice of that picture, from macroblock 1 on.
fn idr_further() -> Vec<u8> {
    filled(&[0x65, 0x42, 0x21, 0x02], 20)
}

/// The only slice of a P picture.
fn inter() -> Vec<u8> {
    filled(&[0x41, 0x9a, 0x21], 10)
}

fn run() -> Run {
    Run::new(Codec::H264, &[SPS, PPS])
}

/// A run whose first access unit, at time 0, has proved that marker bits end access units.
fn proven_run() -> Run {
    let mut run = run();
    run.packet(0, Mark::Set, &idr()).packet(1, Mark::Set, &idr());
    run.out.units.clear();
    run
}

/// FU-A packets of at most `size` bytes of payload each.
fn fragments(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = nal[1..].len().div_ceil(size);
    let pieces = nal[1..].chunks(size).enumerate();
    pieces
        .map(|(index, piece)| {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index + 1 == count { 0x40 } else { 0 };
            [&[nal[0] & 0xe0 | 28, start | end | nal[0] & 0x1f], piece].concat()
        })
        .collect()
}

#[test]
fn marker_bit_ends_the_access_unit() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, &idr());
    assert!(run.out.times().is_empty());
    run.packet(10, Mark::Set, &idr_further());
    assert_eq!(run.out.nals(), [[idr(), idr_further()]]);
    let unit = &run.out.units[0].0;
    assert_eq!(
        (unit.access, unit.leading, unit.reference),
        (RandomAccess::Idr, Leading::None, true)
    );
    assert_eq!(unit.parameter_sets.picture().width, 1920);
}

#[test]
fn the_first_access_unit_waits_for_the_next_packet() {
    let mut run = run();
    run.packet(5, Mark::Set, &idr());
    assert!(run.out.times().is_empty());
    run.packet(6, Mark::Set, &inter());
    assert_eq!(run.out.times(), [5, 6]);
    assert_eq!(run.out.units[1].0.access, RandomAccess::None);
}

#[test]
fn another_time_stamp_ends_the_access_unit() {
    let mut run = run();
    for time in [3, 4, 5] {
        run.packet(time, Mark::Clear, &idr());
    }
    assert_eq!(run.out.times(), [3, 4]);
    assert_eq!(run.end().out.times(), [3, 4]);
    assert_eq!(run.out.drops, [DropCause::Incomplete]);
}

#[test]
fn every_way_to_pack_nal_units_gives_the_same_unit() {
    let whole = [SEI.to_vec(), idr(), idr_further()];
    let [sei, idr, further] = &whole;
    let single = whole.to_vec();
    let stap_a = vec![aggregate(&[24], &[sei, idr, further])];
    let mut fu_a = vec![sei.clone()];
    fu_a.extend(fragments(idr, 7));
    fu_a.extend(fragments(further, 1));
    for (index, payloads) in [single, stap_a, fu_a].iter().enumerate() {
        let mut run = proven_run();
        for (number, payload) in payloads.iter().enumerate() {
            let marker = if number + 1 == payloads.len() { Mark::Set } else { Mark::Clear };
            run.packet(10, marker, payload);
        }
        assert_eq!(run.out.nals(), std::slice::from_ref(&whole), "way {index}");
        assert_eq!(run.out.drops, []);
    }
}

#[test]
fn packets_of_the_interleaved_mode_are_malformed() {
    for kind in [25, 26, 27, 29] {
        let mut run = proven_run();
        run.packet(10, Mark::Set, &aggregate(&[kind, 0, 9], &[&idr()]));
        run.packet(11, Mark::Set, &inter());
        assert_eq!(run.out.times(), [11]);
        assert_eq!(run.out.drops, [DropCause::Malformed]);
    }
}

#[test]
fn parameter_sets_delimiters_and_filler_are_left_out_of_samples() {
    let mut run = proven_run();
    let filler = [0x0c, 0xff, 0xff, 0x80];
    let nals = [DELIMITER, SPS, PPS, SEI, &idr(), &filler];
    run.packet(10, Mark::Set, &aggregate(&[24], &nals));
    assert_eq!(run.out.nals(), [[SEI.to_vec(), idr()]]);
}

#[test]
fn every_truncation_of_every_packet_is_dropped_or_shorter() {
    let payloads = [idr(), aggregate(&[24], &[SPS, &idr()]), fragments(&idr(), 100).remove(0)];
    for payload in payloads {
        for length in 0..=payload.len() {
            let mut run = proven_run();
            run.packet(10, Mark::Set, &payload[..length]).packet(11, Mark::Set, &inter());
            let times = run.out.times();
            assert_eq!(times.last(), Some(&11), "{length} of {payload:02x?}");
            assert!(length < payload.len() || times == [10, 11]);
            for nal in run.out.nals().iter().flatten() {
                assert!(idr().starts_with(nal) || SEI.starts_with(nal) || *nal == inter());
            }
        }
    }
}

#[test]
fn a_truncated_aggregate_drops_the_access_unit() {
    let mut run = proven_run();
    let payload = aggregate(&[24], &[&idr(), &idr_further()]);
    run.packet(10, Mark::Set, &payload[..payload.len() - 1]);
    assert_eq!(run.out.drops, [DropCause::Malformed]);
    assert!(run.out.times().is_empty());
}

#[test]
fn zeros_after_an_aggregate_end_it() {
    for zeros in 0..5 {
        let mut run = proven_run();
        let payload = [aggregate(&[24], &[SEI, &idr()]), vec![0; zeros]].concat();
        run.packet(10, Mark::Clear, &payload).packet(10, Mark::Set, &idr_further());
        assert_eq!(run.out.nals(), [[SEI.to_vec(), idr(), idr_further()]], "{zeros}");
        assert_eq!(run.out.drops, []);
    }
}

/// Loses each packet of three access units in turn: the units left are whole.
#[test]
fn a_loss_at_any_place_leaves_whole_units_only() {
    let mut packets = Vec::new();
    for time in [10, 20, 30] {
        let mut unit = vec![SEI.to_vec()];
        unit.extend(fragments(&idr(), 8));
        unit.push(idr_further());
        let last = unit.len() - 1;
        let marked = |index| if index == last { Mark::Set } else { Mark::Clear };
        packets.extend(unit.into_iter().enumerate().map(|(i, bytes)| (time, marked(i), bytes)));
    }
    for missing in 0..packets.len() {
        let mut run = proven_run();
        let mut lost = 0;
        for (index, (time, marker, payload)) in packets.iter().enumerate() {
            if index == missing {
                lost = 1;
                continue;
            }
            run.packet_after_loss(lost, *time, *marker, payload);
            lost = 0;
        }
        run.end();
        let whole = [SEI.to_vec(), idr(), idr_further()];
        for nals in run.out.nals() {
            assert!(nals == whole || nals == whole[1..], "without {missing}: {nals:02x?}");
        }
        let expected = if missing % (packets.len() / 3) == 0 { 3 } else { 2 };
        assert_eq!(run.out.units.len(), expected, "without {missing}");
        let told = run.out.drops.contains(&DropCause::Loss { packets: 1 });
        assert!(told || missing + 1 == packets.len());
    }
}

#[test]
fn a_run_that_begins_inside_a_unit_drops_it() {
    let mut run = run();
    let pieces = fragments(&idr(), 8);
    run.packet(1, Mark::Clear, &pieces[1]).packet(1, Mark::Set, &pieces[3]);
    run.packet(2, Mark::Set, &idr_further());
    run.packet(3, Mark::Set, &idr()).packet(4, Mark::Set, &inter());
    assert_eq!(run.out.times(), [3, 4]);
    assert_eq!(run.out.drops, [DropCause::Incomplete; 2]);
}

#[test]
fn a_slice_without_its_last_fragment_is_never_passed_on() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, &fragments(&idr(), 8)[0]);
    run.packet(11, Mark::Set, &inter());
    assert_eq!(run.out.times(), [11]);
    assert_eq!(run.out.drops, [DropCause::Malformed]);
}

#[test]
fn the_end_of_a_run_passes_on_a_complete_unit() {
    let mut run = run();
    run.packet(5, Mark::Set, &idr()).end();
    assert_eq!(run.out.times(), [5]);
    run.packet(6, Mark::Clear, &idr()).end();
    assert_eq!(run.out.times(), [5]);
    assert_eq!(run.out.drops, [DropCause::Incomplete]);
}

#[test]
fn an_exact_recovery_point_is_a_random_access_point() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, RECOVERY_POINT).packet(10, Mark::Set, &inter());
    run.packet(11, Mark::Set, &inter());
    let access: Vec<RandomAccess> = run.out.units.iter().map(|(unit, _)| unit.access).collect();
    assert_eq!(access, [RandomAccess::RecoveryPoint, RandomAccess::None]);
}

#[test]
fn a_unit_of_disposable_slices_is_not_a_reference() {
    let mut run = proven_run();
    run.packet(10, Mark::Set, &filled(&[0x01, 0x9a, 0x21], 9));
    assert!(!run.out.units[0].0.reference);
}

#[test]
fn the_other_codec_is_recognized_by_its_sets() {
    let hevc: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x5d, 0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x59, 0xa4, 0x93, 0x2b, 0xc0,
        0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x10,
    ];
    let [h264, h265] = [Codec::H264, Codec::H265].map(|codec| Depacketizer::new(codec, &[]));
    let vps = filled(&[0x40, 0x01, 0x0c, 0x01, 0xff, 0xff], 16);
    for payload in [vps, hevc.to_vec(), aggregate(&[0x60, 0x01], &[&[0x40, 0x01, 0x0c], hevc])] {
        assert_eq!(h264.contradicted_by(&payload), Some(Codec::H265));
        assert_eq!(h265.contradicted_by(&payload), None);
    }
    for payload in [SPS.to_vec(), aggregate(&[0x78], &[SEI, SPS])] {
        assert_eq!(h265.contradicted_by(&payload), Some(Codec::H264));
        assert_eq!(h264.contradicted_by(&payload), None);
    }
    for payload in [&inter()[..], PPS, SEI, &fragments(&inter(), 9)[0], &[0x42, 0x01], &[]] {
        assert_eq!(h264.contradicted_by(payload), None);
        assert_eq!(h265.contradicted_by(payload), None);
    }
}

/// Its sets are only in the SDP of the next session.
#[test]
fn the_other_codec_is_recognized_by_its_key_frames() {
    let [h264, h265] = [Codec::H264, Codec::H265].map(|codec| Depacketizer::new(codec, &[]));
    let [first, .., last] = &fragments(&idr(), 9)[..] else { panic!("too few") };
    for (payload, is_known) in [(&idr()[..], true), (first, true), (last, false)] {
        assert_eq!(h265.contradicted_by(payload), is_known.then_some(Codec::H264));
        assert_eq!(h264.contradicted_by(payload), None);
    }
    for kind in 0..32 {
        for (place, is_first) in [(0x80, true), (0, false), (0x40, false)] {
            let is_known = is_first && (19..=21).contains(&kind);
            let payload = [0x62, 0x01, place | kind, 0xaf];
            assert_eq!(h264.contradicted_by(&payload), is_known.then_some(Codec::H265));
            assert_eq!(h265.contradicted_by(&payload), None);
        }
    }
}

#[test]
fn a_payload_of_the_track_is_recognized_by_its_sets_and_its_key_frames() {
    let known = Depacketizer::new(Codec::H264, &[SPS.to_vec(), PPS.to_vec()]);
    let fresh = Depacketizer::new(Codec::H264, &[]);
    for payload in [SPS.to_vec(), aggregate(&[0x78], &[SEI, SPS])] {
        assert!(known.recognizes(&payload) && fresh.recognizes(&payload));
    }
    for payload in [idr(), fragments(&idr(), 9).remove(0), aggregate(&[0x78], &[SEI, &idr()])] {
        assert!(known.recognizes(&payload), "{payload:02x?}");
        assert!(!fresh.recognizes(&payload), "its sets did not come");
    }
    let last = fragments(&idr(), 9).pop().unwrap();
    let broken = [&[SPS[0] | 0x80], &SPS[1..]].concat();
    for payload in [&inter()[..], PPS, SEI, &last, &broken, b"<?xml version", &[0x65], &[]] {
        assert!(!known.recognizes(payload), "{payload:02x?}");
    }
}

/// With a time stamp for each packet, as some cameras send.
#[test]
fn a_unit_with_a_slice_that_breaks_off_in_its_header_is_not_whole() {
    let mut run = run();
    run.packet(0, Mark::Clear, &idr());
    run.packet(1, Mark::Clear, &fragments(&idr_further(), 2)[0]);
    run.packet_after_loss(9, 3600, Mark::Set, &idr()).end();
    assert_eq!(run.out.times(), [3600]);
    assert_eq!(run.out.drops, [DropCause::Loss { packets: 9 }]);
}
