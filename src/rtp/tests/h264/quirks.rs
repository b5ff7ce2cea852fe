//! Deviations of cameras from RFC 6184.

use super::*;
use crate::rtp::assembler::CLEAN_MIN;

#[test]
fn marker_bit_on_sps_pps_or_sei() {
    let mut run = run();
    for time in [10, 20] {
        for nal in [SPS, PPS, SEI] {
            run.packet(time, Mark::Set, nal);
        }
        run.packet(time, Mark::Set, &idr());
    }
    run.packet(30, Mark::Set, &inter());
    assert_eq!(
        run.out.nals(),
        [vec![SEI.to_vec(), idr()], vec![SEI.to_vec(), idr()], vec![inter()]]
    );
    assert_eq!(run.out.times(), [10, 20, 30]);
}

#[test]
fn sei_with_a_time_stamp_of_its_own_belongs_to_the_next_picture() {
    let mut run = proven_run();
    run.packet(9, Mark::Set, SEI).packet(10, Mark::Set, &idr());
    assert_eq!(run.out.nals(), [[SEI.to_vec(), idr()]]);
    assert_eq!(run.out.times(), [10]);
}

#[test]
fn marker_bit_on_every_slice() {
    let mut run = run();
    for time in [10, 20, 30] {
        run.packet(time, Mark::Set, &idr()).packet(time, Mark::Set, &idr_further());
    }
    run.end();
    assert_eq!(
        run.out.nals(),
        [[idr(), idr_further()], [idr(), idr_further()], [idr(), idr_further()]]
    );
    assert_eq!(run.out.drops, []);
}

#[test]
fn marker_bit_on_every_slice_that_shows_late() {
    let mut run = proven_run();
    run.packet(10, Mark::Set, &idr()).packet(10, Mark::Set, &idr_further());
    assert_eq!(run.out.drops, [DropCause::Malformed]);
    for time in [20, 30, 40] {
        run.packet(time, Mark::Set, &idr()).packet(time, Mark::Set, &idr_further());
    }
    assert_eq!(run.out.times(), [10, 20, 30]);
    assert_eq!(run.out.nals()[1..], [[idr(), idr_further()], [idr(), idr_further()]]);
}

/// Two pictures under each time stamp, with and without marker bits: the next first slice separates
/// them.
#[test]
fn two_frames_with_one_time_stamp_stay_two() {
    for mark in [Mark::Set, Mark::Clear] {
        let mut run = run();
        run.packet(10, mark, &idr()).packet(10, mark, &inter());
        run.packet(20, mark, &inter()).packet(20, mark, &inter());
        run.packet(30, mark, &inter());
        assert_eq!(run.out.times()[..4], [10, 10, 20, 20]);
        assert_eq!(run.out.drops, []);
    }
}

/// pion/rtp#280: a packetizer that advances the time with every NAL unit.
#[test]
fn a_time_stamp_for_each_slice() {
    let whole = vec![idr(), idr_further()];
    for marks in [[Mark::Clear, Mark::Set], [Mark::Set, Mark::Set], [Mark::Clear, Mark::Clear]] {
        let mut run = run();
        for time in [10, 3610, 7210] {
            run.packet(time, marks[0], &whole[0]).packet(time + 9, marks[1], &whole[1]);
        }
        run.packet(10_810, Mark::Set, &inter());
        assert_eq!(run.out.times()[..3], [10, 3610, 7210], "{marks:?}");
        assert_eq!(run.out.nals()[..3], [&whole[..], &whole, &whole], "{marks:?}");
        assert_eq!(run.out.drops, []);
    }
}

#[test]
fn a_time_stamp_for_each_packet() {
    let mut run = run();
    let mut time = 10;
    for _ in 0..3 {
        let mut payloads = vec![SPS.to_vec(), PPS.to_vec(), SEI.to_vec()];
        payloads.extend(fragments(&idr(), 8));
        payloads.extend(fragments(&idr_further(), 8));
        for (index, payload) in payloads.iter().enumerate() {
            let is_last = index + 1 == payloads.len();
            run.packet(time, if is_last { Mark::Set } else { Mark::Clear }, payload);
            time += 1;
        }
    }
    run.end();
    let whole = [SEI.to_vec(), idr(), idr_further()];
    assert_eq!(run.out.nals(), [whole.clone(), whole.clone(), whole]);
    assert_eq!(run.out.drops, []);
}

/// Nothing was lost on the way: the camera never sent it.
#[test]
fn a_picture_whose_first_slice_is_missing_is_malformed() {
    let mut run = proven_run();
    let next_further = filled(&[0x41, 0x44, 0xd1, 0x04], 9); // another frame_num
    run.packet(10, Mark::Set, &inter()).packet(20, Mark::Set, &next_further);
    run.packet(30, Mark::Clear, &idr()).packet(40, Mark::Set, &next_further);
    run.packet(50, Mark::Set, &inter());
    assert_eq!(run.out.times(), [10, 30, 50]);
    assert_eq!(run.out.nals()[1], [idr()]);
    assert_eq!(run.out.drops, [DropCause::Malformed; 2]);
}

#[test]
fn a_slice_whose_parameter_set_never_came_is_undecodable() {
    let mut run = proven_run();
    let of_another = filled(&[0x41, 0x99, 0x21], 9); // PPS 1 or 2
    run.packet(10, Mark::Set, &of_another).packet(20, Mark::Set, &inter());
    assert_eq!(run.out.times(), [20]);
    assert_eq!(run.out.drops, [DropCause::NoParameterSets]);
}

/// Baseline profile: a picture may begin with any slice (ASO).
#[test]
fn slices_in_any_order_are_assigned_to_their_pictures() {
    let pps: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    let sps: &[u8] = &[0x67, 66, 0, 30, 0xf4, 0x4b, 0x20];
    let first = |frame: u8| filled(&[0x41, 0x9a, frame << 5 | frame << 1], 9);
    let further = |frame: u8| filled(&[0x41, 0x46, 0x80 | frame << 3 | frame >> 1, frame << 7], 9);
    let mut run = Run::new(Codec::H264, &[sps, pps]);
    run.packet(0, Mark::Clear, &idr());
    for frame in 1..5 {
        let time = 10 * u32::from(frame);
        run.packet(time, Mark::Clear, &further(frame)).packet(time, Mark::Set, &first(frame));
    }
    run.end();
    assert_eq!(run.out.nals()[1..], [1, 2, 3, 4].map(|frame| [further(frame), first(frame)]));
    assert_eq!(run.out.drops, []);
}

/// A slice of a field: 1 for the bottom one, and the number of its frame.
fn field(bottom: u8, frame: u8) -> Vec<u8> {
    // first_mb 0, P, PPS 0, frame_num 0fff, field_pic_flag, bottom_field_flag, pic_order_cnt_lsb
    filled(&[0x41, 0x9a, frame << 5 | 0x10 | bottom << 3 | bottom], 10)
}

fn interlaced() -> Run {
    let mut run = Run::new(Codec::H264, &[INTERLACED_SPS, &[0x68, 0xfb, 0xa3, 0xcb, 0x30]]);
    run.packet(0, Mark::Set, &filled(&[0x65, 0x88, 0x82, 0x04], 9));
    run.packet(10, Mark::Set, &field(0, 1)).packet(10, Mark::Set, &field(1, 1));
    run
}

#[test]
fn two_fields_with_one_time_stamp_are_one_unit() {
    let mut run = interlaced();
    run.packet(20, Mark::Clear, &field(1, 2)).packet(20, Mark::Clear, &field(0, 2));
    run.packet(30, Mark::Set, &field(0, 3)).packet(40, Mark::Set, &field(0, 4)).end();
    assert_eq!(run.out.times(), [0, 10, 20, 30, 40]);
    assert_eq!(run.out.nals()[1], [field(0, 1), field(1, 1)]);
    assert_eq!(run.out.nals()[2], [field(1, 2), field(0, 2)]);
    assert_eq!(run.out.drops, []);
}

#[test]
fn fields_of_two_frames_or_time_stamps_are_two_units() {
    let mut run = interlaced();
    run.packet(20, Mark::Set, &field(0, 2)).packet(21, Mark::Set, &field(1, 2));
    run.packet(30, Mark::Set, &field(0, 3)).packet(30, Mark::Set, &field(1, 4));
    run.packet(40, Mark::Set, &field(0, 5)).packet(40, Mark::Set, &field(0, 5)).end();
    assert_eq!(run.out.times(), [0, 10, 20, 21, 30, 30, 40, 40]);
    assert_eq!(run.out.drops, []);
}

#[test]
fn annex_b_start_codes_inside_an_rtp_payload() {
    for code in [&START_CODE[1..], START_CODE] {
        let stream = [code, SPS, code, PPS, code, SEI, code, &idr(), code, &idr_further()].concat();
        let whole = [SEI.to_vec(), idr(), idr_further()];
        let mut run = Run::new(Codec::H264, &[]);
        run.packet(10, Mark::Set, &stream).packet(11, Mark::Set, &stream);
        run.packet(12, Mark::Set, &stream[code.len()..]).end();
        assert_eq!(run.out.nals(), [whole.clone(), whole.clone(), whole.clone()]);

        // one fragmented NAL unit with the others inside, cut at every place
        for size in 1..40 {
            let mut run = Run::new(Codec::H264, &[]);
            let pieces = fragments(&stream[code.len()..], size);
            for (index, piece) in pieces.iter().enumerate() {
                let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
                run.packet(10, marker, piece);
            }
            assert_eq!(run.end().out.nals(), std::slice::from_ref(&whole), "{size}");
        }
        let mut run = proven_run();
        run.packet(
            10,
            Mark::Set,
            &aggregate(&[24], &[&[code, SEI].concat(), &[code, &idr()].concat()]),
        );
        assert_eq!(run.out.nals(), [[SEI.to_vec(), idr()]]);
    }
}

/// roleoroleo/yi-hack-MStar#593: fragments of NAL units of type 0, each a picture with its sets.
#[test]
fn an_annex_b_stream_in_fragments_of_type_0() {
    let mut run = run();
    for time in [10, 20, 30] {
        let stream = [&[0, 0, 1], SPS, &[0, 0, 0, 1], PPS, &[0, 0, 1], &idr()].concat();
        let last = stream.len().div_ceil(9) - 1;
        for (index, piece) in stream.chunks(9).enumerate() {
            let start = if index == 0 { 0x80 } else { 0 };
            let (end, marker) = if index == last { (0x40, Mark::Set) } else { (0, Mark::Clear) };
            run.packet(time, marker, &[&[0x1c, start | end], piece].concat());
        }
    }
    run.end();
    assert_eq!(run.out.nals(), [[idr()], [idr()], [idr()]]);
    assert_eq!(run.out.drops, []);
}

#[test]
fn annex_b_start_codes_that_come_late_are_found_after_one_at_the_front_of_a_payload() {
    let mut run = run();
    for time in 0..=CLEAN_MIN {
        run.packet(time, Mark::Set, &inter());
    }
    run.out.units.clear();
    let long = filled(&[0x65, 0x88, 0x84, 0x04], 1000);
    let slices = [&long, START_CODE, &idr_further()].concat();
    let with_sets = [SPS, START_CODE, PPS, START_CODE, &slices].concat();
    run.packet(2000, Mark::Set, &slices).packet(2001, Mark::Set, &with_sets);
    run.packet(2002, Mark::Set, &slices);
    let whole = vec![long, idr_further()];
    assert_eq!(run.out.nals(), [vec![slices], whole.clone(), whole]);
}

#[test]
fn zeros_that_do_not_form_a_start_code_stay() {
    let nal = [&[0x65, 0x88, 0x84, 4, 0, 0, 3, 1, 0, 0, 2, 0][..], &[0; 40], &[5]].concat();
    for size in 1..nal.len() {
        let mut run = proven_run();
        let pieces = fragments(&nal, size);
        for (index, piece) in pieces.iter().enumerate() {
            let marker = if index + 1 == pieces.len() { Mark::Set } else { Mark::Clear };
            run.packet(10, marker, piece);
        }
        assert_eq!(run.out.nals(), [[nal.clone()]], "{size}");
    }
}

#[test]
fn zeros_after_a_nal_unit() {
    let padded = [&idr()[..], &[0, 0, 0]].concat();
    let mut run = proven_run();
    run.packet(10, Mark::Set, &padded).packet(11, Mark::Set, &fragments(&padded, 100)[0]);
    run.packet(12, Mark::Set, &aggregate(&[24], &[&padded]));
    assert_eq!(run.out.nals(), [[idr()], [idr()], [idr()]]);
}

#[test]
fn junk_after_the_sps() {
    let mut run = run();
    for (time, junk) in [(10, [1, 2]), (20, [3, 4])] {
        let nals = [&[SPS, &junk[..]].concat(), PPS, &idr()];
        run.packet(time, Mark::Set, &aggregate(&[24], &nals));
    }
    run.end();
    let [(first, _), (second, _)] = &run.out.units[..] else { panic!("two units") };
    assert!(Arc::ptr_eq(&first.parameter_sets, &second.parameter_sets));
    assert!(first.parameter_sets.nals().any(|nal| nal == SPS));
}

#[test]
fn parameter_sets_only_in_band() {
    let mut run = Run::new(Codec::H264, &[]);
    run.packet(1, Mark::Set, &idr()).packet(2, Mark::Set, &inter());
    assert!(run.out.times().is_empty());
    assert_eq!(run.out.drops, [DropCause::NoParameterSets; 2]);
    assert_eq!(run.depacketizer.parameter_sets(), None);
    run.packet(3, Mark::Clear, SPS);
    for piece in fragments(PPS, 2) {
        run.packet(3, Mark::Clear, &piece);
    }
    run.packet(3, Mark::Set, &idr()).packet(4, Mark::Set, &inter());
    assert_eq!(run.out.times(), [3, 4]);
}

#[test]
fn parameter_sets_only_in_sdp() {
    let mut run = Run::new(Codec::H264, &[&[START_CODE, SPS, START_CODE, PPS].concat()]);
    run.packet(1, Mark::Set, &idr()).end();
    assert_eq!(run.out.units[0].0.parameter_sets.picture().width, 1920);
}

#[test]
fn parameter_sets_in_sdp_and_in_band_that_differ() {
    let mut run = Run::new(Codec::H264, &[OTHER_SPS, &[0x68, 0xcb, 0x83, 0xcb, 0x20]]);
    run.packet(1, Mark::Set, &idr());
    run.packet(2, Mark::Clear, SPS).packet(2, Mark::Clear, PPS).packet(2, Mark::Set, &idr()).end();
    let widths: Vec<u32> =
        run.out.units.iter().map(|(unit, _)| unit.parameter_sets.picture().width).collect();
    assert_eq!(widths, [640, 1920]);
}

#[test]
fn a_set_forbidden_bit_drops_the_unit() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, &idr()).packet(10, Mark::Set, &filled(&[0xe5, 0x44], 8));
    assert_eq!(run.out.drops, [DropCause::Malformed]);
    assert!(run.out.times().is_empty());
}

#[test]
fn an_endless_parameter_set_is_bounded() {
    let mut run = proven_run();
    run.packet(10, Mark::Clear, &filled(&[0x7c, 0x87], 60_000));
    for _ in 0..10 {
        run.packet(10, Mark::Clear, &filled(&[0x7c, 0x07], 60_000));
    }
    run.packet(10, Mark::Clear, &filled(&[0x7c, 0x47], 1)).packet(10, Mark::Set, &idr());
    assert_eq!(run.out.nals(), [[idr()]]);
}

/// The only slice of a P picture of that `frame_num`.
fn numbered(frame: u32) -> Vec<u8> {
    let [.., number] = (frame % 16).to_be_bytes();
    filled(&[0x41, 0x9a | number >> 3, number << 5 | 1], 10)
}

/// A relay that switches to another camera and continues its own time stamps.
#[test]
fn another_source_that_begins_in_mid_group_is_not_stored_after_ours() {
    for (pictures, number, is_ours) in [(40, 41, true), (40, 45, false), (10, 15, true)] {
        let mut run = proven_run();
        for frame in 1..=pictures {
            run.packet_of(1, frame * 3600, &numbered(frame));
        }
        let next = (pictures + 1) * 3600;
        run.packet_of(2, next, &numbered(number)).packet_of(2, next + 3600, &numbered(number + 1));
        let drops: &[DropCause] = if is_ours { &[] } else { &[DropCause::Incomplete] };
        assert_eq!(run.out.drops, drops, "{pictures} {number}");
        assert_eq!(run.out.times().contains(&next), is_ours);
        run.packet_of(3, next + 7200, &idr());
        assert_eq!(run.out.drops, drops, "an IDR picture refers to none");
    }
}
